//! A folder of certificates: which file is whose, and what is wrong with them.
//!
//! `ID.crt` with `ID.key`, or `ID.pem` with both, is the certificate whose ARN ends with `/ID`; `certificates.yaml` maps whole
//! ARNs to files:
//!
//! ```yaml
//! arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d: {certificate: api.crt, key: api.key}
//! arn:aws:acm:eu-west-1:111122223333:certificate/4e5f6071: web.pem
//! ```
//!
//! `ID.pem` with certificates of authorities alone is a trust store, and `ID.crl` beside it has what they revoked.
//!
//! Nothing here opens a file: whoever does says what is in them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use plan::KeyPair;
use serde_json::Value;

use crate::certificate::{CertificateFacts, Fault, Part, is_trust_store, read_pair};
use crate::read::parse_yaml;
use crate::trust_store::{KeptTrustStore, read_trust_store};
use crate::{Finding, Location, Severity, codes, text_of};

/// A certificate that is kept on this machine, without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCertificate {
    /// Its ARN, or the last part of it.
    pub name: String,
    /// What it says of itself.
    pub facts: CertificateFacts,
    /// The file that it is in.
    pub file: String,
}

/// A certificate of a folder with its key. It has no `Debug`, so that no log and no error shows one.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptPair {
    /// Without the key.
    pub kept: KeptCertificate,
    /// With it.
    pub pair: KeyPair,
}

/// What a folder has.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CertificateFolder {
    /// The certificates that can be shown, by name.
    pub pairs: BTreeMap<String, KeptPair>,
    /// Whom listeners may believe that they vouch for clients.
    pub trust_stores: Vec<KeptTrustStore>,
    /// What is wrong with the others, in a sentence each.
    pub broken: BTreeMap<String, String>,
    /// Everything that there is to say.
    pub findings: Vec<Finding>,
}

/// Reads a file of a folder by its name there; the error says why that cannot be done.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

/// The files that map ARNs.
pub const MAPS: [&str; 2] = ["certificates.yaml", "certificates.yml"];

/// Forms that certificates come in and that are not read.
const OTHER_FORMS: [&str; 6] = ["cer", "cert", "der", "p12", "pfx", "jks"];
const CONVERT: &str =
    "openssl pkcs12 -in FILE -nodes -out ID.pem, or openssl x509 -inform der -in FILE -out ID.crt";
const MAP_FORM: &str = "ARN: {certificate: FILE, key: FILE}, or ARN: FILE with both in it";

/// The files of one certificate.
struct Files {
    name: String,
    certificate: String,
    key: String,
}

/// What a folder has, of files with these names.
#[must_use]
pub fn read_folder(folder: &str, names: &[String], read: ReadFile<'_>) -> CertificateFolder {
    let mut reader = Reader { folder, names, read, found: CertificateFolder::default() };
    let mut all = reader.mapped(names);
    let mapped: BTreeSet<&String> = all.iter().flat_map(|files| [&files.certificate, &files.key]).collect();
    let rest: Vec<&String> = names.iter().filter(|name| !mapped.contains(name)).collect();
    let by_name = reader.by_name(&rest);
    all.extend(by_name);
    all.iter().for_each(|files| reader.add(files));
    reader.found
}

// === impl KeptCertificate ===

impl KeptCertificate {
    /// Whether an ARN is that of this certificate.
    #[must_use]
    pub fn is_named(&self, arn: &str) -> bool {
        is_name_of(&self.name, arn)
    }
}

/// Whether a name of a folder is an ARN, or its last part.
fn is_name_of(name: &str, arn: &str) -> bool {
    arn == name || arn.rsplit_once('/').is_some_and(|(_, id)| arn.starts_with("arn:") && id == name)
}

// === impl KeptTrustStore ===

impl KeptTrustStore {
    /// Whether an ARN, or a name, is that of this trust store.
    #[must_use]
    pub fn is_named(&self, arn: &str) -> bool {
        is_name_of(&self.name, arn)
    }
}

// === impl CertificateFolder ===

impl CertificateFolder {
    /// The certificate of an ARN.
    #[must_use]
    pub fn pair(&self, arn: &str) -> Option<&KeptPair> {
        self.pairs.get(arn).or_else(|| self.pairs.values().find(|pair| pair.kept.is_named(arn)))
    }

    /// Its certificates without their keys. Those that hold come first, and of them those that do so for longer: one that was
    /// renewed under another name is shown in place of the one before.
    #[must_use]
    pub fn kept(&self, now: Timestamp) -> Vec<KeptCertificate> {
        let mut all: Vec<KeptCertificate> = self.pairs.values().map(|pair| pair.kept.clone()).collect();
        all.sort_by_key(|kept| {
            let holds = kept.facts.holds(now).is_good();
            (Reverse(holds), Reverse(kept.facts.until), kept.name.clone())
        });
        all
    }

    /// What is wrong with the files of an ARN.
    #[must_use]
    pub fn broken(&self, arn: &str) -> Option<&str> {
        let mut broken = self.broken.iter();
        broken.find(|(name, _)| is_name_of(name, arn)).map(|(_, why)| why.as_str())
    }
}

struct Reader<'a> {
    folder: &'a str,
    names: &'a [String],
    read: ReadFile<'a>,
    found: CertificateFolder,
}

// === impl Reader ===

impl Reader<'_> {
    /// What a map says.
    fn mapped(&mut self, names: &[String]) -> Vec<Files> {
        let Some(map) = names.iter().find(|name| MAPS.contains(&name.as_str())) else { return Vec::new() };
        let text = match (self.read)(map).map(text_of) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => return self.refuse_map(map, "is no text"),
            Err(why) => return self.refuse_map(map, &why),
        };
        let value = match parse_yaml(&text) {
            Ok(Value::Object(value)) => value,
            Ok(Value::Null) => return Vec::new(),
            Ok(_) => return self.refuse_map(map, "is no map from ARNs to files"),
            Err(why) => return self.refuse_map(map, &format!("is {why}")),
        };
        let mut all = Vec::new();
        for (arn, files) in value {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let both = match &files {
                Value::String(file) => Some((file.clone(), file.clone())),
                Value::Object(files)
                    if files.keys().all(|key| ["certificate", "key"].contains(&key.as_str())) =>
                {
                    let certificate = files.get("certificate").and_then(text);
                    let key = files.get("key").map_or_else(|| certificate.clone(), text);
                    certificate.zip(key)
                }
                _ => None,
            };
            match both {
                Some((certificate, key)) => all.push(Files { name: arn, certificate, key }),
                None => drop(self.refuse_map(map, &format!("does not say in which files `{arn}` is"))),
            }
        }
        all
    }

    fn refuse_map(&mut self, map: &str, problem: &str) -> Vec<Files> {
        self.say(map, 1, format!("`{map}` {problem}"), MAP_FORM);
        Vec::new()
    }

    /// What the names of files say.
    fn by_name(&mut self, names: &[&String]) -> Vec<Files> {
        let has = |name: &str| names.iter().any(|other| *other == name);
        let mut all: Vec<Files> = Vec::new();
        for name in names.iter().filter(|name| !name.starts_with('.')) {
            let Some((id, form)) = name.rsplit_once('.').filter(|(id, _)| !id.is_empty()) else { continue };
            let key = format!("{id}.key");
            let other = format!("{id}.crt");
            match form {
                "crt" if !has(&key) => {
                    self.break_off(
                        id,
                        name,
                        1,
                        format!("`{name}` has no key beside it: there is no `{key}`"),
                        KEY,
                    );
                }
                "crt" => all.push(Files { name: id.to_owned(), certificate: (*name).clone(), key }),
                "pem" if has(&other) => {
                    let message =
                        format!("`{name}` is not read, because there is `{other}` for the same ARN");
                    self.say(name, 1, message, "keep one of both");
                }
                "pem" => {
                    let key = if has(&key) { key } else { (*name).clone() };
                    all.push(Files { name: id.to_owned(), certificate: (*name).clone(), key });
                }
                "key" if !has(&other) && !has(&format!("{id}.pem")) => {
                    let message = format!("`{name}` has no certificate beside it: there is no `{other}`");
                    self.break_off(
                        id,
                        name,
                        1,
                        message,
                        "put the certificate there, with its chain, in PEM form",
                    );
                }
                form if OTHER_FORMS.contains(&form) => {
                    let message =
                        format!("`{name}` is not read: it is in another form than PEM, or named so");
                    self.say(name, 1, message, CONVERT);
                }
                _ => {}
            }
        }
        all
    }

    fn add(&mut self, files: &Files) {
        let text = |name: &str| match (self.read)(name).map(text_of) {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(_)) => Err(("is no text, so it is not in PEM form".to_owned(), CONVERT)),
            Err(why) => Err((why, "have it read by the user that runs this")),
        };
        let read = (text(&files.certificate), text(&files.key));
        let (certificate, key) = match read {
            (Ok(certificate), Ok(key)) => (certificate, key),
            (Err((why, fix)), _) => {
                let file = &files.certificate;
                return self.break_off(&files.name, file, 1, format!("`{file}` {why}"), fix);
            }
            (_, Err((why, fix))) => {
                let file = &files.key;
                return self.break_off(&files.name, file, 1, format!("`{file}` {why}"), fix);
            }
        };
        // Whom a listener believes is kept in the same folders.
        if files.certificate == files.key && is_trust_store(&certificate) {
            return self.add_trust_store(files, &certificate);
        }
        match read_pair(&certificate, &key) {
            Err(fault) => {
                let (file, message) = files.told(&fault);
                self.break_off(&files.name, file, fault.line, message, fault.fix);
            }
            Ok(read) => {
                for note in &read.notes {
                    let (file, message) = files.told(note);
                    let code =
                        if note.is_mended { &codes::CERTIFICATE_MENDED } else { &codes::CERTIFICATE_INVALID };
                    let finding = Finding::new(code, message).suggest(note.fix);
                    self.found.findings.push(Finding { location: Some(self.at(file, note.line)), ..finding });
                }
                let file = self.path(&files.certificate);
                let kept = KeptCertificate { name: files.name.clone(), facts: read.facts, file };
                self.found.pairs.insert(files.name.clone(), KeptPair { kept, pair: read.pair });
            }
        }
    }

    fn add_trust_store(&mut self, files: &Files, authorities: &str) {
        let file = &files.certificate;
        let list = format!("{}.crl", file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem));
        let revocations = match self.names.contains(&list) {
            false => Ok(String::new()),
            true => (self.read)(&list).and_then(|bytes| text_of(bytes).map_err(|_| "is no text".to_owned())),
        };
        let contents = revocations.and_then(|lists| read_trust_store(&files.name, authorities, &lists));
        match contents {
            Ok(contents) => {
                self.found.trust_stores.push(KeptTrustStore { name: files.name.clone(), contents });
            }
            // Without its list it would let in whom that keeps out.
            Err(why) => self.say(&list, 1, format!("trust store `{file}` with `{list}` {why}"), LIST),
        }
    }

    /// Says why nothing can be shown for a name.
    fn break_off(&mut self, name: &str, file: &str, line: u32, message: String, fix: &str) {
        let place = self.at(file, line);
        let sentence = format!("{message} ({}:{line}); fix: {fix}", place.file);
        self.found.broken.insert(name.to_owned(), sentence);
        self.say(file, line, message, fix);
    }

    fn say(&mut self, file: &str, line: u32, message: String, fix: &str) {
        let finding = Finding::new(&codes::CERTIFICATE_INVALID, message).suggest(fix);
        self.found.findings.push(Finding { location: Some(self.at(file, line)), ..finding });
    }

    /// A place, without the line that stands there: it may be one of a key.
    fn at(&self, file: &str, line: u32) -> Location {
        Location { file: self.path(file), line, column: 1, text: String::new() }
    }

    fn path(&self, file: &str) -> String {
        Path::new(self.folder).join(file).display().to_string()
    }
}

const LIST: &str = "openssl crl -inform der -in FILE -out ID.crl";
const KEY: &str = "put the key there in PEM form, without a passphrase";

// === impl Files ===

impl Files {
    fn told(&self, fault: &Fault) -> (&str, String) {
        let file = match fault.part {
            Part::Certificate => &self.certificate,
            Part::Key => &self.key,
        };
        (file, format!("`{file}` {}", fault.problem))
    }
}

/// That a certificate must be readable by nobody else.
#[must_use]
pub fn others_can_read(file: &str) -> Finding {
    let message = "others than its user can read this key";
    let location = Location { file: file.to_owned(), line: 1, column: 1, text: String::new() };
    let finding = Finding::new(&codes::CERTIFICATE_INVALID, message).with_severity(Severity::Warning);
    Finding { location: Some(location), ..finding.suggest(format!("chmod 600 {file}")) }
}

#[cfg(test)]
mod tests;
