//! Lines of watches, each made once for all who are told it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use jiff::Timestamp;

use super::form::{Form, View};
use crate::store::{WatchEvent, metadata};

/// How many bytes of lines are kept for others; the oldest go first.
const KEPT_BYTES: usize = 4 << 20;

/// The latest lines.
#[derive(Debug, Default)]
pub(super) struct SharedLines {
    kept: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: HashMap<Key, Bytes>,
    oldest_first: VecDeque<Key>,
    n_bytes: usize,
}

/// What a line says: which of the three events, of the object at which revision, in which form. No two changes have one
/// revision.
type Key = (u8, u64, Form);

// === impl SharedLines ===

impl SharedLines {
    /// The line of an event, in a form.
    pub(super) fn line(&self, event: &WatchEvent, form: Form, now: Timestamp) -> Bytes {
        let (what, object) = match event {
            WatchEvent::Added(object) => (0, object),
            WatchEvent::Modified(object) => (1, object),
            WatchEvent::Deleted(object) => (2, object),
        };
        let revision = metadata::text(object, "resourceVersion").and_then(|text| text.parse().ok());
        // Tables tell ages, which are others at another time.
        let key = revision
            .filter(|_| !matches!(form.view, View::Table { .. }))
            .map(|revision| (what, revision, form));
        let Some(key) = key else { return form.event(event, now).into() };
        if let Some(line) = self.kept.borrow().lines.get(&key) {
            return line.clone();
        }
        let line = Bytes::from(form.event(event, now));
        self.kept.borrow_mut().keep(key, line.clone());
        line
    }
}

// === impl Kept ===

impl Kept {
    fn keep(&mut self, key: Key, line: Bytes) {
        if line.len() > KEPT_BYTES {
            return;
        }
        self.n_bytes += line.len();
        self.lines.insert(key, line);
        self.oldest_first.push_back(key);
        while self.n_bytes > KEPT_BYTES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.n_bytes -= self.lines.remove(&oldest).map_or(0, |line| line.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use manifest::Object;
    use serde_json::json;

    use super::*;
    use crate::api::parameters::Parameters;

    fn added(revision: u64, said: &str) -> WatchEvent {
        let metadata = json!({"name": "a", "resourceVersion": revision.to_string()});
        let value =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": said}});
        WatchEvent::Added(Arc::new(Object::from_value(value).unwrap()))
    }

    #[test]
    fn a_line_is_one_piece_of_memory_for_all() {
        let lines = SharedLines::default();
        let form = Form::of_stream(None, &Parameters::default()).unwrap();
        let line = |event: &WatchEvent| lines.line(event, form, Timestamp::UNIX_EPOCH);
        let (one, again) = (line(&added(1, "x")), line(&added(1, "x")));
        assert_eq!(one.as_ptr(), again.as_ptr());
        assert!(one.starts_with(b"{\"type\":\"ADDED\",\"object\":{") && one.ends_with(b"}\n"));
        for revision in 2..20 {
            line(&added(revision, &"x".repeat(1 << 20)));
        }
        assert!(lines.kept.borrow().n_bytes <= KEPT_BYTES);
        assert_ne!(one.as_ptr(), line(&added(1, "x")).as_ptr());
    }
}
