//! What a proxy tells of its client before it passes bytes on ("The PROXY protocol", versions 1 and 2, W. Tarreau).
//!
//! Pure: bytes in, who the client is out. A header that is cut is asked more of, and one that could be two things is none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The proxy speaks for itself, or of somebody who has no address here: the connection is its own.
    Local,
    /// The proxy speaks for this client, who had connected to that address.
    Client {
        /// The client.
        client: SocketAddr,
        /// Where it had connected to.
        destination: SocketAddr,
    },
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY header: {0}")]
pub struct HeaderError(pub &'static str);

/// How version 2 begins (§2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// How version 1 begins (§2.1).
const TEXT: &[u8] = b"PROXY ";

/// The longest line of version 1, its end included (§2.1).
const LONGEST_LINE: usize = 107;

/// Bytes of version 2 before the addresses.
const FIXED: usize = 16;

/// The longest header of version 2 that is read: addresses, and what proxies tell besides.
pub const LONGEST: usize = 4096;

/// Reads the header at the beginning of bytes: what it says, and how long it is; nothing while it is not all there.
///
/// # Errors
/// When that is no header, as soon as it can be told.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    if begins_with(bytes, &SIGNATURE) {
        return if bytes.len() < FIXED { Ok(None) } else { parse_binary(bytes) };
    }
    if begins_with(bytes, TEXT) {
        return parse_text(bytes);
    }
    Err(HeaderError("it begins with neither version"))
}

/// The header of version 2 for a client of a proxy that it had connected to.
#[must_use]
pub fn write(client: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut header = Vec::with_capacity(FIXED + 36);
    header.extend_from_slice(&SIGNATURE);
    match (client.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend_from_slice(&[PROXY, TCP_OVER_IPV4, 0, 12]);
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
        }
        (from, to) => {
            header.extend_from_slice(&[PROXY, TCP_OVER_IPV6, 0, 36]);
            header.extend_from_slice(&in_ipv6(from).octets());
            header.extend_from_slice(&in_ipv6(to).octets());
        }
    }
    header.extend_from_slice(&client.port().to_be_bytes());
    header.extend_from_slice(&destination.port().to_be_bytes());
    header
}

/// The header of version 2 of a proxy that speaks for itself, as it does in health checks.
#[must_use]
pub fn write_local() -> Vec<u8> {
    [SIGNATURE.as_slice(), &[LOCAL, UNSPECIFIED, 0, 0]].concat()
}

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Whether bytes, as far as they are there, begin so.
fn begins_with(bytes: &[u8], beginning: &[u8]) -> bool {
    let n_bytes = bytes.len().min(beginning.len());
    bytes[..n_bytes] == beginning[..n_bytes]
}

/// Reads version 2 (§2.2), of which the fixed part is there.
fn parse_binary(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    let (command, family) = (bytes[12], bytes[13]);
    let length = FIXED + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if command != LOCAL && command != PROXY {
        return Err(HeaderError("its version or its command is unknown"));
    }
    if length > LONGEST {
        return Err(HeaderError("it is longer than 4 KiB"));
    }
    let n_address_bytes = match (command, family) {
        (PROXY, TCP_OVER_IPV4) => 12,
        (PROXY, TCP_OVER_IPV6) => 36,
        // Other families, and what has none, leave the connection as it is (§2.2).
        _ => 0,
    };
    if length < FIXED + n_address_bytes {
        return Err(HeaderError("it is shorter than its addresses"));
    }
    let Some(rest) = bytes.get(FIXED..length) else { return Ok(None) };
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let header = match n_address_bytes {
        12 => {
            let ip = |at: usize| Ipv4Addr::new(rest[at], rest[at + 1], rest[at + 2], rest[at + 3]);
            Header::Client {
                client: SocketAddr::new(ip(0).into(), port(8)),
                destination: SocketAddr::new(ip(4).into(), port(10)),
            }
        }
        36 => {
            let ip = |at: usize| {
                let octets: [u8; 16] = std::array::from_fn(|index| rest[at + index]);
                Ipv6Addr::from(octets)
            };
            Header::Client {
                client: SocketAddr::new(IpAddr::from(ip(0)).to_canonical(), port(32)),
                destination: SocketAddr::new(IpAddr::from(ip(16)).to_canonical(), port(34)),
            }
        }
        _ => Header::Local,
    };
    Ok(Some((header, length)))
}

/// Reads version 1 (§2.1).
fn parse_text(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    let window = &bytes[..bytes.len().min(LONGEST_LINE)];
    let Some(end) = window.windows(2).position(|two| two == b"\r\n") else {
        let is_too_long = bytes.len() >= LONGEST_LINE;
        let has_control = window.iter().take(window.len().saturating_sub(1)).any(u8::is_ascii_control);
        return if is_too_long || has_control { Err(HeaderError("its line does not end")) } else { Ok(None) };
    };
    let line = std::str::from_utf8(&window[..end]).map_err(|_| HeaderError("its line is no ASCII"))?;
    let mut words = line.split(' ').skip(1);
    let header = match words.next() {
        Some("UNKNOWN") => Header::Local,
        Some(family @ ("TCP4" | "TCP6")) => {
            let mut word = || words.next().ok_or(HeaderError("an address is missing"));
            let (from, to, from_port, to_port) = (word()?, word()?, word()?, word()?);
            if words.next().is_some() {
                return Err(HeaderError("there is more than two addresses"));
            }
            Header::Client {
                client: SocketAddr::new(ip_of(family, from)?, port_of(from_port)?),
                destination: SocketAddr::new(ip_of(family, to)?, port_of(to_port)?),
            }
        }
        _ => return Err(HeaderError("its family is unknown")),
    };
    Ok(Some((header, end + 2)))
}

fn ip_of(family: &str, text: &str) -> Result<IpAddr, HeaderError> {
    let ip = match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        _ => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
    };
    ip.ok_or(HeaderError("an address is none of its family"))
}

/// A port as the protocol writes it: no sign, no leading zeros.
fn port_of(text: &str) -> Result<u16, HeaderError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(HeaderError("a port is none"))
}

fn in_ipv6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<Option<(&str, usize)>, &'static str>) {
        let read = parse(bytes).map_err(|error| error.0);
        let shown = read.map(|header| {
            header.map(|(header, length)| match header {
                Header::Local => ("local".to_owned(), length),
                Header::Client { client, destination } => (format!("{client} to {destination}"), length),
            })
        });
        assert_eq!(shown, expected.map(|header| header.map(|(text, length)| (text.to_owned(), length))));
    }

    #[test]
    fn version_1_is_a_line() {
        check(
            b"PROXY TCP4 192.0.2.1 198.51.100.9 5000 80\r\nGET",
            Ok(Some(("192.0.2.1:5000 to 198.51.100.9:80", 43))),
        );
        check(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", Ok(Some(("[2001:db8::1]:1 to [::1]:65535", 36))));
        check(b"PROXY UNKNOWN\r\n", Ok(Some(("local", 15))));
        check(b"PROXY UNKNOWN ffff:f...f:ffff 1 2\r\n", Ok(Some(("local", 35))));
        for cut in [&b""[..], b"PR", b"PROXY TCP4 192.0.2.1", b"PROXY UNKNOWN\r"] {
            check(cut, Ok(None));
        }
        for (line, problem) in [
            (&b"GET / HTTP/1.1\r\n"[..], "it begins with neither version"),
            (b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", "its family is unknown"),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "an address is missing"),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", "there is more than two addresses"),
            (b"PROXY TCP4 ::1 2.2.2.2 1 2\r\n", "an address is none of its family"),
            (b"PROXY TCP4 1.1.1.1  2.2.2.2 1\r\n", "a port is none"),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "a port is none"),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", "a port is none"),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n", "a port is none"),
            (b"PROXY TCP4 1.1.1.1\nx", "its line does not end"),
        ] {
            check(line, Err(problem));
        }
        check(&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100]].concat(), Err("its line does not end"));
    }

    #[test]
    fn version_2_is_binary() {
        let written = write("192.0.2.1:5000".parse().unwrap(), "198.51.100.9:80".parse().unwrap());
        check(&written, Ok(Some(("192.0.2.1:5000 to 198.51.100.9:80", 28))));
        let (client, to) = ("[2001:db8::1]:1".parse().unwrap(), "[::1]:65535".parse().unwrap());
        check(&write(client, to), Ok(Some(("[2001:db8::1]:1 to [::1]:65535", 52))));
        check(&write_local(), Ok(Some(("local", 16))));
        for cut in 0..written.len() {
            check(&written[..cut], Ok(None));
        }
        let with = |command: u8, family: u8, length: [u8; 2]| {
            [SIGNATURE.as_slice(), &[command, family], &length, &[0; 40]].concat()
        };
        check(&with(0x21, 0x11, [0, 11]), Err("it is shorter than its addresses"));
        check(&with(0x21, 0x21, [0, 12]), Err("it is shorter than its addresses"));
        check(&with(0x11, 0x11, [0, 12]), Err("its version or its command is unknown"));
        check(&with(0x22, 0x11, [0, 12]), Err("its version or its command is unknown"));
        check(&with(0x21, 0x11, [0xff, 0xff]), Err("it is longer than 4 KiB"));
        // Sockets of Unix, datagrams, and what follows the addresses.
        check(&with(0x21, 0x31, [0, 2]), Ok(Some(("local", 18))));
        check(&with(0x21, 0x12, [0, 12]), Ok(Some(("local", 28))));
        check(&with(0x21, 0x11, [0, 20]), Ok(Some(("0.0.0.0:0 to 0.0.0.0:0", 36))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..3u8) {
            let beginning: &[u8] = match kind { 0 => &[], 1 => &SIGNATURE, _ => TEXT };
            crate::fuzzing::proxy_protocol(&[beginning, &bytes].concat());
        }
    }
}
