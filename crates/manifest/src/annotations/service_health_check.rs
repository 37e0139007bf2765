//! What a Service of type LoadBalancer says about the health checks of its target groups.

use plan::Protocol;

use super::health_check::{path, port_setting};
use super::values::{count, one_of};
use super::{Annotation, Apply, On};

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "aws-load-balancer-healthcheck-port",
        on: On::Service,
        example: "traffic-port",
        doc: "Port that is asked: the one of the traffic, a number, or a name of the Service's.",
        apply: Apply::Service(|settings, input| {
            settings.health_check.port = Some(port_setting(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-healthcheck-protocol",
        on: On::Service,
        example: "http",
        doc: "What is spoken in a health check; tcp is a connection only.",
        apply: Apply::Service(|settings, input| {
            let protocols = [("tcp", Protocol::Tcp), ("http", Protocol::Http), ("https", Protocol::Https)];
            let protocol = one_of(&input.text.to_ascii_lowercase(), &protocols)?;
            settings.health_check.protocol = Some(protocol);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-healthcheck-path",
        on: On::Service,
        example: "/healthz",
        doc: "Path that is asked.",
        apply: Apply::Service(|settings, input| {
            settings.health_check.path = Some(path(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-healthcheck-interval",
        on: On::Service,
        example: "10",
        doc: "Seconds between two checks of one target.",
        apply: Apply::Service(|settings, input| {
            settings.health_check.interval_seconds = Some(count(input.text, 5..=300)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-healthcheck-timeout",
        on: On::Service,
        example: "6",
        doc: "Seconds that one check may take.",
        apply: Apply::Service(|settings, input| {
            settings.health_check.timeout_seconds = Some(count(input.text, 2..=120)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-healthcheck-healthy-threshold",
        on: On::Service,
        example: "3",
        doc: "Successes in a row that make an unhealthy target healthy.",
        apply: Apply::Service(|settings, input| {
            settings.health_check.healthy_threshold = Some(count(input.text, 2..=10)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-healthcheck-unhealthy-threshold",
        on: On::Service,
        example: "3",
        doc: "Failures in a row that make a healthy target unhealthy.",
        apply: Apply::Service(|settings, input| {
            settings.health_check.unhealthy_threshold = Some(count(input.text, 2..=10)?);
            Ok(())
        }),
    },
    Annotation {
        key: "aws-load-balancer-healthcheck-success-codes",
        on: On::Service,
        example: "200-399",
        doc: "Status codes that count as success.",
        apply: Apply::Service(|settings, input| {
            settings.health_check.success_codes = Some(input.text.trim().to_owned());
            Ok(())
        }),
    },
];
