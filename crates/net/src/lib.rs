//! Sockets, HTTP connections, per-core runtimes and graceful drain.
//!
//! Whoever answers requests implements [`Handler`] and is run by [`serve`]. This crate knows nothing of load balancers,
//! models or Kubernetes, and nothing of what a handler does.
//!
//! Connections live on one thread from accept to close, so nothing here is `Send` and nothing is locked.

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
mod rejection;
mod server;
mod stay;
mod stream;
mod tls;
mod upgrade;

pub use body::{Body, BodyError, BodyStream, CollectError};
pub use budget::{Budget, Grant, Hoard, NoRoom};
pub use bytes::{Bytes, BytesMut};
pub use clock::recently;
pub use connect::{ConnectError, connect};
pub use cores::{n_cores, runtime, spawn_core};
pub use drain::{Drain, DrainWatch};
pub use fields::Fields;
pub use gate::{Crowding, Gate};
pub use h1::client::ClientConnection;
pub use h1::client::upgrade::Switch;
pub use h2::client::Http2Connection;
pub use handler::Handler;
pub use http::{Method, StatusCode, Version};
pub use limits::{Amount, Limit, LimitError, Limits};
pub use listener::{BindError, bind, port_owner};
pub use message::{Connection, End, LOADING, Request, Response, Sent, Target, WhenSent};
pub use outgoing::{Outgoing, SendError};
pub use rejection::Rejection;
pub use server::{LiveLimits, accept, serve, serve_tls};
pub use stay::{Place, Stay, make_room};
pub use stream::Stream;
pub use tls::{
    ACME_TLS, Authorities, Certificates, ClientTls, HandshakeFailure, Identity, KeyRing, LiveTls, ServerTls,
    Shown, TlsError, TlsSettings, TlsVersion, shown_by,
};
pub use upgrade::{Upgrade, Upgraded};

/// What the fuzz targets run, and the tests with them.
#[doc(hidden)]
pub mod fuzzing {
    use crate::h1::chunked::ChunkedDecoder;
    use crate::h1::framing::Piece;
    use crate::h1::head::{HeadScan, parse_request, parse_response};
    use crate::h1::io::Buffer;

    /// Any bytes are the head of a request, of a response, or refused; what passes is written with one framing field.
    pub fn heads(bytes: &[u8]) {
        if let Ok(Some(end)) = HeadScan::default().find_end(bytes) {
            if let Ok(head) = parse_request(&bytes[..end], 100) {
                assert!(
                    !head.fields.contains("content-length") || !head.fields.contains("transfer-encoding")
                );
                assert!(head.fields.all("host").count() <= 1);
            }
            let _ = parse_response(&bytes[..end]);
        }
    }

    /// Any bytes are chunks or refused, and never more data than there are bytes.
    pub fn chunked(bytes: &[u8]) {
        let (mut decoder, mut buffer) = (ChunkedDecoder::new(), Buffer::default());
        buffer.extend(bytes);
        let mut n_bytes = 0;
        while let Ok(Piece::Data(data)) = decoder.take(&mut buffer) {
            n_bytes += data.len();
        }
        assert!(n_bytes <= bytes.len());
    }
}
