//! Writing: new objects, changes of any form, and deletion.

use std::sync::Arc;

use http::{Response, StatusCode};
use jiff::Timestamp;
use manifest::{BASE_DIRECTORY, Exposure, Kind, Object, Objects, codes};
use serde_json::{Value, json};

use super::patch::{PatchForm, applied_first, patched};
use super::route::ObjectRoute;
use super::{Answer, Body, Call, immutable, respond, validation, warnings};
use crate::store::{Applied, Cause, DeleteOptions, Mode, Outcome, Part, Reason, Status, metadata, ordered};

/// The kinds whose deletion answers with the object, also when it is gone (`ReturnDeletedObject` of Kubernetes).
const RETURNED: &[&str] = &["PersistentVolumeClaim", "Pod", "ResourceQuota", "Service", "ServiceAccount"];

/// Who applies, when he does not say.
const UNNAMED: &str = "unnamed";

impl Call<'_> {
    pub(super) fn create(&self, kind: &'static Kind, namespace: Option<&str>) -> Answer {
        let object = self.new_object(kind, namespace)?;
        self.check(&object, Part::Object)?;
        let applied = self.api.store.create(object, self.parameters.mode()?)?;
        self.written(&applied)
    }

    pub(super) fn replace(&self, route: &ObjectRoute, part: Part) -> Answer {
        let mut object = self.object(route)?;
        if let Ok(old) = self.api.store.get(route.kind, &route.namespace, &route.name) {
            keep_base_directory(&mut object.value, &old.value);
            if part == Part::Object {
                immutable::check(&object, &old.value)?;
            }
        }
        self.check(&object, part)?;
        let applied = self.api.store.replace(object, part, self.parameters.mode()?)?;
        self.written(&applied)
    }

    pub(super) fn patch(&self, route: &ObjectRoute, part: Part) -> Answer {
        let form = PatchForm::of(self.media_type(), route.kind)?;
        let manager = self.manager(part);
        let mode = self.parameters.mode()?;
        let patch = if form == PatchForm::Apply {
            let wanted = self.object(route)?;
            let is_new = self.api.store.get(route.kind, &route.namespace, &route.name).is_err();
            if is_new && part == Part::Object {
                return self.apply_first(wanted, &manager, mode);
            }
            wanted.value
        } else {
            self.value()?
        };
        let key = (route.kind, route.namespace.as_str(), route.name.as_str());
        let applied = self.api.store.modify(key, part, mode, |live| {
            let mut value = patched(form, route.kind, live, &patch, &manager)?;
            if !names_base_directory(&patch) {
                keep_base_directory(&mut value, live);
            }
            if let Ok(object) = Object::from_value(value.clone()) {
                self.check(&object, part)?;
                if part == Part::Object {
                    immutable::check(&object, live)?;
                }
            }
            Ok(value)
        })?;
        self.written(&applied)
    }

    fn apply_first(&self, wanted: Object, manager: &str, mode: Mode) -> Answer {
        let wanted = Object { value: applied_first(wanted.value, manager), ..wanted };
        self.check(&wanted, Part::Object)?;
        let applied = self.api.store.create(wanted, mode)?;
        self.written(&applied)
    }

    pub(super) fn delete(&self, route: &ObjectRoute) -> Answer {
        let body = if self.body.is_empty() { Value::Null } else { self.value()? };
        let mode = match &body["dryRun"] {
            Value::Array(dry_run) if !dry_run.is_empty() => Mode::DryRun,
            _ => self.parameters.mode()?,
        };
        let precondition = |field: &str| body["preconditions"][field].as_str().map(ToOwned::to_owned);
        let options = DeleteOptions {
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            grace_period_seconds: match body["gracePeriodSeconds"].as_u64() {
                Some(seconds) => Some(seconds),
                None => self.parameters.number("gracePeriodSeconds")?,
            },
        };
        let key = (route.kind, route.namespace.as_str(), route.name.as_str());
        let form = self.form()?;
        let last = self.api.store.delete(key, &options, mode)?;
        match deleted(&last, self.now) {
            Deleted::Gone(details) => Ok(respond::json_text(StatusCode::OK, details)),
            Deleted::Object(object) => Ok(respond::json(StatusCode::OK, &form.object(&object, self.now)?)),
        }
    }

    /// Who applies. Each has one memory for an object and one for its status.
    fn manager(&self, part: Part) -> String {
        let manager = self.parameters.text("fieldManager").unwrap_or(UNNAMED);
        if part == Part::Status { format!("{manager}/status") } else { manager.to_owned() }
    }

    /// The answer to a write, with what there is to say about the object.
    fn written(&self, applied: &Applied) -> Answer {
        let status = if applied.outcome == Outcome::Created { StatusCode::CREATED } else { StatusCode::OK };
        let mut answer = self.form()?.object(&applied.object, self.now)?;
        if self.parameters.mode()? == Mode::DryRun {
            self.forget_revision(&mut answer, &applied.object);
        }
        let mut response = respond::json(status, &answer);
        self.warn(&mut response, applied);
        Ok(response)
    }

    /// What was only tried has no revision of its own.
    fn forget_revision(&self, answer: &mut Value, object: &Object) {
        let live = self.api.store.get(object.kind, &object.namespace, &object.name);
        let Some(metadata) = answer["metadata"].as_object_mut() else { return };
        match live {
            Ok(live) => {
                let revision = live.value["metadata"]["resourceVersion"].clone();
                metadata.insert("resourceVersion".to_owned(), revision);
            }
            Err(_) => drop(metadata.remove("resourceVersion")),
        }
    }

    fn warn(&self, response: &mut Response<Body>, applied: &Applied) {
        let mut all = Objects::clone(&self.api.store.objects());
        // What was only tried is not in the store.
        all.insert(applied.object.clone());
        let findings = warnings::about(&applied.object, &all, &self.api.settings);
        warnings::write(response.headers_mut(), &findings, &applied.warnings, self.headers);
    }

    /// Refuses what asks for protection that nothing here gives, where others than this machine would reach it.
    fn admit(&self, object: &Object) -> Result<(), Status> {
        let defaults = self.api.settings.defaults.now();
        if defaults.exposure != Exposure::Public {
            return Ok(());
        }
        let mut findings = warnings::alone(object, &defaults).into_iter();
        match findings.find(|finding| finding.is_error() && manifest::is_about_protection(finding)) {
            None => Ok(()),
            Some(finding) => {
                let advice = finding.suggestion.map(|advice| format!("; {advice}")).unwrap_or_default();
                let (kind, name) = (object.kind.kind, &object.name);
                let message =
                    format!("{kind} \"{name}\" is refused on a public address: {}{advice}", finding.message);
                Err(Status::new(Reason::Forbidden, message))
            }
        }
    }

    /// Refuses what no object can be, and fields that the kind does not have if that is wanted.
    fn check(&self, object: &Object, part: Part) -> Result<(), Status> {
        for field in ["spec", "status"] {
            let value = &object.value[field];
            if !value.is_object() && !value.is_null() {
                let cause = Cause::invalid(field, value, "must be a map");
                return Err(Status::invalid(object.kind, &object.name, vec![cause]));
            }
        }
        if part == Part::Object {
            validation::check(object)?;
            self.admit(object)?;
        }
        if self.parameters.text("fieldValidation") != Some("Strict") {
            return Ok(());
        }
        let findings = warnings::alone(object, &self.api.settings.defaults.now());
        let unknown = findings.iter().filter(|finding| finding.code == codes::FIELD_UNKNOWN.name);
        let unknown: Vec<String> = unknown
            .filter_map(|finding| Some(format!("unknown field \"{}\"", finding.field.as_ref()?)))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let kind = object.kind.kind;
        let message = format!(
            "{kind} in version \"{}\" cannot be handled as a {kind}: strict decoding error: {}",
            object.kind.version,
            unknown.join(", ")
        );
        Err(Status::new(Reason::BadRequest, message))
    }
}

/// An object that is written anew from a file elsewhere, or from an earlier revision, still starts where it did: whoever
/// writes does not know the folder, and says nothing of it (decision 12).
fn keep_base_directory(value: &mut Value, old: &Value) {
    let Some(folder) = old["metadata"]["annotations"].get(BASE_DIRECTORY) else { return };
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if annotations.is_null() {
        *annotations = json!({});
    }
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.entry(BASE_DIRECTORY).or_insert_with(|| folder.clone());
    }
}

/// Whether a patch of any form speaks of the folder, for example to take it away.
fn names_base_directory(patch: &Value) -> bool {
    let Some(operations) = patch.as_array() else {
        return patch["metadata"]["annotations"].get(BASE_DIRECTORY).is_some();
    };
    let pointer = format!("/metadata/annotations/{}", BASE_DIRECTORY.replace('/', "~1"));
    operations.iter().any(|operation| operation["path"] == json!(pointer))
}

/// What a deletion is answered with.
enum Deleted {
    /// A `Status` about what is gone, as text.
    Gone(String),
    /// The object, where it lives on until somebody has finished with it, and where typed clients decode it as one.
    Object(Arc<Object>),
}

fn deleted(last: &Arc<Object>, now: Timestamp) -> Deleted {
    let lives_on = metadata::deletion(last).is_some();
    if !lives_on && !RETURNED.contains(&last.kind.kind) {
        let mut details =
            json!({"name": last.name, "kind": last.kind.plural, "uid": metadata::text(last, "uid")});
        if !last.kind.group.is_empty() {
            details["group"] = json!(last.kind.group);
        }
        return Deleted::Gone(ordered(&[
            ("kind", json!("Status")),
            ("apiVersion", json!("v1")),
            ("metadata", json!({})),
            ("status", json!("Success")),
            ("details", details),
        ]));
    }
    if last.kind.kind != "Pod" || lives_on {
        return Deleted::Object(Arc::clone(last));
    }
    // It was given no time to end.
    let mut ended = Object::clone(last);
    ended.value["metadata"]["deletionTimestamp"] = json!(metadata::time(now));
    ended.value["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    Deleted::Object(Arc::new(ended))
}
