//! Events: what happened, when, and to what.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns::{Column, NAME, column, number, of_metadata, text_or, wide};
use super::time::{age, human_duration};
use super::{CORE, Kind, namespaced};
use crate::Object;

pub(super) static EVENT: Kind = Kind {
    short_names: &["ev"],
    columns: COLUMNS,
    fields: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    ..namespaced(CORE, "v1", "Event", "events")
};

const COLUMNS: &[Column] = &[
    column("Last Seen", |event, now| json!(last_seen(event, now))),
    column("Type", |event, _| json!(text_or(&event.value["type"], ""))),
    column("Reason", |event, _| json!(text_or(&event.value["reason"], ""))),
    column("Object", |event, _| json!(about(&event.value["involvedObject"]))),
    wide("Subobject", |event, _| json!(text_or(&event.value["involvedObject"]["fieldPath"], ""))),
    wide("Source", |event, _| json!(source(&event.value["source"]))),
    column("Message", |event, _| json!(text_or(&event.value["message"], "").trim())),
    wide("First Seen", |event, now| json!(age(first_time(event), now))),
    wide("Count", |event, _| json!(number(&event.value["count"]).max(1).to_string())),
    Column { is_wide: true, ..NAME },
];

/// `3m1s`, or `3m1s (x5 over 20m)` for what happened more than once.
fn last_seen(event: &Object, now: Timestamp) -> String {
    let last = age(event.value["lastTimestamp"].as_str().or(first_time(event)), now);
    let count = number(&event.value["count"]);
    match first_time(event).and_then(|first| first.parse::<Timestamp>().ok()) {
        Some(first) if count > 1 => {
            format!("{last} (x{count} over {})", human_duration(now.as_second() - first.as_second()))
        }
        _ => last,
    }
}

fn first_time(event: &Object) -> Option<&str> {
    event.value["firstTimestamp"].as_str().or(of_metadata(event, "creationTimestamp"))
}

/// `pod/web-1`
fn about(object: &Value) -> String {
    format!("{}/{}", text_or(&object["kind"], "").to_ascii_lowercase(), text_or(&object["name"], ""))
}

/// `kubelet, node1`
fn source(source: &Value) -> String {
    let parts = [&source["component"], &source["host"]].into_iter().filter_map(Value::as_str);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}
