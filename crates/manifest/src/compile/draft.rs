//! A load balancer in the making, whatever it is made of: what there is to say of it, and its target groups.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;

use plan::{
    Attributes, HealthCheck, LoadBalancer, LoadBalancerId, Protocol, ProtocolVersion, ServicePortName, Tags,
    TargetAddressType, TargetGroup, TargetGroupId, TargetGroups, TargetType,
};

use super::concurrency;
use super::health_check::{Checks, Wrong};
use super::names;
use super::trust;
use super::world::{Backend, World};
use crate::annotations::HealthCheckSettings;
use crate::kinds::service::{IpFamily, ServicePort};
use crate::{Finding, Object};

/// A load balancer in the making.
pub(super) struct Draft<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) id: LoadBalancerId,
    pub(super) findings: Vec<Finding>,
    target_groups: TargetGroups,
    by_key: HashMap<String, TargetGroupId>,
    pod_health_checks: BTreeMap<String, HealthCheck>,
}

/// A load balancer with what goes with it. An error among the findings means that it is not to be used.
pub(super) struct Built {
    pub(super) load_balancer: LoadBalancer,
    /// The checks to make where nothing listens on node ports, by the keys of their target groups.
    pub(super) pod_health_checks: BTreeMap<String, HealthCheck>,
    pub(super) findings: Vec<Finding>,
}

/// A target group that somebody wants.
pub(super) struct Wanted<'a> {
    /// Unique within the load balancer.
    pub(super) key: String,
    pub(super) backend: &'a Backend,
    pub(super) port: &'a ServicePort,
    /// As the backend wrote it.
    pub(super) port_name: ServicePortName,
    /// Whose annotations say whom to believe; the first that says something counts.
    pub(super) annotated: &'a [&'a Object],
    pub(super) target_type: TargetType,
    pub(super) protocol: Protocol,
    pub(super) protocol_version: Option<ProtocolVersion>,
    pub(super) target_control_port: Option<u16>,
    /// How many requests a replica takes at a time, where the InferenceService says it that they are of.
    pub(super) container_concurrency: Option<NonZeroU32>,
    pub(super) checks: Checks,
    pub(super) attributes: Attributes,
    pub(super) tags: Tags,
}

// === impl Draft ===

impl<'a> Draft<'a> {
    pub(super) fn new(id: LoadBalancerId, world: &'a World<'a>, findings: Vec<Finding>) -> Self {
        Self {
            world,
            id,
            findings,
            target_groups: TargetGroups::default(),
            by_key: HashMap::new(),
            pod_health_checks: BTreeMap::new(),
        }
    }

    /// A name for the load balancer, where nobody gave one.
    pub(super) fn generated_name(&self, namespace: &str, name: &str, scheme: plan::Scheme) -> String {
        let id = self.id.to_string();
        let parts = [id.as_str(), scheme.as_str()];
        match &self.id {
            LoadBalancerId::Group(group) => names::generated_for_group(group, &parts),
            _ => names::generated(namespace, name, &parts),
        }
    }

    /// The target group with this key, if it was made.
    pub(super) fn target_group(&self, key: &str) -> Option<TargetGroupId> {
        self.by_key.get(key).copied()
    }

    /// The key of a target group that was made.
    pub(super) fn key_of(&self, id: TargetGroupId) -> Option<String> {
        self.target_groups.get(id).map(|group| group.key.clone())
    }

    /// Makes a target group.
    pub(super) fn make(&mut self, wanted: Wanted<'_>) -> TargetGroupId {
        let Wanted { key, backend, port, target_type, protocol, protocol_version, checks, .. } = wanted;
        let service = &*backend.object;
        let is_tls = protocol.is_tls() || checks.aws.protocol.is_tls();
        let trust = trust::of(wanted.annotated, service, is_tls, self.world, &mut self.findings);
        let replay = self.world.replay(backend, &mut self.findings);
        let strict_aws = self.world.defaults.strict_aws;
        let controlled =
            wanted.target_control_port.and_then(|_| self.world.target_control(&service.namespace));
        let concurrency = concurrency::of(
            wanted.annotated,
            wanted.container_concurrency.or(controlled.and_then(NonZeroU32::new)),
            protocol,
            strict_aws,
            &mut self.findings,
        );
        let named = plan::ServicePort::new(&service.namespace, &service.name, wanted.port_name);
        let target_group = TargetGroup {
            name: self.name_of_target_group(service, &key, target_type, protocol, protocol_version),
            target_type,
            protocol_version,
            trust,
            port: match target_type {
                TargetType::Instance => port.node_port,
                TargetType::Ip => port.target_number().unwrap_or(1),
            },
            ip_address_type: address_type(backend),
            target_control_port: wanted.target_control_port,
            concurrency,
            attributes: wanted.attributes,
            targets: self.world.targets(backend, port),
            origin: self.world.origin(backend),
            replay,
            tags: wanted.tags,
            ..TargetGroup::new(&key, named, protocol, checks.aws)
        };
        if let Some(check) = checks.pods {
            self.pod_health_checks.insert(key.clone(), check);
        }
        let id = self.target_groups.add(target_group);
        self.by_key.insert(key, id);
        id
    }

    fn name_of_target_group(
        &self,
        service: &Object,
        key: &str,
        target_type: TargetType,
        protocol: Protocol,
        version: Option<ProtocolVersion>,
    ) -> String {
        let id = self.id.to_string();
        let version = version.map(|version| format!(" {version:?}")).unwrap_or_default();
        let kind = format!("{target_type:?} {protocol:?}{version}");
        // The groups of our own gateway are of one kind.
        let is_gateway = matches!(self.id, LoadBalancerId::Gateway { .. });
        let parts = [id.as_str(), key, kind.as_str()];
        names::generated(&service.namespace, &service.name, if is_gateway { &parts[..2] } else { &parts })
    }

    /// The checks that settings ask for, or the plain ones, where these are wrong; `tell` says where that is written.
    pub(super) fn checks(
        &mut self,
        settings: &HealthCheckSettings,
        checks: impl Fn(&HealthCheckSettings) -> Result<Checks, Wrong>,
        tell: impl FnOnce(Wrong) -> Finding,
    ) -> Checks {
        checks(settings).unwrap_or_else(|wrong| {
            self.findings.push(tell(wrong));
            checks(&HealthCheckSettings::default()).expect("the defaults are good")
        })
    }

    /// The load balancer, with its target groups put in.
    pub(super) fn finish(self, load_balancer: LoadBalancer) -> Built {
        Built {
            load_balancer: LoadBalancer { target_groups: self.target_groups, ..load_balancer },
            pod_health_checks: self.pod_health_checks,
            findings: self.findings,
        }
    }
}

/// The family of a Service's addresses: that of its first one.
pub(super) fn address_type(backend: &Backend) -> TargetAddressType {
    match backend.spec.ip_families.first() {
        Some(IpFamily::IPv6) => TargetAddressType::Ipv6,
        Some(IpFamily::IPv4) | None => TargetAddressType::Ipv4,
    }
}
