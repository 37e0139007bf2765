//! One Application Load Balancer: the Ingresses of a group, or one without a group.

mod clients;

use std::collections::BTreeMap;

use ipnet::IpNet;
use plan::attributes::Scope;
use plan::{
    Action, Attributes, IpAddressType, Listener, LoadBalancer, LoadBalancerId, LoadBalancerKind, Protocol,
    Redirect, RedirectPart, Scheme, ServicePortName, SourceRanges, Tags, TargetGroupRef,
};

use super::actions::{At, Found, action};
use super::attributes::{self, Written};
use super::certificates;
use super::ingress::Member;
use super::names;
use super::optimise::optimise;
use super::rules;
use super::target_group::{Source, TargetGroups};
use super::world::World;
use crate::annotations::{Map, WebAcl};
use crate::{Finding, Severity, codes};

const PREFIX: &str = "alb.ingress.kubernetes.io/";

/// A load balancer in the making.
pub(super) struct Group<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) findings: Vec<Finding>,
    id: &'a LoadBalancerId,
    members: &'a [Member],
    target_groups: TargetGroups,
    is_dualstack: bool,
}

/// A load balancer with what goes with it. An error among the findings means that it is not to be used.
pub(super) struct Built {
    pub(super) load_balancer: LoadBalancer,
    pub(super) target_groups: TargetGroups,
    pub(super) findings: Vec<Finding>,
}

/// Builds the load balancer of a group. `members` are in the order of the group, and not none.
pub(super) fn build(id: &LoadBalancerId, members: &[Member], world: &World<'_>) -> Built {
    let findings = members.iter().flat_map(|member| member.findings.clone()).collect();
    let target_groups = TargetGroups::default();
    let mut group = Group { world, findings, id, members, target_groups, is_dualstack: false };
    let load_balancer = group.load_balancer();
    Built { load_balancer, target_groups: group.target_groups, findings: group.findings }
}

// === impl Group ===

impl<'a> Group<'a> {
    fn load_balancer(&mut self) -> LoadBalancer {
        let members = self.members;
        let scheme = self.agreed("scheme", |member| member.settings.scheme);
        let scheme = scheme.unwrap_or(self.world.defaults.scheme);
        let ip_address_type = self.agreed("ip-address-type", |member| member.settings.ip_address_type);
        let ip_address_type = ip_address_type.unwrap_or(IpAddressType::Ipv4);
        self.is_dualstack = ip_address_type != IpAddressType::Ipv4;
        let name = self.agreed("load-balancer-name", |member| member.settings.name.clone());
        let security_groups =
            self.agreed("security-groups", |member| member.settings.security_groups.clone());
        let security_groups = security_groups.unwrap_or_default();
        let name_generated = name.is_none();
        let tags = self.group_tags();
        let listeners = self.listeners(!security_groups.is_empty(), &tags);
        let attributes = self.attributes();
        self.check_renamed_fields(&listeners, &attributes);
        let name = name.unwrap_or_else(|| self.generated_name(scheme));
        LoadBalancer {
            name_generated,
            scheme,
            ip_address_type,
            sources: members.iter().map(|member| member.object.reference()).collect(),
            attributes,
            web_acl: self.web_acl(),
            shield_advanced_protection: self
                .agreed("shield-advanced-protection", |member| member.settings.shield),
            minimum_capacity_units: self.capacity_units(),
            customer_owned_ipv4_pool: self.agreed("customer-owned-ipv4-pool", |member| {
                member.settings.customer_owned_ipv4_pool.clone()
            }),
            subnets: self.agreed("subnets", |member| member.settings.subnets.clone()).unwrap_or_default(),
            security_groups,
            tags,
            listeners,
            target_groups: self.target_groups.all.clone(),
            ..LoadBalancer::new(self.id.clone(), LoadBalancerKind::Application, &name)
        }
    }

    /// The one value of something that a group has only once.
    fn agreed<T: PartialEq>(&mut self, key: &str, get: impl Fn(&Member) -> Option<T>) -> Option<T> {
        self.agreed_among(self.members.iter(), key, get)
    }

    fn agreed_among<'m, T: PartialEq>(
        &mut self,
        members: impl Iterator<Item = &'m Member>,
        key: &str,
        get: impl Fn(&Member) -> Option<T>,
    ) -> Option<T> {
        let mut agreed: Option<(T, &Member)> = None;
        for member in members {
            let Some(value) = get(member) else { continue };
            match &agreed {
                Some((first, other)) if *first != value => {
                    let full_key = format!("{PREFIX}{key}");
                    let written = member.object.annotation(&full_key).unwrap_or("what its class says");
                    let message = format!(
                        "{key}: `{written}` is not what {} has, and a group has it once",
                        other.object.reference()
                    );
                    let finding = Finding::new(&codes::GROUP_CONFLICT, message);
                    self.findings.push(finding.at_annotation(&member.object, &full_key));
                }
                Some(_) => {}
                None => agreed = Some((value, member)),
            }
        }
        agreed.map(|(value, _)| value)
    }

    fn generated_name(&self, scheme: Scheme) -> String {
        let id = self.id.to_string();
        match self.id {
            LoadBalancerId::Group(group) => names::generated_for_group(group, &[&id, scheme.as_str()]),
            _ => {
                let object = &self.members[0].object;
                names::generated(&object.namespace, &object.name, &[&id, scheme.as_str()])
            }
        }
    }

    fn attributes(&mut self) -> Attributes {
        let key = format!("{PREFIX}load-balancer-attributes");
        let members = self.members.iter().map(|member| (&*member.object, &member.settings.attributes));
        attributes::agreed(members, &key, &mut self.findings);
        let mut attributes = Attributes::new(Scope::Application);
        for member in self.members {
            let written = Written { object: &member.object, key: &key };
            attributes::set(&mut attributes, &member.settings.attributes, &written, &mut self.findings);
        }
        attributes
    }

    fn web_acl(&mut self) -> Option<String> {
        let web_acl = self.agreed("wafv2-acl-arn", |member| member.settings.web_acl.clone())?;
        let known = self.world.defaults.web_acls.as_deref();
        let (key, found) = match &web_acl {
            WebAcl::Nobody => return None,
            WebAcl::Arn(arn) => {
                ("wafv2-acl-arn", known.map(|known| known.iter().find(|acl| acl.arn == *arn)))
            }
            WebAcl::Name(name) => {
                ("wafv2-acl-name", known.map(|known| known.iter().find(|acl| acl.name == *name)))
            }
        };
        let (WebAcl::Arn(written) | WebAcl::Name(written)) = web_acl else { return None };
        let full_key = format!("{PREFIX}{key}");
        let (code, message) = match found {
            Some(None) => (&codes::WEB_ACL_UNKNOWN, format!("{key}: web ACL `{written}` is not known")),
            _ => {
                let message = format!(
                    "{key}: web ACL `{written}` is recorded, and nothing is checked against it in this build"
                );
                (&codes::ANNOTATION_NO_EFFECT, message)
            }
        };
        for member in self.members.iter().filter(|member| member.settings.web_acl.is_some()) {
            self.findings.push(Finding::new(code, message.clone()).at_annotation(&member.object, &full_key));
        }
        Some(found.flatten().map_or(written, |acl| acl.arn.clone()))
    }

    fn capacity_units(&mut self) -> Option<u32> {
        let units = self.agreed("minimum-load-balancer-capacity", |member| member.settings.capacity_units);
        units.filter(|_| self.world.defaults.has_feature("LBCapacityReservation"))
    }

    fn group_tags(&mut self) -> Tags {
        let mut tags = Tags::new();
        for member in self.members {
            for (key, value) in &member.settings.tags {
                let other = tags.entry(key.clone()).or_insert_with(|| value.clone());
                if other != value {
                    let message = format!(
                        "tag `{key}` is `{value}` here and `{other}` in another Ingress of the group"
                    );
                    let finding = Finding::new(&codes::GROUP_CONFLICT, message);
                    self.findings.push(finding.at_annotation(&member.object, &format!("{PREFIX}tags")));
                }
            }
        }
        super::merged_tags(&[&tags, &self.world.defaults.tags])
    }

    /// The tags of what is made from one member.
    pub(super) fn tags_of(&self, member: &Member) -> Tags {
        super::merged_tags(&[&member.settings.tags, &self.world.defaults.tags])
    }

    fn listeners(&mut self, has_security_groups: bool, tags: &Tags) -> Vec<Listener> {
        let mut by_port: BTreeMap<u16, (Protocol, Vec<&Member>)> = BTreeMap::new();
        for member in self.members {
            for (port, protocol) in member.listen_ports() {
                let (wanted, members) = by_port.entry(port).or_insert((protocol, Vec::new()));
                if *wanted != protocol {
                    let message = format!(
                        "port {port} is wanted for {} and for {}",
                        wanted.as_str(),
                        protocol.as_str()
                    );
                    let finding = Finding::new(&codes::PORT_CONFLICT, message);
                    self.findings
                        .push(finding.at_annotation(&member.object, &format!("{PREFIX}listen-ports")));
                } else if !members.iter().any(|other| std::ptr::eq(*other, member)) {
                    members.push(member);
                }
            }
        }
        let ssl_redirect = self.ssl_redirect(&by_port);
        self.check_listener_attributes(&by_port);
        self.check_client_authentication(&by_port);
        let listeners = by_port.into_iter().map(|(port, (protocol, members))| {
            let mut listener = Listener::new(port, protocol);
            listener.tags.clone_from(tags);
            listener.source_ranges =
                if has_security_groups { None } else { Some(self.source_ranges(&members)) };
            self.listener_attributes(&mut listener, &members);
            if protocol == Protocol::Https {
                self.secure(&mut listener, &members);
                listener.client_authentication = self.client_authentication(port, &members);
            }
            match ssl_redirect.filter(|_| protocol == Protocol::Http) {
                Some(port) => listener.default_action = Some(redirect_to_https(port)),
                None => self.route(&mut listener, &members),
            }
            listener
        });
        listeners.collect()
    }

    fn ssl_redirect(&mut self, by_port: &BTreeMap<u16, (Protocol, Vec<&Member>)>) -> Option<u16> {
        let port = self.agreed("ssl-redirect", |member| member.settings.ssl_redirect)?;
        if by_port.get(&port).is_none_or(|(protocol, _)| *protocol != Protocol::Https) {
            let key = format!("{PREFIX}ssl-redirect");
            for member in self.members.iter().filter(|member| member.settings.ssl_redirect.is_some()) {
                let message =
                    format!("ssl-redirect: port {port} is not an HTTPS listener of the load balancer");
                let finding =
                    Finding::new(&codes::SSL_REDIRECT_PORT, message).at_annotation(&member.object, &key);
                self.findings.push(
                    finding
                        .suggest(format!("{PREFIX}listen-ports: '[{{\"HTTP\":80}},{{\"HTTPS\":{port}}}]'")),
                );
            }
            return None;
        }
        Some(port)
    }

    fn source_ranges(&mut self, members: &[&Member]) -> SourceRanges {
        let cidrs = self.agreed_among(members.iter().copied(), "inbound-cidrs", |member| {
            member.settings.inbound_cidrs.clone()
        });
        let prefix_lists =
            self.agreed_among(members.iter().copied(), "security-group-prefix-lists", |member| {
                member.settings.prefix_lists.clone()
            });
        for member in members.iter().filter(|member| member.settings.prefix_lists.is_some()) {
            let lists = member.settings.prefix_lists.iter().flatten();
            let key = format!("{PREFIX}security-group-prefix-lists");
            super::check_prefix_lists(lists, &member.object, &key, self.world, &mut self.findings);
        }
        source_ranges(cidrs, prefix_lists.unwrap_or_default(), self.is_dualstack)
    }

    fn check_listener_attributes(&mut self, by_port: &BTreeMap<u16, (Protocol, Vec<&Member>)>) {
        for member in self.members {
            for (port, protocol) in member.settings.listener_attributes.keys() {
                if by_port.get(port).is_none_or(|(listener, _)| listener != protocol) {
                    let name = format!("{}-{port}", protocol.as_str());
                    let message = format!("listener-attributes.{name}: there is no such listener");
                    let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message);
                    let key = format!("{PREFIX}listener-attributes.{name}");
                    self.findings
                        .push(finding.at_annotation(&member.object, &key).with_severity(Severity::Warning));
                }
            }
        }
    }

    fn listener_attributes(&mut self, listener: &mut Listener, members: &[&Member]) {
        let name = (listener.port, listener.protocol);
        let key = format!("{PREFIX}listener-attributes.{}-{}", listener.protocol.as_str(), listener.port);
        let written: Vec<(&Member, &Map)> = members
            .iter()
            .filter_map(|member| Some((*member, member.settings.listener_attributes.get(&name)?)))
            .collect();
        let maps = written.iter().map(|(member, map)| (&*member.object, *map));
        attributes::agreed(maps, &key, &mut self.findings);
        for (member, map) in written {
            let written = Written { object: &member.object, key: &key };
            attributes::set(&mut listener.attributes, map, &written, &mut self.findings);
        }
    }

    fn secure(&mut self, listener: &mut Listener, members: &[&Member]) {
        let policy = self
            .agreed_among(members.iter().copied(), "ssl-policy", |member| member.settings.ssl_policy.clone());
        listener.ssl_policy = Some(policy.unwrap_or_else(|| self.world.defaults.ssl_policy.clone()));
        for member in members {
            let source = certificates::Source {
                object: &member.object,
                spec: &member.spec,
                arns: &member.settings.certificates,
                arn_source: if member.class.names_certificates { "ingressClassParams" } else { "annotation" },
                wants_issued: member.settings.issue_certificate,
            };
            for certificate in source.certificates(self.world, &mut self.findings) {
                if !listener.certificates.iter().any(|other| other.arn == certificate.arn) {
                    listener.certificates.push(certificate);
                }
            }
        }
    }

    fn route(&mut self, listener: &mut Listener, members: &[&Member]) {
        let mut with_default = members.iter().filter(|member| member.spec.default_backend.is_some());
        if let Some(member) = with_default.next()
            && let Some(backend) = &member.spec.default_backend
        {
            for other in with_default {
                let message =
                    format!("{} of the group has a default backend already", member.object.reference());
                let finding = Finding::new(&codes::DEFAULT_BACKEND_CONFLICT, message);
                self.findings.push(finding.at(&other.object, "spec.defaultBackend"));
            }
            let action = action(self, member, backend, "spec.defaultBackend", listener.protocol);
            listener.default_action = action;
        }
        for member in members {
            listener.rules.extend(rules::of_member(self, member, listener.protocol));
        }
        for dropped in optimise(listener) {
            let Some(source) = dropped.rule.source else { continue };
            let path = format!("spec.rules[{}].http.paths[{}]", source.rule_index, source.path_index);
            let message = format!("the rule is left out: {}", dropped.reason);
            let member = members.iter().find(|member| member.object.reference() == source.object);
            self.findings.extend(
                member.map(|member| Finding::new(&codes::RULE_DROPPED, message).at(&member.object, &path)),
            );
        }
    }

    /// The target group of a backend, made when it is not there yet.
    pub(super) fn target_group(
        &mut self,
        member: &Member,
        service: &str,
        port: &ServicePortName,
        at: &At<'_>,
    ) -> Found {
        let world = self.world;
        let namespace = &member.object.namespace;
        let Some(backend) = world.service(namespace, service) else {
            let tolerated = world.defaults.tolerate_missing_service;
            let severity = if tolerated { Severity::Warning } else { Severity::Error };
            let message =
                format!("Service {namespace}/{service} does not exist: requests to it are answered with 503");
            let finding =
                at.put(Finding::new(&codes::BACKEND_SERVICE_MISSING, message), &member.object, "name");
            let similar = super::similar_services(world, namespace, service);
            self.findings.push(finding.maybe_suggest(similar).with_severity(severity));
            return Found::NoService;
        };
        let found = match port {
            ServicePortName::Number(number) => backend.port_number(*number),
            ServicePortName::Name(name) => backend.port_name(name),
        };
        let Some(service_port) = found else {
            let message = format!("Service {namespace}/{service} has no port `{port}`");
            let finding = at.put(Finding::new(&codes::BACKEND_PORT_MISSING, message), &member.object, "port");
            let ports = backend.spec.ports.iter().map(|port| port.port.to_string());
            let known = format!("it has {}", ports.collect::<Vec<_>>().join(", "));
            self.findings.push(finding.suggest(known));
            return Found::Wrong;
        };
        let source = Source {
            load_balancer: self.id,
            ingress: &member.object,
            backend,
            port: service_port,
            port_name: port.clone(),
            target_type: member.class.target_type,
            class_tags: &member.class.tags,
            is_dualstack: self.is_dualstack,
        };
        let key = source.key();
        Found::Group(match self.target_groups.find(&key) {
            Some(id) => id,
            None => self.target_groups.add(source.make(world, &mut self.findings)),
        })
    }

    /// A target group that no manifest makes.
    pub(super) fn outside(
        &mut self,
        member: &Member,
        key: &str,
        name: &str,
        unknown: fn(String) -> TargetGroupRef,
    ) -> TargetGroupRef {
        let known = self.world.defaults.target_groups.as_deref();
        let is_it = |group: &&crate::Named| group.arn == name || group.name == name;
        let found = known.into_iter().flatten().find(is_it);
        let finding = match (known, found) {
            (Some(_), None) => {
                Finding::new(&codes::TARGET_GROUP_UNKNOWN, format!("target group `{name}` is not known"))
            }
            _ => {
                let message =
                    format!("target group `{name}` is outside: requests to it are answered with 503 here");
                Finding::new(&codes::ANNOTATION_NO_EFFECT, message).with_severity(Severity::Warning)
            }
        };
        self.findings.push(finding.at_annotation(&member.object, key));
        match found {
            Some(group) => TargetGroupRef::Arn(group.arn.clone()),
            None => unknown(name.to_owned()),
        }
    }
}

/// Who may connect; everybody when nobody says otherwise.
pub(super) fn source_ranges(
    cidrs: Option<Vec<IpNet>>,
    mut prefix_lists: Vec<String>,
    is_dualstack: bool,
) -> SourceRanges {
    prefix_lists.sort();
    let mut cidrs = match cidrs {
        Some(cidrs) => cidrs,
        None if !prefix_lists.is_empty() => Vec::new(),
        None => {
            let everybody = ["0.0.0.0/0", "::/0"].into_iter().take(if is_dualstack { 2 } else { 1 });
            everybody.filter_map(|range| range.parse().ok()).collect()
        }
    };
    cidrs.sort_by_key(ToString::to_string);
    cidrs.dedup();
    SourceRanges { cidrs, prefix_lists }
}

fn redirect_to_https(port: u16) -> Action {
    Action::Redirect(Redirect {
        protocol: RedirectPart::set("HTTPS"),
        port: RedirectPart::Set(port.to_string()),
        ..Redirect::keeping_everything(301)
    })
}
