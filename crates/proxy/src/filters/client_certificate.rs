//! Whether the client was asked for its certificate as the listener of its request wants it. The connection may have been
//! opened for another host, or before that was wanted; then the client opens another one (RFC 9110 §15.5.20).

use net::{ClientAuthentication, Request};

use super::{Filter, Passing, Verdict, always};
use crate::respond::{self, Reason};

pub(super) const FILTER: Filter = Filter { is_wanted: always, request: Some(look), answer: None };

fn look(passing: &mut Passing<'_>, request: &mut Request) -> Verdict {
    let wanted = &passing.listener.snapshot.settings.client_authentication;
    let is_vouched_for = match &request.connection.tls {
        Some(session) => session.client_authentication().is_enough_for(wanted),
        None => *wanted == ClientAuthentication::Off,
    };
    match is_vouched_for {
        true => Verdict::Continue,
        false => Verdict::Respond(respond::to(Reason::MISDIRECTED)),
    }
}
