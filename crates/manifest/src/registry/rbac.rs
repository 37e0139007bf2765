//! Who may do what.

use serde_json::{Value, json};

use super::columns::{AGE, CREATED, Column, NAME, column, items, text_or, wide};
use super::{Fixed, Kind, cluster, fixed, namespaced};
use crate::Object;
use crate::kinds::validation::Rules;

const RBAC: &str = "rbac.authorization.k8s.io";
const FIXED: &[Fixed] = &[fixed("/roleRef", "roleRef", "cannot change roleRef")];
pub(super) static ROLE: Kind = Kind { columns: CREATED, ..namespaced(RBAC, "v1", "Role", "roles") };

pub(super) static ROLE_BINDING: Kind = Kind {
    columns: BINDING_COLUMNS,
    fixed: FIXED,
    rules: BINDING_RULES,
    ..namespaced(RBAC, "v1", "RoleBinding", "rolebindings")
};

/// Without a role a binding would give nothing, and could be given another one later.
const BINDING_RULES: Rules = Rules { required: &["roleRef.name"], ..Rules::NONE };

pub(super) static CLUSTER_ROLE: Kind =
    Kind { columns: CREATED, ..cluster(RBAC, "v1", "ClusterRole", "clusterroles") };

pub(super) static CLUSTER_ROLE_BINDING: Kind = Kind {
    columns: BINDING_COLUMNS,
    fixed: FIXED,
    rules: BINDING_RULES,
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
