//! The evening of somebody with manifests of their own: each typical mistake is told by `forebay up` before it says that
//! it is ready, and what can run does not wait for what cannot.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Platform, Request, run, wait_until};

use crate::{FOREBAY, folder, project};

/// The name of the file, what stands in it, and what is told about it: file and line, cause, fix.
struct Mistake {
    file: &'static str,
    text: &'static str,
    told: &'static [&'static str],
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        file: "image.yaml",
        text: "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: foreign}
spec:
  selector: {matchLabels: {app: foreign}}
  template:
    metadata: {labels: {app: foreign}}
    spec: {containers: [{name: main, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: foreign}
spec: {type: LoadBalancer, selector: {app: foreign}, ports: [{port: 80}]}
",
        told: &["image.yaml:8:", "image `nginx` cannot be run here", "image: forebay with args"],
    },
    Mistake {
        file: "selector.yaml",
        text: "\
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec:
  type: LoadBalancer
  selector: {app: goood}
  ports: [{port: 80}]
",
        told: &["selector.yaml:6:", "the selector matches no pods", "nearest labels: app: "],
    },
    Mistake {
        file: "probe.yaml",
        text: "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: probed}
spec:
  selector: {matchLabels: {app: probed}}
  template:
    metadata: {labels: {app: probed}}
    spec:
      containers:
        - name: main
          image: forebay
          args: [serve, MODEL]
          readinessProbe: {httpGet: {path: /healthz, port: 9090}}
---
apiVersion: v1
kind: Service
metadata: {name: probed}
spec: {type: LoadBalancer, selector: {app: probed}, ports: [{port: 80, targetPort: 8080}]}
",
        told: &["probe.yaml:13:", "the probe asks port 9090", "the container has 8080"],
    },
    Mistake {
        file: "port.yaml",
        text: "\
apiVersion: v1
kind: Service
metadata: {name: named}
spec:
  type: LoadBalancer
  selector: {app: good}
  ports: [{port: 80, targetPort: htpp}]
",
        told: &["port.yaml:7:", "targetPort `htpp`", "did you mean `http`?"],
    },
    Mistake {
        file: "kind.yaml",
        text: "\
apiVersion: apps/v1
kind: Deploymnet
metadata: {name: mistyped}
",
        told: &["kind.yaml:2:", "no kind `Deploymnet` in apps/v1", "kind: Deployment"],
    },
    Mistake {
        file: "arguments.yaml",
        text: "\
apiVersion: v1
kind: Pod
metadata: {name: misspelt}
spec: {containers: [{name: main, image: forebay, args: [serve, MODEL, --therads, '2']}]}
",
        told: &["arguments.yaml:4:", "forebay serve has no option `--therads`", "did you mean `--threads`?"],
    },
    Mistake {
        file: "storage.yaml",
        text: "\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: claimed}
spec:
  predictor:
    sklearn:
      storageUri: pvc://models/iris
",
        told: &["storage.yaml:7:", "no model is fetched from pvc://", "storageUri: /path/to/the/folder"],
    },
    Mistake {
        file: "policy.yaml",
        text: "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {}, policyTypes: [Ingress]}
",
        told: &["policy.yaml:2:", "nobody is kept from those it selects", "keep the platform on loopback"],
    },
];

/// What is good beside all of it: one Deployment behind a load balancer.
const GOOD: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: good}
spec:
  selector: {matchLabels: {app: good}}
  template:
    metadata: {labels: {app: good}}
    spec: {containers: [{name: main, image: forebay, args: [serve, MODEL], ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: good}
spec: {type: LoadBalancer, selector: {app: good}, ports: [{port: 80, targetPort: http}]}
";

fn with_model(text: &str) -> String {
    text.replace("MODEL", &project("examples/iris/model"))
}

/// The folder of somebody who made every one of these mistakes.
fn folder_of_mistakes() -> TempDir {
    let folder = folder(&[("good.yaml", &with_model(GOOD))]);
    for mistake in MISTAKES {
        std::fs::write(folder.path().join(mistake.file), with_model(mistake.text)).unwrap();
    }
    folder
}

/// `forebay up` with what it says in files.
struct Up {
    child: Child,
    folder: TempDir,
}

impl Up {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let child = Command::new(FOREBAY)
            .args(["up", "-o", "json", "--admin-port", "0", "--api-port", "0"])
            .args(arguments)
            .env("FOREBAY_STATE_DIR", folder.path().join("state"))
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn ready(&mut self) -> Value {
        wait_until("the platform says what there is", || {
            self.said("out").ends_with('\n') || self.child.try_wait().unwrap().is_some()
        });
        let ready = serde_json::from_str(&self.said("out"));
        assert!(ready.is_ok(), "{}", self.said("err"));
        ready.unwrap()
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(FOREBAY);
        command.args(arguments).env("FOREBAY_STATE_DIR", self.folder.path().join("state")).output().unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
            let _ = self.child.wait();
        }
    }
}

fn state<'a>(ready: &'a Value, list: &str, name: &str) -> &'a Value {
    let all = ready[list].as_array().unwrap();
    let found = all.iter().find(|it| it["name"] == name);
    assert!(found.is_some(), "{name} is not in {ready}");
    found.unwrap()
}

#[test]
fn eight_typical_mistakes_are_told_with_place_and_fix_before_up_is_ready_and_nothing_waits_for_them() {
    let folder = folder_of_mistakes();
    let start = Instant::now();
    let mut up = Up::start(&[&folder.path().display().to_string()]);
    let ready = up.ready();
    // The patience for what is on its way is a minute; nothing here is.
    assert!(start.elapsed() < Duration::from_secs(50), "{ready}");
    let said = up.said("err");
    for mistake in MISTAKES {
        for part in mistake.told {
            assert!(said.contains(part), "{}: {part}\n{said}", mistake.file);
        }
    }
    // A busy machine may be waited for; what will not come is not.
    let waited = said.lines().filter(|line| line.starts_with("waiting for"));
    assert_eq!(waited.filter(|line| !line.contains("default/good")).count(), 0, "{said}");
    assert_eq!(ready["ready"], false);
    assert_eq!(state(&ready, "endpoints", "good")["state"], "ready");
    for (name, place) in [
        ("foreign", "image.yaml:8:"),
        ("nobody", "selector.yaml:6:"),
        ("probed", "probe.yaml:13:"),
        ("named", "port.yaml:7:"),
        ("claimed", "storage.yaml:7:"),
    ] {
        let endpoint = state(&ready, "endpoints", name);
        assert_eq!(endpoint["state"], "failed", "{endpoint}");
        assert!(endpoint["place"].as_str().unwrap().contains(place), "{endpoint}");
        assert!(endpoint["fix"].is_string(), "{endpoint}");
    }
    let pod = state(&ready, "workloads", "misspelt");
    assert!(pod["state"] == "failed" && pod["fix"] == "did you mean `--threads`?", "{pod}");

    let targets = up.run(&["targets"]);
    let told = String::from_utf8_lossy(&targets.stderr).into_owned();
    assert_eq!(targets.status.code(), Some(1), "{told}");
    assert!(told.contains("Service default/nobody has no target: the selector matches no pods"), "{told}");
}

#[test]
fn a_good_deployment_without_a_load_balancer_is_ready_when_it_runs() {
    let alone = with_model(GOOD.split("---").next().unwrap());
    let folder = folder(&[("good.yaml", &alone)]);
    let start = Instant::now();
    let mut up = Up::start(&[&folder.path().display().to_string()]);
    let ready = up.ready();
    assert!(start.elapsed() < Duration::from_secs(50), "{ready}");
    assert_eq!(ready["ready"], true, "{ready}");
    assert_eq!(state(&ready, "workloads", "good")["state"], "ready");
    let targets = up.run(&["targets"]);
    assert_eq!(targets.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&targets.stderr).contains("there is no load balancer"));
}

/// The messages of the warnings and errors in a text, among all that there are.
fn among<'a>(messages: &'a [String], text: &str) -> BTreeSet<&'a str> {
    // Headers escape quotes and have no control characters; these messages have neither.
    messages.iter().map(String::as_str).filter(|message| text.contains(message)).collect()
}

#[test]
fn up_apply_check_kubectl_and_events_tell_one_list() {
    let folder = folder(&[("all.yaml", &with_model(&objects_with_findings()))]);
    let path = folder.path().join("all.yaml").display().to_string();
    let checked = run(FOREBAY, &["check", "-o", "json", &path]);
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let worth_saying = checked.as_array().unwrap().iter().filter(|finding| finding["severity"] != "info");
    // Two objects may do the same.
    let of_object = |finding: &Value| format!("{}: {}", finding["object"], finding["message"]);
    let told: BTreeSet<String> = worth_saying.clone().map(of_object).collect();
    let messages: Vec<String> =
        worth_saying.map(|finding| finding["message"].as_str().unwrap().to_owned()).collect();
    assert!(messages.len() >= 7, "{messages:#?}");
    assert_eq!(told.len(), messages.len(), "each is told once: {messages:#?}");
    let all: BTreeSet<&str> = messages.iter().map(String::as_str).collect();

    let up = Up::start(&[&path]);
    wait_until("up has said everything", || up.said("out").ends_with('\n'));
    assert_eq!(among(&messages, &up.said("err")), all, "up:\n{}", up.said("err"));

    let applied = up.run(&["apply", "-f", &path]);
    let told = String::from_utf8_lossy(&applied.stderr).into_owned();
    assert_eq!(among(&messages, &told), all, "apply:\n{told}");
    for message in &messages {
        let n_objects = messages.iter().filter(|other| *other == message).count();
        assert_eq!(told.matches(message.as_str()).count(), n_objects, "{message}\n{told}");
    }

    let events = up.run(&["get", "events", "-A", "-o", "json"]);
    let events = String::from_utf8_lossy(&events.stdout).into_owned();
    assert_eq!(among(&messages, &events), all, "events:\n{events}");

    if Command::new("kubectl").arg("version").arg("--client").output().is_ok() {
        let kubeconfig = up.folder.path().join("state/kubeconfig");
        let output = Command::new("kubectl")
            .args(["apply", "--server-side", "--force-conflicts", "-f", &path])
            .env("KUBECONFIG", kubeconfig)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(among(&messages, &told), all, "kubectl:\n{told}");
    }
}

/// Objects that are all taken, each with something to be said about it.
fn objects_with_findings() -> String {
    let kept = |file: &str| !matches!(file, "kind.yaml" | "selector.yaml");
    let texts = MISTAKES.iter().filter(|mistake| kept(mistake.file)).map(|mistake| mistake.text);
    let guarded = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: guarded
  annotations: {alb.ingress.kubernetes.io/wafv2-acl-name: a, alb.ingress.kubernetes.io/target-type: ip}
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: good, port: {number: 80}}}
";
    [GOOD].into_iter().chain(texts).chain([guarded]).collect::<Vec<_>>().join("---\n")
}

#[test]
fn nothing_is_opened_to_others_that_asks_for_protection_in_vain() {
    let known = MISTAKES.iter().find(|mistake| mistake.file == "policy.yaml").unwrap();
    let unknown = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: closed}\n";
    for policy in [known.text, unknown] {
        let folder = folder(&[("policy.yaml", policy)]);
        let path = folder.path().join("policy.yaml").display().to_string();
        let check = |more: &[&str]| run(FOREBAY, &[&["check"], more, &[&path]].concat()).status.code();
        assert_eq!(check(&[]), Some(0));
        assert_eq!(check(&["--public"]), Some(1));
        assert_eq!(check(&["--public", "--allow-unprotected"]), Some(0));

        let mut up = Up::start(&["--public", &path]);
        assert_eq!(up.child.wait().unwrap().code(), Some(1));
        let said = up.said("err");
        assert!(said.contains("policy.yaml:2:") && said.contains("nothing is opened to others"), "{said}");
        assert!(said.contains("--allow-unprotected"), "{said}");
    }
}

#[test]
fn statuses_of_what_steers_nothing_tell_the_truth() {
    let kept = "\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: good}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: good}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: good}
spec: {minAvailable: 1, selector: {matchLabels: {app: good}}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: good}
spec: {hard: {pods: '4'}}
";
    let foreign = MISTAKES[0].text;
    let text = with_model(&[GOOD, kept, foreign].join("---\n"));
    let folder = folder(&[("all.yaml", &text)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let get = |arguments: &[&str]| platform.ok(&[&["get"], arguments].concat());
    platform.wait_for("the budget counts its pod", &["get", "pdb", "good", "-o", "json"], |json| {
        json.contains("\"currentHealthy\": 1")
    });
    let autoscaler = get(&["hpa", "good"]);
    assert!(autoscaler.contains("cpu: <unknown>/70%"), "{autoscaler}");
    let path = "jsonpath={.status.currentReplicas} {.status.conditions[?(@.type==\"ScalingActive\")].status}";
    assert_eq!(get(&["hpa", "good", "-o", path]), "1 False");
    let quota = get(&["quota", "good"]);
    assert!(quota.contains("pods: 1/4"), "{quota}");
    let deployment = get(&["deploy", "foreign"]);
    let row: Vec<&str> = deployment.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..4], ["foreign", "0/1", "0", "0"], "{deployment}");
    let path = "jsonpath={.status.conditions[?(@.type==\"Available\")].reason}";
    assert_eq!(get(&["deploy", "foreign", "-o", path]), "MinimumReplicasUnavailable");
    let (address, _) = platform.endpoint("good");
    assert_eq!(Request::get(address, "/healthz").send().status, 200);
}
