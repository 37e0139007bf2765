//! The custom kinds that stand in the program, as CustomResourceDefinitions beside those that are stored. They cannot be changed.

use std::sync::Arc;

use http::{Response, StatusCode};
use manifest::{DEFINITION, Definition, KINDS, Kind, Object};
use serde_json::{Value, json};

use super::route::ObjectRoute;
use super::{Body, Call, respond, warnings};
use crate::store::{Page, Query, Reason, Status, Store, metadata};

/// How many definitions are kept at most.
const MANY: usize = 1000;

/// The definition of a kind that stands in the program.
pub(super) fn of_program(kind: &Kind, name: &str, store: &Store) -> Option<Arc<Object>> {
    if kind.key != DEFINITION {
        return None;
    }
    all(store).into_iter().find(|object| object.name == name)
}

/// Adds those definitions to a page of stored ones, in the place of those of the same names that files may have brought.
pub(super) fn add(page: &mut Page, query: &Query, store: &Store) {
    let all = all(store);
    page.objects.retain(|object| !all.iter().any(|it| it.name == object.name));
    page.objects.extend(all.into_iter().filter(|object| query.matches(object)));
    page.objects.sort_by(|one, other| one.name.cmp(&other.name));
}

/// What is told to somebody who writes one of these.
pub(super) fn kept_as_it_is(name: &str) -> String {
    format!("{name} is a kind of this platform itself: its definition stays as it is")
}

impl Call<'_> {
    /// The answer to a write of a definition that stands in the program, which changes nothing.
    pub(super) fn kept_as_it_is(&self, route: &ObjectRoute) -> Result<Option<Response<Body>>, Status> {
        let Some(found) = of_program(route.kind, &route.name, &self.api.store) else {
            return Ok(None);
        };
        let mut response = respond::json(StatusCode::OK, &self.form()?.object(&found, self.now)?);
        let told = kept_as_it_is(&route.name);
        warnings::write(response.headers_mut(), &[], &[told], self.headers);
        Ok(Some(response))
    }

    /// Refuses what cannot be made: a definition of a kind that is there, one too many, or an object of a kind that is going.
    pub(super) fn check_is_declared(&self, object: &Object) -> Result<(), Status> {
        if object.kind.key == DEFINITION {
            if of_program(object.kind, &object.name, &self.api.store).is_some() {
                return Err(Status::already_exists(object.kind, &object.name));
            }
            if self.api.store.objects().of_kind(DEFINITION).count() >= MANY {
                let why = format!("there are {MANY} definitions already, and no more are kept");
                return Err(Status::forbidden(object.kind, &object.name, &why));
            }
        }
        let is_going = |definition: &Definition| metadata::deletion(definition.object()).is_some();
        if object.kind.definition().is_some_and(|definition| is_going(&definition)) {
            let message = "create not allowed while custom resource definition is terminating";
            return Err(Status::new(Reason::MethodNotAllowed, message));
        }
        Ok(())
    }
}

fn all(store: &Store) -> Vec<Arc<Object>> {
    let is_one = |kind: &&Kind| kind.is_custom() || kind.group == "gateway.networking.k8s.io";
    let custom: Vec<&'static Kind> = KINDS.iter().copied().filter(is_one).collect();
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
        "kind": DEFINITION,
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
