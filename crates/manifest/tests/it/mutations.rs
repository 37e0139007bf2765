//! Manifests with something changed in them: nothing panics, and the same bytes come out again.

use std::fs;
use std::path::Path;

use manifest::{Defaults, Objects, compile, plan_json, read, workloads};
use proptest::prelude::*;

/// Values that people, and others, put where something else should be.
const ODD: &[&str] = &[
    "-1",
    "70000",
    "99999999999999999999",
    "1e999",
    "''",
    "[]",
    "{}",
    "null",
    "true",
    "'*'",
    "'[{'",
    "ß",
    "a=b,c",
    "{type: forward}",
    "100%",
    ".nan",
    "2001-01-01",
    "'#{host}'",
    "&a [*a]",
];

/// One change: at the line with this index (of as many as there are), what happens.
#[derive(Debug, Clone)]
enum Change {
    Remove(usize),
    Repeat(usize),
    Value(usize, usize),
    Key(usize),
    Indent(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<usize>().prop_map(Change::Remove),
        any::<usize>().prop_map(Change::Repeat),
        (any::<usize>(), any::<usize>()).prop_map(|(line, odd)| Change::Value(line, odd)),
        any::<usize>().prop_map(Change::Key),
        any::<usize>().prop_map(Change::Indent),
    ]
}

fn apply(lines: &mut Vec<String>, change: &Change) {
    if lines.is_empty() {
        return;
    }
    let n_lines = lines.len();
    match change {
        Change::Remove(line) => {
            lines.remove(line % n_lines);
        }
        Change::Repeat(line) => lines.insert(line % n_lines, lines[line % n_lines].clone()),
        Change::Value(line, odd) => {
            let line = &mut lines[line % n_lines];
            if let Some((key, _)) = line.split_once(": ") {
                *line = format!("{key}: {}", ODD[odd % ODD.len()]);
            }
        }
        Change::Key(line) => {
            let line = &mut lines[line % n_lines];
            *line = line.replacen(':', "x:", 1);
        }
        Change::Indent(line) => lines[line % n_lines].insert_str(0, "  "),
    }
}

fn originals() -> Vec<String> {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let files = files.map(|file| file.unwrap().path());
    let manifests = files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    let mut texts: Vec<String> = manifests.map(|file| fs::read_to_string(file).unwrap()).collect();
    texts.sort();
    texts
}

proptest! {
    #[test]
    fn changed_manifests_compile_to_something(
        original in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let originals = originals();
        let mut lines: Vec<String> = original.get(&originals).lines().map(str::to_owned).collect();
        changes.iter().for_each(|change| apply(&mut lines, change));
        let mut read = read("f.yaml", &lines.join("\n"));
        read.objects.reverse();
        let objects: Objects = read.objects.clone().into_iter().collect();
        let plan = plan_json(&compile(&objects, &Defaults::default()));
        let _ = workloads(&objects);
        // The order in which objects come does not matter.
        read.objects.reverse();
        let references: std::collections::BTreeSet<_> = read.objects.iter().map(manifest::Object::reference).collect();
        if references.len() == read.objects.len() {
            let objects: Objects = read.objects.into_iter().collect();
            prop_assert_eq!(plan_json(&compile(&objects, &Defaults::default())), plan);
        }
    }
}
