//! jsonpath templates in kubectl's dialect: `{.items[*].metadata.name}`, `{range .items[*]}{.status.url}{"\n"}{end}`.
//!
//! Text stands for itself, what is in braces is a path from the object, or within a range from its item. Missing fields
//! are nothing, not errors.
//!
//! ```text
//! {.status.loadBalancer.ingress[0].hostname}
//! {.status.conditions[?(@.type=='Ready')].status}
//! {.metadata.annotations['kubernetes\.io/ingress.class']}     {.metadata.annotations.kubernetes\.io/ingress\.class}
//! {.items[0:2].metadata['name','namespace']}    {..image}    {@}
//! ```

mod evaluate;
mod parse;

#[cfg(test)]
mod tests;

use std::str::FromStr;

use serde_json::Value;

/// A template that has been read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Path(Path),
    /// `{range PATH}…{end}`
    Range(Path, Vec<Part>),
}

/// Steps from a value to others.
type Path = Vec<Step>;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// `.name`, `['name']`
    Field(String),
    /// `.*`, `[*]`
    All,
    /// `..`
    Descendants,
    /// `[1]`, `[-1]`
    Index(i64),
    /// `[1:5:2]`
    Slice(Slice),
    /// `[?(@.type=='Ready')]`
    Filter(Filter),
    /// `['name','namespace']`, `[0,2]`
    Union(Vec<Step>),
    /// `"text"`, `'text'`, a number, `true`
    Literal(Value),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Slice {
    first: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: Path,
    /// Without one, it is enough that there is something on the left.
    comparison: Option<(Operator, Path)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} in the jsonpath\n  {template}\n  {}^", " ".repeat(*.at))]
pub(crate) struct ParseError {
    template: String,
    /// In characters from the start.
    at: usize,
    problem: String,
}

/// Why a template does not go with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvaluateError {
    #[error("array index out of bounds: index {index}, length {length}")]
    OutOfBounds { index: i64, length: usize },
    #[error("{what} is not a list and cannot be {done}")]
    NoList { what: &'static str, done: &'static str },
    #[error("more than {limit} results")]
    TooMany { limit: usize },
}

// === impl Template ===

impl FromStr for Template {
    type Err = ParseError;

    /// Reads a template. A lone path may come without braces.
    fn from_str(template: &str) -> Result<Self, ParseError> {
        let is_bare_path = template.starts_with(['.', '$']) && !template.contains(['{', '}']);
        if is_bare_path {
            return parse::template(&format!("{{{template}}}"));
        }
        parse::template(template)
    }
}

impl Template {
    /// What the template says of a value.
    ///
    /// # Errors
    /// When an index or a filter is asked of something that does not have it.
    pub(crate) fn render(&self, value: &Value) -> Result<String, EvaluateError> {
        let mut text = String::new();
        evaluate::render(&self.parts, value, &mut text)?;
        Ok(text)
    }
}
