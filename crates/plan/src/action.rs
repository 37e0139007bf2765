//! What a rule does with a request.

use std::sync::LazyLock;
use std::time::Duration;

use crate::RequestHead;

/// The routing action of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// To a target of one of these target groups.
    Forward(Forward),
    /// To another URL.
    Redirect(Redirect),
    /// Answered by the load balancer itself.
    FixedResponse(FixedResponse),
}

/// Target groups with weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// Never empty.
    pub targets: Vec<ForwardTarget>,
    /// How long one client stays with the target group it got, if at all.
    pub stickiness: Option<Duration>,
}

/// One weighted target group of a forward action.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardTarget {
    /// Which target group.
    pub target_group: TargetGroupRef,
    /// 0 to 999; the share is weight / sum of weights.
    pub weight: u16,
}

/// Names a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetGroupRef {
    /// Key of a target group of the same load balancer.
    Key(String),
    /// A target group outside, by ARN.
    Arn(String),
    /// A target group outside, by name.
    Name(String),
}

/// A redirect whose parts may contain `#{protocol}`, `#{host}`, `#{port}`, `#{path}` and `#{query}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    pub protocol: String,
    /// Host name.
    pub host: String,
    /// Port number as text.
    pub port: String,
    /// Absolute path; `#{path}` has no leading slash.
    pub path: String,
    /// Query without `?`.
    pub query: String,
    /// 301 or 302.
    pub status: u16,
}

/// An answer the load balancer gives itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedResponse {
    /// 2xx, 4xx or 5xx.
    pub status: u16,
    /// `text/plain` on the wire when absent.
    pub content_type: Option<String>,
    /// At most 1024 characters.
    pub message_body: Option<String>,
}

// === impl Action ===

impl Action {
    /// Forward everything to one target group of the same load balancer.
    #[must_use]
    pub fn forward_to(key: &str) -> Self {
        let target_group = TargetGroupRef::Key(key.to_owned());
        Self::Forward(Forward { targets: vec![ForwardTarget { target_group, weight: 1 }], stickiness: None })
    }

    /// The default action of an Application Load Balancer without a default backend.
    #[must_use]
    pub fn not_found() -> &'static Self {
        static NOT_FOUND: LazyLock<Action> = LazyLock::new(|| {
            Action::FixedResponse(FixedResponse {
                status: 404,
                content_type: Some("text/plain".to_owned()),
                message_body: None,
            })
        });
        &NOT_FOUND
    }
}

// === impl Redirect ===

impl Redirect {
    /// A redirect that keeps every part of the URL.
    #[must_use]
    pub fn keeping_everything(status: u16) -> Self {
        Self {
            protocol: "#{protocol}".to_owned(),
            host: "#{host}".to_owned(),
            port: "#{port}".to_owned(),
            path: "/#{path}".to_owned(),
            query: "#{query}".to_owned(),
            status,
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
        let fill = |template: &str| fill_keywords(template, &keywords);
        let mut location = format!(
            "{}://{}:{}{}",
            fill(&self.protocol).to_ascii_lowercase(),
            fill(&self.host),
            fill(&self.port),
            fill(&self.path)
        );
        let query = fill(&self.query);
        if !query.is_empty() {
            location.push('?');
            location.push_str(&query);
        }
        location
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
        let redirect =
            Redirect { protocol: "HTTPS".into(), port: "443".into(), ..Redirect::keeping_everything(301) };
        let head = RequestHead::get("http://api.example.com/a/b?x=1&y=%20");
        assert_eq!(redirect.location(&head, false, 80), "https://api.example.com:443/a/b?x=1&y=%20");
        let bare = RequestHead::get("http://api.example.com/");
        assert_eq!(redirect.location(&bare, false, 80), "https://api.example.com:443/");
    }

    #[test]
    fn parts_may_be_rewritten_around_keywords() {
        let redirect = Redirect {
            host: "new.#{host}".into(),
            path: "/old/#{path}".into(),
            query: "from=#{port}&#{query}".into(),
            ..Redirect::keeping_everything(302)
        };
        let head = RequestHead::get("http://a.example.com/x?q");
        assert_eq!(redirect.location(&head, false, 8080), "http://new.a.example.com:8080/old/x?from=8080&q");
    }
}
