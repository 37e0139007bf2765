//! Hosts that none of the certificates shown to their clients covers, and what those clients get instead.

use plan::{Listener, LoadBalancer, ObjectRef, Plan};

use super::own_certificates::{hosts_of, say};
use super::world::World;
use crate::certificate::CertificateFacts;
use crate::{Finding, KeptCertificate, codes};

/// What clients of a host are shown by a listener.
enum Given {
    /// A certificate that is for it.
    Fitting,
    /// One for other names, which they refuse.
    Other(String),
}

/// Warns of certificates of folders that are for none of the hosts of the listeners that show them.
pub(super) fn check_kept(load_balancer: &LoadBalancer, world: &World<'_>, findings: &mut Vec<Finding>) {
    for listener in load_balancer.listeners.iter().filter(|listener| listener.protocol.is_tls()) {
        let hosts = hosts_of(listener);
        let named = listener.certificates.iter().filter(|certificate| certificate.arn.starts_with("arn:"));
        let kept: Vec<(&str, &KeptCertificate)> =
            named.filter_map(|it| Some((it.arn.as_str(), world.defaults.kept(&it.arn)?))).collect();
        let all = hosts.iter().map(String::as_str);
        let without: Vec<&str> = all.filter(|host| !is_fitting(listener, host, world)).collect();
        let Some(first) = without.first() else { continue };
        let gets = what_clients_get(listener, first, world);
        // Those that are for nobody here are in the wrong place; where there are none, one more is needed.
        let is_for_nobody =
            |(_, kept): &&(&str, &KeptCertificate)| !hosts.iter().any(|it| kept.facts.covers(it));
        let misplaced: Vec<_> = kept.iter().filter(is_for_nobody).collect();
        let told = if misplaced.is_empty() { kept.first().into_iter().collect() } else { misplaced };
        let list = without.join(", ");
        for (arn, kept) in told {
            let (file, whose) = (&kept.file, kept.facts.names_in_words());
            let message =
                format!("the certificate in `{file}` does not cover {list}: it is for {whose}. {gets}");
            let fix = format!("put a certificate for {list} into `{file}`: it is taken up at once");
            let finding = Finding::new(&codes::CERTIFICATE_HOSTS, message).suggest(fix);
            say(&finding, load_balancer, arn, world, findings);
        }
    }
}

/// What clients of a host of an object get, in a sentence, where the plan has a listener for it that speaks TLS.
pub(super) fn what_clients_of_object_get(
    plan: &Plan,
    object: &ObjectRef,
    host: &str,
    world: &World<'_>,
) -> Option<String> {
    let balancer = plan.load_balancers.iter().find(|balancer| balancer.sources.contains(object))?;
    let listener = balancer.listeners.iter().find(|listener| listener.protocol.is_tls())?;
    Some(what_clients_get(listener, host, world))
}

fn what_clients_get(listener: &Listener, host: &str, world: &World<'_>) -> String {
    match given(listener, host, world) {
        Given::Fitting => "Its clients get another certificate, which is for it".to_owned(),
        Given::Other(whose) => format!("Its clients get a certificate for {whose}, and refuse it"),
    }
}

fn is_fitting(listener: &Listener, host: &str, world: &World<'_>) -> bool {
    matches!(given(listener, host, world), Given::Fitting)
}

/// As a listener chooses by SNI: one for the name, or else the first.
fn given(listener: &Listener, host: &str, world: &World<'_>) -> Given {
    let is_for_it = |arn: &str| match arn.strip_prefix("local:") {
        Some(name) => crate::certificate::covers(name, host),
        None => facts_of(arn, world).is_some_and(|facts| facts.covers(host)),
    };
    if listener.certificates.iter().any(|certificate| is_for_it(&certificate.arn)) {
        return Given::Fitting;
    }
    let first = listener.certificates.first();
    let facts = first.and_then(|certificate| facts_of(&certificate.arn, world));
    Given::Other(facts.map_or_else(|| "the address only".to_owned(), |facts| facts.names_in_words()))
}

/// What a certificate of a Secret or of a folder says of itself.
fn facts_of(arn: &str, world: &World<'_>) -> Option<CertificateFacts> {
    if let Some(kept) = world.defaults.kept(arn) {
        return Some(kept.facts.clone());
    }
    let (namespace, name) = arn.strip_prefix("secret:")?.split_once('/')?;
    world.pair(namespace, name)?.as_ref().as_ref().ok().map(|read| read.facts.clone())
}
