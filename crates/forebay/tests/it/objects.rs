//! What becomes of objects that people change: broken changes, the same files again, other clients.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use testkit::{Platform, Request, wait_until};

use crate::{FOREBAY, folder, project};

/// A namespace, so that a platform can start on a file that says nothing of the rest.
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";

/// A Deployment, its Service and its Ingress.
fn web(image: &str, health_check_interval: &str) -> String {
    let model = project("examples/iris/model");
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: main
          image: {image}
          args: [serve, "iris={model}"]
          ports: [{{containerPort: 8080}}]
          readinessProbe: {{httpGet: {{path: /v2/health/ready, port: 8080}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/healthcheck-path: /v2/health/ready
    alb.ingress.kubernetes.io/healthcheck-interval-seconds: "{health_check_interval}"
spec:
  ingressClassName: alb
  defaultBackend: {{service: {{name: web, port: {{number: 80}}}}}}
"#
    )
}

fn get(platform: &Platform, resource: &str) -> Value {
    serde_json::from_str(&platform.ok(&["get", resource, "-n", "shop", "-o", "json"])).unwrap()
}

fn conditions(object: &Value, kind: &str) -> Vec<Value> {
    let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|condition| condition["type"] == kind).collect()
}

#[test]
fn a_broken_change_and_then_a_crash_leave_what_worked_serving() {
    let folder = folder(&[
        ("namespace.yaml", NAMESPACE),
        ("good.yaml", &web("forebay", "15")),
        ("broken.yaml", &web("nginx:1.27", "often")),
        ("mended.yaml", &web("forebay:2", "20")),
    ]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let start = [path("namespace.yaml")];
    let start: Vec<&str> = start.iter().map(String::as_str).collect();
    let mut platform = Platform::start(FOREBAY, &start);
    let _ = platform.ok(&["apply", "-f", &path("good.yaml")]);
    let _ = platform.ok(&["rollout", "status", "deploy/web", "-n", "shop"]);
    let _ = platform.run(&["apply", "-f", &path("broken.yaml")]);
    for n_crashes in 0..3 {
        platform.wait_for("both pods are there", &["get", "deploy", "web", "-n", "shop"], |table| {
            table.contains("2/2")
        });
        if n_crashes > 0 {
            let (address, _) = platform.endpoint("web");
            let body = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
            let answer = || Request::post(address, "/v1/models/iris:predict", body).send();
            wait_until("the old version answers", || answer().status == 200);
        }
        let deployment = get(&platform, "deploy/web");
        assert_eq!(
            (&deployment["metadata"]["generation"], &deployment["status"]["observedGeneration"]),
            (&2.into(), &2.into()),
            "who waits for it with `kubectl rollout status` hears of its end"
        );
        let [progressing] = &conditions(&deployment, "Progressing")[..] else { panic!("{deployment}") };
        assert_eq!(progressing["reason"], "ProgressDeadlineExceeded");
        assert_eq!(deployment["status"].get("updatedReplicas"), None, "none is of the new template");
        let [accepted] = &conditions(&deployment, "Accepted")[..] else { panic!("{deployment}") };
        let message = accepted["message"].as_str().unwrap();
        assert!(message.starts_with("generation 2 cannot be used, so generation 1 goes on: "), "{message}");
        assert!(message.contains("nginx:1.27") && message.contains("image: forebay"), "{message}");
        let sets = get(&platform, "rs")["items"].as_array().unwrap().clone();
        let mut versions: Vec<(&str, &str)> = sets
            .iter()
            .map(|set| {
                let revision = &set["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
                let image = &set["spec"]["template"]["spec"]["containers"][0]["image"];
                (revision.as_str().unwrap(), image.as_str().unwrap())
            })
            .collect();
        versions.sort_unstable();
        assert_eq!(versions, [("1", "forebay"), ("2", "nginx:1.27")]);
        let events = platform.ok(&["get", "events", "-n", "shop"]);
        let told = events.lines().filter(|line| line.contains("LastGoodVersion"));
        let told: Vec<&str> = told.collect();
        assert!(told.iter().any(|line| line.contains("deployment/web")), "{events}");
        assert!(
            told.iter().any(|line| line.contains("ingress/web") && line.contains("interval")),
            "{events}"
        );
        let status = platform.run(&["rollout", "status", "deploy/web", "-n", "shop"]);
        assert_eq!(status.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&status.stderr).contains("generation 1 goes on: "), "{status:?}");
        platform.kill();
        platform.start_again(&start);
        let told = platform.ready();
        assert_eq!(
            (&told["ready"], &told["endpoints"][0]["state"]),
            (&true.into(), &"ready".into()),
            "{told}"
        );
        let message = told["endpoints"][0]["message"].as_str().unwrap();
        for words in [
            "this version cannot be used, so the last good one goes on: healthcheck-interval-seconds",
            "; Deployment shop/web: generation 2 cannot be used, so generation 1 goes on: image `nginx:1.27`",
        ] {
            assert!(message.contains(words), "{message}");
        }
    }
    let _ = platform.ok(&["apply", "-f", &path("mended.yaml")]);
    platform.wait_for(
        "the mended one is served",
        &["get", "deploy", "web", "-n", "shop", "-o", "json"],
        |text| {
            let deployment: Value = serde_json::from_str(text).unwrap_or_default();
            deployment["status"]["observedGeneration"] == 3
                && deployment["status"]["updatedReplicas"] == 2
                && conditions(&deployment, "Accepted").is_empty()
        },
    );
}

#[test]
fn a_new_version_that_ends_at_once_and_then_a_crash_leave_the_old_one_serving() {
    let failing = web("any", "15").replace("args: [serve,", "command: [sh, -c, exit 7,");
    let folder = folder(&[
        ("good.yaml", &(NAMESPACE.to_owned() + "---" + &web("forebay", "15"))),
        ("failing.yaml", &failing),
    ]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut platform = Platform::start(FOREBAY, &[&path("good.yaml")]);
    let _ = platform.ok(&["apply", "-f", &path("failing.yaml")]);
    let copy = path("copy");
    let is_written = |platform: &Platform| {
        let _ = platform.run(&["backup", &copy]);
        let written = std::fs::read(&copy).unwrap_or_default();
        String::from_utf8_lossy(&written).contains(r#""deployment.kubernetes.io/revision":"2""#)
    };
    wait_until("the new version is on the disk", || is_written(&platform));
    for _ in 0..2 {
        platform.kill();
        platform.start_again(&[]);
        let (address, _) = platform.endpoint("web");
        let body = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
        let answer = || Request::post(address, "/v1/models/iris:predict", body).send();
        wait_until("the old version answers", || answer().status == 200);
        platform.wait_for(
            "the new one is tried beside it",
            &["get", "rs", "-n", "shop", "-o", "json"],
            |text| {
                let sets: Value = serde_json::from_str(text).unwrap_or_default();
                let ready = sets["items"].as_array().into_iter().flatten().map(|set| {
                    [&set["spec"]["replicas"], &set["status"]["readyReplicas"]]
                        .map(|n| n.as_u64().unwrap_or(0))
                });
                let mut ready: Vec<[u64; 2]> = ready.collect();
                ready.sort_unstable();
                ready == [[1, 0], [2, 2]]
            },
        );
    }
    let undone = platform.ok(&["rollout", "undo", "deploy/web", "-n", "shop"]);
    assert!(undone.contains("web"), "{undone}");
    platform.wait_for(
        "the old version is the wanted one",
        &["get", "deploy", "web", "-n", "shop"],
        |table| table.contains("2/2     2            2"),
    );
}

/// A kubectl of this machine, or a note that there is none.
pub(crate) fn kubectl() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: there is no kubectl on this machine");
    }
    found
}

pub(crate) fn run_kubectl(kubectl: &Path, platform: &Platform, arguments: &[&str]) -> Output {
    let home = platform.state_dir().join("home");
    Command::new(kubectl)
        .args(arguments)
        .env("KUBECONFIG", platform.state_dir().join("kubeconfig"))
        .env("HOME", home)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn kubectl_apply_of_the_folder_that_runs_changes_nothing() {
    let Some(kubectl) = kubectl() else { return };
    for example in ["iris", "retail"] {
        let example = project(&format!("examples/{example}"));
        let platform = Platform::start(FOREBAY, &[&example]);
        let pods = || platform.ok(&["get", "pods", "-A", "-o", "name"]);
        let before = pods();
        for arguments in [
            &["apply", "-f", &example][..],
            &["apply", "-f", &example],
            &["apply", "--server-side", "-f", &example],
            &["replace", "-f", &example],
        ] {
            let output = run_kubectl(&kubectl, &platform, arguments);
            assert!(output.status.success(), "{arguments:?}: {}", text(&output));
            if arguments.len() == 3 && arguments[0] == "apply" {
                let lines = String::from_utf8_lossy(&output.stdout);
                assert!(lines.lines().all(|line| line.ends_with(" unchanged")), "{}", text(&output));
            }
            let _ = platform.ok(&["get", "pods", "-A"]);
            assert_eq!(pods(), before, "{arguments:?}");
        }
        let again = platform.ok(&["apply", "-f", &example]);
        assert_eq!(pods(), before, "{again}");
    }
}

#[test]
fn a_relative_path_that_kubectl_brings_is_refused() {
    let Some(kubectl) = kubectl() else { return };
    let service = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: iris}\nspec: {predictor: {sklearn: {storageUri: model}}}\n";
    let folder = folder(&[("isvc.yaml", service), ("namespace.yaml", NAMESPACE)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let platform = Platform::start(FOREBAY, &[&path("namespace.yaml")]);
    let refused = run_kubectl(&kubectl, &platform, &["apply", "-f", &path("isvc.yaml")]);
    assert!(!refused.status.success());
    let refused = text(&refused);
    for words in ["spec.predictor.sklearn.storageUri", "\"model\"", "relative path", "forebay apply -f"] {
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn a_file_with_one_unknown_kind_costs_that_kind_only() {
    let Some(kubectl) = kubectl() else { return };
    let file = format!(
        "{NAMESPACE}---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: w}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: shop}}\n"
    );
    let folder = folder(&[("all.yaml", &file), ("namespace.yaml", NAMESPACE)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let platform = Platform::start(FOREBAY, &[&path("namespace.yaml")]);
    let output = run_kubectl(&kubectl, &platform, &["apply", "-f", &path("all.yaml")]);
    assert!(!output.status.success());
    let said = text(&output);
    assert!(said.contains("no matches for kind \"Widget\" in version \"example.com/v1\""), "{said}");
    assert!(said.contains("configmap/c created"), "{said}");
}

#[test]
fn kubectl_describes_a_pod_with_a_grpc_probe() {
    let Some(kubectl) = kubectl() else { return };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nspec: {containers: [{name: c, image: x, command: [sleep, '1000'], livenessProbe: {grpc: {port: 9000}}}]}\n";
    let folder = folder(&[("pod.yaml", pod), ("namespace.yaml", NAMESPACE)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let platform = Platform::start(FOREBAY, &[&path("namespace.yaml")]);
    let _ = platform.run(&["apply", "-f", &path("pod.yaml")]);
    let output = run_kubectl(&kubectl, &platform, &["describe", "pod", "p", "-n", "shop"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("grpc <pod>:9000"), "{}", text(&output));
}

#[test]
fn what_a_container_left_behind_ends_with_it_and_with_a_platform_that_is_killed() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nspec:\n  containers:\n  - {name: c, image: forebay, command: [sh, -c, 'setsid sleep 54321 & exec sleep 54322']}\n";
    let folder = folder(&[("pod.yaml", pod), ("namespace.yaml", NAMESPACE)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut platform = Platform::start(FOREBAY, &[&path("namespace.yaml")]);
    let sleepers = || {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).starts_with("sleep\u{0}5432")
        })
        .count()
    };
    let _ = platform.run(&["apply", "-f", &path("pod.yaml")]);
    wait_until("both sleep", || sleepers() == 2);
    let _ = platform.ok(&["delete", "pod", "p", "-n", "shop"]);
    wait_until("none is left", || sleepers() == 0);
    let _ = platform.run(&["apply", "-f", &path("pod.yaml")]);
    wait_until("both sleep again", || sleepers() == 2);
    platform.kill();
    wait_until("none is left of a platform that was killed", || sleepers() == 0);
}

#[test]
fn people_without_kubectl_describe_compare_and_go_back() {
    let folder = folder(&[
        ("namespace.yaml", NAMESPACE),
        ("first.yaml", &web("forebay", "15")),
        ("second.yaml", &web("forebay:2", "15")),
    ]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let platform = Platform::start(FOREBAY, &[&path("namespace.yaml")]);
    let new = platform.run(&["diff", "-f", &path("first.yaml")]);
    assert_eq!(new.status.code(), Some(1));
    assert!(text(&new).contains("+kind: Deployment"), "{}", text(&new));
    let _ = platform.ok(&["apply", "-f", &path("first.yaml")]);
    let same = platform.run(&["diff", "-f", &path("first.yaml")]);
    assert_eq!((same.status.code(), text(&same)), (Some(0), String::new()));
    let changed = text(&platform.run(&["diff", "-f", &path("second.yaml")]));
    assert!(changed.contains("-      - args:") || changed.contains("-        image: forebay\n"), "{changed}");
    assert!(changed.contains("+        image: forebay:2\n"), "{changed}");
    let _ = platform.ok(&["apply", "-f", &path("second.yaml")]);
    let _ = platform.ok(&["rollout", "status", "deploy/web", "-n", "shop"]);

    let described = platform.ok(&["describe", "deploy", "web", "-n", "shop"]);
    for part in
        ["Name:          web\n", "image: forebay:2", "Conditions:", "Pods:", "Events:", "ScalingReplicaSet"]
    {
        assert!(described.contains(part), "{part}: {described}");
    }
    let events = platform.ok(&["events", "deploy/web", "-n", "shop"]);
    assert!(events.contains("ScalingReplicaSet") && !events.contains("Scheduled"), "{events}");

    let history = platform.ok(&["rollout", "history", "deploy/web", "-n", "shop"]);
    assert!(history.contains("\n1          <none>\n2          <none>\n"), "{history}");
    let _ = platform.ok(&["rollout", "undo", "deploy/web", "-n", "shop"]);
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    assert_eq!(platform.ok(&["get", "deploy", "web", "-n", "shop", "-o", image]), "forebay");
    let _ = platform.ok(&["rollout", "undo", "deploy/web", "-n", "shop", "--to-revision=2"]);
    assert_eq!(platform.ok(&["get", "deploy", "web", "-n", "shop", "-o", image]), "forebay:2");
    let edit = platform.run(&["edit", "deploy/web", "-n", "shop"]);
    assert!(text(&edit).contains("kubectl edit deploy/web -n shop"), "{}", text(&edit));
}
