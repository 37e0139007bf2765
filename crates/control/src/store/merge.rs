//! Merging what somebody wants into what there is.

use manifest::{BASE_DIRECTORY, MAX_ANNOTATIONS};
use serde_json::{Map, Value, json};

/// The annotation in which `kubectl apply` keeps what was applied last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Keeps what is applied in an annotation of it, as kubectl writes it, so that both may be used in turns. The annotation is
/// empty where that would be more text than annotations may have.
pub fn remember(wanted: &mut Value) {
    let annotations = &mut wanted["metadata"]["annotations"];
    if !annotations.is_object() {
        *annotations = json!({});
    }
    let mut applied = wanted.clone();
    let mut n_bytes = LAST_APPLIED.len();
    if let Some(annotations) = applied["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST_APPLIED);
        let sizes = annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len));
        n_bytes += sizes.sum::<usize>();
        // Somebody who applies the same file with kubectl does not know where it lay, and would take this away.
        annotations.remove(BASE_DIRECTORY);
    }
    let mut text = format!("{applied}\n");
    if n_bytes + text.len() > MAX_ANNOTATIONS {
        text.clear();
    }
    wanted["metadata"]["annotations"][LAST_APPLIED] = json!(text);
}

/// What was applied last to a live object, as it remembers it. Of one that is too large for that it is all that people write:
/// what is applied takes its place.
#[must_use]
pub fn remembered(live: &Value) -> Option<Value> {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    if !text.is_empty() {
        return serde_json::from_str(text).ok();
    }
    let mut written = live.clone();
    written.as_object_mut()?.remove("status");
    written["metadata"].as_object_mut()?.retain(|key, _| ["annotations", "labels"].contains(&key.as_str()));
    Some(written)
}

/// Merges a patch into a value: objects key by key, `null` deletes, all else replaces (RFC 7386).
///
/// Goes no deeper than the patch does, and a patch that was parsed is at most as deep as the parser allows.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            merge_patch(fields.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// What `live` becomes when `wanted` is applied after `applied` was: fields that left are removed, fields that somebody
/// else set are kept, lists are replaced whole.
#[must_use]
pub fn three_way(applied: Option<&Value>, wanted: &Value, live: &Value) -> Value {
    let Value::Object(wanted) = wanted else { return wanted.clone() };
    let was_applied = |key: &str| applied.is_some_and(|applied| applied.get(key).is_some());
    let mut merged = live.as_object().cloned().unwrap_or_default();
    merged.retain(|key, _| !was_applied(key) || wanted.contains_key(key));
    for (key, value) in wanted {
        if value.is_null() {
            merged.remove(key);
        } else {
            let live = merged.remove(key).unwrap_or_default();
            let applied = applied.and_then(|applied| applied.get(key));
            merged.insert(key.clone(), three_way(applied, value, &live));
        }
    }
    Value::Object(merged)
}

/// Takes out fields that are null, as the typed objects of an API server do.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The cases of RFC 7386, appendix A.
    #[test]
    fn merge_patch_does_what_the_rfc_shows() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), json!(null), json!(null)),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut merged = target.clone();
            merge_patch(&mut merged, &patch);
            assert_eq!(merged, expected, "{target} patched with {patch}");
        }
    }

    #[test]
    fn applying_removes_what_left_and_keeps_what_others_set() {
        let applied = json!({"spec": {"replicas": 2, "paused": true, "list": [1, 2]}});
        let wanted = json!({"spec": {"replicas": 3, "list": [2]}});
        let live =
            json!({"spec": {"replicas": 2, "paused": true, "list": [1, 2], "filled": "by us"}, "status": 1});
        let merged = three_way(Some(&applied), &wanted, &live);
        assert_eq!(merged, json!({"spec": {"replicas": 3, "list": [2], "filled": "by us"}, "status": 1}));
    }

    #[test]
    fn applying_without_a_past_only_adds() {
        let merged = three_way(None, &json!({"a": {"b": 1}}), &json!({"a": {"c": 2}}));
        assert_eq!(merged, json!({"a": {"b": 1, "c": 2}}));
    }
}
