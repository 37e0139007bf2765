//! HTTP/2 (RFC 9113). Frames, compression of fields and flow control are the `h2` crate's; what the other side may cost, and
//! what a request or an answer has to be before anybody sees it, is decided here, and is the same as in HTTP/1.1.

pub(crate) mod client;
mod failure;
mod incoming;
pub(crate) mod messages;
mod meter;
mod progress;
mod sending;
pub(crate) mod server;

pub use failure::Http2Failure;

/// What a client begins an HTTP/2 connection with (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
