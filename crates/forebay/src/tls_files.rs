//! The certificate of `forebay serve`: two files, read again when they change.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use manifest::{CertificateFacts, Fault, Part};
use net::{Certificates, Identity, ServerTls, TlsSettings};
use serving::{Server, ShownCertificate};
use tracing::{info, warn};

/// What TLS is spoken with, in the words of KServe's server too.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TlsFiles {
    /// Speak https with this certificate, followed by its chain, in PEM form; it is read again when it changes
    #[arg(
        long,
        value_name = "FILE",
        env = "KSERVE_TLS_CERT_FILE",
        alias = "ssl_certfile",
        alias = "ssl-certfile"
    )]
    tls_cert: Option<PathBuf>,

    /// Its key in PEM form [default: in the same file]
    #[arg(
        long,
        value_name = "FILE",
        env = "KSERVE_TLS_KEY_FILE",
        alias = "ssl_keyfile",
        alias = "ssl-keyfile"
    )]
    tls_key: Option<PathBuf>,
}

/// Both files, and what is shown of them.
pub(crate) struct Served {
    certificate: PathBuf,
    key: PathBuf,
    certificates: Certificates,
    /// What the certificate that is shown says of itself.
    facts: CertificateFacts,
    sign: Sign,
    pub(crate) tls: ServerTls,
}

/// By what it is seen that files are others.
type Sign = [Option<(u64, u64, i64, i64)>; 2];

/// How often it is looked whether they are.
const POLL: Duration = Duration::from_secs(1);

// === impl TlsFiles ===

impl TlsFiles {
    /// Whether TLS is to be spoken.
    pub(crate) fn is_wanted(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Reads them for the first time; nothing when no TLS is to be spoken.
    pub(crate) fn open(&self) -> anyhow::Result<Option<Served>> {
        let Some(certificate) = self.tls_cert.clone() else {
            if self.tls_key.is_some() {
                bail!("--tls-key is the key of no certificate: name that with --tls-cert");
            }
            return Ok(None);
        };
        let key = self.tls_key.clone().unwrap_or_else(|| certificate.clone());
        let sign = sign(&certificate, &key);
        let (identity, facts) = read(&certificate, &key)?;
        if !facts.holds(Timestamp::now()).is_good() {
            warn!("{}", not_now(&certificate, &facts));
        }
        let certificates = Certificates::new(&[identity]);
        let tls = ServerTls::new(&certificates, &TlsSettings::default())?;
        Ok(Some(Served { certificate, key, certificates, facts, sign, tls }))
    }
}

// === impl Served ===

impl Served {
    /// Shows what the files have whenever they change; what cannot be shown, or does not hold while what is shown does, leaves
    /// that. Never ends.
    pub(crate) async fn follow(mut self, server: Server) {
        loop {
            server.show_certificate(self.shown());
            tokio::time::sleep(POLL).await;
            let sign = sign(&self.certificate, &self.key);
            if sign == self.sign {
                continue;
            }
            self.sign = sign;
            match read(&self.certificate, &self.key) {
                Ok((_, facts)) if !is_better(&facts, &self.facts, Timestamp::now()) => {
                    let why = not_now(&self.certificate, &facts);
                    warn!("the certificate before goes on to be shown: {why}");
                }
                Ok((identity, facts)) => {
                    self.certificates.replace(&[identity]);
                    self.facts = facts;
                    info!(certificate = %self.certificate.display(), "another certificate is shown");
                }
                Err(error) => warn!("the certificate before goes on to be shown: {error:#}"),
            }
        }
    }
}

impl Served {
    /// What metrics tell of it.
    fn shown(&self) -> ShownCertificate {
        ShownCertificate {
            name: self.certificate.display().to_string(),
            host: self.facts.names.first().cloned().unwrap_or_default(),
            until: self.facts.until.as_second(),
        }
    }
}

/// Whether a certificate may take the place of the one before.
fn is_better(later: &CertificateFacts, before: &CertificateFacts, now: Timestamp) -> bool {
    later.holds(now).is_good() || !before.holds(now).is_good()
}

fn not_now(certificate: &Path, facts: &CertificateFacts) -> String {
    format!("{}: it does not hold now, but from {} to {}", certificate.display(), facts.from, facts.until)
}

fn read(certificate: &Path, key: &Path) -> anyhow::Result<(Identity, CertificateFacts)> {
    let text = |path: &Path| -> anyhow::Result<String> {
        let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let text = manifest::text_of(bytes);
        text.map_err(|_| anyhow::anyhow!("`{}` is no text, so it is not in PEM form", path.display()))
    };
    let place = |fault: &Fault| match fault.part {
        Part::Certificate => format!("{}:{}", certificate.display(), fault.line),
        Part::Key => format!("{}:{}", key.display(), fault.line),
    };
    let read = match manifest::read_pair(&text(certificate)?, &text(key)?) {
        Ok(read) => read,
        Err(fault) => bail!("{}: it {}\n  fix: {}", place(&fault), fault.problem, fault.fix),
    };
    for note in &read.notes {
        warn!("{}: it {}", place(note), note.problem);
    }
    Ok((Identity::from_pem(&read.pair.certificate, &read.pair.key)?, read.facts))
}

fn sign(certificate: &Path, key: &Path) -> Sign {
    [certificate, key].map(|path| {
        let found = fs::metadata(path).ok()?;
        Some((found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
    })
}
