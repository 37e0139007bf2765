//! One machine as a cluster: objects in a [`Store`], replicas as processes, load balancers on loopback addresses.
//!
//! What Kubernetes leaves to its deployment controller, its endpoints controller and its kubelet is done here, with
//! the same objects to see it by. It is *not* the place that decides what traffic does; that is the control loop's.

mod back_off;
mod block;
mod claims;
mod command;
mod container;
mod controller_log;
mod controllers;
mod deployment;
mod descendants;
mod descriptor;
mod drain;
mod endpoints;
mod environment;
mod folder;
mod keep;
mod leftovers;
mod listening;
mod log;
mod memory;
mod nodes;
mod pod;
pub(crate) mod probe;
mod process;
mod refusals;
mod renewals;
mod replica;
mod rollout;
mod running;
mod service_links;
mod show;
mod stdin;
mod terminal;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use manifest::{Object, Objects, RestartPolicy, Workload};
use plan::{ObjectRef, Observed};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

pub use block::NoBlock;
pub use command::{Command, CommandEnd, Input, Output, Wanted};
pub use container::LISTENS_AT;
pub use descendants::end_marked;
pub use log::{LogQuery, LogStream, Logs};
pub use running::{ContainerName, Place, Running};
pub use stdin::Stdin;
pub use usage::Used;

use crate::cluster::{Cluster, Earlier};
use crate::events::{Event, Recorder};
use crate::store::{DeleteOptions, Due, Mode, OpenError, Step, Store};
use block::Block;
use container::Platform;
use controller_log::ControllerLog;
use deployment::Deployment;
use leftovers::Leftovers;
use refusals::Refusals;
use renewals::Renewals;
use replica::Replica;

/// How a [`Local`] is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSettings {
    /// Where all state is kept: objects, logs, addresses. Made if it is not there.
    pub state_folder: PathBuf,
    /// The program that replicas with our own image run: usually this very one.
    pub program: PathBuf,
    /// What pods say they run on.
    pub node_name: String,
    /// What our own model server gets of an environment besides that of this process.
    pub environment: Vec<(String, String)>,
}

/// One machine as a cluster. Must be used on a [`tokio::task::LocalSet`].
#[derive(Debug)]
pub struct Local {
    settings: LocalSettings,
    store: Rc<Store>,
    platform: Rc<Platform>,
    block: Block,
    /// By the pod that each of them is.
    replicas: BTreeMap<ObjectRef, Replica>,
    deployments: BTreeMap<ObjectRef, Deployment>,
    /// Pods that have ended, whose logs are there as long as they are.
    ended: BTreeSet<ObjectRef>,
    /// Objects that go on as they were.
    earlier: BTreeMap<ObjectRef, Earlier>,
    /// Objects that make no workload as they are, and what is wrong with them.
    broken: BTreeMap<ObjectRef, String>,
    refusals: Refusals,
    renewals: Renewals,
    controller_log: ControllerLog,
    told_claims: claims::Told,
    /// Namespaces that nobody wrote, and of which it was told.
    told_namespaces: BTreeSet<String>,
    revisions: watch::Receiver<u64>,
    containers_changed: watch::Receiver<()>,
    /// When to look after the workloads although nothing happened.
    wake_at: Option<Instant>,
}

/// The replicas of this machine, for somebody who wants to hear or reach them.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What they have said.
    pub logs: Logs,
    /// Those that run.
    pub running: Running,
}

/// Why this machine cannot be used as a cluster.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder cannot be made, or not be made this user's alone.
    #[error("cannot make `{}` a state folder of this user's own", path.display())]
    StateFolder {
        /// The folder, or what in it is another's.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The state folder is one that everybody writes to.
    #[error("everybody makes files in `{}`; name a folder in it, which will be this user's own", path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
    },
    /// What leads out of the state folder may be somebody else's.
    #[error("`{}` is a link; put what it leads to in its place", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// The objects cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// There is no address.
    #[error(transparent)]
    NoBlock(#[from] NoBlock),
}

/// The note with the name by which processes of this state folder are known.
const PLATFORM_NOTE: &str = "platform";
/// The note that says which block of addresses was ours.
const BLOCK_NOTE: &str = "address-block";
/// Before the id of a load balancer: the note that says which address of the block is its.
const ADDRESS_NOTE: &str = "address-of/";
/// The note that says which load balancers there were.
const LOAD_BALANCERS_NOTE: &str = "load-balancers";
/// How long after its grace period a replica may take to vanish when everything stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

// === impl Local ===

impl Local {
    /// Opens the state, claims addresses, and ends what a platform that died has left behind.
    ///
    /// # Errors
    /// When another platform uses the state folder, or it cannot be used at all.
    pub async fn open(settings: LocalSettings) -> Result<Self, StartError> {
        let folder = &settings.state_folder;
        folder::prepare(folder)?;
        let store = Rc::new(Store::open(&folder.join("objects.redb"))?);
        let kept = store.note(BLOCK_NOTE).and_then(|note| note.parse().ok());
        let block = Block::claim(kept.unwrap_or_else(|| block::number_for(folder)))?;
        if let Err(status) = store.set_note(BLOCK_NOTE, Some(&block.number().to_string())) {
            warn!(%status, "addresses will be others after a restart");
        }
        let processes = folder.join("processes");
        let leftovers = Leftovers::new(processes.clone());
        leftovers.end_all().await;
        let name = store.note(PLATFORM_NOTE).unwrap_or_else(crate::api::new_token);
        if let Err(status) = store.set_note(PLATFORM_NOTE, Some(&name)) {
            warn!(%status, "processes that left their group would outlive a crash");
        }
        let all_marks = format!("{name}/");
        // What left its group has no file of its own.
        let _ = tokio::task::spawn_blocking(move || end_marked(&all_marks)).await;
        let ended = ends_of_before(&store);
        let logs = Logs::new(folder.join("logs"));
        // All other pods are new.
        logs.keep_those_of(&ended);
        let platform = Platform {
            logs,
            recorder: Recorder::new(Rc::clone(&store)),
            leftovers,
            mark: format!("{name}/{}/", crate::api::new_token()),
            running: Running::new(Leftovers::new(processes)),
            wake: watch::Sender::default(),
        };
        let controller_log = ControllerLog::begin(&platform.logs);
        Ok(Self {
            revisions: store.revisions(),
            containers_changed: platform.wake.subscribe(),
            settings,
            store,
            platform: Rc::new(platform),
            block,
            replicas: BTreeMap::new(),
            deployments: BTreeMap::new(),
            ended,
            earlier: BTreeMap::new(),
            broken: BTreeMap::new(),
            refusals: Refusals::default(),
            renewals: Renewals::new(),
            controller_log,
            told_claims: claims::Told::new(),
            told_namespaces: BTreeSet::new(),
            wake_at: None,
        })
    }

    /// The objects, for everybody who asks about them or changes them.
    #[must_use]
    pub fn store(&self) -> Rc<Store> {
        Rc::clone(&self.store)
    }

    /// What the mark of every process begins with that this platform starts. See [`end_marked`].
    #[must_use]
    pub fn mark(&self) -> String {
        self.platform.mark.clone()
    }

    /// The first address of the network of Services.
    #[must_use]
    pub fn service_network(&self) -> Ipv4Addr {
        self.block.service_network()
    }

    /// What somebody needs who wants to hear or reach the replicas.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine { logs: self.platform.logs.clone(), running: self.platform.running.clone() }
    }

    /// Writes down how pods ended that are not to be started again when there is a platform again.
    fn write_ends(&self) {
        let objects = self.store.objects();
        let ends = self.replicas.iter().filter_map(|(pod, replica)| {
            let status = replica.status(objects.find(pod)?);
            let is_over = replica.restart == RestartPolicy::Never
                || (replica.restart == RestartPolicy::OnFailure && status["phase"] == "Succeeded");
            (is_over && replica.is_gone()).then(|| Step::Status(pod.clone(), status))
        });
        let ends = ends.collect();
        drop(objects);
        self.store.take(ends, Due::Now);
    }

    /// Remembers that the workloads are to be looked after at a time.
    fn wake_at(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// The pods that have ended. Those that a platform had started that is no more, and that are to be started once only, have
/// ended with it.
fn ends_of_before(store: &Store) -> BTreeSet<ObjectRef> {
    let objects = store.objects();
    let pods = || objects.of_kind("Pod");
    let is_lost = |pod: &&Arc<Object>| {
        pod.value["spec"]["restartPolicy"] == "Never"
            && pod.value["status"]["startTime"].is_string()
            && !pod::has_ended(pod)
    };
    let now = Timestamp::now();
    let lost: Vec<Step> =
        pods().filter(is_lost).map(|pod| Step::Status(pod.reference(), pod::lost(pod, now))).collect();
    let ended = pods().filter(|pod| is_lost(pod) || pod::has_ended(pod)).map(|pod| pod.reference());
    let ended = ended.collect();
    drop(objects);
    store.take(lost, Due::Now);
    ended
}

impl Cluster for Local {
    fn objects(&mut self) -> Arc<Objects> {
        self.renewals.looked(*self.revisions.borrow_and_update());
        self.store.objects()
    }

    async fn changed(&mut self) {
        loop {
            let wake_at = self.wake_at;
            let time = async {
                match wake_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.revisions.changed() => {
                    // That nodes are there still is nothing to look at.
                    if changed.is_err() || !self.renewals.are_all_until(*self.revisions.borrow()) {
                        return;
                    }
                }
                _ = self.containers_changed.changed() => return,
                () = time => return,
                () = self.renewals.due() => self.renewals.renew(&self.store),
            }
        }
    }

    fn apply(&mut self, objects: Vec<Object>) {
        for result in self.store.apply(objects) {
            if let Err(status) = result {
                warn!(%status, "an object that follows from others could not be stored");
            }
        }
    }

    fn delete(&mut self, object: &ObjectRef) {
        let Some(kind) = manifest::kind_named(&object.kind) else { return };
        let key = (kind, object.namespace.as_str(), object.name.as_str());
        if let Err(status) = self.store.delete(key, &DeleteOptions::default(), Mode::Commit) {
            warn!(%object, %status, "an object that followed from others could not be deleted");
        }
    }

    fn write_status(&mut self, object: &ObjectRef, status: Value) {
        self.store.set_status(object, status);
    }

    fn record_event(&mut self, object: &ObjectRef, event: &Event) {
        self.platform.recorder.record(object, event);
        self.controller_log.tell(object, event);
    }

    fn earlier_versions(&self) -> Vec<Object> {
        self.store.earlier_versions()
    }

    fn settle(&mut self, is_settled: &dyn Fn(&ObjectRef) -> bool) {
        self.store.settle(is_settled);
    }

    fn load_balancers(&self) -> BTreeSet<String> {
        let note = self.store.note(LOAD_BALANCERS_NOTE).unwrap_or_default();
        note.lines().map(ToOwned::to_owned).collect()
    }

    fn remember_load_balancers(&mut self, ids: &BTreeSet<String>) {
        let note = ids.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        if let Err(status) = self.store.set_note(LOAD_BALANCERS_NOTE, Some(&note)) {
            warn!(%status, "load balancers of broken objects will be missing after a restart");
        }
    }

    fn go_on_with(&mut self, earlier: BTreeMap<ObjectRef, Earlier>, broken: &BTreeMap<ObjectRef, String>) {
        self.earlier = earlier;
        self.broken.clone_from(broken);
    }

    fn keep_workloads(&mut self, workloads: &[Workload], observed: &Observed) {
        self.keep(workloads, observed);
    }

    fn load_balancer_address(
        &mut self,
        id: &str,
        is_in_use: &dyn Fn(&str) -> bool,
    ) -> Result<IpAddr, String> {
        let note = format!("{ADDRESS_NOTE}{id}");
        if let Some(number) = self.store.note(&note).and_then(|number| number.parse().ok()) {
            return Ok(self.block.load_balancer(number).into());
        }
        let known = self.store.notes_with_prefix(ADDRESS_NOTE);
        let known = known.iter().filter_map(|(key, number)| Some((key, number.parse::<u8>().ok()?)));
        let known: BTreeMap<u8, &String> = known.map(|(key, number)| (number, key)).collect();
        let number = block::free_number(|number| known.contains_key(&number)).or_else(|| {
            // All were given out once: one of a load balancer that is no more is given to another.
            let mut idle = known.iter().filter(|(_, key)| !is_in_use(&key[ADDRESS_NOTE.len()..]));
            let (number, key) = idle.next()?;
            let _ = self.store.set_note(key, None);
            Some(*number)
        });
        let number = number.ok_or("every loopback address of this platform has a load balancer already")?;
        if let Err(status) = self.store.set_note(&note, Some(&number.to_string())) {
            warn!(%status, load_balancer = id, "the address will be another after a restart");
        }
        Ok(self.block.load_balancer(number).into())
    }

    async fn stop(mut self) {
        self.replicas.values_mut().for_each(Replica::end);
        let longest = self.replicas.values().map(|replica| replica.grace).max().unwrap_or_default();
        let all_gone = async {
            while !self.replicas.values().all(Replica::is_gone) {
                let _ = self.containers_changed.changed().await;
            }
        };
        if timeout(longest + STOP_PATIENCE, all_gone).await.is_err() {
            warn!("some replicas did not end in time and are killed");
        }
        descendants::kill(&self.platform.mark);
        self.write_ends();
        self.store.finish();
    }
}
