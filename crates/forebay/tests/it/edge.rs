//! The edge of the platform: signals, who can reach it, and what it tells of its traffic.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use serde_json::Value;
use testkit::{Load, Platform, Request, wait_until};

use crate::{FOREBAY, folder, project};

/// A server that is healthy at once, and answers anything else after a while. It says when such a request has come.
fn slow_server() -> (SocketAddr, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (came, has_come) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let came = came.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut bytes = [0; 4096];
                while let Ok(n_bytes @ 1..) = stream.read(&mut bytes) {
                    if bytes[..n_bytes].starts_with(b"GET /slow ") {
                        let _ = came.send(());
                        std::thread::sleep(Duration::from_millis(700));
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
                }
            });
        }
    });
    (address, has_come)
}

/// An Ingress that leads to a server of this test.
fn ingress(name: &str, port: u16, server: SocketAddr) -> String {
    format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{port: 80, targetPort: {target}}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: {name}}}
subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{port: {target}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{{"HTTP": {port}}}]'
spec:
  ingressClassName: alb
  rules:
    - http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}]}}
"#,
        target = server.port()
    )
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// Waits until the endpoints of a platform take requests.
fn wait_for(address: SocketAddr) {
    wait_until("the target is healthy", || Request::get(address, "/").send().status == 200);
}

#[test]
fn signals_of_no_concern_cost_nothing_and_a_hangup_reads_the_manifests_again() {
    let (server, has_come) = slow_server();
    let folder = folder(&[("a.yaml", &ingress("a", 80, server))]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let (address, _) = platform.endpoint("a");
    wait_for(address);
    let load = Load::start(&Request::get(address, "/"), 8);
    let slow = std::thread::spawn(move || Request::get(address, "/slow").send());
    has_come.recv().unwrap();
    for name in ["USR1", "USR2", "HUP", "USR1"] {
        signal(platform.pid(), name);
    }
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: new}\n";
    std::fs::write(folder.path().join("b.yaml"), config).unwrap();
    signal(platform.pid(), "HUP");
    platform.wait_for("the new object is there", &["get", "configmap", "-o", "name"], |names| {
        names.contains("configmap/new")
    });
    // Manifests that cannot be read change nothing.
    std::fs::write(folder.path().join("b.yaml"), "kind: [").unwrap();
    signal(platform.pid(), "HUP");
    assert_eq!(slow.join().unwrap().status, 200);
    assert_eq!(Request::get(address, "/").send().status, 200);
    let report = load.stop();
    assert!(report.n_answers > 100, "{report:?}");
    assert_eq!(report.failures, Vec::<String>::new());
}

/// A terminal: the side that a terminal program has, and the side of the programs in it.
fn terminal() -> (OwnedFd, OwnedFd) {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    rustix::pty::grantpt(&ours).unwrap();
    rustix::pty::unlockpt(&ours).unwrap();
    let name = rustix::pty::ptsname(&ours, Vec::new()).unwrap();
    let theirs =
        rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    (ours, theirs)
}

/// Starts the program in a session of its own, controlled by a terminal.
fn start_in(terminal: &OwnedFd, arguments: &[&str]) -> Child {
    let stdio = || Stdio::from(terminal.try_clone().unwrap());
    let mut command = Command::new("setsid");
    // Where hangups are ignored, as behind nohup, they would be by the product too.
    command.args(["--ctty", "env", "--default-signal=HUP", FOREBAY]).args(arguments);
    command.env_remove("FOREBAY_STATE_DIR");
    command.stdin(stdio()).stdout(Stdio::piped()).stderr(stdio()).spawn().unwrap()
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line
}

#[test]
fn a_terminal_that_is_closed_lets_requests_finish() {
    let (server, has_come) = slow_server();
    let folder = folder(&[("a.yaml", &ingress("a", 80, server))]);
    let state = tempfile::tempdir().unwrap();
    let (ours, theirs) = terminal();
    let path = |path: &std::path::Path| path.display().to_string();
    let (manifests, state) = (path(folder.path()), path(state.path()));
    let arguments =
        ["up", "-o", "json", "--admin-port", "0", "--api-port", "0", "--state-dir", &state, &manifests];
    let mut child = start_in(&theirs, &arguments);
    let ready: Value = serde_json::from_str(&first_line(&mut child)).unwrap();
    let endpoint = &ready["endpoints"][0];
    let address = format!("{}:{}", endpoint["address"].as_str().unwrap(), endpoint["ports"][0]);
    let address: SocketAddr = address.parse().unwrap();
    wait_for(address);
    let slow = std::thread::spawn(move || Request::get(address, "/slow").send());
    has_come.recv().unwrap();
    drop((ours, theirs));
    assert_eq!(slow.join().unwrap().status, 200);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_model_server_lets_requests_finish_when_its_terminal_is_closed_and_ignores_other_hangups() {
    let (ours, theirs) = terminal();
    let model = project("examples/iris/model");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child =
        start_in(&theirs, &["-q", "serve", &format!("iris={model}"), "--port", &port.port().to_string()]);
    wait_until("it serves", || std::net::TcpStream::connect(port).is_ok());
    wait_until("it is ready", || Request::get(port, "/v2/health/ready").send().status == 200);
    for name in ["HUP", "USR1", "USR2"] {
        signal(child.id(), name);
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(Request::get(port, "/v2/health/ready").send().status, 200);
    drop((ours, theirs));
    assert!(child.wait().unwrap().success());
}

#[test]
fn acc_s0_01_acc_s3_122_public_opens_all_interfaces_and_says_so_in_a_line() {
    let (server, _) = slow_server();
    let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let folder = folder(&[("a.yaml", &ingress("a", port, server)), ("b.yaml", &ingress("b", port, server))]);
    let state = tempfile::tempdir().unwrap();
    let manifests = folder.path().display().to_string();
    let start = |more: &[&str]| {
        let mut command = Command::new(FOREBAY);
        command.args(["up", "--admin-port", "0", "--api-port", "0", "--state-dir"]).arg(state.path());
        command.arg(&manifests).args(more).env_remove("FOREBAY_STATE_DIR").env("NO_COLOR", "1");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let text: Vec<String> =
            lines.map_while(Result::ok).take_while(|line| !line.starts_with("kubectl:")).collect();
        (child, text.join("\n"))
    };
    let end = |mut child: Child| {
        signal(child.id(), "TERM");
        assert!(child.wait().unwrap().success());
    };
    let (child, text) = start(&["--public"]);
    let opened = format!(
        "open to other machines, on all interfaces: port {port} (Ingress default/a); only this machine can reach port {port} of Ingress default/b"
    );
    assert!(text.lines().any(|line| line == opened), "{text}");
    // The wildcard leads to the first; each answers at its own address too.
    wait_for(SocketAddr::new("127.0.0.1".parse().unwrap(), port));
    for name in ["a", "b"] {
        let line = text.lines().find(|line| line.starts_with(&format!("Ingress default/{name} "))).unwrap();
        let address = line.split("http://").nth(1).unwrap().trim_end_matches('/');
        wait_for(address.parse().unwrap());
    }
    end(child);
    let (child, text) = start(&[]);
    assert_eq!(text.matches("only this machine can reach these addresses").count(), 1, "{text}");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    end(child);
}

#[test]
fn a_night_can_be_told_from_metrics_events_and_the_access_log() {
    let log = tempfile::tempdir().unwrap();
    let log = log.path().join("access.log");
    let platform =
        Platform::start(FOREBAY, &[&project("examples/retail"), "--access-log", &log.display().to_string()]);
    let (address, _) = platform.endpoint("retail-forecast-alb-ingress");
    let body = r#"{"features":{"store_id":1,"product_id":123}}"#;
    assert_eq!(Request::post(address, "/predict?a=\"b", body).send().status, 200);
    assert_eq!(Request::new("TRACE", address, "/nowhere").send().status, 405);
    let metrics = || {
        let admin =
            platform.ready()["admin"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
        Request::get(admin, "/metrics").send().text
    };
    let pods = || platform.ok(&["get", "pods", "-n", "mlops", "-o", "name"]);
    assert!(pods().contains("pod/"));
    let lines = || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().filter(|line| !line.contains("path=\"/health")).map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until("both lines are written", || lines().len() >= 2);
    let answered = lines().into_iter().find(|line| line.contains("path=\"/predict?a=\\x22b\"")).unwrap();
    for part in ["method=POST ", " status=200 reason=- target=127.78.", "trace=\"Root=1-"] {
        assert!(answered.contains(part), "{part} is not in {answered}");
    }
    let refused = lines().into_iter().find(|line| line.contains("path=\"/nowhere\"")).unwrap();
    assert!(refused.contains(" status=405 reason=method-not-allowed target=- "), "{refused}");
    let name = answered.split_once("load_balancer=").unwrap().1.split_whitespace().next().unwrap();
    let text = metrics();
    for series in [
        format!(
            "forebay_load_balancer_answers_total{{load_balancer=\"{name}\",port=\"80\",code=\"405\",reason=\"method-not-allowed\"}} 1"
        ),
        format!("forebay_requests_total{{load_balancer=\"{name}\","),
    ] {
        assert!(text.contains(&series), "{series} is not in\n{text}");
    }
    let healthy = format!("forebay_targets{{load_balancer=\"{name}\",");
    let is_healthy = |line: &str| line.starts_with(&healthy) && line.ends_with("state=\"healthy\"} 2");
    assert!(text.lines().any(is_healthy), "{text}");
    let connections = format!("forebay_connections_total{{load_balancer=\"{name}\",port=\"80\"}} ");
    let n_connections = text.lines().find_map(|line| line.strip_prefix(&connections)).unwrap();
    assert_ne!(n_connections, "0");
    assert!(text.contains("forebay_replica_restarts_total{namespace=\"mlops\",pod=\""), "{text}");
    assert!(text.ends_with("# EOF\n"));

    signal(platform.replicas("serve retail-forecast")[0], "KILL");
    wait_until("the restart is counted", || {
        metrics()
            .lines()
            .any(|line| line.starts_with("forebay_replica_restarts_total{") && line.ends_with(" 1"))
    });
    let events = [
        "get",
        "events",
        "-n",
        "mlops",
        "-o",
        "jsonpath={range .items[*]}{.involvedObject.kind} {.reason} {.message}{\"\\n\"}{end}",
    ];
    platform.wait_for("the restart is told", &events, |events| {
        events.lines().any(|line| line.starts_with("Pod Restarting Container "))
    });
}

#[test]
fn an_access_log_on_standard_output_does_not_mix_with_json() {
    let (server, _) = slow_server();
    let folder = folder(&[("a.yaml", &ingress("a", 80, server))]);
    let state = tempfile::tempdir().unwrap();
    let stderr = state.path().join("stderr");
    let manifests = folder.path().display().to_string();
    let mut child = Command::new(FOREBAY)
        .args([
            "up",
            "-o",
            "json",
            "--access-log",
            "-",
            "--admin-port",
            "0",
            "--api-port",
            "0",
            &manifests,
            "--state-dir",
        ])
        .arg(state.path())
        .env_remove("FOREBAY_STATE_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&stderr).unwrap())
        .spawn()
        .unwrap();
    let ready: Value = serde_json::from_str(&first_line(&mut child)).unwrap();
    let endpoint = &ready["endpoints"][0];
    let address = format!("{}:{}", endpoint["address"].as_str().unwrap(), endpoint["ports"][0]);
    wait_for(address.parse().unwrap());
    signal(child.id(), "TERM");
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(rest, "");
    let told = std::fs::read_to_string(&stderr).unwrap();
    assert!(told.lines().any(|line| line.starts_with("time=") && line.contains(" status=200 ")), "{told}");
}
