//! gRPC as the reference and the metrics name it. It is spoken in `crate::grpc`.

use super::{Protocol, kserve_v1};

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "grpc",
    title: "Open Inference Protocol V2 over gRPC",
    doc: "inference.GRPCInferenceService and grpc.health.v1, on the same port.",
    routes: &[],
    refuse: kserve_v1::refuse,
};
