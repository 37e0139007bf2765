//! What the control loop says, as the log of the pod that stands for it: a line of JSON for each Event, in the form of the AWS
//! Load Balancer Controller's lines.

use std::io::{PipeWriter, Write as _};

use jiff::Timestamp;
use plan::ObjectRef;
use serde_json::{Value, json};

use super::Logs;
use crate::events::{Event, EventSeverity};
use crate::given::controller::{CONTAINER, NAMESPACE, POD};
use crate::store::{metadata, ordered};

/// The log of the control loop. Without one, nothing is said and all goes on.
#[derive(Debug)]
pub(super) struct ControllerLog {
    pipe: Option<PipeWriter>,
}

// === impl ControllerLog ===

impl ControllerLog {
    /// Begins the log.
    pub(super) fn begin(logs: &Logs) -> Self {
        let mut log = Self { pipe: open(logs) };
        let version = json!(concat!("forebay-", env!("CARGO_PKG_VERSION")));
        log.write(&ordered(&[
            ("level", json!("info")),
            ("ts", json!(metadata::time(Timestamp::now()))),
            ("msg", json!("version")),
            ("GitVersion", version),
        ]));
        log
    }

    /// Says that something happened to an object.
    pub(super) fn tell(&mut self, object: &ObjectRef, event: &Event) {
        let line = line(object, event, Timestamp::now());
        self.write(&line);
    }

    /// Whoever reads the pipe may wait for the disk; this does not.
    fn write(&mut self, line: &str) {
        if let Some(pipe) = &mut self.pipe {
            let _ = pipe.write(format!("{line}\n").as_bytes());
        }
    }
}

fn open(logs: &Logs) -> Option<PipeWriter> {
    let (reader, writer) = std::io::pipe().ok()?;
    rustix::io::ioctl_fionbio(&writer, true).ok()?;
    drop(logs.keep((NAMESPACE, POD, CONTAINER), 0, reader).ok()?);
    Some(writer)
}

/// `{"level":"info","ts":"2026-11-21T12:00:00Z","logger":"controllers.ingress","msg":"successfully deployed
/// model","ingressGroup":"default/web"}`
fn line(object: &ObjectRef, event: &Event, now: Timestamp) -> String {
    let controller = object.kind.to_ascii_lowercase();
    let named = format!("{}/{}", object.namespace, object.name);
    let mut fields = Vec::new();
    let mut field = |name: &'static str, value: Value| fields.push((name, value));
    let level = if event.severity == EventSeverity::Warning { "error" } else { "info" };
    field("level", json!(level));
    field("ts", json!(metadata::time(now)));
    if event.severity == EventSeverity::Warning {
        field("msg", json!("Reconciler error"));
        field("controller", json!(controller));
        field("object", json!({"name": object.name, "namespace": object.namespace}));
        field("namespace", json!(object.namespace));
        field("name", json!(object.name));
        field("reason", json!(event.reason));
        field("error", json!(event.message));
    } else {
        let message = match event.reason.as_ref() {
            "SuccessfullyReconciled" | "EnsuredLoadBalancer" => "successfully deployed model",
            _ => event.message.as_str(),
        };
        let subject = match object.kind.as_str() {
            "Ingress" => "ingressGroup",
            "Service" => "service",
            _ => "object",
        };
        field("logger", json!(format!("controllers.{controller}")));
        field("msg", json!(message));
        field(subject, json!(named));
    }
    ordered(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn lines_are_in_the_form_of_the_aws_load_balancer_controllers() {
        let now = Timestamp::UNIX_EPOCH;
        let web = ObjectRef::new("Ingress", "default", "web");
        expect![[r#"{"level":"info","ts":"1970-01-01T00:00:00Z","logger":"controllers.ingress","msg":"successfully deployed model","ingressGroup":"default/web"}"#]]
            .assert_eq(&line(&web, &Event::normal("SuccessfullyReconciled", "Successfully reconciled"), now));
        expect![[r#"{"level":"error","ts":"1970-01-01T00:00:00Z","msg":"Reconciler error","controller":"ingress","object":{"name":"web","namespace":"default"},"namespace":"default","name":"web","reason":"FailedDeployModel","error":"port 80: in use"}"#]]
            .assert_eq(&line(&web, &Event::warning("FailedDeployModel", "port 80: in use"), now));
    }
}
