//! What is refused of an object, in the words of a real server.

use super::*;

const PATCH: &str = "application/json-patch+json";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

/// Levels of maps, the innermost empty.
fn levels(n: usize) -> Value {
    (1..n).fold(json!({}), |inner, _| json!({"a": inner}))
}

#[test]
fn a_load_balancer_that_is_protected_from_deletion_stays() {
    let api = api();
    let (services, ingresses) =
        ("/api/v1/namespaces/default/services", "/apis/networking.k8s.io/v1/namespaces/default/ingresses");
    let protected =
        |key: &str| json!({key: "idle_timeout.timeout_seconds=60,deletion_protection.enabled=true"});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web",
        "annotations": protected("service.beta.kubernetes.io/aws-load-balancer-attributes")},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web",
        "annotations": protected("alb.ingress.kubernetes.io/load-balancer-attributes")},
        "spec": {"ingressClassName": "alb", "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
    for (path, object) in [(services, service), (ingresses, ingress)] {
        assert_eq!(write(&api, &format!("POST {path}"), JSON, &object).0, 201);
        let refused = write(&api, &format!("DELETE {path}/web"), JSON, &json!({}));
        let text = message(&refused);
        assert!(
            text.starts_with("403 Forbidden") && text.contains("load-balancer-attributes says"),
            "{text}"
        );
        assert!(text.contains("deletion_protection.enabled=true: set it to false first"), "{text}");
        assert_eq!(get(&api, &format!("{path}/web"))["metadata"]["name"], "web");
        let off = json!({"metadata": {"annotations": null}});
        assert_eq!(write(&api, &format!("PATCH {path}/web"), MERGE, &off).0, 200);
        assert_eq!(write(&api, &format!("DELETE {path}/web"), JSON, &json!({})).0, 200);
    }
}

#[test]
fn what_a_class_says_of_deletion_stands_above_what_its_ingresses_say() {
    let api = api();
    let (ingresses, classes) = (
        "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
        "/apis/networking.k8s.io/v1/ingressclasses",
    );
    let of_class = "/apis/elbv2.k8s.aws/v1beta1/ingressclassparams";
    let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "team"},
        "spec": {"controller": "ingress.k8s.aws/alb", "parameters": {"kind": "IngressClassParams", "name": "kept"}}});
    let params = json!({"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "IngressClassParams", "metadata": {"name": "kept"},
        "spec": {"loadBalancerAttributes": [{"key": "deletion_protection.enabled", "value": "true"}]}});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web",
        "annotations": {"alb.ingress.kubernetes.io/load-balancer-attributes": "deletion_protection.enabled=false"}},
        "spec": {"ingressClassName": "team", "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}});
    for (path, object) in [(classes, &class), (of_class, &params), (ingresses, &ingress)] {
        let written = write(&api, &format!("POST {path}"), JSON, object);
        assert_eq!(written.0, 201, "{}", message(&written));
    }
    let delete = || write(&api, &format!("DELETE {ingresses}/web"), JSON, &json!({}));
    expect![[r#"403 Forbidden: ingresses.networking.k8s.io "web" is forbidden: IngressClassParams `kept` says deletion_protection.enabled=true: set it to false first"#]]
        .assert_eq(&message(&delete()));
    // It is only for the namespaces that it names.
    let others = json!({"spec": {"namespaceSelector": {"matchLabels": {"team": "other"}}}});
    assert_eq!(write(&api, &format!("PATCH {of_class}/kept"), MERGE, &others).0, 200);
    assert_eq!(delete().0, 200);
    assert_eq!(
        write(&api, &format!("PATCH {of_class}/kept"), MERGE, &json!({"spec": {"namespaceSelector": null}}))
            .0,
        200
    );
    assert_eq!(write(&api, &format!("POST {ingresses}"), JSON, &ingress).0, 201);
    assert_eq!(delete().0, 403);
    let off = json!({"spec": {"loadBalancerAttributes": [{"key": "deletion_protection.enabled", "value": "false"}]}});
    assert_eq!(write(&api, &format!("PATCH {of_class}/kept"), MERGE, &off).0, 200);
    assert_eq!(delete().0, 200);
}

#[test]
fn a_part_that_a_kind_needs_cannot_be_patched_away() {
    let api = api();
    write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &deployment());
    let removal = json!([{"op": "remove", "path": "/spec"}]);
    let refused = write(&api, &format!("PATCH {DEPLOYMENTS}/web"), PATCH, &removal);
    expect![[r#"422 Invalid: Deployment.apps "web" is invalid: [spec.selector: Required value, spec.template.spec.containers: Required value]"#]]
        .assert_eq(&message(&refused));
    assert_eq!(refused.1["details"]["causes"][0]["reason"], "FieldValueRequired");
    assert_eq!(get(&api, &format!("{DEPLOYMENTS}/web"))["spec"]["replicas"], 2);
}

#[test]
fn texts_and_bytes_have_to_be_such() {
    let api = api();
    let refused = write(&api, &format!("POST {CONFIG_MAPS}"), JSON, &config(&json!({"a": true, "b": 12})));
    expect![[r#"400 BadRequest: ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal bool into Go struct field ConfigMap.data of type string"#]]
        .assert_eq(&message(&refused));
    write(&api, &format!("POST {CONFIG_MAPS}"), JSON, &config(&json!({"a": "true"})));
    let number = json!({"data": {"b": 12}});
    assert_eq!(write(&api, &format!("PATCH {CONFIG_MAPS}/c"), MERGE, &number).0, 400);
    assert_eq!(write(&api, &format!("PATCH {CONFIG_MAPS}/c"), STRATEGIC, &number).0, 400);
    assert_eq!(
        write(&api, &format!("PATCH {CONFIG_MAPS}/c?fieldManager=m"), APPLY, &config(&json!({"b": 12}))).0,
        400
    );
    assert_eq!(write(&api, &format!("PUT {CONFIG_MAPS}/c"), JSON, &config(&json!({"b": 12}))).0, 400);
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "no!"}});
    let refused = write(&api, "POST /api/v1/namespaces/default/secrets", JSON, &secret);
    expect![[r#"400 BadRequest: Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 2"#]]
        .assert_eq(&message(&refused));
}

#[test]
fn numbers_out_of_bounds_are_refused_wherever_they_are_written() {
    let api = api();
    let mut wrong = deployment();
    wrong["spec"]["progressDeadlineSeconds"] = json!(i64::MAX);
    let refused = write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &wrong);
    expect![[r#"400 BadRequest: Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number 9223372036854775807 into Go struct field DeploymentSpec.spec.progressDeadlineSeconds of type int32"#]]
        .assert_eq(&message(&refused));
    write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &deployment());
    let too_many = json!({"spec": {"replicas": 201}});
    let words = expect![[
        r#"422 Invalid: Deployment.apps "web" is invalid: spec.replicas: Invalid value: 201: must be less than or equal to 200, the most that one machine runs"#
    ]];
    for path in ["web", "web/scale"] {
        let refused = write(&api, &format!("PATCH {DEPLOYMENTS}/{path}"), MERGE, &too_many);
        words.assert_eq(&message(&refused));
    }
    let negative = json!({"spec": {"minReadySeconds": -1}});
    assert_eq!(write(&api, &format!("PATCH {DEPLOYMENTS}/web"), STRATEGIC, &negative).0, 422);
}

#[test]
fn objects_are_only_so_deep() {
    let api = api();
    let path = "/apis/monitoring.coreos.com/v1/namespaces/default/servicemonitors";
    let monitor = |name: &str, n: usize| {
        json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": name},
            "spec": {"endpoints": [], "selector": {}, "attachMetadata": levels(n)}})
    };
    assert_eq!(write(&api, &format!("POST {path}"), JSON, &monitor("a", 1)).0, 201);
    let put = |n: usize| json!([{"op": "add", "path": "/spec/attachMetadata", "value": levels(n)}]);
    let patch = |n: usize| write(&api, &format!("PATCH {path}/a"), PATCH, &put(n));
    assert_eq!(patch(98).0, 200);
    expect!["422 Invalid: the JSON patch makes an object of more than 100 levels"]
        .assert_eq(&message(&patch(99)));
    let merge = |n: usize| json!({"spec": {"attachMetadata": levels(n)}});
    assert_eq!(write(&api, &format!("PATCH {path}/a"), MERGE, &merge(98)).0, 200);
    let refused = write(&api, &format!("PATCH {path}/a"), MERGE, &merge(99));
    expect![[
        r#"422 Invalid: ServiceMonitor.monitoring.coreos.com "a" is invalid: spec: Too deep: must have at most 100 levels"#
    ]]
    .assert_eq(&message(&refused));
    let deep = monitor("deep", 99);
    assert_eq!(write(&api, &format!("POST {path}"), JSON, &deep).0, 422);
    assert_eq!(write(&api, &format!("PATCH {path}/deep?fieldManager=m"), APPLY, &deep).0, 422);
    assert_eq!(write(&api, &format!("PATCH {path}/a?fieldManager=m"), APPLY, &monitor("a", 99)).0, 422);
    assert_eq!(write(&api, &format!("PUT {path}/a"), JSON, &monitor("a", 99)).0, 422);
}

/// Each operation puts a deep value into the deepest place of the one before.
#[test]
fn operations_of_a_patch_do_not_dig_deeper_and_deeper() {
    let api = api();
    write(&api, &format!("POST {CONFIG_MAPS}"), JSON, &config(&json!({})));
    let within = "/a".repeat(90);
    let add =
        |n: usize| json!({"op": "add", "path": format!("/data{}", within.repeat(n)), "value": levels(91)});
    let patch: Vec<Value> = (0..150).map(add).collect();
    let refused = write(&api, &format!("PATCH {CONFIG_MAPS}/c"), PATCH, &json!(patch));
    expect!["422 Invalid: the JSON patch makes an object of more than 100 levels"]
        .assert_eq(&message(&refused));
    let nest = [
        json!({"op": "add", "path": "/x", "value": levels(60)}),
        json!({"op": "copy", "from": "/x", "path": format!("/x{}", "/a".repeat(59))}),
    ];
    assert_eq!(write(&api, &format!("PATCH {CONFIG_MAPS}/c"), PATCH, &json!(nest)).0, 422);
}

#[test]
fn a_service_or_an_ingress_that_makes_no_sense_is_refused_as_a_server_does() {
    let api = api();
    let mut foo = service("a");
    foo["spec"]["type"] = json!("Foo");
    foo["spec"]["ports"] = json!([{"name": "a", "port": 80}, {"name": "a", "port": 81, "nodePort": 99}]);
    let refused = write(&api, &format!("POST {SERVICES}"), JSON, &foo);
    expect![[r#"422 Invalid: Service "a" is invalid: [spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort", spec.ports[1].name: Duplicate value: "a", spec.ports[1].nodePort: Invalid value: 99: provided port is not in the valid range. The range of valid ports is 30000-32767]"#]]
        .assert_eq(&message(&refused));
    let reasons: Vec<&Value> =
        refused.1["details"]["causes"].as_array().unwrap().iter().map(|cause| &cause["reason"]).collect();
    assert_eq!(reasons, ["FieldValueNotSupported", "FieldValueDuplicate", "FieldValueInvalid"]);
    let mut none = service("a");
    none["spec"]["ports"] = json!([]);
    let refused = write(&api, &format!("POST {SERVICES}"), JSON, &none);
    expect![[r#"422 Invalid: Service "a" is invalid: spec.ports: Required value"#]]
        .assert_eq(&message(&refused));
    none["spec"]["clusterIP"] = json!("None");
    assert_eq!(write(&api, &format!("POST {SERVICES}"), JSON, &none).0, 201);
    let backend = json!({"service": {"name": "a", "port": {"number": 80}}});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "a"},
        "spec": {"rules": [{"http": {"paths": [{"path": "api", "backend": backend}]}}]}});
    let refused = write(&api, "POST /apis/networking.k8s.io/v1/namespaces/default/ingresses", JSON, &ingress);
    expect![[r#"422 Invalid: Ingress.networking.k8s.io "a" is invalid: [spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified, spec.rules[0].http.paths[0].path: Invalid value: "api": must be an absolute path]"#]]
        .assert_eq(&message(&refused));
}

#[test]
fn what_does_not_change_is_not_changed() {
    let api = api();
    let mut fixed = config(&json!({"k": "1"}));
    fixed["immutable"] = json!(true);
    write(&api, &format!("POST {CONFIG_MAPS}"), JSON, &fixed);
    assert_eq!(write(&api, &format!("PUT {CONFIG_MAPS}/c"), JSON, &fixed).0, 200, "the same is no change");
    let labelled = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(write(&api, &format!("PATCH {CONFIG_MAPS}/c"), MERGE, &labelled).0, 200);
    let refused = write(
        &api,
        &format!("PATCH {CONFIG_MAPS}/c"),
        MERGE,
        &json!({"data": {"k": "2"}, "immutable": false}),
    );
    expect![[r#"422 Invalid: ConfigMap "c" is invalid: [data: Forbidden: field is immutable when `immutable` is set, immutable: Forbidden: field is immutable when `immutable` is set]"#]]
        .assert_eq(&message(&refused));

    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "immutable": true, "stringData": {"k": "v"}});
    write(&api, &format!("POST {secrets}"), JSON, &secret);
    assert_eq!(
        write(&api, &format!("PUT {secrets}/s"), JSON, &secret).0,
        200,
        "text that is encoded the same"
    );
    let mut typed = secret.clone();
    typed["type"] = json!("kubernetes.io/tls");
    assert_eq!(
        message(&write(&api, &format!("PUT {secrets}/s"), JSON, &typed)),
        r#"422 Invalid: Secret "s" is invalid: type: Invalid value: "kubernetes.io/tls": field is immutable"#
    );

    write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &deployment());
    let mut other = deployment();
    other["spec"]["selector"]["matchLabels"] = json!({"app": "web", "tier": "a"});
    other["spec"]["template"]["metadata"]["labels"] = json!({"app": "web", "tier": "a"});
    let refused = message(&write(&api, &format!("PUT {DEPLOYMENTS}/web"), JSON, &other));
    assert!(refused.ends_with("field is immutable"), "{refused}");

    write(&api, &format!("POST {SERVICES}"), JSON, &service("api"));
    assert_eq!(
        write(&api, &format!("PUT {SERVICES}/api"), JSON, &service("api")).0,
        200,
        "what is left out is kept"
    );
    let moved = json!({"spec": {"clusterIP": "10.96.1.1"}});
    let refused = message(&write(&api, &format!("PATCH {SERVICES}/api"), MERGE, &moved));
    expect![[r#"422 Invalid: Service "api" is invalid: spec.clusterIPs[0]: Invalid value: "10.96.1.1": may not change once set"#]]
        .assert_eq(&refused);
}

#[test]
fn on_a_public_address_what_asks_for_protection_in_vain_is_forbidden() {
    let with = |exposure| {
        let defaults = manifest::Defaults { exposure, ..manifest::Defaults::default() }.into();
        Api::new(
            Rc::new(Store::in_memory()),
            None,
            Settings { token: TOKEN.to_owned(), defaults, ..Settings::default() },
        )
    };
    let policy =
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a"}});
    let path = "POST /apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
    let told = |exposure| message(&write(&with(exposure), path, "application/json", &policy));
    assert!(told(manifest::Exposure::Loopback).starts_with("201 "));
    assert!(told(manifest::Exposure::PublicUnprotected).starts_with("201 "));
    let refused = told(manifest::Exposure::Public);
    assert!(
        refused.starts_with("403 Forbidden: NetworkPolicy \"a\" is refused on a public address: "),
        "{refused}"
    );
    assert!(refused.ends_with("or --allow-unprotected to serve without it"), "{refused}");
}

/// A ConfigMap as kubectl and controllers send it in protobuf: with a uid and a revision, and one entry.
fn config_in_protobuf(uid: &str, revision: &str, value: &str) -> Vec<u8> {
    let field =
        |number: u8, bytes: &[u8]| [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let metadata = [field(1, b"c"), field(5, uid.as_bytes()), field(6, revision.as_bytes())].concat();
    let entry = [field(1, b"k"), field(2, value.as_bytes())].concat();
    let about = [field(1, b"v1"), field(2, b"ConfigMap")].concat();
    let object = [field(1, &metadata), field(2, &entry)].concat();
    [b"k8s\0".to_vec(), field(1, &about), field(2, &object)].concat()
}

#[test]
fn a_stale_write_in_protobuf_is_a_conflict() {
    let api = api();
    let made = write(&api, &format!("POST {CONFIG_MAPS}"), JSON, &config(&json!({"k": "1"}))).1;
    let text = |field: &str| made["metadata"][field].as_str().unwrap().to_owned();
    let put = |uid: &str, revision: &str, value: &str| {
        let body = config_in_protobuf(uid, revision, value);
        let fields = [("content-type", "application/vnd.kubernetes.protobuf")];
        send(&api, &format!("PUT {CONFIG_MAPS}/c"), &fields, body).status().as_u16()
    };
    let (uid, revision) = (text("uid"), text("resourceVersion"));
    assert_eq!(put(&uid, &revision, "2"), 200);
    assert_eq!(put(&uid, &revision, "3"), 409, "somebody else has written in between");
    assert_eq!(put("another", "", "3"), 409, "it is another object");
    assert_eq!(get(&api, &format!("{CONFIG_MAPS}/c"))["data"]["k"], "2");
    assert_eq!(put("", "", "3"), 200, "whoever does not say does not mind");
}

#[test]
fn the_folder_of_a_file_stays_with_an_object_that_is_written_anew() {
    let api = api();
    let mut relative = deployment();
    relative["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["serve", "model"]);
    let refused = write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &relative);
    assert_eq!(refused.0, 422);
    assert!(
        message(&refused)
            .contains("spec.template.spec.containers[0].args: Invalid value: \"model\": is a relative path")
    );
    let mut from_a_file = relative.clone();
    from_a_file["metadata"]["annotations"] = json!({"forebay.dev/base-directory": "/srv/web"});
    assert_eq!(write(&api, &format!("POST {DEPLOYMENTS}"), JSON, &from_a_file).0, 201);
    let replaced = write(&api, &format!("PUT {DEPLOYMENTS}/web"), JSON, &relative);
    assert_eq!(replaced.0, 200, "{replaced:?}");
    assert_eq!(replaced.1["metadata"]["annotations"]["forebay.dev/base-directory"], "/srv/web");
}
