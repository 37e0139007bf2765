//! Which crate may know which: the arrows of ARCHITECTURE.md, checked against the manifests.

use std::collections::BTreeMap;

use crate::tools::root;

/// A crate, and what of ours it may use. A new arrow is a page in docs/decisions.
const ARROWS: &[(&str, &[&str])] = &[
    ("plan", &[]),
    ("net", &[]),
    ("models", &[]),
    ("schema", &[]),
    ("traces", &[]),
    ("manifest", &["plan", "schema"]),
    ("proxy", &["net", "plan", "traces"]),
    ("serving", &["models", "net", "traces"]),
    ("control", &["manifest", "plan", "schema"]),
    ("forebay", &["control", "manifest", "models", "net", "plan", "proxy", "serving", "traces"]),
    ("testkit", &[]),
];

/// Libraries that only some crates may use.
const KEEPERS: &[(&str, &[&str])] = &[
    ("anyhow", &["forebay"]),
    ("clap", &["forebay"]),
    ("object_store", &["forebay"]),
    ("redb", &["control"]),
    ("tokio", &["control", "forebay", "net", "proxy", "serving", "traces"]),
];

/// The dependencies of each crate; those of tests only are left out.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let crates = std::fs::read_dir(root().join("crates")).unwrap();
    let manifests = crates.map(|entry| entry.unwrap().path().join("Cargo.toml"));
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let section = text.split("\n[dependencies]").nth(1).unwrap_or_default();
        let section = section.split("\n[").next().unwrap_or_default();
        let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        let name = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        (name, names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
    };
    manifests.map(read).collect()
}

#[test]
fn every_arrow_is_in_the_architecture() {
    for (name, uses) in dependencies() {
        let allowed = ARROWS.iter().find(|(known, _)| *known == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("crate `{name}` is not in the table of arrows"));
        for used in uses.iter().filter(|used| ARROWS.iter().any(|(ours, _)| ours == used)) {
            assert!(allowed.contains(&used.as_str()), "`{name}` must not know `{used}`: see ARCHITECTURE.md");
        }
    }
}

#[test]
fn some_libraries_have_one_keeper() {
    for (name, uses) in dependencies() {
        for (library, keepers) in KEEPERS {
            let uses_it = uses.iter().any(|used| used == library);
            assert!(!uses_it || keepers.contains(&name.as_str()), "`{name}` must not use `{library}`");
        }
    }
}

#[test]
fn no_module_is_named_after_nothing() {
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let is_vague = ["common", "core", "util", "utils", "helpers", "types", "misc", "mod"]
                .contains(&stem.as_str());
            assert!(!is_vague, "{} is named after nothing it holds", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[test]
fn every_fuzzing_body_has_a_target() {
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let mut targets = String::new();
    for entry in std::fs::read_dir(root().join("fuzz/targets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let n_entries = manifest.matches(&format!("path = \"targets/{name}\"")).count();
        assert_eq!(n_entries, 1, "fuzz/Cargo.toml names targets/{name} so many times");
        targets += &std::fs::read_to_string(path).unwrap();
    }
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let source = entry.unwrap().path().join("src");
        let name = source.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let read = |file: &str| std::fs::read_to_string(source.join(file)).unwrap_or_default();
        let library = read("lib.rs");
        let bodies = match library.split_once("pub mod fuzzing") {
            Some((_, rest)) if rest.starts_with(';') => read("fuzzing.rs"),
            Some((_, rest)) => rest.split_once("\n}\n").unwrap().0.to_owned(),
            None => continue,
        };
        for body in bodies.lines().filter_map(|line| line.trim().strip_prefix("pub fn ")) {
            let (body, rest) = body.split_once('(').unwrap();
            assert!(rest.ends_with(": &[u8]) {"), "{name}::fuzzing::{body} does not take any bytes");
            assert!(
                targets.contains(&format!(" {name}::fuzzing::{body}(")),
                "fuzz/ has no target for {name}::fuzzing::{body}"
            );
        }
    }
}

/// The first command of the README names no package.
#[test]
fn cargo_run_runs_the_product() {
    let told = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    let members = text.split("\"workspace_default_members\":[").nth(1).unwrap().split(']').next().unwrap();
    assert!(members.contains("/forebay#"), "{members}");
    assert!(!members.contains(','), "`cargo run` cannot choose among {members}");
}
