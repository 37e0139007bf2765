//! ALBTargetControlConfig (`elbv2.k8s.aws/v1beta1`): how many requests a target takes at a time. What else it says is for the agent
//! that AWS puts beside a target to count them, and nobody here needs that one.

use serde::Deserialize;

use crate::wire::Kept;

/// An ALBTargetControlConfig.
#[derive(Debug, Deserialize)]
pub(crate) struct TargetControlConfig {
    #[serde(default)]
    pub(crate) spec: TargetControlConfigSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TargetControlConfigSpec {
    /// 0 to 1000; 0 is as many as come.
    pub(crate) max_concurrency: Option<u32>,
    image: Kept,
    data_address: Kept,
    control_address: Kept,
    destination_address: Kept,
    tls_cert_path: Kept,
    tls_key_path: Kept,
    tls_security_policy: Kept,
    protocol_version: Kept,
    rust_log: Kept,
    resources: Kept,
}
