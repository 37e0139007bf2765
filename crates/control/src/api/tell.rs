//! What the API tells of itself: its paths, whether it is well, and its metrics.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use http::{Response, StatusCode};
use manifest::{KINDS, Kinds};
use serde_json::json;

use super::{Api, Body, STREAMS, discovery, respond};

/// Paths besides those of groups.
const PATHS: &[&str] =
    &["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];

/// What is looked at when somebody asks whether all is well. An answer at all is the proof of each.
const CHECKS: &[&str] = &["ping", "store"];

/// How many requests were answered, by verb and code. Neither is anything but one of a few words.
#[derive(Debug, Default)]
pub(super) struct Counts(RefCell<BTreeMap<(&'static str, u16), u64>>);

// === impl Counts ===

impl Counts {
    /// Counts an answer.
    pub(super) fn count(&self, method: &http::Method, code: StatusCode) {
        let verb = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];
        let verb = verb.into_iter().find(|known| method.as_str() == *known).unwrap_or("other");
        *self.0.borrow_mut().entry((verb, code.as_u16())).or_default() += 1;
    }
}

/// The paths that there are.
pub(super) fn paths(kinds: &Kinds) -> Response<Body> {
    let mut paths: Vec<String> = PATHS.iter().map(|path| (*path).to_owned()).collect();
    for (group, versions) in discovery::all(kinds) {
        let path = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        paths.extend(versions.iter().map(|version| format!("{path}/{version}")));
        if !group.is_empty() {
            paths.push(path);
        }
    }
    paths.sort();
    respond::json(StatusCode::OK, &json!({"paths": paths}))
}

/// `ok`, or with every check that was made.
pub(super) fn health(path: &str, is_verbose: bool) -> Response<Body> {
    if !is_verbose {
        return respond::text(StatusCode::OK, "ok");
    }
    let name = path.trim_matches('/');
    let checks: String = CHECKS.iter().map(|check| format!("[+]{check} ok\n")).collect();
    respond::text(StatusCode::OK, format!("{checks}{name} check passed\n"))
}

// === impl Api ===

impl Api {
    /// The metrics of the API, in Prometheus' text format.
    pub(super) fn metrics(&self) -> Response<Body> {
        let mut text = String::new();
        let mut family =
            |name: &str, kind: &str, help: &str, rows: &mut dyn Iterator<Item = (String, u64)>| {
                let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
                for (labels, value) in rows {
                    let _ = writeln!(text, "{name}{labels} {value}");
                }
            };
        let counts = self.counts.0.borrow();
        let mut requests =
            counts.iter().map(|((verb, code), n)| (format!("{{code=\"{code}\",verb=\"{verb}\"}}"), *n));
        family("apiserver_request_total", "counter", "Requests that were answered.", &mut requests);
        let going = (Rc::strong_count(&self.streams) - 1) as u64;
        let mut streams = [(String::new(), going)].into_iter();
        let help = format!("Watches and logs that are going on, of {STREAMS} that may.");
        family("apiserver_longrunning_requests", "gauge", &help, &mut streams);
        let objects = self.store.objects();
        let kinds = self.store.kinds();
        let mut stored = KINDS.iter().chain(kinds.declared()).map(|kind| {
            let resource = if kind.group.is_empty() {
                kind.plural.to_owned()
            } else {
                format!("{}.{}", kind.plural, kind.group)
            };
            (format!("{{resource=\"{resource}\"}}"), objects.of_kind(kind.key).count() as u64)
        });
        family("apiserver_storage_objects", "gauge", "Objects that there are.", &mut stored);
        let mut revision = [(String::new(), self.store.revision())].into_iter();
        family("forebay_store_revision", "counter", "The revision of the latest change.", &mut revision);
        respond::with_type(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            Body::Full(text.into()),
        )
    }
}
