//! Service (`v1`).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::wire::{IntOrString, Kept, NoEffect};

/// A Service.
#[derive(Debug, Deserialize)]
pub(crate) struct Service {
    pub(crate) spec: ServiceSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ServiceSpec {
    #[serde(rename = "type")]
    pub(crate) service_type: ServiceType,
    pub(crate) selector: BTreeMap<String, String>,
    pub(crate) ports: Vec<ServicePort>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Kept,
    pub(crate) ip_families: Vec<IpFamily>,
    pub(crate) external_traffic_policy: Option<String>,
    pub(crate) health_check_node_port: Option<u16>,
    pub(crate) load_balancer_class: Option<String>,
    pub(crate) load_balancer_source_ranges: Vec<String>,
    pub(crate) publish_not_ready_addresses: bool,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Kept,
    ip_family_policy: Kept,
    internal_traffic_policy: Kept,
    session_affinity: Kept,
    session_affinity_config: NoEffect,
    allocate_load_balancer_node_ports: Kept,
    #[serde(rename = "loadBalancerIP")]
    load_balancer_ip: NoEffect,
    #[serde(rename = "externalIPs")]
    external_ips: NoEffect,
    external_name: NoEffect,
    traffic_distribution: NoEffect,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum ServiceType {
    #[default]
    ClusterIP,
    NodePort,
    LoadBalancer,
    ExternalName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum IpFamily {
    IPv4,
    IPv6,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    pub(crate) name: Option<String>,
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) protocol: TransportProtocol,
    pub(crate) target_port: Option<IntOrString>,
    #[serde(default)]
    pub(crate) node_port: u16,
    #[serde(default, rename = "appProtocol")]
    _app_protocol: Kept,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TransportProtocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

// === impl ServicePort ===

impl ServicePort {
    /// The port of the pods, when it is a number; `targetPort` defaults to `port`.
    pub(crate) fn target_number(&self) -> Option<u16> {
        match &self.target_port {
            None => Some(self.port),
            Some(IntOrString::Int(number)) => u16::try_from(*number).ok(),
            Some(IntOrString::String(name)) => name.parse().ok(),
        }
    }
}
