//! What is served while it is disturbed: replicas of the iris story, and targets of others, behind one load balancer.

use std::net::SocketAddr;

use super::super::http::Request;
use super::super::manifest::{Ingress, documents, rule, rule_to, service};
use super::super::platform::Platform;
use super::super::{Forebay, folder, requests};
use crate::tools::root;

/// Replicas of the model server.
pub(super) const N_REPLICAS: usize = 3;

const IRIS: &str = "iris.example.com";
const OTHERS: &str = "others.example.com";

/// What is wanted of the platform.
#[derive(Debug, Clone)]
pub(super) struct World<'a> {
    pub(super) port: u16,
    pub(super) targets: &'a [SocketAddr],
    /// Rules beside those that requests need.
    pub(super) rules: String,
}

// === impl World ===

impl World<'_> {
    pub(super) fn manifest(&self) -> String {
        documents(&[inference_service(), service(self.targets), self.ingress()])
    }

    pub(super) fn ingress(&self) -> String {
        let rules =
            [rule_to("iris-predictor", "number: 80", IRIS, &["/"]), rule(OTHERS, &["/"]), self.rules.clone()];
        let (listeners, rules) = (&[("HTTP", self.port)], rules.concat());
        Ingress { name: "bench", annotations: &[], listeners, tls: None, has_default: true, rules }
            .to_string()
    }

    /// Starts it, with an access log of its own.
    pub(super) fn start(&self, forebay: &Forebay, name: &str) -> Result<Platform, String> {
        let log = access_log(name)?;
        let _ = std::fs::remove_file(&log);
        let options = ["--access-log", &log, "--access-log-format", "alb"];
        Platform::start(forebay, &forebay.name, &format!("faults-{name}"), &self.manifest(), &options)
    }
}

/// The file of an access log.
pub(super) fn access_log(name: &str) -> Result<String, String> {
    Ok(folder("logs")?.join(format!("access-faults-{name}")).display().to_string())
}

fn inference_service() -> String {
    let model = root().join("examples/iris/model");
    let model = model.display();
    format!(
        "apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: iris}}
spec: {{predictor: {{minReplicas: {N_REPLICAS}, sklearn: {{storageUri: \"{model}\"}}}}}}
"
    )
}

/// A prediction of a replica.
pub(super) fn of_iris() -> Result<Request, String> {
    let body = requests::iris_v1(1)?.to_string();
    Ok(Request { host: Some(IRIS), path: "/v1/models/iris:predict", body })
}

/// The same as a prediction of somebody else's target.
pub(super) fn of_others() -> Result<Request, String> {
    Ok(Request { host: Some(OTHERS), ..of_iris()? })
}
