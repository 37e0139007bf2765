//! Where a value stands in the request, in words the client has.

use crate::fault::quoted;

/// How the rows of a request are written, and under which JSON path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lists of values, as in `$.instances[2][3]`.
    Rows(&'static str),
    /// Lists of values beside the names of their columns, as in `$.dataframe_split.data[2][3]`.
    Split(&'static str),
    /// Objects, as in `$.dataframe_records[2].pH`.
    Records(&'static str),
    /// One object, as in `$.features.pH`.
    Record(&'static str),
    /// Lists of the values of a column, as in `$.inputs.pH[2]`.
    Columns(&'static str),
    /// Lines of CSV.
    Lines,
    /// Columns of a file.
    File,
    /// Tensors, one for all columns or one for each.
    Tensors,
}

impl Form {
    /// The place of a row and a column by its name, as far as they are known.
    pub(crate) fn place(self, row: Option<usize>, column: Option<&str>) -> String {
        let index = |row: Option<usize>| row.map(|row| format!("[{row}]")).unwrap_or_default();
        let key = |column: Option<&str>| column.map(key).unwrap_or_default();
        let beside = |column: Option<&str>| {
            column.map(|column| format!(", column {}", quoted(column))).unwrap_or_default()
        };
        match self {
            Self::Rows(path) => format!("{path}{}{}", index(row), beside(column)),
            Self::Split(path) if row.is_none() && column.is_none() => path.to_owned(),
            Self::Split(path) => format!("{path}.data{}{}", index(row), beside(column)),
            Self::Records(path) if row.is_none() => format!("{path}{}", beside(column)),
            Self::Records(path) => format!("{path}{}{}", index(row), key(column)),
            Self::Record(path) => format!("{path}{}", key(column)),
            Self::Columns(path) if column.is_none() => path.to_owned(),
            Self::Columns(path) => format!("{path}{}{}", key(column), index(row)),
            Self::Lines | Self::File if row.is_none() && column.is_none() => String::new(),
            Self::Lines | Self::File => {
                let row = row.map_or_else(|| "the rows".to_owned(), |row| format!("row {}", row + 1));
                format!("{row}{}", beside(column))
            }
            Self::Tensors => {
                let row = row.map(|row| format!(", row {row}")).unwrap_or_default();
                format!("$.inputs{row}{}", beside(column))
            }
        }
    }

    /// The place of a value in a list of values.
    pub(crate) fn place_of_item(self, row: usize, item: usize) -> String {
        format!("{}[{item}]", self.place(Some(row), None))
    }

    /// The place of the name of a column that stands at `index` of the names.
    pub(crate) fn place_of_name(self, name: &str, index: usize) -> String {
        match self {
            Self::Split(path) => format!("{path}.columns[{index}]"),
            Self::Lines => format!("line 1, field {}", index + 1),
            Self::File => format!("column {}", index + 1),
            Self::Tensors => format!("$.inputs[{index}].name"),
            _ => self.place(Some(0), Some(name)),
        }
    }
}

/// A key as it stands in a JSON path (RFC 9535): `.pH`, or `["fixed acidity"]`.
pub(crate) fn key(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let starts_with_letter = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if is_plain && starts_with_letter && name.len() <= 60 {
        return format!(".{name}");
    }
    format!("[{:?}]", quoted(name).trim_matches('`'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_json_paths() {
        let place = |form: Form| form.place(Some(2), Some("fixed acidity"));
        assert_eq!(place(Form::Records("$.instances")), "$.instances[2][\"fixed acidity\"]");
        assert_eq!(place(Form::Columns("$.inputs")), "$.inputs[\"fixed acidity\"][2]");
        assert_eq!(place(Form::Record("$.features")), "$.features[\"fixed acidity\"]");
        assert_eq!(place(Form::Rows("$.instances")), "$.instances[2], column `fixed acidity`");
        assert_eq!(place(Form::Lines), "row 3, column `fixed acidity`");
        assert_eq!(Form::Rows("$.instances").place_of_item(2, 3), "$.instances[2][3]");
        assert_eq!(Form::Record("$.features").place(None, Some("pH")), "$.features.pH");
    }
}
