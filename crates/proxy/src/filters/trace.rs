//! TRACE is not forwarded ("HTTP 405", ALB user guide): its answer would show fields that a client must not see.

use net::{Method, Request};

use super::{Filter, Passing, Verdict, always};
use crate::respond::{self, Reason};

pub(super) const FILTER: Filter = Filter { is_wanted: always, request: Some(look), answer: None };

fn look(_: &mut Passing<'_>, request: &mut Request) -> Verdict {
    match request.method {
        Method::TRACE => Verdict::Respond(respond::to(Reason::METHOD_NOT_ALLOWED)),
        _ => Verdict::Continue,
    }
}
