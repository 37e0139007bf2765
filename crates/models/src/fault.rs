//! What is wrong with the content of a model file, before anybody says which file it is.

use std::path::Path;

use crate::LoadError;

/// A [`LoadError`] that does not know its path yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// No format begins like this.
    UnknownFormat { found: String },
    /// The bytes are not what the format says they are.
    Damaged { offset: usize, problem: String },
    /// A class or function that may not be named, or not be called.
    Forbidden { class: String, offset: usize },
    /// Content that is fine but that this build does not know.
    Unsupported { what: String, help: Option<String> },
    /// A part is missing or contradicts another.
    Inconsistent { class: String, problem: String },
    /// A bound was reached.
    TooLarge { what: &'static str, limit: u64 },
}

impl Fault {
    pub(crate) fn damaged(offset: usize, problem: impl Into<String>) -> Self {
        Self::Damaged { offset, problem: problem.into() }
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), help: None }
    }

    pub(crate) fn inconsistent(class: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Inconsistent { class: class.into(), problem: problem.into() }
    }

    /// The error to show, now that the file is known.
    pub(crate) fn of(self, path: &Path) -> LoadError {
        let path = path.to_owned();
        match self {
            Self::UnknownFormat { found } => LoadError::UnknownFormat { path, found },
            Self::Damaged { offset, problem } => LoadError::Damaged { path, offset, problem },
            Self::Forbidden { class, offset } => LoadError::Forbidden { path, class, offset },
            Self::Unsupported { what, help } => LoadError::Unsupported { what, help },
            Self::Inconsistent { class, problem } => LoadError::Inconsistent { path, class, problem },
            Self::TooLarge { what, limit } => LoadError::TooLarge { path, what, limit },
        }
    }
}
