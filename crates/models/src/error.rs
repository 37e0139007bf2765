//! Why a model cannot be loaded, and why a batch cannot be predicted.

use std::io;
use std::path::PathBuf;

use crate::{Method, NotServed};

/// Why a file or folder is not served.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read `{path}`: {problem}")]
    Read {
        /// What was read.
        path: PathBuf,
        /// What the system said.
        problem: io::Error,
    },
    /// Nothing in it is a model this build knows.
    #[error("`{path}` is not a model this build can read: {found}")]
    UnknownFormat {
        /// What was looked at.
        path: PathBuf,
        /// What is there instead, in words.
        found: String,
    },
    /// The bytes are not what the format says they are.
    #[error("`{path}` is damaged: {problem} at byte {offset}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file (after decompression).
        offset: usize,
        /// What is wrong.
        problem: String,
    },
    /// It asks for a class or function that is not on the list of those that are data.
    #[error(
        "`{path}` names `{class}` at byte {offset}, which is not allowed in a model file; nothing was executed"
    )]
    Forbidden {
        /// The file.
        path: PathBuf,
        /// The class or function.
        class: String,
        /// Where in the file.
        offset: usize,
    },
    /// A bound was reached that models stay far below.
    #[error("`{path}` has more than {limit} {what}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
        /// How much is read.
        limit: u64,
    },
    /// A folder has several files that could be its model.
    #[error("`{path}` has several model files: `{}`; name the one you mean, or leave one in the folder", found.join("`, `"))]
    Ambiguous {
        /// The folder.
        path: PathBuf,
        /// The names of the files.
        found: Vec<String>,
    },
    /// A file that describes the model (`MLmodel`, `model-settings.json`, `forebay.yaml`) is wrong.
    #[error("`{path}`: {problem}")]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// The estimator, or one of its parameters, is not supported.
    #[error("{what} is not supported{}", help.as_ref().map(|help| format!(": {help}")).unwrap_or_default())]
    Unsupported {
        /// The class path, with the parameter if it is one.
        what: String,
        /// What is supported instead.
        help: Option<String>,
    },
    /// A part of the model is missing or contradicts another.
    #[error("`{class}` in `{path}` is inconsistent: {problem}")]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// The class path.
        class: String,
        /// What is wrong.
        problem: String,
    },
}

/// Why a batch was not predicted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PredictError {
    /// The model has no such method.
    #[error("the model has no `{method}`; it has {}", available.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", "))]
    NoMethod {
        /// What was asked for.
        method: Method,
        /// What there is.
        available: Vec<Method>,
    },
    /// The model has the method, and it is not answered here.
    #[error("{not_served}; the model is asked for {}", available.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", "))]
    NotServed {
        /// What was asked for, and why it is not answered.
        not_served: NotServed,
        /// What there is.
        available: Vec<Method>,
    },
    /// The batch does not fit the model.
    #[error(transparent)]
    Input(#[from] InputError),
}

/// What is wrong with a batch, and where. Its text does not say where, for whoever sent the batch names places in their own
/// way.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct InputError {
    /// The row, from 0, when one row is to blame.
    pub row: Option<usize>,
    /// The name of the column, or its index as text for a matrix, when one column is to blame.
    pub column: Option<String>,
    /// What is wrong.
    pub problem: InputProblem,
}

/// What is wrong with a batch.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InputProblem {
    /// There are no rows.
    #[error("there are no rows")]
    NoRows,
    /// Columns that the model needs are not there.
    #[error("missing columns: `{}`", names.join("`, `"))]
    MissingColumns {
        /// Their names.
        names: Vec<String>,
    },
    /// A model without column names is given a column by a name that does not say where it stands.
    #[error("the model was saved without column names, so nobody knows which of its columns `{name}` is")]
    NoColumnNames {
        /// The name.
        name: String,
    },
    /// A column is there twice.
    #[error("the column `{name}` stands there twice")]
    ColumnTwice {
        /// Its name.
        name: String,
    },
    /// A matrix has the wrong number of columns.
    #[error("each row has {got} values; the model takes {expected}")]
    WrongColumnCount {
        /// What the model takes.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// Columns of one batch have different lengths.
    #[error("there are {got} values in a batch of {expected} rows")]
    UnequalColumns {
        /// How many rows the batch says it has.
        expected: usize,
        /// How many values there are.
        got: usize,
    },
    /// A value has a type the column does not take.
    #[error("expected {expected}, got {got}")]
    WrongType {
        /// What the column takes.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// A value is NaN or infinite, and the estimator does not take that.
    #[error("{got} where {estimator} takes only finite numbers")]
    NotFinite {
        /// `NaN`, `infinity` or `a missing value`.
        got: &'static str,
        /// The class that refuses it.
        estimator: String,
    },
    /// A computation inside of the model cannot be done with these values.
    #[error("{part} {problem}")]
    Computation {
        /// The part of the model.
        part: String,
        /// What is wrong.
        problem: String,
    },
    /// A category that the encoder was not fitted with.
    #[error(
        "`{value}` is not one of the {n_known} categories the model was fitted with{}",
        told(known, *n_known)
    )]
    UnknownCategory {
        /// The value.
        value: String,
        /// How many are known.
        n_known: usize,
        /// The first of them, at most [`InputProblem::MAX_KNOWN_SHOWN`].
        known: Vec<String>,
    },
}

impl InputProblem {
    /// How many of the known categories are told.
    pub const MAX_KNOWN_SHOWN: usize = 10;
}

/// Known categories as they are told: `: `a`, `b` and 3 more`.
fn told(known: &[String], n_known: usize) -> String {
    /// The letters of a category that are shown.
    const SHOWN_LETTERS: usize = 60;

    if known.is_empty() {
        return String::new();
    }
    let known: Vec<String> = known
        .iter()
        .map(|known| format!("`{}`", known.chars().take(SHOWN_LETTERS).collect::<String>()))
        .collect();
    let more = n_known.saturating_sub(known.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(": {}{rest}", known.join(", "))
}
