//! Which pages of other origins may send requests and read their answers (WHATWG Fetch, "CORS protocol").

use crate::header_modification::{VALUE_LIMIT, is_name};
use crate::{HeaderFields, RequestHead, end_of_host};

/// Which pages may do what with a route. Browsers hold to it; it keeps nobody else out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Empty: those of all origins.
    origins: Vec<OriginPattern>,
    methods: Vec<String>,
    /// `None`: whatever they ask for.
    headers: Option<Vec<String>>,
    /// As answers have them.
    allowed_methods: String,
    allowed_headers: Option<String>,
    exposed_headers: Option<String>,
    credentials: bool,
    max_age_seconds: Option<u32>,
}

/// What somebody wants of it, before anybody looked at it. Names and methods are in any order; `*` stands for all.
#[derive(Debug, Clone, Default)]
pub struct CorsWish {
    /// `https://a.example`, `https://*.a.example` or `*`.
    pub origins: Vec<String>,
    /// Methods that pages may use; GET, HEAD, POST, PUT, PATCH and DELETE where nothing is said.
    pub methods: Option<Vec<String>>,
    /// Header fields that pages may set; all where nothing is said.
    pub headers: Option<Vec<String>>,
    /// Header fields of answers that pages may read besides the plain ones.
    pub exposed_headers: Vec<String>,
    /// Whether requests may carry cookies and client certificates.
    pub credentials: bool,
    /// How long a browser need not ask again.
    pub max_age_seconds: Option<u32>,
}

/// Why it cannot be had so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorsError {
    /// Nobody is allowed anything.
    #[error("it allows no origin")]
    NoOrigin,
    /// A text is no origin.
    #[error(
        "`{origin}` is not an origin such as `https://app.example.com` or `https://*.example.com`: {problem}"
    )]
    Origin {
        /// As written.
        origin: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// With cookies, a page of any origin could act for whoever looks at it.
    #[error("`*` in {field} does not go with credentials: browsers refuse it (WHATWG Fetch)")]
    AllWithCredentials {
        /// Where it stands.
        field: &'static str,
    },
    /// A text is neither a method nor the name of a field.
    #[error("`{text}` in {field} is not a {what}")]
    Name {
        /// As written.
        text: String,
        /// Where it stands.
        field: &'static str,
        /// What it should be.
        what: &'static str,
    },
    /// There is too much of it.
    #[error("{field} has more than {most} entries, or is longer than {VALUE_LIMIT} characters")]
    TooMuch {
        /// Where.
        field: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// Browsers keep what they were told a day at most.
    #[error("maxAge {seconds} is more than a day ({MOST_SECONDS})")]
    MaxAge {
        /// In seconds.
        seconds: u32,
    },
}

/// What a browser asks before it sends a request of a page ("CORS-preflight request").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// The origin of the page.
    pub origin: String,
    /// The method of the request.
    pub method: String,
    /// The names of its header fields that not every page may set, between commas; may be empty.
    pub headers: String,
}

/// Why a browser is told no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// By the origin.
    Origin,
    /// By the method.
    Method,
    /// By a header field.
    Header,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum OriginPattern {
    Exact(String),
    /// One label stands between these.
    AnyLabel {
        scheme: String,
        rest: String,
    },
}

/// So many origins, methods and names there may be of each.
const MOST: usize = 64;
const MOST_SECONDS: u32 = 86_400;
/// Domains of one label that belong to nobody in the world (RFC 6761, RFC 6762, and `internal` by ICANN).
const SPECIAL_DOMAINS: [&str; 6] = ["example", "internal", "invalid", "local", "localhost", "test"];
/// Where nobody says which.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// Those that every page may use.
const SAFE_METHODS: [&str; 3] = ["GET", "HEAD", "POST"];
const ALL: &str = "*";

// === impl Cors ===

impl Cors {
    /// Looks at a wish.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn new(wish: CorsWish) -> Result<Self, CorsError> {
        let CorsWish { origins, methods, headers, exposed_headers, credentials, max_age_seconds } = wish;
        let is_for_all = origins.iter().any(|origin| origin == ALL);
        if origins.is_empty() {
            return Err(CorsError::NoOrigin);
        }
        if is_for_all && credentials {
            return Err(CorsError::AllWithCredentials { field: "allowOrigins" });
        }
        if let Some(seconds) = max_age_seconds.filter(|seconds| *seconds > MOST_SECONDS) {
            return Err(CorsError::MaxAge { seconds });
        }
        if origins.len() > MOST {
            return Err(CorsError::TooMuch { field: "allowOrigins", most: MOST });
        }
        let methods = methods.unwrap_or_else(|| METHODS.map(str::to_owned).to_vec());
        let allowed_methods = joined("allowMethods", "method", &methods, credentials)?;
        let headers = headers.map(lower_case);
        let allowed_headers = headers
            .as_ref()
            .map(|names| joined("allowHeaders", "name of a header field", names, credentials));
        let exposed =
            joined("exposeHeaders", "name of a header field", &lower_case(exposed_headers), credentials)?;
        let origins = origins.iter().filter(|_| !is_for_all).map(|origin| OriginPattern::new(origin));
        Ok(Self {
            origins: origins.collect::<Result<_, _>>()?,
            methods,
            headers,
            allowed_methods,
            allowed_headers: allowed_headers.transpose()?,
            exposed_headers: Some(exposed).filter(|exposed| !exposed.is_empty()),
            credentials,
            max_age_seconds,
        })
    }

    /// Whether pages of every origin may.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.origins.is_empty()
    }

    /// Whether pages of this origin may.
    #[must_use]
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.is_for_all() || self.origins.iter().any(|pattern| pattern.matches(origin))
    }

    /// Whether requests may carry cookies.
    #[must_use]
    pub fn credentials(&self) -> bool {
        self.credentials
    }

    /// The fields of answers that pages may read besides the plain ones, as an answer has them.
    #[must_use]
    pub fn exposed_headers(&self) -> Option<&str> {
        self.exposed_headers.as_deref()
    }

    /// How long a browser need not ask again, in seconds.
    #[must_use]
    pub fn max_age_seconds(&self) -> Option<u32> {
        self.max_age_seconds
    }

    /// What a browser is told that asks: the methods and the header fields that it may use, as an answer has them.
    ///
    /// # Errors
    /// What of its request is not allowed.
    pub fn grant<'a>(&'a self, preflight: &'a Preflight) -> Result<(&'a str, &'a str), Refused> {
        if !self.allows_origin(&preflight.origin) {
            return Err(Refused::Origin);
        }
        let is_method = |method: &String| *method == preflight.method || method == ALL;
        if !SAFE_METHODS.contains(&preflight.method.as_str()) && !self.methods.iter().any(is_method) {
            return Err(Refused::Method);
        }
        let mut asked = preflight
            .headers
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_ascii_lowercase);
        let is_header = |name: String| match &self.headers {
            // `*` does not mean the one with secrets in it ("CORS non-wildcard request-header name").
            Some(allowed) => {
                allowed.iter().any(|allowed| *allowed == name || (allowed == ALL && name != "authorization"))
            }
            None => is_name(&name),
        };
        if preflight.headers.len() > VALUE_LIMIT || !asked.all(is_header) {
            return Err(Refused::Header);
        }
        Ok((&self.allowed_methods, self.allowed_headers.as_deref().unwrap_or(&preflight.headers)))
    }
}

fn lower_case(names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| name.to_ascii_lowercase()).collect()
}

fn joined(
    field: &'static str,
    what: &'static str,
    texts: &[String],
    credentials: bool,
) -> Result<String, CorsError> {
    if let Some(text) = texts.iter().find(|text| *text != ALL && !is_name(text)) {
        return Err(CorsError::Name { text: text.clone(), field, what });
    }
    if credentials && texts.iter().any(|text| text == ALL) {
        return Err(CorsError::AllWithCredentials { field });
    }
    let joined = texts.join(", ");
    if texts.len() > MOST || joined.len() > VALUE_LIMIT {
        return Err(CorsError::TooMuch { field, most: MOST });
    }
    Ok(joined)
}

// === impl OriginPattern ===

impl OriginPattern {
    fn new(written: &str) -> Result<Self, CorsError> {
        let lower = written.to_ascii_lowercase();
        let wrong = |problem| CorsError::Origin { origin: written.to_owned(), problem };
        let (scheme, authority) = lower.split_once("://").ok_or(wrong("it has no scheme"))?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return Err(wrong("its scheme is none"));
        }
        if authority.contains(['/', '?', '#', '@']) {
            return Err(wrong("there is something behind its host and port, or before them"));
        }
        // Browsers leave out the port that goes with the scheme.
        let plain_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let authority = authority.strip_suffix(plain_port).unwrap_or(authority);
        let (first, rest) = match authority.strip_prefix("*.") {
            Some(rest) => (Some(ALL), rest),
            None => (None, authority),
        };
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        if rest.is_empty() || !rest.bytes().all(is_host) {
            return Err(wrong("its host is none, or has `*` for something else than its first label"));
        }
        let (host, _) = rest.split_at(end_of_host(rest));
        if first.is_some() && !host.contains('.') && !SPECIAL_DOMAINS.contains(&host) {
            return Err(wrong("`*` stands for every domain of the world there is below that"));
        }
        Ok(match first {
            Some(_) => Self::AnyLabel { scheme: format!("{scheme}://"), rest: format!(".{rest}") },
            None => Self::Exact(format!("{scheme}://{rest}")),
        })
    }

    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Exact(exact) => origin == exact,
            Self::AnyLabel { scheme, rest } => {
                let label =
                    origin.strip_prefix(scheme.as_str()).and_then(|host| host.strip_suffix(rest.as_str()));
                label.is_some_and(|label| {
                    !label.is_empty()
                        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                })
            }
        }
    }
}

// === impl Preflight ===

impl Preflight {
    /// What is asked, if this is one.
    #[must_use]
    pub fn of(head: &RequestHead<'_>) -> Option<Self> {
        Self::in_fields(head.method, head.headers)
    }

    /// The same, by method and fields.
    #[must_use]
    pub fn in_fields(method: &str, fields: &dyn HeaderFields) -> Option<Self> {
        if method != "OPTIONS" {
            return None;
        }
        let all = |name: &str| {
            let mut values: Vec<String> = Vec::new();
            fields.any(name, &mut |value| {
                values.push(String::from_utf8_lossy(value).into_owned());
                false
            });
            values
        };
        let only = |name: &str| {
            let mut values = all(name);
            values.pop().filter(|_| values.is_empty())
        };
        Some(Self {
            origin: only("origin")?,
            method: only("access-control-request-method")?,
            headers: all("access-control-request-headers").join(", "),
        })
    }
}

// === impl Refused ===

impl Refused {
    /// For whoever looks at the answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "the origin is not one of those that forebay.dev/cors allows",
            Self::Method => "the method is not one of those that forebay.dev/cors allows",
            Self::Header => "a header field is not one of those that forebay.dev/cors allows",
        }
    }
}

#[cfg(test)]
mod tests;
