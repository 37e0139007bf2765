//! `request-headers` and `response-headers`.

use std::collections::BTreeMap;

use plan::{FieldEdits, FieldSide};
use serde::Deserialize;

use crate::annotations::values::yaml;
use crate::annotations::{Input, Problem};
use crate::wire::IntOrString;

#[derive(Deserialize)]
struct FieldEditsWire {
    #[serde(default)]
    set: BTreeMap<String, IntOrString>,
    #[serde(default)]
    remove: Vec<String>,
}

pub(super) fn read(side: FieldSide, input: &mut Input<'_>) -> Result<FieldEdits, Problem> {
    let wire: FieldEditsWire = yaml(input)?;
    if wire.set.is_empty() && wire.remove.is_empty() {
        return Err("it has neither `set` nor `remove`".to_owned().into());
    }
    let set = wire.set.into_iter().map(|(name, value)| match value {
        IntOrString::Int(number) => (name, number.to_string()),
        IntOrString::String(text) => (name, text),
    });
    FieldEdits::new(side, set, wire.remove).map_err(|error| error.to_string().into())
}
