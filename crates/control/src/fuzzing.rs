//! Everything here that reads bytes from outside, as functions that must return for any bytes.
//!
//! The fuzz targets and the property tests below call the same functions.
#![doc(hidden)]

use crate::local::probe;
use crate::store::{FieldSelector, LabelSelector, merge_patch, three_way};
use serde_json::Value;

/// A label selector from a query.
pub fn label_selector(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(selector) = LabelSelector::parse(text)
    {
        let _ = selector.matches(&[("app", "web")].into());
    }
}

/// A field selector from a query.
pub fn field_selector(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = FieldSelector::parse(text);
    }
}

/// The answer of a replica to a probe.
pub fn probe_answer(data: &[u8]) {
    if let Some(status) = probe::status_of(data) {
        assert!(status <= 999);
    }
}

/// Patches: three JSON values, one a line.
pub fn patches(data: &[u8]) {
    let mut values =
        data.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let (Some(applied), Some(wanted), Some(live)) = (values.next(), values.next(), values.next()) else {
        return;
    };
    let merged = three_way(Some(&applied), &wanted, &live);
    assert_eq!(three_way(Some(&wanted), &wanted, &merged), merged, "applying again changes nothing");
    let mut patched = live;
    merge_patch(&mut patched, &wanted);
    let once = patched.clone();
    merge_patch(&mut patched, &wanted);
    assert_eq!(patched, once, "patching again changes nothing");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "[a-c]".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_may_be_a_selector(text in r"[a-c=!, ()\\./-]{0,24}|\PC{0,24}") {
            label_selector(text.as_bytes());
            field_selector(text.as_bytes());
        }

        #[test]
        fn any_bytes_may_answer_a_probe(bytes in "(HTTP/1.[01] ?[0-9+-]{0,4} ?\r?\n?)?.{0,8}") {
            probe_answer(bytes.as_bytes());
        }

        #[test]
        fn any_values_may_be_patches(a in json(), b in json(), c in json()) {
            patches(format!("{a}\n{b}\n{c}").as_bytes());
        }
    }
}
