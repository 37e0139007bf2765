//! The form of an answer: objects as they are, their metadata alone, or the table that kubectl shows of them; as JSON, or as
//! YAML.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use manifest::{Column, Kind, Object};
use serde_json::{Value, json};

use super::parameters::Parameters;
use crate::ownership;
use crate::store::{Page, Reason, Status, WatchEvent, ordered};

pub(super) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The media types in which an answer can be given.
const GIVEN: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// The form of an answer about objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Form {
    pub(super) view: View,
    pub(super) encoding: Encoding,
    served: Served,
}

/// The kind that was asked for, in its version; objects are shown as it has them.
#[derive(Debug, Clone, Copy, Default)]
struct Served(Option<&'static Kind>);

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Encoding {
    Json,
    Yaml,
    /// For whoever reads nothing else. Objects that have no protobuf cannot be given so.
    Protobuf,
}

/// What of objects is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum View {
    /// The objects themselves.
    Whole,
    /// A `PartialObjectMetadata` of `meta.k8s.io`, or a list of them.
    Metadata { version: &'static str, is_list: bool },
    /// A `Table` of `meta.k8s.io`.
    Table { version: &'static str, include: Include },
}

/// What a table carries of each object besides its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

// === impl Form ===

impl Form {
    const JSON: Self = Self { view: View::Whole, encoding: Encoding::Json, served: Served(None) };

    /// The same for objects of a kind in one of its versions.
    pub(super) fn of_kind(self, served: Option<&'static Kind>) -> Self {
        Self { served: Served(served), ..self }
    }

    /// The first form of an `Accept` field that can be given, the more wanted ones first (RFC 9110 §12.5.1).
    ///
    /// # Errors
    /// [`Reason::NotAcceptable`] when there is none.
    pub(super) fn accepted(accept: Option<&str>, parameters: &Parameters) -> Result<Self, Status> {
        let include = match parameters.text("includeObject") {
            Some("None") => Include::Nothing,
            Some("Object") => Include::Object,
            _ => Include::Metadata,
        };
        let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else { return Ok(Self::JSON) };
        let mut wanted: Vec<(f32, &str)> = accept.split(',').map(|range| (quality(range), range)).collect();
        wanted.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let forms: Vec<Self> = wanted.into_iter().filter_map(|(_, range)| Self::of(range, include)).collect();
        let is_text = |form: &&Self| form.encoding != Encoding::Protobuf;
        forms.iter().find(is_text).or(forms.first()).copied().ok_or_else(not_acceptable)
    }

    /// The same for an answer that goes on, of which there are lines of JSON only.
    pub(super) fn of_stream(accept: Option<&str>, parameters: &Parameters) -> Result<Self, Status> {
        let is_line = |range: &&str| {
            let name = range.split(';').next().unwrap_or_default().trim();
            !["application/yaml", PROTOBUF].contains(&name)
        };
        let lines: Vec<&str> = accept.unwrap_or("*/*").split(',').filter(is_line).collect();
        if lines.is_empty() {
            return Err(not_acceptable());
        }
        Self::accepted(Some(&lines.join(",")), parameters)
    }

    fn of(media_type: &str, include: Include) -> Option<Self> {
        let mut parts = media_type.split(';').map(str::trim);
        let encoding = match parts.next()? {
            "application/json" | "application/*" | "*/*" => Encoding::Json,
            "application/yaml" => Encoding::Yaml,
            PROTOBUF => Encoding::Protobuf,
            _ => return None,
        };
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter =
            |name: &str| parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let Some(wanted) = parameter("as") else {
            return Some(Self { encoding, ..Self::JSON });
        };
        let version = match (parameter("g")?, parameter("v")?) {
            ("meta.k8s.io", "v1") => "v1",
            ("meta.k8s.io", "v1beta1") => "v1beta1",
            _ => return None,
        };
        let view = match wanted {
            "Table" => View::Table { version, include },
            "PartialObjectMetadata" => View::Metadata { version, is_list: false },
            "PartialObjectMetadataList" => View::Metadata { version, is_list: true },
            _ => return None,
        };
        (encoding != Encoding::Protobuf).then_some(Self { view, encoding, ..Self::JSON })
    }

    /// One object.
    ///
    /// # Errors
    /// [`Reason::NotAcceptable`] when a list was asked for.
    pub(super) fn object(self, object: &Arc<Object>, now: Timestamp) -> Result<Value, Status> {
        if let View::Metadata { is_list: true, .. } = self.view {
            let message = format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list ({})",
                object.kind.kind
            );
            return Err(Status::new(Reason::NotAcceptable, message));
        }
        Ok(self.shown(object, now))
    }

    fn shown(self, object: &Arc<Object>, now: Timestamp) -> Value {
        match self.view {
            View::Whole => self.served.whole(object),
            View::Metadata { version, .. } => metadata_of(object, version),
            View::Table { .. } => {
                let revision = object.value["metadata"]["resourceVersion"].clone();
                let metadata = json!({"resourceVersion": revision});
                self.table(self.served.0.unwrap_or(object.kind), std::slice::from_ref(object), &metadata, now)
            }
        }
    }

    /// Several objects of a kind, as text. `metadata` is that of the list.
    ///
    /// # Errors
    /// [`Reason::NotAcceptable`] when one object was asked for.
    pub(super) fn list(
        self,
        kind: &Kind,
        page: &Page,
        metadata: &Value,
        now: Timestamp,
    ) -> Result<String, Status> {
        let (list_kind, api_version) = match self.view {
            View::Whole => (kind.list_kind(), kind.api_version()),
            View::Metadata { is_list: false, .. } => {
                let message = format!(
                    "you requested PartialObjectMetadata, but the requested object is a list ({})",
                    kind.list_kind()
                );
                return Err(Status::new(Reason::NotAcceptable, message));
            }
            View::Metadata { version, .. } => {
                ("PartialObjectMetadataList".to_owned(), format!("meta.k8s.io/{version}"))
            }
            View::Table { .. } => return Ok(self.table(kind, &page.objects, metadata, now).to_string()),
        };
        let fields =
            [("kind", json!(list_kind)), ("apiVersion", json!(api_version)), ("metadata", metadata.clone())];
        // Of many objects there is no second copy but the text.
        let mut text = ordered(&fields);
        text.truncate(text.len() - 1);
        text.push_str(",\"items\":[");
        for (nth, object) in page.objects.iter().enumerate() {
            if nth > 0 {
                text.push(',');
            }
            match self.view {
                View::Whole => text.push_str(&self.served.text(object)),
                _ => text.push_str(&self.shown(object, now).to_string()),
            }
        }
        text.push_str("]}");
        Ok(text)
    }

    /// One line of a watch.
    pub(super) fn event(self, event: &WatchEvent, now: Timestamp) -> String {
        let (kind, object) = match event {
            WatchEvent::Added(object) => ("ADDED", object),
            WatchEvent::Modified(object) => ("MODIFIED", object),
            WatchEvent::Deleted(object) => ("DELETED", object),
        };
        match self.view {
            View::Whole => {
                let object = self.served.text(object);
                format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
            }
            _ => format!("{{\"type\":\"{kind}\",\"object\":{}}}\n", self.shown(object, now)),
        }
    }

    /// The line of a watch that says only how far it has come, and perhaps that all has been told that there was at first.
    pub(super) fn bookmark(self, kind: &Kind, revision: u64, ends_initial: bool) -> String {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.view {
            View::Whole => json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata}),
            View::Metadata { version, .. } => json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": format!("meta.k8s.io/{version}"),
                "metadata": metadata,
            }),
            View::Table { version, .. } => {
                let mut table = self.table(
                    kind,
                    &[],
                    &json!({"resourceVersion": revision.to_string()}),
                    Timestamp::UNIX_EPOCH,
                );
                if ends_initial {
                    // Where a table says so, it is its only row that does.
                    let partial = json!({
                        "kind": "PartialObjectMetadata",
                        "apiVersion": format!("meta.k8s.io/{version}"),
                        "metadata": metadata,
                    });
                    let columns = table["columnDefinitions"].as_array();
                    let cells: Vec<Value> = columns.into_iter().flatten().map(|_| json!("")).collect();
                    table["rows"] = json!([{"cells": cells, "object": partial}]);
                }
                table
            }
        };
        format!("{{\"type\":\"BOOKMARK\",\"object\":{object}}}\n")
    }

    fn included(self, object: &Object, version: &str, include: Include) -> Option<Value> {
        match include {
            Include::Nothing => None,
            Include::Object => Some(self.served.whole(object)),
            Include::Metadata => Some(metadata_of(object, version)),
        }
    }

    fn table(self, kind: &Kind, objects: &[Arc<Object>], metadata: &Value, now: Timestamp) -> Value {
        let View::Table { version, include } = self.view else { return Value::Null };
        let columns = kind.columns;
        let declared = kind.definition();
        let rows = objects.iter().map(|object| {
            let cells = match &declared {
                Some(declared) => declared.cells(object, now),
                None => columns.iter().map(|column| (column.cell)(object, now)).collect(),
            };
            match self.included(object, version, include) {
                Some(object) => json!({"cells": cells, "object": object}),
                None => json!({"cells": cells}),
            }
        });
        json!({
            "kind": "Table",
            "apiVersion": format!("meta.k8s.io/{version}"),
            "metadata": metadata,
            "columnDefinitions": match &declared {
                Some(declared) => declared.column_definitions(),
                None => columns.iter().map(definition).collect(),
            },
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

// === impl Served ===

impl Served {
    /// The value of an object as it is kept, or in another version.
    fn value(self, object: &Object) -> Cow<'_, Value> {
        let Some(kind) = self.0.filter(|kind| kind.is_converted()) else {
            return Cow::Borrowed(&object.value);
        };
        if object.value["apiVersion"] == kind.api_version() {
            return Cow::Borrowed(&object.value);
        }
        let mut value = object.value.clone();
        kind.read(&mut value);
        Cow::Owned(value)
    }

    fn whole(self, object: &Object) -> Value {
        let mut value = self.value(object).into_owned();
        ownership::unfold(&mut value);
        value
    }

    fn text(self, object: &Object) -> String {
        ownership::unfolded_text(&self.value(object))
    }

    fn place(self) -> Option<*const Kind> {
        self.0.map(std::ptr::from_ref)
    }
}

/// Versions of a kind are not the same here.
impl PartialEq for Served {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Served {}

impl Hash for Served {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

/// How much a media range is wanted; as much as can be where it does not say.
fn quality(range: &str) -> f32 {
    let written = range.split(';').skip(1).find_map(|part| part.trim().strip_prefix("q="));
    written.and_then(|written| written.parse().ok()).unwrap_or(1.0)
}

fn not_acceptable() -> Status {
    Status::new(Reason::NotAcceptable, format!("only the following media types are accepted: {GIVEN}"))
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.cell_type,
        "format": if column.name == "Name" { "name" } else { "" },
        "description": "",
        "priority": u8::from(column.is_wide),
    })
}

fn metadata_of(object: &Object, version: &str) -> Value {
    let mut value = json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object.value["metadata"],
    });
    ownership::unfold(&mut value);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_can_be_given_is_taken() {
        let accepted = |accept: &str| Form::accepted(Some(accept), &Parameters::default());
        let json = |view| Ok(Form { view, ..Form::JSON });
        let table = View::Table { version: "v1", include: Include::Metadata };
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accepted(kubectl), json(table));
        assert_eq!(accepted("application/vnd.kubernetes.protobuf, application/json"), json(View::Whole));
        assert_eq!(accepted("application/json;as=Nothing;v=v1;g=meta.k8s.io,*/*"), json(View::Whole));
        let informer = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        assert_eq!(accepted(informer), json(View::Metadata { version: "v1", is_list: true }));
        let encoding = |accept: &str| accepted(accept).unwrap().encoding;
        assert_eq!(encoding("application/json;q=0.5, application/yaml"), Encoding::Yaml);
        assert_eq!(encoding("application/yaml;q=0.5, application/json"), Encoding::Json);
        assert_eq!(encoding("application/vnd.kubernetes.protobuf"), Encoding::Protobuf);
        assert_eq!(encoding("application/vnd.kubernetes.protobuf,application/json"), Encoding::Json);
        assert_eq!(accepted("text/html").unwrap_err().reason, Reason::NotAcceptable);
        assert_eq!(Form::accepted(None, &Parameters::default()), Ok(Form::JSON));
        let stream = |accept: &str| Form::of_stream(Some(accept), &Parameters::default());
        assert!(stream("application/yaml").is_err() && stream("application/yaml,*/*").is_ok());
        assert!(stream("application/vnd.kubernetes.protobuf").is_err());
    }
}
