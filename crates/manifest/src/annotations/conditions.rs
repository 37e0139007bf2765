//! `conditions.<service>`: what must hold besides host and path.

use std::fmt;
use std::sync::LazyLock;

use plan::{Condition, Pattern, QueryPair, SUBJECTS, SearchPattern, Shape, Subject, SubjectRow, Values};
use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::values::{cidr, json};
use super::{Annotation, Apply, Input, On, Problem};
use crate::codes;

pub(super) const ANNOTATIONS: &[Annotation] = &[Annotation {
    key: "conditions.<service>",
    on: On::Ingress,
    example: r#"[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-api-key","values":["secret"]}}]"#,
    doc: "Conditions that requests to a backend must meet besides its host and path.",
    apply: Apply::Ingress(|settings, input| {
        let conditions = conditions(input)?;
        settings.conditions.insert(input.parameter.to_owned(), conditions);
        Ok(())
    }),
}];

/// The longest value of a condition, in characters.
const MAX_VALUE: usize = 128;
/// The longest name of a header field or a method.
const MAX_NAME: usize = 40;

/// A condition as written: the field that it is about, and values under the keys of [`SUBJECTS`].
struct ConditionWire {
    field: String,
    configs: Vec<(&'static SubjectRow, ConfigWire)>,
}

/// Values in the shape of a subject.
enum ConfigWire {
    Patterns(PatternsWire),
    /// With the name beside them.
    Named(String, PatternsWire),
    Texts(TextsWire),
    Pairs(PairsWire),
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PatternsWire {
    values: Vec<String>,
    regex_values: Vec<String>,
}

#[derive(Deserialize)]
struct TextsWire {
    values: Vec<String>,
}

#[derive(Deserialize)]
struct PairsWire {
    values: Vec<PairWire>,
}

#[derive(Deserialize)]
struct PairWire {
    key: Option<String>,
    value: String,
}

const FIELD: &str = "field";

impl<'de> Deserialize<'de> for ConditionWire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        static FIELDS: LazyLock<Vec<&'static str>> =
            LazyLock::new(|| [FIELD].into_iter().chain(SUBJECTS.iter().map(|row| row.config)).collect());
        deserializer.deserialize_struct("ConditionWire", &FIELDS, ConditionVisitor)
    }
}

struct ConditionVisitor;

impl<'de> Visitor<'de> for ConditionVisitor {
    type Value = ConditionWire;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a condition")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ConditionWire, A::Error> {
        let (mut field, mut configs) = (None, Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            let Some(row) = SUBJECTS.iter().find(|row| row.config == key) else {
                if field.replace(map.next_value()?).is_some() {
                    return Err(de::Error::duplicate_field(FIELD));
                }
                continue;
            };
            configs.push((
                *row,
                match row.shape {
                    Shape::Patterns => ConfigWire::Patterns(map.next_value()?),
                    Shape::NamedPatterns(key) => {
                        let (name, patterns) = map.next_value_seed(NamedPatterns(key))?;
                        ConfigWire::Named(name, patterns)
                    }
                    Shape::Methods | Shape::Ranges => ConfigWire::Texts(map.next_value()?),
                    Shape::Pairs => ConfigWire::Pairs(map.next_value()?),
                },
            ));
        }
        Ok(ConditionWire { field: field.ok_or_else(|| de::Error::missing_field(FIELD))?, configs })
    }
}

/// Patterns, and a name under this key.
struct NamedPatterns(&'static str);

impl<'de> DeserializeSeed<'de> for NamedPatterns {
    type Value = (String, PatternsWire);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        static FIELDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
            let names = SUBJECTS.iter().filter_map(|row| match row.shape {
                Shape::NamedPatterns(name) => Some(name),
                _ => None,
            });
            ["values", "regexValues"].into_iter().chain(names).collect()
        });
        deserializer.deserialize_struct("NamedPatterns", &FIELDS, self)
    }
}

impl<'de> Visitor<'de> for NamedPatterns {
    type Value = (String, PatternsWire);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map with `{}`", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut name, mut patterns) = (None, PatternsWire::default());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "values" => patterns.values = map.next_value()?,
                "regexValues" => patterns.regex_values = map.next_value()?,
                key if key == self.0 => name = Some(map.next_value()?),
                _ => _ = map.next_value::<de::IgnoredAny>()?,
            }
        }
        Ok((name.ok_or_else(|| de::Error::missing_field(self.0))?, patterns))
    }
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(&codes::CONDITION_INVALID, message)
}

fn conditions(input: &mut Input<'_>) -> Result<Vec<Condition>, Problem> {
    let wires: Vec<ConditionWire> = json(input)?;
    wires.into_iter().map(condition).collect()
}

fn condition(wire: ConditionWire) -> Result<Condition, Problem> {
    let ConditionWire { field, configs } = wire;
    let Some(row) = SUBJECTS.iter().find(|row| row.field == field) else {
        let known: Vec<&str> = SUBJECTS.iter().map(|row| row.field).collect();
        return Err(invalid(format!("field `{field}` is not one of {}", known.join(", "))));
    };
    let config = configs.into_iter().find(|(other, _)| other.config == row.config);
    let config = config.ok_or_else(|| invalid(format!("field {field} needs a `{}`", row.config)))?;
    let (name, config) = match config.1 {
        ConfigWire::Named(name, patterns) => (Some(name), ConfigWire::Patterns(patterns)),
        other => (None, other),
    };
    if let (Shape::NamedPatterns(key), Some(name)) = (row.shape, &name) {
        check_name(key, name)?;
    }
    let subject = Subject::of(row, name);
    if subject.is_http_header() && subject.name().is_some_and(|name| name.eq_ignore_ascii_case("host")) {
        return Err(invalid("the field Host is a host-header condition"));
    }
    let values = match config {
        ConfigWire::Patterns(wire) | ConfigWire::Named(_, wire) => patterns(&wire, &subject)?,
        ConfigWire::Texts(TextsWire { values }) if row.shape == Shape::Ranges => {
            let ranges = not_empty(values)?;
            Values::Ranges(ranges.iter().map(|range| cidr(range)).collect::<Result<_, _>>()?)
        }
        ConfigWire::Texts(TextsWire { values }) => Values::Texts(methods(values)?),
        ConfigWire::Pairs(PairsWire { values }) => Values::Pairs(pairs(values)?),
    };
    Ok(Condition { subject, values })
}

fn patterns(wire: &PatternsWire, subject: &Subject) -> Result<Values, Problem> {
    match (wire.values.as_slice(), wire.regex_values.as_slice()) {
        ([], []) => Err(invalid("there are no values")),
        (values, []) => Ok(Values::Wildcards(
            values.iter().map(|value| wildcard(value, subject)).collect::<Result<_, _>>()?,
        )),
        ([], regexes) => {
            Ok(Values::Regexes(regexes.iter().map(|value| regex(value, subject)).collect::<Result<_, _>>()?))
        }
        _ => Err(invalid("either `values` or `regexValues`, not both")),
    }
}

/// A value with `*` and `?`.
pub(crate) fn wildcard(value: &str, subject: &Subject) -> Result<Pattern, Problem> {
    check_length(value)?;
    Ok(subject.pattern(value))
}

/// A regular expression.
pub(crate) fn regex(value: &str, subject: &Subject) -> Result<SearchPattern, Problem> {
    check_length(value)?;
    if has_possessive_quantifier(value) {
        return Err(invalid(format!(
            "`{value}` has a possessive quantifier, which a load balancer does not take"
        )));
    }
    subject.search(value).map_err(|error| invalid(error.to_string()))
}

fn check_length(value: &str) -> Result<(), Problem> {
    if value.is_empty() || value.chars().count() > MAX_VALUE {
        return Err(invalid(format!("`{value}` does not have 1 to {MAX_VALUE} characters")));
    }
    Ok(())
}

/// Whether an expression has `*+`, `++`, `?+` or `}+`, which our engine would take for a repeated repetition.
pub(super) fn has_possessive_quantifier(regex: &str) -> bool {
    let (mut escaped, mut in_class, mut after_quantifier) = (false, false, false);
    for byte in regex.bytes() {
        if byte == b'+' && after_quantifier {
            return true;
        }
        after_quantifier = !escaped && !in_class && matches!(byte, b'*' | b'+' | b'?' | b'}');
        in_class = if in_class { escaped || byte != b']' } else { !escaped && byte == b'[' };
        escaped = !escaped && byte == b'\\';
    }
    false
}

fn check_name(key: &str, name: &str) -> Result<(), Problem> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_token) || name.contains(['*', '?']) {
        return Err(invalid(format!(
            "{key} `{name}` is not a name of at most {MAX_NAME} characters without wildcards"
        )));
    }
    Ok(())
}

fn methods(values: Vec<String>) -> Result<Vec<String>, Problem> {
    let methods = not_empty(values)?;
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_';
    let is_good =
        |method: &&String| !method.is_empty() && method.len() <= MAX_NAME && method.bytes().all(is_letter);
    match methods.iter().find(|method| !is_good(method)) {
        Some(wrong) => Err(invalid(format!("`{wrong}` is not a method in upper case"))),
        None => Ok(methods),
    }
}

fn pairs(values: Vec<PairWire>) -> Result<Vec<QueryPair>, Problem> {
    let mut pairs = Vec::new();
    for pair in not_empty(values)? {
        let mut texts = pair.key.iter().chain([&pair.value]);
        texts.try_for_each(|text| check_length(text))?;
        let key = pair.key.as_deref().map(Pattern::query);
        pairs.push(QueryPair { key, value: Pattern::query(&pair.value) });
    }
    Ok(pairs)
}

fn not_empty<T>(values: Vec<T>) -> Result<Vec<T>, Problem> {
    if values.is_empty() { Err(invalid("there are no values")) } else { Ok(values) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possessive_quantifiers_are_seen_and_others_left_alone() {
        for possessive in ["a++", "a*+b", "(a)?+", "a{2}+"] {
            assert!(regex(possessive, &Subject::PATH_PATTERN).is_err(), "{possessive}");
        }
        for fine in ["a+", r"\++", "[*+]+", "[a]+b?", r"a\}+", r"[\]*+]", "a+?"] {
            assert!(regex(fine, &Subject::PATH_PATTERN).is_ok(), "{fine}");
        }
    }
}
