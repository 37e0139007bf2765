//! Certificates on their way to whoever shows them: that of the embedded API, which is made at the start and anew before it
//! ends, and those of load balancers, whose keys come from the control loop.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use control::{Authority, CHALLENGE_NAME, Issued};
use jiff::Timestamp;
use manifest::CertificateFacts;
use net::{Certificates, Identity, KeyRing, ServerTls, TlsSettings};
use plan::{KeyPair, Keys};
use tokio::sync::watch;
use tracing::{info, warn};

/// By what a client of this machine may ask for the API; and by what a pod would on Kubernetes.
const NAMES: &[&str] = &["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default.svc"];

/// How often it is looked at whether the certificate has to be made anew. A long sleep would not count the time for which a
/// machine was suspended.
const PERIOD: Duration = Duration::from_secs(600);

/// What is shown to clients, and until when.
pub(crate) struct Served {
    pub(crate) tls: ServerTls,
    certificates: Certificates,
    renew_at: Timestamp,
}

/// Makes the first certificate.
pub(crate) fn serve(authority: &Authority) -> anyhow::Result<Served> {
    let (identity, renew_at) = issue(authority)?;
    let certificates = Certificates::new(&[identity]);
    let tls = ServerTls::new(
        &certificates,
        &TlsSettings { protocols: vec!["http/1.1"], ..TlsSettings::default() },
    )?;
    Ok(Served { tls, certificates, renew_at })
}

fn issue(authority: &Authority) -> anyhow::Result<(Identity, Timestamp)> {
    let Issued { certificate, key, renew_at, .. } = authority.issue(NAMES, Timestamp::now())?;
    Ok((Identity::from_pem(&certificate, &key)?, renew_at))
}

/// Replaces the certificate whenever it is time to. Never ends.
pub(crate) async fn renew(authority: Rc<Authority>, mut served: Served) {
    loop {
        tokio::time::sleep(PERIOD).await;
        if Timestamp::now() < served.renew_at {
            continue;
        }
        match issue(&authority) {
            Ok((identity, renew_at)) => {
                info!(next = %renew_at, "the certificate of the API is a new one");
                served.certificates.replace(&[identity]);
                served.renew_at = renew_at;
            }
            Err(error) => warn!(%error, "the certificate of the API cannot be made anew; it is tried again"),
        }
    }
}

/// What the certificates of load balancers say of themselves, by their names in plans.
pub(crate) type Shown = BTreeMap<String, CertificateFacts>;

/// The way of keys, by its ends.
pub(crate) struct WayOfKeys {
    /// Where pairs come in as text.
    pub(crate) keys: watch::Sender<Arc<Keys>>,
    /// Where they are identities that give no key back.
    pub(crate) key_ring: watch::Receiver<Arc<KeyRing>>,
    /// Where they are told of.
    pub(crate) shown: watch::Receiver<Arc<Shown>>,
}

/// Opens the way of keys. Must be called on a [`tokio::task::LocalSet`].
pub(crate) fn way_of_keys() -> WayOfKeys {
    let (keys, mut changes) = watch::channel(Arc::<Keys>::default());
    let (sender, key_ring) = watch::channel(Arc::default());
    let (tell, shown) = watch::channel(Arc::default());
    tokio::task::spawn_local(async move {
        let mut known: HashMap<String, (KeyPair, Identity)> = HashMap::new();
        while changes.changed().await.is_ok() {
            let keys = Arc::clone(&changes.borrow_and_update());
            known.retain(|name, _| keys.by_name.contains_key(name));
            for (name, pair) in &keys.by_name {
                if known.get(name).is_some_and(|(known, _)| known == pair) {
                    continue;
                }
                let identity = match name.strip_prefix(CHALLENGE_NAME) {
                    Some(host) => Identity::challenge_from_pem(host, &pair.certificate, &pair.key),
                    None => Identity::from_pem(&pair.certificate, &pair.key),
                };
                match identity {
                    Ok(identity) => drop(known.insert(name.clone(), (pair.clone(), identity))),
                    Err(error) => warn!(certificate = name, %error, "a certificate cannot be shown"),
                }
            }
            let shown = known.iter().filter(|(name, _)| !name.starts_with(CHALLENGE_NAME));
            let facts = shown.filter_map(|(name, (pair, _))| {
                Some((name.clone(), manifest::read_facts(&pair.certificate)?))
            });
            tell.send_replace(Arc::new(facts.collect()));
            let identities = known.iter().map(|(name, (_, identity))| (name.clone(), identity.clone()));
            sender.send_replace(Arc::new(identities.collect()));
        }
    });
    WayOfKeys { keys, key_ring, shown }
}
