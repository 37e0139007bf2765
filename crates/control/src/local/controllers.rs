//! What has pods made of a template, besides Deployments: one row each. A controller is a function of objects and the time; what
//! it wants is done by whoever asks it.
//!
//! It is *not* here that pods live: each of them is a workload of its own, which `keep` has run.

mod cron_job;
mod daemon_set;
mod job;
mod made;
mod replica_set;
mod revisions;
mod stateful_set;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use manifest::{Object, Objects};
use plan::ObjectRef;
use serde_json::Value;
use tokio::time::Instant;

use super::Local;
use super::refusals::Refusals;
use crate::events::Event;
use crate::store::{DeleteOptions, Due, Propagation, Step, Store, TRACKING, metadata};

/// One kind of object that has pods made, or has others made that do.
struct Controller {
    kind: &'static str,
    /// What is to be done for one of its objects. Asked again it wants nothing, if nothing has happened.
    wanted: fn(&Arc<Object>, &World<'_>) -> Wanted,
}

/// Those that are made of others come later, so that they are seen as those want them.
const CONTROLLERS: &[Controller] = &[
    Controller { kind: "CronJob", wanted: cron_job::wanted },
    Controller { kind: "Job", wanted: job::wanted },
    Controller { kind: "ReplicaSet", wanted: replica_set::wanted },
    Controller { kind: "ReplicationController", wanted: replica_set::wanted },
    Controller { kind: "StatefulSet", wanted: stateful_set::wanted },
    Controller { kind: "DaemonSet", wanted: daemon_set::wanted },
];

/// What a controller sees.
struct World<'a> {
    objects: &'a Objects,
    now: Timestamp,
    /// Objects by the uid of the one that controls them.
    controlled: HashMap<&'a str, Vec<&'a Arc<Object>>>,
    /// Pods that nobody controls.
    free: Vec<&'a Arc<Object>>,
}

/// What a controller wants.
#[derive(Debug, Default)]
struct Wanted {
    /// In this order, all at once.
    steps: Vec<Step>,
    /// New pods and Jobs, and whether they are kept over a restart.
    made: Vec<(Object, bool)>,
    /// Whether they have to be on the disk before anything follows from them.
    is_counted: bool,
    status: Option<Value>,
    events: Vec<(ObjectRef, Event)>,
    /// When to look again although nothing happens.
    look_again: Option<Timestamp>,
}

/// The kinds of objects that controllers make.
const MADE: &[&str] = &["Pod", "Job", "ControllerRevision"];
/// The clock may be set: what waits for a time of day looks again after so long at the latest.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What came of asking all controllers.
#[derive(Debug, Default)]
struct Followed {
    events: Vec<(ObjectRef, Event)>,
    look_again: Option<Timestamp>,
    /// When to try again to make what was refused.
    retry: Option<Instant>,
}

impl Followed {
    /// Makes what a controller has made, unless that was refused a moment ago, and tells of it.
    fn make(
        &mut self,
        owner: &Object,
        made: Vec<(Object, bool)>,
        store: &Store,
        refusals: &mut Refusals,
        now: Instant,
    ) {
        let about = owner.reference();
        let mut wait = (!made.is_empty()).then(|| refusals.waits_until(&about, now)).flatten();
        for (object, is_kept) in made {
            if wait.is_some() {
                break;
            }
            let created = format!("Created {}: {}", object.kind.singular(), object.name);
            let event = match store.make(object, is_kept) {
                Ok(()) => {
                    refusals.forget(&about);
                    Event::normal("SuccessfulCreate", created)
                }
                Err(refusal) => {
                    wait = Some(refusals.note(&about, &refusal.message, now));
                    Event::warning("FailedCreate", format!("Error creating: {}", refusal.message))
                }
            };
            self.events.push((about.clone(), event));
        }
        self.retry = [self.retry, wait].into_iter().flatten().min();
    }
}

impl Local {
    /// Does what controllers want.
    pub(super) fn follow_controllers(&mut self, now: Instant) {
        let time = Timestamp::now();
        let mut refusals = std::mem::take(&mut self.refusals);
        let followed = follow(&self.store, &|object| self.in_force(object), &mut refusals, (time, now));
        self.refusals = refusals;
        let Followed { events, look_again, retry } = followed;
        retry.into_iter().for_each(|at| self.wake_at(at));
        for (about, event) in &events {
            self.platform.recorder.record(about, event);
        }
        if let Some(at) = look_again {
            let wait = at.duration_since(time).unsigned_abs();
            let wait = if at > time { wait.min(LONGEST_WAIT) } else { Duration::ZERO };
            self.wake_at(now + wait);
        }
    }

    /// An object with what it says as it is served.
    fn in_force(&self, object: &Arc<Object>) -> Arc<Object> {
        let Some(earlier) = self.earlier.get(&object.reference()) else { return Arc::clone(object) };
        let mut object = Object::clone(object);
        object.value["spec"] = earlier.object.value["spec"].clone();
        Arc::new(object)
    }
}

/// Asks all controllers about all their objects, and has done what they want.
fn follow(
    store: &Store,
    in_force: &dyn Fn(&Arc<Object>) -> Arc<Object>,
    refusals: &mut Refusals,
    (time, now): (Timestamp, Instant),
) -> Followed {
    let mut followed = Followed::default();
    for controller in CONTROLLERS {
        let objects = store.objects();
        let all: Vec<Arc<Object>> = objects.of_kind(controller.kind).map(in_force).collect();
        if all.is_empty() {
            continue;
        }
        let world = World::new(&objects, time);
        let wanted: Vec<Wanted> = all.iter().map(|object| (controller.wanted)(object, &world)).collect();
        drop(world);
        drop(objects);
        for (object, wanted) in all.iter().zip(wanted) {
            let Wanted { mut steps, made, is_counted, mut status, events, look_again } = wanted;
            if let Some(status) = &mut status {
                refusals.tell_in(status, &object.reference(), &object.value);
            }
            if let Some(status) = status.filter(|status| object.value["status"] != *status) {
                steps.insert(0, Step::Status(object.reference(), status));
            }
            store.take(steps, if is_counted { Due::Now } else { Due::Soon });
            followed.events.extend(events);
            followed.make(object, made, store, refusals, now);
            followed.look_again = [followed.look_again, look_again].into_iter().flatten().min();
        }
    }
    let_go_of_counted(store);
    followed
}

/// Pods whose end nobody counts any more need not wait for that.
fn let_go_of_counted(store: &Store) {
    let objects = store.objects();
    let counts =
        |owner: &ObjectRef| objects.find(owner).is_some_and(|owner| metadata::deletion(owner).is_none());
    let uncounted = objects
        .of_kind("Pod")
        .filter(|pod| is_tracked(pod) && !super::keep::owner_of(pod).is_some_and(|owner| counts(&owner)));
    let steps = uncounted.map(|pod| Step::Counted(pod.reference())).collect();
    drop(objects);
    store.take(steps, Due::Soon);
}

/// Whether a pod waits until its end is counted.
fn is_tracked(pod: &Object) -> bool {
    pod.value["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|it| it == TRACKING))
}

// === impl World ===

impl<'a> World<'a> {
    fn new(objects: &'a Objects, now: Timestamp) -> Self {
        let mut controlled: HashMap<&str, Vec<&Arc<Object>>> = HashMap::new();
        let mut free = Vec::new();
        for object in MADE.iter().flat_map(|kind| objects.of_kind(kind)) {
            match controller(object) {
                Some(uid) => controlled.entry(uid).or_default().push(object),
                None if object.kind.kind == "Pod" => free.push(object),
                None => {}
            }
        }
        Self { objects, now, controlled, free }
    }

    /// The objects of a kind that an object controls, by name.
    fn of(&self, owner: &Object, kind: &str) -> Vec<&'a Arc<Object>> {
        let uid = metadata::text(owner, "uid").unwrap_or_default();
        let all = self.controlled.get(uid).into_iter().flatten().copied();
        all.filter(|object| object.kind.kind == kind && object.namespace == owner.namespace).collect()
    }

    fn now(&self) -> String {
        metadata::time(self.now)
    }
}

/// The uid of the object that controls an object.
fn controller(object: &Object) -> Option<&str> {
    let owners = object.value["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}

// === impl Wanted ===

impl Wanted {
    fn tell(&mut self, about: &Object, event: Event) {
        self.events.push((about.reference(), event));
    }

    /// Has a pod made that is made anew after a restart.
    fn make(&mut self, made: Object) {
        self.made.push((made, false));
    }

    /// Has an object made that is kept.
    fn make_for_good(&mut self, made: Object) {
        self.made.push((made, true));
    }

    /// Has a pod or another object deleted, and tells of it.
    fn delete(&mut self, owner: &Object, object: &Object) {
        let what = object.kind.singular();
        self.tell(owner, Event::normal("SuccessfulDelete", format!("Deleted {what}: {}", object.name)));
        let propagation = (what == "job").then_some(Propagation::Background);
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        self.steps.push(Step::Delete(object.reference(), options));
    }

    fn look_again(&mut self, at: Option<Timestamp>) {
        self.look_again = [self.look_again, at].into_iter().flatten().min();
    }
}

/// A number that an object says.
fn number(value: &Value) -> Option<u64> {
    value.as_u64()
}

/// A number of replicas, or what stands for it where there is none.
fn count(value: &Value, default: usize) -> usize {
    value.as_u64().map_or(default, |number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// A time that an object says.
fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// A time so many seconds later; never where there is no such time.
fn later(from: Timestamp, seconds: u64) -> Option<Timestamp> {
    from.checked_add(jiff::SignedDuration::from_secs(i64::try_from(seconds).ok()?)).ok()
}

#[cfg(test)]
mod tests;
