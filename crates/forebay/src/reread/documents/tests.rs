use std::fs;

use control::store::{Mode, Part};
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A folder of manifests, a store, and what is known of both.
struct Case {
    folder: TempDir,
    store: Store,
    documents: Documents,
}

fn config(name: &str, value: &str) -> String {
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {value}}}\n")
}

impl Case {
    /// Begins with these texts, each in a file.
    fn new(texts: &[&str]) -> Self {
        let (folder, store) = (tempfile::tempdir().unwrap(), Store::in_memory());
        let mut case = Self { folder, store, documents: Documents::default() };
        case.write(texts);
        let manifests = manifests::read(&case.paths()).unwrap();
        case.store.apply(manifests.objects.clone()).into_iter().for_each(|applied| drop(applied.unwrap()));
        case.documents.take_all(&manifests.objects, manifests.findings.is_empty(), &case.store);
        case
    }

    fn write(&self, texts: &[&str]) {
        for (index, text) in texts.iter().enumerate() {
            fs::write(self.folder.path().join(format!("{index}.yaml")), text).unwrap();
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.folder.path().to_owned()]
    }

    /// The names of what has to be applied, and of everything; `whole` where the files have to be read as a whole.
    fn changes(&mut self) -> String {
        let Some(changed) = self.documents.changes(&self.paths(), &self.store) else {
            return "whole".to_owned();
        };
        let names = |names: Vec<&str>| names.join(" ");
        let objects = names(changed.objects.iter().map(|object| object.name.as_str()).collect());
        let all = names(changed.all.iter().map(|(object, _)| object.name.as_str()).collect());
        self.store.apply(changed.objects).into_iter().for_each(|applied| drop(applied.unwrap()));
        self.documents.take(changed.by_document, &self.store);
        format!("{objects} of {all}")
    }

    fn modify(&self, name: &str, part: Part, change: impl FnOnce(&mut serde_json::Value)) {
        let kind = manifest::kind_named("ConfigMap").unwrap();
        let changed = |value: &serde_json::Value| {
            let mut value = value.clone();
            change(&mut value);
            Ok(value)
        };
        self.store.modify((kind, "default", name), part, Mode::Commit, changed).unwrap();
    }
}

#[test]
fn only_what_is_other_than_before_is_read() {
    let (a, b, c) = (config("a", "1"), config("b", "1"), config("c", "1"));
    let mut case = Case::new(&[&(a.clone() + &b), &c]);
    assert_eq!(case.changes(), " of a b c");
    case.write(&[&(a.clone() + &config("b", "2")), &c]);
    assert_eq!(case.changes(), "b of a b c");
    assert_eq!(case.changes(), " of a b c");
    // Lines before it are no matter, and what is gone is not there.
    case.write(&[&format!("# more\n\n{}{a}", config("d", "1")), &c]);
    assert_eq!(case.changes(), "d of d a c");
    // Back as it was.
    case.write(&[&(a + &b), &c]);
    assert_eq!(case.changes(), "b of a b c");
}

#[test]
fn what_somebody_else_changed_is_applied_again() {
    let mut case = Case::new(&[&(config("a", "1") + &config("b", "1"))]);
    case.modify("a", Part::Status, |value| value["status"] = json!({"seen": true}));
    assert_eq!(case.changes(), " of a b", "a status is nothing that people write");
    case.modify("a", Part::Object, |value| value["data"]["key"] = json!("2"));
    assert_eq!(case.changes(), "a of a b");
    let kind = manifest::kind_named("ConfigMap").unwrap();
    let options = control::store::DeleteOptions::default();
    case.store.delete((kind, "default", "b"), &options, Mode::Commit).unwrap();
    assert_eq!(case.changes(), "b of a b");
    case.modify("b", Part::Object, |value| value["metadata"]["labels"] = json!({"team": "x"}));
    assert_eq!(case.changes(), "b of a b");
}

#[test]
fn files_of_which_there_is_something_to_say_are_read_as_a_whole() {
    let a = config("a", "1");
    let mut case = Case::new(&[&a]);
    case.write(&[&format!("{a}---\nkind: Nothing\n")]);
    assert_eq!(case.changes(), "whole");
    case.write(&[&(a.clone() + &config("a", "2"))]);
    assert_eq!(case.changes(), "whole", "it stands there twice");
    let mut broken = Case::new(&[&format!("{a}---\nkind: Nothing\n")]);
    assert_eq!(broken.changes(), "whole");
    let none = Documents::default();
    assert!(none.changes(&case.paths(), &case.store).is_none());
    assert!(case.documents.changes(&["/nowhere".into()], &case.store).is_none());
}

#[test]
fn items_of_a_list_are_applied_each_time() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n";
    let mut case = Case::new(&[list, &config("c", "1")]);
    assert_eq!(case.changes(), "a b of a b c");
    assert_eq!(case.changes(), "a b of a b c");
}
