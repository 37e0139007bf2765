//! Where certificates are kept on this machine, and what a command that compiles manifests makes of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use control::{CertificateFolders, Place};
use jiff::Timestamp;
use manifest::Defaults;

use crate::globals::Globals;
use crate::platform::write_private;

/// Certificates by ARN, the same for every command that takes them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeptCertificates {
    /// Certificates by ARN: a folder of ID.crt with ID.key, or ID.pem with both; or a certificates.yaml that maps ARNs to files
    #[arg(long, env = "FOREBAY_CERTIFICATES", value_name = "DIR|FILE")]
    certificates: Option<PathBuf>,
}

impl KeptCertificates {
    /// Whether somebody named some.
    pub(crate) fn is_named(&self) -> bool {
        self.certificates.is_some()
    }

    /// The same as words of a command.
    pub(crate) fn words(&self) -> Vec<String> {
        let words = |path: &PathBuf| vec!["--certificates".to_owned(), path.display().to_string()];
        self.certificates.as_ref().map(words).unwrap_or_default()
    }

    /// Reads what is kept: where the option says, and in the state folder what `cert issue` and `cert import`
    /// have put there and what came by ACME.
    pub(crate) fn open(&self, globals: &Globals) -> anyhow::Result<CertificateFolders> {
        let mut places = Vec::new();
        if let Some(path) = &self.certificates {
            fs::metadata(path)
                .with_context(|| format!("--certificates: cannot read `{}`", path.display()))?;
            places.push(Place { path: path.clone(), is_optional: false });
        }
        for path in [globals.certificates_dir(), globals.acme_dir()] {
            places.push(Place { path, is_optional: true });
        }
        Ok(CertificateFolders::open(places, Timestamp::now()))
    }
}

/// Keeps a pair in a folder that `forebay up` looks into. The key comes first: a certificate whose key is not there yet is no fault of
/// anybody.
pub(crate) fn keep(folder: &Path, id: &str, pair: &plan::KeyPair) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    write_private(&folder.join(format!("{id}.key")), &pair.key)?;
    write_private(&folder.join(format!("{id}.crt")), &pair.certificate)
}

/// The region that the environment means, as the AWS CLI has it.
pub(crate) fn with_region(mut defaults: Defaults) -> Defaults {
    let named = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| std::env::var(name).ok());
    defaults.region = defaults.region.or(named.filter(|region| !region.is_empty()));
    defaults
}
