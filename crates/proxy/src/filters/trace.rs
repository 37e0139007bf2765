//! TRACE is not forwarded ("HTTP 405", ALB user guide): its answer would show fields that a client must not see.

use net::{Method, Request};

use super::{Filter, Passing, Verdict, always};
use crate::respond::Reason;

pub(super) const FILTER: Filter = Filter { is_wanted: always, request: Some(look), answer: None };

fn look(_: &mut Passing<'_>, request: &mut Request) -> Verdict {
    Verdict::of(refusal(request))
}

pub(super) fn refusal(request: &Request) -> Option<Reason> {
    (request.method == Method::TRACE).then_some(Reason::METHOD_NOT_ALLOWED)
}
