use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use serde_json::json;

use super::columns::plain;
use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";

/// The rows of an object as `kubectl get -o wide` has them: names of columns, those of `-o wide` with a star, and cells.
fn check(object: Value, expected: &Expect) {
    let mut object = object;
    if object["metadata"]["creationTimestamp"].is_null() {
        object["metadata"]["creationTimestamp"] = json!("2026-11-21T11:55:21Z");
    }
    let object = Object::from_value(object).unwrap();
    let now = NOW.parse().unwrap();
    let line = |column: &Column| {
        let star = if column.is_wide { "*" } else { "" };
        let cell = (column.cell)(&object, now);
        assert!(
            cell.is_null() || cell.is_u64() == (column.cell_type == "integer"),
            "{}: {cell}",
            column.name
        );
        format!("{}{star}: {}\n", column.name, plain(&cell))
    };
    expected.assert_eq(&object.kind.columns.iter().map(line).collect::<String>());
}

fn service(spec: &Value, status: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "retail-forecast-nlb", "namespace": "mlops"},
        "spec": spec, "status": status})
}

#[test]
fn acc_s3_128_a_service_with_a_load_balancer() {
    let spec = json!({"type": "LoadBalancer", "clusterIP": "10.96.146.72", "selector": {"app": "retail", "tier": "api"},
        "ports": [{"port": 80, "nodePort": 31626, "protocol": "TCP"}, {"port": 443, "nodePort": 31627}]});
    let address = json!({"loadBalancer": {"ingress": [{"ip": "127.77.0.2", "hostname": "127.77.0.2"}]}});
    check(
        service(&spec, &address),
        &expect![[r#"
            Name: retail-forecast-nlb
            Type: LoadBalancer
            Cluster-IP: 10.96.146.72
            External-IP: 127.77.0.2
            Port(s): 80:31626/TCP,443:31627/TCP
            Age: 4m39s
            Selector*: app=retail,tier=api
        "#]],
    );
    let pending = kind_named("svc").unwrap().columns[3].cell;
    let object = Object::from_value(service(&spec, &json!({"loadBalancer": {}}))).unwrap();
    assert_eq!(pending(&object, NOW.parse().unwrap()), "<pending>");
}

#[test]
fn acc_s1_10_a_service_inside_the_cluster() {
    check(
        service(&json!({"clusterIP": "10.96.122.119", "ports": [{"port": 80}]}), &json!({})),
        &expect![[r#"
            Name: retail-forecast-nlb
            Type: ClusterIP
            Cluster-IP: 10.96.122.119
            External-IP: <none>
            Port(s): 80/TCP
            Age: 4m39s
            Selector*: <none>
        "#]],
    );
}

#[test]
fn acc_s1_11_endpoints_are_addresses_with_ports() {
    let endpoints = |addresses: &[&str]| {
        let addresses: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "api"},
            "subsets": [{"addresses": addresses, "ports": [{"port": 8080}]}]})
    };
    check(
        endpoints(&["127.78.0.1", "127.78.0.2"]),
        &expect![[r#"
            Name: api
            Endpoints: 127.78.0.1:8080,127.78.0.2:8080
            Age: 4m39s
        "#]],
    );
    check(
        endpoints(&["127.78.0.1", "127.78.0.2", "127.78.0.3", "127.78.0.4", "127.78.0.5"]),
        &expect![[r#"
            Name: api
            Endpoints: 127.78.0.1:8080,127.78.0.2:8080,127.78.0.3:8080 + 2 more...
            Age: 4m39s
        "#]],
    );
    check(
        endpoints(&[]),
        &expect![[r#"
            Name: api
            Endpoints: <none>
            Age: 4m39s
        "#]],
    );
    check(
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "api"},
            "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": []}),
        &expect![[r#"
            Name: api
            AddressType: IPv4
            Ports: 8080
            Endpoints: <unset>
            Age: 4m39s
        "#]],
    );
}

#[test]
fn acc_s1_33_s2_31_an_ingress() {
    let ingress = |spec: &Value| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "istio-ingress-api"},
            "spec": spec, "status": {"loadBalancer": {"ingress": [{"ip": "127.77.0.3", "hostname": "127.77.0.3"}]}}})
    };
    check(
        ingress(&json!({"rules": [{"http": {}}]})),
        &expect![[r#"
            Name: istio-ingress-api
            Class: <none>
            Hosts: *
            Address: 127.77.0.3
            Ports: 80
            Age: 4m39s
        "#]],
    );
    let hosts: Vec<Value> = (0..5).map(|n| json!({"host": format!("h{n}.example.com")})).collect();
    check(
        ingress(&json!({"ingressClassName": "alb", "rules": hosts, "tls": [{}]})),
        &expect![[r#"
            Name: istio-ingress-api
            Class: alb
            Hosts: h0.example.com,h1.example.com,h2.example.com + 2 more...
            Address: 127.77.0.3
            Ports: 80, 443
            Age: 4m39s
        "#]],
    );
}

#[test]
fn classes_and_policies() {
    check(
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "alb"}, "spec": {
            "controller": "ingress.k8s.aws/alb",
            "parameters": {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "alb"}}}),
        &expect![[r#"
            Name: alb
            Controller: ingress.k8s.aws/alb
            Parameters: IngressClassParams.elbv2.k8s.aws/alb
            Age: 4m39s
        "#]],
    );
    let pods = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
        {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}]});
    check(
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"},
            "spec": {"podSelector": pods}}),
        &expect![[r#"
            Name: p
            Pod-Selector: app=web,tier in (a,b),!old
            Age: 4m39s
        "#]],
    );
}

#[test]
fn acc_s0_25_an_inference_service() {
    let isvc = |status: &Value| {
        json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": "mlflow-wine-classifier"}, "spec": {}, "status": status})
    };
    check(
        isvc(&json!({
            "url": "http://mlflow-wine-classifier.mlflow-kserve-test.example.com",
            "conditions": [{"type": "PredictorReady", "status": "False"}, {"type": "Ready", "status": "True"}],
            "components": {"predictor": {"traffic": [
                {"latestRevision": true, "percent": 100, "revisionName": "mlflow-wine-classifier-predictor-default-00001"}]}},
        })),
        &expect![[r#"
            Name: mlflow-wine-classifier
            URL: http://mlflow-wine-classifier.mlflow-kserve-test.example.com
            Ready: True
            Prev: null
            Latest: 100
            PrevRolledoutRevision: null
            LatestReadyRevision: mlflow-wine-classifier-predictor-default-00001
            Age: 4m39s
        "#]],
    );
    check(
        isvc(&json!({})),
        &expect![[r#"
            Name: mlflow-wine-classifier
            URL: null
            Ready: null
            Prev: null
            Latest: null
            PrevRolledoutRevision: null
            LatestReadyRevision: null
            Age: 4m39s
        "#]],
    );
}

fn pod(status: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-x"}, "status": status,
        "spec": {"nodeName": "node1", "containers": [{"name": "web"}]}})
}

#[test]
fn acc_s4_112_a_pod_that_crashes_says_so() {
    check(
        pod(&json!({"phase": "Running", "podIP": "127.78.0.1", "containerStatuses": [{
            "name": "web", "ready": false, "restartCount": 6,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"finishedAt": "2026-11-21T11:56:59Z"}}}]})),
        &expect![[r#"
            Name: web-x
            Ready: 0/1
            Status: CrashLoopBackOff
            Restarts: 6 (3m1s ago)
            Age: 4m39s
            IP*: 127.78.0.1
            Node*: node1
            Nominated Node*: <none>
            Readiness Gates*: <none>
        "#]],
    );
}

#[test]
fn a_pod_has_one_word_for_its_state() {
    let word = |pod: Value| {
        let pod = Object::from_value(pod).unwrap();
        (pod.kind.columns[2].cell)(&pod, NOW.parse().unwrap()).as_str().unwrap().to_owned()
    };
    let running = json!({"ready": true, "state": {"running": {}}});
    let ended = |reason: &str| json!({"state": {"terminated": {"reason": reason, "exitCode": 3}}});
    assert_eq!(word(pod(&json!({}))), "Pending");
    assert_eq!(word(pod(&json!({"phase": "Running", "containerStatuses": [running]}))), "Running");
    assert_eq!(word(pod(&json!({"phase": "Failed", "reason": "Evicted"}))), "Evicted");
    assert_eq!(word(pod(&json!({"phase": "Failed", "containerStatuses": [ended("Error")]}))), "Error");
    assert_eq!(word(pod(&json!({"phase": "Failed", "containerStatuses": [ended("")]}))), "ExitCode:3");
    let with_one_done = json!({"phase": "Running", "containerStatuses": [ended("Completed"), running]});
    assert_eq!(word(pod(&with_one_done)), "NotReady");
    let mut leaving = pod(&json!({"phase": "Running", "containerStatuses": [running]}));
    leaving["metadata"]["deletionTimestamp"] = json!(NOW);
    assert_eq!(word(leaving), "Terminating");
}

#[test]
fn acc_s4_24_a_deployment_and_its_set() {
    let template = json!({"spec": {"containers": [{"name": "api", "image": "forebay:1"}, {"name": "side", "image": "b"}]}});
    check(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "ml-inference-api"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "api"}}, "template": template},
            "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}}),
        &expect![[r#"
            Name: ml-inference-api
            Ready: 2/3
            Up-to-date: 3
            Available: 1
            Age: 4m39s
            Containers*: api,side
            Images*: forebay:1,b
            Selector*: app=api
        "#]],
    );
    check(
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "api-1"},
            "spec": {"replicas": 3, "template": template}, "status": {"replicas": 2, "readyReplicas": 1}}),
        &expect![[r#"
            Name: api-1
            Desired: 3
            Current: 2
            Ready: 1
            Age: 4m39s
            Containers*: api,side
            Images*: forebay:1,b
            Selector*: <none>
        "#]],
    );
}

#[test]
fn acc_s4_63_autoscalers_and_budgets() {
    let resource = |name: &str, percent: u32| json!({"type": "Resource", "resource": {"name": name, "target": {"averageUtilization": percent}}});
    check(
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "hpa"},
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "api"}, "minReplicas": 2, "maxReplicas": 10,
                "metrics": [resource("cpu", 70), resource("memory", 80),
                    {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"averageValue": "100"}}}, {"type": "é"}]},
            "status": {"currentReplicas": 3, "currentMetrics": [
                {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 20}}}]}}),
        &expect![[r#"
            Name: hpa
            Reference: Deployment/api
            Targets: cpu: 20%/70%, memory: <unknown>/80%, <unknown>/100 (avg)
            MinPods: 2
            MaxPods: 10
            Replicas: 3
            Age: 4m39s
        "#]],
    );
    check(
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "pdb"},
            "spec": {"minAvailable": 1}}),
        &expect![[r#"
            Name: pdb
            Min Available: 1
            Max Unavailable: N/A
            Allowed Disruptions: 0
            Age: 4m39s
        "#]],
    );
}

#[test]
fn acc_s3_107_an_event() {
    check(
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.1"}, "type": "Warning", "reason": "BackOff",
            "message": "Back-off restarting\n", "involvedObject": {"kind": "Pod", "name": "web-x"},
            "source": {"component": "forebay"}, "count": 5,
            "firstTimestamp": "2026-11-21T11:40:00Z", "lastTimestamp": "2026-11-21T11:59:00Z"}),
        &expect![[r#"
            Last Seen: 60s (x5 over 20m)
            Type: Warning
            Reason: BackOff
            Object: pod/web-x
            Subobject*: 
            Source*: forebay
            Message: Back-off restarting
            First Seen*: 20m
            Count*: 5
            Name*: web.1
        "#]],
    );
}

#[test]
fn what_is_only_kept() {
    check(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "", "b": ""},
            "binaryData": {"c": ""}}),
        &expect![[r#"
            Name: c
            Data: 3
            Age: 4m39s
        "#]],
    );
    check(
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "kubernetes.io/tls", "data": {"a": ""}}),
        &expect![[r#"
            Name: s
            Type: kubernetes.io/tls
            Data: 1
            Age: 4m39s
        "#]],
    );
    let rbac = "rbac.authorization.k8s.io/v1";
    check(
        json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "r"}, "roleRef": {"kind": "Role", "name": "x"},
            "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "a", "namespace": "n"}]}),
        &expect![[r#"
            Name: r
            Role: Role/x
            Age: 4m39s
            Users*: u
            Groups*: 
            ServiceAccounts*: n/a
        "#]],
    );
    check(
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
            "spec": {"hard": {"pods": 10, "limits.cpu": "4"}}, "status": {"used": {"pods": "2"}}}),
        &expect![[r#"
            Name: q
            Request: pods: 2/10
            Limit: limits.cpu: 0/4
            Age: 4m39s
        "#]],
    );
    check(
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": ""}},
            "spec": {"unschedulable": true}, "status": {"conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "nodeInfo": {"kubeletVersion": "v1"}}}),
        &expect![[r#"
            Name: n
            Status: Ready,SchedulingDisabled
            Roles: worker
            Age: 4m39s
            Version: v1
            Internal-IP*: 127.0.0.1
            External-IP*: <none>
            OS-Image*: <unknown>
            Kernel-Version*: <unknown>
            Container-Runtime*: <unknown>
        "#]],
    );
}

/// What every kind has to say. A new kind that leaves something out fails here.
#[test]
fn every_kind_is_complete() {
    /// What has a path of its own below objects.
    const SUBRESOURCES: &[&str] = &[
        "attach",
        "ephemeralcontainers",
        "eviction",
        "finalize",
        "exec",
        "log",
        "portforward",
        "resize",
        "scale",
        "status",
        "token",
    ];
    let mut names = BTreeSet::new();
    for kind in KINDS {
        let Kind { group, version, plural, .. } = *kind;
        assert!(names.insert((group, version, plural)), "{kind:?} stands twice");
        assert!(!kind.columns.is_empty(), "{kind:?} has no columns");
        let shown: BTreeSet<&str> = kind.columns.iter().map(|column| column.name).collect();
        assert_eq!(shown.len(), kind.columns.len(), "{kind:?} has two columns of one name");
        let unknown = kind.subresources.iter().find(|name| !SUBRESOURCES.contains(name));
        assert_eq!(unknown, None, "{kind:?}");
        if let Effect::Lacking(Words { words, advice }) | Effect::Unprotecting(Words { words, advice }) =
            kind.effect
        {
            assert!(!words.is_empty() && !advice.is_empty(), "{kind:?}");
        }
    }
}

#[test]
fn the_columns_of_every_kind_take_any_value() {
    for kind in KINDS {
        for odd in [
            json!(null),
            json!(-1),
            json!("x"),
            json!([[1], {"name": 3}]),
            json!({"rules": "x", "ports": [7]}),
        ] {
            let value = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": "a"},
                "spec": odd, "status": odd, "subsets": odd, "data": odd, "involvedObject": odd, "roleRef": odd});
            let object = Object::from_value(value).unwrap();
            for column in kind.columns {
                (column.cell)(&object, NOW.parse().unwrap());
            }
        }
    }
}

#[test]
fn a_kind_is_found_by_every_name_kubectl_takes() {
    for (name, kind) in [
        ("Service", "Service"),
        ("services", "Service"),
        ("SVC", "Service"),
        ("ep", "Endpoints"),
        ("deployments.apps", "Deployment"),
        ("deployment.v1.apps", "Deployment"),
        ("isvc", "InferenceService"),
        ("inferenceservices.serving.kserve.io", "InferenceService"),
        ("InferenceService.v1beta1.serving.kserve.io", "InferenceService"),
        ("ingress", "Ingress"),
    ] {
        assert_eq!(kind_named(name).map(|kind| kind.kind), Some(kind), "{name}");
    }
    for nobody in ["", ".", "servicess", "deployments.core", "svc.apps", "deployments.v2.apps"] {
        assert_eq!(kind_named(nobody), None, "{nobody}");
    }
}

#[test]
fn every_name_means_one_kind() {
    for kind in KINDS.iter().copied() {
        for name in [kind.kind, kind.plural].iter().chain(kind.short_names) {
            assert_eq!(kind_named(name), Some(kind), "{name}");
        }
        assert_eq!(kind_named(&kind.resource()), Some(kind));
    }
}
