//! The local authority: a key and a certificate in the state folder, with which certificates for this machine are made.
//!
//! Whoever trusts `ca.crt` believes what is served with a certificate of ours. The authority's own key stays in its file;
//! a certificate and its key are made anew at every start, are held in memory only, and are renewed long before they end.
//! It is *not* a place for certificates that others made.
//!
//! Types that hold a private key have no `Debug`, so that no log and no error ever shows one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tracing::warn;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::store::metadata;

/// Makes certificates that whoever trusts this authority believes.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate for a server, and its private key.
#[derive(Clone)]
pub struct Issued {
    /// The names and addresses that it proves.
    pub names: Vec<String>,
    /// The certificate, in PEM form.
    pub certificate: String,
    /// The private key that belongs to it, in PEM form.
    pub key: String,
    /// When the next one should be made: a third of its life before this one ends.
    pub renew_at: Timestamp,
}

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error(
        "`{}` {problem}; bring it back from a backup, or remove {KEY_FILE} and {CERTIFICATE_FILE} together: then a new authority is made, which clients do not trust until they have its {CERTIFICATE_FILE}",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// The authority's certificate, for everybody.
pub const CERTIFICATE_FILE: &str = "ca.crt";
/// The authority's private key, for nobody else.
const KEY_FILE: &str = "ca.key";
/// The largest file that is read, in bytes.
const FILE_LIMIT: u64 = 64 << 10;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How long an authority is one.
const AUTHORITY_DAYS: i32 = 3650;
/// How long a certificate holds. Clients refuse long ones; this one is renewed by itself.
const CERTIFICATE_DAYS: i32 = 90;
/// How long the authority must hold beyond now, so that what it signs never outlives it.
const AUTHORITY_RESERVE_DAYS: i32 = 2 * CERTIFICATE_DAYS;
/// Clocks of two machines differ.
const CLOCK_DAYS: i32 = 1;

// === impl Authority ===

impl Authority {
    /// The authority of a state folder. Made if there is none.
    ///
    /// # Errors
    /// When its files cannot be read or written, or do not hold an authority.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, AuthorityError> {
        let (key_file, certificate_file) = (folder.join(KEY_FILE), folder.join(CERTIFICATE_FILE));
        let key = match (read(&key_file, true)?, certificate_file.exists()) {
            (Some(text), _) => KeyPair::from_pem(&text)
                .map_err(|_| damaged(&key_file, "holds no private key of a kind that is supported here"))?,
            (None, false) => {
                let key = KeyPair::generate()?;
                write(&key_file, &key.serialize_pem(), 0o600)?;
                key
            }
            (None, true) => return Err(damaged(&key_file, "is not there, and its certificate is")),
        };
        let kept = read(&certificate_file, false)?;
        let kept = kept.map(|text| check(&text, &key, now).map(|holds| holds.then_some(text)));
        let certificate = match kept.transpose().map_err(|problem| damaged(&certificate_file, problem))? {
            Some(Some(text)) => text,
            // There was none yet, or it ends soon: its key goes on under a new one.
            Some(None) | None => {
                let text = self_signed(&key, now)?;
                write(&certificate_file, &text, 0o644)?;
                text
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)?;
        Ok(Self { certificate, issuer })
    }

    /// The authority's own certificate in PEM form: what clients have to trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// How it is called in the certificates that it signs.
    #[must_use]
    pub fn subject(&self) -> String {
        manifest::read_facts(&self.certificate).map(|facts| facts.subject).unwrap_or_default()
    }

    /// Makes a certificate for a server of these names and addresses.
    ///
    /// # Errors
    /// When one of the names cannot be that of a server.
    pub fn issue(&self, names: &[&str], now: Timestamp) -> Result<Issued, AuthorityError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(names.clone())?;
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, names.first().map_or("", String::as_str));
        hold(&mut parameters, now, CERTIFICATE_DAYS);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        parameters.is_ca = IsCa::ExplicitNoCa;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            names,
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            renew_at: now + DAY * (CERTIFICATE_DAYS * 2 / 3),
        })
    }
}

fn self_signed(key: &KeyPair, now: Timestamp) -> Result<String, AuthorityError> {
    let mut parameters = CertificateParams::default();
    // Two authorities of one name confuse those who trust both.
    let number: String = metadata::random::<4>().iter().map(|byte| format!("{byte:02x}")).collect();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::OrganizationName, "Forebay");
    parameters.distinguished_name.push(DnType::CommonName, format!("Forebay local authority {number}"));
    hold(&mut parameters, now, AUTHORITY_DAYS);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(parameters.self_signed(key)?.pem())
}

/// Whether a certificate is the authority's and goes on being for long enough. The error says what is wrong with it.
fn check(text: &str, key: &KeyPair, now: Timestamp) -> Result<bool, &'static str> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).map_err(|_| "holds no certificate")?;
    let (_, certificate) =
        X509Certificate::from_der(&pem.contents).map_err(|_| "holds a damaged certificate")?;
    if certificate.public_key().raw != rcgen::PublicKeyData::subject_public_key_info(key) {
        return Err("is the certificate of another key");
    }
    if !certificate.is_ca() {
        return Err("holds a certificate that is no authority's");
    }
    let end = now + DAY * AUTHORITY_RESERVE_DAYS;
    Ok(certificate.validity().not_after.timestamp() > end.as_second())
}

/// Has a certificate hold from now, or a little earlier, for so many days.
fn hold(parameters: &mut CertificateParams, now: Timestamp, days: i32) {
    let midnight = |days: i32| {
        let date = (now + DAY * days).to_zoned(TimeZone::UTC).date();
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    parameters.not_before = midnight(-CLOCK_DAYS);
    parameters.not_after = midnight(days);
}

// === files ===

/// Reads a file that may not be there. One that is for nobody else is closed to others first.
fn read(path: &Path, is_private: bool) -> Result<Option<String>, AuthorityError> {
    let failed = |source| AuthorityError::Read { path: path.to_owned(), source };
    let no_links = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(no_links).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(damaged(path, "is a link, and links are not followed here"));
        }
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if is_private && metadata.mode() & 0o077 != 0 {
        warn!(path = %path.display(), "others could read the authority's key; from now on they cannot");
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed)?;
    }
    let mut text = String::new();
    match file.take(FILE_LIMIT).read_to_string(&mut text) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(damaged(path, "is no text")),
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), AuthorityError> {
    let new = path.with_extension("new");
    let write = || {
        // What an earlier attempt left may have other rights.
        let _ = fs::remove_file(&new);
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|source| AuthorityError::Write { path: path.to_owned(), source })
}

fn damaged(path: &Path, problem: &str) -> AuthorityError {
    AuthorityError::Damaged { path: path.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn parsed<T>(pem: &str, tell: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        tell(&X509Certificate::from_der(&pem.contents).unwrap().1)
    }

    fn error(folder: &Path) -> String {
        Authority::open(folder, now()).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn an_authority_stays_the_same_and_its_key_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), now()).unwrap();
        let again = Authority::open(folder.path(), now()).unwrap();
        assert_eq!(first.certificate(), again.certificate());
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().mode() & 0o777;
        assert_eq!(mode(KEY_FILE), 0o600);
        let key = folder.path().join(KEY_FILE);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        Authority::open(folder.path(), now()).unwrap();
        assert_eq!(mode(KEY_FILE), 0o600);
    }

    #[test]
    fn certificates_hold_for_ninety_days_and_name_what_they_are_for() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), now()).unwrap();
        let issued = authority.issue(&["localhost", "127.0.0.1", "::1"], now()).unwrap();
        assert_eq!(issued.renew_at.to_string(), "2026-04-30T12:00:00Z");
        parsed(&issued.certificate, |certificate| {
            assert_eq!(certificate.validity().not_before.to_string(), "Feb 28 00:00:00 2026 +00:00");
            assert_eq!(certificate.validity().not_after.to_string(), "May 30 00:00:00 2026 +00:00");
            let names = certificate.subject_alternative_name().unwrap().unwrap();
            assert_eq!(names.value.general_names.len(), 3);
            assert!(!certificate.is_ca());
        });
    }

    #[test]
    fn an_authority_that_ends_soon_gets_a_new_certificate_for_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), now()).unwrap();
        let later = now() + DAY * (AUTHORITY_DAYS - AUTHORITY_RESERVE_DAYS + 1);
        let second = Authority::open(folder.path(), later).unwrap();
        let key = |authority: &Authority| {
            parsed(authority.certificate(), |certificate| certificate.public_key().raw.to_vec())
        };
        assert_ne!(first.certificate(), second.certificate());
        assert_eq!(key(&first), key(&second));
    }

    #[test]
    fn damaged_and_foreign_files_are_told() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&folder, &other] {
            Authority::open(folder.path(), now()).unwrap();
        }
        let file = |name: &str| folder.path().join(name);
        let (key, certificate) =
            (fs::read(file(KEY_FILE)).unwrap(), fs::read(file(CERTIFICATE_FILE)).unwrap());

        fs::copy(other.path().join(CERTIFICATE_FILE), file(CERTIFICATE_FILE)).unwrap();
        assert!(error(folder.path()).contains("ca.crt` is the certificate of another key; bring it back"));
        fs::write(file(CERTIFICATE_FILE), "hello").unwrap();
        assert!(error(folder.path()).contains("holds no certificate"));
        fs::write(file(CERTIFICATE_FILE), [0xff, 0xfe]).unwrap();
        assert!(error(folder.path()).contains("is no text"));
        fs::write(file(CERTIFICATE_FILE), &certificate).unwrap();

        fs::write(file(KEY_FILE), &key[..key.len() / 2]).unwrap();
        let told = error(folder.path());
        assert!(told.contains("ca.key` holds no private key"), "{told}");
        fs::remove_file(file(KEY_FILE)).unwrap();
        assert!(error(folder.path()).contains("ca.key` is not there, and its certificate is"));
        std::os::unix::fs::symlink(other.path().join(KEY_FILE), file(KEY_FILE)).unwrap();
        assert!(error(folder.path()).contains("is a link"));

        fs::remove_file(file(KEY_FILE)).unwrap();
        fs::write(file(KEY_FILE), &key).unwrap();
        Authority::open(folder.path(), now()).unwrap();
    }
}
