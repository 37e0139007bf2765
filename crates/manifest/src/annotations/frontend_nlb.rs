//! A Network Load Balancer in front of an Ingress's load balancer: its listeners are open at another address, too.

use super::values::{boolean, port, string_map};
use super::{Annotation, Apply, On};

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "enable-frontend-nlb",
        on: On::Ingress,
        example: "true",
        doc: "Whether a Network Load Balancer with an address of its own leads to the load balancer.",
        apply: Apply::Ingress(|settings, input| {
            settings.has_frontend_nlb = Some(boolean(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "frontend-nlb-listener-port-mapping",
        on: On::Ingress,
        example: "80=443",
        doc: "Ports of the Network Load Balancer in front, and the port of the listener that each leads to.",
        apply: Apply::Ingress(|settings, input| {
            for (from, to) in string_map(input.text)? {
                settings.frontend_ports.insert(port(&from)?, port(&to)?);
            }
            Ok(())
        }),
    },
    row("frontend-nlb-scheme", "internal"),
    row("frontend-nlb-subnets", "subnet-a"),
    row("frontend-nlb-security-groups", "sg-a"),
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
    let doc = "the load balancer itself answers at the address of the one in front of it, and nothing is between them.";
    Annotation { key, on: On::Ingress, example, doc, apply: Apply::Nothing }
}
