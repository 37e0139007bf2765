//! What an Ingress, or the Service behind it, says about a target group.

use super::values::{boolean, port, string_map};
use super::{Annotation, Apply, On, words};

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "target-type",
        on: On::IngressAndService,
        example: "ip",
        doc: "How AWS addresses the targets: through their node, or directly.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.target_type = Some(words::target_type(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "target-node-labels",
        on: On::IngressAndService,
        example: "pool=web",
        doc: "there is one node on one machine.",
        apply: Apply::Nothing,
    },
    Annotation {
        key: "backend-protocol",
        on: On::IngressAndService,
        example: "HTTP",
        doc: "What is spoken with the targets.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.backend_protocol =
                Some(words::backend_protocol("alb.ingress.kubernetes.io/backend-protocol", input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "backend-protocol-version",
        on: On::IngressAndService,
        example: "HTTP1",
        doc: "Which HTTP is spoken with the targets.",
        apply: Apply::TargetGroup(|settings, input| {
            let key = "alb.ingress.kubernetes.io/backend-protocol-version";
            settings.protocol_version = Some(words::backend_protocol_version(key, input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "target-group-attributes",
        on: On::IngressAndService,
        example: "deregistration_delay.timeout_seconds=30",
        doc: "Attributes of the target groups.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.attributes = string_map(input.text)?;
            Ok(())
        }),
    },
    Annotation {
        key: "target-control-port.<Service>.<Port>",
        on: On::IngressAndService,
        example: "3000",
        doc: "Has targets take as many requests at a time as the ALBTargetControlConfig of their namespace says.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.control_ports.insert(input.parameter.to_owned(), port(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "multi-cluster-target-group",
        on: On::IngressAndService,
        example: "false",
        doc: "there is one cluster on one machine.",
        apply: Apply::Nothing,
    },
    Annotation {
        key: "tags",
        on: On::IngressAndService,
        example: "Environment=Production,Project=Retail",
        doc: "Tags of what is made from the object.",
        apply: Apply::Tags,
    },
    Annotation {
        key: "use-regex-path-match",
        on: On::Ingress,
        example: "true",
        doc: "Takes paths of type ImplementationSpecific for regular expressions.",
        apply: Apply::Ingress(|settings, input| {
            settings.regex_paths = boolean(input.text)?;
            Ok(())
        }),
    },
];
