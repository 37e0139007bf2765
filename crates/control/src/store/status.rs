//! Why a request about an object is refused, in the words of a Kubernetes `Status`.

use std::fmt::Display;

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
    /// The body is too long.
    RequestEntityTooLarge,
    /// The object is wrong.
    Invalid,
    /// Not now.
    TooManyRequests,
    /// Something here failed.
    InternalError,
    /// Something needed is not there.
    ServiceUnavailable,
    /// It may be there in a while.
    Timeout,
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
    /// Which object, where it is said that it is gone.
    pub uid: String,
    /// The fields that are wrong.
    pub causes: Vec<Cause>,
    /// After how many seconds it may be asked again; 0: nobody knows.
    pub retry_after_seconds: u32,
    /// With what a list that was broken off can be gone on with.
    pub continue_token: String,
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

    /// The same for a resource of which nobody knows whether there is one: `pods "a" is forbidden: <why>`
    #[must_use]
    pub(crate) fn forbidden_resource(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let qualified = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let details = Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: resource.to_owned(),
            ..Details::default()
        };
        let message = format!("{qualified}{named} is forbidden: {why}");
        Self { reason: Reason::Forbidden, message, details: Some(Box::new(details)) }
    }

    /// `Service "api" is invalid: spec.ports: Required value`
    #[must_use]
    pub fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        let described = causes.iter().map(Cause::told);
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
            ..Details::default()
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

    /// A list or object is wanted as of a revision that is not there yet.
    #[must_use]
    pub fn too_new(asked: u64, current: u64) -> Self {
        let cause = Cause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".to_owned(),
            field: String::new(),
        };
        let details = Details { causes: vec![cause], retry_after_seconds: 1, ..Details::default() };
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Self { reason: Reason::Timeout, message, details: Some(Box::new(details)) }
    }

    /// A list cannot be gone on with as it was; with the token it can be as it is now.
    #[must_use]
    pub fn expired_list(continue_token: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
        let details = Details { continue_token, ..Details::default() };
        Self { details: Some(Box::new(details)), ..Self::new(Reason::Expired, message) }
    }

    /// `ListOptions.meta.k8s.io "" is invalid: limit: Forbidden: …`: parameters of a request that make no sense.
    #[must_use]
    pub fn invalid_options(kind: &str, causes: Vec<Cause>) -> Self {
        let described: Vec<String> = causes.iter().map(Cause::told).collect();
        let message = format!("{kind}.meta.k8s.io \"\" is invalid: {}", aggregated(&described));
        let details =
            Details { group: "meta.k8s.io".to_owned(), kind: kind.to_owned(), causes, ..Details::default() };
        Self { reason: Reason::Invalid, message, details: Some(Box::new(details)) }
    }

    /// The object on the wire.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.to_json()).unwrap_or_default()
    }

    /// The object on the wire as text, with its fields in the order in which API servers write them: some clients compare.
    #[must_use]
    pub fn to_json(&self) -> String {
        let token = self.details.as_ref().map(|details| details.continue_token.as_str()).unwrap_or_default();
        let metadata = if token.is_empty() { json!({}) } else { json!({"continue": token}) };
        let mut fields = vec![
            ("kind", json!("Status").to_string()),
            ("apiVersion", json!("v1").to_string()),
            ("metadata", metadata.to_string()),
            ("status", json!("Failure").to_string()),
            ("message", json!(self.message).to_string()),
            ("reason", json!(self.reason.as_str()).to_string()),
        ];
        fields.extend(self.details.as_ref().map(|details| ("details", details.to_json())));
        fields.push(("code", self.reason.code().to_string()));
        ordered(&fields)
    }

    fn about(reason: Reason, kind: &Kind, name: &str, message: String) -> Self {
        let details = Details {
            name: name.to_owned(),
            group: kind.group.to_owned(),
            kind: kind.plural.to_owned(),
            ..Details::default()
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

/// A map as text, with its fields in this order; each is the text of a value.
pub(crate) fn ordered(fields: &[(&str, impl Display)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
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
    /// As text, in the order of API servers.
    pub(crate) fn to_json(&self) -> String {
        let texts = [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut fields: Vec<_> = texts.map(|(field, text)| (field, json!(text).to_string())).collect();
        if !self.causes.is_empty() {
            let causes: Vec<String> = self.causes.iter().map(Cause::to_json).collect();
            fields.push(("causes", format!("[{}]", causes.join(","))));
        }
        if self.retry_after_seconds > 0 {
            fields.push(("retryAfterSeconds", self.retry_after_seconds.to_string()));
        }
        ordered(&fields)
    }
}

impl Cause {
    /// A field that may not be there, for a reason.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        let message = format!("Forbidden: {why}");
        Self { reason: "FieldValueForbidden", message, field: field.into() }
    }

    /// A field that is none of the words that are taken.
    pub fn unsupported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|word| format!("\"{word}\"")).collect();
        let message = format!("Unsupported value: \"{value}\": supported values: {}", supported.join(", "));
        Self { reason: "FieldValueNotSupported", message, field: field.into() }
    }

    fn told(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }

    fn to_json(&self) -> String {
        let mut fields = vec![("reason", json!(self.reason)), ("message", json!(self.message))];
        if !self.field.is_empty() {
            fields.push(("field", json!(self.field)));
        }
        ordered(&fields)
    }

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
            Self::RequestEntityTooLarge => ("RequestEntityTooLarge", 413),
            Self::UnsupportedMediaType => ("UnsupportedMediaType", 415),
            Self::Invalid => ("Invalid", 422),
            Self::TooManyRequests => ("TooManyRequests", 429),
            Self::InternalError => ("InternalError", 500),
            Self::ServiceUnavailable => ("ServiceUnavailable", 503),
            Self::Timeout => ("Timeout", 504),
        }
    }
}
