//! What there is besides what is being compiled: Services, the addresses behind them, and what runs there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use plan::{ObjectRef, Origin, Replay, ServicePortName, Target};

use super::doors;
use super::memo::Memo;
use crate::annotations::{self, REPLAY, SYNTHETIC};
use crate::certificate::ReadPair;
use crate::kinds::config::{SecretFault, certificate_of};
use crate::kinds::endpoints::{EndpointPort, EndpointSlice, Endpoints};
use crate::kinds::pod::{Deployment, Pod, PodSpec};
use crate::kinds::selector::has_all;
use crate::kinds::service::{Service, ServicePort, ServiceSpec};
use crate::kinds::target_control_config::TargetControlConfig;
use crate::kinds::{self};
use crate::workload::{Ports, runs_ours};
use crate::{Defaults, Finding, Object, Objects, codes};

/// Namespace and name.
pub(crate) type Name = (String, String);

/// Everything that load balancers lead to, by name.
pub(crate) struct World<'a> {
    pub(crate) defaults: &'a Defaults,
    pub(crate) objects: &'a Objects,
    /// What is known of the objects already.
    pub(crate) memo: &'a Memo,
    pub(crate) services: BTreeMap<Name, Backend>,
    /// Those by which an Ingress leads to all InferenceServices, where there are some, and nobody else is behind them; with the
    /// Service where nobody has one.
    doors: BTreeMap<Name, Option<Backend>>,
    targets: BTreeMap<Name, Vec<NamedTargets>>,
    pods: Vec<PodLabels>,
    /// What ALBTargetControlConfigs say, by namespace.
    target_controls: BTreeMap<String, u32>,
    /// The certificates in Secrets, each looked at once.
    pairs: RefCell<BTreeMap<Name, Pair>>,
}

/// The certificate in a Secret, or why it has none.
pub(crate) type Pair = Rc<Result<ReadPair, SecretFault>>;

/// A Service that could be parsed.
pub(crate) struct Backend {
    pub(crate) object: Arc<Object>,
    pub(crate) spec: ServiceSpec,
}

/// Addresses that answer on one port of a Service.
struct NamedTargets {
    /// Name of the Service's port; empty when it has only one.
    port: String,
    target: Target,
    is_ready: bool,
}

/// The labels of pods that there are or will be.
pub(crate) struct PodLabels {
    pub(crate) namespace: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Whether all of its containers are our model server.
    pub(crate) is_ours: bool,
    /// The ports of its containers.
    pub(crate) ports: Ports,
}

/// Label of an EndpointSlice that names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

// === impl World ===

impl<'a> World<'a> {
    /// Parses what is there. `children` stand beside `objects`, and for objects of the same name.
    pub(crate) fn new(
        objects: &'a Objects,
        children: &[Object],
        defaults: &'a Defaults,
        memo: &'a Memo,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut world = Self {
            defaults,
            objects,
            memo,
            services: BTreeMap::new(),
            doors: BTreeMap::new(),
            targets: BTreeMap::new(),
            pods: Vec::new(),
            target_controls: BTreeMap::new(),
            pairs: RefCell::default(),
        };
        let children: BTreeMap<ObjectRef, Arc<Object>> =
            children.iter().map(|child| (child.reference(), Arc::new(child.clone()))).collect();
        let others = objects.iter().filter(|object| !children.contains_key(&object.reference()));
        for object in others.chain(children.values()) {
            match object.kind.key {
                "Service" => world.add_service(object, findings),
                "EndpointSlice" => world.add_slice(object, findings),
                "Endpoints" => world.add_endpoints(object, findings),
                "ALBTargetControlConfig" => world.add_target_control(object, findings),
                // Workloads make findings of their own when they are made into replicas.
                "Deployment" => {
                    let mut own = Vec::new();
                    if let Some(deployment) = kinds::read_anyway::<Deployment>(object, &mut own) {
                        let template = deployment.spec.template;
                        let ports = ports(&template.spec, &own);
                        world.add_pods(&object.namespace, template.metadata.labels, &template.spec, ports);
                    }
                }
                "Pod" => {
                    let mut own = Vec::new();
                    if let Some(pod) = kinds::read_anyway::<Pod>(object, &mut own) {
                        let labels = object.labels().into_iter();
                        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
                        let ports = ports(&pod.spec, &own);
                        world.add_pods(&object.namespace, labels.collect(), &pod.spec, ports);
                    }
                }
                _ => {}
            }
        }
        if !children.is_empty() {
            world.add_doors();
        }
        world
    }

    /// The certificate in a Secret; `None` when there is no such Secret.
    pub(crate) fn pair(&self, namespace: &str, name: &str) -> Option<Pair> {
        let secret = self.objects.get("Secret", namespace, name)?;
        let mut pairs = self.pairs.borrow_mut();
        let read = pairs.entry((namespace.to_owned(), name.to_owned()));
        Some(Rc::clone(read.or_insert_with(|| Rc::new(certificate_of(secret)))))
    }

    /// The Service of this name.
    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&Backend> {
        let name = (namespace.to_owned(), name.to_owned());
        self.services.get(&name).or_else(|| self.doors.get(&name)?.as_ref())
    }

    /// Whether a Service is one that stands for all InferenceServices.
    pub(crate) fn is_door(&self, namespace: &str, name: &str) -> bool {
        self.doors.contains_key(&(namespace.to_owned(), name.to_owned()))
    }

    /// The pods that a Service selects. A Service without selector selects none.
    pub(crate) fn selected(&self, backend: &Backend) -> impl Iterator<Item = &PodLabels> {
        let selector = &backend.spec.selector;
        let namespace = &backend.object.namespace;
        let fits = move |pod: &&PodLabels| pod.namespace == *namespace && has_all(&pod.labels, selector);
        self.pods.iter().filter(move |pod| !selector.is_empty() && fits(pod))
    }

    /// The pods of a namespace.
    pub(crate) fn pods_in(&self, namespace: &str) -> impl Iterator<Item = &PodLabels> {
        self.pods.iter().filter(move |pod| pod.namespace == namespace)
    }

    /// Who answers behind one port of a Service, in order.
    pub(crate) fn targets(&self, backend: &Backend, port: &ServicePort) -> Vec<Target> {
        let name = (backend.object.namespace.clone(), backend.object.name.clone());
        let port_name = port.name.as_deref().unwrap_or_default();
        let takes_all = backend.spec.publish_not_ready_addresses;
        let all = self.targets.get(&name).into_iter().flatten();
        let fitting = all.filter(|it| it.port == port_name && (takes_all || it.is_ready));
        let mut targets: Vec<Target> = fitting.map(|it| it.target.clone()).collect();
        // Of two entries for one address the one that knows its zone stays.
        targets.sort_by(|a, b| {
            let key = |target: &Target| (target.address, target.port, target.availability_zone.is_none());
            key(a).cmp(&key(b))
        });
        targets.dedup_by(|a, b| (a.address, a.port) == (b.address, b.port));
        targets
    }

    /// Whose servers the pods of the Service are.
    pub(crate) fn origin(&self, backend: &Backend) -> Origin {
        let mut pods = self.selected(backend).peekable();
        let is_ours = pods.peek().is_some() && pods.all(|pod| pod.is_ours);
        if is_ours { Origin::Ours } else { Origin::Others }
    }

    /// Which requests may be repeated at another pod of the Service.
    pub(crate) fn replay(&self, backend: &Backend, findings: &mut Vec<Finding>) -> Replay {
        match backend.object.annotation(REPLAY) {
            Some("everything") => return Replay::Everything,
            Some("idempotent") => return Replay::Idempotent,
            Some(other) => {
                let message = format!("replay: `{other}` is not one of `everything`, `idempotent`");
                let finding = Finding::new(&codes::ANNOTATION_INVALID, message);
                findings.push(finding.at_annotation(&backend.object, REPLAY));
            }
            None => {}
        }
        self.origin(backend).replay()
    }

    fn add_doors(&mut self) {
        for (name, object) in doors::services() {
            let door = match self.services.get(&name) {
                Some(backend) => {
                    let has_targets = self.targets.get(&name).is_some_and(|targets| !targets.is_empty());
                    if has_targets || self.selected(backend).next().is_some() {
                        continue;
                    }
                    None
                }
                None => kinds::read::<Service>(&object, &mut Vec::new())
                    .map(|service| Backend { object: Arc::new(object), spec: service.spec }),
            };
            self.doors.insert(name, door);
        }
    }

    fn add_service(&mut self, object: &Arc<Object>, findings: &mut Vec<Finding>) {
        if object.labels().contains_key(SYNTHETIC) {
            return;
        }
        annotations::survey_ours(object, findings);
        if let Some(service) = kinds::read::<Service>(object, findings) {
            let backend = Backend { object: object.clone(), spec: service.spec };
            self.services.insert((object.namespace.clone(), object.name.clone()), backend);
        } else {
            // What its annotations say is not followed, and checked all the same.
            annotations::survey(object, self.defaults.strict_aws, findings);
            let _ = annotations::of_service(object, self.defaults.strict_aws, findings);
        }
    }

    /// How many requests targets of a namespace take at a time that are told so by a port of their own; `None` where nobody says it.
    pub(crate) fn target_control(&self, namespace: &str) -> Option<u32> {
        self.target_controls.get(namespace).copied()
    }

    fn add_target_control(&mut self, object: &Object, findings: &mut Vec<Finding>) {
        const DEFAULT: u32 = 1;
        const MOST: u32 = 1000;
        let Some(config) = kinds::read::<TargetControlConfig>(object, findings) else { return };
        let most = config.spec.max_concurrency.unwrap_or(DEFAULT);
        if most > MOST {
            let message = format!("maxConcurrency: `{most}` is not a number between 0 and {MOST}");
            findings.push(Finding::new(&codes::FIELD_INVALID, message).at(object, "spec.maxConcurrency"));
            return;
        }
        self.target_controls.entry(object.namespace.clone()).or_insert(most);
    }

    fn add_slice(&mut self, object: &Object, findings: &mut Vec<Finding>) {
        let Some(slice) = kinds::read::<EndpointSlice>(object, findings) else { return };
        let labels = object.labels();
        let Some(service) = labels.get(SERVICE_NAME) else {
            let message = format!("the label {SERVICE_NAME} is missing: the addresses belong to no Service");
            findings.push(Finding::new(&codes::FIELD_NO_EFFECT, message).at(object, "metadata.labels"));
            return;
        };
        let name = (object.namespace.clone(), (*service).to_owned());
        for (index, endpoint) in slice.endpoints.iter().enumerate() {
            let is_ready = endpoint.conditions.ready.unwrap_or(true);
            let path = format!("endpoints[{index}].addresses");
            for address in &endpoint.addresses {
                let place = Place { object, path: &path, address, zone: endpoint.zone.as_ref(), is_ready };
                self.add_targets(&name, &place, &slice.ports, findings);
            }
        }
    }

    fn add_endpoints(&mut self, object: &Object, findings: &mut Vec<Finding>) {
        let Some(endpoints) = kinds::read::<Endpoints>(object, findings) else { return };
        let name = (object.namespace.clone(), object.name.clone());
        for (index, subset) in endpoints.subsets.iter().enumerate() {
            let ready = subset.addresses.iter().map(|address| (address, "addresses", true));
            let not_ready = subset.not_ready_addresses.iter();
            let not_ready = not_ready.map(|address| (address, "notReadyAddresses", false));
            for (address, field, is_ready) in ready.chain(not_ready) {
                let path = format!("subsets[{index}].{field}");
                let place = Place { object, path: &path, address: &address.ip, zone: None, is_ready };
                self.add_targets(&name, &place, &subset.ports, findings);
            }
        }
    }

    fn add_targets(
        &mut self,
        service: &Name,
        place: &Place<'_>,
        ports: &[EndpointPort],
        findings: &mut Vec<Finding>,
    ) {
        let Ok(address) = place.address.parse() else {
            let message = format!("`{}` is not an address", place.address);
            findings.push(Finding::new(&codes::FIELD_INVALID, message).at(place.object, place.path));
            return;
        };
        let numbered =
            ports.iter().filter_map(|port| Some((port.name.clone().unwrap_or_default(), port.port?)));
        let targets = self.targets.entry(service.clone()).or_default();
        targets.extend(numbered.map(|(name, port)| NamedTargets {
            port: name,
            target: Target { address, port, availability_zone: place.zone.cloned() },
            is_ready: place.is_ready,
        }));
    }

    fn add_pods(&mut self, namespace: &str, labels: BTreeMap<String, String>, spec: &PodSpec, ports: Ports) {
        let is_ours = !spec.containers.is_empty() && spec.containers.iter().all(runs_ours);
        self.pods.push(PodLabels { namespace: namespace.to_owned(), labels, is_ours, ports });
    }
}

/// The ports of pods, as far as they could be read.
fn ports(spec: &PodSpec, findings: &[Finding]) -> Ports {
    let is_broken = findings.iter().any(Finding::is_error);
    if is_broken { Ports::unknown() } else { Ports::of_all(&spec.containers) }
}

/// One address as it stands in an object.
struct Place<'a> {
    object: &'a Object,
    path: &'a str,
    address: &'a str,
    zone: Option<&'a String>,
    is_ready: bool,
}

// === impl Backend ===

impl Backend {
    /// The port that a backend names.
    pub(crate) fn port(&self, port: &ServicePortName) -> Option<&ServicePort> {
        match port {
            ServicePortName::Number(number) => self.port_number(*number),
            ServicePortName::Name(name) => self.port_name(name),
        }
    }

    /// The port with this number.
    pub(crate) fn port_number(&self, number: u16) -> Option<&ServicePort> {
        self.spec.ports.iter().find(|port| port.port == number)
    }

    /// The port with this name.
    pub(crate) fn port_name(&self, name: &str) -> Option<&ServicePort> {
        self.spec.ports.iter().find(|port| port.name.as_deref() == Some(name))
    }
}
