//! What this machine shows where a certificate is meant that only AWS has: one of the local authority, for the hosts of the
//! listener's rules and for its address.

use plan::{Certificate, Condition, Listener, LoadBalancer, TlsPolicy, Values};

use super::world::World;
use crate::kinds::config;
use crate::{Finding, Severity, codes};

/// The certificates that one listener may have beside the default one; AWS takes 25.
const MOST: usize = 100;

/// Replaces certificates that are not here, and says what a security policy leaves to nobody here.
pub(super) fn replace(load_balancer: &mut LoadBalancer, world: &World<'_>, findings: &mut Vec<Finding>) {
    let of_address = format!("address:{}", load_balancer.id);
    for listener in load_balancer.listeners.iter_mut().filter(|listener| listener.protocol.is_tls()) {
        let named = std::mem::take(&mut listener.certificates);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            named.into_iter().partition(|certificate| is_here(certificate, world));
        let issued = |name: String| Certificate { arn: name, source: "issued" };
        let has_own = !here.is_empty();
        // Somebody's own certificates come before those that are made, so that the first of them is for all others.
        let (own, made): (Vec<_>, Vec<_>) = here.into_iter().partition(|it| it.arn.starts_with("secret:"));
        listener.certificates = own.into_iter().chain(made).collect();
        if !elsewhere.is_empty() || !has_own {
            let of_hosts = hosts(listener).into_iter().map(|host| issued(format!("local:{host}")));
            let of_hosts: Vec<Certificate> = of_hosts.take(MOST).collect();
            for certificate in of_hosts {
                if !listener.certificates.contains(&certificate) {
                    listener.certificates.push(certificate);
                }
            }
        }
        // Who asks an address names nobody.
        let of_address = issued(of_address.clone());
        if listener.certificates.first().is_some_and(|it| it.arn.starts_with("secret:")) {
            listener.certificates.push(of_address);
        } else {
            listener.certificates.insert(0, of_address);
        }
    }
    say_what_policies_leave_out(load_balancer, world, findings);
}

/// Whether a certificate is kept on this machine, or made here anyway.
fn is_here(certificate: &Certificate, world: &World<'_>) -> bool {
    match certificate.arn.split_once(':') {
        Some(("local", _)) => true,
        Some(("secret", secret)) => secret.split_once('/').is_some_and(|(namespace, name)| {
            let object = world.objects.get("Secret", namespace, name);
            object.is_some_and(|object| config::key_pair_of(object).is_ok())
        }),
        _ => false,
    }
}

/// The hosts that rules of a listener name, as far as a certificate can.
fn hosts(listener: &Listener) -> Vec<String> {
    let conditions = listener.rules.iter().flat_map(|rule| &rule.conditions);
    let patterns = conditions.filter_map(|condition| match condition {
        Condition::HostHeader(Values::Wildcards(patterns)) => Some(patterns),
        _ => None,
    });
    let mut hosts: Vec<String> = Vec::new();
    for pattern in patterns.flatten() {
        let name = pattern.as_str().to_ascii_lowercase();
        let literal = name.strip_prefix("*.").unwrap_or(&name);
        let is_name = literal.contains('.') && literal.bytes().all(is_of_name);
        if is_name && !hosts.contains(&name) {
            hosts.push(name);
        }
    }
    hosts
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_".contains(&byte)
}

const SSL_POLICIES: [&str; 2] = [
    "alb.ingress.kubernetes.io/ssl-policy",
    "service.beta.kubernetes.io/aws-load-balancer-ssl-negotiation-policy",
];

fn say_what_policies_leave_out(load_balancer: &LoadBalancer, world: &World<'_>, findings: &mut Vec<Finding>) {
    let objects = load_balancer.sources.iter();
    let objects = objects.filter_map(|it| world.objects.get(&it.kind, &it.namespace, &it.name));
    for object in objects {
        let asked = SSL_POLICIES.into_iter().find_map(|key| Some((key, object.annotation(key)?)));
        let Some((key, name)) = asked else { continue };
        let Some(policy) = TlsPolicy::named(name) else {
            let message = format!(
                "there is no security policy `{name}`: TLS 1.2 and 1.3 are spoken with all ciphers that are safe"
            );
            let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message).at_annotation(object, key);
            let names: Vec<String> = TlsPolicy::names().collect();
            let nearest = plan::suggest::nearest(name, names.iter().map(String::as_str));
            let suggestion = nearest.unwrap_or("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09");
            findings.push(finding.with_severity(Severity::Warning).suggest(suggestion));
            continue;
        };
        let old_versions = policy.left_out.old_versions.then_some("TLS 1.0 and 1.1");
        let old_ciphers =
            policy.left_out.old_ciphers.then_some("ciphers with CBC or without forward secrecy");
        let left_out: Vec<&str> = old_versions.into_iter().chain(old_ciphers).collect();
        if !left_out.is_empty() {
            let spoken = if policy.tls13 { "TLS 1.2 and 1.3 are" } else { "TLS 1.2 is" };
            let message = format!(
                "`{name}` also has {}, which nobody is spoken to with here: {spoken} spoken with the safe ciphers of the policy",
                left_out.join(" and ")
            );
            findings.push(Finding::new(&codes::ANNOTATION_NO_EFFECT, message).at_annotation(object, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Compiled, Defaults, Objects, compile, read};

    fn compiled(annotations: &str, spec: &str, more: &str) -> Compiled {
        let manifests = format!(
            "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{{\"HTTP\":80}},{{\"HTTPS\":443}}]'
{annotations}
spec:
  ingressClassName: alb
{spec}
  rules:
  - host: api.example.com
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: api, port: {{number: 80}}}}}}}}]}}
  - host: '*.example.org'
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: api, port: {{number: 80}}}}}}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: api}}
spec: {{ports: [{{port: 80}}]}}
{more}"
        );
        let objects: Objects = read("f.yaml", &manifests).objects.into_iter().collect();
        compile(&objects, &Defaults::default())
    }

    fn certificates(compiled: &Compiled) -> Vec<&str> {
        let listeners = &compiled.plan.load_balancers[0].listeners;
        let listener = listeners.iter().find(|listener| listener.port == 443).unwrap();
        listener.certificates.iter().map(|certificate| certificate.arn.as_str()).collect()
    }

    const ARN: &str =
        "    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-1:111122223333:certificate/a";

    #[test]
    fn a_certificate_of_aws_is_one_of_ours_for_the_hosts_of_the_rules() {
        let compiled = compiled(ARN, "", "");
        assert_eq!(
            certificates(&compiled),
            ["address:ingress:default/web", "local:api.example.com", "local:*.example.org"]
        );
        let on_aws = &compiled.plan_on_aws.load_balancers[0].listeners[1].certificates;
        assert!(on_aws[0].arn.starts_with("arn:aws:acm:"));
    }

    #[test]
    fn a_secret_that_is_there_is_shown_and_the_address_has_one_all_the_same() {
        let spec = "  tls: [{hosts: [api.example.com, '*.example.org'], secretName: cert}]";
        let missing = compiled("", spec, "");
        assert_eq!(certificates(&missing)[..2], ["address:ingress:default/web", "local:api.example.com"]);
        let secret = "---
apiVersion: v1
kind: Secret
metadata: {name: cert}
type: kubernetes.io/tls
stringData: {tls.crt: a, tls.key: b}
";
        let there = compiled("", spec, secret);
        assert_eq!(certificates(&there), ["secret:default/cert", "address:ingress:default/web"]);
    }

    #[test]
    fn what_a_policy_has_and_nobody_gets_is_said() {
        let said = |policy: &str| {
            let annotations = format!("{ARN}\n    alb.ingress.kubernetes.io/ssl-policy: {policy}");
            let found = compiled(&annotations, "", "").findings_here;
            let mut found = found.into_iter().map(|finding| finding.message);
            found.find(|message| message.contains("polic")).unwrap_or_default()
        };
        assert!(said("ELBSecurityPolicy-2016-08").contains("also has TLS 1.0 and 1.1 and ciphers with CBC"));
        assert_eq!(said("ELBSecurityPolicy-TLS13-1-3-2021-06"), "");
        assert!(said("ELBSecurityPolicy-TLS13").starts_with("there is no security policy"));
    }
}
