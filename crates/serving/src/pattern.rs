//! Patterns of paths. A path is matched against a pattern segment by segment, and nothing is copied.

use std::borrow::Cow;

/// What a path is made of, as far as its route has names for it. As sent, not decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Captures<'p> {
    pub(crate) model: Option<&'p str>,
    pub(crate) version: Option<&'p str>,
    pub(crate) rest: Option<&'p str>,
}

/// A path without escapes of what needs none, which mean the same as what they stand for (RFC 3986 §6.2.2.2).
pub(crate) fn without_needless_escapes(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let escape = rest.get(at..at + 3).unwrap_or("%");
        match u8::from_str_radix(&escape[1..], 16).map(char::from) {
            Ok(letter) if letter.is_ascii_alphanumeric() || "-._~".contains(letter) => plain.push(letter),
            _ => plain.push_str(escape),
        }
        rest = &rest[at + escape.len()..];
    }
    Cow::Owned(plain + rest)
}

/// Whether a pattern stands for a path, and what its names stand for then.
pub(crate) fn captures<'p>(pattern: &str, path: &'p str) -> Option<Captures<'p>> {
    let mut captures = Captures::default();
    let mut pattern = pattern;
    let mut path = path;
    while let Some(brace) = pattern.find('{') {
        path = path.strip_prefix(&pattern[..brace])?;
        let (name, after) = pattern[brace + 1..].split_once('}')?;
        let (suffix, next) = after.split_at(after.find('/').unwrap_or(after.len()));
        if name == "rest" {
            captures.rest = Some(path);
            return (!path.is_empty()).then_some(captures);
        }
        let (segment, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        let value = without_suffix(segment, suffix).filter(|value| !value.is_empty())?;
        // `iris:predict` is never the name of a model.
        let is_verb = suffix.is_empty() && value.contains(':');
        if is_verb {
            return None;
        }
        match name {
            "model" => captures.model = Some(value),
            _ => captures.version = Some(value),
        }
        (pattern, path) = (next, rest);
    }
    (pattern == path).then_some(captures)
}

/// What comes before a suffix, whose colon may be escaped: clients that quote the name of a model quote it with the rest.
fn without_suffix<'p>(segment: &'p str, suffix: &str) -> Option<&'p str> {
    segment.strip_suffix(suffix).or_else(|| {
        let before = segment.strip_suffix(suffix.strip_prefix(':')?)?;
        before.strip_suffix("%3A").or_else(|| before.strip_suffix("%3a"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: Option<(Option<&str>, Option<&str>)>) {
        let got = captures(pattern, path).map(|captures| (captures.model, captures.version));
        assert_eq!(got, expected, "{pattern} {path}");
    }

    #[test]
    fn patterns_are_matched_segment_by_segment() {
        check("/invocations", "/invocations", Some((None, None)));
        check("/invocations", "/invocations/x", None);
        check("/v1/models/{model}", "/v1/models/iris", Some((Some("iris"), None)));
        check("/v1/models/{model}", "/v1/models/", None);
        check("/v1/models/{model}", "/v1/models/iris:predict", None);
        check("/v1/models/{model}:predict", "/v1/models/iris:predict", Some((Some("iris"), None)));
        check("/v1/models/{model}:predict", "/v1/models/:predict", None);
        check("/v1/models/{model}:predict", "/v1/models/iris%3Apredict", Some((Some("iris"), None)));
        check("/v1/models/{model}:predict", "/v1/models/iris%3apredict", Some((Some("iris"), None)));
        check("/v1/models/{model}:predict", "/v1/models/%3Apredict", None);
        check("/v1/models/{model}:predict", "/v1/models/irispredict", None);
        let infer = "/v2/models/{model}/versions/{version}/infer";
        check(infer, "/v2/models/a%20b/versions/1/infer", Some((Some("a%20b"), Some("1"))));
        check(infer, "/v2/models/a/versions/1", None);
        check("/v2/models/{model}", "/v2/models/a/ready", None);
    }

    #[test]
    fn only_escapes_of_what_needs_none_are_undone() {
        for (path, plain) in [
            ("/v2/models/a", "/v2/models/a"),
            ("/v2/mod%65ls/%69ris%2d1/inf%65r", "/v2/models/iris-1/infer"),
            ("/a%2Fb%20c%253A%3A", "/a%2Fb%20c%253A%3A"),
            ("/100%/%4/%zz/%é/%+1", "/100%/%4/%zz/%é/%+1"),
        ] {
            assert_eq!(without_needless_escapes(path), plain);
        }
    }
}
