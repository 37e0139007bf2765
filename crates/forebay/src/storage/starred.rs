//! URIs as they may be printed: without what proves who asks.

/// What names of query parameters have in them whose values prove something: `X-Amz-Signature`, `X-Amz-Credential`, `sig`,
/// `AWSAccessKeyId`, `access_token`…
const SECRET_NAMES: &[&str] = &["auth", "cred", "key", "pass", "pwd", "secret", "sig", "token"];

const STARS: &str = "***";

/// A text with stars for the passwords and signatures of the URIs in it.
pub(crate) fn starred(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        shown.push_str(before);
        let end = after.find(is_end).unwrap_or(after.len());
        star_one(&after[..end], &mut shown);
        rest = &after[end..];
    }
    shown + rest
}

/// Whether a character ends a URI in a text.
fn is_end(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character, '`' | '"' | '\'' | '<' | '>' | '|')
}

/// Stars what comes after the scheme of one URI.
fn star_one(uri: &str, shown: &mut String) {
    let authority_end = uri.find(['/', '?', '#']).unwrap_or(uri.len());
    // A password with a slash that was not escaped is no part of an authority, and yet it is a password.
    let at = uri[..authority_end].rfind('@').or_else(|| {
        let port = uri[..authority_end].rsplit_once(':').map(|(_, port)| port);
        let has_password = port.is_some_and(|port| port.parse::<u16>().is_err());
        uri.rfind('@').filter(|at| has_password && !uri[..*at].contains(['?', '#']))
    });
    let rest = match at {
        Some(at) => {
            shown.push_str(STARS);
            &uri[at..]
        }
        None => uri,
    };
    for (index, part) in rest.split_inclusive(['?', '&', ';', '#']).enumerate() {
        let (pair, separator) = match part.char_indices().next_back() {
            Some((at, '?' | '&' | ';' | '#')) => part.split_at(at),
            _ => (part, ""),
        };
        match pair.split_once('=') {
            Some((name, value)) if index > 0 && is_secret(name) && !value.is_empty() => {
                shown.extend([name, "=", STARS]);
            }
            _ => shown.push_str(pair),
        }
        shown.push_str(separator);
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proves_who_asks_is_starred() {
        for (text, shown) in [
            ("http://me:word@host/a", "http://***@host/a"),
            ("http://me@host", "http://***@host"),
            ("http://me:wo/rd@host/a", "http://***@host/a"),
            ("http://me:wo@rd@host/a", "http://***@host/a"),
            ("s3://key:secret@bucket/x y", "s3://***@bucket/x y"),
            (
                "https://h/a?X-Amz-Date=1&X-Amz-Signature=ab&x=1",
                "https://h/a?X-Amz-Date=1&X-Amz-Signature=***&x=1",
            ),
            ("https://h/a?sv=1&sig=a%2Bb=", "https://h/a?sv=1&sig=***"),
            ("https://h/a?AWSAccessKeyId=AK&Expires=1", "https://h/a?AWSAccessKeyId=***&Expires=1"),
            ("https://h/?token=a#access_token=b", "https://h/?token=***#access_token=***"),
            (
                "cannot fetch `http://a:b@h/x`: http://c:d@i/y (again)",
                "cannot fetch `http://***@h/x`: http://***@i/y (again)",
            ),
        ] {
            assert_eq!(starred(text), shown);
        }
    }

    #[test]
    fn everything_else_is_shown() {
        for text in [
            "",
            "://",
            "a://",
            "http://host:80/a@b/c",
            "s3://bucket/token=a/model.pkl",
            "gs://b/k?alt=media",
            "x=y://",
        ] {
            assert_eq!(starred(text), text);
        }
    }
}
