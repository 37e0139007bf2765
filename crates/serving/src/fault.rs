//! Why a request is not answered with a prediction: one text for all protocols.
//!
//! A protocol gives a fault its shape and may move its status; what is wrong, where, and what to do is said here.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use net::StatusCode;
use tracing::error;

use crate::json::JsonError;

/// Why a request is not answered with a prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What kind of fault it is.
    pub(crate) cause: Cause,
    /// Where in the request, as `$.instances[2][3]`; empty when it is the whole.
    pub(crate) place: String,
    /// What is wrong.
    pub(crate) problem: String,
    /// What to do about it, when that is known.
    pub(crate) help: Option<String>,
    /// The columns that are missing, when that is the fault.
    pub(crate) missing: Vec<String>,
}

/// What kind of fault it is. Each has one status, and one of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The body is not JSON, CSV or whatever it should be, or not the object the protocol describes.
    Format,
    /// The values do not fit the model.
    Input,
    /// Not for this client, or not here.
    Forbidden,
    /// No such path or model.
    NotFound,
    /// The path takes other methods.
    Method,
    /// The body is longer than allowed.
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// The body has a type that is not read here.
    ContentType,
    /// It is our fault.
    Internal,
    /// The protocol has it, and we do not.
    NotSupported,
    /// The model is being loaded.
    Loading,
    /// The model is not loaded, or there is too much to do at the moment.
    Unavailable,
}

/// How much of a text from a request is shown.
const SHOWN_LETTERS: usize = 60;
/// How many names a list shows.
const SHOWN_NAMES: usize = 40;

// === impl Cause ===

impl Cause {
    /// The status of a response with this cause.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Format | Self::Input => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotSupported => StatusCode::NOT_IMPLEMENTED,
            Self::Loading | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The status of a gRPC call with this cause.
    pub(crate) fn grpc_code(self) -> u16 {
        match self {
            Self::Format | Self::Input => 3,
            Self::TooSlow => 4,
            Self::NotFound => 5,
            Self::Forbidden => 7,
            Self::TooLarge => 8,
            Self::ContentType | Self::Method | Self::NotSupported => 12,
            Self::Internal => 13,
            Self::Loading | Self::Unavailable => 14,
        }
    }
}

// === impl Fault ===

impl Fault {
    /// A fault of the whole request.
    pub(crate) fn new(cause: Cause, problem: impl Into<String>) -> Self {
        Self { cause, place: String::new(), problem: problem.into(), help: None, missing: Vec::new() }
    }

    /// There is no memory for one more body.
    pub(crate) fn crowded() -> Self {
        Self::new(Cause::Unavailable, net::NoRoom.to_string())
            .with_help("try again in a moment, or send fewer rows at a time")
    }

    /// There is too much to do at the moment.
    pub(crate) fn overloaded() -> Self {
        Self::new(Cause::Unavailable, "too many predictions are waiting").with_help("try again in a moment")
    }

    /// A fault of the values at a place.
    pub(crate) fn input(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), ..Self::new(Cause::Input, problem) }
    }

    /// The same fault at a place.
    pub(crate) fn at(self, place: impl Into<String>) -> Self {
        Self { place: place.into(), ..self }
    }

    /// The same fault with a way out.
    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Makes a panic of the work a fault, so that neither a connection nor a thread is lost to it.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        error!("a model panicked on a request");
        Err(Fault::new(Cause::Internal, "the model failed on this request"))
    })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.problem)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl From<JsonError> for Fault {
    fn from(error: JsonError) -> Self {
        Self::new(Cause::Format, format!("cannot read the body as JSON: {error}"))
    }
}

/// A text from a request as it may stand in a message: in backticks, and not longer than anybody wants to read.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_LETTERS) {
        Some((length, _)) => format!("`{}…`", &text[..length]),
        None => format!("`{text}`"),
    }
}

/// Names as they may stand in a message.
pub(crate) fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let n_more = names.len().saturating_sub(SHOWN_NAMES);
    let shown: Vec<String> = names.take(SHOWN_NAMES).map(quoted).collect();
    match n_more {
        0 => shown.join(", "),
        n_more => format!("{} and {n_more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(quoted("pH"), "`pH`");
        assert_eq!(quoted(&"é".repeat(1000)), format!("`{}…`", "é".repeat(60)));
        let names = vec!["a"; 42];
        assert!(list(names.into_iter()).ends_with("`a`, `a` and 2 more"));
    }

    #[test]
    fn a_panic_is_a_fault() {
        let fault = guarded::<()>(|| panic!("on purpose")).unwrap_err();
        assert_eq!(
            (fault.cause, fault.to_string().as_str()),
            (Cause::Internal, "the model failed on this request")
        );
    }
}
