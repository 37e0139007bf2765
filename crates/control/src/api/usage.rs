//! How much pods and nodes use (`metrics.k8s.io`), which `kubectl top` shows.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use manifest::Object;
use serde_json::{Value, json};

use super::questions::Question;
use super::{Answer, Call, respond};
use crate::local::Used;
use crate::store::{LabelSelector, Reason, Status, metadata};

const GROUP: &str = "metrics.k8s.io/v1beta1";

/// What the containers of each pod use, by namespace and name.
type ByPod = BTreeMap<(String, String), Vec<(String, Used)>>;

impl Call<'_> {
    /// Metrics of the pods or nodes that are asked for.
    pub(super) fn usage(&self, question: &Question, namespace: &str, name: &str) -> Answer {
        let mut by_pod = ByPod::new();
        for (container, used) in self.api.machine.iter().flat_map(|machine| machine.running.used()) {
            let pod = by_pod.entry((container.namespace, container.pod)).or_default();
            pod.push((container.container, used));
        }
        let is_pods = question.plural == "pods";
        let kind = manifest::kind_named(question.plural).filter(|kind| kind.group.is_empty());
        let kind = kind.ok_or_else(super::method_not_allowed)?;
        let told = |object: &Object| {
            if is_pods { self.of_pod(object, &by_pod) } else { Some(self.of_node(object, &by_pod)) }
        };
        if !name.is_empty() {
            let object = self.api.store.get(kind, namespace, name)?;
            let told = told(&object).ok_or_else(|| {
                let message = format!("podmetrics.metrics.k8s.io \"{namespace}/{name}\" not found");
                Status::new(Reason::NotFound, message)
            })?;
            return Ok(respond::json(StatusCode::OK, &told));
        }
        let labels = LabelSelector::parse(self.parameters.text("labelSelector").unwrap_or_default())?;
        let objects = self.api.store.objects();
        let meant = objects.of_kind(kind.kind).filter(|object| {
            (namespace.is_empty() || object.namespace == namespace) && labels.matches(&object.labels())
        });
        let items: Vec<Value> = meant.filter_map(|object| told(object)).collect();
        let list = json!({
            "kind": format!("{}List", question.kind),
            "apiVersion": GROUP,
            "metadata": {},
            "items": items,
        });
        Ok(respond::json(StatusCode::OK, &list))
    }

    /// A pod of which nothing runs has no metrics.
    fn of_pod(&self, pod: &Object, by_pod: &ByPod) -> Option<Value> {
        let containers = by_pod.get(&(pod.namespace.clone(), pod.name.clone()))?;
        let window = containers.iter().map(|(_, used)| used.window).max().unwrap_or_default();
        let mut told = self.of_object("PodMetrics", pod, window);
        let told_containers = containers
            .iter()
            .map(|(name, used)| json!({"name": name, "usage": usage(used.nanocores, used.memory)}));
        told["metadata"]["namespace"] = json!(pod.namespace);
        told["containers"] = told_containers.collect();
        Some(told)
    }

    /// A node uses what its pods use.
    fn of_node(&self, node: &Object, by_pod: &ByPod) -> Value {
        let objects = self.api.store.objects();
        let is_here = |(namespace, name): &(String, String)| {
            objects
                .get("Pod", namespace, name)
                .is_some_and(|pod| pod.value["spec"]["nodeName"] == node.name.as_str())
        };
        let used: Vec<&Used> = by_pod
            .iter()
            .filter(|(pod, _)| is_here(pod))
            .flat_map(|(_, containers)| containers)
            .map(|(_, used)| used)
            .collect();
        let window = used.iter().map(|used| used.window).max().unwrap_or_default();
        let mut told = self.of_object("NodeMetrics", node, window);
        let (nanocores, memory) =
            (used.iter().map(|used| used.nanocores).sum(), used.iter().map(|used| used.memory).sum());
        told["usage"] = usage(nanocores, memory);
        told
    }

    fn of_object(&self, kind: &str, object: &Object, window: Duration) -> Value {
        let now = metadata::time(self.now);
        json!({
            "kind": kind,
            "apiVersion": GROUP,
            "metadata": {"name": object.name, "creationTimestamp": now, "labels": object.labels()},
            "timestamp": now,
            "window": format!("{}.{:03}s", window.as_secs(), window.subsec_millis()),
        })
    }
}

fn usage(nanocores: u64, memory: u64) -> Value {
    json!({"cpu": format!("{nanocores}n"), "memory": format!("{}Ki", memory / 1024)})
}
