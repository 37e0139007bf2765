//! Writing: new objects, changes of any form, and deletion.

use std::sync::Arc;

use http::{Response, StatusCode, header};
use jiff::Timestamp;
use manifest::{BASE_DIRECTORY, Exposure, Kind, Object, Objects};
use serde_json::{Value, json};

use super::access::{self, Wish};
use super::pages::Wanted;
use super::patch::{PatchForm, patched};
use super::route::ObjectRoute;
use super::served::{read_as, stored, version_of_paths};
use super::{Answer, Body, Call, definitions, immutable, respond, validation, warnings};
use crate::ownership::{self, Manager, Operation, Trace};
use crate::store::{
    Applied, Cause, DeleteOptions, Details, Mode, Outcome, Part, Propagation, Reason, Status, metadata,
    ordered,
};

/// The kinds whose deletion answers with the object, also when it is gone (`ReturnDeletedObject` of Kubernetes).
const RETURNED: &[&str] = &["PersistentVolumeClaim", "Pod", "ResourceQuota", "Service", "ServiceAccount"];

/// The longest name of a manager, in bytes.
const MANAGER_BYTES: usize = 128;

impl Call<'_> {
    pub(super) fn create(&self, kind: &'static Kind, namespace: Option<&str>) -> Answer {
        let object = self.new_object(kind, namespace)?;
        if says(&object, "resourceVersion").is_some_and(|revision| revision != "0") {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Status::new(Reason::BadRequest, message));
        }
        self.check_namespace(&object)?;
        self.check(&object, Part::Object)?;
        self.check_is_declared(&object)?;
        let writer = self.writer(Operation::Update, kind, "")?;
        let object = stored(object);
        let applied = self.api.store.create_by(object, self.parameters.mode()?, Trace::By(&writer))?;
        self.written(&applied)
    }

    pub(super) fn replace(&self, route: &ObjectRoute, part: Part) -> Answer {
        if let Some(answer) = self.kept_as_it_is(route)? {
            return Ok(answer);
        }
        let mut object = self.object(route)?;
        if let Ok(old) = self.api.store.get(route.kind, &route.namespace, &route.name) {
            keep_base_directory(&mut object.value, &old.value);
            if part == Part::Object {
                let converted = object.kind.is_converted().then(|| stored(object.clone()));
                immutable::check(converted.as_ref().unwrap_or(&object), &old.value)?;
            }
        }
        self.check(&object, part)?;
        let object = stored(object);
        let writer = self.writer(Operation::Update, route.kind, subresource(part))?;
        let mode = self.parameters.mode()?;
        let applied = self.api.store.replace_by(object, part, mode, Trace::By(&writer))?;
        self.written(&applied)
    }

    pub(super) fn patch(&self, route: &ObjectRoute, part: Part) -> Answer {
        let form = PatchForm::of(self.media_type(), route.kind)?;
        self.check_patch_options(form)?;
        if let Some(answer) = self.kept_as_it_is(route)? {
            return Ok(answer);
        }
        if form == PatchForm::Apply {
            return self.apply(route, part);
        }
        let patch = self.value()?;
        let writer = self.writer(Operation::Update, route.kind, subresource(part))?;
        let key = (route.kind, route.namespace.as_str(), route.name.as_str());
        let mode = self.parameters.mode()?;
        let applied = self.api.store.modify_by(key, part, mode, Trace::By(&writer), |live| {
            // Operations of a JSON patch may go into what clients know of the owners of fields.
            let mut whole = live.clone();
            ownership::unfold(&mut whole);
            read_as(route.kind, &mut whole);
            let value = self.decoded(patched(form, route.kind, &whole, &patch)?, route.kind)?;
            self.changed(route.kind, value, live, &patch, part)
        })?;
        self.written(&applied)
    }

    /// Server-side apply.
    fn apply(&self, route: &ObjectRoute, part: Part) -> Answer {
        let mut wanted = self.object(route)?;
        // Owners of fields are known by what is stored, but where versions differ in their names alone.
        let kind = if route.kind.is_declared() { route.kind } else { route.kind.storage() };
        if !route.kind.is_declared() {
            wanted = stored(wanted);
        }
        if wanted.value["metadata"].get("managedFields").is_some_and(|given| !given.is_null()) {
            return Err(Status::new(Reason::BadRequest, "metadata.managedFields must be nil"));
        }
        let applier = self.writer(Operation::Apply, route.kind, subresource(part))?;
        let is_forced = self.parameters.is_on("force");
        let mode = self.parameters.mode()?;
        let becomes = |live: Option<&Value>| {
            let live = live.cloned().map(|mut live| {
                read_as(kind, &mut live);
                live
            });
            ownership::apply(kind, live.as_ref(), &wanted.value, &applier, is_forced, self.now)
        };
        let is_new = self.api.store.get(route.kind, &route.namespace, &route.name).is_err();
        let applied = if is_new && part == Part::Object {
            if let Some(uid) = says(&wanted, "uid") {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(Status::conflict(route.kind, &route.name, &why));
            }
            if says(&wanted, "resourceVersion").is_some_and(|revision| revision != "0") {
                let why = "the object has been modified; please apply your changes to the latest version and try again";
                return Err(Status::conflict(route.kind, &route.name, why));
            }
            // Who may change what there is may not make what there is not.
            self.api.authorize(self.user, &Wish::create(route.kind, &route.namespace, &route.name))?;
            let object = Object::of_kind(kind, becomes(None)?).map_err(|finding| Status::from(&*finding))?;
            self.check_namespace(&object)?;
            self.check(&object, Part::Object)?;
            self.check_is_declared(&object)?;
            self.api.store.create_by(stored(object), mode, Trace::Told)?
        } else {
            let key = (route.kind, route.namespace.as_str(), route.name.as_str());
            self.api.store.modify_by(key, part, mode, Trace::Told, |live| {
                self.changed(kind, becomes(Some(live))?, live, &wanted.value, part)
            })?
        };
        self.written(&applied)
    }

    /// What a patch has made of a live object, if it may be so.
    fn changed(
        &self,
        kind: &'static Kind,
        mut value: Value,
        live: &Value,
        patch: &Value,
        part: Part,
    ) -> Result<Value, Status> {
        if !names_base_directory(patch) {
            keep_base_directory(&mut value, live);
        }
        // The store refuses what is another object now.
        if value["kind"] != kind.kind || value["apiVersion"] != kind.api_version() {
            return Ok(value);
        }
        let Ok(object) = Object::of_kind(kind, value.clone()) else { return Ok(value) };
        self.check(&object, part)?;
        let object = stored(object);
        if part == Part::Object {
            immutable::check(&object, live)?;
        }
        Ok(object.value)
    }

    pub(super) fn delete(&self, route: &ObjectRoute) -> Answer {
        if definitions::of_program(route.kind, &route.name, &self.api.store).is_some() {
            return Err(Status::forbidden(route.kind, &route.name, &definitions::kept_as_it_is(&route.name)));
        }
        let (options, mode) = self.delete_options()?;
        let key = (route.kind, route.namespace.as_str(), route.name.as_str());
        let form = self.form()?;
        let last = self.api.store.delete(key, &options, mode)?;
        match deleted(&last, self.now) {
            Deleted::Gone(details) => Ok(respond::json_text(StatusCode::OK, details)),
            Deleted::Object(object) => Ok(respond::json(StatusCode::OK, &form.object(&object, self.now)?)),
        }
    }

    /// Deletes all objects that a query selects. The answer is the list of them as they were.
    pub(super) fn delete_collection(&self, kind: &'static Kind, namespace: Option<String>) -> Answer {
        if kind.is_namespaced && namespace.is_none() {
            return Err(super::method_not_allowed());
        }
        let (options, mode) = self.delete_options()?;
        let options = DeleteOptions { uid: None, resource_version: None, ..options };
        let form = self.form()?;
        let query = self.parameters.query(kind, namespace)?;
        let (page, metadata) =
            Wanted::parse(&self.parameters, &self.api.store)?.read(&query, &self.api.store)?;
        self.api.store.delete_all(&page.objects, &options, mode)?;
        Ok(respond::json_text(StatusCode::OK, form.list(kind, &page, &metadata, self.now)?))
    }

    /// How to delete, as the body says or the query.
    fn delete_options(&self) -> Result<(DeleteOptions, Mode), Status> {
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
            propagation: self.propagation(&body)?,
        };
        Ok((options, mode))
    }

    /// Who writes: as he calls himself, or as his program does.
    pub(super) fn writer(
        &self,
        operation: Operation,
        kind: &'static Kind,
        subresource: &str,
    ) -> Result<Manager, Status> {
        let agent = self.header(header::USER_AGENT).and_then(|agent| agent.split('/').next());
        let agent = agent.filter(|agent| !agent.is_empty()).unwrap_or("unknown");
        let shortened = &agent[..agent.floor_char_boundary(MANAGER_BYTES)];
        let name = self.parameters.text("fieldManager");
        if let Some(name) = name {
            check_manager(name, "PatchOptions")?;
        }
        Ok(Manager {
            name: name.unwrap_or(shortened).to_owned(),
            operation,
            api_version: version_of_paths(kind),
            subresource: subresource.to_owned(),
        })
    }

    /// Refuses parameters that do not go with the form of a patch.
    fn check_patch_options(&self, form: PatchForm) -> Result<(), Status> {
        let mut causes = Vec::new();
        if form != PatchForm::Apply && self.parameters.text("force").is_some() {
            causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
        }
        if form == PatchForm::Apply && self.parameters.text("fieldManager").is_none() {
            let message = "Required value: is required for apply patch".to_owned();
            causes.push(Cause { message, ..Cause::required("fieldManager") });
        }
        if causes.is_empty() { Ok(()) } else { Err(Status::invalid_options("PatchOptions", causes)) }
    }

    /// What is to become of what an object owns.
    fn propagation(&self, body: &Value) -> Result<Option<Propagation>, Status> {
        let written = body["propagationPolicy"].as_str().or(self.parameters.text("propagationPolicy"));
        let Some(written) = written.filter(|written| !written.is_empty()) else {
            let orphan = body["orphanDependents"].as_bool();
            return Ok(
                orphan.map(|orphan| if orphan { Propagation::Orphan } else { Propagation::Background })
            );
        };
        Propagation::named(written).map(Some).ok_or_else(|| {
            let words = r#"supported values: "Background", "Foreground", "Orphan", null"#;
            let message = format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {written:?}: {words}");
            Status::new(Reason::Invalid, message)
        })
    }

    pub(super) fn finalize(&self, route: &ObjectRoute) -> Answer {
        let wanted = self.object(route)?;
        let key = (route.kind, route.name.as_str());
        let object = self.api.store.finalize(key, &wanted.value, self.parameters.mode()?)?;
        Ok(respond::json(StatusCode::OK, &self.form()?.object(&object, self.now)?))
    }

    /// Refuses to write into a namespace that is not there, unless it is to be made (`createNamespace=true`, which only we
    /// know) by somebody who may.
    fn check_namespace(&self, object: &Object) -> Result<(), Status> {
        let Some(kind) = manifest::kind_named("Namespace").filter(|_| object.kind.is_namespaced) else {
            return Ok(());
        };
        let Err(absent) = self.api.store.get(kind, "", &object.namespace) else { return Ok(()) };
        if !self.parameters.is_on("createNamespace") {
            return Err(absent);
        }
        self.api.authorize(self.user, &Wish::create(kind, "", &object.namespace))
    }

    /// The answer to a write, with what there is to say about the object.
    fn written(&self, applied: &Applied) -> Answer {
        let status = if applied.outcome == Outcome::Created { StatusCode::CREATED } else { StatusCode::OK };
        let mut answer = self.form()?.object(&applied.object, self.now)?;
        if self.parameters.mode()? == Mode::DryRun {
            self.forget_revision(&mut answer, &applied.object);
        } else if applied.outcome == Outcome::Created {
            self.fill_token(&applied.object)?;
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
        let mut findings = warnings::about(&applied.object, &all, &self.api.settings);
        let odd = self.odd.take();
        let mut sentences = applied.warnings.clone();
        let wants_findings = self.headers.contains_key(warnings::FINDINGS_FIELD);
        for odd in odd {
            match odd.finding(&applied.object).filter(|_| wants_findings) {
                Some(finding) => findings.push(finding),
                None => sentences.push(odd.sentence()),
            }
        }
        warnings::write(response.headers_mut(), &findings, &sentences, self.headers);
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

    /// Refuses what no object can be.
    fn check(&self, object: &Object, part: Part) -> Result<(), Status> {
        let known = if object.kind.is_declared() { &[][..] } else { &["spec", "status"] };
        for field in known.iter().copied() {
            let value = &object.value[field];
            if !value.is_object() && !value.is_null() {
                let cause = Cause::invalid(field, value, "must be a map");
                return Err(Status::invalid(object.kind, &object.name, vec![cause]));
            }
        }
        if part == Part::Object {
            validation::check(object)?;
            if let Some(roles) = &self.roles {
                access::check_escalation(roles, self.user, object)?;
            }
            self.admit(object)?;
        }
        Ok(())
    }
}

/// A field of metadata that says something.
fn says<'a>(object: &'a Object, field: &str) -> Option<&'a str> {
    object.value["metadata"][field].as_str().filter(|text| !text.is_empty())
}

/// What the owners of fields know a part of an object by.
fn subresource(part: Part) -> &'static str {
    match part {
        Part::Object => "",
        Part::Status => "status",
    }
}

fn check_manager(name: &str, options: &str) -> Result<(), Status> {
    let cause = if name.len() > MANAGER_BYTES {
        let message = format!("Too long: may not be more than {MANAGER_BYTES} bytes");
        Cause { reason: "FieldValueTooLong", message, field: "fieldManager".to_owned() }
    } else if name.chars().any(char::is_control) {
        Cause::invalid("fieldManager", &json!(name), "should only contain printable characters")
    } else {
        return Ok(());
    };
    Err(Status::invalid_options(options, vec![cause]))
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
    if !lives_on && !RETURNED.contains(&last.kind.key) {
        let details = Details {
            name: last.name.clone(),
            group: last.kind.group.to_owned(),
            kind: last.kind.plural.to_owned(),
            uid: metadata::text(last, "uid").unwrap_or_default().to_owned(),
            ..Details::default()
        };
        return Deleted::Gone(ordered(&[
            ("kind", r#""Status""#),
            ("apiVersion", r#""v1""#),
            ("metadata", "{}"),
            ("status", r#""Success""#),
            ("details", &details.to_json()),
        ]));
    }
    if last.kind.key != "Pod" || lives_on {
        return Deleted::Object(Arc::clone(last));
    }
    // It was given no time to end.
    let mut ended = Object::clone(last);
    ended.value["metadata"]["deletionTimestamp"] = json!(metadata::time(now));
    ended.value["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    Deleted::Object(Arc::new(ended))
}
