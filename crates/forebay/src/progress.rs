//! How far everything is that a platform runs: what answers, what is on its way, and what will not come as things are, with
//! the place and the fix. One pure decision over the objects, the plan, what was observed and what was found.

mod probes;

use std::collections::BTreeSet;
use std::sync::Arc;

use control::Earlier;
use control::store::LabelSelector;
use manifest::{Finding, Object, Objects, codes};
use plan::health::TargetState;
use plan::{ListenerKey, ListenerState, LoadBalancer, ObjectRef, Observed, Plan, TargetGroup};
use serde_json::Value;

use crate::endpoints::Showable;

/// What is decided from.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) plan: &'a Plan,
    pub(crate) observed: &'a Observed,
    pub(crate) written: &'a Written,
    /// The versions of objects from before changes that nobody has called good.
    pub(crate) earlier: &'a Objects,
    /// The certificates that load balancers can show.
    pub(crate) showable: &'a [Showable],
}

/// What people wrote.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Everything there is to say about the objects.
    pub(crate) findings: Vec<Finding>,
    /// The objects as files have them, which know their places; none where nobody knows of files.
    pub(crate) files: Objects,
    /// Those of them that are not stored, because no API would take them.
    pub(crate) refused: BTreeSet<ObjectRef>,
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It answers, or runs.
    Ready,
    /// The same, but as something was before a change that cannot be used: which version goes on, and why.
    ReadyAsBefore(String),
    /// Not yet.
    Starting(String),
    /// It does not look as if it will: nobody need wait long for it.
    Doubtful(Cause),
    /// It will not, as things are.
    Cannot(Cause),
}

/// Why something will not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: String,
    /// `file:line:column`.
    pub(crate) place: Option<String>,
    /// What to write instead.
    pub(crate) fix: Option<String>,
}

/// A Deployment, or a Pod that nobody owns, that no load balancer leads to; or what was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) object: ObjectRef,
    pub(crate) progress: Progress,
}

impl World<'_> {
    /// The Deployments and Pods that no load balancer leads to, and what was refused and never was there.
    pub(crate) fn workloads_alone(&self) -> Vec<Workload> {
        let groups = self.plan.load_balancers.iter().flat_map(|balancer| &balancer.target_groups);
        let services: Vec<&Object> = groups.filter_map(|group| self.service(group)).collect();
        let is_alone = |object: &&Object| !services.iter().any(|service| self.selects(service, object));
        let alone = self.workloads().filter(|object| !is_owned(object)).filter(is_alone);
        let alone =
            alone.map(|object| Workload { object: object.reference(), progress: self.of_workload(object) });
        let is_there = |it: &ObjectRef| self.objects.get(&it.kind, &it.namespace, &it.name).is_some();
        let refused = self.written.refused.iter().filter(|object| !is_there(object));
        let refused = refused.filter_map(|object| {
            let cause = self.finding(object, Finding::is_error)?;
            Some(Workload { object: object.clone(), progress: Progress::Cannot(cause) })
        });
        alone.chain(refused).collect()
    }

    /// Whether every replica that can be there is there, and every target of the plan has been found healthy.
    pub(crate) fn is_complete(&self) -> bool {
        let groups = self.plan.load_balancers.iter().flat_map(|balancer| &balancer.target_groups);
        let n_targets: usize = groups.map(|group| group.targets.len()).sum();
        let targets = || self.observed.targets.iter().filter(|(key, _)| !key.load_balancer.is_cluster());
        self.workloads().all(|object| !matches!(self.of_workload(object), Progress::Starting(_)))
            && targets().count() >= n_targets
            && targets().all(|(_, health)| health.state == TargetState::Healthy)
    }

    /// How far an InferenceService is, behind the load balancer of all of them.
    pub(crate) fn of_inference_service(&self, object: &Object, gateway: Option<&LoadBalancer>) -> Progress {
        let ready = condition(object, "Ready");
        if ready.is_some_and(|ready| text(ready, "/status") == Some("True")) {
            return self.ready(object, None);
        }
        let reference = object.reference();
        let failure = || {
            let message = failure_of_model(object).or_else(|| failure_event(self.objects, &reference));
            message.map(Cause::because)
        };
        let closed = || closed(gateway?, self.observed, object.kind.kind);
        if let Some(cause) = self.error(&reference).or_else(failure).or_else(closed) {
            return Progress::Cannot(cause);
        }
        let mut children = self.workloads().filter(|child| is_owned_by(child, object));
        if let Some(progress) = children.find_map(|child| hopeless(self.of_workload(child))) {
            return progress;
        }
        Progress::Starting(ready.and_then(|ready| text(ready, "/message")).unwrap_or("starting").to_owned())
    }

    /// How far an Ingress or a Service of type LoadBalancer is, with the load balancer that was made of it.
    pub(crate) fn of_balanced(&self, object: &Object, balancer: Option<&LoadBalancer>) -> Progress {
        let source = object.reference();
        let base = match balancer {
            None => Progress::Starting("being compiled".to_owned()),
            Some(balancer) => progress_of(balancer, self.observed, object.kind.kind),
        };
        if base == Progress::Ready {
            return self.ready(object, balancer);
        }
        let not_ours = || self.finding(&source, |finding| finding.code == codes::NOT_OURS.name);
        // Events outlive what they tell of: where listeners have been made, what once prevented that is over.
        let has_none = balancer.is_none_or(|balancer| balancer.listeners.is_empty());
        let failure = || has_none.then(|| failure_event(self.objects, &source)).flatten().map(Cause::because);
        if let Some(cause) =
            self.error(&source).or_else(|| balancer.is_none().then(not_ours).flatten()).or_else(failure)
        {
            return Progress::Cannot(cause);
        }
        match (base, balancer.map(|balancer| self.of_targets(balancer))) {
            (Progress::Starting(_), Some(Some(progress))) => progress,
            (base, _) => base,
        }
    }

    /// What is known of the targets of a load balancer besides their health: `None` when some may still come.
    fn of_targets(&self, balancer: &LoadBalancer) -> Option<Progress> {
        let services = balancer.target_groups.iter().map(|group| self.service(group));
        let all: Vec<Option<Progress>> = services.map(|service| self.of_service(service?)).collect();
        worst_if_all(all)
    }

    /// Why nobody answers behind a Service, if that is so.
    fn of_service(&self, service: &Object) -> Option<Progress> {
        let reference = service.reference();
        if let Some(cause) = self.error(&reference) {
            return Some(Progress::Cannot(cause));
        }
        let of_pods = self
            .workloads()
            .filter(|object| self.selects(service, object))
            .map(|it| hopeless(self.of_workload(it)));
        let of_pods: Vec<Option<Progress>> = of_pods.collect();
        let selects_some = !of_pods.is_empty();
        let of_pods = worst_if_all(of_pods);
        let told = |code: &str| self.finding(&reference, |finding| finding.code == code);
        // What is found about labels is about those that are written, and others may be in force.
        let selects_nothing = told(codes::SELECTOR_MATCHES_NOTHING.name).filter(|_| !selects_some);
        let selects_nothing = selects_nothing.map(Progress::Cannot);
        // A process may listen on a port that nobody declares.
        let misses_port = told(codes::TARGET_PORT_MISSING.name).map(Progress::Doubtful);
        selects_nothing.or(of_pods).or(misses_port)
    }

    /// How far a Deployment or a Pod is.
    pub(crate) fn of_workload(&self, object: &Object) -> Progress {
        let count = |object: &Object, path: &str| object.value.pointer(path).and_then(Value::as_u64);
        let (available, wanted) = match object.kind.key {
            "Deployment" => {
                let wanted = count(self.in_force(object), "/spec/replicas").unwrap_or(1);
                (count(object, "/status/availableReplicas").unwrap_or(0), wanted)
            }
            _ => {
                let is_ready =
                    condition(object, "Ready").is_some_and(|ready| text(ready, "/status") == Some("True"));
                let is_done = text(&object.value, "/status/phase") == Some("Succeeded");
                (u64::from(is_ready || is_done), 1)
            }
        };
        let reference = object.reference();
        if let Some(cause) = self.error(&reference) {
            return Progress::Cannot(cause);
        }
        if available >= wanted {
            return self.ready(object, None);
        }
        if let Some(cause) = self.pods_of(object).find_map(failure_of_pod) {
            return Progress::Cannot(Cause::because(cause));
        }
        let is_doubt = |finding: &Finding| finding.code == codes::PROBE_PORT_UNDECLARED.name;
        match self.finding(&reference, is_doubt).or_else(|| self.doubt_of_probes(object)) {
            Some(cause) => Progress::Doubtful(cause),
            None => Progress::Starting(format!("{available} of {wanted} replicas are available")),
        }
    }

    /// Ready, with what goes on as it was before: the object itself, or something that its load balancer leads to.
    fn ready(&self, object: &Object, balancer: Option<&LoadBalancer>) -> Progress {
        let groups = balancer.into_iter().flat_map(|balancer| &balancer.target_groups);
        let behind = groups.filter_map(|group| self.service(group)).flat_map(|service| {
            std::iter::once(service).chain(self.workloads().filter(|object| self.selects(service, object)))
        });
        let told = |object: &Object| Some(self.earlier_of(&object.reference())?.sentence(object));
        let mut sentences: Vec<String> = told(object).into_iter().collect();
        for other in behind.filter(|other| other.reference() != object.reference()) {
            let sentence = told(other).map(|told| format!("{}: {told}", other.reference()));
            sentences.extend(sentence.filter(|sentence| !sentences.contains(sentence)));
        }
        if sentences.is_empty() { Progress::Ready } else { Progress::ReadyAsBefore(sentences.join("; ")) }
    }

    /// The version of an object that goes on, because the object cannot be used as it is.
    fn earlier_of(&self, object: &ObjectRef) -> Option<Earlier> {
        let earlier = self.earlier.get(&object.kind, &object.namespace, &object.name)?;
        let problem = self.finding(object, Finding::is_error)?.reason;
        Some(Earlier { object: Arc::clone(earlier), problem })
    }

    /// An object as it is served.
    fn in_force<'a>(&'a self, object: &'a Object) -> &'a Object {
        match self.earlier.get(object.kind.kind, &object.namespace, &object.name) {
            Some(earlier) if self.finding(&object.reference(), Finding::is_error).is_some() => earlier,
            _ => object,
        }
    }

    /// Whether a Service selects the pods of a workload, both as they are served.
    fn selects(&self, service: &Object, workload: &Object) -> bool {
        selects(self.in_force(service), self.in_force(workload))
    }

    fn workloads(&self) -> impl Iterator<Item = &Object> {
        let pods = self.objects.of_kind("Pod").filter(|pod| !is_owned(pod));
        let all = self.objects.of_kind("Deployment").chain(pods).map(AsRef::as_ref);
        all.filter(|object: &&Object| !control::is_given(&object.reference()))
    }

    /// The pods that a workload has become.
    fn pods_of<'a>(&'a self, workload: &'a Object) -> impl Iterator<Item = &'a Object> {
        let selector =
            LabelSelector::from_map(&self.in_force(workload).value["spec"]["selector"]["matchLabels"]);
        let is_pod = workload.kind.key == "Pod";
        let pods = self.objects.of_kind("Pod").map(AsRef::as_ref);
        pods.filter(move |pod: &&Object| match is_pod {
            true => pod.reference() == workload.reference(),
            false => {
                pod.namespace == workload.namespace && !selector.is_empty() && selector.matches(&pod.labels())
            }
        })
    }

    fn service(&self, group: &TargetGroup) -> Option<&Object> {
        let (namespace, name) = (&group.service.namespace, &group.service.name);
        self.objects.get("Service", namespace, name).map(AsRef::as_ref)
    }

    /// The error that keeps an object from what it is for. One whose last good version goes on has none.
    fn error(&self, object: &ObjectRef) -> Option<Cause> {
        let error = self.finding(object, Finding::is_error);
        error.filter(|_| self.earlier.get(&object.kind, &object.namespace, &object.name).is_none())
    }

    fn finding(&self, object: &ObjectRef, is_meant: impl Fn(&Finding) -> bool) -> Option<Cause> {
        let own = self.written.findings.iter().filter(|finding| finding.object.as_ref() == Some(object));
        own.filter(|finding| is_meant(finding)).map(Cause::of).next()
    }
}

/// `Some` of what is not on its way any more.
fn hopeless(progress: Progress) -> Option<Progress> {
    matches!(progress, Progress::Doubtful(_) | Progress::Cannot(_)).then_some(progress)
}

/// What is to be said of several of which each is hopeless: a doubt before a certainty. `None` when one is not, or none.
fn worst_if_all(all: Vec<Option<Progress>>) -> Option<Progress> {
    let all: Vec<Progress> = all.into_iter().collect::<Option<_>>()?;
    let doubt = all.iter().find(|progress| matches!(progress, Progress::Doubtful(_)));
    doubt.or(all.first()).cloned()
}

/// Whether a Service selects the pods of a workload.
fn selects(service: &Object, workload: &Object) -> bool {
    let selector = LabelSelector::from_map(&service.value["spec"]["selector"]);
    let labels = match workload.kind.key {
        "Deployment" => workload.value.pointer("/spec/template/metadata/labels"),
        _ => workload.value.pointer("/metadata/labels"),
    };
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
    service.namespace == workload.namespace && !selector.is_empty() && selector.matches(&labels)
}

fn is_owned(object: &Object) -> bool {
    object.value["metadata"]["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty())
}

fn is_owned_by(object: &Object, owner: &Object) -> bool {
    object.namespace == owner.namespace && self::owner(object) == Some((owner.kind.kind, owner.name.as_str()))
}

/// Kind and name of the object that a workload was made of.
fn owner(object: &Object) -> Option<(&str, &str)> {
    let owner = object.value["metadata"]["ownerReferences"].as_array()?.first()?;
    Some((owner["kind"].as_str()?, owner["name"].as_str()?))
}

/// Why an InferenceService's model cannot be served, if that is known.
fn failure_of_model(object: &Object) -> Option<String> {
    let status = object.value.pointer("/status/modelStatus")?;
    let is_final = matches!(text(status, "/transitionStatus"), Some("BlockedByFailedLoad" | "InvalidSpec"));
    let message = text(status, "/lastFailureInfo/message").unwrap_or("the model cannot be loaded");
    is_final.then(|| message.to_owned())
}

/// Why the control loop could not make a load balancer of an object, if that is the last that it has said.
fn failure_event(objects: &Objects, source: &ObjectRef) -> Option<String> {
    const FAILURES: [&str; 3] = ["FailedBuildModel", "FailedDeployModel", "SyncLoadBalancerFailed"];
    const SUCCESSES: [&str; 2] = ["EnsuredLoadBalancer", "SuccessfullyReconciled"];
    let reason = |event: &Object| text(&event.value, "/reason").unwrap_or_default().to_owned();
    let is_outcome = |event: &&Object| {
        let reason = reason(event);
        FAILURES.iter().chain(&SUCCESSES).any(|known| *known == reason)
    };
    let last = events_of(objects, source).filter(is_outcome).max_by_key(|event| revision(event))?;
    let is_failure = FAILURES.contains(&reason(last).as_str());
    is_failure.then(|| text(&last.value, "/message").map(str::to_owned)).flatten()
}

fn events_of<'a>(objects: &'a Objects, source: &'a ObjectRef) -> impl Iterator<Item = &'a Object> {
    let is_meant = move |event: &&Object| {
        let involved =
            |field: &str| text(&event.value, &format!("/involvedObject/{field}")).unwrap_or_default();
        event.namespace == source.namespace
            && (involved("kind"), involved("name")) == (source.kind.as_str(), source.name.as_str())
    };
    objects.of_kind("Event").map(AsRef::as_ref).filter(is_meant)
}

/// Which of several objects was written last; their times are only as fine as a second.
fn revision(object: &Object) -> u64 {
    text(&object.value, "/metadata/resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Why a pod cannot start or ends again and again, and what it said last.
fn failure_of_pod(pod: &Object) -> Option<String> {
    let containers = pod.value.pointer("/status/containerStatuses")?.as_array()?;
    let has_failed = text(&pod.value, "/status/phase") == Some("Failed");
    let waiting = |container: &Value| {
        let reason =
            text(container, "/state/waiting/reason").filter(|reason| *reason != "ContainerCreating")?;
        let last = text(container, "/lastState/terminated/message").filter(|message| !message.is_empty());
        let message = last.or_else(|| text(container, "/state/waiting/message")).unwrap_or_default();
        let how = container.pointer("/lastState/terminated").map(end_of).unwrap_or_default();
        Some(format!("Pod {}/{}: {reason}{how}: {}", pod.namespace, pod.name, message.trim_end()))
    };
    let failed = |container: &Value| {
        let terminated = container.pointer("/state/terminated").filter(|_| has_failed)?;
        let message = text(terminated, "/message").unwrap_or("it ended");
        let reason = text(terminated, "/reason").unwrap_or("Error");
        let how = end_of(terminated);
        Some(format!("Pod {}/{}: {reason}{how}: {}", pod.namespace, pod.name, message.trim_end()))
    };
    containers.iter().find_map(|container| waiting(container).or_else(|| failed(container)))
}

/// How a container ended the last time: ` (exit code 3)`, ` (OOMKilled, signal 9)`.
fn end_of(terminated: &Value) -> String {
    let number = |field: &str| terminated[field].as_i64();
    let how = match (number("signal"), number("exitCode")) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => return String::new(),
    };
    let reason = text(terminated, "/reason").filter(|reason| !["Error", "Completed"].contains(reason));
    format!(" ({}{how})", reason.map(|reason| format!("{reason}, ")).unwrap_or_default())
}

/// Why a load balancer of an object of a kind is not open, if a listener of it could not be opened.
fn closed(balancer: &LoadBalancer, observed: &Observed, kind: &str) -> Option<Cause> {
    let mut listeners = observed.listeners.iter().filter(|(key, _)| key.load_balancer == balancer.id);
    let (port, problem) = listeners.find_map(|(key, state)| match state {
        ListenerState::Failed(problem) => Some((key.port, problem)),
        ListenerState::Open => None,
    })?;
    let fix = problem.contains(" is in use").then(|| {
        let elsewhere = match kind {
            "Ingress" => ", or name another port in alb.ingress.kubernetes.io/listen-ports",
            "Service" => ", or name another port in spec.ports",
            // All InferenceServices share the port of their gateway.
            _ => "",
        };
        let is_public = ["0.0.0.0:", "[::]:"].iter().any(|any| problem.starts_with(any));
        let without = if is_public { ", or leave --public out" } else { "" };
        format!("end the process that has the port{elsewhere}{without}")
    });
    Some(Cause { reason: format!("port {port}: {problem}"), place: None, fix })
}

/// Whether nothing is left to be opened.
fn is_open(balancer: &LoadBalancer, observed: &Observed) -> bool {
    let key =
        |listener: &plan::Listener| ListenerKey { load_balancer: balancer.id.clone(), port: listener.port };
    balancer.listeners.iter().all(|listener| observed.listeners.contains_key(&key(listener)))
}

/// A load balancer is there when its listeners are open and a target is well.
fn progress_of(balancer: &LoadBalancer, observed: &Observed, kind: &str) -> Progress {
    let cannot = |reason: String| Progress::Cannot(Cause::because(reason));
    if balancer.listeners.is_empty() {
        return cannot("it has no listener that can be opened; its Events say why".to_owned());
    }
    if let Some(cause) = closed(balancer, observed, kind) {
        return Progress::Cannot(cause);
    }
    let health: Vec<_> = observed
        .targets
        .iter()
        .filter(|(key, _)| key.load_balancer == balancer.id)
        .map(|(_, health)| health)
        .collect();
    let is_in = |state| health.iter().any(|health| health.state == state);
    match health.first() {
        _ if is_in(TargetState::Healthy) => Progress::Ready,
        None if balancer.target_groups.is_empty() && is_open(balancer, observed) => Progress::Ready,
        None if balancer.target_groups.is_empty() => Progress::Starting("opening its ports".to_owned()),
        None => Progress::Starting("waiting for targets".to_owned()),
        Some(first) if health.iter().all(|health| health.state.is_unhealthy()) => {
            cannot(format!("no target is healthy: {}", first.description))
        }
        Some(first) => Progress::Starting(first.description.clone()),
    }
}

fn condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    let conditions = object.value.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| text(condition, "/type") == Some(kind))
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str()
}

// === impl Progress, Cause ===

impl Progress {
    /// The word for programs.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Ready | Self::ReadyAsBefore(_) => "ready",
            Self::Starting(_) => "pending",
            Self::Doubtful(_) | Self::Cannot(_) => "failed",
        }
    }

    /// Whether it answers, or runs.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self, Self::Ready | Self::ReadyAsBefore(_))
    }

    /// Why it is not ready, or not as it is written; empty when there is nothing to say.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Ready => "",
            Self::ReadyAsBefore(message) | Self::Starting(message) => message,
            Self::Doubtful(cause) | Self::Cannot(cause) => &cause.reason,
        }
    }

    /// Why it will not come, if so.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Ready | Self::ReadyAsBefore(_) | Self::Starting(_) => None,
            Self::Doubtful(cause) | Self::Cannot(cause) => Some(cause),
        }
    }
}

impl Cause {
    fn because(reason: String) -> Self {
        Self { reason, place: None, fix: None }
    }

    fn of(finding: &Finding) -> Self {
        let place = finding.location.as_ref().map(ToString::to_string);
        Self { reason: finding.message.clone(), place, fix: finding.suggestion.clone() }
    }
}

#[cfg(test)]
mod tests;
