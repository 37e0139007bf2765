//! Roles and bindings: what somebody may do (`rbac.authorization.k8s.io`).

use manifest::{Object, Objects};
use serde_json::{Value, json};

use super::{AUTHENTICATED, MASTERS, User, Wish, built_in};
use crate::store::Status;

/// Whether somebody may, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::api) struct Verdict {
    pub(in crate::api) is_allowed: bool,
    /// By which role; empty where there is none.
    pub(in crate::api) reason: String,
}

/// What everybody may who is known: learn what there is, and what he himself may.
fn of_everybody() -> [Value; 3] {
    let paths = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let asked = |group: &str, resources: &[&str]| json!({"verbs": ["create"], "apiGroups": [group], "resources": resources});
    [
        json!({"verbs": ["get"], "nonResourceURLs": paths}),
        asked("authentication.k8s.io", &["selfsubjectreviews"]),
        asked("authorization.k8s.io", &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
    ]
}

/// Whether somebody may do what he wants.
pub(in crate::api) fn decide(objects: &Objects, user: &User, wish: &Wish) -> Verdict {
    if user.groups.iter().any(|group| group == MASTERS) {
        return Verdict { is_allowed: true, reason: String::new() };
    }
    let found = rules_of(objects, user, &wish.namespace).into_iter().find(|(rule, _)| holds(rule, wish));
    found.map_or_else(Verdict::default, |(_, reason)| Verdict { is_allowed: true, reason })
}

/// The rules that hold for somebody in a namespace, each with what makes it hold.
pub(in crate::api) fn rules_of(objects: &Objects, user: &User, namespace: &str) -> Vec<(Value, String)> {
    let mut rules = Vec::new();
    if user.groups.iter().any(|group| group == MASTERS) {
        rules.extend(built_in::everything().into_iter().map(|rule| (rule, String::new())));
    }
    if user.groups.iter().any(|group| group == AUTHENTICATED) {
        rules.extend(of_everybody().map(|rule| (rule, String::new())));
    }
    let everywhere = objects.of_kind("ClusterRoleBinding");
    let here = objects.of_kind("RoleBinding").filter(|binding| binding.namespace == namespace);
    for binding in everywhere.chain(here.filter(|_| !namespace.is_empty())) {
        let subjects = binding.value["subjects"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(subject) = subjects.iter().find(|subject| is_subject(user, subject, &binding.namespace))
        else {
            continue;
        };
        let role = &binding.value["roleRef"];
        let (kind, name) =
            (role["kind"].as_str().unwrap_or_default(), role["name"].as_str().unwrap_or_default());
        let role_namespace = if kind == "Role" { binding.namespace.as_str() } else { "" };
        let reason = format!(
            "RBAC: allowed by {} {:?} of {kind} {name:?} to {} {:?}",
            binding.kind.kind,
            qualified(binding),
            subject["kind"].as_str().unwrap_or_default(),
            subject["name"].as_str().unwrap_or_default(),
        );
        if !["ClusterRole", "Role"].contains(&kind) {
            continue;
        }
        if let Some(role) = objects.get(kind, role_namespace, name) {
            let said = role.value["rules"].as_array().into_iter().flatten();
            rules.extend(said.map(|rule| (rule.clone(), reason.clone())));
        } else if kind == "ClusterRole" {
            rules.extend(built_in::rules(name).into_iter().map(|rule| (rule, reason.clone())));
        }
    }
    rules
}

fn qualified(binding: &Object) -> String {
    if binding.namespace.is_empty() {
        binding.name.clone()
    } else {
        format!("{}/{}", binding.name, binding.namespace)
    }
}

fn is_subject(user: &User, subject: &Value, namespace: &str) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("User") => user.name == name,
        Some("Group") => user.groups.iter().any(|group| group == name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or(namespace);
            user.as_service_account() == Some((namespace, name))
        }
        _ => false,
    }
}

/// Whether a rule allows what is wanted.
fn holds(rule: &Value, wish: &Wish) -> bool {
    let any = |field: &str, is_meant: &dyn Fn(&str) -> bool| {
        rule[field].as_array().is_some_and(|texts| texts.iter().filter_map(Value::as_str).any(is_meant))
    };
    if !any("verbs", &|verb| verb == "*" || verb == wish.verb) {
        return false;
    }
    if wish.resource.is_empty() {
        return any("nonResourceURLs", &|path| {
            path == wish.path
                || path.strip_suffix('*').is_some_and(|beginning| wish.path.starts_with(beginning))
        });
    }
    let whole = wish.whole_resource();
    let is_resource = |resource: &str| {
        resource == "*"
            || resource == whole
            || (!wish.subresource.is_empty()
                && resource.strip_prefix("*/") == Some(wish.subresource.as_str()))
    };
    let names = rule["resourceNames"].as_array().is_some_and(|names| !names.is_empty());
    any("apiGroups", &|group| group == "*" || group == wish.group)
        && any("resources", &is_resource)
        && (!names || any("resourceNames", &|name| name == wish.name))
}

/// Refuses somebody who would give more to others, or to himself, than he has: by a role, or by binding one.
///
/// # Errors
/// [`Reason::Forbidden`](crate::store::Reason::Forbidden).
pub(in crate::api) fn check_escalation(
    objects: &Objects,
    user: &User,
    object: &Object,
) -> Result<(), Status> {
    let (kind, namespace) = (object.kind.kind, object.namespace.as_str());
    let is_binding = ["ClusterRoleBinding", "RoleBinding"].contains(&kind);
    if object.kind.group != "rbac.authorization.k8s.io" || user.groups.iter().any(|group| group == MASTERS) {
        return Ok(());
    }
    let reference = &object.value["roleRef"];
    let bound =
        (reference["kind"].as_str().unwrap_or_default(), reference["name"].as_str().unwrap_or_default());
    let wish = Wish {
        verb: if is_binding { "bind" } else { "escalate" }.to_owned(),
        group: object.kind.group.to_owned(),
        resource: match (is_binding, bound.0) {
            (true, "Role") => "roles",
            (true, _) => "clusterroles",
            (false, _) => object.kind.plural,
        }
        .to_owned(),
        namespace: namespace.to_owned(),
        name: if is_binding { bound.1.to_owned() } else { object.name.clone() },
        ..Wish::default()
    };
    if decide(objects, user, &wish).is_allowed {
        return Ok(());
    }
    let given = if is_binding {
        let role_namespace = if bound.0 == "Role" { namespace } else { "" };
        let role = objects.get(bound.0, role_namespace, bound.1);
        match role {
            Some(role) => role.value["rules"].clone(),
            None => match built_in::rules(bound.1) {
                rules if bound.0 == "ClusterRole" && !rules.is_empty() => json!(rules),
                // What nobody has written yet may come to say anything.
                _ => json!(built_in::everything()),
            },
        }
    } else {
        object.value["rules"].clone()
    };
    let mine = rules_of(objects, user, namespace);
    let given = given.as_array().map(Vec::as_slice).unwrap_or_default();
    if given.iter().all(|rule| {
        wishes_of(rule, namespace).iter().all(|wish| mine.iter().any(|(mine, _)| holds(mine, wish)))
    }) {
        return Ok(());
    }
    let why = format!(
        "user {:?} (groups={:?}) is attempting to grant RBAC permissions not currently held",
        user.name, user.groups
    );
    Err(Status::forbidden(object.kind, &object.name, &why))
}

/// How many single permissions of one rule are looked at. Of more than that, only who may do everything is believed.
const WISHES: usize = 10_000;

/// Everything that a rule allows, one by one. What it allows of all is only allowed by who has all.
fn wishes_of(rule: &Value, namespace: &str) -> Vec<Wish> {
    let texts = |field: &str| -> Vec<&str> {
        rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let (verbs, paths) = (texts("verbs"), texts("nonResourceURLs"));
    let names = match texts("resourceNames") {
        names if names.is_empty() => vec![""],
        names => names,
    };
    let mut wishes = Vec::new();
    let wish =
        |verb: &str| Wish { verb: verb.to_owned(), namespace: namespace.to_owned(), ..Wish::default() };
    for verb in &verbs {
        wishes.extend(paths.iter().map(|path| Wish { path: (*path).to_owned(), ..wish(verb) }));
        for group in texts("apiGroups") {
            for whole in texts("resources") {
                let (resource, subresource) = whole.split_once('/').unwrap_or((whole, ""));
                wishes.extend(names.iter().map(|name| Wish {
                    group: group.to_owned(),
                    resource: resource.to_owned(),
                    subresource: subresource.to_owned(),
                    name: (*name).to_owned(),
                    ..wish(verb)
                }));
                if wishes.len() > WISHES {
                    return vec![Wish { group: "*".to_owned(), resource: "*".to_owned(), ..wish("*") }];
                }
            }
        }
    }
    wishes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(verb: &str, resource: &str, subresource: &str, name: &str) -> Wish {
        Wish {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            name: name.to_owned(),
            namespace: "a".to_owned(),
            ..Wish::default()
        }
    }

    #[test]
    fn rules_allow_what_they_name() {
        let rule = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log", "*/scale"]});
        for (verb, resource, subresource) in
            [("get", "pods", ""), ("list", "pods", ""), ("get", "pods", "log"), ("get", "any", "scale")]
        {
            assert!(holds(&rule, &wish(verb, resource, subresource, "")), "{verb} {resource}/{subresource}");
        }
        for (verb, resource, subresource) in
            [("create", "pods", ""), ("get", "secrets", ""), ("get", "pods", "exec")]
        {
            assert!(!holds(&rule, &wish(verb, resource, subresource, "")), "{verb} {resource}/{subresource}");
        }
        let named = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["x"]});
        assert!(
            holds(&named, &wish("get", "pods", "", "x")) && !holds(&named, &wish("list", "pods", "", ""))
        );
        let path = |path: &str| Wish { verb: "get".to_owned(), path: path.to_owned(), ..Wish::default() };
        let paths = json!({"verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/*"]});
        assert!(holds(&paths, &path("/metrics")) && holds(&paths, &path("/logs/a")));
        assert!(!holds(&paths, &path("/metrics/a")) && !holds(&paths, &path("/")));
    }

    #[test]
    fn what_is_given_is_looked_at_one_by_one() {
        let rule = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]});
        assert_eq!(wishes_of(&rule, "a").len(), 4);
        let verbs: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let rule = json!({"verbs": verbs, "apiGroups": [""], "resources": verbs});
        assert_eq!(wishes_of(&rule, "a").len(), 1);
    }
}
