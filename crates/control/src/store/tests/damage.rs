//! Files that are damaged: each is noticed, and what it still holds comes back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use redb::{ReadableDatabase, TableDefinition};
use tempfile::TempDir;

use super::*;
use crate::store::contents::{self, FileState, NUMBERS, OLD_NOTES, OLD_OBJECTS, RECORDS, SCHEMA};
use crate::store::record::Record;

/// Where a flush costs nothing, if there is such a place.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// What a store says, without what differs from start to start.
fn told(store: &Store) -> BTreeMap<String, String> {
    let objects = store.objects();
    let objects = objects.iter().map(|object| (object.reference().to_string(), object.value.to_string()));
    objects.chain(store.notes_with_prefix("")).collect()
}

/// A store that was used and has ended.
struct Used {
    folder: TempDir,
    bytes: Vec<u8>,
    told: BTreeMap<String, String>,
}

impl Used {
    /// With a backup in the middle of its life, and changes of all sorts after it.
    fn new() -> Self {
        Self::with_namespaces(0)
    }

    /// The same with so many namespaces more: other pages of the file are used again.
    fn with_namespaces(n_namespaces: usize) -> Self {
        let folder = folder();
        let store = Store::open(&folder.path().join("objects.redb")).unwrap();
        for n in 0..n_namespaces {
            store.create(object("Namespace", &format!("n{n}"), &json!({})), Mode::Commit).unwrap();
        }
        let padded = |n: usize, by: &str| config(&format!("c{n}"), &by.repeat(1 + n * 37 % 900));
        store.apply((0..30).map(|n| padded(n, "a")).collect());
        store.set_note("address", Some("1")).unwrap();
        store.set_note("gone", Some("1")).unwrap();
        store.state.borrow_mut().back_up(Instant::now());
        for n in (0..30).step_by(3) {
            apply(&store, padded(n, "b"));
        }
        for name in ["c1", "c4"] {
            store.delete(key("ConfigMap", name), &DeleteOptions::default(), Mode::Commit).unwrap();
        }
        store.set_note("address", Some("2")).unwrap();
        store.set_note("gone", None).unwrap();
        apply(&store, config("last", "1"));
        store.derive(object("Event", "a", &json!({"reason": "Started"})));
        store.state.borrow_mut().write_to_disk(Batch::default()).unwrap();
        let told = told(&store);
        drop(store);
        let bytes = fs::read(folder.path().join("objects.redb")).unwrap();
        Self { folder, bytes, told }
    }

    /// The file with other bytes, in a folder of its own with the same backups.
    fn with(&self, bytes: &[u8]) -> (TempDir, PathBuf) {
        let folder = folder();
        fs::create_dir(folder.path().join("backups")).unwrap();
        for backup in fs::read_dir(self.folder.path().join("backups")).unwrap().flatten() {
            fs::copy(backup.path(), folder.path().join("backups").join(backup.file_name())).unwrap();
        }
        let file = folder.path().join("objects.redb");
        fs::write(&file, bytes).unwrap();
        (folder, file)
    }
}

/// Numbers that are the same in every run (SplitMix64).
struct Luck(u64);

impl Luck {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    /// Damages bytes, and says how. Half of what is hit is where something is written.
    fn damage(&mut self, bytes: &mut Vec<u8>) -> String {
        let length = bytes.len();
        let used = (bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1).min(length);
        let within = if self.below(2) == 0 { used } else { length };
        match self.below(10) {
            0..6 => {
                let n_bits = 1 + self.below(64);
                for _ in 0..n_bits {
                    let at = self.below(within);
                    bytes[at] ^= 1 << self.below(8);
                }
                format!("{n_bits} bits of {within} bytes flipped")
            }
            6..8 => {
                let (page, n_pages) = (self.below(within / 4096), 1 + self.below(4));
                let end = ((page + n_pages) * 4096).min(length);
                bytes[page * 4096..end].fill(0);
                format!("{n_pages} pages zeroed from {page}")
            }
            8 => {
                bytes.truncate(1 + self.below(length - 1));
                format!("cut to {}", bytes.len())
            }
            _ => {
                bytes.clear();
                "emptied".to_owned()
            }
        }
    }
}

/// What must be there after `restore`: what the backup says, and the file, as far as it can still be told.
fn check_restored(used: &Used, damaged: &[u8], restored: &Restored, store: &Store, how: &str) {
    let there = told(store);
    let whole = contents::verify(&used.bytes).unwrap().contents;
    let found: Vec<Record> = record::find_all(damaged).collect();
    for record in whole.records.values() {
        if !found.contains(record) {
            continue;
        }
        let name = match record.key.strip_prefix("note/") {
            Some(note) => note.to_owned(),
            None => {
                let parts: Vec<&str> = record.key.split('/').collect();
                ObjectRef::new(parts[1], parts[2], parts[3]).to_string()
            }
        };
        assert!(there.get(&name) == used.told.get(&name), "{how}: {name} is in the file");
    }
    let backup = restored.backup.as_ref().unwrap();
    let backed_up = backup::read(&backup.path).unwrap();
    assert!(there.len() >= backed_up.records.len() - 3, "{how}: {} of the backup", there.len());
}

#[test]
fn a_thousand_damages_neither_panic_nor_change_anything_without_a_word() {
    const DAMAGES: u32 = 1000;
    let used = Used::new();
    let (mut luck, mut n_started, mut n_refused, mut n_complete) = (Luck(7), 0, 0, 0);
    for number in 0..DAMAGES {
        let mut bytes = used.bytes.clone();
        let how = format!("damage {number}, {}", luck.damage(&mut bytes));
        let (_folder, file) = used.with(&bytes);
        match Store::open(&file) {
            Ok(store) => {
                n_started += 1;
                assert!(told(&store) == used.told, "{how}: it started with something else");
            }
            Err(OpenError::Damaged(damage)) => {
                n_refused += 1;
                assert!(damage.backup.is_some(), "{how}: {damage}");
                assert_eq!(fs::read(&file).unwrap(), bytes, "{how}: the file is as it was");
                let restored = restore(&file, None).unwrap_or_else(|error| panic!("{how}: {error}"));

                assert_eq!(
                    fs::read(restored.kept_aside.as_ref().unwrap()).unwrap(),
                    bytes,
                    "{how}: kept aside"
                );
                let aside = restored.kept_aside.as_ref().unwrap().display().to_string();
                assert!(aside.contains("objects.damaged-"), "{how}: {aside}");
                let store = Store::open(&file).unwrap_or_else(|error| panic!("{how}: restored, and {error}"));
                n_complete += u32::from(told(&store) == used.told);
                check_restored(&used, &bytes, &restored, &store, &how);
            }
            Err(error) => panic!("{how}: {error}"),
        }
    }
    println!(
        "{DAMAGES} damages: {n_started} did no harm, {n_refused} were told, {n_complete} came back whole"
    );
    assert!(n_started > 10 && n_refused > 300, "{n_started} started, {n_refused} were refused");
}

#[test]
fn what_came_with_a_summary_that_is_damaged_comes_back() {
    // The summary of the commit before is still there, and so is all that it counts.
    let used = Used::with_namespaces(2);
    let mut bytes = used.bytes.clone();
    let (summary, _) = contents::verify(&bytes).unwrap().contents.summary.record().encode();
    let copies: Vec<usize> = memchr::memmem::find_iter(&used.bytes, &summary).collect();
    copies.iter().for_each(|at| bytes[at + summary.len() - 1] ^= 1);
    let (_folder, file) = used.with(&bytes);
    let restored = restore(&file, None).unwrap();
    assert_eq!(restored.is_complete, None, "nobody knows what else that commit held");
    assert_eq!(told(&Store::open(&file).unwrap()), used.told);
}

#[test]
fn a_head_that_leads_to_an_older_commit_loses_nothing() {
    let used = Used::new();
    // Bit 0 of the byte behind the magic number says which of two heads counts.
    let mut bytes = used.bytes.clone();
    bytes[9] ^= 1;
    let (_folder, file) = used.with(&bytes);
    match Store::open(&file) {
        Ok(store) => assert_eq!(told(&store), used.told),
        Err(OpenError::Damaged(_)) => {
            assert_eq!(restore(&file, None).unwrap().is_complete, Some(true));
            assert_eq!(told(&Store::open(&file).unwrap()), used.told);
        }
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn refused(file: &Path, words: &str) {
    match Store::open(file) {
        Err(OpenError::Damaged(damage)) => {
            let message = damage.to_string();
            assert!(message.contains("objects.redb` is damaged: ") && message.contains(words), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

fn change(file: &Path, change: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>)) {
    let database = redb::Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&mut transaction.open_table(RECORDS).unwrap());
    transaction.commit().unwrap();
}

#[test]
fn a_record_that_vanished_came_back_or_is_another_is_noticed() {
    let used = Used::new();
    let (_folder, file) = used.with(&used.bytes);
    let a = b"object/ConfigMap/mlops/c5".as_slice();
    let mut taken = Vec::new();
    change(&file, |table| taken = table.remove(a).unwrap().unwrap().value().to_vec());
    refused(&file, "records are there");
    change(&file, |table| drop(table.insert(a, taken.as_slice()).unwrap()));
    assert_eq!(told(&Store::open(&file).unwrap()), used.told);

    let (_folder, file) = used.with(&used.bytes);
    let (older, _) =
        Record::new(1, Content::Written, String::from_utf8_lossy(a).into_owned(), b"{}".to_vec()).encode();
    change(&file, |table| drop(table.insert(a, older.as_slice()).unwrap()));
    refused(&file, "is not the one that was written last");

    let (_folder, file) = used.with(&used.bytes);
    taken[40] ^= 1;
    change(&file, |table| drop(table.insert(a, taken.as_slice()).unwrap()));
    refused(&file, "its checksum is wrong (record `ConfigMap/mlops/c5`)");
}

fn holds_records(file: &Path) -> bool {
    match Store::open(file) {
        Err(OpenError::Damaged(damage)) => damage.holds_records,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_or_missing_file_is_no_beginning_where_there_was_one() {
    let used = Used::new();
    let (folder, file) = used.with(b"");
    refused(&file, "it is empty");
    fs::remove_file(&file).unwrap();
    refused(&file, "it is not there, but backups of it are");
    let restored = restore(&file, None).unwrap();
    assert_eq!((restored.is_complete, restored.kept_aside), (None, None));
    assert_eq!(Store::open(&file).unwrap().note("address").as_deref(), Some("1"));
    drop(folder);

    let (folder, file) = used.with(&[7; 10_000]);
    fs::remove_dir_all(folder.path().join("backups")).unwrap();
    refused(&file, "");
    assert!(matches!(restore(&file, None), Err(RestoreError::Nothing { .. })));
    assert!(!holds_records(&file), "what is told before says so");
    assert_eq!(fs::read(&file).unwrap().len(), 10_000);

    let fresh = tempfile::tempdir().unwrap();
    fs::write(fresh.path().join("objects.redb"), "").unwrap();
    assert!(Store::open(&fresh.path().join("objects.redb")).is_ok());
}

#[test]
fn what_the_file_holds_comes_back_without_any_backup_too() {
    let used = Used::new();
    let mut bytes = used.bytes.clone();
    bytes[..4096].fill(0);
    let (folder, file) = used.with(&bytes);
    fs::remove_dir_all(folder.path().join("backups")).unwrap();
    assert!(holds_records(&file));
    let restored = restore(&file, None).unwrap();
    assert!(restored.backup.is_none());
    let there = told(&Store::open(&file).unwrap());
    assert!(used.told.iter().all(|(name, value)| there.get(name) == Some(value)), "{there:?}");
}

#[test]
fn a_backup_of_ones_own_choice_is_brought_back_as_it_is_and_a_good_file_is_left_alone() {
    let used = Used::new();
    let (folder, file) = used.with(&used.bytes);
    assert!(matches!(restore(&file, None), Err(RestoreError::NotDamaged { .. })));
    let chosen = folder.path().join("chosen");
    let backup = back_up(&file, Some(&chosen)).unwrap();
    assert_eq!((backup.path.as_path(), backup.n_notes > 0), (chosen.as_path(), true));
    let store = Store::open(&file).unwrap();
    assert!(matches!(restore(&file, Some(&chosen)), Err(RestoreError::Open(OpenError::InUse))));
    assert_eq!(back_up(&file, None).unwrap().n_objects, backup.n_objects, "while it is in use");
    apply(&store, config("later", "1"));
    let revision = store.revision();
    drop(store);
    let restored = restore(&file, Some(&chosen)).unwrap();
    let aside = restored.kept_aside.unwrap().display().to_string();
    assert!(aside.contains("objects.before-"), "it was not damaged: {aside}");
    let store = Store::open(&file).unwrap();
    assert_eq!(told(&store), used.told);
    assert!(store.revision() > revision, "a revision is never given out twice");
    let elsewhere = folder.path().join("new/place/objects.redb");
    restore(&elsewhere, Some(&chosen)).unwrap();
    assert_eq!(told(&Store::open(&elsewhere).unwrap()), used.told);
    let mode = fs::metadata(elsewhere.parent().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    fs::write(&chosen, "something else").unwrap();
    drop(store);
    assert!(matches!(restore(&file, Some(&chosen)), Err(RestoreError::Backup { .. })));
    assert_eq!(told(&Store::open(&file).unwrap()), used.told);
}

#[test]
fn a_file_of_the_first_schema_is_brought_to_this_one_with_a_backup() {
    let folder = folder();
    let file = folder.path().join("objects.redb");
    let database = redb::Database::create(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut objects = transaction.open_table(OLD_OBJECTS).unwrap();
        let stored = config("a", "1");
        objects.insert("ConfigMap/mlops/a", stored.value.to_string().as_bytes()).unwrap();
        let unknown = r#"{"apiVersion":"x/v9","kind":"Future","metadata":{"name":"f"}}"#;
        objects.insert("Future//f", unknown.as_bytes()).unwrap();
        transaction.open_table(OLD_NOTES).unwrap().insert("address-block", "7").unwrap();
        let mut numbers = transaction.open_table(NUMBERS).unwrap();
        numbers.insert(SCHEMA, 1).unwrap();
        numbers.insert("revision-ceiling", 1 << 20).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);

    for _ in 0..2 {
        let store = Store::open(&file).unwrap();
        assert_eq!(store.get(key("ConfigMap", "a").0, "mlops", "a").unwrap().value, config("a", "1").value);
        assert_eq!(store.note("address-block").as_deref(), Some("7"));
        assert!(store.revision() >= 1 << 20);
    }
    let verified = contents::verify(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(verified.state, FileState::Good);
    assert!(
        verified.contents.records.contains_key("object/Future//f"),
        "it stays for the version that knows it"
    );
    let backups: Vec<PathBuf> =
        fs::read_dir(folder.path().join("backups")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(
        backups.len() == 1 && backups[0].to_string_lossy().ends_with("-before-upgrade.backup"),
        "{backups:?}"
    );
    assert_eq!(backup::read(&backups[0]).unwrap().records.len(), 3);

    // A build of before sees by the number that it cannot read this.
    let database = redb::Database::open(&file).unwrap();
    let numbers: TableDefinition<'_, &str, u64> = NUMBERS;
    let transaction = database.begin_read().unwrap();
    assert_eq!(transaction.open_table(numbers).unwrap().get(SCHEMA).unwrap().unwrap().value(), 2);
}
