//! HTTP/2 (RFC 9113). Frames, compression of fields and flow control are the `h2` crate's; what a client may cost, and what
//! a request has to be before anybody sees it, is decided here, and is the same as in HTTP/1.1.

mod messages;
mod meter;
pub(crate) mod server;

/// What a client begins an HTTP/2 connection with (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
