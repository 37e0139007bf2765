//! What a listener speaks TLS with: its policy, and its certificates out of the key ring.

use net::{
    Certificates, ClientAuthentication, ClientTrust, Identity, KeyRing, ServerTls, TlsError, TlsSettings,
    TlsVersion,
};
use plan::{ApplicationSettings, Listener, LoadBalancer, TlsPolicy};

/// TLS of one listener, the same on all cores.
#[derive(Debug)]
pub(crate) struct ListenerTls {
    settings: TlsSettings,
    /// Names of its certificates, the first for those who ask for a name that none is for.
    names: Vec<String>,
    certificates: Certificates,
    pub(crate) server: ServerTls,
}

// === impl ListenerTls ===

impl ListenerTls {
    /// TLS of a listener that ends it. Sessions of the one before are resumed where its settings are the same.
    ///
    /// # Errors
    /// When none can be spoken: then nothing is, because whoever is to be kept out would be let in.
    pub(crate) fn of(
        load_balancer: &LoadBalancer,
        listener: &Listener,
        before: Option<&Self>,
    ) -> Result<Option<Self>, TlsError> {
        let Some(settings) = settings_of(load_balancer, listener) else { return Ok(None) };
        let names = listener.certificates.iter().map(|certificate| certificate.arn.clone()).collect();
        if let Some(before) = before.filter(|before| before.settings == settings) {
            let (certificates, server) = (before.certificates.clone(), before.server.clone());
            return Ok(Some(Self { settings, names, certificates, server }));
        }
        let certificates = Certificates::default();
        let server = ServerTls::new(&certificates, &settings)?;
        Ok(Some(Self { settings, names, certificates, server }))
    }

    /// Shows what the key ring has.
    pub(crate) fn follow(&self, keys: &KeyRing) {
        let labelled = |name: &String| keys.get(name).map(|identity| identity.clone().labelled(name));
        let found: Vec<Identity> = self.names.iter().filter_map(labelled).collect();
        self.certificates.replace(&found);
    }
}

fn settings_of(load_balancer: &LoadBalancer, listener: &Listener) -> Option<TlsSettings> {
    if !listener.protocol.is_tls() {
        return None;
    }
    let policy = listener.ssl_policy.as_deref().and_then(TlsPolicy::named).unwrap_or(DEFAULT_POLICY);
    let tls12 = policy.tls12.then_some(TlsVersion::Tls12);
    let tls13 = policy.tls13.then_some(TlsVersion::Tls13);
    let offers_http2 = || ApplicationSettings::of(&load_balancer.attributes).offers_http2;
    let protocols = match listener.protocol.is_http() {
        // The last is for authorities that look whether a host is ours.
        true if offers_http2() => vec!["h2", "http/1.1", net::ACME_TLS],
        true => vec!["http/1.1", net::ACME_TLS],
        false => alpn(listener),
    };
    Some(TlsSettings {
        versions: tls12.into_iter().chain(tls13).collect(),
        cipher_suites: policy.cipher_suites(),
        groups: policy.groups(),
        protocols,
        client_authentication: client_authentication(listener),
    })
}

/// What a listener asks of its clients.
pub(crate) fn client_authentication(listener: &Listener) -> ClientAuthentication {
    match &listener.client_authentication {
        None | Some(plan::ClientAuthentication::Off) => ClientAuthentication::Off,
        Some(plan::ClientAuthentication::Passthrough) => ClientAuthentication::Asked,
        Some(plan::ClientAuthentication::Verify(verification)) => {
            ClientAuthentication::Verified(ClientTrust {
                name: verification.contents.name.clone(),
                authorities: verification.contents.authorities.clone(),
                revocations: verification.contents.revocations.clone(),
                ignores_expiry: verification.ignores_expiry,
                advertises_authorities: verification.advertises_authorities == Some(true),
            })
        }
    }
}

/// Where a policy is not one of AWS's: both versions, and all that is safe.
const DEFAULT_POLICY: TlsPolicy = TlsPolicy {
    tls12: true,
    tls13: true,
    post_quantum: true,
    algorithms: plan::Algorithms::All,
    left_out: plan::LeftOut { versions: None, ciphers: None, groups: None },
};

/// What a Network Load Balancer offers by its ALPN policy ("ALPN policies", NLB user guide).
fn alpn(listener: &Listener) -> Vec<&'static str> {
    match listener.alpn_policy.as_deref() {
        Some("HTTP1Only") => vec!["http/1.1", "http/1.0"],
        Some("HTTP2Only") => vec!["h2"],
        Some("HTTP2Optional") => vec!["http/1.1", "http/1.0", "h2"],
        Some("HTTP2Preferred") => vec!["h2", "http/1.1", "http/1.0"],
        _ => Vec::new(),
    }
}
