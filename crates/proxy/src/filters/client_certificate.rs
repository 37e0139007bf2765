//! Whether the client was asked for its certificate as the listener of its request wants it. The connection may have been
//! opened for another host, or before that was wanted; then the client opens another one (RFC 9110 §15.5.20).

use net::{ClientAuthentication, Request};

use super::{Filter, Passing, RequestSide, Verdict};
use crate::respond::Reason;

pub(super) const FILTER: Filter = Filter { request: Some(RequestSide::Decides(look)), ..Filter::IDLE };

fn look(passing: &mut Passing<'_>, request: &mut Request) -> Verdict {
    let wanted = &passing.listener.snapshot.settings.client_authentication;
    let is_vouched_for = match &request.connection.tls {
        Some(session) => session.client_authentication().is_enough_for(wanted),
        None => *wanted == ClientAuthentication::Off,
    };
    match is_vouched_for {
        true => Verdict::Continue,
        false => Verdict::refused(Reason::MISDIRECTED),
    }
}
