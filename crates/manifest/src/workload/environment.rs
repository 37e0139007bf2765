//! The environment of a container, with what ConfigMaps and Secrets hold.

use std::collections::BTreeMap;

use super::PodField;
use super::program::Variables;
use crate::kinds::config;
use crate::kinds::metadata::Metadata;
use crate::kinds::pod::{Container, EnvVar, ValueFrom};
use crate::{Finding, Object, Objects, codes};

/// What the variables of a container may refer to.
pub(super) struct Context<'a> {
    /// The Deployment or Pod.
    pub(super) object: &'a Object,
    pub(super) objects: &'a Objects,
    /// Labels and annotations of the pod.
    pub(super) metadata: &'a Metadata,
    pub(super) service_account: &'a str,
}

/// Variables with a value, and those that get one when the replica starts.
#[derive(Default)]
pub(super) struct Environment {
    bytes: usize,
    pub(super) values: Vec<(String, String)>,
    pub(super) pod_fields: Vec<(String, PodField)>,
}

/// The largest environment, in bytes: Linux starts no program with more.
const MAX_BYTES: usize = 2 << 20;

enum Value {
    Text(String),
    Later(PodField),
    /// It is optional and there is nothing.
    Nothing,
}

/// Which object a variable takes its value from.
struct Source<'a> {
    kind: &'static str,
    name: &'a str,
    is_optional: bool,
}

/// The environment of the container at this path: first what `envFrom` gives, then `env` in order; later ones win.
pub(super) fn of(
    container: &Container,
    path: &str,
    context: &Context<'_>,
    findings: &mut Vec<Finding>,
) -> Environment {
    let mut environment = Environment::default();
    for (index, from) in container.env_from.iter().enumerate() {
        let path = format!("{path}.envFrom[{index}]");
        let config_map = from.config_map_ref.as_ref().map(|it| ("ConfigMap", it));
        let secret = from.secret_ref.as_ref().map(|it| ("Secret", it));
        for (kind, reference) in config_map.into_iter().chain(secret) {
            let source = Source { kind, name: &reference.name, is_optional: reference.optional };
            for (key, text) in context.texts(&source, &path, findings).unwrap_or_default() {
                environment.set(&format!("{}{key}", from.prefix), Value::Text(text));
            }
        }
    }
    for (index, variable) in container.env.iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        let value = match &variable.value_from {
            None => environment.literal(variable),
            Some(from) => context.value(from, &path, findings),
        };
        environment.set(&variable.name, value);
    }
    if environment.bytes > MAX_BYTES {
        let message =
            format!("the environment has more than {MAX_BYTES} bytes, and no program can be started with it");
        findings.push(Finding::new(&codes::WORKLOAD_INVALID, message).at(context.object, path));
    }
    environment
}

// === impl Environment ===

impl Environment {
    pub(super) fn variables(&self) -> Variables<'_> {
        Variables { values: &self.values, later: &self.pod_fields }
    }

    fn literal(&self, variable: &EnvVar) -> Value {
        Value::Text(self.variables().expand(&variable.value))
    }

    fn set(&mut self, name: &str, value: Value) {
        if let Value::Text(text) = &value {
            self.bytes += name.len() + text.len();
        }
        if self.bytes > MAX_BYTES {
            return;
        }
        match value {
            Value::Text(text) => {
                self.pod_fields.retain(|(known, _)| known != name);
                match self.values.iter_mut().find(|(known, _)| known == name) {
                    Some((_, old)) => *old = text,
                    None => self.values.push((name.to_owned(), text)),
                }
            }
            Value::Later(field) => {
                self.values.retain(|(known, _)| known != name);
                self.pod_fields.retain(|(known, _)| known != name);
                self.pod_fields.push((name.to_owned(), field));
            }
            Value::Nothing => {}
        }
    }
}

// === impl Context ===

impl Context<'_> {
    fn value(&self, from: &ValueFrom, path: &str, findings: &mut Vec<Finding>) -> Value {
        let config_map = from.config_map_key_ref.as_ref().map(|it| ("ConfigMap", it));
        let secret = from.secret_key_ref.as_ref().map(|it| ("Secret", it));
        if let Some((kind, reference)) = config_map.or(secret) {
            let source = Source { kind, name: &reference.name, is_optional: reference.optional };
            let Some(mut texts) = self.texts(&source, path, findings) else { return Value::Nothing };
            if let Some(text) = texts.remove(&reference.key) {
                return Value::Text(text);
            }
            if !reference.optional {
                let message = format!("{kind} `{}` has no text under `{}`", reference.name, reference.key);
                findings.push(Finding::new(&codes::CONFIG_MISSING, message).at(self.object, path));
            }
            return Value::Nothing;
        }
        match &from.field_ref {
            Some(field) => self.field(&field.field_path).unwrap_or_else(|| {
                let message =
                    format!("fieldPath `{}` is not a field of a pod that is known here", field.field_path);
                findings.push(Finding::new(&codes::FIELD_INVALID, message).at(self.object, path));
                Value::Nothing
            }),
            None => Value::Nothing,
        }
    }

    /// The texts of a ConfigMap or Secret; `None` when there is none, which is said unless it is optional.
    fn texts(
        &self,
        source: &Source<'_>,
        path: &str,
        findings: &mut Vec<Finding>,
    ) -> Option<BTreeMap<String, String>> {
        let Source { kind, name, is_optional } = source;
        let namespace = &self.object.namespace;
        if let Some(object) = self.objects.get(kind, namespace, name) {
            return config::texts(object, findings);
        }
        if !is_optional {
            let message = format!("{kind} {namespace}/{name} does not exist");
            findings.push(Finding::new(&codes::CONFIG_MISSING, message).at(self.object, path));
        }
        None
    }

    fn field(&self, path: &str) -> Option<Value> {
        let named = |prefix: &str, map: &BTreeMap<String, String>| {
            let key = path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']")?;
            Some(Value::Text(map.get(key).cloned().unwrap_or_default()))
        };
        match path {
            "metadata.name" => Some(Value::Later(PodField::Name)),
            "metadata.uid" => Some(Value::Later(PodField::Uid)),
            "status.podIP" | "status.podIPs" => Some(Value::Later(PodField::PodIp)),
            "status.hostIP" | "status.hostIPs" => Some(Value::Later(PodField::HostIp)),
            "spec.nodeName" => Some(Value::Later(PodField::NodeName)),
            "metadata.namespace" => Some(Value::Text(self.object.namespace.clone())),
            "spec.serviceAccountName" => Some(Value::Text(self.service_account.to_owned())),
            _ => named("metadata.labels", &self.metadata.labels)
                .or_else(|| named("metadata.annotations", &self.metadata.annotations)),
        }
    }
}
