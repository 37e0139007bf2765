//! HTTP/1.0 and HTTP/1.1, read strictly and written plainly (RFC 9110, RFC 9112).
//!
//! [`head`], [`chunked`] and [`framing`] decide on byte slices and know no socket; [`server`] and [`client`] are thin
//! loops around them. What could be read in two ways is refused, never guessed: a head that passes here means the same
//! to every other parser.

pub(crate) mod chunked;
pub(crate) mod client;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod io;
mod leaving;
pub(crate) mod server;
pub(crate) mod writer;
