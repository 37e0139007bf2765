//! Where a platform answers: one endpoint for each InferenceService, Ingress and Service of type LoadBalancer.

use std::net::IpAddr;

use manifest::{CertificateFacts, Object};
use plan::{Listener, LoadBalancer, ObjectRef, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::progress::{Progress, Workload, World};

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
    /// The load balancer's name; empty when there is none.
    pub(crate) load_balancer: String,
    /// The load balancer's address.
    pub(crate) address: String,
    /// The ports that answer, the first being the usual one: that with TLS, where there is one.
    pub(crate) ports: Vec<u16>,
    /// Whether TLS is spoken at the first of the ports.
    #[serde(default)]
    pub(crate) tls: bool,
    /// Whether only datagrams are taken at the first of the ports.
    #[serde(default)]
    pub(crate) udp: bool,
    /// The certificate shown there, where it is somebody's own and not one of the local authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<OwnCertificate>,
    /// A path that leads somewhere.
    pub(crate) path: String,
    /// Paths that an example request may be sent to, the best first, as the reference of the model server has them.
    pub(crate) example_paths: Vec<String>,
}

/// Somebody's own certificate, as a client meets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OwnCertificate {
    /// Its name in plans.
    pub(crate) name: String,
    /// The file that it is in, where it is in one.
    pub(crate) file: Option<String>,
    /// A name that it is for.
    pub(crate) host: String,
    /// Whether it is for the host of the endpoint, where that has one.
    pub(crate) fits: bool,
}

/// A certificate that a load balancer can show.
#[derive(Debug)]
pub(crate) struct Showable {
    /// Its name in plans.
    pub(crate) name: String,
    pub(crate) facts: CertificateFacts,
    /// The file that it is in, where it is in one of a folder.
    pub(crate) file: Option<String>,
    /// Whether the local authority has signed it.
    pub(crate) is_ours: bool,
}

impl Endpoint {
    /// `InferenceService staging/sklearn-iris`
    pub(crate) fn object(&self) -> ObjectRef {
        ObjectRef::new(&self.kind, &self.namespace, &self.name)
    }

    /// The address with the usual port, if that is not the one of its scheme.
    pub(crate) fn authority(&self) -> String {
        self.authority_of(&self.address)
    }

    /// A host, or an address, with the usual port, if that is not the one of its scheme.
    pub(crate) fn authority_of(&self, host: &str) -> String {
        match self.ports.first() {
            Some(port) if *port != self.default_port() => format!("{host}:{port}"),
            _ => host.to_owned(),
        }
    }

    /// `https` where TLS is spoken.
    pub(crate) fn scheme(&self) -> &'static str {
        match (self.udp, self.tls) {
            (true, _) => "udp",
            (false, true) => "https",
            (false, false) => "http",
        }
    }

    fn default_port(&self) -> u16 {
        match (self.udp, self.tls) {
            (true, _) => 0,
            (false, true) => 443,
            (false, false) => 80,
        }
    }
}

/// All endpoints with their progress, by kind, namespace and name.
pub(crate) fn endpoints(world: &World<'_>) -> Vec<(Endpoint, Progress)> {
    let of_kind = |kind: &'static str| world.objects.of_kind(kind).map(AsRef::as_ref);
    let services = of_kind("Service").filter(|service| is_load_balancer(service));
    let inference = of_kind("InferenceService").map(|object| inference_service(object, world));
    let ingresses = of_kind("Ingress").map(|object| balanced(object, world));
    let services = services.map(|object| balanced(object, world));
    inference.chain(ingresses).chain(services).collect()
}

/// Endpoints for programs.
pub(crate) fn json(endpoints: &[(Endpoint, Progress)]) -> Value {
    let endpoint = |(endpoint, progress): &(Endpoint, Progress)| with_progress(json!(endpoint), progress);
    endpoints.iter().map(endpoint).collect()
}

/// Workloads for programs.
pub(crate) fn workloads_json(workloads: &[Workload]) -> Value {
    let workload = |workload: &Workload| {
        let ObjectRef { kind, namespace, name } = &workload.object;
        with_progress(json!({"kind": kind, "namespace": namespace, "name": name}), &workload.progress)
    };
    workloads.iter().map(workload).collect()
}

fn with_progress(mut value: Value, progress: &Progress) -> Value {
    value["state"] = json!(progress.as_str());
    value["message"] = json!(progress.message());
    if let Some(cause) = progress.cause() {
        value["place"] = json!(cause.place);
        value["fix"] = json!(cause.fix);
    }
    value
}

/// Whether a Service asks for a load balancer of its own.
fn is_load_balancer(service: &Object) -> bool {
    let is_synthetic = service.labels().get("forebay.dev/synthetic") == Some(&"true");
    text(&service.value, "/spec/type") == Some("LoadBalancer") && !is_synthetic
}

fn inference_service(object: &Object, world: &World<'_>) -> (Endpoint, Progress) {
    let gateway = world.plan.gateway();
    let url = text(&object.value, "/status/url").unwrap_or_default().to_owned();
    let host = url.split_once("://").map_or("", |(_, host)| host).to_owned();
    let is_mlflow = text(&object.value, "/spec/predictor/model/modelFormat/name") == Some("mlflow");
    let (by_name, mlflow) = ("/v1/models/{model}:predict".to_owned(), "/invocations".to_owned());
    let example_paths = if is_mlflow { vec![mlflow, by_name] } else { vec![by_name, mlflow] };
    let endpoint = endpoint(object, url, (host, "/".to_owned()), gateway, example_paths, world);
    (endpoint, world.of_inference_service(object, gateway))
}

fn balanced(object: &Object, world: &World<'_>) -> (Endpoint, Progress) {
    let source = object.reference();
    let balancer = world.plan.load_balancers.iter().find(|balancer| balancer.sources.contains(&source));
    let host = balancer.and_then(|balancer| first_host(balancer, &source)).unwrap_or_default();
    let example_paths = vec!["/predict".to_owned(), "/invocations".to_owned()];
    let path = balancer.map_or_else(|| "/".to_owned(), |balancer| first_path(balancer, &source));
    let mut endpoint = endpoint(object, String::new(), (host, path), balancer, example_paths, world);
    if !endpoint.address.is_empty() {
        let host = if endpoint.host.is_empty() { &endpoint.address } else { &endpoint.host };
        endpoint.url = format!("{}://{}/", endpoint.scheme(), endpoint.authority_of(host));
    }
    (endpoint, world.of_balanced(object, balancer))
}

fn endpoint(
    object: &Object,
    url: String,
    (host, path): (String, String),
    balancer: Option<&LoadBalancer>,
    example_paths: Vec<String>,
    world: &World<'_>,
) -> Endpoint {
    // An InferenceService says itself how it is reached, which is not in TLS when there are both.
    let is_plain = url.starts_with("http://");
    let listeners = balancer.map(|balancer| listeners(balancer, is_plain)).unwrap_or_default();
    let own = listeners.first().and_then(|listener| shown(listener, &host, world)).filter(|it| !it.is_ours);
    let certificate = own.map(|own| OwnCertificate {
        name: own.name.clone(),
        file: own.file.clone(),
        host: own.facts.names.first().map(|name| name.replacen('*', "any", 1)).unwrap_or_default(),
        fits: host.is_empty() || own.facts.covers(&host),
    });
    Endpoint {
        kind: object.kind.kind.to_owned(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        url,
        host,
        load_balancer: balancer.map(|balancer| balancer.name.clone()).unwrap_or_default(),
        address: balancer.and_then(address_of).map(|ip| ip.to_string()).unwrap_or_default(),
        ports: listeners.iter().filter_map(|listener| Some(listener.addresses.first()?.port())).collect(),
        tls: listeners.first().is_some_and(|it| it.protocol.is_tls()),
        udp: listeners.first().is_some_and(|it| !it.protocol.carries_connections()),
        certificate,
        path,
        example_paths,
    }
}

/// The certificate that clients of a host are shown: one for it, or else the first that there is.
fn shown<'a>(listener: &Listener, host: &str, world: &World<'a>) -> Option<&'a Showable> {
    let of_name = |name: &String| world.showable.iter().find(|it| it.name == *name);
    let mut all = listener.certificates.iter().filter_map(|certificate| of_name(&certificate.arn));
    let first = all.clone().next();
    all.find(|it| it.facts.covers(host)).or(first)
}

fn address_of(balancer: &LoadBalancer) -> Option<IpAddr> {
    balancer.listeners.iter().find_map(|listener| Some(listener.addresses.first()?.ip()))
}

/// The listeners that are placed, those with TLS first, unless those without are to be; those for datagrams alone are last.
fn listeners(balancer: &LoadBalancer, is_plain: bool) -> Vec<&Listener> {
    let placed = balancer.listeners.iter().filter(|listener| !listener.addresses.is_empty());
    let rank = |listener: &&Listener| {
        (!listener.protocol.carries_connections(), listener.protocol.is_tls() == is_plain)
    };
    let mut placed: Vec<&Listener> = placed.collect();
    placed.sort_by_key(rank);
    placed
}

/// The first host that a rule of this object names without a wildcard.
fn first_host(balancer: &LoadBalancer, source: &ObjectRef) -> Option<String> {
    let rules = balancer.listeners.iter().flat_map(|listener| &listener.rules);
    let own = rules.filter(|rule| rule.source.as_ref().is_none_or(|from| from.object == *source));
    let mut hosts = own.flat_map(|rule| rule.patterns(&Subject::HOST_HEADER));
    let literal = hosts.find(|pattern| pattern.is_literal());
    literal.map(|pattern| pattern.as_str().to_owned())
}

/// A path that the first rule of this object takes: its literal beginning, up to a wildcard.
fn first_path(balancer: &LoadBalancer, source: &ObjectRef) -> String {
    let rules = balancer.listeners.iter().flat_map(|listener| &listener.rules);
    let mut own = rules.filter(|rule| rule.source.as_ref().is_none_or(|from| from.object == *source));
    let path = own.next().and_then(|rule| rule.patterns(&Subject::PATH_PATTERN).next());
    let literal = path.and_then(|pattern| pattern.as_str().split(['*', '?']).next());
    literal.filter(|path| path.starts_with('/')).unwrap_or("/").to_owned()
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str()
}
