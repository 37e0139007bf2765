//! Reading: one object, many, and what becomes of them.

use std::time::Duration;

use http::StatusCode;
use manifest::{DEFINITION, Kind};

use super::body::{Source, Stream};
use super::form::Form;
use super::pages::{Beginning, Wanted, check_is_reached};
use super::route::ObjectRoute;
use super::{Answer, Body, Call, definitions, respond, watch};
use crate::store::{Query, Reason, Status};

/// How long a watch lasts that says nothing about it.
const WATCH: Duration = Duration::from_secs(30 * 60);
/// How long a watch lasts at most.
const LONGEST_WATCH: Duration = Duration::from_secs(24 * 60 * 60);

impl Call<'_> {
    pub(super) fn get(&self, object: &ObjectRoute) -> Answer {
        let form = self.form()?;
        check_is_reached(self.parameters.revision()?.unwrap_or(0), &self.api.store)?;
        let found = match definitions::of_program(object.kind, &object.name, &self.api.store) {
            Some(found) => found,
            None => self.api.store.get(object.kind, &object.namespace, &object.name)?,
        };
        Ok(respond::json(StatusCode::OK, &form.object(&found, self.now)?))
    }

    pub(super) fn list(&self, kind: &'static Kind, namespace: Option<String>) -> Answer {
        let form = self.form()?;
        let wanted = Wanted::parse(&self.parameters, &self.api.store)?;
        let query = self.parameters.query(kind, namespace)?;
        let (mut page, metadata) = wanted.read(&query, &self.api.store)?;
        if kind.key == DEFINITION && self.parameters.text("continue").is_none() {
            definitions::add(&mut page, &query, &self.api.store);
        }
        Ok(respond::json_text(StatusCode::OK, form.list(kind, &page, &metadata, self.now)?))
    }

    /// Watches the objects of a kind.
    pub(super) fn watch(&self, kind: &'static Kind, namespace: Option<String>) -> Answer {
        self.watch_query(self.parameters.query(kind, namespace)?)
    }

    /// Watches one object.
    pub(super) fn watch_one(&self, object: &ObjectRoute) -> Answer {
        let namespace = object.kind.is_namespaced.then(|| object.namespace.clone());
        let mut query = self.parameters.query(object.kind, namespace)?;
        if query.fields.required("metadata.name").is_some_and(|name| name != object.name) {
            let message = "fieldSelector metadata.name doesn't match requested name";
            return Err(Status::new(Reason::BadRequest, message));
        }
        query.fields = query.fields.and("metadata.name", &object.name);
        self.watch_query(query)
    }

    fn watch_query(&self, query: Query) -> Answer {
        let form = Form::of_stream(self.header(http::header::ACCEPT), &self.parameters)?.of_kind(self.served);
        let beginning = Beginning::parse(&self.parameters, query.kind, &self.api.store)?;
        let seconds = self.parameters.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
        let patience = seconds.map_or(WATCH, Duration::from_secs).min(LONGEST_WATCH);
        let kind = query.kind;
        let watch = self.api.store.watch(query, beginning.after);
        let telling = watch::Telling {
            kind,
            form,
            patience,
            with_bookmarks: self.parameters.is_on("allowWatchBookmarks"),
            says_when_initial_ends: beginning.says_when_initial_ends,
        };
        let lines = watch::Lines::new(watch, telling, self.api.shared_lines.clone());
        let stream = Stream::new(Source::Watch(Box::new(lines)), self.permit()?);
        Ok(respond::with_type(StatusCode::OK, "application/json", Body::Stream(stream)))
    }
}
