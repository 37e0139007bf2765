//! Requests that no route takes: what is said to them, so that the next one is taken.

use models::nearest;
use net::{Method, StatusCode, Target};

use crate::call::Call;
use crate::fault::{Cause, Fault, list, quoted};
use crate::model_set::ModelSet;
use crate::pattern::without_needless_escapes;
use crate::protocols::{FALLBACK, Found, PROTOCOLS, Protocol, find};
use crate::reply::Reply;
use crate::route::{Answer, Route, Verb};

/// How long an example may be to stand in a message.
const LONGEST_EXAMPLE: usize = 2000;

/// Answers a path that takes another method: with what it takes, and a line that works.
pub(crate) fn other_method(method: &Method, call: &Call<'_>, protocol: &Protocol, route: &Route) -> Reply {
    let allow = route.verb.allow();
    if *method == Method::OPTIONS {
        return Reply::empty(StatusCode::NO_CONTENT).with_field("allow", allow);
    }
    let problem = format!("{} does not take {method}", quoted(call.target.path()));
    let fault = Fault::new(Cause::Method, problem).with_help(format!("try: {}", curl(call, route)));
    (protocol.refuse)(&fault).with_field("allow", allow)
}

/// A line for the shell that asks a route as it wants to be asked.
fn curl(call: &Call<'_>, route: &Route) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_~/%[]".contains(&byte);
    let host = call.fields.text("host").filter(|host| host.bytes().all(is_plain));
    let path = Some(call.target.path()).filter(|path| path.bytes().all(is_plain));
    let scheme = if call.fields.text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    let url = format!("{scheme}://{}{}", host.unwrap_or("localhost:8080"), path.unwrap_or(route.pattern));
    let Answer::Predict(predict) = &route.answer else {
        return match route.verb {
            Verb::Get => format!("curl {url}"),
            Verb::Post => format!("curl -X POST {url}"),
        };
    };
    let entry = call.entry().ok();
    let example = entry.and_then(|entry| Some((predict.example)(entry.ready()?)));
    let example = example.filter(|example| example.len() <= LONGEST_EXAMPLE);
    let body = example.map_or_else(|| "@input.json".to_owned(), |example| example.replace('\'', "'\\''"));
    format!("curl {url} -H 'content-type: application/json' -d '{body}'")
}

/// Answers a path that nothing is at: with the path that was meant, when it is near.
pub(crate) fn no_such_path(method: &Method, target: &Target, models: &ModelSet) -> Reply {
    let path = target.path();
    if let Some(redirect) = without_slash(method, target) {
        return Reply::empty(StatusCode::TEMPORARY_REDIRECT).with_field("location", redirect);
    }
    let patterns = || PROTOCOLS.iter().flat_map(|protocol| protocol.routes).map(|route| route.pattern);
    let models = list(models.names());
    let help = match nearest(path, patterns()) {
        Some(near) => format!("did you mean {near}? Models served here: {models}"),
        None => format!("see /docs. Models served here: {models}"),
    };
    let fault = Fault::new(Cause::NotFound, format!("nothing is at {}", quoted(path))).with_help(help);
    (FALLBACK.refuse)(&fault)
}

/// The same address without a slash at its end, relative to the one with it, if something is there.
fn without_slash(method: &Method, target: &Target) -> Option<String> {
    let path = without_needless_escapes(target.path());
    let path = path.strip_suffix('/')?;
    let Found::Route(..) = find(Verb::of(method), path) else { return None };
    let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
    let (_, last) = path.rsplit_once('/')?;
    Some(format!("../{last}{query}"))
}
