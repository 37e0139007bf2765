//! What objects leave open, as it is at this moment: settings of the start, and the certificates that are kept here.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use manifest::{CertificateFolder, Defaults};
use tokio::sync::watch;

/// What objects leave open. Clones follow the same certificates.
#[derive(Clone, Default)]
pub struct LiveDefaults {
    fixed: Defaults,
    kept: Option<watch::Receiver<Arc<CertificateFolder>>>,
}

// === impl LiveDefaults ===

impl LiveDefaults {
    /// Settings, and who tells of the certificates that are kept here.
    #[must_use]
    pub fn new(fixed: Defaults, kept: watch::Receiver<Arc<CertificateFolder>>) -> Self {
        Self { fixed, kept: Some(kept) }
    }

    /// All of it, as it is now.
    #[must_use]
    pub fn now(&self) -> Defaults {
        let mut defaults = self.fixed.clone();
        if let Some(kept) = &self.kept {
            let kept = kept.borrow();
            defaults.kept_trust_stores.clone_from(&kept.trust_stores);
            defaults.kept = Some(kept.kept(Timestamp::now()));
        }
        defaults
    }

    /// The certificates with their keys.
    #[must_use]
    pub fn kept(&self) -> Arc<CertificateFolder> {
        self.kept.as_ref().map(|kept| Arc::clone(&kept.borrow())).unwrap_or_default()
    }

    /// Waits until something is otherwise.
    pub async fn changed(&mut self) {
        let goes_on = match &mut self.kept {
            Some(kept) => kept.changed().await.is_ok(),
            None => false,
        };
        if !goes_on {
            std::future::pending::<()>().await;
        }
    }
}

impl From<Defaults> for LiveDefaults {
    fn from(fixed: Defaults) -> Self {
        Self { fixed, kept: None }
    }
}

impl fmt::Debug for LiveDefaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fixed.fmt(f)
    }
}
