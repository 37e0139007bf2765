//! Lines of the access log of a Network Load Balancer, which holds connections of TLS listeners ("Access log entries", NLB
//! user guide).

use std::net::SocketAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use net::TlsSession;

use super::words::{label, push_word};
use crate::names::ListenerNames;
use crate::text;

/// A connection that has ended.
#[derive(Debug)]
pub(crate) struct TlsFlow<'a> {
    pub(crate) client: SocketAddr,
    /// The listener's side of the connection.
    pub(crate) local: SocketAddr,
    /// From when it was accepted.
    pub(crate) took: Duration,
    pub(crate) session: &'a TlsSession,
    /// Bytes of the client, and to it, inside TLS.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// What is spoken inside on the target's side, where that is agreed on.
    pub(crate) target_protocol: Option<&'a str>,
}

/// Writes a line.
pub(super) fn write(out: &mut Vec<u8>, listener: &ListenerNames, flow: &TlsFlow<'_>) {
    let (session, now) = (flow.session, Timestamp::now());
    push_second(label(out, "tls 2.0 "), now);
    push_word(out, &listener.resource);
    push_word(out, &listener.listener);
    text::push_socket(out, flow.client);
    text::push_socket(label(out, " "), flow.local);
    for number in [milliseconds(flow.took), milliseconds(session.handshake_time()), flow.received, flow.sent]
    {
        text::push_number(label(out, " "), number);
    }
    // An alert of the client, which nobody is told of here.
    push_word(label(out, " "), "-");
    push_word(out, session.chosen_certificate());
    // Its serial number: reserved.
    push_word(out, "-");
    push_word(out, session.cipher_suite());
    push_word(out, if session.version() == "TLSv1.2" { "tlsv12" } else { "tlsv13" });
    // The named group: reserved.
    push_word(out, "-");
    push_word(out, session.server_name().unwrap_or_default());
    push_word(out, session.agreed_protocol().unwrap_or_default());
    push_word(out, flow.target_protocol.unwrap_or_default());
    // What the client preferred is not kept.
    push_word(out, "-");
    let took = SignedDuration::try_from(flow.took).unwrap_or_default();
    push_second(out, now.checked_sub(took).unwrap_or(now));
    // In the place of the space behind the last value.
    out.pop();
    out.push(b'\n');
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A moment to the second, without a zone, and a space.
fn push_second(out: &mut Vec<u8>, moment: Timestamp) {
    let start = out.len();
    text::push_moment(out, moment);
    out.truncate(start + "2026-12-01T00:00:00".len());
    out.push(b' ');
}
