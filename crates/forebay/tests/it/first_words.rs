//! What somebody is told at once who begins with a mistake, or asks for what is not there any more.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use testkit::{Platform, Request, wait_until};

use crate::{FOREBAY, folder, project};

/// A Deployment of the iris model and its load balancer.
fn web(probe: &str) -> String {
    let model = project("examples/iris/model");
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: main
          image: forebay
          args: [serve, "iris={model}"]
          ports: [{{containerPort: 8080}}]
          readinessProbe:
            httpGet: {{path: {probe}, port: 8080}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{type: LoadBalancer, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"#
    )
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn a_platform_that_is_stopped_is_told_and_not_waited_for() {
    let platform = Platform::start(FOREBAY, &[&project("examples/iris")]);
    let pid = platform.pid().to_string();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    signal("-STOP");
    let answers: Vec<Output> =
        [&["get", "pods"][..], &["targets"], &["events", "-w"]].map(|it| platform.run(it)).into();
    signal("-CONT");
    for answer in answers {
        assert_eq!(answer.status.code(), Some(1), "{answer:?}");
        assert!(said(&answer).contains(&format!("kill -CONT {pid}")), "{answer:?}");
    }
    let _ = platform.ok(&["get", "pods", "-A"]);
}
