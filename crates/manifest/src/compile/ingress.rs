//! Which Ingresses are ours, and which of them share a load balancer.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use plan::{Handling, LoadBalancerId, Protocol, Tags, TargetType};

use super::world::World;
use crate::annotations::values::{self, cidrs};
use crate::annotations::{self, IngressSettings, Problem, WebAcl, group_name, load_balancer_name, words};
use crate::kinds::ingress::{Ingress, IngressSpec};
use crate::kinds::ingress_class::{IngressClass, IngressClassParams, IngressClassParamsSpec};
use crate::kinds::{self};
use crate::{Finding, Object, Objects, codes};

/// An Ingress of ours, with what its annotations and its class say.
pub(super) struct Member {
    pub(super) object: Arc<Object>,
    pub(super) ingress: Rc<Ingress>,
    /// The parameters of its class.
    pub(super) params: Option<Arc<Object>>,
    /// The annotations, under what the class says.
    pub(super) settings: Rc<IngressSettings>,
    pub(super) class: ClassSettings,
    /// What is done to requests of its rules, and of its default backend.
    pub(super) handling: Option<Arc<Handling>>,
    /// What is wrong with it; a member that could not be read at all takes its group out by this.
    pub(super) findings: Vec<Finding>,
}

/// What the annotations of an Ingress say, with what is to be said of them.
#[derive(Default)]
struct Written {
    survey: Vec<Finding>,
    settings: Rc<IngressSettings>,
    of_settings: Vec<Finding>,
    handling: Option<Arc<Handling>>,
    of_handling: Vec<Finding>,
}

/// What a class says that does not go into the settings of the Ingress.
#[derive(Default)]
pub(super) struct ClassSettings {
    pub(super) target_type: Option<TargetType>,
    pub(super) tags: Tags,
    pub(super) names_certificates: bool,
}

/// Controllers whose classes are ours.
const CONTROLLERS: &[&str] = &["ingress.k8s.aws/alb", AUTO_MODE_CONTROLLER, "forebay.dev/ingress"];
/// Classes that are ours without an IngressClass.
const CLASSES: &[&str] = &["alb", "forebay"];
/// The controller of EKS Auto Mode's classes.
pub(crate) const AUTO_MODE_CONTROLLER: &str = "eks.amazonaws.com/alb";
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";

/// Whose an Ingress is.
enum Owner {
    /// Ours, with the parameters of its class.
    Us(Option<Arc<Object>>),
    /// Somebody else's, and why.
    Other(String),
}

/// Ingresses of ours by the id of their load balancer, in the order of the group.
pub(super) fn groups(
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<LoadBalancerId, Vec<Member>> {
    let classes = classes(world, findings);
    let mut groups: BTreeMap<LoadBalancerId, Vec<Member>> = BTreeMap::new();
    for object in world.objects.of_kind("Ingress") {
        let mut own = Vec::new();
        let ingress = world.memo.read::<Ingress>(object, &mut own);
        let written = world.memo.about_version(object, |before: Option<Rc<Written>>| {
            let handling = before.and_then(|before| before.handling.clone());
            Written::of(object, world.defaults.strict_aws, handling)
        });
        let Some(ingress) = ingress else {
            // What its annotations say is not followed, and checked all the same.
            own.extend(written.survey.iter().chain(&written.of_settings).cloned());
            findings.extend(own);
            continue;
        };
        let params = match owner(object, &ingress.spec, &classes, world, &mut own) {
            Owner::Us(params) => params,
            Owner::Other(reason) => {
                let names_none = ingress.spec.ingress_class_name.is_none()
                    && object.annotation(CLASS_ANNOTATION).is_none();
                let suggestion = names_none.then(|| "spec.ingressClassName: alb".to_owned());
                findings.push(Finding::new(&codes::NOT_OURS, reason).on(object).maybe_suggest(suggestion));
                continue;
            }
        };
        findings.extend(written.survey.iter().cloned());
        own.extend(written.of_settings.iter().chain(&written.of_handling).cloned());
        let mut member = Member {
            object: object.clone(),
            ingress,
            params,
            settings: Rc::clone(&written.settings),
            handling: written.handling.clone(),
            class: ClassSettings::default(),
            findings: own,
        };
        if let Some(params) = member.params.clone()
            && !member.follow_class(&params, world)
        {
            let reason = format!("its class {} is not for this namespace", params.name);
            findings.push(Finding::new(&codes::NOT_OURS, reason).on(object));
            continue;
        }
        let id = match &member.settings.group {
            Some(group) => LoadBalancerId::group(group),
            None => LoadBalancerId::ingress(&object.namespace, &object.name),
        };
        groups.entry(id).or_default().push(member);
    }
    for members in groups.values_mut() {
        members.sort_by_key(|member| {
            (member.settings.group_order, format!("{}/{}", member.object.namespace, member.object.name))
        });
    }
    groups
}

fn classes(world: &World<'_>, findings: &mut Vec<Finding>) -> BTreeMap<String, (Arc<Object>, IngressClass)> {
    let objects = world.objects.of_kind("IngressClass");
    let classes = objects.filter_map(|object| {
        let class = kinds::read::<IngressClass>(object, findings)?;
        Some((object.name.clone(), (object.clone(), class)))
    });
    classes.collect()
}

fn owner(
    object: &Object,
    spec: &IngressSpec,
    classes: &BTreeMap<String, (Arc<Object>, IngressClass)>,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) -> Owner {
    let is_ours = |name: &str| CLASSES.contains(&name) || name == world.defaults.ingress_class;
    let of_class = |(object, class): &(Arc<Object>, IngressClass), findings: &mut Vec<Finding>| {
        if !CONTROLLERS.contains(&class.spec.controller.as_str()) {
            let controller = &class.spec.controller;
            let name = &object.name;
            return Owner::Other(format!("its class {name} belongs to the controller `{controller}`"));
        }
        let Some(name) = class.params() else { return Owner::Us(None) };
        let params = world.objects.get("IngressClassParams", "", name);
        if params.is_none() {
            let message = format!("IngressClassParams `{name}` of the class {} do not exist", object.name);
            findings.push(Finding::new(&codes::FIELD_INVALID, message).at(object, "spec.parameters.name"));
        }
        Owner::Us(params.cloned())
    };
    if let Some(name) = &spec.ingress_class_name {
        if let Some(annotated) = object.annotation(CLASS_ANNOTATION).filter(|annotated| annotated != name) {
            let message = format!(
                "{CLASS_ANNOTATION} `{annotated}` is not spec.ingressClassName `{name}`: Kubernetes refuses an Ingress where they differ"
            );
            let finding = Finding::new(&codes::ANNOTATION_INVALID, message);
            findings.push(finding.at_annotation(object, CLASS_ANNOTATION).suggest("take the annotation out"));
        }
        return match classes.get(name) {
            Some(class) => of_class(class, findings),
            None if is_ours(name) => Owner::Us(None),
            None => Owner::Other(format!("there is no IngressClass `{name}`")),
        };
    }
    if let Some(name) = object.annotation(CLASS_ANNOTATION) {
        if !is_ours(name) {
            return Owner::Other(format!("its class `{name}` belongs to another controller"));
        }
        let message = format!("{CLASS_ANNOTATION} is deprecated since Kubernetes 1.18");
        let finding = Finding::new(&codes::INGRESS_CLASS_ANNOTATION, message);
        let finding = finding.at_annotation(object, CLASS_ANNOTATION);
        findings.push(finding.suggest(format!("spec.ingressClassName: {name}")));
        return Owner::Us(None);
    }
    let default = classes.values().find(|(class, _)| class.annotation(IS_DEFAULT) == Some("true"));
    match default {
        Some(class) => of_class(class, findings),
        None => Owner::Other("it names no class, and no IngressClass is the default".to_owned()),
    }
}

/// The parameters of the class of an Ingress, where they are for its namespace.
pub(super) fn params_for(
    object: &Object,
    objects: &Objects,
) -> Option<(Arc<Object>, IngressClassParamsSpec)> {
    let class = match object.value["spec"]["ingressClassName"].as_str() {
        Some(name) => objects.get("IngressClass", "", name)?,
        None if object.annotation(CLASS_ANNOTATION).is_some() => return None,
        None => objects.of_kind("IngressClass").find(|class| class.annotation(IS_DEFAULT) == Some("true"))?,
    };
    let class = kinds::read::<IngressClass>(class, &mut Vec::new())?;
    let is_ours = CONTROLLERS.contains(&class.spec.controller.as_str());
    let params = objects.get("IngressClassParams", "", class.params().filter(|_| is_ours)?)?;
    let spec = kinds::read::<IngressClassParams>(params, &mut Vec::new())?.spec;
    is_for(&spec, &object.namespace, objects).then(|| (Arc::clone(params), spec))
}

/// Whether the parameters of a class are for a namespace.
fn is_for(spec: &IngressClassParamsSpec, namespace: &str, objects: &Objects) -> bool {
    spec.namespace_selector.as_ref().is_none_or(|selector| {
        let namespace = objects.get("Namespace", "", namespace);
        let labels = namespace.map(|object| object.labels()).unwrap_or_default();
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        selector.matches(&labels.collect())
    })
}

// === impl Written ===

impl Written {
    /// `before` is the handling of an earlier version, which is kept where it is the same.
    fn of(object: &Object, strict_aws: bool, before: Option<Arc<Handling>>) -> Self {
        let mut written = Self::default();
        annotations::survey(object, strict_aws, &mut written.survey);
        written.settings = annotations::of_ingress(object, &mut written.of_settings).into();
        written.handling = annotations::handling(object, strict_aws, &mut written.of_handling);
        if written.handling == before {
            written.handling = before;
        }
        written
    }
}

// === impl Member ===

impl Member {
    pub(super) fn spec(&self) -> &IngressSpec {
        &self.ingress.spec
    }

    /// The ports it listens on: those it names, else 443 when it has certificates, else 80.
    pub(super) fn listen_ports(&self) -> Vec<(u16, Protocol)> {
        match &self.settings.listen_ports {
            Some(ports) => ports.clone(),
            None if self.settings.certificates.is_empty() => vec![(80, Protocol::Http)],
            None => vec![(443, Protocol::Https)],
        }
    }

    /// Puts what a class says over what the annotations say. `false` when the class is not for this namespace.
    fn follow_class(&mut self, params: &Arc<Object>, world: &World<'_>) -> bool {
        let Some(class) = kinds::read::<IngressClassParams>(params, &mut self.findings) else { return true };
        let spec = class.spec;
        if !is_for(&spec, &self.object.namespace, world.objects) {
            return false;
        }
        if let Err((path, problem)) = self.take(spec) {
            let finding = Finding::new(problem.code, problem.message).at(params, &path);
            self.findings.push(finding.maybe_suggest(problem.suggestion));
        }
        true
    }

    fn take(&mut self, spec: IngressClassParamsSpec) -> Result<(), (String, Problem)> {
        let at = |path: &'static str| move |problem: Problem| (format!("spec.{path}"), problem);
        let settings = Rc::make_mut(&mut self.settings);
        if let Some(name) = spec.load_balancer_name {
            settings.name = Some(load_balancer_name(&name).map_err(at("loadBalancerName"))?);
        }
        if let Some(group) = spec.group {
            settings.group = Some(group_name(&group.name).map_err(at("group.name"))?);
        }
        if let Some(scheme) = spec.scheme {
            settings.scheme = Some(words::scheme(&scheme).map_err(at("scheme"))?);
        }
        if let Some(text) = spec.ip_address_type {
            settings.ip_address_type = Some(words::ip_address_type(&text).map_err(at("ipAddressType"))?);
        }
        if let Some(text) = spec.target_type {
            self.class.target_type = Some(words::target_type(&text).map_err(at("targetType"))?);
        }
        if !spec.inbound_cidrs.is_empty() {
            settings.inbound_cidrs = Some(cidrs(&spec.inbound_cidrs.join(",")).map_err(at("inboundCIDRs"))?);
        }
        if let Some(port) = spec.ssl_redirect_port {
            settings.ssl_redirect = Some(values::port(&port.to_string()).map_err(at("sslRedirectPort"))?);
        }
        if !spec.certificate_arns.is_empty() {
            settings.certificates = spec.certificate_arns;
            self.class.names_certificates = true;
        }
        for listener in spec.listeners {
            let protocol = words::http_protocol(&listener.protocol).map_err(at("listeners"))?;
            let attributes = settings.listener_attributes.entry((listener.port, protocol)).or_default();
            attributes.extend(listener.listener_attributes.into_iter().map(|pair| (pair.key, pair.value)));
        }
        if let Some(name) = spec.ssl_policy {
            settings.ssl_policy = Some(words::ssl_policy(&name).map_err(at("sslPolicy"))?);
        }
        settings.subnets = spec.subnets.map(|subnets| subnets.ids).or(settings.subnets.take());
        if !spec.prefix_lists.is_empty() {
            settings.prefix_lists = Some(spec.prefix_lists);
        }
        settings
            .attributes
            .extend(spec.load_balancer_attributes.into_iter().map(|pair| (pair.key, pair.value)));
        let web_acl = spec.web_acl_arn.map(WebAcl::Arn).or(spec.web_acl_name.map(WebAcl::Name));
        settings.web_acl = web_acl.or(settings.web_acl.take());
        settings.capacity_units =
            spec.minimum_load_balancer_capacity.map(|it| it.capacity_units).or(settings.capacity_units);
        self.class.tags = spec.tags.into_iter().map(|pair| (pair.key, pair.value)).collect();
        settings.tags.extend(self.class.tags.clone());
        Ok(())
    }
}
