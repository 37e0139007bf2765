//! Everything there is to say about a set of objects, in one list: what `up`, `apply`, `check`, the embedded API's warnings
//! and Events tell is this list, or the part of it about one object.

use std::collections::BTreeSet;

use jiff::Timestamp;
use plan::ObjectRef;

use crate::certificate::Holds;
use crate::compile::PlacedCertificate;
use crate::{
    Compiled, Defaults, Exposure, Finding, KINDS, Objects, Severity, codes, compile, finding, workload,
};

/// Everything there is to say about these objects, in order and each once.
#[must_use]
pub fn findings(objects: &Objects, defaults: &Defaults, now: Timestamp) -> Vec<Finding> {
    findings_of(&compile(objects, defaults), objects, now)
}

/// The same of objects that were read from files, with what was found in reading them.
#[must_use]
pub fn findings_of_files(
    read: Vec<Finding>,
    objects: &Objects,
    defaults: &Defaults,
    now: Timestamp,
) -> Vec<Finding> {
    let mut all = weighed(read, defaults.exposure);
    all.extend(findings(objects, defaults, now));
    finding::sort(&mut all);
    all
}

/// What was found in reading files, where nobody knows yet who can reach the load balancers, as bad as it is for these.
#[must_use]
pub fn weighed(read: Vec<Finding>, exposure: Exposure) -> Vec<Finding> {
    let asks_for_protection = |finding: &Finding| finding.code == codes::PROTECTION_MISSING.name;
    let weigh = |finding| if asks_for_protection(&finding) { exposure.weigh(finding) } else { finding };
    read.into_iter().map(weigh).collect()
}

/// The same for somebody who has compiled the objects already.
#[must_use]
pub fn findings_of(compiled: &Compiled, objects: &Objects, now: Timestamp) -> Vec<Finding> {
    let mut with_children = objects.clone();
    for child in &compiled.children {
        with_children.insert(child.clone());
    }
    let (_, of_workloads) = workload::workloads(&with_children);
    let of_compile = compiled.findings.iter().chain(&compiled.findings_here).cloned();
    let of_time = compiled.certificates.iter().filter_map(|placed| ending(placed, now));
    let mut all: Vec<Finding> = of_compile.chain(of_workloads).chain(of_time).collect();
    // There is no other controller on this machine: what belongs to one is done by nobody.
    for finding in all.iter_mut().filter(|finding| finding.code == codes::NOT_OURS.name) {
        finding.severity = Severity::Warning;
    }
    let place = |finding: &Finding| (finding.object.clone(), finding.field.clone());
    let said: BTreeSet<(Option<ObjectRef>, Option<String>)> = all
        .iter()
        .filter(|finding| finding.severity != Severity::Info && finding.field.is_some())
        .map(place)
        .collect();
    // A note that something has no effect is not worth repeating where it was said what that means.
    let unprotected: BTreeSet<(Option<ObjectRef>, Option<String>)> =
        all.iter().filter(|finding| finding.code == codes::PROTECTION_MISSING.name).map(place).collect();
    let refused: BTreeSet<(Option<ObjectRef>, Option<String>)> =
        all.iter().filter(|finding| finding.is_error()).map(place).collect();
    all.retain(|finding| {
        let is_ignored = IGNORED.contains(&finding.code);
        let is_repeated = is_ignored
            && (unprotected.contains(&place(finding))
                || finding.severity == Severity::Info && said.contains(&place(finding)));
        // Nor is that a cluster would refuse what is refused here.
        let is_doubt = finding.severity == Severity::Warning && finding.code == codes::FIELD_INVALID.name;
        let is_repeated = is_repeated || (is_doubt && refused.contains(&place(finding)));
        !is_repeated && !is_note_about_a_kind(finding, objects)
    });
    finding::sort(&mut all);
    all
}

/// Whether a finding says that something asks for protection which is not there.
#[must_use]
pub fn is_about_protection(finding: &Finding) -> bool {
    finding.code == codes::PROTECTION_MISSING.name
}

/// That a certificate does not hold, or not for long any more. Times are told as dates, so that the same is told every day.
fn ending(placed: &PlacedCertificate, now: Timestamp) -> Option<Finding> {
    const REPLACE: &str = "replace it with one that holds: it is taken up at once";
    let PlacedCertificate { object, field, location, facts } = placed;
    let (whose, until) = (facts.names_in_words(), facts.until.strftime("%Y-%m-%d"));
    let (code, message) = match facts.holds(now) {
        Holds::Well => return None,
        Holds::Ended => (
            &codes::CERTIFICATE_ENDING,
            format!("the certificate for {whose} ended on {until}: clients refuse it"),
        ),
        Holds::NotYet => {
            let from = facts.from.strftime("%Y-%m-%d %H:%M UTC");
            let message =
                format!("the certificate for {whose} does not hold before {from}: clients refuse it");
            (&codes::CERTIFICATE_ENDING, message)
        }
        Holds::ForDays => (
            &codes::CERTIFICATE_ENDING,
            format!("the certificate for {whose} ends within a week, on {until}"),
        ),
        Holds::ForWeeks => {
            (&codes::CERTIFICATE_RENEW, format!("the certificate for {whose} ends on {until}"))
        }
    };
    let finding = Finding::new(code, message).suggest(REPLACE);
    Some(Finding { object: object.clone(), field: field.clone(), location: location.clone(), ..finding })
}

const IGNORED: &[&str] = &[codes::ANNOTATION_NO_EFFECT.name, codes::FIELD_NO_EFFECT.name];

/// Whether a finding is the note about a kind each object of which has a finding of its own.
fn is_note_about_a_kind(finding: &Finding, objects: &Objects) -> bool {
    let told = KINDS.iter().filter(|kind| kind.effect.is_told());
    let mut notes = told.filter_map(|kind| compile::kept_without_effect(kind, objects));
    finding.object.is_none()
        && finding.code == codes::KIND_IGNORED.name
        && notes.any(|note| note.message == finding.message)
}

#[cfg(test)]
mod tests;
