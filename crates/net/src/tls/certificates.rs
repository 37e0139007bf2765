//! Which certificate a server shows to whom.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{ACME_TLS, Identity};

/// The certificates that a server shows. All clones are the same; connections to come see what replaces them.
///
/// A client is shown a certificate for the exact name that it asks for, or else one for all names beside it, or else the
/// first; a client that names nobody gets the first, too. Among several for one name it gets the first whose signature it can
/// check, so that one with an ECDSA key may stand beside one with an RSA key.
#[derive(Clone, Default)]
pub struct Certificates {
    shown: Arc<RwLock<Arc<Shown>>>,
}

#[derive(Default)]
struct Shown {
    /// In order of preference.
    keys: Vec<Arc<CertifiedKey>>,
    /// How they are called.
    labels: Vec<Arc<str>>,
    /// Indices of keys by name; that of a wildcard is without its `*`, for example `.example.com`.
    by_name: HashMap<String, Vec<usize>>,
    /// Answers to authorities, by host.
    challenges: HashMap<String, Arc<CertifiedKey>>,
}

// === impl Certificates ===

impl Certificates {
    /// Shows these certificates. The first is for those who ask for a name that none is for.
    #[must_use]
    pub fn new(identities: &[Identity]) -> Self {
        Self { shown: Arc::new(RwLock::new(Arc::new(Shown::new(identities)))) }
    }

    /// Shows others from now on.
    pub fn replace(&self, identities: &[Identity]) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Shown::new(identities));
    }

    fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut protocols = client.alpn().into_iter().flatten();
        if protocols.any(|protocol| protocol == ACME_TLS.as_bytes())
            && let Some(challenge) =
                client.server_name().and_then(|name| self.shown().challenges.get(name).cloned())
        {
            return Some(challenge);
        }
        let shown = self.shown();
        let index = shown.index_for(client.server_name(), client.signature_schemes())?;
        CHOSEN.set(shown.labels.get(index).cloned());
        shown.keys.get(index).cloned()
    }
}

thread_local! {
    /// How the certificate is called that was chosen last.
    static CHOSEN: Cell<Option<Arc<str>>> = const { Cell::new(None) };
}

/// Runs a handshake, and tells which certificate was chosen in it: whoever chooses is not told for whom, but does so while the
/// handshake is polled.
pub(super) async fn noting_choice<T>(handshake: impl Future<Output = T>) -> (T, Option<Arc<str>>) {
    let (mut handshake, mut chosen) = (pin!(handshake), None);
    let ended = poll_fn(|cx| {
        CHOSEN.set(None);
        let polled = handshake.as_mut().poll(cx);
        chosen = CHOSEN.take().or(chosen.take());
        polled
    });
    (ended.await, chosen)
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.shown().keys.len())
    }
}

// === impl Shown ===

impl Shown {
    fn new(identities: &[Identity]) -> Self {
        let (challenges, identities): (Vec<&Identity>, Vec<&Identity>) =
            identities.iter().partition(|identity| identity.is_challenge);
        let answer =
            |identity: &&Identity| Some((identity.names().first()?.clone(), Arc::clone(&identity.key)));
        let challenges = challenges.iter().filter_map(answer).collect();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, identity) in identities.iter().enumerate() {
            for name in identity.names() {
                let name = name.strip_prefix('*').unwrap_or(name);
                by_name.entry(name.to_owned()).or_default().push(index);
            }
        }
        Self {
            keys: identities.iter().map(|identity| Arc::clone(&identity.key)).collect(),
            labels: identities.iter().map(|identity| Arc::clone(&identity.label)).collect(),
            by_name,
            challenges,
        }
    }

    /// The place of the key for a name, which rustls gives in lower case, that a client with these schemes can check. Where it
    /// can check none, the first for that name, so that the client says what it lacks.
    fn index_for(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<usize> {
        let of_name = |name: &str| self.by_name.get(name).map(Vec::as_slice);
        let beside = |name: &str| name.find('.').and_then(|end| of_name(&name[end..]));
        let fitting = name.and_then(|name| of_name(name).or_else(|| beside(name))).unwrap_or(&[0]);
        let is_checked = |index: &&usize| {
            self.keys.get(**index).is_some_and(|key| key.key.choose_scheme(schemes).is_some())
        };
        let index = *fitting.iter().find(is_checked).or(fitting.first())?;
        (index < self.keys.len()).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> Identity {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        Identity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }

    #[test]
    fn a_name_finds_its_certificate_and_a_wildcard_covers_exactly_one_label() {
        let ecdsa = &rcgen::PKCS_ECDSA_P256_SHA256;
        let identities = [
            identity(&["default.example"], ecdsa),
            identity(&["*.example.com", "example.com"], ecdsa),
            identity(&["API.example.com"], ecdsa),
        ];
        let shown = Shown::new(&identities);
        let index =
            |name: Option<&str>| shown.index_for(name, &[SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
        assert_eq!(index(Some("api.example.com")), 2);
        assert_eq!(index(Some("www.example.com")), 1);
        assert_eq!(index(Some("example.com")), 1);
        assert_eq!(index(Some("a.www.example.com")), 0);
        assert_eq!(index(Some("elsewhere.org")), 0);
        assert_eq!(index(None), 0);
    }

    #[test]
    fn among_several_for_one_name_a_client_gets_one_that_it_can_check() {
        let identities = [
            identity(&["a.example"], &rcgen::PKCS_ECDSA_P256_SHA256),
            identity(&["a.example"], &rcgen::PKCS_ED25519),
        ];
        let shown = Shown::new(&identities);
        let index = |scheme| shown.index_for(Some("a.example"), &[scheme]).unwrap();
        assert_eq!(index(SignatureScheme::ECDSA_NISTP256_SHA256), 0);
        assert_eq!(index(SignatureScheme::ED25519), 1);
        assert_eq!(index(SignatureScheme::RSA_PSS_SHA256), 0);
    }

    #[test]
    fn without_certificates_there_is_nothing_to_show() {
        assert!(Shown::default().index_for(None, &[SignatureScheme::ED25519]).is_none());
    }
}
