//! Kinds that CustomResourceDefinitions declare, beside those that stand in the program: the set of all kinds is a value, and is
//! looked up in one place.
//!
//! What a kind is called stays the same for as long as the program runs, and is kept once (as a [`Kind`] is everywhere); what its
//! objects look like changes with its definition, and is looked up in its [`Slot`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use schema::structural::{self, Checker};
use serde_json::{Value, json};

use super::json_path;
use super::time::human_duration;
use super::{KINDS, Kind, SCALED, SERVED, STATUS, columns, namespaced};
use crate::kinds::validation::Violation;
use crate::{Finding, Object};

/// How many names of kinds one run of the program can learn. They are never forgotten.
const NAMES: usize = 20_000;
/// The kind of definitions.
pub const DEFINITION: &str = "CustomResourceDefinition";

/// All kinds there are: those of the program, and those that definitions declare.
#[derive(Debug, Clone)]
pub struct Kinds {
    /// Whose they are: definitions of one store say nothing about kinds of another.
    home: u64,
    declared: Vec<&'static Kind>,
}

/// What the objects of a declared kind look like now, in one version; nothing once its definition has gone.
#[derive(Debug, Default)]
pub struct Slot(Mutex<Option<Arc<Definition>>>);

/// What a definition says of a version.
#[derive(Debug)]
pub struct Definition {
    definition: Arc<Object>,
    nth: usize,
    checker: Checker,
    storage: &'static Kind,
}

#[derive(Default)]
struct Known {
    kinds: HashMap<String, &'static Kind>,
    slots: HashMap<String, &'static Slot>,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
static HOMES: AtomicU64 = AtomicU64::new(0);

fn known() -> MutexGuard<'static, Option<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether no more names of kinds can be learnt.
pub(super) fn is_full() -> bool {
    known().as_ref().is_some_and(|known| known.kinds.len() >= NAMES)
}

// === impl Kinds ===

impl Default for Kinds {
    /// Those of the program.
    fn default() -> Self {
        Self { home: HOMES.fetch_add(1, Ordering::Relaxed), declared: Vec::new() }
    }
}

impl Kinds {
    /// Those of the program and those that definitions declare, in the place of those that these kinds have declared before.
    #[must_use]
    pub fn declared_by<'a>(&self, definitions: impl Iterator<Item = &'a Arc<Object>>) -> Self {
        let mut kinds = Self { home: self.home, declared: Vec::new() };
        for definition in definitions.filter(|definition| is_accepted(definition)) {
            kinds.declare(definition);
        }
        for kind in self.declared.iter().filter(|kind| !kinds.declared.contains(kind)) {
            kind.slot.into_iter().for_each(|slot| slot.put(None));
        }
        kinds
    }

    /// Adds the kinds that a definition declares.
    fn declare(&mut self, definition: &Arc<Object>) {
        let spec = &definition.value["spec"];
        let versions = || spec["versions"].as_array().into_iter().flatten();
        let Some(storage) = versions().find(|version| version["storage"] == true) else { return };
        let Some((storage, _)) = self.learn(spec, storage) else { return };
        for (nth, version) in versions().enumerate() {
            let Some((kind, slot)) = self.learn(spec, version) else { return };
            let definition = Arc::clone(definition);
            slot.put(Some(Arc::new(Definition { definition, nth, checker: Checker::default(), storage })));
            if version["served"] == true {
                self.declared.push(kind);
            }
        }
    }

    /// The kind of a version of a definition, which is kept for ever.
    fn learn(&self, spec: &Value, version: &Value) -> Option<(&'static Kind, &'static Slot)> {
        let (names, text) = (&spec["names"], |value: &Value| value.as_str().unwrap_or_default().to_owned());
        let (group, version_name) = (text(&spec["group"]), text(&version["name"]));
        let (kind, plural) = (text(&names["kind"]), text(&names["plural"]));
        let list = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
        };
        let (short_names, categories) = (list(&names["shortNames"]), list(&names["categories"]));
        let fields: Vec<String> = version["selectableFields"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|field| Some(field["jsonPath"].as_str()?.trim_start_matches('.').to_owned()))
            .collect();
        let subresources = &version["subresources"];
        let has = |name: &str| subresources.get(name).is_some_and(|it| !it.is_null());
        let subresources: &[&str] = match (has("status"), has("scale")) {
            (true, true) => SCALED,
            (true, false) => STATUS,
            (false, true) => &["scale"],
            (false, false) => &[],
        };
        let is_namespaced = spec["scope"] == "Namespaced";
        let place = format!("{}|{group}|{version_name}|{kind}", self.home);
        let (singular, listed) = (text(&names["singular"]), text(&names["listKind"]));
        let identity = format!(
            "{place}|{plural}|{singular}|{listed}|{is_namespaced}|{short_names:?}|{categories:?}|{fields:?}|{subresources:?}"
        );
        let mut known = known();
        let known = known.get_or_insert_default();
        let slot = *known.slots.entry(place).or_insert_with(|| Box::leak(Box::default()));
        if let Some(kind) = known.kinds.get(&identity) {
            return Some((kind, slot));
        }
        if known.kinds.len() >= NAMES {
            return None;
        }
        let kind = Box::leak(Box::new(Kind {
            key: leaked(format!("{kind}.{group}")),
            singular: leaked(singular),
            list: leaked(listed),
            short_names: all_leaked(short_names),
            categories: all_leaked(categories),
            fields: all_leaked(fields),
            subresources,
            is_namespaced,
            columns: columns::PLAIN,
            fill: |object, _, _| {
                if let Some(definition) = object.kind.definition() {
                    // What cannot be filled in as a whole is refused before.
                    let _ = structural::fill(definition.schema(), &mut object.value);
                }
            },
            slot: Some(slot),
            ..namespaced(leaked(group), leaked(version_name), leaked(kind), leaked(plural))
        }));
        known.kinds.insert(identity, kind);
        Some((kind, slot))
    }

    /// Every kind that is served, in each of its versions.
    pub fn all(&self) -> impl Iterator<Item = &'static Kind> + use<'_> {
        KINDS.iter().chain(SERVED).chain(&self.declared).copied()
    }

    /// Those that definitions declare.
    #[must_use]
    pub fn declared(&self) -> &[&'static Kind] {
        &self.declared
    }

    /// The kind somebody means by its name in any of kubectl's spellings; see [`kind_named`](super::kind_named).
    #[must_use]
    pub fn named(&self, text: &str) -> Option<&'static Kind> {
        super::named_among(text, self.all())
    }

    /// The kind of this group, version and name.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
        self.all().find(|known| (known.group, known.version, known.kind) == (group, version, kind))
    }

    /// The declared kind of an object's value.
    pub(crate) fn declared_of(&self, api_version: &str, kind: &str) -> Option<&'static Kind> {
        let (group, version) = api_version.split_once('/')?;
        let is_it = |known: &&&'static Kind| (known.group, known.kind) == (group, kind);
        let mut all = self.declared.iter().filter(is_it);
        let exact = all.clone().find(|known| known.version == version);
        // Stored in a version that is no longer served.
        exact
            .or_else(|| all.find(|known| known.definition().is_some_and(|it| it.has_version(version))))
            .copied()
    }

    /// Makes an object of a value that came without a file, of any of these kinds.
    ///
    /// # Errors
    /// As [`Object::from_value`].
    pub fn object(&self, value: Value) -> Result<Object, Box<Finding>> {
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        match self.declared_of(text("apiVersion"), text("kind")) {
            Some(kind) => Object::of_kind(kind, value),
            None => Object::from_value(value),
        }
    }
}

/// Whether the kinds of a definition are its own: none that stands in the program, and none that another one has declared before.
fn is_accepted(definition: &Object) -> bool {
    let spec = &definition.value["spec"];
    let conditions = definition.value["status"]["conditions"].as_array();
    let is_refused = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "NamesAccepted" && condition["status"] == "False");
    let is_ours = |kind: &&&Kind| {
        kind.group == spec["group"]
            && (kind.kind == spec["names"]["kind"] || kind.plural == spec["names"]["plural"])
    };
    definition.kind.kind == DEFINITION && !is_refused && !KINDS.iter().any(|kind| is_ours(&kind))
}

fn leaked(text: String) -> &'static str {
    String::leak(text)
}

fn all_leaked(texts: Vec<String>) -> &'static [&'static str] {
    Vec::leak(texts.into_iter().map(leaked).collect())
}

// === impl Slot ===

impl Slot {
    fn put(&self, definition: Option<Arc<Definition>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = definition;
    }

    pub(super) fn get(&self) -> Option<Arc<Definition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Definition ===

impl Definition {
    fn version(&self) -> &Value {
        &self.definition.value["spec"]["versions"][self.nth]
    }

    fn has_version(&self, name: &str) -> bool {
        let versions = self.definition.value["spec"]["versions"].as_array();
        versions.into_iter().flatten().any(|version| version["name"] == name)
    }

    /// The object that declares the kind.
    #[must_use]
    pub fn object(&self) -> &Arc<Object> {
        &self.definition
    }

    /// What objects look like.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.version()["schema"]["openAPIV3Schema"]
    }

    /// The kind in the version in which objects are stored.
    #[must_use]
    pub fn storage(&self) -> &'static Kind {
        self.storage
    }

    /// Where the number of replicas stands: `specReplicasPath`, `statusReplicasPath`, `labelSelectorPath`.
    #[must_use]
    pub fn scale(&self) -> &Value {
        &self.version()["subresources"]["scale"]
    }

    /// What is told to those who use a version that is on its way out.
    #[must_use]
    pub fn deprecation(&self) -> Option<String> {
        let version = self.version();
        if version["deprecated"] != true {
            return None;
        }
        let written = version["deprecationWarning"].as_str().map(ToOwned::to_owned);
        let (spec, name) = (&self.definition.value["spec"], version["name"].as_str().unwrap_or_default());
        let (group, kind) = (spec["group"].as_str()?, spec["names"]["kind"].as_str()?);
        Some(written.unwrap_or_else(|| format!("{group}/{name} {kind} is deprecated")))
    }

    /// What is wrong with an object.
    pub(crate) fn violations(&self, object: &Value) -> Vec<Violation> {
        let mut filled = object.clone();
        if !structural::fill(self.schema(), &mut filled) {
            let why = "it is too long with all that its schema fills in";
            return vec![Violation::invalid("", &Value::Null, why)];
        }
        let problems = self.checker.problems(self.schema(), &filled).into_iter();
        problems.map(Violation::from).collect()
    }

    fn columns(&self) -> impl Iterator<Item = &Value> {
        self.version()["additionalPrinterColumns"].as_array().into_iter().flatten()
    }

    /// The columns of the table of its objects, as a `Table` of `meta.k8s.io` defines them.
    #[must_use]
    pub fn column_definitions(&self) -> Vec<Value> {
        let name =
            json!({"name": "Name", "type": "string", "format": "name", "description": NAME, "priority": 0});
        let own = self.columns().map(|column| {
            json!({
                "name": column["name"],
                "type": column["type"],
                "format": column["format"].as_str().unwrap_or_default(),
                "description": column["description"].as_str().unwrap_or_default(),
                "priority": column["priority"].as_i64().unwrap_or(0),
            })
        });
        let mut all: Vec<Value> = std::iter::once(name).chain(own).collect();
        if all.len() == 1 {
            all.push(json!({"name": "Age", "type": "date", "format": "", "description": AGE, "priority": 0}));
        }
        all
    }

    /// The cells of an object in that table.
    #[must_use]
    pub fn cells(&self, object: &Object, now: Timestamp) -> Vec<Value> {
        let mut cells = vec![json!(object.name)];
        for column in self.columns() {
            let path = column["jsonPath"].as_str().unwrap_or_default();
            let kind = column["type"].as_str().unwrap_or_default();
            cells.push(cell(json_path::first(path, &object.value), kind, now));
        }
        if cells.len() == 1 {
            cells.push(cell(object.value.pointer("/metadata/creationTimestamp"), "date", now));
        }
        cells
    }
}

const NAME: &str = "Name must be unique within a namespace.";
const AGE: &str =
    "CreationTimestamp is a timestamp representing the server time when this object was created.";

/// What a column of a type shows of a value; nothing of one of another type.
fn cell(value: Option<&Value>, kind: &str, now: Timestamp) -> Value {
    let Some(value) = value else { return Value::Null };
    match (kind, value) {
        (_, Value::Null) => Value::Null,
        ("date", Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(since) => json!(human_duration(now.as_second() - since.as_second())),
            Err(_) => json!("<invalid>"),
        },
        ("integer" | "number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("string", Value::String(_)) => value.clone(),
        ("string", other) => json!(other.to_string()),
        _ => Value::Null,
    }
}
