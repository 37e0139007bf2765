//! What fields an object has, how two of them differ, and what becomes of one when another is merged into it: the rules of
//! Kubernetes' `structured-merge-diff`. Pure. No walk goes deeper than the objects, of which the store takes none that is too
//! deep.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::paths::{Paths, in_words};
use super::shape::{Owned, Shape};

/// How many items of a list are merged one by one.
const ITEMS: usize = 4000;

/// How two objects differ.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: Paths,
    pub(super) changed: Paths,
    pub(super) removed: Paths,
}

/// All fields that a value says.
pub(super) fn fields_of(value: &Value, shape: Shape<'_>) -> Paths {
    let mut paths = Paths::default();
    match shape.owned(value) {
        Owned::Whole => {}
        Owned::Fields(fields) => {
            for (name, value) in fields {
                let element = format!("f:{name}");
                let shape = shape.field(name);
                match shape.owned(value) {
                    Owned::Whole => paths.insert(&element),
                    Owned::Fields(fields) if fields.is_empty() => paths.insert(&element),
                    _ => paths.insert_below(&element, fields_of(value, shape)),
                }
            }
        }
        Owned::Items(items) => {
            for item in items {
                let element = shape.element(item);
                paths.insert(&element);
                paths.insert_below(&element, fields_of(item, shape.item()));
            }
        }
    }
    paths
}

/// What is wrong with a value that is to be merged: items of a list that cannot be told apart, or have no key. In the words of a
/// Kubernetes API server.
pub(super) fn fault(value: &Value, shape: Shape<'_>) -> Option<String> {
    match shape.owned(value) {
        Owned::Whole => None,
        Owned::Fields(fields) => fields.iter().find_map(|(name, value)| {
            let below = fault(value, shape.field(name))?;
            Some(format!(".{name}{below}"))
        }),
        Owned::Items(items) if items.len() > ITEMS => {
            Some(format!(": a list of more than {ITEMS} items is not merged"))
        }
        Owned::Items(items) => {
            let mut seen = HashSet::new();
            items.iter().enumerate().find_map(|(at, item)| {
                if let Some(key) = shape.missing_key(item) {
                    let what = "associative list with keys has an element that omits key field";
                    return Some(format!(": element {at}: {what} {key:?} (and doesn't have default value)"));
                }
                let element = shape.element(item);
                let told = in_words(&element);
                if !seen.insert(element) {
                    return Some(format!(": duplicate entries for key {told}"));
                }
                fault(item, shape.item()).map(|below| format!("{told}{below}"))
            })
        }
    }
}

// === impl Difference ===

impl Difference {
    /// From an old object to a new one.
    pub(super) fn between(old: &Value, new: &Value, shape: Shape<'_>) -> Self {
        let mut all = Self::default();
        all.of_parts(Some(old), Some(new), shape);
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// What the new object says otherwise than the old one, or for the first time.
    pub(super) fn set(&self) -> Paths {
        let mut set = self.added.clone();
        set.extend(&self.changed);
        set
    }

    /// Compares the parts of two values that are not owned as a whole.
    fn of_parts(&mut self, old: Option<&Value>, new: Option<&Value>, shape: Shape<'_>) {
        let (old, new) = (parts(old, shape), parts(new, shape));
        let known: HashMap<&str, &Value> =
            old.iter().map(|(element, part)| (element.as_str(), *part)).collect();
        let said: HashSet<&str> = new.iter().map(|(element, _)| element.as_str()).collect();
        for (element, part) in &new {
            self.of_part(element, known.get(element.as_str()).copied(), Some(part), shape);
        }
        for (element, part) in old.iter().filter(|(element, _)| !said.contains(element.as_str())) {
            self.of_part(element, Some(part), None, shape);
        }
    }

    fn of_part(&mut self, element: &str, old: Option<&Value>, new: Option<&Value>, shape: Shape<'_>) {
        let above = shape;
        let shape = element.strip_prefix("f:").map_or_else(|| above.item(), |name| above.field(name));
        let (old, new) = (old.filter(|old| !old.is_null()), new.filter(|new| !new.is_null()));
        let (was, is) = (old.map(|old| shape.owned(old)), new.map(|new| shape.owned(new)));
        let is_empty = |part: &Option<Owned<'_>>| match part {
            None => true,
            Some(Owned::Whole) => false,
            Some(Owned::Fields(fields)) => fields.is_empty(),
            Some(Owned::Items(items)) => items.is_empty(),
        };
        let is_leaf = (is_empty(&was) && is_empty(&is))
            || matches!(was, Some(Owned::Whole))
            || matches!(is, Some(Owned::Whole))
            || matches!((&was, &is), (Some(Owned::Fields(_)), Some(Owned::Items(_))))
            || matches!((&was, &is), (Some(Owned::Items(_)), Some(Owned::Fields(_))));
        if !is_leaf && old != new {
            let mut below = Self::default();
            below.of_parts(old, new, shape);
            self.added.insert_below(element, below.added);
            self.changed.insert_below(element, below.changed);
            self.removed.insert_below(element, below.removed);
        }
        let is_always_there =
            !is_leaf && element.strip_prefix("f:").is_some_and(|name| above.is_always_there(name));
        match (old, new) {
            (None, None) => {}
            _ if is_always_there => {}
            (None, Some(_)) => self.added.insert(element),
            (Some(_), None) => self.removed.insert(element),
            (Some(old), Some(new)) if is_leaf && old != new => self.changed.insert(element),
            _ => {}
        }
    }
}

/// The parts of a value that is not owned as a whole, each with its element of a path.
fn parts<'a>(value: Option<&'a Value>, shape: Shape<'_>) -> Vec<(String, &'a Value)> {
    match value.map(|value| shape.owned(value)) {
        Some(Owned::Fields(fields)) => {
            fields.iter().map(|(name, value)| (format!("f:{name}"), value)).collect()
        }
        Some(Owned::Items(items)) => items.iter().map(|item| (shape.element(item), item)).collect(),
        _ => Vec::new(),
    }
}

/// What a live value becomes when another is merged into it.
pub(super) fn merge(live: Option<&Value>, wanted: &Value, shape: Shape<'_>) -> Value {
    match (shape.owned(wanted), live.map(|live| shape.owned(live))) {
        (Owned::Fields(wanted), live) => {
            let mut merged = match live {
                Some(Owned::Fields(live)) => live.clone(),
                _ => Map::new(),
            };
            for (name, value) in wanted {
                let live = merged.remove(name);
                merged.insert(name.clone(), merge(live.as_ref(), value, shape.field(name)));
            }
            Value::Object(merged)
        }
        (Owned::Items(wanted), Some(Owned::Items(live))) => Value::Array(merge_items(live, wanted, shape)),
        (Owned::Items(wanted), _) => Value::Array(merge_items(&[], wanted, shape)),
        (Owned::Whole, _) => wanted.clone(),
    }
}

/// Merges lists item by item. What both have stands in the order of what is wanted, and what is only there keeps its place
/// before what follows it.
fn merge_items(live: &[Value], wanted: &[Value], list: Shape<'_>) -> Vec<Value> {
    let elements = |items: &[Value]| items.iter().map(|item| list.element(item)).collect::<Vec<_>>();
    let (left, right) = (elements(live), elements(wanted));
    let index = |elements: &[String]| -> HashMap<String, usize> {
        elements.iter().enumerate().map(|(at, element)| (element.clone(), at)).collect()
    };
    let (in_live, in_wanted) = (index(&left), index(&right));
    let shape = list.item();
    let both = |element: &String| {
        let live = in_live.get(element).map(|at| &live[*at]);
        merge(live, &wanted[in_wanted[element]], shape)
    };
    let mut shared = right.iter().filter(|element| in_live.contains_key(*element));
    let mut next_shared = shared.next();
    let mut taken = HashSet::new();
    let (mut at_left, mut at_right) = (0, 0);
    let mut merged = Vec::with_capacity(live.len().max(wanted.len()));
    while at_left < left.len() || at_right < right.len() {
        if let (Some(element), Some(other)) = (left.get(at_left), right.get(at_right)) {
            if element == other {
                taken.insert(element);
                merged.push(both(element));
                (at_left, at_right) = (at_left + 1, at_right + 1);
                next_shared = shared.next();
                continue;
            }
            // An item of both, but not the one that comes next.
            if in_wanted.contains_key(element) && next_shared.is_some_and(|next| next != element) {
                at_left += 1;
                continue;
            }
        }
        if let Some(element) = left.get(at_left) {
            if !in_wanted.contains_key(element) {
                merged.push(live[at_left].clone());
                at_left += 1;
                continue;
            } else if taken.contains(element) {
                at_left += 1;
            }
        }
        if let Some(element) = right.get(at_right) {
            if taken.insert(element) {
                merged.push(both(element));
            }
            at_right += 1;
            if next_shared == Some(element) {
                next_shared = shared.next();
            }
        }
    }
    merged
}

/// Takes out of a value what a set names.
pub(super) fn remove(value: &mut Value, paths: &Paths, shape: Shape<'_>) {
    if paths.is_empty() {
        return;
    }
    match (value, shape) {
        (Value::Object(_), Shape::Whole) => {}
        (Value::Object(fields), _) => fields.retain(|name, value| match paths.at(&format!("f:{name}")) {
            // What is in a map, or in what is always there, may be nobody's, and stays.
            Some((true, below))
                if !below.is_empty() && (shape.field(name).is_map() || shape.is_always_there(name)) =>
            {
                remove(value, below, shape.field(name));
                value.as_object().is_some_and(|fields| !fields.is_empty())
            }
            Some((true, _)) => false,
            Some((false, below)) => {
                remove(value, below, shape.field(name));
                true
            }
            None => true,
        }),
        (Value::Array(items), shape) if shape.has_items() => {
            items.retain_mut(|item| match paths.at(&shape.element(item)) {
                Some((true, _)) => false,
                Some((false, below)) => {
                    remove(item, below, shape.item());
                    true
                }
                None => true,
            });
        }
        _ => {}
    }
}
