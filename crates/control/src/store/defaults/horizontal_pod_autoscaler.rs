//! Autoscalers keep one replica unless told otherwise.

use manifest::{Object, Objects};
use serde_json::json;

use super::{fields, set_missing};

pub(super) fn fill(object: &mut Object, _old: Option<&Object>, _all: &Objects) {
    let Some(spec) = object.value.as_object_mut().and_then(|autoscaler| fields(autoscaler, "spec")) else {
        return;
    };
    set_missing(spec, [("minReplicas", json!(1))]);
}
