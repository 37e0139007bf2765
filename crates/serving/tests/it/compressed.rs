//! Bodies that are compressed, in and out.

use std::io::{Read, Write as _};

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder, ZlibEncoder};
use flate2::write::GzEncoder;
use ruzstd::decoding::StreamingDecoder;
use serde_json::{Value, json};
use serving::Settings;

use crate::fixture::{Answer, ask, served, server};

type Code = fn(&[u8]) -> Vec<u8>;

/// The name of each encoding, and what encodes and decodes it.
const ENCODINGS: [(&str, Code, Code); 3] =
    [("gzip", gzip, gunzip), ("zstd", zstd, unzstd), ("deflate", zlib, unzlib)];

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(encoded: &[u8]) -> Vec<u8> {
    whole(GzDecoder::new(encoded))
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    whole(ZlibEncoder::new(plain, Compression::best()))
}

fn unzlib(encoded: &[u8]) -> Vec<u8> {
    whole(ZlibDecoder::new(encoded))
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest)
}

fn unzstd(encoded: &[u8]) -> Vec<u8> {
    whole(StreamingDecoder::new(encoded).unwrap())
}

fn whole(mut reader: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
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
    for (encoding, encode, _) in ENCODINGS {
        let answer = post(&[("content-encoding", encoding)], &encode(&rows(2)));
        assert_eq!((answer.status, answer.text()), (200, "{\"predictions\":[1,1]}"), "{encoding}");
    }
    assert_eq!(post(&[("content-encoding", "identity")], &rows(2)).status, 200);
}

#[test]
fn a_bomb_is_too_large() {
    let plain = [b"{\"instances\": [".as_slice(), &vec![b' '; 11_000_000]].concat();
    for (encoding, encode, _) in ENCODINGS {
        let bomb = encode(&plain);
        assert!(bomb.len() < 20_000, "{encoding}: {}", bomb.len());
        let answer = post(&[("content-encoding", encoding)], &bomb);
        let expected = "{\"error\":\"the body is more than 100 times as long when it is decompressed; \
                        send fewer rows at a time\"}";
        assert_eq!((answer.status, answer.text()), (413, expected), "{encoding}");
    }
    // Numbers are compressed ten times or so.
    let numbers: Vec<u64> =
        (0..1_500_000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100_000_000).collect();
    let long = json!({ "instances": [numbers] }).to_string().into_bytes();
    for (encoding, encode, _) in ENCODINGS {
        let answer = post(&[("content-encoding", encoding)], &encode(&long));
        let expected = "{\"error\":\"the body is longer than 10000000 bytes when it is decompressed; \
                        send fewer rows at a time\"}";
        assert_eq!((answer.status, answer.text()), (413, expected), "{encoding}");
    }
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
    for (n_rows, (encoding, _, decode)) in
        [(1_000, ENCODINGS[0]), (1_000, ENCODINGS[1]), (1_000, ENCODINGS[2]), (100_000, ENCODINGS[0])]
    {
        let answer = post(&[("accept-encoding", encoding)], &rows(n_rows));
        assert_eq!(answer.field("content-encoding"), Some(encoding));
        assert_eq!(answer.field("vary"), Some("accept-encoding"));
        let plain: Value = serde_json::from_slice(&decode(&answer.body)).unwrap();
        assert_eq!(plain["predictions"].as_array().unwrap().len(), n_rows);
    }
    let unasked = post(&[], &rows(1_000));
    assert_eq!((unasked.field("content-encoding"), unasked.field("vary")), (None, Some("accept-encoding")));
    let short = post(&[("accept-encoding", "gzip")], &rows(1));
    assert_eq!((short.field("content-encoding"), short.field("vary")), (None, None));
}
