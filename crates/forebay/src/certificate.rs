//! The certificate that the embedded API is served with: made at the start, and made anew before it ends.

use std::time::Duration;

use control::{Authority, Issued};
use jiff::Timestamp;
use net::{Certificates, Identity};
use tracing::{info, warn};

/// By what a client of this machine may ask for the API; and by what a pod would on Kubernetes.
const NAMES: &[&str] = &["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default.svc"];

/// How often it is looked at whether the certificate has to be made anew. A long sleep would not count the time for which a
/// machine was suspended.
const PERIOD: Duration = Duration::from_secs(600);

/// What is shown to clients, and until when.
pub(crate) struct Served {
    pub(crate) certificates: Certificates,
    renew_at: Timestamp,
}

/// Makes the first certificate.
pub(crate) fn serve(authority: &Authority) -> anyhow::Result<Served> {
    let (identity, renew_at) = issue(authority)?;
    Ok(Served { certificates: Certificates::new(identity)?, renew_at })
}

fn issue(authority: &Authority) -> anyhow::Result<(Identity, Timestamp)> {
    let Issued { certificate, key, renew_at } = authority.issue(NAMES, Timestamp::now())?;
    Ok((Identity::from_pem(&certificate, &key)?, renew_at))
}

/// Replaces the certificate whenever it is time to. Never ends.
pub(crate) async fn renew(authority: Authority, mut served: Served) {
    loop {
        tokio::time::sleep(PERIOD).await;
        if Timestamp::now() < served.renew_at {
            continue;
        }
        match issue(&authority) {
            Ok((identity, renew_at)) => {
                info!(next = %renew_at, "the certificate of the API is a new one");
                served.certificates.replace(identity);
                served.renew_at = renew_at;
            }
            Err(error) => warn!(%error, "the certificate of the API cannot be made anew; it is tried again"),
        }
    }
}
