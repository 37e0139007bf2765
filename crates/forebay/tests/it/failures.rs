//! What goes wrong, and costs nothing.

use std::process::Command;

use testkit::{Load, Platform, Request, wait_until};

use crate::{FOREBAY, folder, project};

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

#[test]
fn acc_s1_03_a_replica_killed_under_load_costs_no_request_and_is_replaced() {
    let platform = Platform::start(FOREBAY, &[&project("examples/retail")]);
    let (address, _) = platform.endpoint("retail-forecast-alb-ingress");
    let request = Request::post(address, "/predict", r#"{"features":{"store_id":1,"product_id":123}}"#);
    let load = Load::start(&request, 64);
    for _ in 0..3 {
        let before = platform.replicas("serve retail-forecast");
        assert_eq!(before.len(), 2);
        kill(before[0]);
        wait_until("the replica is replaced", || {
            let now = platform.replicas("serve retail-forecast");
            now.len() == 2 && !now.contains(&before[0])
        });
        let is_healthy = |line: &&str| line.starts_with("retail-forecast-alb") && line.contains(" healthy ");
        platform.wait_for("both targets are healthy", &["targets"], |table| {
            table.lines().filter(is_healthy).count() == 2
        });
    }
    let report = load.stop();
    assert!(report.n_answers > 100, "{report:?}");
    assert_eq!(report.failures, Vec::<String>::new());
}

#[test]
fn acc_s1_48_an_ingress_path_deleted_and_applied_again_costs_its_neighbours_nothing() {
    let other = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: other
  namespace: mlops
  annotations: {alb.ingress.kubernetes.io/target-type: ip, alb.ingress.kubernetes.io/group.name: shared}
spec:
  ingressClassName: alb
  rules:
    - http: {paths: [{path: /other, pathType: Prefix, backend: {service: {name: retail-forecast-service, port: {number: 80}}}}]}
"#;
    let main = other.replace("name: other", "name: main").replace("/other", "/predict");
    let folder = folder(&[("main.yaml", &main), ("other.yaml", other)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let platform =
        Platform::start(FOREBAY, &[&project("examples/retail"), &path("main.yaml"), &path("other.yaml")]);
    let (address, _) = platform.endpoint("main");
    let request = Request::post(address, "/predict", r#"{"features":{"store_id":1,"product_id":123}}"#);
    let load = Load::start(&request, 64);
    for _ in 0..5 {
        let _ = platform.ok(&["delete", "ingress", "other", "-n", "mlops"]);
        wait_until("the path is gone", || Request::get(address, "/other").send().status == 404);
        let _ = platform.ok(&["apply", "-f", &path("other.yaml")]);
        wait_until("the path is back", || {
            Request::get(address, "/other").send().field("x-forebay-reason") != Some("no-route")
        });
    }
    let report = load.stop();
    assert!(report.n_answers > 100, "{report:?}");
    assert_eq!(report.failures, Vec::<String>::new());
}

#[test]
fn acc_s4_32_a_killed_platform_has_every_acknowledged_object_again() {
    let folder = folder(&[]);
    let empty = folder.path().join("namespace.yaml");
    std::fs::write(&empty, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n").unwrap();
    let empty = empty.display().to_string();
    let mut platform = Platform::start(FOREBAY, &[&empty, &project("examples/iris")]);
    let config = folder.path().join("config.yaml");
    for index in 0..20 {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{index}, namespace: a}}\ndata: {{n: \"{index}\"}}\n"
        );
        std::fs::write(&config, text).unwrap();
        let _ = platform.ok(&["apply", "-f", &config.display().to_string()]);
    }
    let replicas = platform.replicas("serve sklearn-iris");
    platform.kill();
    wait_until("the replicas notice", || {
        replicas.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    });
    platform.start_again(&[&empty, &project("examples/iris")]);
    let names = platform.ok(&["get", "configmap", "-n", "a", "-o", "name"]);
    for index in 0..20 {
        assert!(names.contains(&format!("configmap/c{index}\n")), "{names}");
    }
    let (gateway, host) = platform.endpoint("sklearn-iris");
    let body = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
    assert_eq!(
        Request::post(gateway, "/v1/models/sklearn-iris:predict", body).host(&host).send().status,
        200
    );
}

#[test]
fn a_model_that_cannot_be_loaded_is_told_in_the_status_and_as_an_event_and_others_serve() {
    let broken = |name: &str, uri: &str| {
        format!(
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {{name: {name}}}\nspec: {{predictor: {{sklearn: {{storageUri: {uri}}}}}}}\n"
        )
    };
    // cos\nsystem\n(S'touch owned'\ntR. : a pickle that would run a command
    let folder = folder(&[
        ("a.yaml", &broken("missing", "nowhere.pkl")),
        ("b.yaml", &broken("malicious", "evil.pkl")),
        ("c.yaml", &broken("truncated", "short.pkl")),
        ("evil.pkl", "cos\nsystem\n(S'touch owned'\ntR."),
        ("short.pkl", "\u{80}"),
    ]);
    let platform =
        Platform::start(FOREBAY, &[&folder.path().display().to_string(), &project("examples/iris")]);
    assert_eq!(platform.ready()["ready"], false);
    for (name, words) in
        [("missing", "nowhere.pkl` is not there"), ("malicious", "os.system"), ("truncated", "short.pkl")]
    {
        let message = platform.ok(&[
            "get",
            "isvc",
            name,
            "-o",
            "jsonpath={.status.modelStatus.lastFailureInfo.message}",
        ]);
        assert!(message.contains(words), "{name}: {message}");
        let events = platform.ok(&[
            "get",
            "events",
            "-o",
            "jsonpath={range .items[*]}{.involvedObject.name} {.message}{\"\\n\"}{end}",
        ]);
        assert!(
            events.lines().any(|line| line.starts_with(name) && line.contains(words)),
            "{name}: {events}"
        );
    }
    assert!(!folder.path().join("owned").exists());
    let (gateway, host) = platform.endpoint("sklearn-iris");
    assert_eq!(Request::get(gateway, "/v2/health/ready").host(&host).send().status, 200);
}

#[test]
fn acc_s0_23_a_port_that_is_taken_names_its_owner_in_an_event() {
    let service = |port: u16| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: api}}\nspec: {{type: LoadBalancer, selector: {{app: a}}, ports: [{{port: {port}}}]}}\n"
        )
    };
    // Somebody holds one port on all loopback addresses.
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = folder(&[("service.yaml", &service(port))]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    platform.wait_for(
        "an event tells of it",
        &["get", "events", "-o", "jsonpath={.items[*].message}"],
        |messages| messages.contains("in use by") && messages.contains(&std::process::id().to_string()),
    );
}

#[test]
fn acc_s0_42_https_is_served_at_once_and_plain_requests_are_redirected_to_it() {
    let ingress = |name: &str, annotations: &str| {
        format!(
            r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: mlops
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-1:111122223333:certificate/a
{annotations}
spec:
  ingressClassName: alb
  rules:
    - http: {{paths: [{{path: /predict, pathType: Exact, backend: {{service: {{name: retail-forecast-service, port: {{number: 80}}}}}}}}]}}
"#
        )
    };
    let both = "    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\":80},{\"HTTPS\":443}]'\n    alb.ingress.kubernetes.io/ssl-redirect: '443'";
    let folder = folder(&[("both.yaml", &ingress("both", both)), ("only.yaml", &ingress("only", ""))]);
    let platform =
        Platform::start(FOREBAY, &[&project("examples/retail"), &folder.path().display().to_string()]);
    let body = r#"{"features":{"store_id":1,"product_id":123}}"#;
    let of = |name: &str| {
        let endpoints = platform.ready()["endpoints"].as_array().unwrap().clone();
        endpoints.into_iter().find(|endpoint| endpoint["name"] == name).unwrap()
    };
    for name in ["both", "only"] {
        let endpoint = of(name);
        assert_eq!(endpoint["tls"], true, "{endpoint}");
        assert!(endpoint["url"].as_str().unwrap().starts_with("https://127.77."), "{endpoint}");
        // What is printed works, with the certificate checked.
        let line = platform.ok(&["url", &format!("Ingress/{name}"), "-n", "mlops", "--curl"]);
        let line = format!("{} --silent --show-error -d '{body}'", line.trim());
        let answer = || Command::new("sh").args(["-c", &line]).output().unwrap();
        wait_until("the printed line is answered", || {
            String::from_utf8_lossy(&answer().stdout).contains("\"prediction\"")
        });
    }
    assert_eq!(of("both")["ports"].as_array().unwrap().len(), 2);
    let plain = of("both")["ports"][1].as_u64().unwrap();
    let secure = of("both")["ports"][0].as_u64().unwrap();
    let address = of("both")["address"].as_str().unwrap().to_owned();
    let moved = Request::get(format!("{address}:{plain}").parse().unwrap(), "/predict?x=1").send();
    assert_eq!(moved.status, 301);
    let location = moved.field("location").unwrap().to_owned();
    assert_eq!(location, format!("https://{address}:{secure}/predict?x=1"));
    // Who brings plain text to the port of TLS is told so.
    let refused = Request::get(format!("{address}:{secure}").parse().unwrap(), "/predict").send();
    assert_eq!(refused.status, 400);
}

#[test]
fn a_deployment_that_cannot_start_is_told_without_waiting() {
    let manifests = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: bad}
spec:
  selector: {matchLabels: {app: bad}}
  template:
    metadata: {labels: {app: bad}}
    spec: {containers: [{name: main, image: forebay, args: [serve, /nowhere/model.pkl]}]}
---
apiVersion: v1
kind: Service
metadata: {name: bad}
spec: {selector: {app: bad}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: bad, annotations: {alb.ingress.kubernetes.io/target-type: ip}}
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: bad, port: {number: 80}}}
"#;
    let folder = folder(&[("bad.yaml", manifests)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let told = platform.ready();
    assert_eq!((&told["ready"], &told["endpoints"][0]["state"]), (&false.into(), &"failed".into()));
    let message = told["endpoints"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("Pod default/bad-"), "{message}");
    assert!(
        message.ends_with(": CrashLoopBackOff (exit code 1): error: `/nowhere/model.pkl` is not there"),
        "{message}"
    );
}
