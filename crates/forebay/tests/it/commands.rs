//! Commands around a running platform.

use std::process::Command;

use serde_json::Value;
use testkit::{Platform, Request, run};

use crate::{FOREBAY, bundled, folder, project};

#[test]
fn acc_s0_08_acc_s0_50_url_tells_where_and_how_and_stays_the_same() {
    let mut platform = bundled();
    let (gateway, host) = platform.endpoint("sklearn-iris");
    let env = platform.ok(&["url", "isvc/sklearn-iris", "-n", "staging", "--env"]);
    let authority = if gateway.port() == 80 { gateway.ip().to_string() } else { gateway.to_string() };
    assert_eq!(env, format!("INGRESS_HOST={authority}\nSERVICE_HOSTNAME={host}\n"));
    let curl = platform.ok(&["url", "sklearn-iris", "--curl"]);
    assert!(curl.contains("/v1/models/sklearn-iris:predict") && curl.contains("instances"), "{curl}");
    let all: Value = serde_json::from_str(&platform.ok(&["url", "-o", "json"])).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 4);
    let unknown = platform.run(&["url", "nothing"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("InferenceService staging/sklearn-iris"));

    // Another platform on this machine may take the addresses while this one is away. That does not happen every time.
    let stays = (0..3).any(|_| {
        let before = platform.endpoint("sklearn-iris");
        platform.stop();
        platform.start_again(&[]);
        platform.endpoint("sklearn-iris") == before
    });
    assert!(stays);
}

#[test]
fn acc_s3_132_targets_are_all_healthy() {
    let platform = bundled();
    platform.wait_for("all eight targets are healthy", &["targets", "-o", "json"], |printed| {
        let targets: Value = serde_json::from_str(printed).unwrap();
        let targets = targets.as_array().unwrap();
        targets.len() == 8 && targets.iter().all(|target| target["state"] == "healthy")
    });
    let _ = platform.ok(&["targets"]);
}

#[test]
fn acc_s1_50_down_ends_everything_and_purge_forgets_it() {
    let mut platform = Platform::start(FOREBAY, &[&project("examples/iris")]);
    let (gateway, host) = platform.endpoint("sklearn-iris");
    let replicas = platform.replicas("serve");
    assert_eq!(replicas.len(), 2);
    let _ = platform.ok(&["down", "--purge"]);
    assert!(replicas.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()));
    assert!(Request::get(gateway, "/v2/health/live").host(&host).try_send().is_err());
    assert!(!platform.state_dir().exists());
    let gone = platform.run(&["targets"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("no platform is running here"));
    platform.stop();
}

#[test]
fn what_a_path_said_at_an_earlier_start_goes_when_it_no_longer_says_it() {
    let config = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let own = folder(&[("a.yaml", &config("a")), ("b.yaml", &config("b"))]);
    let other = folder(&[("c.yaml", &config("c"))]);
    let (own_path, other_path) = (own.path().display().to_string(), other.path().display().to_string());
    let mut platform = Platform::start(FOREBAY, &[&own_path, &project("examples/iris")]);
    let _ = platform.ok(&["apply", "-f", &other_path]);
    platform.stop();
    std::fs::remove_file(own.path().join("b.yaml")).unwrap();
    platform.start_again(&[&own_path]);
    let names = "jsonpath={.items[*].metadata.name}";
    assert_eq!(platform.ok(&["get", "configmap", "-o", names]).trim(), "a c kube-root-ca.crt");
    let services = platform.ok(&["get", "isvc", "-A", "-o", "name"]);
    assert_eq!(services.trim(), "inferenceservice.serving.kserve.io/sklearn-iris", "another path's goes on");
}

#[test]
fn acc_s1_32_two_platforms_run_side_by_side() {
    let (one, two) = (bundled(), bundled());
    assert_ne!(one.endpoint("sklearn-iris").0, two.endpoint("sklearn-iris").0);
    for platform in [&one, &two] {
        let (gateway, host) = platform.endpoint("sklearn-iris");
        assert_eq!(Request::get(gateway, "/v2/health/ready").host(&host).send().status, 200);
    }
}

#[test]
fn the_admin_port_answers_to_loopback_names_only() {
    let platform = Platform::start(FOREBAY, &[&project("examples/iris")]);
    let admin = platform.ready()["admin"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    assert_eq!(Request::get(admin, "/healthz").send().status, 200);
    assert_eq!(Request::get(admin, "/endpoints").host("evil.example.com").send().status, 403);
    let (gateway, host) = platform.endpoint("sklearn-iris");
    let _ = Request::get(gateway, "/v2").host(&host).send();
    let metrics = Request::get(admin, "/metrics").send().text;
    assert!(metrics.contains("forebay_requests_total{") && metrics.ends_with("# EOF\n"), "{metrics}");
}

#[test]
fn every_command_explains_itself() {
    let help = run(FOREBAY, &["--help"]);
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    let commands =
        text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What stands further to the right goes on with a description.
    let names = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    assert!(names.contains(&"up") && names.contains(&"get"), "{text}");
    for name in names.iter().filter(|name| **name != "help") {
        let help = run(FOREBAY, &[name, "--help"]);
        let text = String::from_utf8_lossy(&help.stdout);
        assert!(help.status.success() && text.contains("Examples:"), "{name} has no examples:\n{text}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(FOREBAY, &["completion", shell]).stdout.len() > 1000);
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let unread = Command::new(FOREBAY).args(["completion", "bash"]).stdout(writer).output().unwrap();
    let said = String::from_utf8_lossy(&unread.stderr);
    assert!(unread.status.success() && said.is_empty(), "a reader has seen enough: {said}");
    let help = run(FOREBAY, &["model", "predict", "-h"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for method in models::Method::ALL {
        assert!(help.contains(method.as_str()), "{method}: {help}");
    }
}
