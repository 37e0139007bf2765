//! Kinds that definitions declare, over restarts and in backups.

use super::*;

/// A kind with one version, stored as `v1`.
fn definition() -> Object {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": schema});
    let names = json!({"plural": "apples", "kind": "Apple"});
    Object::from_value(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "apples.example.com"},
        "spec": {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version]},
    }))
    .unwrap()
}

fn apple(store: &Store) -> Object {
    let value =
        json!({"apiVersion": "example.com/v1", "kind": "Apple", "metadata": {"name": "a"}, "spec": {"x": 1}});
    store.kinds().object(value).unwrap()
}

#[test]
fn they_are_there_after_a_restart_and_in_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("store"), folder.path().join("other"));
    let store = Store::open(&file).unwrap();
    store.create(definition(), Mode::Commit).unwrap();
    store.create(apple(&store), Mode::Commit).unwrap();
    store.finish();
    drop(store);
    back_up(&file, Some(&folder.path().join("backup"))).unwrap();
    restore(&other, Some(&folder.path().join("backup"))).unwrap();
    for file in [file, other] {
        let store = Store::open(&file).unwrap();
        let kind = store.kinds().named("apples").unwrap();
        let found = store.get(kind, "", "a").unwrap();
        assert_eq!((&found.value["spec"]["x"], found.kind.is_namespaced), (&json!(1), false));
    }
}

#[test]
fn objects_that_come_together_with_their_definition_are_taken_in_any_order() {
    let known = Kinds::default().declared_by([Arc::new(definition())].iter());
    let store = store();
    let value = json!({"apiVersion": "example.com/v1", "kind": "Apple", "metadata": {"name": "a"}});
    let results = store.apply(vec![known.object(value).unwrap(), definition()]);
    assert!(
        results.iter().all(|result| result.as_ref().is_ok_and(|it| it.outcome == Outcome::Created)),
        "{results:?}"
    );
    assert_eq!(results[0].as_ref().unwrap().object.kind.kind, "Apple");
}

#[test]
fn an_object_whose_definition_is_not_there_is_refused() {
    let known = Kinds::default().declared_by([Arc::new(definition())].iter());
    let value = json!({"apiVersion": "example.com/v1", "kind": "Apple", "metadata": {"name": "a"}});
    let refused = store().create(known.object(value).unwrap(), Mode::Commit).unwrap_err();
    assert_eq!(refused.reason, Reason::NotFound);
}
