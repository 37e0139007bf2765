//! Header fields on their way through: what is taken away, what is added.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use net::{Connection, Fields};

use crate::random::Random;
use crate::snapshot::{ForwardedFor, ListenerSettings};

/// `X-Forwarded-For` may name this many addresses; more are refused with 463.
const FORWARDED_FOR_LIMIT: usize = 30;

/// Whether `X-Forwarded-For` names more addresses than a load balancer takes.
pub(crate) fn too_many_forwarded_for(fields: &Fields) -> bool {
    let values = fields.all("x-forwarded-for");
    let addresses = values.map(|value| 1 + value.iter().filter(|byte| **byte == b',').count());
    addresses.sum::<usize>() > FORWARDED_FOR_LIMIT
}

/// Makes a client's fields those of the request to the target (ALB user guide, "HTTP headers and Application Load
/// Balancers").
pub(crate) fn rewrite_request(
    fields: &mut Fields,
    connection: &Connection,
    listener_port: u16,
    settings: &ListenerSettings,
    random: &Random,
) {
    remove_hop_by_hop(fields);
    if settings.drops_invalid_fields {
        fields.retain(|name, _| name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'));
    }
    if !settings.preserves_host {
        rewrite_host(fields, listener_port);
    }
    rewrite_forwarded_for(fields, connection, settings.forwarded_for);
    fields.set("x-forwarded-proto", if connection.is_tls { "https" } else { "http" });
    fields.set("x-forwarded-port", listener_port.to_string());
    rewrite_trace_id(fields, random);
}

/// Makes a target's fields those of the response to the client.
pub(crate) fn rewrite_response(fields: &mut Fields) {
    remove_hop_by_hop(fields);
}

/// Fields that concern one connection only (RFC 9110 §7.6.1), those that `Connection` names, and `Expect`, which is met
/// here already.
fn remove_hop_by_hop(fields: &mut Fields) {
    const HOP_BY_HOP: [&[u8]; 9] = [
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"upgrade",
    ];
    let named: Vec<Vec<u8>> = fields
        .all("connection")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty() && !matches!(*name, b"close" | b"keep-alive" | b"Keep-Alive"))
        .map(<[u8]>::to_vec)
        .collect();
    fields.retain(|name, _| {
        let is_known = HOP_BY_HOP.iter().any(|known| name.eq_ignore_ascii_case(known));
        !is_known && !named.iter().any(|named| name.eq_ignore_ascii_case(named))
    });
}

/// On ports 80 and 443 a port in `Host` goes; on others the listener's port is there.
fn rewrite_host(fields: &mut Fields, listener_port: u16) {
    let Some(host) = fields.text("host") else { return };
    let end_of_literal = host.rfind(']').map_or(0, |at| at + 1);
    let colon = host[end_of_literal..].find(':').map(|at| end_of_literal + at);
    let rewritten = match (colon, matches!(listener_port, 80 | 443)) {
        (Some(colon), true) => host[..colon].to_owned(),
        (None, false) if !host.is_empty() => format!("{host}:{listener_port}"),
        _ => return,
    };
    fields.set("host", rewritten);
}

fn rewrite_forwarded_for(fields: &mut Fields, connection: &Connection, mode: ForwardedFor) {
    let with_port = match mode {
        ForwardedFor::Preserve => return,
        ForwardedFor::Remove => return fields.remove("x-forwarded-for"),
        ForwardedFor::Append { with_port } => with_port,
    };
    let mut value = Vec::with_capacity(64);
    for earlier in fields.all("x-forwarded-for") {
        value.extend_from_slice(earlier);
        value.extend_from_slice(b", ");
    }
    let client = if with_port { connection.peer.to_string() } else { connection.peer.ip().to_string() };
    value.extend_from_slice(client.as_bytes());
    fields.set("x-forwarded-for", value);
}

/// `X-Amzn-Trace-Id`: a new root, or this hop's own id before the root that came ("Request tracing", ALB user guide).
fn rewrite_trace_id(fields: &mut Fields, random: &Random) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (high, low) = (random.next(), random.next() >> 32);
    let mut value = String::with_capacity(128);
    match fields
        .text("x-amzn-trace-id")
        .filter(|earlier| earlier.contains("Root=") && earlier.len() < TRACE_LIMIT)
    {
        None => {
            let _ = write!(value, "Root=1-{:08x}-{high:016x}{low:08x}", seconds & 0xffff_ffff);
        }
        Some(earlier) => {
            let _ = write!(value, "Self=1-{:08x}-{high:016x}{low:08x}", seconds & 0xffff_ffff);
            for part in earlier.split(';').filter(|part| !part.trim_start().starts_with("Self=")) {
                value.push(';');
                value.push_str(part.trim());
            }
        }
    }
    fields.set("x-amzn-trace-id", value);
}

/// A trace id longer than this is replaced.
const TRACE_LIMIT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn settings() -> ListenerSettings {
        ListenerSettings {
            idle_timeout: std::time::Duration::from_secs(60),
            client_keep_alive: std::time::Duration::from_secs(3600),
            forwarded_for: ForwardedFor::Append { with_port: false },
            preserves_host: false,
            drops_invalid_fields: false,
        }
    }

    #[track_caller]
    fn check(settings: &ListenerSettings, port: u16, fields: &[(&str, &str)], expected: &Expect) {
        let mut all = Fields::new();
        for (name, value) in fields {
            all.push(name, value);
        }
        let peer = "203.0.113.7:50000".parse().unwrap();
        let connection = Connection { peer, local: "127.0.0.1:80".parse().unwrap(), is_tls: false };
        rewrite_request(&mut all, &connection, port, settings, &Random::default());
        let mut text = String::new();
        for (name, value) in all.iter() {
            let value = String::from_utf8_lossy(value);
            let is_trace = name.eq_ignore_ascii_case(b"x-amzn-trace-id");
            let value = if is_trace { hide_hex(&value) } else { value.into_owned() };
            let _ = writeln!(text, "{}: {value}", String::from_utf8_lossy(name));
        }
        expected.assert_eq(&text);
    }

    /// Replaces what is random or of the moment.
    fn hide_hex(value: &str) -> String {
        let parts = value.split(';').map(|part| match part.split_once("=1-") {
            Some((name @ ("Root" | "Self"), id)) if id.len() == 33 => {
                format!("{name}=1-{}", "x".repeat(id.len()))
            }
            _ => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join(";")
    }

    #[test]
    fn acc_s0_04_a_plain_request_gets_the_forwarded_fields() {
        check(
            &settings(),
            80,
            &[("Host", "a.example.com:80"), ("Accept", "*/*")],
            &expect![[r#"
                Accept: */*
                host: a.example.com
                x-forwarded-for: 203.0.113.7
                x-forwarded-proto: http
                x-forwarded-port: 80
                x-amzn-trace-id: Root=1-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            "#]],
        );
    }

    #[test]
    fn what_came_is_appended_to_and_what_concerns_the_hop_goes() {
        check(
            &settings(),
            8080,
            &[
                ("Host", "a"),
                ("Connection", "keep-alive, X-Hop"),
                ("X-Hop", "1"),
                ("Keep-Alive", "5"),
                ("TE", "trailers"),
                ("X-Forwarded-For", "10.0.0.1"),
                ("X-Forwarded-For", "10.0.0.2"),
                ("X-Forwarded-Proto", "https"),
                ("X-Amzn-Trace-Id", "Self=1-old;Root=1-5759e988-bd862e3fe1be46a994272793;Extra=1"),
            ],
            &expect![[r#"
                host: a:8080
                x-forwarded-for: 10.0.0.1, 10.0.0.2, 203.0.113.7
                x-forwarded-proto: http
                x-forwarded-port: 8080
                x-amzn-trace-id: Self=1-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx;Root=1-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx;Extra=1
            "#]],
        );
    }

    #[test]
    fn attributes_change_what_is_added() {
        let with = |forwarded_for| ListenerSettings {
            forwarded_for,
            preserves_host: true,
            drops_invalid_fields: true,
            ..settings()
        };
        let fields = [("Host", "a:80"), ("X-Forwarded-For", "10.0.0.1"), ("x_secret", "1")];
        check(
            &with(ForwardedFor::Append { with_port: true }),
            80,
            &fields,
            &expect![[r#"
                Host: a:80
                x-forwarded-for: 10.0.0.1, 203.0.113.7:50000
                x-forwarded-proto: http
                x-forwarded-port: 80
                x-amzn-trace-id: Root=1-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            "#]],
        );
        check(
            &with(ForwardedFor::Remove),
            80,
            &fields,
            &expect![[r#"
                Host: a:80
                x-forwarded-proto: http
                x-forwarded-port: 80
                x-amzn-trace-id: Root=1-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            "#]],
        );
    }

    #[test]
    fn more_than_thirty_addresses_are_too_many() {
        let mut fields = Fields::new();
        fields.push("x-forwarded-for", vec!["10.0.0.1"; 30].join(", "));
        assert!(!too_many_forwarded_for(&fields));
        fields.push("x-forwarded-for", "10.0.0.1");
        assert!(too_many_forwarded_for(&fields));
    }
}
