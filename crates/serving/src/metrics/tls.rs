//! What is told of TLS, under the names that load balancers have for it: `forebay_tls_handshake_failures_total` and
//! `forebay_certificate_expiry_timestamp_seconds`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use net::HandshakeFailure;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// The certificate that is shown to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCertificate {
    /// What it is told apart by, for example its file.
    pub name: String,
    /// The first host that it is for.
    pub host: String,
    /// When it ends, in seconds since 1970.
    pub until: i64,
}

/// What is counted of TLS, by all cores together.
#[derive(Debug, Default)]
pub(crate) struct TlsCounts {
    failures: [AtomicU64; HandshakeFailure::ALL.len()],
    certificate: Mutex<Option<ShownCertificate>>,
}

/// The same as it was at a moment.
#[derive(Debug)]
pub(super) struct TlsScrape {
    failures: Vec<(&'static str, u64)>,
    certificate: Option<ShownCertificate>,
}

// === impl TlsCounts ===

impl TlsCounts {
    /// Counts that TLS did not come about.
    pub(crate) fn count(&self, failure: HandshakeFailure) {
        if let Some(place) = HandshakeFailure::ALL.iter().position(|known| *known == failure) {
            self.failures[place].fetch_add(1, Relaxed);
        }
    }

    /// Tells of another certificate from now on.
    pub(crate) fn show(&self, certificate: ShownCertificate) {
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }

    pub(super) fn scrape(&self) -> TlsScrape {
        let counts = HandshakeFailure::ALL.iter().zip(&self.failures);
        let counts = counts.map(|(failure, count)| (failure.as_str(), count.load(Relaxed)));
        TlsScrape {
            failures: counts.filter(|(_, count)| *count > 0).collect(),
            certificate: self.certificate.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Collector for TlsScrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Where no TLS is spoken there is nothing to tell.
        let Some(certificate) = &self.certificate else { return Ok(()) };
        let help = "Connections on which TLS did not come about, by why";
        let mut failures =
            encoder.encode_descriptor("tls_handshake_failures", help, None, MetricType::Counter)?;
        for (reason, count) in &self.failures {
            failures
                .encode_family(&[("reason", *reason)])?
                .encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        let help = "When the certificate that clients are shown ends, in seconds since 1970";
        let seconds = Some(&Unit::Seconds);
        let name = "certificate_expiry_timestamp";
        let mut expiry = encoder.encode_descriptor(name, help, seconds, MetricType::Gauge)?;
        let labels = [("certificate", certificate.name.as_str()), ("host", certificate.host.as_str())];
        expiry.encode_family(&labels)?.encode_gauge(&certificate.until)
    }
}
