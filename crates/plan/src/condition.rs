//! Conditions of a rule. All conditions of a rule must hold; the values inside one are alternatives.

use std::fmt;

use crate::{Pattern, RequestHead, SearchPattern};

/// One condition of a rule ("Listener rules for your Application Load Balancer", ELB guide).
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The host, without port and trailing dot, in any case.
    HostHeader(Values),
    /// The path without the query, not decoded, case-sensitive.
    PathPattern(Values),
    /// One of the fields of this name.
    HttpHeader {
        /// The field name, in any case, without wildcards.
        name: String,
        /// What one of the fields' values must match, in any case.
        values: Values,
    },
    /// The method, exactly; `GET` does not cover `HEAD`.
    HttpRequestMethod(Vec<String>),
    /// One pair of the query string.
    QueryString(Vec<QueryPair>),
    /// The peer address of the connection, never a header.
    SourceIp(Vec<ipnet::IpNet>),
}

/// Alternatives of a condition, either with wildcards or as regular expressions, never mixed.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// `*` and `?`; the whole text must match.
    Wildcards(Vec<Pattern>),
    /// Searched in the text.
    Regexes(Vec<SearchPattern>),
}

/// A key and value pattern of a query string. `key: None` means any key.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryPair {
    /// Pattern of the key.
    pub key: Option<Pattern>,
    /// Pattern of the value; a parameter without `=` has an empty value.
    pub value: Pattern,
}

impl fmt::Display for Condition {
    /// For people: `path-pattern /predict, /batch*`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = match self {
            Self::HostHeader(values) | Self::PathPattern(values) => values.texts(),
            Self::HttpHeader { name, values } => vec![format!("{name}: {}", values.texts().join(", "))],
            Self::HttpRequestMethod(methods) => methods.clone(),
            Self::QueryString(pairs) => pairs.iter().map(QueryPair::text).collect(),
            Self::SourceIp(ranges) => ranges.iter().map(ToString::to_string).collect(),
        };
        write!(f, "{} {}", self.field(), values.join(", "))
    }
}

impl QueryPair {
    fn text(&self) -> String {
        let key = self.key.as_ref().map(|key| format!("{}=", key.as_str()));
        key.unwrap_or_default() + self.value.as_str()
    }
}

impl Values {
    fn texts(&self) -> Vec<String> {
        match self {
            Self::Wildcards(patterns) => patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            Self::Regexes(regexes) => regexes.iter().map(|regex| format!("/{}/", regex.as_str())).collect(),
        }
    }

    /// Whether one of the alternatives matches.
    #[must_use]
    pub fn match_any(&self, text: &[u8]) -> bool {
        match self {
            Self::Wildcards(patterns) => patterns.iter().any(|pattern| pattern.matches(text)),
            Self::Regexes(regexes) => regexes.iter().any(|regex| regex.matches(text)),
        }
    }
}

impl Condition {
    /// The field name of the ELB API, for example `host-header`.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::HostHeader(_) => "host-header",
            Self::PathPattern(_) => "path-pattern",
            Self::HttpHeader { .. } => "http-header",
            Self::HttpRequestMethod(_) => "http-request-method",
            Self::QueryString(_) => "query-string",
            Self::SourceIp(_) => "source-ip",
        }
    }

    /// Whether the request meets the condition.
    #[must_use]
    pub fn holds(&self, head: &RequestHead<'_>) -> bool {
        match self {
            Self::HostHeader(values) => values.match_any(head.host.as_bytes()),
            Self::PathPattern(values) => values.match_any(head.path.as_bytes()),
            Self::HttpHeader { name, values } => head.headers.any(name, &mut |value| values.match_any(value)),
            Self::HttpRequestMethod(methods) => methods.iter().any(|method| method == head.method),
            Self::QueryString(pairs) => query_pairs(head.query).any(|(key, value)| {
                pairs.iter().any(|pair| {
                    pair.key.as_ref().is_none_or(|pattern| pattern.matches(key.as_bytes()))
                        && pair.value.matches(value.as_bytes())
                })
            }),
            Self::SourceIp(ranges) => ranges.iter().any(|range| range.contains(&head.peer)),
        }
    }
}

fn query_pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_read_as_people_write_them() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::case_sensitive(text)).collect();
        let shown = |condition: Condition| condition.to_string();
        let paths = Values::Wildcards(patterns(&["/predict", "/batch*"]));
        assert_eq!(shown(Condition::PathPattern(paths)), "path-pattern /predict, /batch*");
        let keys = Values::Wildcards(patterns(&["token1", "token2"]));
        let header = Condition::HttpHeader { name: "x-api-key".to_owned(), values: keys };
        assert_eq!(shown(header), "http-header x-api-key: token1, token2");
        let [key, value] = ["a", "1"].map(Pattern::query);
        let pairs = vec![QueryPair { key: Some(key), value: value.clone() }, QueryPair { key: None, value }];
        assert_eq!(shown(Condition::QueryString(pairs)), "query-string a=1, 1");
    }
}
