//! IngressClass (`networking.k8s.io/v1`) and the AWS controller's parameters for one (`elbv2.k8s.aws/v1beta1`).

use serde::Deserialize;

use super::selector::Selector;
use crate::wire::{IntOrString, Kept, NoEffect};

/// An IngressClass.
#[derive(Debug, Deserialize)]
pub(crate) struct IngressClass {
    pub(crate) spec: IngressClassSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct IngressClassSpec {
    pub(crate) controller: String,
    pub(crate) parameters: Option<Parameters>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    pub(crate) kind: String,
    pub(crate) name: String,
    api_group: Kept,
    namespace: Kept,
    scope: Kept,
}

impl IngressClass {
    /// The name of its IngressClassParams, if it has some.
    pub(crate) fn params(&self) -> Option<&str> {
        let parameters = self.spec.parameters.as_ref()?;
        (parameters.kind == "IngressClassParams").then_some(&*parameters.name)
    }
}

/// IngressClassParams: what all Ingresses of a class have, whatever their annotations say.
#[derive(Debug, Deserialize)]
pub(crate) struct IngressClassParams {
    #[serde(default)]
    pub(crate) spec: IngressClassParamsSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct IngressClassParamsSpec {
    pub(crate) load_balancer_name: Option<String>,
    pub(crate) group: Option<Group>,
    pub(crate) scheme: Option<String>,
    #[serde(rename = "inboundCIDRs")]
    pub(crate) inbound_cidrs: Vec<String>,
    #[serde(rename = "certificateArn")]
    pub(crate) certificate_arns: Vec<String>,
    pub(crate) ssl_policy: Option<String>,
    pub(crate) ssl_redirect_port: Option<IntOrString>,
    pub(crate) subnets: Option<Subnets>,
    pub(crate) ip_address_type: Option<String>,
    pub(crate) tags: Vec<Pair>,
    pub(crate) target_type: Option<String>,
    pub(crate) load_balancer_attributes: Vec<Pair>,
    pub(crate) listeners: Vec<Listener>,
    #[serde(rename = "prefixListsIDs", alias = "PrefixListsIDs")]
    pub(crate) prefix_lists: Vec<String>,
    #[serde(rename = "wafv2AclArn")]
    pub(crate) web_acl_arn: Option<String>,
    #[serde(rename = "wafv2AclName")]
    pub(crate) web_acl_name: Option<String>,
    pub(crate) minimum_load_balancer_capacity: Option<Capacity>,
    pub(crate) namespace_selector: Option<Selector>,
    ipam_configuration: NoEffect,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Subnets {
    pub(crate) ids: Vec<String>,
    tags: NoEffect,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pair {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listener {
    pub(crate) protocol: String,
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) listener_attributes: Vec<Pair>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Capacity {
    pub(crate) capacity_units: u32,
}
