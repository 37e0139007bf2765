//! Frames whole, cut and broken.

use super::*;
use proptest::prelude::*;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&Head { length: payload.len(), kind, flags, stream }.write(), payload].concat()
}

/// What is read of bytes that come in pieces, as text; pieces of data are put together.
fn read(bytes: &[u8], piece: usize) -> (Vec<String>, Option<Reason>) {
    let mut reader = Reader::of_server(100);
    let (mut frames, mut data) = (Vec::new(), Vec::new());
    for mut piece in bytes.chunks(piece) {
        loop {
            match reader.next(&mut piece) {
                Ok(Some(Frame::Data { stream, bytes, n_padding, is_last, .. })) => {
                    data.extend_from_slice(bytes);
                    frames.push(format!("data {stream} {n_padding} {is_last}"));
                }
                Ok(Some(frame)) => frames.push(format!("{frame:?}")),
                Ok(None) => break,
                Err(reason) => return (frames, Some(reason)),
            }
        }
        reader.settle();
    }
    frames.retain(|frame| !frame.ends_with(" 0 false"));
    frames.push(format!("{data:?}"));
    (frames, None)
}

#[test]
fn frames_are_the_same_however_they_are_cut() {
    let frames = [
        frame(frame::SETTINGS, 0, 0, &[0, 4, 0, 0, 1, 0]),
        frame(frame::HEADERS, frame::END_HEADERS, 1, b"head"),
        frame(
            frame::HEADERS,
            frame::PADDED | frame::WITH_PRIORITY | frame::END_STREAM,
            3,
            b"\x02\0\0\0\0\x10he\0\0",
        ),
        frame(frame::CONTINUATION, 0, 3, b""),
        frame(frame::CONTINUATION, frame::END_HEADERS, 3, b"ad"),
        frame(frame::DATA, 0, 1, b"some"),
        frame(frame::DATA, frame::PADDED, 1, b"\x03data\0\0\0"),
        frame(frame::DATA, frame::PADDED, 1, b"\x03\0\0\0"),
        frame(frame::DATA, frame::END_STREAM, 1, b""),
        frame(0xfa, 0, 7, b"unknown"),
        frame(frame::PING, frame::ACK, 0, b"12345678"),
        frame(frame::WINDOW_UPDATE, 0, 1, &[0x80, 0, 0, 9]),
        frame(frame::RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        frame(frame::GOAWAY, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 0, b'x']),
    ]
    .concat();
    let (whole, none) = read(&frames, frames.len());
    assert_eq!((whole.len(), none), (14, None), "{whole:#?}");
    assert!(whole[4].contains("stream: 3, block: [104, 101, 97, 100], is_last: true"), "{}", whole[4]);
    for piece in 1..40 {
        assert_eq!(read(&frames, piece), (whole.clone(), None), "pieces of {piece}");
    }
}

#[test]
fn what_breaks_the_rules_is_told() {
    let (protocol, size) = (Reason::PROTOCOL_ERROR, Reason::FRAME_SIZE_ERROR);
    let cases = [
        (frame(frame::DATA, 0, 0, b"x"), protocol),
        (frame(frame::DATA, frame::PADDED, 1, b""), size),
        (frame(frame::DATA, frame::PADDED, 1, b"\x05data"), protocol),
        (frame(frame::HEADERS, frame::END_HEADERS, 0, b"x"), protocol),
        (frame(frame::HEADERS, frame::END_HEADERS | frame::PADDED, 1, b""), size),
        (frame(frame::HEADERS, frame::END_HEADERS | frame::PADDED, 1, b"\x09head"), protocol),
        (frame(frame::HEADERS, frame::END_HEADERS | frame::WITH_PRIORITY, 1, b"1234"), size),
        (frame(frame::CONTINUATION, frame::END_HEADERS, 1, b"x"), protocol),
        ([frame(frame::HEADERS, 0, 1, b"x"), frame(frame::PING, 0, 0, b"12345678")].concat(), protocol),
        ([frame(frame::HEADERS, 0, 1, b"x"), frame(frame::CONTINUATION, 4, 3, b"x")].concat(), protocol),
        (frame(frame::HEADERS, frame::END_HEADERS, 1, &[0; 101]), Reason::ENHANCE_YOUR_CALM),
        (frame(frame::PRIORITY, 0, 1, b"1234"), size),
        (frame(frame::RST_STREAM, 0, 1, b"123"), size),
        (frame(frame::RST_STREAM, 0, 0, b"1234"), protocol),
        (frame(frame::SETTINGS, 0, 1, b""), protocol),
        (frame(frame::SETTINGS, 0, 0, b"12345"), size),
        (frame(frame::SETTINGS, frame::ACK, 0, b"123456"), size),
        (frame(frame::PUSH_PROMISE, 4, 1, b"1234"), protocol),
        (frame(frame::PING, 0, 0, b"1234567"), size),
        (frame(frame::PING, 0, 1, b"12345678"), protocol),
        (frame(frame::GOAWAY, 0, 0, b"1234567"), size),
        (frame(frame::WINDOW_UPDATE, 0, 0, b"123"), size),
        (frame(0xfa, 0, 0, &vec![0; 16_385]), size),
    ];
    for (bytes, reason) in cases {
        for piece in [1, 7, bytes.len()] {
            assert_eq!(read(&bytes, piece).1, Some(reason), "{bytes:?}");
        }
    }
}

#[test]
fn a_head_that_has_not_come_whole_is_known_however_it_is_cut() {
    let whole = frame(frame::HEADERS, frame::END_HEADERS, 1, b"head");
    let begun = frame(frame::HEADERS, 0, 1, b"he");
    let (more, rest) = (frame(frame::CONTINUATION, 0, 1, b""), frame(frame::CONTINUATION, 4, 1, b"ad"));
    for (frames, is_awaited) in [
        (vec![whole.as_slice()], false),
        (vec![&whole, &whole[..whole.len() - 1]], true),
        (vec![&begun], true),
        (vec![&begun, &more], true),
        (vec![&begun, &more, &rest], false),
        (vec![&whole, &frame(frame::DATA, 0, 1, b"data")[..10]], false),
    ] {
        for piece in 1..20 {
            let mut reader = Reader::of_client(100);
            let bytes = [PREFACE, &frames.concat()].concat();
            for mut piece in bytes.chunks(piece) {
                while reader.next(&mut piece).unwrap().is_some() {}
            }
            assert_eq!(reader.head_began().is_some(), is_awaited, "{frames:?} in pieces of {piece}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_frames_or_refused_and_the_same_in_every_cut(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        piece in 1..50usize,
    ) {
        let (mut whole, mut cut) = (read(&bytes, bytes.len().max(1)), read(&bytes, piece));
        // How data is cut is not told apart.
        whole.0.retain(|frame| !frame.starts_with("data"));
        cut.0.retain(|frame| !frame.starts_with("data"));
        prop_assert_eq!(whole.1, cut.1);
    }
}
