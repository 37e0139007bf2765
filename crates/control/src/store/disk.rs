//! Where objects are kept so that they outlive the process: one crash-safe file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use manifest::{Kinds, Object};
use plan::ObjectRef;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableTable, Table};
use rustix::fs::OFlags;
use serde_json::Value;
use tracing::warn;

use super::backup::{Backup, Backups};
use super::boundary::{DatabaseFailure, guarded};
use super::contents::{
    self, CACHE_BYTES, Contents, FileState, NUMBERS, OLD_NOTES, OLD_OBJECTS, Problem, RECORDS, SCHEMA,
    SCHEMA_VERSION,
};
use super::record::{self, Content, Record, SUMMARY_KEY, Summary};

/// The file. After an error it is closed; the next commit opens it again and writes everything, because nobody knows
/// how much of the failed one is in it. So a disk that was full for a while does no lasting harm.
pub(super) struct Disk {
    open: Box<dyn Fn() -> Result<Database, DatabaseError>>,
    database: Option<Database>,
    /// Records of objects that this version cannot read and leaves as they are.
    unread: BTreeMap<String, Record>,
    /// Keys of commits that failed, parts of which may lie in the file.
    doubtful: BTreeSet<String>,
    /// The number of the latest commit, be it done or failed.
    sequence: u64,
    /// What went with this commit or an earlier one is in no backup that is still of use.
    forgettable: u64,
    backups: Option<Backups>,
    /// Held for as long as the file is open.
    _lock: Option<File>,
}

/// What the file held.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) objects: Vec<(Object, Content)>,
    /// What definitions among them declare.
    pub(super) kinds: Kinds,
    pub(super) revision_ceiling: u64,
    pub(super) notes: Vec<(String, String)>,
    unread: BTreeMap<String, Record>,
    sequence: u64,
}

/// An object as JSON, and whether somebody wrote it; `None` when it is gone.
pub(super) type Form = Option<(Content, Vec<u8>)>;

/// What one commit changes, all of it or nothing.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) objects: Vec<(ObjectRef, Form)>,
    pub(super) notes: Vec<(String, Option<String>)>,
    pub(super) revision_ceiling: u64,
}

/// What becomes of one record.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    Put(Content, Vec<u8>),
    Remove,
    /// As `Remove`, and said even if there is none: one may lie in the file that no commit leads to.
    Bury,
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
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// It is a link, so it may be somebody else's.
    #[error("`{}` is a link; put what it leads to in its place", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot open the object store `{}`", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What is wrong with a file that is damaged, and what there is instead.
#[derive(Debug)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// The record that it is wrong with, if that is known.
    pub record: Option<String>,
    /// The newest good backup.
    pub backup: Option<Backup>,
    /// Whether the file still holds something that is whole.
    pub holds_records: bool,
}

// === impl Disk ===

impl Disk {
    pub(super) fn at(path: &Path) -> Result<(Self, Loaded), OpenError> {
        let lock = lock(path)?;
        let backups = Backups::beside(path);
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| OpenError::Unusable {
            path: path.to_owned(),
            source,
        };
        if !is_there(path)? {
            if let Some((backup, _)) = backups.newest_good() {
                let what = "it is not there, but backups of it are".to_owned();
                let (file, backup) = (path.to_owned(), Some(backup));
                let damage = Damage { file, what, record: None, backup, holds_records: false };
                return Err(OpenError::Damaged(Box::new(damage)));
            }
            make(path).map_err(|failure| unusable(failure.into()))?;
        }
        let bytes = read_file(path)?;
        if bytes.is_empty() {
            return Err(OpenError::of(Problem::damaged("it is empty"), path, &backups));
        }
        let verified = contents::verify(&bytes).map_err(|problem| OpenError::of(problem, path, &backups))?;
        drop(bytes);
        if verified.state == FileState::Old {
            let written = backups.write(&verified.contents, "before-upgrade");
            written.map_err(|error| unusable(Box::new(error)))?;
        }
        let file = path.to_owned();
        let open = move || {
            let file = FileBackend::new(options().open(&file)?)?;
            Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(file)
        };
        let database = match guarded(|| open().map_err(redb::Error::from)) {
            Ok(database) => database,
            Err(DatabaseFailure::Said(error)) if matches!(*error, redb::Error::DatabaseAlreadyOpen) => {
                return Err(OpenError::InUse);
            }
            Err(failure) => return Err(unusable(failure.into())),
        };
        let is_good = verified.state == FileState::Good;
        // What is not good is written anew with the first commit, by way of opening it again.
        let database = if is_good { Some(database) } else { None };
        let mut loaded = load(verified.contents);
        let mut disk = Self::with(Box::new(open), database, &mut loaded);
        disk.forgettable = backups.covered();
        disk.backups = Some(backups);
        disk._lock = Some(lock);
        Ok((disk, loaded))
    }

    /// With any way to open the database.
    pub(super) fn new(
        open: impl Fn() -> Result<Database, DatabaseError> + 'static,
    ) -> Result<(Self, Loaded), DatabaseFailure> {
        let database = guarded(|| open().map_err(redb::Error::from))?;
        let read = guarded(|| contents::read(&database))?;
        // A new one is written as a whole at first.
        let database = read.is_ok().then_some(database);
        let mut loaded = read.map_or_else(|_| Loaded::default(), |verified| load(verified.contents));
        Ok((Self::with(Box::new(open), database, &mut loaded), loaded))
    }

    fn with(
        open: Box<dyn Fn() -> Result<Database, DatabaseError>>,
        database: Option<Database>,
        loaded: &mut Loaded,
    ) -> Self {
        let unread = std::mem::take(&mut loaded.unread);
        Self {
            open,
            database,
            unread,
            doubtful: BTreeSet::new(),
            sequence: loaded.sequence,
            forgettable: 0,
            backups: None,
            _lock: None,
        }
    }

    /// Makes a batch durable; when this returns `Ok`, it is on the disk. `everything` is asked for after a failure.
    pub(super) fn commit(
        &mut self,
        batch: &Batch,
        everything: impl FnOnce() -> Batch,
    ) -> Result<(), DatabaseFailure> {
        let changes = changes(batch);
        let head = Summary {
            sequence: self.sequence + 1,
            seconds: Timestamp::now().as_second(),
            revision_ceiling: batch.revision_ceiling,
            forgotten_through: self.forgettable,
            ..Summary::default()
        };
        self.sequence = head.sequence;
        let written = match &self.database {
            Some(database) => guarded(|| write(database, head, &changes, false)),
            None => guarded(|| (self.open)().map_err(redb::Error::from)).and_then(|database| {
                let mut all = self.everything(&everything());
                all.extend(changes.clone());
                let database = self.database.insert(database);
                guarded(|| write(database, head, &all, true))
            }),
        };
        match written {
            Ok(()) => self.doubtful.clear(),
            Err(_) => {
                self.doubtful.extend(changes.into_keys());
                let database = self.database.take();
                // What a database does when it is closed may fail as well.
                let _ = guarded(|| {
                    drop(database);
                    Ok::<_, redb::Error>(())
                });
            }
        }
        written
    }

    /// All that is to be there, and what is to be said of what is not.
    fn everything(&self, batch: &Batch) -> BTreeMap<String, Change> {
        let mut all: BTreeMap<String, Change> =
            self.doubtful.iter().map(|key| (key.clone(), Change::Bury)).collect();
        let unread = self.unread.iter();
        all.extend(
            unread.map(|(key, record)| (key.clone(), Change::Put(record.content, record.value.clone()))),
        );
        all.extend(changes(batch));
        all
    }

    /// The number of the latest commit.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Writes a backup of what is on the disk, if it has a place for one.
    pub(super) fn back_up(&mut self) -> io::Result<()> {
        let (Some(backups), Some(database)) = (&self.backups, &self.database) else { return Ok(()) };
        let read = guarded(|| contents::read(database)).map_err(io::Error::other)?;
        let verified = read.map_err(|problem| match problem {
            Problem::Damaged { what, .. } => io::Error::other(what),
            Problem::TooNew { .. } => io::Error::other("a later version wrote to it"),
        })?;
        backups.write(&verified.contents, "")?;
        backups.thin_out();
        self.forgettable = backups.covered();
        Ok(())
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("database", &self.database).finish_non_exhaustive()
    }
}

/// How files of the state are opened: they are nobody else's, because Secrets are among the objects, and no links.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    options.read(true).write(true).mode(0o600).custom_flags(no_follow);
    options
}

/// Claims the file for this process.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let path = path.with_extension("lock");
    let lock = options().create(true).open(&path).map_err(|error| OpenError::io(&path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
        Err(TryLockError::Error(error)) => Err(OpenError::io(&path, error)),
    }
}

/// Whether there is a file. An empty one in a folder that is not used yet is none.
fn is_there(path: &Path) -> Result<bool, OpenError> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(OpenError::io(path, error)),
    };
    if metadata.is_symlink() {
        return Err(OpenError::Link { path: path.to_owned() });
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let is_used =
        || ["backups", "kubeconfig", "logs", "platform.json"].iter().any(|name| folder.join(name).exists());
    Ok(metadata.len() > 0 || is_used())
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, OpenError> {
    let read = || {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut options().write(false).open(path)?, &mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error: io::Error| OpenError::io(path, error))
}

/// Makes a file without objects. It gets its name when it is whole, so that no crash leaves half of one.
fn make(path: &Path) -> Result<(), DatabaseFailure> {
    write_new(path, &Contents::default()).map(drop)?;
    let new = path.with_extension("new");
    let renamed = std::fs::rename(&new, path).and_then(|()| sync_folder(path));
    renamed.map_err(|error| redb::Error::Io(error).into())
}

/// Writes a file with these contents beside the one of the name, and gives its path.
pub(super) fn write_new(path: &Path, contents: &Contents) -> Result<PathBuf, DatabaseFailure> {
    let new = path.with_extension("new");
    guarded(|| {
        let file = options().create(true).truncate(true).open(&new)?;
        let database = Database::builder().create_with_backend(FileBackend::new(file)?)?;
        let records = contents.records.values().filter(|record| record.content != Content::Gone);
        let changes =
            records.map(|record| (record.key.clone(), Change::Put(record.content, record.value.clone())));
        write(&database, contents.summary, &changes.collect(), true)
    })?;
    Ok(new)
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn changes(batch: &Batch) -> BTreeMap<String, Change> {
    let objects = batch.objects.iter().map(|(reference, object)| {
        let change = match object {
            Some((content, json)) => Change::Put(*content, json.clone()),
            None => Change::Remove,
        };
        (object_key(reference), change)
    });
    let notes = batch.notes.iter().map(|(key, note)| {
        let change = match note {
            Some(note) => Change::Put(Content::Note, note.clone().into_bytes()),
            None => Change::Remove,
        };
        (format!("{NOTE}{key}"), change)
    });
    objects.chain(notes).collect()
}

/// Writes changes; with `is_all`, nothing else is there then. `head` says what the summary is to say besides its numbers.
fn write(
    database: &Database,
    head: Summary,
    changes: &BTreeMap<String, Change>,
    is_all: bool,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    if is_all {
        transaction.delete_table(OLD_OBJECTS)?;
        transaction.delete_table(OLD_NOTES)?;
        transaction.open_table(NUMBERS)?.retain(|key, _| key == SCHEMA)?;
        transaction.open_table(NUMBERS)?.insert(SCHEMA, SCHEMA_VERSION)?;
    }
    {
        let mut table = transaction.open_table(RECORDS)?;
        let before = table.get(SUMMARY_KEY.as_bytes())?;
        let before = before.and_then(|bytes| Summary::of(&Record::decode(bytes.value()).ok()?.0));
        let before = before.unwrap_or_default();
        let mut summary = Summary { firm: before.firm, following: before.following, ..head };
        if is_all {
            for key in keys_beside(&table, changes)? {
                apply(&mut table, &mut summary, &key, &Change::Remove)?;
            }
        }
        for (key, change) in changes {
            apply(&mut table, &mut summary, key, change)?;
        }
        if head.forgotten_through > before.forgotten_through {
            table.retain(|_, bytes| {
                let is_forgotten = record::content_in(bytes) == Some(Content::Gone)
                    && record::sequence_in(bytes) <= head.forgotten_through;
                if is_forgotten {
                    summary.firm.take(record::checksum_in(bytes));
                }
                !is_forgotten
            })?;
        }
        table.insert(SUMMARY_KEY.as_bytes(), summary.record().encode().0.as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}

/// Keys of records that are there, say something, and are not among the changes.
fn keys_beside(
    table: &Table<'_, &'static [u8], &'static [u8]>,
    changes: &BTreeMap<String, Change>,
) -> Result<Vec<String>, redb::Error> {
    let mut keys = Vec::new();
    for entry in table.iter()? {
        let (key, bytes) = entry?;
        let key = String::from_utf8_lossy(key.value());
        let is_gone = record::content_in(bytes.value()) == Some(Content::Gone);
        if key != SUMMARY_KEY && !is_gone && !changes.contains_key(&*key) {
            keys.push(key.into_owned());
        }
    }
    Ok(keys)
}

fn apply(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    summary: &mut Summary,
    key: &str,
    change: &Change,
) -> Result<(), redb::Error> {
    let old = table.remove(key.as_bytes())?.map(|old| {
        let bytes = old.value();
        (record::content_in(bytes).unwrap_or(Content::Written), record::checksum_in(bytes))
    });
    if let Some((content, checksum)) = old {
        summary.tally(content).take(checksum);
    }
    let (content, value) = match (change, old) {
        (Change::Put(content, value), _) => (*content, value.clone()),
        // History may come back from a damaged file without harm.
        (Change::Remove, None | Some((Content::Following, _))) => return Ok(()),
        (Change::Remove, Some(_)) | (Change::Bury, _) => (Content::Gone, Vec::new()),
    };
    let record = Record::new(summary.sequence, content, key.to_owned(), value);
    let (bytes, checksum) = record.encode();
    summary.tally(content).add(checksum);
    table.insert(key.as_bytes(), bytes.as_slice())?;
    Ok(())
}

fn load(contents: Contents) -> Loaded {
    let Contents { records, summary } = contents;
    let mut loaded = Loaded {
        revision_ceiling: summary.revision_ceiling,
        sequence: summary.sequence,
        ..Loaded::default()
    };
    // What the others are is known once those are read that declare it.
    let (definitions, others): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|(key, _)| key.starts_with(DEFINITIONS));
    definitions.into_iter().for_each(|(key, record)| loaded.add(key, record));
    let declaring: Vec<Arc<Object>> =
        loaded.objects.iter().map(|(object, _)| Arc::new(object.clone())).collect();
    loaded.kinds = Kinds::default().declared_by(declaring.iter());
    others.into_iter().for_each(|(key, record)| loaded.add(key, record));
    loaded
}

impl Loaded {
    fn add(&mut self, key: String, record: Record) {
        match record.content {
            Content::Gone | Content::Summary => {}
            Content::Note => {
                let key = key.strip_prefix(NOTE).unwrap_or(&key).to_owned();
                self.notes.push((key, String::from_utf8_lossy(&record.value).into_owned()));
            }
            Content::Written | Content::Following => {
                let value: Value = serde_json::from_slice(&record.value).unwrap_or_default();
                match self.kinds.object(value) {
                    Ok(object) => self.objects.push((object, record.content)),
                    // A kind that another version knew. It stays in the file for that version.
                    Err(finding) => {
                        warn!(object = key, problem = finding.message, "stored object is not read");
                        self.unread.insert(key, record);
                    }
                }
            }
        }
    }
}

/// Before the keys of definitions of kinds.
const DEFINITIONS: &str = "object/CustomResourceDefinition/";
/// Before the key of a note.
const NOTE: &str = "note/";

fn object_key(reference: &ObjectRef) -> String {
    format!("object/{}/{}/{}", reference.kind, reference.namespace, reference.name)
}

// === impl OpenError, Damage ===

impl OpenError {
    fn io(path: &Path, error: io::Error) -> Self {
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return Self::Link { path: path.to_owned() };
        }
        Self::Unusable { path: path.to_owned(), source: Box::new(error) }
    }

    pub(super) fn of(problem: Problem, path: &Path, backups: &Backups) -> Self {
        match problem {
            Problem::TooNew { found } => Self::TooNew { found },
            Problem::Damaged { what, record } => {
                let backup = backups.newest_good().map(|(backup, _)| backup);
                let holds_records = read_file(path).is_ok_and(|bytes| {
                    record::find_all(&bytes).any(|it| !matches!(it.content, Content::Gone | Content::Summary))
                });
                let file = path.to_owned();
                Self::Damaged(Box::new(Damage { file, what, record, backup, holds_records }))
            }
        }
    }
}

impl std::error::Error for Damage {}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the object store `{}` is damaged: ", self.file.display())?;
        match &self.record {
            Some(record) => {
                let record = record.strip_prefix("object/").unwrap_or(record);
                write!(f, "{} (record `{record}`)", self.what)
            }
            None => f.write_str(&self.what),
        }
    }
}
