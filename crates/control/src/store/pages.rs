//! Lists in parts: as objects are, or as they were at a revision that is still remembered.

use std::sync::Arc;

use manifest::Object;

use super::{Query, Status, Store};

/// How many objects are read at a time for somebody who takes them one by one.
const FEW: usize = 64;

/// A place in a list: the namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Empty for kinds without namespaces.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// By namespace and name.
    pub objects: Vec<Arc<Object>>,
    /// The revision they were read at.
    pub revision: u64,
    /// How many objects come after these; where nobody counts them, 1 for any.
    pub n_remaining: usize,
}

// === impl Place ===

impl Place {
    fn of(object: &Object) -> Self {
        Self { namespace: object.namespace.clone(), name: object.name.clone() }
    }
}

// === impl Page ===

impl Page {
    /// Where the next page begins: after this place. `None` at the end.
    #[must_use]
    pub fn next_place(&self) -> Option<Place> {
        self.objects.last().filter(|_| self.n_remaining > 0).map(|object| Place::of(object))
    }
}

// === impl Store ===

impl Store {
    /// The objects that a query selects as they were at a revision, at most `limit` of those after a place. Without a
    /// revision, as they are. What comes after is only counted where everything of the kind is selected.
    ///
    /// # Errors
    /// [`Reason::Expired`](super::Reason::Expired) when nobody remembers how they were.
    pub fn page(
        &self,
        query: &Query,
        revision: Option<u64>,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Page, Status> {
        self.read_page(query, revision, after, limit, query.selects_all())
    }

    /// The next few objects of a list that somebody takes one by one. What comes after is not counted: that would be looking at
    /// all of them again and again.
    pub(super) fn few(&self, query: &Query, revision: u64, after: Option<&Place>) -> Result<Page, Status> {
        self.read_page(query, Some(revision), after, FEW, false)
    }

    fn read_page(
        &self,
        query: &Query,
        revision: Option<u64>,
        after: Option<&Place>,
        limit: usize,
        counts: bool,
    ) -> Result<Page, Status> {
        let state = self.state.borrow();
        let revision = revision.unwrap_or(state.revision);
        let changed = state.history.as_of(query.kind, revision)?;
        let start = after.map_or(("", ""), |place| (&place.namespace, &place.name));
        // A range that begins with the namespace asked for saves looking at all the others.
        let (namespace, name) = start.max((query.namespace.as_deref().unwrap_or_default(), ""));
        let is_after =
            |object: &Object| after.is_none_or(|place| key(object) > (&*place.namespace, &*place.name));
        let is_meant = |object: &&Arc<Object>| is_after(object) && query.matches(object);
        let current = state.objects.of_kind_from(query.kind.key, namespace, name);
        let current = current.take_while(|object| {
            query.namespace.as_deref().is_none_or(|namespace| *object.namespace <= *namespace)
        });
        let is_unchanged =
            |object: &&Arc<Object>| changed.is_empty() || !changed.contains_key(&object.reference());
        let unchanged = current.filter(is_unchanged);
        let (mut unchanged, mut earlier) =
            (unchanged.filter(is_meant).peekable(), changed.values().flatten().filter(is_meant).peekable());
        let mut meant = std::iter::from_fn(|| match (unchanged.peek(), earlier.peek()) {
            (Some(one), Some(other)) if key(one) < key(other) => unchanged.next(),
            (Some(_), None) => unchanged.next(),
            _ => earlier.next(),
        });
        let objects = meant.by_ref().take(limit).cloned().collect();
        Ok(Page { objects, revision, n_remaining: n_remaining(counts, meant) })
    }
}

/// What lists are in the order of.
fn key(object: &Object) -> (&str, &str) {
    (&object.namespace, &object.name)
}

fn n_remaining<'a>(counts: bool, mut rest: impl Iterator<Item = &'a Arc<Object>>) -> usize {
    if counts { rest.count() } else { usize::from(rest.next().is_some()) }
}
