//! Counting what costs us work and the other side nothing.

use std::time::Duration;

use tokio::time::Instant;

/// A client that takes an answer says so with a WINDOW_UPDATE now and then; one for so few bytes is no more than that.
const BYTES_PER_WINDOW_UPDATE: u64 = 64;

/// WINDOW_UPDATEs for a frame of a request or an answer, which may have few bytes: some clients of gRPC send two for a call.
const WINDOW_UPDATES_PER_PROGRESS: u64 = 2;

/// Frames that ask for nothing, for each that does.
const IDLE_FRAMES_PER_PROGRESS: usize = 2;

/// Frames that may be on their way on a stream when it ends.
const LATE_FRAMES: usize = 64;

/// The time over which frames are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// What was counted of a connection.
#[derive(Debug)]
pub(super) struct Meter {
    most_idle_frames: usize,
    most_resets: usize,
    window_began: Instant,
    n_idle_frames: usize,
    /// Frames that ask for nothing and have a reason.
    n_earned: usize,
    n_resets: usize,
    /// Streams that came to their end on both sides.
    n_whole: usize,
    n_window_updates: u64,
    /// Frames with which requests and answers got on, ever.
    n_progress: u64,
}

impl Meter {
    /// Within 10 s there may be so many frames that ask for nothing, and so many streams that are taken back or broken.
    pub(super) fn new(most_idle_frames: usize, most_resets: usize, now: Instant) -> Self {
        Self {
            most_idle_frames,
            most_resets,
            window_began: now,
            n_idle_frames: 0,
            n_earned: 0,
            n_resets: 0,
            n_whole: 0,
            n_window_updates: 0,
            n_progress: 0,
        }
    }

    /// A frame that asks for nothing.
    pub(super) fn idle_frame(&mut self, now: Instant) {
        self.keep_time(now);
        self.n_idle_frames += 1;
    }

    /// A frame with which a request or an answer gets on, here or there. A side that measures how long its frames take asks with a PING
    /// as often (gRPC does, to learn what the network holds).
    pub(super) fn progress(&mut self, now: Instant) {
        self.keep_time(now);
        self.n_earned += IDLE_FRAMES_PER_PROGRESS;
        self.n_progress += 1;
    }

    /// A stream that we have ended: the other side does not know it yet, and goes on for a while.
    pub(super) fn ended_here(&mut self, now: Instant) {
        self.keep_time(now);
        self.n_earned += LATE_FRAMES;
    }

    /// A stream that has come to its end: who is answered this often may also give up more often.
    pub(super) fn whole(&mut self, now: Instant) {
        self.keep_time(now);
        self.n_whole += 1;
    }

    /// A stream that was taken back, or that had to be.
    pub(super) fn reset(&mut self, now: Instant) {
        self.keep_time(now);
        self.n_resets += 1;
    }

    /// A WINDOW_UPDATE.
    pub(super) fn window_update(&mut self) {
        self.n_window_updates += 1;
    }

    fn keep_time(&mut self, now: Instant) {
        if now.saturating_duration_since(self.window_began) > WINDOW {
            (self.window_began, self.n_idle_frames, self.n_resets) = (now, 0, 0);
            (self.n_earned, self.n_whole) = (0, 0);
        }
    }

    /// Whether the other side, to whom so many bytes were written, has sent more than anybody needs.
    pub(super) fn is_flooded(&self, written: u64) -> bool {
        let window_updates = self.most_idle_frames as u64
            + written / BYTES_PER_WINDOW_UPDATE
            + self.n_progress * WINDOW_UPDATES_PER_PROGRESS;
        self.n_idle_frames > self.most_idle_frames + self.n_earned
            || self.n_resets > self.most_resets.saturating_add(self.n_whole / 2)
            || self.n_window_updates > window_updates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_in_a_short_time_are_a_flood_and_many_over_a_long_one_are_not() {
        let began = Instant::now();
        let counted = |every: Duration, count: fn(&mut Meter, Instant)| {
            let mut meter = Meter::new(100, 10, began);
            (0..1_000).find(|n| {
                count(&mut meter, began + every * *n);
                meter.is_flooded(0)
            })
        };
        assert_eq!(counted(Duration::from_millis(10), Meter::idle_frame), Some(100));
        assert_eq!(counted(Duration::from_millis(200), Meter::idle_frame), None);
        assert_eq!(counted(Duration::from_millis(10), Meter::reset), Some(10));
        assert_eq!(counted(Duration::from_millis(2_000), Meter::reset), None);
        // Who gets on may ask as often.
        let busy = counted(Duration::from_millis(10), |meter, now| {
            meter.progress(now);
            meter.idle_frame(now);
        });
        assert_eq!(busy, None);
        let mut meter = Meter::new(100, 10, began);
        (0..200).for_each(|_| meter.window_update());
        assert!(meter.is_flooded(0) && !meter.is_flooded(100 * BYTES_PER_WINDOW_UPDATE));
    }
}
