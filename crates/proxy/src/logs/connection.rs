//! Lines of the connection log of an Application Load Balancer ("Connection log entries", ALB user guide).

use std::net::SocketAddr;

use jiff::Timestamp;
use net::{HandshakeFailure, TlsSession};

use super::words::{label, push_milliseconds, push_quoted, push_word};
use crate::names::ListenerNames;
use crate::record::ConnectionId;
use crate::text;

/// A connection that was opened, or was not.
#[derive(Debug)]
pub(crate) struct ConnectionLine<'a> {
    pub(crate) client: SocketAddr,
    pub(crate) id: ConnectionId,
    pub(crate) handshake: Handshake<'a>,
}

/// What came of the handshake.
#[derive(Debug)]
pub(crate) enum Handshake<'a> {
    /// There is none.
    None,
    /// A session.
    Session(&'a TlsSession),
    /// Nothing, and why.
    Failed(HandshakeFailure),
}

/// Writes a line.
pub(super) fn write(out: &mut Vec<u8>, listener: &ListenerNames, line: &ConnectionLine<'_>) {
    text::push_moment(out, Timestamp::now());
    text::push_ip(label(out, " "), line.client.ip());
    text::push_number(label(out, " "), u64::from(line.client.port()));
    text::push_number(label(out, " "), u64::from(listener.port));
    out.push(b' ');
    match &line.handshake {
        Handshake::Session(session) => push_session(out, session),
        Handshake::None => _ = label(out, "- - - \"-\" - - - "),
        Handshake::Failed(failure) => {
            label(out, "- - - \"-\" - - Failed:");
            push_word(out, error_code(*failure));
        }
    }
    text::push_trace(label(out, "TID_"), line.id.0);
    out.push(b'\n');
}

fn push_session(out: &mut Vec<u8>, session: &TlsSession) {
    push_word(out, session.version());
    push_word(out, session.cipher_suite());
    push_milliseconds(out, Some(session.handshake_time()));
    match session.client_certificate().and_then(|certificate| certificate.facts()) {
        Some(facts) => {
            push_quoted(out, facts.subject.as_bytes());
            push_word(out, &facts.validity);
            push_word(out, &facts.serial_number);
        }
        None => _ = label(out, "\"-\" - - "),
    }
    push_word(out, "Success");
}

/// The error code that comes nearest ("Error reason codes", ALB user guide).
fn error_code(failure: HandshakeFailure) -> &'static str {
    match failure {
        HandshakeFailure::ClientCertificateMissing => "ClientCertRejected",
        HandshakeFailure::ClientCertificateRefused => "ClientCertInvalid",
        _ => "UnmappedConnectionError",
    }
}
