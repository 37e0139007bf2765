//! The custom kinds that there are, as CustomResourceDefinitions. They stand in the program: none is added or changed.

use std::sync::Arc;

use manifest::{KINDS, Kind, Object};
use serde_json::{Value, json};

use crate::store::{Page, Status, Store, metadata};

/// The kind of definitions.
const KIND: &str = "CustomResourceDefinition";

/// Whether objects of a kind are made up here, and not stored.
pub(super) fn is_one(kind: &Kind) -> bool {
    kind.kind == KIND
}

/// One definition.
///
/// # Errors
/// [`Reason::NotFound`](crate::store::Reason::NotFound).
pub(super) fn get(kind: &'static Kind, name: &str, store: &Store) -> Result<Arc<Object>, Status> {
    all(store).into_iter().find(|object| object.name == name).ok_or_else(|| Status::not_found(kind, name))
}

/// All of them, in place of the stored ones.
pub(super) fn page(mut page: Page, store: &Store) -> Page {
    page.objects = all(store);
    page.n_remaining = 0;
    page
}

fn all(store: &Store) -> Vec<Arc<Object>> {
    let custom: Vec<&'static Kind> = KINDS.iter().copied().filter(|kind| kind.is_custom()).collect();
    let mut names: Vec<(&str, &str)> = custom.iter().map(|kind| (kind.plural, kind.group)).collect();
    names.sort_unstable();
    names.dedup();
    let objects = names.into_iter().map(|(plural, group)| {
        let versions = custom.iter().filter(|kind| (kind.plural, kind.group) == (plural, group));
        definition(&versions.copied().collect::<Vec<_>>(), store)
    });
    objects.filter_map(|value| Object::from_value(value).ok()).map(Arc::new).collect()
}

fn definition(kinds: &[&'static Kind], store: &Store) -> Value {
    let kind = kinds[0];
    let name = format!("{}.{}", kind.plural, kind.group);
    // They are there since the first namespace is.
    let since = manifest::kind_named("Namespace").and_then(|kind| store.get(kind, "", "default").ok());
    let since = since.and_then(|object| metadata::text(&object, "creationTimestamp").map(ToOwned::to_owned));
    let names = json!({
        "plural": kind.plural,
        "singular": kind.singular(),
        "kind": kind.kind,
        "listKind": format!("{}List", kind.kind),
        "shortNames": kind.short_names,
        "categories": kind.categories,
    });
    let versions = kinds.iter().enumerate().map(|(nth, kind)| {
        let mut version = json!({
            "name": kind.version,
            "served": true,
            "storage": nth == 0,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        });
        let subresources = kind.subresources.iter().filter(|name| **name == "status");
        version["subresources"] = subresources.map(|name| ((*name).to_owned(), json!({}))).collect();
        version
    });
    let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": since});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": KIND,
        "metadata": {
            "name": name,
            "uid": uid(&name),
            "creationTimestamp": since,
            "resourceVersion": "1",
            "generation": 1,
        },
        "spec": {
            "group": kind.group,
            "scope": if kind.is_namespaced { "Namespaced" } else { "Cluster" },
            "names": names,
            "versions": versions.collect::<Vec<_>>(),
            "conversion": {"strategy": "None"},
        },
        "status": {
            "acceptedNames": names,
            "storedVersions": [kind.version],
            "conditions": [condition("NamesAccepted", "NoConflicts"), condition("Established", "InitialNamesAccepted")],
        },
    })
}

/// The same for one name at all times (FNV-1a).
fn uid(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}-{:04x}-4000-8000-000000000000", hash >> 32, hash & 0xffff)
}
