//! What a Kubernetes API server fills in when it stores an object, as far as people and kubectl read it.
//!
//! A kind with defaults is one file under `defaults/` and one line in [`TABLE`]. Filling is idempotent: an object that
//! was filled once is not changed by filling it again, and a write that leaves a filled field out keeps its value.

mod deployment;
mod horizontal_pod_autoscaler;
mod namespace;
mod secret;
mod service;

use manifest::{Object, Objects};
use serde_json::{Map, Value};

/// Fills one kind of object. `old` is the object it takes the place of, `all` is everything there is.
type Fill = fn(object: &mut Object, old: Option<&Object>, all: &Objects);

const TABLE: &[(&str, Fill)] = &[
    ("Deployment", deployment::fill),
    ("HorizontalPodAutoscaler", horizontal_pod_autoscaler::fill),
    ("Namespace", namespace::fill),
    ("Pod", deployment::fill_pod),
    ("Secret", secret::fill),
    ("Service", service::fill),
];

/// Fills what is not set.
pub(super) fn fill(object: &mut Object, old: Option<&Object>, all: &Objects) {
    if let Some((_, fill)) = TABLE.iter().find(|(kind, _)| *kind == object.kind.kind) {
        fill(object, old, all);
    }
}

/// The fields of an object below a key, which are made if nothing is there. `None`: something else is there.
fn fields<'a>(parent: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    parent.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// The items of a list of objects below a key.
fn items<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = parent.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Sets fields that are not there, or null.
fn set_missing<const N: usize>(fields: &mut Map<String, Value>, defaults: [(&str, Value); N]) {
    for (key, default) in defaults {
        let field = fields.entry(key).or_insert(Value::Null);
        if field.is_null() {
            *field = default;
        }
    }
}
