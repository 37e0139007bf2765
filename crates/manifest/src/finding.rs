//! Findings: problems in something the user wrote.

mod code;
mod render;

use std::fmt;

use plan::ObjectRef;

use crate::Object;
use crate::read::key_path;

pub use code::{CODES, Code, codes};
pub use render::render;

/// A problem in something the user wrote, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable, kebab-case, for example `annotation-invalid`; one of [`CODES`].
    pub code: &'static str,
    /// The number of the lint in the documentation, for example `FB014`, when it has one.
    pub lint: Option<&'static str>,
    /// The object, when there is one.
    pub object: Option<ObjectRef>,
    /// An annotation key, or a path such as `spec.rules[1].http.paths[0].path`.
    pub field: Option<String>,
    /// One sentence that names the wrong value.
    pub message: String,
    /// What to write instead.
    pub suggestion: Option<String>,
    /// Where it stands, when it came from a file.
    pub location: Option<Location>,
}

/// The longest message, in bytes.
const MAX_MESSAGE: usize = 1_000;
/// The longest beginning of a line that is kept, in bytes.
const MAX_LINE: usize = 1_000;
/// The longest suggestion, in bytes: part of one would be wrong. A whole object may be one.
const MAX_SUGGESTION: usize = 64 << 10;

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
    /// The line as written; of a very long one the beginning.
    pub text: String,
}

// === impl Finding ===

impl Finding {
    /// A finding about nothing in particular yet, as severe as its code. What a message quotes may be of any length; the
    /// message is not.
    #[must_use]
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        let message = shortened(message.into());
        Self {
            severity: code.severity,
            code: code.name,
            lint: code.lint,
            object: None,
            field: None,
            message,
            suggestion: None,
            location: None,
        }
    }

    /// The same, about an object as a whole.
    #[must_use]
    pub fn on(self, object: &Object) -> Self {
        Self { object: Some(object.reference()), location: object.locate("metadata.name"), ..self }
    }

    /// The same, about the field of an object with this path, such as `spec.rules[0].host`.
    #[must_use]
    pub fn at(self, object: &Object, path: &str) -> Self {
        Self {
            object: Some(object.reference()),
            location: object.locate(path),
            field: Some(path.to_owned()),
            ..self
        }
    }

    /// The same, about an annotation of an object.
    #[must_use]
    pub fn at_annotation(self, object: &Object, key: &str) -> Self {
        let path = key_path("metadata.annotations", key);
        Self { field: Some(key.to_owned()), ..self.at(object, &path) }
    }

    /// The same, with what to write instead.
    #[must_use]
    pub fn suggest(self, suggestion: impl Into<String>) -> Self {
        self.maybe_suggest(Some(suggestion.into()))
    }

    /// The same, with what to write instead if there is something.
    #[must_use]
    pub fn maybe_suggest(self, suggestion: Option<String>) -> Self {
        Self { suggestion: suggestion.filter(|text| text.len() <= MAX_SUGGESTION), ..self }
    }

    /// The same, with another severity than its code has by itself.
    #[must_use]
    pub fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// The same, under another lint number than its code has by itself.
    #[must_use]
    pub fn with_lint(self, lint: &'static str) -> Self {
        Self { lint: Some(lint), ..self }
    }

    /// Whether what it concerns is left out.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Puts findings into their order (severity, object, field, code) and drops those that say the same again. Documents that
/// are wrong in the same way are told apart by their places.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| {
            let object = finding.object.clone();
            (finding.severity, object, finding.field.clone(), finding.code, finding.message.clone())
        };
        key(a).cmp(&key(b)).then_with(|| a.location.cmp(&b.location))
    });
    findings.dedup_by(|a, b| {
        let is_same_place = a.code != codes::DOCUMENT_INVALID.name || a.location == b.location;
        is_same_place
            && (a.severity, a.code, &a.object, &a.field, &a.message)
                == (b.severity, b.code, &b.object, &b.field, &b.message)
    });
}

/// As much of a line as is kept: a file can be one line, and have a finding for each of a thousand objects in it.
pub(crate) fn beginning(line: &str) -> &str {
    &line[..line.floor_char_boundary(MAX_LINE)]
}

fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    message
}

/// The known word that is nearest to what somebody wrote, if one is near.
pub(crate) fn nearest(written: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    /// No known word is near that long.
    const MAX_WRITTEN: usize = 128;
    (written.len() <= MAX_WRITTEN).then(|| plan::suggest::nearest(written, known)).flatten()
}

// === impl Severity ===

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

// === impl Location ===

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
