//! Lines of the access log of an Application Load Balancer, in its fields and their order ("Access log entries", ALB user
//! guide). Where an ALB has nothing to say of why it answered itself (`error_reason`), `x-forebay-reason` stands.

use jiff::{SignedDuration, Timestamp};

use super::words::{label, push_milliseconds, push_quoted, push_url, push_word, version};
use crate::record::{Act, Record, Text};
use crate::{desync, text};

/// Writes a line.
pub(super) fn write(out: &mut Vec<u8>, time: Timestamp, record: &Record, arn_prefix: &str) {
    let (listener, ended) = (&record.listener, &record.ended);
    push_word(out, kind(record));
    text::push_moment(out, time);
    out.push(b' ');
    push_word(out, &listener.resource);
    text::push_socket(out, record.client);
    push_target(label(out, " "), record);
    let until_asked = record.asked_at.map(|asked_at| asked_at.saturating_duration_since(record.started));
    // What never came to a target has none of the three times.
    push_milliseconds(out, until_asked);
    push_milliseconds(out, record.target_took);
    push_milliseconds(out, until_answered(record));
    text::push_number(out, u64::from(ended.status));
    out.push(b' ');
    match record.target_status {
        Some(status) => text::push_number(out, u64::from(status)),
        None => out.push(b'-'),
    }
    text::push_number(label(out, " "), ended.received);
    text::push_number(label(out, " "), ended.sent);
    push_request(label(out, " "), record);
    push_quoted(out, record.text(Text::UserAgent));
    let tls = record.tls.as_deref();
    push_word(out, tls.map_or("-", |tls| tls.cipher_suite()));
    push_word(out, tls.map_or("-", |tls| tls.version()));
    match &record.group {
        Some(group) => push_word(label(out, arn_prefix), &group.resource),
        None => push_word(out, "-"),
    }
    push_quoted(out, record.text(Text::TraceId));
    push_quoted(out, tls.and_then(|tls| tls.server_name()).unwrap_or_default().as_bytes());
    push_quoted(out, tls.map_or("-", |tls| tls.chosen_certificate()).as_bytes());
    match record.rule {
        Some(priority) => text::push_number(out, priority as u64),
        None => out.push(b'-'),
    }
    let took = SignedDuration::try_from(ended.took).unwrap_or_default();
    text::push_moment(label(out, " "), time.checked_sub(took).unwrap_or(time));
    out.push(b' ');
    push_quoted(out, record.act.map_or("-", Act::as_str).as_bytes());
    push_quoted(out, record.text(Text::Location));
    let is_own_choice = matches!(record.act, Some(Act::Redirect | Act::FixedResponse));
    push_quoted(out, ended.reason.filter(|_| !is_own_choice).unwrap_or("-").as_bytes());
    out.push(b'"');
    push_target(out, record);
    out.pop();
    label(out, "\" \"");
    match record.target_status {
        Some(status) => text::push_number(out, u64::from(status)),
        None => out.push(b'-'),
    }
    let (classification, reason) = desync::classified(ended.reason.unwrap_or_default());
    push_quoted(label(out, "\" "), classification.as_bytes());
    push_quoted(out, reason.as_bytes());
    text::push_trace(label(out, "TID_"), record.connection.0);
    out.push(b' ');
    push_quoted(out, record.text(Text::Host));
    push_quoted(out, record.text(Text::Url));
    push_quoted(out, record.transform.unwrap_or("-").as_bytes());
    out.pop();
    out.push(b'\n');
}

/// The type of a request.
fn kind(record: &Record) -> &'static str {
    match (record.listener.is_tls, record.version) {
        (false, _) if record.ended.status == 101 => "ws",
        (true, _) if record.ended.status == 101 => "wss",
        _ if record.is_grpc => "grpcs",
        (_, Some(net::Version::HTTP_2)) => "h2",
        (true, _) => "https",
        (false, _) => "http",
    }
}

/// The target's address and a space.
fn push_target(out: &mut Vec<u8>, record: &Record) {
    match record.target {
        Some(target) => text::push_socket(out, target),
        None => out.push(b'-'),
    }
    out.push(b' ');
}

/// The time from the head of the target's answer until it went on to the client.
fn until_answered(record: &Record) -> Option<std::time::Duration> {
    let began = record.asked_at? + record.target_took?;
    Some(record.answered_at?.saturating_duration_since(began))
}

/// Method, URL and version in quotes, and a space.
fn push_request(out: &mut Vec<u8>, record: &Record) {
    out.push(b'"');
    if record.version.is_some() {
        super::words::push_escaped(out, record.text(Text::Method));
        push_url(label(out, " "), record);
        label(label(out, " "), version(record));
    } else {
        let scheme = if record.listener.is_tls { "- https://" } else { "- http://" };
        label(label(out, scheme), &record.listener.load_balancer);
        text::push_number(label(out, ":"), u64::from(record.listener.port));
        label(out, "- -");
    }
    out.extend_from_slice(b"\" ");
}
