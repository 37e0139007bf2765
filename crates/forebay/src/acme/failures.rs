//! Why certificates did not come by ACME, in a few words that metrics can count by.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use instant_acme::Error;

/// What is counted. A clone counts with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct AcmeFailures {
    by_reason: Rc<RefCell<BTreeMap<&'static str, u64>>>,
}

/// What is behind a transport error whose authority nobody here trusts, as rustls says it.
const UNTRUSTED: &str = "UnknownIssuer";
/// The same of one that shows an authority's certificate where a server's belongs.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";

impl AcmeFailures {
    pub(super) fn count(&self, reason: &'static str) {
        *self.by_reason.borrow_mut().entry(reason).or_default() += 1;
    }

    /// In the OpenMetrics text format.
    pub(crate) fn metrics(&self) -> String {
        let by_reason = self.by_reason.borrow();
        if by_reason.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "# HELP forebay_acme_failures Certificates that did not come by ACME, by why.\n\
             # TYPE forebay_acme_failures counter\n",
        );
        for (reason, count) in by_reason.iter() {
            text.push_str(&format!("forebay_acme_failures_total{{reason=\"{reason}\"}} {count}\n"));
        }
        text
    }
}

/// What an error comes down to.
pub(super) fn reason(error: &anyhow::Error) -> &'static str {
    if error.is::<tokio::time::error::Elapsed>() {
        return "timed-out";
    }
    match error.downcast_ref::<Error>() {
        Some(Error::Api(problem)) => match problem.r#type.as_deref() {
            Some(kind) if kind.ends_with(":rateLimited") => "rate-limited",
            _ => "refused",
        },
        Some(Error::Timeout(_)) => "timed-out",
        Some(Error::Other(inner)) if inner.to_string().contains(UNTRUSTED) => "directory-untrusted",
        Some(Error::Other(inner)) if inner.to_string().contains(AUTHORITY_AS_SERVER) => {
            "directory-certificate"
        }
        Some(Error::Other(_) | Error::Http(_)) => "directory-unreachable",
        Some(_) => "other",
        None if error.to_string().starts_with(super::order::REFUSED) => "refused",
        None => "other",
    }
}

/// What to do about an error, to be put behind it.
pub(super) fn fix(reason: &str) -> &'static str {
    match reason {
        "directory-untrusted" => "; name whoever signed the directory's certificate with --acme-root FILE",
        "directory-certificate" => {
            "; the directory's server shows a certificate of an authority (CA:TRUE): give it one of its own, signed by that \
             authority, and name the authority with --acme-root FILE"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let other = |text: &str| anyhow::Error::new(Error::Other(text.to_owned().into()));
        let untrusted = other("error sending request: invalid peer certificate: UnknownIssuer");
        assert_eq!(reason(&untrusted), "directory-untrusted");
        assert!(fix(reason(&untrusted)).contains("--acme-root"));
        let authority = other("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))");
        assert_eq!(reason(&authority), "directory-certificate");
        assert!(fix(reason(&authority)).contains("CA:TRUE"));
        assert_eq!(reason(&other("connection refused")), "directory-unreachable");
        assert_eq!(reason(&anyhow::anyhow!("{}: no such name", super::super::order::REFUSED)), "refused");
        assert_eq!(reason(&anyhow::Error::new(Error::Timeout(None))), "timed-out");
        let failures = AcmeFailures::default();
        assert_eq!(failures.metrics(), "");
        failures.count("refused");
        assert!(failures.metrics().ends_with("forebay_acme_failures_total{reason=\"refused\"} 1\n"));
    }
}
