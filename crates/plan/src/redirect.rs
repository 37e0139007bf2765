//! Sending a client to another URL.

use crate::RequestHead;

/// A redirect. What is not kept of the URL may contain `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// `HTTP` or `HTTPS`.
    pub protocol: RedirectPart,
    /// Host name.
    pub host: RedirectPart,
    /// Port number as text.
    pub port: RedirectPart,
    /// Absolute path; `#{path}` has no leading slash.
    pub path: RedirectPart,
    /// Query without `?`.
    pub query: RedirectPart,
    /// 301 or 302, or what [`crate::Handling::redirect_status`] says.
    pub status: u16,
}

/// What becomes of a part of the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectPart {
    /// It is as the request had it.
    Keep,
    /// It is this, once its keywords are filled in.
    Set(String),
}

/// The parts of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlPart {
    /// `http` or `https`.
    Protocol,
    /// Host name.
    Host,
    /// Port.
    Port,
    /// Path.
    Path,
    /// Query.
    Query,
}

// === impl Redirect ===

impl Redirect {
    /// A redirect that keeps every part of the URL.
    #[must_use]
    pub fn keeping_everything(status: u16) -> Self {
        let keep = || RedirectPart::Keep;
        Self { protocol: keep(), host: keep(), port: keep(), path: keep(), query: keep(), status }
    }

    /// A part as AWS writes it: its template, or the keyword that keeps it.
    #[must_use]
    pub fn text(&self, part: UrlPart) -> &str {
        let written = match part {
            UrlPart::Protocol => &self.protocol,
            UrlPart::Host => &self.host,
            UrlPart::Port => &self.port,
            UrlPart::Path => &self.path,
            UrlPart::Query => &self.query,
        };
        match written {
            RedirectPart::Keep => part.kept(),
            RedirectPart::Set(template) => template,
        }
    }

    /// The value of the `Location` field for a request that came to a listener of this protocol and port.
    ///
    /// The port is written even when it is the protocol's default, as ALB does.
    #[must_use]
    pub fn location(&self, head: &RequestHead<'_>, is_tls: bool, listener_port: u16) -> String {
        let port = listener_port.to_string();
        let keywords = [
            ("#{protocol}", if is_tls { "https" } else { "http" }),
            ("#{host}", head.host),
            ("#{port}", &port),
            ("#{path}", head.path.strip_prefix('/').unwrap_or(head.path)),
            ("#{query}", head.query.unwrap_or_default()),
        ];
        let fill = |part| fill_keywords(self.text(part), &keywords);
        let mut location = format!(
            "{}://{}:{}{}",
            fill(UrlPart::Protocol).to_ascii_lowercase(),
            fill(UrlPart::Host),
            fill(UrlPart::Port),
            fill(UrlPart::Path)
        );
        let query = fill(UrlPart::Query);
        if !query.is_empty() {
            location.push('?');
            location.push_str(&query);
        }
        location
    }
}

// === impl RedirectPart, UrlPart ===

impl RedirectPart {
    /// A part as AWS writes it.
    #[must_use]
    pub fn new(part: UrlPart, text: &str) -> Self {
        if text == part.kept() { Self::Keep } else { Self::set(text) }
    }

    /// What is written.
    #[must_use]
    pub fn set(template: &str) -> Self {
        Self::Set(template.to_owned())
    }

    /// Whether it leads to the same text as the request had, where what is written is that, if this says so.
    pub fn stays(&self, is_same: impl FnOnce(&str) -> bool) -> bool {
        match self {
            Self::Keep => true,
            Self::Set(template) => is_same(template),
        }
    }
}

impl UrlPart {
    /// What AWS writes for a part that stays as it is.
    #[must_use]
    pub fn kept(self) -> &'static str {
        match self {
            Self::Protocol => "#{protocol}",
            Self::Host => "#{host}",
            Self::Port => "#{port}",
            Self::Path => "/#{path}",
            Self::Query => "#{query}",
        }
    }
}

/// Replaces each keyword once, from left to right; what was filled in is not looked at again.
fn fill_keywords(template: &str, keywords: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find("#{") {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let keyword = keywords.iter().find(|(keyword, _)| rest.starts_with(keyword));
        let (written, value) = keyword.map_or(("#{", "#{"), |(keyword, value)| (*keyword, *value));
        filled.push_str(value);
        rest = &rest[written.len()..];
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s0_42_https_redirect_keeps_path_and_query() {
        let redirect = Redirect {
            protocol: RedirectPart::set("HTTPS"),
            port: RedirectPart::set("443"),
            ..Redirect::keeping_everything(301)
        };
        let head = RequestHead::get("http://api.example.com/a/b?x=1&y=%20");
        assert_eq!(redirect.location(&head, false, 80), "https://api.example.com:443/a/b?x=1&y=%20");
        let bare = RequestHead::get("http://api.example.com/");
        assert_eq!(redirect.location(&bare, false, 80), "https://api.example.com:443/");
    }

    #[test]
    fn parts_may_be_rewritten_around_keywords() {
        let redirect = Redirect {
            host: RedirectPart::set("new.#{host}"),
            path: RedirectPart::set("/old/#{path}"),
            query: RedirectPart::set("from=#{port}&#{query}"),
            ..Redirect::keeping_everything(302)
        };
        let head = RequestHead::get("http://a.example.com/x?q");
        assert_eq!(redirect.location(&head, false, 8080), "http://new.a.example.com:8080/old/x?from=8080&q");
    }

    #[test]
    fn a_part_that_says_what_is_there_is_kept() {
        for part in [UrlPart::Protocol, UrlPart::Host, UrlPart::Port, UrlPart::Path, UrlPart::Query] {
            assert_eq!(RedirectPart::new(part, part.kept()), RedirectPart::Keep);
            assert_eq!(Redirect::keeping_everything(302).text(part), part.kept());
        }
        assert_eq!(RedirectPart::new(UrlPart::Path, "#{path}"), RedirectPart::set("#{path}"));
    }
}
