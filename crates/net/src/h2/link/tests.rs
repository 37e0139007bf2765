//! Windows and turns.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::h2::PREFACE;
use crate::h2::handle::Handle;

/// A client's connection on which these streams were opened, each by a GET.
fn opened(streams: &[u32], settings: &[(u16, u32)]) -> (Rc<Link>, Vec<Handle>) {
    let link = Rc::new(Link::of_client(&Rc::new(Limits::default()), Windows::new(1_000, 3_000)));
    let mut bytes = PREFACE.to_vec();
    frame::push_settings(&mut bytes, settings);
    for stream in streams {
        // GET http:// / of the static table (RFC 7541, appendix A), and a host.
        frame::push_fields(&mut bytes, *stream, false, 100, |into| {
            into.extend_from_slice(&[0x82, 0x86, 0x84, 0x41, 1, b'a']);
        });
    }
    assert_eq!(link.receive(&bytes), Ok(()));
    let streams = link.take_opened().into_iter();
    let handles = streams.map(|Opened { stream, head, .. }| {
        head.unwrap();
        Handle { link: Rc::clone(&link), stream }
    });
    let handles = handles.collect();
    written(&link);
    (link, handles)
}

/// What waits for the socket, which takes all of it, as kind and stream of each frame, and bytes of data.
fn written(link: &Link) -> Vec<(u8, u32, usize)> {
    let mut bytes = Vec::new();
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(link.with_output(|output| output.poll_write(&mut bytes, cx)).is_ready());
    let (mut rest, mut frames) = (bytes.as_slice(), Vec::new());
    while let Some((head, payload)) = rest.split_first_chunk::<{ frame::HEAD }>() {
        let head = frame::Head::read(head);
        frames.push((head.kind, head.stream, head.length));
        rest = &payload[head.length..];
    }
    frames
}

/// Sends as much as there is room for, and no more than `most` bytes.
fn send(handle: &Handle, most: usize) -> usize {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut n_bytes = 0;
    while n_bytes < most
        && let Poll::Ready(Ok(room)) = handle.link.poll_room(&handle.stream, cx)
    {
        let part = room.min(most - n_bytes);
        handle.link.send_data(&handle.stream, &vec![b'x'; part], false);
        n_bytes += part;
    }
    n_bytes
}

fn grant(link: &Link, stream: u32, by: u32) {
    let mut bytes = Vec::new();
    frame::push_window_update(&mut bytes, stream, by);
    assert_eq!(link.receive(&bytes), Ok(()));
}

#[test]
fn streams_take_turns_while_the_socket_takes_little() {
    let (link, streams) = opened(&[1, 3, 5], &[(frame::INITIAL_WINDOW_SIZE, 1 << 20)]);
    grant(&link, 0, 1 << 20);
    let first = send(&streams[0], 1 << 20);
    assert!((MOST_WAITING..=MOST_WAITING + frame::MOST_PAYLOAD).contains(&first), "{first}");
    assert_eq!((send(&streams[1], 1 << 20), send(&streams[2], 10)), (0, 0));
    written(&link);
    // Each the same, in whatever order and however often they ask.
    for _ in 0..10 {
        streams.iter().rev().for_each(|stream| _ = send(stream, 1 << 20));
    }
    let sent = sums(written(&link));
    assert_eq!(sent, [(1, MOST_WAITING / 3), (3, MOST_WAITING / 3), (5, MOST_WAITING / 3)].into());
    // Who waits and does not come holds up nobody.
    let mut sent: BTreeMap<u32, usize> = BTreeMap::new();
    for _ in 0..40 {
        for stream in &streams[..2] {
            send(stream, 1 << 20);
        }
        for (stream, n_bytes) in sums(written(&link)) {
            *sent.entry(stream).or_default() += n_bytes;
        }
    }
    let (one, other) = (sent[&1], sent[&3]);
    assert!(one > 300_000 && other > 300_000 && one.abs_diff(other) < 2 * MOST_WAITING, "{sent:?}");
    drop(streams);
    assert!(written(&link).iter().all(|(kind, ..)| *kind == frame::RST_STREAM));
}

/// Bytes of data by stream.
fn sums(frames: Vec<(u8, u32, usize)>) -> BTreeMap<u32, usize> {
    let mut sums = BTreeMap::new();
    for (_, stream, n_bytes) in frames.into_iter().filter(|(kind, ..)| *kind == frame::DATA) {
        *sums.entry(stream).or_default() += n_bytes;
    }
    sums
}

#[test]
fn nobody_sends_more_than_the_other_side_takes() {
    let (link, streams) = opened(&[1, 3], &[(frame::INITIAL_WINDOW_SIZE, 40_000)]);
    assert_eq!(send(&streams[0], 1 << 20), 40_000, "the window of its stream");
    assert_eq!(send(&streams[1], 1 << 20), 65_535 - 40_000, "what is left of the connection's");
    written(&link);
    assert_eq!((send(&streams[0], 9), send(&streams[1], 9)), (0, 0));
    grant(&link, 1, 5);
    assert_eq!(send(&streams[0], 9), 0, "the connection's is used up");
    grant(&link, 0, 100);
    let sent = [send(&streams[1], 1 << 20), send(&streams[0], 1 << 20), send(&streams[1], 1 << 20)];
    assert_eq!(sent.iter().sum::<usize>(), 100, "{sent:?}");
    // A window may become less than nothing (RFC 9113 §6.9.2).
    let mut settings = Vec::new();
    frame::push_settings(&mut settings, &[(frame::INITIAL_WINDOW_SIZE, 0)]);
    assert_eq!(link.receive(&settings), Ok(()));
    grant(&link, 0, 1_000_000);
    grant(&link, 1, 39_000);
    assert_eq!(send(&streams[0], 9), 0);
    grant(&link, 1, 2_000);
    assert!(send(&streams[0], 1 << 20) > 0);
}

#[test]
fn bytes_that_nobody_takes_hold_up_no_other_stream() {
    let ids: Vec<u32> = (0..12).map(|n| 2 * n + 1).collect();
    let (link, streams) = opened(&ids[..4], &[]);
    let data = |stream: u32, n_bytes: usize| {
        let mut bytes = Vec::new();
        frame::push_data(&mut bytes, stream, &vec![b'x'; n_bytes], false);
        link.receive(&bytes)
    };
    // Of the 3,000 of the connection 2,000 lie there; with what is left another stream goes on for ever.
    assert_eq!((data(1, 1_000), data(3, 1_000)), (Ok(()), Ok(())));
    let mut window = 1_000;
    for n in 0..100 {
        assert!(window > 0, "nothing more may be sent after {n} pieces");
        let piece = window.min(100);
        assert_eq!(data(5, piece), Ok(()), "{n}");
        window -= piece;
        assert_eq!(link.take_received(&streams[2].stream).len(), piece);
        window += told(&link);
    }
}

/// By how much the window of the connection was opened.
fn told(link: &Link) -> usize {
    let mut bytes = Vec::new();
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(link.with_output(|output| output.poll_write(&mut bytes, cx)).is_ready());
    let updates =
        bytes.chunks_exact(13).filter(|frame| frame[3] == frame::WINDOW_UPDATE && frame[5..9] == [0; 4]);
    updates.map(|frame| u32::from_be_bytes([frame[9], frame[10], frame[11], frame[12]]) as usize).sum()
}

#[test]
fn the_other_side_may_send_as_much_as_was_taken() {
    let (link, streams) = opened(&[1, 3], &[]);
    let data = |stream: u32, n_bytes: usize| {
        let mut bytes = Vec::new();
        frame::push_data(&mut bytes, stream, &vec![b'x'; n_bytes], false);
        link.receive(&bytes)
    };
    assert_eq!(data(1, 1_000), Ok(()));
    assert_eq!(written(&link), []);
    assert_eq!(link.take_received(&streams[0].stream).len(), 1_000);
    let both = [(frame::WINDOW_UPDATE, 1, 4), (frame::WINDOW_UPDATE, 0, 4)];
    assert_eq!(written(&link), both, "of the stream, and of the connection");
    assert_eq!(data(1, 600), Ok(()));
    assert_eq!(link.take_received(&streams[0].stream).len(), 600);
    assert_eq!(written(&link), both[..1], "there is enough left of the connection's");
    // More than its window: the stream ends, and the connection goes on.
    assert_eq!(data(3, 1_001), Ok(()));
    assert_eq!(written(&link), [(frame::WINDOW_UPDATE, 0, 4), (frame::RST_STREAM, 3, 4)]);
    assert_eq!(streams[1].stream.over.get(), Some(Over::Broken(Reason::FLOW_CONTROL_ERROR)));
    assert_eq!(data(1, 1_000), Ok(()));
    // What nobody will take counts as taken, for the connection.
    drop(streams);
    let frames = written(&link);
    assert!(
        frames.contains(&(frame::RST_STREAM, 1, 4)) && frames.contains(&(frame::WINDOW_UPDATE, 0, 4)),
        "{frames:?}"
    );
    assert_eq!(data(1, 3_001), Err(Reason::FLOW_CONTROL_ERROR));
}

#[tokio::test(start_paused = true)]
async fn who_takes_an_answer_slowly_is_not_silent() {
    clock::refresh();
    let (link, handles) = opened(&[1], &[(frame::INITIAL_WINDOW_SIZE, 100)]);
    assert_eq!(send(&handles[0], 1_000), 100);
    for _ in 0..5 {
        tokio::time::advance(Duration::from_secs(15)).await;
        clock::refresh();
        assert_eq!(link.silent_for(), Duration::from_secs(15));
        // The socket takes what has waited for it, and so there is room for more: nothing comes from there.
        written(&link);
        handles[0].stream.send_window.set(10);
        assert_eq!(send(&handles[0], 1_000), 10);
        assert_eq!(link.silent_for(), Duration::ZERO);
    }
}
