//! Values as they may stand in a line, whatever they are.

use std::io::Write as _;
use std::time::Duration;

use net::Version;

use crate::record::{Record, Text};
use crate::text;

/// Appends what stands before a value, which is to follow there.
pub(super) fn label<'a>(out: &'a mut Vec<u8>, label: &str) -> &'a mut Vec<u8> {
    out.extend_from_slice(label.as_bytes());
    out
}

/// Bytes that could end a value, or a line, or move a terminal's cursor are written as `\x0a`.
pub(super) fn push_escaped(out: &mut Vec<u8>, mut value: &[u8]) {
    while let Some(at) = value.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f..)) {
        out.extend_from_slice(&value[..at]);
        // Writing to a vector does not fail.
        let _ = write!(out, "\\x{:02x}", value[at]);
        value = &value[at + 1..];
    }
    out.extend_from_slice(value);
}

/// A value in quotes and a space, with `-` for none.
pub(super) fn push_quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    push_escaped(out, if value.is_empty() { b"-" } else { value });
    out.extend_from_slice(b"\" ");
}

/// A value without quotes and a space, with `-` for none.
pub(super) fn push_word(out: &mut Vec<u8>, value: &str) {
    out.extend_from_slice(if value.is_empty() { b"-" } else { value.as_bytes() });
    out.push(b' ');
}

/// A time in seconds to the millisecond and a space, with `-1` for what did not happen.
pub(super) fn push_milliseconds(out: &mut Vec<u8>, time: Option<Duration>) {
    match time {
        Some(time) => {
            text::push_number(out, time.as_secs());
            out.push(b'.');
            text::push_digits(out, u64::from(time.subsec_millis()), 3);
        }
        None => out.extend_from_slice(b"-1"),
    }
    out.push(b' ');
}

/// The version of HTTP as a request line has it.
pub(super) fn version(record: &Record) -> &'static str {
    match record.version {
        Some(Version::HTTP_2) => "HTTP/2.0",
        Some(Version::HTTP_10) => "HTTP/1.0",
        Some(_) => "HTTP/1.1",
        None => "-",
    }
}

/// The URL that was asked for, with the listener's port where the client named none.
pub(super) fn push_url(out: &mut Vec<u8>, record: &Record) {
    let authority = record.text(Text::Authority);
    label(out, if record.listener.is_tls { "https://" } else { "http://" });
    push_escaped(out, authority);
    let has_port =
        std::str::from_utf8(authority).is_ok_and(|authority| plan::end_of_host(authority) < authority.len());
    if !has_port {
        text::push_number(label(out, ":"), u64::from(record.listener.port));
    }
    push_escaped(out, record.text(Text::Target));
}
