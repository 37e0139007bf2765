//! The whole product, as a user has it: the binary, real sockets, real models.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod acme;
mod browser;
mod cert_commands;
mod certificates;
mod client_certificates;
mod clients;
mod cluster;
mod commands;
mod docs;
mod edge;
mod failures;
mod first_words;
mod grpc;
mod handling;
mod kubectl;
mod limits;
mod manifests;
mod model;
mod my_manifests;
mod my_model;
mod objects;
mod options;
mod own_certificates;
mod public;
mod rows;
mod rows_with_traffic;
mod secrets;
mod serve;
mod stories;
mod swaps;
mod three_am;
mod traces;
mod web;
mod what_comes_out;
mod zones;

use std::path::PathBuf;

use serde_json::Value;
use testkit::Platform;

/// The binary under test.
const FOREBAY: &str = env!("CARGO_BIN_EXE_forebay");

/// A platform with the bundled examples.
fn bundled() -> Platform {
    Platform::start(FOREBAY, &[])
}

/// A path of the project.
fn project(path: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).display().to_string()
}

/// A folder with manifests of a test's own.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A Deployment of two replicas of the iris model, with these arguments besides and these ports.
fn replicas_of_iris(arguments: &str, ports: &str) -> String {
    let ports = ports.split(", ").map(|port| format!("{{containerPort: {port}}}"));
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: iris}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: iris}}}}
  template:
    metadata: {{labels: {{app: iris}}}}
    spec:
      containers:
      - name: iris
        image: forebay
        args: [serve, 'iris={}', {arguments}]
        ports: [{}]
        readinessProbe: {{httpGet: {{path: /readyz, port: 8080}}}}
",
        project("examples/iris/model"),
        ports.collect::<Vec<_>>().join(", ")
    )
}

/// Rows and predictions of a fixture.
fn golden(case: &str) -> (Value, Value) {
    let read = |file: &str| {
        let text = std::fs::read_to_string(project(&format!("fixtures/models/{case}/{file}"))).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    (read("input.json"), read("expected.json"))
}
