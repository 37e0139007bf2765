//! Bringing back what was acknowledged: from the newest good backup, and from what a damaged file still verifiably holds.
//!
//! Every record can be found and checked by itself, so a file is of use even when nothing leads to its records any more.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::REVISION_STEP;
use super::backup::{self, Backup, Backups};
use super::boundary::DatabaseFailure;
use super::contents::{self, Contents, Problem};
use super::disk::{OpenError, lock, read_file, sync_folder, write_new};
use super::record::{self, Content, Record, Summary};

/// How many times a file that another process writes to is read until a whole commit is in it.
const READS: u32 = 40;
/// How long between them.
const BETWEEN_READS: Duration = Duration::from_millis(50);

/// What was brought back.
#[derive(Debug)]
pub struct Restored {
    /// How many objects there are now.
    pub n_objects: usize,
    /// How many notes there are now.
    pub n_notes: usize,
    /// The backup that they are from.
    pub backup: Option<Backup>,
    /// How many records the file held that are newer than the backup.
    pub n_newer: usize,
    /// Whether this is, by number and checksum, all that there was at `as_of`. Unknown when nothing says what that was.
    pub is_complete: Option<bool>,
    /// When the newest commit was made that is still known.
    pub as_of: Timestamp,
    /// Where the file of before is now.
    pub kept_aside: Option<PathBuf>,
}

/// Why nothing was brought back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file is good.
    #[error("the object store `{}` is whole", path.display())]
    NotDamaged {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to bring back.
    #[error("there is no good backup beside `{}`, and it holds no record that is whole", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
    },
    /// A backup cannot be read.
    #[error("the backup `{}` is of no use: {problem}", path.display())]
    Backup {
        /// The backup.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The file is in use, or cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was brought back cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Makes the folder of a store that is brought to a new place. It is nobody else's: Secrets are among the objects.
fn make_folder(file: &Path) -> Result<(), RestoreError> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| RestoreError::Write { path: folder.to_owned(), source: error.into() })
}

/// Brings a store back. With a backup of one's own choice, exactly what that holds.
///
/// # Errors
/// When there is nothing to bring back, no need to, or it cannot be written. The file is as it was then.
pub fn restore(path: &Path, from: Option<&Path>) -> Result<Restored, RestoreError> {
    // Read before anything is made: what cannot be brought back leaves nothing behind.
    let chosen = match from {
        Some(backup) => {
            let problem = |problem| RestoreError::Backup { path: backup.to_owned(), problem };
            let contents = backup::read(backup).map_err(problem)?;
            make_folder(path)?;
            Some((Backup::of(backup.to_owned(), &contents), contents))
        }
        None => None,
    };
    let _lock = lock(path)?;
    let backups = Backups::beside(path);
    let file = if path.symlink_metadata().is_ok() { Some(read_file(path)?) } else { None };
    let found: Vec<Record> = file.as_deref().map(record::find_all).into_iter().flatten().collect();
    let summaries: Vec<Summary> = found.iter().filter_map(Summary::of).collect();
    let newest = summaries.iter().max_by_key(|summary| summary.sequence).copied();

    let is_whole = file.as_deref().is_some_and(|bytes| contents::verify(bytes).is_ok());
    let (backup, base) = match chosen {
        Some(chosen) => Some(chosen).unzip(),
        None => {
            match file.as_deref().map(contents::verify) {
                Some(Ok(_)) => return Err(RestoreError::NotDamaged { path: path.to_owned() }),
                Some(Err(Problem::TooNew { found })) => return Err(OpenError::TooNew { found }.into()),
                Some(Err(Problem::Damaged { .. })) | None => {}
            }
            backups.newest_good().unzip()
        }
    };
    let base = base.unwrap_or_default();
    let (contents, is_complete) = match from {
        Some(_) => (base.clone(), None),
        None => newer_of(&base, &found, &summaries),
    };
    if backup.is_none() && contents.records.is_empty() {
        return Err(RestoreError::Nothing { path: path.to_owned() });
    }
    let n_newer =
        contents.records.iter().filter(|(key, record)| base.records.get(*key) != Some(record)).count();

    // Nothing that was given out before is given out again, however much of it is unknown.
    let known = [contents.summary, base.summary].into_iter().chain(newest);
    let ceiling = known.clone().map(|summary| summary.revision_ceiling).max().unwrap_or(0);
    let latest =
        found.iter().map(|record| record.sequence).chain(known.map(|summary| summary.sequence)).max();
    let contents_seconds = contents.summary.seconds;
    let summary = Summary {
        sequence: latest.unwrap_or(0).max(backups.newest_sequence()) + 1,
        seconds: Timestamp::now().as_second(),
        revision_ceiling: ceiling.saturating_add(CEILING_STEPS * REVISION_STEP),
        ..Summary::default()
    };
    let contents = Contents { records: contents.records, summary };
    let unwritable = |source: Box<dyn std::error::Error + Send + Sync>| RestoreError::Write {
        path: path.to_owned(),
        source,
    };
    let new = write_new(path, &contents).map_err(|failure: DatabaseFailure| unwritable(failure.into()))?;
    let written = fs::read(&new).map_err(|error| unwritable(error.into()))?;
    let Ok(written) = contents::verify(&written) else {
        return Err(unwritable("what was written cannot be read again".into()));
    };
    let kept_aside = match file {
        Some(_) => Some(
            keep_aside(path, if is_whole { "before" } else { "damaged" })
                .map_err(|error| unwritable(error.into()))?,
        ),
        None => None,
    };
    let renamed = fs::rename(&new, path).and_then(|()| sync_folder(path));
    renamed.map_err(|error| unwritable(error.into()))?;
    // What is gone is forgotten in the new file, so older backups no longer go with it.
    if let Err(error) = backups.write(&written.contents, "") {
        tracing::warn!(%error, "no backup of what was brought back could be written");
    }
    let now = Backup::of(path.to_owned(), &written.contents);
    let as_of = Timestamp::from_second(contents_seconds).unwrap_or_default();
    Ok(Restored {
        as_of,
        n_objects: now.n_objects,
        n_notes: now.n_notes,
        backup,
        n_newer,
        is_complete,
        kept_aside,
    })
}

/// Revisions are reserved in steps; so many may have been since the newest that is known.
const CEILING_STEPS: u64 = 1 << 10;

/// What there was last: the backup, and everything newer that the file holds. Also whether that is all there was.
fn newer_of(base: &Contents, found: &[Record], summaries: &[Summary]) -> (Contents, Option<bool>) {
    let Some(newest) = summaries.iter().max_by_key(|summary| summary.sequence) else {
        return (everything(base, found), None);
    };
    // Records of a commit whose summary is damaged, or that was never finished; what there is of it counts.
    let last_summary = newest.sequence.max(base.summary.sequence);
    if found.iter().any(|record| record.sequence > last_summary) {
        let is_whole_until_then =
            newest.sequence <= base.summary.sequence || base.with_newer(found, newest).is_complete();
        return (everything(base, found), if is_whole_until_then { None } else { Some(false) });
    }
    if newest.sequence <= base.summary.sequence {
        return (without_gone(base.clone()), Some(newest.sequence == base.summary.sequence));
    }
    let contents = base.with_newer(found, newest);
    if contents.is_complete() {
        return (without_gone(contents), Some(true));
    }
    // The newest commit may be one that was never finished, or it is damaged; what there is of it counts.
    let before = summaries.iter().find(|summary| summary.sequence + 1 == newest.sequence);
    if let Some(before) = before.filter(|before| before.sequence > base.summary.sequence)
        && base.with_newer(found, before).is_complete()
    {
        return (everything(base, found), None);
    }
    (everything(base, found), Some(false))
}

/// The backup and everything newer, whatever is missing.
fn everything(base: &Contents, found: &[Record]) -> Contents {
    let until = Summary { sequence: u64::MAX, forgotten_through: 0, ..Summary::default() };
    let newest = found.iter().filter_map(Summary::of).chain([base.summary]).max_by_key(|s| s.sequence);
    let contents = base.with_newer(found, &until);
    let contents = Contents { summary: newest.unwrap_or(base.summary), ..contents };
    without_gone(contents)
}

fn without_gone(mut contents: Contents) -> Contents {
    contents.records.retain(|_, record| record.content != Content::Gone);
    contents
}

/// Keeps a file under another name, which says what it is, while it still has its own.
fn keep_aside(path: &Path, what: &str) -> std::io::Result<PathBuf> {
    let time: String = Timestamp::now().to_string().chars().filter(|c| !"-:".contains(*c)).collect();
    let time = time.split('.').next().unwrap_or_default().trim_end_matches('Z').to_owned();
    for attempt in 0..100 {
        let suffix = if attempt == 0 { String::new() } else { format!("-{attempt}") };
        let aside = path.with_extension(format!("{what}-{time}Z{suffix}"));
        match fs::hard_link(path, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(_) => {
                fs::copy(path, &aside)?;
                return Ok(aside);
            }
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

/// Writes a backup of a store, which another process may have open: beside it, or to a file.
///
/// # Errors
/// When the store cannot be read, or the backup cannot be written.
pub fn back_up(path: &Path, to: Option<&Path>) -> Result<Backup, RestoreError> {
    let backups = Backups::beside(path);
    let mut attempt = 0;
    let contents = loop {
        attempt += 1;
        // A commit that another process makes meanwhile is in the bytes in part, which does not go unnoticed.
        match contents::verify(&read_file(path)?) {
            Ok(verified) => break verified.contents,
            Err(problem) if attempt == READS => return Err(OpenError::of(problem, path, &backups).into()),
            Err(_) => std::thread::sleep(BETWEEN_READS),
        }
    };
    let written = match to {
        Some(file) => backup::write_file(file, &contents).map(|()| file.to_owned()),
        None => backups.write(&contents, "").inspect(|_| backups.thin_out()),
    };
    let unwritable = |source: std::io::Error| {
        let path = to.map_or_else(|| backups.folder().to_owned(), Path::to_owned);
        RestoreError::Write { path, source: source.into() }
    };
    let written = written.map_err(unwritable)?;
    Ok(Backup::of(written, &contents))
}
