use super::*;

/// Every place that a document points to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| match value.as_str() {
            Some(place) if key == "$ref" => drop(found.insert(place.to_owned())),
            _ => references(value, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn v3(group: &str, version: &str) -> Value {
    serde_json::from_str(&Source::v3(group, version, &Kinds::default()).json()).unwrap()
}

#[test]
fn what_a_document_points_to_is_there() {
    let v2 = serde_json::from_str(&Source::v2(&Kinds::default()).json()).unwrap();
    let documents = served(&Kinds::default()).into_iter().map(|served| v3(served.group, served.version));
    for document in documents.chain([v2]) {
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 3, "{found:?}");
        for place in found {
            let pointer = place.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{place}");
        }
    }
}

#[test]
fn everything_that_is_served_is_in_the_tables() {
    let is_missing = |served: &Served| schema::of(served.group, served.version, served.kind).is_none();
    let missing: Vec<&str> = served(&Kinds::default())
        .iter()
        .filter(|served| is_missing(served))
        .map(|served| served.kind)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_field_is_described_as_kubernetes_does() {
    let document = v3("apps", "v1");
    let schemas = &document["components"]["schemas"];
    let container = &schemas["io.k8s.api.core.v1.Container"]["properties"];
    assert_eq!(
        container["ports"],
        json!({"description": "Ports that it listens on; for people to read.", "type": "array",
            "items": {"$ref": "#/components/schemas/io.k8s.api.core.v1.ContainerPort"},
            "x-kubernetes-list-map-keys": ["containerPort", "protocol"], "x-kubernetes-list-type": "map",
            "x-kubernetes-patch-merge-key": "containerPort", "x-kubernetes-patch-strategy": "merge"})
    );
    let replicas = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"];
    assert_eq!(
        *replicas,
        json!({"description": "How many pods there are to be.", "type": "integer", "format": "int32", "default": 1})
    );
    let strategy = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"];
    assert_eq!(strategy["x-kubernetes-patch-strategy"], "retainKeys");
    let deployment = &schemas["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(
        deployment["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "version": "v1", "kind": "Deployment"}])
    );
    assert!(deployment["properties"]["apiVersion"]["description"].is_string());
    assert_eq!(schemas["io.k8s.api.apps.v1.DeploymentList"]["required"], json!(["items"]));
}

#[test]
fn patches_say_that_they_take_field_validation() {
    let document = v3("", "v1");
    let patch = &document["paths"]["/api/v1/namespaces/{namespace}/services/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Service");
    let names: Vec<&Value> = patch["parameters"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    // kubectl makes a strategic merge patch by this document where it says so, and by another one where it does not.
    let takes = |document: &Value, path: &str| {
        let content = document["paths"][path]["patch"]["requestBody"]["content"].as_object().unwrap();
        content.contains_key("application/strategic-merge-patch+json")
    };
    assert!(takes(&document, "/api/v1/namespaces/{namespace}/services/{name}"));
    let custom = v3("serving.kserve.io", "v1beta1");
    assert!(!takes(
        &custom,
        "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
    ));
}

#[test]
fn all_documents_together_are_small() {
    let documents = Documents::default();
    let made = documents.of(&Arc::default());
    let v3: usize = documents.v3(&made).values().map(|document| document.gzip.len()).sum();
    let v2 = Document::of(&Source::v2(&made.kinds)).gzip.len()
        + Document::new(&gnostic::document(&Source::v2(&made.kinds)), V2_PROTOBUF_TYPE).gzip.len();
    assert!(v2 + v3 < 400_000, "{v2} {v3}");
}
