//! Watches as lines of JSON.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use manifest::Kind;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::form::Form;
use crate::store::{Status, Watch, WatchEvent};

/// How often a watch that asks for it is told how far it has come.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// Changes that are there together leave together, up to so many bytes.
const BATCH_BYTES: usize = 64 * 1024;

/// The lines of a watch.
#[derive(Debug)]
pub(super) struct Lines {
    /// A watch that is refused is told so in its first line.
    watch: Result<Watch, Status>,
    kind: &'static Kind,
    form: Form,
    ends_at: Instant,
    bookmark_at: Option<Instant>,
    has_ended: bool,
}

// === impl Lines ===

impl Lines {
    pub(super) fn new(
        watch: Result<Watch, Status>,
        kind: &'static Kind,
        form: Form,
        patience: Duration,
        with_bookmarks: bool,
    ) -> Self {
        let now = Instant::now();
        let bookmark_at = with_bookmarks.then(|| now + BOOKMARKS);
        Self { watch, kind, form, ends_at: now + patience, bookmark_at, has_ended: false }
    }

    /// The next lines; `None` when the watch is over.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if self.has_ended {
            return None;
        }
        let watch = match &mut self.watch {
            Ok(watch) => watch,
            Err(status) => {
                self.has_ended = true;
                return Some(line(&refused(status)).into());
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
                self.bookmark_at = Some(Instant::now() + BOOKMARKS);
                return Some(line(&self.form.bookmark(self.kind, watch.revision())).into());
            }
            () = sleep_until(self.ends_at) => return None,
        };
        let mut lines = self.told(event);
        while lines.len() < BATCH_BYTES && !self.has_ended {
            let Ok(watch) = &mut self.watch else { break };
            let event = tokio::select! {
                biased;
                event = watch.next() => event,
                () = std::future::ready(()) => break,
            };
            lines.push_str(&self.told(event));
        }
        Some(lines.into())
    }

    fn told(&mut self, event: Result<WatchEvent, Status>) -> String {
        match event {
            Ok(event) => line(&self.form.event(&event, Timestamp::now())),
            Err(status) => {
                self.has_ended = true;
                line(&refused(&status))
            }
        }
    }
}

fn refused(status: &Status) -> Value {
    json!({"type": "ERROR", "object": status.to_value()})
}

fn line(value: &Value) -> String {
    let mut line = value.to_string();
    line.push('\n');
    line
}
