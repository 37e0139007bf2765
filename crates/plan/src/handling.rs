//! What is done to the requests of a rule and to their answers beside its action. Annotations of ours ask for it; a
//! load balancer of AWS knows nothing of it.
//!
//! One more of its kind is a field here, in the words of the field, and whatever acts on it asks for that field alone.

mod cors;
mod field_edits;

use std::time::Duration;

pub use cors::{Cors, CorsError, CorsWish, Preflight, Refused};
pub use field_edits::{FieldEditError, FieldEdits, FieldSide};

use crate::{Compression, Mirror, ObjectRef, RateLimit, ResponseCache};

/// What is done to requests of a rule and to their answers. By itself it is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handling {
    /// What asks for it: the names of annotations with what they say, for people.
    pub asked: Vec<(String, String)>,
    /// The object that asks for it: what is counted or kept is so for all routes of one object together.
    pub object: Option<ObjectRef>,
    /// What is changed in the header fields that targets get.
    pub request_fields: Option<FieldEdits>,
    /// What is changed in the header fields of answers, whoever gives them.
    pub answer_fields: Option<FieldEdits>,
    /// Which pages of other origins may send requests and read their answers.
    pub cors: Option<Cors>,
    /// The status of redirects, where it is another than AWS has: 307 or 308, with which a POST stays one (RFC 9110
    /// §15.4).
    pub redirect_status: Option<u16>,
    /// Whether answers tell who gave them: Service, revision and target.
    pub tells_target: bool,
    /// How often a request that a target may have seen is sent again, where it is not as often as the budget allows.
    pub retries: Option<u8>,
    /// How long a target may take to begin its answer before the request goes to another.
    pub try_timeout: Option<Duration>,
    /// When another target is asked beside one that says nothing, where it is not when that is silent for unusually
    /// long.
    pub hedging: Option<Hedging>,
    /// How often one client may ask.
    pub rate_limit: Option<RateLimit>,
    /// How answers are compressed.
    pub compression: Option<Compression>,
    /// Which requests go to another target group too.
    pub mirror: Option<Mirror>,
    /// How much of answers is kept for those who ask the same again.
    pub cache: Option<ResponseCache>,
}

/// When another target is asked beside one that says nothing yet; the first to answer is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hedging {
    /// Never.
    Off,
    /// After this time, where the request may be repeated.
    After(Duration),
}

// === impl Handling ===

impl Handling {
    /// What asks for it, a line each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.asked.iter().map(|(name, text)| format!("{name}: {text}"))
    }
}
