//! The control loop: looks at all objects, decides what traffic should do and which replicas should run, and writes
//! down what came of it.
//!
//! One task; events only mark that there is something to do. A pass looks at everything anew, so it does not matter
//! which event was missed.

mod announcements;
mod certificate_news;
mod challenges;
mod children;
mod findings;
mod inference_service;
pub(crate) mod kept;
mod keys;
mod last_good;
mod load_balancer;
mod placement;
mod service_news;
mod target_news;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use manifest::{Compiled, Compiler, Objects};
use plan::health::TargetState;
use plan::{Keys, ListenerKey, ListenerState, ObjectRef, Observed, Plan, TargetKey};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info};

pub use challenges::{CHALLENGE_NAME, CHALLENGE_PATH, ChallengeAnswer, Challenges, challenge_certificate};
pub use placement::Binding;

use crate::authority::Authority;
use crate::cluster::{Cluster, Earlier};
use crate::events::Event;
use crate::live_defaults::LiveDefaults;
use crate::store::metadata;
use announcements::Announcements;
use certificate_news::CertificateNews;
use findings::Told;
use keys::Keyring;
use last_good::LastGood;
use service_news::ServiceNews;
use target_news::TargetNews;

/// How the control loop decides what objects leave open.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What a cluster or an account would say.
    pub defaults: LiveDefaults,
    /// Where listeners listen.
    pub binding: Binding,
    /// What is known already of what objects mean.
    pub compiler: Compiler,
}

/// How long further changes are waited for, so that a burst of them is one pass.
const BEAT: Duration = Duration::from_millis(5);
/// How often it is looked whether certificates have to be made anew, when nothing else happens. A long sleep would not count
/// the time for which a machine was suspended.
const RENEWAL: Duration = Duration::from_secs(600);
/// How many passes follow each other at once because one changed objects that the next has to look at.
const PASSES: usize = 4;

/// Where the control loop says what it wants, and hears what is.
pub struct Channels {
    /// What traffic should do.
    pub plan: watch::Sender<Arc<Plan>>,
    /// The certificates that the plan names.
    pub keys: watch::Sender<Arc<Keys>>,
    /// What the data plane saw.
    pub observed: watch::Receiver<Arc<Observed>>,
    /// What authorities elsewhere look for.
    pub challenges: watch::Receiver<Arc<Challenges>>,
}

/// The control loop of one cluster.
pub struct Control<C> {
    cluster: C,
    settings: Settings,
    plan: watch::Sender<Arc<Plan>>,
    keys: watch::Sender<Arc<Keys>>,
    keyring: Keyring,
    observed: watch::Receiver<Arc<Observed>>,
    challenges: watch::Receiver<Arc<Challenges>>,
    last_good: LastGood,
    announcements: Announcements,
    told: Told,
    /// Objects that go on as they were, and what was told of it.
    told_earlier: BTreeMap<ObjectRef, String>,
    target_news: TargetNews,
    service_news: ServiceNews,
    certificate_news: CertificateNews,
    acted_on: Gist,
}

/// The part of what the data plane saw that can make a difference here.
#[derive(Debug, Clone, PartialEq, Default)]
struct Gist {
    listeners: Vec<(ListenerKey, ListenerState)>,
    /// Targets that are not done: replicas that leave wait for theirs.
    unfinished: BTreeSet<TargetKey>,
}

enum Wake {
    Changed,
    Observed,
    Time,
    Drain,
}

impl<C: Cluster> Control<C> {
    /// Runs until `drain` says to end, and then ends all replicas. The data plane should have drained before.
    ///
    /// Must run on a [`tokio::task::LocalSet`].
    pub async fn run(
        cluster: C,
        settings: Settings,
        authority: Option<Rc<Authority>>,
        channels: Channels,
        drain: impl Future<Output = ()>,
    ) {
        let Channels { plan, keys, observed, challenges } = channels;
        let last_good = LastGood::of(&cluster);
        let mut control = Self {
            cluster,
            settings,
            plan,
            keys,
            keyring: Keyring::new(authority),
            observed,
            challenges,
            last_good,
            told_earlier: BTreeMap::new(),
            announcements: Announcements::default(),
            told: Told::default(),
            target_news: TargetNews::default(),
            service_news: ServiceNews::default(),
            certificate_news: CertificateNews::default(),
            acted_on: Gist::default(),
        };
        let mut drain = std::pin::pin!(drain);
        control.act();
        loop {
            let woken_by = tokio::select! {
                () = &mut drain => Wake::Drain,
                () = control.cluster.changed() => Wake::Changed,
                () = changed(&mut control.observed) => Wake::Observed,
                () = control.settings.defaults.changed() => Wake::Changed,
                () = changed(&mut control.challenges) => Wake::Changed,
                () = sleep(RENEWAL) => Wake::Time,
            };
            match woken_by {
                Wake::Drain => break,
                Wake::Observed if Gist::of(&control.observed.borrow_and_update()) == control.acted_on => {
                    control.tell_of_targets();
                }
                Wake::Observed | Wake::Changed | Wake::Time => {
                    sleep(BEAT).await;
                    control.act();
                }
            }
        }
        info!("ending all replicas");
        control.cluster.stop().await;
    }

    /// Tells of targets whose health is another. Nothing else follows from that here.
    fn tell_of_targets(&mut self) {
        let observed = Arc::clone(&self.observed.borrow());
        let plan = Arc::clone(&self.plan.borrow());
        self.target_news.tell(&plan, &observed, &mut self.cluster);
    }

    fn act(&mut self) {
        let mut n_passes = 1;
        while self.pass() && n_passes < PASSES {
            n_passes += 1;
        }
        debug!(n_passes, "looked at all objects");
    }

    /// Looks at everything once. Tells whether objects changed that the next pass has to look at.
    fn pass(&mut self) -> bool {
        let observed = Arc::clone(&self.observed.borrow_and_update());
        self.acted_on = Gist::of(&observed);

        let workloads = self.last_good.workloads(&self.cluster.objects());
        self.cluster.go_on_with(self.last_good.of_workloads(), self.last_good.without_workload());
        self.cluster.keep_workloads(&workloads, &observed);

        let objects = self.cluster.objects();
        let compiled =
            self.last_good.compile(&self.settings.compiler, &objects, &self.settings.defaults.now());
        self.cluster.settle(&|object| self.last_good.is_settled(object));
        self.cluster.remember_load_balancers(self.last_good.load_balancers());
        let earlier = self.last_good.all();
        let changed_children = self.keep_children(&objects, &compiled);
        let plan = self.place(compiled.plan.clone(), &objects);
        self.send(plan.clone());

        let findings = manifest::findings_of(&compiled, &objects, Timestamp::now());
        self.told.tell(&findings, &mut self.cluster);
        self.announcements.tell(&plan, &observed, &mut self.cluster);
        self.target_news.tell(&plan, &observed, &mut self.cluster);
        self.service_news.tell(&plan, &observed, &mut self.cluster);
        self.tell_what_goes_on(&earlier, &objects);
        self.write_statuses(&objects, &compiled, &plan, &observed, &earlier);
        changed_children
    }

    /// Sends a plan down, if it is another. What authorities look for is part of it for the data plane only: it is nothing that
    /// objects ask for.
    fn send(&self, mut plan: Plan) {
        self.challenges.borrow().answer_in(&mut plan);
        self.plan.send_if_modified(|current| {
            let is_changed = **current != plan;
            if is_changed {
                *current = Arc::new(plan);
            }
            is_changed
        });
    }

    fn keep_children(&mut self, objects: &Arc<Objects>, compiled: &Compiled) -> bool {
        let (wanted, unwanted) = children::diff(objects, &compiled.children);
        if !wanted.is_empty() {
            self.cluster.apply(wanted);
        }
        unwanted.iter().for_each(|object| self.cluster.delete(object));
        !Arc::ptr_eq(objects, &self.cluster.objects())
    }

    /// Tells of every object that goes on as it was, once.
    fn tell_what_goes_on(&mut self, earlier: &BTreeMap<ObjectRef, Earlier>, objects: &Objects) {
        let mut told = BTreeMap::new();
        for (reference, earlier) in earlier {
            let Some(object) = objects.get(&reference.kind, &reference.namespace, &reference.name) else {
                continue;
            };
            let sentence = earlier.sentence(object);
            if self.told_earlier.get(reference) != Some(&sentence) {
                self.cluster.record_event(reference, &Event::warning("LastGoodVersion", sentence.clone()));
            }
            told.insert(reference.clone(), sentence);
        }
        self.told_earlier = told;
    }

    /// Gives the plan its addresses, and hands on the keys that it names before anybody needs them.
    fn place(&mut self, plan: Plan, objects: &Objects) -> Plan {
        let balancers = plan.load_balancers.iter();
        let ids: BTreeSet<String> = balancers
            .flat_map(|balancer| [balancer.id.to_string(), placement::name_of_frontend(&balancer.id)])
            .collect();
        let is_in_use = |id: &str| ids.contains(id);
        let cluster = &mut self.cluster;
        let address_of = |id: &str| cluster.load_balancer_address(id, &is_in_use);
        let (plan, mut problems) = placement::place(plan, self.settings.binding, address_of);
        let folder = self.settings.defaults.kept();
        let mut resolved = self.keyring.resolve(&plan, objects, &folder, Timestamp::now());
        let challenges = Arc::clone(&self.challenges.borrow_and_update());
        resolved.keys.by_name.extend(challenges.keys());
        resolved.problems.extend(challenges.problems(&plan));
        self.keys.send_if_modified(|current| {
            let is_changed = **current != resolved.keys;
            if is_changed {
                *current = Arc::new(resolved.keys);
            }
            is_changed
        });
        self.certificate_news.tell(&plan, resolved.problems, &mut self.cluster);
        problems.extend(resolved.failures);
        self.announcements.set_problems(problems);
        plan
    }

    fn write_statuses(
        &mut self,
        objects: &Objects,
        compiled: &Compiled,
        plan: &Plan,
        observed: &Observed,
        earlier: &BTreeMap<ObjectRef, Earlier>,
    ) {
        for (object, status) in load_balancer::statuses(objects, plan, observed) {
            self.cluster.write_status(&object, status);
        }
        let now = Timestamp::now();
        for (object, status) in kept::statuses(objects, now) {
            self.cluster.write_status(&object, status);
        }
        for object in objects.of_kind("InferenceService") {
            let reference: ObjectRef = object.reference();
            let route = compiled.routes.iter().find(|route| route.object == reference);
            let is_open =
                route.is_some_and(|route| load_balancer::is_open(plan, &route.load_balancer, observed));
            let mut status = inference_service::status(object, route, is_open, objects, now);
            if let Some(earlier) = earlier.get(&reference) {
                status["observedGeneration"] = earlier.generation().clone();
                earlier.tell_in(&mut status, object, &metadata::time(now));
            }
            for event in inference_service::news(object, &status) {
                self.cluster.record_event(&reference, &event);
            }
            self.cluster.write_status(&reference, status);
        }
    }
}

/// Waits for the next value. When nobody sends any more, for ever.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Gist {
    fn of(observed: &Observed) -> Self {
        let listeners = observed.listeners.iter().map(|(key, state)| (key.clone(), state.clone()));
        let unfinished = observed
            .targets
            .iter()
            .filter(|(_, health)| health.state != TargetState::Draining || health.in_flight > 0)
            .map(|(key, _)| key.clone());
        Self { listeners: listeners.collect(), unfinished: unfinished.collect() }
    }
}

#[cfg(test)]
mod tests;
