//! Rows in files, read as requests with such a body are.

use models::{Batch, DataType, Field, Inputs, Signature};

use crate::decode::{self, Schema};

/// A format of files with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// Lines under a header (RFC 4180).
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Why a file has no rows that could be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowsError(String);

/// Reads the rows of a file, for a model of this signature. Without one, columns have the types that they have in the file.
///
/// # Errors
/// When the file is broken, or does not fit the signature.
pub fn read_rows(format: RowFormat, file: &[u8], signature: Option<&Signature>) -> Result<Batch, RowsError> {
    let told = |fault: crate::fault::Fault| RowsError(fault.to_string());
    let of_file = || {
        let names = match format {
            RowFormat::Csv => decode::csv_header(file),
            RowFormat::Parquet => decode::parquet_header(file),
        };
        names.map(undeclared).map_err(told)
    };
    let signature = signature.cloned().map_or_else(of_file, Ok)?;
    let schema = Schema::new(&signature, false);
    let decoded = match format {
        RowFormat::Csv => decode::csv(file, &schema),
        RowFormat::Parquet => decode::parquet(file, &schema),
    };
    decoded.map(|decoded| decoded.batch).map_err(told)
}

/// Columns of which only the names are known.
fn undeclared(names: Vec<String>) -> Signature {
    let field =
        |name| Field { name, datatype: DataType::Any, required: false, default: None, takes_missing: true };
    let inputs = Inputs::Columns(names.into_iter().map(field).collect());
    Signature { inputs, outputs: Vec::new(), params: Vec::new(), is_declared: false }
}

#[cfg(test)]
mod tests {
    use models::{Columns, Values};

    use super::*;

    #[test]
    fn without_a_signature_columns_have_the_types_of_their_values() {
        let file = b"a,b,c,d\n1,x,True,1\n2,,False,\n";
        let batch = read_rows(RowFormat::Csv, file, None).unwrap();
        let Columns::Table(columns) = batch.columns else { panic!() };
        assert_eq!(columns[0].values, Values::Long(vec![1, 2]));
        assert_eq!(columns[1].values, Values::Text([Some("x"), None].into_iter().collect()));
        assert_eq!(columns[2].values, Values::Boolean(vec![true, false]));
        assert!(
            matches!(&columns[3].values, Values::Double(values) if values[0] == 1.0 && values[1].is_nan())
        );
    }

    #[test]
    fn what_is_no_table_says_why() {
        let refused = |format, file: &[u8]| read_rows(format, file, None).unwrap_err().to_string();
        assert_eq!(
            refused(RowFormat::Csv, b"a,b\n1\n"),
            "line 2: expected 2 fields, as the header has, got 1"
        );
        assert!(refused(RowFormat::Parquet, b"a,b\n1,2\n").contains("no Parquet file"));
    }
}
