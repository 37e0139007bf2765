//! A certificate with its chain and its private key, as texts that somebody made: read, looked at closely, put in order.
//!
//! What is wrong is told with its line, its cause and what to do. It is *not* who decides which certificate is shown to whom,
//! and it has no clock: whether a certificate holds is asked with a time.

mod pem;

use jiff::{SignedDuration, Timestamp};
use plan::KeyPair;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey;

use pem::Block;
pub(crate) use pem::{Broken, blocks, written};

/// A certificate that can be shown. It holds a private key, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadPair {
    /// The certificate, then its chain in order, and the key; nothing else stands in these texts.
    pub pair: KeyPair,
    /// What the certificate says of itself.
    pub facts: CertificateFacts,
    /// What was mended in reading it, or will keep clients from believing it.
    pub notes: Vec<Fault>,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The names and addresses that it proves, in lower case.
    pub names: Vec<String>,
    /// Whom it is about, for example `CN=api.example.com`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its number, in hexadecimal.
    pub serial: String,
    /// From when it holds.
    pub from: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
    /// The kind of its key, for example `ECDSA P-256`.
    pub key: String,
    /// SHA-256 of the whole certificate, in hexadecimal.
    pub fingerprint: String,
    /// How many certificates come with it.
    pub n_chain: usize,
}

/// Whether a certificate holds at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holds {
    /// It has ended.
    Ended,
    /// It begins later.
    NotYet,
    /// For less than [`EVENT_DAYS`].
    ForDays,
    /// For less than [`FINDING_DAYS`].
    ForWeeks,
    /// For longer.
    Well,
}

/// A mistake in a text with certificates or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The text that it is in.
    pub part: Part,
    /// The line in that text, from 1.
    pub line: u32,
    /// What is wrong, to be put behind the name of the text.
    pub problem: String,
    /// What to do about it.
    pub fix: &'static str,
    /// Whether it makes no difference any more, because it was put right in reading.
    pub is_mended: bool,
}

/// One of the two texts of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// That of the certificate.
    Certificate,
    /// That of the key.
    Key,
}

/// A certificate that ends within this many days is worth a finding, and within this many an Event; of one that does not live
/// long, within a third and a sixth of its life.
pub const FINDING_DAYS: i64 = 30;
/// See [`FINDING_DAYS`].
pub const EVENT_DAYS: i64 = 7;

/// The longest text that is read, in bytes.
pub const TEXT_LIMIT: usize = 256 << 10;
/// The most certificates that may come with one.
const CHAIN_LIMIT: usize = 16;

const EXPORT: &str = "export both in PEM form, with the key that the certificate was asked for with";
const BOTH: &str = "put the key beside the certificate in PEM form, without a passphrase";
const WHOLE: &str = "copy the file again, whole and unchanged";
const DECRYPT: &str = "store it without a passphrase: openssl pkey -in KEY -out KEY.plain";

/// Reads a pair. The texts may be one and the same; what else stands in them is passed over (RFC 7468 §2).
///
/// # Errors
/// Why nothing can be shown with it.
pub fn read_pair(certificate: &str, key: &str) -> Result<ReadPair, Fault> {
    let chain = chain_of(certificate)?;
    let (key_line, key_pem, key) = key_of(key)?;
    let parsed = chain.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let public = key.public_key_raw();
    let own = |found: &X509Certificate<'_>| found.public_key().subject_public_key.data.as_ref() == public;
    let Some(leaf) = parsed.iter().position(own) else {
        let subject = parsed[0].subject().to_string();
        let whose = if subject.is_empty() { String::new() } else { format!(" ({subject})") };
        let problem = format!("is not the key of the certificate{whose}");
        return Err(Fault { part: Part::Key, line: key_line, problem, fix: EXPORT, is_mended: false });
    };
    let (order, mut notes) = in_order(&parsed, leaf, &chain);
    let facts = facts(&parsed[leaf], &chain[leaf].der, order.len() - 1);
    if facts.names.is_empty() {
        notes.push(Fault {
            part: Part::Certificate,
            line: chain[leaf].line,
            problem: format!(
                "names no host: `{}` is only its subject, which clients pass over",
                facts.subject
            ),
            fix: "have one made with the hosts in its subjectAltName",
            is_mended: false,
        });
    }
    let certificate = order.iter().map(|index| written("CERTIFICATE", &chain[*index].der)).collect();
    Ok(ReadPair { pair: KeyPair { certificate, key: key_pem }, facts, notes })
}

/// What the first certificate of a text says of itself; `None` when there is none.
#[must_use]
pub fn read_facts(certificate: &str) -> Option<CertificateFacts> {
    let chain = chain_of(certificate).ok()?;
    let first = chain.first()?;
    Some(facts(&parse(first).ok()?, &first.der, chain.len() - 1))
}

/// The same of one in DER form.
#[must_use]
pub fn facts_of_der(certificate: &[u8]) -> Option<CertificateFacts> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(facts(&parsed, certificate, 0))
}

/// Whether a text has certificates of authorities and nothing else, as trust stores have.
#[must_use]
pub fn is_trust_store(text: &str) -> bool {
    let Ok(blocks) = blocks(text) else { return false };
    let is_authority = |block: &Block<'_>| {
        block.label == "CERTIFICATE"
            && X509Certificate::from_der(&block.der).is_ok_and(|(_, certificate)| certificate.is_ca())
    };
    !blocks.is_empty() && blocks.iter().all(is_authority)
}

/// Whether a certificate for `domain` is one for `host`; a wildcard stands for one label (RFC 9525 §6.3).
#[must_use]
pub fn covers(domain: &str, host: &str) -> bool {
    let below = domain.strip_prefix("*.").zip(host.split_once('.'));
    domain.eq_ignore_ascii_case(host)
        || below.is_some_and(|(parent, (_, rest))| parent.eq_ignore_ascii_case(rest))
}

// === impl CertificateFacts ===

impl CertificateFacts {
    /// Whether it proves a host.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| covers(name, host))
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> Holds {
        let left = self.until.duration_since(now);
        // One that lives for a week only is renewed in its last days, and not always about to end.
        let life = self.until.duration_since(self.from);
        let days = |days: i64| SignedDuration::from_hours(24 * days).min(life / 3);
        match () {
            () if left.is_negative() => Holds::Ended,
            () if now < self.from => Holds::NotYet,
            () if left < days(EVENT_DAYS).min(life / 6) => Holds::ForDays,
            () if left < days(FINDING_DAYS) => Holds::ForWeeks,
            () => Holds::Well,
        }
    }

    /// Names for people: `a.example, b.example and 3 more`.
    #[must_use]
    pub fn names_in_words(&self) -> String {
        const SHOWN: usize = 3;
        let shown = self.names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.names.len() {
            0 => self.subject.clone(),
            n if n > SHOWN => format!("{shown} and {} more", n - SHOWN),
            _ => shown,
        }
    }
}

impl Holds {
    /// Whether clients take it now.
    #[must_use]
    pub fn is_good(self) -> bool {
        self > Self::NotYet
    }
}

// === reading ===

fn fault(part: Part, line: u32, problem: &str, fix: &'static str) -> Fault {
    Fault { part, line, problem: problem.to_owned(), fix, is_mended: false }
}

fn chain_of(text: &str) -> Result<Vec<Block<'_>>, Fault> {
    let found = blocks(text).map_err(|broken| broken.fault(Part::Certificate))?;
    let first = found.first().map(|block| (block.line, block.label.to_owned()));
    let chain: Vec<Block<'_>> = found.into_iter().filter(|block| block.label == "CERTIFICATE").collect();
    match (first, chain.len()) {
        (None, _) => Err(fault(Part::Certificate, 1, "has no certificate in PEM form", EXPORT)),
        (Some((line, label)), 0) => {
            let problem = format!("has no certificate; there is: {label}");
            Err(Fault { part: Part::Certificate, line, problem, fix: EXPORT, is_mended: false })
        }
        (_, n) if n > CHAIN_LIMIT => {
            let problem = format!("has {n} certificates; no chain is longer than {CHAIN_LIMIT}");
            let fix = "leave out what is not between the certificate and its authority";
            Err(Fault {
                part: Part::Certificate,
                line: chain[CHAIN_LIMIT].line,
                problem,
                fix,
                is_mended: false,
            })
        }
        _ => Ok(chain),
    }
}

fn parse<'a>(block: &'a Block<'_>) -> Result<X509Certificate<'a>, Fault> {
    let parsed = X509Certificate::from_der(&block.der);
    let problem = "has something damaged where a certificate should be";
    parsed.map(|(_, parsed)| parsed).map_err(|_| fault(Part::Certificate, block.line, problem, WHOLE))
}

/// The private key: its line, its text and what it is.
fn key_of(text: &str) -> Result<(u32, String, rcgen::KeyPair), Fault> {
    let found = blocks(text).map_err(|broken| broken.fault(Part::Key))?;
    let Some(block) = found.iter().find(|block| block.label.ends_with("PRIVATE KEY")) else {
        return Err(fault(Part::Key, 1, "has no private key", BOTH));
    };
    if block.is_encrypted || block.label == "ENCRYPTED PRIVATE KEY" {
        let problem = "has an encrypted key, and nobody is there to type its passphrase";
        return Err(fault(Part::Key, block.line, problem, DECRYPT));
    }
    let written = written(block.label, &block.der);
    let key = rcgen::KeyPair::from_pem(&written).map_err(|_| {
        let problem = "has a key that is damaged, or of a kind that is not spoken here";
        fault(Part::Key, block.line, problem, "RSA from 2048 bits, ECDSA P-256, P-384 or Ed25519 are")
    })?;
    Ok((block.line, written, key))
}

/// The chain from a certificate towards its authority, by index, and what had to be mended.
fn in_order(parsed: &[X509Certificate<'_>], leaf: usize, chain: &[Block<'_>]) -> (Vec<usize>, Vec<Fault>) {
    let mut order = vec![leaf];
    let mut current = leaf;
    // A certificate that signed itself is the end.
    while parsed[current].issuer() != parsed[current].subject() {
        let is_next =
            |index: &usize| !order.contains(index) && parsed[*index].subject() == parsed[current].issuer();
        let Some(next) = (0..parsed.len()).find(is_next) else { break };
        order.push(next);
        current = next;
    }
    let mut notes = Vec::new();
    if !order.is_sorted() {
        let line = chain[order.windows(2).find(|pair| pair[1] < pair[0]).map_or(0, |pair| pair[1])].line;
        notes.push(Fault {
            part: Part::Certificate,
            line,
            problem: "has its chain in another order; it is sent in the right one".to_owned(),
            fix: "put the certificate first, then each behind the one that it signed",
            is_mended: true,
        });
    }
    if let Some(other) = (0..parsed.len()).find(|index| !order.contains(index)) {
        notes.push(Fault {
            part: Part::Certificate,
            line: chain[other].line,
            problem: format!(
                "has a certificate that is not of its chain and is left out ({})",
                parsed[other].subject()
            ),
            fix: "leave it out, or add what is missing between it and the others",
            is_mended: true,
        });
    }
    (order, notes)
}

fn facts(certificate: &X509Certificate<'_>, der: &[u8], n_chain: usize) -> CertificateFacts {
    let time = |seconds: i64, else_at: Timestamp| Timestamp::from_second(seconds).unwrap_or(else_at);
    CertificateFacts {
        names: names(certificate),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: hexadecimal(certificate.raw_serial(), ":"),
        from: time(certificate.validity().not_before.timestamp(), Timestamp::MIN),
        until: time(certificate.validity().not_after.timestamp(), Timestamp::MAX),
        key: kind_of_key(certificate),
        fingerprint: fingerprint(der),
        n_chain,
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
        },
        _ => None,
    };
    alternative.value.general_names.iter().filter_map(name).collect()
}

fn kind_of_key(certificate: &X509Certificate<'_>) -> String {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("ECDSA P-{}", point.key_size()),
        _ if certificate.public_key().algorithm.algorithm.to_id_string() == "1.3.101.112" => {
            "Ed25519".to_owned()
        }
        _ => certificate.public_key().algorithm.algorithm.to_id_string(),
    }
}

fn fingerprint(der: &[u8]) -> String {
    use sha2::Digest as _;
    hexadecimal(&sha2::Sha256::digest(der), ":")
}

fn hexadecimal(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
pub(crate) mod tests;
