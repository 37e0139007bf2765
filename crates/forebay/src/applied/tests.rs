use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::manifests;

/// A store, and folders that are applied to it again and again.
struct Machine {
    store: Store,
    folder: TempDir,
}

fn config(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

impl Machine {
    fn new() -> Self {
        Self { store: Store::in_memory(), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, folder: &str) -> PathBuf {
        self.folder.path().join(folder)
    }

    /// Makes a folder hold these texts and nothing else.
    fn write(&self, folder: &str, texts: &[&str]) {
        let path = self.path(folder);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        for (index, text) in texts.iter().enumerate() {
            fs::write(path.join(format!("{index}.yaml")), text).unwrap();
        }
    }

    fn write_configs(&self, folder: &str, names: &str) {
        let texts: Vec<String> = names.split(' ').map(config).collect();
        self.write(folder, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn up(&self, folders: &[&str], prune: bool) -> Removal {
        let paths: Vec<PathBuf> = folders.iter().map(|folder| self.path(folder)).collect();
        let manifests = manifests::read(&paths).unwrap();
        let quiet = Globals { state_dir: None, color: crate::globals::Color::Never, verbose: 0, quiet: true };
        let removal = Removal::of(&self.store, &manifests, &paths).confirm(prune, When::Running, &quiet);
        apply(&self.store, manifests.objects, &removal);
        removal
    }

    fn names(&self) -> String {
        let objects = self.store.objects();
        objects.of_kind("ConfigMap").map(|object| object.name.clone()).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn what_the_path_no_longer_has_goes_unless_somebody_else_made_it() {
    let machine = Machine::new();
    machine.write_configs("app", "a b c");
    machine.up(&["app"], false);
    assert_eq!(machine.names(), "a b c");
    let a = machine.store.objects().get("ConfigMap", "default", "a").cloned().unwrap();
    assert!(!a.value.to_string().contains("forebay.dev/"), "nothing that `kubectl diff` would show: {a:?}");
    let b = (a.kind, "default", "b");
    machine.store.delete(b, &DeleteOptions::default(), Mode::Commit).unwrap();
    let by_somebody = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}});
    machine.store.create(Object::from_value(by_somebody).unwrap(), Mode::Commit).unwrap();
    machine.write_configs("app", "a");
    machine.up(&["app"], false);
    assert_eq!(machine.names(), "a b");
}

#[test]
fn what_came_from_another_path_stays_and_is_told() {
    let machine = Machine::new();
    machine.write_configs("one", "a b");
    machine.write_configs("two", "c");
    machine.up(&["one"], false);
    let removal = machine.up(&["two"], true);
    assert_eq!(machine.names(), "a b c");
    assert_eq!(removal.elsewhere.values().copied().collect::<Vec<_>>(), [2]);
    // It moves to another path: it belongs to that one from now on.
    machine.write_configs("one", "a");
    machine.write_configs("two", "b c");
    machine.up(&["two"], false);
    machine.up(&["one"], false);
    assert_eq!(machine.names(), "a b c");
    machine.write_configs("two", "c");
    machine.up(&["one", "two"], false);
    assert_eq!(machine.names(), "a c");
}

#[test]
fn more_than_three_are_not_removed_unless_somebody_says_so() {
    let machine = Machine::new();
    machine.write_configs("app", "a b c d e");
    machine.up(&["app"], false);
    machine.write_configs("app", "e");
    assert_eq!(machine.up(&["app"], false).objects.len(), 0);
    assert_eq!(machine.names(), "a b c d e");
    assert_eq!(machine.up(&["app"], true).objects.len(), 4, "it is still known where they came from");
    assert_eq!(machine.names(), "e");
}

#[test]
fn a_file_that_cannot_be_read_removes_nothing() {
    let machine = Machine::new();
    machine.write_configs("app", "a b");
    machine.up(&["app"], false);
    machine.write("app", &[&config("a"), "kind: ConfigMap\nmetadata: [\n"]);
    assert_eq!(machine.up(&["app"], true).unclear.len(), 1);
    assert_eq!(machine.names(), "a b");
    machine.write_configs("app", "a");
    machine.up(&["app"], false);
    assert_eq!(machine.names(), "a");
}

#[test]
fn a_namespace_that_holds_what_others_wrote_stays() {
    const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: mlops}\n";
    let machine = Machine::new();
    machine.write("app", &[NAMESPACE]);
    machine.up(&["app"], false);
    let by_kubectl =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "mlops"}});
    machine.store.create(Object::from_value(by_kubectl).unwrap(), Mode::Commit).unwrap();
    machine.write("app", &[&config("a")]);
    let removal = machine.up(&["app"], true);
    assert_eq!(listed(&removal.inhabited), "Namespace mlops");
    assert_eq!(machine.names(), "a x");
    let x = (manifest::kind_named("ConfigMap").unwrap(), "mlops", "x");
    machine.store.delete(x, &DeleteOptions::default(), Mode::Commit).unwrap();
    machine.up(&["app"], false);
    assert!(machine.store.objects().get("Namespace", "", "mlops").is_none());
}

#[test]
fn what_an_earlier_build_applied_from_somewhere_stays() {
    let machine = Machine::new();
    machine.write_configs("app", "a b");
    machine.up(&["app"], false);
    let (key, note) = machine.store.notes_with_prefix(APPLIED_NOTE).remove(0);
    machine.store.set_note(&key, None).unwrap();
    machine.store.set_note(OLD_NOTE, Some(&note)).unwrap();
    machine.write_configs("app", "a");
    machine.up(&["app"], true);
    assert_eq!((machine.names().as_str(), machine.store.note(OLD_NOTE)), ("a b", None));
}

#[test]
fn only_a_folder_that_was_never_used_has_no_past() {
    let machine = Machine::new();
    assert_eq!(earlier(&machine.store), None);
    machine.write_configs("app", "a b");
    machine.up(&["app"], false);
    let told = earlier(&machine.store).unwrap();
    let path = fs::canonicalize(machine.path("app")).unwrap();
    assert_eq!(told, format!("going on with what was applied before: 2 objects, from `{}`", path.display()));
    assert!(has_some_of(&machine.store, machine.folder.path()));
    assert!(!has_some_of(&machine.store, &machine.path("two")));
    machine.write("app", &["# nothing\n"]);
    machine.up(&["app"], true);
    assert!(earlier(&machine.store).unwrap().contains("without objects"));
}

#[test]
fn the_commands_that_remove_what_is_left_may_be_pasted() {
    let object = |kind: &str, namespace: &str, name: &str| {
        let kind = manifest::kind_named(kind).unwrap();
        let value = json!({"apiVersion": kind.api_version(), "kind": kind.kind,
            "metadata": {"name": name, "namespace": namespace}});
        Arc::new(Object::from_value(value).unwrap())
    };
    let objects = [object("Service", "b", "x"), object("Deployment", "a", "y"), object("Service", "a", "y")];
    assert_eq!(
        delete_commands(&objects),
        ["forebay delete deployment/y service/y -n a", "forebay delete service/x -n b"]
    );
    assert_eq!((quoted("/a/b-1"), quoted("it's")), ("/a/b-1".to_owned(), r"'it'\''s'".to_owned()));
    let many: Vec<ObjectRef> = (0..10).map(|n| ObjectRef::new("Service", "a", &format!("s{n}"))).collect();
    assert!(named(&many).ends_with("Service a/s7 and 2 more"), "{}", named(&many));
}

#[test]
fn one_object_of_another_path_is_told_of_as_one() {
    let told = [
        "1 object that came from `a b` runs too; `forebay delete -f 'a b'` removes it",
        "2 objects that came from `a b` run too; `forebay delete -f 'a b'` removes them",
    ];
    assert_eq!([1, 2].map(|n_objects| told_of_elsewhere("a b", n_objects)), told);
}
