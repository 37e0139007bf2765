//! Bodies of the fuzz targets, which also run as properties in the normal test run.

use std::collections::BTreeMap;

use serde_json::json;

use crate::annotations::{self, annotations};
use crate::{Defaults, Object, Objects, compile, read, workloads};

/// Any bytes as a manifest: read, compiled, and made into workloads. Must not panic.
pub fn manifest(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let objects: Objects = read("fuzz.yaml", &text).objects.into_iter().collect();
    let _ = compile(&objects, &Defaults::default());
    let _ = workloads(&objects);
}

/// Any bytes as the text of every annotation there is. Must not panic.
pub fn annotation(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let texts: BTreeMap<String, &str> =
        annotations().map(|annotation| (annotation.sample_key(), &*text)).collect();
    let object = |api_version: &str, kind: &str| {
        let metadata = json!({ "name": "a", "annotations": texts });
        let value = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": {} });
        Object::from_value(value).ok()
    };
    let objects = object("networking.k8s.io/v1", "Ingress").zip(object("v1", "Service"));
    let (ingress, service) = objects.expect("texts make good annotations");
    let mut findings = Vec::new();
    let _ = annotations::of_ingress(&ingress, &mut findings);
    let _ = annotations::of_target_group(&ingress, &service, &mut findings);
    let _ = annotations::of_service(&service, false, &mut findings);
}

/// Any bytes as the file of `--env`. Must not panic.
pub fn environment(data: &[u8]) {
    let _ = Defaults::parse("env.yaml", &String::from_utf8_lossy(data));
}
