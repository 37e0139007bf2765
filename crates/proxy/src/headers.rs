//! Header fields on their way through: what is taken away, what is added.

use std::net::IpAddr;
use std::ops::Range;

use net::{Body, Connection, Fields, Method, Request, Version};
use plan::header_modification::CLIENT_FIELD_FAMILIES;
use plan::{ForwardedFor, HeaderFields, end_of_host};

use crate::header_modification::ClientFields;
use crate::random::Random;
use crate::respond;
use crate::snapshot::ListenerSettings;
use crate::text;

/// Header fields as rules look at them.
pub(crate) struct FieldsOf<'a>(pub(crate) &'a Fields);

impl HeaderFields for FieldsOf<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.all(name).any(test)
    }
}

/// Gives a request without `Host`, which HTTP/1.0 allows, the address it came to: rules, redirects and the target see it.
pub(crate) fn ensure_host(fields: &mut Fields, connection: &Connection, listener_port: &str) {
    if fields.contains("host") {
        return;
    }
    let ip = match connection.local.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    fields.push("host", if has_default_port(listener_port) { ip } else { format!("{ip}:{listener_port}") });
}

/// Makes a client's fields those of the request to the target (ALB user guide, "HTTP headers and Application Load
/// Balancers"). All that goes, goes in one pass; what replaces it is added at the end.
///
/// Servers that pass fields on as variables (CGI, WSGI) do not tell `X_Forwarded_For` from `X-Forwarded-For`, so what is
/// replaced or taken away is so in both spellings. `Host` goes whatever `Connection` says of it.
///
/// New values that depend on what came are put together in `scratch`, which is there for every request of a core.
pub(crate) fn rewrite_request(
    fields: &mut Fields,
    connection: &Connection,
    settings: &ListenerSettings,
    random: &Random,
    scratch: &mut Vec<u8>,
) {
    scratch.clear();
    let host = part(scratch, |out| !settings.preserves_host && write_host(out, fields, &settings.port));
    let forwarded_for =
        part(scratch, |out| write_forwarded_for(out, fields, connection, settings.forwarded_for));
    let trace_start = scratch.len();
    write_trace_id(scratch, fields, random);
    let named = named_by_connection(fields);
    // Then the target is told so (RFC 9110 §10.1.4).
    let takes_trailers = fields.lists("te", "trailers");
    let keeps_forwarded_for = settings.forwarded_for == ForwardedFor::Preserve;
    fields.retain(|name, _| {
        if is(name, "host") {
            return host.is_none();
        }
        let is_replaced = is_of_client(name, settings.client_fields.as_deref())
            || (TOLD.have(name) && !(keeps_forwarded_for && is(name, "x-forwarded-for")));
        let is_invalid = settings.drops_invalid_fields
            && !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        !is_replaced && !is_invalid && !is_hop_by_hop(name, &named)
    });
    if let Some(host) = host {
        fields.push("host", &scratch[host]);
    }
    if let Some(forwarded_for) = forwarded_for {
        fields.push("x-forwarded-for", &scratch[forwarded_for]);
    }
    fields.push("x-forwarded-proto", if connection.is_tls() { "https" } else { "http" });
    fields.push("x-forwarded-port", &settings.port);
    fields.push("x-amzn-trace-id", &scratch[trace_start..]);
    if takes_trailers {
        fields.push("te", "trailers");
    }
    if let (Some(told), Some(session)) = (&settings.client_fields, &connection.tls) {
        told.tell(session, fields);
    }
}

/// Makes the fields behind a client's body those behind the request's to the target: what a load balancer tells of a request is
/// told once, before it.
pub(crate) fn rewrite_trailers(fields: &mut Fields, told: Option<&ClientFields>) {
    fields.retain(|name, _| !is_of_client(name, told) && !TOLD.have(name));
}

/// Whether a field tells of a client or its connection, which only a load balancer may.
fn is_of_client(name: &[u8], told: Option<&ClientFields>) -> bool {
    let begins = |family: &&str| {
        let start = name.get(..family.len());
        start.is_some_and(|start| is(start, family))
    };
    CLIENT_FIELD_FAMILIES.iter().any(begins)
        || told.is_some_and(|told| told.names().any(|known| is(name, known)))
}

/// Makes a target's fields those of the response to the client. Reasons are a load balancer's to give.
pub(crate) fn rewrite_response(fields: &mut Fields) {
    let named = named_by_connection(fields);
    fields.retain(|name, _| !is(name, respond::REASON_FIELD) && !is_hop_by_hop(name, &named));
}

/// Whether a request asks for WebSocket on its connection, the one protocol that an ALB goes over to (RFC 6455 §4.1; "WebSocket
/// connections", ALB user guide). One with a body stays a request of HTTP: where the body ends, the two sides could see
/// differently.
pub(crate) fn asks_for_websocket(request: &Request) -> bool {
    request.version == Version::HTTP_11
        && request.method == Method::GET
        && matches!(request.body, Body::Empty)
        && request.fields.lists("connection", "upgrade")
        && request.fields.lists("upgrade", WEBSOCKET)
}

/// What `Upgrade` says of a connection that goes over to WebSocket.
pub(crate) const WEBSOCKET: &str = "websocket";

/// Whether a field is meant by a name: in any case, with `_` for `-`.
pub(crate) fn is(name: &[u8], known: &str) -> bool {
    means_the_same(name, known.as_bytes())
}

fn means_the_same(one: &[u8], other: &[u8]) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| plain(*one) == plain(*other))
}

/// Names that every field is compared with. Nearly all fields differ from all of them in length.
pub(crate) struct Names<const N: usize> {
    names: [&'static str; N],
    /// A bit for each length that one of them has.
    lengths: u32,
}

impl<const N: usize> Names<N> {
    pub(crate) const fn new(names: [&'static str; N]) -> Self {
        let (mut lengths, mut index) = (0, 0);
        while index < N {
            lengths |= 1 << names[index].len();
            index += 1;
        }
        Self { names, lengths }
    }

    /// Whether one of them is meant.
    pub(crate) fn have(&self, name: &[u8]) -> bool {
        let is_as_long = name.len() < 32 && self.lengths >> name.len() & 1 == 1;
        is_as_long && self.names.iter().any(|known| is(name, known))
    }
}

/// What a load balancer tells of every request.
static TOLD: Names<4> =
    Names::new(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"]);

/// Whether a field concerns one connection only (RFC 9110 §7.6.1), or is `Expect`, which is met here already. Fields of
/// framing are written anew for every message; here go those that only look like them.
fn is_hop_by_hop(name: &[u8], named: &[Vec<u8>]) -> bool {
    static HOP_BY_HOP: Names<11> = Names::new([
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]);
    HOP_BY_HOP.have(name) || named.iter().any(|named| means_the_same(name, named))
}

/// The fields that `Connection` names as concerning this connection only.
fn named_by_connection(fields: &Fields) -> Vec<Vec<u8>> {
    let options = fields.all("connection").flat_map(|value| value.split(|byte| *byte == b','));
    let names = options.map(<[u8]>::trim_ascii).filter(|name| {
        !name.is_empty() && !name.eq_ignore_ascii_case(b"close") && !name.eq_ignore_ascii_case(b"keep-alive")
    });
    names.map(<[u8]>::to_vec).collect()
}

/// Whether `Host` names no port.
fn has_default_port(listener_port: &str) -> bool {
    matches!(listener_port, "80" | "443")
}

/// What `write` appends, if it says that it did.
fn part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Range<usize>> {
    let start = out.len();
    write(out).then_some(start..out.len())
}

/// On ports 80 and 443 a port in `Host` goes; on others the listener's port is there. Nothing when it is so already.
fn write_host(out: &mut Vec<u8>, fields: &Fields, listener_port: &str) -> bool {
    let Some(host) = fields.text("host") else { return false };
    let end = end_of_host(host);
    match (end < host.len(), has_default_port(listener_port)) {
        (true, true) => out.extend_from_slice(&host.as_bytes()[..end]),
        (false, false) if !host.is_empty() => {
            out.extend_from_slice(host.as_bytes());
            out.push(b':');
            out.extend_from_slice(listener_port.as_bytes());
        }
        _ => return false,
    }
    true
}

/// The new value of `X-Forwarded-For`, if there is to be one.
fn write_forwarded_for(
    out: &mut Vec<u8>,
    fields: &Fields,
    connection: &Connection,
    mode: ForwardedFor,
) -> bool {
    let ForwardedFor::Append { with_port } = mode else { return false };
    for earlier in fields.all("x-forwarded-for") {
        out.extend_from_slice(earlier);
        out.extend_from_slice(b", ");
    }
    match with_port {
        true => text::push_socket(out, connection.peer),
        false => text::push_ip(out, connection.peer.ip()),
    }
    true
}

/// A trace id longer than this is replaced.
const TRACE_LIMIT: usize = 4096;

/// `X-Amzn-Trace-Id`: a new root, or this hop's own id before the root that came ("Request tracing", ALB user guide).
fn write_trace_id(out: &mut Vec<u8>, fields: &Fields, random: &Random) {
    let earlier = fields.text("x-amzn-trace-id");
    let earlier = earlier.filter(|earlier| earlier.contains("Root=") && earlier.len() < TRACE_LIMIT);
    out.extend_from_slice(if earlier.is_some() { b"Self=1-" } else { b"Root=1-" });
    text::push_hex(out, net::since_epoch().as_secs(), 8);
    out.push(b'-');
    text::push_hex(out, random.next(), 16);
    text::push_hex(out, random.next(), 8);
    for part in earlier.into_iter().flat_map(|earlier| earlier.split(';')).map(str::trim) {
        if !part.starts_with("Self=") {
            out.push(b';');
            out.extend_from_slice(part.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use std::fmt::Write as _;

    fn settings() -> ListenerSettings {
        ListenerSettings {
            port: "80".into(),
            idle_timeout: std::time::Duration::from_secs(60),
            client_keep_alive: std::time::Duration::from_secs(3600),
            forwarded_for: ForwardedFor::Append { with_port: false },
            preserves_host: false,
            drops_invalid_fields: false,
            desync_mode: plan::DesyncMode::Defensive,
            answer_fields: None,
            client_fields: None,
            client_authentication: net::ClientAuthentication::Off,
        }
    }

    #[track_caller]
    fn check(settings: &ListenerSettings, port: u16, fields: &[(&str, &str)], expected: &Expect) {
        let mut all = Fields::new();
        for (name, value) in fields {
            all.push(name, value);
        }
        let peer = "203.0.113.7:50000".parse().unwrap();
        let connection = Connection { peer, local: "127.0.0.1:80".parse().unwrap(), tls: None };
        let settings = ListenerSettings { port: port.to_string(), ..settings.clone() };
        rewrite_request(&mut all, &connection, &settings, &Random::default(), &mut Vec::new());
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
    fn the_context_of_a_trace_goes_on_as_it_came() {
        // W3C Trace Context: whoever takes no part passes both on.
        check(
            &settings(),
            80,
            &[
                ("host", "a"),
                ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                ("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
            ],
            &expect![[r#"
                host: a
                traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
                tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7
                x-forwarded-for: 203.0.113.7
                x-forwarded-proto: http
                x-forwarded-port: 80
                x-amzn-trace-id: Root=1-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            "#]],
        );
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
                ("TE", "gzip, Trailers"),
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
                te: trailers
            "#]],
        );
    }

    #[test]
    fn a_field_that_connection_names_goes_in_none_of_its_spellings_and_host_stays() {
        for options in ["host, x-secret", "HOST,X_Secret", "close, \tHost\t ,, x-SECRET"] {
            check(
                &settings(),
                80,
                &[
                    ("Host", "a"),
                    ("Connection", options),
                    ("X-Secret", "1"),
                    ("x_secret", "2"),
                    ("X-SECRET", "3"),
                    ("X-Secrets", "4"),
                    ("Proxy_Connection", "keep-alive"),
                    ("Content_Length", "5"),
                    ("Transfer_Encoding", "chunked"),
                    ("X_Forwarded_For", "10.0.0.1"),
                    ("X-Amzn-Tls-Version", "SSLv2"),
                    ("x_amzn-mtls_clientcert-subject", "CN=root"),
                    ("x-amzn-mtls-", "a"),
                ],
                &expect![[r#"
                    Host: a
                    X-Secrets: 4
                    x-forwarded-for: 203.0.113.7
                    x-forwarded-proto: http
                    x-forwarded-port: 80
                    x-amzn-trace-id: Root=1-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
                "#]],
            );
        }
    }

    #[test]
    fn a_request_without_host_gets_the_address_it_came_to() {
        let host = |local: &str, port: &str, fields: &[(&str, &str)]| {
            let mut all = Fields::new();
            for (name, value) in fields {
                all.push(name, value);
            }
            let peer = "203.0.113.7:50000".parse().unwrap();
            let connection = Connection { peer, local: local.parse().unwrap(), tls: None };
            ensure_host(&mut all, &connection, port);
            assert_eq!(all.all("host").count(), 1);
            all.text("host").unwrap().to_owned()
        };
        assert_eq!(host("127.77.0.2:8080", "80", &[]), "127.77.0.2");
        assert_eq!(host("127.77.0.2:8080", "8080", &[]), "127.77.0.2:8080");
        assert_eq!(host("[::1]:443", "443", &[]), "[::1]");
        assert_eq!(host("127.77.0.2:80", "80", &[("HOST", "a")]), "a");
    }

    #[test]
    fn a_target_does_not_give_the_load_balancer_s_reasons() {
        let mut fields = Fields::new();
        for name in ["X-Forebay-Reason", "x_forebay_reason", "X-A", "X-Hop", "Connection"] {
            fields.push(name, "x-hop");
        }
        rewrite_response(&mut fields);
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), [b"X-A"]);
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
    fn no_trailer_says_what_a_load_balancer_tells_of_a_client() {
        let mut balancer = crate::header_modification::tests::load_balancer();
        balancer.attributes.set(plan::attributes::TLS_FIELDS, "true").unwrap();
        let mut listener = plan::Listener::new(443, plan::Protocol::Https);
        let renamed = "routing.http.request.x_amzn_tls_version.header_name";
        listener.attributes.set(renamed, "client-tls").unwrap();
        let told = ClientFields::of(&balancer, &listener);
        let mut fields = Fields::new();
        for name in ["Client_TLS", "x-amzn-tls-kx", "X-Amzn-Mtls-Clientcert", "x-checksum", "x-forwarded-for"]
        {
            fields.push(name, "a");
        }
        rewrite_trailers(&mut fields, told.as_ref());
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), [b"x-checksum"]);
    }
}
