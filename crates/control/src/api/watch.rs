//! Watches as lines of JSON.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use manifest::Kind;
use tokio::time::{Instant, sleep_until};

use super::form::Form;
use super::shared_lines::SharedLines;
use crate::store::{Status, Watch, WatchEvent};

/// How often a watch that asks for it is told how far it has come.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How long before its end it is told for the last time.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// Lines that are there together leave together, up to so many bytes. A longer one leaves by itself, and is one piece of memory
/// for all who are told of it.
const BATCH_BYTES: usize = 8 * 1024;

/// What is told, in which form, and how long.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) kind: &'static Kind,
    pub(super) form: Form,
    pub(super) patience: Duration,
    pub(super) with_bookmarks: bool,
    pub(super) says_when_initial_ends: bool,
}

/// The lines of a watch.
#[derive(Debug)]
pub(super) struct Lines {
    /// A watch that is refused is told so in its first line.
    watch: Result<Watch, Status>,
    telling: Telling,
    shared: Rc<SharedLines>,
    ends_at: Instant,
    bookmark_at: Option<Instant>,
    /// A line that did not fit behind those that have left.
    next_line: Option<Bytes>,
    has_ended: bool,
}

// === impl Lines ===

impl Lines {
    pub(super) fn new(watch: Result<Watch, Status>, telling: Telling, shared: Rc<SharedLines>) -> Self {
        let ends_at = Instant::now() + telling.patience;
        let mut lines =
            Self { watch, telling, shared, ends_at, bookmark_at: None, next_line: None, has_ended: false };
        lines.bookmark_at = lines.next_bookmark();
        lines
    }

    /// When to say next how far it has come.
    fn next_bookmark(&self) -> Option<Instant> {
        let now = Instant::now();
        let last = self.ends_at.checked_sub(LAST_BOOKMARK).filter(|last| *last > now);
        let next = last.map_or(now + BOOKMARKS, |last| last.min(now + BOOKMARKS));
        self.telling.with_bookmarks.then_some(next)
    }

    /// The next lines; `None` when the watch is over.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if let Some(line) = self.next_line.take() {
            return Some(line);
        }
        if self.has_ended {
            return None;
        }
        let first = self.wait().await?;
        if first.len() >= BATCH_BYTES {
            return Some(first);
        }
        let mut lines = BytesMut::from(first);
        while lines.len() < BATCH_BYTES
            && let Some(line) = self.at_once().await
        {
            if lines.len() + line.len() > BATCH_BYTES {
                self.next_line = Some(line);
                break;
            }
            lines.extend_from_slice(&line);
        }
        Some(lines.freeze())
    }

    /// The next line, when there is one.
    async fn wait(&mut self) -> Option<Bytes> {
        if let Some(line) = self.end_of_initial_objects() {
            return Some(line);
        }
        let watch = match &mut self.watch {
            Ok(watch) => watch,
            Err(status) => {
                let line = refused(status);
                self.has_ended = true;
                return Some(line);
            }
        };
        let bookmark_at = self.bookmark_at;
        let bookmark = async {
            match bookmark_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            event = watch.next() => event,
            () = bookmark => {
                let line = self.telling.form.bookmark(self.telling.kind, watch.revision(), false);
                self.bookmark_at = self.next_bookmark();
                return Some(line.into());
            }
            () = sleep_until(self.ends_at) => return None,
        };
        Some(self.told(event))
    }

    /// The next line if there is one already.
    async fn at_once(&mut self) -> Option<Bytes> {
        if self.has_ended {
            return None;
        }
        if let Some(line) = self.end_of_initial_objects() {
            return Some(line);
        }
        let Ok(watch) = &mut self.watch else { return None };
        let event = tokio::select! {
            biased;
            event = watch.next() => event,
            () = std::future::ready(()) => return None,
        };
        Some(self.told(event))
    }

    /// The line that says, where it is wanted, that all has been told that there was at first.
    fn end_of_initial_objects(&mut self) -> Option<Bytes> {
        let watch = self.watch.as_mut().ok().filter(|_| self.telling.says_when_initial_ends)?;
        // That it fell behind is told with the next line.
        if watch.is_at_initial_objects().unwrap_or(true) {
            return None;
        }
        self.telling.says_when_initial_ends = false;
        Some(self.telling.form.bookmark(self.telling.kind, watch.revision(), true).into())
    }

    fn told(&mut self, event: Result<WatchEvent, Status>) -> Bytes {
        match event {
            Ok(event) => self.shared.line(&event, self.telling.form, Timestamp::now()),
            Err(status) => {
                self.has_ended = true;
                refused(&status)
            }
        }
    }
}

fn refused(status: &Status) -> Bytes {
    format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status.to_json()).into()
}
