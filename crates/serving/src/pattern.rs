//! Patterns of paths. A path is matched against a pattern segment by segment, and nothing is copied.

/// What a path is made of, as far as its route has names for it. As sent, not decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Captures<'p> {
    pub(crate) model: Option<&'p str>,
    pub(crate) version: Option<&'p str>,
    pub(crate) rest: Option<&'p str>,
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
        let value = segment.strip_suffix(suffix).filter(|value| !value.is_empty())?;
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
        let infer = "/v2/models/{model}/versions/{version}/infer";
        check(infer, "/v2/models/a%20b/versions/1/infer", Some((Some("a%20b"), Some("1"))));
        check(infer, "/v2/models/a/versions/1", None);
        check("/v2/models/{model}", "/v2/models/a/ready", None);
    }
}
