//! What a model takes and gives.

use std::str::FromStr;

/// What a model takes and gives, as its file says or as its parts imply.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// What it takes.
    pub inputs: Inputs,
    /// What it gives, when the file says so.
    pub outputs: Vec<Field>,
    /// Parameters that a request may carry beside its rows (MLflow's `params`). No estimator here reads them.
    pub params: Vec<Field>,
    /// Whether the file declares the inputs with their types (an MLflow signature does). If not, names and counts come
    /// from the fitted model and any type that fits is taken.
    pub is_declared: bool,
}

/// What a model takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Inputs {
    /// Columns with names.
    Columns(Vec<Field>),
    /// Rows of numbers.
    Matrix {
        /// The type of the numbers.
        datatype: DataType,
        /// Numbers per row, when that is known.
        n_columns: Option<usize>,
    },
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub datatype: DataType,
    /// Whether it must be given. A column that need not be given is missing, or has its default, where it is not.
    pub required: bool,
    /// The value it has where it is not given.
    pub default: Option<Scalar>,
    /// Whether the model takes a missing value there, so that one row may lack what others have.
    pub takes_missing: bool,
}

/// Column types, by the names MLflow gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// `boolean`
    Boolean,
    /// `integer`, 32 bits
    Integer,
    /// `long`, 64 bits
    Long,
    /// `float`, 32 bits
    Float,
    /// `double`, 64 bits
    Double,
    /// `string`
    String,
    /// `binary`, base64 in JSON
    Binary,
    /// `datetime`, ISO 8601 in JSON
    Datetime,
    /// Nothing is declared: numbers, truth values and texts are all taken.
    Any,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A number.
    Double(f64),
    /// A whole number.
    Long(i64),
    /// A truth value.
    Boolean(bool),
    /// A text.
    Text(String),
}

impl DataType {
    /// Every type.
    pub const ALL: [Self; 9] = [
        Self::Boolean,
        Self::Integer,
        Self::Long,
        Self::Float,
        Self::Double,
        Self::String,
        Self::Binary,
        Self::Datetime,
        Self::Any,
    ];

    /// The name MLflow gives it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Datetime => "datetime",
            Self::Any => "any",
        }
    }
}

impl FromStr for DataType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|datatype| datatype.as_str() == name);
        known.ok_or_else(|| format!("`{name}` is none of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}
