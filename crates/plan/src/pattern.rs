//! Text patterns of rule conditions: ALB wildcards (`*`, `?`) and searched regular expressions.

use std::fmt;

use crate::path::as_matched;

/// A pattern with ALB's wildcards: `*` is any run of bytes (also none), `?` is exactly one byte. The whole text must match.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    /// What is compared, where that is another spelling than what was written.
    compared: Option<String>,
    ignore_case: bool,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Byte(u8),
    AnyByte,
    AnyRun,
}

impl Pattern {
    /// A pattern for paths, where case matters.
    #[must_use]
    pub fn case_sensitive(written: &str) -> Self {
        Self::new(written, false, false)
    }

    /// A pattern for paths in the spelling that those of requests are brought into ([`crate::RequestPath`]).
    #[must_use]
    pub fn path(written: &str) -> Self {
        let compared = as_matched(written);
        if compared == written {
            return Self::case_sensitive(written);
        }
        let pattern = Self::case_sensitive(&compared);
        Self { written: written.to_owned(), compared: Some(compared), ..pattern }
    }

    /// A pattern for hosts and header values, where ASCII case does not matter.
    #[must_use]
    pub fn ignore_case(written: &str) -> Self {
        Self::new(written, true, false)
    }

    /// A pattern for query keys and values: case does not matter, and `\*`, `\?`, `\\` stand for themselves.
    #[must_use]
    pub fn query(written: &str) -> Self {
        Self::new(written, true, true)
    }

    fn new(written: &str, ignore_case: bool, escapes: bool) -> Self {
        let fold = |byte: u8| if ignore_case { byte.to_ascii_lowercase() } else { byte };
        let mut parts: Vec<Part> = Vec::with_capacity(written.len());
        let mut bytes = written.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let part = match byte {
                b'\\' if escapes && matches!(bytes.peek(), Some(b'*' | b'?' | b'\\')) => {
                    Part::Byte(bytes.next().unwrap_or(b'\\'))
                }
                b'*' => Part::AnyRun,
                b'?' => Part::AnyByte,
                byte => Part::Byte(fold(byte)),
            };
            // `**` means what `*` means; keeping one of them keeps matching linear in practice.
            if part != Part::AnyRun || parts.last() != Some(&Part::AnyRun) {
                parts.push(part);
            }
        }
        Self { written: written.to_owned(), compared: None, ignore_case, parts }
    }

    /// The pattern as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// What is compared with texts.
    #[must_use]
    pub fn compared(&self) -> &str {
        self.compared.as_deref().unwrap_or(&self.written)
    }

    /// Whether the pattern has no wildcard, so that it names exactly one text.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Byte(_)))
    }

    /// Whether the whole of `text` matches. Takes at most `pattern length × text length` steps and never recurses.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut part, mut position) = (0, 0);
        // Where to come back to when a later part fails: the part after the last `*`, and the byte it was tried at.
        let mut retry: Option<(usize, usize)> = None;
        while position < text.len() {
            match self.parts.get(part) {
                Some(Part::AnyRun) => {
                    retry = Some((part + 1, position));
                    part += 1;
                    continue;
                }
                Some(Part::AnyByte) => {
                    part += 1;
                    position += 1;
                    continue;
                }
                Some(Part::Byte(byte)) if *byte == self.fold(text[position]) => {
                    part += 1;
                    position += 1;
                    continue;
                }
                _ => {}
            }
            let Some((after_star, tried_at)) = retry else { return false };
            retry = Some((after_star, tried_at + 1));
            part = after_star;
            position = tried_at + 1;
        }
        self.parts[part..].iter().all(|part| *part == Part::AnyRun)
    }

    fn fold(&self, byte: u8) -> u8 {
        if self.ignore_case { byte.to_ascii_lowercase() } else { byte }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.written)
    }
}

/// A regular expression that is searched for, not anchored. Linear in the text: no lookaround, no backreference.
#[derive(Clone)]
pub struct SearchPattern {
    regex: regex::bytes::Regex,
}

/// Why a regular expression of a condition or a transform cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{written}` is not a regular expression that a load balancer takes: {problem}")]
pub struct SearchPatternError {
    /// The expression as written.
    pub written: String,
    /// What is wrong with it.
    pub problem: String,
}

impl SearchPattern {
    /// The largest compiled size, in bytes.
    pub const COMPILED_LIMIT: usize = 1 << 20;

    /// Compiles an expression. `ignore_case` is for hosts and header values.
    ///
    /// # Errors
    /// What the ELB guide excludes (lookaround, backreferences, atomic groups, possessive quantifiers, `\p{…}`), what is
    /// no expression at all, and what would compile to more than [`Self::COMPILED_LIMIT`].
    pub fn new(written: &str, ignore_case: bool) -> Result<Self, SearchPatternError> {
        let error = |problem: String| SearchPatternError { written: written.to_owned(), problem };
        if written.contains(r"\p{") || written.contains(r"\P{") {
            return Err(error(r"`\p{…}` classes are not taken".to_owned()));
        }
        let regex = regex::bytes::RegexBuilder::new(written)
            .case_insensitive(ignore_case)
            .unicode(false)
            .size_limit(Self::COMPILED_LIMIT)
            .build()
            .map_err(|source| {
                error(source.to_string().lines().last().unwrap_or_default().trim().to_owned())
            })?;
        Ok(Self { regex })
    }

    /// The expression as the user wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether the expression is found anywhere in `text`.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The text with what is found first replaced, where something is found. `$0` to `$9` are what the groups found.
    #[must_use]
    pub fn replace_first(&self, text: &str, replacement: &str) -> Option<String> {
        let found = self.regex.captures(text.as_bytes())?;
        let whole = found.get(0)?;
        let group = |digit: u8| found.get(usize::from(digit - b'0')).map(|group| group.as_bytes());
        let mut replaced = text.as_bytes()[..whole.start()].to_vec();
        let mut bytes = replacement.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match bytes.peek() {
                Some(digit @ b'0'..=b'9') if byte == b'$' => {
                    replaced.extend_from_slice(group(*digit).unwrap_or_default());
                    bytes.next();
                }
                _ => replaced.push(byte),
            }
        }
        replaced.extend_from_slice(&text.as_bytes()[whole.end()..]);
        // An expression may find a part of a character, which is no reason to keep it.
        Some(String::from_utf8_lossy(&replaced).into_owned())
    }
}

impl PartialEq for SearchPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for SearchPattern {}

impl fmt::Debug for SearchPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &Pattern, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert!(pattern.matches(text.as_bytes()), "{pattern:?} should match {text:?}");
        }
        for text in no {
            assert!(!pattern.matches(text.as_bytes()), "{pattern:?} should not match {text:?}");
        }
    }

    #[test]
    fn path_patterns_match_the_whole_path_and_its_case() {
        check(
            &Pattern::case_sensitive("/predict"),
            &["/predict"],
            &["/Predict", "/predict/", "/a/predict", ""],
        );
        check(&Pattern::case_sensitive("/v?/*"), &["/v1/", "/v2/models/x"], &["/v10/x", "/v1"]);
        check(&Pattern::case_sensitive("/*"), &["/", "/a/b"], &["", "a"]);
        check(&Pattern::case_sensitive("*.png*x"), &["a.pngx", ".png.pngxx"], &["a.png", "png"]);
    }

    #[test]
    fn host_wildcard_does_not_cover_the_bare_domain() {
        check(
            &Pattern::ignore_case("*.Example.com"),
            &["a.example.COM", "a.b.example.com"],
            &["example.com"],
        );
    }

    #[test]
    fn only_query_patterns_know_escapes() {
        check(&Pattern::query(r"a\*b"), &["a*b", "A*B"], &["axb"]);
        check(&Pattern::query(r"a\\"), &[r"a\"], &["a"]);
        check(&Pattern::case_sensitive(r"a\*"), &[r"a\b"], &["a*"]);
    }

    #[test]
    fn expressions_are_searched_and_limited() {
        let version = SearchPattern::new("^/v[12]/models/", false).unwrap();
        assert!(version.matches(b"/v1/models/x") && !version.matches(b"/v3/models/x"));
        for excluded in ["a(?=b)", r"(a)\1", r"\p{L}", "a{999999999}", "("] {
            assert!(SearchPattern::new(excluded, false).is_err(), "{excluded} should be refused");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_agrees_with_the_regular_expression_it_means(pattern in r"[ab*?]{0,12}", text in "[abc]{0,24}") {
            let meaning = format!("^(?s:{})$", pattern.replace('*', ".*").replace('?', "."));
            let regex = regex::Regex::new(&meaning).unwrap();
            prop_assert_eq!(Pattern::case_sensitive(&pattern).matches(text.as_bytes()), regex.is_match(&text));
        }
    }
}
