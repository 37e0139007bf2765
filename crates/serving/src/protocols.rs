//! The protocols that are spoken, all on one port. A protocol is a file here and a line in the table.

mod grpc;
mod kserve_v1;
mod mlflow;
pub(crate) mod open_inference;
mod platform;
mod retail;

use crate::fault::Fault;
use crate::pattern::{Captures, captures};
use crate::reply::Reply;
use crate::route::{Route, Verb};

/// A protocol: paths, and how faults are told on them.
pub(crate) struct Protocol {
    /// What metrics call it.
    pub(crate) name: &'static str,
    /// What the reference calls it.
    pub(crate) title: &'static str,
    /// Who speaks it, in one sentence for the reference.
    pub(crate) doc: &'static str,
    /// Its paths. Of two patterns that stand for one path, the first counts.
    pub(crate) routes: &'static [Route],
    /// Tells a fault in its own way.
    pub(crate) refuse: fn(&Fault) -> Reply,
}

/// All protocols. The first is the one that most requests are in.
pub(crate) static PROTOCOLS: &[&Protocol] =
    &[&mlflow::PROTOCOL, &kserve_v1::PROTOCOL, &open_inference::PROTOCOL, &retail::PROTOCOL, FALLBACK, GRPC];

/// The protocol of paths that no protocol knows.
pub(crate) static FALLBACK: &Protocol = &platform::PROTOCOL;
/// The protocol of calls of gRPC.
pub(crate) static GRPC: &Protocol = &grpc::PROTOCOL;

/// What was found for a method and a path.
pub(crate) enum Found<'p> {
    /// A route, and its protocol.
    Route(&'static Protocol, &'static Route, Captures<'p>),
    /// A path that takes another method.
    OtherVerb(&'static Protocol, &'static Route, Captures<'p>),
    /// Nothing.
    Nothing,
}

/// Finds what answers a path.
pub(crate) fn find(verb: Option<Verb>, path: &str) -> Found<'_> {
    let mut found = Found::Nothing;
    for protocol in PROTOCOLS {
        for route in protocol.routes {
            let Some(captures) = captures(route.pattern, path) else { continue };
            if Some(route.verb) == verb {
                return Found::Route(protocol, route, captures);
            }
            found = Found::OtherVerb(protocol, route, captures);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

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
