//! What the environment of a container says of Services ("Environment variables", Kubernetes docs): those of its namespace, and
//! the API. Pure.

use manifest::{Object, Objects};
use serde_json::Value;

/// The variables for a pod, unless it wants none.
pub(super) fn of(pod: &Object, objects: &Objects) -> Vec<(String, String)> {
    let api = objects.get("Service", "default", "kubernetes").map(AsRef::as_ref);
    let is_wanted = pod.value["spec"]["enableServiceLinks"] != false;
    let own = objects.of_kind("Service").map(AsRef::as_ref);
    let own = own.filter(|service| is_wanted && service.namespace == pod.namespace);
    // Those of the namespace come last, and win.
    api.into_iter().chain(own).flat_map(of_service).collect()
}

fn of_service(service: &Object) -> Vec<(String, String)> {
    let spec = &service.value["spec"];
    let host = spec["clusterIP"].as_str().filter(|address| !["", "None"].contains(address));
    let ports: Vec<&Value> = spec["ports"].as_array().into_iter().flatten().collect();
    let (Some(host), Some(first)) = (host, ports.first()) else { return Vec::new() };
    let name = upper(&service.name);
    let mut all = vec![(format!("{name}_SERVICE_HOST"), host.to_owned())];
    let mut add = |suffix: String, value: String| all.push((format!("{name}_{suffix}"), value));
    add("SERVICE_PORT".to_owned(), first["port"].to_string());
    for port in &ports {
        if let Some(port_name) = port["name"].as_str().filter(|name| !name.is_empty()) {
            add(format!("SERVICE_PORT_{}", upper(port_name)), port["port"].to_string());
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let (number, lower) = (port["port"].to_string(), protocol.to_ascii_lowercase());
        let url = format!("{lower}://{host}:{number}");
        if index == 0 {
            add("PORT".to_owned(), url.clone());
        }
        let prefix = format!("PORT_{number}_{protocol}");
        add(prefix.clone(), url);
        add(format!("{prefix}_PROTO"), lower);
        add(format!("{prefix}_PORT"), number);
        add(format!("{prefix}_ADDR"), host.to_owned());
    }
    all
}

/// `retail-api` as `RETAIL_API`.
fn upper(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn object(kind: &str, name: &str, spec: &Value) -> Object {
        Object::from_value(
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}),
        )
        .unwrap()
    }

    #[test]
    fn containers_find_the_services_of_their_namespace() {
        let api = object(
            "Service",
            "retail-api",
            &json!({"clusterIP": "127.96.0.2", "ports": [{"name": "http", "port": 80}]}),
        );
        let headless = object("Service", "headless", &json!({"clusterIP": "None", "ports": [{"port": 80}]}));
        let objects: Objects = [api, headless].into_iter().collect();
        let told = |spec: Value| {
            let links = of(&object("Pod", "p", &spec), &objects).into_iter();
            links.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
        };
        expect![[r#"
            RETAIL_API_SERVICE_HOST=127.96.0.2
            RETAIL_API_SERVICE_PORT=80
            RETAIL_API_SERVICE_PORT_HTTP=80
            RETAIL_API_PORT=tcp://127.96.0.2:80
            RETAIL_API_PORT_80_TCP=tcp://127.96.0.2:80
            RETAIL_API_PORT_80_TCP_PROTO=tcp
            RETAIL_API_PORT_80_TCP_PORT=80
            RETAIL_API_PORT_80_TCP_ADDR=127.96.0.2"#]]
        .assert_eq(&told(json!({})));
        assert_eq!(told(json!({"enableServiceLinks": false})), "");
    }
}
