use std::collections::{BTreeSet, HashSet};

use serde_json::json;

use super::*;
use crate::parse::TableError;
use crate::tables::{TABLES, all};

#[test]
fn every_table_is_read() {
    let types = parse::tables(&TABLES).unwrap();
    assert!(types.len() > 300, "{}", types.len());
}

#[test]
fn no_name_and_no_number_stands_twice() {
    for known in all() {
        let mut names = HashSet::new();
        for field in known.fields() {
            assert!(names.insert(field.name), "{}.{}", known.name, field.name);
        }
        let numbers = known.own_fields().iter().map(|field| field.number);
        let mut seen = BTreeSet::new();
        for number in numbers.chain(known.includes().iter().map(|include| include.number)) {
            assert!(number == 0 || seen.insert(number), "{} has {number} twice", known.name);
        }
    }
}

#[test]
fn what_is_included_includes_nothing() {
    for known in all() {
        for include in known.includes() {
            assert!(include.included.includes().is_empty(), "{} in {}", include.included.name, known.name);
            assert!(!include.included.is_kind);
        }
    }
}

#[test]
fn keys_of_lists_are_fields_of_their_items() {
    for known in all() {
        for field in known.fields() {
            let place = format!("{}.{}", known.name, field.name);
            let is_list = matches!(field.holds, Holds::List(_));
            assert!(is_list || field.list == List::Atomic, "{place}");
            assert!(is_list || field.merge_key.is_none(), "{place}");
            let keys = field.list.keys().chain(field.merge_key.filter(|key| !key.is_empty()));
            for key in keys {
                let item = field.holds.object().unwrap_or_else(|| unreachable!("{place} has no objects"));
                assert!(item.field(key).is_some(), "{place} by {key}");
            }
        }
    }
}

#[test]
fn defaults_are_of_the_type_of_their_fields() {
    for known in all() {
        for field in known.fields() {
            let Some(default) = field.default_value() else { continue };
            let is_right = match &field.holds {
                Holds::Text => default.is_string(),
                Holds::Bool => default.is_boolean(),
                Holds::Int32 | Holds::Int64 => default.is_i64(),
                Holds::IntOrString => default.is_i64() || default.is_string(),
                Holds::Object(_) => default == json!({}),
                _ => false,
            };
            assert!(is_right, "{}.{}: {default}", known.name, field.name);
            let is_word = field.words().next().is_none() || field.words().any(|word| default == word);
            assert!(is_word, "{}.{}: {default}", known.name, field.name);
        }
    }
}

#[test]
fn every_kind_has_metadata_and_is_found() {
    const WITHOUT_METADATA: &[&str] = &["DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions"];
    for kind in kinds() {
        let package = kind.package;
        let found = of(package.group, package.version, kind.name).unwrap();
        assert!(std::ptr::eq(found, kind), "{}", kind.name);
        assert!(std::ptr::eq(named(&kind.full_name()).unwrap(), kind), "{}", kind.name);
        let has_metadata = kind.field("metadata").is_some();
        assert!(has_metadata || WITHOUT_METADATA.contains(&kind.name), "{}", kind.name);
    }
    assert!(of("", "v1", "Container").is_none());
    assert!(of("apps", "v2", "Deployment").is_none());
}

#[test]
fn what_the_line_of_a_field_says() {
    let container = named("io.k8s.api.core.v1.Container").unwrap();
    let ports = container.field("ports").unwrap();
    assert_eq!(ports.number, 6);
    assert_eq!(ports.list.keys().collect::<Vec<_>>(), ["containerPort", "protocol"]);
    assert_eq!(ports.merge_key, Some("containerPort"));
    let protocol = ports.holds.object().unwrap().field("protocol").unwrap();
    assert_eq!(protocol.words().collect::<Vec<_>>(), ["SCTP", "TCP", "UDP"]);
    assert_eq!(protocol.default_value(), Some(json!("TCP")));
    assert!(container.field("name").unwrap().is_required);
    assert!(container.field("livenessProbe").unwrap().tells_zero);
    let volume = named("io.k8s.api.core.v1.Volume").unwrap();
    assert!(volume.field("emptyDir").is_some());
    assert_eq!(volume.own_fields().len(), 1);
    let finalizers = named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").unwrap().field("finalizers");
    assert_eq!(finalizers.unwrap().list, List::Set);
    assert_eq!(finalizers.unwrap().merge_key, Some(""));
}

#[test]
fn a_line_that_says_something_else_is_told() {
    let told = |text: &'static str| match parse::tables(&[("t", text)]) {
        Err(TableError { line, problem, .. }) => format!("{line}: {problem}"),
        Ok(_) => "read".to_owned(),
    };
    assert_eq!(told("package a b v1\ntype A\n  b 1 string \"text with = in it\""), "read");
    assert_eq!(told("type A"), "1: no package is named above");
    assert_eq!(told("package a b"), "1: a package has three names");
    assert_eq!(told("package a b v1\n  b 1 string"), "2: a field of no type");
    assert_eq!(told("package a b v1\ntype A\n  b 1 B"), "3: no type is called `B`");
    assert_eq!(told("package a b v1\ntype A\n  b 1 string often"), "3: `often` says nothing about a field");
    assert_eq!(told("package a b v1\ntype A\ntype A"), "3: `A` is declared already");
}

#[test]
fn a_list_or_map_that_is_empty_is_as_none() {
    for known in all() {
        for field in known.fields().filter(|field| field.tells_zero) {
            let is_one = matches!(field.holds, Holds::List(_) | Holds::Map(_) | Holds::Json);
            assert!(!is_one, "{}.{}", known.name, field.name);
        }
    }
}

/// Whoever walks an object along its type goes no deeper than the types do.
#[test]
fn no_type_holds_itself() {
    fn depth(of: &'static Type, above: &mut Vec<&'static str>) -> usize {
        assert!(!above.contains(&of.name) || above.len() < 40, "{above:?} {}", of.name);
        above.push(of.name);
        let inside = of.fields().filter_map(|field| field.holds.object()).collect::<Vec<_>>();
        let deepest = inside.into_iter().map(|inside| depth(inside, above)).max().unwrap_or_default();
        above.pop();
        deepest + 1
    }
    for kind in kinds() {
        assert!(depth(kind, &mut Vec::new()) < 20, "{}", kind.name);
    }
}
