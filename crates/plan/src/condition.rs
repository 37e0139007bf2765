//! Conditions of a rule. All conditions of a rule must hold; the values inside one are alternatives.
//!
//! What a condition can be about is a row of [`SUBJECTS`]: whoever reads, writes or tries conditions goes by it.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::{Pattern, RequestHead, SearchPattern, SearchPatternError};

/// One condition of a rule ("Listener rules for your Application Load Balancer", ELB guide).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it is about.
    pub subject: Subject,
    /// What that may be, in the shape of the subject.
    pub values: Values,
}

/// What of a request a condition is about.
#[derive(Clone)]
pub struct Subject {
    row: &'static SubjectRow,
    name: Option<String>,
}

/// Alternatives of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// `*` and `?`; the whole text must match.
    Wildcards(Vec<Pattern>),
    /// Searched in the text. They and wildcards are never mixed.
    Regexes(Vec<SearchPattern>),
    /// The text itself.
    Texts(Vec<String>),
    /// The text itself, compared in a time that tells nothing of it.
    Secrets(Vec<String>),
    /// Keys with values.
    Pairs(Vec<QueryPair>),
    /// Ranges of addresses.
    Ranges(Vec<IpNet>),
}

/// A key and value pattern of a query string. `key: None` means any key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryPair {
    /// Pattern of the key.
    pub key: Option<Pattern>,
    /// Pattern of the value; a parameter without `=` has an empty value.
    pub value: Pattern,
}

/// What there is to know of a subject.
#[derive(Debug)]
pub struct SubjectRow {
    /// The name in the ELB API, for example `host-header`.
    pub field: &'static str,
    /// The key that its values stand under in JSON, for example `hostHeaderConfig`.
    pub config: &'static str,
    /// What they look like.
    pub shape: Shape,
    /// A text with wildcards, as it is compared.
    pattern: fn(&str) -> Pattern,
    /// Whether case makes a difference in regular expressions.
    minds_case: bool,
    /// Whether a request meets a condition about it.
    holds: fn(&Condition, &RequestHead<'_>) -> bool,
}

/// What the values of a subject look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Wildcards or regular expressions.
    Patterns,
    /// The same, beside a name that stands under this key.
    NamedPatterns(&'static str),
    /// Methods.
    Methods,
    /// Pairs of patterns.
    Pairs,
    /// Ranges of addresses.
    Ranges,
}

/// All that conditions can be about.
pub static SUBJECTS: &[&SubjectRow] =
    &[&HOST_HEADER, &PATH_PATTERN, &HTTP_HEADER, &HTTP_REQUEST_METHOD, &QUERY_STRING, &SOURCE_IP];

/// The host, without port and trailing dot, in any case.
static HOST_HEADER: SubjectRow = SubjectRow {
    field: "host-header",
    config: "hostHeaderConfig",
    shape: Shape::Patterns,
    pattern: Pattern::ignore_case,
    minds_case: false,
    holds: |condition, head| condition.values.match_any(head.host.as_bytes()),
};

/// The path without the query, in the spelling of [`crate::RequestPath`], case-sensitive.
static PATH_PATTERN: SubjectRow = SubjectRow {
    field: "path-pattern",
    config: "pathPatternConfig",
    shape: Shape::Patterns,
    pattern: Pattern::path,
    minds_case: true,
    holds: |condition, head| condition.values.match_any(head.path.as_bytes()),
};

/// One of the fields of a name, which is in any case and without wildcards; their values are in any case, too.
static HTTP_HEADER: SubjectRow = SubjectRow {
    field: "http-header",
    config: "httpHeaderConfig",
    shape: Shape::NamedPatterns("httpHeaderName"),
    pattern: Pattern::ignore_case,
    minds_case: false,
    holds: |condition, head| {
        let (name, values) = (condition.subject.name.as_deref(), &condition.values);
        name.is_some_and(|name| head.headers.any(name, &mut |value| values.match_any(value)))
    },
};

/// The method, exactly; `GET` does not cover `HEAD`.
static HTTP_REQUEST_METHOD: SubjectRow = SubjectRow {
    field: "http-request-method",
    config: "httpRequestMethodConfig",
    shape: Shape::Methods,
    pattern: Pattern::case_sensitive,
    minds_case: true,
    holds: |condition, head| condition.values.match_any(head.method.as_bytes()),
};

/// One pair of the query string.
static QUERY_STRING: SubjectRow = SubjectRow {
    field: "query-string",
    config: "queryStringConfig",
    shape: Shape::Pairs,
    pattern: Pattern::ignore_case,
    minds_case: false,
    holds: |condition, head| {
        query_pairs(head.query).any(|(key, value)| condition.values.match_pair(key, value))
    },
};

/// The peer address of the connection, never a header.
static SOURCE_IP: SubjectRow = SubjectRow {
    field: "source-ip",
    config: "sourceIpConfig",
    shape: Shape::Ranges,
    pattern: Pattern::case_sensitive,
    minds_case: true,
    holds: |condition, head| condition.values.match_address(head.peer),
};

// === impl Condition ===

impl Condition {
    /// Hosts with wildcards.
    #[must_use]
    pub fn hosts<T: AsRef<str>>(hosts: &[T]) -> Self {
        Self::wildcards(Subject::HOST_HEADER, hosts)
    }

    /// Paths with wildcards.
    #[must_use]
    pub fn paths<T: AsRef<str>>(paths: &[T]) -> Self {
        Self::wildcards(Subject::PATH_PATTERN, paths)
    }

    /// Texts with wildcards.
    #[must_use]
    pub fn wildcards<T: AsRef<str>>(subject: Subject, values: &[T]) -> Self {
        let patterns = values.iter().map(|value| subject.pattern(value.as_ref()));
        Self { values: Values::Wildcards(patterns.collect()), subject }
    }

    /// Whether the request meets the condition.
    #[must_use]
    pub fn holds(&self, head: &RequestHead<'_>) -> bool {
        (self.subject.row.holds)(self, head)
    }

    /// Whether it is about paths and some do not meet it. All begin with `/`.
    pub(crate) fn tells_paths_apart(&self) -> bool {
        let is_any = |pattern: &Pattern| matches!(pattern.as_str(), "*" | "/*");
        let has_any = |patterns: &[Pattern]| patterns.iter().any(is_any);
        self.subject == Subject::PATH_PATTERN && !self.patterns(&Subject::PATH_PATTERN).is_some_and(has_any)
    }

    /// Its wildcards, if it is about this subject and has some.
    #[must_use]
    pub fn patterns(&self, subject: &Subject) -> Option<&[Pattern]> {
        match &self.values {
            Values::Wildcards(patterns) if self.subject == *subject => Some(patterns),
            _ => None,
        }
    }
}

impl fmt::Display for Condition {
    /// For people: `path-pattern /predict, /batch*`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.texts().join(", ");
        let name = self.subject.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        write!(f, "{} {name}{values}", self.subject.row.field)
    }
}

// === impl Subject ===

impl Subject {
    /// The host.
    pub const HOST_HEADER: Self = Self { row: &HOST_HEADER, name: None };
    /// The path.
    pub const PATH_PATTERN: Self = Self { row: &PATH_PATTERN, name: None };
    /// The method.
    pub const HTTP_REQUEST_METHOD: Self = Self { row: &HTTP_REQUEST_METHOD, name: None };
    /// The query string.
    pub const QUERY_STRING: Self = Self { row: &QUERY_STRING, name: None };
    /// The address that the connection came from.
    pub const SOURCE_IP: Self = Self { row: &SOURCE_IP, name: None };

    /// The header fields of a name.
    #[must_use]
    pub fn http_header(name: &str) -> Self {
        Self::of(&HTTP_HEADER, Some(name.to_owned()))
    }

    /// What a row is about, with the name that it goes by, where it needs one.
    #[must_use]
    pub fn of(row: &'static SubjectRow, name: Option<String>) -> Self {
        Self { row, name }
    }

    /// What there is to know of it.
    #[must_use]
    pub fn row(&self) -> &'static SubjectRow {
        self.row
    }

    /// The name that it goes by, of those that have one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it is the header fields of some name.
    #[must_use]
    pub fn is_http_header(&self) -> bool {
        self.row.field == HTTP_HEADER.field
    }

    /// A text with wildcards, as it is compared here.
    #[must_use]
    pub fn pattern(&self, text: &str) -> Pattern {
        (self.row.pattern)(text)
    }

    /// A regular expression, as it is searched here.
    ///
    /// # Errors
    /// When it is none.
    pub fn search(&self, text: &str) -> Result<SearchPattern, SearchPatternError> {
        SearchPattern::new(text, !self.row.minds_case)
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Self) -> bool {
        (self.row.field, &self.name) == (other.row.field, &other.name)
    }
}

impl Eq for Subject {}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.row.field, self.name.as_deref().unwrap_or_default())
    }
}

// === impl Values ===

impl Values {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Wildcards(patterns) => patterns.len(),
            Self::Regexes(regexes) => regexes.len(),
            Self::Texts(texts) | Self::Secrets(texts) => texts.len(),
            Self::Pairs(pairs) => pairs.len(),
            Self::Ranges(ranges) => ranges.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each as people write it.
    fn texts(&self) -> Vec<String> {
        match self {
            Self::Wildcards(patterns) => patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            Self::Regexes(regexes) => regexes.iter().map(|regex| format!("/{}/", regex.as_str())).collect(),
            Self::Texts(texts) | Self::Secrets(texts) => texts.clone(),
            Self::Pairs(pairs) => pairs.iter().map(QueryPair::text).collect(),
            Self::Ranges(ranges) => ranges.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether one of the alternatives matches a text.
    #[must_use]
    pub fn match_any(&self, text: &[u8]) -> bool {
        match self {
            Self::Wildcards(patterns) => patterns.iter().any(|pattern| pattern.matches(text)),
            Self::Regexes(regexes) => regexes.iter().any(|regex| regex.matches(text)),
            Self::Texts(texts) => texts.iter().any(|known| known.as_bytes() == text),
            // All are looked at, whichever it is.
            Self::Secrets(secrets) => {
                secrets.iter().fold(false, |is_one, secret| is_one | is_secret(text, secret.as_bytes()))
            }
            Self::Pairs(_) | Self::Ranges(_) => false,
        }
    }

    fn match_pair(&self, key: &str, value: &str) -> bool {
        let Self::Pairs(pairs) = self else { return false };
        let has_key = |pair: &QueryPair| pair.key.as_ref().is_none_or(|it| it.matches(key.as_bytes()));
        pairs.iter().any(|pair| has_key(pair) && pair.value.matches(value.as_bytes()))
    }

    fn match_address(&self, address: IpAddr) -> bool {
        let Self::Ranges(ranges) = self else { return false };
        ranges.iter().any(|range| range.contains(&address))
    }
}

impl QueryPair {
    fn text(&self) -> String {
        let key = self.key.as_ref().map(|key| format!("{}=", key.as_str()));
        key.unwrap_or_default() + self.value.as_str()
    }
}

/// Whether a text is a secret. How long it takes to say so follows from the length of the text alone.
fn is_secret(text: &[u8], secret: &[u8]) -> bool {
    let mut difference = text.len() ^ secret.len();
    for (index, byte) in text.iter().enumerate() {
        let known = secret.get(index).or_else(|| secret.first()).copied().unwrap_or_default();
        difference |= usize::from(std::hint::black_box(byte ^ known));
    }
    difference == 0
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
        let shown = |condition: Condition| condition.to_string();
        assert_eq!(shown(Condition::paths(&["/predict", "/batch*"])), "path-pattern /predict, /batch*");
        let header = Subject::http_header("x-api-key");
        let header = Condition::wildcards(header, &["token1", "token2"]);
        assert_eq!(shown(header), "http-header x-api-key: token1, token2");
        let [key, value] = ["a", "1"].map(Pattern::query);
        let pairs = vec![QueryPair { key: Some(key), value: value.clone() }, QueryPair { key: None, value }];
        let query = Condition { subject: Subject::QUERY_STRING, values: Values::Pairs(pairs) };
        assert_eq!(shown(query), "query-string a=1, 1");
    }

    #[test]
    fn acc_s2_22_a_secret_is_met_by_itself_and_by_nothing_else() {
        let secrets = Values::Secrets(vec!["token1".to_owned(), "Token2".to_owned(), String::new()]);
        for (text, expected) in [
            ("token1", true),
            ("Token2", true),
            ("", true),
            ("TOKEN1", false),
            ("token2", false),
            ("token", false),
            ("token11", false),
            ("t", false),
        ] {
            assert_eq!(secrets.match_any(text.as_bytes()), expected, "{text}");
        }
        assert!(!Values::Secrets(Vec::new()).match_any(b""));
    }

    #[test]
    fn subjects_are_told_apart_by_their_names_in_the_api_and_their_own() {
        let fields: std::collections::BTreeSet<&str> = SUBJECTS.iter().map(|row| row.field).collect();
        assert_eq!(fields.len(), SUBJECTS.len());
        assert_eq!(Subject::of(SUBJECTS[0], None), Subject::HOST_HEADER);
        assert_ne!(Subject::http_header("a"), Subject::http_header("b"));
    }
}
