//! HorizontalPodAutoscaler in `autoscaling/v1`, which Kubernetes serves still and keeps as `autoscaling/v2`
//! ("HorizontalPodAutoscaler", Kubernetes API reference).

use serde_json::{Map, Value, json};

/// Rewrites an object, if it is an autoscaler of `autoscaling/v1`, as one of `autoscaling/v2`: its one figure becomes a
/// metric.
pub(crate) fn upgrade(fields: &mut Map<String, Value>) {
    if fields.get("apiVersion") != Some(&json!("autoscaling/v1"))
        || fields.get("kind") != Some(&json!("HorizontalPodAutoscaler"))
    {
        return;
    }
    fields.insert("apiVersion".to_owned(), json!("autoscaling/v2"));
    let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let Some(percentage) = spec.remove("targetCPUUtilizationPercentage") else { return };
    let target = json!({"type": "Utilization", "averageUtilization": percentage});
    spec.insert(
        "metrics".to_owned(),
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_of_v1_is_a_metric_of_v2() {
        let mut old = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 70}});
        upgrade(old.as_object_mut().unwrap());
        let resource = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}});
        assert_eq!(old["apiVersion"], "autoscaling/v2");
        assert_eq!(
            old["spec"],
            json!({"maxReplicas": 3, "metrics": [{"type": "Resource", "resource": resource}]})
        );
    }
}
