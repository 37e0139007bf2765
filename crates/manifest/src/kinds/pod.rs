//! Pod (`v1`) and Deployment (`apps/v1`), which asks for several.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::metadata::Metadata;
use super::selector::Selector;
use crate::wire::{IntOrString, Kept, NoEffect, Quantity};

/// More replicas than this are a mistake on one machine.
pub(crate) const MAX_REPLICAS: u32 = 200;

/// A Deployment.
#[derive(Debug, Deserialize)]
pub(crate) struct Deployment {
    pub(crate) spec: DeploymentSpec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeploymentSpec {
    pub(crate) replicas: Option<u32>,
    #[serde(rename = "selector")]
    _selector: Selector,
    pub(crate) template: Template,
    #[serde(default)]
    pub(crate) strategy: Strategy,
    #[serde(default)]
    pub(crate) min_ready_seconds: u32,
    #[serde(default, rename = "revisionHistoryLimit")]
    _revision_history_limit: Kept,
    #[serde(default, rename = "progressDeadlineSeconds")]
    _progress_deadline_seconds: Kept,
    #[serde(default)]
    pub(crate) paused: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Strategy {
    #[serde(rename = "type")]
    pub(crate) strategy_type: StrategyType,
    pub(crate) rolling_update: RollingUpdate,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum StrategyType {
    Recreate,
    #[default]
    RollingUpdate,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RollingUpdate {
    pub(crate) max_surge: Option<IntOrString>,
    pub(crate) max_unavailable: Option<IntOrString>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Template {
    #[serde(default)]
    pub(crate) metadata: Metadata,
    pub(crate) spec: PodSpec,
}

/// A Pod.
#[derive(Debug, Deserialize)]
pub(crate) struct Pod {
    pub(crate) spec: PodSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSpec {
    pub(crate) containers: Vec<Container>,
    pub(crate) init_containers: Vec<Kept>,
    pub(crate) termination_grace_period_seconds: Option<u32>,
    pub(crate) restart_policy: RestartPolicy,
    pub(crate) active_deadline_seconds: Option<u32>,
    affinity: NoEffect,
    automount_service_account_token: Kept,
    dns_config: NoEffect,
    dns_policy: Kept,
    enable_service_links: Kept,
    ephemeral_containers: NoEffect,
    host_aliases: NoEffect,
    #[serde(rename = "hostIPC")]
    host_ipc: NoEffect,
    host_network: NoEffect,
    #[serde(rename = "hostPID")]
    host_pid: NoEffect,
    host_users: NoEffect,
    hostname: NoEffect,
    image_pull_secrets: NoEffect,
    node_name: Kept,
    node_selector: NoEffect,
    os: NoEffect,
    overhead: NoEffect,
    preemption_policy: Kept,
    priority: Kept,
    priority_class_name: NoEffect,
    readiness_gates: NoEffect,
    resource_claims: NoEffect,
    runtime_class_name: NoEffect,
    scheduler_name: Kept,
    scheduling_gates: NoEffect,
    security_context: Kept,
    service_account: Kept,
    pub(crate) service_account_name: Option<String>,
    set_hostname_as_fqdn: NoEffect,
    share_process_namespace: NoEffect,
    subdomain: NoEffect,
    tolerations: Kept,
    topology_spread_constraints: NoEffect,
    volumes: NoEffect,
}

/// Whether containers of a pod that end are started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum RestartPolicy {
    /// Always.
    #[default]
    Always,
    /// Where they did not end well.
    OnFailure,
    /// Never.
    Never,
}

/// A container of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) command: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<EnvVar>,
    pub(crate) env_from: Vec<EnvFrom>,
    pub(crate) ports: Vec<ContainerPort>,
    pub(crate) resources: Resources,
    pub(crate) startup_probe: Option<Probe>,
    pub(crate) readiness_probe: Option<Probe>,
    pub(crate) liveness_probe: Option<Probe>,
    image_pull_policy: Kept,
    lifecycle: NoEffect,
    resize_policy: NoEffect,
    restart_policy: NoEffect,
    security_context: NoEffect,
    pub(crate) stdin: bool,
    pub(crate) stdin_once: bool,
    termination_message_path: Kept,
    termination_message_policy: Kept,
    tty: NoEffect,
    volume_devices: NoEffect,
    volume_mounts: NoEffect,
    working_dir: NoEffect,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) value: String,
    pub(crate) value_from: Option<ValueFrom>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ValueFrom {
    pub(crate) config_map_key_ref: Option<KeyRef>,
    pub(crate) secret_key_ref: Option<KeyRef>,
    pub(crate) field_ref: Option<FieldRef>,
    resource_field_ref: NoEffect,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeyRef {
    pub(crate) name: String,
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FieldRef {
    pub(crate) field_path: String,
    #[serde(default, rename = "apiVersion")]
    _api_version: Kept,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EnvFrom {
    pub(crate) prefix: String,
    pub(crate) config_map_ref: Option<ObjectName>,
    pub(crate) secret_ref: Option<ObjectName>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ObjectName {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerPort {
    pub(crate) name: Option<String>,
    pub(crate) container_port: u16,
    #[serde(default, rename = "protocol")]
    _protocol: Kept,
    #[serde(default, rename = "hostPort")]
    _host_port: NoEffect,
    #[serde(default, rename = "hostIP")]
    _host_ip: NoEffect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Resources {
    pub(crate) limits: BTreeMap<String, Quantity>,
    requests: Kept,
    claims: NoEffect,
}

/// A probe; what is not said has Kubernetes' defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Probe {
    pub(crate) http_get: Option<HttpGet>,
    pub(crate) tcp_socket: Option<TcpSocket>,
    pub(crate) exec: Option<Exec>,
    pub(crate) grpc: Option<Grpc>,
    pub(crate) initial_delay_seconds: Option<u32>,
    pub(crate) period_seconds: Option<u32>,
    pub(crate) timeout_seconds: Option<u32>,
    pub(crate) success_threshold: Option<u32>,
    pub(crate) failure_threshold: Option<u32>,
    termination_grace_period_seconds: NoEffect,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HttpGet {
    pub(crate) port: IntOrString,
    #[serde(default)]
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) scheme: String,
    #[serde(default)]
    pub(crate) http_headers: Vec<Header>,
    #[serde(default, rename = "host")]
    _host: NoEffect,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TcpSocket {
    pub(crate) port: IntOrString,
    #[serde(default, rename = "host")]
    _host: NoEffect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Exec {
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Grpc {
    pub(crate) port: IntOrString,
    #[serde(default, rename = "service")]
    _service: Kept,
}
