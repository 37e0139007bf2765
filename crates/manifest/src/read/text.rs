//! Bytes of a file to text: UTF-8, or UTF-16 with a byte order mark, as some shells write what is redirected to a file.

/// Why bytes are no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoText {
    /// The line at which the text ends, from 1.
    pub line: u32,
    /// What is wrong, and how to mend it.
    pub problem: String,
}

const AS_UTF8: &str = "save it as UTF-8";

/// The text that bytes of a file are.
///
/// # Errors
/// [`NoText`], with the line of what is no text.
pub fn text_of(bytes: Vec<u8>) -> Result<String, NoText> {
    match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err(NoText::first("UTF-32")),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0, _, ..] | [_, 0, ..] => Err(NoText::first("UTF-16 without a byte order mark, or no text")),
        _ => String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let n_lines = good.iter().filter(|byte| **byte == b'\n').count();
            NoText::at(n_lines, "the file is not UTF-8 text")
        }),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, NoText> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let mut text = String::with_capacity(bytes.len());
    for character in char::decode_utf16(units) {
        let Ok(character) = character else { return Err(NoText::broken(&text)) };
        text.push(character);
    }
    if rest.is_empty() { Ok(text) } else { Err(NoText::broken(&text)) }
}

// === impl NoText ===

impl NoText {
    fn first(what: &str) -> Self {
        Self::at(0, &format!("the file is {what}"))
    }

    /// UTF-16 that breaks off behind a text.
    fn broken(text: &str) -> Self {
        Self::at(text.matches('\n').count(), "the file is UTF-16, and broken here")
    }

    fn at(n_lines: usize, what: &str) -> Self {
        let line = u32::try_from(n_lines + 1).unwrap_or(u32::MAX);
        Self { line, problem: format!("{what}: {AS_UTF8}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_a_shell_redirected_in_utf_16_is_read() {
        let text = "kind: Service\nname: caf\u{e9} \u{1f600}\n";
        let units = |mark: u16| std::iter::once(mark).chain(text.encode_utf16());
        let little: Vec<u8> = units(0xfeff).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units(0xfeff).flat_map(u16::to_be_bytes).collect();
        assert_eq!(text_of(little.clone()).as_deref(), Ok(text));
        assert_eq!(text_of(big).as_deref(), Ok(text));
        assert_eq!(text_of(text.as_bytes().to_vec()).as_deref(), Ok(text));
        assert_eq!(text_of(Vec::new()).as_deref(), Ok(""));

        let told = |bytes: &[u8]| {
            let NoText { line, problem } = text_of(bytes.to_vec()).unwrap_err();
            format!("{line} {problem}")
        };
        assert_eq!(
            told(&little[..little.len() - 1]),
            "2 the file is UTF-16, and broken here: save it as UTF-8"
        );
        assert_eq!(
            told(&little[2..]),
            "1 the file is UTF-16 without a byte order mark, or no text: save it as UTF-8"
        );
        assert_eq!(told(&[0xff, 0xfe, 0, 0, 1, 0, 0, 0]), "1 the file is UTF-32: save it as UTF-8");
        assert_eq!(told(b"# caf\n# caf\xe9\n"), "2 the file is not UTF-8 text: save it as UTF-8");
    }
}
