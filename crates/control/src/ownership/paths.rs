//! Sets of fields, as `managedFields` of Kubernetes has them (`FieldsV1`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Fields of an object. An element of a path is written as in `FieldsV1`: `f:name` for a field, `k:{"name":"a"}` for an item of
/// a list that has a key, `v:"x"` for an item that is its own key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    nodes: BTreeMap<String, Node>,
}

/// What is known of one element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Node {
    /// Whether the path that ends here is in the set.
    is_member: bool,
    below: Paths,
}

/// How deep a set may be that a client sends.
const DEPTH: usize = 100;

// === impl Paths ===

impl Paths {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.values().all(|node| !node.is_member && node.below.is_empty())
    }

    /// Adds a path of one element.
    pub(crate) fn insert(&mut self, element: &str) {
        self.nodes.entry(element.to_owned()).or_default().is_member = true;
    }

    /// Adds what is below an element.
    pub(crate) fn insert_below(&mut self, element: &str, below: Self) {
        if !below.is_empty() {
            let node = self.nodes.entry(element.to_owned()).or_default();
            if node.below.nodes.is_empty() {
                node.below = below;
            } else {
                node.below.extend(&below);
            }
        }
    }

    /// Adds all paths of another set.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (element, node) in &other.nodes {
            let mine = self.nodes.entry(element.clone()).or_default();
            mine.is_member |= node.is_member;
            mine.below.extend(&node.below);
        }
    }

    /// The paths that are not in another set.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let nothing = Self::default();
        self.filtered(|element, node| {
            let theirs = other.nodes.get(element);
            let below = theirs.map_or(&nothing, |theirs| &theirs.below);
            (node.is_member && !theirs.is_some_and(|theirs| theirs.is_member), node.below.without(below))
        })
    }

    /// The paths that are in another set, too.
    pub(crate) fn common(&self, other: &Self) -> Self {
        self.filtered(|element, node| match other.nodes.get(element) {
            None => (false, Self::default()),
            Some(theirs) => (node.is_member && theirs.is_member, node.below.common(&theirs.below)),
        })
    }

    /// The same with every field above another one.
    pub(crate) fn with_fields_above(&self) -> Self {
        self.filtered(|element, node| {
            let is_above = element.starts_with("f:") && !node.below.is_empty();
            (node.is_member || is_above, node.below.with_fields_above())
        })
    }

    fn filtered(&self, keep: impl Fn(&String, &Node) -> (bool, Self)) -> Self {
        let mut kept = Self::default();
        for (element, node) in &self.nodes {
            let (is_member, below) = keep(element, node);
            if is_member || !below.is_empty() {
                kept.nodes.insert(element.clone(), Node { is_member, below });
            }
        }
        kept
    }

    /// Takes out a path and all below it.
    pub(crate) fn cut(&mut self, path: &[&str]) {
        let [first, rest @ ..] = path else { return };
        let Some(node) = self.nodes.get_mut(*first) else { return };
        if rest.is_empty() {
            self.nodes.remove(*first);
        } else {
            node.below.cut(rest);
            if !node.is_member && node.below.is_empty() {
                self.nodes.remove(*first);
            }
        }
    }

    /// Takes out a path, not what is below it.
    pub(crate) fn forget(&mut self, path: &[&str]) {
        let [first, rest @ ..] = path else { return };
        let Some(node) = self.nodes.get_mut(*first) else { return };
        if rest.is_empty() {
            node.is_member = false;
        } else {
            node.below.forget(rest);
        }
        if !node.is_member && node.below.is_empty() {
            self.nodes.remove(*first);
        }
    }

    /// Whether a path of one element is in the set, and what is below it.
    pub(crate) fn at(&self, element: &str) -> Option<(bool, &Self)> {
        self.nodes.get(element).map(|node| (node.is_member, &node.below))
    }

    /// All paths in words, as conflicts tell them: `.spec.template.spec.containers[name="main"].image`.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        self.tell("", &mut told);
        told
    }

    fn tell(&self, above: &str, told: &mut Vec<String>) {
        for (element, node) in &self.nodes {
            let path = format!("{above}{}", in_words(element));
            if node.is_member {
                told.push(path.clone());
            }
            node.below.tell(&path, told);
        }
    }

    /// Reads `FieldsV1`; `None` for what is none.
    pub(crate) fn read(fields: &Value) -> Option<Self> {
        Self::read_to(fields, DEPTH)
    }

    fn read_to(fields: &Value, levels: usize) -> Option<Self> {
        let levels = levels.checked_sub(1)?;
        let mut paths = Self::default();
        for (element, below) in fields.as_object()?.iter().filter(|(element, _)| *element != ".") {
            if !["f:", "k:", "v:", "i:"].iter().any(|prefix| element.starts_with(prefix)) {
                return None;
            }
            let fields = below.as_object()?;
            let is_member = fields.is_empty() || fields.contains_key(".");
            let below = Self::read_to(below, levels)?;
            paths.nodes.insert(element.clone(), Node { is_member, below });
        }
        Some(paths)
    }

    /// As `FieldsV1`.
    pub(crate) fn to_value(&self) -> Value {
        let nodes = self.nodes.iter().map(|(element, node)| {
            let mut below = node.below.to_value();
            if node.is_member && !node.below.is_empty() {
                below["."] = json!({});
            }
            (element.clone(), below)
        });
        Value::Object(nodes.collect::<Map<_, _>>())
    }
}

/// An element of a path as conflicts tell it.
pub(super) fn in_words(element: &str) -> String {
    let (kind, rest) = element.split_at(element.len().min(2));
    match kind {
        "k:" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        "v:" => format!("[={rest}]"),
        "i:" => format!("[{rest}]"),
        _ => format!(".{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(fields: &Value) -> Paths {
        Paths::read(fields).unwrap()
    }

    #[test]
    fn sets_are_read_and_written() {
        let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}}}}, "f:data": {".": {}, "f:k": {}}});
        assert_eq!(paths(&fields).to_value(), fields);
        assert_eq!(
            paths(&fields).told(),
            [".data", ".data.k", ".spec.containers[name=\"a\"]", ".spec.containers[name=\"a\"].image"]
        );
        assert!(Paths::read(&json!({"x": {}})).is_none() && Paths::read(&json!([])).is_none());
        let mut deep = json!({});
        (0..DEPTH + 1).for_each(|_| deep = json!({"f:a": deep.take()}));
        assert!(Paths::read(&deep).is_none());
    }

    #[test]
    fn sets_are_combined() {
        let (one, other) =
            (paths(&json!({"f:a": {"f:b": {}, "f:c": {}}})), paths(&json!({"f:a": {"f:c": {}}, "f:d": {}})));
        assert_eq!(one.without(&other).to_value(), json!({"f:a": {"f:b": {}}}));
        assert_eq!(one.common(&other).to_value(), json!({"f:a": {"f:c": {}}}));
        let mut both = one.clone();
        both.extend(&other);
        assert_eq!(both.to_value(), json!({"f:a": {"f:b": {}, "f:c": {}}, "f:d": {}}));
        assert_eq!(one.with_fields_above().to_value(), json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}}));
        both.cut(&["f:a", "f:b"]);
        both.forget(&["f:d"]);
        assert_eq!(both.to_value(), json!({"f:a": {"f:c": {}}}));
        assert!(one.without(&one).is_empty());
    }
}
