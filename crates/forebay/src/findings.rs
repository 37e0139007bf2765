//! Findings on their way to people.

use manifest::{Finding, Severity};

use crate::globals::Globals;

/// Prints errors and warnings to standard error; what is merely worth knowing only when asked to say more.
pub(crate) fn print(findings: &[Finding], globals: &Globals) {
    let has_color = globals.has_color(&std::io::stderr());
    let least = match (globals.quiet, globals.verbose) {
        (true, _) => Severity::Error,
        (false, 0) => Severity::Warning,
        (false, _) => Severity::Info,
    };
    for finding in findings.iter().filter(|finding| finding.severity <= least) {
        eprintln!("{}", manifest::render(finding, has_color));
    }
}
