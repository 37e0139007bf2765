//! Connections that go over from HTTP to WebSocket: both sides belong together from there on, and nobody here looks at what
//! they say (RFC 6455).

use std::time::Duration;

use net::{Fields, Response, StatusCode, Upgrade, Upgraded};

use crate::exchange::Exchange;
use crate::headers;
use crate::metrics::GroupMetrics;
use crate::relay::{Carried, relay};

/// The target's side of a connection that has gone over, until the client's comes to it.
pub(crate) struct Switched {
    pub(crate) target: Upgraded,
    pub(crate) idle_timeout: Duration,
    /// How long the target took to go over, and where that is counted in the end.
    pub(crate) took: Duration,
    pub(crate) metrics: GroupMetrics,
}

/// The answer to a client whose target has gone over, from the fields of the target's answer.
pub(crate) fn answer(mut fields: Fields) -> Response {
    headers::rewrite_response(&mut fields);
    fields.push("upgrade", headers::WEBSOCKET);
    Response { fields, ..Response::new(StatusCode::SWITCHING_PROTOCOLS) }
}

impl Switched {
    /// What happens to the client's connection. The exchange goes on with it, and ends when one of both sides does.
    pub(crate) fn joined_by_client(self, exchange: Exchange) -> Upgrade {
        let Self { target, idle_timeout, took, metrics } = self;
        Upgrade::new(move |mut client| async move {
            let Some(stay) = client.take_stay() else { return };
            let (received, sent) = (client.received(), client.sent());
            let carried = Carried::default();
            relay(tokio::io::split(client), tokio::io::split(target), &carried, idle_timeout, stay).await;
            metrics.count_answer(StatusCode::SWITCHING_PROTOCOLS, took);
            exchange.end_switched(received + carried.up.get(), sent + carried.down.get());
        })
    }
}
