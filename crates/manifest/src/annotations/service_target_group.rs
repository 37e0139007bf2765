//! What a Service of type LoadBalancer says about its target groups.

use super::values::{list, port, string_map};
use super::{Annotation, Apply, On, Problem};
use crate::codes;

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "aws-load-balancer-target-group-attributes",
        on: On::Service,
        example: "deregistration_delay.timeout_seconds=30",
        doc: "Attributes of the target groups.",
        apply: Apply::Service(|settings, input| {
            settings.target_group_attributes = string_map(input.text)?;
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-target-group-attributes.<Port>",
        on: On::Service,
        example: "deregistration_delay.timeout_seconds=30",
        doc: "Attributes of the target group of one port; an empty value keeps the general one.",
        apply: Apply::Service(|settings, input| {
            settings.attributes_by_port.insert(port(input.parameter)?, string_map(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-proxy-protocol",
        on: On::Service,
        example: "*",
        doc: "`*` tells all targets the client's address in a PROXY protocol v2 header.",
        apply: Apply::Service(|settings, input| match input.text {
            "*" => {
                settings.proxy_protocol = true;
                Ok(())
            }
            other => {
                let message = format!("`{other}` is not `*`, the only value there is");
                Err(Problem::new(&codes::PROXY_PROTOCOL_INVALID, message))
            }
        }),
    },
    Annotation {
        key: "aws-load-balancer-proxy-protocol-per-target-group",
        on: On::Service,
        example: "80,443",
        doc: "Ports whose targets are told the client's address in a PROXY protocol v2 header.",
        apply: Apply::Service(|settings, input| {
            let ports = list(input.text).iter().map(|item| port(item)).collect::<Result<_, _>>()?;
            settings.proxy_protocol_ports = Some(ports);
            Ok(())
        }),
    },
];
