//! YAML as kubectl prints it: keys in order, lists not indented, quotes only where they are needed.

use std::fmt::Write;

use serde_json::{Map, Value};

/// A value as a YAML document.
pub(crate) fn print(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => write_map(&mut text, fields, 0),
        Value::Array(items) if !items.is_empty() => write_list(&mut text, items, 0),
        other => {
            write_scalar(&mut text, other, 0);
            text.push('\n');
        }
    }
    text
}

/// The fields of a map. The cursor is at the place of the first key.
fn write_map(text: &mut String, fields: &Map<String, Value>, indent: usize) {
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            indented(text, indent);
        }
        write_string(text, key, None);
        text.push(':');
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                text.push('\n');
                indented(text, indent + 2);
                write_map(text, fields, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                text.push('\n');
                indented(text, indent);
                write_list(text, items, indent);
            }
            scalar => {
                text.push(' ');
                write_scalar(text, scalar, indent + 2);
                text.push('\n');
            }
        }
    }
}

/// The items of a list. The cursor is at the place of the first dash.
fn write_list(text: &mut String, items: &[Value], indent: usize) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            indented(text, indent);
        }
        text.push_str("- ");
        match item {
            Value::Object(fields) if !fields.is_empty() => write_map(text, fields, indent + 2),
            Value::Array(items) if !items.is_empty() => write_list(text, items, indent + 2),
            scalar => {
                write_scalar(text, scalar, indent + 2);
                text.push('\n');
            }
        }
    }
}

fn indented(text: &mut String, indent: usize) {
    text.extend(std::iter::repeat_n(' ', indent));
}

fn write_scalar(text: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(string) => write_string(text, string, Some(indent)),
        Value::Object(_) => text.push_str("{}"),
        Value::Array(_) => text.push_str("[]"),
        other => {
            // Writing to a String cannot fail.
            let _ = write!(text, "{other}");
        }
    }
}

/// A string in the plainest form that reads back as itself. `block` is the indent of its lines, if it may have several.
fn write_string(text: &mut String, string: &str, block: Option<usize>) {
    let form = Form::of(string);
    match (form, block) {
        (Form::Plain, _) => text.push_str(string),
        (Form::SingleQuoted, _) => {
            text.push('\'');
            text.push_str(&string.replace('\'', "''"));
            text.push('\'');
        }
        (Form::Block, Some(indent)) => write_block(text, string, indent),
        (Form::Block | Form::DoubleQuoted, _) => write_double_quoted(text, string),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// Several lines, each as it is.
    Block,
}

impl Form {
    fn of(string: &str) -> Self {
        let is_printable =
            |c: char| c == '\n' || (!c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'));
        if !string.chars().all(is_printable) {
            return Self::DoubleQuoted;
        }
        if string.contains('\n') {
            let has_odd_spaces =
                string.starts_with([' ', '\n']) || string.contains(" \n") || string.ends_with(' ');
            return if has_odd_spaces { Self::DoubleQuoted } else { Self::Block };
        }
        if reads_as_something_else(string) {
            return Self::DoubleQuoted;
        }
        if may_be_plain(string) { Self::Plain } else { Self::SingleQuoted }
    }
}

/// Whether a string without quotes would be read as itself, given that it is on one line.
fn may_be_plain(string: &str) -> bool {
    let starts_something =
        string.starts_with(['#', ',', '[', ']', '{', '}', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`']);
    let starts_with_indicator =
        string.starts_with(['-', '?', ':']) && string.chars().nth(1).is_none_or(char::is_whitespace);
    let is_marker = string.starts_with("---") || string.starts_with("...");
    let has_spaces_around = string.starts_with(' ') || string.ends_with(' ');
    let has_indicator_inside = string.contains(": ") || string.ends_with(':') || string.contains(" #");
    !(starts_something || starts_with_indicator || is_marker || has_spaces_around || has_indicator_inside)
}

/// Whether a string without quotes would be read as something else than a string, by readers of YAML 1.1 or 1.2.
fn reads_as_something_else(string: &str) -> bool {
    const WORDS: &[&str] =
        &["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", ".nan", "="];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(string)) || is_number(string) || is_date(string)
}

fn is_number(string: &str) -> bool {
    let digits = string.trim_start_matches(['+', '-']).replace('_', "");
    if digits.is_empty() || string.len() - string.trim_start_matches(['+', '-']).len() > 1 {
        return false;
    }
    let all =
        |digits: &str, is_digit: fn(&u8) -> bool| !digits.is_empty() && digits.bytes().all(|b| is_digit(&b));
    let is_based =
        [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)].iter().any(|(prefix, base)| {
            digits
                .strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(*base)))
        });
    let is_sexagesimal = digits.contains(':')
        && digits.split(':').all(|part| all(part.trim_end_matches('.'), u8::is_ascii_digit));
    is_based || is_sexagesimal || digits.eq_ignore_ascii_case(".inf") || is_decimal(&digits)
}

/// `12`, `1.5`, `.5`, `1e3`, `1.`
fn is_decimal(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.trim_start_matches(['+', '-']))),
        None => (digits, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    has_digits
        && is_digits(whole)
        && is_digits(fraction)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && is_digits(exponent))
}

/// Dates and times begin with a year and a month.
fn is_date(string: &str) -> bool {
    let bytes = string.as_bytes();
    bytes.len() >= 8
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[5].is_ascii_digit()
}

fn write_block(text: &mut String, string: &str, indent: usize) {
    let lines = string.strip_suffix('\n');
    text.push_str(match lines {
        None => "|-",
        Some(lines) if lines.ends_with('\n') => "|+",
        Some(_) => "|",
    });
    for line in lines.unwrap_or(string).split('\n') {
        text.push('\n');
        if !line.is_empty() {
            indented(text, indent);
            text.push_str(line);
        }
    }
}

fn write_double_quoted(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            odd if odd.is_control() || matches!(odd, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(text, "\\u{:04X}", u32::from(odd));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn objects_look_as_kubectl_prints_them() {
        let value = json!({
            "apiVersion": "v1",
            "metadata": {"annotations": {"last": "{\"a\":1}\n", "lines": "a\nb"}, "creationTimestamp": "2026-11-21T13:56:17Z"},
            "spec": {"clusterIP": "10.96.0.1", "empty": {}, "none": [], "null": null, "ports": [
                {"port": 80, "name": "http"}, {"port": 443}], "matrix": [[1, 2], ["x"]], "weight": 0.5, "paused": true},
        });
        expect![[r#"
            apiVersion: v1
            metadata:
              annotations:
                last: |
                  {"a":1}
                lines: |-
                  a
                  b
              creationTimestamp: "2026-11-21T13:56:17Z"
            spec:
              clusterIP: 10.96.0.1
              empty: {}
              matrix:
              - - 1
                - 2
              - - x
              none: []
              "null": null
              paused: true
              ports:
              - name: http
                port: 80
              - port: 443
              weight: 0.5
        "#]]
        .assert_eq(&print(&value));
    }

    #[test]
    fn strings_are_quoted_where_they_would_be_something_else() {
        for (string, printed) in [
            ("plain", "plain"),
            ("10.96.0.1", "10.96.0.1"),
            ("25%", "25%"),
            ("http://a:80/b?c#d", "http://a:80/b?c#d"),
            ("500m", "500m"),
            ("1", "\"1\""),
            ("-1.5e3", "\"-1.5e3\""),
            ("0x1F", "\"0x1F\""),
            ("1_000", "\"1_000\""),
            ("12:30", "\"12:30\""),
            ("yes", "\"yes\""),
            ("Null", "\"Null\""),
            ("", "\"\""),
            ("2026-11-21", "\"2026-11-21\""),
            ("*", "'*'"),
            ("it's", "it's"),
            ("'quoted'", "'''quoted'''"),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("- a", "'- a'"),
            ("-", "'-'"),
            ("-a", "-a"),
            ("[{\"HTTP\": 80}]", "'[{\"HTTP\": 80}]'"),
            ("tab\there", "\"tab\\there\""),
            ("a \nb", "\"a \\nb\""),
        ] {
            assert_eq!(print(&json!(string)), format!("{printed}\n"), "{string:?}");
        }
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[a-z0-9:#'\"\\- \n\t~.,{}\\[\\]%@&*!|>?_+=xXeE]{0,8}", "\\PC{0,6}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever is printed reads back as itself, here within an object that our own reader takes.
        #[test]
        fn what_is_printed_reads_back(value in json_value()) {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}, "data": value});
            let read = manifest::read("printed", &print(&object));
            prop_assert!(read.findings.is_empty(), "{:?}\n{}", read.findings, print(&object));
            prop_assert_eq!(&read.objects[0].value, &object);
        }
    }
}
