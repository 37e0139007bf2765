//! IngressClassParams as EKS Auto Mode writes them, `eks.amazonaws.com/v1` ("Create an IngressClass to configure an Application
//! Load Balancer", EKS user guide): the same under other names.

use serde_json::{Map, Value, json};

/// Rewrites an object, if it is such one, as one of the AWS Load Balancer Controller.
pub(crate) fn adapt(fields: &mut Map<String, Value>) {
    if fields.get("apiVersion") != Some(&json!("eks.amazonaws.com/v1"))
        || fields.get("kind") != Some(&json!("IngressClassParams"))
    {
        return;
    }
    fields.insert("apiVersion".to_owned(), json!("elbv2.k8s.aws/v1beta1"));
    let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) else { return };
    rename(spec, "certificateARNs", "certificateArn");
    if let Some(subnets) = spec.get_mut("subnets").and_then(Value::as_object_mut) {
        rename(subnets, "matchTags", "tags");
    }
}

fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_auto_mode_calls_otherwise_is_taken() {
        let mut params = json!({"apiVersion": "eks.amazonaws.com/v1", "kind": "IngressClassParams",
            "spec": {"scheme": "internal", "certificateARNs": ["arn:a"], "subnets": {"matchTags": []}}});
        adapt(params.as_object_mut().unwrap());
        assert_eq!(
            params,
            json!({"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "IngressClassParams",
                "spec": {"scheme": "internal", "certificateArn": ["arn:a"], "subnets": {"tags": []}}})
        );
    }
}
