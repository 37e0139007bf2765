//! Each folder of `tests/cases` holds manifests, perhaps an `env.json`, and the plan they must compile to, byte for byte.
//! `UPDATE_EXPECT=1` writes the plans anew.

use std::fs;
use std::path::{Path, PathBuf};

use manifest::{Defaults, Objects, compile, plan_json, read};

/// The plan of a folder's manifests, the findings of reading them included.
fn plan_of(folder: &Path) -> String {
    let mut findings = Vec::new();
    let mut objects = Objects::default();
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        let read = read(&name(file), &fs::read_to_string(file).unwrap());
        findings.extend(read.findings);
        for object in read.objects {
            objects.insert(object);
        }
    }
    let mut defaults = Defaults::default();
    if let Ok(text) = fs::read_to_string(folder.join("env.json")) {
        let (parsed, problems) = Defaults::parse("env.json", &text);
        defaults = parsed;
        findings.extend(problems);
    }
    let mut compiled = compile(&objects, &defaults);
    compiled.findings.extend(findings);
    plan_json(&compiled)
}

#[test]
fn manifests_compile_to_their_plans() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let updates = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut failed = Vec::new();
    let mut folders: Vec<PathBuf> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() > 10, "the cases are not where they should be");
    for folder in folders {
        let plan = plan_of(&folder);
        assert_eq!(plan, plan_of(&folder), "the same manifests must give the same bytes");
        let expected = folder.join("plan.json");
        if updates {
            fs::write(expected, plan).unwrap();
        } else if fs::read_to_string(expected).unwrap_or_default() != plan {
            failed.push(folder);
        }
    }
    assert!(
        failed.is_empty(),
        "other plans than expected, see with UPDATE_EXPECT=1 and git diff: {failed:#?}"
    );
}
