//! Metrics as text: the two forms that Prometheus reads, and reading one's own series back.

use std::collections::BTreeMap;

/// The form of the OpenMetrics specification, and the older one of Prometheus.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub(super) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether a client wants the older form: it names it, and not the newer one.
pub(super) fn wants_plain(accept: &str) -> bool {
    accept.contains("text/plain") && !accept.contains("application/openmetrics-text")
}

/// The older form of a text in the newer one. There a counter is called as its series is, and nothing has a unit or an end.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            help = Some((name, words));
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let total = if kind == "counter" { "_total" } else { "" };
            let of_this = help.take().filter(|(of, _)| *of == name);
            if let Some((_, words)) = of_this {
                plain.push_str(&format!("# HELP {name}{total} {words}\n"));
            }
            plain.push_str(&format!("# TYPE {name}{total} {kind}\n"));
        } else {
            plain.push_str(line);
            plain.push('\n');
        }
    }
    plain
}

/// One series: its name, its labels, and its value as it is written.
#[derive(Debug, PartialEq)]
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: BTreeMap<&'a str, String>,
    pub(crate) value: &'a str,
}

/// The series of a text.
pub(crate) fn series(text: &str) -> impl Iterator<Item = Series<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, rest) = line.split_at(line.find(['{', ' '])?);
        let Some(mut rest) = rest.strip_prefix('{') else {
            return Some(Series { name, labels: BTreeMap::new(), value: rest.trim() });
        };
        let mut labels = BTreeMap::new();
        while let Some((label, more)) = rest.split_once("=\"") {
            let (value, more) = unquoted(more)?;
            labels.insert(label, value);
            rest = more.strip_prefix(',').unwrap_or(more);
            if rest.starts_with('}') {
                break;
            }
        }
        Some(Series { name, labels, value: rest.strip_prefix('}')?.trim() })
    })
}

/// A value up to its quote, and what stands behind that.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

/// Appends labels in braces.
pub(super) fn push_labels<'a>(text: &mut String, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
    text.push('{');
    for (index, (name, value)) in labels.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        text.push_str(&format!("{name}=\"{value}\""));
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP forebay_requests Requests.
# TYPE forebay_requests counter
forebay_requests_total{load_balancer=\"a\\\"b\",code_class=\"2xx\"} 7
# HELP forebay_log_waiting_bytes Bytes.
# TYPE forebay_log_waiting_bytes gauge
# UNIT forebay_log_waiting_bytes bytes
forebay_log_waiting_bytes 0
# EOF
";

    #[test]
    fn acc_s3_69_both_forms_say_the_same() {
        expect_test::expect![[r#"
            # HELP forebay_requests_total Requests.
            # TYPE forebay_requests_total counter
            forebay_requests_total{load_balancer="a\"b",code_class="2xx"} 7
            # HELP forebay_log_waiting_bytes Bytes.
            # TYPE forebay_log_waiting_bytes gauge
            forebay_log_waiting_bytes 0
        "#]]
        .assert_eq(&plain(TEXT));
        assert!(wants_plain("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
        assert!(!wants_plain("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
        assert!(!wants_plain("*/*") && !wants_plain(""));
    }

    #[test]
    fn series_are_read_as_they_were_written() {
        let all: Vec<Series<'_>> = series(TEXT).collect();
        let labels = BTreeMap::from([("load_balancer", "a\"b".to_owned()), ("code_class", "2xx".to_owned())]);
        assert_eq!(all[0], Series { name: "forebay_requests_total", labels, value: "7" });
        assert_eq!((all[1].name, all[1].value), ("forebay_log_waiting_bytes", "0"));
        let mut text = String::new();
        push_labels(&mut text, [("a", "x\\\"\n"), ("b", "")]);
        let line = format!("m{text} 1");
        let read = series(&line).next().unwrap();
        assert_eq!((read.labels["a"].as_str(), read.labels["b"].as_str(), read.value), ("x\\\"\n", "", "1"));
        assert_eq!(series("broken{a=\"").count(), 0);
    }
}
