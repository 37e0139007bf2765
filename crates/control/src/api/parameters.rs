//! The query of a request, and what its parameters mean.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use manifest::Kind;

use super::fields;
use crate::store::{Cause, FieldSelector, LabelSelector, Mode, Query, Reason, Status};

/// The parameters of a request. Of one that is there twice, the first counts, but for lists.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

// === impl Parameters ===

impl Parameters {
    /// Reads a query.
    pub(super) fn parse(query: &str) -> Result<Self, Status> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let bad = || Status::new(Reason::BadRequest, format!("`{pair}` is no parameter of a query"));
            let (name, value) = (decoded(name, true).ok_or_else(bad)?, decoded(value, true).ok_or_else(bad)?);
            Ok((name.into_owned(), value.into_owned()))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// A parameter's value; what is empty is not there.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter that may be there more than once.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.0.iter().any(|(known, value)| known == name && value != "false" && value != "0")
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let bad =
            || Status::new(Reason::BadRequest, format!("`{name}` is `{text}`, not a whole number from 0"));
        text.parse().map(Some).map_err(|_| bad())
    }

    /// A whole number that may be negative, in the words of a Kubernetes API server where it is none.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Status> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Status::new(Reason::BadRequest, format!("strconv.ParseInt: parsing \"{text}\": invalid syntax"))
        })
    }

    /// What a switch says that makes a difference when it is off.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.text(name).map(|_| self.is_on(name))
    }

    /// Which objects are asked for.
    pub(super) fn query(&self, kind: &'static Kind, namespace: Option<String>) -> Result<Query, Status> {
        let labels = LabelSelector::parse(self.text("labelSelector").unwrap_or_default())?;
        let fields = FieldSelector::parse(self.text("fieldSelector").unwrap_or_default())?;
        fields::check(kind, &fields)?;
        let fields = fields.renamed(|path| kind.stored_path(path));
        Ok(Query { kind, namespace, labels, fields })
    }

    /// The revision that is asked for.
    pub(super) fn revision(&self) -> Result<Option<u64>, Status> {
        let Some(text) = self.text("resourceVersion") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let message = format!(
                "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
            );
            Status::new(Reason::BadRequest, message)
        })
    }

    /// Whether a write is done or only tried.
    pub(super) fn mode(&self) -> Result<Mode, Status> {
        match self.text("dryRun") {
            None => Ok(Mode::Commit),
            Some("All") => Ok(Mode::DryRun),
            Some(other) => {
                let cause = Cause {
                    reason: "FieldValueNotSupported",
                    message: format!("Unsupported value: \"{other}\": supported values: \"All\""),
                    field: "dryRun".to_owned(),
                };
                let message = format!("{}: {}", cause.field, cause.message);
                Err(Status::new(Reason::Invalid, message))
            }
        }
    }

    /// From when on lines of a log are asked for.
    pub(super) fn since(&self, now: Timestamp) -> Result<Option<Timestamp>, Status> {
        if let Some(text) = self.text("sinceTime") {
            let bad = |_| Status::new(Reason::BadRequest, format!("`sinceTime` is `{text}`, not a time"));
            return text.parse().map(Some).map_err(bad);
        }
        let seconds = self.number("sinceSeconds")?;
        Ok(seconds
            .map(|seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap_or(Timestamp::UNIX_EPOCH)))
    }
}

/// Text without its percent signs (RFC 3986 §2.1), and in a query without its plus signs. `None`: it is not text then.
pub(super) fn decoded(written: &str, is_query: bool) -> Option<Cow<'_, str>> {
    let has_plus = is_query && written.contains('+');
    if !written.contains('%') && !has_plus {
        return Some(Cow::from(written));
    }
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'+' if is_query => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_kubectl_writes_it() {
        let query =
            "labelSelector=app%3Dweb%2Ctier+in+%28a%29&watch=true&limit=500&pretty&force=false&empty=";
        let parameters = Parameters::parse(query).unwrap();
        assert_eq!(parameters.text("labelSelector"), Some("app=web,tier in (a)"));
        assert_eq!(parameters.number("limit"), Ok(Some(500)));
        assert_eq!(parameters.number("nobody"), Ok(None));
        assert!(parameters.number("watch").is_err());
        assert!(parameters.is_on("watch") && parameters.is_on("pretty"));
        assert!(!parameters.is_on("force") && !parameters.is_on("nobody"));
        assert_eq!(parameters.text("empty"), None);
        assert!(Parameters::parse("a=%ff").is_err() && Parameters::parse("a=%4").is_err());
    }

    #[test]
    fn a_revision_is_a_number() {
        let revision = |query: &str| Parameters::parse(query).unwrap().revision();
        assert_eq!(revision(""), Ok(None));
        assert_eq!(revision("resourceVersion=0"), Ok(Some(0)));
        assert_eq!(revision("resourceVersion=17"), Ok(Some(17)));
        assert!(revision("resourceVersion=abc").is_err());
    }

    #[test]
    fn times_of_logs_are_ages_or_times() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let since = |query: &str| Parameters::parse(query).unwrap().since(now);
        assert_eq!(since("sinceSeconds=60").unwrap().unwrap().to_string(), "2026-11-21T11:59:00Z");
        assert_eq!(
            since("sinceTime=2026-01-01T00%3A00%3A00Z").unwrap().unwrap().to_string(),
            "2026-01-01T00:00:00Z"
        );
        assert_eq!(since("sinceSeconds=99999999999999999").unwrap(), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(since(""), Ok(None));
        assert!(since("sinceTime=noon").is_err());
    }
}
