//! Certificates in Secrets: what is wrong with them, and with the hosts that they are shown to.

use std::rc::Rc;

use plan::{ObjectRef, Plan};

use super::uncovered;
use super::world::World;
use crate::certificate::{CertificateFacts, covers};
use crate::kinds::config::{SecretFault, fault_in};
use crate::kinds::ingress::{Ingress, IngressSpec, Tls};
use crate::{Finding, Location, Object, codes};

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
const TLS_TYPE: &str = "kubernetes.io/tls";

/// Looks at every Secret that is for a certificate, or is used for one.
pub(super) fn check(world: &World<'_>, plan: &Plan, findings: &mut Vec<Finding>) -> Vec<PlacedCertificate> {
    let mut all = Vec::new();
    let ingresses = world.objects.of_kind("Ingress");
    let ingresses: Vec<(&Object, Rc<Ingress>)> =
        ingresses.filter_map(|object| Some((object.as_ref(), world.memo.read_anyway(object)?))).collect();
    let is_used = |secret: &Object| {
        ingresses.iter().any(|(ingress, read)| {
            let mut names = read.spec.tls.iter().filter_map(|tls| tls.secret_name.as_deref());
            ingress.namespace == secret.namespace && names.any(|name| name == secret.name)
        })
    };
    for secret in world.objects.of_kind("Secret") {
        if secret.value["type"] != TLS_TYPE && !is_used(secret) {
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
    for (object, read) in &ingresses {
        check_ingress(object, &read.spec, world, plan, findings);
    }
    for secret in world.objects.of_kind("Secret") {
        check_users(secret, &ingresses, world, plan, findings);
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

/// Warns at a Secret that is for none of the hosts that use it: whoever applies it anew sees nothing of the Ingresses.
fn check_users(
    secret: &Object,
    ingresses: &[(&Object, Rc<Ingress>)],
    world: &World<'_>,
    plan: &Plan,
    findings: &mut Vec<Finding>,
) {
    let mut hosts: Vec<(&Object, &String)> = Vec::new();
    for (ingress, read) in ingresses.iter().filter(|(ingress, _)| ingress.namespace == secret.namespace) {
        let spec = &read.spec;
        let uses = |tls: &&Tls| tls.secret_name.as_ref() == Some(&secret.name);
        for tls in spec.tls.iter().filter(uses) {
            hosts.extend(hosts_of_entry(tls, spec).into_iter().map(|host| (*ingress, host)));
        }
    }
    let Some((ingress, first)) = hosts.first() else { return };
    let Some(read) = world.pair(&secret.namespace, &secret.name) else { return };
    let Ok(read) = read.as_ref() else { return };
    if hosts.iter().any(|(_, host)| read.facts.covers(host)) {
        return;
    }
    let mut names: Vec<&str> = hosts.iter().map(|(_, host)| host.as_str()).collect();
    names.dedup();
    let (list, whose) = (names.join(", "), read.facts.names_in_words());
    let gets = gets(plan, ingress, first, world);
    let message =
        format!("the certificate covers none of the hosts that use it ({list}): it is for {whose}{gets}");
    let finding = Finding::new(&codes::CERTIFICATE_HOSTS, message);
    let finding = finding.at(secret, &fault_in(secret, &CERTIFICATE_PLACE).field);
    findings.push(finding.suggest(format!("use a certificate for {list}")));
}

/// The hosts that an entry of `spec.tls` is for: those it names, or else those of the rules.
fn hosts_of_entry<'a>(tls: &'a Tls, spec: &'a IngressSpec) -> Vec<&'a String> {
    if !tls.hosts.is_empty() {
        return tls.hosts.iter().collect();
    }
    spec.rules.iter().map(|rule| &rule.host).filter(|host| !host.is_empty()).collect()
}

/// What clients of a host get, to be put behind a sentence.
fn gets(plan: &Plan, ingress: &Object, host: &str, world: &World<'_>) -> String {
    let gets = uncovered::what_clients_of_object_get(plan, &ingress.reference(), host, world);
    gets.map(|gets| format!(". {gets}")).unwrap_or_default()
}

fn check_ingress(
    object: &Object,
    spec: &IngressSpec,
    world: &World<'_>,
    plan: &Plan,
    findings: &mut Vec<Finding>,
) {
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
                let hosts = hosts_of_entry(tls, spec);
                let without: Vec<&str> =
                    hosts.iter().map(|host| host.as_str()).filter(|host| !read.facts.covers(host)).collect();
                if let Some(first) = without.first() {
                    let message = not_covered(&read.facts, &without, hosts.len(), name);
                    let message = message + &gets(plan, object, first, world);
                    let finding = Finding::new(&codes::CERTIFICATE_HOSTS, message).at(object, &field);
                    findings.push(finding.suggest(format!("use a certificate for {}", without.join(", "))));
                }
            }
        }
    }
}

/// What is to be said of hosts that a certificate does not prove, of so many that it is for.
fn not_covered(facts: &CertificateFacts, without: &[&str], n_hosts: usize, secret: &str) -> String {
    let (whose, list) = (facts.names_in_words(), without.join(", "));
    match facts.names.iter().find(|name| without.first().is_some_and(|first| is_above(name, first))) {
        _ if without.len() == n_hosts && n_hosts > 1 => {
            format!("the certificate in Secret `{secret}` covers none of the hosts {list}: it is for {whose}")
        }
        Some(wildcard) => format!(
            "the certificate in Secret `{secret}` does not cover {list}: `{wildcard}` stands for one label, no more"
        ),
        None => format!("the certificate in Secret `{secret}` does not cover {list}: it is for {whose}"),
    }
}

/// Whether a wildcard is for names above a host, and so seems to cover it.
fn is_above(name: &str, host: &str) -> bool {
    let parent = name.strip_prefix("*.");
    parent.is_some_and(|parent| {
        !covers(name, host) && host.to_ascii_lowercase().ends_with(&format!(".{parent}"))
    })
}
