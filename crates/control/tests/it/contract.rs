//! What the control loop relies on, whatever cluster it runs on: every implementation of [`Cluster`] passes all of this.
//!
//! An implementation is an [`Implementation`] and one line in [`every_cluster_keeps_its_contract`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use control::local::Local;
use control::store::{DeleteOptions, Mode};
use control::{Cluster, Event, EventSeverity};
use manifest::{Object, Objects};
use plan::{ObjectRef, Observed};
use serde_json::{Value, json};

use crate::PATIENCE;
use crate::machine::{Machine, ask, deployment, on_one_thread, ready_pods, script, workload};

/// A kind of cluster, as somebody meets it who writes objects beside the control loop.
trait Implementation {
    type Cluster: Cluster;

    /// The cluster, with what was in it when it was last stopped.
    async fn open(folder: &Path) -> Self::Cluster;

    /// Somebody else's write of an object.
    fn write(cluster: &Self::Cluster, object: &Value);

    /// Somebody else's deletion of an object.
    fn take_away(cluster: &Self::Cluster, object: &ObjectRef);
}

/// This machine.
struct OneMachine;

impl Implementation for OneMachine {
    type Cluster = Local;

    async fn open(folder: &Path) -> Local {
        Machine::new(folder).await.local
    }

    fn write(cluster: &Local, object: &Value) {
        let object = Object::from_value(object.clone()).unwrap();
        cluster.store().apply(vec![object]).into_iter().for_each(|applied| drop(applied.unwrap()));
    }

    fn take_away(cluster: &Local, object: &ObjectRef) {
        let kind = manifest::kind_named(&object.kind).unwrap();
        let key = (kind, object.namespace.as_str(), object.name.as_str());
        cluster.store().delete(key, &DeleteOptions::default(), Mode::Commit).unwrap();
    }
}

#[tokio::test]
async fn every_cluster_keeps_its_contract() {
    on_one_thread(async {
        keeps_its_contract::<OneMachine>().await;
    })
    .await;
}

async fn keeps_its_contract<I: Implementation>() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = I::open(folder.path()).await;
    objects_are_shared_until_they_change::<I>(&mut cluster).await;
    a_change_is_heard_of_even_by_who_stopped_listening::<I>(&mut cluster).await;
    what_is_applied_leaves_what_others_set::<I>(&mut cluster).await;
    what_is_deleted_is_gone_and_may_be_deleted_again::<I>(&mut cluster).await;
    a_status_is_ours_and_the_object_is_not::<I>(&mut cluster).await;
    an_event_is_told_of_its_object::<I>(&mut cluster).await;
    versions_from_before_a_change_are_kept_until_they_are_settled::<I>(&mut cluster).await;
    workloads_run_until_nobody_wants_them::<I>(&mut cluster).await;
    what_was_given_out_is_remembered::<I>(cluster, folder.path()).await;
}

const NAMESPACE: &str = "mlops";

fn config(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data})
}

fn reference(kind: &str, name: &str) -> ObjectRef {
    ObjectRef::new(kind, NAMESPACE, name)
}

/// Waits until the objects are so.
async fn until(cluster: &mut impl Cluster, what: &str, is_so: impl Fn(&Objects) -> bool) -> Arc<Objects> {
    let so = async {
        loop {
            let objects = cluster.objects();
            if is_so(&objects) {
                return objects;
            }
            cluster.changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, so).await.unwrap_or_else(|_| panic!("never {what}"))
}

/// Whether nothing changes for a moment.
async fn is_quiet(cluster: &mut impl Cluster) -> bool {
    tokio::time::timeout(Duration::from_millis(50), cluster.changed()).await.is_err()
}

fn field<'a>(objects: &'a Objects, kind: &str, name: &str, pointer: &str) -> &'a Value {
    objects.get(kind, NAMESPACE, name).and_then(|it| it.value.pointer(pointer)).unwrap_or(&Value::Null)
}

async fn objects_are_shared_until_they_change<I: Implementation>(cluster: &mut I::Cluster) {
    I::write(cluster, &config("first", &json!({"a": "1"})));
    let before = until(cluster, "seen", |all| all.get("ConfigMap", NAMESPACE, "first").is_some()).await;
    while !is_quiet(cluster).await {}
    let before = if Arc::ptr_eq(&before, &cluster.objects()) { before } else { cluster.objects() };
    assert!(Arc::ptr_eq(&before, &cluster.objects()), "asked twice, and nothing happened between");
    I::write(cluster, &config("first", &json!({"a": "2"})));
    let after = until(cluster, "changed", |all| field(all, "ConfigMap", "first", "/data/a") == "2").await;
    assert_eq!(field(&before, "ConfigMap", "first", "/data/a"), "1", "who holds them still sees what was");
    let namespace = |objects: &Objects| objects.get("Namespace", "", NAMESPACE).cloned().unwrap();
    assert!(Arc::ptr_eq(&namespace(&before), &namespace(&after)), "what did not change is the same");
}

async fn a_change_is_heard_of_even_by_who_stopped_listening<I: Implementation>(cluster: &mut I::Cluster) {
    let _ = cluster.objects();
    while !is_quiet(cluster).await {}
    I::write(cluster, &config("second", &json!({})));
    // Whoever drops the future has not heard it, and asks again.
    drop(Box::pin(cluster.changed()));
    let heard = tokio::time::timeout(PATIENCE, cluster.changed()).await;
    assert!(heard.is_ok(), "the change was lost");
    until(cluster, "there", |all| all.get("ConfigMap", NAMESPACE, "second").is_some()).await;
}

async fn what_is_applied_leaves_what_others_set<I: Implementation>(cluster: &mut I::Cluster) {
    let ours = |data: Value| Object::from_value(config("third", &data)).unwrap();
    cluster.apply(vec![ours(json!({"ours": "1", "gone": "1"}))]);
    until(cluster, "made", |all| field(all, "ConfigMap", "third", "/data/ours") == "1").await;
    let theirs = json!({"ours": "1", "gone": "1", "theirs": "1"});
    I::write(cluster, &config("third", &theirs));
    until(cluster, "theirs", |all| field(all, "ConfigMap", "third", "/data/theirs") == "1").await;
    cluster.apply(vec![ours(json!({"ours": "2"}))]);
    let all = until(cluster, "ours", |all| field(all, "ConfigMap", "third", "/data/ours") == "2").await;
    assert_eq!(field(&all, "ConfigMap", "third", "/metadata/name"), "third");
    while !is_quiet(cluster).await {}
    let before = cluster.objects();
    cluster.apply(vec![ours(json!({"ours": "2"}))]);
    assert!(is_quiet(cluster).await, "what is so already is free");
    assert!(Arc::ptr_eq(&before, &cluster.objects()));
}

async fn what_is_deleted_is_gone_and_may_be_deleted_again<I: Implementation>(cluster: &mut I::Cluster) {
    let second = reference("ConfigMap", "second");
    cluster.delete(&second);
    until(cluster, "gone", |all| all.get("ConfigMap", NAMESPACE, "second").is_none()).await;
    cluster.delete(&second);
    while !is_quiet(cluster).await {}
    I::write(cluster, &config("fourth", &json!({})));
    until(cluster, "there", |all| all.get("ConfigMap", NAMESPACE, "fourth").is_some()).await;
    I::take_away(cluster, &reference("ConfigMap", "fourth"));
    until(cluster, "taken away", |all| all.get("ConfigMap", NAMESPACE, "fourth").is_none()).await;
}

async fn a_status_is_ours_and_the_object_is_not<I: Implementation>(cluster: &mut I::Cluster) {
    I::write(cluster, &deployment("idle"));
    let all = until(cluster, "there", |all| all.get("Deployment", NAMESPACE, "idle").is_some()).await;
    let generation = field(&all, "Deployment", "idle", "/metadata/generation").clone();
    let (idle, status) = (reference("Deployment", "idle"), json!({"observedGeneration": 1, "replicas": 7}));
    cluster.write_status(&idle, status.clone());
    let is_told = |all: &Objects| field(all, "Deployment", "idle", "/status/replicas") == 7;
    let all = until(cluster, "told", is_told).await;
    assert_eq!(*field(&all, "Deployment", "idle", "/metadata/generation"), generation);
    while !is_quiet(cluster).await {}
    cluster.write_status(&idle, status);
    assert!(is_quiet(cluster).await, "what is so already is free");
    // Of what is not there nobody is told, and nothing breaks.
    cluster.write_status(&reference("Deployment", "nobody"), json!({}));
    I::take_away(cluster, &idle);
    until(cluster, "gone", |all| all.get("Deployment", NAMESPACE, "idle").is_none()).await;
}

async fn an_event_is_told_of_its_object<I: Implementation>(cluster: &mut I::Cluster) {
    let event = Event {
        severity: EventSeverity::Warning,
        reason: "Tried".into(),
        message: "it was tried".to_owned(),
    };
    cluster.record_event(&reference("ConfigMap", "first"), &event);
    cluster.record_event(&reference("ConfigMap", "first"), &event);
    let is_told = |all: &Objects| {
        let told = all.of_kind("Event").filter(|event| event.value["reason"] == "Tried");
        let told: Vec<&Value> = told.map(|event| &event.value).collect();
        told.len() == 1 && told[0]["count"] == 2 && told[0]["involvedObject"]["name"] == "first"
    };
    until(cluster, "told once, and how often", is_told).await;
}

async fn versions_from_before_a_change_are_kept_until_they_are_settled<I: Implementation>(
    cluster: &mut I::Cluster,
) {
    I::write(cluster, &deployment("changing"));
    until(cluster, "there", |all| all.get("Deployment", NAMESPACE, "changing").is_some()).await;
    cluster.settle(&|_| true);
    assert!(cluster.earlier_versions().is_empty());
    let mut changed = deployment("changing");
    changed["spec"]["replicas"] = json!(3);
    I::write(cluster, &changed);
    until(cluster, "changed", |all| field(all, "Deployment", "changing", "/spec/replicas") == 3).await;
    let earlier = cluster.earlier_versions();
    let of_ours: Vec<_> = earlier.iter().filter(|object| object.name == "changing").collect();
    assert_eq!(of_ours.len(), 1);
    assert_ne!(of_ours[0].value["spec"]["replicas"], 3);
    cluster.settle(&|_| false);
    assert_eq!(cluster.earlier_versions().len(), earlier.len(), "it is not settled");
    cluster.settle(&|_| true);
    assert!(cluster.earlier_versions().is_empty());
    I::take_away(cluster, &reference("Deployment", "changing"));
}

async fn workloads_run_until_nobody_wants_them<I: Implementation>(cluster: &mut I::Cluster) {
    let observed = Observed::default();
    I::write(cluster, &deployment("api"));
    let wanted = [workload("api", 2, "a")];
    let kept = async |cluster: &mut I::Cluster, wanted: &[manifest::Workload], n_ready: usize| {
        let so = async {
            loop {
                cluster.keep_workloads(wanted, &observed);
                let ready = ready_pods(&cluster.objects());
                if ready.len() == n_ready {
                    return ready;
                }
                let _ = tokio::time::timeout(Duration::from_millis(20), cluster.changed()).await;
            }
        };
        tokio::time::timeout(PATIENCE, so).await.unwrap_or_else(|_| panic!("never {n_ready} ready"))
    };
    let pods = kept(cluster, &wanted, 2).await;
    for pod in &pods {
        assert_eq!(ask(pod.value["status"]["podIP"].as_str().unwrap()).unwrap(), pod.name);
    }
    let names = |pods: &[Arc<Object>]| pods.iter().map(|pod| pod.name.clone()).collect::<BTreeSet<_>>();
    assert_eq!(names(&kept(cluster, &wanted, 2).await), names(&pods), "asking again starts nothing");
    // What could not be understood goes on, as long as its owner is an object.
    let other = [script("other", "sleep 1000")];
    I::write(cluster, &deployment("other"));
    let both = kept(cluster, &other, 3).await;
    assert!(names(&pods).is_subset(&names(&both)), "{:?} {:?}", names(&pods), names(&both));
    cluster.go_on_with(BTreeMap::new(), &BTreeMap::new());
    I::take_away(cluster, &reference("Deployment", "other"));
    let left = kept(cluster, &wanted, 2).await;
    assert_eq!(names(&left), names(&pods));
    I::take_away(cluster, &reference("Deployment", "api"));
    kept(cluster, &[], 0).await;
}

async fn what_was_given_out_is_remembered<I: Implementation>(mut cluster: I::Cluster, folder: &Path) {
    let address = |cluster: &mut I::Cluster, id: &str| cluster.load_balancer_address(id, &|_| true).unwrap();
    let (one, two) = (address(&mut cluster, "one"), address(&mut cluster, "two"));
    assert_ne!(one, two);
    assert_eq!(address(&mut cluster, "one"), one);
    let ids = BTreeSet::from(["one".to_owned(), "two".to_owned()]);
    cluster.remember_load_balancers(&ids);
    assert_eq!(cluster.load_balancers(), ids);
    cluster.stop().await;
    let mut cluster = I::open(folder).await;
    assert_eq!(cluster.load_balancers(), ids);
    assert_eq!(address(&mut cluster, "two"), two);
    assert_eq!(address(&mut cluster, "one"), one);
    let all = until(&mut cluster, "there", |all| all.get("ConfigMap", NAMESPACE, "third").is_some()).await;
    assert_eq!(field(&all, "ConfigMap", "third", "/data/ours"), "2", "what was written is there");
    cluster.stop().await;
}
