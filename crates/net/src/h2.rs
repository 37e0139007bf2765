//! HTTP/2 (RFC 9113). What comes is cut into frames by [`reader`] and kept by [`link`], which knows no socket; [`transport`] moves its
//! bytes; [`server`] and [`client`] ask and answer on its streams. What a request or an answer has to be before anybody sees it is
//! decided in [`messages`], and is the same as in HTTP/1.1.

pub(crate) mod client;
mod encoding;
mod failure;
mod frame;
mod handle;
pub(crate) mod hpack;
mod incoming;
mod link;
pub(crate) mod messages;
mod meter;
mod output;
mod reader;
mod reason;
mod sending;
pub(crate) mod server;
mod stream;
mod transport;
mod turns;

pub use failure::Http2Failure;

/// What a client begins an HTTP/2 connection with (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Any frames of a client, in pieces as long as the first byte says, and answers to what is asked in them.
pub(crate) fn fuzz(bytes: &[u8]) {
    use std::rc::Rc;
    let [piece, frames @ ..] = bytes else { return };
    let limits = crate::Limits { head_bytes: 1024, http2_streams: 8, ..crate::Limits::default() };
    let windows = link::Windows::new(64 * 1024, 128 * 1024);
    let link = Rc::new(link::Link::of_client(&Rc::new(limits), windows));
    let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
    let mut begun = PREFACE.to_vec();
    frame::push_settings(&mut begun, &[]);
    assert_eq!(link.receive(&begun), Ok(()));
    let mut at_work = Vec::new();
    for piece in frames.chunks(usize::from(*piece).max(1)) {
        if let Err(reason) = link.receive(piece) {
            link.fail(reason, stream::Over::ConnectionBroken);
            break;
        }
        for link::Opened { stream, head, .. } in link.take_opened() {
            let handle = handle::Handle { link: Rc::clone(&link), stream };
            let response = crate::Response::new(http::StatusCode::OK);
            link.send_fields(&handle.stream, head.is_err(), |encoder, into| {
                encoding::encode_response(encoder, into, &response, None)
            });
            at_work.push(handle);
        }
        for handle in &at_work {
            let _ = link.take_received(&handle.stream);
            if let std::task::Poll::Ready(Ok(room)) = link.poll_room(&handle.stream, cx)
                && !handle.stream.has_sent_end.get()
            {
                link.send_data(&handle.stream, &vec![0; room.min(100)], room % 2 == 0);
            }
        }
        assert!(link.n_streams() <= 8);
        at_work.retain(|handle| !handle.stream.is_done());
    }
    drop(at_work);
    assert_eq!(link.n_streams(), 0);
    link.close();
}

#[cfg(test)]
mod tests {
    use super::frame::Head;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_frames_are_taken_in_or_end_their_connection(
            piece in 1..=255u8,
            frames in prop::collection::vec(
                (0..11u8, any::<u8>(), 0..9u32, prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    Just(b"\x82\x86\x84\x41\x01a".to_vec()),
                    Just(vec![0, 0, 0, 8]),
                ]),
                0..40,
            ),
        ) {
            let mut bytes = vec![piece];
            for (kind, flags, stream, payload) in frames {
                bytes.extend_from_slice(&Head { length: payload.len(), kind, flags, stream }.write());
                bytes.extend_from_slice(&payload);
            }
            crate::fuzzing::http2(&bytes);
        }
    }
}
