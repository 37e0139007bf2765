//! Rewriting what a target is asked for ("Transforms for listener rules", ALB user guide). Rules are found by what the client
//! asked for; targets see what came of it.

use std::borrow::Cow;

use crate::{RequestHead, SearchPattern};

/// A transform of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transform {
    /// What is rewritten.
    pub part: TransformPart,
    /// How: one after the other.
    pub rewrites: Vec<Rewrite>,
}

/// What of a request a transform rewrites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransformPart {
    /// The host, without port, in any case.
    HostHeader,
    /// The path, with `?` and the query, where there is one.
    Url,
}

/// One replacement: the first place that the expression finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// What is replaced.
    pub regex: SearchPattern,
    /// What comes there; `$1` to `$9` are the groups of the expression.
    pub replace: String,
}

/// What became of the parts that were rewritten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transformed {
    /// The host.
    pub host: Option<String>,
    /// Path and query.
    pub url: Option<String>,
}

/// A rewrite gave what cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a rewrite of the {} gave what is none", part.noun())]
pub struct TransformError {
    /// What was rewritten.
    pub part: TransformPart,
}

/// The longest URL that a rewrite may give.
const URL_BYTES: usize = 8 * 1024;
/// The longest host (RFC 1035 §2.3.4).
const HOST_BYTES: usize = 253;

// === impl Transform ===

impl Transform {
    /// What a request is to be, where one of the transforms changes it.
    ///
    /// # Errors
    /// When what comes out is no host, or no path.
    pub fn all(transforms: &[Self], head: &RequestHead<'_>) -> Result<Transformed, TransformError> {
        let mut transformed = Transformed::default();
        for transform in transforms {
            match transform.part {
                TransformPart::HostHeader => transformed.host = transform.rewritten(head.host)?,
                TransformPart::Url => {
                    let url = match head.query {
                        Some(query) => Cow::Owned(format!("{}?{query}", head.path)),
                        None => Cow::Borrowed(head.path),
                    };
                    transformed.url = transform.rewritten(&url)?;
                }
            }
        }
        Ok(transformed)
    }

    /// Another text, where something was replaced.
    fn rewritten(&self, text: &str) -> Result<Option<String>, TransformError> {
        let mut now = Cow::Borrowed(text);
        for rewrite in &self.rewrites {
            if let Some(replaced) = rewrite.regex.replace_first(&now, &rewrite.replace) {
                now = Cow::Owned(replaced);
            }
        }
        match now {
            Cow::Borrowed(_) => Ok(None),
            Cow::Owned(now) if self.part.can_be(&now) => Ok(Some(now)),
            Cow::Owned(_) => Err(TransformError { part: self.part }),
        }
    }
}

// === impl TransformPart ===

impl TransformPart {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::HostHeader, Self::Url];

    /// The type in the ELB API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostHeader => "host-header-rewrite",
            Self::Url => "url-rewrite",
        }
    }

    /// The key that its rewrites stand under in JSON.
    #[must_use]
    pub fn config(self) -> &'static str {
        match self {
            Self::HostHeader => "hostHeaderRewriteConfig",
            Self::Url => "urlRewriteConfig",
        }
    }

    /// An expression, as it is searched here.
    ///
    /// # Errors
    /// When it is none.
    pub fn search(self, text: &str) -> Result<SearchPattern, crate::SearchPatternError> {
        SearchPattern::new(text, self == Self::HostHeader)
    }

    fn noun(self) -> &'static str {
        match self {
            Self::HostHeader => "host",
            Self::Url => "URL",
        }
    }

    /// Whether a target can be asked for this: nothing here may end a line or begin another.
    fn can_be(self, text: &str) -> bool {
        match self {
            Self::HostHeader => {
                let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                (1..=HOST_BYTES).contains(&text.len()) && text.bytes().all(is_of_host)
            }
            Self::Url => {
                let is_of_url = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
                text.len() <= URL_BYTES && text.starts_with('/') && text.bytes().all(is_of_url)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transform(part: TransformPart, regex: &str, replace: &str) -> Transform {
        let rewrite = Rewrite { regex: part.search(regex).unwrap(), replace: replace.to_owned() };
        Transform { part, rewrites: vec![rewrite] }
    }

    #[test]
    fn what_an_expression_finds_is_replaced_once() {
        let url = |regex, replace, url| {
            let transforms = [transform(TransformPart::Url, regex, replace)];
            Transform::all(&transforms, &RequestHead::get(url)).map(|transformed| transformed.url)
        };
        let is = |text: &str| Ok(Some(text.to_owned()));
        let wrong = Err(TransformError { part: TransformPart::Url });
        for (regex, replace, asked, expected) in [
            ("^/v1/(.*)$", "/v2/$1", "http://a/v1/x?y=1", is("/v2/x?y=1")),
            ("^/dp/([a-z]+)/?$", "/product?id=$1", "http://a/dp/iris/", is("/product?id=iris")),
            ("^/(.)(.)", "/$2$1$3$0", "http://a/xyz", is("/yx/xyz")),
            ("x", "$", "http://a/xx", is("/$x")),
            ("^/api", "", "http://a/api/x", is("/x")),
            ("^/V1", "/v2", "http://a/v1", Ok(None)),
            ("^/api", "", "http://a/api", wrong.clone()),
            ("^/.*", "x", "http://a/api", wrong.clone()),
            ("^/.*", "/a b", "http://a/api", wrong.clone()),
            ("^/.*", "/\r\nx: y", "http://a/api", wrong.clone()),
            ("^/.*", "/é", "http://a/api", wrong),
        ] {
            assert_eq!(url(regex, replace, asked), expected, "{regex} {replace} {asked}");
        }
    }

    #[test]
    fn hosts_are_rewritten_in_any_case_and_stay_hosts() {
        let host = |regex, replace| {
            let transforms = [transform(TransformPart::HostHeader, regex, replace)];
            Transform::all(&transforms, &RequestHead::get("http://shop-de.example/x")).map(|it| it.host)
        };
        assert_eq!(host("^SHOP-(.+)\\.example$", "$1.internal"), Ok(Some("de.internal".to_owned())));
        assert_eq!(host("^other", "x"), Ok(None));
        for wrong in ["", "a/b", "a b", "a\r\nx: y"] {
            assert_eq!(
                host("^.*$", wrong),
                Err(TransformError { part: TransformPart::HostHeader }),
                "{wrong}"
            );
        }
    }
}
