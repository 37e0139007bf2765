//! Workloads: wanted replicas of one thing, with nothing left to a default.

mod arguments;
mod environment;
mod ports;
mod probe;
mod program;
mod quantity;
pub(crate) mod relative_path;
mod rollout;
mod template;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use plan::ObjectRef;

use crate::{Finding, Object, Objects, finding};

pub use crate::kinds::pod::RestartPolicy;
pub(crate) use ports::Ports;
pub use quantity::parse as parse_quantity;

/// Wanted replicas of one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// The Deployment or Pod that wants them.
    pub owner: ObjectRef,
    /// How many.
    pub replicas: u32,
    /// Labels of each replica.
    pub labels: BTreeMap<String, String>,
    /// Annotations of each replica.
    pub annotations: BTreeMap<String, String>,
    /// The zones that replicas are spread over; none where nobody says so.
    pub zones: Vec<String>,
    /// Stable hash of everything that makes a replica what it is; another hash means new replicas.
    pub template_hash: String,
    /// How replicas of an old template give way to those of a new one.
    pub rollout: Rollout,
    /// How long a replica must have been ready before it counts as available.
    pub min_ready: Duration,
    /// How long a replica may take to end.
    pub termination_grace: Duration,
    /// Whether containers that end are started again.
    pub restart: RestartPolicy,
    /// How long a replica may run at all.
    pub active_deadline: Option<Duration>,
    /// Whether changes of what a replica is wait for a word.
    pub is_paused: bool,
    /// What a replica runs. Never empty.
    pub containers: Vec<Container>,
    /// The folder that relative paths start from: the manifest's own.
    pub working_directory: Option<PathBuf>,
}

/// How replicas of an old template give way to those of a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// The old ones end before the new ones start.
    Recreate,
    /// Old and new run side by side.
    RollingUpdate {
        /// How many more than wanted may run.
        max_surge: u32,
        /// How many fewer than wanted may be available. Not zero when `max_surge` is.
        max_unavailable: u32,
    },
}

/// One process of a replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What is run.
    pub program: Program,
    /// Who may write to its standard input.
    pub stdin: Stdin,
    /// Environment variables in order, with those from ConfigMaps and Secrets filled in, and `$(NAME)` replaced.
    pub environment: Vec<(String, String)>,
    /// Variables whose value only the replica's starter knows. They come before [`Self::environment`]; `$(NAME)` of such
    /// a variable is left in the program and in the environment for the starter to replace.
    pub pod_fields: Vec<(String, PodField)>,
    /// Ports it declares.
    pub ports: Vec<ContainerPort>,
    /// Whether it has started; the other two wait for it.
    pub startup: Option<Probe>,
    /// Whether it may get traffic.
    pub readiness: Option<Probe>,
    /// Whether it is still alive.
    pub liveness: Option<Probe>,
    /// CPU limit, in cores.
    pub cpu_limit: Option<f64>,
    /// Memory limit, in bytes.
    pub memory_limit: Option<u64>,
}

/// A field of a pod that is known only when the replica starts (`valueFrom.fieldRef`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodField {
    /// `metadata.name`.
    Name,
    /// `metadata.uid`.
    Uid,
    /// `status.podIP`, also as `status.podIPs`.
    PodIp,
    /// `status.hostIP`, also as `status.hostIPs`.
    HostIp,
    /// `spec.nodeName`.
    NodeName,
}

/// Who may write to the standard input of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stdin {
    /// Nobody: there is nothing to read.
    #[default]
    Nobody,
    /// Whoever attaches to it, one after the other.
    Anybody,
    /// The first who attaches to it; it ends with them.
    Once,
}

/// What a container runs on one machine, where no image is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// This binary, for an image whose last path segment is `forebay`.
    Forebay {
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// A command that the manifest names. Never empty.
    Command {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// A port that a container declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPort {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its number.
    pub number: u16,
}

/// A probe with nothing left to a default ("Configure Liveness, Readiness and Startup Probes", Kubernetes docs).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub handler: ProbeHandler,
    /// Time before the first one.
    pub initial_delay: Duration,
    /// Time between two.
    pub period: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Successes in a row that count.
    pub success_threshold: u32,
    /// Failures in a row that count.
    pub failure_threshold: u32,
}

/// What a probe asks. Ports by name are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeHandler {
    /// A GET that must answer 200 to 399.
    Http {
        /// The port.
        port: u16,
        /// The path.
        path: String,
        /// Header fields to send.
        headers: Vec<(String, String)>,
    },
    /// A connection.
    Tcp {
        /// The port.
        port: u16,
    },
    /// A command that must end with 0.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// Kinds whose objects have pods made of their templates, each of which is a workload then.
const OF_PODS: &[&str] =
    &["ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job", "CronJob"];

/// The workloads that Deployments and all pods but theirs ask for. Children of InferenceServices are among them when the caller
/// has put them into `objects`. A workload with an error among its findings is left out; pods that have ended ask for nothing.
#[must_use]
pub fn workloads(objects: &Objects) -> (Vec<Workload>, Vec<Finding>) {
    let (mut workloads, mut findings) = (Vec::new(), Vec::new());
    let running = objects.of_kind("Pod").filter(|pod| !has_ended(pod));
    let owners = OF_PODS.iter().flat_map(|kind| objects.of_kind(kind));
    let all = objects.of_kind("Deployment").chain(running).chain(owners);
    for object in all.filter(|object| !is_of_platform(object)) {
        let (workload, mut own) = of(object, objects);
        workloads.extend(workload);
        findings.append(&mut own);
    }
    finding::sort(&mut findings);
    (workloads, findings)
}

/// On the objects that stand for a part of the platform itself, which runs without them.
pub const OF_PLATFORM: &str = "forebay.dev/part-of-platform";

/// Whether an object stands for a part of the platform itself.
#[must_use]
pub fn is_of_platform(object: &Object) -> bool {
    object.annotation(OF_PLATFORM).is_some()
}

/// What [`workloads`] says of one Deployment or Pod, which need not be as it is among the objects.
#[must_use]
pub fn workload_of(object: &Object, objects: &Objects) -> Option<Workload> {
    of(object, objects).0
}

fn of(object: &Object, objects: &Objects) -> (Option<Workload>, Vec<Finding>) {
    let mut findings = Vec::new();
    let workload = match object.kind.key {
        "Deployment" => template::of_deployment(object, objects, &mut findings),
        _ if is_of_deployment(object, objects) => None,
        "Pod" => {
            let workload = template::of_pod(object, objects, &mut findings);
            if controller_of(object).is_some() {
                // The rest is said of what it was made of.
                findings.retain(Finding::is_error);
            }
            workload
        }
        _ => {
            template::check(object, objects, &mut findings);
            None
        }
    };
    let is_broken = findings.iter().any(Finding::is_error);
    (workload.filter(|_| !is_broken), findings)
}

/// Whether a pod has ended for good.
fn has_ended(pod: &Object) -> bool {
    matches!(pod.value["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Whether a set or a pod was made of a Deployment, which then speaks for it; or a pod of something that is no more, which it
/// follows.
fn is_of_deployment(object: &Object, objects: &Objects) -> bool {
    let Some(owner) = controller_of(object) else { return false };
    if owner.kind == "Deployment" || object.kind.kind != "Pod" {
        return owner.kind == "Deployment";
    }
    match objects.find(&owner) {
        None => crate::kind_named(&owner.kind).is_some(),
        Some(set) => controller_of(set).is_some_and(|owner| owner.kind == "Deployment"),
    }
}

/// Whether this machine knows what a container runs; where only its image does, it does not.
#[must_use]
pub fn has_program(container: &serde_json::Value) -> bool {
    let has_command = container["command"].as_array().is_some_and(|command| !command.is_empty());
    has_command || is_our_image(container["image"].as_str().unwrap_or_default())
}

/// The object that controls an object.
fn controller_of(object: &Object) -> Option<ObjectRef> {
    let owners = object.value.pointer("/metadata/ownerReferences")?.as_array()?;
    let controls =
        |owner: &&serde_json::Value| owner.get("controller") == Some(&serde_json::Value::Bool(true));
    let owner = owners.iter().find(controls).or(owners.first())?;
    let text = |field: &str| owner.get(field).and_then(serde_json::Value::as_str);
    Some(ObjectRef::new(text("kind")?, &object.namespace, text("name")?))
}

/// Whether a container runs our own program.
pub(crate) fn runs_ours(container: &crate::kinds::pod::Container) -> bool {
    let program = program::of(&container.image, container.command.clone(), container.args.clone());
    matches!(program, Some(Program::Forebay { .. }))
}

/// Whether an image is our model server: its last path segment, without tag and digest, is `forebay`.
fn is_our_image(image: &str) -> bool {
    image_name(image) == "forebay"
}

/// The last path segment of an image, without tag and digest.
fn image_name(image: &str) -> &str {
    let last = image.split('@').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
