//! A Network Load Balancer in front of an Ingress's load balancer: understood, not made here.

use super::{Annotation, Apply, On};

pub(super) const ANNOTATIONS: &[Annotation] = &[
    row("enable-frontend-nlb", "true"),
    row("frontend-nlb-scheme", "internal"),
    row("frontend-nlb-subnets", "subnet-a"),
    row("frontend-nlb-security-groups", "sg-a"),
    row("frontend-nlb-listener-port-mapping", "80=443"),
    row("frontend-nlb-eip-allocations", "eipalloc-a"),
    row("frontend-nlb-attributes", "deletion_protection.enabled=false"),
    row("frontend-nlb-tags", "a=b"),
    row("frontend-nlb-healthcheck-port", "traffic-port"),
    row("frontend-nlb-healthcheck-protocol", "HTTP"),
    row("frontend-nlb-healthcheck-path", "/"),
    row("frontend-nlb-healthcheck-interval-seconds", "15"),
    row("frontend-nlb-healthcheck-timeout-seconds", "5"),
    row("frontend-nlb-healthcheck-healthy-threshold-count", "3"),
    row("frontend-nlb-healthcheck-unhealthy-threshold-count", "3"),
    row("frontend-nlb-healthcheck-success-codes", "200"),
];

const fn row(key: &'static str, example: &'static str) -> Annotation {
    let doc = "no Network Load Balancer is put in front of another load balancer.";
    Annotation { key, on: On::Ingress, example, doc, apply: Apply::Nothing }
}
