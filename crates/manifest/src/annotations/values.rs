//! How the AWS Load Balancer Controller reads the text of an annotation (`pkg/annotations/parser.go`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde::de::DeserializeOwned;

use super::{Input, Problem};
use crate::codes;
use crate::read::parse_yaml;
use crate::wire::{self, Case, Note};

/// A boolean as Go's `ParseBool` takes it.
pub(crate) fn boolean(text: &str) -> Result<bool, Problem> {
    match text.trim() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("`{text}` is not `true` or `false`").into()),
    }
}

/// A whole number within a range.
pub(crate) fn integer(text: &str, allowed: RangeInclusive<i64>) -> Result<i64, Problem> {
    let number: Option<i64> = text.trim().parse().ok();
    number.filter(|number| allowed.contains(number)).ok_or_else(|| {
        format!("`{text}` is not a number between {} and {}", allowed.start(), allowed.end()).into()
    })
}

/// A number of seconds or of times, within a range.
pub(crate) fn count(text: &str, allowed: RangeInclusive<u32>) -> Result<u32, Problem> {
    let number = integer(text, i64::from(*allowed.start())..=i64::from(*allowed.end()))?;
    u32::try_from(number).map_err(|_| format!("`{text}` is too large").into())
}

/// A port.
pub(crate) fn port(text: &str) -> Result<u16, Problem> {
    let number = integer(text, 1..=65_535)?;
    u16::try_from(number).map_err(|_| format!("`{text}` is too large").into())
}

/// One of a few words, exactly.
pub(crate) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Problem> {
    let found = words.iter().find(|(word, _)| *word == text.trim());
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("`{text}` is not one of `{}`", known.join("`, `")).into()
    })
}

/// Texts between commas, trimmed, the empty ones left out.
pub(crate) fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Ranges of addresses between commas.
pub(crate) fn cidrs(text: &str) -> Result<Vec<IpNet>, Problem> {
    list(text).iter().map(|item| cidr(item)).collect()
}

/// A range of addresses such as `10.0.0.0/8`.
pub(crate) fn cidr(text: &str) -> Result<IpNet, Problem> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let one: Option<IpAddr> = text.parse().ok();
        let near =
            one.map_or_else(|| "for example 10.0.0.0/8".to_owned(), |one| IpNet::from(one).to_string());
        Problem::new(&codes::CIDR_INVALID, format!("`{text}` is not a range of addresses")).suggest(near)
    })
}

/// `key=value` pairs between commas.
///
/// A comma separates only where another `=` follows, `\x` stands for `x`, key and value are trimmed, and a comma at the
/// very end belongs to the last value.
pub(crate) fn string_map(text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let last_equals = text.rfind('=');
    let mut pairs = vec![String::new()];
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let separates = c == ',' && last_equals.is_some_and(|equals| equals > at);
        let is_unfinished = c == ',' && !separates && !text[at + 1..].trim().is_empty();
        if is_unfinished {
            return Err(format!("`{}` has no `=`", text[at + 1..].trim()).into());
        } else if separates {
            pairs.push(String::new());
        } else if let Some(pair) = pairs.last_mut() {
            let escaped = if c == '\\' { chars.next() } else { None };
            pair.push(escaped.map_or(c, |(_, escaped)| escaped));
        }
    }
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut map = BTreeMap::new();
    for pair in &pairs {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(format!("`{}` has no `=`", pair.trim()).into());
        };
        if key.trim().is_empty() {
            return Err(format!("`{}` has nothing before the `=`", pair.trim()).into());
        }
        map.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(map)
}

/// JSON as Go's decoder reads it: field names in any case. A field that nobody knows is a warning with the nearest name,
/// because the controller ignores it silently.
pub(crate) fn json<T: DeserializeOwned>(input: &mut Input<'_>) -> Result<T, Problem> {
    let text = input.text;
    let value = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Problem::from(format!("not JSON at {place}: {reason}"))
    })?;
    typed(&value, input)
}

/// The same as YAML, of which JSON is a part.
pub(crate) fn yaml<T: DeserializeOwned>(input: &mut Input<'_>) -> Result<T, Problem> {
    let value = yaml_value(input)?;
    typed(&value, input)
}

/// The same, whatever it is.
pub(crate) fn yaml_value(input: &Input<'_>) -> Result<serde_json::Value, Problem> {
    parse_yaml(input.text).map_err(|error| format!("not YAML: {error}").into())
}

/// A value as JSON has it, as Go's decoder reads it.
pub(crate) fn typed<T: DeserializeOwned>(
    value: &serde_json::Value,
    input: &mut Input<'_>,
) -> Result<T, Problem> {
    let (result, notes) = wire::from_value(value, "", Case::Any);
    for note in notes {
        if let Note::Unknown { path, nearest } = note {
            let problem =
                Problem::new(&codes::FIELD_UNKNOWN, format!("`{path}` is not known, and is ignored"));
            let suggestion = nearest.map(|near| format!("did you mean `{near}`?"));
            input.warnings.push(Problem { suggestion, ..problem });
        }
    }
    result.map_err(|error| error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected = expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        assert_eq!(string_map(text).unwrap(), expected.collect());
    }

    #[test]
    fn acc_s3_47_attributes_may_stand_in_a_block_of_lines() {
        check(
            "access_logs.s3.enabled=true,\n access_logs.s3.bucket=logs,\n access_logs.s3.prefix=alb\n",
            &[
                ("access_logs.s3.enabled", "true"),
                ("access_logs.s3.bucket", "logs"),
                ("access_logs.s3.prefix", "alb"),
            ],
        );
    }

    #[test]
    fn maps_are_split_and_escaped_as_the_controller_does() {
        check("", &[]);
        check(" \n", &[]);
        check("a=", &[("a", "")]);
        check("a=b,", &[("a", "b,")]);
        check(r"a=b\,c,d=e", &[("a", "b,c"), ("d", "e")]);
        check(r"a=x\y\\z", &[("a", r"xy\z")]);
        check("a=b=c,d=e", &[("a", "b=c"), ("d", "e")]);
        check("a=1,a=2", &[("a", "2")]);
        for wrong in ["a", "a=b,c", "a=b,c,d=e", "=b", "a=b, =c", ",a=b"] {
            assert!(string_map(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn booleans_are_gos() {
        let all = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
        assert_eq!(all.iter().filter(|text| boolean(text).unwrap()).count(), 6);
        for wrong in ["yes", "on", "tRue", "", "2"] {
            assert!(boolean(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_stay_in_their_range() {
        assert_eq!(integer("-1000", -1000..=1000).unwrap(), -1000);
        for wrong in ["", "1.5", "0x10", "70000", "99999999999999999999", "0"] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn acc_s0_41_json_says_where_it_breaks() {
        let mut input = Input::new("", "[{\"HTTP\": 80}, {\"HTTPS\" 443}]");
        let error = json::<Vec<BTreeMap<String, u16>>>(&mut input).unwrap_err();
        assert_eq!(error.message, "not JSON at line 1 column 25: expected `:`");
    }

    proptest! {
        #[test]
        fn a_written_map_is_read_back(map in prop::collection::btree_map("[a-z.]{1,8}", "[a-z,\\\\= ]{0,8}", 1..5)) {
            let map: BTreeMap<String, String> =
                map.into_iter().map(|(key, value)| (key, value.trim().to_owned())).collect();
            let escape = |text: &str| text.replace('\\', "\\\\").replace(',', "\\,");
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
            prop_assert_eq!(string_map(&pairs.join(",")).unwrap(), map);
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,40}") {
            crate::fuzzing::annotation(text.as_bytes());
        }
    }
}
