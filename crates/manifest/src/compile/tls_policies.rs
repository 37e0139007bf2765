//! What the security policies of listeners have and nobody gets here, told to who wrote their names.

use std::collections::BTreeSet;

use plan::{Algorithms, LeftOut, LoadBalancer, TlsPolicy};

use super::world::World;
use crate::{Finding, codes};

/// The annotations that name a policy.
const ANNOTATIONS: [&str; 2] = [
    "alb.ingress.kubernetes.io/ssl-policy",
    "service.beta.kubernetes.io/aws-load-balancer-ssl-negotiation-policy",
];

/// Says it for each policy that a listener of TLS has and that somebody named.
pub(super) fn say_what_is_left_out(
    load_balancer: &LoadBalancer,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) {
    let listeners = load_balancer.listeners.iter().filter(|listener| listener.protocol.is_tls());
    let names: BTreeSet<&str> = listeners.filter_map(|listener| listener.ssl_policy.as_deref()).collect();
    for name in names {
        let Some(policy) = TlsPolicy::named(name) else { continue };
        for message in messages(name, &policy) {
            say(&message, name, load_balancer, world, findings);
        }
    }
}

fn messages(name: &str, policy: &TlsPolicy) -> Vec<String> {
    let mut messages = Vec::new();
    let LeftOut { versions, ciphers, groups } = policy.left_out;
    let left_out: Vec<&str> = [versions, ciphers, groups].into_iter().flatten().collect();
    if !left_out.is_empty() {
        let spoken = match (policy.tls12, policy.tls13) {
            (true, true) => "TLS 1.2 and 1.3 are",
            (true, false) => "TLS 1.2 is",
            (false, _) => "TLS 1.3 is",
        };
        let group = if policy.post_quantum { ", X25519MLKEM768 among its groups" } else { "" };
        let left_out = left_out.join(" and ");
        messages.push(format!(
            "`{name}` also has {left_out}, which nobody is spoken to with here: {spoken} spoken with the safe ciphers of \
             the policy{group}"
        ));
    }
    if policy.algorithms == Algorithms::Rfc9151 {
        messages.push(format!(
            "`{name}` takes certificates with keys on P-384 or of RSA from 3072 bits on, and signatures with SHA-384, as \
             RFC 9151 says; here others are shown, too"
        ));
    }
    messages
}

/// Tells the objects of a load balancer that name a policy, or else the IngressClassParams that do.
fn say(
    message: &str,
    name: &str,
    load_balancer: &LoadBalancer,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) {
    let sources = load_balancer.sources.iter();
    let sources = sources.filter_map(|it| world.objects.get(&it.kind, &it.namespace, &it.name));
    let by_annotation = sources.flat_map(|object| {
        let of = |key: &&str| object.annotation(key).is_some_and(|text| text.trim() == name);
        let finding = || Finding::new(&codes::ANNOTATION_NO_EFFECT, message.to_owned());
        ANNOTATIONS.into_iter().filter(of).map(move |key| finding().at_annotation(object, key))
    });
    let mut said: Vec<Finding> = by_annotation.collect();
    if said.is_empty() {
        let of = |value: &serde_json::Value| {
            value.pointer("/spec/sslPolicy").and_then(serde_json::Value::as_str) == Some(name)
        };
        let params = world.objects.of_kind("IngressClassParams").filter(|object| of(&object.value));
        let finding = || Finding::new(&codes::FIELD_NO_EFFECT, message.to_owned());
        said.extend(params.map(|object| finding().at(object, "spec.sslPolicy")));
    }
    // Those of a class are the same for each of its load balancers.
    said.retain(|finding| !findings.contains(finding));
    findings.append(&mut said);
}

#[cfg(test)]
mod tests {
    use crate::{Defaults, Finding, Objects, compile, read};

    /// What is found where an Ingress and the IngressClassParams of its class name policies.
    fn found(listen_ports: &str, annotation: &str, of_class: &str) -> Vec<Finding> {
        let manifests = format!(
            "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/listen-ports: '{listen_ports}'
    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-1:111122223333:certificate/a
    {annotation}
spec:
  ingressClassName: ours
  defaultBackend: {{service: {{name: api, port: {{number: 80}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: api}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: ours}}
spec:
  controller: ingress.k8s.aws/alb
  parameters: {{apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: ours}}
---
apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {{name: ours}}
spec: {{{of_class}}}
"
        );
        let objects: Objects = read("f.yaml", &manifests).objects.into_iter().collect();
        let found = compile(&objects, &Defaults::default()).findings_here;
        found.into_iter().filter(|it| it.message.starts_with("`ELBSecurityPolicy-")).collect()
    }

    const TLS: &str = r#"[{"HTTPS":443}]"#;

    #[test]
    fn what_a_policy_has_and_nobody_gets_is_said() {
        let said = |policy: &str| {
            let annotation = format!("alb.ingress.kubernetes.io/ssl-policy: ELBSecurityPolicy-{policy}");
            let found = found(TLS, &annotation, "");
            found.into_iter().map(|finding| finding.message).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(
            said("2016-08"),
            "`ELBSecurityPolicy-2016-08` also has TLS 1.0 and 1.1 and ciphers with CBC or without forward secrecy, which \
             nobody is spoken to with here: TLS 1.2 is spoken with the safe ciphers of the policy"
        );
        assert!(said("FS-1-1-2019-08").contains("also has TLS 1.1 and ciphers with CBC, which"));
        assert_eq!(said("TLS13-1-3-2021-06"), "");
        assert_eq!(said("TLS13-1-2-Res-FIPS-2023-04"), "");
        assert_eq!(
            said("TLS13-1-3-PQ-2025-09"),
            "`ELBSecurityPolicy-TLS13-1-3-PQ-2025-09` also has the groups SecP256r1MLKEM768 and SecP384r1MLKEM1024, which \
             nobody is spoken to with here: TLS 1.3 is spoken with the safe ciphers of the policy, X25519MLKEM768 among its \
             groups"
        );
        assert!(said("TLS13-1-3-RFC9151-FIPS-2023-07").ends_with("here others are shown, too"));
        // Where no TLS is spoken, none is spoken in another way either.
        let annotation = "alb.ingress.kubernetes.io/ssl-policy: ELBSecurityPolicy-2016-08";
        assert_eq!(found(r#"[{"HTTP":80}]"#, annotation, ""), []);
    }

    #[test]
    fn who_named_the_policy_is_told() {
        let policy = "sslPolicy: ELBSecurityPolicy-2016-08";
        let of_class = found(TLS, "a: b", policy);
        assert_eq!(of_class.len(), 1, "{of_class:?}");
        assert_eq!(of_class[0].object.as_ref().unwrap().to_string(), "IngressClassParams ours");
        assert_eq!(of_class[0].field.as_deref(), Some("spec.sslPolicy"));
        // The policy of a class stands above what its Ingresses say.
        let annotation = "alb.ingress.kubernetes.io/ssl-policy: ELBSecurityPolicy-TLS13-1-2-2021-06";
        assert_eq!(found(TLS, annotation, policy), of_class);
        assert_eq!(found(TLS, "a: b", ""), [], "nobody named the default");
    }
}
