//! What an Ingress, or the Service behind it, says about the health checks of a target group.

use super::settings::HealthCheckPortSetting;
use super::values::{count, port};
use super::{Annotation, Apply, On, Problem, words};

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "healthcheck-port",
        on: On::IngressAndService,
        example: "traffic-port",
        doc: "Port that is asked: the one of the traffic, a number, or a name of the Service's.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.health_check.port = Some(port_setting(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "healthcheck-protocol",
        on: On::IngressAndService,
        example: "HTTP",
        doc: "What is spoken in a health check.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.health_check.protocol = Some(words::http_protocol(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "healthcheck-path",
        on: On::IngressAndService,
        example: "/healthz",
        doc: "Path that is asked.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.health_check.path = Some(path(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "healthcheck-interval-seconds",
        on: On::IngressAndService,
        example: "15",
        doc: "Seconds between two checks of one target.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.health_check.interval_seconds = Some(count(input.text, 5..=300)?);
            Ok(())
        }),
    },
    Annotation {
        key: "healthcheck-timeout-seconds",
        on: On::IngressAndService,
        example: "5",
        doc: "Seconds that one check may take.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.health_check.timeout_seconds = Some(count(input.text, 2..=120)?);
            Ok(())
        }),
    },
    Annotation {
        key: "healthy-threshold-count",
        on: On::IngressAndService,
        example: "2",
        doc: "Successes in a row that make an unhealthy target healthy.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.health_check.healthy_threshold = Some(count(input.text, 2..=10)?);
            Ok(())
        }),
    },
    Annotation {
        key: "unhealthy-threshold-count",
        on: On::IngressAndService,
        example: "2",
        doc: "Failures in a row that make a healthy target unhealthy.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.health_check.unhealthy_threshold = Some(count(input.text, 2..=10)?);
            Ok(())
        }),
    },
    Annotation {
        key: "success-codes",
        on: On::IngressAndService,
        example: "200-299",
        doc: "Status codes that count as success.",
        apply: Apply::TargetGroup(|settings, input| {
            settings.health_check.success_codes = Some(input.text.trim().to_owned());
            Ok(())
        }),
    },
];

/// `traffic-port`, a number, or a name.
pub(super) fn port_setting(text: &str) -> Result<HealthCheckPortSetting, Problem> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Ok(match text {
        "traffic-port" => HealthCheckPortSetting::Traffic,
        number if is_number => HealthCheckPortSetting::Number(port(number)?),
        "" => return Err("it is empty".to_owned().into()),
        name => HealthCheckPortSetting::Name(name.to_owned()),
    })
}

/// A path that a check can ask for: absolute, visible ASCII, at most 1024 characters.
pub(super) fn path(text: &str) -> Result<String, Problem> {
    let path = text.trim();
    let is_good =
        path.starts_with('/') && path.len() <= 1024 && path.bytes().all(|byte| byte.is_ascii_graphic());
    is_good
        .then(|| path.to_owned())
        .ok_or_else(|| format!("`{path}` is not a path that begins with `/`").into())
}
