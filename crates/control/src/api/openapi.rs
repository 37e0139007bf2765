//! As much of `/openapi/v3` as kubectl needs to leave validation to us: which kinds there are, and that a patch of them
//! takes `fieldValidation`. Schemas are not in it; kubectl has those of the built-in kinds itself.

use serde_json::{Map, Value, json};

use super::discovery::{groups, kinds_of, versions};

/// The media type in which kubectl asks for `/openapi/v2`.
pub(super) const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The same as a type of an answer, which may hold no `@`.
pub(super) const V2_PROTOBUF_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// `/openapi/v2` without schemas. kubectl looks a kind up there that is not in `/openapi/v3`, and goes on with the rest of a
/// file when it learns that nobody knows the kind.
pub(super) fn v2() -> Value {
    json!({
        "swagger": "2.0",
        "info": {"title": "Forebay", "version": env!("CARGO_PKG_VERSION")},
        "paths": {},
        "definitions": {},
    })
}

/// The same in protobuf: `swagger` is field 1, `info` field 2 with `title` and `version`.
pub(super) fn v2_protobuf() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("a few short texts");
        [&[number << 3 | 2, length], bytes].concat()
    };
    let info = [field(1, b"Forebay"), field(2, env!("CARGO_PKG_VERSION").as_bytes())].concat();
    [field(1, b"2.0"), field(2, &info)].concat()
}

/// Where each document is. The version of this build stands for its content.
pub(super) fn index() -> Value {
    let documents = groups().into_iter().flat_map(|group| {
        versions(group).into_iter().map(move |version| {
            let path = group_path(group, version);
            let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
            (path, json!({"serverRelativeURL": url}))
        })
    });
    json!({"paths": documents.collect::<Map<_, _>>()})
}

/// The document of a group and version.
pub(super) fn document(group: &'static str, version: &str) -> Value {
    let kinds = kinds_of(group).filter(|kind| kind.version == version);
    let paths = kinds.map(|kind| {
        let namespace = if kind.is_namespaced { "/namespaces/{namespace}" } else { "" };
        let path = format!("/{}{namespace}/{}/{{name}}", group_path(group, version), kind.plural);
        let parameters = ["dryRun", "fieldManager", "fieldValidation", "force"]
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
        let patch = json!({
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind.kind},
        });
        (path, json!({"patch": patch}))
    });
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Forebay", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths.collect::<Map<String, Value>>(),
        "components": {"schemas": {}},
    })
}

fn group_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}
