//! Findings on their way to people.

use std::path::PathBuf;

use manifest::{Exposure, Finding, Severity, starred};

use crate::applied::quoted;
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
        eprintln!("{}", starred(&manifest::render(finding, has_color)));
    }
}

/// How many notes were not printed, and what shows them: `3 more notes: forebay check deploy/`. Options without which `check`
/// would say other things stand before the paths.
pub(crate) fn unprinted(
    findings: &[Finding],
    paths: &[PathBuf],
    options: &[String],
    globals: &Globals,
) -> Option<String> {
    let n_notes = findings.iter().filter(|finding| finding.severity == Severity::Info).count();
    if globals.quiet || globals.verbose > 0 || n_notes == 0 {
        return None;
    }
    let word = if n_notes == 1 { "note" } else { "notes" };
    // What comes through a pipe is gone, and what was applied before has no path.
    let can_be_read_again = |path: &PathBuf| path.is_file() || path.is_dir();
    let command = if !paths.is_empty() && paths.iter().all(can_be_read_again) {
        let paths = paths.iter().map(|path| path.display().to_string());
        let words: Vec<String> = options.iter().cloned().chain(paths).map(|word| quoted(&word)).collect();
        format!("forebay check {}", words.join(" "))
    } else {
        "forebay up -v".to_owned()
    };
    Some(format!("{n_notes} more {word}: {command}"))
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

#[cfg(test)]
mod tests {
    use manifest::codes;

    use super::*;
    use crate::globals::Color;

    #[test]
    fn notes_that_are_not_printed_are_counted_with_the_command_that_shows_them() {
        let note = || Finding::new(&codes::FIELD_NO_EFFECT, "it has none").with_severity(Severity::Info);
        let globals = |verbose, quiet| Globals { state_dir: None, color: Color::Never, verbose, quiet };
        let folder = tempfile::tempdir().unwrap();
        let path = vec![folder.path().to_owned()];
        let told = |n: usize, paths: &[PathBuf], globals: &Globals| {
            unprinted(&(0..n).map(|_| note()).collect::<Vec<_>>(), paths, &[], globals)
        };
        let command = format!("forebay check {}", quoted(&folder.path().display().to_string()));
        assert_eq!(told(2, &path, &globals(0, false)), Some(format!("2 more notes: {command}")));
        let options = ["--certificates".to_owned(), "my certs".to_owned()];
        let with_options = unprinted(&[note()], &path, &options, &globals(0, false)).unwrap();
        assert!(with_options.contains("forebay check --certificates 'my certs' "), "{with_options}");
        assert_eq!(told(1, &[], &globals(0, false)).as_deref(), Some("1 more note: forebay up -v"));
        for (n, globals) in [(0, globals(0, false)), (2, globals(1, false)), (2, globals(0, true))] {
            assert_eq!(told(n, &path, &globals), None);
        }
    }
}
