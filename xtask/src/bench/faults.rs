//! What faults and changes cost those who ask meanwhile: how long it takes until all is well again, what fails, and what stays
//! in memory. Nothing is compared with a peer; the requests are those of a steady rate, whatever comes back.

mod asked;
mod changes;
mod idle;
mod recovery;
mod reload;
mod world;

use super::Forebay;
use super::figures::{Table, Tables};

/// A part, by its name on the command line.
struct Part {
    name: &'static str,
    measure: fn(&Forebay) -> Result<Table, String>,
}

const PARTS: &[Part] = &[
    Part { name: "recovery", measure: recovery::measure },
    Part { name: "changes", measure: changes::measure },
    Part { name: "reload", measure: reload::measure },
    Part { name: "idle", measure: idle::measure },
];

/// Measures the parts that are named, or all.
pub(super) fn bench(forebays: &[Forebay], wanted: &[String]) -> Result<Tables, String> {
    let [forebay] = forebays else { return Err("faults are measured of one build at a time".to_owned()) };
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|part| part.name != **name)) {
        let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        return Err(format!("there is no part `{unknown}`, only {}", known.join(", ")));
    }
    let mut tables = Tables::new("faults");
    for part in PARTS.iter().filter(|part| wanted.is_empty() || wanted.iter().any(|name| name == part.name)) {
        eprintln!("xtask: measuring {}", part.name);
        tables.tables.push((part.measure)(forebay)?);
    }
    Ok(tables)
}
