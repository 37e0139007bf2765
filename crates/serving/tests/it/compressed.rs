//! Bodies that are compressed, in and out.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use serving::Settings;

use crate::fixture::{Answer, ask, served, server};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Sends rows to the iris model with these header fields.
fn post(fields: &[(&str, &str)], body: &[u8]) -> Answer {
    let handler =
        server(vec![served("iris")], Settings { compute_threads: 1, ..Settings::default() }).handler();
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ask(&handler, "POST", "/v1/models/iris:predict", &fields, body)
}

fn rows(n_rows: usize) -> Vec<u8> {
    json!({ "instances": vec![[6.8, 2.8, 4.8, 1.4]; n_rows] }).to_string().into_bytes()
}

#[test]
fn a_compressed_body_is_read() {
    let plain = rows(2);
    let zstd =
        ruzstd::encoding::compress_to_vec(plain.as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    for (encoding, body) in [("gzip", gzip(&plain)), ("zstd", zstd), ("identity", plain)] {
        let answer = post(&[("content-encoding", encoding)], &body);
        assert_eq!((answer.status, answer.text()), (200, "{\"predictions\":[1,1]}"), "{encoding}");
    }
}

#[test]
fn a_bomb_is_too_large() {
    let bomb = gzip(&[b"{\"instances\": [".as_slice(), &vec![b' '; 11_000_000]].concat());
    assert!(bomb.len() < 20_000);
    let answer = post(&[("content-encoding", "gzip")], &bomb);
    let expected = "{\"error\":\"the body is longer than 10000000 bytes when it is decompressed; \
                    send fewer rows at a time\"}";
    assert_eq!((answer.status, answer.text()), (413, expected));
}

#[test]
fn a_body_that_is_not_what_it_says_is_refused() {
    let answer = post(&[("content-encoding", "gzip")], &rows(1));
    let expected = "{\"error\":\"cannot read the body as gzip: invalid gzip header\"}";
    assert_eq!((answer.status, answer.text()), (400, expected));
    let truncated = &gzip(&rows(100))[..40];
    assert_eq!(post(&[("content-encoding", "gzip")], truncated).status, 400);
}

#[test]
fn long_answers_are_compressed_for_those_who_ask() {
    for n_rows in [1_000, 100_000] {
        let answer = post(&[("accept-encoding", "gzip")], &rows(n_rows));
        assert_eq!(answer.field("content-encoding"), Some("gzip"));
        assert_eq!(answer.field("vary"), Some("accept-encoding"));
        let plain: Value =
            serde_json::from_reader(flate2::read::GzDecoder::new(answer.body.as_slice())).unwrap();
        assert_eq!(plain["predictions"].as_array().unwrap().len(), n_rows);
    }
    let unasked = post(&[], &rows(1_000));
    assert_eq!((unasked.field("content-encoding"), unasked.field("vary")), (None, Some("accept-encoding")));
    let short = post(&[("accept-encoding", "gzip")], &rows(1));
    assert_eq!((short.field("content-encoding"), short.field("vary")), (None, None));
}
