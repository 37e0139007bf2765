//! A night: the platform is killed, its disk is full, its state file is damaged. Nothing that was acknowledged is lost.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::{Load, Platform, Request, run, wait_until};

use crate::{FOREBAY, folder, project};

const BODY: &str = r#"{"features":{"store_id":1,"product_id":123}}"#;

/// Kinds of what people write, and of what tells what happened.
const KINDS: &str = "configmap,deployment,ingress,inferenceservice,namespace,secret,service";

/// The uid of every object of these kinds, by its kind and name.
fn uids(platform: &Platform) -> BTreeMap<String, String> {
    let list: Value = serde_json::from_str(&platform.ok(&["get", KINDS, "-A", "-o", "json"])).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let objects = list["items"].as_array().unwrap().iter().map(|object| {
        let metadata = &object["metadata"];
        let name = ["kind", "namespace", "name"].map(|field| match field {
            "kind" => text(&object[field]),
            field => text(&metadata[field]),
        });
        (name.join("/"), text(&metadata["uid"]))
    });
    // What every cluster has from the start is made at every start.
    let is_given = |name: &str| {
        ["/kube-root-ca.crt", "/kube-public", "/kube-node-lease", "default/kubernetes"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    objects.filter(|(name, _)| !is_given(name)).collect()
}

fn config(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: a}}\ndata: {{n: \"{value}\"}}\n"
    )
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn a_platform_that_is_killed_under_load_goes_on_as_it_was_when_it_is_started_without_a_path() {
    let files = folder(&[]);
    let file = files.path().join("config.yaml");
    let mut platform = Platform::start(FOREBAY, &[&project("examples/retail")]);
    for index in 0..5 {
        std::fs::write(&file, config(&format!("c{index}"), "1")).unwrap();
        let _ = platform.ok(&["apply", "-f", &file.display().to_string()]);
    }
    let (address, _) = platform.endpoint("retail-forecast-alb-ingress");
    let load = Load::start(&Request::post(address, "/predict", BODY), 16);
    let (before, replicas) = (uids(&platform), platform.replicas("serve retail-forecast"));
    platform.kill();
    assert!(load.stop().n_answers > 0);

    platform.start_again(&[]);
    assert_eq!(uids(&platform), before, "the same objects, and no others");
    assert_eq!(platform.ready()["ready"], true, "{}", platform.ready());
    assert_eq!(platform.endpoint("retail-forecast-alb-ingress").0, address, "the address is the same");
    assert_eq!(Request::post(address, "/predict", BODY).send().status, 200);
    let now = platform.replicas("serve retail-forecast");
    assert_eq!(now.len(), replicas.len());
    let is_gone = |pid: &u32| !Path::new(&format!("/proc/{pid}")).exists();
    wait_until("the replicas of before are gone", || replicas.iter().all(is_gone));

    // Many objects are taken out of the folder: that they go is said by somebody.
    let folder =
        folder(&[("a.yaml", &(0..5).map(|n| config(&format!("f{n}"), "1") + "---\n").collect::<String>())]);
    let path = folder.path().display().to_string();
    platform.stop();
    platform.start_again(&[&path]);
    assert_eq!(uids(&platform).len(), before.len() + 5, "what came from elsewhere goes on");
    std::fs::write(folder.path().join("a.yaml"), config("f0", "1")).unwrap();
    platform.stop();
    platform.start_again(&[&path]);
    assert_eq!(uids(&platform).len(), before.len() + 5);
    platform.stop();
    platform.start_again(&[&path, "--prune"]);
    assert_eq!(uids(&platform).len(), before.len() + 1);
}

#[test]
fn the_history_of_a_rollout_is_there_after_the_platform_was_killed() {
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        eprintln!("skipped: there is no kubectl");
        return;
    }
    let deployment = |tier: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: api}}\nspec:\n  selector: {{matchLabels: {{app: api}}}}\n  template:\n    metadata: {{labels: {{app: api}}}}\n    spec: {{containers: [{{name: main, image: any, command: [sleep, \"1000\"], env: [{{name: TIER, value: {tier}}}]}}]}}\n"
        )
    };
    let folder = folder(&[("a.yaml", &deployment("one"))]);
    let path = folder.path().join("a.yaml").display().to_string();
    let mut platform = Platform::start(FOREBAY, &[&path, &project("examples/iris")]);
    std::fs::write(&path, deployment("two")).unwrap();
    let _ = platform.ok(&["apply", "-f", &path]);
    // What nobody waits for is on the disk a moment later.
    let copy = folder.path().join("copy").display().to_string();
    let is_written = |what: &str| {
        let _ = platform.run(&["backup", &copy]);
        String::from_utf8_lossy(&std::fs::read(&copy).unwrap_or_default()).contains(what)
    };
    wait_until("the second version is on the disk", || {
        is_written(r#""deployment.kubernetes.io/revision":"2""#)
    });
    wait_until("what happened is on the disk", || is_written("ScalingReplicaSet"));
    let events = |platform: &Platform| {
        let path = "jsonpath={range .items[?(@.reason=='ScalingReplicaSet')]}{.message}{\"\\n\"}{end}";
        platform.ok(&["get", "events", "-o", path])
    };
    let before = events(&platform);
    platform.kill();
    platform.start_again(&[]);

    let kubectl = |platform: &Platform, arguments: &[&str]| {
        let mut command = Command::new("kubectl");
        command.args(arguments).env("KUBECONFIG", platform.ready()["kubeconfig"].as_str().unwrap());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let revisions = |platform: &Platform| {
        let table = kubectl(platform, &["rollout", "history", "deployment/api"]);
        let numbers = table.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u32>().ok());
        numbers.collect::<Vec<_>>()
    };
    assert_eq!(revisions(&platform), [1, 2]);
    assert!(before.lines().all(|line| events(&platform).contains(line)), "{before}");
    let _ = kubectl(&platform, &["rollout", "undo", "deployment/api"]);
    wait_until("the numbers go on", || revisions(&platform).last() == Some(&3));
    assert_eq!(revisions(&platform), [2, 3], "the version that is gone back to is the one of before");
    let tier = "jsonpath={.spec.template.spec.containers[0].env[0].value}";
    assert_eq!(platform.ok(&["get", "deployment", "api", "-o", tier]), "one");
}

#[test]
fn a_full_disk_refuses_changes_and_nothing_else_and_is_forgotten_when_there_is_room_again() {
    // A limit on the size of files fails every write behind it, as a full disk does. What is told of it is an error then,
    // not the end of the process.
    let script = folder(&[("forebay", &format!("#!/bin/sh\ntrap '' XFSZ\nexec '{FOREBAY}' \"$@\"\n"))]);
    let program = script.path().join("forebay");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let files = folder(&[("a.yaml", &config("a", "1")), ("b.yaml", &config("b", "1"))]);
    let file = |name: &str| files.path().join(name).display().to_string();
    let mut platform = Platform::start(&program.display().to_string(), &[&project("examples/retail")]);
    let _ = platform.ok(&["apply", "-f", &file("a.yaml")]);
    let limit = |platform: &Platform, bytes: &str| {
        let pid = platform.pid().to_string();
        let status =
            Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status();
        assert!(status.unwrap().success());
    };

    limit(&platform, "512");
    std::fs::write(file("a.yaml"), config("a", "2")).unwrap();
    for name in ["a.yaml", "b.yaml"] {
        let refused = platform.run(&["apply", "-f", &file(name)]);
        assert!(
            !refused.status.success() && said(&refused).contains("cannot be written"),
            "{}",
            said(&refused)
        );
    }
    let value = "jsonpath={.data.n}";
    assert_eq!(platform.ok(&["get", "configmap", "a", "-n", "a", "-o", value]), "1");
    let (address, _) = platform.endpoint("retail-forecast-alb-ingress");
    assert_eq!(Request::post(address, "/predict", BODY).send().status, 200);

    limit(&platform, "unlimited");
    let _ = platform.ok(&["apply", "-f", &file("b.yaml")]);
    let before = uids(&platform);
    platform.kill();
    platform.start_again(&[]);
    assert_eq!(uids(&platform), before);
    assert_eq!(platform.ok(&["get", "configmap", "a", "-n", "a", "-o", value]), "1");
}

#[test]
fn a_damaged_state_file_is_told_with_the_command_that_brings_everything_back() {
    let files = folder(&[("a.yaml", &config("a", "1"))]);
    let mut platform =
        Platform::start(FOREBAY, &[&project("examples/iris"), &files.path().display().to_string()]);
    let before = uids(&platform);
    platform.stop();
    let state_dir = platform.state_dir().display().to_string();
    let file = platform.state_dir().join("objects.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let needle = br#""kind":"InferenceService""#;
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    // Every place at which the object was ever written.
    for at in
        (at..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect::<Vec<_>>()
    {
        bytes[at] ^= 1;
    }
    std::fs::write(&file, &bytes).unwrap();

    let refused = run(FOREBAY, &["up", "--admin-port", "0", "--api-port", "0", "--state-dir", &state_dir]);
    let message = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{message}");
    let command = format!("forebay restore --state-dir {state_dir}");
    for words in ["objects.redb` is damaged: ", &command, "brings back the backup of "] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
    let restored = run(FOREBAY, &["restore", "-o", "json", "--state-dir", &state_dir]);
    let told: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert_eq!(told["complete"], true, "{told}");
    assert_eq!(std::fs::read(told["keptAside"].as_str().unwrap()).unwrap(), bytes);

    platform.start_again(&[]);
    assert_eq!(uids(&platform), before);
    let running = platform.run(&["restore"]);
    assert!(said(&running).contains("forebay down"), "{}", said(&running));
}

#[test]
fn files_that_only_help_to_find_it_keep_no_platform_from_running() {
    let files = folder(&[("a.yaml", &config("kept", "1"))]);
    let mut platform = Platform::start(FOREBAY, &[&files.path().display().to_string()]);
    platform.stop();
    // As a full disk does, a folder in its place keeps the file from being written.
    let kubeconfig = platform.state_dir().join("kubeconfig");
    std::fs::remove_file(&kubeconfig).unwrap();
    std::fs::create_dir_all(kubeconfig.join("in-the-way")).unwrap();
    platform.start_again(&[]);
    assert!(platform.ok(&["get", "configmap", "-n", "a"]).contains("kept"));
    assert!(!kubeconfig.with_extension("new").exists());
}
