//! The listeners of a group: each port that a member wants, with what all members say of it.

use std::collections::BTreeMap;

use plan::{Action, Listener, Protocol, Redirect, RedirectPart, SourceRanges, Tags};

use super::{Group, Member, PREFIX, source_ranges};
use crate::annotations::Map;
use crate::compile::actions::action;
use crate::compile::attributes::{self, Written};
use crate::compile::optimise::optimise;
use crate::compile::{certificates, check_prefix_lists, rules};
use crate::{Finding, Severity, codes};

impl Group<'_> {
    pub(super) fn listeners(&mut self, has_security_groups: bool, tags: &Tags) -> Vec<Listener> {
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
                    self.draft
                        .findings
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
                Some(port) => {
                    listener.default_action = Some(redirect_to_https(port));
                    let asks = |member: &&&Member| {
                        member.settings.ssl_redirect.is_some() && member.handling.is_some()
                    };
                    listener.default_handling = members.iter().find(asks).and_then(|it| it.handling.clone());
                }
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
                self.draft.findings.push(
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
            check_prefix_lists(lists, &member.object, &key, self.draft.world, &mut self.draft.findings);
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
                    self.draft
                        .findings
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
        attributes::agreed(maps, &key, &mut self.draft.findings);
        for (member, map) in written {
            let written = Written { object: &member.object, key: &key };
            attributes::set(&mut listener.attributes, map, &written, &mut self.draft.findings);
        }
    }

    fn secure(&mut self, listener: &mut Listener, members: &[&Member]) {
        let policy = self
            .agreed_among(members.iter().copied(), "ssl-policy", |member| member.settings.ssl_policy.clone());
        listener.ssl_policy = Some(policy.unwrap_or_else(|| self.draft.world.defaults.ssl_policy.clone()));
        for member in members {
            let source = certificates::Source {
                object: &member.object,
                spec: member.spec(),
                arns: &member.settings.certificates,
                arn_source: if member.class.names_certificates { "ingressClassParams" } else { "annotation" },
                wants_issued: member.settings.issue_certificate,
            };
            for certificate in source.certificates(self.draft.world, &mut self.draft.findings) {
                if !listener.certificates.iter().any(|other| other.arn == certificate.arn) {
                    listener.certificates.push(certificate);
                }
            }
        }
    }

    fn route(&mut self, listener: &mut Listener, members: &[&Member]) {
        let mut with_default = members.iter().filter(|member| member.spec().default_backend.is_some());
        if let Some(member) = with_default.next()
            && let Some(backend) = &member.spec().default_backend
        {
            for other in with_default {
                let message =
                    format!("{} of the group has a default backend already", member.object.reference());
                let finding = Finding::new(&codes::DEFAULT_BACKEND_CONFLICT, message);
                self.draft.findings.push(finding.at(&other.object, "spec.defaultBackend"));
            }
            let action = action(self, member, backend, "spec.defaultBackend", listener.protocol);
            listener.default_action = action;
            listener.default_handling = self.handling_of(member);
        }
        for member in members {
            listener.rules.extend(rules::of_member(self, member, listener.protocol));
        }
        for dropped in optimise(listener) {
            let Some(source) = &dropped.rule.source else { continue };
            let path = format!("spec.rules[{}].http.paths[{}]", source.rule_index, source.path_index);
            let message = format!("the rule is left out: {}", dropped.reason);
            let member = members.iter().find(|member| member.object.reference() == source.object);
            self.draft.findings.extend(
                member.map(|member| Finding::new(&codes::RULE_DROPPED, message).at(&member.object, &path)),
            );
        }
    }
}

fn redirect_to_https(port: u16) -> Action {
    Action::Redirect(Redirect {
        protocol: RedirectPart::set("HTTPS"),
        port: RedirectPart::Set(port.to_string()),
        ..Redirect::keeping_everything(301)
    })
}
