//! Why an operator cannot do its work.

/// What is wrong with what an operator was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    pub(super) text: String,
    /// Whether another value in the same place would do: then it is the request's fault, not the model's.
    pub(super) is_of_values: bool,
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_of_values: false }
    }

    pub(super) fn of_values(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_of_values: true }
    }
}
