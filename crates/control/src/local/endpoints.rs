//! Endpoints of Services with a selector, from the pods that it selects.

use std::collections::BTreeMap;
use std::sync::Arc;

use manifest::{Object, Objects};
use serde_json::{Value, json};

use super::pod::ZONE;
use crate::conditions;
use crate::store::{LabelSelector, metadata};

/// Who writes a slice: those of others are left alone.
const MANAGED_BY: (&str, &str) =
    ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The EndpointSlices and the Endpoints of every Service with a selector.
pub(super) fn of_services(objects: &Objects) -> Vec<Object> {
    let pods: Vec<_> = objects.of_kind("Pod").map(|pod| (pod, pod.labels())).collect();
    objects.of_kind("Service").flat_map(|service| of_service(service, &pods)).collect()
}

/// Whether an object is one that [`of_services`] once wrote.
pub(super) fn is_ours(object: &Object) -> bool {
    object.labels().get(MANAGED_BY.0) == Some(&MANAGED_BY.1)
}

fn of_service(service: &Object, pods: &[(&Arc<Object>, BTreeMap<&str, &str>)]) -> Vec<Object> {
    let selector = LabelSelector::from_map(&service.value["spec"]["selector"]);
    if selector.is_empty() || service.value["spec"]["type"] == "ExternalName" {
        return Vec::new();
    }
    let selected =
        pods.iter().filter(|(pod, labels)| pod.namespace == service.namespace && selector.matches(labels));
    let has_address = |pod: &&Arc<Object>| pod.value["status"]["podIP"].is_string();
    // Pods that give different numbers to one port name do not fit into one slice.
    let mut by_ports: BTreeMap<String, Vec<&Arc<Object>>> = BTreeMap::new();
    for pod in selected.map(|(pod, _)| *pod).filter(has_address) {
        by_ports.entry(ports(service, pod).to_string()).or_default().push(pod);
    }
    if by_ports.is_empty() {
        by_ports.insert("[]".to_owned(), Vec::new());
    }
    let groups: Vec<(Value, Vec<&Arc<Object>>)> =
        by_ports.into_iter().map(|(ports, pods)| (ports.parse().unwrap_or_default(), pods)).collect();
    let slices = groups.iter().enumerate().map(|(n, (ports, pods))| slice(service, n, ports, pods));
    slices.chain([endpoints(service, &groups)]).flatten().collect()
}

/// The ports of a Service as one pod serves them; those that it does not name are left out.
fn ports(service: &Object, pod: &Object) -> Value {
    let ports = service.value["spec"]["ports"].as_array().into_iter().flatten();
    let served = ports.filter_map(|port| {
        let number = match &port["targetPort"] {
            Value::String(name) => named_port(pod, name)?,
            Value::Null => port["port"].clone(),
            number => number.clone(),
        };
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        Some(json!({"name": port["name"].as_str().unwrap_or_default(), "port": number, "protocol": protocol}))
    });
    served.collect()
}

fn named_port(pod: &Object, name: &str) -> Option<Value> {
    let containers = pod.value["spec"]["containers"].as_array()?.iter();
    let mut ports = containers.filter_map(|container| container["ports"].as_array()).flatten();
    Some(ports.find(|port| port["name"] == name)?["containerPort"].clone())
}

/// Whether a pod gets traffic, whether it could, and whether it is about to end.
struct Readiness {
    ready: bool,
    serving: bool,
    terminating: bool,
}

fn readiness(service: &Object, pod: &Object) -> Readiness {
    let always = service.value["spec"]["publishNotReadyAddresses"] == true;
    let serving = conditions::holds(&pod.value["status"], "Ready");
    let terminating = metadata::deletion(pod).is_some();
    Readiness { ready: always || (serving && !terminating), serving, terminating }
}

fn slice(service: &Object, n: usize, ports: &Value, pods: &[&Arc<Object>]) -> Option<Object> {
    let endpoints = pods.iter().map(|pod| {
        let Readiness { ready, serving, terminating } = readiness(service, pod);
        let mut endpoint = json!({
            "addresses": [pod.value["status"]["podIP"]],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
            "nodeName": pod.value["spec"]["nodeName"],
            "targetRef": target(pod),
        });
        if let Some(zone) = pod.labels().get(ZONE) {
            endpoint["zone"] = json!(zone);
        }
        endpoint
    });
    object(json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-{n}", service.name),
            "namespace": service.namespace,
            "labels": {SERVICE_NAME: service.name, MANAGED_BY.0: MANAGED_BY.1},
            "ownerReferences": [super::pod::owner(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints.collect::<Value>(),
        "ports": ports,
    }))
}

fn endpoints(service: &Object, groups: &[(Value, Vec<&Arc<Object>>)]) -> Option<Object> {
    let subsets = groups.iter().filter_map(|(ports, pods)| {
        let (mut ready, mut not_ready) = (Vec::new(), Vec::new());
        for pod in pods {
            let address = json!({"ip": pod.value["status"]["podIP"], "nodeName": pod.value["spec"]["nodeName"],
                "targetRef": target(pod)});
            let readiness = readiness(service, pod);
            match readiness {
                Readiness { ready: true, .. } => ready.push(address),
                Readiness { terminating: true, .. } => {}
                Readiness { .. } => not_ready.push(address),
            }
        }
        let mut subset = json!({"ports": ports});
        for (key, addresses) in [("addresses", &ready), ("notReadyAddresses", &not_ready)] {
            if !addresses.is_empty() {
                subset[key] = json!(addresses);
            }
        }
        (!ready.is_empty() || !not_ready.is_empty()).then_some(subset)
    });
    object(json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": service.name,
            "namespace": service.namespace,
            "labels": {MANAGED_BY.0: MANAGED_BY.1},
        },
        "subsets": subsets.collect::<Value>(),
    }))
}

fn target(pod: &Object) -> Value {
    json!({
        "kind": "Pod",
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": metadata::text(pod, "uid").unwrap_or_default(),
    })
}

fn object(value: Value) -> Option<Object> {
    Object::from_value(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn pod(name: &str, fields: &Value) -> Object {
        let mut value = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "mlops", "labels": {"app": "api"}},
            "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
            "status": {"podIP": format!("127.78.0.{}", name.len()),
                "conditions": [{"type": "Ready", "status": "True"}]}});
        crate::store::merge_patch(&mut value, fields);
        Object::from_value(value).unwrap()
    }

    /// The endpoints of the Service's slices: address, ports, and `r`eady, `s`erving, `t`erminating.
    fn check(spec: &Value, pods: Vec<Object>, expected: &Expect) {
        let service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "api", "namespace": "mlops"}, "spec": spec});
        let service = Object::from_value(service).unwrap();
        let objects: Objects = pods.into_iter().chain([service]).collect();
        let mut lines = Vec::new();
        for written in of_services(&objects) {
            let value = &written.value;
            lines.push(format!("{} {}", written.kind.kind, written.name));
            for endpoint in value["endpoints"].as_array().into_iter().flatten() {
                let letter =
                    |key: &'static str| if endpoint["conditions"][key] == true { &key[..1] } else { "-" };
                let conditions: String = ["ready", "serving", "terminating"].map(letter).concat();
                let zone = endpoint["zone"].as_str().map(|zone| format!(" {zone}")).unwrap_or_default();
                let address = &endpoint["addresses"][0];
                lines.push(format!("  {address} {conditions} {}{zone}", value["ports"]));
            }
            for subset in value["subsets"].as_array().into_iter().flatten() {
                let addresses = |key: &str| {
                    let list = subset[key].as_array().into_iter().flatten();
                    list.map(|address| address["ip"].to_string()).collect::<Vec<_>>().join(",")
                };
                lines.push(format!(
                    "  [{}] not [{}]",
                    addresses("addresses"),
                    addresses("notReadyAddresses")
                ));
            }
        }
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn acc_s1_11_acc_s1_08_only_ready_pods_are_ready_endpoints() {
        let not_ready = json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}});
        let leaving = json!({"metadata": {"deletionTimestamp": "2026-11-21T12:00:00Z"}});
        check(
            &json!({"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": "http"}]}),
            vec![
                pod("a", &json!({})),
                pod("bb", &not_ready),
                pod("ccc", &leaving),
                pod("other", &json!({"metadata": {"labels": {"app": "web"}}})),
                pod("waits", &json!({"status": {"podIP": null}})),
            ],
            &expect![[r#"
                EndpointSlice api-0
                  "127.78.0.1" rs- [{"name":"","port":8080,"protocol":"TCP"}]
                  "127.78.0.2" --- [{"name":"","port":8080,"protocol":"TCP"}]
                  "127.78.0.3" -st [{"name":"","port":8080,"protocol":"TCP"}]
                Endpoints api
                  ["127.78.0.1"] not ["127.78.0.2"]"#]],
        );
    }

    #[test]
    fn endpoints_are_in_the_zones_of_their_pods() {
        let in_zone = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": "eu-west-1b"}}});
        check(
            &json!({"selector": {"app": "api"}, "ports": [{"port": 80}]}),
            vec![pod("a", &in_zone), pod("bb", &json!({}))],
            &expect![[r#"
                EndpointSlice api-0
                  "127.78.0.1" rs- [{"name":"","port":80,"protocol":"TCP"}] eu-west-1b
                  "127.78.0.2" rs- [{"name":"","port":80,"protocol":"TCP"}]
                Endpoints api
                  ["127.78.0.1","127.78.0.2"] not []"#]],
        );
    }

    #[test]
    fn not_ready_addresses_may_be_published() {
        let not_ready = json!({"status": {"conditions": []}});
        check(
            &json!({"selector": {"app": "api"}, "publishNotReadyAddresses": true, "ports": [{"port": 80}]}),
            vec![pod("a", &not_ready)],
            &expect![[r#"
                EndpointSlice api-0
                  "127.78.0.1" r-- [{"name":"","port":80,"protocol":"TCP"}]
                Endpoints api
                  ["127.78.0.1"] not []"#]],
        );
    }

    #[test]
    fn pods_with_other_numbers_get_another_slice() {
        let other = json!({"spec": {"containers": [{"ports": [{"name": "http", "containerPort": 9090}]}]}});
        check(
            &json!({"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": "http", "name": "web"}]}),
            vec![pod("a", &json!({})), pod("bb", &other)],
            &expect![[r#"
                EndpointSlice api-0
                  "127.78.0.1" rs- [{"name":"web","port":8080,"protocol":"TCP"}]
                EndpointSlice api-1
                  "127.78.0.2" rs- [{"name":"web","port":9090,"protocol":"TCP"}]
                Endpoints api
                  ["127.78.0.1"] not []
                  ["127.78.0.2"] not []"#]],
        );
    }

    #[test]
    fn a_service_without_selector_is_left_to_its_owner() {
        check(&json!({"ports": [{"port": 80}]}), vec![pod("a", &json!({}))], &expect![""]);
    }

    #[test]
    fn a_service_without_pods_has_an_empty_slice() {
        check(
            &json!({"selector": {"app": "api"}, "ports": [{"port": 80}]}),
            vec![],
            &expect![[r#"
                EndpointSlice api-0
                Endpoints api"#]],
        );
    }
}
