//! `conditions.<service>`: what must hold besides host and path.

use plan::{Condition, Pattern, QueryPair, SearchPattern, Values};
use serde::Deserialize;

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConditionWire {
    field: String,
    host_header_config: Option<ValuesWire>,
    path_pattern_config: Option<ValuesWire>,
    http_header_config: Option<HeaderWire>,
    http_request_method_config: Option<MethodsWire>,
    query_string_config: Option<QueryWire>,
    #[serde(rename = "sourceIPConfig")]
    source_ip_config: Option<MethodsWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct ValuesWire {
    values: Vec<String>,
    regex_values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderWire {
    http_header_name: String,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    regex_values: Vec<String>,
}

#[derive(Deserialize)]
struct MethodsWire {
    values: Vec<String>,
}

#[derive(Deserialize)]
struct QueryWire {
    values: Vec<PairWire>,
}

#[derive(Deserialize)]
struct PairWire {
    key: Option<String>,
    value: String,
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(&codes::CONDITION_INVALID, message)
}

fn conditions(input: &mut Input<'_>) -> Result<Vec<Condition>, Problem> {
    let wires: Vec<ConditionWire> = json(input)?;
    wires.into_iter().map(condition).collect()
}

fn condition(wire: ConditionWire) -> Result<Condition, Problem> {
    let missing = |config: &str| invalid(format!("field {} needs a `{config}`", wire.field));
    match wire.field.as_str() {
        "host-header" => {
            let config = wire.host_header_config.ok_or_else(|| missing("hostHeaderConfig"))?;
            Ok(Condition::HostHeader(values(&config, Subject::Host)?))
        }
        "path-pattern" => {
            let config = wire.path_pattern_config.ok_or_else(|| missing("pathPatternConfig"))?;
            Ok(Condition::PathPattern(values(&config, Subject::Path)?))
        }
        "http-header" => http_header(wire.http_header_config.ok_or_else(|| missing("httpHeaderConfig"))?),
        "http-request-method" => {
            methods(wire.http_request_method_config.ok_or_else(|| missing("httpRequestMethodConfig"))?)
        }
        "query-string" => query_string(wire.query_string_config.ok_or_else(|| missing("queryStringConfig"))?),
        "source-ip" => {
            let config = wire.source_ip_config.ok_or_else(|| missing("sourceIpConfig"))?;
            let ranges = not_empty(config.values)?;
            Ok(Condition::SourceIp(ranges.iter().map(|range| cidr(range)).collect::<Result<_, _>>()?))
        }
        other => Err(invalid(format!(
            "field `{other}` is not one of host-header, path-pattern, http-header, http-request-method, query-string, source-ip"
        ))),
    }
}

/// What a pattern is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Host,
    Path,
    Header,
}

fn values(wire: &ValuesWire, subject: Subject) -> Result<Values, Problem> {
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
pub(crate) fn wildcard(value: &str, subject: Subject) -> Result<Pattern, Problem> {
    check_length(value)?;
    Ok(match subject {
        Subject::Path => Pattern::case_sensitive(value),
        Subject::Host | Subject::Header => Pattern::ignore_case(value),
    })
}

/// A regular expression.
pub(crate) fn regex(value: &str, subject: Subject) -> Result<SearchPattern, Problem> {
    check_length(value)?;
    if has_possessive_quantifier(value) {
        return Err(invalid(format!(
            "`{value}` has a possessive quantifier, which a load balancer does not take"
        )));
    }
    SearchPattern::new(value, subject != Subject::Path).map_err(|error| invalid(error.to_string()))
}

fn check_length(value: &str) -> Result<(), Problem> {
    if value.is_empty() || value.chars().count() > MAX_VALUE {
        return Err(invalid(format!("`{value}` does not have 1 to {MAX_VALUE} characters")));
    }
    Ok(())
}

/// Whether an expression has `*+`, `++`, `?+` or `}+`, which our engine would take for a repeated repetition.
fn has_possessive_quantifier(regex: &str) -> bool {
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

fn http_header(wire: HeaderWire) -> Result<Condition, Problem> {
    let name = wire.http_header_name;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_token) || name.contains(['*', '?']) {
        return Err(invalid(format!(
            "httpHeaderName `{name}` is not a name of at most {MAX_NAME} characters without wildcards"
        )));
    }
    if name.eq_ignore_ascii_case("host") {
        return Err(invalid("the field Host is a host-header condition"));
    }
    let values =
        values(&ValuesWire { values: wire.values, regex_values: wire.regex_values }, Subject::Header)?;
    Ok(Condition::HttpHeader { name, values })
}

fn methods(wire: MethodsWire) -> Result<Condition, Problem> {
    let methods = not_empty(wire.values)?;
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_';
    let is_good =
        |method: &&String| !method.is_empty() && method.len() <= MAX_NAME && method.bytes().all(is_letter);
    match methods.iter().find(|method| !is_good(method)) {
        Some(wrong) => Err(invalid(format!("`{wrong}` is not a method in upper case"))),
        None => Ok(Condition::HttpRequestMethod(methods)),
    }
}

fn query_string(wire: QueryWire) -> Result<Condition, Problem> {
    let mut pairs = Vec::new();
    for pair in not_empty(wire.values)? {
        let mut texts = pair.key.iter().chain([&pair.value]);
        texts.try_for_each(|text| check_length(text))?;
        let key = pair.key.as_deref().map(Pattern::query);
        pairs.push(QueryPair { key, value: Pattern::query(&pair.value) });
    }
    Ok(Condition::QueryString(pairs))
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
            assert!(regex(possessive, Subject::Path).is_err(), "{possessive}");
        }
        for fine in ["a+", r"\++", "[*+]+", "[a]+b?", r"a\}+", r"[\]*+]", "a+?"] {
            assert!(regex(fine, Subject::Path).is_ok(), "{fine}");
        }
    }
}
