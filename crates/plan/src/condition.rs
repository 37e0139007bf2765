//! Conditions of a rule. All conditions of a rule must hold; the values inside one are alternatives.

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

impl Values {
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
