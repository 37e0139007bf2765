//! Lines for collectors of logs: one object of JSON each (RFC 8259), with names that do not change.

use jiff::Timestamp;
use plan::Tags;
use traces::push_text;

use super::words::{label, version};
use crate::record::{Record, Text};
use crate::text;

/// Writes a line.
pub(super) fn write(out: &mut Vec<u8>, time: Timestamp, record: &Record) {
    let (listener, ended) = (&record.listener, &record.ended);
    text::push_moment(label(out, "{\"time\":\""), time);
    push_text(label(out, "\",\"load_balancer\":"), listener.load_balancer.as_bytes());
    if !listener.tags.is_empty() {
        label(label(out, ",\"tags\":"), &listener.tags);
    }
    text::push_number(label(out, ",\"port\":"), u64::from(listener.port));
    text::push_socket(label(out, ",\"client\":\""), record.client);
    label(label(label(out, "\",\"protocol\":\""), version(record)), "\"");
    if let Some(tls) = &record.tls {
        label(label(label(out, ",\"tls\":\""), tls.version()), "\"");
    }
    for (name, what) in [
        (",\"method\":", Text::Method),
        (",\"host\":", Text::Authority),
        (",\"path\":", Text::Target),
        (",\"user_agent\":", Text::UserAgent),
        (",\"trace\":", Text::TraceId),
        (",\"location\":", Text::Location),
    ] {
        if !record.text(what).is_empty() {
            push_text(label(out, name), record.text(what));
        }
    }
    if let Some(rule) = record.rule {
        text::push_number(label(out, ",\"rule\":"), rule as u64);
    }
    text::push_number(label(out, ",\"status\":"), u64::from(ended.status));
    if let Some(reason) = ended.reason {
        label(label(label(out, ",\"reason\":\""), reason), "\"");
    }
    if let Some(lookup) = record.lookup {
        label(label(label(out, ",\"cache\":\""), lookup.as_str()), "\"");
    }
    if let Some(group) = &record.group {
        push_text(label(out, ",\"target_group\":"), group.key.as_bytes());
    }
    if let Some(target) = record.target {
        text::push_socket(label(out, ",\"target\":\""), target);
        text::push_number(label(out, "\",\"targets_asked\":"), u64::from(record.n_asked));
    }
    if let Some(status) = record.target_status {
        text::push_number(label(out, ",\"target_status\":"), u64::from(status));
    }
    text::push_number(label(out, ",\"received\":"), ended.received);
    text::push_number(label(out, ",\"sent\":"), ended.sent);
    text::push_seconds(label(out, ",\"seconds\":"), ended.took);
    if let Some(took) = record.target_took {
        text::push_seconds(label(out, ",\"target_seconds\":"), took);
    }
    out.extend_from_slice(b"}\n");
}

/// Tags as an object; nothing where there are none.
pub(crate) fn tags(tags: &Tags) -> String {
    let mut out = Vec::new();
    for (key, value) in tags {
        out.push(if out.is_empty() { b'{' } else { b',' });
        push_text(&mut out, key.as_bytes());
        push_text(label(&mut out, ":"), value.as_bytes());
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    String::from_utf8(out).unwrap_or_default()
}
