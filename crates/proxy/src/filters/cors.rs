//! Pages of other origins, as `forebay.dev/cors` of a rule allows them (WHATWG Fetch, "CORS protocol"): browsers that
//! ask before a request are answered here, and told with each answer whose pages may read it. What targets say of
//! that themselves goes.

use net::{Method, Request, Response};
use plan::{Cors, Handling, Preflight};

use super::{Filter, Leaving, Passing, RequestSide, Verdict};
use crate::headers::{FieldsOf, is};
use crate::record::Text;
use crate::respond;
use crate::snapshot::ListenerSettings;

/// Takes in whose page asks, and answers its browser, before anything refuses the request: a page may read why.
pub(super) const QUESTION: Filter =
    Filter { is_wanted, request: Some(RequestSide::Decides(look)), ..Filter::IDLE };

/// Says whose pages may read an answer, over what a listener says of that.
pub(super) const FILTER: Filter = Filter { is_wanted, answer: Some(share), ..Filter::IDLE };

fn is_wanted(_: &ListenerSettings, handling: &Handling) -> bool {
    handling.cors.is_some()
}

/// What says whose pages may read an answer, and is said here.
const SHARED: [&str; 3] =
    ["access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"];

fn look(passing: &mut Passing<'_>, request: &mut Request) -> Verdict {
    let Some(cors) = passing.asked().and_then(|asked| asked.cors.as_ref()) else { return Verdict::Continue };
    let origin = request.fields.text("origin").filter(|origin| cors.allows_origin(origin));
    if let Some(origin) = origin {
        passing.exchange.note(|record| record.set(Text::Origin, origin.as_bytes()));
    }
    if request.method != Method::OPTIONS {
        return Verdict::Continue;
    }
    match Preflight::in_fields(request.method.as_str(), &FieldsOf(&request.fields)) {
        Some(preflight) => Verdict::Respond(told(cors, &preflight)),
        None => Verdict::Continue,
    }
}

fn told(cors: &Cors, preflight: &Preflight) -> respond::OwnAnswer {
    let (methods, headers) = match cors.grant(preflight) {
        Ok(granted) => granted,
        Err(refused) => return respond::preflight_refused(refused.as_str()),
    };
    let mut own = respond::preflight();
    let fields = &mut own.response.fields;
    fields.push("access-control-allow-methods", methods);
    if !headers.is_empty() {
        fields.push("access-control-allow-headers", headers);
    }
    if let Some(seconds) = cors.max_age_seconds() {
        fields.push("access-control-max-age", seconds.to_string());
    }
    fields.push("vary", "access-control-request-method, access-control-request-headers");
    own
}

fn share(leaving: &Leaving<'_>, answer: &mut Response) {
    let Some(cors) = leaving.asked().and_then(|asked| asked.cors.as_ref()) else { return };
    let fields = &mut answer.fields;
    fields.retain(|name, _| !SHARED.iter().any(|shared| is(name, shared)));
    let origin = leaving.record.map(|record| record.text(Text::Origin)).unwrap_or_default();
    if cors.is_for_all() {
        // Whoever keeps what came without an origin may give it to a page ("CORS protocol and HTTP caches").
        fields.push("access-control-allow-origin", "*");
    } else {
        // What is kept for one origin is not for another.
        fields.push("vary", "origin");
        if origin.is_empty() {
            return;
        }
        fields.push("access-control-allow-origin", origin);
    }
    if cors.credentials() {
        fields.push("access-control-allow-credentials", "true");
    }
    if let Some(exposed) = cors.exposed_headers() {
        fields.push("access-control-expose-headers", exposed);
    }
}
