//! The way of one request, from its head to its answer.

use std::net::SocketAddr;
use std::rc::Rc;

use net::{Fields, Handler, Method, Rejection, Request, Response};
use plan::{Action, Condition, HeaderFields, RequestHead, Values, normalise_host};

use crate::respond::{self, Cause};
use crate::worker::{ListenerSlot, WorkerForward, WorkerListener};
use crate::{forward, headers};

/// Answers the requests of one listener.
#[derive(Clone)]
pub(crate) struct Exchange {
    slot: Rc<ListenerSlot>,
}

impl Exchange {
    pub(crate) fn new(slot: Rc<ListenerSlot>) -> Self {
        Self { slot }
    }
}

impl Handler for Exchange {
    async fn handle(&self, request: Request) -> Response {
        // The plan of this moment, kept to the end of the exchange.
        let listener = self.slot.current();
        let answer = route(&self.slot, &listener, request).await;
        answer.unwrap_or_else(|own| {
            listener.metrics.own_answers.inc();
            own
        })
    }

    fn admits(&self, peer: SocketAddr) -> bool {
        self.slot.admits(peer.ip())
    }

    fn reject(&self, rejection: Rejection) -> Response {
        self.slot.current().metrics.own_answers.inc();
        respond::to(Cause::Refused(rejection))
    }
}

/// Decides by the rules and does it. The error is an answer of our own.
async fn route(
    slot: &ListenerSlot,
    listener: &WorkerListener,
    mut request: Request,
) -> Result<Response, Response> {
    if request.method == Method::TRACE {
        return Err(respond::to(Cause::MethodNotAllowed));
    }
    if headers::too_many_forwarded_for(&request.fields) {
        return Err(respond::to(Cause::TooManyForwardedFor));
    }
    headers::ensure_host(&mut request.fields, &request.connection, &listener.snapshot.settings.port);
    let host = normalise_host(request.authority());
    let head = RequestHead {
        method: request.method.as_str(),
        host: &host,
        path: request.target.path(),
        query: request.target.query(),
        headers: &Headers(&request.fields),
        peer: request.connection.peer.ip(),
    };
    let rules = &listener.snapshot.listener;
    let decision = plan::route(rules, &head);
    match decision.action {
        Action::Forward(_) => {
            let group = listener.forward_of(&decision).and_then(WorkerForward::choose);
            let group = group.ok_or_else(|| respond::to(Cause::NoWeight))?;
            forward::forward(slot, listener, group, request).await
        }
        Action::Redirect(redirect) => {
            let location = redirect.location(&head, request.connection.is_tls, rules.port);
            Err(respond::redirect(redirect.status, &location))
        }
        Action::FixedResponse(_) if decision.rule.is_none() && *decision.action == Action::not_found() => {
            let may_know = request.connection.peer.ip().is_loopback();
            let hosts = may_know.then(|| known_hosts(rules));
            Err(respond::no_route(&host, head.path, hosts.as_deref()))
        }
        Action::FixedResponse(fixed) => Err(respond::fixed(fixed)),
    }
}

/// Hosts that rules name, for people who look for the right one.
fn known_hosts(listener: &plan::Listener) -> Vec<String> {
    const SHOWN: usize = 20;
    let conditions = listener.rules.iter().flat_map(|rule| &rule.conditions);
    let mut hosts: Vec<String> = conditions
        .filter_map(|condition| match condition {
            Condition::HostHeader(Values::Wildcards(patterns)) => Some(patterns),
            _ => None,
        })
        .flatten()
        .map(|pattern| pattern.as_str().to_owned())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.truncate(SHOWN);
    hosts
}

/// Header fields as rules look at them.
struct Headers<'a>(&'a Fields);

impl HeaderFields for Headers<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.all(name).any(test)
    }
}
