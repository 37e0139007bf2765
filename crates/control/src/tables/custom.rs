//! Kinds that others have defined, with the columns that they have chosen. Nothing stands where there is nothing.

use manifest::Object;
use serde_json::Value;

use super::{AGE, Column, NAME, column, count, items, wide};

/// The printer columns of KServe.
pub(super) const INFERENCE_SERVICE: &[Column] = &[
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
pub(super) const INGRESS_CLASS_PARAMS: &[Column] = &[
    NAME,
    column("GROUP-NAME", |params, _| params.value["spec"]["group"]["name"].clone()),
    column("SCHEME", |params, _| params.value["spec"]["scheme"].clone()),
    column("IP-ADDRESS-TYPE", |params, _| params.value["spec"]["ipAddressType"].clone()),
    AGE,
];

pub(super) const TARGET_GROUP_BINDING: &[Column] = &[
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
