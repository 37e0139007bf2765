//! The load balancer in front of all InferenceServices, and the Service that shows its address.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use plan::attributes::{ALGORITHM, Scope};
use plan::{
    Action, Attributes, Certificate, CodeSet, Condition, HealthCheck, HealthCheckPort, Listener,
    LoadBalancer, LoadBalancerId, LoadBalancerKind, Matcher, ObjectRef, Protocol, ProtocolVersion, Rewrite,
    Rule, ServicePortName, Subject, Tags, TargetGroupId, TargetType, Transform, TransformPart, Values,
};
use serde_json::json;

use super::Route;
use super::application::source_ranges;
use super::certificates;
use super::children::predictor_name;
use super::domains::{CLUSTER_LOCAL, Domains};
use super::draft::{Built, Draft, Wanted};
use super::health_check::Checks;
use super::inference::Inference;
use super::mirror;
use super::world::World;
use crate::annotations::{self, SYNTHETIC};
use crate::registry::kind_of;
use crate::{Finding, Object, Objects, codes};

const NAMESPACE: &str = "knative-serving";
const NAME: &str = "kourier";
const PORT: u16 = 80;
const TLS_PORT: u16 = 443;
/// Hosts that are addresses, and the name of the machine for itself.
const ADDRESSES: [&str; 3] = ["^[0-9.]+$", "^\\[", "^localhost$"];

fn id() -> LoadBalancerId {
    LoadBalancerId::gateway(NAMESPACE, NAME)
}

/// The Service that shows the address, unless there is one that somebody else made.
pub(super) fn synthetic_service(objects: &Objects, inferences: &[Inference]) -> Option<Object> {
    let existing = objects.get("Service", NAMESPACE, NAME);
    let is_somebodys = existing.is_some_and(|existing| !existing.labels().contains_key(SYNTHETIC));
    if inferences.is_empty() || is_somebodys {
        return None;
    }
    let kind = kind_of("", "Service").expect("Services are known");
    let value = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": NAME, "namespace": NAMESPACE, "labels": { SYNTHETIC: "true" } },
        "spec": {
            "type": "LoadBalancer",
            "ports": [{ "name": "http2", "port": PORT, "protocol": "TCP", "targetPort": 8080 }],
        },
    });
    let (namespace, name) = (NAMESPACE.to_owned(), NAME.to_owned());
    Some(Object { kind, namespace, name, value, source: None })
}

/// The load balancer, if there is anything behind it, and how each InferenceService is reached.
pub(super) fn build(
    inferences: &[Inference],
    domains: &Domains,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) -> (Option<Built>, Vec<Route>) {
    let routes = routes(inferences, domains, findings);
    if inferences.is_empty() {
        return (None, routes);
    }
    let mut draft = Draft::new(id(), world, Vec::new());
    let mut listener = Listener::new(PORT, Protocol::Http);
    listener.source_ranges = Some(source_ranges(None, Vec::new(), false));
    for (inference, route) in inferences.iter().zip(&routes) {
        let Some(target_group) = target_group(inference, &mut draft) else { continue };
        // There is no load balancer of AWS to be like.
        let handling = annotations::handling(&inference.object, false, findings).map(|handling| {
            let key = |service: &str| key_of(inferences, &inference.object.namespace, service);
            mirror::of_inference(&inference.object, handling, key, world, findings)
        });
        listener.rules.push(Arc::new(Rule {
            tags: world.defaults.tags.clone(),
            handling,
            source: Some(plan::RuleSource { object: route.object.clone(), rule_index: 0, path_index: 0 }),
            ..Rule::new(vec![Condition::hosts(&route.hosts)], Action::forward_to(target_group))
        }));
    }
    let shown = ObjectRef::new("Service", NAMESPACE, NAME);
    let sources = [shown].into_iter().chain(routes.iter().map(|route| route.object.clone()));
    let load_balancer = LoadBalancer {
        scheme: plan::Scheme::InternetFacing,
        sources: sources.collect(),
        listeners: vec![listener],
        ..LoadBalancer::new(id(), LoadBalancerKind::Application, NAME)
    };
    (Some(draft.finish(load_balancer)), routes)
}

/// Leads clients that cannot say a host to public InferenceServices by path, `/serving/<namespace>/<name>/…`, which KServe calls a
/// path template. They come to an address, or to this machine by its name for itself.
pub(super) fn add_paths(load_balancer: &mut LoadBalancer, routes: &[Route]) {
    let Some(listener) = load_balancer.listeners.first_mut().filter(|_| load_balancer.id == id()) else {
        return;
    };
    let hosts = ADDRESSES.iter().filter_map(|text| Subject::HOST_HEADER.search(text).ok());
    let addresses = Condition { subject: Subject::HOST_HEADER, values: Values::Regexes(hosts.collect()) };
    let is_public = |object: &ObjectRef| {
        let mut routes = routes.iter().filter(|route| route.object == *object);
        routes.any(|route| route.hosts.iter().any(|host| !host.ends_with(CLUSTER_LOCAL)))
    };
    let by_path = listener.rules.iter().filter_map(|rule| {
        let object = &rule.source.as_ref().filter(|source| is_public(&source.object))?.object;
        let path = format!("/serving/{}/{}", object.namespace, object.name);
        // Names have letters, digits, hyphens and full stops.
        let regex = TransformPart::Url.search(&format!("^{}/?", path.replace('.', "\\."))).ok()?;
        let rewrites = vec![Rewrite { regex, replace: "/".to_owned() }];
        Some(Arc::new(Rule {
            conditions: vec![addresses.clone(), Condition::paths(&[format!("{path}/*"), path])],
            transforms: vec![Transform { part: TransformPart::Url, rewrites }],
            ..Rule::clone(rule)
        }))
    });
    let by_path: Vec<Arc<Rule>> = by_path.collect();
    listener.rules.extend(by_path);
}

/// Has the load balancer speak TLS too, where that is wanted: with certificates that are kept here for its hosts, and else with
/// a wildcard of the local authority for each namespace, because InferenceServices come and go.
pub(super) fn add_tls(load_balancer: &mut LoadBalancer, routes: &[Route], world: &World<'_>) {
    if !world.defaults.gateway_tls || load_balancer.id != id() {
        return;
    }
    let mut certificates: Vec<Certificate> = Vec::new();
    let hosts = routes.iter().flat_map(|route| &route.hosts);
    for host in hosts.filter(|host| !host.ends_with(CLUSTER_LOCAL)) {
        let mut found = certificates::discovered(host, world);
        if let (true, Some((_, parent))) = (found.is_empty(), host.split_once('.')) {
            found.push(Certificate { arn: format!("local:*.{parent}"), source: Certificate::ISSUED });
        }
        certificates.extend(found.into_iter().filter(|it| !certificates.contains(it)).collect::<Vec<_>>());
    }
    let Some(plain) = load_balancer.listeners.first().filter(|_| !certificates.is_empty()) else { return };
    let ssl_policy = Some(world.defaults.ssl_policy.clone());
    let tls =
        Listener { port: TLS_PORT, protocol: Protocol::Https, certificates, ssl_policy, ..plain.clone() };
    load_balancer.listeners.push(tls);
}

/// Hosts of each InferenceService. A host in the form `name-namespace` that two could claim leads to neither.
fn routes(inferences: &[Inference], domains: &Domains, findings: &mut Vec<Finding>) -> Vec<Route> {
    let forms: Vec<Hosts> = inferences.iter().map(|inference| Hosts::of(inference, domains)).collect();
    let mut claims: BTreeMap<&str, usize> = BTreeMap::new();
    for host in forms.iter().filter_map(|forms| forms.hyphen.as_deref()) {
        *claims.entry(host).or_default() += 1;
    }
    let pairs = inferences.iter().zip(&forms);
    let routes = pairs.map(|(inference, forms)| {
        let hyphen = forms.hyphen.as_deref().filter(|host| {
            let is_unique = claims.get(host) == Some(&1);
            if !is_unique {
                let message =
                    format!("host {host} could mean several InferenceServices, so it leads to none");
                findings.push(
                    Finding::new(&codes::HOST_CONFLICT, message)
                        .on(&inference.object)
                        .with_severity(crate::Severity::Warning),
                );
            }
            is_unique
        });
        let mut hosts: Vec<&str> = match inference.is_standard {
            true => hyphen.into_iter().chain(forms.dot.as_deref()).collect(),
            false => forms.dot.as_deref().into_iter().chain(hyphen).collect(),
        };
        hosts.extend(forms.internal.iter().map(String::as_str));
        let url = format!("http://{}", hosts[0]);
        let hosts = hosts.into_iter().map(str::to_owned).collect();
        Route { object: inference.object.reference(), hosts, url, load_balancer: id() }
    });
    routes.collect()
}

/// The hosts that one InferenceService would like.
struct Hosts {
    dot: Option<String>,
    hyphen: Option<String>,
    /// Never empty.
    internal: [String; 2],
}

impl Hosts {
    fn of(inference: &Inference, domains: &Domains) -> Self {
        let (name, namespace) = (&inference.object.name, &inference.object.namespace);
        let labels = inference.object.labels().into_iter();
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let domain = domains.for_labels(&labels);
        let is_public = !inference.is_private && domain != CLUSTER_LOCAL;
        Self {
            dot: is_public.then(|| format!("{name}.{namespace}.{domain}")),
            hyphen: is_public.then(|| format!("{name}-{namespace}.{domain}")),
            internal: [
                format!("{name}.{namespace}.{CLUSTER_LOCAL}"),
                format!("{name}-predictor.{namespace}.{CLUSTER_LOCAL}"),
            ],
        }
    }
}

/// The key of the target group of an InferenceService.
fn key(inference: &Inference) -> String {
    let (namespace, name) = (&inference.object.namespace, &inference.object.name);
    format!("{namespace}/{name}/{}:{PORT}", predictor_name(name))
}

/// The same of the one that has this name, or a Service of this name.
fn key_of(inferences: &[Inference], namespace: &str, service: &str) -> Option<String> {
    let is_it = |inference: &&Inference| {
        let name = &inference.object.name;
        inference.object.namespace == namespace && (name == service || predictor_name(name) == service)
    };
    inferences.iter().find(is_it).map(key)
}

fn target_group(inference: &Inference, draft: &mut Draft<'_>) -> Option<TargetGroupId> {
    let (namespace, name) = (&inference.object.namespace, &inference.object.name);
    let service = predictor_name(name);
    let backend = draft.world.service(namespace, &service)?;
    let port = backend.port_number(PORT)?;
    let mut attributes = Attributes::new(Scope::ApplicationTargetGroup);
    // Predictions differ in length, so the one with the least to do comes next, as in Knative's own gateway.
    attributes.set_default(ALGORITHM, "least_outstanding_requests");
    Some(draft.make(Wanted {
        key: key(inference),
        backend,
        port,
        port_name: ServicePortName::Number(PORT),
        annotated: &[],
        target_type: TargetType::Ip,
        protocol: Protocol::Http,
        protocol_version: Some(ProtocolVersion::Http1),
        target_control_port: None,
        container_concurrency: container_concurrency(inference),
        checks: Checks { aws: health_check(inference.is_ours), pods: None },
        attributes,
        tags: Tags::new(),
    }))
}

/// How many requests a replica takes at a time; 0 is as many as come.
fn container_concurrency(inference: &Inference) -> Option<NonZeroU32> {
    let written = inference.object.value.pointer("/spec/predictor/containerConcurrency")?;
    NonZeroU32::new(u32::try_from(written.as_u64()?).ok()?)
}

/// Our model server says whether its model is loaded; of other containers it is only known that they take connections.
fn health_check(is_ours: bool) -> HealthCheck {
    let (protocol, path, matcher) = match CodeSet::parse("200", 200..=499) {
        Ok(codes) if is_ours => (Protocol::Http, Some("/v2/health/ready".to_owned()), Matcher::Http(codes)),
        _ => (Protocol::Tcp, None, Matcher::Connection),
    };
    HealthCheck {
        protocol,
        port: HealthCheckPort::TrafficPort,
        path,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        matcher,
    }
}
