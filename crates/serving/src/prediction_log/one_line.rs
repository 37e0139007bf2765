//! JSON as it may stand within a line of JSON.

use crate::json::Reader;

/// The same JSON without white space and byte order mark; `None` if it is none that every reader takes: the `NaN` and
/// `Infinity` of Python are not.
pub(crate) fn one_line(json: &[u8]) -> Option<String> {
    let mut reader = Reader::new(json);
    reader.skip().and_then(|()| reader.end()).ok()?;
    let text = std::str::from_utf8(json).ok()?;
    let mut line = String::with_capacity(text.len());
    let (mut is_string, mut is_escaped) = (false, false);
    for character in text.trim_start_matches('\u{feff}').chars() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_string => is_escaped = true,
            '"' => is_string = !is_string,
            ' ' | '\t' | '\r' | '\n' if !is_string => continue,
            'N' | 'I' if !is_string => return None,
            _ => {}
        }
        line.push(character);
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_but_for_that_in_strings() {
        let line = |json: &str| one_line(json.as_bytes());
        assert_eq!(
            line("\u{feff}{ \"a b\\\" \\\\\" :\r\n [1, null, true]}"),
            Some(r#"{"a b\" \\":[1,null,true]}"#.to_owned())
        );
        assert_eq!(line("[\"NaN, Infinity\"]"), Some("[\"NaN, Infinity\"]".to_owned()));
        assert_eq!((line("[NaN]"), line("[-Infinity]"), line("[1"), line("[1] 2")), (None, None, None, None));
    }
}
