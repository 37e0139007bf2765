//! Which state of the objects a list or a watch is of: `resourceVersion`, `resourceVersionMatch`, `limit`, `continue` and
//! `sendInitialEvents`, with the refusals of a Kubernetes API server.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use manifest::Kind;
use serde_json::{Value, json};

use super::parameters::Parameters;
use crate::store::{Cause, Page, Place, Query, Reason, Status, Store};

/// Which objects of a list are asked for, and as of when.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `None`: the objects as they are.
    revision: Option<u64>,
    after: Option<Place>,
    limit: usize,
}

/// How a watch begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    /// After this revision; `None`: with all that there is.
    pub(super) after: Option<u64>,
    /// Whether it is to be told when all has been told that there was.
    pub(super) says_when_initial_ends: bool,
}

const MATCHES: &[&str] = &["Exact", "NotOlderThan", ""];

// === impl Wanted ===

impl Wanted {
    /// Reads what the parameters of a list ask for.
    pub(super) fn parse(parameters: &Parameters, store: &Store) -> Result<Self, Status> {
        check_list(parameters)?;
        let limit = parameters.integer("limit")?.filter(|limit| *limit > 0);
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let revision = parameters.revision()?;
        if let Some(token) = parameters.text("continue") {
            if revision.is_some_and(|revision| revision > 0) {
                let message = "specifying resource version is not allowed when using continue";
                return Err(Status::new(Reason::BadRequest, message));
            }
            let (revision, after) = read_token(token)?;
            if revision.is_some_and(|revision| revision > store.revision()) {
                return Err(not_given_out());
            }
            return Ok(Self { revision, after: Some(after), limit });
        }
        if let Some(revision) = revision {
            check_is_reached(revision, store)?;
        }
        let is_exact = match parameters.text("resourceVersionMatch") {
            Some(wanted) => wanted == "Exact",
            None => limit < usize::MAX,
        };
        // What is any list will do is given whole, as from the cache of an API server.
        let limit = if revision == Some(0) { usize::MAX } else { limit };
        let revision = revision.filter(|revision| is_exact && *revision > 0);
        Ok(Self { revision, after: None, limit })
    }

    /// The page of a list, and the metadata of the answer.
    pub(super) fn read(&self, query: &Query, store: &Store) -> Result<(Page, Value), Status> {
        let page = store.page(query, self.revision, self.after.as_ref(), self.limit);
        let page = page.map_err(|status| match &self.after {
            _ if status.reason != Reason::Expired => status,
            Some(place) => Status::expired_list(token(None, place)),
            None => Status::new(Reason::Expired, "The resourceVersion for the provided list is too old."),
        })?;
        let mut metadata = json!({"resourceVersion": page.revision.to_string()});
        if let Some(place) = page.next_place() {
            metadata["continue"] = json!(token(Some(page.revision), &place));
            if query.labels.is_empty() && query.fields.is_empty() {
                metadata["remainingItemCount"] = json!(page.n_remaining);
            }
        }
        Ok((page, metadata))
    }
}

/// Refuses a revision that there is not yet.
pub(super) fn check_is_reached(revision: u64, store: &Store) -> Result<(), Status> {
    let current = store.revision();
    if revision > current { Err(Status::too_new(revision, current)) } else { Ok(()) }
}

// === impl Beginning ===

impl Beginning {
    /// Reads what the parameters of a watch ask for.
    pub(super) fn parse(parameters: &Parameters, kind: &Kind, store: &Store) -> Result<Self, Status> {
        check_watch(parameters)?;
        let revision = parameters.revision().map_err(|status| unreadable(kind, status))?;
        let after = revision.filter(|revision| *revision > 0);
        match parameters.switch("sendInitialEvents") {
            None => Ok(Self { after, says_when_initial_ends: false }),
            Some(true) => {
                check_is_reached(revision.unwrap_or(0), store)?;
                Ok(Self { after: None, says_when_initial_ends: parameters.is_on("allowWatchBookmarks") })
            }
            Some(false) => Ok(Self {
                after: Some(after.unwrap_or_else(|| store.revision())),
                says_when_initial_ends: false,
            }),
        }
    }
}

/// A revision that cannot be read is, to a watch, something about the kind.
fn unreadable(kind: &Kind, status: Status) -> Status {
    let Some(why) = status.message.strip_prefix("resourceVersion: ") else { return status };
    let cause =
        Cause { reason: "FieldValueInvalid", message: why.to_owned(), field: "resourceVersion".to_owned() };
    Status::invalid(kind, "", vec![cause])
}

fn check_list(parameters: &Parameters) -> Result<(), Status> {
    let mut causes = Vec::new();
    let mut forbid = |field: &str, why: &str| causes.push(Cause::forbidden(field, why));
    let name = "resourceVersionMatch";
    if let Some(wanted) = parameters.text(name) {
        if parameters.text("resourceVersion").is_none() {
            forbid(name, "resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if parameters.text("continue").is_some() {
            forbid(name, "resourceVersionMatch is forbidden with continue");
        }
        if wanted == "Exact" && parameters.text("resourceVersion") == Some("0") {
            forbid(name, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        if !MATCHES.contains(&wanted) {
            causes.push(Cause::unsupported(name, wanted, MATCHES));
        }
    }
    if parameters.text("sendInitialEvents").is_some() {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    refuse(causes)
}

fn check_watch(parameters: &Parameters) -> Result<(), Status> {
    let mut causes = Vec::new();
    let wanted = parameters.text("resourceVersionMatch");
    let sends_initial = parameters.switch("sendInitialEvents").is_some();
    let name = "resourceVersionMatch";
    let mut forbid = |why: &str| causes.push(Cause::forbidden(name, why));
    if sends_initial && wanted != Some("NotOlderThan") {
        forbid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
    if let Some(wanted) = wanted {
        if !sends_initial {
            forbid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        }
        if parameters.text("continue").is_some() {
            forbid("resourceVersionMatch is forbidden with continue");
        }
        if wanted != "NotOlderThan" {
            causes.push(Cause::unsupported(name, wanted, &["NotOlderThan"]));
        }
    }
    refuse(causes)
}

fn refuse(causes: Vec<Cause>) -> Result<(), Status> {
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid_options("ListOptions", causes)) }
}

/// What a client gives back to go on with a list: from where, and as of which revision; -1 for as it is.
fn token(revision: Option<u64>, place: &Place) -> String {
    let revision = revision.map_or(json!(-1), |revision| json!(revision));
    let start = format!("{}/{}", place.namespace, place.name);
    BASE64_URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start}).to_string())
}

fn read_token(token: &str) -> Result<(Option<u64>, Place), Status> {
    let read = || {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        let (namespace, name) = value["start"].as_str()?.split_once('/')?;
        let place = Place { namespace: namespace.to_owned(), name: name.to_owned() };
        let revision = value["rv"].as_i64()?;
        Some((u64::try_from(revision).ok(), place))
    };
    read().ok_or_else(not_given_out)
}

fn not_given_out() -> Status {
    let message = "invalid continue token: continue key is not valid: this server has not given it out";
    Status::new(Reason::BadRequest, message)
}
