//! The certificates of a plan's listeners, with their keys: from Secrets, or made by the local authority.
//!
//! A certificate that cannot be used costs nothing that worked: the one before goes on.

use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;
use manifest::Objects;
use plan::{KeyPair, Keys, LoadBalancer, Plan};

use crate::authority::{Authority, Issued};

/// Where keys come from, and those that are known.
pub(super) struct Keyring {
    authority: Option<Rc<Authority>>,
    issued: BTreeMap<String, Issued>,
    /// The last pair of each name that could be used.
    good: BTreeMap<String, KeyPair>,
}

/// What is wrong with a certificate of a load balancer, by the load balancer's id.
pub(super) type Problem = (String, String);

// === impl Keyring ===

impl Keyring {
    pub(super) fn new(authority: Option<Rc<Authority>>) -> Self {
        Self { authority, issued: BTreeMap::new(), good: BTreeMap::new() }
    }

    /// The keys that a plan names, and what is wrong with those that cannot be had.
    pub(super) fn resolve(&mut self, plan: &Plan, objects: &Objects, now: Timestamp) -> (Keys, Vec<Problem>) {
        let (mut keys, mut problems) = (Keys::default(), Vec::new());
        for balancer in &plan.load_balancers {
            let certificates = balancer.listeners.iter().flat_map(|listener| &listener.certificates);
            for name in certificates.map(|certificate| &certificate.arn) {
                if keys.by_name.contains_key(name) {
                    continue;
                }
                match self.find(name, balancer, objects, now) {
                    Ok(pair) => drop(self.good.insert(name.clone(), pair)),
                    Err(problem) => problems.push((balancer.id.clone(), problem)),
                }
                if let Some(pair) = self.good.get(name) {
                    keys.by_name.insert(name.clone(), pair.clone());
                }
            }
        }
        self.issued.retain(|name, _| keys.by_name.contains_key(name));
        self.good.retain(|name, _| keys.by_name.contains_key(name));
        (keys, problems)
    }

    fn find(
        &mut self,
        name: &str,
        balancer: &LoadBalancer,
        objects: &Objects,
        now: Timestamp,
    ) -> Result<KeyPair, String> {
        match name.split_once(':') {
            Some(("secret", secret)) => from_secret(secret, objects, self.good.get(name)),
            Some(("local", host)) => self.issue(name, &[host.to_owned()], now),
            Some(("address", _)) => {
                let addresses = balancer.listeners.iter().flat_map(|listener| &listener.addresses);
                let mut names: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
                names.push("localhost".to_owned());
                names.sort_unstable();
                names.dedup();
                self.issue(name, &names, now)
            }
            _ => Err(format!("nothing on this machine knows certificate `{name}`")),
        }
    }

    /// A certificate of the local authority: the one that was made before, until a third of its life is left.
    fn issue(&mut self, name: &str, hosts: &[String], now: Timestamp) -> Result<KeyPair, String> {
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
        Ok(KeyPair { certificate: issued.certificate.clone(), key: issued.key.clone() })
    }
}

/// The pair in a Secret of type `kubernetes.io/tls`. One that is known to be good is not looked at again.
fn from_secret(secret: &str, objects: &Objects, good: Option<&KeyPair>) -> Result<KeyPair, String> {
    let (namespace, name) = secret.split_once('/').unwrap_or(("default", secret));
    let object =
        objects.get("Secret", namespace, name).ok_or_else(|| format!("Secret {secret} does not exist"))?;
    let pair = manifest::key_pair_of(object).map_err(|problem| format!("Secret {secret} {problem}"))?;
    if good != Some(&pair) {
        crate::authority::check_pair(&pair).map_err(|problem| format!("Secret {secret}: {problem}"))?;
    }
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::Object;
    use plan::{Certificate, Listener, Protocol};

    fn plan(names: &[&str]) -> Plan {
        let mut balancer = crate::control::load_balancer::tests::balancer("ingress:a/b", &[443]);
        let mut listener = Listener::new(443, Protocol::Https);
        listener.addresses = vec!["127.77.0.1:443".parse().unwrap()];
        let certificate = |name: &&str| Certificate { arn: (*name).to_owned(), source: "secret" };
        listener.certificates = names.iter().map(certificate).collect();
        balancer.listeners = vec![listener];
        Plan { load_balancers: vec![balancer] }
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
        let mut at = |now| keyring.resolve(&plan, &Objects::default(), now).0.by_name;
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
        let (none, problems) = keyring.resolve(&plan, &Objects::default(), now());
        assert!(none.by_name.is_empty());
        assert_eq!(problems[0].1, "Secret a/cert does not exist");
        let (keys, problems) = keyring.resolve(&plan, &secret(&one), now());
        assert!(problems.is_empty() && keys.by_name["secret:a/cert"].key == one.key);
        let crossed = Issued { key: two.key.clone(), ..one.clone() };
        let (keys, problems) = keyring.resolve(&plan, &secret(&crossed), now());
        assert_eq!(problems[0].1, "Secret a/cert: the key is not that of the certificate");
        assert!(keys.by_name["secret:a/cert"].key == one.key, "the one before goes on");
        let (keys, _) = keyring.resolve(&plan, &secret(&two), now());
        assert!(keys.by_name["secret:a/cert"].key == two.key);
    }
}
