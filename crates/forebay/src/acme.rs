//! Certificates of an authority that speaks ACME (RFC 8555), for the hosts that load balancers here have no certificate for.
//!
//! It puts certificates into a folder of the state folder, from which they are taken like all others, and renews them there.
//! What the authority looks for is told to the control loop, which puts it where the authority looks. It is *not* who
//! decides which certificate is shown.

mod account;
mod failures;
mod order;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use control::{Challenges, LiveDefaults};
use jiff::Timestamp;
use plan::{Listener, LoadBalancer, LoadBalancerId, Plan};
use tokio::sync::watch;
use tracing::{info, warn};

use account::Directory;
pub(crate) use failures::AcmeFailures;
use schedule::Attempts;

/// Where certificates are asked for, as of `up`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AcmeOptions {
    /// Get certificates for hosts that have none from an authority that speaks ACME, whose terms of service this agrees to:
    /// letsencrypt, letsencrypt-staging or the URL of a directory
    #[arg(long, value_name = "URL", env = "FOREBAY_ACME_DIRECTORY")]
    acme_directory: Option<String>,

    /// Where the authority may write to about them
    #[arg(long, value_name = "ADDRESS", env = "FOREBAY_ACME_EMAIL", requires = "acme_directory")]
    acme_email: Option<String>,

    /// Also believe a directory whose certificate one of these has signed (PEM)
    #[arg(long, value_name = "FILE", env = "FOREBAY_ACME_ROOT", requires = "acme_directory")]
    acme_root: Option<PathBuf>,
}

/// What is asked, and who hears of it.
pub(crate) struct Acme {
    directory: Directory,
    folder: PathBuf,
    plan: watch::Receiver<Arc<Plan>>,
    defaults: LiveDefaults,
    challenges: Rc<watch::Sender<Arc<Challenges>>>,
    failures: AcmeFailures,
}

/// How often it is looked whether something is due, when nothing else happens. A long sleep would not count the time for which
/// a machine was suspended.
const PERIOD: Duration = Duration::from_secs(5);
/// How long one certificate may take.
const PATIENCE: Duration = Duration::from_secs(300);

const NAMED: [(&str, &str); 2] = [
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
];

/// A host that a certificate is wanted for, with the load balancer that would show it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    host: String,
    load_balancer: LoadBalancerId,
}

// === impl AcmeOptions ===

impl AcmeOptions {
    /// Reads what is needed to ask; nothing when nobody is to be asked.
    pub(crate) fn open(
        &self,
        folder: PathBuf,
        plan: watch::Receiver<Arc<Plan>>,
        defaults: LiveDefaults,
        challenges: watch::Sender<Arc<Challenges>>,
        failures: AcmeFailures,
    ) -> anyhow::Result<Option<Acme>> {
        let Some(url) = &self.acme_directory else { return Ok(None) };
        let url = NAMED.iter().find(|(name, _)| name == url).map_or(url.as_str(), |(_, url)| url);
        anyhow::ensure!(
            url.starts_with("https://"),
            "--acme-directory: `{url}` is neither an https URL nor letsencrypt or letsencrypt-staging"
        );
        let root = match &self.acme_root {
            None => None,
            Some(path) => Some(
                std::fs::read(path)
                    .with_context(|| format!("--acme-root: cannot read `{}`", path.display()))?,
            ),
        };
        let directory =
            Directory::new(url, self.acme_email.as_deref(), root.as_deref()).context("--acme-root")?;
        Ok(Some(Acme { directory, folder, plan, defaults, challenges: Rc::new(challenges), failures }))
    }
}

// === impl Acme ===

impl Acme {
    /// Asks for what is due, for as long as nobody drops it. Never ends.
    pub(crate) async fn run(mut self) {
        let mut attempts = Attempts::default();
        loop {
            let now = Timestamp::now();
            let wanted = self.due(now);
            self.tell_of_wildcards();
            attempts.keep(|host| wanted.iter().any(|wanted| wanted.host == host));
            for wanted in wanted {
                if !attempts.may(&wanted.host, Timestamp::now()) {
                    continue;
                }
                let host = &wanted.host;
                let obtained = tokio::time::timeout(PATIENCE, self.obtain(&wanted)).await;
                let obtained = obtained.map_err(anyhow::Error::from).flatten();
                let problem = obtained.as_ref().err().map(|error| {
                    let reason = failures::reason(error);
                    self.failures.count(reason);
                    format!("no certificate for {host}: {error:#}{}", failures::fix(reason))
                });
                self.withdraw(host, problem.clone());
                match obtained {
                    Ok(()) => {
                        info!(%host, "there is a new certificate");
                        attempts.succeeded(host);
                    }
                    Err(_) => {
                        let pause = attempts.failed(host, Timestamp::now());
                        let minutes = pause.as_secs().div_ceil(60);
                        warn!("{}; tried again in {minutes} min", problem.unwrap_or_default());
                    }
                }
            }
            tokio::select! {
                () = changed(&mut self.plan) => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    /// The hosts that need a certificate now: those for which the local authority stands in, and those whose certificate has
    /// lived for two thirds of its life.
    fn due(&self, now: Timestamp) -> Vec<Wanted> {
        let (plan, kept) = (self.plan.borrow().clone(), self.defaults.kept());
        let mut wanted: BTreeMap<String, LoadBalancerId> = BTreeMap::new();
        let listeners = plan.load_balancers.iter().flat_map(|balancer| {
            balancer.listeners.iter().filter(|listener| is_public(listener)).map(move |it| (balancer, it))
        });
        for (balancer, listener) in listeners {
            let names: BTreeSet<&str> = listener.certificates.iter().map(|it| it.arn.as_str()).collect();
            for name in names {
                let host = match name.strip_prefix("local:") {
                    Some(host) if can_be_asked_for(host) => host,
                    Some(_) => continue,
                    None => {
                        let ours = kept.pairs.get(name).filter(|pair| self.is_ours(&pair.kept.file));
                        match ours {
                            Some(pair) if schedule::is_due(&pair.kept.facts, name, now) => name,
                            _ => continue,
                        }
                    }
                };
                wanted.entry(host.to_owned()).or_insert_with(|| balancer.id.clone());
            }
        }
        wanted.into_iter().map(|(host, load_balancer)| Wanted { host, load_balancer }).collect()
    }

    /// Says of hosts with a wildcard that nobody is asked for a certificate: it would have to be proved in DNS (RFC 8555 §8.4).
    fn tell_of_wildcards(&self) {
        let plan = self.plan.borrow().clone();
        let listeners = plan.load_balancers.iter().flat_map(|balancer| &balancer.listeners);
        let names = listeners.filter(|listener| is_public(listener)).flat_map(|it| &it.certificates);
        let names = names.filter_map(|certificate| certificate.arn.strip_prefix("local:"));
        let wildcards = names.filter(|host| host.starts_with("*.")).map(|host| {
            let message = format!(
                "no certificate for {host} is asked for: an authority wants a wildcard proved in DNS, and here it is http-01 or \
                 tls-alpn-01; put one into a folder of --certificates, or name hosts"
            );
            (host.to_owned(), message)
        });
        let wildcards: BTreeMap<String, String> = wildcards.collect();
        self.challenges.send_if_modified(|challenges| {
            let known = challenges.problems.iter().filter(|(host, _)| host.starts_with("*."));
            if known.eq(wildcards.iter()) {
                return false;
            }
            let challenges = Arc::make_mut(challenges);
            challenges.problems.retain(|host, _| !host.starts_with("*."));
            challenges.problems.extend(wildcards);
            true
        });
    }

    fn is_ours(&self, file: &str) -> bool {
        std::path::Path::new(file).starts_with(&self.folder)
    }

    fn load_balancer(&self, id: &LoadBalancerId) -> Option<LoadBalancer> {
        self.plan.borrow().load_balancer(id).cloned()
    }

    /// Takes the answer for a host back, and leaves what there is to say of it.
    fn withdraw(&self, host: &str, problem: Option<String>) {
        self.challenges.send_modify(|challenges| {
            let challenges = Arc::make_mut(challenges);
            challenges.answers.remove(host);
            challenges.problems.remove(host);
            challenges.problems.extend(problem.map(|problem| (host.to_owned(), problem)));
        });
    }
}

/// Whether TLS ends here for hosts that rules name.
fn is_public(listener: &Listener) -> bool {
    listener.protocol.is_tls() && !listener.addresses.is_empty()
}

/// Whether an authority could be asked for a host: wildcards are proved in DNS only, and some names lead nowhere.
fn can_be_asked_for(host: &str) -> bool {
    const PRIVATE: [&str; 3] = [".local", ".localhost", ".internal"];
    let is_private = PRIVATE.iter().any(|end| host.ends_with(end));
    host.contains('.') && !host.contains('*') && !is_private && host.parse::<std::net::IpAddr>().is_err()
}

/// Waits for the next plan. When nobody makes plans any more, for ever.
async fn changed(plan: &mut watch::Receiver<Arc<Plan>>) {
    if plan.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_an_authority_can_look_at_are_asked_for() {
        for (host, is_asked) in [
            ("api.example.com", true),
            ("*.example.com", false),
            ("localhost", false),
            ("a.localhost", false),
            ("printer.local", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(can_be_asked_for(host), is_asked, "{host}");
        }
    }
}
