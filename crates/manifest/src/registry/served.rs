//! Kinds in a second version beside the one in which their objects are stored: the table of conversions.

use serde_json::{Map, Value, json};

use super::event::EVENT;
use super::scaling::HORIZONTAL_POD_AUTOSCALER;
use super::{ALL, Conversion, Kind, STATUS, namespaced};
use crate::kinds::validation::Rules;

/// Events as `events.k8s.io/v1` has them: the same fields with other names.
pub(super) static EVENT_V1: Kind = Kind {
    key: EVENT.key,
    short_names: EVENT.short_names,
    columns: EVENT.columns,
    fields: &[
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ],
    rules: Rules {
        required: &["action", "eventTime", "reason", "reportingController", "reportingInstance", "type"],
        ..Rules::NONE
    },
    conversion: Some(&Conversion {
        storage: &EVENT,
        renames: &[
            ("involvedObject", "regarding"),
            ("message", "note"),
            ("source", "deprecatedSource"),
            ("firstTimestamp", "deprecatedFirstTimestamp"),
            ("lastTimestamp", "deprecatedLastTimestamp"),
            ("count", "deprecatedCount"),
            ("reportingComponent", "reportingController"),
        ],
        read: |_| {},
        write: |_| {},
    }),
    ..namespaced("events.k8s.io", "v1", "Event", "events")
};

/// Autoscalers as `autoscaling/v1` has them: with a percentage of CPU in place of metrics.
pub(super) static HORIZONTAL_POD_AUTOSCALER_V1: Kind = Kind {
    key: HORIZONTAL_POD_AUTOSCALER.key,
    short_names: HORIZONTAL_POD_AUTOSCALER.short_names,
    categories: ALL,
    subresources: STATUS,
    columns: HORIZONTAL_POD_AUTOSCALER.columns,
    conversion: Some(&Conversion {
        storage: &HORIZONTAL_POD_AUTOSCALER,
        renames: &[],
        read: to_first,
        write: from_first,
    }),
    ..namespaced("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
};

/// What the first version has no field for stands in annotations: where, and under which.
const ANNOTATIONS: &[(&str, &str, &str)] = &[
    ("spec", "metrics", "autoscaling.alpha.kubernetes.io/metrics"),
    ("spec", "behavior", "autoscaling.alpha.kubernetes.io/behavior"),
    ("status", "currentMetrics", "autoscaling.alpha.kubernetes.io/current-metrics"),
    ("status", "conditions", "autoscaling.alpha.kubernetes.io/conditions"),
];

/// The figure of each list of metrics in the first version.
const FIGURES: &[(&str, &str, &str)] = &[
    ("spec", "metrics", "targetCPUUtilizationPercentage"),
    ("status", "currentMetrics", "currentCPUUtilizationPercentage"),
];

fn to_first(autoscaler: &mut Value) {
    for (part, field, figure) in FIGURES {
        let Some(fields) = autoscaler.get_mut(*part).and_then(Value::as_object_mut) else { continue };
        let Some(metrics) = fields.get_mut(*field).and_then(Value::as_array_mut) else { continue };
        if let Some(at) = metrics.iter().position(|metric| percentage(metric).is_some()) {
            let percentage = percentage(&metrics.remove(at)).cloned();
            fields.insert((*figure).to_owned(), json!(percentage));
        }
    }
    for (part, field, key) in ANNOTATIONS {
        let Some(fields) = autoscaler.get_mut(*part).and_then(Value::as_object_mut) else { continue };
        let said = fields.remove(*field).filter(says);
        if let (Some(said), Some(annotations)) = (said, annotations(autoscaler)) {
            annotations.insert((*key).to_owned(), json!(said.to_string()));
        }
    }
}

fn from_first(autoscaler: &mut Value) {
    for (part, field, key) in ANNOTATIONS {
        let kept = annotations(autoscaler).and_then(|annotations| annotations.remove(*key));
        let kept = kept.and_then(|kept| serde_json::from_str::<Value>(kept.as_str()?).ok());
        let Some(kept) = kept.filter(|kept| kept.is_object() || kept.is_array()) else { continue };
        if let Some(fields) = autoscaler.get_mut(*part).and_then(Value::as_object_mut) {
            fields.insert((*field).to_owned(), kept);
        }
    }
    for (part, field, figure) in FIGURES {
        let Some(fields) = autoscaler.get_mut(*part).and_then(Value::as_object_mut) else { continue };
        let Some(percentage) = fields.remove(*figure).filter(|figure| !figure.is_null()) else { continue };
        let place = if *part == "spec" { "target" } else { "current" };
        let mut value = json!({"averageUtilization": percentage});
        if *part == "spec" {
            value["type"] = json!("Utilization");
        }
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", place: value}});
        match fields.get_mut(*field).and_then(Value::as_array_mut) {
            Some(metrics) => metrics.insert(0, metric),
            None => drop(fields.insert((*field).to_owned(), json!([metric]))),
        }
    }
    let metadata = autoscaler.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata
        && metadata.get("annotations").and_then(Value::as_object).is_some_and(Map::is_empty)
    {
        metadata.remove("annotations");
    }
}

/// The share of CPU that a metric is about.
fn percentage(metric: &Value) -> Option<&Value> {
    let resource = Some(&metric["resource"]).filter(|resource| resource["name"] == "cpu")?;
    let of = |place: &str| resource[place].get("averageUtilization").filter(|it| it.is_number());
    of("target").or_else(|| of("current"))
}

fn annotations(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut()
}

fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(all) => !all.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_in_the_other_version_and_written_back_stays_the_same() {
        let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}});
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}});
        let autoscaler = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
            "spec": {"maxReplicas": 3, "metrics": [cpu, memory], "behavior": {"scaleUp": {"stabilizationWindowSeconds": 3}}},
        });
        let mut first = autoscaler.clone();
        HORIZONTAL_POD_AUTOSCALER_V1.read(&mut first);
        assert_eq!(first["spec"], json!({"maxReplicas": 3, "targetCPUUtilizationPercentage": 70}));
        assert_eq!(first["apiVersion"], "autoscaling/v1");
        HORIZONTAL_POD_AUTOSCALER_V1.write(&mut first);
        assert_eq!(first, autoscaler);
    }

    #[test]
    fn an_event_has_other_names_for_the_same_fields() {
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a", "namespace": "default"},
            "involvedObject": {"kind": "Pod", "name": "p"}, "message": "it runs", "reason": "Started",
            "source": {"component": "kubelet"}, "count": 2, "reportingComponent": "kubelet",
        });
        let mut other = event.clone();
        EVENT_V1.read(&mut other);
        assert_eq!((&other["regarding"]["name"], &other["note"]), (&json!("p"), &json!("it runs")));
        assert_eq!((&other["deprecatedCount"], other.get("message")), (&json!(2), None));
        EVENT_V1.write(&mut other);
        assert_eq!(other, event);
    }
}
