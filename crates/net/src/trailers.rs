//! Fields behind a body (RFC 9110 §6.5): which may stand there, and reading them in HTTP/1.1.

use crate::Fields;

/// Whether a field may stand behind a body. Those that say where a message ends, where it goes, who sends it or how it is to be
/// read are known before that, or never: whoever merges them into the head would be told two things (RFC 9110 §6.5.1). Spellings
/// with `_` are the same to many.
pub(crate) fn may_trail(name: &[u8]) -> bool {
    let plain = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    let is = |known: &[u8]| name.len() == known.len() && name.iter().map(plain).eq(known.iter().copied());
    !NOT_BEHIND.iter().any(|known| is(known.as_bytes()))
}

const NOT_BEHIND: [&str; 30] = [
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "warning",
    "www-authenticate",
];

/// The fields of a trailer section whose lines were found to be fields already; `None` where there are none that may stand there.
pub(crate) fn read(section: &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    for line in section.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':');
        if let Some((name, value)) = colon.map(|colon| (&line[..colon], &line[colon + 1..]))
            && let Ok(name) = std::str::from_utf8(name)
            && may_trail(name.as_bytes())
        {
            fields.push(name, value.trim_ascii());
        }
    }
    (!fields.is_empty()).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_message_does_not_stand_behind_it() {
        let section = b"X-Sum: 15\r\nContent-Length: 7\r\ncontent_length:7\r\nHost: b\r\nTransfer-Encoding: chunked\r\ngrpc-status:0\r\n";
        let fields = read(section).unwrap();
        let names: Vec<&[u8]> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [b"X-Sum".as_slice(), b"grpc-status"]);
        assert_eq!((fields.text("x-sum"), fields.text("grpc-status")), (Some("15"), Some("0")));
        assert!(read(b"").is_none() && read(b"host: a\r\n").is_none());
    }
}
