//! What this machine shows where a certificate is meant that only AWS has: one of the local authority, for the hosts of the
//! listener's rules and for its address.

use std::collections::HashSet;

use plan::{Certificate, Listener, LoadBalancer, Subject};

use super::certificates::{self, CERTIFICATE_ARN};
use super::tls_policies;
use super::uncovered;
use super::world::World;
use crate::{Finding, Object, codes};

/// The certificates that one listener may have beside the default one; AWS takes 25.
const MOST: usize = 100;

/// Replaces certificates that are not here, and says what of them, and of a security policy, is left to nobody here.
pub(super) fn replace(load_balancer: &mut LoadBalancer, world: &World<'_>, findings: &mut Vec<Finding>) {
    check_regions(load_balancer, world, findings);
    let of_address = format!("address:{}", load_balancer.id);
    let mut elsewhere = Vec::new();
    for listener in load_balancer.listeners.iter_mut().filter(|listener| listener.protocol.is_tls()) {
        let (mut own, mut made) = (Vec::new(), Vec::new());
        let mut lacks_some = false;
        for certificate in std::mem::take(&mut listener.certificates) {
            let origin = origin(&certificate, world);
            lacks_some |= matches!(origin, Origin::Elsewhere | Origin::Broken);
            match origin {
                Origin::Own | Origin::Broken => own.push(certificate),
                Origin::Issued => made.push(certificate),
                Origin::Elsewhere if certificate.arn.starts_with("arn:") => elsewhere.push(certificate.arn),
                Origin::Elsewhere => {}
            }
        }
        let issued = |name: String| Certificate { arn: name, source: Certificate::ISSUED };
        if lacks_some || (own.is_empty() && made.is_empty()) {
            for host in hosts_of(listener).into_iter().take(MOST) {
                let kept = certificates::discovered(&host, world);
                let is_kept = !kept.is_empty();
                own.extend(kept.into_iter().filter(|it| !own.contains(it)).collect::<Vec<_>>());
                let local = issued(format!("local:{host}"));
                if !is_kept && !made.contains(&local) {
                    made.push(local);
                }
            }
        }
        // Somebody's own certificates come before those that are made, so that the first of them is for all others; who
        // asks an address names nobody.
        let of_address = issued(of_address.clone());
        listener.certificates = own.into_iter().chain([of_address]).chain(made).collect();
    }
    elsewhere.sort_unstable();
    elsewhere.dedup();
    say_what_is_elsewhere(load_balancer, &elsewhere, world, findings);
    uncovered::check_kept(load_balancer, world, findings);
    tls_policies::say_what_is_left_out(load_balancer, world, findings);
}

/// Where a certificate is that a listener names.
enum Origin {
    /// In a Secret or in a folder.
    Own,
    /// In a Secret that nothing can be shown with; if something could, that goes on.
    Broken,
    /// Made here.
    Issued,
    /// At AWS, or nowhere.
    Elsewhere,
}

fn origin(certificate: &Certificate, world: &World<'_>) -> Origin {
    if world.defaults.kept(&certificate.arn).is_some() {
        return Origin::Own;
    }
    let secret = certificate.arn.strip_prefix("secret:").and_then(|secret| secret.split_once('/'));
    match secret.map(|(namespace, name)| world.pair(namespace, name)) {
        Some(Some(read)) if read.is_ok() => Origin::Own,
        Some(Some(_)) => Origin::Broken,
        None if certificate.arn.starts_with("local:") => Origin::Issued,
        Some(None) | None => Origin::Elsewhere,
    }
}

/// The annotations that name certificates.
const CERTIFICATES: [&str; 2] = [CERTIFICATE_ARN, "service.beta.kubernetes.io/aws-load-balancer-ssl-cert"];

/// The objects that name a certificate, each with the annotation that does; else the first of them.
fn naming<'a>(
    load_balancer: &LoadBalancer,
    arn: &str,
    world: &'a World<'_>,
) -> Vec<(&'a Object, Option<&'static str>)> {
    let objects = load_balancer.sources.iter();
    let objects = objects.filter_map(|it| world.objects.get(&it.kind, &it.namespace, &it.name));
    let objects: Vec<&Object> = objects.map(AsRef::as_ref).collect();
    let names = |object: &&'a Object| {
        let of = |key: &&'static str| object.annotation(key).is_some_and(|text| text.contains(arn));
        CERTIFICATES.iter().find(|key| of(key)).map(|key| (*object, Some(*key)))
    };
    let all: Vec<_> = objects.iter().filter_map(names).collect();
    if all.is_empty() { objects.first().map(|object| (*object, None)).into_iter().collect() } else { all }
}

pub(super) fn say(
    finding: &Finding,
    load_balancer: &LoadBalancer,
    arn: &str,
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) {
    for (object, key) in naming(load_balancer, arn, world) {
        findings.push(match key {
            Some(key) => finding.clone().at_annotation(object, key),
            None => finding.clone().on(object),
        });
    }
}

/// Warns of ARNs that lead nowhere here: something else is shown than was meant.
fn say_what_is_elsewhere(
    load_balancer: &LoadBalancer,
    arns: &[String],
    world: &World<'_>,
    findings: &mut Vec<Finding>,
) {
    if world.defaults.strict_aws || world.defaults.certificates.is_some() {
        return;
    }
    // Those with a place left to fill in were told of by who read them.
    for arn in arns.iter().filter(|arn| !certificates::is_placeholder(arn)) {
        let message = format!(
            "`{arn}` is of no certificate on this machine: one of the local authority is shown instead"
        );
        let id = arn.rsplit('/').next().unwrap_or_default();
        let fix = format!("put {id}.crt and {id}.key into a folder: forebay up --certificates FOLDER");
        let finding = Finding::new(&codes::CERTIFICATE_NOT_HERE, message).suggest(fix);
        say(&finding, load_balancer, arn, world, findings);
    }
}

/// Warns of certificates of another region than that of the load balancer, which AWS does not take. It is the region that
/// somebody said, or that of the most certificates.
fn check_regions(load_balancer: &LoadBalancer, world: &World<'_>, findings: &mut Vec<Finding>) {
    let listeners = load_balancer.listeners.iter().flat_map(|listener| &listener.certificates);
    let mut arns: Vec<(&str, &str)> =
        listeners.filter_map(|it| Some((region(&it.arn)?, it.arn.as_str()))).collect();
    arns.sort_unstable();
    arns.dedup();
    let said = world.defaults.region.as_deref();
    let count = |region: &str| arns.iter().filter(|(other, _)| *other == region).count();
    let most = || arns.iter().map(|(region, _)| *region).max_by_key(|region| count(region));
    let Some(expected) = said.or_else(most) else { return };
    let others: Vec<String> =
        arns.iter().filter(|(region, _)| *region != expected).map(|(_, arn)| (*arn).to_owned()).collect();
    for arn in &others {
        let message = format!(
            "`{arn}` is of another region than the load balancer, which is in {expected}: AWS refuses it"
        );
        let finding = Finding::new(&codes::CERTIFICATE_REGION, message);
        let finding = finding.suggest(format!("request or import the certificate in {expected}"));
        say(&finding, load_balancer, arn, world, findings);
    }
}

/// The region of an ARN of a certificate; those of IAM have none.
fn region(arn: &str) -> Option<&str> {
    let mut parts = arn.strip_prefix("arn:")?.split(':').skip(1);
    (parts.next() == Some("acm")).then(|| parts.next()).flatten().filter(|region| !region.is_empty())
}

/// The hosts that rules of a listener name, as far as a certificate can be for them.
#[must_use]
pub fn hosts_of(listener: &Listener) -> Vec<String> {
    let (mut hosts, mut known) = (Vec::new(), HashSet::new());
    for pattern in listener.rules.iter().flat_map(|rule| rule.patterns(&Subject::HOST_HEADER)) {
        let name = pattern.as_str().to_ascii_lowercase();
        let literal = name.strip_prefix("*.").unwrap_or(&name);
        let is_name = literal.contains('.') && literal.bytes().all(is_of_name);
        if is_name && known.insert(name.clone()) {
            hosts.push(name);
        }
    }
    hosts
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use crate::certificate::tests::simple;
    use crate::compile::fixture::{self, compiled_with, rules_to_web, web};
    use crate::{Compiled, Defaults};

    const LISTEN: &str = r#"alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]'"#;

    fn manifests(annotations: &str, spec: &str, more: &str) -> String {
        let rules = rules_to_web(&["api.example.com", "*.example.org"]);
        web(&format!("{LISTEN}\n{annotations}"), &format!("{spec}\n{rules}")) + more
    }

    fn compiled(annotations: &str, spec: &str, more: &str) -> Compiled {
        fixture::compiled(&manifests(annotations, spec, more))
    }

    fn certificates(compiled: &Compiled) -> Vec<&str> {
        let listeners = &compiled.plan.load_balancers[0].listeners;
        let listener = listeners.iter().find(|listener| listener.port == 443).unwrap();
        listener.certificates.iter().map(|certificate| certificate.arn.as_str()).collect()
    }

    const ARN: &str =
        "alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-1:111122223333:certificate/a";

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
        let spec = "tls: [{hosts: [api.example.com, '*.example.org'], secretName: cert}]";
        let missing = compiled("", spec, "");
        assert_eq!(certificates(&missing)[..2], ["address:ingress:default/web", "local:api.example.com"]);
        let secret = "apiVersion: v1
kind: Secret
metadata: {name: cert}
type: kubernetes.io/tls
stringData: {}
";
        let pair = simple("api.example.com");
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let data = format!("{{tls.crt: {}, tls.key: {}}}", quoted(&pair.certificate), quoted(&pair.key));
        let there = compiled("", spec, &secret.replace("{}", &data));
        assert_eq!(certificates(&there), ["secret:default/cert", "address:ingress:default/web"]);
    }

    #[test]
    fn a_certificate_for_none_of_its_hosts_is_told_with_what_clients_get() {
        let made = simple("foreign.test");
        let facts = crate::read_facts(&made.certificate).unwrap();
        let kept = crate::KeptCertificate { name: "a".to_owned(), facts, file: "/c/a.crt".to_owned() };
        let told = |annotations: &str, spec: &str, more: &str, kept: Option<Vec<_>>| {
            let manifests = manifests(annotations, spec, more);
            let found = compiled_with(&manifests, &Defaults { kept, ..Defaults::default() }).findings_here;
            let found = found.into_iter().filter(|finding| finding.code == "certificate-hosts");
            found.map(|it| (it.object.unwrap().to_string(), it.message)).collect::<Vec<_>>()
        };
        let gets = "Its clients get a certificate for foreign.test, and refuse it";
        let ingress = "Ingress default/web".to_owned();
        let file = "the certificate in `/c/a.crt` does not cover api.example.com, *.example.org: it is for foreign.test";
        assert_eq!(told(ARN, "", "", Some(vec![kept])), [(ingress.clone(), format!("{file}. {gets}"))]);
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: cert}}\ntype: kubernetes.io/tls\nstringData: {{tls.crt: {}, tls.key: {}}}\n",
            quoted(&made.certificate),
            quoted(&made.key)
        );
        let spec = "tls: [{hosts: [api.example.com], secretName: cert}]";
        let of_ingress =
            "the certificate in Secret `cert` does not cover api.example.com: it is for foreign.test";
        let of_secret =
            "the certificate covers none of the hosts that use it (api.example.com): it is for foreign.test";
        assert_eq!(
            told("", spec, &secret, None),
            [
                (ingress, format!("{of_ingress}. {gets}")),
                ("Secret default/cert".to_owned(), format!("{of_secret}. {gets}"))
            ]
        );
    }

    #[test]
    fn acc_s0_40_what_a_folder_has_is_shown_by_arn_and_else_by_host() {
        let kept = |name: &str, host: &str| {
            let made = simple(host);
            let facts = crate::read_facts(&made.certificate).unwrap();
            crate::KeptCertificate { name: name.to_owned(), facts, file: format!("/c/{name}.crt") }
        };
        let compiled = |annotations: &str, kept: Vec<crate::KeptCertificate>| {
            let manifests = manifests(annotations, "", "");
            compiled_with(&manifests, &Defaults { kept: Some(kept), ..Defaults::default() })
        };
        let address = "address:ingress:default/web";
        let by_arn = compiled(ARN, vec![kept("a", "api.example.com")]);
        let arn = "arn:aws:acm:eu-west-1:111122223333:certificate/a";
        assert_eq!(certificates(&by_arn), [arn, address]);
        assert!(by_arn.findings_here.iter().all(|finding| finding.code != "certificate-not-here"));
        // Where the ARN leads nowhere, and where there is none, the host finds one.
        let by_host = compiled(ARN, vec![kept("other", "api.example.com")]);
        assert_eq!(certificates(&by_host), ["other", address, "local:*.example.org"]);
        let without_arn = compiled("", vec![kept("one", "api.example.com"), kept("two", "api.example.com")]);
        assert_eq!(certificates(&without_arn), ["one", "two", address, "local:*.example.org"]);
        assert_eq!(without_arn.certificates.len(), 2);
        assert!(
            compiled("", vec![kept("x", "elsewhere.example")]).certificates.is_empty(),
            "nobody is shown it"
        );
    }
}
