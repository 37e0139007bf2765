//! Copies of the store beside it, each of them whole and verified by itself, for the day on which the file is damaged.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::OFlags;
use tracing::warn;

use super::contents::{Contents, Problem};
use super::disk::{read_file, sync_folder};
use super::record::{Content, Record, Summary};

/// Begins every backup; what follows are records, and the summary at last.
const HEADER: &[u8] = b"forebay backup 2\n";
/// Ends the names of backups.
const EXTENSION: &str = "backup";
/// In the names of backups that an upgrade made.
const UPGRADE: &str = "-before-upgrade";
/// How many of the newest backups are kept, whatever their age.
const NEWEST_KEPT: usize = 3;
/// Of the older ones, one that is about so old is kept, in seconds.
const AGES_KEPT: &[i64] = &[60 * 60, 24 * 60 * 60];

/// A backup that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where it is.
    pub path: PathBuf,
    /// When what it holds was written.
    pub written: Timestamp,
    /// How many objects it holds.
    pub n_objects: usize,
    /// How many notes it holds.
    pub n_notes: usize,
}

/// The backups beside a store.
#[derive(Debug)]
pub(super) struct Backups {
    folder: PathBuf,
}

/// A backup by its name: `20261129T224512Z-0000000042.backup`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    sequence: u64,
    /// When it was made, in seconds since 1970.
    seconds: i64,
    is_of_upgrade: bool,
    path: PathBuf,
}

// === impl Backups ===

impl Backups {
    pub(super) fn beside(store: &Path) -> Self {
        Self { folder: store.with_file_name("backups") }
    }

    /// Writes a backup, whole or not at all.
    pub(super) fn write(&self, contents: &Contents, suffix: &str) -> io::Result<PathBuf> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let time: String = now.to_string().chars().filter(|c| !"-:".contains(*c)).collect();
        let suffix = if suffix.is_empty() { String::new() } else { format!("-{suffix}") };
        let name = format!("{time}-{:010}{suffix}.{EXTENSION}", contents.summary.sequence);
        let path = self.folder.join(name);
        write_file(&path, contents)?;
        Ok(path)
    }

    /// The newest one that is good, with what it holds. Those that are not are told of.
    pub(super) fn newest_good(&self) -> Option<(Backup, Contents)> {
        self.named().into_iter().find_map(|named| match read(&named.path) {
            Ok(contents) => Some((Backup::of(named.path, &contents), contents)),
            Err(problem) => {
                warn!(backup = %named.path.display(), problem, "a backup is of no use");
                None
            }
        })
    }

    /// Backups by their names, newest first.
    fn named(&self) -> Vec<Named> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut named: Vec<Named> = entries.filter_map(|entry| Named::of(entry.path())).collect();
        named.sort_by_key(|named| std::cmp::Reverse((named.sequence, named.seconds)));
        named
    }

    /// The commit that the second newest backup holds: what went until then comes back from neither of the newest two.
    pub(super) fn covered(&self) -> u64 {
        let named = self.named();
        let mut regular = named.iter().filter(|named| !named.is_of_upgrade);
        regular.nth(1).map_or(0, |named| named.sequence)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The latest commit that any of them holds.
    pub(super) fn newest_sequence(&self) -> u64 {
        self.named().first().map_or(0, |named| named.sequence)
    }

    /// Removes those that are superfluous, and what was not finished.
    pub(super) fn thin_out(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let unfinished = entries.filter(|path| path.extension().is_some_and(|extension| extension == "new"));
        let (of_upgrades, regular): (Vec<Named>, Vec<Named>) =
            self.named().into_iter().partition(|named| named.is_of_upgrade);
        let ages: Vec<i64> = regular.iter().map(|named| regular[0].seconds - named.seconds).collect();
        let superfluous = superfluous(&ages).into_iter().map(|index| regular[index].path.clone());
        let superfluous = superfluous.chain(of_upgrades.into_iter().skip(1).map(|named| named.path));
        for path in superfluous.chain(unfinished) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Which of some backups, of these ages in seconds and the newest first, may go: all but the newest, and two on either
/// side of each age, so that there is one of about that age later, too.
fn superfluous(ages: &[i64]) -> Vec<usize> {
    let is_kept = |index: usize| {
        let next_to = |kept: i64| {
            let is_last_before = ages[index] < kept && ages.get(index + 1).is_none_or(|older| *older >= kept);
            let is_first_after = ages[index] >= kept && index.checked_sub(1).is_some_and(|i| ages[i] < kept);
            is_last_before || is_first_after
        };
        index < NEWEST_KEPT || AGES_KEPT.iter().any(|kept| next_to(*kept))
    };
    (0..ages.len()).filter(|index| !is_kept(*index)).collect()
}

impl Named {
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let (name, is_of_upgrade) = name.strip_suffix(UPGRADE).map_or((name, false), |name| (name, true));
        let (time, sequence) = name.split_once('-')?;
        let part = |range: std::ops::Range<usize>| time.get(range);
        let written = format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0..4)?,
            part(4..6)?,
            part(6..8)?,
            part(9..11)?,
            part(11..13)?,
            part(13..15)?
        );
        let seconds = written.parse::<Timestamp>().ok()?.as_second();
        Some(Self { sequence: sequence.parse().ok()?, seconds, is_of_upgrade, path })
    }
}

impl Backup {
    pub(super) fn of(path: PathBuf, contents: &Contents) -> Self {
        let written = Timestamp::from_second(contents.summary.seconds).unwrap_or_default();
        let n_notes = contents.records.values().filter(|record| record.content == Content::Note).count();
        Self { path, written, n_objects: contents.n_objects(), n_notes }
    }
}

// === the file ===

/// Writes a backup to a file that only this user may read, whole or not at all.
pub(super) fn write_file(path: &Path, contents: &Contents) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow);
        let mut file = options.open(&new)?;
        file.write_all(&encode(contents))?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_folder(path)
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// What a backup holds, if it is whole.
pub(super) fn read(path: &Path) -> Result<Contents, String> {
    let bytes = read_file(path).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    })?;
    decode(&bytes)
}

fn encode(contents: &Contents) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    let mut summary = Summary { firm: Default::default(), following: Default::default(), ..contents.summary };
    for record in contents.records.values() {
        let (encoded, checksum) = record.encode();
        summary.tally(record.content).add(checksum);
        bytes.extend_from_slice(&encoded);
    }
    bytes.extend_from_slice(&summary.record().encode().0);
    bytes
}

/// Reads the bytes of a backup.
pub(super) fn decode(bytes: &[u8]) -> Result<Contents, String> {
    let mut rest = bytes.strip_prefix(HEADER).ok_or("it is no backup of an object store")?;
    let (mut contents, mut summary) = (Contents::default(), None);
    while !rest.is_empty() {
        if summary.is_some() {
            return Err("something follows its end".to_owned());
        }
        let (record, length) = Record::decode(rest)
            .map_err(|broken| format!("at byte {}: {broken}", bytes.len() - rest.len()))?;
        rest = &rest[length..];
        match Summary::of(&record) {
            Some(last) => summary = Some(last),
            None => drop(contents.records.insert(record.key.clone(), record)),
        }
    }
    contents.counted(summary).map_err(|problem| match problem {
        Problem::Damaged { what, .. } => what,
        Problem::TooNew { found } => format!("a later version wrote it (schema {found})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(sequence: u64) -> Contents {
        let mut contents = Contents::default();
        contents.summary.sequence = sequence;
        for (key, content) in [("object/ConfigMap/default/a", Content::Written), ("note/b", Content::Note)] {
            let value = format!("{key} {sequence}").into_bytes();
            let record = Record::new(sequence, content, key.to_owned(), value);
            contents.records.insert(key.to_owned(), record);
        }
        contents
    }

    #[test]
    fn every_damage_of_a_backup_is_noticed_and_an_older_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let backups = Backups::beside(&folder.path().join("objects.redb"));
        let older = backups.write(&contents(1), "").unwrap();
        let newer = backups.write(&contents(2), "").unwrap();
        assert_eq!(backups.newest_good().unwrap().0.path, newer);
        let whole = fs::read(&newer).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&whole[..at]).is_err(), "cut at {at}");
        }
        fs::write(&newer, &whole[..whole.len() - 1]).unwrap();
        let (backup, contents) = backups.newest_good().unwrap();
        assert_eq!((backup.path, backup.n_objects, backup.n_notes), (older, 1, 1));
        assert_eq!(contents.summary.sequence, 1);
    }

    #[test]
    fn only_their_owner_reads_backups_and_few_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let backups = Backups::beside(&folder.path().join("objects.redb"));
        backups.write(&contents(0), "before-upgrade").unwrap();
        for sequence in 1..20 {
            backups.write(&contents(sequence), "").unwrap();
            backups.thin_out();
        }
        let kept: Vec<u64> = backups.named().iter().map(|named| named.sequence).collect();
        assert!(kept.starts_with(&[19, 18, 17]) && kept.ends_with(&[0]) && kept.len() <= 6, "{kept:?}");
        assert_eq!(backups.covered(), 18);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&backups.folder), mode(&backups.named()[0].path)), (0o700, 0o600));
    }

    #[test]
    fn one_of_an_hour_and_one_of_a_day_are_there_at_any_time() {
        let (mut times, step) = (Vec::<i64>::new(), 180);
        for minute in 0..2000 {
            times.insert(0, minute * step);
            let ages: Vec<i64> = times.iter().map(|time| times[0] - time).collect();
            for index in superfluous(&ages).into_iter().rev() {
                times.remove(index);
            }
            assert!(times.len() <= NEWEST_KEPT + 2 * AGES_KEPT.len(), "{times:?}");
        }
        let newest = times[0];
        assert!(times.iter().any(|time| (3600..=2 * 3600).contains(&(newest - time))), "{times:?}");
        assert!(times.iter().any(|time| newest - time >= 24 * 3600), "{times:?}");
    }
}
