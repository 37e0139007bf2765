//! Reading: one object, many, and what becomes of them.

use std::time::Duration;

use http::StatusCode;
use manifest::Kind;

use super::body::{Source, Stream};
use super::route::ObjectRoute;
use super::{Answer, Body, Call, respond, watch};
use crate::store::{Reason, Status};

/// How long a watch lasts that says nothing about it.
const WATCH: Duration = Duration::from_secs(30 * 60);
/// How long a watch lasts at most.
const LONGEST_WATCH: Duration = Duration::from_secs(24 * 60 * 60);

impl Call<'_> {
    pub(super) fn get(&self, object: &ObjectRoute) -> Answer {
        let form = self.form()?;
        let found = self.api.store.get(object.kind, &object.namespace, &object.name)?;
        Ok(respond::json(StatusCode::OK, &form.object(&found, self.now)))
    }

    pub(super) fn list(&self, kind: &'static Kind, namespace: Option<String>) -> Answer {
        let form = self.form()?;
        let list = self.api.store.list(&self.parameters.query(kind, namespace)?);
        Ok(respond::json(StatusCode::OK, &form.list(kind, &list, self.now)))
    }

    pub(super) fn watch(&self, kind: &'static Kind, namespace: Option<String>) -> Answer {
        if self.parameters.is_on("sendInitialEvents") {
            let why = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            return Err(Status::new(Reason::Invalid, why));
        }
        let query = self.parameters.query(kind, namespace)?;
        let seconds = self.parameters.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
        let patience = seconds.map_or(WATCH, Duration::from_secs).min(LONGEST_WATCH);
        let with_bookmarks = self.parameters.is_on("allowWatchBookmarks");
        let watch = self.api.store.watch(query, self.parameters.after()?);
        let lines = watch::Lines::new(watch, kind, self.form()?, patience, with_bookmarks);
        let stream = Stream::new(Source::Watch(lines), self.permit()?);
        Ok(respond::with_type(StatusCode::OK, "application/json", Body::Stream(stream)))
    }
}
