//! Texts in JSON.

use std::io::Write as _;

/// Appends a string (RFC 8259 §7). What is no UTF-8 is shown as such (U+FFFD), and what could move a terminal's cursor is
/// escaped.
pub fn push_text(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
                // Writing to a vector does not fail.
                _ if character.is_control() => _ = write!(out, "\\u{:04x}", u32::from(character)),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}
