//! Annotations and labels of our own.

/// On a Service: `everything` says that any request may be repeated at another target.
pub(crate) const REPLAY: &str = "forebay.dev/replay";
/// On an Ingress or a Service: the Secret whose `ca.crt` says who may vouch for the targets, which are spoken with inside TLS.
pub(crate) const BACKEND_CA_SECRET: &str = "forebay.dev/backend-ca-secret";
/// Beside it: the name that targets have to prove, `<service>.<namespace>.svc` where nothing is said.
pub(crate) const BACKEND_NAME: &str = "forebay.dev/backend-name";
/// On an Ingress or a Service: how many requests a target takes at a time.
pub(crate) const MAX_CONCURRENCY: &str = "forebay.dev/max-concurrency";
/// On an Ingress: `401` for whoever has no secret that a rule asks for in a header, in place of `404`.
pub(crate) const UNAUTHORIZED: &str = "forebay.dev/unauthorized";
/// On whatever starts replicas: the folder of the file it was read from, where relative paths start. It stands on the
/// object itself, never in its template: where a file lay makes no other replica of it.
pub const BASE_DIRECTORY: &str = "forebay.dev/base-directory";
/// What each client that applies on the server has applied; the embedded API keeps it.
const APPLIED: &str = "forebay.dev/applied";
/// Label of a Service that only shows an address.
pub(crate) const SYNTHETIC: &str = "forebay.dev/synthetic";

/// The annotations.
pub(super) const KEYS: &[&str] =
    &[APPLIED, BACKEND_CA_SECRET, BACKEND_NAME, BASE_DIRECTORY, MAX_CONCURRENCY, REPLAY, UNAUTHORIZED];
