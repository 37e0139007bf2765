//! What Kubeflow's profile controller makes of a Profile: a namespace for its owner, with accounts, their roles, and a quota.

use serde_json::{Value, json};

use crate::{Finding, Object, Objects, codes};

/// The label of the namespaces of profiles.
const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "kubeflow-profile");
/// What else is said of such a namespace.
const ENABLED: [(&str, &str); 3] = [
    ("katib.kubeflow.org/metrics-collector-injection", "enabled"),
    ("pipelines.kubeflow.org/enabled", "true"),
    ("serving.kubeflow.org/inferenceservice", "enabled"),
];
/// The accounts, and the roles that they have.
const ACCOUNTS: [(&str, &str); 2] =
    [("default-editor", "kubeflow-edit"), ("default-viewer", "kubeflow-view")];
const QUOTA: &str = "kf-resource-quota";

/// All that profiles stand for. A namespace that somebody else has made stays his.
pub(super) fn children(objects: &Objects, findings: &mut Vec<Finding>) -> Vec<Object> {
    let mut children = Vec::new();
    for profile in objects.of_kind("Profile") {
        let namespace = objects.get("Namespace", "", &profile.name);
        if namespace.is_some_and(|namespace| !is_of(namespace, profile)) {
            let message =
                format!("namespace `{}` is there already, and is not of this Profile", profile.name);
            findings.push(Finding::new(&codes::NOT_OURS, message).at(profile, "metadata.name"));
            continue;
        }
        children.extend(of(profile).into_iter().filter_map(|value| Object::from_value(value).ok()));
    }
    children
}

fn is_of(namespace: &Object, profile: &Object) -> bool {
    let owners = namespace.value["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    owners.into_iter().any(|owner| owner["kind"] == "Profile" && owner["name"] == *profile.name)
}

fn of(profile: &Object) -> Vec<Value> {
    let name = profile.name.as_str();
    let owner = &profile.value["spec"]["owner"];
    let reference = json!({
        "apiVersion": profile.kind.api_version(),
        "kind": "Profile",
        "name": name,
        "uid": profile.value["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    });
    let metadata = |name: &str, namespace: &str| {
        let mut metadata = json!({"name": name, "ownerReferences": [reference]});
        if !namespace.is_empty() {
            metadata["namespace"] = json!(namespace);
        }
        metadata
    };
    let binding = |binding: &str, role: &str, subject: Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata(binding, name),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [subject],
        })
    };
    let mut namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata(name, "")});
    for (key, value) in ENABLED.iter().chain([&PART_OF]) {
        namespace["metadata"]["labels"][*key] = json!(value);
    }
    namespace["metadata"]["annotations"] = json!({"owner": owner["name"].as_str().unwrap_or_default()});
    let mut made = vec![namespace];
    for (account, role) in ACCOUNTS {
        made.push(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(account, name)}));
        let subject = json!({"kind": "ServiceAccount", "name": account, "namespace": name});
        made.push(binding(account, role, subject));
    }
    let mut of_owner = binding("namespaceAdmin", "kubeflow-admin", owner.clone());
    of_owner["metadata"]["annotations"] = json!({"user": owner["name"], "role": "admin"});
    made.push(of_owner);
    let quota = &profile.value["spec"]["resourceQuotaSpec"];
    if quota["hard"].as_object().is_some_and(|hard| !hard.is_empty()) {
        let quota_metadata = metadata(QUOTA, name);
        made.push(
            json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": quota_metadata, "spec": quota}),
        );
    }
    made
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::{Value, json};

    use crate::{Defaults, Object, Objects, compile};

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn profile() -> Object {
        object(
            json!({"apiVersion": "kubeflow.org/v1", "kind": "Profile", "metadata": {"name": "anna", "uid": "1"},
            "spec": {"owner": {"kind": "User", "name": "anna@example.com"}, "resourceQuotaSpec": {"hard": {"cpu": "2"}}}}),
        )
    }

    #[test]
    fn a_profile_stands_for_a_namespace_with_accounts_roles_and_a_quota() {
        let objects: Objects = [profile()].into_iter().collect();
        let children = compile(&objects, &Defaults::default()).children;
        let names: Vec<String> = children.iter().map(|child| child.reference().to_string()).collect();
        expect![[r#"
            Namespace anna
            ServiceAccount anna/default-editor
            RoleBinding anna/default-editor
            ServiceAccount anna/default-viewer
            RoleBinding anna/default-viewer
            RoleBinding anna/namespaceAdmin
            ResourceQuota anna/kf-resource-quota"#]]
        .assert_eq(&names.join("\n"));
        assert_eq!(children[0].value["metadata"]["annotations"]["owner"], "anna@example.com");
        assert_eq!(children[5].value["subjects"][0]["name"], "anna@example.com");
        assert_eq!(children[6].value["spec"]["hard"]["cpu"], "2");
    }

    #[test]
    fn a_namespace_of_somebody_else_stays_his() {
        let namespace =
            object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "anna"}}));
        let objects: Objects = [profile(), namespace].into_iter().collect();
        let compiled = compile(&objects, &Defaults::default());
        assert!(compiled.children.is_empty());
        assert!(compiled.findings.iter().any(|finding| finding.message.contains("is not of this Profile")));
    }
}
