//! What is done to the requests of a rule and to their answers beside its action. Annotations of ours ask for it; a load balancer of
//! AWS knows nothing of it.
//!
//! One more of its kind is a field here, in the words of the field, and whatever acts on it asks for that field alone.

mod field_edits;

pub use field_edits::{FieldEditError, FieldEdits, FieldSide};

/// What is done to requests of a rule and to their answers. By itself it is nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handling {
    /// What asks for it: the names of annotations with what they say, for people.
    pub asked: Vec<(String, String)>,
    /// What is changed in the header fields that targets get.
    pub request_fields: Option<FieldEdits>,
    /// What is changed in the header fields of answers, whoever gives them.
    pub answer_fields: Option<FieldEdits>,
}

// === impl Handling ===

impl Handling {
    /// What asks for it, a line each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.asked.iter().map(|(name, text)| format!("{name}: {text}"))
    }
}
