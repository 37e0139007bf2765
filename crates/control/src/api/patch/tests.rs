use super::*;
use serde_json::json;

fn deployment() -> &'static Kind {
    manifest::kind_named("deployment").unwrap()
}

/// A pod spec within a Deployment, which is where most patches of kubectl go.
fn within_pod_spec(spec: &Value) -> Value {
    json!({"spec": {"template": {"spec": spec}}})
}

fn strategic(live: &Value, patch: &Value) -> Value {
    patched(PatchForm::Strategic, deployment(), live, patch).unwrap()
}

fn check_pod_spec(live: &Value, patch: &Value, expected: &Value) {
    assert_eq!(
        strategic(&within_pod_spec(live), &within_pod_spec(patch)),
        within_pod_spec(expected),
        "{live} patched with {patch}"
    );
}

/// What kubectl sends when replicas, an environment variable and a limit change in the file.
#[test]
fn a_container_is_found_by_its_name() {
    let live = json!({"containers": [{"name": "api", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}, {"name": "added-by-others"}]});
    let patch = json!({"$setElementOrder/containers": [{"name": "api"}], "containers": [{"name": "api",
        "$setElementOrder/env": [{"name": "A"}, {"name": "B"}], "env": [{"name": "B", "value": "22"}],
        "resources": {"limits": {"cpu": "1000m"}}}]});
    let expected = json!({"containers": [{"name": "api", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "22"}],
        "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}}}, {"name": "added-by-others"}]});
    check_pod_spec(&live, &patch, &expected);
}

#[test]
fn environment_variables_come_go_and_take_their_order() {
    let container = |env: &Value| json!({"containers": [{"name": "api", "env": env}]});
    let patch = json!({"containers": [{"name": "api",
        "$setElementOrder/env": [{"name": "C"}, {"name": "A"}],
        "env": [{"name": "C", "value": "3"}, {"$patch": "delete", "name": "B"}]}]});
    check_pod_spec(
        &container(&json!([{"name": "A"}, {"name": "B"}])),
        &patch,
        &container(&json!([{"name": "C", "value": "3"}, {"name": "A"}])),
    );
}

#[test]
fn mounts_are_found_by_their_path() {
    let mounts = |mounts: &Value| json!({"containers": [{"name": "api", "volumeMounts": mounts}]});
    let patch = json!({"containers": [{"name": "api", "$setElementOrder/volumeMounts": [{"mountPath": "/cache"}],
        "volumeMounts": [{"mountPath": "/cache", "name": "tmp"}, {"$patch": "delete", "mountPath": "/tmp"}]}]});
    check_pod_spec(
        &mounts(&json!([{"mountPath": "/tmp", "name": "tmp"}])),
        &patch,
        &mounts(&json!([{"mountPath": "/cache", "name": "tmp"}])),
    );
}

#[test]
fn a_strategy_or_a_volume_keeps_only_what_belongs_to_it() {
    let live = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch =
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": null, "type": "Recreate"}}});
    assert_eq!(strategic(&live, &patch), json!({"spec": {"strategy": {"type": "Recreate"}}}));
    check_pod_spec(
        &json!({"volumes": [{"name": "tmp", "hostPath": {"path": "/x"}}]}),
        &json!({"$setElementOrder/volumes": [{"name": "tmp"}],
            "volumes": [{"$retainKeys": ["emptyDir", "name"], "name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]}),
        &json!({"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]}),
    );
}

#[test]
fn null_removes_a_field_or_an_annotation() {
    check_pod_spec(&json!({"affinity": {"x": 1}, "a": 1}), &json!({"affinity": null}), &json!({"a": 1}));
    let live = json!({"metadata": {"annotations": {"x": "1", "y": "2"}}});
    let patch = json!({"metadata": {"annotations": {"x": null, "nobody": null}}});
    assert_eq!(strategic(&live, &patch), json!({"metadata": {"annotations": {"y": "2"}}}));
}

#[test]
fn ports_of_a_service_are_found_by_their_number_and_rules_of_an_ingress_replaced() {
    let service = manifest::kind_named("svc").unwrap();
    let live = json!({"spec": {"ports": [{"port": 80, "targetPort": 80, "nodePort": 30000}]}});
    let patch = json!({"spec": {"$setElementOrder/ports": [{"port": 443}, {"port": 80}],
        "ports": [{"port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8080}]}});
    assert_eq!(
        patched(PatchForm::Strategic, service, &live, &patch).unwrap(),
        json!({"spec": {"ports": [{"name": "https", "port": 443, "targetPort": 8080},
            {"port": 80, "targetPort": 8080, "nodePort": 30000}]}})
    );
    let ingress = manifest::kind_named("ingress").unwrap();
    let live = json!({"spec": {"rules": [{"host": "a"}, {"host": "b"}]}});
    let patch = json!({"spec": {"rules": [{"host": "c"}]}});
    assert_eq!(patched(PatchForm::Strategic, ingress, &live, &patch).unwrap(), patch);
}

#[test]
fn what_only_the_server_has_keeps_its_place() {
    let list = |names: &[&str]| json!({"containers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    let order = |names: &[&str]| json!({"$setElementOrder/containers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    for (live, wanted, merged) in [
        (&["a", "x", "b"][..], &["a", "b"][..], &["a", "x", "b"][..]),
        (&["x", "a", "b"], &["b", "a"], &["x", "b", "a"]),
        (&["a", "b", "x"], &["b", "a"], &["b", "a", "x"]),
        (&["x", "y", "a"], &["a"], &["x", "y", "a"]),
    ] {
        check_pod_spec(&list(live), &order(wanted), &list(merged));
    }
}

#[test]
fn finalizers_are_a_set() {
    let finalizers = |finalizers: &Value| json!({"metadata": {"finalizers": finalizers}});
    assert_eq!(
        strategic(&finalizers(&json!(["a"])), &finalizers(&json!(["b", "a"]))),
        finalizers(&json!(["a", "b"]))
    );
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["b"]}});
    assert_eq!(strategic(&finalizers(&json!(["a", "b"])), &patch), finalizers(&json!(["b"])));
}

#[test]
fn a_map_or_list_may_be_replaced_as_a_whole() {
    check_pod_spec(
        &json!({"nodeSelector": {"a": "1"}, "containers": [{"name": "x"}]}),
        &json!({"nodeSelector": {"$patch": "replace", "b": "2"}, "containers": [{"name": "y"}, {"$patch": "replace"}]}),
        &json!({"nodeSelector": {"b": "2"}, "containers": [{"name": "y"}]}),
    );
    check_pod_spec(&json!({"a": {"b": 1}}), &json!({"a": {"$patch": "delete"}}), &json!({"a": {}}));
}

#[test]
fn patches_that_mean_nothing_are_refused() {
    for patch in [
        json!([]),
        within_pod_spec(&json!({"containers": [{"image": "a"}]})),
        within_pod_spec(&json!({"containers": ["a"]})),
        json!({"$patch": "burn"}),
    ] {
        let refused = patched(PatchForm::Strategic, deployment(), &json!({}), &patch).unwrap_err();
        assert_eq!(refused.reason, Reason::BadRequest, "{patch}");
    }
    let isvc = manifest::kind_named("isvc").unwrap();
    let refused = PatchForm::of("application/strategic-merge-patch+json", isvc).unwrap_err();
    assert_eq!(refused.reason, Reason::UnsupportedMediaType);
    assert!(!refused.message.contains("strategic"), "{}", refused.message);
}

/// The examples of RFC 6902, appendix A.
#[test]
fn json_patch_does_what_the_rfc_shows() {
    let apply = |live: &Value, patch: &Value| patched(PatchForm::Json, deployment(), live, patch);
    for (live, operation, expected) in [
        (
            json!({"foo": "bar"}),
            json!({"op": "add", "path": "/baz", "value": "qux"}),
            json!({"baz": "qux", "foo": "bar"}),
        ),
        (
            json!({"foo": ["bar", "baz"]}),
            json!({"op": "add", "path": "/foo/1", "value": "qux"}),
            json!({"foo": ["bar", "qux", "baz"]}),
        ),
        (json!({"baz": "qux", "foo": "bar"}), json!({"op": "remove", "path": "/baz"}), json!({"foo": "bar"})),
        (
            json!({"foo": ["bar", "qux", "baz"]}),
            json!({"op": "remove", "path": "/foo/1"}),
            json!({"foo": ["bar", "baz"]}),
        ),
        (
            json!({"baz": "qux"}),
            json!({"op": "replace", "path": "/baz", "value": "boo"}),
            json!({"baz": "boo"}),
        ),
        (
            json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {}}),
            json!({"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}),
            json!({"foo": {"bar": "baz"}, "qux": {"thud": "fred"}}),
        ),
        (
            json!({"foo": ["all", "grass", "cows", "eat"]}),
            json!({"op": "move", "from": "/foo/1", "path": "/foo/3"}),
            json!({"foo": ["all", "cows", "eat", "grass"]}),
        ),
        (
            json!({"foo": 1}),
            json!({"op": "copy", "from": "/foo", "path": "/bar"}),
            json!({"foo": 1, "bar": 1}),
        ),
        (
            json!({"foo": ["bar"]}),
            json!({"op": "add", "path": "/foo/-", "value": ["abc"]}),
            json!({"foo": ["bar", ["abc"]]}),
        ),
        (
            json!({"/": 9, "~1": 10}),
            json!({"op": "test", "path": "/~01", "value": 10}),
            json!({"/": 9, "~1": 10}),
        ),
    ] {
        assert_eq!(apply(&live, &json!([operation])).unwrap(), expected, "{operation}");
    }
    for operation in [
        json!({"op": "add", "path": "/baz/bat", "value": "qux"}),
        json!({"op": "add", "path": "/list/7", "value": 1}),
        json!({"op": "add", "path": "/list/01", "value": 1}),
        json!({"op": "remove", "path": "/nothing"}),
        json!({"op": "remove", "path": ""}),
        json!({"op": "replace", "path": "/nothing", "value": 1}),
        json!({"op": "test", "path": "/foo", "value": "other"}),
        json!({"op": "burn", "path": "/foo"}),
        json!({"op": "add", "path": "/foo"}),
        json!(1),
    ] {
        assert!(apply(&json!({"foo": "bar", "list": []}), &json!([operation])).is_err(), "{operation}");
    }
}

#[test]
fn copies_within_a_patch_do_not_grow_without_bound() {
    let doubling: Vec<Value> = (0..64).map(|_| json!({"op": "copy", "from": "/a", "path": "/a/-"})).collect();
    let refused = patched(PatchForm::Json, deployment(), &json!({"a": ["x"]}), &json!(doubling)).unwrap_err();
    assert_eq!(refused.message, "a JSON patch copies too much");
}

#[test]
fn who_applies_again_loses_what_he_no_longer_says() {
    let first = within_pod_spec(&json!({"containers": [
        {"name": "api", "image": "a", "ports": [{"containerPort": 80}, {"containerPort": 81}]}, {"name": "side"}]}));
    let mut live = first.clone();
    live["spec"]["replicas"] = json!(7);
    live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = json!("TCP");
    live["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "injected"}));

    let second = within_pod_spec(
        &json!({"containers": [{"name": "api", "image": "b", "ports": [{"containerPort": 80}]}]}),
    );
    let expected = json!({"spec": {"replicas": 7, "template": {"spec": {"containers": [
        {"name": "api", "image": "b", "ports": [{"containerPort": 80, "protocol": "TCP"}]}, {"name": "injected"}]}}}});
    assert_eq!(three_way(deployment(), Some(&first), &second, &live), expected);
}

#[test]
fn one_port_may_be_there_for_two_protocols() {
    let service = manifest::kind_named("svc").unwrap();
    let wanted = json!({"spec": {"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]}});
    let live = json!({"spec": {"ports": [{"port": 53, "protocol": "UDP", "nodePort": 1}, {"port": 53, "protocol": "TCP", "nodePort": 2}]}});
    assert_eq!(
        three_way(service, None, &wanted, &live),
        json!({"spec": {"ports": [{"port": 53, "protocol": "TCP", "nodePort": 2}, {"port": 53, "protocol": "UDP", "nodePort": 1}]}})
    );
}

#[test]
fn lists_of_custom_kinds_are_replaced() {
    let isvc = manifest::kind_named("isvc").unwrap();
    let wanted = json!({"spec": {"containers": [{"name": "b"}]}});
    assert_eq!(three_way(isvc, None, &wanted, &json!({"spec": {"containers": [{"name": "a"}]}})), wanted);
}

#[test]
fn a_list_that_is_replaced_may_be_long_and_one_that_is_merged_may_not() {
    let long: Vec<String> = (0..5000).map(|index| format!("a/{index}")).collect();
    let live = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "args": ["x"]}]}}}});
    let arguments = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "args": long}]}}}});
    let merged = patched(PatchForm::Strategic, deployment(), &live, &arguments).unwrap();
    assert_eq!(merged["spec"]["template"]["spec"]["containers"][0]["args"], json!(long));
    for patch in [
        json!({"metadata": {"finalizers": long}}),
        json!({"metadata": {"$setElementOrder/finalizers": long}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": long}}),
    ] {
        assert!(patched(PatchForm::Strategic, deployment(), &live, &patch).is_err());
    }
}
