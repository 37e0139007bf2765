//! Versions of kinds: objects in the one that is asked for, and in the one that is stored.

use manifest::{Kind, Object};
use serde_json::Value;

/// An object in the version in which it is stored.
pub(super) fn stored(mut object: Object) -> Object {
    if object.kind.is_converted() {
        object.kind.write(&mut object.value);
        object.kind = object.kind.storage();
    }
    object
}

/// Makes of a stored value one of a version.
pub(super) fn read_as(kind: &Kind, value: &mut Value) {
    if kind.is_converted() {
        kind.read(value);
    }
}

/// The version whose fields the owners of fields are known by.
pub(super) fn version_of_paths(kind: &'static Kind) -> String {
    if kind.is_declared() { kind.api_version() } else { kind.storage().api_version() }
}
