//! What a Service of type LoadBalancer says about the load balancer as a whole.

use super::ingress_load_balancer::{capacity_units, load_balancer_name};
use super::values::{boolean, cidrs, list, string_map};
use super::{Annotation, Apply, On, words};

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "aws-load-balancer-type",
        on: On::Service,
        example: "external",
        doc: "Which controller takes the Service on AWS.",
        apply: Apply::Service(|settings, input| {
            settings.controller = Some(input.text.trim().to_owned());
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-nlb-target-type",
        on: On::Service,
        example: "ip",
        doc: "How AWS addresses the targets: through their node, or directly.",
        apply: Apply::Service(|settings, input| {
            settings.target_type = Some(words::target_type(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-name",
        on: On::Service,
        example: "retail-api",
        doc: "Name of the load balancer, at most 32 letters, digits and hyphens.",
        apply: Apply::Service(|settings, input| {
            settings.name = Some(load_balancer_name(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-scheme",
        on: On::Service,
        example: "internet-facing",
        doc: "Who the load balancer is meant for.",
        apply: Apply::Service(|settings, input| {
            settings.scheme = Some(words::scheme(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-internal",
        on: On::Service,
        example: "true",
        doc: "The deprecated form of aws-load-balancer-scheme.",
        apply: Apply::Service(|settings, input| {
            settings.is_internal = Some(boolean(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-ip-address-type",
        on: On::Service,
        example: "dualstack",
        doc: "Address families of the load balancer.",
        apply: Apply::Service(|settings, input| {
            settings.ip_address_type = Some(words::ip_address_type(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-subnets",
        on: On::Service,
        example: "subnet-a,subnet-b",
        doc: "Subnets on AWS; recorded only.",
        apply: Apply::ServiceRecord(|settings, input| {
            settings.subnets = list(input.text);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-attributes",
        on: On::Service,
        example: "load_balancing.cross_zone.enabled=true",
        doc: "Attributes of the load balancer.",
        apply: Apply::Service(|settings, input| {
            settings.attributes = string_map(input.text)?;
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-access-log-enabled",
        on: On::Service,
        example: "true",
        doc: "The deprecated form of the attribute access_logs.s3.enabled.",
        apply: Apply::Service(|settings, input| {
            let value = boolean(input.text)?.to_string();
            settings.winning_attributes.insert("access_logs.s3.enabled".to_owned(), value);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-access-log-s3-bucket-name",
        on: On::Service,
        example: "nlb-logs",
        doc: "The deprecated form of the attribute access_logs.s3.bucket.",
        apply: Apply::Service(|settings, input| {
            let value = input.text.trim().to_owned();
            settings.winning_attributes.insert("access_logs.s3.bucket".to_owned(), value);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-access-log-s3-bucket-prefix",
        on: On::Service,
        example: "nlb",
        doc: "The deprecated form of the attribute access_logs.s3.prefix.",
        apply: Apply::Service(|settings, input| {
            let value = input.text.trim().to_owned();
            settings.winning_attributes.insert("access_logs.s3.prefix".to_owned(), value);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-cross-zone-load-balancing-enabled",
        on: On::Service,
        example: "true",
        doc: "The deprecated form of the attribute load_balancing.cross_zone.enabled.",
        apply: Apply::Service(|settings, input| {
            let value = boolean(input.text)?.to_string();
            settings.winning_attributes.insert("load_balancing.cross_zone.enabled".to_owned(), value);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-additional-resource-tags",
        on: On::Service,
        example: "Environment=Production,Project=Retail",
        doc: "Tags of what is made from the Service.",
        apply: Apply::Service(|settings, input| {
            settings.tags = string_map(input.text)?;
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-minimum-load-balancer-capacity",
        on: On::Service,
        example: "CapacityUnits=100",
        doc: "Reserved capacity on AWS; recorded only.",
        apply: Apply::ServiceRecord(|settings, input| {
            settings.capacity_units = Some(capacity_units(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "load-balancer-source-ranges",
        on: On::Service,
        example: "10.0.0.0/8",
        doc: "Addresses that may connect.",
        apply: Apply::Service(|settings, input| {
            settings.source_ranges = Some(cidrs(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-security-groups",
        on: On::Service,
        example: "sg-a",
        doc: "Security groups of the user's own, which then decide who may connect; recorded only.",
        apply: Apply::ServiceRecord(|settings, input| {
            settings.security_groups = list(input.text);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-security-group-prefix-lists",
        on: On::Service,
        example: "pl-0123",
        doc: "Prefix lists whose addresses may connect.",
        apply: Apply::Service(|settings, input| {
            settings.prefix_lists = list(input.text);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-disable-nlb-sg",
        on: On::Service,
        example: "true",
        doc: "Leaves open who may connect.",
        apply: Apply::Service(|settings, input| {
            settings.no_security_group = boolean(input.text)?;
            Ok(())
        }),
    },
    nothing(
        "aws-load-balancer-eip-allocations",
        "eipalloc-a",
        "there are no elastic addresses on one machine.",
    ),
    nothing(
        "aws-load-balancer-private-ipv4-addresses",
        "10.0.0.5",
        "the address on one machine is a loopback one.",
    ),
    nothing("aws-load-balancer-ipv6-addresses", "fd00::5", "the address on one machine is a loopback one."),
    nothing(
        "aws-load-balancer-manage-backend-security-group-rules",
        "true",
        "there are no security groups on one machine.",
    ),
    nothing(
        "aws-load-balancer-inbound-sg-rules-on-private-link-traffic",
        "on",
        "there is no PrivateLink on one machine.",
    ),
    nothing("aws-load-balancer-enable-icmp-for-path-mtu-discovery", "on", "loopback does not filter ICMP."),
    nothing("aws-load-balancer-target-node-labels", "pool=web", "there is one node on one machine."),
    nothing("aws-load-balancer-multi-cluster-target-group", "false", "there is one cluster on one machine."),
    nothing("aws-load-balancer-quic-enabled-ports", "443", "QUIC is not carried in this build."),
    nothing(
        "aws-load-balancer-enable-prefix-for-ipv6-source-nat",
        "on",
        "nothing is translated on one machine.",
    ),
    nothing(
        "aws-load-balancer-source-nat-ipv6-prefixes",
        "auto_assigned",
        "nothing is translated on one machine.",
    ),
];

const fn nothing(key: &'static str, example: &'static str, doc: &'static str) -> Annotation {
    Annotation { key, on: On::Service, example, doc, apply: Apply::Nothing }
}
