//! Findings on their way to people.

use manifest::{Exposure, Finding, Severity};

use crate::globals::Globals;
use crate::storage::starred;

/// Prints errors and warnings to standard error; what is merely worth knowing only when asked to say more.
pub(crate) fn print(findings: &[Finding], globals: &Globals) {
    let has_color = globals.has_color(&std::io::stderr());
    let least = match (globals.quiet, globals.verbose) {
        (true, _) => Severity::Error,
        (false, 0) => Severity::Warning,
        (false, _) => Severity::Info,
    };
    for finding in findings.iter().filter(|finding| finding.severity <= least) {
        eprintln!("{}", starred(&manifest::render(finding, has_color)));
    }
}

/// Who can reach the load balancers of a platform with these options.
pub(crate) fn exposure(is_public: bool, allows_unprotected: bool) -> Exposure {
    match (is_public, allows_unprotected) {
        (false, _) => Exposure::Loopback,
        (true, false) => Exposure::Public,
        (true, true) => Exposure::PublicUnprotected,
    }
}

/// How many of the findings say that something would be open to others although it asks for protection.
pub(crate) fn n_unprotected(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.is_error() && manifest::is_about_protection(finding)).count()
}

/// `2 errors, 1 warning, 0 notes`
pub(crate) fn counts(findings: &[Finding]) -> String {
    let count = |severity: Severity, word: &str| {
        let n = findings.iter().filter(|finding| finding.severity == severity).count();
        format!("{n} {word}{}", if n == 1 { "" } else { "s" })
    };
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")];
    counts.map(|(severity, word)| count(severity, word)).join(", ")
}
