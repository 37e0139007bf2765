//! What `forebay up` applied from which path, so that only what somebody took out of the same path goes.
//!
//! It is *not* a copy of the files: the store keeps the objects, and a note for each path keeps which of them came from
//! there. What came from another path, from kubectl or from nowhere that is known is never removed here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use control::store::{DeleteOptions, Mode, Store};
use manifest::{Finding, Object};
use plan::ObjectRef;

use crate::globals::Globals;
use crate::manifests::{self, Manifests};

/// Before the canonical path: the note that keeps the uids of the objects that came from there, one a line.
const APPLIED_NOTE: &str = "applied-from/";

/// The note of earlier builds, which did not know which path an object came from.
const OLD_NOTE: &str = "applied-from-files";

/// More objects than these are not removed without a word from somebody.
const REMOVED_UNASKED: usize = 3;

/// How many objects a line names.
const NAMED: usize = 8;

/// A path of the command line that can be told again at the next start. A pipe or standard input cannot: whatever comes
/// through it next says nothing about what came before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    named: PathBuf,
    canonical: String,
}

/// What is to become of the objects that came from these paths and that the paths no longer have.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    roots: Vec<Root>,
    /// Those that go.
    objects: Vec<Arc<Object>>,
    /// Namespaces that stay, because something in them does.
    inhabited: Vec<ObjectRef>,
    /// Objects that stay, because a file of their path cannot be read.
    unclear: Vec<ObjectRef>,
    /// Objects of other paths that go on running, by path.
    elsewhere: BTreeMap<String, usize>,
}

/// When it is decided what goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Somebody may be asked: nothing runs yet.
    Starting,
    /// Nobody is asked, because requests would wait for the answer.
    Running,
}

/// What is there from earlier starts, in a sentence; `None` when nothing ever was.
pub(crate) fn earlier(store: &Store) -> Option<String> {
    let roots = store.notes_with_prefix(APPLIED_NOTE);
    let n_objects = written(store).filter(|object| !has_owner(object)).count();
    if roots.is_empty() && store.note(OLD_NOTE).is_none() && n_objects == 0 {
        return None;
    }
    if n_objects == 0 {
        return Some(
            "the state folder is a used one without objects, so nothing runs yet\n  help: name manifests with `forebay up PATH`, or `forebay apply -f PATH`"
                .to_owned(),
        );
    }
    let uids: BTreeSet<String> =
        written(store).filter_map(|object| uid_of(&object).map(ToOwned::to_owned)).collect();
    let is_alive = |note: &str| note.lines().any(|uid| uids.contains(uid));
    let paths = roots.iter().filter(|(_, note)| is_alive(note)).map(|(key, _)| path_of(key));
    let paths: Vec<String> = paths.map(|path| format!("`{path}`")).collect();
    let from = if paths.is_empty() { String::new() } else { format!(", from {}", paths.join(", ")) };
    Some(format!("going on with what was applied before: {}{from}", counted(n_objects)))
}

/// Whether something that was applied came from under a folder.
pub(crate) fn has_some_of(store: &Store, folder: &Path) -> bool {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    store.notes_with_prefix(APPLIED_NOTE).iter().any(|(key, _)| Path::new(path_of(key)).starts_with(&folder))
}

/// What is still there of what came from each path.
pub(crate) fn by_path(store: &Store) -> Vec<(String, Vec<ObjectRef>)> {
    let of = |(key, note): (String, String)| {
        let uids: BTreeSet<&str> = note.lines().collect();
        let there = written(store).filter(|object| uid_of(object).is_some_and(|uid| uids.contains(uid)));
        (path_of(&key).to_owned(), there.map(|object| object.reference()).collect())
    };
    store.notes_with_prefix(APPLIED_NOTE).into_iter().map(of).collect()
}

/// The name under which a path is remembered, also when it is not there any more.
pub(crate) fn remembered_as(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let of_parent = || Some(fs::canonicalize(absolute.parent()?).ok()?.join(absolute.file_name()?));
    let canonical = fs::canonicalize(&absolute).ok().or_else(of_parent).unwrap_or(absolute);
    canonical.display().to_string()
}

// === impl Removal ===

impl Removal {
    /// What the paths no longer have of what came from them.
    pub(crate) fn of(store: &Store, manifests: &Manifests, paths: &[PathBuf]) -> Self {
        let wanted = manifests.objects.iter().map(Object::reference).collect();
        Self::beside(store, &wanted, &manifests.findings, paths)
    }

    /// The same beside the objects that the paths have, and what was found in reading them.
    pub(crate) fn beside(
        store: &Store,
        wanted: &BTreeSet<ObjectRef>,
        findings: &[Finding],
        paths: &[PathBuf],
    ) -> Self {
        let roots: Vec<Root> = paths.iter().filter_map(|path| Root::of(path)).collect();
        let errors = findings.iter().filter(|finding| finding.is_error());
        let broken: Vec<&str> =
            errors.filter_map(|finding| Some(finding.location.as_ref()?.file.as_str())).collect();
        let mut removal = Self::default();
        for (key, note) in store.notes_with_prefix(APPLIED_NOTE) {
            let root = roots.iter().find(|root| root.canonical == path_of(&key));
            let uids: BTreeSet<&str> = note.lines().collect();
            let missing = written(store).filter(|object| {
                uid_of(object).is_some_and(|uid| uids.contains(uid)) && !wanted.contains(&object.reference())
            });
            match root {
                None => {
                    let n_objects = missing.count();
                    if n_objects > 0 {
                        removal.elsewhere.insert(path_of(&key).to_owned(), n_objects);
                    }
                }
                Some(root) if broken.iter().any(|file| root.holds(file)) => {
                    removal.unclear.extend(missing.map(|object| object.reference()));
                }
                Some(_) => removal.objects.extend(missing),
            }
        }
        removal.spare_inhabited_namespaces(store, wanted);
        removal.roots = roots;
        removal
    }

    /// Takes out the namespaces that hold something which stays: it would go with them.
    fn spare_inhabited_namespaces(&mut self, store: &Store, wanted: &BTreeSet<ObjectRef>) {
        let going: BTreeSet<String> =
            self.objects.iter().filter_map(|object| uid_of(object).map(ToOwned::to_owned)).collect();
        let goes = |object: &Object| {
            uid_of(object).is_some_and(|uid| going.contains(uid))
                || owner_uids(object).any(|owner| going.contains(owner))
        };
        let mut inhabited: BTreeSet<String> =
            wanted.iter().map(|reference| reference.namespace.clone()).collect();
        inhabited
            .extend(written(store).filter(|object| !goes(object)).map(|object| object.namespace.clone()));
        let (inhabited, objects) =
            std::mem::take(&mut self.objects).into_iter().partition::<Vec<_>, _>(|object| {
                object.kind.key == "Namespace" && inhabited.contains(&object.name)
            });
        self.objects = objects;
        self.inhabited = inhabited.iter().map(|object| object.reference()).collect();
    }

    /// Asks before much is removed, and says what is not. Nobody answers for a program: it says `--prune`.
    pub(crate) fn confirm(mut self, prune: bool, when: When, globals: &Globals) -> Self {
        let is_asked = when == When::Starting;
        if self.objects.len() > REMOVED_UNASKED && !prune && !(is_asked && self.is_agreed_to()) {
            let left = std::mem::take(&mut self.objects);
            let references: Vec<ObjectRef> = left.iter().map(|object| object.reference()).collect();
            eprintln!("warning: {} no longer has {}, which go on running", self.paths(), named(&references));
            for command in delete_commands(&left) {
                eprintln!("  help: {command}");
            }
            eprintln!("  help: or all of them at the next start: forebay up {} --prune", self.arguments());
        }
        if !self.inhabited.is_empty() {
            eprintln!("note: other objects are in {}, which stays", named(&self.inhabited));
        }
        if !self.unclear.is_empty() {
            let unclear = named(&self.unclear);
            eprintln!(
                "note: a file of {} cannot be read as a whole, so nothing is removed: {unclear}",
                self.paths()
            );
        }
        if !globals.quiet && is_asked && !self.roots.is_empty() {
            for (path, n_objects) in &self.elsewhere {
                eprintln!("note: {}", told_of_elsewhere(path, *n_objects));
            }
        }
        self
    }

    fn is_agreed_to(&self) -> bool {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return false;
        }
        let references: Vec<ObjectRef> = self.objects.iter().map(|object| object.reference()).collect();
        eprint!("{} no longer has {}. Remove them? [y/N] ", self.paths(), named(&references));
        let _ = io::stderr().flush();
        let mut answer = String::new();
        let is_read = io::stdin().read_line(&mut answer).is_ok();
        is_read && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
    }

    fn paths(&self) -> String {
        let paths = self.roots.iter().map(|root| format!("`{}`", root.named.display()));
        paths.collect::<Vec<_>>().join(", ")
    }

    fn arguments(&self) -> String {
        let paths = self.roots.iter().map(|root| quoted(&root.named.display().to_string()));
        paths.collect::<Vec<_>>().join(" ")
    }
}

/// Applies the objects of files, takes away what is to go, and remembers what came from where.
pub(crate) fn apply(store: &Store, objects: Vec<Object>, removal: &Removal) {
    let file = |object: &Object| object.source.as_ref().map(|source| source.file.clone()).unwrap_or_default();
    let all: Vec<(ObjectRef, String)> =
        objects.iter().map(|object| (object.reference(), file(object))).collect();
    apply_changed(store, objects, &all, removal);
}

/// The same where only some of all objects have to be applied. All are named with their files.
pub(crate) fn apply_changed(
    store: &Store,
    objects: Vec<Object>,
    all: &[(ObjectRef, String)],
    removal: &Removal,
) {
    let removed: Vec<ObjectRef> =
        removal.objects.iter().filter(|object| take_away(store, object)).map(|o| o.reference()).collect();
    if !removed.is_empty() {
        eprintln!("removed, because {} no longer has it: {}", removal.paths(), listed(&removed));
    }
    let root = |file: &str| removal.roots.iter().rev().find(|root| root.holds(file));
    let origins: Vec<(ObjectRef, Option<&Root>)> =
        all.iter().map(|(object, file)| (object.clone(), root(file))).collect();
    // What the API would refuse has a finding that says so.
    let refused = manifests::refused(&objects);
    let objects: Vec<Object> =
        objects.into_iter().filter(|object| !refused.contains(&object.reference())).collect();
    let references: Vec<ObjectRef> = objects.iter().map(Object::reference).collect();
    for (reference, applied) in references.iter().zip(store.apply(objects)) {
        if let Err(status) = applied {
            eprintln!("error: {reference}: {status}");
        }
    }
    remember(store, &origins, &removal.roots);
}

/// Takes an object away; `true` when it is gone.
fn take_away(store: &Store, object: &Object) -> bool {
    let key = (object.kind, object.namespace.as_str(), object.name.as_str());
    match store.delete(key, &DeleteOptions::default(), Mode::Commit) {
        Ok(_) => true,
        // It may have gone with its namespace.
        Err(_) if store.get(key.0, key.1, key.2).is_err() => true,
        Err(status) => {
            eprintln!("error: {}: {status}", object.reference());
            false
        }
    }
}

/// Notes for each path which objects came from it. An object belongs to the path that it came from last.
fn remember(store: &Store, origins: &[(ObjectRef, Option<&Root>)], roots: &[Root]) {
    let uids: BTreeMap<ObjectRef, String> =
        written(store).filter_map(|object| Some((object.reference(), uid_of(&object)?.to_owned()))).collect();
    let alive: BTreeSet<&str> = uids.values().map(String::as_str).collect();
    let applied: BTreeSet<&str> =
        origins.iter().filter_map(|(reference, _)| uids.get(reference)).map(String::as_str).collect();
    let mut notes: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let before = store.notes_with_prefix(APPLIED_NOTE);
    for (key, note) in &before {
        let others = note.lines().filter(|uid| !applied.contains(uid));
        notes.insert(key.clone(), others.filter_map(|uid| alive.get(uid).copied()).collect());
    }
    for root in roots {
        notes.entry(root.note()).or_default();
    }
    for (reference, root) in origins {
        if let (Some(root), Some(uid)) = (root, uids.get(reference)) {
            notes.entry(root.note()).or_default().insert(uid);
        }
    }
    let is_named = |key: &str| roots.iter().any(|root| root.note() == *key);
    for (key, uids) in &notes {
        let note = uids.iter().copied().collect::<Vec<_>>().join("\n");
        let note = if note.is_empty() && !is_named(key) { None } else { Some(note.as_str()) };
        keep(store, key, note);
    }
    keep(store, OLD_NOTE, None);
}

fn keep(store: &Store, key: &str, note: Option<&str>) {
    if let Err(status) = store.set_note(key, note) {
        tracing::warn!(%status, "objects of these files will stay when the files no longer say them");
    }
}

// === impl Root ===

impl Root {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let can_be_named_again = metadata.is_file() || metadata.is_dir();
        let canonical = fs::canonicalize(path).ok().filter(|_| can_be_named_again)?;
        Some(Self { named: path.to_owned(), canonical: canonical.display().to_string() })
    }

    fn note(&self) -> String {
        format!("{APPLIED_NOTE}{}", self.canonical)
    }

    /// Whether a file, as it was read, is this path or in it.
    fn holds(&self, file: &str) -> bool {
        Path::new(file).starts_with(&self.named)
    }
}

// === what is said ===

fn told_of_elsewhere(path: &str, n_objects: usize) -> String {
    let (runs, them) = if n_objects == 1 { ("runs", "it") } else { ("run", "them") };
    let (counted, quoted) = (counted(n_objects), quoted(path));
    format!("{counted} that came from `{path}` {runs} too; `forebay delete -f {quoted}` removes {them}")
}

fn path_of(note: &str) -> &str {
    note.strip_prefix(APPLIED_NOTE).unwrap_or(note)
}

pub(crate) fn counted(n_objects: usize) -> String {
    if n_objects == 1 { "1 object".to_owned() } else { format!("{n_objects} objects") }
}

pub(crate) fn listed(references: &[ObjectRef]) -> String {
    references.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Some of many by name.
fn named(references: &[ObjectRef]) -> String {
    match references.len().checked_sub(NAMED) {
        None | Some(0) => listed(references),
        Some(n_more) => format!("{} and {n_more} more", listed(&references[..NAMED])),
    }
}

/// The commands that delete objects, one for each namespace.
fn delete_commands(objects: &[Arc<Object>]) -> Vec<String> {
    let mut by_namespace: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for object in objects {
        let named = format!("{}/{}", object.kind.kind.to_ascii_lowercase(), object.name);
        by_namespace.entry(&object.namespace).or_default().push(named);
    }
    let command = |(namespace, names): (&str, Vec<String>)| {
        let namespace = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
        format!("forebay delete {}{namespace}", names.join(" "))
    };
    by_namespace.into_iter().map(command).collect()
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

// === what objects are ===

/// What people wrote and what stands for it; not the namespaces that are always there, nor what follows from others.
fn written(store: &Store) -> impl Iterator<Item = Arc<Object>> {
    store.written().into_iter()
}

fn has_owner(object: &Object) -> bool {
    owner_uids(object).next().is_some()
}

fn owner_uids(object: &Object) -> impl Iterator<Item = &str> {
    let owners = object.value["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}

fn uid_of(object: &Object) -> Option<&str> {
    object.value["metadata"]["uid"].as_str()
}

#[cfg(test)]
mod tests;
