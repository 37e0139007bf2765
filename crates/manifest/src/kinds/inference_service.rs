//! InferenceService (`serving.kserve.io/v1beta1`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::wire::{Kept, NoEffect};

/// An InferenceService.
#[derive(Debug, Deserialize)]
pub(crate) struct InferenceService {
    pub(crate) spec: InferenceServiceSpec,
}

#[derive(Debug, Deserialize)]
pub(crate) struct InferenceServiceSpec {
    pub(crate) predictor: Predictor,
    pub(crate) transformer: Option<Kept>,
    #[serde(default, rename = "explainer")]
    _explainer: NoEffect,
    #[serde(default, rename = "canary")]
    _canary: NoEffect,
}

/// What predicts: `model`, a key named after its format, or containers of the user's own.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Predictor {
    pub(crate) model: Option<Model>,
    pub(crate) sklearn: Option<Model>,
    pub(crate) xgboost: Option<Model>,
    pub(crate) lightgbm: Option<Model>,
    pub(crate) onnx: Option<Model>,
    pub(crate) tensorflow: Option<Kept>,
    pub(crate) pytorch: Option<Kept>,
    pub(crate) triton: Option<Kept>,
    pub(crate) huggingface: Option<Kept>,
    pub(crate) pmml: Option<Kept>,
    pub(crate) paddle: Option<Kept>,
    /// Kept as written: they go into the Deployment, which is checked when it is run.
    pub(crate) containers: Vec<Value>,
    pub(crate) worker_spec: Option<Kept>,
    pub(crate) min_replicas: Option<u32>,
    pub(crate) max_replicas: Option<u32>,
    pub(crate) canary_traffic_percent: Option<u32>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) deployment_strategy: Option<Value>,
    container_concurrency: Kept,
    timeout: NoEffect,
    scale_target: NoEffect,
    scale_metric: NoEffect,
    scale_metric_type: NoEffect,
    auto_scaling: NoEffect,
    pub(crate) logger: Option<Logger>,
    pub(crate) batcher: Option<Batcher>,
    pub(crate) termination_grace_period_seconds: Option<u32>,
    service_account_name: Kept,
    image_pull_secrets: NoEffect,
    active_deadline_seconds: NoEffect,
    affinity: NoEffect,
    automount_service_account_token: Kept,
    dns_config: NoEffect,
    dns_policy: Kept,
    enable_service_links: Kept,
    host_aliases: NoEffect,
    #[serde(rename = "hostIPC")]
    host_ipc: NoEffect,
    host_network: NoEffect,
    #[serde(rename = "hostPID")]
    host_pid: NoEffect,
    hostname: NoEffect,
    init_containers: NoEffect,
    node_name: NoEffect,
    node_selector: NoEffect,
    preemption_policy: NoEffect,
    priority: NoEffect,
    priority_class_name: NoEffect,
    readiness_gates: NoEffect,
    restart_policy: NoEffect,
    runtime_class_name: NoEffect,
    scheduler_name: Kept,
    security_context: NoEffect,
    service_account: Kept,
    share_process_namespace: NoEffect,
    subdomain: NoEffect,
    tolerations: NoEffect,
    topology_spread_constraints: NoEffect,
    volumes: NoEffect,
}

/// Which requests are predicted together.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Batcher {
    /// Rows.
    pub(crate) max_batch_size: Option<i64>,
    /// Milliseconds.
    pub(crate) max_latency: Option<i64>,
    timeout: NoEffect,
}

/// Where requests and answers are logged to.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Logger {
    pub(crate) url: Option<String>,
    pub(crate) mode: Option<String>,
    metadata_headers: NoEffect,
    metadata_annotations: NoEffect,
    storage: NoEffect,
    batch: NoEffect,
}

/// A model and how it is run.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Model {
    pub(crate) model_format: ModelFormat,
    pub(crate) runtime: Option<String>,
    pub(crate) storage_uri: Option<String>,
    pub(crate) storage_uris: Option<Kept>,
    pub(crate) storage: Option<Kept>,
    /// Parts of the container, as written.
    pub(crate) env: Vec<Value>,
    pub(crate) env_from: Vec<Value>,
    pub(crate) resources: Option<Value>,
    pub(crate) readiness_probe: Option<Value>,
    pub(crate) liveness_probe: Option<Value>,
    pub(crate) startup_probe: Option<Value>,
    protocol_version: Kept,
    runtime_version: Kept,
    name: Kept,
    pub(crate) args: Vec<String>,
    image: NoEffect,
    image_pull_policy: Kept,
    ports: NoEffect,
    command: NoEffect,
    lifecycle: NoEffect,
    security_context: NoEffect,
    stdin: NoEffect,
    termination_message_path: Kept,
    termination_message_policy: Kept,
    tty: NoEffect,
    volume_devices: NoEffect,
    volume_mounts: NoEffect,
    working_dir: NoEffect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ModelFormat {
    pub(crate) name: String,
    version: Kept,
}
