//! Which names a certificate needs, so that clients believe it for every host that objects are asked by.
//!
//! Hosts of one InferenceService come and go, so one wildcard stands for all of a namespace. A wildcard stands for one label,
//! no more: `*.example.com` is not for `iris.staging.example.com` (RFC 9525 §6.3).

use manifest::{Defaults, Objects, covers};
use plan::ObjectRef;
use serde_json::{Value, json};

/// One name of a certificate, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// For example `*.staging.example.com`.
    pub(crate) name: String,
    /// The hosts that it stands for, each with its object.
    pub(crate) hosts: Vec<(ObjectRef, String)>,
}

/// Hosts that only pods ask by.
const CLUSTER: &str = ".svc.cluster.local";

/// The names for the objects that `is_asked_for` picks, wildcards first.
pub(crate) fn needed(
    objects: &Objects,
    defaults: &Defaults,
    is_asked_for: impl Fn(&ObjectRef) -> bool,
) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    let routes = manifest::compile(objects, defaults).routes;
    let of_services =
        routes.into_iter().filter_map(|route| Some((route.object, route.hosts.into_iter().next()?)));
    for (object, host) in
        of_services.filter(|(object, host)| is_asked_for(object) && !host.ends_with(CLUSTER))
    {
        let name = host.split_once('.').map_or_else(|| host.clone(), |(_, parent)| format!("*.{parent}"));
        add(&mut names, name, object, host);
    }
    names.sort_by(|a, b| a.name.cmp(&b.name));
    for ingress in objects.of_kind("Ingress") {
        let object = ingress.reference();
        if !is_asked_for(&object) {
            continue;
        }
        for host in hosts_of(&ingress.value) {
            let known = names.iter().find(|known| covers(&known.name, &host));
            let name = known.map_or_else(|| host.clone(), |known| known.name.clone());
            add(&mut names, name, object.clone(), host);
        }
    }
    names
}

/// Names for programs.
pub(crate) fn json(names: &[Name]) -> Value {
    let host = |(object, host): &(ObjectRef, String)| json!({"kind": object.kind, "namespace": object.namespace, "name": object.name, "host": host});
    let name =
        |name: &Name| json!({"name": name.name, "hosts": name.hosts.iter().map(host).collect::<Value>()});
    names.iter().map(name).collect()
}

fn add(names: &mut Vec<Name>, name: String, object: ObjectRef, host: String) {
    let of_name = match names.iter_mut().find(|known| known.name == name) {
        Some(known) => known,
        None => {
            names.push(Name { name, hosts: Vec::new() });
            let Some(last) = names.last_mut() else { return };
            last
        }
    };
    let wanted = (object, host);
    if !of_name.hosts.contains(&wanted) {
        of_name.hosts.push(wanted);
    }
}

/// The hosts of an Ingress: those of its rules, and those that `spec.tls` names besides.
fn hosts_of(ingress: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let of_rules = list(&ingress["spec"]["rules"]).into_iter().map(|rule| rule["host"].clone());
    let of_tls = list(&ingress["spec"]["tls"]).into_iter().flat_map(|tls| list(&tls["hosts"]));
    let mut hosts: Vec<String> = Vec::new();
    for host in of_rules.chain(of_tls).filter_map(|host| host.as_str().map(str::to_ascii_lowercase)) {
        if !host.is_empty() && !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> Objects {
        let service = |namespace: &str, name: &str| {
            format!(
                "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{predictor: {{sklearn: {{storageUri: 'file:///m'}}}}}}\n---\n"
            )
        };
        let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, namespace: prod}\nspec:\n  tls: [{hosts: [www.example.com]}]\n  rules:\n  - host: api.example.com\n  - host: iris.prod.example.com\n";
        let text = service("prod", "iris") + &service("prod", "wine") + &service("staging", "iris") + ingress;
        manifest::read("f.yaml", &text).objects.into_iter().collect()
    }

    fn names(is_asked_for: impl Fn(&ObjectRef) -> bool) -> Vec<String> {
        let needed = needed(&objects(), &Defaults::default(), is_asked_for);
        needed.iter().map(|name| format!("{} {}", name.name, name.hosts.len())).collect()
    }

    #[test]
    fn acc_s2_13_acc_s2_14_a_namespace_needs_a_wildcard_of_its_own() {
        assert_eq!(
            names(|_| true),
            ["*.prod.example.com 3", "*.staging.example.com 1", "api.example.com 1", "www.example.com 1"]
        );
        assert_eq!(names(|object| object.namespace == "staging"), ["*.staging.example.com 1"]);
        let ingress = names(|object| object.kind == "Ingress");
        assert_eq!(ingress, ["api.example.com 1", "iris.prod.example.com 1", "www.example.com 1"]);
        assert!(names(|_| false).is_empty());
    }
}
