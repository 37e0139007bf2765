//! Sockets, HTTP connections, per-core runtimes and graceful drain.
//!
//! Whoever answers requests implements [`Handler`] and is run by [`serve`]. This crate knows nothing of load balancers,
//! models or Kubernetes, and nothing of what a handler does.
//!
//! Connections live on one thread from accept to close, so nothing here is `Send` and nothing is locked.

mod announced;
mod body;
mod budget;
mod clock;
mod connect;
mod cores;
mod deadline;
pub mod descriptors;
mod drain;
mod fields;
mod gate;
mod h1;
mod h2;
mod handler;
mod limits;
mod listener;
mod message;
mod outgoing;
mod pace;
pub mod proxy_protocol;
mod rejection;
mod scratch;
mod server;
mod socket;
mod stay;
mod stream;
mod tls;
mod trailers;
mod upgrade;

pub use body::{Body, BodyError, BodyStream, CollectError};
pub use budget::{Budget, Grant, Hoard, NoRoom};
pub use bytes::{Bytes, BytesMut};
pub use clock::{http_date, read_http_date, recently, since_epoch};
pub use connect::{ConnectError, connect, connect_saying};
pub use cores::{n_cores, runtime, spawn_core, spawn_thread};
pub use drain::{Drain, DrainWatch};
pub use fields::Fields;
pub use gate::{Crowding, Gate, Neighbour, network_of};
pub use h1::client::ClientConnection;
pub use h1::client::upgrade::Switch;
pub use h1::server::read_request;
pub use h2::Http2Failure;
pub use h2::client::Http2Connection;
pub use handler::Handler;
pub use http::{Method, StatusCode, Version};
pub use limits::{Amount, Limit, LimitError, Limits};
pub use listener::{BindError, bind, bind_udp, port_owner};
pub use message::{Connection, End, LOADING, Request, Response, Sent, Target, WhenSent};
pub use outgoing::{Outgoing, SendError};
pub use rejection::{Refused, Rejection};
pub use server::{LiveLimits, accept, serve, serve_tls};
pub use stay::{Place, Stay, make_room};
pub use stream::Stream;
pub use tls::{
    ACME_TLS, Authorities, Certificates, ClientAuthentication, ClientCertificate, ClientCertificateFacts,
    ClientTls, ClientTrust, HandshakeFailure, Identity, KeyRing, LiveTls, ServerTls, Shown, TlsError,
    TlsOffer, TlsSession, TlsSettings, TlsVersion, shown_by,
};
pub use upgrade::{Upgrade, Upgraded};

/// What the fuzz targets run, and the tests with them.
#[doc(hidden)]
pub mod fuzzing {
    use crate::Limits;
    use crate::h1::chunked::ChunkedDecoder;
    use crate::h1::framing::{Framing, Piece};
    use crate::h1::head::{HeadScan, parse_request, parse_response};
    use crate::h1::io::Buffer;
    use crate::h1::writer::{self, Transfer};
    use crate::h2::messages::RequestFields;

    /// Any bytes are the head of a request, of a response, or refused; what passes is written with one framing field.
    pub fn heads(bytes: &[u8]) {
        if let Ok(Some(end)) = HeadScan::default().find_end(bytes) {
            if let Ok(head) = parse_request(&bytes[..end], &Limits::default()) {
                assert!(
                    !head.fields.contains("content-length") || !head.fields.contains("transfer-encoding")
                );
                assert!(head.fields.all("host").count() <= 1);
            }
            let _ = parse_response(&bytes[..end]);
        }
    }

    /// Any frames of a client, in pieces of any size, are taken in or end their connection; what waits for the client then is
    /// bounded. The first byte is the size of the pieces.
    pub fn http2(bytes: &[u8]) {
        crate::h2::fuzz(bytes);
    }

    /// Any request of HTTP/2 is refused, or it is one request in HTTP/1.1 that says the same. The bytes are its method,
    /// authority, path, and names and values of fields, each ended by 0xff, which stands in none of them.
    pub fn downgrade(bytes: &[u8]) {
        let mut parts = bytes.split(|byte| *byte == 0xff);
        let mut fields = RequestFields::new(&Limits::default());
        fields.field(b":scheme", b"http");
        for name in [b":authority".as_slice(), b":path", b":method"] {
            fields.field(name, parts.next().unwrap_or_default());
        }
        while let Some(name) = parts.next() {
            fields.field(name, parts.next().unwrap_or_default());
        }
        let Ok(asked) = fields.finish() else { return };
        let transfer = asked.length.map_or(Transfer::Chunked, Transfer::Length);
        let mut written = Vec::new();
        let target = asked.target.as_str();
        // The line has the method, too, which was a field of its own.
        let within = Limits { head_fields: 128, request_line_bytes: 65_536, ..Limits::default() };
        writer::request_head(&mut written, &asked.method, target, &asked.fields, transfer);
        assert_eq!(HeadScan::default().find_end(&written).ok().flatten(), Some(written.len()));
        let read = parse_request(&written, &within).expect("what is written can be read");
        assert_eq!((&read.method, read.target.as_str()), (&asked.method, target));
        assert_eq!(read.fields.get("host"), asked.fields.get("host"));
        let framing = asked.length.map_or(Framing::Chunked, Framing::Length);
        assert_eq!(read.framing, framing);
        let n_fields = asked.fields.iter().filter(|(name, _)| !writer::is_framing(name)).count();
        assert_eq!(read.fields.iter().filter(|(name, _)| !writer::is_framing(name)).count(), n_fields);
    }

    /// Any bytes are field blocks of HTTP/2 or refused, and what they say is the same when our encoder says it.
    pub fn hpack(bytes: &[u8]) {
        crate::h2::hpack::fuzz(bytes);
    }

    /// Any bytes are a certificate of a client or none, and what is told of it can stand in a field.
    pub fn client_certificates(bytes: &[u8]) {
        let is_of_field = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let chain = [rustls::pki_types::CertificateDer::from(bytes.to_vec())];
        let Some(certificate) = crate::ClientCertificate::new(&chain) else { return };
        assert!(is_of_field(certificate.leaf_text()));
        if let Some(facts) = certificate.facts() {
            let all = [&facts.serial_number, &facts.issuer, &facts.subject, &facts.validity];
            assert!(all.into_iter().all(|text| is_of_field(text)), "{facts:?}");
        }
    }

    /// Any bytes are a header of the PROXY protocol, the beginning of one, or refused; what comes behind changes nothing.
    pub fn proxy_protocol(bytes: &[u8]) {
        use crate::proxy_protocol::{Header, parse, write};
        let read = parse(bytes);
        if let Ok(Some((header, length))) = read {
            assert!(length <= bytes.len());
            assert_eq!(parse(&bytes[..length]), read);
            assert_eq!(parse(&bytes[..length - 1]), Ok(None));
            if let Header::Client { client, destination } = header {
                let written = write(client, destination);
                let canonical = |address: std::net::SocketAddr| (address.ip().to_canonical(), address.port());
                let again = parse(&written).map(|read| read.map(|(header, _)| header));
                assert!(matches!(again, Ok(Some(Header::Client { client: c, destination: d }))
                    if canonical(c) == canonical(client) && canonical(d) == canonical(destination)));
            }
        }
    }

    /// Any bytes are chunks or refused, and never more data than there are bytes.
    pub fn chunked(bytes: &[u8]) {
        let (mut decoder, mut buffer) = (ChunkedDecoder::new(), Buffer::default());
        buffer.extend(bytes);
        let mut n_bytes = 0;
        let last = loop {
            match decoder.take(&mut buffer) {
                Ok(Piece::Data(data)) => n_bytes += data.len(),
                last => break last,
            }
        };
        assert!(n_bytes <= bytes.len());
        if let Ok(Piece::End(Some(trailers))) = last {
            assert!(!trailers.contains("content-length") && !trailers.contains("host"));
            assert!(trailers.iter().all(|(name, value)| name.len() + value.len() < bytes.len()));
            assert!(trailers.iter().all(|(_, value)| !value.iter().any(|byte| b"\r\n\0".contains(byte))));
        }
    }
}
