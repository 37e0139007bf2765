//! Findings as people read them in a terminal.

use std::fmt::Write;

use super::{Finding, Severity};

/// The longest part of a source line that is shown, in characters.
const SHOWN: usize = 160;

/// A finding as text: what, where, and what to do about it.
///
/// ```text
/// warning[ssl-redirect-without-http FB014]: ssl-redirect is 443 but the load balancer has no HTTP listener
///   --> ingress.yaml:23:5
///    |  alb.ingress.kubernetes.io/ssl-redirect: '443'
///    |  ^
///   fix: alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]'
/// ```
#[must_use]
pub fn render(finding: &Finding, color: bool) -> String {
    let paint = |code: &str, text: &str| match color {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    let severity = match finding.severity {
        Severity::Error => "1;31",
        Severity::Warning => "1;33",
        Severity::Info => "1;36",
    };
    let lint = finding.lint.map(|lint| format!(" {lint}")).unwrap_or_default();
    let head = format!("{}[{}{lint}]", finding.severity.as_str(), finding.code);
    let mut text = format!("{}: {}\n", paint(severity, &head), printable(&finding.message));
    let mut line = |line: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
    };
    if let Some(location) = &finding.location {
        line(&format!("  --> {}:{}:{}", printable(&location.file), location.line, location.column));
        // Where a key may stand, no line is shown.
        let shows_line = !location.text.is_empty();
        let indent = location.text.chars().take_while(|c| c.is_whitespace()).count();
        let shown: String = location.text.chars().skip(indent).take(SHOWN).collect();
        let caret = (location.column as usize).saturating_sub(indent + 1).min(SHOWN);
        if shows_line {
            line(&format!("   |  {}", printable(&shown)));
            line(&format!("   |  {}{}", " ".repeat(caret), paint(severity, "^")));
        }
    } else if let Some(object) = &finding.object {
        let field = finding.field.as_ref().map(|field| format!(", {field}")).unwrap_or_default();
        line(&printable(&format!("  --> {object}{field}")));
    }
    if let Some(suggestion) = &finding.suggestion {
        let mut suggestion = suggestion.lines();
        line(&printable(&format!("  fix: {}", suggestion.next().unwrap_or_default())));
        suggestion.for_each(|rest| line(&printable(&format!("       {rest}"))));
    }
    text
}

/// The text with control characters shown instead of obeyed, so that a manifest cannot steer the terminal.
fn printable(text: &str) -> String {
    let show = |c: char| {
        if c == '\t' {
            ' '
        } else if c.is_control() {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Location, codes};
    use expect_test::expect;

    fn finding() -> Finding {
        Finding {
            object: Some(plan::ObjectRef::new("Ingress", "mlops", "web")),
            field: Some("alb.ingress.kubernetes.io/ssl-redirect".into()),
            location: Some(Location {
                file: "ingress.yaml".into(),
                line: 23,
                column: 5,
                text: "    alb.ingress.kubernetes.io/ssl-redirect: '443'".into(),
            }),
            ..Finding::new(&codes::SSL_REDIRECT_WITHOUT_HTTP, "there is no HTTP listener to redirect")
                .suggest("first line\nsecond line")
        }
    }

    #[test]
    fn a_finding_says_what_where_and_what_to_do() {
        expect![[r#"
            warning[ssl-redirect-without-http FB014]: there is no HTTP listener to redirect
              --> ingress.yaml:23:5
               |  alb.ingress.kubernetes.io/ssl-redirect: '443'
               |  ^
              fix: first line
                   second line
        "#]]
        .assert_eq(&render(&finding(), false));
        let no_file = Finding { location: None, suggestion: None, ..finding() };
        expect![[r#"
            warning[ssl-redirect-without-http FB014]: there is no HTTP listener to redirect
              --> Ingress mlops/web, alb.ingress.kubernetes.io/ssl-redirect
        "#]]
        .assert_eq(&render(&no_file, false));
    }

    #[test]
    fn color_marks_severity_and_place_only() {
        let colored = render(&finding(), true);
        assert_eq!(colored.matches("\u{1b}[1;33m").count(), 2);
        assert_eq!(colored.replace("\u{1b}[1;33m", "").replace("\u{1b}[0m", ""), render(&finding(), false));
    }

    #[test]
    fn a_manifest_cannot_steer_the_terminal() {
        let evil = Finding { message: "a\u{1b}[2Jb".into(), ..finding() };
        assert!(
            render(&evil, false).starts_with("warning[ssl-redirect-without-http FB014]: a\u{fffd}[2Jb\n")
        );
    }
}
