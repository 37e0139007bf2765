//! Annotations and labels of our own.

/// On a Service: `everything` says that any request may be repeated at another target.
pub(crate) const REPLAY: &str = "forebay.dev/replay";
/// On whatever starts replicas: the folder of the file it was read from, where relative paths start. It stands on the
/// object itself, never in its template: where a file lay makes no other replica of it.
pub const BASE_DIRECTORY: &str = "forebay.dev/base-directory";
/// What each client that applies on the server has applied; the embedded API keeps it.
const APPLIED: &str = "forebay.dev/applied";
/// Label of a Service that only shows an address.
pub(crate) const SYNTHETIC: &str = "forebay.dev/synthetic";

/// The annotations.
pub(super) const KEYS: &[&str] = &[APPLIED, BASE_DIRECTORY, REPLAY];
