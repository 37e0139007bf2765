//! A process that writes objects is killed at random instants; what it was told is stored must be there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use control::store::{DeleteOptions, Mode, Store};
use manifest::Object;
use serde_json::json;

const FILE: &str = "CRASH_TEST_FILE";
const KILLS: u32 = 12;
/// The writer keeps this many objects and deletes older ones.
const KEPT: u64 = 20;

fn config_maps() -> &'static manifest::Kind {
    manifest::kind_named("ConfigMap").unwrap()
}

/// Not a test by itself: the process that is killed. It writes one object after the other, and says so after each.
#[test]
fn writer() {
    let Ok(file) = std::env::var(FILE) else { return };
    let store = Store::open(Path::new(&file)).unwrap();
    println!("\nrevision {}", store.revision());
    let first = store.note("next").map_or(0, |note| note.parse::<u64>().unwrap());
    for n in first.. {
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{n}")},
            "data": {"n": n.to_string(), "padding": "x".repeat(usize::try_from(n % 7 * 900).unwrap())}});
        let results = store.apply(vec![Object::from_value(value).unwrap()]);
        results.into_iter().for_each(|result| drop(result.unwrap()));
        println!("wrote {n}");
        if let Some(old) = n.checked_sub(KEPT) {
            let _ = store.delete(
                (config_maps(), "default", &format!("c{old}")),
                &DeleteOptions::default(),
                Mode::Commit,
            );
            println!("deleted {old}");
        }
        store.set_note("next", Some(&(n + 1).to_string())).unwrap();
    }
}

#[test]
fn f_13_what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.redb");
    let (mut wrote, mut deleted, mut revision) = (None, None, 0);
    for kill in 0..KILLS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["crash::writer", "--exact", "--nocapture"])
            .env(FILE, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut kill_at = None;
        for line in lines.map_while(Result::ok) {
            let Some((word, number)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "revision" => {
                    assert!(number > revision, "revision {number} was given out before");
                    revision = number;
                    // Instants that fall everywhere in a write: a few microseconds further each time.
                    kill_at = Some(Instant::now() + Duration::from_micros(3_000 + u64::from(kill) * 1_717));
                }
                "wrote" => wrote = Some(number),
                "deleted" => deleted = Some(number),
                _ => {}
            }
            if kill_at.is_some_and(|kill_at| Instant::now() >= kill_at) {
                let _ = writer.kill();
            }
        }
        writer.wait().unwrap();
        check(&file, wrote, deleted);
    }
    assert!(wrote.is_some_and(|wrote| wrote > 0), "nothing was ever written");
}

fn check(file: &Path, wrote: Option<u64>, deleted: Option<u64>) {
    let store = Store::open(file).unwrap();
    let Some(wrote) = wrote else { return };
    for n in 0..=wrote {
        let object = store.get(config_maps(), "default", &format!("c{n}"));
        if deleted.is_some_and(|deleted| n <= deleted) {
            assert!(object.is_err(), "c{n} was deleted, and is back");
        // The one after the last acknowledged delete may have been deleted without a word.
        } else if deleted.map_or(0, |deleted| deleted + 1) != n || n + KEPT > wrote {
            assert_eq!(object.unwrap().value["data"]["n"], n.to_string(), "c{n} is lost");
        }
    }
}
