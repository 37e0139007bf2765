//! A deadline that is moved far more often than it passes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::clock;

/// A timer whose moving costs one reading of the clock: the runtime's timer is only touched when it fires too early, or
/// when the deadline moves to before it.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(crate) fn new(after: Duration) -> Self {
        Self { at: Instant::now() + after, timer: None }
    }

    pub(crate) fn set(&mut self, after: Duration) {
        self.at = clock::recently() + after;
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if at < timer.deadline() {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            clock::refresh();
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn it_passes_when_it_was_last_moved_to() {
        let start = Instant::now();
        let mut deadline = Deadline::new(Duration::from_secs(10));
        let moves = [10, 60, 5];
        for seconds in moves {
            deadline.set(Duration::from_secs(seconds));
            let pending = poll_fn(|cx| Poll::Ready(deadline.poll(cx).is_pending())).await;
            assert!(pending);
        }
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 5);
        deadline.set(Duration::from_secs(7));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 12);
    }
}
