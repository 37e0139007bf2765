//! URIs as they may be printed: without what proves who asks.

/// What names of query parameters have in them whose values prove something: `X-Amz-Signature`, `X-Amz-Credential`, `sig`,
/// `AWSAccessKeyId`, `access_token`…
const SECRET_NAMES: &[&str] = &["auth", "cred", "key", "pass", "pwd", "secret", "sig", "token"];

const STARS: &str = "***";

/// The argument of our own program that names where its arguments are when those in the list of processes have stars.
pub const ARGUMENTS_FROM: &str = "--arguments-from=";

/// The variable that tells a replica of ours how many bytes of memory its container may use.
pub const MEMORY_LIMIT: &str = "FOREBAY_MEMORY_LIMIT";

/// One URI with stars for its password and signatures, whatever characters they are of: to be said before the URI becomes
/// part of a sentence, whose quotes and spaces could not be told from its own.
#[must_use]
pub fn starred_uri(uri: &str) -> String {
    let Some(at) = uri.find("://") else { return uri.to_owned() };
    let (scheme, rest) = uri.split_at(at + "://".len());
    let mut shown = scheme.to_owned();
    star_one(rest, &mut shown);
    shown
}

/// A text with stars for the passwords and signatures of the URIs in it.
#[must_use]
pub fn starred(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        shown.push_str(before);
        let end = user_end(after).map_or(0, |at| at + 1);
        let end = after[end..].find(is_end).map_or(after.len(), |length| end + length);
        star_one(&after[..end], &mut shown);
        rest = &after[end..];
    }
    shown + rest
}

/// Where the `@` after a user and a password is. The password may hold what ends a URI elsewhere, and so all up to the last `@`
/// before the path is taken for it: rather too much is starred than too little.
fn user_end(after: &str) -> Option<usize> {
    let authority = &after[..after.find(['/', '?', '#', '\n']).unwrap_or(after.len())];
    authority.rfind('@').filter(|at| authority[..*at].contains(':'))
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
            ("`http://me:wo`rd@host/a` is gone", "`http://***@host/a` is gone"),
            ("\"http://me:w o\"r'd@host\" is gone", "\"http://***@host\" is gone"),
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
    fn a_uri_alone_is_starred_whatever_it_is_of() {
        for (uri, shown) in [
            ("http://me:wo`r d@host/a", "http://***@host/a"),
            ("http://me:w\n\"/o@host/a b", "http://***@host/a b"),
            ("https://h/a?sig=a`b c&x=1", "https://h/a?sig=***&x=1"),
            ("models/a b", "models/a b"),
        ] {
            assert_eq!(starred_uri(uri), shown);
        }
    }

    #[test]
    fn everything_else_is_shown() {
        for text in [
            "",
            "://",
            "a://",
            "http://host:80/a@b/c",
            "`http://host` is of me@host",
            "s3://bucket/token=a/model.pkl",
            "gs://b/k?alt=media",
            "x=y://",
        ] {
            assert_eq!(starred(text), text);
        }
    }
}
