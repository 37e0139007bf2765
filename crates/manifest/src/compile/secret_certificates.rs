//! Certificates in Secrets: what is wrong with them, and with the hosts that they are shown to.

use plan::{ObjectRef, Plan};

use super::world::World;
use crate::certificate::{CertificateFacts, covers};
use crate::kinds::config::{SecretFault, fault_in};
use crate::kinds::ingress::{Ingress, IngressSpec};
use crate::{Finding, Location, Object, codes, kinds};

/// A certificate of this machine, with where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedCertificate {
    /// The Secret, when it is in one.
    pub object: Option<ObjectRef>,
    /// The field of the Secret.
    pub field: Option<String>,
    /// Where that stands in a file.
    pub location: Option<Location>,
    /// What it says of itself.
    pub facts: CertificateFacts,
}

/// The type of Secrets for certificates.
const TLS: &str = "kubernetes.io/tls";

/// Looks at every Secret that is for a certificate, or is used for one.
pub(super) fn check(world: &World<'_>, plan: &Plan, findings: &mut Vec<Finding>) -> Vec<PlacedCertificate> {
    let mut all = Vec::new();
    let ingresses: Vec<(&Object, IngressSpec)> = world
        .objects
        .of_kind("Ingress")
        .filter_map(|object| {
            let ingress: Ingress = kinds::read_anyway(object, &mut Vec::new())?;
            Some((object.as_ref(), ingress.spec))
        })
        .collect();
    let is_used = |secret: &Object| {
        ingresses.iter().any(|(ingress, spec)| {
            let mut names = spec.tls.iter().filter_map(|tls| tls.secret_name.as_deref());
            ingress.namespace == secret.namespace && names.any(|name| name == secret.name)
        })
    };
    for secret in world.objects.of_kind("Secret") {
        if secret.value["type"] != TLS && !is_used(secret) {
            continue;
        }
        match world.pair(&secret.namespace, &secret.name).as_deref() {
            None => {}
            Some(Err(fault)) => {
                let finding = Finding::new(&codes::CERTIFICATE_INVALID, fault.problem.clone());
                findings.push(finding.at(secret, &fault.field).suggest(fault.fix));
            }
            Some(Ok(read)) => {
                for note in &read.notes {
                    let SecretFault { field, problem, fix } = fault_in(secret, note);
                    let code =
                        if note.is_mended { &codes::CERTIFICATE_MENDED } else { &codes::CERTIFICATE_INVALID };
                    findings.push(Finding::new(code, problem).at(secret, &field).suggest(fix));
                }
                let field = fault_in(secret, &CERTIFICATE_PLACE).field;
                all.push(PlacedCertificate {
                    object: Some(secret.reference()),
                    location: secret.locate(&field),
                    field: Some(field),
                    facts: read.facts.clone(),
                });
            }
        }
    }
    for (object, spec) in &ingresses {
        check_ingress(object, spec, world, findings);
    }
    let listeners = plan.load_balancers.iter().flat_map(|balancer| &balancer.listeners);
    let shown = listeners.flat_map(|listener| &listener.certificates);
    let shown: Vec<&str> = shown.map(|certificate| certificate.arn.as_str()).collect();
    let kept = world.defaults.kept.iter().flatten();
    let kept = kept.filter(|kept| shown.iter().any(|arn| kept.is_named(arn)));
    all.extend(kept.map(|kept| PlacedCertificate {
        object: None,
        field: None,
        location: Some(Location { file: kept.file.clone(), line: 1, column: 1, text: String::new() }),
        facts: kept.facts.clone(),
    }));
    all
}

/// Stands for the field of the certificate.
const CERTIFICATE_PLACE: crate::certificate::Fault = crate::certificate::Fault {
    part: crate::certificate::Part::Certificate,
    line: 1,
    problem: String::new(),
    fix: "",
    is_mended: true,
};

fn check_ingress(object: &Object, spec: &IngressSpec, world: &World<'_>, findings: &mut Vec<Finding>) {
    for (index, tls) in spec.tls.iter().enumerate() {
        let Some(name) = tls.secret_name.as_deref().filter(|name| !name.is_empty()) else { continue };
        let Some(read) = world.pair(&object.namespace, name) else { continue };
        let field = format!("spec.tls[{index}].secretName");
        match read.as_ref() {
            Err(fault) => {
                let message = format!(
                    "Secret `{name}` cannot be used: {}; what it had before goes on to be shown, if it had, or else one of the local authority",
                    fault.problem
                );
                let finding = Finding::new(&codes::CERTIFICATE_INVALID, message).at(object, &field);
                findings.push(finding.suggest(fault.fix));
            }
            Ok(read) => {
                let of_rules = spec.rules.iter().map(|rule| &rule.host).filter(|host| !host.is_empty());
                let hosts: Vec<&String> =
                    if tls.hosts.is_empty() { of_rules.collect() } else { tls.hosts.iter().collect() };
                findings.extend(uncovered(&read.facts, &hosts, name).map(|(message, fix)| {
                    Finding::new(&codes::CERTIFICATE_HOSTS, message).at(object, &field).suggest(fix)
                }));
            }
        }
    }
}

/// What is to be said of hosts that a certificate does not prove, and what to do.
fn uncovered(facts: &CertificateFacts, hosts: &[&String], secret: &str) -> Option<(String, String)> {
    let without: Vec<&str> =
        hosts.iter().map(|host| host.as_str()).filter(|host| !facts.covers(host)).collect();
    let first = without.first()?;
    let whose = facts.names_in_words();
    let list = without.join(", ");
    let message = match facts.names.iter().find(|name| is_above(name, first)) {
        _ if without.len() == hosts.len() && hosts.len() > 1 => {
            format!("the certificate in Secret `{secret}` covers none of the hosts {list}: it is for {whose}")
        }
        Some(wildcard) => format!(
            "the certificate in Secret `{secret}` does not cover {list}: `{wildcard}` stands for one label, no more"
        ),
        None => format!("the certificate in Secret `{secret}` does not cover {list}: it is for {whose}"),
    };
    Some((message, format!("use a certificate for {list}")))
}

/// Whether a wildcard is for names above a host, and so seems to cover it.
fn is_above(name: &str, host: &str) -> bool {
    let parent = name.strip_prefix("*.");
    parent.is_some_and(|parent| {
        !covers(name, host) && host.to_ascii_lowercase().ends_with(&format!(".{parent}"))
    })
}
