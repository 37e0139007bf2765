//! Health checks, with nothing left to a default.

use std::time::Duration;

use plan::{CodeSet, HealthCheck, HealthCheckPort, Matcher, Protocol, ProtocolVersion, TargetType};

use super::world::Backend;
use crate::annotations::{HealthCheckPortSetting, HealthCheckSettings};
use crate::codes;
use crate::finding::Code;
use crate::kinds::service::ServicePort;

/// The check that AWS makes, and the one to make where nothing listens on node ports, when that is another.
pub(super) struct Checks {
    pub(super) aws: HealthCheck,
    pub(super) pods: Option<HealthCheck>,
}

/// What a check of one target group depends on besides what is written about it.
pub(super) struct About<'a> {
    pub(super) backend: &'a Backend,
    pub(super) port: &'a ServicePort,
    pub(super) target_type: TargetType,
}

/// What is wrong with a check: about which setting, as its annotation ends.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) code: &'static Code,
    pub(super) setting: Setting,
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Port,
    SuccessCodes,
}

/// Status codes that a check may count as success.
const HTTP_CODES: std::ops::RangeInclusive<u16> = 200..=499;
/// The same for a Network Load Balancer.
const NETWORK_HTTP_CODES: std::ops::RangeInclusive<u16> = 200..=599;
const GRPC_CODES: std::ops::RangeInclusive<u16> = 0..=99;

/// The check of a target group of an Application Load Balancer.
pub(super) fn application(
    settings: &HealthCheckSettings,
    about: &About<'_>,
    protocol: Protocol,
    version: ProtocolVersion,
) -> Result<Checks, Wrong> {
    let is_grpc = version == ProtocolVersion::Grpc;
    let (path, codes, allowed) =
        if is_grpc { ("/AWS.ALB/healthcheck", "12", GRPC_CODES) } else { ("/", "200", HTTP_CODES) };
    let codes = code_set(settings.success_codes.as_deref().unwrap_or(codes), allowed)?;
    let check = |port| HealthCheck {
        protocol: settings.protocol.unwrap_or(protocol),
        port,
        path: Some(settings.path.clone().unwrap_or_else(|| path.to_owned())),
        interval: seconds(settings.interval_seconds, 15),
        timeout: seconds(settings.timeout_seconds, 5),
        healthy_threshold: settings.healthy_threshold.unwrap_or(2),
        unhealthy_threshold: settings.unhealthy_threshold.unwrap_or(2),
        matcher: if is_grpc { Matcher::Grpc(codes.clone()) } else { Matcher::Http(codes.clone()) },
    };
    let (aws, pods) = ports(settings, about)?;
    Ok(Checks { aws: check(aws), pods: pods.map(check) })
}

/// The check of a target group of a Network Load Balancer. `follows_intent`: a path means that it is to be asked for.
pub(super) fn network(
    settings: &HealthCheckSettings,
    about: &About<'_>,
    follows_intent: bool,
) -> Result<Checks, Wrong> {
    let is_local = about.target_type == TargetType::Instance
        && about.backend.spec.external_traffic_policy.as_deref() == Some("Local");
    let default_protocol = match (is_local, &settings.path) {
        (false, Some(_)) if follows_intent => Protocol::Http,
        (false, _) => Protocol::Tcp,
        (true, _) => Protocol::Http,
    };
    let protocol = settings.protocol.unwrap_or(default_protocol);
    let codes = settings.success_codes.as_deref().unwrap_or("200-399");
    let codes = code_set(codes, NETWORK_HTTP_CODES)?;
    let (default_path, timeout, threshold) = if is_local { ("/healthz", 6, 2) } else { ("/", 10, 3) };
    let is_connection = protocol == Protocol::Tcp;
    let path = settings.path.clone().unwrap_or_else(|| default_path.to_owned());
    let check = |port| HealthCheck {
        protocol,
        port,
        path: (!is_connection).then(|| path.clone()),
        interval: seconds(settings.interval_seconds, 10),
        timeout: seconds(settings.timeout_seconds, timeout),
        healthy_threshold: settings.healthy_threshold.unwrap_or(threshold),
        unhealthy_threshold: settings.unhealthy_threshold.unwrap_or(threshold),
        matcher: if is_connection { Matcher::Connection } else { Matcher::Http(codes.clone()) },
    };
    if is_local && settings.port.is_none() {
        // AWS asks the node whether it has pods. Where there is no node to ask, a pod that takes connections is one.
        let node_port = about.backend.spec.health_check_node_port;
        let aws = check(node_port.map_or(HealthCheckPort::TrafficPort, HealthCheckPort::Port));
        let says_how = settings.protocol.is_some() || settings.path.is_some();
        let pods = match says_how {
            true => check(HealthCheckPort::TrafficPort),
            false => HealthCheck {
                protocol: Protocol::Tcp,
                path: None,
                matcher: Matcher::Connection,
                ..check(HealthCheckPort::TrafficPort)
            },
        };
        return Ok(Checks { aws, pods: Some(pods) });
    }
    let (aws, pods) = ports(settings, about)?;
    Ok(Checks { aws: check(aws), pods: pods.map(check) })
}

/// The port that AWS asks, and the one to ask at the pods themselves if that is another.
fn ports(
    settings: &HealthCheckSettings,
    about: &About<'_>,
) -> Result<(HealthCheckPort, Option<HealthCheckPort>), Wrong> {
    let name = match &settings.port {
        None | Some(HealthCheckPortSetting::Traffic) => return Ok((HealthCheckPort::TrafficPort, None)),
        Some(HealthCheckPortSetting::Number(number)) => return Ok((HealthCheckPort::Port(*number), None)),
        Some(HealthCheckPortSetting::Name(name)) => name,
    };
    let wrong =
        |message: String| Wrong { code: &codes::HEALTHCHECK_PORT_UNKNOWN, setting: Setting::Port, message };
    let service = &about.backend.object.name;
    let Some(port) = about.backend.port_name(name) else {
        return Err(wrong(format!("Service `{service}` has no port named `{name}`")));
    };
    let is_traffic = port.port == about.port.port;
    let pod_port = match port.target_number() {
        Some(number) => HealthCheckPort::Port(number),
        None if is_traffic => HealthCheckPort::TrafficPort,
        None => {
            let message = format!(
                "port `{name}` of Service `{service}` has a targetPort by name, which a check cannot follow"
            );
            return Err(wrong(message));
        }
    };
    Ok(match (about.target_type, port.node_port) {
        (TargetType::Instance, node_port @ 1..) => (HealthCheckPort::Port(node_port), Some(pod_port)),
        _ => (pod_port, None),
    })
}

fn code_set(written: &str, allowed: std::ops::RangeInclusive<u16>) -> Result<CodeSet, Wrong> {
    CodeSet::parse(written, allowed).map_err(|error| Wrong {
        code: &codes::ANNOTATION_INVALID,
        setting: Setting::SuccessCodes,
        message: error.to_string(),
    })
}

fn seconds(written: Option<u32>, default: u32) -> Duration {
    Duration::from_secs(written.unwrap_or(default).into())
}
