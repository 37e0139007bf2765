//! JSON values one after the other, told apart without reading them.

use super::yaml::MAX_DEPTH;

/// A value of a text.
pub(super) struct Written<'a> {
    pub(super) text: &'a str,
    /// How many lines of the text are before it.
    pub(super) lines_before: u32,
    /// Line and column from 1, counted from its beginning, where it is nested deeper than [`MAX_DEPTH`].
    pub(super) too_deep: Option<(u32, u32)>,
}

/// The maps and lists that a text consists of, or nothing if it has something between them or one has no end.
///
/// Only brackets and texts in quotes are looked at: what is found may still not be JSON.
pub(super) fn values(text: &str) -> Option<Vec<Written<'_>>> {
    let mut values = Vec::new();
    let (mut start, mut depth, mut in_text, mut is_escaped) = (0, 0_usize, false, false);
    let (mut line, mut line_start) = (1_u32, 0);
    let (mut first_line, mut too_deep) = (1, None);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'\n' => (line, line_start, is_escaped) = (line.saturating_add(1), index + 1, false),
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' if depth > 0 => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                if depth == 0 {
                    (start, first_line, too_deep) = (index, line, None);
                }
                depth += 1;
                if depth > MAX_DEPTH && too_deep.is_none() {
                    let before = text[line_start.max(start)..index].chars().count();
                    too_deep = Some((line - first_line + 1, u32::try_from(before).ok()?.saturating_add(1)));
                }
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    let text = &text[start..=index];
                    values.push(Written { text, lines_before: first_line - 1, too_deep });
                }
            }
            b' ' | b'\t' | b'\r' => {}
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    (depth == 0).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart() {
        let texts =
            |text| values(text).map(|values| values.into_iter().map(|it| it.text).collect::<Vec<_>>());
        assert_eq!(texts(r#"{"a": "}\"{"} [1]"#).unwrap(), [r#"{"a": "}\"{"}"#, "[1]"]);
        assert_eq!(texts("{}{}").unwrap(), ["{}", "{}"]);
        assert_eq!(texts("").unwrap(), [""; 0]);
        for text in ["{", "}", "{}x", "{} # comment", "x", "\"a\"", "{\"a"] {
            assert_eq!(texts(text), None, "{text}");
        }
    }

    #[test]
    fn values_know_where_they_begin_and_where_they_are_too_deep() {
        let deep = format!("{{}}\n\n {{\"ä\":\n{}{}}}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let found = values(&deep).unwrap();
        assert_eq!((found[0].lines_before, found[0].too_deep), (0, None));
        assert_eq!((found[1].lines_before, found[1].too_deep), (2, Some((2, 100))));
    }
}
