//! The form of an answer: objects as they are, or the table that kubectl shows of them.

use std::sync::Arc;

use jiff::Timestamp;
use manifest::{Column, Kind, Object};
use serde_json::{Value, json};

use super::parameters::Parameters;
use crate::store::{List, Reason, Status, WatchEvent};

/// The form of an answer about objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The objects themselves.
    Json,
    /// A `Table` of `meta.k8s.io`.
    Table { version: &'static str, include: Include },
}

/// What a table carries of each object besides its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

// === impl Form ===

impl Form {
    /// The first form of an `Accept` field that can be given.
    ///
    /// # Errors
    /// [`Reason::NotAcceptable`] when there is none.
    pub(super) fn accepted(accept: Option<&str>, parameters: &Parameters) -> Result<Self, Status> {
        let include = match parameters.text("includeObject") {
            Some("None") => Include::Nothing,
            Some("Object") => Include::Object,
            _ => Include::Metadata,
        };
        let Some(accept) = accept else { return Ok(Self::Json) };
        accept.split(',').find_map(|media_type| Self::of(media_type, include)).ok_or_else(|| {
            let message = "only the following media types are accepted: application/json";
            Status::new(Reason::NotAcceptable, message)
        })
    }

    fn of(media_type: &str, include: Include) -> Option<Self> {
        let mut parts = media_type.split(';').map(str::trim);
        let name = parts.next()?;
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter =
            |name: &str| parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        if !["application/json", "application/*", "*/*"].contains(&name) {
            return None;
        }
        match (parameter("as"), parameter("g"), parameter("v")) {
            (None, _, _) => Some(Self::Json),
            (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Some(Self::Table { version: "v1", include }),
            (Some("Table"), Some("meta.k8s.io"), Some("v1beta1")) => {
                Some(Self::Table { version: "v1beta1", include })
            }
            _ => None,
        }
    }

    /// One object.
    pub(super) fn object(self, object: &Arc<Object>, now: Timestamp) -> Value {
        match self {
            Self::Json => object.value.clone(),
            Self::Table { .. } => {
                let revision = object.value["metadata"]["resourceVersion"].clone();
                self.table(object.kind, std::slice::from_ref(object), &revision, now)
            }
        }
    }

    /// Several objects of a kind.
    pub(super) fn list(self, kind: &Kind, list: &List, now: Timestamp) -> Value {
        let revision = json!(list.revision.to_string());
        match self {
            Self::Json => json!({
                "kind": format!("{}List", kind.kind),
                "apiVersion": kind.api_version(),
                "metadata": {"resourceVersion": revision},
                "items": list.objects.iter().map(|object| object.value.clone()).collect::<Vec<_>>(),
            }),
            Self::Table { .. } => self.table(kind, &list.objects, &revision, now),
        }
    }

    /// One line of a watch.
    pub(super) fn event(self, event: &WatchEvent, now: Timestamp) -> Value {
        let (kind, object) = match event {
            WatchEvent::Added(object) => ("ADDED", object),
            WatchEvent::Modified(object) => ("MODIFIED", object),
            WatchEvent::Deleted(object) => ("DELETED", object),
        };
        json!({"type": kind, "object": self.object(object, now)})
    }

    /// The line of a watch that says only how far it has come.
    pub(super) fn bookmark(self, kind: &Kind, revision: u64) -> Value {
        let metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        let object = match self {
            Self::Json => json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata}),
            Self::Table { .. } => self.table(kind, &[], &json!(revision.to_string()), Timestamp::UNIX_EPOCH),
        };
        json!({"type": "BOOKMARK", "object": object})
    }

    fn table(self, kind: &Kind, objects: &[Arc<Object>], revision: &Value, now: Timestamp) -> Value {
        let Self::Table { version, include } = self else { return Value::Null };
        let columns = kind.columns;
        let rows = objects.iter().map(|object| {
            let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(object, now)).collect();
            match included(object, version, include) {
                Some(object) => json!({"cells": cells, "object": object}),
                None => json!({"cells": cells}),
            }
        });
        json!({
            "kind": "Table",
            "apiVersion": format!("meta.k8s.io/{version}"),
            "metadata": {"resourceVersion": revision},
            "columnDefinitions": columns.iter().map(definition).collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }
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

fn included(object: &Object, version: &str, include: Include) -> Option<Value> {
    match include {
        Include::Nothing => None,
        Include::Object => Some(object.value.clone()),
        Include::Metadata => Some(json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": format!("meta.k8s.io/{version}"),
            "metadata": object.value["metadata"],
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_can_be_given_is_taken() {
        let accepted = |accept: &str| Form::accepted(Some(accept), &Parameters::default());
        let table = Form::Table { version: "v1", include: Include::Metadata };
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(accepted(kubectl), Ok(table));
        assert_eq!(accepted("application/vnd.kubernetes.protobuf, application/json"), Ok(Form::Json));
        assert_eq!(accepted("application/json;as=Nothing;v=v1;g=meta.k8s.io,*/*"), Ok(Form::Json));
        assert_eq!(
            accepted("application/vnd.kubernetes.protobuf").unwrap_err().reason,
            Reason::NotAcceptable
        );
        assert_eq!(Form::accepted(None, &Parameters::default()), Ok(Form::Json));
    }
}
