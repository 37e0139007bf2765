//! PersistentVolumeClaims: each gets a PersistentVolume, which is a folder in the state folder, as a provisioner would make it; or
//! one that somebody wrote and that fits. What is decided here is pure, what is done of it is below.
//!
//! A folder is not mounted anywhere, and nothing keeps it from growing: processes see it where it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use manifest::{Object, Objects, kind_named};
use plan::ObjectRef;
use serde_json::{Value, json};
use tracing::warn;

use super::{Local, folder, pod};
use crate::admission::{Amount, CLAIM_PROTECTION};
use crate::events::Event;
use crate::given::PROVISIONER;
use crate::store::{DeleteOptions, Mode, Part, Store, metadata};

const CLAIM: &str = "PersistentVolumeClaim";
const VOLUME: &str = "PersistentVolume";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Where the folders are, in the state folder.
const FOLDER: &str = "volumes";

/// One thing to do.
#[derive(Debug, PartialEq)]
enum Act {
    /// A new volume, with its folder.
    Provision(ObjectRef, Box<Object>, PathBuf),
    /// A claim gets a volume that is there.
    Bind(ObjectRef, ObjectRef),
    Status(ObjectRef, Value),
    Tell(ObjectRef, Event),
    /// Nobody uses a claim any more that is deleted.
    LetGo(ObjectRef),
    /// A volume goes, and its folder with it.
    Remove(ObjectRef, PathBuf),
}

/// What was told of each claim.
pub(super) type Told = BTreeMap<ObjectRef, Event>;

impl Local {
    /// Gives claims their volumes, and takes those away that nobody claims any more.
    pub(super) fn keep_claims(&mut self) {
        let objects = self.store.objects();
        if objects.of_kind(CLAIM).chain(objects.of_kind(VOLUME)).next().is_none() {
            return;
        }
        let acts = decide(&objects, &self.settings.state_folder.join(FOLDER));
        drop(objects);
        let mut told = Told::new();
        for act in acts {
            if let Act::Tell(claim, event) = act {
                if self.told_claims.get(&claim) != Some(&event) {
                    self.platform.recorder.record(&claim, &event);
                }
                told.insert(claim, event);
            } else if let Err(problem) = act.perform(&self.store) {
                let (about, event) = *problem;
                if self.told_claims.get(&about) != Some(&event) {
                    self.platform.recorder.record(&about, &event);
                }
                told.insert(about, event);
            }
        }
        self.told_claims = told;
    }
}

impl Act {
    /// Does it. The error is what to tell, and of what.
    fn perform(self, store: &Store) -> Result<(), Box<(ObjectRef, Event)>> {
        let change = |object: &ObjectRef, change: &dyn Fn(&mut Value)| {
            let Some(kind) = kind_named(&object.kind) else { return };
            let key = (kind, object.namespace.as_str(), object.name.as_str());
            let changed = store.modify(key, Part::Object, Mode::Commit, |live| {
                let mut value = live.clone();
                change(&mut value);
                Ok(value)
            });
            if let Err(status) = changed {
                warn!(%object, %status, "a claim or volume is as it was");
            }
        };
        match self {
            Self::Tell(..) => {}
            Self::Status(object, status) => store.set_status(&object, status),
            Self::Provision(claim, volume, path) => {
                let name = volume.name.clone();
                let made = folder::create(&path).map_err(|error| error.to_string());
                let made = made.and_then(|()| {
                    store.create(*volume, Mode::Commit).map(drop).map_err(|status| status.to_string())
                });
                made.map_err(|why| {
                    let message = format!("failed to provision volume: {why}");
                    Box::new((claim.clone(), Event::warning("ProvisioningFailed", message)))
                })?;
                let volume = ObjectRef::new(VOLUME, "", &name);
                Self::Bind(claim, volume).perform(store)?;
            }
            Self::Bind(claim, volume) => {
                let objects = store.objects();
                let Some(object) = objects.find(&claim) else { return Ok(()) };
                let reference = reference(object);
                drop(objects);
                change(&volume, &|value| value["spec"]["claimRef"] = reference.clone());
                change(&claim, &|value| {
                    value["spec"]["volumeName"] = json!(volume.name);
                    let annotations = &mut value["metadata"]["annotations"];
                    if !annotations.is_object() {
                        *annotations = json!({});
                    }
                    annotations["pv.kubernetes.io/bind-completed"] = json!("yes");
                    annotations["pv.kubernetes.io/bound-by-controller"] = json!("yes");
                });
            }
            Self::LetGo(claim) => change(&claim, &|value| {
                if let Some(finalizers) = value["metadata"]["finalizers"].as_array_mut() {
                    finalizers.retain(|finalizer| finalizer != CLAIM_PROTECTION);
                }
            }),
            Self::Remove(volume, path) => {
                let removed = std::fs::remove_dir_all(&path);
                if let Err(error) = removed.as_ref()
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    let message = format!("cannot remove {}: {error}", path.display());
                    return Err(Box::new((volume, Event::warning("VolumeFailedDelete", message))));
                }
                if let Some(kind) = kind_named(VOLUME) {
                    let _ = store.delete((kind, "", &volume.name), &DeleteOptions::default(), Mode::Commit);
                }
            }
        }
        Ok(())
    }
}

/// Everything there is to do.
fn decide(objects: &Objects, folder: &Path) -> Vec<Act> {
    let claims = objects.of_kind(CLAIM).flat_map(|claim| of_claim(claim, objects, folder));
    let volumes = objects.of_kind(VOLUME).filter_map(|volume| of_volume(volume, objects, folder));
    claims.chain(volumes).collect()
}

fn of_claim(claim: &Object, objects: &Objects, folder: &Path) -> Option<Act> {
    let reference = claim.reference();
    if metadata::deletion(claim).is_some() {
        let finalizers = claim.value["metadata"]["finalizers"].as_array();
        let is_held = finalizers.is_some_and(|all| all.iter().any(|it| it == CLAIM_PROTECTION));
        return (is_held && !is_used(claim, objects)).then_some(Act::LetGo(reference));
    }
    let spec = &claim.value["spec"];
    if let Some(name) = spec["volumeName"].as_str().filter(|name| !name.is_empty()) {
        let volume = objects.get(VOLUME, "", name).filter(|volume| may_be_of(volume, claim));
        let status = volume.map_or_else(|| json!({"phase": "Lost"}), |volume| bound(volume));
        if volume.is_some_and(|volume| !is_of(volume, claim)) {
            return Some(Act::Bind(reference, ObjectRef::new(VOLUME, "", name)));
        }
        return (claim.value["status"] != status).then_some(Act::Status(reference, status));
    }
    let volumes = || objects.of_kind(VOLUME).map(AsRef::as_ref);
    if let Some(volume) =
        volumes().find(|it| is_of(it, claim)).or_else(|| volumes().find(|it| fits(it, claim)))
    {
        return Some(Act::Bind(reference, volume.reference()));
    }
    let event = match spec["storageClassName"].as_str().unwrap_or_default() {
        "" => Event::normal(
            "FailedBinding",
            "no persistent volumes available for this claim and no storage class is set",
        ),
        name => match objects.get("StorageClass", "", name) {
            None => Event::warning(
                "ProvisioningFailed",
                format!("storageclass.storage.k8s.io \"{name}\" not found"),
            ),
            Some(class) if class.value["provisioner"] != PROVISIONER => Event::normal(
                "ExternalProvisioning",
                format!(
                    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
                    class.value["provisioner"].as_str().unwrap_or_default()
                ),
            ),
            Some(class)
                if class.value["volumeBindingMode"] == "WaitForFirstConsumer" && !is_used(claim, objects) =>
            {
                Event::normal(
                    "WaitForFirstConsumer",
                    "waiting for first consumer to be created before binding",
                )
            }
            Some(class) => {
                let (volume, path) = new_volume(claim, class, folder)?;
                return Some(Act::Provision(reference, Box::new(volume), path));
            }
        },
    };
    Some(Act::Tell(reference, event))
}

/// What becomes of a volume.
fn of_volume(volume: &Object, objects: &Objects, folder: &Path) -> Option<Act> {
    let spec = &volume.value["spec"];
    let text = |field: &str| spec["claimRef"][field].as_str().unwrap_or_default();
    let claim = objects.get(CLAIM, text("namespace"), text("name"));
    let is_claimed = claim.is_some_and(|claim| is_of(volume, claim));
    let is_ours = volume.annotation(PROVISIONED_BY) == Some(PROVISIONER);
    let phase = match spec["claimRef"].is_object() {
        true if is_claimed => "Bound",
        // Nobody has come who it is kept for.
        true if text("uid").is_empty() => "Available",
        true if is_ours && spec["persistentVolumeReclaimPolicy"] == "Delete" => {
            return Some(Act::Remove(volume.reference(), folder.join(&volume.name)));
        }
        true => "Released",
        false => "Available",
    };
    let status = json!({"phase": phase});
    (volume.value["status"] != status).then_some(Act::Status(volume.reference(), status))
}

/// Whether a pod that has not ended names a claim.
fn is_used(claim: &Object, objects: &Objects) -> bool {
    let pods = objects.of_kind("Pod").filter(|it| it.namespace == claim.namespace && !pod::has_ended(it));
    let mut volumes = pods.filter_map(|pod| pod.value["spec"]["volumes"].as_array()).flatten();
    volumes.any(|volume| volume["persistentVolumeClaim"]["claimName"] == *claim.name)
}

fn reference(claim: &Object) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": CLAIM,
        "namespace": claim.namespace,
        "name": claim.name,
        "uid": metadata::text(claim, "uid"),
    })
}

/// Whether a volume is a claim's.
fn is_of(volume: &Object, claim: &Object) -> bool {
    volume.value["spec"]["claimRef"]["uid"]
        .as_str()
        .is_some_and(|uid| Some(uid) == metadata::text(claim, "uid"))
}

/// Whether a volume is a claim's, or may become it.
fn may_be_of(volume: &Object, claim: &Object) -> bool {
    let kept_for = &volume.value["spec"]["claimRef"];
    let is_kept = kept_for["uid"].is_null()
        && (kept_for.is_null()
            || (kept_for["namespace"] == *claim.namespace && kept_for["name"] == *claim.name));
    is_kept || is_of(volume, claim)
}

/// Whether a volume that is free is what a claim asks for.
fn fits(volume: &Object, claim: &Object) -> bool {
    let (has, asks) = (&volume.value["spec"], &claim.value["spec"]);
    let modes = |spec: &'_ Value| spec["accessModes"].as_array().cloned().unwrap_or_default();
    let class = |spec: &'_ Value| spec["storageClassName"].as_str().unwrap_or_default().to_owned();
    let size =
        Amount::read(&has["capacity"]["storage"]) >= Amount::read(&asks["resources"]["requests"]["storage"]);
    let all = modes(has);
    may_be_of(volume, claim)
        && metadata::deletion(volume).is_none()
        && class(has) == class(asks)
        && size
        && modes(asks).iter().all(|mode| all.contains(mode))
}

fn bound(volume: &Object) -> Value {
    let spec = &volume.value["spec"];
    json!({"phase": "Bound", "accessModes": spec["accessModes"], "capacity": spec["capacity"]})
}

fn new_volume(claim: &Object, class: &Object, folder: &Path) -> Option<(Object, PathBuf)> {
    let spec = &claim.value["spec"];
    let name = format!("pvc-{}", metadata::text(claim, "uid")?);
    let path = folder.join(&name);
    let value = json!({
        "apiVersion": "v1",
        "kind": VOLUME,
        "metadata": {"name": name, "annotations": {PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "claimRef": reference(claim),
            "local": {"path": path.display().to_string()},
            "persistentVolumeReclaimPolicy": class.value["reclaimPolicy"].as_str().unwrap_or("Delete"),
            "storageClassName": class.name,
            "volumeMode": "Filesystem",
        },
    });
    Some((Object::from_value(value).ok()?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let store = Store::in_memory();
        for value in [
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": PROVISIONER}),
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "later"},
                "provisioner": PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer"}),
        ] {
            store.create(Object::from_value(value).unwrap(), Mode::Commit).unwrap();
        }
        store
    }

    fn create(store: &Store, value: Value) {
        store.create(Object::from_value(value).unwrap(), Mode::Commit).unwrap();
    }

    fn claim(store: &Store, class: &Value) {
        create(
            store,
            json!({"apiVersion": "v1", "kind": CLAIM, "metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
                "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}}}),
        );
    }

    fn pod() -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}})
    }

    /// Does what there is to do until that is nothing; tells what there was to say.
    fn settle(store: &Store, folder: &Path) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..10 {
            let acts = decide(&store.objects(), folder);
            told.clear();
            let mut is_quiet = true;
            for act in acts {
                match act {
                    Act::Tell(_, event) => told.push(event.reason.into_owned()),
                    act => {
                        is_quiet = false;
                        act.perform(store).unwrap();
                    }
                }
            }
            if is_quiet {
                return told;
            }
        }
        panic!("there is always more to do");
    }

    fn phase(store: &Store, kind: &str) -> String {
        let objects = store.objects();
        let mut phases =
            objects.of_kind(kind).map(|it| it.value["status"]["phase"].as_str().unwrap_or("-").to_owned());
        phases.next().unwrap_or_default()
    }

    fn delete(store: &Store, kind: &str, name: &str) {
        let key = (kind_named(kind).unwrap(), if kind == VOLUME { "" } else { "default" }, name);
        store
            .delete(
                key,
                &DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() },
                Mode::Commit,
            )
            .unwrap();
    }

    #[test]
    fn a_claim_gets_a_folder_which_goes_with_it() {
        let (store, folder) = (store(), tempfile::tempdir().unwrap());
        claim(&store, &Value::Null);
        assert_eq!(settle(&store, folder.path()), Vec::<String>::new());
        assert_eq!((phase(&store, CLAIM), phase(&store, VOLUME)), ("Bound".to_owned(), "Bound".to_owned()));
        let objects = store.objects();
        let volume = objects.of_kind(VOLUME).next().unwrap();
        let path = PathBuf::from(volume.value["spec"]["local"]["path"].as_str().unwrap());
        assert!(path.is_dir());
        assert_eq!(
            objects.get(CLAIM, "default", "data").unwrap().value["status"]["capacity"]["storage"],
            "1Gi"
        );
        drop(objects);

        create(&store, pod());
        delete(&store, CLAIM, "data");
        settle(&store, folder.path());
        assert!(path.is_dir() && phase(&store, CLAIM) == "Bound", "a pod uses it");
        delete(&store, "Pod", "p");
        settle(&store, folder.path());
        assert_eq!((phase(&store, CLAIM), phase(&store, VOLUME)), (String::new(), String::new()));
        assert!(!path.exists());
    }

    #[test]
    fn a_claim_may_wait_for_a_pod_or_for_a_class() {
        let (store, folder) = (store(), tempfile::tempdir().unwrap());
        claim(&store, &json!("later"));
        assert_eq!(settle(&store, folder.path()), ["WaitForFirstConsumer"]);
        assert_eq!(phase(&store, CLAIM), "Pending");
        create(&store, pod());
        settle(&store, folder.path());
        assert_eq!(phase(&store, CLAIM), "Bound");

        let store = self::store();
        claim(&store, &json!("nowhere"));
        assert_eq!(settle(&store, folder.path()), ["ProvisioningFailed"]);
    }

    #[test]
    fn a_claim_takes_a_volume_that_fits_and_leaves_it_where_it_is_to_be_kept() {
        let (store, folder) = (store(), tempfile::tempdir().unwrap());
        create(
            &store,
            json!({"apiVersion": "v1", "kind": VOLUME, "metadata": {"name": "disk"}, "spec": {"capacity": {"storage": "2Gi"},
                "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/data"}, "persistentVolumeReclaimPolicy": "Retain"}}),
        );
        claim(&store, &json!(""));
        settle(&store, folder.path());
        assert_eq!(phase(&store, CLAIM), "Bound");
        assert_eq!(
            store.objects().get(CLAIM, "default", "data").unwrap().value["spec"]["volumeName"],
            "disk"
        );
        delete(&store, CLAIM, "data");
        settle(&store, folder.path());
        assert_eq!(phase(&store, VOLUME), "Released");
    }
}
