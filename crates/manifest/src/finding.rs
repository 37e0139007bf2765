//! Findings: problems in something the user wrote.

use std::fmt;

use plan::ObjectRef;

/// A problem in something the user wrote, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable, kebab-case, for example `annotation-invalid`.
    pub code: &'static str,
    /// The object, when there is one.
    pub object: Option<ObjectRef>,
    /// An annotation key, or a path such as `spec.rules[0].http.paths[1].path`.
    pub field: Option<String>,
    /// One sentence that names the wrong value.
    pub message: String,
    /// What to write instead.
    pub suggestion: Option<String>,
    /// Where it stands, when it came from a file.
    pub location: Option<Location>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// What it concerns is left out.
    Error,
    /// It will not do what was probably meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file as it was named, `-` for standard input.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl Severity {
    /// `error`, `warning` or `info`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
