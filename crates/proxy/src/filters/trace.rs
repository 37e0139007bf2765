//! TRACE is not forwarded ("HTTP 405", ALB user guide): its answer would show fields that a client must not see.

use net::{Method, Request};

use super::{Filter, RequestSide};
use crate::respond::Reason;

pub(super) const FILTER: Filter = Filter { request: Some(RequestSide::Refuses(refusal)), ..Filter::IDLE };

fn refusal(request: &Request) -> Option<Reason> {
    (request.method == Method::TRACE).then_some(Reason::METHOD_NOT_ALLOWED)
}
