//! Conditions in JSON.

use plan::{Condition, Pattern, SearchPattern, Values};
use serde::Serialize;

#[derive(Serialize)]
#[serde(tag = "field")]
pub(super) enum ConditionJson<'a> {
    #[serde(rename = "host-header", rename_all = "camelCase")]
    HostHeader { host_header_config: ValuesJson<'a> },
    #[serde(rename = "path-pattern", rename_all = "camelCase")]
    PathPattern { path_pattern_config: ValuesJson<'a> },
    #[serde(rename = "http-header", rename_all = "camelCase")]
    HttpHeader { http_header_config: HeaderJson<'a> },
    #[serde(rename = "http-request-method", rename_all = "camelCase")]
    HttpRequestMethod { http_request_method_config: ListJson<&'a str> },
    #[serde(rename = "query-string", rename_all = "camelCase")]
    QueryString { query_string_config: ListJson<PairJson<'a>> },
    #[serde(rename = "source-ip", rename_all = "camelCase")]
    SourceIp { source_ip_config: ListJson<String> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ValuesJson<'a> {
    values: Vec<&'a str>,
    regex_values: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeaderJson<'a> {
    http_header_name: &'a str,
    values: Vec<&'a str>,
    regex_values: Vec<&'a str>,
}

#[derive(Serialize)]
pub(super) struct ListJson<T> {
    values: Vec<T>,
}

#[derive(Serialize)]
pub(super) struct PairJson<'a> {
    key: Option<&'a str>,
    value: &'a str,
}

impl<'a> ConditionJson<'a> {
    pub(super) fn new(condition: &'a Condition) -> Self {
        match condition {
            Condition::HostHeader(values) => Self::HostHeader { host_header_config: ValuesJson::new(values) },
            Condition::PathPattern(values) => {
                Self::PathPattern { path_pattern_config: ValuesJson::new(values) }
            }
            Condition::HttpHeader { name, values } => {
                let ValuesJson { values, regex_values } = ValuesJson::new(values);
                Self::HttpHeader {
                    http_header_config: HeaderJson { http_header_name: name, values, regex_values },
                }
            }
            Condition::HttpRequestMethod(methods) => Self::HttpRequestMethod {
                http_request_method_config: ListJson { values: methods.iter().map(String::as_str).collect() },
            },
            Condition::QueryString(pairs) => {
                let pairs = pairs.iter().map(|pair| PairJson {
                    key: pair.key.as_ref().map(Pattern::as_str),
                    value: pair.value.as_str(),
                });
                Self::QueryString { query_string_config: ListJson { values: pairs.collect() } }
            }
            Condition::SourceIp(ranges) => Self::SourceIp {
                source_ip_config: ListJson { values: ranges.iter().map(ToString::to_string).collect() },
            },
        }
    }
}

impl<'a> ValuesJson<'a> {
    fn new(values: &'a Values) -> Self {
        match values {
            Values::Wildcards(patterns) => {
                Self { values: patterns.iter().map(Pattern::as_str).collect(), regex_values: Vec::new() }
            }
            Values::Regexes(regexes) => {
                Self { values: Vec::new(), regex_values: regexes.iter().map(SearchPattern::as_str).collect() }
            }
        }
    }
}
