//! Kinds that others have defined, with the columns that they have chosen. Nothing stands where there is nothing.

use serde_json::Value;

use super::columns::{AGE, Column, NAME, PLAIN, column, count, items, wide};
use super::{ALL, Effect, Kind, Pods, STATUS, cluster, namespaced};
use crate::Object;
use crate::kinds::validation::Rules;
use crate::kinds::validation::numbers::{INT32, REPLICAS, number as bounded};

const ELB: &str = "elbv2.k8s.aws";

pub(super) static INFERENCE_SERVICE: Kind = Kind {
    short_names: &["isvc"],
    categories: ALL,
    subresources: STATUS,
    columns: INFERENCE_SERVICE_COLUMNS,
    pods: Pods::Model("spec.predictor"),
    rules: Rules {
        required: &["spec.predictor"],
        numbers: &[
            bounded("spec.predictor.minReplicas", 0, REPLICAS),
            bounded("spec.predictor.maxReplicas", 0, INT32),
            bounded("spec.predictor.canaryTrafficPercent", 0, 100),
            bounded("spec.predictor.terminationGracePeriodSeconds", 0, INT32),
        ],
        ..Rules::NONE
    },
    ..namespaced("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices")
};

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
    effect: Effect::Kept,
    ..namespaced("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors")
};

/// The printer columns of KServe.
const INFERENCE_SERVICE_COLUMNS: &[Column] = &[
    NAME,
    column("URL", |service, _| service.value["status"]["url"].clone()),
    column("Ready", |service, _| {
        let mut conditions = items(&service.value["status"]["conditions"]);
        conditions
            .find(|condition| condition["type"] == "Ready")
            .map_or(Value::Null, |ready| ready["status"].clone())
    }),
    count("Prev", |service, _| previous(service, "percent")),
    count("Latest", |service, _| latest(service, "percent")),
    column("PrevRolledoutRevision", |service, _| previous(service, "revisionName")),
    column("LatestReadyRevision", |service, _| latest(service, "revisionName")),
    AGE,
];

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

fn previous(service: &Object, field: &str) -> Value {
    traffic(service, field, |part| part["tag"] == "prev")
}

fn latest(service: &Object, field: &str) -> Value {
    traffic(service, field, |part| part["latestRevision"] == true)
}

fn traffic(service: &Object, field: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
    let mut parts = items(&service.value["status"]["components"]["predictor"]["traffic"]);
    parts.find(|part| is_meant(part)).map_or(Value::Null, |part| part[field].clone())
}
