//! Kinds of the AWS Load Balancer Controller and of the Prometheus operator, with the columns that these have chosen. Nothing
//! stands where there is nothing.

use super::columns::{AGE, Column, NAME, PLAIN, column, wide};
use super::{Effect, Kind, STATUS, cluster, namespaced};

const ELB: &str = "elbv2.k8s.aws";

pub(super) static INGRESS_CLASS_PARAMS: Kind = Kind {
    columns: INGRESS_CLASS_PARAMS_COLUMNS,
    ..cluster(ELB, "v1beta1", "IngressClassParams", "ingressclassparams")
};

pub(super) static TARGET_CONTROL_CONFIG: Kind = Kind {
    subresources: STATUS,
    columns: PLAIN,
    ..namespaced(ELB, "v1beta1", "ALBTargetControlConfig", "albtargetcontrolconfigs")
};

pub(super) static TARGET_GROUP_BINDING: Kind = Kind {
    subresources: STATUS,
    columns: TARGET_GROUP_BINDING_COLUMNS,
    effect: Effect::Kept,
    ..namespaced(ELB, "v1beta1", "TargetGroupBinding", "targetgroupbindings")
};

pub(super) static SERVICE_MONITOR: Kind = Kind {
    short_names: &["smon"],
    columns: PLAIN,
    ..namespaced("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors")
};

/// The printer columns of the AWS Load Balancer Controller.
const INGRESS_CLASS_PARAMS_COLUMNS: &[Column] = &[
    NAME,
    column("GROUP-NAME", |params, _| params.value["spec"]["group"]["name"].clone()),
    column("SCHEME", |params, _| params.value["spec"]["scheme"].clone()),
    column("IP-ADDRESS-TYPE", |params, _| params.value["spec"]["ipAddressType"].clone()),
    AGE,
];

const TARGET_GROUP_BINDING_COLUMNS: &[Column] = &[
    NAME,
    column("SERVICE-NAME", |binding, _| binding.value["spec"]["serviceRef"]["name"].clone()),
    column("SERVICE-PORT", |binding, _| binding.value["spec"]["serviceRef"]["port"].clone()),
    column("TARGET-TYPE", |binding, _| binding.value["spec"]["targetType"].clone()),
    wide("ARN", |binding, _| binding.value["spec"]["targetGroupARN"].clone()),
    AGE,
];
