//! What keeps pods.

use serde_json::{Map, Value, json};

use super::columns::{
    AGE, CONTAINERS, Column, IMAGES, NAME, NONE, column, count, items, labels, number, selector, text_or,
    wide,
};
use super::fill::{fields, set_missing};
use super::pod_spec::fill_pod_spec;
use super::{ALL, CORE, Fixed, Kind, Pods, SCALED, STATUS, fixed, namespaced, says_otherwise};
use crate::kinds::validation::numbers::{INT32, Number, Or, REPLICAS, number as bounded};
use crate::kinds::validation::words::Word;
use crate::kinds::validation::{Rules, Violation, pods};
use crate::{Object, Objects};

const APPS: &str = "apps";
const TEMPLATE: Pods = Pods::Spec("spec.template.spec");

pub(super) static DEPLOYMENT: Kind = Kind {
    short_names: &["deploy"],
    categories: ALL,
    subresources: SCALED,
    columns: DEPLOYMENT_COLUMNS,
    fill,
    fixed: SELECTOR,
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
        words: &[ALWAYS],
        check: |deployment, found| {
            check_set(deployment, found);
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
    fill: fill_set,
    fixed: SELECTOR,
    pods: TEMPLATE,
    rules: SET_RULES,
    ..namespaced(APPS, "v1", "ReplicaSet", "replicasets")
};

pub(super) static REPLICATION_CONTROLLER: Kind = Kind {
    short_names: &["rc"],
    categories: ALL,
    subresources: SCALED,
    columns: REPLICATION_CONTROLLER_COLUMNS,
    fields: &["status.replicas"],
    fill: fill_set,
    pods: TEMPLATE,
    rules: Rules {
        required: &["spec.template.spec.containers"],
        numbers: SET_NUMBERS,
        words: &[ALWAYS],
        check: check_deadline,
        ..Rules::NONE
    },
    ..namespaced(CORE, "v1", "ReplicationController", "replicationcontrollers")
};

pub(super) static STATEFUL_SET: Kind = Kind {
    short_names: &["sts"],
    categories: ALL,
    subresources: SCALED,
    columns: STATEFUL_SET_COLUMNS,
    fill: fill_stateful_set,
    change: check_stateful_set,
    pods: TEMPLATE,
    rules: SET_RULES,
    ..namespaced(APPS, "v1", "StatefulSet", "statefulsets")
};

pub(super) static DAEMON_SET: Kind = Kind {
    short_names: &["ds"],
    categories: ALL,
    subresources: STATUS,
    columns: DAEMON_SET_COLUMNS,
    fill: fill_daemon_set,
    fixed: SELECTOR,
    pods: TEMPLATE,
    rules: SET_RULES,
    ..namespaced(APPS, "v1", "DaemonSet", "daemonsets")
};

pub(super) static CONTROLLER_REVISION: Kind = Kind {
    columns: CONTROLLER_REVISION_COLUMNS,
    fixed: &[fixed("/data", "data", "field is immutable")],
    ..namespaced(APPS, "v1", "ControllerRevision", "controllerrevisions")
};

const SELECTOR: &[Fixed] = &[fixed("/spec/selector", "spec.selector", "field is immutable")];
const ALWAYS: Word = ("spec.template.spec.restartPolicy", &["Always"]);
const SET_NUMBERS: &[Number] = &[
    bounded("spec.replicas", 0, REPLICAS),
    bounded("spec.minReadySeconds", 0, INT32),
    bounded("spec.revisionHistoryLimit", 0, INT32),
];
const SET_RULES: Rules = Rules {
    required: &["spec.selector", "spec.template.spec.containers"],
    numbers: SET_NUMBERS,
    words: &[ALWAYS],
    check: check_set,
    ..Rules::NONE
};

/// Sets select the pods of their template, which run until somebody ends them.
fn check_set(set: &Value, found: &mut Vec<Violation>) {
    pods::check_selector(set, found);
    check_deadline(set, found);
}

fn check_deadline(set: &Value, found: &mut Vec<Violation>) {
    if !set["spec"]["template"]["spec"]["activeDeadlineSeconds"].is_null() {
        let kind = match text_or(&set["kind"], "") {
            "Deployment" => "ReplicaSet",
            kind => kind,
        };
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        found.push(Violation::forbidden("spec.template.spec.activeDeadlineSeconds", &why));
    }
}

const DESIRED: Column = count("Desired", |set, _| json!(number(&set.value["spec"]["replicas"])));
const CURRENT: Column = count("Current", |set, _| json!(number(&set.value["status"]["replicas"])));
const READY: Column = count("Ready", |set, _| json!(number(&set.value["status"]["readyReplicas"])));
const SELECTED: Column = wide("Selector", |set, _| selector(&set.value["spec"]["selector"]));

const DEPLOYMENT_COLUMNS: &[Column] = &[
    NAME,
    column("Ready", |deployment, _| {
        let (spec, status) = (&deployment.value["spec"], &deployment.value["status"]);
        json!(format!("{}/{}", number(&status["readyReplicas"]), number(&spec["replicas"])))
    }),
    count("Up-to-date", |deployment, _| json!(number(&deployment.value["status"]["updatedReplicas"]))),
    count("Available", |deployment, _| json!(number(&deployment.value["status"]["availableReplicas"]))),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTED,
];

const REPLICA_SET_COLUMNS: &[Column] = &[NAME, DESIRED, CURRENT, READY, AGE, CONTAINERS, IMAGES, SELECTED];

const REPLICATION_CONTROLLER_COLUMNS: &[Column] = &[
    NAME,
    DESIRED,
    CURRENT,
    READY,
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", |set, _| labels(&set.value["spec"]["selector"])),
];

const STATEFUL_SET_COLUMNS: &[Column] = &[
    NAME,
    column("Ready", |set, _| {
        let (spec, status) = (&set.value["spec"], &set.value["status"]);
        json!(format!("{}/{}", number(&status["readyReplicas"]), number(&spec["replicas"])))
    }),
    AGE,
    CONTAINERS,
    IMAGES,
];

const DAEMON_SET_COLUMNS: &[Column] = &[
    NAME,
    count("Desired", |set, _| json!(number(&set.value["status"]["desiredNumberScheduled"]))),
    count("Current", |set, _| json!(number(&set.value["status"]["currentNumberScheduled"]))),
    count("Ready", |set, _| json!(number(&set.value["status"]["numberReady"]))),
    count("Up-to-date", |set, _| json!(number(&set.value["status"]["updatedNumberScheduled"]))),
    count("Available", |set, _| json!(number(&set.value["status"]["numberAvailable"]))),
    column("Node Selector", |set, _| labels(&set.value["spec"]["template"]["spec"]["nodeSelector"])),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTED,
];

const CONTROLLER_REVISION_COLUMNS: &[Column] = &[
    NAME,
    column("Controller", |revision, _| {
        let mut owners = items(&revision.value["metadata"]["ownerReferences"]);
        let controller = owners.find(|owner| owner["controller"] == true);
        json!(controller.map_or(NONE.to_owned(), named))
    }),
    count("Revision", |revision, _| json!(number(&revision.value["revision"]))),
    AGE,
];

/// `statefulset.apps/db`
fn named(owner: &Value) -> String {
    let group = text_or(&owner["apiVersion"], "").split_once('/').map_or("", |(group, _)| group);
    let kind = text_or(&owner["kind"], "").to_ascii_lowercase();
    let name = text_or(&owner["name"], "");
    if group.is_empty() { format!("{kind}/{name}") } else { format!("{kind}.{group}/{name}") }
}

/// Sets have one replica unless told otherwise, and the labels of their template where they have none.
fn fill_set(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let is_old = object.kind.group.is_empty();
    let Some(value) = object.value.as_object_mut() else { return };
    let template_labels = value.get("spec").map(|spec| spec["template"]["metadata"]["labels"].clone());
    let template_labels = template_labels.filter(Value::is_object);
    if let (Some(labels), Some(metadata)) = (&template_labels, fields(value, "metadata")) {
        set_missing(metadata, [("labels", labels.clone())]);
    }
    let Some(spec) = fields(value, "spec") else { return };
    set_missing(spec, [("replicas", json!(1))]);
    if let (true, Some(labels)) = (is_old, template_labels) {
        set_missing(spec, [("selector", labels)]);
    }
    fill_template(spec);
}

fn fill_stateful_set(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let Some(spec) = object.value.as_object_mut().and_then(|set| fields(set, "spec")) else { return };
    set_missing(
        spec,
        [
            ("replicas", json!(1)),
            ("podManagementPolicy", json!("OrderedReady")),
            ("revisionHistoryLimit", json!(10)),
            ("serviceName", json!("")),
            (
                "persistentVolumeClaimRetentionPolicy",
                json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
            ),
        ],
    );
    if let Some(strategy) = fields(spec, "updateStrategy") {
        set_missing(strategy, [("type", json!("RollingUpdate"))]);
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = fields(strategy, "rollingUpdate")
        {
            set_missing(rolling, [("partition", json!(0))]);
        }
    }
    fill_template(spec);
}

fn fill_daemon_set(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let Some(spec) = object.value.as_object_mut().and_then(|set| fields(set, "spec")) else { return };
    set_missing(spec, [("revisionHistoryLimit", json!(10))]);
    if let Some(strategy) = fields(spec, "updateStrategy") {
        set_missing(strategy, [("type", json!("RollingUpdate"))]);
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = fields(strategy, "rollingUpdate")
        {
            set_missing(rolling, [("maxSurge", json!(0)), ("maxUnavailable", json!(1))]);
        }
    }
    fill_template(spec);
}

fn fill_template(spec: &mut Map<String, Value>) {
    if let Some(pod_spec) = fields(spec, "template").and_then(|template| fields(template, "spec")) {
        fill_pod_spec(pod_spec);
    }
}

/// Of a StatefulSet little may change.
fn check_stateful_set(new: &Value, old: &Value, found: &mut Vec<Violation>) {
    const FREE: &[&str] = &[
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fields = new["spec"].as_object().into_iter().flatten();
    let mut kept = fields.filter(|(field, _)| !FREE.contains(&field.as_str()));
    if kept.any(|(field, value)| says_otherwise(value, &old["spec"][field])) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
            'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are \
            forbidden";
        found.push(Violation::forbidden("spec", why));
    }
}

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
    fill_template(spec);
}

fn fill_strategy(strategy: &mut Map<String, Value>) {
    set_missing(strategy, [("type", json!("RollingUpdate"))]);
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling_update) = fields(strategy, "rollingUpdate")
    {
        set_missing(rolling_update, [("maxSurge", json!("25%")), ("maxUnavailable", json!("25%"))]);
    }
}
