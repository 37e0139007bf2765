//! Who may do what.

use serde_json::{Value, json};

use super::columns::{AGE, CREATED, Column, NAME, column, items, text_or, wide};
use super::{Effect, Fixed, Kind, Words, cluster, fixed, namespaced};
use crate::Object;

const RBAC: &str = "rbac.authorization.k8s.io";
const FIXED: &[Fixed] = &[fixed("/roleRef", "roleRef", "cannot change roleRef")];
const EFFECT: Effect = Effect::Unprotecting(Words {
    words: "nobody is kept from anything by roles: the embedded API has one token, and it may do everything",
    advice: "keep the kubeconfig to yourself: who has its token may do everything",
});

pub(super) static ROLE: Kind =
    Kind { columns: CREATED, effect: EFFECT, ..namespaced(RBAC, "v1", "Role", "roles") };

pub(super) static ROLE_BINDING: Kind = Kind {
    columns: BINDING_COLUMNS,
    fixed: FIXED,
    effect: EFFECT,
    ..namespaced(RBAC, "v1", "RoleBinding", "rolebindings")
};

pub(super) static CLUSTER_ROLE: Kind =
    Kind { columns: CREATED, effect: EFFECT, ..cluster(RBAC, "v1", "ClusterRole", "clusterroles") };

pub(super) static CLUSTER_ROLE_BINDING: Kind = Kind {
    columns: BINDING_COLUMNS,
    fixed: FIXED,
    effect: EFFECT,
    ..cluster(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings")
};

const BINDING_COLUMNS: &[Column] = &[
    NAME,
    column("Role", |binding, _| {
        let role = &binding.value["roleRef"];
        json!(format!("{}/{}", text_or(&role["kind"], ""), text_or(&role["name"], "")))
    }),
    AGE,
    wide("Users", |binding, _| subjects(binding, "User")),
    wide("Groups", |binding, _| subjects(binding, "Group")),
    wide("ServiceAccounts", |binding, _| subjects(binding, "ServiceAccount")),
];

fn subjects(binding: &Object, kind: &str) -> Value {
    let subjects = items(&binding.value["subjects"]).filter(|subject| subject["kind"] == kind);
    let names = subjects.map(|subject| match subject["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", text_or(&subject["name"], "")),
        None => text_or(&subject["name"], "").to_owned(),
    });
    json!(names.collect::<Vec<_>>().join(", "))
}
