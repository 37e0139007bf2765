//! Annotations and labels of our own that are not about what is done to requests ([`super::handling`]). Each is read
//! where it is followed.

use super::{Annotation, Apply, On};

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
/// On an Ingress, or a Service that is a load balancer: the zone that traffic is shifted away from.
pub(crate) const ZONAL_SHIFT: &str = "forebay.dev/zonal-shift";
/// Beside it: until when.
pub(crate) const ZONAL_SHIFT_UNTIL: &str = "forebay.dev/zonal-shift-until";
/// On the template of pods: the zones that they are spread over.
pub(crate) const ZONES: &str = "forebay.dev/zones";
/// On whatever starts replicas: the folder of the file it was read from, where relative paths start. It stands on the
/// object itself, never in its template: where a file lay makes no other replica of it.
pub const BASE_DIRECTORY: &str = "forebay.dev/base-directory";
/// Label of a Service that only shows an address.
pub(crate) const SYNTHETIC: &str = "forebay.dev/synthetic";

/// The annotations.
pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "backend-ca-secret",
        on: On::Ours("Ingress, Service"),
        example: "ca",
        doc: "The Secret whose `ca.crt` says who may vouch for the targets, which are spoken with inside TLS.",
        apply: Apply::Elsewhere,
    },
    Annotation {
        key: "backend-name",
        on: On::Ours("Ingress, Service"),
        example: "api.mlops.svc",
        doc: "Beside `backend-ca-secret`: the name that targets have to prove, `<service>.<namespace>.svc` where \
              nothing is said.",
        apply: Apply::Elsewhere,
    },
    Annotation {
        key: "base-directory",
        on: On::Ours("Deployment, InferenceService"),
        example: "/srv/models",
        doc: "The folder in which relative paths start; `forebay` writes it for objects that it reads from files.",
        apply: Apply::Elsewhere,
    },
    Annotation {
        key: "max-concurrency",
        on: On::Ours("Ingress, Service"),
        example: "4",
        doc: "How many requests a target takes at a time, 1 to 1000. Others wait for a while.",
        apply: Apply::Elsewhere,
    },
    Annotation {
        key: "replay",
        on: On::Ours("Service"),
        example: "everything",
        doc: "Which requests may be sent to a second target after the first one failed: `everything`, because \
              doing it twice is doing it once, or `idempotent` ones.",
        apply: Apply::Elsewhere,
    },
    Annotation {
        key: "unauthorized",
        on: On::Ours("Ingress"),
        example: "401",
        doc: "What they get who lack a secret that a rule asks for in a header: `401`, or `404` as an ALB says.",
        apply: Apply::Elsewhere,
    },
    Annotation {
        key: "zonal-shift",
        on: On::Ours("Ingress, Service"),
        example: "eu-west-1a",
        doc: "The zone that traffic is shifted away from, where `zonal_shift.config.enabled` allows it.",
        apply: Apply::Elsewhere,
    },
    Annotation {
        key: "zonal-shift-until",
        on: On::Ours("Ingress, Service"),
        example: "2026-12-01T18:00:00Z",
        doc: "Beside `zonal-shift`: when it ends by itself.",
        apply: Apply::Elsewhere,
    },
    Annotation {
        key: "zones",
        on: On::Ours("template of pods"),
        example: "eu-west-1a,eu-west-1b",
        doc: "The zones that new pods are spread over; each carries its own in the label `topology.kubernetes.io/zone`.",
        apply: Apply::Elsewhere,
    },
];
