//! Lines for people and `grep`: `name=value`, in an order that does not change.

use jiff::Timestamp;

use super::words::{label, push_escaped};
use crate::record::{Record, Text};
use crate::text;

/// Writes a line.
pub(super) fn write(out: &mut Vec<u8>, time: Timestamp, record: &Record) {
    let (listener, ended) = (&record.listener, &record.ended);
    text::push_moment(label(out, "time="), time);
    push_word(label(out, " "), "load_balancer", listener.load_balancer.as_bytes());
    text::push_number(label(out, "port="), u64::from(listener.port));
    text::push_socket(label(out, " client="), record.client);
    match record.version {
        None => _ = label(out, " method=- host=\"\" path=\"\" "),
        Some(_) => {
            push_word(label(out, " "), "method", record.text(Text::Method));
            push_text(out, "host", record.text(Text::Authority));
            push_text(out, "path", record.text(Text::Target));
        }
    }
    text::push_number(label(out, "status="), u64::from(ended.status));
    label(label(out, " reason="), ended.reason.unwrap_or("-"));
    match record.target {
        Some(target) => text::push_socket(label(out, " target="), target),
        None => _ = label(out, " target=-"),
    }
    text::push_number(label(out, " received="), ended.received);
    text::push_number(label(out, " sent="), ended.sent);
    text::push_seconds(label(out, " seconds="), ended.took);
    match record.target_took {
        Some(took) => text::push_seconds(label(out, " target_seconds="), took),
        None => _ = label(out, " target_seconds=-"),
    }
    push_text(label(out, " "), "trace", record.text(Text::TraceId));
    if let Some(lookup) = record.lookup {
        push_word(out, "cache", lookup.as_str().as_bytes());
    }
    // In the place of the space behind the last value.
    out.pop();
    out.push(b'\n');
}

/// A value that has no spaces.
fn push_word(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    label(out, name).push(b'=');
    push_escaped(out, value);
    out.push(b' ');
}

/// A value that may have anything.
fn push_text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    label(label(out, name), "=\"");
    push_escaped(out, value);
    out.extend_from_slice(b"\" ");
}
