//! Who owns which fields of an object: server-side apply and `metadata.managedFields`, as Kubernetes has them. Pure.
//!
//! Every write leaves its [`trace`]: the writer owns what he set, and whoever owned it before does no more. Who
//! applies ([`apply`]) owns what he says, is refused where somebody else owns it and says otherwise, and loses what he no
//! longer says.

mod managers;
mod paths;
mod shape;
#[cfg(test)]
mod tests;
mod walk;

use jiff::Timestamp;
use manifest::Kind;
use serde_json::{Map, Value, json};

use crate::store::{Cause, Details, LAST_APPLIED, Reason, Status, metadata};
use managers::{Entry, Managers};
use paths::Paths;
use shape::Shape;
use walk::Difference;

pub(crate) use managers::{Manager, Operation};

/// The field of `metadata` in which owners stand.
const MANAGED_FIELDS: &str = "managedFields";

/// How many may apply one object.
const APPLIERS: usize = 100;
/// How many bytes what is known of owners may take.
const BYTES: usize = 1 << 20;

/// Who owns what was there before anybody applied it, and nobody is known to have written.
const BEFORE: &str = "before-first-apply";
/// Who takes over what it applied itself before, from the side of the client.
const KUBECTL: &str = "kubectl";

/// The annotation in which earlier builds kept what each manager had applied.
const APPLIED: &str = "forebay.dev/applied";

/// What nobody owns: it names the object, or only the store sets it.
const NOBODYS: &[&[&str]] = &[
    &["f:apiVersion"],
    &["f:kind"],
    &["f:metadata", "f:clusterName"],
    &["f:metadata", "f:creationTimestamp"],
    &["f:metadata", "f:generation"],
    &["f:metadata", "f:managedFields"],
    &["f:metadata", "f:name"],
    &["f:metadata", "f:namespace"],
    &["f:metadata", "f:resourceVersion"],
    &["f:metadata", "f:selfLink"],
    &["f:metadata", "f:uid"],
];

/// Notes in an object whose it is what a write changed. `old` is the object before, `given` what the writer
/// says of owners himself, as kubectl does when it hands over from one manager to another.
fn update(
    kind: &Kind,
    old: Option<&Value>,
    new: &mut Value,
    given: Option<&Value>,
    writer: &Manager,
    now: Timestamp,
) {
    let definition = kind.definition();
    let shape = Shape::of(kind, definition.as_deref());
    let live = old.map(|old| &old["metadata"][MANAGED_FIELDS]);
    let given = given.filter(|_| writer.subresource.is_empty());
    let is_reset = given.is_some_and(|given| *given == json!([{}]));
    let mut managers = match given.and_then(Managers::read).filter(|given| !given.0.is_empty()) {
        _ if is_reset => Managers::default(),
        Some(given) => given,
        None => live.and_then(Managers::read).unwrap_or_default(),
    };
    let nothing = json!({});
    let difference = Difference::between(old.unwrap_or(&nothing), new, shape);
    let difference = difference.map(owned_by_somebody);
    if !difference.is_empty() {
        managers.take_over(writer, &difference);
        let mine = managers.of(writer).map(|entry| entry.paths.clone()).unwrap_or_default();
        let mut mine = mine.without(&difference.removed);
        mine.extend(&difference.set());
        managers.set(writer, mine, metadata::time(now));
        managers.cap();
    }
    put(new, &managers);
}

/// What becomes of a live object when somebody applies `wanted`.
///
/// # Errors
/// [`Reason::Conflict`] where another one owns a field and it is not forced, [`Reason::BadRequest`] where items of a list cannot be
/// told apart.
pub(crate) fn apply(
    kind: &Kind,
    live: Option<&Value>,
    wanted: &Value,
    applier: &Manager,
    is_forced: bool,
    now: Timestamp,
) -> Result<Value, Status> {
    let definition = kind.definition();
    let shape = Shape::of(kind, definition.as_deref());
    let wanted = applied_part(wanted, applier);
    if let Some(fault) = walk::fault(&wanted, shape) {
        let name = |field: &str| wanted["metadata"][field].as_str().unwrap_or_default();
        let (namespace, name, api_version) = (name("namespace"), name("name"), kind.api_version());
        let what = format!("{namespace}/{name}; {api_version}, Kind={}", kind.kind);
        let message = format!("failed to create typed patch object ({what}): {fault}");
        return Err(Status::new(Reason::BadRequest, message));
    }
    let nothing = json!({});
    let mut managers = known(shape, live, kind, now);
    let last = managers.of(applier).cloned();
    let mine = owned_by_somebody(&walk::fields_of(&wanted, shape));
    let is_new = last.is_none();
    let mut merged = walk::merge(live, &wanted, shape);
    let time = last.as_ref().map_or_else(|| metadata::time(now), |last| last.time.clone());
    let changes_set = last.as_ref().is_some_and(|last| last.paths != mine);
    managers.set(applier, mine, time);
    if let Some(last) = last {
        let mut owned = Paths::default();
        managers.0.iter().for_each(|entry| owned.extend(&entry.paths));
        let lost = last.paths.with_fields_above().without(&owned.with_fields_above());
        walk::remove(&mut merged, &lost, shape);
    }
    let difference = Difference::between(live.unwrap_or(&nothing), &merged, shape).map(owned_by_somebody);
    let mut conflicts = managers.conflicts(applier, &difference);
    if !is_forced && let Some(live) = live.filter(|_| applier.name == KUBECTL) {
        let own = applied_by_client(live, shape);
        conflicts.iter_mut().for_each(|conflict| conflict.paths = conflict.paths.without(&own));
        conflicts.retain(|conflict| !conflict.paths.is_empty());
    }
    if !is_forced && !conflicts.is_empty() {
        return Err(conflict(&conflicts));
    }
    managers.take_over(applier, &difference);
    if managers.n_appliers() > APPLIERS {
        let message =
            format!("metadata.managedFields: Too many: {APPLIERS} managers have applied this object");
        return Err(Status::new(Reason::RequestEntityTooLarge, message));
    }
    if (!difference.is_empty() || changes_set || is_new)
        && let Some(entry) = managers.0.iter_mut().find(|entry| entry.manager.is_same(applier))
    {
        entry.time = metadata::time(now);
        entry.manager = applier.clone();
    }
    managers.cap();
    put(&mut merged, &managers);
    if applier.name == KUBECTL {
        keep_last_applied(&mut merged, live, &wanted);
    }
    let n_bytes = merged["metadata"][MANAGED_FIELDS].as_str().map_or(0, str::len);
    if n_bytes > BYTES {
        let message = format!("metadata.managedFields: Too long: may not be more than {BYTES} bytes");
        return Err(Status::new(Reason::RequestEntityTooLarge, message));
    }
    Ok(merged)
}

/// How a write is noted in the object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trace<'a> {
    /// Not at all: it is the platform's own.
    Untold,
    /// It says so itself.
    Told,
    /// By whom it is.
    By(&'a Manager),
}

/// Notes a write in the object. `given` is what it says of owners itself.
pub(crate) fn trace(
    kind: &Kind,
    old: Option<&Value>,
    new: &mut Value,
    given: Option<Value>,
    trace: Trace<'_>,
    now: Timestamp,
) {
    let known = old.and_then(|old| old["metadata"].get(MANAGED_FIELDS));
    let kept = match trace {
        // Of an object of which nothing was known, nothing is until somebody applies it.
        Trace::By(writer) if old.is_none() || known.is_some() || given.is_some() => {
            return update(kind, old, new, given.as_ref(), writer, now);
        }
        Trace::Told => given,
        Trace::By(_) | Trace::Untold => known.cloned(),
    };
    if let (Some(kept), Some(metadata)) = (kept, new.get_mut("metadata").and_then(Value::as_object_mut)) {
        metadata.insert(MANAGED_FIELDS.to_owned(), kept);
    }
}

/// Makes of an object as it is kept one as clients know it.
pub(crate) fn unfold(object: &mut Value) {
    let kept = object.pointer_mut("/metadata/managedFields").filter(|kept| kept.is_string());
    if let Some(kept) = kept {
        *kept = kept.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    }
}

/// An object as clients know it, in JSON.
pub(crate) fn unfolded_text(object: &Value) -> String {
    let map = |fields: &Map<String, Value>, text_of: &dyn Fn(&str, &Value) -> String| {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}:{}", json!(name), text_of(name, value))).collect();
        format!("{{{}}}", fields.join(","))
    };
    let Some(fields) = object.as_object() else { return object.to_string() };
    map(fields, &|name, value| match value {
        Value::Object(metadata) if name == "metadata" => map(metadata, &|name, value| match value {
            // It is JSON already.
            Value::String(kept) if name == MANAGED_FIELDS => kept.clone(),
            value => value.to_string(),
        }),
        value => value.to_string(),
    })
}

/// Brings an object of an earlier build to what is kept today of who applied it.
pub(crate) fn migrate(kind: &Kind, object: &mut Value) {
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(annotations) = annotations.filter(|annotations| annotations.contains_key(APPLIED)) else {
        return;
    };
    let written = annotations.remove(APPLIED).unwrap_or_default();
    let says_more = !annotations.is_empty();
    if let Some(metadata) = object["metadata"].as_object_mut().filter(|_| !says_more) {
        metadata.remove("annotations");
    }
    let applied = written.as_str().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    let time = object["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
    let mut managers = Managers::default();
    for (name, applied) in applied.into_iter().flatten() {
        let (name, subresource) =
            name.split_once("/status").map_or((&*name, ""), |(name, _)| (name, "status"));
        let manager = Manager {
            name: name.to_owned(),
            operation: Operation::Apply,
            api_version: kind.api_version(),
            subresource: subresource.to_owned(),
        };
        let applied = applied_part(&applied, &manager);
        managers.set(
            &manager,
            owned_by_somebody(&walk::fields_of(&applied, Shape::of(kind, None))),
            time.clone(),
        );
    }
    put(object, &managers);
}

/// What is known of owners; of an object of which nothing is known, that somebody made it before.
fn known(shape: Shape<'_>, live: Option<&Value>, kind: &Kind, now: Timestamp) -> Managers {
    let Some(live) = live else { return Managers::default() };
    let known = Managers::read(&live["metadata"][MANAGED_FIELDS]).unwrap_or_default();
    if !known.0.is_empty() {
        return known;
    }
    let before = Manager {
        name: BEFORE.to_owned(),
        operation: Operation::Update,
        api_version: kind.api_version(),
        subresource: String::new(),
    };
    let all = Difference::between(&json!({}), live, shape).map(owned_by_somebody);
    let mut managers = Managers::default();
    managers.set(&before, all.added, metadata::time(now));
    managers
}

/// The part of what is applied that the path is about, without what nobody sets.
fn applied_part(wanted: &Value, applier: &Manager) -> Value {
    let mut wanted = wanted.clone();
    let Some(fields) = wanted.as_object_mut() else { return wanted };
    if applier.subresource == "status" {
        fields.retain(|field, _| ["apiVersion", "kind", "metadata", "status"].contains(&field.as_str()));
        let names = ["name", "namespace", "resourceVersion", "uid"];
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|field, _| names.contains(&field.as_str()));
        }
    } else {
        fields.remove("status");
    }
    wanted
}

fn owned_by_somebody(paths: &Paths) -> Paths {
    let mut paths = paths.clone();
    paths.forget(&["f:metadata"]);
    NOBODYS.iter().for_each(|path| paths.cut(path));
    paths
}

/// The fields that kubectl applied from the side of the client, and that are still so.
fn applied_by_client(live: &Value, shape: Shape<'_>) -> Paths {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str();
    let Some(applied) = text.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return Paths::default();
    };
    let difference = Difference::between(&applied, live, shape);
    walk::fields_of(&applied, shape).without(&difference.set()).without(&difference.removed)
}

/// Keeps what kubectl applies in the annotation of what it applied last, where there is one: it may apply from the side of the
/// client again.
fn keep_last_applied(merged: &mut Value, live: Option<&Value>, wanted: &Value) {
    let has_one = live.is_some_and(|live| live["metadata"]["annotations"][LAST_APPLIED].is_string());
    if !has_one || !merged["metadata"]["annotations"].is_object() {
        return;
    }
    let mut applied = wanted.clone();
    if let Some(annotations) = applied.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    let text = format!("{applied}\n");
    if text.len() <= manifest::MAX_ANNOTATIONS / 2 {
        merged["metadata"]["annotations"][LAST_APPLIED] = json!(text);
    }
}

fn put(object: &mut Value, managers: &Managers) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    match managers.to_value() {
        Value::Array(entries) if entries.is_empty() => drop(metadata.remove(MANAGED_FIELDS)),
        // As text they take a tenth of the memory, and nobody but this module reads them.
        entries => drop(metadata.insert(MANAGED_FIELDS.to_owned(), json!(entries.to_string()))),
    }
}

/// `Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data.a`
fn conflict(conflicts: &[Entry]) -> Status {
    let mut causes = Vec::new();
    let mut told = Vec::new();
    for Entry { manager, paths, .. } in conflicts {
        let manager = manager.told();
        told.push(format!("conflicts with {manager}:"));
        for path in paths.told() {
            told.push(format!("- {path}"));
            let message = format!("conflict with {manager}");
            causes.push(Cause { reason: "FieldManagerConflict", message, field: path });
        }
    }
    let message = match causes.as_slice() {
        [only] => format!("Apply failed with 1 conflict: {}: {}", only.message, only.field),
        all => format!("Apply failed with {} conflicts: {}", all.len(), told.join("\n")),
    };
    let details = Details { causes, ..Details::default() };
    Status { reason: Reason::Conflict, message, details: Some(Box::new(details)) }
}

// === impl Managers ===

impl Managers {
    /// What of others is set otherwise by a change.
    fn conflicts(&mut self, who: &Manager, difference: &Difference) -> Vec<Entry> {
        let set = difference.set();
        let others = self.others(who).map(|entry| Entry { paths: entry.paths.common(&set), ..entry.clone() });
        let mut conflicts: Vec<Entry> = others.filter(|entry| !entry.paths.is_empty()).collect();
        conflicts.sort_by_key(|entry| entry.manager.told());
        conflicts
    }

    /// Takes from all others what somebody has set or removed.
    fn take_over(&mut self, who: &Manager, difference: &Difference) {
        let mut taken = difference.set();
        taken.extend(&difference.removed);
        self.others(who).for_each(|entry| entry.paths = entry.paths.without(&taken));
        self.0.retain(|entry| !entry.paths.is_empty());
    }
}

// === impl Difference ===

impl Difference {
    fn map(&self, change: impl Fn(&Paths) -> Paths) -> Self {
        Self { added: change(&self.added), changed: change(&self.changed), removed: change(&self.removed) }
    }
}
