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
fn a_readiness_probe_that_asks_a_wrong_path_is_told_with_the_paths_that_answer() {
    let folder = folder(&[("web.yaml", &web("/ready"))]);
    let path = folder.path().join("web.yaml").display().to_string();
    let platform = Platform::start(FOREBAY, &[&path]);
    let endpoint = &platform.ready()["endpoints"][0];
    assert_eq!(endpoint["state"], "failed");
    let message = endpoint["message"].as_str().unwrap();
    assert!(message.starts_with("the readiness probe is answered 404 at `/ready`"), "{message}");
    assert_eq!(endpoint["place"], format!("{path}:16:23"));
    let pod = platform.ok(&["get", "pods", "-n", "shop", "-o", "jsonpath={.items[0].status.podIP}"]);
    let replica: SocketAddr = format!("{pod}:8080").parse().unwrap();
    let (_, paths) = endpoint["fix"].as_str().unwrap().split_once(": ").unwrap();
    for path in paths.split(", ") {
        wait_until("the paths that are named answer", || Request::get(replica, path).send().status == 200);
    }
}

#[test]
fn a_probe_of_a_port_at_which_the_process_does_not_listen_is_told_with_those_at_which_it_does() {
    let ours = web("/v2/health/ready");
    let other = ours
        .replace("image: forebay", "image: any")
        .replace("args: [serve, ", &format!("command: [\"{FOREBAY}\", serve, --port, \"9000\", "));
    let folder = folder(&[("web.yaml", &other)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let endpoint = &platform.ready()["endpoints"][0];
    let message = endpoint["message"].as_str().unwrap();
    let begin = "the readiness probe finds nobody at port 8080, though the process listens at ";
    assert!(message.starts_with(begin) && message.ends_with(":9000"), "{message}");
    assert!(endpoint["fix"].as_str().unwrap().ends_with(":9000"), "{endpoint}");
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

#[test]
fn targets_are_those_of_a_namespace_or_of_all() {
    let folder = folder(&[("web.yaml", &web("/v2/health/ready"))]);
    let platform =
        Platform::start(FOREBAY, &[&project("examples/iris"), &folder.path().display().to_string()]);
    wait_until("all are healthy", || platform.run(&["targets", "-A"]).status.success());
    let shop = platform.ok(&["targets", "-n", "shop"]);
    assert_eq!(shop.lines().count(), 2, "{shop}");
    assert_eq!(platform.ok(&["targets"]), platform.ok(&["targets", "-A"]));
    let none = platform.run(&["targets", "-n", "nowhere"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(said(&none).contains("no load balancer in nowhere namespace"), "{none:?}");
}

#[test]
fn events_are_watched_as_they_happen() {
    let folder = folder(&[("web.yaml", &web("/v2/health/ready"))]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let mut watch = Command::new(FOREBAY)
        .args(["events", "-w", "-n", "shop", "deploy/web"])
        .env("FOREBAY_STATE_DIR", platform.state_dir())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("LAST SEEN"));
    let _ = platform.ok(&["scale", "deploy/web", "-n", "shop", "--replicas=2"]);
    let told = lines.find(|line| line.contains("from 1 to 2"));
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert!(told.unwrap().contains("ScalingReplicaSet"));
}

#[test]
fn what_came_from_files_that_are_gone_is_deleted_by_their_path() {
    let files = folder(&[("web.yaml", &web("/v2/health/ready"))]);
    let path = files.path().join("web.yaml").display().to_string();
    let platform = Platform::start(FOREBAY, &[&path, &project("examples/iris")]);
    let unknown = platform.run(&["delete", "-f", &format!("{path}.old")]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("nothing that runs came from there"), "{unknown:?}");
    std::fs::remove_file(&path).unwrap();
    let deleted = platform.run(&["delete", "-f", &path]);
    assert!(deleted.status.success(), "{deleted:?}");
    let said = said(&deleted);
    assert!(said.contains("2 objects are still there: Deployment shop/web, Service shop/web"), "{said}");
    assert!(said.contains("deployment.apps \"web\" deleted"), "{said}");
    let left = platform.ok(&["get", "deploy,svc", "-A"]);
    assert!(!left.contains("web") && left.contains("iris"), "{left}");
}

#[test]
fn a_type_error_in_a_file_is_refused_in_the_words_of_the_api_and_what_worked_goes_on() {
    let good = web("/v2/health/ready");
    let broken = good.replace("  selector: {matchLabels", "  replicas: \"two\"\n  selector: {matchLabels");
    let files = folder(&[("web.yaml", &good), ("broken.yaml", &broken)]);
    let path = |name: &str| files.path().join(name).display().to_string();
    let mut platform = Platform::start(FOREBAY, &[&path("web.yaml")]);
    let refused = platform.run(&["apply", "-f", &path("broken.yaml")]);
    let words =
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32";
    assert!(!refused.status.success() && said(&refused).contains(words), "{refused:?}");
    let checked = platform.run(&["check", &path("broken.yaml")]);
    assert!(!checked.status.success() && said(&checked).contains(words), "{checked:?}");
    assert!(said(&checked).contains("broken.yaml:6:3"), "{checked:?}");
    platform.stop();
    std::fs::copy(path("broken.yaml"), path("web.yaml")).unwrap();
    platform.start_again(&[&path("web.yaml")]);
    let told = platform.ready();
    assert_eq!(told["ready"], true, "{told}");
    let message = told["endpoints"][0]["message"].as_str().unwrap();
    assert!(message.contains("the last good one goes on: ") && message.contains(words), "{message}");
    let generation = "jsonpath={.metadata.generation} {.spec.replicas}";
    assert_eq!(platform.ok(&["get", "deploy", "web", "-n", "shop", "-o", generation]), "1 1");
}

#[test]
fn whoever_has_read_enough_is_told_of_no_error() {
    let manifests = folder(&[("web.yaml", &web("/readyz"))]);
    let platform = Platform::start(FOREBAY, &[&manifests.path().display().to_string()]);
    let state_dir = platform.state_dir().display().to_string();
    for arguments in [&["top"][..], &["targets"], &["config", "show"], &["get", "namespaces"]] {
        let mut child = Command::new(FOREBAY)
            .args(arguments)
            .env("FOREBAY_STATE_DIR", &state_dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?} {output:?}");
    }
}
