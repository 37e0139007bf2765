use super::*;
use crate::compile::memo::Memo;
use crate::kind_named;

#[track_caller]
fn check(kind: &str, fields: &Value, expected: &[&str]) {
    let kind = kind_named(kind).unwrap();
    let mut value = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": "a"}});
    value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let violations = violations(&Object::from_value(value).unwrap());
    let shown = violations.iter().map(|violation| {
        let class = if violation.is_undecodable() { "400" } else { "422" };
        format!("{class} {}: {}", violation.field, violation.message())
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

/// A Deployment with these fields in its spec, and these in its container.
fn deployment(spec: &Value, container: &Value) -> Value {
    let mut named = json!({"name": "main", "image": "x"});
    named.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    let mut all = json!({"selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}},
        "spec": {"terminationGracePeriodSeconds": 30, "containers": [named]}}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"spec": all})
}

#[test]
fn numbers_have_bounds() {
    let good = json!({"replicas": 200, "minReadySeconds": 0, "progressDeadlineSeconds": 2_147_483_647,
        "strategy": {"rollingUpdate": {"maxSurge": "250%", "maxUnavailable": 2_147_483_647}}});
    check("deploy", &deployment(&good, &json!({})), &[]);
    let bad = json!({"replicas": 201, "minReadySeconds": -1, "revisionHistoryLimit": "x",
        "progressDeadlineSeconds": i64::MAX,
        "strategy": {"rollingUpdate": {"maxSurge": u32::MAX, "maxUnavailable": "99999999999%"}}});
    check(
        "deploy",
        &deployment(&bad, &json!({})),
        &[
            "422 spec.replicas: Invalid value: 201: must be less than or equal to 200, the most that one machine runs",
            "422 spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
            "400 spec.revisionHistoryLimit: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.revisionHistoryLimit of type int32",
            "400 spec.progressDeadlineSeconds: json: cannot unmarshal number 9223372036854775807 into Go struct field DeploymentSpec.spec.progressDeadlineSeconds of type int32",
            "400 spec.strategy.rollingUpdate.maxSurge: json: cannot unmarshal number 4294967295 into Go struct field RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32",
            "422 spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"99999999999%\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ],
    );
    check(
        "deploy",
        &deployment(&json!({"replicas": -1}), &json!({})),
        &["422 spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
    );
}

#[test]
fn numbers_of_containers_and_ports_have_bounds() {
    let container = json!({"ports": [{"containerPort": 80}, {"containerPort": 65_536}],
        "livenessProbe": {"periodSeconds": -1, "failureThreshold": 1e300, "httpGet": {"port": 0}},
        "readinessProbe": {"tcpSocket": {"port": "http"}}});
    check(
        "deploy",
        &deployment(&json!({}), &container),
        &[
            "422 spec.template.spec.containers[0].ports[1].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
            "422 spec.template.spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            "400 spec.template.spec.containers[0].livenessProbe.failureThreshold: json: cannot unmarshal number 1e+300 into Go struct field Probe.spec.template.spec.containers.livenessProbe.failureThreshold of type int32",
            "422 spec.template.spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ],
    );
    check(
        "svc",
        &json!({"spec": {"ports": [{"port": 70_000, "targetPort": "http"}]}}),
        &["422 spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive"],
    );
}

#[test]
fn traffic_is_not_sent_to_a_cloud_s_credentials() {
    let slice =
        |address: &str| json!({"addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1", address]}]});
    let expected = r#"422 endpoints[0].addresses[1]: Invalid value: "169.254.169.254": may not be in the link-local range (169.254.0.0/16, fe80::/10), where a cloud keeps its credentials"#;
    check("EndpointSlice", &slice("169.254.169.254"), &[expected]);
    check("EndpointSlice", &slice("10.0.0.1"), &[]);
    let expected = r#"422 subsets[0].addresses[0].ip: Invalid value: "0.0.0.0": may not be unspecified"#;
    check("Endpoints", &json!({"subsets": [{"addresses": [{"ip": "0.0.0.0"}]}]}), &[expected]);
}

#[test]
fn what_a_kind_is_made_of_has_to_be_there() {
    check(
        "deploy",
        &json!({}),
        &["422 spec.selector: Required value", "422 spec.template.spec.containers: Required value"],
    );
    check("pod", &json!({"spec": {"containers": []}}), &["422 spec.containers: Required value"]);
    check("isvc", &json!({"spec": 3}), &["422 spec.predictor: Required value"]);
}

#[test]
fn texts_are_texts_and_bytes_are_base64() {
    check(
        "cm",
        &json!({"data": {"a": true, "b": 12, "c": "x"}}),
        &[
            "400 data.a: json: cannot unmarshal bool into Go struct field ConfigMap.data of type string",
            "400 data.b: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ],
    );
    check(
        "secret",
        &json!({"data": {"a": "b2s=", "b": "b2\ns=", "c": "not base64"}, "stringData": {"d": []}}),
        &[
            "400 stringData.d: json: cannot unmarshal array into Go struct field Secret.stringData of type string",
            "400 data.c: illegal base64 data at input byte 9",
        ],
    );
}

#[test]
fn a_service_has_ports_that_are_told_apart() {
    let service = |spec: Value| json!({ "spec": spec });
    check("svc", &service(json!({"ports": []})), &["422 spec.ports: Required value"]);
    check("svc", &service(json!({"clusterIP": "None"})), &[]);
    check("svc", &service(json!({"type": "ExternalName", "externalName": "example.com"})), &[]);
    check("svc", &service(json!({"type": "ExternalName"})), &["422 spec.externalName: Required value"]);
    check(
        "svc",
        &service(json!({"type": "Foo", "ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]})),
        &[
            r#"422 spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort""#,
            r#"422 spec.ports[1].name: Duplicate value: "a""#,
        ],
    );
    let named = json!({"type": "NodePort", "ports": [{"name": "a", "port": 80, "nodePort": 80},
        {"port": 80, "protocol": "UDP"}, {"name": "b", "port": 80}]});
    check(
        "svc",
        &service(named),
        &[
            "422 spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
            "422 spec.ports[1].name: Required value",
            r#"422 spec.ports[2]: Duplicate value: core.ServicePort{Name:"", Protocol:"TCP", AppProtocol:(*string)(nil), Port:80, TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}"#,
        ],
    );
}

#[test]
fn ranges_are_ranges_and_finalizers_are_somebody_s() {
    let written = json!({"metadata": {"name": "a", "finalizers": ["orphan", "example.com/hold", "mine"]},
        "spec": {"ports": [{"port": 80}], "loadBalancerSourceRanges": ["10.0.0.0/8", "10.0.0.1", "::/0"]}});
    check(
        "svc",
        &written,
        &[
            r#"422 metadata.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified"#,
            r#"422 spec.loadBalancerSourceRanges[1]: Invalid value: "10.0.0.1": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"#,
        ],
    );
}

#[test]
fn paths_of_an_ingress_have_a_type_and_lead_somewhere() {
    let ingress = |paths: Value| json!({"spec": {"rules": [{"http": {"paths": paths}}]}});
    let backend = json!({"service": {"name": "a", "port": {"number": 80}}});
    let good = json!([{"path": "/", "pathType": "Prefix", "backend": backend},
        {"path": "/a*", "pathType": "ImplementationSpecific", "backend": backend},
        {"pathType": "ImplementationSpecific", "backend": {"service": {"name": "a", "port": {"name": "use-annotation"}}}}]);
    check("ing", &ingress(good), &[]);
    let bad = json!([{"path": "/", "backend": backend}, {"path": "api", "pathType": "Exact", "backend": backend},
        {"path": "/a//b", "pathType": "Prefix", "backend": {"service": {"port": {}}}},
        {"path": "/", "pathType": "Glob", "backend": {}}]);
    check(
        "ing",
        &ingress(bad),
        &[
            r#"422 spec.rules[0].http.paths[3].pathType: Unsupported value: "Glob": supported values: "Exact", "ImplementationSpecific", "Prefix""#,
            "422 spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
            r#"422 spec.rules[0].http.paths[1].path: Invalid value: "api": must be an absolute path"#,
            r#"422 spec.rules[0].http.paths[2].path: Invalid value: "/a//b": must not contain '//'"#,
            "422 spec.rules[0].http.paths[2].backend: Required value: port name or number is required",
            "422 spec.rules[0].http.paths[2].backend.service.name: Required value",
            r#"422 spec.rules[0].http.paths[3].backend: Invalid value: "": resource or service backend is required"#,
        ],
    );
    check(
        "ing",
        &json!({"spec": {"ingressClassName": "alb"}}),
        &["422 spec: Invalid value: {}: either `defaultBackend` or `rules` must be specified"],
    );
    check(
        "ing",
        &json!({"spec": {"rules": [{"host": "127.0.0.1"}, {"host": "*.example.com"}]}}),
        &[r#"422 spec.rules[0].host: Invalid value: "127.0.0.1": must be a DNS name, not an IP address"#],
    );
}

#[test]
fn autoscalers_and_budgets_make_sense() {
    let target = json!({"kind": "Deployment", "name": "a"});
    check(
        "hpa",
        &json!({"spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 2}}),
        &["422 spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`"],
    );
    check(
        "hpa",
        &json!({"spec": {"scaleTargetRef": {"kind": "Deployment"}}}),
        &[
            "422 spec.scaleTargetRef.name: Required value",
            "422 spec.maxReplicas: Invalid value: 0: must be greater than 0",
        ],
    );
    check(
        "pdb",
        &json!({"spec": {"minAvailable": 1, "maxUnavailable": "lots"}}),
        &[
            r#"422 spec.maxUnavailable: Invalid value: "lots": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"#,
            r#"422 spec: Invalid value: {"maxUnavailable":"lots","minAvailable":1}: minAvailable and maxUnavailable cannot be both set"#,
        ],
    );
}

#[test]
fn labels_and_amounts_are_of_their_form() {
    let labelled =
        json!({"metadata": {"name": "a", "labels": {"app": "a b", "a b": "c"}}, "data": {"x y": "1"}});
    let names = |violations: Vec<Violation>| -> Vec<String> {
        violations.into_iter().map(|violation| violation.field).collect()
    };
    let object = |value: Value| Object::from_value(value).unwrap();
    let mut config = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    config.as_object_mut().unwrap().extend(labelled.as_object().unwrap().clone());
    assert_eq!(
        names(violations(&object(config))),
        ["metadata.labels[\"a b\"]", "metadata.labels.app", "data[\"x y\"]"]
    );
    let container =
        json!({"resources": {"requests": {"cpu": "2", "memory": "lots"}, "limits": {"cpu": "1500m"}}});
    check(
        "deploy",
        &deployment(&json!({}), &container),
        &[
            "400 spec.template.spec.containers[0].resources.requests.memory: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            r#"422 spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1500m"#,
        ],
    );
    check(
        "svc",
        &json!({"metadata": {"name": "1abc"}, "spec": {"ports": [{"port": 80}]}}),
        &[&format!("422 metadata.name: Invalid value: \"1abc\": {}", names::SERVICE_RULE)],
    );
}

#[test]
fn a_file_is_told_the_same_in_our_words() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
        "spec": {"ports": [{"name": "a", "port": 80, "nodePort": 80}, {"name": "a", "port": 81}, {"port": 82}]}});
    let objects: Objects = [Object::from_value(service).unwrap()].into_iter().collect();
    let told: Vec<String> = doubts(&objects, &Memo::default())
        .into_iter()
        .map(|finding| format!("{} {}", finding.severity.as_str(), finding.message))
        .collect();
    assert_eq!(
        told,
        [
            "warning `spec.ports[0].nodePort` is `80`: provided port is not in the valid range. The range of valid ports is 30000-32767; Kubernetes refuses it",
            "warning `spec.ports[1].name` is `a`, which stands there already; Kubernetes refuses it",
            "warning `spec.ports[2].name` is missing; Kubernetes refuses it",
        ]
    );
}
