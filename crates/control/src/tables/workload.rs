//! What keeps pods.

use serde_json::json;

use super::{AGE, Column, NAME, column, container_images, container_names, count, number, selector, wide};

pub(super) const DEPLOYMENT: &[Column] = &[
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

pub(super) const REPLICA_SET: &[Column] = &[
    NAME,
    count("Desired", |set, _| json!(number(&set.value["spec"]["replicas"]))),
    count("Current", |set, _| json!(number(&set.value["status"]["replicas"]))),
    count("Ready", |set, _| json!(number(&set.value["status"]["readyReplicas"]))),
    AGE,
    wide("Containers", |set, _| container_names(&set.value["spec"]["template"]["spec"])),
    wide("Images", |set, _| container_images(&set.value["spec"]["template"]["spec"])),
    wide("Selector", |set, _| selector(&set.value["spec"]["selector"])),
];
