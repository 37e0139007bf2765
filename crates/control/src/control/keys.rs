//! The certificates of a plan's listeners, with their keys: from Secrets and folders, or made by the local authority.
//!
//! A certificate that cannot be used costs nothing that worked: the one before goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use manifest::{CertificateFacts, CertificateFolder, Holds, Object, Objects};
use plan::{KeyPair, Keys, LoadBalancer, Plan};

use super::placement;
use crate::authority::{Authority, Issued};

/// Where keys come from, and those that are known.
pub(super) struct Keyring {
    authority: Option<Rc<Authority>>,
    issued: BTreeMap<String, Issued>,
    /// The last pair of each name that could be used.
    good: BTreeMap<String, Good>,
}

/// A pair that can be shown.
struct Good {
    pair: KeyPair,
    /// What it says of itself, where somebody else made it.
    facts: Option<CertificateFacts>,
    /// The Secret that it was in.
    secret: Option<Arc<Object>>,
}

/// What the keys of a plan are, and what is wrong with them.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) keys: Keys,
    /// What keeps a load balancer from speaking TLS at all.
    pub(super) failures: Vec<placement::Problem>,
    /// What is wrong with a certificate besides those in Secrets, which are findings; others are shown in its place.
    pub(super) problems: Vec<placement::Problem>,
}

// === impl Keyring ===

impl Keyring {
    pub(super) fn new(authority: Option<Rc<Authority>>) -> Self {
        Self { authority, issued: BTreeMap::new(), good: BTreeMap::new() }
    }

    /// The keys that a plan names, and what is wrong with those that cannot be had.
    pub(super) fn resolve(
        &mut self,
        plan: &Plan,
        objects: &Objects,
        folder: &CertificateFolder,
        now: Timestamp,
    ) -> Resolved {
        let mut resolved = Resolved::default();
        let mut tried = BTreeSet::new();
        for balancer in &plan.load_balancers {
            let id = || balancer.id.clone();
            let mut problems: BTreeMap<&str, String> = BTreeMap::new();
            let certificates = balancer.listeners.iter().flat_map(|listener| &listener.certificates);
            for name in certificates.map(|certificate| certificate.arn.as_str()) {
                if tried.insert(name.to_owned())
                    && let Err(problem) = self.renew(name, balancer, objects, folder, now)
                {
                    problems.insert(name, problem);
                }
                if let Some(good) = self.good.get(name) {
                    resolved.keys.by_name.insert(name.to_owned(), good.pair.clone());
                }
            }
            for listener in balancer.listeners.iter().filter(|listener| listener.protocol.is_tls()) {
                let names = || listener.certificates.iter().map(|certificate| certificate.arn.as_str());
                if !names().any(|name| self.good.contains_key(name)) {
                    let why: Vec<&str> =
                        names().filter_map(|name| problems.get(name)).map(String::as_str).collect();
                    let why =
                        format!("port {}: no certificate can be shown: {}", listener.port, why.join("; "));
                    resolved.failures.push((id(), why));
                }
            }
            let told = problems.into_iter().filter(|(name, _)| !name.starts_with("secret:"));
            resolved.problems.extend(told.map(|(_, problem)| (id(), problem)));
        }
        self.issued.retain(|name, _| resolved.keys.by_name.contains_key(name));
        self.good.retain(|name, _| resolved.keys.by_name.contains_key(name));
        resolved
    }

    /// Has the pair of a name be the one that it should be, unless the one that it is does better. The error is what there is
    /// to say about that.
    fn renew(
        &mut self,
        name: &str,
        balancer: &LoadBalancer,
        objects: &Objects,
        folder: &CertificateFolder,
        now: Timestamp,
    ) -> Result<(), String> {
        let found = match name.split_once(':') {
            Some(("secret", secret)) => self.of_secret(name, secret, objects),
            Some(("local", host)) => self.issue(name, &[host.to_owned()], now).map(Some),
            Some(("address", _)) => {
                let addresses = balancer.listeners.iter().flat_map(|listener| &listener.addresses);
                let mut names: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
                names.push("localhost".to_owned());
                names.sort_unstable();
                names.dedup();
                self.issue(name, &names, now).map(Some)
            }
            _ => from_folder(name, folder).map(Some),
        };
        let holds = |good: &Good| good.facts.as_ref().is_none_or(|facts| facts.holds(now).is_good());
        if let Some(later) = found? {
            if !holds(&later) && self.good.get(name).is_some_and(holds) {
                let whose = later.facts.map(|facts| facts.names_in_words()).unwrap_or_default();
                return Err(format!(
                    "the new certificate for {whose} does not hold now: the one before it goes on to be shown"
                ));
            }
            self.good.insert(name.to_owned(), later);
        }
        match self.good.get(name).and_then(|good| good.facts.as_ref()) {
            Some(facts) if facts.holds(now) <= Holds::ForDays => Err(ending(facts, now)),
            _ => folder.broken(name).map_or(Ok(()), |broken| Err(broken.to_owned())),
        }
    }

    /// The pair in a Secret; nothing when it is the one that is known.
    fn of_secret(&self, name: &str, secret: &str, objects: &Objects) -> Result<Option<Good>, String> {
        let (namespace, secret_name) = secret.split_once('/').unwrap_or(("default", secret));
        let object = objects
            .get("Secret", namespace, secret_name)
            .ok_or_else(|| format!("Secret {secret} does not exist"))?;
        let known = self.good.get(name).and_then(|good| good.secret.as_ref());
        if known.is_some_and(|known| Arc::ptr_eq(known, object)) {
            return Ok(None);
        }
        let read = manifest::certificate_of(object);
        let read = read.map_err(|fault| format!("Secret {secret}: {}", fault.problem))?;
        Ok(Some(Good { pair: read.pair, facts: Some(read.facts), secret: Some(Arc::clone(object)) }))
    }

    /// A certificate of the local authority: the one that was made before, until a third of its life is left.
    fn issue(&mut self, name: &str, hosts: &[String], now: Timestamp) -> Result<Good, String> {
        let authority = self.authority.as_ref().ok_or("there is no local authority here")?;
        let is_good = |issued: &Issued| now < issued.renew_at && issued.names == hosts;
        if !self.issued.get(name).is_some_and(is_good) {
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let issued = authority.issue(&hosts, now);
            let issued =
                issued.map_err(|error| format!("no certificate for {}: {error}", hosts.join(", ")))?;
            self.issued.insert(name.to_owned(), issued);
        }
        let issued = self.issued.get(name).ok_or("the certificate was just made")?;
        let pair = KeyPair { certificate: issued.certificate.clone(), key: issued.key.clone() };
        Ok(Good { pair, facts: None, secret: None })
    }
}

/// The pair that a folder has for an ARN.
fn from_folder(name: &str, folder: &CertificateFolder) -> Result<Good, String> {
    let found =
        folder.pair(name).ok_or_else(|| format!("nothing on this machine knows certificate `{name}`"))?;
    Ok(Good { pair: found.pair.clone(), facts: Some(found.kept.facts.clone()), secret: None })
}

fn ending(facts: &CertificateFacts, now: Timestamp) -> String {
    let (whose, until) = (facts.names_in_words(), facts.until.strftime("%Y-%m-%d"));
    match facts.holds(now) {
        Holds::NotYet => format!("the certificate for {whose} does not hold yet"),
        Holds::Ended => format!("the certificate for {whose} ended on {until}"),
        _ => format!("the certificate for {whose} ends within a week, on {until}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{Certificate, Listener, Protocol};

    fn plan(names: &[&str]) -> Plan {
        let mut balancer =
            crate::control::load_balancer::tests::balancer(&plan::LoadBalancerId::ingress("a", "b"), &[443]);
        let mut listener = Listener::new(443, Protocol::Https);
        listener.addresses = vec!["127.77.0.1:443".parse().unwrap()];
        let certificate = |name: &&str| Certificate { arn: (*name).to_owned(), source: "secret" };
        listener.certificates = names.iter().map(certificate).collect();
        balancer.listeners = vec![listener];
        Plan { load_balancers: vec![balancer], ..Plan::default() }
    }

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn keyring(folder: &tempfile::TempDir) -> Keyring {
        Keyring::new(Some(Rc::new(Authority::open(folder.path(), now()).unwrap())))
    }

    fn secret(pair: &Issued) -> Objects {
        let value = serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cert", "namespace": "a"},
            "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
        });
        let mut objects = Objects::default();
        objects.insert(Object::from_value(value).unwrap());
        objects
    }

    #[test]
    fn a_certificate_is_made_once_and_again_before_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mut keyring = keyring(&folder);
        let plan = plan(&["local:a.example", "address:ingress:a/b"]);
        let none = CertificateFolder::default();
        let mut at = |now| keyring.resolve(&plan, &Objects::default(), &none, now).keys.by_name;
        let first = at(now());
        assert_eq!(first.keys().collect::<Vec<_>>(), ["address:ingress:a/b", "local:a.example"]);
        assert!(first == at(now() + jiff::SignedDuration::from_hours(24 * 59)));
        assert!(first != at(now() + jiff::SignedDuration::from_hours(24 * 61)));
    }

    #[test]
    fn a_secret_that_is_broken_leaves_what_worked() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), now()).unwrap();
        let (one, two) = (
            authority.issue(&["a.example"], now()).unwrap(),
            authority.issue(&["a.example"], now()).unwrap(),
        );
        let mut keyring = keyring(&folder);
        let plan = plan(&["secret:a/cert"]);
        let mut shown = |objects: &Objects, now| {
            let resolved = keyring.resolve(&plan, objects, &CertificateFolder::default(), now);
            let key = resolved.keys.by_name.get("secret:a/cert").map(|pair| pair.key.clone());
            let failures: Vec<String> = resolved.failures.into_iter().map(|(_, why)| why).collect();
            (key, failures.join("; "))
        };
        let (none, failure) = shown(&Objects::default(), now());
        assert!(none.is_none());
        assert_eq!(failure, "port 443: no certificate can be shown: Secret a/cert does not exist");
        let nothing = String::new();
        assert_eq!(shown(&secret(&one), now()), (Some(one.key.clone()), nothing.clone()));
        let crossed = Issued { key: two.key.clone(), ..one.clone() };
        assert_eq!(shown(&secret(&crossed), now()), (Some(one.key.clone()), nothing.clone()));
        // Who has ended does not take the place of who holds; both ended, the later one does.
        let later = now() + jiff::SignedDuration::from_hours(24 * 40);
        let third = authority.issue(&["a.example"], later).unwrap();
        assert_eq!(shown(&secret(&third), now()), (Some(one.key.clone()), nothing.clone()));
        assert_eq!(shown(&secret(&third), later), (Some(third.key.clone()), nothing.clone()));
        assert_eq!(shown(&secret(&two), later), (Some(two.key.clone()), nothing));
    }
}
