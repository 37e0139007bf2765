//! Everything that the store's file or a backup holds, verified: every record by its checksum, and all of them by their
//! number and the sum of the checksums.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableError};

use super::boundary::{DatabaseFailure, guarded};
use super::record::{self, Content, Record, SUMMARY_KEY, Summary, Tally};

/// Keys of records → records, key included.
pub(super) const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
/// Names of numbers → the numbers. All that this and later schemas keep here is the schema, for builds of before.
pub(super) const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");
/// Schema 1: `Kind/namespace/name` → the object as JSON.
pub(super) const OLD_OBJECTS: TableDefinition<&str, &[u8]> = TableDefinition::new("objects");
/// Schema 1: what the platform remembers beside objects.
pub(super) const OLD_NOTES: TableDefinition<&str, &str> = TableDefinition::new("notes");

pub(super) const SCHEMA: &str = "schema";
pub(super) const SCHEMA_VERSION: u64 = 2;
/// Schema 1: no revision at or above this one was ever given out.
const OLD_REVISION_CEILING: &str = "revision-ceiling";

/// Pages kept in memory. All objects are there already, so this only serves commits.
pub(super) const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Records by their keys, without the summary.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Contents {
    pub(super) records: BTreeMap<String, Record>,
    pub(super) summary: Summary,
}

/// What a file was found to hold.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) contents: Contents,
    pub(super) state: FileState,
}

/// What has to be done with the file before it is gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileState {
    /// Nothing.
    Good,
    /// To be written anew, because its newest commit, or what of it is in use, is not what its head says.
    Stale,
    /// To be brought to this build's schema.
    Old,
}

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Problem {
    /// A later build wrote it.
    TooNew { found: u64 },
    /// It is damaged: how, and at which record if that is known.
    Damaged { what: String, record: Option<String> },
}

// === impl Contents ===

impl Contents {
    /// How many objects there are that somebody wrote.
    pub(super) fn n_objects(&self) -> usize {
        self.records.values().filter(|record| record.content == Content::Written).count()
    }

    /// How many records there are that are not history.
    fn firm(&self) -> Tally {
        let mut firm = Tally::default();
        let records = self.records.values().filter(|record| record.content != Content::Following);
        records.for_each(|record| firm.add(record.checksum));
        firm
    }

    /// Whether these are all the records that the summary counts, but for those that are history.
    pub(super) fn is_complete(&self) -> bool {
        self.firm() == self.summary.firm
    }

    /// These and what records say that are newer, up to a commit.
    pub(super) fn with_newer(&self, found: &[Record], until: &Summary) -> Self {
        let mut records = self.records.clone();
        let newer = self.summary.sequence + 1..=until.sequence;
        let is_newer =
            |record: &&Record| newer.contains(&record.sequence) && record.content != Content::Summary;
        for record in found.iter().filter(is_newer) {
            match records.entry(record.key.clone()) {
                Entry::Occupied(entry) if entry.get().sequence >= record.sequence => {}
                Entry::Occupied(mut entry) => drop(entry.insert(record.clone())),
                Entry::Vacant(entry) => drop(entry.insert(record.clone())),
            }
        }
        records
            .retain(|_, record| record.content != Content::Gone || record.sequence > until.forgotten_through);
        Self { records, summary: *until }
    }
}

// === reading ===

/// Verifies a file that nobody writes to. It is left as it is: what a database does to one that it holds to be broken
/// happens to a copy.
pub(super) fn verify(file: &[u8]) -> Result<Verified, Problem> {
    verify_copy(file).map_err(|problem| match problem {
        Problem::Damaged { what, record: None } => {
            Problem::Damaged { what, record: record::find_broken(file) }
        }
        known => known,
    })
}

fn verify_copy(file: &[u8]) -> Result<Verified, Problem> {
    let mut database = guarded(|| {
        let memory = InMemoryBackend::new();
        memory.set_len(file.len() as u64)?;
        memory.write(0, file)?;
        let opened = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(memory);
        opened.map_err(redb::Error::from)
    })
    .map_err(|failure| Problem::failed(&failure))?;
    let read = guarded(|| {
        let is_clean = database.check_integrity().map_err(redb::Error::from)?;
        Ok::<_, redb::Error>((is_clean, read(&database)?))
    });
    // A database that is closed writes to its copy, and may stumble there, too.
    let _ = guarded(|| {
        drop(database);
        Ok::<_, redb::Error>(())
    });
    let (is_clean, verified) = read.map_err(|failure| Problem::failed(&failure))?;
    let mut verified = verified?;
    if verified.state == FileState::Good {
        verified.adopt_newer(file);
    }
    if verified.state == FileState::Good && !is_clean {
        verified.state = FileState::Stale;
    }
    Ok(verified)
}

impl Verified {
    /// Goes on to the newest commit that lies whole in the file. The file's head may lead to an older one: because the
    /// process was killed within a commit, which then counts or not, or because the head is damaged.
    fn adopt_newer(&mut self, file: &[u8]) {
        let found: Vec<Record> = record::find_all(file)
            .filter(|record| record.sequence > self.contents.summary.sequence)
            .collect();
        let mut summaries: Vec<Summary> = found.iter().filter_map(Summary::of).collect();
        summaries.sort_by_key(|summary| std::cmp::Reverse(summary.sequence));
        let newer = summaries.iter().map(|summary| self.contents.with_newer(&found, summary));
        if let Some(newest) = newer.into_iter().find(Contents::is_complete) {
            self.contents = newest;
            self.state = FileState::Stale;
        }
    }
}

/// Everything in an open database, verified.
pub(super) fn read(database: &Database) -> Result<Result<Verified, Problem>, redb::Error> {
    let transaction = database.begin_read()?;
    let numbers = match transaction.open_table(NUMBERS) {
        Ok(numbers) => numbers,
        Err(TableError::TableDoesNotExist(_)) => {
            let damaged = Problem::damaged("there is nothing in it that the platform wrote");
            return Ok(Err(damaged));
        }
        Err(error) => return Err(error.into()),
    };
    let number = |name| Ok::<_, redb::Error>(numbers.get(name)?.map_or(0, |number| number.value()));
    match number(SCHEMA)? {
        1 => {
            let mut contents = Contents::default();
            contents.summary.revision_ceiling = number(OLD_REVISION_CEILING)?;
            for object in transaction.open_table(OLD_OBJECTS)?.iter()? {
                let (key, json) = object?;
                contents.add_old(format!("object/{}", key.value()), Content::Written, json.value());
            }
            for note in transaction.open_table(OLD_NOTES)?.iter()? {
                let (key, note) = note?;
                contents.add_old(format!("note/{}", key.value()), Content::Note, note.value().as_bytes());
            }
            contents.summary.firm = contents.firm();
            Ok(Ok(Verified { contents, state: FileState::Old }))
        }
        SCHEMA_VERSION => {
            let mut contents = Contents::default();
            let mut summary = None;
            for entry in transaction.open_table(RECORDS)?.iter()? {
                let (key, bytes) = entry?;
                let key = String::from_utf8_lossy(key.value());
                match Record::decode(bytes.value()) {
                    Ok((record, _)) if record.key == key && key == SUMMARY_KEY => {
                        summary = Summary::of(&record);
                    }
                    Ok((record, _)) if record.key == key => {
                        contents.records.insert(record.key.clone(), record);
                    }
                    Ok(_) => return Ok(Err(Problem::at(&key, "it is another one's"))),
                    Err(broken) => return Ok(Err(Problem::at(&key, &broken.to_string()))),
                }
            }
            Ok(contents.counted(summary).map(|contents| Verified { contents, state: FileState::Good }))
        }
        found if found > SCHEMA_VERSION => Ok(Err(Problem::TooNew { found })),
        _ => Ok(Err(Problem::damaged("it does not say which schema it has"))),
    }
}

impl Contents {
    fn add_old(&mut self, key: String, content: Content, value: &[u8]) {
        self.records.insert(key.clone(), Record::new(0, content, key, value.to_vec()));
    }

    /// With its summary, if they are the records that it counts.
    pub(super) fn counted(mut self, summary: Option<Summary>) -> Result<Self, Problem> {
        let Some(summary) = summary else {
            return Err(Problem::damaged("the record that counts all others is not there"));
        };
        self.summary = summary;
        let mut following = Tally::default();
        let records = self.records.values().filter(|record| record.content == Content::Following);
        records.for_each(|record| following.add(record.checksum));
        let (firm, counted) = (self.firm(), summary.firm.n_records + summary.following.n_records);
        if (firm, following) == (summary.firm, summary.following) {
            return Ok(self);
        }
        let n_there = firm.n_records + following.n_records;
        let what = if n_there == counted {
            format!("one of its {counted} records is not the one that was written last")
        } else {
            format!("{n_there} of {counted} records are there")
        };
        Err(Problem::damaged(what))
    }
}

// === impl Problem ===

impl Problem {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), record: None }
    }

    fn at(key: &str, what: &str) -> Self {
        Self::Damaged { what: what.to_owned(), record: Some(key.escape_debug().to_string()) }
    }

    fn failed(failure: &DatabaseFailure) -> Self {
        Self::damaged(failure.to_string())
    }
}
