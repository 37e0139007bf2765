//! Events: what happened to an object, for people who ask why.
//!
//! An event that happens again is counted up, not repeated, over restarts too. Only so many are kept, per object and in
//! all.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use manifest::{Kind, Object};
use plan::ObjectRef;
use serde_json::json;

use crate::store::record::crc64;
use crate::store::{Store, metadata};

/// How many different events are kept of one object; the oldest go first.
const PER_OBJECT: usize = 25;
/// How many different events are kept in all.
const IN_ALL: usize = 2000;
/// Who records.
const COMPONENT: &str = "forebay";
/// Longer messages are cut.
const MESSAGE_BYTES: usize = 1024;

/// Something that happened to an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// Whether somebody should do something about it.
    pub severity: EventSeverity,
    /// One word in Kubernetes' and its controllers' vocabulary, for example `Unhealthy`.
    pub reason: Cow<'static, str>,
    /// A sentence for people.
    pub message: String,
}

/// Whether somebody should do something about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventSeverity {
    /// No.
    Normal,
    /// Probably.
    Warning,
}

/// Keeps events in a store.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Rc<Store>,
    kind: &'static Kind,
    kept: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The event objects, in the order in which they were first written.
    all: VecDeque<ObjectRef>,
    n_per_object: HashMap<ObjectRef, VecDeque<ObjectRef>>,
}

// === impl Event ===

impl Event {
    /// Something that is as it should be.
    #[must_use]
    pub fn normal(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { severity: EventSeverity::Normal, reason: reason.into(), message: message.into() }
    }

    /// Something that is not.
    #[must_use]
    pub fn warning(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { severity: EventSeverity::Warning, reason: reason.into(), message: message.into() }
    }
}

impl EventSeverity {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

// === impl Recorder ===

impl Recorder {
    pub(crate) fn new(store: Rc<Store>) -> Self {
        let kind = manifest::kind_named("Event").expect("events are a kind");
        let kept = RefCell::new(Kept::of_before(&store, kind));
        Self { store, kind, kept }
    }

    /// Writes down that something happened to an object, or happened again.
    pub(crate) fn record(&self, about: &ObjectRef, event: &Event) {
        let objects = self.store.objects();
        let object = objects.get(&about.kind, &about.namespace, &about.name);
        let uid = object.and_then(|object| metadata::text(object, "uid")).unwrap_or_default();
        let namespace = if about.namespace.is_empty() { "default" } else { &about.namespace };
        let name = format!("{}.{:016x}", about.name, fingerprint(about, uid, event));
        let now = metadata::time(Timestamp::now());
        let before = objects.get(self.kind.kind, namespace, &name);
        let count = before.and_then(|event| event.value["count"].as_u64()).unwrap_or(0).saturating_add(1);
        let first = before.and_then(|event| event.value["firstTimestamp"].as_str()).unwrap_or(&now);
        let value = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": object.map(|object| object.kind.api_version()),
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": uid,
            },
            "type": event.severity.as_str(),
            "reason": event.reason,
            "message": shortened(&event.message),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": "",
            "firstTimestamp": first,
            "lastTimestamp": now,
            "count": count,
        });
        // Nobody else looks at all objects any more, so the write need not copy the list of them.
        drop(objects);
        if let Ok(written) = Object::from_value(value) {
            let reference = written.reference();
            self.store.derive(written);
            if count == 1 {
                self.kept.borrow_mut().add(about, reference, &self.store);
            }
        }
    }
}

impl Kept {
    /// What was recorded before a restart.
    fn of_before(store: &Store, kind: &Kind) -> Self {
        let objects = store.objects();
        let ours = |event: &&Arc<Object>| event.value["source"]["component"] == COMPONENT;
        let mut events: Vec<&Arc<Object>> = objects.of_kind(kind.kind).filter(ours).collect();
        events.sort_by_key(|event| event.value["firstTimestamp"].as_str());
        let mut kept = Self::default();
        for event in events {
            let about = &event.value["involvedObject"];
            let text = |field: &str| about[field].as_str().unwrap_or_default();
            let about = ObjectRef::new(text("kind"), text("namespace"), text("name"));
            kept.all.push_back(event.reference());
            kept.n_per_object.entry(about).or_default().push_back(event.reference());
        }
        kept
    }

    fn add(&mut self, about: &ObjectRef, event: ObjectRef, store: &Store) {
        self.all.push_back(event.clone());
        let of_object = self.n_per_object.entry(about.clone()).or_default();
        of_object.push_back(event);
        if of_object.len() > PER_OBJECT
            && let Some(oldest) = of_object.pop_front()
        {
            store.take_away(&oldest);
        }
        if self.all.len() > IN_ALL
            && let Some(oldest) = self.all.pop_front()
        {
            store.take_away(&oldest);
            self.n_per_object.retain(|_, events| {
                events.retain(|event| *event != oldest);
                !events.is_empty()
            });
        }
    }
}

/// Tells an event from all others, in every build.
fn fingerprint(about: &ObjectRef, uid: &str, event: &Event) -> u64 {
    let Event { severity, reason, message } = event;
    crc64(format!("{about}\0{uid}\0{}\0{reason}\0{message}", severity.as_str()).as_bytes())
}

fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{FieldSelector, Query};

    fn recorder() -> Recorder {
        Recorder::new(Rc::new(Store::in_memory()))
    }

    #[test]
    fn acc_s3_107_what_happens_again_is_counted() {
        let recorder = recorder();
        let about = ObjectRef::new("Namespace", "", "default");
        for _ in 0..3 {
            recorder.record(&about, &Event::warning("Unhealthy", "no answer"));
        }
        recorder.record(&about, &Event::normal("Started", "started"));
        let fields =
            FieldSelector::parse("involvedObject.kind=Namespace,involvedObject.name=default").unwrap();
        let events = recorder.store.list(&Query { fields, ..Query::of("Event") }).objects;
        let mut told: Vec<_> = events.iter().map(|event| event.value.clone()).collect();
        told.sort_by_key(|event| event["reason"].to_string());
        assert_eq!(told.len(), 2);
        assert_eq!((&told[1]["reason"], &told[1]["count"]), (&json!("Unhealthy"), &json!(3)));
        assert_eq!(told[1]["type"], "Warning");
        let uid = recorder.store.objects().get("Namespace", "", "default").unwrap().value["metadata"]["uid"]
            .clone();
        assert_eq!(told[1]["involvedObject"]["uid"], uid);
    }

    #[test]
    fn what_was_recorded_before_a_restart_is_counted_on_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("objects.redb");
        let about = ObjectRef::new("Namespace", "", "default");
        let event = Event::warning("Unhealthy", "no answer");
        for start in 1..=3_u64 {
            let recorder = Recorder::new(Rc::new(Store::open(&file).unwrap()));
            recorder.record(&about, &event);
            for n in 0..10 {
                recorder.record(&about, &Event::normal("Started", format!("number {n} of start {start}")));
            }
            let events = recorder.store.list(&Query::of("Event")).objects;
            let unhealthy = events.iter().find(|event| event.value["reason"] == "Unhealthy");
            if start < 3 {
                assert_eq!(unhealthy.unwrap().value["count"], start);
            }
            assert_eq!(events.len(), (usize::try_from(start).unwrap() * 10 + 1).min(PER_OBJECT));
            recorder.store.finish();
        }
    }

    #[test]
    fn events_do_not_pile_up() {
        let recorder = recorder();
        let n_events = || recorder.store.list(&Query::of("Event")).objects.len();
        for n in 0..100 {
            let about = ObjectRef::new("Namespace", "", "default");
            recorder.record(&about, &Event::normal("Started", format!("number {n}")));
        }
        assert_eq!(n_events(), PER_OBJECT);
        for n in 0..IN_ALL + 100 {
            let about = ObjectRef::new("Pod", "default", &format!("p{n}"));
            recorder.record(&about, &Event::normal("Started", "x".repeat(5000)));
        }
        assert!(n_events() <= IN_ALL);
        let kept = recorder.kept.borrow();
        assert!(kept.n_per_object.len() <= IN_ALL);
    }
}
