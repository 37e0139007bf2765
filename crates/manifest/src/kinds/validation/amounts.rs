//! Amounts of processor, memory and the like that containers ask for, and may use at most.

use serde_json::{Map, Value};

use super::{Violation, at, items};
use crate::read::key_path;
use crate::workload::parse_quantity;

/// What an amount is, in the words of Go's decoder.
const NO_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// Checks the containers of the pods at `pod`.
pub(super) fn check(object: &Value, pod: &str, found: &mut Vec<Violation>) {
    let Some(spec) = at(object, pod) else { return };
    for (index, container) in items(spec, "containers").iter().enumerate() {
        let resources = &container["resources"];
        let path = format!("{pod}.containers[{index}].resources");
        for list in ["limits", "requests"] {
            for (name, written) in fields(resources, list).filter(|(_, it)| amount(it).is_none()) {
                let field = key_path(&format!("{path}.{list}"), name);
                let ours = format!("is `{}`, not an amount", written.to_string().trim_matches('"'));
                let violation = Violation::undecodable(field, NO_QUANTITY.to_owned(), ours);
                // What is asked for is nobody's to give on one machine.
                found.push(if list == "requests" { violation.bearable() } else { violation });
            }
        }
        for (name, requested) in fields(resources, "requests") {
            let limit = &resources["limits"][name];
            if let (Some(asked), Some(most)) = (amount(requested), amount(limit))
                && asked > most
            {
                let limit = limit.to_string();
                let why =
                    format!("must be less than or equal to {name} limit of {}", limit.trim_matches('"'));
                found.push(Violation::invalid(format!("{path}.requests"), requested, why).bearable());
            }
        }
    }
}

fn fields<'a>(value: &'a Value, map: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(map).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn amount(written: &Value) -> Option<f64> {
    match written {
        Value::String(text) => parse_quantity(text),
        number => number.as_f64(),
    }
}
