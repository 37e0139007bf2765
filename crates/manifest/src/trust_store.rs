//! Trust stores: authorities that vouch for clients, and their lists of certificates that hold no more, as texts that somebody
//! made.

use plan::TrustStore;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::certificate::{blocks, written};

/// A trust store that is kept in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTrustStore {
    /// Its ARN, or the last part of it.
    pub name: String,
    /// What is in it.
    pub contents: TrustStore,
}

/// What is called a list of revocations in PEM (RFC 7468 §5).
const REVOCATIONS: &str = "X509 CRL";

/// Reads a trust store; nothing but authorities and lists is left of its texts.
///
/// # Errors
/// Why nobody could be believed by it, to be put behind the name of the text.
pub(crate) fn read_trust_store(
    name: &str,
    authorities: &str,
    revocations: &str,
) -> Result<TrustStore, String> {
    let authorities = kept(authorities, "CERTIFICATE", |der| X509Certificate::from_der(der).is_ok())?;
    if authorities.is_empty() {
        return Err("has no certificate of an authority in PEM form".to_owned());
    }
    let lists = kept(revocations, REVOCATIONS, |der| CertificateRevocationList::from_der(der).is_ok())?;
    if lists.is_empty() && !revocations.trim().is_empty() {
        return Err("has a list of revoked certificates that is not in PEM form".to_owned());
    }
    Ok(TrustStore { name: name.into(), authorities: authorities.into(), revocations: lists.into() })
}

fn kept(text: &str, label: &str, is_one: impl Fn(&[u8]) -> bool) -> Result<String, String> {
    let found = blocks(text).map_err(crate::certificate::Broken::in_words)?;
    let mut kept = String::new();
    for block in found.iter().filter(|block| block.label == label) {
        if !is_one(&block.der) {
            return Err(format!("has a {label} in line {} that cannot be read", block.line));
        }
        kept.push_str(&written(label, &block.der));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem()
    }

    #[test]
    fn only_authorities_and_lists_are_left_of_the_texts() {
        let (one, other) = (authority(), authority());
        let text = format!("# ours\n{one}\njunk\n{other}");
        let store = read_trust_store("secret:a/b", &text, "").unwrap();
        assert_eq!(store.authorities.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(!store.authorities.contains("junk") && store.revocations.is_empty());
    }

    #[test]
    fn what_would_let_in_nobody_or_everybody_is_refused() {
        let good = authority();
        for (authorities, revocations, expected) in [
            ("", "", "has no certificate"),
            ("junk", "", "has no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n",
                "",
                "has a CERTIFICATE in line 1",
            ),
            ("-----BEGIN CERTIFICATE-----\nAQID\n", "", "no end"),
            (&good, "junk", "is not in PEM form"),
            (&good, "-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n", "has a X509 CRL in line 1"),
        ] {
            let problem = read_trust_store("a", authorities, revocations).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
