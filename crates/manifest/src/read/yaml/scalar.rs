//! What scalars mean: kubectl reads YAML 1.1 as `go-yaml` 2 does, so `yes` is a boolean and `0644` is octal.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Number, Value};
use serde_saphyr::granit_parser::Tag;

/// Where the tags of YAML itself are defined: `!!str` is `tag:yaml.org,2002:str`.
const TAGS: &str = "tag:yaml.org,2002:";

/// The value of a scalar, or why it has none.
pub(super) fn value(text: Cow<'_, str>, is_plain: bool, tag: Option<&Tag>) -> Result<Value, String> {
    let Some(tag) = tag else {
        return if is_plain { plain(text) } else { Ok(Value::from(text)) };
    };
    match tag.suffix_in_namespace(TAGS).as_deref() {
        Some("null") => Ok(Value::Null),
        Some("bool") => boolean(&text).map(Value::Bool).ok_or_else(|| not_a("a boolean", &text)),
        Some("int" | "float") => number(&text).map(Value::Number).ok_or_else(|| not_a("a number", &text)),
        Some("binary") => binary(&text).map(Value::String).ok_or_else(|| not_a("text in base64", &text)),
        // `!!str`, and tags of other people, which mean nothing to Kubernetes.
        _ => Ok(Value::from(text)),
    }
}

fn not_a(what: &str, text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    format!("`{shown}` is not {what}, as its tag says")
}

/// Whether a plain scalar stands for nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn plain(text: Cow<'_, str>) -> Result<Value, String> {
    if is_null(&text) {
        return Ok(Value::Null);
    }
    let is_finite = |text: &str| {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        !matches!(unsigned, ".inf" | ".Inf" | ".INF") && !matches!(text, ".nan" | ".NaN" | ".NAN")
    };
    if !is_finite(&text) {
        return Err(format!("the number `{text}` is not finite"));
    }
    let value = boolean(&text).map(Value::Bool).or_else(|| number(&text).map(Value::Number));
    Ok(value.unwrap_or_else(|| Value::from(text)))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// A number, in which `_` may stand between digits unless it begins with a point.
fn number(text: &str) -> Option<Number> {
    let first = text.bytes().next()?;
    if first == b'.' {
        return float(text);
    }
    if !first.is_ascii_digit() && first != b'+' && first != b'-' {
        return None;
    }
    let digits = if text.contains('_') { Cow::from(text.replace('_', "")) } else { Cow::from(text) };
    integer(&digits).or_else(|| float(&digits))
}

/// A whole number of 64 bits: `12`, `-0x1f`, `0b101`, `0o17`, `017`.
fn integer(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // The library would take a sign here.
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if text.starts_with('-') {
        return 0_i64.checked_sub_unsigned(magnitude).map(Number::from);
    }
    Some(Number::from(magnitude))
}

/// A number with point or exponent, or one too large for an integer: `1.5`, `.5`, `1e3`.
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) =
        unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    let is_good_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && are_digits(digits)
    });
    if !has_digits || !are_digits(whole) || !are_digits(fraction) || !is_good_exponent {
        return None;
    }
    text.parse().ok().and_then(Number::from_f64)
}

fn binary(text: &str) -> Option<String> {
    let compact: String = text.split_ascii_whitespace().collect();
    String::from_utf8(BASE64_STANDARD.decode(compact).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(text: &str, expected: &Value) {
        assert_eq!(value(Cow::from(text), true, None).as_ref(), Ok(expected), "{text}");
    }

    #[test]
    fn plain_scalars_mean_what_kubectl_reads() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("yes", json!(true)),
            ("OFF", json!(false)),
            ("yEs", json!("yEs")),
            ("80", json!(80)),
            ("+80", json!(80)),
            ("-80", json!(-80)),
            ("1_000", json!(1000)),
            ("0644", json!(420)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("-0b11", json!(-3)),
            ("08", json!(8.0)),
            ("1.5", json!(1.5)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("99999999999999999999", json!(99_999_999_999_999_999_999_f64)),
        ] {
            check(text, &expected);
        }
    }

    #[test]
    fn what_only_looks_like_a_number_is_text() {
        for text in [
            "1.2.3",
            "12:30",
            "2001-01-01",
            "10.0.0.1",
            "1e",
            "1e+",
            "0x",
            "0xg",
            "+",
            "-",
            ".",
            "1e999",
            "5Gi",
            "250m",
            "--1",
            "-+1",
            "._5",
            "inf",
            "nan",
            "infinity",
            "<<",
            "0b2",
        ] {
            check(text, &json!(text));
        }
        for text in [".inf", "-.INF", ".nan"] {
            assert!(value(Cow::from(text), true, None).is_err(), "{text}");
        }
    }

    #[test]
    fn tags_say_what_a_scalar_is() {
        let tagged =
            |name: &str, text: &'static str| value(Cow::from(text), true, Some(&Tag::new(TAGS, name)));
        assert_eq!(tagged("str", "80"), Ok(json!("80")));
        assert_eq!(tagged("int", "80"), Ok(json!(80)));
        assert_eq!(tagged("bool", "no"), Ok(json!(false)));
        assert_eq!(tagged("null", "x"), Ok(json!(null)));
        assert_eq!(tagged("binary", "aGk="), Ok(json!("hi")));
        assert_eq!(tagged("int", "x"), Err("`x` is not a number, as its tag says".to_owned()));
        assert!(tagged("binary", "/w==").is_err());
        assert_eq!(value(Cow::from("80"), true, Some(&Tag::new("!", "Ref"))), Ok(json!("80")));
    }
}
