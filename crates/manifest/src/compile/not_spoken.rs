//! What is to be spoken with targets and is not in this build, which speaks HTTP/1.1 without TLS with all of them: a
//! warning where it is asked for. All of this goes when TLS and HTTP/2 come.

use plan::{LoadBalancer, LoadBalancerKind, ProtocolVersion, TargetGroup};

use super::world::World;
use crate::{Finding, Object, Severity, codes};

const VERSION: &str = "alb.ingress.kubernetes.io/backend-protocol-version";
const PROTOCOL: &str = "alb.ingress.kubernetes.io/backend-protocol";

/// Warns at each object that asks for something else, once.
pub(super) fn warn(load_balancer: &LoadBalancer, world: &World<'_>, findings: &mut Vec<Finding>) {
    for target_group in &load_balancer.target_groups {
        let problems = match load_balancer.kind {
            LoadBalancerKind::Application => problems(target_group),
            LoadBalancerKind::Network => problems_of_connections(target_group),
        };
        for (key, message, suggestion) in problems {
            for object in asking(load_balancer, target_group, key, world) {
                let finding = Finding::new(&codes::PROTOCOL_UNSUPPORTED, message).at_annotation(object, key);
                let finding = finding.with_severity(Severity::Warning).suggest(suggestion);
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
}

/// What a target group wants that is not there: the annotation, what happens, what to do.
fn problems(target_group: &TargetGroup) -> Vec<(&'static str, &'static str, &'static str)> {
    let version = match target_group.protocol_version {
        Some(ProtocolVersion::Grpc) => Some((
            VERSION,
            "gRPC is not carried by a load balancer of requests in this build: its targets are spoken with in HTTP/1.1, \
             which they do not answer, and are taken for healthy when they accept a connection",
            "a Service of type LoadBalancer for the port that speaks gRPC: its bytes go through as they are",
        )),
        Some(ProtocolVersion::Http2) => Some((
            VERSION,
            "targets are spoken with in HTTP/1.1 in this build, not in HTTP/2",
            "alb.ingress.kubernetes.io/backend-protocol-version: HTTP1",
        )),
        _ => None,
    };
    let protocol = target_group.protocol.is_tls().then_some((
        PROTOCOL,
        "targets are spoken with without TLS in this build, also those that want it",
        "alb.ingress.kubernetes.io/backend-protocol: HTTP",
    ));
    version.into_iter().chain(protocol).collect()
}

/// The same for a Network Load Balancer.
fn problems_of_connections(target_group: &TargetGroup) -> Vec<(&'static str, &'static str, &'static str)> {
    let problem = (
        "service.beta.kubernetes.io/aws-load-balancer-backend-protocol",
        "targets are passed bytes without TLS in this build, also those that want it",
        "service.beta.kubernetes.io/aws-load-balancer-backend-protocol: tcp",
    );
    target_group.protocol.is_tls().then_some(problem).into_iter().collect()
}

/// The objects that ask for it by their annotation: the Service, which counts more, or else the Ingresses.
fn asking<'a>(
    load_balancer: &'a LoadBalancer,
    target_group: &TargetGroup,
    key: &'static str,
    world: &'a World<'_>,
) -> Vec<&'a Object> {
    let has_it = |object: &&Object| object.annotation(key).is_some();
    let service = &target_group.service;
    let service = world.objects.get("Service", &service.namespace, &service.name).map(|object| &**object);
    if let Some(service) = service.filter(has_it) {
        return vec![service];
    }
    let sources = load_balancer.sources.iter();
    let sources = sources.filter_map(|it| world.objects.get(&it.kind, &it.namespace, &it.name));
    sources.map(|object| &**object).filter(has_it).collect()
}
