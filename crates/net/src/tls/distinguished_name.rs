//! Names in certificates as text (RFC 2253), written as OpenSSL does: the last part first, and nothing but visible ASCII.

use std::fmt::Write as _;

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Short names of the parts that names mostly have (RFC 4519, RFC 2985).
const SHORT: [(&str, &str); 15] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("2.5.4.46", "dnQualifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// A name, for example `CN=client,O=Example\, Inc.,C=US`.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in name.iter() {
        let pairs: Vec<String> = part.iter().map(pair).collect();
        parts.push(pairs.join("+"));
    }
    parts.reverse();
    parts.join(",")
}

fn pair(pair: &AttributeTypeAndValue<'_>) -> String {
    let kind = pair.attr_type().to_id_string();
    let short = SHORT.iter().find(|(id, _)| *id == kind);
    match (short, pair.as_str()) {
        (Some((_, short)), Ok(value)) => format!("{short}={}", escaped(value)),
        (Some((_, short)), Err(_)) => format!("{short}={}", dumped(pair)),
        (None, _) => format!("{kind}={}", dumped(pair)),
    }
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        let is_special = matches!(byte, b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';')
            || (at == 0 && matches!(byte, b' ' | b'#'))
            || (at == last && byte == b' ');
        if is_special {
            text.push('\\');
        }
        if byte == b' ' || byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "\\{byte:02X}");
        }
    }
    text
}

/// A value as the bytes that stand in the certificate (RFC 2253 §2.4).
fn dumped(pair: &AttributeTypeAndValue<'_>) -> String {
    let value = pair.attr_value();
    let bytes = pair.as_slice();
    let mut text = String::from("#");
    // Tags of values have one byte.
    let _ = write!(text, "{:02X}", value.tag().0 & 0x1f);
    let length = bytes.len().to_be_bytes();
    match bytes.len() {
        short @ ..0x80 => _ = write!(text, "{short:02X}"),
        _ => {
            let significant = length.iter().position(|byte| *byte != 0).unwrap_or_default();
            let _ = write!(text, "{:02X}", 0x80 | (length.len() - significant));
            length[significant..].iter().for_each(|byte| _ = write!(text, "{byte:02X}"));
        }
    }
    bytes.iter().for_each(|byte| _ = write!(text, "{byte:02X}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_taken_for_something_else_is_escaped() {
        for (value, expected) in [
            ("plain name", "plain name"),
            ("a,b+c=d", r"a\,b\+c=d"),
            (" # a ", r"\ # a\ "),
            ("#a", r"\#a"),
            ("ü\r\n", r"\C3\BC\0D\0A"),
            ("", ""),
        ] {
            assert_eq!(escaped(value), expected, "{value:?}");
        }
    }
}
