//! Who set which fields of an object: `metadata.managedFields`.

use serde_json::{Value, json};

use super::paths::Paths;

/// How many of those who do not apply are remembered by name; the oldest become one.
const UPDATERS: usize = 10;
/// The name that they have then.
const ANCIENT: &str = "ancient-changes";
/// How many entries a client may send.
const ENTRIES: usize = 256;

/// What somebody did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manager {
    pub(crate) name: String,
    pub(crate) operation: Operation,
    /// In which version of the kind.
    pub(crate) api_version: String,
    /// By way of which part of the object; empty for the object.
    pub(crate) subresource: String,
}

/// One of them, with what is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) manager: Manager,
    pub(super) time: String,
    pub(super) paths: Paths,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Managers(pub(super) Vec<Entry>);

// === impl Operation ===

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

// === impl Manager ===

impl Manager {
    /// Whether they are one. Who applies is the same in all versions.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.name, self.operation, &self.subresource) == (&other.name, other.operation, &other.subresource)
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// As conflicts name it: `"kubectl-edit" using v1`.
    pub(super) fn told(&self) -> String {
        let mut told = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            told.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            told.push_str(&format!(" using {}", self.api_version));
        }
        told
    }
}

// === impl Managers ===

impl Managers {
    /// Reads `metadata.managedFields`, as clients write them or as they are kept; `None` where they are none, or more than
    /// anybody needs.
    pub(super) fn read(written: &Value) -> Option<Self> {
        let kept;
        let written = match written {
            Value::String(text) => {
                kept = serde_json::from_str(text).ok()?;
                &kept
            }
            written => written,
        };
        let entries = written.as_array().filter(|entries| entries.len() <= ENTRIES)?;
        let entry = |entry: &Value| {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            let operation = match entry["operation"].as_str()? {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return None,
            };
            let manager = Manager {
                name: text("manager"),
                operation,
                api_version: text("apiVersion"),
                subresource: text("subresource"),
            };
            Some(Entry { manager, time: text("time"), paths: Paths::read(&entry["fieldsV1"])? })
        };
        entries.iter().map(entry).collect::<Option<_>>().map(Self)
    }

    /// What somebody has.
    pub(super) fn of(&self, manager: &Manager) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.manager.is_same(manager))
    }

    /// All others.
    pub(super) fn others<'a>(&'a mut self, manager: &'a Manager) -> impl Iterator<Item = &'a mut Entry> {
        self.0.iter_mut().filter(|entry| !entry.manager.is_same(manager))
    }

    /// Sets what somebody has.
    pub(super) fn set(&mut self, manager: &Manager, paths: Paths, time: String) {
        self.0.retain(|entry| !entry.manager.is_same(manager));
        if !paths.is_empty() {
            self.0.push(Entry { manager: manager.clone(), time, paths });
        }
    }

    /// How many apply.
    pub(super) fn n_appliers(&self) -> usize {
        self.0.iter().filter(|entry| entry.manager.operation == Operation::Apply).count()
    }

    /// Puts those who changed something longest ago into one.
    pub(super) fn cap(&mut self) {
        self.sort();
        let is_update = |entry: &Entry| entry.manager.operation == Operation::Update;
        while self.0.iter().filter(|entry| is_update(entry)).count() > UPDATERS {
            let is_old = |entry: &Entry| is_update(entry) && entry.manager.name != ANCIENT;
            let Some(at) = self.0.iter().position(is_old) else { return };
            let oldest = self.0.remove(at);
            let manager = Manager { name: ANCIENT.to_owned(), subresource: String::new(), ..oldest.manager };
            let mut paths = oldest.paths;
            if let Some(before) = self.of(&manager) {
                paths.extend(&before.paths);
            }
            self.set(&manager, paths, oldest.time);
            self.sort();
        }
    }

    /// Who applies comes first, then the others by time.
    fn sort(&mut self) {
        self.0.sort_by(|one, other| {
            let key = |entry: &Entry| {
                let manager = &entry.manager;
                (manager.operation, entry.time.clone(), manager.name.clone(), manager.subresource.clone())
            };
            key(one).cmp(&key(other))
        });
    }

    /// As `metadata.managedFields`.
    pub(super) fn to_value(&self) -> Value {
        let entries = self.0.iter().filter(|entry| !entry.paths.is_empty()).map(|entry| {
            let mut value = json!({
                "manager": entry.manager.name,
                "operation": entry.manager.operation.as_str(),
                "apiVersion": entry.manager.api_version,
                "time": entry.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": entry.paths.to_value(),
            });
            if !entry.manager.subresource.is_empty() {
                value["subresource"] = json!(entry.manager.subresource);
            }
            value
        });
        entries.collect()
    }
}
