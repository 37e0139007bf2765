//! Deployments: their sets, and what people see of them. Pure, but for the memory of which sets there are.

use std::time::Duration;

use jiff::Timestamp;
use manifest::{Object, Rollout, Workload};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::pod::{TEMPLATE_HASH, owner, short_hash};
use crate::conditions::{self, Condition};
use crate::store::metadata;
use crate::store::record::crc64;

/// The annotation in which `kubectl rollout` finds the number of a version.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";

/// The label of a set whose version could not be used, and never ran. It is no annotation: `kubectl rollout undo` copies
/// those of the set to the Deployment.
const REFUSED: &str = "forebay.dev/refused";

/// How many old sets are remembered, unless the Deployment says otherwise.
const HISTORY: usize = 10;

/// How a rollout goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    Going,
    /// Somebody wants no other version yet.
    Paused,
    /// Nothing has come of it for too long.
    Stuck,
    /// The version cannot be used, and why.
    Refused(String),
}

/// A Deployment as we keep it.
#[derive(Debug)]
pub(super) struct Deployment {
    /// Oldest first; the last is the one that is wanted.
    pub(super) sets: Vec<Set>,
    progress: Counts,
    progressed: Instant,
}

/// The replicas of one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) template_hash: String,
    pub(super) revision: u64,
    /// How many there are to be.
    pub(super) wanted: u32,
}

/// Replicas of a Deployment or of a set that are not on their way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) all: u32,
    pub(super) ready: u32,
    pub(super) available: u32,
    /// Those of the template that is wanted.
    pub(super) updated: u32,
}

impl Deployment {
    pub(super) fn new(now: Instant) -> Self {
        Self { sets: Vec::new(), progress: Counts::default(), progressed: now }
    }

    /// A Deployment with the sets that its ReplicaSets tell of, as they were before a restart: of the sizes they had, so that
    /// an old version goes on where the new one never got ready.
    pub(super) fn of<'a>(deployment: &Object, sets: impl Iterator<Item = &'a Object>, now: Instant) -> Self {
        let mut sets: Vec<Set> = sets
            .filter(|set| is_of(set, deployment) && !is_refused(set))
            .filter_map(|set| {
                let template_hash = (*set.labels().get(TEMPLATE_HASH)?).to_owned();
                let wanted = set.value["spec"]["replicas"].as_u64().unwrap_or(0);
                Some(Set {
                    template_hash,
                    revision: revision(set)?,
                    wanted: u32::try_from(wanted).unwrap_or(u32::MAX),
                })
            })
            .collect();
        sets.sort_by_key(|set| set.revision);
        Self { sets, ..Self::new(now) }
    }

    /// Makes the set of a template the one that is wanted; going back to an old one gives it a new revision, and so does
    /// going back from a version that was refused.
    pub(super) fn turn_to(
        &mut self,
        template_hash: &str,
        last_revision: u64,
        last_refused: u64,
        now: Instant,
    ) {
        if let Some(set) = self.sets.last_mut().filter(|set| set.template_hash == template_hash) {
            if set.revision < last_refused {
                set.revision = last_refused.saturating_add(1);
            }
            return;
        }
        let newest = self.sets.last().map_or(last_revision.saturating_sub(1), |set| set.revision);
        let newest = newest.max(last_refused);
        let known = self.sets.iter().position(|set| set.template_hash == template_hash);
        let mut set = match known {
            Some(at) => self.sets.remove(at),
            None => Set { template_hash: template_hash.to_owned(), revision: 0, wanted: 0 },
        };
        // People can write the annotation that the first one comes from.
        set.revision = newest.saturating_add(1);
        self.sets.push(set);
        self.progressed = now;
    }

    /// Sizes for so many replicas in all while no other version is wanted: what is more or fewer is so of the largest set.
    pub(super) fn sizes_while_paused(&self, replicas: u32) -> Vec<u32> {
        let mut sizes: Vec<u32> = self.sets.iter().map(|set| set.wanted).collect();
        let mut over = sizes.iter().sum::<u32>();
        if over <= replicas {
            if let Some(largest) = sizes.iter_mut().max_by_key(|size| **size) {
                *largest += replicas - over;
            }
            return sizes;
        }
        over -= replicas;
        while over > 0
            && let Some(largest) = sizes.iter_mut().max_by_key(|size| **size)
        {
            let less = over.min(*largest);
            *largest -= less;
            over -= less;
        }
        sizes
    }

    /// Takes away old sets without replicas beyond so many; gives their hashes.
    pub(super) fn forget_old(&mut self, kept: usize, is_empty: impl Fn(&Set) -> bool) -> Vec<String> {
        let n_old = self.sets.len().saturating_sub(1);
        let empty = self.sets[..n_old].iter().filter(|set| set.wanted == 0 && is_empty(set));
        let empty: Vec<String> = empty.map(|set| set.template_hash.clone()).collect();
        let n_forgotten = empty.len().saturating_sub(kept);
        let forgotten = empty[..n_forgotten].to_vec();
        self.sets.retain(|set| !forgotten.contains(&set.template_hash));
        forgotten
    }

    /// When the rollout is said to be stuck unless something comes of it. `None`: it is complete.
    pub(super) fn deadline(
        &mut self,
        counts: Counts,
        wanted: u32,
        patience_seconds: u32,
        now: Instant,
    ) -> Option<Instant> {
        if counts != self.progress {
            self.progress = counts;
            self.progressed = now;
        }
        (!counts.are_complete(wanted)).then(|| self.progressed + Duration::from_secs(patience_seconds.into()))
    }
}

impl Counts {
    fn are_complete(&self, wanted: u32) -> bool {
        self.all == wanted && self.updated == wanted && self.available == wanted
    }
}

/// Whether a set is of a Deployment.
fn is_of(set: &Object, deployment: &Object) -> bool {
    let uid = metadata::text(deployment, "uid");
    let owners = set.value["metadata"]["ownerReferences"].as_array();
    uid.is_some() && owners.into_iter().flatten().any(|owner| owner["uid"].as_str() == uid)
}

fn is_refused(set: &Object) -> bool {
    set.labels().contains_key(REFUSED)
}

fn revision(set: &Object) -> Option<u64> {
    set.annotation(REVISION)?.parse().ok()
}

/// The sets of a Deployment's versions that were refused, the oldest first.
pub(super) fn refused<'a>(
    deployment: &Object,
    sets: impl Iterator<Item = &'a Object>,
) -> Vec<(u64, &'a Object)> {
    let refused = sets.filter(|set| is_of(set, deployment) && is_refused(set));
    let mut refused: Vec<(u64, &Object)> = refused.filter_map(|set| Some((revision(set)?, set))).collect();
    refused.sort_by_key(|(revision, _)| *revision);
    refused
}

/// Whether the template of a set is that of a Deployment.
pub(super) fn has_template_of(set: &Object, deployment: &Object) -> bool {
    without_hash(set) == without_hash(deployment)
}

/// A template without the label that a set adds, and without the maps that this leaves empty.
fn without_hash(object: &Object) -> Value {
    let mut template = object.value["spec"]["template"].clone();
    let Some(metadata) = template["metadata"].as_object_mut() else { return template };
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove(TEMPLATE_HASH);
    }
    metadata.retain(|_, field| field.as_object().is_none_or(|map| !map.is_empty()));
    if metadata.is_empty() {
        template["metadata"] = Value::Null;
    }
    template
}

/// The set that remembers a version of a Deployment which cannot be used; coming back to one gives it a new revision.
/// `None`: it is remembered as the latest, what cannot be used is not its template, or it has none.
pub(super) fn refused_set<'a>(deployment: &Object, sets: impl Iterator<Item = &'a Object>) -> Option<Object> {
    let sets: Vec<&Object> = sets.filter(|set| is_of(set, deployment)).collect();
    let template = deployment.value["spec"].get("template")?;
    let newest = sets.iter().filter_map(|set| revision(set)).max().unwrap_or(0);
    let known = sets.iter().find(|set| has_template_of(set, deployment));
    if known.is_some_and(|set| !is_refused(set) || revision(set) == Some(newest)) {
        return None;
    }
    let known_hash = known.and_then(|set| Some((*set.labels().get(TEMPLATE_HASH)?).to_owned()));
    let hash = || short_hash(&format!("{:016x}", crc64(template.to_string().as_bytes()))).to_owned();
    let set =
        Set { template_hash: known_hash.unwrap_or_else(hash), revision: newest.saturating_add(1), wanted: 0 };
    let mut object = replica_set(deployment, &set, Counts::default(), template.clone(), 0)?;
    object.value["metadata"]["labels"][REFUSED] = json!("true");
    Some(object)
}

/// How many old sets of a Deployment are remembered.
pub(super) fn history_limit(deployment: &Object) -> usize {
    let written = deployment.value["spec"]["revisionHistoryLimit"].as_u64();
    written.map_or(HISTORY, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Name of the ReplicaSet of a template.
pub(super) fn set_name(deployment: &str, template_hash: &str) -> String {
    // Room for the hash and a pod's suffix within the 253 characters of a name.
    format!("{}-{}", &deployment[..deployment.floor_char_boundary(230)], short_hash(template_hash))
}

/// The ReplicaSet of a set. The template of an old set is in the object that was written when it was new.
pub(super) fn set_object(
    deployment: &Object,
    set: &Set,
    counts: Counts,
    before: Option<&Object>,
    workload: &Workload,
) -> Option<Object> {
    let is_new = set.template_hash == workload.template_hash;
    let template = match before {
        Some(before) if !is_new => before.value["spec"]["template"].clone(),
        _ => deployment.value["spec"]["template"].clone(),
    };
    replica_set(deployment, set, counts, template, workload.replicas)
}

fn replica_set(
    deployment: &Object,
    set: &Set,
    counts: Counts,
    mut template: Value,
    n_desired: u32,
) -> Option<Object> {
    let hash = short_hash(&set.template_hash);
    template.as_object_mut()?;
    let mut labels = template["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = json!({});
    }
    labels[TEMPLATE_HASH] = json!(hash);
    template["metadata"]["labels"] = labels.clone();
    let mut selector = deployment.value["spec"]["selector"].clone();
    if selector["matchLabels"].is_object() {
        selector["matchLabels"][TEMPLATE_HASH] = json!(hash);
    }
    let value = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": set_name(&deployment.name, &set.template_hash),
            "namespace": deployment.namespace,
            "labels": labels,
            "annotations": {
                REVISION: set.revision.to_string(),
                "deployment.kubernetes.io/desired-replicas": n_desired.to_string(),
            },
            "ownerReferences": [owner(deployment)],
        },
        "spec": {"replicas": set.wanted, "selector": selector, "template": template},
        "status": {
            "replicas": counts.all,
            "fullyLabeledReplicas": counts.all,
            "readyReplicas": counts.ready,
            "availableReplicas": counts.available,
            "observedGeneration": 1,
        },
    });
    Object::from_value(value).ok()
}

/// The reason for which `kubectl rollout status` waits no longer.
const NO_PROGRESS: &str = "ProgressDeadlineExceeded";

/// The status of a Deployment.
pub(super) fn status(
    deployment: &Object,
    workload: &Workload,
    counts: Counts,
    course: Course,
    now: Timestamp,
) -> Value {
    let wanted = workload.replicas;
    let may_be_missing = match workload.rollout {
        Rollout::Recreate => wanted,
        Rollout::RollingUpdate { max_unavailable, .. } => max_unavailable,
    };
    let is_available =
        counts.available.saturating_add(may_be_missing) >= wanted && (wanted == 0 || counts.available > 0);
    let available = match is_available {
        true => ("MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    let set = set_name(&deployment.name, &workload.template_hash);
    let progressing = |holds| Condition::new("Progressing", holds);
    let progress = match course {
        Course::Refused(why) => progressing(false).because(NO_PROGRESS, why),
        Course::Paused => {
            Condition::unknown("Progressing").because("DeploymentPaused", "Deployment is paused")
        }
        _ if counts.are_complete(wanted) => progressing(true)
            .because("NewReplicaSetAvailable", format!("ReplicaSet \"{set}\" has successfully progressed.")),
        Course::Stuck => progressing(false)
            .because(NO_PROGRESS, format!("ReplicaSet \"{set}\" has timed out progressing.")),
        Course::Going => {
            progressing(true).because("ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing."))
        }
    };
    let conditions = [Condition::new("Available", is_available).because(available.0, available.1), progress];
    let before = &deployment.value["status"]["conditions"];
    let mut status = json!({
        "observedGeneration": deployment.value["metadata"]["generation"],
        "conditions": conditions::list(&conditions, before, &metadata::time(now)),
    });
    for (key, count) in [
        ("replicas", counts.all),
        ("updatedReplicas", counts.updated),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
        ("unavailableReplicas", counts.all.max(wanted).saturating_sub(counts.available)),
    ] {
        // Kubernetes leaves zeros out.
        if count > 0 {
            status[key] = json!(count);
        }
    }
    status
}

/// The status of a Deployment that cannot be run as it is written and has no replicas. Nobody need wait for a deadline to
/// hear that nothing will come of it.
pub(super) fn status_of_broken(deployment: &Object, problem: &str, now: Timestamp) -> Value {
    let written = &deployment.value;
    let wanted = written["spec"]["replicas"].as_u64().unwrap_or(1);
    let before = &written["status"]["conditions"];
    let failure = format!("Deployment cannot be run as it is written: {problem}");
    let conditions = [
        Condition::new("Available", false)
            .because("MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
        Condition::new("Progressing", false).because(NO_PROGRESS, failure.clone()),
        Condition::new("ReplicaFailure", true).because("FailedCreate", failure),
    ];
    let mut status = json!({
        "observedGeneration": written["metadata"]["generation"],
        "conditions": conditions::list(&conditions, before, &metadata::time(now)),
    });
    if wanted > 0 {
        status["unavailableReplicas"] = json!(wanted);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, metadata: &Value, spec: &Value) -> Object {
        let kind = manifest::kind_named(kind).unwrap();
        let value =
            json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata, "spec": spec});
        Object::from_value(value).unwrap()
    }

    #[test]
    fn nobody_waits_for_a_deployment_that_cannot_run_and_it_is_told_why() {
        let object = object("Deployment", &json!({"name": "api", "generation": 2}), &json!({"replicas": 3}));
        let now = Timestamp::from_second(1_000).unwrap();
        let status = status_of_broken(&object, "image `nginx` cannot be run here", now);
        assert!(!conditions::holds(&status, "Available") && !conditions::holds(&status, "Progressing"));
        assert!(conditions::holds(&status, "ReplicaFailure"));
        assert_eq!((&status["unavailableReplicas"], status.get("updatedReplicas")), (&json!(3), None));
        assert_eq!(status["observedGeneration"], 2);
        assert_eq!(status["conditions"][1]["reason"], "ProgressDeadlineExceeded");
        let message = status["conditions"][1]["message"].as_str().unwrap();
        assert!(message.ends_with("as it is written: image `nginx` cannot be run here"), "{message}");
    }

    #[test]
    fn a_version_that_cannot_be_used_is_a_revision_of_its_own_and_the_next_comes_after_it() {
        let template = |image: &str| json!({"template": {"spec": {"containers": [{"image": image}]}}});
        let with = |image: &str| object("Deployment", &json!({"name": "api", "uid": "1"}), &template(image));
        let (good, bad) = (with("forebay"), with("nginx"));
        let set = Set { template_hash: "a".to_owned(), revision: 1, wanted: 2 };
        let template = good.value["spec"]["template"].clone();
        let first = replica_set(&good, &set, Counts::default(), template, 2).unwrap();
        let refused_one = refused_set(&bad, [&first].into_iter()).unwrap();
        assert_eq!(
            (revision(&refused_one), refused_one.value["spec"]["replicas"].as_u64()),
            (Some(2), Some(0))
        );
        assert_eq!(refused_one.value["spec"]["template"]["spec"]["containers"][0]["image"], "nginx");
        // `kubectl rollout undo` copies all others to the Deployment.
        let mut keys = refused_one.value["metadata"]["annotations"].as_object().unwrap().keys();
        assert!(keys.all(|key| key.starts_with("deployment.kubernetes.io/")));
        let both = [first, refused_one];
        assert_eq!(refused_set(&bad, both.iter()), None, "it is remembered once");
        assert_eq!(refused_set(&good, both.iter()), None, "what broke is not its template");
        let mut later = both.to_vec();
        later[0].value["metadata"]["annotations"][REVISION] = json!("3");
        let again = refused_set(&bad, later.iter()).unwrap();
        assert_eq!(
            (&again.name, revision(&again)),
            (&both[1].name, Some(4)),
            "coming back to it is a revision"
        );
        let now = Instant::now();
        let mut deployment = Deployment::of(&good, both.iter(), now);
        assert_eq!(hashes(&deployment), "a1", "what was refused is not what is wanted");
        let last_refused = refused(&good, both.iter()).last().unwrap().0;
        deployment.turn_to("a", 0, last_refused, now);
        assert_eq!(hashes(&deployment), "a3", "going back is a revision, too");
        deployment.turn_to("a", 0, last_refused, now);
        deployment.turn_to("c", 0, last_refused, now);
        assert_eq!(hashes(&deployment), "a3 c4");
    }

    fn hashes(deployment: &Deployment) -> String {
        let sets = deployment.sets.iter().map(|set| format!("{}{}", set.template_hash, set.revision));
        sets.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn going_back_to_an_old_template_is_a_new_revision() {
        let now = Instant::now();
        let mut deployment = Deployment::new(now);
        deployment.turn_to("a", 0, 0, now);
        deployment.turn_to("a", 1, 0, now);
        deployment.turn_to("b", 1, 0, now);
        assert_eq!(hashes(&deployment), "a1 b2");
        deployment.turn_to("a", 2, 0, now);
        assert_eq!(hashes(&deployment), "b2 a3");
    }

    #[test]
    fn revisions_go_on_where_they_were_before_a_restart() {
        let now = Instant::now();
        let mut deployment = Deployment::new(now);
        deployment.turn_to("a", 4, 0, now);
        assert_eq!(hashes(&deployment), "a4");
    }

    #[test]
    fn sets_are_found_again_in_the_order_of_their_revisions() {
        let owner = object("Deployment", &json!({"name": "api", "uid": "1"}), &json!({}));
        let set = |hash: &str, revision: &str, uid: &str| {
            let (labels, annotations) = (json!({TEMPLATE_HASH: hash}), json!({REVISION: revision}));
            let owners = json!([{"kind": "Deployment", "name": "api", "uid": uid}]);
            let metadata = json!({"name": format!("api-{hash}"), "labels": labels, "annotations": annotations,
                "ownerReferences": owners});
            object("ReplicaSet", &metadata, &json!({}))
        };
        let sets = [set("b", "10", "1"), set("a", "9", "1"), set("c", "11", "2"), set("d", "?", "1")];
        let now = Instant::now();
        let mut deployment = Deployment::of(&owner, sets.iter(), now);
        assert_eq!(hashes(&deployment), "a9 b10");
        deployment.turn_to("b", 0, 0, now);
        assert_eq!(hashes(&deployment), "a9 b10", "the same template is the same revision");
        deployment.turn_to("a", 0, 0, now);
        assert_eq!(hashes(&deployment), "b10 a11");
    }

    #[test]
    fn revisions_that_people_make_up_do_not_overflow() {
        let now = Instant::now();
        let mut deployment = Deployment::new(now);
        deployment.turn_to("a", u64::MAX, 0, now);
        deployment.turn_to("b", u64::MAX, 0, now);
        assert_eq!(deployment.sets[1].revision, u64::MAX);
    }

    #[test]
    fn a_deployment_that_is_paused_is_scaled_in_its_largest_set() {
        let set = |wanted: u32| Set { template_hash: wanted.to_string(), revision: 1, wanted };
        let sizes = |wanted: &[u32], replicas| {
            let sets: Vec<Set> = wanted.iter().copied().map(set).collect();
            Deployment { sets, ..Deployment::new(Instant::now()) }.sizes_while_paused(replicas)
        };
        assert_eq!(sizes(&[3, 1], 4), [3, 1]);
        assert_eq!(sizes(&[3, 1], 6), [5, 1]);
        assert_eq!(sizes(&[4, 1], 2), [1, 1]);
        assert_eq!(sizes(&[3, 1], 0), [0, 0]);
        assert_eq!(sizes(&[], 5), [0; 0]);
        assert_eq!(sizes(&[0, 0], 5), [0, 5], "the newest where none has any");
    }

    #[test]
    fn only_so_many_old_sets_are_remembered() {
        let now = Instant::now();
        let mut deployment = Deployment::new(now);
        for hash in ["a", "b", "c", "d", "e"] {
            deployment.turn_to(hash, 0, 0, now);
        }
        let forgotten = deployment.forget_old(1, |set| set.template_hash != "b");
        assert_eq!(forgotten, ["a", "c"]);
        assert_eq!(hashes(&deployment), "b2 d4 e5");
    }

    #[test]
    fn a_rollout_without_progress_is_stuck_after_its_patience() {
        let (now, patience) = (Instant::now(), Duration::from_secs(600));
        let mut deployment = Deployment::new(now);
        let none = Counts::default();
        assert_eq!(deployment.deadline(none, 2, 600, now), Some(now + patience));
        let later = now + Duration::from_secs(300);
        let one = Counts { all: 1, updated: 1, available: 1, ready: 1 };
        assert_eq!(deployment.deadline(one, 2, 600, later), Some(later + patience));
        assert_eq!(deployment.deadline(one, 2, 600, later + patience), Some(later + patience));
        let two = Counts { all: 2, updated: 2, available: 2, ready: 2 };
        assert_eq!(deployment.deadline(two, 2, 600, later), None);
    }

    fn written(counts: Counts, is_stuck: bool) -> Value {
        let value = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "api", "generation": 3}, "spec": {}});
        let workload = Workload {
            owner: plan::ObjectRef::new("Deployment", "default", "api"),
            replicas: 3,
            labels: std::collections::BTreeMap::new(),
            annotations: std::collections::BTreeMap::new(),
            zones: Vec::new(),
            template_hash: "0123456789abcdef".to_owned(),
            rollout: Rollout::RollingUpdate { max_surge: 1, max_unavailable: 0 },
            min_ready: Duration::ZERO,
            termination_grace: Duration::from_secs(30),
            restart: manifest::RestartPolicy::Always,
            active_deadline: None,
            is_paused: false,
            containers: Vec::new(),
            working_directory: None,
        };
        let deployment = Object::from_value(value).unwrap();
        let course = if is_stuck { Course::Stuck } else { Course::Going };
        status(&deployment, &workload, counts, course, Timestamp::now())
    }

    #[test]
    fn the_status_says_what_rollout_status_asks() {
        let half = written(Counts { all: 4, updated: 1, ready: 3, available: 3 }, false);
        assert_eq!((&half["observedGeneration"], &half["replicas"]), (&json!(3), &json!(4)));
        assert_eq!((&half["updatedReplicas"], &half["unavailableReplicas"]), (&json!(1), &json!(1)));
        assert!(conditions::holds(&half, "Available") && conditions::holds(&half, "Progressing"));
        assert_eq!(half["conditions"][1]["reason"], "ReplicaSetUpdated");

        let done = written(Counts { all: 3, updated: 3, ready: 3, available: 3 }, false);
        assert_eq!(done["conditions"][1]["reason"], "NewReplicaSetAvailable");
        assert_eq!(
            done["conditions"][1]["message"],
            "ReplicaSet \"api-0123456789\" has successfully progressed."
        );
        assert_eq!(done.get("unavailableReplicas"), None);

        let stuck = written(Counts { all: 3, updated: 1, ready: 2, available: 2 }, true);
        assert!(!conditions::holds(&stuck, "Available") && !conditions::holds(&stuck, "Progressing"));
        assert_eq!(stuck["conditions"][1]["reason"], "ProgressDeadlineExceeded");
    }
}
