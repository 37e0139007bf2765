//! Autoscalers and disruption budgets, which are kept and must make sense all the same.

use serde_json::{Value, json};

use super::{Violation, is_nothing};

pub(crate) fn check_autoscaler(object: &Value, found: &mut Vec<Violation>) {
    let spec = &object["spec"];
    let field = "spec.maxReplicas";
    let least = spec["minReplicas"].as_i64().unwrap_or(1);
    match spec["maxReplicas"].as_i64() {
        Some(most) if most < least => {
            let why = "must be greater than or equal to `minReplicas`";
            found.push(Violation::invalid(field, &json!(most), why));
        }
        None if spec["maxReplicas"].is_null() => {
            found.push(Violation::invalid(field, &json!(0), "must be greater than 0"));
        }
        _ => {}
    }
}

pub(crate) fn check_budget(object: &Value, found: &mut Vec<Violation>) {
    let spec = &object["spec"];
    if !is_nothing(&spec["minAvailable"]) && !is_nothing(&spec["maxUnavailable"]) {
        let both = json!({"minAvailable": spec["minAvailable"], "maxUnavailable": spec["maxUnavailable"]});
        found.push(Violation::invalid("spec", &both, "minAvailable and maxUnavailable cannot be both set"));
    }
}
