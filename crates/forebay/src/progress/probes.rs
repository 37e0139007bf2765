//! Probes that fail again and again although their process runs: what they ask is not what is there to be asked.

use control::local::LISTENS_AT;
use manifest::{Location, Object, Program, workload_of};
use serde_json::Value;

use super::{Cause, World, events_of, text};

/// As many failures of one kind are no accident.
const FAILURES: u64 = 3;

/// Paths that our own server answers when its models are there.
const OUR_PATHS: &str = "/v2/health/ready, /readyz, /healthz";

/// The probes that keep a container from traffic: the field, and the word that Events have for it.
const PROBES: [(&str, &str); 2] = [("startupProbe", "Startup"), ("readinessProbe", "Readiness")];

/// A probe that fails, and what it says.
struct Failing<'a> {
    /// Where its container stands in the list of them.
    index: usize,
    container: &'a Value,
    /// For example `readinessProbe`.
    field: &'static str,
    why: String,
}

impl World<'_> {
    /// What the probes of a workload say when they do not look as if they will ever succeed.
    pub(super) fn doubt_of_probes(&self, workload: &Object) -> Option<Cause> {
        let pods = self.pods_of(workload);
        pods.flat_map(|pod| self.failing(pod)).find_map(|failing| self.cause(workload, &failing))
    }

    /// The probes that fail of a pod's containers that run.
    fn failing<'a>(&'a self, pod: &'a Object) -> Vec<Failing<'a>> {
        let reference = pod.reference();
        let events: Vec<&Object> =
            events_of(self.objects, &reference).filter(|event| is_telling(event)).collect();
        let containers = pod.value["spec"]["containers"].as_array().into_iter().flatten().enumerate();
        let of_container = |(index, container): (usize, &'a Value)| {
            let since = running_since(pod, container)?;
            let probes = PROBES.iter().filter(|(field, _)| container[*field].is_object());
            let (field, why) = probes.copied().find_map(|(field, word)| {
                let mut current =
                    events.iter().filter(|event| text(&event.value, "/lastTimestamp") >= Some(since));
                let begin = format!("{word} probe failed: ");
                current.find_map(|event| {
                    let why = text(&event.value, "/message")?.strip_prefix(&begin)?;
                    Some((field, why.to_owned()))
                })
            })?;
            Some(Failing { index, container, field, why })
        };
        containers.filter_map(of_container).collect()
    }

    /// What a failing probe asks that is not there; `None` when what it asks may still come.
    fn cause(&self, workload: &Object, failing: &Failing<'_>) -> Option<Cause> {
        let Failing { index, container, field, why } = failing;
        let probe = &container[*field];
        let name = field.trim_end_matches("Probe");
        let is_ours = workload_of(self.in_force(workload), self.objects).is_some_and(|workload| {
            workload.containers.get(*index).is_some_and(|it| matches!(it.program, Program::Forebay { .. }))
        });
        let status = why.strip_prefix("HTTP probe failed with statuscode: ");
        if let Some(status) = status.filter(|status| status.starts_with('4')) {
            let path = text(probe, "/httpGet/path").unwrap_or("/");
            let fix = match is_ours {
                true => format!("a path that the server answers: {OUR_PATHS}"),
                false => "a path that the container answers with a status below 400".to_owned(),
            };
            return Some(Cause {
                reason: format!(
                    "the {name} probe is answered {status} at `{path}`, so no replica gets traffic"
                ),
                place: self.place(workload, *index, &format!("{field}.httpGet.path")),
                fix: Some(fix),
            });
        }
        if !why.contains("Connection refused") {
            return None;
        }
        let handler = ["httpGet", "tcpSocket", "grpc"].into_iter().find(|it| probe[*it].is_object())?;
        let port = probe[handler]["port"].to_string();
        let (port, elsewhere) = (port.trim_matches('"'), why.split_once(LISTENS_AT));
        let (runs, fix) = match elsewhere {
            Some((_, at)) if at.ends_with(&format!(":{port}")) => {
                (format!("{LISTENS_AT}{at} only"), "have it listen at all addresses: 0.0.0.0".to_owned())
            }
            Some((_, at)) => (format!("{LISTENS_AT}{at}"), format!("a port of these: {at}")),
            None => {
                ("the process runs".to_owned(), "the port that the process listens at, at 0.0.0.0".to_owned())
            }
        };
        Some(Cause {
            reason: format!("the {name} probe finds nobody at port {port}, though {runs}"),
            place: self.place(workload, *index, &format!("{field}.{handler}.port")),
            fix: Some(fix),
        })
    }

    /// Where a field of a workload's container stands in a file.
    fn place(&self, workload: &Object, index: usize, field: &str) -> Option<String> {
        let (kind, name, containers) = match (workload.kind.kind, super::owner(workload)) {
            (_, Some(("InferenceService", name))) => ("InferenceService", name, "spec.predictor.containers"),
            ("Deployment", _) => ("Deployment", workload.name.as_str(), "spec.template.spec.containers"),
            (kind, _) => (kind, workload.name.as_str(), "spec.containers"),
        };
        let written = self.written.files.get(kind, &workload.namespace, name)?;
        let place: Location = written.locate(&format!("{containers}[{index}].{field}"))?;
        Some(place.to_string())
    }
}

/// Whether an event tells of a probe that has failed often enough.
fn is_telling(event: &Object) -> bool {
    text(&event.value, "/reason") == Some("Unhealthy") && event.value["count"].as_u64() >= Some(FAILURES)
}

/// Since when a container runs that is not ready.
fn running_since<'a>(pod: &'a Object, container: &Value) -> Option<&'a str> {
    let statuses = pod.value.pointer("/status/containerStatuses")?.as_array()?;
    let status = statuses.iter().find(|status| status["name"] == container["name"])?;
    text(status, "/state/running/startedAt").filter(|_| status["ready"] != true)
}
