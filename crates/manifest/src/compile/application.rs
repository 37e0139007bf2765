//! One Application Load Balancer: the Ingresses of a group, or one without a group.

mod backends;
mod clients;
mod frontend;
mod listeners;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use ipnet::IpNet;
use plan::attributes::Scope;
use plan::{
    Attributes, Handling, IpAddressType, LoadBalancer, LoadBalancerId, LoadBalancerKind, ServicePortName,
    SourceRanges, Tags, TargetGroupId,
};

use super::attributes::{self, Written};
use super::draft::{Built, Draft};
use super::ingress::Member;
use super::mirror;
use super::world::World;
use crate::annotations::WebAcl;
use crate::{Finding, codes};

const PREFIX: &str = "alb.ingress.kubernetes.io/";

/// The load balancer of a group in the making.
pub(super) struct Group<'a> {
    pub(super) draft: Draft<'a>,
    members: &'a [Member],
    is_dualstack: bool,
    /// What is done to requests of each member.
    handlings: Vec<Option<Arc<Handling>>>,
    /// Where backends led since somebody asked.
    pub(super) ways: Ways,
    /// What there is to say of target groups, whoever led to them first.
    of_target_groups: Vec<Finding>,
}

/// Where backends of a member lead.
#[derive(Default)]
pub(super) struct Ways {
    /// The target groups, in the order in which they are wanted first.
    pub(super) leads_to: Vec<LeadsTo>,
    /// Whether there are some that lead nowhere, or outside.
    pub(super) leads_nowhere: bool,
}

/// A backend that leads to a target group.
#[derive(PartialEq, Eq)]
pub(super) struct LeadsTo {
    pub(super) service: String,
    pub(super) port: ServicePortName,
    pub(super) id: TargetGroupId,
}

/// Builds the load balancer of a group. `members` are in the order of the group, and not none.
pub(super) fn build<'a>(id: LoadBalancerId, members: &'a [Member], world: &'a World<'a>) -> Built {
    let findings = members.iter().flat_map(|member| member.findings.clone()).collect();
    let mut group = Group {
        draft: Draft::new(id, world, findings),
        members,
        is_dualstack: false,
        handlings: Vec::new(),
        ways: Ways::default(),
        of_target_groups: Vec::new(),
    };
    let load_balancer = group.load_balancer();
    group.draft.findings.append(&mut group.of_target_groups);
    group.draft.finish(load_balancer)
}

// === impl Group ===

impl<'a> Group<'a> {
    fn load_balancer(&mut self) -> LoadBalancer {
        let members = self.members;
        let scheme = self.agreed("scheme", |member| member.settings.scheme);
        let scheme = scheme.unwrap_or(self.draft.world.defaults.scheme);
        let ip_address_type = self.agreed("ip-address-type", |member| member.settings.ip_address_type);
        let ip_address_type = ip_address_type.unwrap_or(IpAddressType::Ipv4);
        self.is_dualstack = ip_address_type != IpAddressType::Ipv4;
        let name = self.agreed("load-balancer-name", |member| member.settings.name.clone());
        let security_groups =
            self.agreed("security-groups", |member| member.settings.security_groups.clone());
        let security_groups = security_groups.unwrap_or_default();
        let name_generated = name.is_none();
        let tags = self.group_tags();
        self.handlings = members.iter().map(|member| self.handling(member)).collect();
        let listeners = self.listeners(!security_groups.is_empty(), &tags);
        let attributes = self.attributes();
        self.check_renamed_fields(&listeners, &attributes);
        let name = name.unwrap_or_else(|| {
            let first = &members[0].object;
            self.draft.generated_name(&first.namespace, &first.name, scheme)
        });
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
            frontend: self.frontend(),
            ..LoadBalancer::new(self.draft.id.clone(), LoadBalancerKind::Application, &name)
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
                    self.draft.findings.push(finding.at_annotation(&member.object, &full_key));
                }
                Some(_) => {}
                None => agreed = Some((value, member)),
            }
        }
        agreed.map(|(value, _)| value)
    }

    fn attributes(&mut self) -> Attributes {
        let key = format!("{PREFIX}load-balancer-attributes");
        let members = self.members.iter().map(|member| (&*member.object, &member.settings.attributes));
        attributes::agreed(members, &key, &mut self.draft.findings);
        let mut attributes = Attributes::new(Scope::Application);
        for member in self.members {
            let written = Written { object: &member.object, key: &key };
            attributes::set(&mut attributes, &member.settings.attributes, &written, &mut self.draft.findings);
        }
        attributes
    }

    fn web_acl(&mut self) -> Option<String> {
        let web_acl = self.agreed("wafv2-acl-arn", |member| member.settings.web_acl.clone())?;
        let known = self.draft.world.defaults.web_acls.as_deref();
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
            self.draft
                .findings
                .push(Finding::new(code, message.clone()).at_annotation(&member.object, &full_key));
        }
        Some(found.flatten().map_or(written, |acl| acl.arn.clone()))
    }

    fn capacity_units(&mut self) -> Option<u32> {
        let units = self.agreed("minimum-load-balancer-capacity", |member| member.settings.capacity_units);
        units.filter(|_| self.draft.world.defaults.has_feature("LBCapacityReservation"))
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
                    self.draft.findings.push(finding.at_annotation(&member.object, &format!("{PREFIX}tags")));
                }
            }
        }
        super::merged_tags(&[&tags, &self.draft.world.defaults.tags])
    }

    /// What is done to requests of a member: the same as before, where it says the same.
    fn handling(&mut self, member: &Member) -> Option<Arc<Handling>> {
        struct Before(RefCell<Option<Arc<Handling>>>);
        let handling = mirror::of_member(self, member);
        let before = self.draft.world.memo.about_version(&member.object, |before: Option<Rc<Before>>| {
            Before(before.and_then(|before| before.0.borrow().clone()).into())
        });
        let mut before = before.0.borrow_mut();
        if *before != handling {
            before.clone_from(&handling);
        }
        before.clone()
    }

    /// What is done to requests of a member.
    pub(super) fn handling_of(&self, member: &Member) -> Option<Arc<Handling>> {
        let place = self.members.iter().position(|other| std::ptr::eq(other, member))?;
        self.handlings.get(place)?.clone()
    }

    /// The tags of what is made from one member.
    pub(super) fn tags_of(&self, member: &Member) -> Tags {
        super::merged_tags(&[&member.settings.tags, &self.draft.world.defaults.tags])
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
