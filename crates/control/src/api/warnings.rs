//! What there is to say about an object to the one who writes it: `Warning` fields, which kubectl prints, or findings as
//! JSON for a client that knows the file they are about.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use manifest::{Defaults, Finding, Object, Objects, Severity, codes};
use serde_json::json;

use super::Settings;

/// A request with this field gets findings as JSON, one in each field of [`FINDING_FIELD`], and not as warnings.
pub const FINDINGS_FIELD: &str = "x-forebay-findings";

/// A finding: `{"severity", "code", "field", "message", "suggestion"}`.
pub const FINDING_FIELD: &str = "x-forebay-finding";

/// How many sentences an answer carries at most, and of how many bytes each.
const SENTENCES: usize = 20;
const SENTENCE_BYTES: usize = 700;

/// Notes that say that something is ignored, which nobody should have to look for.
const IGNORED: &[&str] =
    &[codes::ANNOTATION_NO_EFFECT.name, codes::FIELD_NO_EFFECT.name, codes::KIND_IGNORED.name];

/// The findings about one object among all.
pub(super) fn about(object: &Object, all: &Objects, settings: &Settings) -> Vec<Finding> {
    let compiled = settings.compiler.compile(all, &settings.defaults.now());
    let mut findings = manifest::findings_of(&compiled, all, Timestamp::now());
    findings.retain(|finding| finding.object.as_ref() == Some(&object.reference()));
    findings
}

/// The findings about an object by itself, as it is not stored.
pub(super) fn alone(object: &Object, defaults: &Defaults) -> Vec<Finding> {
    let mut findings = manifest::findings(&Objects::from_iter([object.clone()]), defaults, Timestamp::now());
    findings.retain(|finding| finding.object.as_ref() == Some(&object.reference()));
    findings
}

/// Writes what there is to say into the fields of an answer.
pub(super) fn write(answer: &mut HeaderMap, findings: &[Finding], sentences: &[String], request: &HeaderMap) {
    let is_worth_saying =
        |finding: &&Finding| finding.severity != Severity::Info || IGNORED.contains(&finding.code);
    // One thing may be found in several ways: for each rule of a load balancer, or for a load balancer and its own part.
    let mut said = BTreeSet::new();
    let worth_saying: Vec<&Finding> = findings
        .iter()
        .filter(is_worth_saying)
        .filter(|finding| said.insert((finding.field.as_deref(), finding.message.as_str())))
        .take(SENTENCES)
        .collect();
    let findings = worth_saying.into_iter();
    if request.contains_key(FINDINGS_FIELD) {
        for value in findings.filter_map(as_json) {
            answer.append(FINDING_FIELD, value);
        }
        append_warnings(answer, sentences.iter().map(String::as_str));
    } else {
        let findings: Vec<String> = findings.map(sentence).collect();
        append_warnings(answer, sentences.iter().chain(&findings).map(String::as_str));
    }
}

fn append_warnings<'a>(answer: &mut HeaderMap, sentences: impl Iterator<Item = &'a str>) {
    let mut said = BTreeSet::new();
    for sentence in sentences.filter(|sentence| said.insert(*sentence)).take(SENTENCES) {
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{}\"", quotable(sentence)).as_bytes()) {
            answer.append(header::WARNING, value);
        }
    }
}

/// `[annotation-invalid FB009] alb.ingress.kubernetes.io/scheme: …; internet-facing`
fn sentence(finding: &Finding) -> String {
    let lint = finding.lint.map(|lint| format!(" {lint}")).unwrap_or_default();
    let field = finding.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    let suggestion =
        finding.suggestion.as_ref().map(|suggestion| format!("; {suggestion}")).unwrap_or_default();
    format!("[{}{lint}] {field}{}{suggestion}", finding.code, finding.message)
}

fn as_json(finding: &Finding) -> Option<HeaderValue> {
    let shortened = |text: &str| text[..text.floor_char_boundary(SENTENCE_BYTES)].to_owned();
    let value = json!({
        "severity": finding.severity.as_str(),
        "code": finding.code,
        "field": finding.field,
        "message": shortened(&finding.message),
        "suggestion": finding.suggestion.as_deref().map(shortened),
    });
    HeaderValue::from_bytes(value.to_string().as_bytes()).ok()
}

/// Text within the quotes of a `Warning` field (RFC 7234 §5.5).
fn quotable(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(SENTENCE_BYTES)];
    let mut quotable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => quotable.extend(['\\', character]),
            control if control.is_control() => quotable.push(' '),
            other => quotable.push(other),
        }
    }
    quotable
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn finding() -> Finding {
        Finding {
            field: Some("alb.ingress.kubernetes.io/ssl-redirect".to_owned()),
            ..Finding::new(&codes::SSL_REDIRECT_WITHOUT_HTTP, "there is no \"HTTP\" listener\nto redirect")
                .suggest("listen-ports: '[{\"HTTP\": 80}]'")
        }
    }

    fn written(request: &HeaderMap, name: &str) -> Vec<String> {
        let mut answer = HeaderMap::new();
        let info = Finding::new(&codes::SCHEME_DEFAULT, "internal");
        let ignored = Finding::new(&codes::FIELD_NO_EFFECT, "`a` has no effect");
        write(&mut answer, &[finding(), info, ignored], &["a sentence".to_owned()], request);
        let values =
            answer.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        values.collect()
    }

    #[test]
    fn acc_s3_88_kubectl_gets_warnings() {
        expect![[r#"
            299 - "a sentence"
            299 - "[ssl-redirect-without-http FB014] alb.ingress.kubernetes.io/ssl-redirect: there is no \"HTTP\" listener to redirect; listen-ports: '[{\"HTTP\": 80}]'"
            299 - "[field-no-effect] `a` has no effect""#]]
        .assert_eq(&written(&HeaderMap::new(), "warning").join("\n"));
    }

    #[test]
    fn what_is_the_same_is_said_once() {
        let mut answer = HeaderMap::new();
        let sentence = "a sentence".to_owned();
        write(
            &mut answer,
            &[finding(), finding(), finding()],
            &[sentence.clone(), sentence],
            &HeaderMap::new(),
        );
        assert_eq!(answer.get_all("warning").iter().count(), 2);
    }

    #[test]
    fn a_client_that_asks_gets_findings() {
        let request =
            HeaderMap::from_iter([(FINDINGS_FIELD.parse().unwrap(), HeaderValue::from_static("1"))]);
        assert_eq!(written(&request, "warning"), [r#"299 - "a sentence""#]);
        expect![[r#"
            {"code":"ssl-redirect-without-http","field":"alb.ingress.kubernetes.io/ssl-redirect","message":"there is no \"HTTP\" listener\nto redirect","severity":"warning","suggestion":"listen-ports: '[{\"HTTP\": 80}]'"}
            {"code":"field-no-effect","field":null,"message":"`a` has no effect","severity":"info","suggestion":null}"#]]
        .assert_eq(&written(&request, FINDING_FIELD).join("\n"));
    }
}
