//! Annotations and labels of our own.

/// On a Service: `everything` says that any request may be repeated at another target.
pub(crate) const REPLAY: &str = "forebay.dev/replay";
/// On whatever starts replicas: the folder of the file it was read from, where relative paths start.
pub(crate) const BASE_DIRECTORY: &str = "forebay.dev/base-directory";
/// Label of a Service that only shows an address.
pub(crate) const SYNTHETIC: &str = "forebay.dev/synthetic";

/// The annotations.
pub(super) const KEYS: &[&str] = &[BASE_DIRECTORY, REPLAY];
