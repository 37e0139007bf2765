use super::*;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thing {
    name: String,
    #[serde(default)]
    port_numbers: Vec<u16>,
    #[serde(default)]
    selector: BTreeMap<String, String>,
    #[serde(default)]
    kind: Option<Letter>,
    #[serde(default)]
    affinity: NoEffect,
    #[serde(default)]
    inner: Option<Box<Thing>>,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
enum Letter {
    A,
}

fn read(value: &Value) -> (Result<Thing, WireError>, Vec<Note>) {
    from_value(value, "spec", Case::Exact)
}

#[test]
fn what_is_wrong_has_a_path() {
    for (value, error) in [
        (json!({"name": 1}), "spec.name is the number `1`, not a text"),
        (json!({}), "spec has no `name`"),
        (
            json!({"name": "a", "portNumbers": [1, "x"]}),
            "spec.portNumbers[1] is the text `x`, not a number from 0 to 65535",
        ),
        (
            json!({"name": "a", "portNumbers": [70000]}),
            "spec.portNumbers[0] is the number `70000`, not a number from 0 to 65535",
        ),
        (
            json!({"name": "a", "selector": {"a/b": true}}),
            "spec.selector[\"a/b\"] is the boolean `true`, not a text",
        ),
        (json!({"name": "a", "inner": {"name": "b", "kind": "B"}}), "spec.inner.kind is `B`, not one of `A`"),
        (json!([]), "spec is a list, not a map"),
    ] {
        assert_eq!(read(&value).0.unwrap_err().to_string(), error);
    }
}

#[test]
fn unknown_fields_and_those_without_effect_are_noted() {
    let value = json!({
        "name": "a", "portNumber": 1, "affinity": {"x": 1}, "inner": {"name": "b", "affinity": {}, "colour": null},
    });
    let (thing, notes) = read(&value);
    assert_eq!(thing.unwrap().inner.unwrap().name, "b");
    let unknown = |path: &str, nearest| Note::Unknown { path: path.to_owned(), nearest };
    assert_eq!(
        notes,
        [
            Note::NoEffect { path: "spec.affinity".to_owned() },
            unknown("spec.inner.colour", None),
            unknown("spec.portNumber", Some("portNumbers")),
        ]
    );
}

#[test]
fn null_is_nothing() {
    let value =
        json!({"name": "a", "portNumbers": null, "kind": null, "selector": {"a": null}, "affinity": null});
    let (thing, notes) = read(&value);
    assert_eq!(thing.unwrap().selector["a"], "");
    assert_eq!(notes, []);
}

#[test]
fn acc_s2_26_annotations_are_read_in_any_case() {
    let value = json!({"Name": "a", "PORTNUMBERS": [80]});
    let (thing, notes) = from_value::<Thing>(&value, "", Case::Any);
    assert_eq!((thing.unwrap().port_numbers, notes), (vec![80], Vec::new()));
}

#[test]
fn everything_that_is_wrong_is_told_and_what_follows_from_it_is_not() {
    let value = json!({
        "name": 1, "portNumbers": [1, "x", 70000], "selector": {"a": true, "b": "c"},
        "inner": {"kind": "B", "portNumber": 1},
    });
    let Reading { value, errors, notes } = read_all::<Thing>(&value, "spec", Case::Exact);
    assert_eq!(value, None);
    let mut told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "spec.inner has no `name`",
            "spec.inner.kind is `B`, not one of `A`",
            "spec.name is the number `1`, not a text",
            "spec.portNumbers[1] is the text `x`, not a number from 0 to 65535",
            "spec.portNumbers[2] is the number `70000`, not a number from 0 to 65535",
            "spec.selector.a is the boolean `true`, not a text",
        ]
    );
    assert_eq!(
        notes,
        [Note::Unknown { path: "spec.inner.portNumber".to_owned(), nearest: Some("portNumbers") }]
    );
    let mended = json!({"name": "a", "portNumbers": [1, "x"], "kind": "B"});
    let Reading { value, errors, .. } = read_all::<Thing>(&mended, "", Case::Exact);
    assert_eq!((value.unwrap().port_numbers, errors.len()), (vec![1], 2));
}
