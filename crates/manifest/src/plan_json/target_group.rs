//! Target groups in JSON.

use std::collections::BTreeMap;

use plan::{
    HealthCheck, HealthCheckPort, LoadBalancer, Matcher, ProtocolVersion, ServicePortName, Tags,
    TargetAddressType, TargetGroup, TargetType,
};
use serde::Serialize;

use super::IdJson;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetGroupJson<'a> {
    key: &'a str,
    load_balancer: IdJson<'a>,
    name: &'a str,
    name_generated: bool,
    service: ServiceJson<'a>,
    target_type: &'static str,
    protocol: &'static str,
    protocol_version: Option<&'static str>,
    port: u16,
    ip_address_type: &'static str,
    target_control_port: Option<u16>,
    health_check: HealthCheckJson<'a>,
    attributes: BTreeMap<&'a str, &'a str>,
    explicit_attributes: Vec<&'a str>,
    targets: Vec<TargetJson<'a>>,
    tags: &'a Tags,
}

#[derive(Serialize)]
struct ServiceJson<'a> {
    namespace: &'a str,
    name: &'a str,
    port: PortJson<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PortJson<'a> {
    Number(u16),
    Name(&'a str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthCheckJson<'a> {
    protocol: &'static str,
    port: String,
    path: Option<&'a str>,
    interval_seconds: u64,
    timeout_seconds: u64,
    healthy_threshold_count: u32,
    unhealthy_threshold_count: u32,
    matcher: MatcherJson<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MatcherJson<'a> {
    http_code: Option<&'a str>,
    grpc_code: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetJson<'a> {
    id: String,
    port: u16,
    availability_zone: Option<&'a str>,
}

impl<'a> TargetGroupJson<'a> {
    pub(super) fn all(load_balancer: &'a LoadBalancer) -> impl Iterator<Item = Self> {
        load_balancer.target_groups.by_key().into_iter().map(|group| Self::new(load_balancer, group))
    }

    fn new(load_balancer: &'a LoadBalancer, target_group: &'a TargetGroup) -> Self {
        let targets = target_group.targets.iter().map(|target| TargetJson {
            id: target.address.to_string(),
            port: target.port,
            availability_zone: target.availability_zone.as_deref(),
        });
        Self {
            key: &target_group.key,
            load_balancer: IdJson(&load_balancer.id),
            name: &target_group.name,
            name_generated: target_group.name_generated,
            service: ServiceJson {
                namespace: &target_group.service.namespace,
                name: &target_group.service.name,
                port: match &target_group.service.port {
                    ServicePortName::Number(number) => PortJson::Number(*number),
                    ServicePortName::Name(name) => PortJson::Name(name),
                },
            },
            target_type: match target_group.target_type {
                TargetType::Instance => "instance",
                TargetType::Ip => "ip",
            },
            protocol: target_group.protocol.as_str(),
            protocol_version: target_group.protocol_version.map(|version| match version {
                ProtocolVersion::Http1 => "HTTP1",
                ProtocolVersion::Http2 => "HTTP2",
                ProtocolVersion::Grpc => "GRPC",
            }),
            port: target_group.port,
            ip_address_type: match target_group.ip_address_type {
                TargetAddressType::Ipv4 => "ipv4",
                TargetAddressType::Ipv6 => "ipv6",
            },
            target_control_port: target_group.target_control_port,
            health_check: HealthCheckJson::new(&target_group.health_check),
            attributes: super::resolved(&target_group.attributes),
            explicit_attributes: target_group.attributes.explicit().collect(),
            targets: targets.collect(),
            tags: &target_group.tags,
        }
    }
}

impl<'a> HealthCheckJson<'a> {
    fn new(check: &'a HealthCheck) -> Self {
        let (http_code, grpc_code) = match &check.matcher {
            Matcher::Connection => (None, None),
            Matcher::Http(codes) => (Some(codes.as_str()), None),
            Matcher::Grpc(codes) => (None, Some(codes.as_str())),
        };
        Self {
            protocol: check.protocol.as_str(),
            port: match check.port {
                HealthCheckPort::TrafficPort => "traffic-port".to_owned(),
                HealthCheckPort::Port(port) => port.to_string(),
            },
            path: check.path.as_deref(),
            interval_seconds: check.interval.as_secs(),
            timeout_seconds: check.timeout.as_secs(),
            healthy_threshold_count: check.healthy_threshold,
            unhealthy_threshold_count: check.unhealthy_threshold,
            matcher: MatcherJson { http_code, grpc_code },
        }
    }
}
