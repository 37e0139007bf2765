//! Findings as Events of the objects they are about: each is told once, and again when it comes back.

use std::collections::BTreeSet;

use manifest::{Finding, Severity, codes};
use plan::ObjectRef;

use crate::cluster::Cluster;
use crate::events::Event;

/// The findings of the last pass.
#[derive(Debug, Default)]
pub(super) struct Told {
    findings: BTreeSet<(ObjectRef, String, String)>,
}

impl Told {
    /// Tells findings that are new.
    pub(super) fn tell(&mut self, findings: &[Finding], cluster: &mut impl Cluster) {
        let is_event =
            |finding: &&Finding| finding.severity != Severity::Info && !QUIET.contains(&finding.code);
        let about = findings.iter().filter(is_event);
        let events =
            about.filter_map(|finding| Some((finding.object.clone()?, reason(finding), message(finding))));
        let current: BTreeSet<_> = events.collect();
        for (object, reason, message) in current.difference(&self.findings) {
            cluster.record_event(object, &Event::warning(reason.clone(), message.clone()));
        }
        self.findings = current;
    }
}

/// What is worth a finding and no Event yet.
const QUIET: &[&str] = &[codes::CERTIFICATE_RENEW.name];

/// What takes a load balancer out has the AWS Load Balancer Controller's word; the rest has its own.
fn reason(finding: &Finding) -> String {
    match finding.severity {
        Severity::Error => "FailedBuildModel".to_owned(),
        Severity::Warning | Severity::Info => camel_case(finding.code),
    }
}

/// What is wrong, where, and how to mend it.
pub(super) fn message(finding: &Finding) -> String {
    let field = finding.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    let help = finding.suggestion.as_ref().map(|help| format!("; fix: {help}")).unwrap_or_default();
    format!("{field}{}{help}", finding.message)
}

/// `annotation-unknown` → `AnnotationUnknown`.
fn camel_case(code: &str) -> String {
    let words = code.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_word() {
        assert_eq!(camel_case("annotation-unknown"), "AnnotationUnknown");
        assert_eq!(camel_case("fragment"), "Fragment");
    }
}
