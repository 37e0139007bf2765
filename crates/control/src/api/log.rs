//! The logs of pods.

use bytes::Bytes;
use http::StatusCode;
use manifest::Object;

use super::body::{Source, Stream};
use super::route::ObjectRoute;
use super::{Answer, Body, Call, respond};
use crate::local::{LogQuery, LogStream};
use crate::store::{Reason, Status};

/// The lines of a log that is followed.
#[derive(Debug)]
pub(super) struct Lines {
    stream: LogStream,
    /// How many bytes are wanted at most.
    left: usize,
}

impl Call<'_> {
    pub(super) fn log(&self, object: &ObjectRoute) -> Answer {
        let pod = self.api.store.get(object.kind, &object.namespace, &object.name)?;
        let query = LogQuery {
            container: container(&pod, self.parameters.text("container"))?,
            namespace: object.namespace.clone(),
            pod: object.name.clone(),
            previous: self.parameters.is_on("previous"),
            tail_lines: self.parameters.number("tailLines")?.map(saturated),
            since: self.parameters.since(self.now)?,
            timestamps: self.parameters.is_on("timestamps"),
        };
        let limit = self.parameters.number("limitBytes")?.map_or(usize::MAX, saturated);
        let logs = self.api.machine.as_ref().map(|machine| &machine.logs).ok_or_else(|| {
            Status::new(Reason::ServiceUnavailable, "there are no logs here: nothing runs on this machine")
        })?;
        let body = if self.parameters.is_on("follow") && !query.previous {
            let permit = self.permit()?;
            let lines = Lines { stream: logs.follow(&query)?, left: limit };
            Body::Stream(Stream::new(Source::Log(lines), permit))
        } else {
            let mut text = logs.read(&query)?;
            text.truncate(limit);
            Body::Full(text.into())
        };
        Ok(respond::with_type(StatusCode::OK, "text/plain", body))
    }
}

/// Which container of a pod is meant: the one that is named, or the only one.
pub(super) fn container(pod: &Object, named: Option<&str>) -> Result<String, Status> {
    let containers = pod.value["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = containers.iter().filter_map(|container| container["name"].as_str()).collect();
    let bad = |message: String| Err(Status::new(Reason::BadRequest, message));
    match (named, names.as_slice()) {
        (Some(named), names) if names.contains(&named) => Ok(named.to_owned()),
        (Some(named), _) => bad(format!("container {named} is not valid for pod {}", pod.name)),
        (None, [only]) => Ok((*only).to_owned()),
        (None, names) => bad(format!(
            "a container name must be specified for pod {}, choose one of: [{}]",
            pod.name,
            names.join(" ")
        )),
    }
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

// === impl Lines ===

impl Lines {
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut text = self.stream.next().await?;
        text.truncate(self.left);
        self.left -= text.len();
        Some(text.into())
    }
}
