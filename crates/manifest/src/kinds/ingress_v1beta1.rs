//! The Ingress of before Kubernetes 1.22: not read, but rewritten to v1 for whoever still has one.

use serde_json::{Map, Value, json};

/// The object in `networking.k8s.io/v1`, as YAML.
pub(crate) fn rewrite(fields: &Map<String, Value>) -> String {
    let mut fields = fields.clone();
    fields.insert("apiVersion".to_owned(), Value::from("networking.k8s.io/v1"));
    fields.remove("status");
    if let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) {
        if let Some(backend) = spec.remove("backend") {
            spec.insert("defaultBackend".to_owned(), new_backend(&backend));
        }
        let rules = spec.get_mut("rules").and_then(Value::as_array_mut);
        for path in rules.into_iter().flatten().filter_map(paths).flatten().filter_map(Value::as_object_mut) {
            path.entry("pathType").or_insert_with(|| Value::from("ImplementationSpecific"));
            if let Some(backend) = path.get_mut("backend") {
                *backend = new_backend(backend);
            }
        }
    }
    let yaml = serde_saphyr::to_string(&fields);
    yaml.unwrap_or_else(|_| "apiVersion: networking.k8s.io/v1".to_owned())
}

fn paths(rule: &mut Value) -> Option<&mut Vec<Value>> {
    rule.get_mut("http")?.get_mut("paths")?.as_array_mut()
}

fn new_backend(old: &Value) -> Value {
    let Some(name) = old.get("serviceName") else { return old.clone() };
    let port = match old.get("servicePort") {
        Some(Value::String(name)) => json!({ "name": name }),
        number => json!({ "number": number }),
    };
    json!({ "service": { "name": name, "port": port } })
}
