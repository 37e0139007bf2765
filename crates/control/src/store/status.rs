//! Why a request about an object is refused, in the words of a Kubernetes `Status`.

use manifest::{Finding, Kind};
use serde_json::{Value, json};

/// A refusal. Printed by kubectl as `Error from server (<reason>): <message>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// Which class of refusal.
    pub reason: Reason,
    /// One sentence for people.
    pub message: String,
    /// What it is about, when it is about an object.
    pub details: Option<Box<Details>>,
}

/// Classes of refusals (`reason` of a Kubernetes `Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The request itself is wrong.
    BadRequest,
    /// Nobody knows who asks.
    Unauthorized,
    /// Who asks may not.
    Forbidden,
    /// There is no such object.
    NotFound,
    /// The resource does not know the verb.
    MethodNotAllowed,
    /// None of the forms asked for can be given.
    NotAcceptable,
    /// There is such an object.
    AlreadyExists,
    /// It changed since it was read.
    Conflict,
    /// The revision asked for is no longer known.
    Expired,
    /// The body has a form that is not read.
    UnsupportedMediaType,
    /// The object is wrong.
    Invalid,
    /// Not now.
    TooManyRequests,
    /// Something here failed.
    InternalError,
    /// Something needed is not there.
    ServiceUnavailable,
}

/// What a refusal is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// API group, empty for the core group.
    pub group: String,
    /// The plural resource; for [`Reason::Invalid`] the kind.
    pub kind: String,
    /// The fields that are wrong.
    pub causes: Vec<Cause>,
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// For example `FieldValueInvalid`.
    pub reason: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// For example `spec.ports[0].port`.
    pub field: String,
}

// === impl Status ===

impl Status {
    /// A refusal that is not about an object.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), details: None }
    }

    /// `services "nope" not found`
    #[must_use]
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::about(Reason::NotFound, kind, name, format!("{} \"{name}\" not found", resource(kind)))
    }

    /// `namespaces "default" already exists`
    #[must_use]
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource(kind));
        Self::about(Reason::AlreadyExists, kind, name, message)
    }

    /// `Operation cannot be fulfilled on services "api": <why>`
    #[must_use]
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource(kind));
        Self::about(Reason::Conflict, kind, name, message)
    }

    /// `namespaces "kube-system" is forbidden: <why>`
    #[must_use]
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", resource(kind));
        Self::about(Reason::Forbidden, kind, name, message)
    }

    /// `Service "api" is invalid: spec.ports: Required value`
    #[must_use]
    pub fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        let described = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message));
        let qualified = if kind.group.is_empty() {
            kind.kind.to_owned()
        } else {
            format!("{}.{}", kind.kind, kind.group)
        };
        let message =
            format!("{qualified} \"{name}\" is invalid: {}", aggregated(&described.collect::<Vec<_>>()));
        let details = Details {
            name: name.to_owned(),
            group: kind.group.to_owned(),
            kind: kind.kind.to_owned(),
            causes,
        };
        Self { reason: Reason::Invalid, message, details: Some(Box::new(details)) }
    }

    /// `too old resource version: 1 (2)`
    #[must_use]
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(Reason::Expired, format!("too old resource version: {asked} ({oldest})"))
    }

    /// What is wanted cannot be made durable.
    pub(super) fn unwritable(error: &super::DatabaseFailure) -> Self {
        tracing::error!(%error, "the object store cannot be written");
        Self::new(Reason::InternalError, format!("the object store cannot be written: {error}"))
    }

    /// The object on the wire.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason.as_str(),
            "code": self.reason.code(),
        });
        if let Some(details) = &self.details {
            value["details"] = details.to_value();
        }
        value
    }

    fn about(reason: Reason, kind: &Kind, name: &str, message: String) -> Self {
        let details = Details {
            name: name.to_owned(),
            group: kind.group.to_owned(),
            kind: kind.plural.to_owned(),
            causes: Vec::new(),
        };
        Self { reason, message, details: Some(Box::new(details)) }
    }
}

/// What cannot be read as an object is refused with what is wrong with it.
impl From<&Finding> for Status {
    fn from(finding: &Finding) -> Self {
        let message = match &finding.suggestion {
            Some(suggestion) => format!("{}; {suggestion}", finding.message),
            None => finding.message.clone(),
        };
        let Some(object) = &finding.object else { return Self::new(Reason::BadRequest, message) };
        let field = finding.field.clone().unwrap_or_default();
        let cause = Cause { reason: "FieldValueInvalid", message: message.clone(), field };
        let details = Details {
            name: object.name.clone(),
            kind: object.kind.clone(),
            causes: vec![cause],
            ..Details::default()
        };
        let message = format!("{} \"{}\" is invalid: {message}", object.kind, object.name);
        Self { reason: Reason::Invalid, message, details: Some(Box::new(details)) }
    }
}

/// Several errors as Kubernetes puts them into one line.
fn aggregated(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}

/// `services`, or `inferenceservices.serving.kserve.io`.
fn resource(kind: &Kind) -> String {
    if kind.group.is_empty() { kind.plural.to_owned() } else { format!("{}.{}", kind.plural, kind.group) }
}

// === impl Details, Cause ===

impl Details {
    fn to_value(&self) -> Value {
        let mut value = json!({"name": self.name, "kind": self.kind});
        if !self.group.is_empty() {
            value["group"] = json!(self.group);
        }
        if !self.causes.is_empty() {
            let causes = self
                .causes
                .iter()
                .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}));
            value["causes"] = causes.collect();
        }
        value
    }
}

impl Cause {
    /// A field that must be there.
    pub fn required(field: impl Into<String>) -> Self {
        Self { reason: "FieldValueRequired", message: "Required value".to_owned(), field: field.into() }
    }

    /// A field whose value is not one it takes.
    pub fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        let message = format!("Invalid value: {value}: {why}");
        Self { reason: "FieldValueInvalid", message, field: field.into() }
    }
}

// === impl Reason ===

impl Reason {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status code.
    #[must_use]
    pub fn code(self) -> u16 {
        self.row().1
    }

    fn row(self) -> (&'static str, u16) {
        match self {
            Self::BadRequest => ("BadRequest", 400),
            Self::Unauthorized => ("Unauthorized", 401),
            Self::Forbidden => ("Forbidden", 403),
            Self::NotFound => ("NotFound", 404),
            Self::MethodNotAllowed => ("MethodNotAllowed", 405),
            Self::NotAcceptable => ("NotAcceptable", 406),
            Self::AlreadyExists => ("AlreadyExists", 409),
            Self::Conflict => ("Conflict", 409),
            Self::Expired => ("Expired", 410),
            Self::UnsupportedMediaType => ("UnsupportedMediaType", 415),
            Self::Invalid => ("Invalid", 422),
            Self::TooManyRequests => ("TooManyRequests", 429),
            Self::InternalError => ("InternalError", 500),
            Self::ServiceUnavailable => ("ServiceUnavailable", 503),
        }
    }
}
