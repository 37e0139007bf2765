//! Which path is answered by what.
//!
//! Every protocol has a table of routes. A path is matched against its pattern segment by segment, and nothing is
//! copied.

use crate::call::{Call, Predict};
use crate::fault::Fault;
use crate::protocols::PROTOCOLS;
use crate::reply::Reply;
use crate::repository::Change;

/// A path that is answered.
pub(crate) struct Route {
    /// The method it takes.
    pub(crate) verb: Verb,
    /// The path, as `/v2/models/{model}/infer`. A name in braces stands for one segment, or for the part of it that
    /// comes before the rest of the pattern's segment; `{rest}` stands for all that is left.
    pub(crate) pattern: &'static str,
    /// What it is for, in one sentence for the reference page; empty when it has no place there.
    pub(crate) doc: &'static str,
    /// What answers it.
    pub(crate) answer: Answer,
}

/// A method that a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `GET`, and with it `HEAD`.
    Get,
    Post,
}

/// What answers a route.
pub(crate) enum Answer {
    /// What the server knows, at once.
    Page(fn(&Call<'_>) -> Result<Reply, Fault>),
    /// What the server knows, as the body says.
    Read(fn(&Call<'_>, &[u8]) -> Result<Reply, Fault>),
    /// A model.
    Predict(Predict),
    /// A change of the models.
    Change(Change),
}

/// What a path is made of, as far as its route has names for it. As sent, not decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Captures<'p> {
    pub(crate) model: Option<&'p str>,
    pub(crate) version: Option<&'p str>,
    pub(crate) rest: Option<&'p str>,
}

/// What was found for a method and a path.
pub(crate) enum Found<'p> {
    /// A route, and the index of its protocol.
    Route(usize, &'static Route, Captures<'p>),
    /// A path that takes another method.
    OtherVerb(usize, &'static Route, Captures<'p>),
    /// Nothing.
    Nothing,
}

/// Finds what answers a path.
pub(crate) fn find(verb: Option<Verb>, path: &str) -> Found<'_> {
    let mut found = Found::Nothing;
    for (index, protocol) in PROTOCOLS.iter().enumerate() {
        for route in protocol.routes {
            let Some(captures) = captures(route.pattern, path) else { continue };
            if Some(route.verb) == verb {
                return Found::Route(index, route, captures);
            }
            found = Found::OtherVerb(index, route, captures);
        }
    }
    found
}

/// Whether a pattern stands for a path, and what its names stand for then.
fn captures<'p>(pattern: &str, path: &'p str) -> Option<Captures<'p>> {
    let mut captures = Captures::default();
    let mut pattern = pattern;
    let mut path = path;
    while let Some(brace) = pattern.find('{') {
        path = path.strip_prefix(&pattern[..brace])?;
        let (name, after) = pattern[brace + 1..].split_once('}')?;
        let (suffix, next) = after.split_at(after.find('/').unwrap_or(after.len()));
        if name == "rest" {
            captures.rest = Some(path);
            return (!path.is_empty()).then_some(captures);
        }
        let (segment, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        let value = segment.strip_suffix(suffix).filter(|value| !value.is_empty())?;
        // `iris:predict` is never the name of a model.
        let is_verb = suffix.is_empty() && value.contains(':');
        if is_verb {
            return None;
        }
        match name {
            "model" => captures.model = Some(value),
            _ => captures.version = Some(value),
        }
        (pattern, path) = (next, rest);
    }
    (pattern == path).then_some(captures)
}

impl Verb {
    /// The verb of an HTTP method.
    pub(crate) fn of(method: &net::Method) -> Option<Self> {
        match *method {
            net::Method::GET | net::Method::HEAD => Some(Self::Get),
            net::Method::POST => Some(Self::Post),
            _ => None,
        }
    }

    /// What `Allow` says of it.
    pub(crate) fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: Option<(Option<&str>, Option<&str>)>) {
        let got = captures(pattern, path).map(|captures| (captures.model, captures.version));
        assert_eq!(got, expected, "{pattern} {path}");
    }

    #[test]
    fn patterns_are_matched_segment_by_segment() {
        check("/invocations", "/invocations", Some((None, None)));
        check("/invocations", "/invocations/x", None);
        check("/v1/models/{model}", "/v1/models/iris", Some((Some("iris"), None)));
        check("/v1/models/{model}", "/v1/models/", None);
        check("/v1/models/{model}", "/v1/models/iris:predict", None);
        check("/v1/models/{model}:predict", "/v1/models/iris:predict", Some((Some("iris"), None)));
        check("/v1/models/{model}:predict", "/v1/models/:predict", None);
        let infer = "/v2/models/{model}/versions/{version}/infer";
        check(infer, "/v2/models/a%20b/versions/1/infer", Some((Some("a%20b"), Some("1"))));
        check(infer, "/v2/models/a/versions/1", None);
        check("/v2/models/{model}", "/v2/models/a/ready", None);
    }

    #[test]
    fn every_route_finds_itself() {
        for protocol in PROTOCOLS {
            for route in protocol.routes {
                let path =
                    route.pattern.replace("{model}", "m").replace("{version}", "1").replace("{rest}", "a/b");
                let Found::Route(_, found, _) = find(Some(route.verb), &path) else {
                    panic!("{path} is not found")
                };
                assert_eq!((found.pattern, found.verb), (route.pattern, route.verb));
                assert!(route.doc.is_empty() || route.doc.ends_with('.'), "{path} has no sentence");
            }
        }
    }
}
