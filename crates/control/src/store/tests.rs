mod damage;
mod definitions;

use std::sync::atomic::{AtomicBool, Ordering};

use expect_test::{Expect, expect};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use serde_json::{Value, json};

use super::*;

fn store() -> Rc<Store> {
    Rc::new(Store::in_memory())
}

fn object(kind: &str, name: &str, fields: &Value) -> Object {
    let kind = manifest::kind_named(kind).unwrap();
    let mut value = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": name}});
    if kind.is_namespaced {
        value["metadata"]["namespace"] = json!("mlops");
    }
    merge_patch(&mut value, fields);
    Object::from_value(value).unwrap()
}

fn config(name: &str, value: &str) -> Object {
    object("ConfigMap", name, &json!({"data": {"key": value}}))
}

fn apply(store: &Store, object: Object) -> Applied {
    store.apply(vec![object]).remove(0).unwrap()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Status>, expected: &Expect) {
    let status = result.unwrap_err();
    expected.assert_eq(&format!("{} {}: {}", status.reason.code(), status.reason.as_str(), status.message));
}

fn key<'a>(kind: &str, name: &'a str) -> (&'static Kind, &'a str, &'a str) {
    (manifest::kind_named(kind).unwrap(), "mlops", name)
}

fn revision(object: &Object) -> u64 {
    metadata::text(object, "resourceVersion").unwrap().parse().unwrap()
}

#[test]
fn acc_s3_87_creating_twice_says_so() {
    let store = store();
    let namespace = object("Namespace", "mlops", &json!({}));
    let created = store.create(namespace.clone(), Mode::Commit).unwrap().object;
    assert_eq!(created.value["status"]["phase"], "Active");
    refusal(
        store.create(namespace, Mode::Commit),
        &expect![[r#"409 AlreadyExists: namespaces "mlops" already exists"#]],
    );
}

#[test]
fn refusals_are_worded_as_by_the_real_server() {
    let store = store();
    refusal(
        store.get(manifest::kind_named("isvc").unwrap(), "mlops", "x").map(|_| ()),
        &expect![[r#"404 NotFound: inferenceservices.serving.kserve.io "x" not found"#]],
    );
    let mut outdated = apply(&store, config("a", "1")).object.value.clone();
    apply(&store, config("a", "2"));
    outdated["data"]["key"] = json!("3");
    refusal(
        store.replace(Object::from_value(outdated).unwrap(), Part::Object, Mode::Commit),
        &expect![[
            r#"409 Conflict: Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again"#
        ]],
    );
    refusal(
        store.delete(
            (manifest::kind_named("ns").unwrap(), "", "default"),
            &DeleteOptions::default(),
            Mode::Commit,
        ),
        &expect![[r#"403 Forbidden: namespaces "default" is forbidden: this namespace may not be deleted"#]],
    );
    let status = store.get(key("Service", "x").0, "mlops", "x").unwrap_err().to_value();
    assert_eq!(status["details"], json!({"name": "x", "kind": "services"}));
    assert_eq!(status["code"], 404);
}

#[test]
fn acc_s0_66_a_missing_namespace_is_made_and_told() {
    let store = store();
    let applied = apply(&store, config("a", "1"));
    assert_eq!(applied.warnings, ["namespace `mlops` was not there and has been created"]);
    assert!(store.get(manifest::kind_named("ns").unwrap(), "", "mlops").is_ok());
}

#[test]
fn stored_objects_get_what_every_object_has() {
    let store = store();
    let mut forged = object("Deployment", "a", &json!({"spec": {"replicas": 2}, "status": {"replicas": 7}}));
    merge_patch(
        &mut forged.value,
        &json!({"metadata": {"uid": "mine", "generation": 9, "managedFields": [1], "resourceVersion": null}}),
    );
    let created = store.create(forged, Mode::Commit).unwrap().object;
    let metadata = &created.value["metadata"];
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(metadata["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata.get("managedFields"), None);
    assert_eq!(created.value["status"], json!({}));
    assert_eq!(created.value["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    assert_eq!(revision(&created), store.revision());
}

#[test]
fn the_generation_counts_changes_of_the_spec_only() {
    let store = store();
    let deployment = |fields: Value| object("Deployment", "a", &fields);
    let generation = |applied: Applied| applied.object.value["metadata"]["generation"].as_u64().unwrap();
    assert_eq!(generation(apply(&store, deployment(json!({"spec": {"replicas": 1}})))), 1);
    assert_eq!(generation(apply(&store, deployment(json!({"spec": {"replicas": 2}})))), 2);
    let labelled = deployment(json!({"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 2}}));
    assert_eq!(generation(apply(&store, labelled)), 2);
    let status = store.modify(key("Deployment", "a"), Part::Status, Mode::Commit, |live| {
        let mut changed = live.clone();
        changed["spec"]["replicas"] = json!(50);
        changed["status"] = json!({"replicas": 2});
        Ok(changed)
    });
    let status = status.unwrap().object;
    assert_eq!(status.value["metadata"]["generation"], 2);
    assert_eq!(status.value["spec"]["replicas"], 2, "a status write leaves the rest alone");
    assert_eq!(status.value["status"]["replicas"], 2);
}

#[test]
fn a_write_that_changes_nothing_changes_nothing() {
    let store = store();
    for kind in ["Service", "Deployment", "Secret", "Namespace", "InferenceService"] {
        let fields =
            json!({"spec": {"ports": [{"port": 80}], "type": "LoadBalancer"}, "stringData": {"a": "b"}});
        let first = apply(&store, object(kind, "a", &fields));
        assert_eq!(first.outcome, Outcome::Created);
        let second = apply(&store, object(kind, "a", &fields));
        assert_eq!(second.outcome, Outcome::Unchanged, "{kind}");
        assert_eq!(revision(&second.object), revision(&first.object), "{kind}");
    }
}

#[test]
fn applying_removes_what_was_applied_before_and_left() {
    let store = store();
    apply(&store, object("ConfigMap", "a", &json!({"data": {"x": "1", "y": "2"}})));
    let add = |live: &Value| {
        let mut changed = live.clone();
        changed["data"]["z"] = json!("by somebody else");
        Ok(changed)
    };
    store.modify(key("ConfigMap", "a"), Part::Object, Mode::Commit, add).unwrap();
    let applied = apply(&store, object("ConfigMap", "a", &json!({"data": {"x": "3"}})));
    assert_eq!(applied.outcome, Outcome::Configured);
    assert_eq!(applied.object.value["data"], json!({"x": "3", "z": "by somebody else"}));
    let annotation = applied.object.annotation(LAST_APPLIED).unwrap();
    assert!(annotation.ends_with("}\n") && !annotation.contains(LAST_APPLIED));
}

#[test]
fn files_with_nulls_may_be_applied_again_and_again() {
    let store = store();
    let written = || {
        let mut namespace = object("Namespace", "mlops", &json!({"spec": {}, "status": {}}));
        namespace.value["metadata"]["creationTimestamp"] = Value::Null;
        namespace
    };
    let created = apply(&store, written()).object;
    assert!(created.value["metadata"]["creationTimestamp"].is_string());
    assert_eq!(created.value["status"]["phase"], "Active");
    assert_eq!(apply(&store, written()).outcome, Outcome::Unchanged);
}

#[test]
fn an_object_that_is_refused_does_not_stop_the_others() {
    let store = store();
    apply(&store, object("Namespace", "ending", &json!({"metadata": {"finalizers": ["example.com/hold"]}})));
    let ending = (manifest::kind_named("ns").unwrap(), "", "ending");
    store.delete(ending, &DeleteOptions::default(), Mode::Commit).unwrap();
    let refused = object("ConfigMap", "x", &json!({"metadata": {"namespace": "ending"}}));
    let results = store.apply(vec![config("a", "1"), refused, config("b", "1")]);
    let outcomes: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(outcomes, [true, false, true]);
}

#[test]
fn a_change_may_not_turn_an_object_into_another() {
    let store = store();
    apply(&store, config("a", "1"));
    let turn = |change: Value| {
        store.modify(key("ConfigMap", "a"), Part::Object, Mode::Commit, |live| {
            let mut changed = live.clone();
            merge_patch(&mut changed, &change);
            Ok(changed)
        })
    };
    for change in [
        json!({"metadata": {"name": "b"}}),
        json!({"metadata": {"namespace": "other"}}),
        json!({"kind": "Secret"}),
        json!({"kind": "Nothing"}),
        json!({"metadata": {"name": "No"}}),
        json!({"metadata": null}),
        json!({"metadata": "text"}),
        json!(["not", "an", "object"]),
        json!(null),
    ] {
        let reason = turn(change.clone()).unwrap_err().reason;
        assert!([Reason::BadRequest, Reason::Invalid].contains(&reason), "{change}");
    }
}

#[test]
fn a_dry_run_answers_and_stores_nothing() {
    let store = store();
    let before = (store.revision(), store.objects());
    let created = store.create(config("a", "1"), Mode::DryRun).unwrap();
    assert_eq!(created.outcome, Outcome::Created);
    assert_eq!((store.revision(), store.objects()), before);
    apply(&store, config("a", "1"));
    let before = (store.revision(), store.objects());
    store.delete(key("ConfigMap", "a"), &DeleteOptions::default(), Mode::DryRun).unwrap();
    assert_eq!((store.revision(), store.objects()), before);
}

#[test]
fn objects_with_finalizers_go_when_the_last_one_is_taken_off() {
    let store = store();
    apply(&store, object("ConfigMap", "a", &json!({"metadata": {"finalizers": ["example.com/hold"]}})));
    let marked = store.delete(key("ConfigMap", "a"), &DeleteOptions::default(), Mode::Commit).unwrap();
    assert!(metadata::deletion(&marked).is_some());
    let release = |live: &Value| {
        let mut changed = live.clone();
        changed["metadata"]["finalizers"] = json!([]);
        Ok(changed)
    };
    store.modify(key("ConfigMap", "a"), Part::Object, Mode::Commit, release).unwrap();
    assert!(store.get(key("ConfigMap", "a").0, "mlops", "a").is_err());
}

#[test]
fn a_namespace_ends_after_its_pods() {
    let store = store();
    apply(&store, config("a", "1"));
    let pod = object("Pod", "p", &json!({"spec": {"containers": []}}));
    let reference = pod.reference();
    store.derive(pod);
    let namespace = (manifest::kind_named("ns").unwrap(), "", "mlops");
    let ending = store.delete(namespace, &DeleteOptions::default(), Mode::Commit).unwrap();
    assert_eq!(ending.value["status"]["phase"], "Terminating");
    assert!(store.get(key("ConfigMap", "a").0, "mlops", "a").is_err());
    assert!(metadata::deletion(&store.get(key("Pod", "p").0, "mlops", "p").unwrap()).is_some());
    refusal(
        store.create(config("b", "1"), Mode::Commit),
        &expect![
            r#"403 Forbidden: configmaps "b" is forbidden: unable to create new content in namespace mlops because it is being terminated"#
        ],
    );
    store.take_away(&reference);
    assert!(store.get(namespace.0, "", "mlops").is_err());
}

#[test]
fn a_delete_may_name_the_uid_it_means() {
    let store = store();
    apply(&store, config("a", "1"));
    let other = DeleteOptions { uid: Some("other".to_owned()), ..DeleteOptions::default() };
    assert_eq!(
        store.delete(key("ConfigMap", "a"), &other, Mode::Commit).unwrap_err().reason,
        Reason::Conflict
    );
}

#[test]
fn a_delete_may_name_the_revision_it_means() {
    let store = store();
    let before = apply(&store, config("a", "1"));
    let after = apply(&store, config("a", "2"));
    let delete = |at: &Object| {
        let resource_version = metadata::text(at, "resourceVersion").map(ToOwned::to_owned);
        let options = DeleteOptions { resource_version, ..DeleteOptions::default() };
        store.delete(key("ConfigMap", "a"), &options, Mode::Commit)
    };
    assert_eq!(delete(&before.object).unwrap_err().reason, Reason::Conflict);
    assert!(delete(&after.object).is_ok());
}

// --- watching ---

async fn told(watch: &mut Watch) -> String {
    let (word, object) = match watch.next().await.unwrap() {
        WatchEvent::Added(object) => ("added", object),
        WatchEvent::Modified(object) => ("modified", object),
        WatchEvent::Deleted(object) => ("deleted", object),
    };
    format!("{word} {}", object.name)
}

#[tokio::test]
async fn acc_s3_134_acc_s3_135_a_watch_tells_what_is_there_and_then_what_changes() {
    let store = store();
    apply(&store, config("a", "1"));
    let mut watch = store.watch(Query::of("ConfigMap"), None).unwrap();
    assert_eq!(told(&mut watch).await, "added a");
    let (next, ()) = tokio::join!(told(&mut watch), async {
        apply(&store, object("Secret", "not-asked-for", &json!({})));
        apply(&store, config("a", "2"));
    });
    assert_eq!(next, "modified a");
    let gone = store.delete(key("ConfigMap", "a"), &DeleteOptions::default(), Mode::Commit).unwrap();
    let Ok(WatchEvent::Deleted(told)) = watch.next().await else { panic!("expected a deletion") };
    assert_eq!(told, gone);
    assert_eq!(revision(&told), store.revision());
}

#[tokio::test]
async fn an_object_that_is_no_longer_selected_is_told_as_deleted() {
    let store = store();
    let labelled = |value: &str| object("ConfigMap", "a", &json!({"metadata": {"labels": {"app": value}}}));
    let query = Query { labels: LabelSelector::parse("app=web").unwrap(), ..Query::of("ConfigMap") };
    let mut watch = store.watch(query, Some(store.revision())).unwrap();
    for label in ["api", "web", "web", "api"] {
        apply(&store, labelled(label));
    }
    assert_eq!(told(&mut watch).await, "added a");
    assert_eq!(told(&mut watch).await, "deleted a");
}

#[tokio::test]
async fn a_watch_from_too_far_back_is_refused() {
    let store = store();
    let start = store.revision();
    let said = "x".repeat(HISTORY_BYTES / 8);
    for n in 0..10 {
        store.set_status(&ObjectRef::new("Namespace", "", "default"), json!({"n": n, "said": said}));
    }
    assert_eq!(store.watch(Query::of("ConfigMap"), Some(start)).unwrap_err().reason, Reason::Expired);
    assert!(store.watch(Query::of("ConfigMap"), Some(store.revision() - 1)).is_ok());
}

#[tokio::test]
async fn thousands_of_small_changes_are_remembered() {
    let store = store();
    let start = store.revision();
    for n in 0..5000 {
        store.set_status(&ObjectRef::new("Namespace", "", "default"), json!({"n": n}));
    }
    assert!(store.watch(Query::of("ConfigMap"), Some(start)).is_ok());
}

#[test]
fn a_list_in_parts_is_of_one_revision() {
    let store = store();
    for name in ["a", "b", "c", "d"] {
        apply(&store, config(name, "1"));
    }
    let names = |page: &Page| page.objects.iter().map(|object| object.name.clone()).collect::<String>();
    let query = Query::of("ConfigMap");
    let first = store.page(&query, None, None, 2).unwrap();
    assert_eq!((names(&first).as_str(), first.n_remaining), ("ab", 2));
    let third = (manifest::kind_named("ConfigMap").unwrap(), "mlops", "c");
    store.delete(third, &DeleteOptions::default(), Mode::Commit).unwrap();
    apply(&store, config("e", "1"));
    apply(&store, config("d", "2"));
    let second = store.page(&query, Some(first.revision), first.next_place().as_ref(), 2).unwrap();
    assert_eq!((names(&second).as_str(), second.n_remaining), ("cd", 0));
    assert_eq!(second.objects[1].value["data"]["key"], "1", "as it was then");
    let latest = store.page(&query, None, first.next_place().as_ref(), 9).unwrap();
    assert_eq!(names(&latest), "de");
}

#[tokio::test]
async fn a_watch_that_nobody_reads_keeps_no_objects() {
    let store = store();
    apply(&store, config("a", "1"));
    let mut watch = store.watch(Query::of("ConfigMap"), None).unwrap();
    let first = Arc::downgrade(&store.page(&Query::of("ConfigMap"), None, None, 1).unwrap().objects[0]);
    for n in 0..10 {
        apply(&store, config("a", &format!("{n}{}", "x".repeat(HISTORY_BYTES / 4))));
    }
    assert!(first.upgrade().is_none());
    assert_eq!(watch.next().await.unwrap_err().reason, Reason::Expired);
}

#[tokio::test]
async fn large_objects_that_change_again_and_again_are_not_all_kept() {
    let store = store();
    let large = |n: usize| config("a", &format!("{n}{}", "x".repeat(HISTORY_BYTES / 4)));
    let versions: Vec<_> = (0..10).map(|n| Arc::downgrade(&apply(&store, large(n)).object)).collect();
    let n_kept = versions.iter().filter(|version| version.strong_count() > 0).count();
    // A fourth would be too much, and the last is told with what was before it.
    assert_eq!(n_kept, 4);

    let start = store.revision();
    apply(&store, config("a", &"x".repeat(HISTORY_BYTES)));
    let mut watch = store.watch(Query::of("ConfigMap"), Some(start)).unwrap();
    assert_eq!(told(&mut watch).await, "modified a");
    apply(&store, config("b", "small"));
    assert_eq!(store.watch(Query::of("ConfigMap"), Some(start)).unwrap_err().reason, Reason::Expired);
    assert_eq!(told(&mut watch).await, "added b");
}

#[tokio::test(start_paused = true)]
async fn large_objects_of_a_while_ago_are_forgotten() {
    let store = store();
    let look = || store.look_after_file(Instant::now());
    let large = |n: usize| config("a", &format!("{n}{}", "x".repeat(RESTING_BYTES / 2)));
    let first = Arc::downgrade(&apply(&store, large(0)).object);
    let start = store.revision();
    (1..3).for_each(|n| drop(apply(&store, large(n))));
    look();
    assert!(first.upgrade().is_some() && store.watch(Query::of("ConfigMap"), Some(start)).is_ok());
    tokio::time::advance(Duration::from_secs(61)).await;
    look();
    assert!(first.upgrade().is_none());
    // Whoever knows the last one misses nothing.
    assert!(store.watch(Query::of("ConfigMap"), Some(store.revision())).is_ok());
    assert_eq!(store.watch(Query::of("ConfigMap"), Some(start)).unwrap_err().reason, Reason::Expired);
}

#[test]
fn what_is_too_large_to_remember_is_applied_again_all_the_same() {
    let store = store();
    let large = |fields: &Value| {
        let data = json!({"data": {"large": "x".repeat(300_000)}});
        let mut object = object("ConfigMap", "a", &data);
        merge_patch(&mut object.value, fields);
        object
    };
    let shown = |applied: &Applied| {
        let ConfigMap { keys, annotations } = ConfigMap::of(&applied.object);
        format!("{} {keys:?} {annotations:?}", applied.outcome.as_str())
    };
    let own =
        json!({"metadata": {"annotations": {"own": "1"}, "labels": {"of": "mine"}}, "data": {"more": "1"}});
    let first = apply(&store, large(&own));
    assert_eq!(
        shown(&first),
        r#"created ["large", "more"] ["kubectl.kubernetes.io/last-applied-configuration", "own"]"#
    );
    assert_eq!(first.object.annotation(LAST_APPLIED), Some(""));
    assert_eq!(apply(&store, large(&own)).outcome, Outcome::Unchanged);

    // What is left out goes, though nobody remembers that it was applied; what the platform keeps stays.
    let second = apply(&store, large(&json!({"data": {"other": "2"}})));
    assert_eq!(
        shown(&second),
        r#"configured ["large", "other"] ["kubectl.kubernetes.io/last-applied-configuration"]"#
    );
    assert_eq!(metadata::text(&second.object, "uid"), metadata::text(&first.object, "uid"));
    assert!(second.object.labels().is_empty());

    let small = apply(&store, config("a", "value"));
    assert_eq!(shown(&small), r#"configured ["key"] ["kubectl.kubernetes.io/last-applied-configuration"]"#);
    assert!(small.object.annotation(LAST_APPLIED).is_some_and(|text| text.contains(r#""key":"value""#)));
}

/// The names of what a ConfigMap has.
struct ConfigMap<'a> {
    keys: Vec<&'a String>,
    annotations: Vec<&'a String>,
}

impl<'a> ConfigMap<'a> {
    fn of(object: &'a Object) -> Self {
        let names = |value: &'a Value| value.as_object().into_iter().flat_map(|map| map.keys()).collect();
        Self {
            keys: names(&object.value["data"]),
            annotations: names(&object.value["metadata"]["annotations"]),
        }
    }
}

// --- the disk ---

/// Memory that outlives the database in it, and that can be made to fail.
#[derive(Debug, Clone)]
struct Medium {
    memory: Arc<InMemoryBackend>,
    is_full: Arc<AtomicBool>,
}

impl Medium {
    fn new() -> Self {
        Self { memory: Arc::new(InMemoryBackend::new()), is_full: Arc::default() }
    }

    fn store(&self) -> Store {
        let medium = self.clone();
        let (disk, loaded) =
            Disk::new(move || redb::Database::builder().create_with_backend(medium.clone())).unwrap();
        Store::start(Path::new("medium"), disk, loaded).unwrap()
    }

    fn check(&self) -> Result<(), std::io::Error> {
        let is_full = self.is_full.load(Ordering::Relaxed);
        if is_full { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.memory.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.memory.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.check().and_then(|()| self.memory.set_len(len))
    }
    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.check()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.check().and_then(|()| self.memory.write(offset, data))
    }
}

#[test]
fn what_people_wrote_is_there_after_a_restart_and_what_we_derived_is_not() {
    let medium = Medium::new();
    let first = medium.store();
    let kept = apply(&first, config("a", "1")).object;
    apply(&first, config("b", "1"));
    first.delete(key("ConfigMap", "b"), &DeleteOptions::default(), Mode::Commit).unwrap();
    first.derive(object("Pod", "p", &json!({"status": {"phase": "Running"}})));
    first.set_note("address", Some("2")).unwrap();
    let last = first.revision();
    drop(first);

    let second = medium.store();
    assert_eq!(second.get(key("ConfigMap", "a").0, "mlops", "a").unwrap(), kept);
    assert!(second.get(key("ConfigMap", "b").0, "mlops", "b").is_err());
    assert!(second.get(key("Pod", "p").0, "mlops", "p").is_err());
    assert_eq!(second.note("address").as_deref(), Some("2"));
    assert!(second.revision() > last, "a revision is never given out twice");
}

#[test]
fn f_15_a_full_disk_refuses_writes_and_recovers() {
    let medium = Medium::new();
    let store = medium.store();
    apply(&store, config("a", "1"));
    let before = (store.revision(), store.objects());

    medium.is_full.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let refused = store.apply(vec![config("b", "1"), config("a", "2")]);
        assert!(refused.iter().all(|result| result.as_ref().unwrap_err().reason == Reason::InternalError));
        assert_eq!((store.revision(), store.objects()), before, "what is not durable is not seen");
    }
    store.set_status(&ObjectRef::new("Namespace", "", "default"), json!({"phase": "Active", "n": 1}));
    assert!(store.revision() > before.0, "what needs no disk goes on");

    medium.is_full.store(false, Ordering::Relaxed);
    apply(&store, config("c", "1"));
    drop(store);
    let store = medium.store();
    let names: Vec<_> = store.list(&Query::of("ConfigMap")).objects.iter().map(|c| c.name.clone()).collect();
    assert_eq!(names, ["a", "c"], "what was refused does not come back");
}

#[test]
fn what_happened_is_there_after_a_restart_and_costs_no_flush_of_its_own() {
    let medium = Medium::new();
    let first = medium.store();
    apply(&first, object("Deployment", "api", &json!({"spec": {"replicas": 2}})));
    let event =
        |name: &str| object("Event", name, &json!({"reason": "Started", "source": {"component": "forebay"}}));
    medium.is_full.store(true, Ordering::Relaxed);
    first.derive(event("a"));
    first.derive(object("ReplicaSet", "api-1", &json!({"status": {"replicas": 2}})));
    first.annotate(&ObjectRef::new("Deployment", "mlops", "api"), "revision", "7");
    medium.is_full.store(false, Ordering::Relaxed);
    apply(&first, config("a", "1"));
    first.derive(event("b"));
    first.take_away(&ObjectRef::new("Event", "mlops", "a"));
    first.finish();
    drop(first);

    let second = medium.store();
    let events = second.list(&Query::of("Event")).objects;
    assert_eq!(events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(second.get(key("ReplicaSet", "api-1").0, "mlops", "api-1").is_ok());
    let deployment = second.get(key("Deployment", "api").0, "mlops", "api").unwrap();
    assert_eq!(deployment.annotation("revision"), Some("7"));
    assert_eq!(second.written().len(), 2, "what happened is still nothing that somebody wrote");
    second.take_away(&ObjectRef::new("ReplicaSet", "mlops", "api-1"));
    second.finish();
    drop(second);
    assert!(medium.store().get(key("ReplicaSet", "api-1").0, "mlops", "api-1").is_err());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_is_written_after_a_moment_and_backups_are_few() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.redb");
    let store = Store::open(&file).unwrap();
    apply(&store, config("a", "0"));
    let n_backups = || std::fs::read_dir(folder.path().join("backups")).map_or(0, Iterator::count);
    let look = || store.look_after_file(Instant::now());
    let start = Instant::now();
    assert_eq!(look(), Some(start + BACKUP_DELAY));
    store.derive(object("Event", "a", &json!({})));
    assert_eq!(look(), Some(start + WRITE_DELAY));
    tokio::time::advance(WRITE_DELAY).await;
    assert_eq!(look(), Some(start + BACKUP_DELAY));
    tokio::time::advance(BACKUP_DELAY).await;
    assert_eq!((look(), n_backups()), (None, 1));
    for n in 0..100 {
        apply(&store, config("a", &n.to_string()));
        tokio::time::advance(Duration::from_secs(1)).await;
        let _ = look();
    }
    assert_eq!(n_backups(), 1);
    tokio::time::advance(BACKUP_INTERVAL).await;
    assert_eq!((look(), n_backups()), (None, 2));
    store.finish();
    assert_eq!(n_backups(), 2, "nothing is new");
}

#[test]
fn nobody_else_reads_the_file_and_nobody_else_opens_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("objects.redb");
    let store = Store::open(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Store::open(&file), Err(OpenError::InUse)));
    apply(&store, config("a", "1"));
    drop(store);
    let store = Store::open(&file).unwrap();
    assert_eq!(store.list(&Query::of("ConfigMap")).objects.len(), 1);
}
