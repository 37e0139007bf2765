//! Manifests as people name them on the command line: files, folders, standard input.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use manifest::{BASE_DIRECTORY, DEFINITION, Finding, Kinds, Location, NoText, Object, codes};
use plan::ObjectRef;
use serde_json::json;

use crate::client::Client;

/// The kinds that start replicas, and so may name paths.
const WITH_PATHS: [&str; 3] = ["Deployment", "InferenceService", "Pod"];

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
    /// The kinds that there are beside those of the program.
    kinds: Kinds,
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
    Ok(of_texts(&texts(paths)?, &[]))
}

/// The same with the kinds that definitions declare beside those of the manifests.
pub(crate) fn read_beside(paths: &[PathBuf], definitions: &[Arc<Object>]) -> anyhow::Result<Manifests> {
    Ok(of_texts(&texts(paths)?, definitions))
}

/// The same with the kinds of the platform, which is asked where the manifests name kinds that are not known.
pub(crate) async fn read_for(client: &Client, paths: &[PathBuf]) -> anyhow::Result<Manifests> {
    let texts = texts(paths)?;
    let manifests = of_texts(&texts, &[]);
    if !manifests.has_unknown() {
        return Ok(manifests);
    }
    Ok(of_texts(&texts, &client.definitions().await?))
}

/// What texts say. A definition may stand behind the objects of its kind.
fn of_texts(texts: &[(String, Text)], definitions: &[Arc<Object>]) -> Manifests {
    let kinds = |own: &[Arc<Object>]| Kinds::default().declared_by(definitions.iter().chain(own));
    let manifests = Manifests::of(texts, &kinds(&[]));
    let own: Vec<Arc<Object>> =
        manifests.objects.iter().filter(|it| it.kind.key == DEFINITION).cloned().map(Arc::new).collect();
    if own.is_empty() { manifests } else { Manifests::of(texts, &kinds(&own)) }
}

/// The text of a file with the folder that its relative paths start in, or why it has none.
pub(crate) type Text = Result<(String, PathBuf), NoText>;

/// The names and the texts of all files.
pub(crate) fn texts(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, Text)>> {
    let mut texts = Vec::new();
    let mut add = |path: &Path, text| texts.push((path.display().to_string(), text));
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            io::stdin().take(FILE_LIMIT).read_to_end(&mut bytes).context("cannot read standard input")?;
            let folder = std::env::current_dir().unwrap_or_default();
            add(path, manifest::text_of(bytes).map(|text| (text, folder)));
        } else if path.is_dir() {
            let files = manifests_in(path)?;
            if files.is_empty() {
                bail!("`{}` holds no *.yaml, *.yml or *.json{}", path.display(), folders_that_do(path));
            }
            files.iter().for_each(|file| add(file, plain_text_of(file)));
        } else {
            fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            // What is named may be a pipe, as shells make them of `<(kustomize build)`.
            add(path, text_of(path));
        }
    }
    Ok(texts)
}

/// The objects that the API refuses and that nobody can make sense of here. They are not stored from files either: what was
/// there before goes on.
pub(crate) fn refused(objects: &[Object]) -> BTreeSet<ObjectRef> {
    let is_refused =
        |object: &&Object| manifest::violations(object).iter().any(|violation| !violation.is_bearable());
    objects.iter().filter(is_refused).map(Object::reference).collect()
}

/// Adds to what is said of such objects the words in which the API refuses them.
pub(crate) fn add_words_of_api(objects: &[Object], findings: &mut [Finding]) {
    let wrong: BTreeSet<ObjectRef> = findings
        .iter()
        .filter(|finding| finding.is_error())
        .filter_map(|finding| finding.object.clone())
        .collect();
    for object in objects.iter().filter(|object| wrong.contains(&object.reference())) {
        let violations = manifest::violations(object).into_iter();
        for violation in violations.filter(|violation| !violation.is_bearable()) {
            let is_same = |finding: &&mut Finding| {
                finding.is_error()
                    && finding.object.as_ref() == Some(&object.reference())
                    && finding.field.as_ref() == Some(&violation.field)
            };
            if let Some(finding) = findings.iter_mut().find(is_same) {
                finding.message = format!("{} ({})", finding.message, violation.message());
            }
        }
    }
}

/// Whether nothing can be read at a path that may once have held manifests.
pub(crate) fn are_gone(path: &Path) -> bool {
    let is_empty_folder = || path.is_dir() && manifests_in(path).is_ok_and(|files| files.is_empty());
    path.as_os_str() != "-" && (!path.exists() || is_empty_folder())
}

/// The folders in a folder that hold manifests, as a hint.
fn folders_that_do(folder: &Path) -> String {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let holds = |path: &PathBuf| path.is_dir() && manifests_in(path).is_ok_and(|files| !files.is_empty());
    let mut names: Vec<String> = folders.filter(holds).map(|path| format!("`{}`", path.display())).collect();
    names.sort();
    if names.is_empty() { String::new() } else { format!("; these do: {}", names.join(", ")) }
}

fn manifests_in(folder: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
    let is_manifest = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        matches!(extension, "yaml" | "yml" | "json") && !path.is_dir()
    };
    Ok(entries.flatten().map(|entry| entry.path()).filter(is_manifest).collect())
}

impl Manifests {
    fn of(texts: &[(String, Text)], kinds: &Kinds) -> Self {
        let mut manifests = Self { kinds: kinds.clone(), ..Self::default() };
        texts.iter().for_each(|(file, text)| manifests.add_file(file, text));
        manifests.findings.extend(manifest::replaced(&manifests.objects));
        manifests
    }

    /// Whether objects were left out whose kinds another one may know.
    pub(crate) fn has_unknown(&self) -> bool {
        let codes = [&codes::KIND_IGNORED, &codes::KIND_UNKNOWN, &codes::API_VERSION_UNSUPPORTED];
        self.findings.iter().any(|finding| codes.iter().any(|code| code.name == finding.code))
    }

    /// Adds a file with its text. One that has none costs only itself.
    fn add_file(&mut self, file: &str, text: &Text) {
        match text {
            Ok((text, folder)) => self.add(file, text, folder),
            Err(NoText { line, problem }) => {
                let file = file.to_owned();
                let location = Location { file, line: *line, column: 1, text: String::new() };
                let finding = Finding::new(&codes::DOCUMENT_INVALID, problem.clone());
                self.findings.push(Finding { location: Some(location), ..finding });
            }
        }
    }

    /// Adds the objects of one text, whose relative paths start in `folder`.
    pub(crate) fn add(&mut self, file: &str, text: &str, folder: &Path) {
        let read = manifest::read_with(file, text, self.kinds.clone());
        self.findings.extend(read.findings);
        self.objects.extend(read.objects.into_iter().map(|object| remember_folder(object, folder)));
    }
}

fn unreadable(error: &io::Error) -> NoText {
    NoText { line: 1, problem: format!("the file cannot be read: {error}") }
}

/// The text of a plain file. Anything else that lies in a folder would be waited for.
fn plain_text_of(path: &Path) -> Result<(String, PathBuf), NoText> {
    if !fs::metadata(path).map_err(|error| unreadable(&error))?.is_file() {
        let problem = "this is a pipe, socket or device, not a file".to_owned();
        return Err(NoText { line: 1, problem });
    }
    text_of(path)
}

/// The text of a file, and the folder it is in.
fn text_of(path: &Path) -> Result<(String, PathBuf), NoText> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| unreadable(&error))?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > FILE_LIMIT {
        let problem = format!("the file is larger than {FILE_LIMIT} bytes: not a manifest");
        return Err(NoText { line: 1, problem });
    }
    let text = manifest::text_of(bytes)?;
    let folder = fs::canonicalize(path).map_err(|error| unreadable(&error))?;
    Ok((text, folder.parent().unwrap_or(Path::new("/")).to_owned()))
}

/// Keeps the folder of a manifest beside the object that may name paths in it, unless somebody has done so before.
fn remember_folder(mut object: Object, folder: &Path) -> Object {
    if !WITH_PATHS.contains(&object.kind.key) {
        return object;
    }
    let annotations = &mut object.value["metadata"]["annotations"];
    if annotations.is_null() {
        *annotations = json!({});
    }
    // What is no map is wrong, and has a finding of its own.
    if annotations.is_object() && annotations[BASE_DIRECTORY].is_null() {
        annotations[BASE_DIRECTORY] = json!(folder);
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
    fn a_folder_of_folders_says_where_manifests_are() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("wine/model")).unwrap();
        fs::write(folder.path().join("wine/a.yaml"), POD).unwrap();
        let error = read(&[folder.path().to_owned()]).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("; these do: `{}`", folder.path().join("wine").display())),
            "{error}"
        );
    }

    #[test]
    fn an_object_that_stands_there_twice_is_told() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yaml"] {
            fs::write(folder.path().join(name), POD).unwrap();
        }
        let [finding] = &read(&[folder.path().to_owned()]).unwrap().findings[..] else { panic!() };
        assert!(finding.location.as_ref().unwrap().file.ends_with("a.yaml"));
        let message = &finding.message;
        assert!(message.starts_with("Pod default/a stands there again at "), "{message}");
        assert!(message.contains("b.yaml:"), "{message}");
    }

    #[test]
    fn kinds_that_the_same_files_declare_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let object = "apiVersion: example.com/v1\nkind: Apple\nmetadata: {name: a}\nspec: {size: 3}\n";
        fs::write(folder.path().join("a.yaml"), object).unwrap();
        let before = read(&[folder.path().to_owned()]).unwrap();
        assert!(before.objects.is_empty() && before.has_unknown());
        let definition = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: apples.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {plural: apples, kind: Apple}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}
";
        fs::write(folder.path().join("b.yaml"), definition).unwrap();
        let read = read(&[folder.path().to_owned()]).unwrap();
        let names: Vec<String> = read.objects.iter().map(|object| object.reference().to_string()).collect();
        assert_eq!(names, ["Apple.example.com a", "CustomResourceDefinition apples.example.com"]);
        assert!(read.findings.is_empty(), "{:?}", read.findings);
    }

    #[test]
    fn a_file_that_is_no_text_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.yaml"), POD).unwrap();
        fs::write(path("latin.yaml"), b"# caf\n# caf\xe9\n").unwrap();
        fs::File::create(path("large.yaml")).unwrap().set_len(FILE_LIMIT + 1).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket.yaml")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("gone.yaml")).unwrap();
        let manifests = read(&[folder.path().to_owned()]).unwrap();
        assert_eq!(manifests.objects.len(), 1);
        let told: Vec<String> = manifests
            .findings
            .iter()
            .map(|finding| {
                assert!(finding.is_error());
                let location = finding.location.as_ref().unwrap();
                let name = Path::new(&location.file).file_name().unwrap().to_str().unwrap();
                format!("{name}:{} {}", location.line, finding.message)
            })
            .collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].starts_with("gone.yaml:1 the file cannot be read"), "{told:?}");
        assert!(told[1].starts_with("large.yaml:1 the file is larger"), "{told:?}");
        assert!(told[2].starts_with("latin.yaml:2 the file is not UTF-8"), "{told:?}");
        assert!(told[3].starts_with("socket.yaml:1 this is a pipe"), "{told:?}");
    }

    #[test]
    fn what_the_api_refuses_is_told_in_its_words_too_with_the_place() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: two\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata: {labels: {app: a}}\n    spec: {containers: [{name: c, image: forebay}]}\n";
        let objects = manifest::read("a.yaml", text).objects;
        assert_eq!(refused(&objects).len(), 1);
        let defaults = manifest::Defaults::default();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let mut findings = manifest::findings(&objects.iter().cloned().collect(), &defaults, now);
        add_words_of_api(&objects, &mut findings);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert!(finding.is_error());
        assert_eq!(
            finding.message,
            "spec.replicas is the text `two`, not a whole number from 0 (json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32)"
        );
        assert_eq!(finding.location.as_ref().unwrap().to_string(), "a.yaml:5:3");
        let bearable = manifest::read(
            "b.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: Foo, ports: [{port: 80}]}\n",
        );
        assert!(refused(&bearable.objects).is_empty(), "what is followed all the same is stored");
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let error = read(&["/nowhere/at/all.yaml".into()]).unwrap_err();
        assert!(format!("{error:#}").contains("/nowhere/at/all.yaml"), "{error:#}");
    }
}
