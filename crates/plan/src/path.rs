//! Paths: the one spelling that targets get, what rules match of it, and what else may be read in it.
//!
//! Two spellings of RFC 3986 that mean the same are one here (§6.2.2: letters, digits and `-._~` are written as they are, other
//! escapes in capitals, and `.` and `..` are followed). Rules match a path with everything decoded that a segment may have as it
//! is (`:`, `@`, `=` and others), because targets do that, too. Servers read more into a path: some merge slashes, some take `%2F`
//! or a backslash for one, some drop what stands behind `;`, some decode twice, some take what stands behind `//` for a host. A
//! path in which they would read something else is no fault by itself; it is one where the rules lead the two somewhere else.

use std::borrow::Cow;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath<'a> {
    /// As targets get it.
    pub path: Cow<'a, str>,
    /// As rules match it, where that is not the same.
    matched: Option<String>,
    /// What else a target may read in it, as rules match that; hardly ever anything.
    pub readings: Vec<String>,
}

/// Why a path is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `%` and something else than two hexadecimal digits.
    #[error("`%` is not followed by two hexadecimal digits")]
    Percent,
    /// A control character: some end their reading at a NUL, some leave out a line's end behind a path.
    #[error("it has a control character")]
    Control,
    /// A character of UTF-8 in more bytes than it needs, for example `%C0%AE` for a full stop (RFC 3629 §3).
    #[error("it has a character in more bytes of UTF-8 than it needs")]
    Overlong,
    /// Longer than a path may be in which several things can be read.
    #[error("it is longer than 4 KiB, and may be read in several ways")]
    Long,
}

/// Bytes that a path may have in which there is more than one reading to look for.
const MOST_BYTES: usize = 4096;

// === impl RequestPath ===

impl<'a> RequestPath<'a> {
    /// Reads a path as it was sent, which begins with `/`, where no rule asks for it ([`crate::Listener::looks_at_paths`]): what
    /// else may be read in it leads to the same.
    ///
    /// # Errors
    /// When it means nothing, whoever reads it.
    pub fn unmatched(sent: &'a str) -> Result<Self, PathError> {
        let as_sent = Self { path: Cow::Borrowed(sent), matched: None, readings: Vec::new() };
        if is_plain(sent) {
            return Ok(as_sent);
        }
        check(sent)?;
        let path = without_dots(&respelled(sent, is_unreserved));
        Ok(if path == sent { as_sent } else { Self { path: Cow::Owned(path), ..as_sent } })
    }

    /// Reads a path as it was sent, which begins with `/`.
    ///
    /// # Errors
    /// When it means nothing, whoever reads it, or too much.
    pub fn read(sent: &'a str) -> Result<Self, PathError> {
        let Self { path, .. } = Self::unmatched(sent)?;
        if is_plain(sent) {
            return Ok(Self { path, matched: None, readings: Vec::new() });
        }
        if sent.len() > MOST_BYTES {
            return Err(PathError::Long);
        }
        let matched = Some(as_matched(&path)).filter(|matched| *matched != path);
        let own = matched.as_deref().unwrap_or(&path);
        let mut readings: Vec<String> = Vec::new();
        for read in readings_of(&path) {
            let read = as_matched(&read);
            if read != *own && !readings.contains(&read) {
                readings.push(read);
            }
        }
        Ok(Self { path, matched, readings })
    }

    /// As rules match it.
    #[must_use]
    pub fn matched(&self) -> &str {
        self.matched.as_deref().unwrap_or(&self.path)
    }

    /// The same without its lifetime: what targets get, where that is not what was sent, what rules match, where that is not what
    /// targets get, and all other readings.
    #[must_use]
    pub fn into_parts(self) -> (Option<String>, Option<String>, Vec<String>) {
        let path = match self.path {
            Cow::Owned(path) => Some(path),
            Cow::Borrowed(_) => None,
        };
        (path, self.matched, self.readings)
    }
}

/// The text of a path, or of a pattern for some, as rules match it. What would be a wildcard stays an escape.
pub(crate) fn as_matched(path: &str) -> String {
    respelled(path, |byte| is_unreserved(byte) || b"!$&'()+,=:@".contains(&byte))
}

/// What servers read in a path that has one spelling already, by the habits that they have: each alone, and together.
fn readings_of(path: &str) -> Vec<String> {
    let mut readings = Vec::new();
    let mut add = |read: String| {
        if !readings.contains(&read) {
            readings.push(read);
        }
    };
    let again = |byte| is_unreserved(byte) || is_separator(byte);
    // Some drop parameters before they decode, some after it.
    for path in distinct([path.to_owned(), without_parameters(path)]) {
        let once = decoded(&path, is_separator).replace('\\', "/");
        let twice = decoded(&decoded(&path, |byte| byte == b'%'), again).replace('\\', "/");
        let [bare_once, bare_twice] = [&once, &twice].map(|decoded| without_parameters(decoded));
        for read in distinct([path, once, twice, bare_once, bare_twice]) {
            let host = without_host(&read).unwrap_or_default();
            for read in distinct([read, host]).filter(|read| !read.is_empty()) {
                // Some follow dots first, some merge slashes first.
                let followed = without_dots(&read);
                add(merged(&followed));
                add(without_dots(&merged(&read)));
                add(followed);
            }
        }
    }
    readings
}

fn distinct<const N: usize>(texts: [String; N]) -> impl Iterator<Item = String> {
    let mut seen: Vec<String> = Vec::with_capacity(N);
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen.into_iter()
}

/// Whether there is nothing in a path that anybody would read in another way.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let is_odd = !byte.is_ascii()
            || matches!(byte, b'%' | b';' | b'\\' | 0)
            || (before == b'/' && matches!(byte, b'/' | b'.'));
        before = byte;
        !is_odd
    })
}

fn check(path: &str) -> Result<(), PathError> {
    let mut before = None;
    let mut rest = path.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let mut byte_read = *byte;
        rest = behind;
        if *byte == b'%' {
            byte_read = hexadecimal(behind).ok_or(PathError::Percent)?;
            rest = &behind[2..];
        }
        if byte_read.is_ascii_control() {
            return Err(PathError::Control);
        }
        let is_overlong = matches!(
            (before, byte_read),
            (_, 0xC0 | 0xC1) | (Some(0xE0), 0x80..=0x9F) | (Some(0xF0), 0x80..=0x8F)
        );
        if is_overlong {
            return Err(PathError::Overlong);
        }
        before = Some(byte_read);
    }
    Ok(())
}

/// The byte that two hexadecimal digits stand for.
fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let &[high, low, ..] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// What needs no escape (RFC 3986 §2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What ends a segment, or a part of one.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\' | b';')
}

/// Decodes the escapes of those bytes, which are ASCII, and writes all others in capitals; what has to be escaped is
/// (RFC 3986 §6.2.2.1).
fn respelled(path: &str, is_decoded: impl Fn(u8) -> bool) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let escaped = if *byte == b'%' { hexadecimal(behind) } else { None };
        match escaped {
            Some(byte) if byte.is_ascii() && is_decoded(byte) => text.push(char::from(byte)),
            Some(byte) => push_escape(&mut text, byte),
            None if byte.is_ascii() => text.push(char::from(*byte)),
            None => push_escape(&mut text, *byte),
        }
        if escaped.is_some() {
            rest = behind.get(2..).unwrap_or_default();
        }
    }
    text
}

fn push_escape(text: &mut String, byte: u8) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    text.extend(['%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Decodes the escapes of those bytes, which are ASCII, and leaves all others.
fn decoded(path: &str, is_decoded: impl Fn(u8) -> bool) -> String {
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('%') {
        text.push_str(before);
        match hexadecimal(behind.as_bytes()).filter(|byte| byte.is_ascii() && is_decoded(*byte)) {
            Some(byte) => {
                text.push(char::from(byte));
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                text.push('%');
                rest = behind;
            }
        }
    }
    text + rest
}

/// What stands behind a host, for those who take a path that begins with two slashes for an address (RFC 3986 §4.2; browsers'
/// rules, "URL Standard", take more slashes for two).
fn without_host(path: &str) -> Option<String> {
    let host = path.strip_prefix("//")?.trim_start_matches('/');
    Some(host.split_once('/').map_or("/".to_owned(), |(_, path)| format!("/{path}")))
}

fn merged(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !text.ends_with('/') {
            text.push(character);
        }
    }
    text
}

/// Segments without what stands behind `;` in them (RFC 3986 §3.3).
fn without_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    segments.collect::<Vec<_>>().join("/")
}

/// Follows `.` and `..` (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => _ = kept.pop(),
            _ => kept.push(segment),
        }
        if is_last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// Any path is refused, or reads as itself the next time, in one spelling and without a dot that means something.
pub(crate) fn fuzz(sent: &str) {
    let Ok(once) = RequestPath::read(sent) else { return };
    let twice = RequestPath::read(&once.path);
    let twice = twice.or_else(|error| if error == PathError::Long { Ok(once.clone()) } else { Err(error) });
    assert_eq!(twice.as_ref(), Ok(&once), "what was read is read as itself");
    assert_eq!(as_matched(once.matched()), once.matched());
    assert!(once.path.is_ascii() || is_plain(sent));
    assert!(once.path.split('/').all(|segment| segment != "." && segment != "..") || is_plain(sent));
    assert!(once.readings.len() <= 60);
    assert_eq!(RequestPath::unmatched(sent).map(|read| read.path), Ok(once.path));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_path_are_one() {
        for (sent, path, matched) in [
            ("/", "/", "/"),
            ("/v1/models/iris:predict", "/v1/models/iris:predict", "/v1/models/iris:predict"),
            ("/v1/models/iris%3apredict", "/v1/models/iris%3Apredict", "/v1/models/iris:predict"),
            ("/%40a/b=%26c%2B", "/%40a/b=%26c%2B", "/@a/b=&c+"),
            ("/a/./b", "/a/b", "/a/b"),
            ("/c/../secret", "/secret", "/secret"),
            ("/c/%2e%2E/secret", "/secret", "/secret"),
            ("/c/.%2e/secret", "/secret", "/secret"),
            ("/../../etc", "/etc", "/etc"),
            ("/a/b/..", "/a/", "/a/"),
            ("/a/.", "/a/", "/a/"),
            ("/..", "/", "/"),
            ("/%61%7Eb/%2D", "/a~b/-", "/a~b/-"),
            ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
            ("/a...b/...", "/a...b/...", "/a...b/..."),
            ("/é", "/%C3%A9", "/%C3%A9"),
            ("/caf%c3%a9%20%2a", "/caf%C3%A9%20%2A", "/caf%C3%A9%20%2A"),
        ] {
            let read = RequestPath::read(sent).unwrap();
            assert_eq!(
                (read.path.as_ref(), read.matched(), &*read.readings),
                (path, matched, &[][..]),
                "{sent}"
            );
        }
        assert_eq!(
            as_matched("/thé/%7e%40/%2a*?"),
            "/th%C3%A9/~@/%2A*?",
            "patterns are spelled as paths are"
        );
    }

    #[test]
    fn what_else_may_be_read_is_told() {
        let guarded = |sent: &str, other: &str| {
            let read = RequestPath::read(sent).unwrap();
            let is_told = read.readings.iter().any(|reading| reading == other);
            assert!(is_told, "{sent}: {other} is not in {:?}", read.readings);
        };
        for sent in [
            "//secret",
            "/%2fsecret",
            "/c/..%2fsecret",
            "/c/..%5Csecret",
            "/c/..\\secret",
            "/c/..;x=1/secret",
            "/c/..%3bx/secret",
            "/c;%2fb/..%2fsecret",
            "/secret;v=1",
            "/c/%252e%252e/secret",
            "/c/..%252fsecret",
            "//x/secret",
            "/\\x/secret",
            "/\\\\x/secret",
            "///x/secret",
            "/%5cx/secret",
        ] {
            guarded(sent, "/secret");
        }
        guarded("/q/;%2f%2f../admin", "/q/admin");
        guarded("/q/..;%2f%2f../admin", "/q/admin");
        guarded("//a%3ab", "/a:b");
        assert_eq!(RequestPath::read("/c//x").unwrap().readings, ["/c/x"]);
        assert_eq!(RequestPath::read("/c//../secret").unwrap(), RequestPath::read("/c/./secret").unwrap());
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let long = format!("/{}", "a//".repeat(2_000));
        for (sent, error) in [
            ("/%", PathError::Percent),
            ("/%2", PathError::Percent),
            ("/50%-off", PathError::Percent),
            ("/%u002e", PathError::Percent),
            ("/a%00b", PathError::Control),
            ("/a\0", PathError::Control),
            ("/secret%0a", PathError::Control),
            ("/secret%0D%0A", PathError::Control),
            ("/%7f", PathError::Control),
            ("/%c0%ae%c0%ae/x", PathError::Overlong),
            ("/%e0%80%ae", PathError::Overlong),
            ("/%F0%80%80%AE", PathError::Overlong),
            (&long, PathError::Long),
        ] {
            assert_eq!(RequestPath::read(sent), Err(error), "{sent}");
        }
        assert!(RequestPath::read(&"/a".repeat(4_000)).is_ok());
    }

    proptest! {
        #[test]
        fn any_path_is_read_once_or_refused(sent in "(/(\\.{1,3}|;|%2[eEfF5]|%5c|%25|\\\\|[a-c]|é|%c3%a9){0,3}){1,6}") {
            prop_assert!(RequestPath::read(&sent).is_ok());
            fuzz(&sent);
        }

        #[test]
        fn any_bytes_are_a_path_or_refused(sent in "/[ -~%é\0]{0,24}") {
            fuzz(&sent);
        }
    }
}
