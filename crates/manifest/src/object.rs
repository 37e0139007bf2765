//! Kubernetes objects as they were written, and the collection of all that there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use plan::ObjectRef;
use serde_json::Value;

use crate::finding::beginning;
use crate::read::{self, check};
use crate::{Finding, Kind, Location, codes};

/// One Kubernetes object.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: &'static Kind,
    /// Its namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The whole object, `apiVersion` and `kind` included.
    pub value: Value,
    /// The text it was read from, when it came from a file.
    pub source: Option<Arc<Source>>,
}

/// The places of an object's fields in the file it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as it was named, `-` for standard input.
    pub file: String,
    /// Line and column, from 1, of each field, by its path (`metadata.annotations["a/b"]`, `spec.rules[0].host`).
    pub places: BTreeMap<String, (u32, u32)>,
    /// The text of the document that the object stands in, or of the lines of a list that it stands on.
    pub text: Arc<str>,
    /// The number of the text's first line in the file, from 1.
    pub first_line: u32,
}

/// Every object there is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objects {
    objects: BTreeMap<ObjectRef, Arc<Object>>,
}

// === impl Object ===

impl Object {
    /// Makes an object of a value that came without a file.
    ///
    /// # Errors
    /// What is wrong with it first: an unknown kind, no name, labels that are not text.
    pub fn from_value(value: Value) -> Result<Self, Box<Finding>> {
        read::first_of(check(value, None))
    }

    /// Makes an object of a value that came without a file and is of this kind.
    ///
    /// # Errors
    /// As [`from_value`](Self::from_value).
    pub fn of_kind(kind: &'static Kind, value: Value) -> Result<Self, Box<Finding>> {
        read::first_of(read::check_as(Some(kind), value, None))
    }

    /// Names the object.
    #[must_use]
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::new(self.kind.key, &self.namespace, &self.name)
    }

    /// An annotation's value.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.value.get("metadata")?.get("annotations")?.get(key)?.as_str()
    }

    /// All labels.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        let labels =
            self.value.get("metadata").and_then(|metadata| metadata.get("labels")).and_then(Value::as_object);
        let pairs =
            labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
        pairs.collect()
    }

    /// Where a field stands in the file, or the nearest field around it.
    #[must_use]
    pub fn locate(&self, path: &str) -> Option<Location> {
        let mut place = self.source.as_deref()?.locate(path)?;
        // What a Secret holds is nobody's to read in a message.
        if self.kind.key == "Secret"
            && (path.starts_with("data") || path.starts_with("stringData"))
            && let Some(end) = place.text.find(':').map(|colon| colon + 1)
            && !place.text[end..].trim().is_empty()
        {
            place.text.truncate(end);
            place.text.push_str(" ***");
        }
        Some(place)
    }
}

// === impl Source ===

impl Source {
    /// A place in the file, with the line that stands there.
    #[must_use]
    pub fn location(&self, line: u32, column: u32) -> Location {
        let index = line.saturating_sub(self.first_line) as usize;
        let text = beginning(self.text.lines().nth(index).unwrap_or_default()).to_owned();
        Location { file: self.file.clone(), line, column, text }
    }
}

/// A warning for each object that a later one of the same kind, namespace and name replaces, as `kubectl apply` has it.
#[must_use]
pub fn replaced(objects: &[Object]) -> Vec<Finding> {
    let mut last = HashMap::new();
    let mut findings = Vec::new();
    for object in objects.iter().rev() {
        let Some(later) = last.get(&object.reference()) else {
            last.insert(object.reference(), object);
            continue;
        };
        let place = later.locate("metadata.name").map(|place| format!(" at {}:{}", place.file, place.line));
        let message = format!(
            "{} stands there again{}: that one is taken",
            object.reference(),
            place.unwrap_or_default()
        );
        findings.push(Finding::new(&codes::OBJECT_REPLACED, message).at(object, "metadata.name"));
    }
    findings.reverse();
    findings
}

// === impl Objects ===

impl Objects {
    /// Adds an object, in the place of one with the same kind, namespace and name.
    pub fn insert(&mut self, object: impl Into<Arc<Object>>) -> Option<Arc<Object>> {
        let object = object.into();
        self.objects.insert(object.reference(), object)
    }

    /// Takes an object away.
    pub fn remove(&mut self, reference: &ObjectRef) -> Option<Arc<Object>> {
        self.objects.remove(reference)
    }

    /// The object with this kind, namespace and name.
    #[must_use]
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(&ObjectRef::new(kind, namespace, name))
    }

    /// The object of this name.
    #[must_use]
    pub fn find(&self, reference: &ObjectRef) -> Option<&Arc<Object>> {
        self.objects.get(reference)
    }

    /// All objects of a kind, by namespace and name.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Arc<Object>> {
        self.of_kind_from(kind, "", "")
    }

    /// The objects of a kind from a namespace and name on.
    pub fn of_kind_from<'a>(
        &'a self,
        kind: &'a str,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let first = ObjectRef::new(kind, namespace, name);
        self.objects
            .range(first..)
            .take_while(move |(reference, _)| reference.kind == kind)
            .map(|(_, object)| object)
    }

    /// All objects, by kind, namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// Whether they are the same `Arc`s: so much is known at once.
    pub(crate) fn are_the_same(&self, others: &Self) -> bool {
        let mut pairs = self.objects.values().zip(others.objects.values());
        self.objects.len() == others.objects.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl FromIterator<Object> for Objects {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let mut all = Self::default();
        for object in objects {
            all.insert(object);
        }
        all
    }
}
