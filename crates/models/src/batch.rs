//! The rows that a model is asked about.

/// Rows to predict, all of them with the same columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// How many rows there are.
    pub n_rows: usize,
    /// The values.
    pub columns: Columns,
}

/// The values of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Columns {
    /// Numbers without column names, row after row; NaN where a value is missing.
    Matrix {
        /// Columns per row.
        n_columns: usize,
        /// `n_rows × n_columns` numbers.
        values: Vec<f64>,
    },
    /// Named columns, in the order they came in.
    Table(Vec<Column>),
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// One value per row.
    pub values: Values,
}

/// The values of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Floating-point numbers; NaN where one is missing. Whole numbers of which one is missing are these too.
    Double(Vec<f64>),
    /// Whole numbers.
    Long(Vec<i64>),
    /// Truth values.
    Boolean(Vec<bool>),
    /// Texts, of which some may be missing. Dates are ISO 8601 texts.
    Text(Texts),
}

/// Texts of a column in one allocation, of which some may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Texts {
    bytes: String,
    ends: Vec<usize>,
    missing: Vec<bool>,
}

impl Batch {
    /// A batch of numbers without column names.
    #[must_use]
    pub fn matrix(n_columns: usize, values: Vec<f64>) -> Self {
        let n_rows = values.len().checked_div(n_columns).unwrap_or(0);
        Self { n_rows, columns: Columns::Matrix { n_columns, values } }
    }

    /// A batch of named columns.
    #[must_use]
    pub fn table(columns: Vec<Column>) -> Self {
        let n_rows = columns.first().map_or(0, |column| column.values.len());
        Self { n_rows, columns: Columns::Table(columns) }
    }

    /// How many columns there are.
    #[must_use]
    pub fn n_columns(&self) -> usize {
        match &self.columns {
            Columns::Matrix { n_columns, .. } => *n_columns,
            Columns::Table(columns) => columns.len(),
        }
    }

    /// Whether the rows of another batch may follow these: there are as many columns, of the same names in the same
    /// order and of the same types, and each has a value for each row.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (&self.columns, &other.columns) {
            (Columns::Matrix { n_columns, .. }, Columns::Matrix { n_columns: others, .. }) => {
                n_columns == others && self.is_even() && other.is_even()
            }
            (Columns::Table(columns), Columns::Table(others)) => {
                let is_like = |(column, other): (&Column, &Column)| {
                    column.name == other.name && column.values.is_like(&other.values)
                };
                let is_same_length = columns.len() == others.len();
                is_same_length && columns.iter().zip(others).all(is_like) && self.is_even() && other.is_even()
            }
            _ => false,
        }
    }

    /// Whether there is a value for each row in each column.
    fn is_even(&self) -> bool {
        match &self.columns {
            Columns::Matrix { n_columns, values } => n_columns.checked_mul(self.n_rows) == Some(values.len()),
            Columns::Table(columns) => columns.iter().all(|column| column.values.len() == self.n_rows),
        }
    }

    /// Adds the rows of a batch that [is like](Self::is_like) this one. Columns of other types stay as they are.
    pub fn append(&mut self, other: &Self) {
        match (&mut self.columns, &other.columns) {
            (Columns::Matrix { values, .. }, Columns::Matrix { values: more, .. }) => {
                values.extend_from_slice(more);
            }
            (Columns::Table(columns), Columns::Table(others)) => {
                for (column, other) in columns.iter_mut().zip(others) {
                    column.values.append(&other.values);
                }
            }
            _ => return,
        }
        self.n_rows += other.n_rows;
    }
}

impl Values {
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Double(values), Self::Double(more)) => values.extend_from_slice(more),
            (Self::Long(values), Self::Long(more)) => values.extend_from_slice(more),
            (Self::Boolean(values), Self::Boolean(more)) => values.extend_from_slice(more),
            (Self::Text(texts), Self::Text(more)) => texts.append(more),
            _ => {}
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Double(values) => values.len(),
            Self::Long(values) => values.len(),
            Self::Boolean(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Texts {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        self.missing.push(false);
    }

    /// Adds a place where a text is missing.
    pub fn push_missing(&mut self) {
        self.ends.push(self.bytes.len());
        self.missing.push(true);
    }

    /// Adds all rows of other texts.
    fn append(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.push_str(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
        self.missing.extend_from_slice(&other.missing);
    }

    /// The text of a row; `None` where it is missing or where there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        let end = *self.ends.get(row)?;
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        (!self.missing[row]).then(|| &self.bytes[start..end])
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl<'a> FromIterator<Option<&'a str>> for Texts {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(texts: I) -> Self {
        let mut column = Self::default();
        for text in texts {
            match text {
                Some(text) => column.push(text),
                None => column.push_missing(),
            }
        }
        column
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_remember_what_is_missing() {
        let texts: Texts = [Some("food"), None, Some(""), Some("toys")].into_iter().collect();
        assert_eq!(texts.iter().collect::<Vec<_>>(), [Some("food"), None, Some(""), Some("toys")]);
        assert_eq!(texts.get(4), None);
    }

    #[test]
    fn batches_follow_one_another_when_their_columns_are_alike() {
        let batch = |names: &[&str], long: i64, text: Option<&str>| {
            let long = Column { name: names[0].to_owned(), values: Values::Long(vec![long]) };
            let text =
                Column { name: names[1].to_owned(), values: Values::Text([text].into_iter().collect()) };
            Batch::table(vec![long, text])
        };
        let mut joined = batch(&["a", "b"], 1, Some("x"));
        let (second, third) = (batch(&["a", "b"], 2, None), batch(&["a", "b"], 3, Some("yz")));
        assert!(joined.is_like(&second) && !joined.is_like(&batch(&["a", "c"], 2, None)));
        joined.append(&second);
        joined.append(&third);
        let Columns::Table(columns) = &joined.columns else { panic!("a table") };
        assert_eq!((joined.n_rows, &columns[0].values), (3, &Values::Long(vec![1, 2, 3])));
        assert_eq!(columns[1].values, Values::Text([Some("x"), None, Some("yz")].into_iter().collect()));

        let mut matrix = Batch::matrix(2, vec![1.0, 2.0]);
        let wider = Batch::matrix(3, vec![1.0, 2.0, 3.0]);
        assert!(!matrix.is_like(&wider) && !matrix.is_like(&joined) && !joined.is_like(&matrix));
        matrix.append(&Batch::matrix(2, vec![3.0, 4.0]));
        assert_eq!(matrix, Batch::matrix(2, vec![1.0, 2.0, 3.0, 4.0]));
    }
}
