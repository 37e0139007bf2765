//! CustomResourceDefinitions of one's own, and the objects of the kinds that they declare.

use super::*;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

/// A kind with a schema of most words, two versions, columns and both subresources.
fn definition() -> Value {
    let port = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"},
        "port": {"type": "integer"},
        "protocol": {"type": "string", "default": "TCP"},
    }});
    let spec = json!({"type": "object", "required": ["size"], "description": "What is wanted.", "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How large it is."},
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "cron": {"type": "string", "pattern": "^\\d+$"},
        "target": {"x-kubernetes-int-or-string": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": port},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "note": {"type": "string", "nullable": true},
        "replicas": {"type": "integer"},
    }});
    let status = json!({"type": "object", "properties": {
        "ready": {"type": "boolean"}, "replicas": {"type": "integer"}, "selector": {"type": "string"},
    }});
    let schema = json!({"openAPIV3Schema": {"type": "object", "description": "A widget.", "properties": {"spec": spec, "status": status}}});
    let scale = json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"});
    let columns = json!([
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Colour", "type": "string", "jsonPath": ".spec.colour", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]);
    let version = |name: &str, is_stored: bool| {
        json!({"name": name, "served": true, "storage": is_stored, "schema": schema, "additionalPrinterColumns": columns,
            "subresources": {"status": {}, "scale": scale}, "selectableFields": [{"jsonPath": ".spec.colour"}]})
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [version("v1", true), version("v1beta1", false)],
        },
    })
}

fn with_widgets() -> Api {
    let api = api();
    let created = write(&api, &format!("POST {DEFINITIONS}"), JSON, &definition());
    assert_eq!(created.0, 201, "{}", created.1);
    api
}

fn widget(spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec})
}

fn made(api: &Api, spec: &Value) -> (u16, Value) {
    write(api, &format!("POST {WIDGETS}"), JSON, &widget(spec))
}

#[test]
fn a_definition_is_established_at_once() {
    let api = with_widgets();
    let found = get(&api, &format!("{DEFINITIONS}/widgets.example.com"));
    let conditions = found["status"]["conditions"].as_array().unwrap();
    let shown: Vec<String> =
        conditions.iter().map(|it| format!("{}={} {}", it["type"], it["status"], it["reason"])).collect();
    assert_eq!(
        shown,
        [r#""NamesAccepted"="True" "NoConflicts""#, r#""Established"="True" "InitialNamesAccepted""#]
    );
    assert_eq!(found["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(found["status"]["acceptedNames"]["singular"], "widget");
    assert_eq!(found["spec"]["names"]["listKind"], "WidgetList");
    assert_eq!(found["spec"]["conversion"], json!({"strategy": "None"}));
}

#[test]
fn its_kind_is_discovered() {
    let api = with_widgets();
    let group = get(&api, "/apis/example.com");
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let list = get(&api, "/apis/example.com/v1");
    let names: Vec<&str> =
        list["resources"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["widgets", "widgets/status", "widgets/scale"]);
    assert_eq!(list["resources"][0]["shortNames"], json!(["wd"]));
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let all = value(send(&api, "GET /apis", &[("accept", aggregated)], ""));
    let group =
        all["items"].as_array().unwrap().iter().find(|it| it["metadata"]["name"] == "example.com").unwrap();
    assert_eq!(group["versions"][0]["resources"][0]["responseKind"]["kind"], "Widget");
}

#[test]
fn its_schema_is_in_openapi() {
    let api = with_widgets();
    let v3 = get(&api, "/openapi/v3/apis/example.com/v1");
    let schema = &v3["components"]["schemas"]["com.example.v1.Widget"];
    assert_eq!(schema["properties"]["spec"]["properties"]["size"]["description"], "How large it is.");
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
    let v2 = get(&api, "/openapi/v2");
    assert_eq!(v2["definitions"]["com.example.v1.Widget"]["description"], "A widget.");
    assert!(
        v2["definitions"]["com.example.v1.Widget"]["properties"]["spec"]["properties"]["target"]
            .get("type")
            .is_none()
    );
}

#[test]
fn objects_are_made_listed_and_told() {
    let api = with_widgets();
    let (code, created) = made(&api, &json!({"size": 3, "free": {"any": {"x": null, "y": 1}}, "note": null}));
    assert_eq!(code, 201, "{created}");
    assert_eq!(
        created["spec"],
        json!({"size": 3, "colour": "red", "free": {"any": {"x": null, "y": 1}}, "note": null})
    );
    assert_eq!(created["metadata"]["generation"], 1);
    let list = get(&api, WIDGETS);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("WidgetList"), &json!("example.com/v1")));
    assert_eq!(list["items"][0]["metadata"]["name"], "w");
    let table = value(send(&api, &format!("GET {WIDGETS}"), &[("accept", TABLE)], ""));
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["Name", "Size", "Colour", "Age"]);
    assert_eq!(table["rows"][0]["cells"].as_array().unwrap()[..3], [json!("w"), json!(3), json!("red")]);
    let chosen = get(&api, &format!("{WIDGETS}?fieldSelector=spec.colour%3Dblue"));
    assert_eq!(chosen["items"], json!([]));
}

#[test]
fn other_versions_say_the_same() {
    let api = with_widgets();
    let path = "/apis/example.com/v1beta1/namespaces/default/widgets";
    let mut old = widget(&json!({"size": 1}));
    old["apiVersion"] = json!("example.com/v1beta1");
    let (code, created) = write(&api, &format!("POST {path}"), JSON, &old);
    assert_eq!((code, &created["apiVersion"]), (201, &json!("example.com/v1beta1")));
    assert_eq!(get(&api, &format!("{WIDGETS}/w"))["apiVersion"], "example.com/v1");
    let list = get(&api, path);
    assert_eq!(
        (&list["apiVersion"], &list["items"][0]["apiVersion"]),
        (&json!("example.com/v1beta1"), &json!("example.com/v1beta1"))
    );
    let (code, patched) = write(&api, &format!("PATCH {path}/w"), MERGE, &json!({"spec": {"size": 2}}));
    assert_eq!(
        (code, &patched["apiVersion"], &patched["spec"]["size"]),
        (200, &json!("example.com/v1beta1"), &json!(2))
    );
}

#[test]
fn what_the_schema_does_not_take_is_refused() {
    let api = with_widgets();
    for (spec, expected) in [
        (json!({}), "spec.size: Required value"),
        (
            json!({"size": 0}),
            "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
        ),
        (
            json!({"size": "3"}),
            r#"spec.size: Invalid value: "string": spec.size in body must be of type integer: "string""#,
        ),
        (
            json!({"size": 3, "colour": "green"}),
            r#"spec.colour: Unsupported value: "green": supported values: "red", "blue""#,
        ),
        (
            json!({"size": 3, "cron": "x"}),
            r#"spec.cron: Invalid value: "x": spec.cron in body should match '^\d+$'"#,
        ),
        (json!({"size": 3, "tags": ["a", "a"]}), r#"spec.tags[1]: Duplicate value: "a""#),
        (
            json!({"size": 3, "ports": [{"name": "a"}, {"name": "a"}]}),
            r#"spec.ports[1]: Duplicate value: {"name":"a"}"#,
        ),
    ] {
        let answer = made(&api, &spec);
        assert_eq!(message(&answer), format!("422 Invalid: Widget.example.com \"w\" is invalid: {expected}"));
    }
}

#[test]
fn unknown_fields_are_told_or_refused() {
    let api = with_widgets();
    let body = widget(&json!({"size": 3, "colur": "red"})).to_string();
    let strict = value(send(
        &api,
        &format!("POST {WIDGETS}?fieldValidation=Strict"),
        &[("content-type", JSON)],
        body.clone(),
    ));
    assert_eq!(
        strict["message"],
        r#"Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.colur""#
    );
    let warned = send(&api, &format!("POST {WIDGETS}?fieldValidation=Warn"), &[("content-type", JSON)], body);
    assert_eq!(warned.headers()["warning"], r#"299 - "unknown field \"spec.colur\"""#);
    assert!(value(warned)["spec"].get("colur").is_none());
}

#[test]
fn status_scale_and_generation_are_kept_apart() {
    let api = with_widgets();
    let mut body = widget(&json!({"size": 3, "replicas": 2}));
    body["status"] = json!({"ready": true});
    assert!(write(&api, &format!("POST {WIDGETS}"), JSON, &body).1.get("status").is_none());
    let status = json!({"status": {"ready": true, "selector": "app=w"}, "spec": {"size": 9}});
    let (_, told) = write(&api, &format!("PATCH {WIDGETS}/w/status"), MERGE, &status);
    assert_eq!(
        (&told["status"]["ready"], &told["spec"]["size"], &told["metadata"]["generation"]),
        (&json!(true), &json!(3), &json!(1))
    );
    let scale = get(&api, &format!("{WIDGETS}/w/scale"));
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["selector"]), (&json!(2), &json!("app=w")));
    let (_, scaled) =
        write(&api, &format!("PATCH {WIDGETS}/w/scale"), MERGE, &json!({"spec": {"replicas": 5}}));
    assert_eq!(scaled["spec"]["replicas"], 5);
    let found = get(&api, &format!("{WIDGETS}/w"));
    assert_eq!((&found["spec"]["replicas"], &found["metadata"]["generation"]), (&json!(5), &json!(2)));
}

#[test]
fn patches_of_each_form() {
    let api = with_widgets();
    made(&api, &json!({"size": 3}));
    let path = format!("PATCH {WIDGETS}/w");
    assert_eq!(write(&api, &path, MERGE, &json!({"spec": {"size": 4}})).1["spec"]["size"], 4);
    let json_patch = json!([{"op": "replace", "path": "/spec/size", "value": 5}]);
    assert_eq!(write(&api, &path, "application/json-patch+json", &json_patch).1["spec"]["size"], 5);
    assert_eq!(write(&api, &path, STRATEGIC, &json!({"spec": {"size": 6}})).0, 415);
    assert_eq!(write(&api, &path, MERGE, &json!({"spec": {"size": 10}})).0, 422);
}

#[test]
fn server_side_apply_follows_the_schema() {
    let api = with_widgets();
    let apply = |manager: &str, spec: &Value| {
        write(&api, &format!("PATCH {WIDGETS}/w?fieldManager={manager}"), APPLY, &widget(spec))
    };
    assert_eq!(
        apply("a", &json!({"size": 3, "ports": [{"name": "http", "port": 80}], "tags": ["x"]})).0,
        201
    );
    let (code, both) = apply("b", &json!({"ports": [{"name": "grpc", "port": 90}], "tags": ["y"]}));
    assert_eq!(code, 200, "{both}");
    assert_eq!(
        both["spec"]["ports"],
        json!([
            {"name": "http", "port": 80, "protocol": "TCP"}, {"name": "grpc", "port": 90, "protocol": "TCP"},
        ])
    );
    assert_eq!(both["spec"]["tags"], json!(["x", "y"]));
    let refused = apply("b", &json!({"size": 4}));
    assert_eq!(
        message(&refused),
        "409 Conflict: Apply failed with 1 conflict: conflict with \"a\": .spec.size"
    );
    let (_, left) = apply("a", &json!({"size": 3}));
    assert_eq!((&left["spec"]["ports"][0]["name"], &left["spec"]["tags"]), (&json!("grpc"), &json!(["y"])));
}

#[test]
fn a_definition_that_goes_takes_its_objects_along() {
    let api = with_widgets();
    made(&api, &json!({"size": 3}));
    let path = format!("{DEFINITIONS}/widgets.example.com");
    assert_eq!(write(&api, &format!("DELETE {path}"), JSON, &json!({})).0, 200);
    assert_eq!(get(&api, &path)["reason"], "NotFound");
    assert_eq!(send(&api, &format!("GET {WIDGETS}"), &[], "").status(), 404);
    assert_eq!(send(&api, "GET /apis/example.com", &[], "").status(), 404);
    assert!(api.store.objects().of_kind("Widget.example.com").next().is_none());
}

#[test]
fn an_object_that_somebody_has_to_finish_with_keeps_its_definition() {
    let api = with_widgets();
    let mut body = widget(&json!({"size": 3}));
    body["metadata"]["finalizers"] = json!(["example.com/wait"]);
    write(&api, &format!("POST {WIDGETS}"), JSON, &body);
    let path = format!("{DEFINITIONS}/widgets.example.com");
    let (_, going) = write(&api, &format!("DELETE {path}"), JSON, &json!({}));
    assert_eq!(going["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    let mut another = widget(&json!({"size": 3}));
    another["metadata"]["name"] = json!("x");
    let refused = write(&api, &format!("POST {WIDGETS}"), JSON, &another);
    assert_eq!(
        message(&refused),
        "405 MethodNotAllowed: create not allowed while custom resource definition is terminating"
    );
    write(&api, &format!("PATCH {WIDGETS}/w"), MERGE, &json!({"metadata": {"finalizers": null}}));
    assert_eq!(get(&api, &path)["reason"], "NotFound");
}

#[test]
fn a_definition_that_makes_no_sense_is_refused() {
    let api = api();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut body = definition();
        change(&mut body);
        message(&write(&api, &format!("POST {DEFINITIONS}"), JSON, &body))
    };
    expect![[r#"422 Invalid: CustomResourceDefinition.apiextensions.k8s.io "widgets.example.org" is invalid: metadata.name: Invalid value: "widgets.example.org": must be spec.names.plural+"."+spec.group"#]]
        .assert_eq(&refused(&|it| it["metadata"]["name"] = json!("widgets.example.org")));
    expect![[r#"422 Invalid: CustomResourceDefinition.apiextensions.k8s.io "widgets.example.com" is invalid: spec.versions: Invalid value: ["v1","v1beta1"]: must have exactly one version marked as storage version"#]]
        .assert_eq(&refused(&|it| it["spec"]["versions"][1]["storage"] = json!(true)));
    expect![[r#"422 Invalid: CustomResourceDefinition.apiextensions.k8s.io "widgets.example.com" is invalid: spec.versions[1].schema.openAPIV3Schema: Required value: schemas are required"#]]
        .assert_eq(&refused(&|it| it["spec"]["versions"][1]["schema"] = json!(null)));
    expect![[r#"422 Invalid: CustomResourceDefinition.apiextensions.k8s.io "widgets.example.com" is invalid: spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[x].type: Required value: must not be empty for specified object fields"#]]
        .assert_eq(&refused(&|it| it["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["x"] = json!({})));
    expect![[r#"422 Invalid: CustomResourceDefinition.apiextensions.k8s.io "widgets.example.com" is invalid: spec.scope: Unsupported value: "World": supported values: "Cluster", "Namespaced""#]]
        .assert_eq(&refused(&|it| it["spec"]["scope"] = json!("World")));
}

#[test]
fn names_that_are_taken_are_not_accepted() {
    let api = with_widgets();
    let mut other = definition();
    other["metadata"]["name"] = json!("others.example.com");
    other["spec"]["names"]["plural"] = json!("others");
    other["spec"]["names"]["kind"] = json!("Other");
    let (code, created) = write(&api, &format!("POST {DEFINITIONS}"), JSON, &other);
    assert_eq!(code, 201);
    assert_eq!(created["status"]["conditions"][0]["reason"], "ShortNamesConflict");
    assert_eq!(send(&api, "GET /apis/example.com/v1/namespaces/default/others", &[], "").status(), 404);
}

#[test]
fn what_cannot_change_does_not() {
    let api = with_widgets();
    let path = format!("PATCH {DEFINITIONS}/widgets.example.com");
    let refused = write(&api, &path, MERGE, &json!({"spec": {"scope": "Cluster"}}));
    assert_eq!(
        message(&refused),
        "422 Invalid: CustomResourceDefinition.apiextensions.k8s.io \"widgets.example.com\" is invalid: spec.scope: Invalid value: \"Cluster\": field is immutable"
    );
}

#[test]
fn a_changed_schema_counts_from_then_on() {
    let api = with_widgets();
    assert_eq!(made(&api, &json!({"size": 12})).0, 422);
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/maximum";
    let patch = json!([{"op": "replace", "path": path, "value": 20}]);
    let changed = write(
        &api,
        &format!("PATCH {DEFINITIONS}/widgets.example.com"),
        "application/json-patch+json",
        &patch,
    );
    assert_eq!((changed.0, &changed.1["metadata"]["generation"]), (200, &json!(2)));
    assert_eq!(made(&api, &json!({"size": 12})).0, 201);
}

#[test]
fn the_definition_of_a_kind_of_the_program_stays_as_it_is() {
    let api = api();
    let name = "inferenceservices.serving.kserve.io";
    let found = get(&api, &format!("{DEFINITIONS}/{name}"));
    assert_eq!(found["spec"]["names"]["kind"], "InferenceService");
    let change = send(
        &api,
        &format!("PATCH {DEFINITIONS}/{name}"),
        &[("content-type", MERGE)],
        r#"{"spec":{"scope":"Cluster"}}"#,
    );
    assert_eq!(change.status(), 200);
    assert_eq!(
        change.headers()["warning"],
        "299 - \"inferenceservices.serving.kserve.io is a kind of this platform itself: its definition stays as it is\""
    );
    assert_eq!(value(change)["spec"]["scope"], "Namespaced");
    assert_eq!(send(&api, &format!("DELETE {DEFINITIONS}/{name}"), &[], "").status(), 403);
}

#[test]
fn rules_that_nobody_checks_are_told() {
    let api = api();
    let mut body = definition();
    body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] =
        json!([{"rule": "self.size > 1"}]);
    let answer = send(&api, &format!("POST {DEFINITIONS}"), &[("content-type", JSON)], body.to_string());
    assert_eq!(answer.status(), 201);
    let told = answer.headers()["warning"].to_str().unwrap().to_owned();
    assert!(told.contains("x-kubernetes-validations are not checked here"), "{told}");
}

#[test]
fn a_kind_of_the_same_name_in_another_group_is_another_kind() {
    let api = api();
    let mut body = definition();
    body["metadata"]["name"] = json!("services.example.com");
    body["spec"]["names"] = json!({"plural": "services", "kind": "Service"});
    assert_eq!(write(&api, &format!("POST {DEFINITIONS}"), JSON, &body).0, 201);
    let object = json!({"apiVersion": "example.com/v1", "kind": "Service", "metadata": {"name": "api"}, "spec": {"size": 1}});
    let path = "/apis/example.com/v1/namespaces/default/services";
    assert_eq!(write(&api, &format!("POST {path}"), JSON, &object).0, 201);
    assert_eq!(get(&api, SERVICES)["items"], json!([]));
    write(&api, &format!("POST {SERVICES}"), JSON, &service("api"));
    assert_eq!(get(&api, &format!("{path}/api"))["spec"]["size"], 1);
}
