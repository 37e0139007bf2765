//! The table.

use serde_json::Value;

use super::Unmet;
use super::place::{Place, is_said};
use crate::Object;

const PODS: &[&str] = &["Deployment", "Pod", "InferenceService"];
const INGRESS: &[&str] = &["Ingress"];
const SERVICE: &[&str] = &["Service"];

const FIREWALL: &str = "keep the platform on loopback, or put a firewall in front of it";
const OWN_FILTER: &str = "put a filter of requests in front of it";
const RBAC: &str = "keep the kubeconfig to yourself: who has its token may do everything";
const OTHER_USER: &str = "start forebay itself as a user that may do little";
const RANGES: &str = "name addresses in alb.ingress.kubernetes.io/inbound-cidrs and take security-groups out";
const SERVICE_RANGES: &str =
    "name addresses in spec.loadBalancerSourceRanges and take aws-load-balancer-security-groups out";
const PLAIN_COPIES: &str = "expect requests of one client at all targets";
const BY_HAND: &str = "set the number of replicas by hand: forebay scale";

/// Every row.
pub(super) const ROWS: &[Unmet] = &[
    protects(
        &["NetworkPolicy"],
        Place::Object,
        "connections between pods are not filtered on one machine, so nobody is kept from those it selects",
        FIREWALL,
    ),
    protects(
        &["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"],
        Place::Object,
        "nobody is kept from anything by roles: the embedded API has one token, and it may do everything",
        RBAC,
    ),
    lacks(
        &["ResourceQuota"],
        Place::Object,
        "what a namespace uses is counted in its status, and nothing is refused that goes beyond it",
        "limit containers one by one with resources.limits",
    ),
    lacks(
        &["LimitRange"],
        Place::Object,
        "containers get no limits from it",
        "write resources.limits into the containers",
    ),
    lacks(
        &["HorizontalPodAutoscaler"],
        Place::Object,
        "nothing is scaled by it yet: replicas stay as many as they are",
        BY_HAND,
    ),
    lacks(
        &["PodDisruptionBudget"],
        Place::Object,
        "pods are evicted by nobody on one machine, so nothing asks it",
        "strategy.rollingUpdate.maxUnavailable bounds what a rollout takes away",
    ),
    protects(
        PODS,
        Place::PodField("securityContext", is_said),
        "processes run as the user who started forebay, with what that user may do",
        OTHER_USER,
    ),
    protects(
        PODS,
        Place::PodField("containers[].securityContext", is_said),
        "the process runs as the user who started forebay, with what that user may do",
        OTHER_USER,
    ),
    lacks(
        PODS,
        Place::PodField("volumes", is_said),
        "no volume is mounted on one machine: paths are those of the machine itself",
        "name files by their path on this machine, relative to the manifest if you like",
    ),
    lacks(
        PODS,
        Place::PodField("containers[].lifecycle", is_said),
        "hooks are not run on one machine",
        "handle SIGTERM in the program itself",
    ),
    lacks(
        PODS,
        Place::PodField("containers[].workingDir", is_said),
        "the process starts in the folder of its manifest",
        "name files by their path from there",
    ),
    lacks(
        &["InferenceService"],
        Place::Field("spec.explainer", is_said),
        "no explainer is run in this build: `:explain` is answered by nobody, predictions are",
        "take it out, or explain offline",
    ),
    lacks(
        SERVICE,
        Place::Field("spec.externalTrafficPolicy", |value| value == "Local"),
        "connections go to every target, and client addresses are the load balancer's",
        "externalTrafficPolicy: Cluster",
    ),
    lacks(
        SERVICE,
        Place::Field("spec.sessionAffinity", |value| value == "ClientIP"),
        "connections of one client are not kept together in this build",
        PLAIN_COPIES,
    ),
    protects(
        SERVICE,
        Place::Annotation("service.beta.kubernetes.io/aws-load-balancer-security-groups", is_named),
        "security groups are not known on one machine, so everybody who reaches it may connect, whatever \
         loadBalancerSourceRanges says",
        SERVICE_RANGES,
    ),
    lacks(
        SERVICE,
        Place::Annotation("service.beta.kubernetes.io/aws-load-balancer-ip-address-type", is_dualstack),
        "the load balancer listens on IPv4 only in this build",
        "use its IPv4 address",
    ),
    lacks(
        SERVICE,
        Place::Annotation("service.beta.kubernetes.io/aws-load-balancer-target-group-attributes", is_sticky),
        "connections of one client are not kept together in this build",
        PLAIN_COPIES,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/wafv2-acl-arn", is_named),
        "no request is checked against a web ACL in this build, and what it would refuse is let in",
        OWN_FILTER,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/wafv2-acl-name", is_named),
        "no request is checked against a web ACL in this build, and what it would refuse is let in",
        OWN_FILTER,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/waf-acl-id", is_named),
        "no request is checked against a web ACL in this build, and AWS has ended WAF Classic",
        OWN_FILTER,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/web-acl-id", is_named),
        "no request is checked against a web ACL in this build, and AWS has ended WAF Classic",
        OWN_FILTER,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/shield-advanced-protection", |_, text| {
            text.trim() == "true"
        }),
        "floods are not kept out on one machine",
        FIREWALL,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/security-groups", is_named),
        "security groups are not known on one machine, so everybody who reaches it may connect, whatever inbound-cidrs \
         says",
        RANGES,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/mutual-authentication", |_, text| {
            text.contains("passthrough")
        }),
        "client certificates are not asked for in this build",
        "have the model's own server ask for a secret",
    ),
    lacks(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/ip-address-type", is_dualstack),
        "the load balancer listens on IPv4 only in this build",
        "use its IPv4 address",
    ),
    lacks(
        &["Ingress", "Service"],
        Place::Annotation("alb.ingress.kubernetes.io/target-group-attributes", is_sticky),
        "requests of one client are not kept together in this build",
        PLAIN_COPIES,
    ),
    lacks(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/actions.", has_sticky_groups),
        "requests of one client are not kept at one target group in this build: each is sent by the weights",
        "expect requests of one client at all target groups",
    ),
    lacks(
        SERVICE,
        Place::Annotation("service.beta.kubernetes.io/actions.", has_sticky_groups),
        "connections of one client are not kept at one target group in this build: each is sent by the weights",
        "expect connections of one client at all target groups",
    ),
];

const fn lacks(
    kinds: &'static [&'static str],
    place: Place,
    words: &'static str,
    advice: &'static str,
) -> Unmet {
    Unmet { kinds, place, words, protects: false, advice }
}

const fn protects(
    kinds: &'static [&'static str],
    place: Place,
    words: &'static str,
    advice: &'static str,
) -> Unmet {
    Unmet { kinds, place, words, protects: true, advice }
}

fn is_named(_: &Object, text: &str) -> bool {
    !matches!(text.trim(), "" | "none")
}

fn is_dualstack(_: &Object, text: &str) -> bool {
    text.trim().starts_with("dualstack")
}

fn is_sticky(_: &Object, text: &str) -> bool {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().any(|(key, value)| (key.trim(), value.trim()) == ("stickiness.enabled", "true"))
}

fn has_sticky_groups(_: &Object, text: &str) -> bool {
    let action = serde_json::from_str::<Value>(text).unwrap_or_default();
    let stickiness = field(&action, "forwardConfig").and_then(|it| field(it, "targetGroupStickinessConfig"));
    stickiness.and_then(|it| field(it, "enabled")) == Some(&Value::Bool(true))
}

/// A field in any case, as these annotations are read.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let mut fields = value.as_object()?.iter();
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
