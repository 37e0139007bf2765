//! Paths: the one spelling that rules match and targets get, and what else may be read in it.
//!
//! Two spellings of RFC 3986 that mean the same are one here (§6.2.2: letters, digits and `-._~` are written as they are, and
//! `.` and `..` are followed), so that no rule is passed by with another spelling. Servers read more into a path than that:
//! some merge slashes, some take `%2F` or a backslash for one, some drop what stands behind `;`, some decode twice. A path in
//! which they would read something else is no fault by itself; it is one where the rules lead the two somewhere else.

use std::borrow::Cow;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath<'a> {
    /// As rules match it and targets get it.
    pub path: Cow<'a, str>,
    /// What else a target may read in it; hardly ever anything.
    pub readings: Vec<String>,
}

/// Why a path is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `%` and something else than two hexadecimal digits.
    #[error("`%` is not followed by two hexadecimal digits")]
    Percent,
    /// A NUL, at which some end their reading.
    #[error("it has a NUL")]
    Nul,
    /// A character of UTF-8 in more bytes than it needs, for example `%C0%AE` for a full stop (RFC 3629 §3).
    #[error("it has a character in more bytes of UTF-8 than it needs")]
    Overlong,
}

/// One thing that servers do to a path.
type Step = fn(&str) -> String;

// === impl RequestPath ===

impl<'a> RequestPath<'a> {
    /// Reads a path as it was sent, which begins with `/`.
    ///
    /// # Errors
    /// When it means nothing, whoever reads it.
    pub fn read(sent: &'a str) -> Result<Self, PathError> {
        if is_plain(sent) {
            return Ok(Self { path: Cow::Borrowed(sent), readings: Vec::new() });
        }
        check(sent)?;
        let path = without_dots(&decoded(sent, is_unreserved));
        let decode: Step = |path| slashes(&decoded(path, is_slash));
        let decode_again: Step = |path| {
            slashes(&decoded(&decoded(path, |byte| byte == b'%'), |byte| {
                is_unreserved(byte) || is_slash(byte)
            }))
        };
        let habits: [&[Step]; 5] = [
            &[merged],
            &[decode],
            &[without_parameters],
            &[decode_again],
            &[decode_again, without_parameters, merged],
        ];
        let mut readings: Vec<String> = Vec::new();
        for habit in habits {
            let read = habit.iter().fold(path.clone(), |path, step| step(&path));
            let read = without_dots(&read);
            if read != path && !readings.contains(&read) {
                readings.push(read);
            }
        }
        let path = if path == sent { Cow::Borrowed(sent) } else { Cow::Owned(path) };
        Ok(Self { path, readings })
    }
}

/// Whether there is nothing in a path that anybody would read in another way.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let is_odd =
            matches!(byte, b'%' | b';' | b'\\' | 0) || (before == b'/' && matches!(byte, b'/' | b'.'));
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
        if byte_read == 0 {
            return Err(PathError::Nul);
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

fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
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

fn slashes(path: &str) -> String {
    path.replace('\\', "/")
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
    let twice = RequestPath::read(&once.path).expect("what was read is a path");
    assert_eq!((&once.path, &once.readings), (&twice.path, &twice.readings));
    assert!(!sent.starts_with('/') || once.path.starts_with('/'));
    assert!(once.path.split('/').all(|segment| segment != "." && segment != "..") || is_plain(sent));
    assert!(once.readings.len() <= 5 && once.readings.iter().all(|reading| reading.len() <= sent.len() + 1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_path_are_one() {
        for (sent, path) in [
            ("/", "/"),
            ("/v1/models/iris:predict", "/v1/models/iris:predict"),
            ("/a/./b", "/a/b"),
            ("/c/../secret", "/secret"),
            ("/c/%2e%2E/secret", "/secret"),
            ("/c/.%2e/secret", "/secret"),
            ("/../../etc", "/etc"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/..", "/"),
            ("/%61%7Eb/%2D", "/a~b/-"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a...b/...", "/a...b/..."),
            ("/caf%C3%A9%20x", "/caf%C3%A9%20x"),
        ] {
            let read = RequestPath::read(sent).unwrap();
            assert_eq!((read.path.as_ref(), read.readings), (path, Vec::new()), "{sent}");
        }
    }

    #[test]
    fn what_else_may_be_read_is_told() {
        for (sent, path, readings) in [
            ("/c//secret", "/c//secret", &["/c/secret"][..]),
            ("/c/..%2fsecret", "/c/..%2fsecret", &["/secret"]),
            ("/c/..%5Csecret", "/c/..%5Csecret", &["/secret"]),
            ("/c/..\\secret", "/c/..\\secret", &["/secret"]),
            ("/c/..;x=1/secret", "/c/..;x=1/secret", &["/secret"]),
            ("/c;v=1/secret", "/c;v=1/secret", &["/c/secret"]),
            ("/c/%252e%252e/secret", "/c/%252e%252e/secret", &["/secret"]),
            ("/c/..%252fsecret", "/c/..%252fsecret", &["/secret"]),
            ("/c//../secret", "/c/secret", &[]),
            ("/a%2Fb;c//d", "/a%2Fb;c//d", &["/a%2Fb;c/d", "/a/b;c//d", "/a%2Fb//d", "/a/b/d"]),
        ] {
            let read = RequestPath::read(sent).unwrap();
            assert_eq!(
                (read.path.as_ref(), &*read.readings),
                (path, &*readings.iter().map(|reading| (*reading).to_owned()).collect::<Vec<_>>()),
                "{sent}"
            );
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (sent, error) in [
            ("/%", PathError::Percent),
            ("/%2", PathError::Percent),
            ("/50%-off", PathError::Percent),
            ("/%u002e", PathError::Percent),
            ("/a%00b", PathError::Nul),
            ("/a\0", PathError::Nul),
            ("/%c0%ae%c0%ae/x", PathError::Overlong),
            ("/%e0%80%ae", PathError::Overlong),
            ("/%F0%80%80%AE", PathError::Overlong),
        ] {
            assert_eq!(RequestPath::read(sent), Err(error), "{sent}");
        }
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
