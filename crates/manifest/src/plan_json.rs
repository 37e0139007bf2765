//! A compiled plan as JSON: the schema `forebay.plan/v1`, in the words of the ELB API.
//!
//! Every key is always printed, in a fixed order, so that the same plan is the same bytes.

use std::collections::BTreeMap;

use plan::{Attributes, ClientAuthentication, Handling, LoadBalancer, LoadBalancerId, ObjectRef, Tags};
use serde::{Serialize, Serializer};

use crate::{Compiled, Finding, finding};

mod action;
mod condition;
mod target_group;
mod transform;

use action::ActionJson;
use condition::ConditionJson;
use target_group::TargetGroupJson;
use transform::TransformJson;

const SCHEMA: &str = "forebay.plan/v1";

/// A compiled plan as JSON, with two spaces of indentation and a line break at its end.
///
/// Findings of reading belong into `compiled.findings` first; they are sorted here.
#[must_use]
pub fn plan_json(compiled: &Compiled) -> String {
    let load_balancers = &compiled.plan_on_aws.load_balancers;
    let mut findings = compiled.findings.clone();
    finding::sort(&mut findings);
    let plan = PlanJson {
        schema: SCHEMA,
        load_balancers: load_balancers.iter().map(LoadBalancerJson::new).collect(),
        listeners: load_balancers.iter().flat_map(listeners).collect(),
        rules: load_balancers.iter().flat_map(rules).collect(),
        target_groups: load_balancers.iter().flat_map(TargetGroupJson::all).collect(),
        findings: findings.iter().map(FindingJson::new).collect(),
    };
    pretty(&plan)
}

/// Findings as a JSON list, each as in a plan.
#[must_use]
pub fn findings_json(findings: &[Finding]) -> String {
    let findings: Vec<FindingJson<'_>> = findings.iter().map(FindingJson::new).collect();
    pretty(&findings)
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("maps have text keys and numbers are finite") + "\n"
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanJson<'a> {
    schema: &'static str,
    load_balancers: Vec<LoadBalancerJson<'a>>,
    listeners: Vec<ListenerJson<'a>>,
    rules: Vec<RuleJson<'a>>,
    target_groups: Vec<TargetGroupJson<'a>>,
    findings: Vec<FindingJson<'a>>,
}

/// The id of a load balancer, as text.
struct IdJson<'a>(&'a LoadBalancerId);

impl Serialize for IdJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

#[derive(Serialize)]
struct ObjectJson<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoadBalancerJson<'a> {
    id: IdJson<'a>,
    name: &'a str,
    name_generated: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    scheme: &'static str,
    ip_address_type: &'static str,
    sources: Vec<ObjectJson<'a>>,
    attributes: BTreeMap<&'a str, &'a str>,
    explicit_attributes: Vec<&'a str>,
    wafv2_acl_arn: Option<&'a str>,
    shield_advanced_protection: Option<bool>,
    minimum_capacity_units: Option<u32>,
    customer_owned_ipv4_pool: Option<&'a str>,
    subnets: &'a [String],
    security_groups: &'a [String],
    tags: &'a Tags,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListenerJson<'a> {
    load_balancer: IdJson<'a>,
    port: u16,
    protocol: &'static str,
    certificates: Vec<CertificateJson<'a>>,
    ssl_policy: Option<&'a str>,
    alpn_policy: Vec<&'a str>,
    mutual_authentication: Option<MutualAuthenticationJson<'a>>,
    source_ranges: Option<SourceRangesJson<'a>>,
    attributes: BTreeMap<&'a str, &'a str>,
    explicit_attributes: Vec<&'a str>,
    default_actions: [ActionJson<'a>; 1],
    #[serde(rename = "x-default-handling", skip_serializing_if = "Vec::is_empty")]
    default_handling: Vec<String>,
    tags: &'a Tags,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateJson<'a> {
    certificate_arn: &'a str,
    default: bool,
    source: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MutualAuthenticationJson<'a> {
    mode: &'static str,
    trust_store_arn: Option<&'a str>,
    ignore_client_certificate_expiry: Option<bool>,
    advertise_trust_store_ca_names: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceRangesJson<'a> {
    cidrs: Vec<String>,
    prefix_lists: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleJson<'a> {
    load_balancer: IdJson<'a>,
    listener_port: u16,
    priority: usize,
    conditions: Vec<ConditionJson<'a>>,
    transforms: Vec<TransformJson<'a>>,
    actions: [ActionJson<'a>; 1],
    /// What annotations of ours ask for.
    #[serde(rename = "x-handling", skip_serializing_if = "Vec::is_empty")]
    handling: Vec<String>,
    source: Option<RuleSourceJson<'a>>,
    tags: &'a Tags,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleSourceJson<'a> {
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    rule_index: usize,
    path_index: usize,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    severity: &'static str,
    code: &'static str,
    object: Option<ObjectJson<'a>>,
    field: Option<&'a str>,
    message: &'a str,
    suggestion: Option<&'a str>,
    #[serde(rename = "x-lint", skip_serializing_if = "Option::is_none")]
    lint: Option<&'static str>,
    #[serde(rename = "x-location", skip_serializing_if = "Option::is_none")]
    location: Option<LocationJson<'a>>,
}

#[derive(Serialize)]
struct LocationJson<'a> {
    file: &'a str,
    line: u32,
    column: u32,
}

fn resolved(attributes: &Attributes) -> BTreeMap<&str, &str> {
    attributes.resolved().collect()
}

fn lines(handling: Option<&Handling>) -> Vec<String> {
    handling.into_iter().flat_map(Handling::lines).collect()
}

fn mutual_authentication(clients: &ClientAuthentication) -> MutualAuthenticationJson<'_> {
    let verification = clients.verification();
    let advertises = verification.and_then(|verification| verification.advertises_authorities);
    MutualAuthenticationJson {
        mode: clients.mode(),
        trust_store_arn: verification.map(|verification| verification.trust_store.as_str()),
        ignore_client_certificate_expiry: verification.map(|verification| verification.ignores_expiry),
        advertise_trust_store_ca_names: advertises.map(|on| if on { "on" } else { "off" }),
    }
}

fn listeners(load_balancer: &LoadBalancer) -> impl Iterator<Item = ListenerJson<'_>> {
    load_balancer.listeners.iter().map(|listener| ListenerJson {
        load_balancer: IdJson(&load_balancer.id),
        port: listener.port,
        protocol: listener.protocol.as_str(),
        certificates: listener
            .certificates
            .iter()
            .enumerate()
            .map(|(index, certificate)| CertificateJson {
                certificate_arn: &certificate.arn,
                default: index == 0,
                source: certificate.source,
            })
            .collect(),
        ssl_policy: listener.ssl_policy.as_deref(),
        alpn_policy: listener.alpn_policy.as_deref().into_iter().collect(),
        mutual_authentication: listener.client_authentication.as_ref().map(mutual_authentication),
        source_ranges: listener.source_ranges.as_ref().map(|ranges| SourceRangesJson {
            cidrs: ranges.cidrs.iter().map(ToString::to_string).collect(),
            prefix_lists: &ranges.prefix_lists,
        }),
        attributes: resolved(&listener.attributes),
        explicit_attributes: listener.attributes.explicit().collect(),
        default_actions: [ActionJson::new(listener.default_action_or_not_found(), load_balancer)],
        default_handling: lines(listener.default_handling.as_deref()),
        tags: &listener.tags,
    })
}

fn rules(load_balancer: &LoadBalancer) -> impl Iterator<Item = RuleJson<'_>> {
    load_balancer.listeners.iter().flat_map(|listener| {
        listener.rules.iter().enumerate().map(|(index, rule)| RuleJson {
            load_balancer: IdJson(&load_balancer.id),
            listener_port: listener.port,
            priority: index + 1,
            conditions: rule.conditions.iter().map(ConditionJson).collect(),
            transforms: rule.transforms.iter().map(TransformJson).collect(),
            actions: [ActionJson::new(&rule.action, load_balancer)],
            handling: lines(rule.handling.as_deref()),
            source: rule.source.as_ref().map(|source| RuleSourceJson {
                kind: &source.object.kind,
                namespace: &source.object.namespace,
                name: &source.object.name,
                rule_index: source.rule_index,
                path_index: source.path_index,
            }),
            tags: &rule.tags,
        })
    })
}

// === impl ObjectJson, LoadBalancerJson, FindingJson ===

impl<'a> ObjectJson<'a> {
    fn new(object: &'a ObjectRef) -> Self {
        Self { kind: &object.kind, namespace: &object.namespace, name: &object.name }
    }
}

impl<'a> LoadBalancerJson<'a> {
    fn new(load_balancer: &'a LoadBalancer) -> Self {
        Self {
            id: IdJson(&load_balancer.id),
            name: &load_balancer.name,
            name_generated: load_balancer.name_generated,
            kind: load_balancer.kind.as_str(),
            scheme: load_balancer.scheme.as_str(),
            ip_address_type: load_balancer.ip_address_type.as_str(),
            sources: load_balancer.sources.iter().map(ObjectJson::new).collect(),
            attributes: resolved(&load_balancer.attributes),
            explicit_attributes: load_balancer.attributes.explicit().collect(),
            wafv2_acl_arn: load_balancer.web_acl.as_deref(),
            shield_advanced_protection: load_balancer.shield_advanced_protection,
            minimum_capacity_units: load_balancer.minimum_capacity_units,
            customer_owned_ipv4_pool: load_balancer.customer_owned_ipv4_pool.as_deref(),
            subnets: &load_balancer.subnets,
            security_groups: &load_balancer.security_groups,
            tags: &load_balancer.tags,
        }
    }
}

impl<'a> FindingJson<'a> {
    fn new(finding: &'a Finding) -> Self {
        Self {
            severity: finding.severity.as_str(),
            code: finding.code,
            object: finding.object.as_ref().map(ObjectJson::new),
            field: finding.field.as_deref(),
            message: &finding.message,
            suggestion: finding.suggestion.as_deref(),
            lint: finding.lint,
            location: finding.location.as_ref().map(|location| LocationJson {
                file: &location.file,
                line: location.line,
                column: location.column,
            }),
        }
    }
}
