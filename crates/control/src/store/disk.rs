//! Where objects are kept so that they outlive the process: one crash-safe file.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use manifest::Object;
use plan::ObjectRef;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;
use tracing::warn;

/// `Kind/namespace/name` → the object as JSON.
const OBJECTS: TableDefinition<&str, &[u8]> = TableDefinition::new("objects");
/// Names of numbers → the numbers.
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
/// What the platform remembers beside objects, for example addresses.
const NOTES: TableDefinition<&str, &str> = TableDefinition::new("notes");

const SCHEMA: &str = "schema";
const SCHEMA_VERSION: u64 = 1;
/// No revision at or above this one was ever given out.
const REVISION_CEILING: &str = "revision-ceiling";

/// Pages kept in memory. All objects are there already, so this only serves commits.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// The file. After an error it is closed; the next commit opens it again and writes everything, because nobody knows
/// how much of the failed one is in it. So a disk that was full for a while does no lasting harm.
pub(super) struct Disk {
    open: Box<dyn Fn() -> Result<Database, DatabaseError>>,
    database: Option<Database>,
    /// Keys of objects that this version cannot read and leaves where they are.
    unread: BTreeSet<String>,
}

/// What the file held.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) objects: Vec<Object>,
    pub(super) revision_ceiling: u64,
    pub(super) notes: Vec<(String, String)>,
    unread: BTreeSet<String>,
}

/// What one commit changes, all of it or nothing.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) objects: Vec<(ObjectRef, Option<Vec<u8>>)>,
    pub(super) notes: Vec<(String, Option<String>)>,
    pub(super) revision_ceiling: u64,
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("another platform runs with this state folder")]
    InUse,
    /// It was written by a later version.
    #[error("the state was written by a later version (schema {found}, this build reads {SCHEMA_VERSION})")]
    TooNew {
        /// Its schema.
        found: u64,
    },
    /// What is in it makes no sense.
    #[error(
        "the object store `objects.redb` is damaged, or is none: move it away to begin with an empty one"
    )]
    Damaged(#[source] Box<redb::Error>),
    /// It cannot be read or written.
    #[error("cannot open the object store")]
    Database(#[source] Box<redb::Error>),
}

// === impl Disk ===

impl Disk {
    pub(super) fn at(path: &Path) -> Result<(Self, Loaded), OpenError> {
        let path = path.to_owned();
        Self::new(move || {
            // Secrets are among the objects: the file is nobody else's.
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = FileBackend::new(options.open(&path)?)?;
            Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(file)
        })
    }

    /// With any way to open the database.
    pub(super) fn new(
        open: impl Fn() -> Result<Database, DatabaseError> + 'static,
    ) -> Result<(Self, Loaded), OpenError> {
        let database = open().map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::InUse,
            other => OpenError::database(other),
        })?;
        let mut loaded = load(&database)?;
        let unread = std::mem::take(&mut loaded.unread);
        Ok((Self { open: Box::new(open), database: Some(database), unread }, loaded))
    }

    /// Makes a batch durable; when this returns `Ok`, it is on the disk. `everything` is asked for after a failure.
    pub(super) fn commit(
        &mut self,
        batch: &Batch,
        everything: impl FnOnce() -> Batch,
    ) -> Result<(), redb::Error> {
        let database = match self.database.take() {
            Some(database) => {
                write(&database, batch, None)?;
                database
            }
            None => {
                let database = (self.open)()?;
                write(&database, &everything(), Some(&self.unread))?;
                database
            }
        };
        self.database = Some(database);
        Ok(())
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("database", &self.database).finish_non_exhaustive()
    }
}

/// Writes a batch; with `kept`, in the place of all objects but these.
fn write(database: &Database, batch: &Batch, kept: Option<&BTreeSet<String>>) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        if let Some(kept) = kept {
            objects.retain(|key, _| kept.contains(key))?;
        }
        for (reference, object) in &batch.objects {
            let key = object_key(reference);
            match object {
                Some(json) => objects.insert(key.as_str(), json.as_slice())?,
                None => objects.remove(key.as_str())?,
            };
        }
        let mut notes = transaction.open_table(NOTES)?;
        for (key, note) in &batch.notes {
            match note {
                Some(note) => notes.insert(key.as_str(), note.as_str())?,
                None => notes.remove(key.as_str())?,
            };
        }
        let mut numbers = transaction.open_table(NUMBERS)?;
        numbers.insert(SCHEMA, SCHEMA_VERSION)?;
        numbers.insert(REVISION_CEILING, batch.revision_ceiling)?;
    }
    transaction.commit()?;
    Ok(())
}

fn load(database: &Database) -> Result<Loaded, OpenError> {
    let tables = read(database).map_err(OpenError::database)?;
    let Some((schema, mut loaded, stored)) = tables else { return Ok(Loaded::default()) };
    if schema > SCHEMA_VERSION {
        return Err(OpenError::TooNew { found: schema });
    }
    for (key, json) in stored {
        let value: Value = serde_json::from_slice(&json).unwrap_or_default();
        match Object::from_value(value) {
            Ok(object) => loaded.objects.push(object),
            // A kind that another version knew. It stays in the file for that version.
            Err(finding) => {
                warn!(object = key, problem = finding.message, "stored object is not read");
                loaded.unread.insert(key);
            }
        }
    }
    Ok(loaded)
}

type Tables = (u64, Loaded, Vec<(String, Vec<u8>)>);

/// Everything in the file; `None` when it is new.
fn read(database: &Database) -> Result<Option<Tables>, redb::Error> {
    let transaction = database.begin_read()?;
    let numbers = match transaction.open_table(NUMBERS) {
        Ok(numbers) => numbers,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let number = |name| numbers.get(name).map(|number| number.map_or(0, |number| number.value()));
    let mut loaded = Loaded { revision_ceiling: number(REVISION_CEILING)?, ..Loaded::default() };
    for note in transaction.open_table(NOTES)?.iter()? {
        let (key, note) = note?;
        loaded.notes.push((key.value().to_owned(), note.value().to_owned()));
    }
    let mut stored = Vec::new();
    for object in transaction.open_table(OBJECTS)?.iter()? {
        let (key, json) = object?;
        stored.push((key.value().to_owned(), json.value().to_owned()));
    }
    Ok(Some((number(SCHEMA)?, loaded, stored)))
}

fn object_key(reference: &ObjectRef) -> String {
    format!("{}/{}/{}", reference.kind, reference.namespace, reference.name)
}

// === impl OpenError ===

impl OpenError {
    pub(super) fn database(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            error @ redb::Error::Corrupted(_) => Self::Damaged(Box::new(error)),
            redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
                Self::Damaged(Box::new(redb::Error::Io(error)))
            }
            error => Self::Database(Box::new(error)),
        }
    }
}
