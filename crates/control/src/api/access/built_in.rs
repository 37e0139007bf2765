//! The roles for people that every cluster has: `cluster-admin`, `admin`, `edit` and `view`, the last three also as Kubeflow calls
//! them (`kubeflow-admin`), to which its profiles bind people. They hold without an object, as long
//! as nobody writes another one of the name.

use serde_json::{Value, json};

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// What lives in namespaces and is no secret, by group.
const PLAIN: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "configmaps",
            "endpoints",
            "events",
            "persistentvolumeclaims",
            "pods",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "serviceaccounts",
            "services",
        ],
    ),
    (
        "apps",
        &[
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets"]),
    ("serving.kserve.io", &["*"]),
];

/// What is read only, by group.
const TOLD: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "bindings",
            "limitranges",
            "namespaces",
            "namespaces/status",
            "persistentvolumeclaims/status",
            "pods/log",
            "pods/status",
            "replicationcontrollers/status",
            "resourcequotas",
            "resourcequotas/status",
            "services/status",
        ],
    ),
    (
        "apps",
        &[
            "controllerrevisions",
            "daemonsets/status",
            "deployments/status",
            "replicasets/status",
            "statefulsets/status",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers/status"]),
    ("batch", &["cronjobs/status", "jobs/status"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("metrics.k8s.io", &["nodes", "pods"]),
    ("networking.k8s.io", &["ingresses/status"]),
    ("policy", &["poddisruptionbudgets/status"]),
];

/// What gives the rights of others: secrets, and what runs within pods.
const POWERS: &[&str] =
    &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"];

/// The rules of a role; none where there is no such role.
pub(super) fn rules(role: &str) -> Vec<Value> {
    let rule = |verbs: &[&str], group: &str, resources: &[&str]| json!({"verbs": verbs, "apiGroups": [group], "resources": resources});
    let of_groups = |verbs: &[&str], groups: &[(&str, &[&str])]| -> Vec<Value> {
        groups.iter().map(|(group, resources)| rule(verbs, group, resources)).collect()
    };
    let view = || [of_groups(READ, PLAIN), of_groups(READ, TOLD)].concat();
    let edit = || {
        let more = vec![
            rule(ALL, "", POWERS),
            rule(&["create"], "", &["pods/eviction", "serviceaccounts/token"]),
            rule(&["impersonate"], "", &["serviceaccounts"]),
            rule(ALL, "coordination.k8s.io", &["leases"]),
        ];
        [view(), of_groups(WRITE, PLAIN), more].concat()
    };
    match role.strip_prefix("kubeflow-").unwrap_or(role) {
        "cluster-admin" if role == "cluster-admin" => everything(),
        "admin" => {
            let more = vec![
                rule(ALL, "rbac.authorization.k8s.io", &["rolebindings", "roles"]),
                rule(&["create"], "authorization.k8s.io", &["localsubjectaccessreviews"]),
            ];
            [edit(), more].concat()
        }
        "edit" => edit(),
        "view" => view(),
        _ => Vec::new(),
    }
}

/// Everything there is to allow.
pub(super) fn everything() -> Vec<Value> {
    vec![
        json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
        json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
    ]
}
