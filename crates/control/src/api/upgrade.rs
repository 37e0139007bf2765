//! Connections that stop speaking HTTP: commands, attached containers and forwarded ports of pods.
//!
//! Clients of Kubernetes ask for one of two wires: WebSocket, whose messages begin with the number of a channel, or
//! SPDY/3.1 with a stream for each of them; newer ones put the frames of SPDY into messages of WebSocket. What is spoken
//! about does not depend on it: [`remote_command`] and [`port_forward`] know both.

mod link;
mod port_forward;
mod remote_command;
pub(crate) mod spdy;
pub(crate) mod websocket;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};

use super::route::{ObjectRoute, Subresource};
use super::{Answer, Body, Call, Permit};
use crate::store::{Reason, Status};
use port_forward::Forwarding;
use remote_command::Session;

/// What happens on a connection after the answer `101 Switching Protocols`.
#[derive(Debug)]
pub struct Upgrade {
    wire: Wire,
    purpose: Purpose,
    _permit: Permit,
}

#[derive(Debug)]
enum Purpose {
    Command(Session),
    Forward(Forwarding),
}

/// What is spoken on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// Messages that begin with the number of a channel.
    Channels,
    /// SPDY/3.1, perhaps inside the messages of WebSocket.
    Spdy { is_in_websocket: bool },
}

/// What one side offers by this name, and what is spoken then.
type Protocol = (&'static str, Wire);

const COMMAND_OVER_WEBSOCKET: &[Protocol] =
    &[("v5.channel.k8s.io", Wire::Channels), ("v4.channel.k8s.io", Wire::Channels)];
const COMMAND_OVER_SPDY: &[Protocol] = &[("v4.channel.k8s.io", Wire::Spdy { is_in_websocket: false })];
const FORWARD_OVER_WEBSOCKET: &[Protocol] = &[
    ("SPDY/3.1+portforward.k8s.io", Wire::Spdy { is_in_websocket: true }),
    ("v4.channel.k8s.io", Wire::Channels),
];
const FORWARD_OVER_SPDY: &[Protocol] = &[("portforward.k8s.io", Wire::Spdy { is_in_websocket: false })];

const SPDY: &str = "SPDY/3.1";
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

// === impl Upgrade ===

impl Upgrade {
    /// Speaks on the connection to the end of what it is for. Must be called on a [`tokio::task::LocalSet`].
    pub async fn run(self, stream: impl AsyncRead + AsyncWrite + 'static) {
        match self.purpose {
            Purpose::Command(session) => session.run(stream, self.wire).await,
            Purpose::Forward(forwarding) => forwarding.run(stream, self.wire).await,
        }
    }
}

// === impl Call ===

impl Call<'_> {
    /// Answers a request for a connection of its own.
    pub(super) fn upgrade(&self, object: &ObjectRoute, subresource: Subresource) -> Answer {
        let pod = self.api.store.get(object.kind, &object.namespace, &object.name)?;
        let running = self.api.machine.as_ref().map(|machine| &machine.running).ok_or_else(|| {
            Status::new(Reason::ServiceUnavailable, "nothing runs on this machine that could be reached")
        })?;
        let (purpose, websocket, spdy) = match subresource {
            Subresource::PortForward => {
                let forwarding = Forwarding::new(&pod, &self.parameters, running)?;
                (Purpose::Forward(forwarding), FORWARD_OVER_WEBSOCKET, FORWARD_OVER_SPDY)
            }
            _ => {
                let session = if subresource == Subresource::Attach {
                    self.attach(&pod, running)?
                } else {
                    self.exec(&pod, running)?
                };
                (Purpose::Command(session), COMMAND_OVER_WEBSOCKET, COMMAND_OVER_SPDY)
            }
        };
        let (wire, headers) = negotiate(self.headers, websocket, spdy)?;
        if wire == Wire::Channels
            && let Purpose::Forward(forwarding) = &purpose
        {
            forwarding.check_ports()?;
        }
        let upgrade = Upgrade { wire, purpose, _permit: self.permit()? };
        let mut response = Response::new(Body::Upgrade(upgrade));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// What is spoken after the answer, and the fields of the answer.
fn negotiate(
    headers: &HeaderMap,
    websocket: &[Protocol],
    spdy: &[Protocol],
) -> Result<(Wire, HeaderMap), Status> {
    let bad = |message: String| Status::new(Reason::BadRequest, message);
    let asks_for =
        |name: &str| tokens(headers, &header::UPGRADE).any(|token| token.eq_ignore_ascii_case(name));
    let is_upgrade = tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    let mut answer = HeaderMap::new();
    if is_upgrade && asks_for("websocket") {
        let version = headers.get(header::SEC_WEBSOCKET_VERSION);
        let key = headers.get(header::SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
        let Some(accept) = key.and_then(websocket::accept).filter(|_| version.is_some_and(|is| is == "13"))
        else {
            return Err(bad("this is no opening handshake of WebSocket version 13".to_owned()));
        };
        let (name, wire) = choose(headers, &header::SEC_WEBSOCKET_PROTOCOL, websocket)?;
        answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        let accept = HeaderValue::try_from(accept).map_err(|error| bad(error.to_string()))?;
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        return Ok((wire, answer));
    }
    if is_upgrade && asks_for(SPDY) {
        let (name, wire) = choose(headers, &STREAM_PROTOCOL, spdy)?;
        answer.insert(header::UPGRADE, HeaderValue::from_static(SPDY));
        answer.insert(STREAM_PROTOCOL, HeaderValue::from_static(name));
        return Ok((wire, answer));
    }
    Err(bad(format!("Upgrade request required: this is answered over WebSocket or {SPDY}")))
}

/// The first of our protocols that the client offers.
fn choose(
    headers: &HeaderMap,
    field: &HeaderName,
    ours: &[Protocol],
) -> Result<(&'static str, Wire), Status> {
    let chosen = ours.iter().find(|(name, _)| tokens(headers, field).any(|token| token == *name));
    chosen.copied().ok_or_else(|| {
        let names: Vec<&str> = ours.iter().map(|(name, _)| *name).collect();
        let message =
            format!("unable to negotiate a protocol in `{field}`: {} are spoken here", names.join(", "));
        Status::new(Reason::BadRequest, message)
    })
}

/// The words of a list in header fields.
fn tokens<'a>(headers: &'a HeaderMap, field: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(field)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests;
