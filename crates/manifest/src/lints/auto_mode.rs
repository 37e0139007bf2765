//! What EKS Auto Mode ignores ("Create an IngressClass to configure an Application Load Balancer" and "Use Service Annotations
//! to configure Network Load Balancers", EKS user guide), of objects that are in its classes, and of all where its dialect is
//! asked for. Here it has its effect all the same.

use std::sync::Arc;

use super::Context;
use crate::compile::ingress::AUTO_MODE_CONTROLLER;
use crate::compile::network::AUTO_MODE_CLASS;
use crate::{Dialect, Finding, Object, codes};

/// What is ignored.
struct Ignored {
    kind: &'static str,
    /// The annotation.
    key: &'static str,
    /// The value that is, where others are not.
    value: Option<&'static str>,
    /// What to write in its place; nothing where there is nothing.
    instead: &'static str,
}

const ALB: &str = "alb.ingress.kubernetes.io/";

const IGNORED: &[Ignored] = &[
    of_ingress("kubernetes.io/ingress.class", "spec.ingressClassName"),
    of_ingress("alb.ingress.kubernetes.io/group.name", "spec.group.name of the IngressClassParams"),
    of_ingress("alb.ingress.kubernetes.io/waf-acl-id", "alb.ingress.kubernetes.io/wafv2-acl-arn"),
    of_ingress("alb.ingress.kubernetes.io/web-acl-id", "alb.ingress.kubernetes.io/wafv2-acl-arn"),
    of_ingress("alb.ingress.kubernetes.io/shield-advanced-protection", ""),
    Ignored { value: Some("oidc"), ..of_ingress("alb.ingress.kubernetes.io/auth-type", "") },
    of_service("service.beta.kubernetes.io/load-balancer-source-ranges", "spec.loadBalancerSourceRanges"),
    of_service(
        "service.beta.kubernetes.io/aws-load-balancer-type",
        "spec.loadBalancerClass: eks.amazonaws.com/nlb",
    ),
    of_service("service.beta.kubernetes.io/aws-load-balancer-internal", SCHEME),
    of_service("service.beta.kubernetes.io/aws-load-balancer-proxy-protocol", TARGET_GROUP_ATTRIBUTES),
    of_service("service.beta.kubernetes.io/aws-load-balancer-access-log-enabled", ATTRIBUTES),
    of_service("service.beta.kubernetes.io/aws-load-balancer-access-log-s3-bucket-name", ATTRIBUTES),
    of_service("service.beta.kubernetes.io/aws-load-balancer-access-log-s3-bucket-prefix", ATTRIBUTES),
    of_service("service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled", ATTRIBUTES),
];
const ATTRIBUTES: &str = "service.beta.kubernetes.io/aws-load-balancer-attributes";
const SCHEME: &str = "service.beta.kubernetes.io/aws-load-balancer-scheme";
const TARGET_GROUP_ATTRIBUTES: &str =
    "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes: proxy_protocol_v2.enabled=true";

const fn of_ingress(key: &'static str, instead: &'static str) -> Ignored {
    Ignored { kind: "Ingress", key, value: None, instead }
}

const fn of_service(key: &'static str, instead: &'static str) -> Ignored {
    Ignored { kind: "Service", key, value: None, instead }
}

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for ignored in IGNORED {
        let objects = context.world.objects.of_kind(ignored.kind);
        for object in objects.filter(|object| is_meant(object, context)) {
            let written = object.annotation(ignored.key);
            if written.is_some_and(|written| ignored.value.is_none_or(|value| value == written)) {
                findings.push(finding(object, ignored.key, ignored.instead));
            }
        }
    }
    let classes = context.world.objects.of_kind("IngressClass").filter(|class| is_meant(class, context));
    for class in classes {
        let annotations = class.value.pointer("/metadata/annotations").and_then(serde_json::Value::as_object);
        let keys = annotations.into_iter().flat_map(|annotations| annotations.keys());
        for key in keys.filter(|key| key.starts_with(ALB)) {
            findings.push(finding(class, key, "the same in the IngressClassParams"));
        }
        let params = class.value.pointer("/spec/parameters/name").and_then(serde_json::Value::as_str);
        let params = params.and_then(|name| context.world.objects.get("IngressClassParams", "", name));
        if let Some(params) = params.filter(|params| params.value.pointer("/spec/listeners").is_some()) {
            let message = "EKS Auto Mode ignores the attributes of listeners";
            findings.push(Finding::new(&codes::AUTO_MODE_IGNORES, message).at(params, "spec.listeners"));
        }
    }
}

fn finding(object: &Object, key: &str, instead: &str) -> Finding {
    let message = format!("EKS Auto Mode ignores `{key}`");
    let finding = Finding::new(&codes::AUTO_MODE_IGNORES, message).at_annotation(object, key);
    finding.maybe_suggest((!instead.is_empty()).then(|| instead.to_owned()))
}

/// Whether Auto Mode would look at an object.
fn is_meant(object: &Arc<Object>, context: &Context<'_>) -> bool {
    let text = |pointer: &str| object.value.pointer(pointer).and_then(serde_json::Value::as_str);
    context.world.defaults.dialect == Dialect::AutoMode
        || match object.kind.key {
            "Service" => text("/spec/loadBalancerClass") == Some(AUTO_MODE_CLASS),
            "IngressClass" => text("/spec/controller") == Some(AUTO_MODE_CONTROLLER),
            _ => {
                let class = text("/spec/ingressClassName");
                let class = class.and_then(|name| context.world.objects.get("IngressClass", "", name));
                class.is_some_and(|class| is_meant(class, context))
            }
        }
}
