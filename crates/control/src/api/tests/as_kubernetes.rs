//! What a real Kubernetes API server 1.33 answers, row by row of the comparison that this API was measured by. A module is a
//! section of it, and a test a row.

use super::*;

mod admission;
mod apply;
mod decoding;
mod defaults;
mod definitions;
mod discovery;
mod finalizers;
mod forms;
mod immutable;
mod kinds;
mod list;
mod namespaces;
mod openapi;
mod owners;
mod protobuf;
mod proxy;
mod selector;
mod served;
mod status;
mod subresources;
mod validation;
mod values;
mod watch;
mod write;

const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A ConfigMap of one entry, `k: v`.
fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

/// Makes ConfigMaps of these names.
fn with_config_maps(names: &[&str]) -> Api {
    let api = api();
    for name in names {
        assert_eq!(write(&api, &format!("POST {CONFIGMAPS}"), JSON, &config_map(name)).0, 201);
    }
    api
}
