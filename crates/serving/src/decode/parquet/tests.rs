//! Files that pyarrow, pandas and Polars wrote (`cases/make.py`).

use models::{Columns, Values};

use super::*;
use crate::row_file::{RowFormat, read_rows};

fn shown(file: &[u8]) -> String {
    let batch = match read_rows(RowFormat::Parquet, file, None) {
        Ok(batch) => batch,
        Err(error) => return error.to_string(),
    };
    let Columns::Table(columns) = batch.columns else { panic!() };
    let column = |column: &models::Column| {
        let values = match &column.values {
            Values::Double(values) => format!("{values:?}"),
            Values::Long(values) => format!("{values:?}"),
            Values::Boolean(values) => format!("{values:?}"),
            Values::Text(texts) => {
                format!("{:?}", texts.iter().map(|text| text.unwrap_or("-")).collect::<Vec<_>>())
            }
        };
        format!("{}={values}", column.name)
    };
    columns.iter().map(column).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_way_to_write_a_table_gives_the_same_rows() {
    for file in [
        &include_bytes!("cases/plain.parquet")[..],
        include_bytes!("cases/index.parquet"),
        include_bytes!("cases/v2_zstd.parquet"),
        include_bytes!("cases/plain_encoding.parquet"),
        include_bytes!("cases/deltas.parquet"),
        include_bytes!("cases/polars.parquet"),
    ] {
        let expected = r#"a=[1, 2, 3] x=[1.5, NaN, -2.0] t=["red", "-", "blue"] b=[true, false, true]"#;
        assert_eq!(shown(file), expected);
    }
}

#[test]
fn values_of_every_kind_become_what_a_model_takes() {
    let expected = "i8=[-1, 2] u32=[4294967295, 0] f=[0.5, NaN] day=[\"2024-01-01\", \"-\"] \
                    ms=[\"2024-01-01T12:00:00\", \"-\"] us=[\"2024-01-01T12:00:00.000005\", \"-\"] \
                    ns=[\"1970-01-01T00:00:00.000000001\", \"-\"] d=[-10.5, NaN] cat=[\"p\", \"q\"] nothing=[NaN, NaN]";
    assert_eq!(shown(include_bytes!("cases/kinds.parquet")), expected);
    assert_eq!(shown(include_bytes!("cases/int96.parquet")), "ns=[\"1970-01-01T00:00:00.000000001\", \"-\"]");
}

#[test]
fn what_is_not_read_says_what_it_is() {
    let refused = |file: &[u8]| shown(file).replace("the Parquet file cannot be read: ", "");
    assert_eq!(
        refused(include_bytes!("cases/lists.parquet")),
        "column `l`: it holds lists or structures, and a model takes single values"
    );
    assert_eq!(
        refused(include_bytes!("cases/brotli.parquet")),
        "column `a`: it is compressed with Brotli; save it with compression=\"snappy\", \"zstd\" or \"gzip\""
    );
    assert_eq!(refused(b"a,b\n1,2\n"), "it is no Parquet file");
    assert_eq!(refused(b"PAR1\x00\x00\x00\x00\xff\xff\xff\xffPARE"), "it is encrypted");
    assert_eq!(refused(b"PAR1\x00\x00\x00\x00\xff\xff\xff\xffPAR1"), "its description is cut off");
}

#[test]
fn a_file_unfolds_to_no_more_than_it_may() {
    let mut budget = Budget::of(&[0; 100]);
    let text = "x".repeat(1 << 20);
    let n_taken = (0..100).take_while(|_| budget.value(&Scalar::Text(text.as_str().into())).is_ok()).count();
    assert!((8..=16).contains(&n_taken), "{n_taken}");
    assert!(budget.unpack(MAX_PAGE_BYTES + 1).is_err());
    assert!((0..).take_while(|_| budget.unpack(1 << 20).is_ok()).count() <= 17);
    // Five million times the same number, in a file of some hundred bytes.
    assert!(
        shown(include_bytes!("cases/repeated.parquet")).contains("it unfolds to far more than its length")
    );
}

#[test]
fn a_file_that_is_cut_off_or_changed_anywhere_is_read_or_refused() {
    let file = include_bytes!("cases/plain.parquet");
    for end in 0..file.len() {
        shown(&file[..end]);
    }
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut changed = file.to_vec();
            changed[at] ^= 1 << bit;
            shown(&changed);
        }
    }
}
