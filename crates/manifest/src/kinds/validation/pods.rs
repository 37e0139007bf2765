//! What makes no sense together in a Deployment or a Pod: names that stand twice or nowhere, a selector that does not select
//! what it is for, a strategy that cannot begin. In the words of a Kubernetes API server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::names::{LABEL_RULE, is_label};
use super::{Fault, Violation, at, is_nothing, items, text};
use crate::kinds::selector::Selector;
use crate::wire::{self, Case};

/// Checks the pods at `pod`.
pub(super) fn check(object: &Value, pod: &str, found: &mut Vec<Violation>) {
    if let Some(spec) = at(object, pod) {
        check_containers(spec, pod, found);
    }
}

/// Checks that a selector selects the pods of its template.
pub(crate) fn check_selector(object: &Value, found: &mut Vec<Violation>) {
    let written = at(object, "spec.selector").filter(|selector| !is_nothing(selector));
    let Some(written) = written else { return };
    let (Ok(selector), _) = wire::from_value::<Selector>(written, "spec.selector", Case::Exact) else {
        return;
    };
    let labels = at(object, "spec.template.metadata.labels").and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    let labels: BTreeMap<String, String> =
        labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    if !selector.matches(&labels) {
        let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key:?}:{value:?}")).collect();
        let labels = format!("map[string]string{{{}}}", shown.join(", "));
        let fault = Fault::Invalid(labels, "`selector` does not match template `labels`".to_owned());
        found.push(Violation::new("spec.template.metadata.labels", fault));
    }
}

/// Checks that a rollout can begin.
pub(crate) fn check_strategy(object: &Value, found: &mut Vec<Violation>) {
    let Some(spec) = at(object, "spec") else { return };
    let number = |field: &str| spec.get(field).and_then(Value::as_u64);
    let least = number("minReadySeconds").unwrap_or(0);
    if let Some(deadline) = number("progressDeadlineSeconds").filter(|deadline| *deadline <= least) {
        let why = "must be greater than minReadySeconds";
        found.push(Violation::invalid("spec.progressDeadlineSeconds", &json!(deadline), why).bearable());
    }
    let Some(strategy) = spec.get("strategy") else { return };
    let Some(rolling) = strategy.get("rollingUpdate").filter(|rolling| !rolling.is_null()) else { return };
    if text(strategy, "type") == Some("Recreate") {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        found.push(Violation::forbidden("spec.strategy.rollingUpdate", why).bearable());
    }
    let is_zero = |field: &str| {
        let bound = rolling.get(field);
        bound.is_some_and(|bound| bound.as_u64() == Some(0) || bound.as_str() == Some("0%"))
    };
    if is_zero("maxSurge") && is_zero("maxUnavailable") {
        let why = "may not be 0 when `maxSurge` is 0";
        found.push(
            Violation::invalid("spec.strategy.rollingUpdate.maxUnavailable", &json!(0), why).bearable(),
        );
    }
}

fn check_containers(spec: &Value, pod: &str, found: &mut Vec<Violation>) {
    let volumes: BTreeSet<&str> =
        items(spec, "volumes").iter().filter_map(|volume| text(volume, "name")).collect();
    let mut names = BTreeSet::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in items(spec, list).iter().enumerate() {
            let path = format!("{pod}.{list}[{index}]");
            let name = format!("{path}.name");
            match text(container, "name") {
                None => found.push(Violation::required(name, "")),
                Some(written) if !names.insert(written) => {
                    found.push(Violation::duplicate(name, format!("{written:?}")));
                }
                Some(written) if !is_label(written) => {
                    found.push(Violation::invalid(name, &json!(written), LABEL_RULE).bearable());
                }
                Some(_) => {}
            }
            if text(container, "image").is_none() {
                found.push(Violation::required(format!("{path}.image"), "").bearable());
            }
            for (mount, written) in items(container, "volumeMounts").iter().enumerate() {
                if let Some(name) = text(written, "name").filter(|name| !volumes.contains(name)) {
                    let field = format!("{path}.volumeMounts[{mount}].name");
                    found.push(Violation::not_found(field, name).bearable());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(kind: &str, object: &Value, expected: &[&str]) {
        let mut found = Vec::new();
        let kind = crate::kind_named(kind).unwrap();
        (kind.rules.check)(object, &mut found);
        check(object, kind.pods.spec().unwrap(), &mut found);
        let found: Vec<String> =
            found.iter().map(|violation| format!("{}: {}", violation.field, violation.message())).collect();
        assert_eq!(found, expected);
    }

    fn deployment(spec: &Value) -> Value {
        let mut all = json!({"selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "main", "image": "x"}]}}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        json!({"spec": all})
    }

    #[test]
    fn a_selector_selects_its_own_template() {
        check_one("Deployment", &deployment(&json!({})), &[]);
        check_one(
            "Deployment",
            &deployment(&json!({"selector": {"matchLabels": {"app": "b"}}})),
            &[
                r#"spec.template.metadata.labels: Invalid value: map[string]string{"app":"a"}: `selector` does not match template `labels`"#,
            ],
        );
        let exists = json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]});
        check_one("Deployment", &deployment(&json!({ "selector": exists })), &[]);
    }

    #[test]
    fn names_of_containers_stand_once() {
        let containers = json!([{"name": "a", "image": "x"}, {"name": "a", "image": "x"}, {"image": "x"},
            {"name": "A_b", "image": "x"}, {"name": "c", "volumeMounts": [{"name": "v"}, {"name": "w"}]}]);
        let pod = json!({"spec": {"volumes": [{"name": "v"}], "containers": containers}});
        let not_a_label = format!("spec.containers[3].name: Invalid value: \"A_b\": {LABEL_RULE}");
        check_one(
            "Pod",
            &pod,
            &[
                r#"spec.containers[1].name: Duplicate value: "a""#,
                "spec.containers[2].name: Required value",
                &not_a_label,
                "spec.containers[4].image: Required value",
                r#"spec.containers[4].volumeMounts[1].name: Not found: "w""#,
            ],
        );
    }

    #[test]
    fn a_strategy_can_begin() {
        let zero = json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}});
        check_one(
            "Deployment",
            &deployment(&json!({"strategy": zero, "progressDeadlineSeconds": 5, "minReadySeconds": 5})),
            &[
                "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ],
        );
        let both = json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}});
        check_one(
            "Deployment",
            &deployment(&json!({ "strategy": both })),
            &[
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ],
        );
    }
}
