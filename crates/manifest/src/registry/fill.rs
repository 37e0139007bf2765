//! What filling in is made of.

use serde_json::{Map, Value};

/// The fields of an object below a key, which are made if nothing is there. `None`: something else is there.
pub(super) fn fields<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    parent.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// The items of a list of objects below a key.
pub(super) fn items<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = parent.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Sets fields that are not there, or null.
pub(super) fn set_missing<const N: usize>(fields: &mut Map<String, Value>, defaults: [(&str, Value); N]) {
    for (key, default) in defaults {
        let field = fields.entry(key).or_insert(Value::Null);
        if field.is_null() {
            *field = default;
        }
    }
}
