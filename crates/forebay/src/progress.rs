//! How far everything is that a platform runs: what answers, what is on its way, and what will not come as things are, with
//! the place and the fix. One pure decision over the objects, the plan, what was observed and what was found.

use control::store::LabelSelector;
use manifest::{Finding, Object, Objects, codes};
use plan::health::TargetState;
use plan::{ListenerState, LoadBalancer, ObjectRef, Observed, Plan, TargetGroup};
use serde_json::Value;

/// What is decided from.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) plan: &'a Plan,
    pub(crate) observed: &'a Observed,
    /// Everything there is to say about the objects.
    pub(crate) findings: &'a [Finding],
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It answers, or runs.
    Ready,
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

/// A Deployment, or a Pod that nobody owns, that no load balancer leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workload {
    pub(crate) object: ObjectRef,
    pub(crate) progress: Progress,
}

impl World<'_> {
    /// The Deployments and Pods that no load balancer leads to.
    pub(crate) fn workloads_alone(&self) -> Vec<Workload> {
        let groups = self.plan.load_balancers.iter().flat_map(|balancer| &balancer.target_groups);
        let services: Vec<&Object> = groups.filter_map(|group| self.service(group)).collect();
        let is_alone = |object: &&Object| !services.iter().any(|service| selects(service, object));
        let alone = self.workloads().filter(|object| !is_owned(object)).filter(is_alone);
        alone
            .map(|object| Workload { object: object.reference(), progress: self.of_workload(object) })
            .collect()
    }

    /// Whether every replica that can be there is there, and every target of the plan has been found healthy.
    pub(crate) fn is_complete(&self) -> bool {
        let groups = self.plan.load_balancers.iter().flat_map(|balancer| &balancer.target_groups);
        let n_targets: usize = groups.map(|group| group.targets.len()).sum();
        self.workloads().all(|object| !matches!(self.of_workload(object), Progress::Starting(_)))
            && self.observed.targets.len() >= n_targets
            && self.observed.targets.values().all(|health| health.state == TargetState::Healthy)
    }

    /// How far an InferenceService is.
    pub(crate) fn of_inference_service(&self, object: &Object) -> Progress {
        let ready = condition(object, "Ready");
        if ready.is_some_and(|ready| text(ready, "/status") == Some("True")) {
            return Progress::Ready;
        }
        let reference = object.reference();
        let failure = || {
            let message = failure_of_model(object).or_else(|| failure_event(self.objects, &reference));
            message.map(Cause::because)
        };
        if let Some(cause) =
            self.error(&reference).or_else(failure).or_else(|| self.error_of_children(object))
        {
            return Progress::Cannot(cause);
        }
        Progress::Starting(ready.and_then(|ready| text(ready, "/message")).unwrap_or("starting").to_owned())
    }

    /// How far an Ingress or a Service of type LoadBalancer is, with the load balancer that was made of it.
    pub(crate) fn of_balanced(&self, object: &Object, balancer: Option<&LoadBalancer>) -> Progress {
        let source = object.reference();
        let base = match balancer {
            None => Progress::Starting("being compiled".to_owned()),
            Some(balancer) => progress_of(balancer, self.observed),
        };
        if base == Progress::Ready {
            return base;
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
            .filter(|object| selects(service, object))
            .map(|it| hopeless(self.of_workload(it)));
        let of_pods = worst_if_all(of_pods.collect());
        let told = |code: &str| self.finding(&reference, |finding| finding.code == code);
        let selects_nothing = told(codes::SELECTOR_MATCHES_NOTHING.name).map(Progress::Cannot);
        // A process may listen on a port that nobody declares.
        let misses_port = told(codes::TARGET_PORT_MISSING.name).map(Progress::Doubtful);
        selects_nothing.or(of_pods).or(misses_port)
    }

    /// How far a Deployment or a Pod is.
    pub(crate) fn of_workload(&self, object: &Object) -> Progress {
        let count = |path: &str| object.value.pointer(path).and_then(Value::as_u64);
        let (available, wanted) = match object.kind.kind {
            "Deployment" => {
                (count("/status/availableReplicas").unwrap_or(0), count("/spec/replicas").unwrap_or(1))
            }
            _ => {
                let is_ready =
                    condition(object, "Ready").is_some_and(|ready| text(ready, "/status") == Some("True"));
                (u64::from(is_ready), 1)
            }
        };
        let reference = object.reference();
        if let Some(cause) = self.error(&reference) {
            return Progress::Cannot(cause);
        }
        if available >= wanted {
            return Progress::Ready;
        }
        if let Some(cause) = self.pods_of(object).find_map(failure_of_pod) {
            return Progress::Cannot(Cause::because(cause));
        }
        let is_doubt = |finding: &Finding| finding.code == codes::PROBE_PORT_UNDECLARED.name;
        match self.finding(&reference, is_doubt) {
            Some(cause) => Progress::Doubtful(cause),
            None => Progress::Starting(format!("{available} of {wanted} replicas are available")),
        }
    }

    fn error_of_children(&self, owner: &Object) -> Option<Cause> {
        let children = self.workloads().filter(|child| is_owned_by(child, owner));
        children.map(|child| self.of_workload(child)).find_map(|progress| match progress {
            Progress::Cannot(cause) => Some(cause),
            _ => None,
        })
    }

    fn workloads(&self) -> impl Iterator<Item = &Object> {
        let pods = self.objects.of_kind("Pod").filter(|pod| !is_owned(pod));
        self.objects.of_kind("Deployment").chain(pods).map(AsRef::as_ref)
    }

    /// The pods that a workload has become.
    fn pods_of<'a>(&'a self, workload: &'a Object) -> impl Iterator<Item = &'a Object> {
        let selector = LabelSelector::from_map(&workload.value["spec"]["selector"]["matchLabels"]);
        let is_pod = workload.kind.kind == "Pod";
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

    fn error(&self, object: &ObjectRef) -> Option<Cause> {
        self.finding(object, Finding::is_error)
    }

    fn finding(&self, object: &ObjectRef, is_meant: impl Fn(&Finding) -> bool) -> Option<Cause> {
        let own = self.findings.iter().filter(|finding| finding.object.as_ref() == Some(object));
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
    let labels = match workload.kind.kind {
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
    let owners = object.value["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let mut owners = owners.map(|it| (it["kind"].as_str(), it["name"].as_str()));
    object.namespace == owner.namespace
        && owners.any(|it| it == (Some(owner.kind.kind), Some(owner.name.as_str())))
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
    let waiting = |container: &Value| {
        let reason =
            text(container, "/state/waiting/reason").filter(|reason| *reason != "ContainerCreating")?;
        let last = text(container, "/lastState/terminated/message").filter(|message| !message.is_empty());
        let message = last.or_else(|| text(container, "/state/waiting/message")).unwrap_or_default();
        Some(format!("Pod {}/{}: {reason}: {}", pod.namespace, pod.name, message.trim_end()))
    };
    containers.iter().find_map(waiting)
}

/// A load balancer is there when its listeners are open and a target is well.
fn progress_of(balancer: &LoadBalancer, observed: &Observed) -> Progress {
    let cannot = |reason: String| Progress::Cannot(Cause::because(reason));
    if balancer.listeners.is_empty() {
        return cannot("it has no listener that can be opened; its Events say why".to_owned());
    }
    let listeners = observed.listeners.iter().filter(|(key, _)| key.load_balancer == balancer.id);
    for (key, state) in listeners {
        if let ListenerState::Failed(problem) = state {
            return cannot(format!("port {}: {problem}", key.port));
        }
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
        None if balancer.target_groups.is_empty() => Progress::Ready,
        None => Progress::Starting("waiting for targets".to_owned()),
        Some(first) if health.iter().all(|health| health.state == TargetState::Unhealthy) => {
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
            Self::Ready => "ready",
            Self::Starting(_) => "pending",
            Self::Doubtful(_) | Self::Cannot(_) => "failed",
        }
    }

    /// Why it is not ready; empty when it is.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Ready => "",
            Self::Starting(message) => message,
            Self::Doubtful(cause) | Self::Cannot(cause) => &cause.reason,
        }
    }

    /// Why it will not come, if so.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Ready | Self::Starting(_) => None,
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
