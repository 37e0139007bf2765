//! Answers that are compressed on their way to clients that want it (RFC 9110 §8.4, §12.5.3).
//!
//! What is compressed is what targets send as it is, of types that get shorter, and long enough to be worth it. What is a part of
//! something, is compressed already, must not be changed, or has a sum of its bytes beside it, goes on as it came. `Vary` is told
//! to everybody, so that a cache on the way keeps the answers apart; the strong validator of an answer becomes a weak one, for
//! the bytes are others.

mod encoder;
mod stream;

use net::{Body, Fields, Response, StatusCode};
use plan::Wanted;

use encoder::Encoder;
pub(crate) use stream::MOST_WAITING;
use stream::{Compressed, NoBytes};

/// Shorter bodies are sent as they are: the head of an answer is as long.
const LEAST_WORTH: u64 = 1024;

/// Types that get shorter, besides all of `text` and those that are JSON or XML by their name (RFC 6839).
const TYPES: &[&str] = &[
    "application/graphql-response",
    "application/javascript",
    "application/json",
    "application/manifest",
    "application/ndjson",
    "application/openmetrics-text",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-yaml",
    "application/xml",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/svg+xml",
];

/// Types of texts whose pieces are waited for one by one. They stay as they are: each is short.
const LEFT_ALONE: &[&str] = &["text/event-stream"];

/// Fields that hold a sum of the bytes (RFC 9530, RFC 3230, RFC 1864), which those of another coding do not have.
const SUMS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Compresses an answer, as far as its client wants that and it is worth it. Returns whether it was done.
pub(crate) fn apply(wanted: Option<Wanted>, is_head: bool, answer: &mut Response) -> bool {
    if !may_be_compressed(answer) {
        return false;
    }
    if answer.status == StatusCode::NOT_MODIFIED {
        // It says what the whole answer would (RFC 9110 §15.4.5).
        add_vary(&mut answer.fields);
        if wanted.is_some() {
            weaken(&mut answer.fields);
        }
        return false;
    }
    let is_long = answer.body.remaining().is_none_or(|length| length >= LEAST_WORTH);
    let is_short_but_wanted = wanted.is_some_and(|wanted| wanted.refuses_plain);
    if !is_long && !is_short_but_wanted {
        return false;
    }
    add_vary(&mut answer.fields);
    let Some(Wanted { coding, refuses_plain }) = wanted else { return false };
    answer.body = match std::mem::take(&mut answer.body) {
        _ if is_head => Body::Stream(Box::new(NoBytes)),
        Body::Full(plain) if plain.len() <= MOST_WAITING => {
            let encoded = Encoder::new(coding).whole(&plain);
            if encoded.len() >= plain.len() && !refuses_plain {
                answer.body = Body::Full(plain);
                return false;
            }
            encoded.into()
        }
        body => Body::Stream(Box::new(Compressed::new(body, Encoder::new(coding)))),
    };
    answer.fields.remove("accept-ranges");
    answer.fields.remove("content-length");
    answer.fields.set("content-encoding", coding.as_str());
    weaken(&mut answer.fields);
    true
}

/// Whether an answer may be compressed at all, by anybody.
fn may_be_compressed(answer: &Response) -> bool {
    let fields = &answer.fields;
    let is_known_to_be_there = answer.status == StatusCode::NOT_MODIFIED;
    let has_all = !answer.status.is_informational()
        && !matches!(
            answer.status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
        );
    has_all
        && answer.upgrade.is_none()
        && !fields.contains("content-encoding")
        && !fields.contains("content-range")
        && !fields.lists("cache-control", "no-transform")
        && !SUMS.iter().any(|sum| fields.contains(sum))
        && fields.get("content-type").map_or(is_known_to_be_there, is_worth)
}

/// Whether bodies of a type get shorter.
fn is_worth(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is = |known: &&str| essence.eq_ignore_ascii_case(known.as_bytes());
    let begins = |start: &[u8]| essence.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start));
    let ends = |end: &[u8]| {
        let place = essence.len().checked_sub(end.len());
        place.is_some_and(|place| essence[place..].eq_ignore_ascii_case(end))
    };
    if LEFT_ALONE.iter().any(is) {
        return false;
    }
    begins(b"text/") || ends(b"+json") || ends(b"+xml") || TYPES.iter().any(is)
}

/// Says that the answer is another one to who accepts something else (RFC 9110 §12.5.5).
fn add_vary(fields: &mut Fields) {
    const ACCEPT_ENCODING: &str = "accept-encoding";
    if fields.lists("vary", ACCEPT_ENCODING) || fields.lists("vary", "*") {
        return;
    }
    let mut all = Vec::new();
    for value in fields.all("vary") {
        all.extend_from_slice(value);
        all.extend_from_slice(b", ");
    }
    all.extend_from_slice(ACCEPT_ENCODING.as_bytes());
    fields.set("vary", all);
}

/// Makes a strong validator a weak one (RFC 9110 §8.8.1).
fn weaken(fields: &mut Fields) {
    if let Some(tag) = fields.get("etag").filter(|tag| tag.starts_with(b"\"")) {
        let weak = [b"W/", tag].concat();
        fields.set("etag", weak);
    }
}

#[cfg(test)]
mod tests {
    use plan::Compression;

    use super::*;

    const JSON: (&str, &str) = ("content-type", "application/json");

    fn answer(status: u16, body: impl Into<Body>, fields: &[(&str, &str)]) -> Response {
        let mut answer = Response::new(StatusCode::from_u16(status).unwrap());
        answer.body = body.into();
        fields.iter().for_each(|(name, value)| answer.fields.push(name, value));
        answer
    }

    /// What becomes of an answer: whether it is compressed, and its fields.
    fn applied(accept: &str, answer: Response, is_head: bool) -> (bool, String, Response) {
        let (compression, mut answer) = (Compression::parse("gzip, zstd").unwrap(), answer);
        let wanted = compression.wanted(std::iter::once(accept.as_bytes()));
        let is_done = apply(wanted, is_head, &mut answer);
        let line = |(name, value): (&[u8], &[u8])| {
            format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        let fields = answer.fields.iter().map(line).collect::<Vec<_>>().join("\n");
        (is_done, fields, answer)
    }

    fn long() -> String {
        "0.25, ".repeat(1000)
    }

    #[test]
    fn what_is_compressed_says_so_and_what_is_not_stays() {
        let fields = [JSON, ("etag", "\"abc\""), ("accept-ranges", "bytes"), ("content-length", "6000")];
        let (is_done, told, compressed) = applied("gzip", answer(200, long(), &fields), false);
        assert!(is_done && compressed.body.remaining().is_some_and(|length| length < 200));
        assert_eq!(
            told,
            "content-type: application/json\nvary: accept-encoding\ncontent-encoding: gzip\netag: W/\"abc\""
        );
        type Row<'a> = (u16, String, &'a [(&'a str, &'a str)]);
        let none: &[Row<'_>] = &[
            (200, "short".to_owned(), &[JSON]),
            (200, long(), &[]),
            (200, long(), &[("content-type", "image/png")]),
            (200, long(), &[("content-type", "application/grpc")]),
            (200, long(), &[("content-type", "text/event-stream")]),
            (200, long(), &[JSON, ("content-encoding", "br")]),
            (200, long(), &[JSON, ("cache-control", "max-age=60, No-Transform")]),
            (200, long(), &[JSON, ("repr-digest", "sha-256=:AA==:")]),
            (206, long(), &[JSON]),
            (206, long(), &[JSON, ("content-range", "bytes 0-5999/7000")]),
            (204, String::new(), &[JSON]),
            (101, String::new(), &[JSON]),
        ];
        for (status, body, fields) in none {
            let (is_done, told, _) = applied("gzip", answer(*status, body.clone(), fields), false);
            assert!(
                !is_done && !told.contains("vary") && !told.contains("gzip"),
                "{status} {fields:?}: {told}"
            );
        }
    }

    #[test]
    fn who_takes_nothing_is_told_that_others_get_something_else() {
        let vary = |accept: &str, fields: &[(&str, &str)]| {
            let (is_done, _, answer) = applied(accept, answer(200, long(), fields), false);
            assert!(!is_done);
            answer
                .fields
                .all("vary")
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(vary("br", &[JSON]), ["accept-encoding"]);
        assert_eq!(vary("identity;q=0", &[JSON]), ["accept-encoding"]);
        assert_eq!(
            vary("", &[JSON, ("vary", "Origin"), ("vary", "Accept")]),
            ["Origin, Accept, accept-encoding"]
        );
        assert_eq!(vary("", &[JSON, ("vary", "Accept-Encoding")]), ["Accept-Encoding"]);
        assert_eq!(vary("", &[JSON, ("vary", "*")]), ["*"]);
    }

    #[test]
    fn a_head_says_what_the_body_would_and_so_does_what_is_not_modified() {
        let fields = [JSON, ("etag", "\"abc\"")];
        let (_, told, _) = applied("zstd", answer(200, long(), &fields), false);
        let (_, told_of_head, head) = applied("zstd", answer(200, long(), &fields), true);
        assert_eq!(told, told_of_head);
        assert_eq!(head.body.remaining(), None);
        let (is_done, told, _) = applied("zstd", answer(304, "", &[("etag", "\"abc\"")]), false);
        assert!(!is_done);
        assert_eq!(told, "vary: accept-encoding\netag: W/\"abc\"");
        assert_eq!(
            applied("", answer(304, "", &[("etag", "\"abc\"")]), false).1,
            "etag: \"abc\"\nvary: accept-encoding"
        );
    }

    #[test]
    fn who_refuses_plain_bodies_gets_none_however_short() {
        let (is_done, told, _) = applied("gzip, identity;q=0", answer(200, "{}", &[JSON]), false);
        assert!(is_done && told.contains("content-encoding: gzip"), "{told}");
    }

    #[test]
    fn what_gets_no_shorter_stays() {
        let mut random = 1_u64;
        let noise: Vec<u8> = (0..4000)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 56) as u8
            })
            .collect();
        for accept in ["gzip", "zstd"] {
            let (is_done, told, _) = applied(accept, answer(200, noise.clone(), &[JSON]), false);
            assert!(!is_done);
            assert_eq!(told, "content-type: application/json\nvary: accept-encoding");
        }
    }

    #[test]
    fn types_are_told_by_their_names() {
        for worth in
            ["Text/HTML; charset=utf-8", "application/vnd.a+JSON", "image/svg+xml", "application/json;a=b"]
        {
            assert!(is_worth(worth.as_bytes()), "{worth}");
        }
        for not in ["", "+jso", "text", "image/jpeg", "application/octet-stream", "TEXT/EVENT-STREAM"] {
            assert!(!is_worth(not.as_bytes()), "{not}");
        }
    }
}
