//! Which documents of the manifests are applied, so that of ten thousand rules no more are read again than are others.
//!
//! Nothing of the documents is kept but a number that tells each from others. Where there is anything to be said of the files, all
//! of them are read as they were at the start.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use control::store::Store;
use manifest::Object;
use plan::ObjectRef;

use crate::manifests::{self, Manifests};

/// The documents that are applied.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// By what they say and the file they stand in.
    applied: HashMap<u64, Applied>,
}

/// What became of a document.
#[derive(Debug, Clone)]
struct Applied {
    object: ObjectRef,
    /// What the object was like then, and at which revision.
    live: u64,
    revision: Option<String>,
}

/// What the files have now.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The objects to apply.
    pub(crate) objects: Vec<Object>,
    /// All objects, each with its file.
    pub(crate) all: Vec<(ObjectRef, String)>,
    /// Those that have a document for themselves, by the number of that.
    pub(crate) by_document: Vec<(u64, ObjectRef)>,
}

/// Fields that people do not write: they come and go while an object says the same.
const BOOKKEEPING: &[&str] = &["generation", "managedFields", "resourceVersion"];

// === impl Documents ===

impl Documents {
    /// Takes note of files that have been applied as a whole.
    pub(crate) fn take_all(&mut self, objects: &[Object], is_clean: bool, store: &Store) {
        let of_source = |object: &Object| {
            let source = object.source.as_ref()?;
            Some((number(&source.file, &source.text), object.reference()))
        };
        let documents = objects.iter().filter(|_| is_clean).filter_map(of_source);
        self.take(documents.collect(), store);
    }

    /// Takes note of documents of which the changed ones have been applied.
    pub(crate) fn take(&mut self, documents: Vec<(u64, ObjectRef)>, store: &Store) {
        let objects = store.objects();
        let applied = documents.into_iter().filter_map(|(number, reference)| {
            let object = objects.find(&reference)?;
            let known = self.applied.get(&number).filter(|it| it.object == reference && it.is_at(object));
            let live = known.map_or_else(|| live(object), |known| known.live);
            let revision = revision(object).map(str::to_owned);
            Some((number, Applied { object: reference, live, revision }))
        });
        self.applied = applied.collect();
    }

    /// What the files have now; nothing where they have to be read as a whole.
    pub(crate) fn changes(&self, paths: &[PathBuf], store: &Store) -> Option<Changed> {
        // What comes through a pipe comes once.
        if self.applied.is_empty() || !paths.iter().all(|path| path.is_file() || path.is_dir()) {
            return None;
        }
        let (live_objects, mut references) = (store.objects(), BTreeSet::new());
        let mut changed = Changed { objects: Vec::new(), all: Vec::new(), by_document: Vec::new() };
        for (file, text) in manifests::texts(paths).ok()? {
            let (text, folder) = text.ok()?;
            for document in manifest::documents(&text) {
                let number = number(&file, document);
                let known = self.applied.get(&number);
                let known = known.filter(|it| {
                    let object = live_objects.find(&it.object);
                    object.is_some_and(|object| it.is_at(object) || live(object) == it.live)
                });
                let of_document = match known {
                    Some(known) => vec![known.object.clone()],
                    None => changed.read(&file, document, &folder)?,
                };
                if let [object] = &of_document[..] {
                    changed.by_document.push((number, object.clone()));
                }
                for object in of_document {
                    if !references.insert(object.clone()) {
                        return None;
                    }
                    changed.all.push((object, file.clone()));
                }
            }
        }
        Some(changed)
    }
}

impl Applied {
    /// Whether nothing at all of the object is other than it was.
    fn is_at(&self, object: &Object) -> bool {
        self.revision.is_some() && self.revision.as_deref() == revision(object)
    }
}

impl Changed {
    /// Reads a document; nothing where there is something to be said of it.
    fn read(&mut self, file: &str, document: &str, folder: &Path) -> Option<Vec<ObjectRef>> {
        let mut read = Manifests::default();
        read.add(file, document, folder);
        let references = read.objects.iter().map(Object::reference).collect();
        self.objects.append(&mut read.objects);
        read.findings.is_empty().then_some(references)
    }
}

fn number(file: &str, document: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (file, document).hash(&mut hasher);
    hasher.finish()
}

fn revision(object: &Object) -> Option<&str> {
    object.value["metadata"]["resourceVersion"].as_str()
}

/// A number for what an object says, without what is kept about it.
fn live(object: &Object) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (key, value) in object.value.as_object().into_iter().flatten().filter(|(key, _)| *key != "status") {
        key.hash(&mut hasher);
        match value.as_object().filter(|_| key == "metadata") {
            Some(metadata) => {
                let said = metadata.iter().filter(|(key, _)| !BOOKKEEPING.contains(&key.as_str()));
                said.for_each(|entry| entry.hash(&mut hasher));
            }
            None => value.hash(&mut hasher),
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
