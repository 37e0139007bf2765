//! Where a platform answers: one endpoint for each InferenceService, Ingress and Service of type LoadBalancer.

use std::net::IpAddr;

use control::store::LabelSelector;
use manifest::{Object, Objects};
use plan::health::TargetState;
use plan::{
    Condition, ListenerState, LoadBalancer, ObjectRef, Observed, Plan, ServicePort, TargetGroup, Values,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One way in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The kind of the object behind it.
    pub(crate) kind: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// The URL for those who can resolve its host.
    pub(crate) url: String,
    /// The `Host` that leads there; empty when any does.
    pub(crate) host: String,
    /// The load balancer's address.
    pub(crate) address: String,
    /// The ports that answer, the first being the usual one.
    pub(crate) ports: Vec<u16>,
    /// A path that leads somewhere.
    pub(crate) path: String,
    /// Paths that an example request may be sent to, the best first, as the reference of the model server has them.
    pub(crate) example_paths: Vec<String>,
}

/// How far an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It answers.
    Ready,
    /// Not yet.
    Pending(String),
    /// It will not, as things are.
    Failed(String),
}

impl Endpoint {
    /// `InferenceService staging/sklearn-iris`
    pub(crate) fn object(&self) -> ObjectRef {
        ObjectRef::new(&self.kind, &self.namespace, &self.name)
    }

    /// The address with the usual port, if that is not 80.
    pub(crate) fn authority(&self) -> String {
        authority(&self.address, self.ports.first().copied())
    }
}

fn authority(address: &str, port: Option<u16>) -> String {
    match port {
        None | Some(80) => address.to_owned(),
        Some(port) => format!("{address}:{port}"),
    }
}

/// All endpoints with their progress, by kind, namespace and name.
pub(crate) fn endpoints(objects: &Objects, plan: &Plan, observed: &Observed) -> Vec<(Endpoint, Progress)> {
    let of_kind = |kind: &'static str| objects.of_kind(kind).map(AsRef::as_ref);
    let services = of_kind("Service").filter(|service| is_load_balancer(service));
    let inference = of_kind("InferenceService").map(|object| inference_service(object, objects, plan));
    let ingresses = of_kind("Ingress").map(|object| balanced(object, objects, plan, observed));
    let services = services.map(|object| balanced(object, objects, plan, observed));
    inference.chain(ingresses).chain(services).collect()
}

/// Endpoints for programs.
pub(crate) fn json(endpoints: &[(Endpoint, Progress)]) -> Value {
    let endpoint = |(endpoint, progress): &(Endpoint, Progress)| {
        let (state, message) = match progress {
            Progress::Ready => ("ready", ""),
            Progress::Pending(message) => ("pending", message.as_str()),
            Progress::Failed(message) => ("failed", message.as_str()),
        };
        let mut value = json!(endpoint);
        value["state"] = json!(state);
        value["message"] = json!(message);
        value
    };
    endpoints.iter().map(endpoint).collect()
}

/// Whether every Deployment has the replicas it wants, and every target of the plan has been found healthy.
pub(crate) fn is_complete(objects: &Objects, plan: &Plan, observed: &Observed) -> bool {
    let has_all = |deployment: &Object| {
        let count = |path: &str| deployment.value.pointer(path).and_then(Value::as_u64);
        count("/status/availableReplicas").unwrap_or(0) >= count("/spec/replicas").unwrap_or(1)
    };
    let groups = plan.load_balancers.iter().flat_map(|balancer| &balancer.target_groups);
    let n_targets: usize = groups.map(|group| group.targets.len()).sum();
    objects.of_kind("Deployment").map(AsRef::as_ref).all(has_all)
        && observed.targets.len() >= n_targets
        && observed.targets.values().all(|health| health.state == TargetState::Healthy)
}

/// Whether a Service asks for a load balancer of its own.
fn is_load_balancer(service: &Object) -> bool {
    let is_synthetic = service.labels().get("forebay.dev/synthetic") == Some(&"true");
    text(&service.value, "/spec/type") == Some("LoadBalancer") && !is_synthetic
}

/// The load balancer of all InferenceServices.
const GATEWAY: &str = "gateway:knative-serving/kourier";

fn inference_service(object: &Object, objects: &Objects, plan: &Plan) -> (Endpoint, Progress) {
    let gateway = plan.load_balancer(GATEWAY);
    let url = text(&object.value, "/status/url").unwrap_or_default().to_owned();
    let host = url.split_once("://").map_or("", |(_, host)| host).to_owned();
    let is_mlflow = text(&object.value, "/spec/predictor/model/modelFormat/name") == Some("mlflow");
    let (by_name, mlflow) = ("/v1/models/{model}:predict".to_owned(), "/invocations".to_owned());
    let example_paths = if is_mlflow { vec![mlflow, by_name] } else { vec![by_name, mlflow] };
    let endpoint = endpoint(object, url, (host, "/".to_owned()), gateway, example_paths);
    let failure = failure_of(object).or_else(|| failure_event(objects, &object.reference()));
    let progress = match (condition(object, "Ready"), failure) {
        (Some(ready), _) if text(ready, "/status") == Some("True") => Progress::Ready,
        (_, Some(failure)) => Progress::Failed(failure),
        (ready, None) => Progress::Pending(
            ready.and_then(|ready| text(ready, "/message")).unwrap_or("starting").to_owned(),
        ),
    };
    (endpoint, progress)
}

/// Why an InferenceService's model cannot be served, if that is known.
fn failure_of(object: &Object) -> Option<String> {
    let status = object.value.pointer("/status/modelStatus")?;
    let is_final = matches!(text(status, "/transitionStatus"), Some("BlockedByFailedLoad" | "InvalidSpec"));
    let message = text(status, "/lastFailureInfo/message").unwrap_or("the model cannot be loaded");
    is_final.then(|| message.to_owned())
}

fn balanced(object: &Object, objects: &Objects, plan: &Plan, observed: &Observed) -> (Endpoint, Progress) {
    let source = object.reference();
    let balancer = plan.load_balancers.iter().find(|balancer| balancer.sources.contains(&source));
    let host = balancer.and_then(|balancer| first_host(balancer, &source)).unwrap_or_default();
    let address = balancer.and_then(address_of).map(|ip| ip.to_string()).unwrap_or_default();
    let port = balancer.and_then(|balancer| ports_of(balancer).first().copied());
    let scheme =
        if balancer.is_some_and(|balancer| balancer.listeners.first().is_some_and(|l| l.protocol.is_tls())) {
            "https"
        } else {
            "http"
        };
    let named = if host.is_empty() { authority(&address, port) } else { authority(&host, port) };
    let url = if address.is_empty() { String::new() } else { format!("{scheme}://{named}/") };
    let example_paths = vec!["/predict".to_owned(), "/invocations".to_owned()];
    let progress = match balancer {
        None => Progress::Pending("being compiled".to_owned()),
        Some(balancer) => progress_of(balancer, observed),
    };
    let failure = || failure_event(objects, &source).or_else(|| failed_pod(objects, balancer?));
    let progress = match progress {
        Progress::Ready => Progress::Ready,
        other => failure().map_or(other, Progress::Failed),
    };
    let path = balancer.map_or_else(|| "/".to_owned(), |balancer| first_path(balancer, &source));
    (endpoint(object, url, (host, path), balancer, example_paths), progress)
}

fn endpoint(
    object: &Object,
    url: String,
    (host, path): (String, String),
    balancer: Option<&LoadBalancer>,
    example_paths: Vec<String>,
) -> Endpoint {
    Endpoint {
        kind: object.kind.kind.to_owned(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        url,
        host,
        address: balancer.and_then(address_of).map(|ip| ip.to_string()).unwrap_or_default(),
        ports: balancer.map(ports_of).unwrap_or_default(),
        path,
        example_paths,
    }
}

fn address_of(balancer: &LoadBalancer) -> Option<IpAddr> {
    balancer.listeners.iter().find_map(|listener| Some(listener.addresses.first()?.ip()))
}

fn ports_of(balancer: &LoadBalancer) -> Vec<u16> {
    balancer.listeners.iter().filter_map(|listener| Some(listener.addresses.first()?.port())).collect()
}

/// The first host that a rule of this object names without a wildcard.
fn first_host(balancer: &LoadBalancer, source: &ObjectRef) -> Option<String> {
    let rules = balancer.listeners.iter().flat_map(|listener| &listener.rules);
    let own = rules.filter(|rule| rule.source.as_ref().is_none_or(|from| from.object == *source));
    let hosts = own.flat_map(|rule| &rule.conditions).filter_map(|condition| match condition {
        Condition::HostHeader(Values::Wildcards(patterns)) => Some(patterns),
        _ => None,
    });
    let literal = hosts.flatten().find(|pattern| pattern.is_literal());
    literal.map(|pattern| pattern.as_str().to_owned())
}

/// A path that the first rule of this object takes: its literal beginning, up to a wildcard.
fn first_path(balancer: &LoadBalancer, source: &ObjectRef) -> String {
    let rules = balancer.listeners.iter().flat_map(|listener| &listener.rules);
    let mut own = rules.filter(|rule| rule.source.as_ref().is_none_or(|from| from.object == *source));
    let path = own.next().and_then(|rule| {
        rule.conditions.iter().find_map(|condition| match condition {
            Condition::PathPattern(Values::Wildcards(patterns)) => patterns.first(),
            _ => None,
        })
    });
    let literal = path.and_then(|pattern| pattern.as_str().split(['*', '?']).next());
    literal.filter(|path| path.starts_with('/')).unwrap_or("/").to_owned()
}

/// Why the control loop could not make a load balancer of an object, if it has said so.
fn failure_event(objects: &Objects, source: &ObjectRef) -> Option<String> {
    const REASONS: [&str; 3] = ["FailedBuildModel", "FailedDeployModel", "SyncLoadBalancerFailed"];
    let is_meant = |event: &&Object| {
        let involved =
            |field: &str| text(&event.value, &format!("/involvedObject/{field}")).unwrap_or_default();
        let is_failure = text(&event.value, "/reason").is_some_and(|reason| REASONS.contains(&reason));
        is_failure && (involved("kind"), involved("name")) == (source.kind.as_str(), source.name.as_str())
    };
    let events =
        objects.of_kind("Event").map(AsRef::as_ref).filter(|event| event.namespace == source.namespace);
    let last =
        events.filter(is_meant).max_by_key(|event| text(&event.value, "/lastTimestamp").map(str::to_owned));
    last.and_then(|event| text(&event.value, "/message")).map(str::to_owned)
}

/// The first pod behind a load balancer that cannot start or ends again and again, and what it said last.
fn failed_pod(objects: &Objects, balancer: &LoadBalancer) -> Option<String> {
    let service = |group: &TargetGroup| {
        let ServicePort { namespace, name, .. } = &group.service;
        objects.of_kind("Service").find(|service| service.namespace == *namespace && service.name == *name)
    };
    let selector = |group: &TargetGroup| {
        let service = service(group)?;
        Some((service.namespace.as_str(), LabelSelector::from_map(&service.value["spec"]["selector"])))
    };
    let selectors = balancer.target_groups.iter().filter_map(selector);
    let selectors: Vec<_> = selectors.filter(|(_, selector)| !selector.is_empty()).collect();
    let is_behind = |pod: &Object| {
        let labels = pod.labels();
        selectors.iter().any(|(namespace, selector)| *namespace == pod.namespace && selector.matches(&labels))
    };
    let pods = objects.of_kind("Pod").map(AsRef::as_ref).filter(|pod: &&Object| is_behind(pod));
    pods.filter_map(failure_of_pod).next()
}

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
    if balancer.listeners.is_empty() {
        return Progress::Failed("it has no listener that can be opened; its Events say why".to_owned());
    }
    let listeners = observed.listeners.iter().filter(|(key, _)| key.load_balancer == balancer.id);
    for (key, state) in listeners {
        if let ListenerState::Failed(problem) = state {
            return Progress::Failed(format!("port {}: {problem}", key.port));
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
        None => Progress::Pending("waiting for targets".to_owned()),
        Some(first) if health.iter().all(|health| health.state == TargetState::Unhealthy) => {
            Progress::Failed(format!("no target is healthy: {}", first.description))
        }
        Some(first) => Progress::Pending(first.description.clone()),
    }
}

fn condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    let conditions = object.value.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| text(condition, "/type") == Some(kind))
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str()
}
