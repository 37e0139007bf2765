//! What makes no sense together in a Deployment or a Pod: names that stand twice or nowhere, a selector that does not select
//! what it is for, a strategy that cannot begin. In the words of a Kubernetes API server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Violation, at, is_nothing};
use crate::kinds::selector::Selector;
use crate::wire::{self, Case};

/// Checks an object whose pods stand at `pod`.
pub(super) fn check(kind: &str, object: &Value, pod: &str, found: &mut Vec<Violation>) {
    let mut tell = |field: String, message: String| {
        found.push(Violation { field, is_undecodable: false, message });
    };
    if kind == "Deployment" {
        check_selector(object, &mut tell);
        check_strategy(object, &mut tell);
    }
    let Some(spec) = at(object, pod) else { return };
    let policies: &[&str] =
        if kind == "Deployment" { &["Always"] } else { &["Always", "OnFailure", "Never"] };
    check_word(spec, pod, "restartPolicy", policies, &mut tell);
    check_containers(spec, pod, &mut tell);
}

fn check_selector(object: &Value, tell: &mut dyn FnMut(String, String)) {
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
        tell(
            "spec.template.metadata.labels".to_owned(),
            format!("Invalid value: {labels}: `selector` does not match template `labels`"),
        );
    }
}

fn check_strategy(object: &Value, tell: &mut dyn FnMut(String, String)) {
    let Some(spec) = at(object, "spec") else { return };
    let number = |field: &str| spec.get(field).and_then(Value::as_u64);
    let least = number("minReadySeconds").unwrap_or(0);
    if let Some(deadline) = number("progressDeadlineSeconds").filter(|deadline| *deadline <= least) {
        let message = format!("Invalid value: {deadline}: must be greater than minReadySeconds");
        tell("spec.progressDeadlineSeconds".to_owned(), message);
    }
    let Some(strategy) = spec.get("strategy") else { return };
    check_word(strategy, "spec.strategy", "type", &["Recreate", "RollingUpdate"], tell);
    let Some(rolling) = strategy.get("rollingUpdate").filter(|rolling| !rolling.is_null()) else { return };
    if text(strategy, "type") == Some("Recreate") {
        let message = "Forbidden: may not be specified when strategy `type` is 'Recreate'";
        tell("spec.strategy.rollingUpdate".to_owned(), message.to_owned());
    }
    let is_zero = |field: &str| {
        let bound = rolling.get(field);
        bound.is_some_and(|bound| bound.as_u64() == Some(0) || bound.as_str() == Some("0%"))
    };
    if is_zero("maxSurge") && is_zero("maxUnavailable") {
        let message = "Invalid value: 0: may not be 0 when `maxSurge` is 0";
        tell("spec.strategy.rollingUpdate.maxUnavailable".to_owned(), message.to_owned());
    }
}

fn check_containers(spec: &Value, pod: &str, tell: &mut dyn FnMut(String, String)) {
    let volumes: BTreeSet<&str> =
        items(spec, "volumes").iter().filter_map(|volume| text(volume, "name")).collect();
    let mut names = BTreeSet::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in items(spec, list).iter().enumerate() {
            let path = format!("{pod}.{list}[{index}]");
            match text(container, "name") {
                None => tell(format!("{path}.name"), "Required value".to_owned()),
                Some(name) if !names.insert(name) => {
                    tell(format!("{path}.name"), format!("Duplicate value: {name:?}"));
                }
                Some(name) if !is_label(name) => {
                    tell(format!("{path}.name"), format!("Invalid value: {name:?}: {NOT_A_LABEL}"));
                }
                Some(_) => {}
            }
            if text(container, "image").is_none() {
                tell(format!("{path}.image"), "Required value".to_owned());
            }
            for (mount, written) in items(container, "volumeMounts").iter().enumerate() {
                if let Some(name) = text(written, "name").filter(|name| !volumes.contains(name)) {
                    tell(format!("{path}.volumeMounts[{mount}].name"), format!("Not found: {name:?}"));
                }
            }
        }
    }
}

/// Tells a field that holds none of the words that it takes.
fn check_word(value: &Value, path: &str, field: &str, words: &[&str], tell: &mut dyn FnMut(String, String)) {
    if let Some(word) = text(value, field).filter(|word| !words.contains(word)) {
        let supported: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        let message = format!("Unsupported value: {word:?}: supported values: {}", supported.join(", "));
        tell(format!("{path}.{field}"), message);
    }
}

const NOT_A_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Whether a name is a label of DNS (RFC 1123 §2.1), as names of containers are.
fn is_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63 && name.bytes().all(is_inner) && !name.starts_with('-') && !name.ends_with('-')
}

fn items<'a>(value: &'a Value, list: &str) -> &'a [Value] {
    value.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A field that is text, and not empty.
fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check_one(kind: &str, object: &Value, expected: &[&str]) {
        let mut found = Vec::new();
        check(kind, object, if kind == "Pod" { "spec" } else { "spec.template.spec" }, &mut found);
        let found: Vec<String> =
            found.iter().map(|violation| format!("{}: {}", violation.field, violation.message)).collect();
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
        let pod = json!({"spec": {"restartPolicy": "Sometimes", "volumes": [{"name": "v"}], "containers": containers}});
        let not_a_label = format!("spec.containers[3].name: Invalid value: \"A_b\": {NOT_A_LABEL}");
        check_one(
            "Pod",
            &pod,
            &[
                r#"spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never""#,
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
        check_one(
            "Deployment",
            &deployment(&json!({"strategy": {"type": "Canary"}})),
            &[
                r#"spec.strategy.type: Unsupported value: "Canary": supported values: "Recreate", "RollingUpdate""#,
            ],
        );
    }
}
