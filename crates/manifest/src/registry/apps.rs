//! What keeps pods.

use serde_json::{Map, Value, json};

use super::columns::{
    AGE, Column, NAME, column, container_images, container_names, count, number, selector, wide,
};
use super::fill::{fields, set_missing};
use super::pod_spec::fill_pod_spec;
use super::{ALL, Kind, Pods, SCALED, fixed, namespaced};
use crate::kinds::validation::numbers::{INT32, Or, REPLICAS, number as bounded};
use crate::kinds::validation::{Rules, pods};
use crate::{Object, Objects};

const APPS: &str = "apps";
const TEMPLATE: Pods = Pods::Spec("spec.template.spec");

pub(super) static DEPLOYMENT: Kind = Kind {
    short_names: &["deploy"],
    categories: ALL,
    subresources: SCALED,
    columns: DEPLOYMENT_COLUMNS,
    fill,
    fixed: &[fixed("/spec/selector", "spec.selector", "field is immutable")],
    pods: TEMPLATE,
    rules: Rules {
        required: &["spec.selector", "spec.template.spec.containers"],
        numbers: &[
            bounded("spec.replicas", 0, REPLICAS),
            bounded("spec.minReadySeconds", 0, INT32),
            bounded("spec.revisionHistoryLimit", 0, INT32),
            bounded("spec.progressDeadlineSeconds", 0, INT32),
            bounded("spec.strategy.rollingUpdate.maxSurge", 0, INT32).or(Or::Percentage),
            bounded("spec.strategy.rollingUpdate.maxUnavailable", 0, INT32).or(Or::Percentage),
        ],
        words: &[
            ("spec.strategy.type", &["Recreate", "RollingUpdate"]),
            ("spec.template.spec.restartPolicy", &["Always"]),
        ],
        check: |deployment, found| {
            pods::check_selector(deployment, found);
            pods::check_strategy(deployment, found);
        },
        ..Rules::NONE
    },
    ..namespaced(APPS, "v1", "Deployment", "deployments")
};

pub(super) static REPLICA_SET: Kind = Kind {
    short_names: &["rs"],
    categories: ALL,
    subresources: SCALED,
    columns: REPLICA_SET_COLUMNS,
    fields: &["status.replicas"],
    ..namespaced(APPS, "v1", "ReplicaSet", "replicasets")
};

const DEPLOYMENT_COLUMNS: &[Column] = &[
    NAME,
    column("Ready", |deployment, _| {
        let (spec, status) = (&deployment.value["spec"], &deployment.value["status"]);
        json!(format!("{}/{}", number(&status["readyReplicas"]), number(&spec["replicas"])))
    }),
    count("Up-to-date", |deployment, _| json!(number(&deployment.value["status"]["updatedReplicas"]))),
    count("Available", |deployment, _| json!(number(&deployment.value["status"]["availableReplicas"]))),
    AGE,
    wide("Containers", |deployment, _| container_names(&deployment.value["spec"]["template"]["spec"])),
    wide("Images", |deployment, _| container_images(&deployment.value["spec"]["template"]["spec"])),
    wide("Selector", |deployment, _| selector(&deployment.value["spec"]["selector"])),
];

const REPLICA_SET_COLUMNS: &[Column] = &[
    NAME,
    count("Desired", |set, _| json!(number(&set.value["spec"]["replicas"]))),
    count("Current", |set, _| json!(number(&set.value["status"]["replicas"]))),
    count("Ready", |set, _| json!(number(&set.value["status"]["readyReplicas"]))),
    AGE,
    wide("Containers", |set, _| container_names(&set.value["spec"]["template"]["spec"])),
    wide("Images", |set, _| container_images(&set.value["spec"]["template"]["spec"])),
    wide("Selector", |set, _| selector(&set.value["spec"]["selector"])),
];

/// Deployments roll by quarters.
fn fill(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let Some(spec) = object.value.as_object_mut().and_then(|deployment| fields(deployment, "spec")) else {
        return;
    };
    set_missing(
        spec,
        [
            ("replicas", json!(1)),
            ("revisionHistoryLimit", json!(10)),
            ("progressDeadlineSeconds", json!(600)),
        ],
    );
    if let Some(strategy) = fields(spec, "strategy") {
        fill_strategy(strategy);
    }
    if let Some(pod_spec) = fields(spec, "template").and_then(|template| fields(template, "spec")) {
        fill_pod_spec(pod_spec);
    }
}

fn fill_strategy(strategy: &mut Map<String, Value>) {
    set_missing(strategy, [("type", json!("RollingUpdate"))]);
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling_update) = fields(strategy, "rollingUpdate")
    {
        set_missing(rolling_update, [("maxSurge", json!("25%")), ("maxUnavailable", json!("25%"))]);
    }
}
