//! Manifests as people name them on the command line: files, folders, standard input.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use manifest::{Finding, Object};
use serde_json::json;

/// The annotation that keeps the folder of an object's manifest, where its relative paths start.
pub(crate) const BASE_DIRECTORY: &str = "forebay.dev/base-directory";

/// Where the annotations stand that go with each kind of replica.
const ANNOTATED: [(&str, &[&str]); 3] = [
    ("Deployment", &["spec", "template", "metadata", "annotations"]),
    ("InferenceService", &["metadata", "annotations"]),
    ("Pod", &["metadata", "annotations"]),
];

/// The largest manifest that is read, in bytes.
const FILE_LIMIT: u64 = 16 << 20;

/// Paths of manifests, the same for every command that takes them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Paths {
    /// Manifests: files, folders (their *.yaml, *.yml and *.json), or - for standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// The same, as kubectl has it
    #[arg(short, long = "filename", value_name = "PATH")]
    filename: Vec<PathBuf>,
}

/// What was read, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    pub(crate) objects: Vec<Object>,
    pub(crate) findings: Vec<Finding>,
}

impl Paths {
    /// All paths, in the order they were named.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        self.paths.iter().chain(&self.filename).cloned().collect()
    }

    /// All paths; an error when there is none.
    pub(crate) fn required(&self) -> anyhow::Result<Vec<PathBuf>> {
        let all = self.all();
        if all.is_empty() {
            bail!("name a manifest, a folder of manifests, or - for standard input");
        }
        Ok(all)
    }
}

/// Reads manifests. A folder gives its own files in the order of their names, not those of folders in it.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Manifests> {
    let mut manifests = Manifests::default();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            io::stdin().take(FILE_LIMIT).read_to_string(&mut text).context("cannot read standard input")?;
            manifests.add("-", &text, &std::env::current_dir().unwrap_or_default());
        } else if path.is_dir() {
            let files = manifests_in(path)?;
            if files.is_empty() {
                bail!("`{}` holds no *.yaml, *.yml or *.json", path.display());
            }
            for file in files {
                manifests.add_file(&file)?;
            }
        } else {
            manifests.add_file(path)?;
        }
    }
    Ok(manifests)
}

fn manifests_in(folder: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    let is_manifest = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        matches!(extension, "yaml" | "yml" | "json") && path.is_file()
    };
    Ok(entries.flatten().map(|entry| entry.path()).filter(is_manifest).collect())
}

impl Manifests {
    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let context = || format!("cannot read `{}`", path.display());
        let length = fs::metadata(path).with_context(context)?.len();
        if length > FILE_LIMIT {
            bail!("`{}` is larger than {FILE_LIMIT} bytes: not a manifest", path.display());
        }
        let text = fs::read_to_string(path).with_context(context)?;
        let folder = fs::canonicalize(path).with_context(context)?;
        self.add(&path.display().to_string(), &text, folder.parent().unwrap_or(Path::new("/")));
        Ok(())
    }

    /// Adds the objects of one text, whose relative paths start in `folder`.
    pub(crate) fn add(&mut self, file: &str, text: &str, folder: &Path) {
        let read = manifest::read(file, text);
        self.findings.extend(read.findings);
        self.objects.extend(read.objects.into_iter().map(|object| remember_folder(object, folder)));
    }
}

/// Keeps the folder of a manifest with the replicas it asks for, unless somebody has done so before.
fn remember_folder(mut object: Object, folder: &Path) -> Object {
    let Some((_, path)) = ANNOTATED.iter().find(|(kind, _)| *kind == object.kind.kind) else { return object };
    let mut value = &mut object.value;
    for key in *path {
        if value[key].is_null() {
            value[key] = json!({});
        }
        value = &mut value[key];
        if !value.is_object() {
            // What stands there is wrong, and has a finding of its own.
            return object;
        }
    }
    if value[BASE_DIRECTORY].is_null() {
        value[BASE_DIRECTORY] = json!(folder);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: forebay}]}\n";

    #[test]
    fn a_folder_gives_its_manifests_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.yaml", POD.replace("name: a", "name: b")),
            ("a.yml", POD.to_owned()),
            ("c.txt", "?".to_owned()),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::create_dir(folder.path().join("d.yaml")).unwrap();
        let manifests = read(&[folder.path().to_owned()]).unwrap();
        let names: Vec<&str> = manifests.objects.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let base = fs::canonicalize(folder.path()).unwrap();
        assert_eq!(manifests.objects[0].annotation(BASE_DIRECTORY), base.to_str());
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let error = read(&["/nowhere/at/all.yaml".into()]).unwrap_err();
        assert!(format!("{error:#}").contains("/nowhere/at/all.yaml"), "{error:#}");
    }
}
