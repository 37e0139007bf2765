//! Kinds of KServe and Knative, with the columns that these have chosen. Nothing stands where there is nothing.

use serde_json::Value;

use super::columns::{AGE, Column, NAME, PLAIN, column, count, items};
use super::{ALL, Effect, Kind, Pods, STATUS, Words, cluster, namespaced};
use crate::Object;
use crate::kinds::validation::numbers::{INT32, REPLICAS, number as bounded};
use crate::kinds::validation::{Rules, Violation};

const KSERVE: &str = "serving.kserve.io";

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
    ..namespaced(KSERVE, "v1beta1", "InferenceService", "inferenceservices")
};

pub(super) static SERVING_RUNTIME: Kind = Kind {
    subresources: STATUS,
    columns: RUNTIME_COLUMNS,
    effect: Effect::Lacking(RUNTIME),
    ..namespaced(KSERVE, "v1alpha1", "ServingRuntime", "servingruntimes")
};

pub(super) static CLUSTER_SERVING_RUNTIME: Kind = Kind {
    subresources: STATUS,
    columns: RUNTIME_COLUMNS,
    effect: Effect::Lacking(RUNTIME),
    ..cluster(KSERVE, "v1alpha1", "ClusterServingRuntime", "clusterservingruntimes")
};

pub(super) static INFERENCE_GRAPH: Kind = Kind {
    short_names: &["ig"],
    subresources: STATUS,
    columns: URL_AND_READY,
    effect: Effect::Kept,
    ..namespaced(KSERVE, "v1alpha1", "InferenceGraph", "inferencegraphs")
};

pub(super) static TRAINED_MODEL: Kind = Kind {
    short_names: &["tm"],
    subresources: STATUS,
    columns: URL_AND_READY,
    rules: Rules {
        doubts: |_, found| {
            let why = "no model server here is shared by several of them: write it as an InferenceService of its own";
            found.push(Violation::forbidden("spec", why));
        },
        ..Rules::NONE
    },
    effect: Effect::Kept,
    ..namespaced(KSERVE, "v1alpha1", "TrainedModel", "trainedmodels")
};

pub(super) static CLUSTER_STORAGE_CONTAINER: Kind = Kind {
    columns: PLAIN,
    effect: Effect::Lacking(Words {
        words: "no container is run to fetch models: forebay fetches them itself",
        advice: "use a URI of a scheme that forebay reads: file, http, https, s3, gs",
    }),
    ..cluster(KSERVE, "v1alpha1", "ClusterStorageContainer", "clusterstoragecontainers")
};

pub(super) static DOMAIN_MAPPING: Kind = Kind {
    short_names: &["dm"],
    subresources: STATUS,
    columns: &[
        NAME,
        column("URL", |mapping, _| mapping.value["status"]["url"].clone()),
        column("Ready", |mapping, _| ready(mapping, "status")),
        column("Reason", |mapping, _| ready(mapping, "reason")),
    ],
    effect: Effect::Kept,
    ..namespaced("serving.knative.dev", "v1beta1", "DomainMapping", "domainmappings")
};

const RUNTIME: Words = Words {
    words: "no runtime is chosen from it: the formats that forebay reads have one runtime, which is forebay",
    advice: "name the format of the model in the InferenceService, and leave the runtime out",
};

const RUNTIME_COLUMNS: &[Column] = &[
    NAME,
    column("Disabled", |runtime, _| runtime.value["spec"]["disabled"].clone()),
    column("ModelType", |runtime, _| first(&runtime.value["spec"]["supportedModelFormats"])),
    column("Containers", |runtime, _| first(&runtime.value["spec"]["containers"])),
    AGE,
];

const URL_AND_READY: &[Column] = &[
    NAME,
    column("URL", |object, _| object.value["status"]["url"].clone()),
    column("Ready", |object, _| ready(object, "status")),
    AGE,
];

fn ready(object: &Object, field: &str) -> Value {
    let mut conditions = items(&object.value["status"]["conditions"]);
    let ready = conditions.find(|condition| condition["type"] == "Ready");
    ready.map_or(Value::Null, |ready| ready[field].clone())
}

fn first(named: &Value) -> Value {
    items(named).next().map_or(Value::Null, |first| first["name"].clone())
}

/// The printer columns of KServe.
const INFERENCE_SERVICE_COLUMNS: &[Column] = &[
    NAME,
    column("URL", |service, _| service.value["status"]["url"].clone()),
    column("Ready", |service, _| ready(service, "status")),
    count("Prev", |service, _| previous(service, "percent")),
    count("Latest", |service, _| latest(service, "percent")),
    column("PrevRolledoutRevision", |service, _| previous(service, "revisionName")),
    column("LatestReadyRevision", |service, _| latest(service, "revisionName")),
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
