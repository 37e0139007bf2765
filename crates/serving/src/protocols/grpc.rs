//! gRPC as the reference and the metrics name it. It has a port of its own, and is spoken in [`crate::grpc`].

use super::{Protocol, kserve_v1};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "grpc",
    title: "Open Inference Protocol V2 over gRPC",
    doc: "inference.GRPCInferenceService and grpc.health.v1 on a port of their own, when the server is given one.",
    routes: &[],
    refuse: kserve_v1::refuse,
};
