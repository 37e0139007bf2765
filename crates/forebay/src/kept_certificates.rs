//! Where certificates are kept on this machine, and what a command that compiles manifests makes of them.

use std::path::PathBuf;

use anyhow::Context as _;
use control::{CertificateFolders, Place};
use jiff::Timestamp;
use manifest::Defaults;

use crate::globals::Globals;

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

    /// Reads what is kept: where the option says, and what `cert issue` and `cert import` have put into the state folder.
    pub(crate) fn open(&self, globals: &Globals) -> anyhow::Result<CertificateFolders> {
        let mut places = Vec::new();
        if let Some(path) = &self.certificates {
            std::fs::metadata(path)
                .with_context(|| format!("--certificates: cannot read `{}`", path.display()))?;
            places.push(Place { path: path.clone(), is_optional: false });
        }
        places.push(Place { path: globals.certificates_dir(), is_optional: true });
        Ok(CertificateFolders::open(places, Timestamp::now()))
    }
}

/// The region that the environment means, as the AWS CLI has it.
pub(crate) fn with_region(mut defaults: Defaults) -> Defaults {
    let named = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| std::env::var(name).ok());
    defaults.region = defaults.region.or(named.filter(|region| !region.is_empty()));
    defaults
}
