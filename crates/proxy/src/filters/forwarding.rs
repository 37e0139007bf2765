//! Makes the client's request the one that its target gets, where it is forwarded ("HTTP headers and Application Load
//! Balancers", ALB user guide).

use net::Request;

use super::{Filter, Passing, RequestSide, Verdict};
use crate::headers;
use crate::listener::WorkerAction;

pub(super) const FILTER: Filter = Filter { request: Some(RequestSide::Decides(rewrite)), ..Filter::IDLE };

fn rewrite(passing: &mut Passing<'_>, request: &mut Request) -> Verdict {
    if !matches!(passing.action(), WorkerAction::Forward(_)) {
        return Verdict::Continue;
    }
    let (settings, worker) = (&passing.listener.snapshot.settings, &passing.listener.worker);
    let asks_for_websocket = headers::asks_for_websocket(request);
    let Request { fields, connection, .. } = request;
    headers::rewrite_request(fields, connection, settings, &worker.random, &mut worker.scratch.borrow_mut());
    if asks_for_websocket {
        fields.push("upgrade", headers::WEBSOCKET);
    }
    Verdict::Continue
}
