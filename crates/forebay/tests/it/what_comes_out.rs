//! What load balancers tell of the requests that came: logs, metrics, explanations.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::{Platform, Request, run, wait_until};

use crate::{FOREBAY, folder};

/// A server that answers all that it is asked.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(1..) = stream.read(&mut bytes) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
                }
            });
        }
    });
    address
}

/// An Ingress as people write them for AWS, that leads to a server of this test.
fn manifest(server: SocketAddr) -> String {
    format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{name: api, namespace: mlops}}
spec: {{ports: [{{port: 80, targetPort: {target}}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: api, namespace: mlops}}
subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{port: {target}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: api
  namespace: mlops
  annotations:
    alb.ingress.kubernetes.io/load-balancer-name: retail-forecast-alb
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{{"HTTP": 80}}]'
    alb.ingress.kubernetes.io/tags: Environment=Production,Project=RetailForecast
    alb.ingress.kubernetes.io/transforms.api: >-
      [{{"type": "url-rewrite", "urlRewriteConfig": {{"rewrites": [{{"regex": "^/v2/models", "replace": "/models"}}]}}}}]
    alb.ingress.kubernetes.io/load-balancer-attributes: |
      access_logs.s3.enabled=true,
      access_logs.s3.bucket=retail-forecast-alb-logs,
      access_logs.s3.prefix=alb-access-logs
spec:
  ingressClassName: alb
  rules:
    - host: api.example.com
      http:
        paths:
          - {{path: /predict, pathType: Exact, backend: {{service: {{name: api, port: {{number: 80}}}}}}}}
          - {{path: /v2, pathType: Prefix, backend: {{service: {{name: api, port: {{number: 80}}}}}}}}
"#,
        target = server.port()
    )
}

/// A platform that serves it, and how to ask it.
fn start(more: &[&str]) -> (Platform, SocketAddr) {
    let folder = folder(&[("api.yaml", &manifest(server()))]);
    let path = folder.path().display().to_string();
    let platform = Platform::start(FOREBAY, &[&[path.as_str()], more].concat());
    let (address, _) = platform.endpoint("api");
    wait_until("the target is healthy", || ask(address, "/predict") == 200);
    (platform, address)
}

fn ask(address: SocketAddr, target: &str) -> u16 {
    Request::get(address, target).host("api.example.com").send().status
}

/// All files below a folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

#[test]
fn acc_s3_47_acc_s3_49_acc_s3_50_logs_of_annotations_come_to_files_that_zcat_reads() {
    let logs = tempfile::tempdir().unwrap();
    let (mut platform, address) = start(&["--log-dir", &logs.path().display().to_string()]);
    for index in 0..50 {
        assert_eq!(ask(address, &format!("/v2/{index}")), 200);
    }
    assert_eq!(ask(address, "/nowhere"), 404);
    // SIGTERM, within the five minutes in which lines are gathered.
    platform.stop();
    let files = files_in(logs.path());
    assert!(files.iter().all(|file| file.to_str().unwrap().ends_with(".log.gz")), "{files:?}");
    let below = logs
        .path()
        .join("retail-forecast-alb-logs/alb-access-logs/AWSLogs/000000000000/elasticloadbalancing");
    assert!(files.iter().all(|file| file.starts_with(&below)), "{files:?}");
    let read = Command::new("zcat").args(&files).output().unwrap();
    let text = String::from_utf8(read.stdout).unwrap();
    for index in 0..50 {
        let asked = format!("\"GET http://api.example.com:80/v2/{index} HTTP/1.1\"");
        assert_eq!(text.lines().filter(|line| line.contains(&asked)).count(), 1, "{asked}");
    }
    let refused = text.lines().find(|line| line.contains(":80/nowhere HTTP/1.1\"")).unwrap();
    assert!(refused.contains(" - -1 -1 -1 404 - "), "{refused}");
    assert!(refused.starts_with("http 20") && refused.contains(" app/retail-forecast-alb/"), "{refused}");
}

#[test]
fn lines_may_be_json() {
    let log = tempfile::tempdir().unwrap();
    let log = log.path().join("log");
    let (_platform, address) =
        start(&["--access-log", &log.display().to_string(), "--access-log-format", "json"]);
    assert_eq!(ask(address, "/v2/x?a=\"b\""), 200);
    let line = || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().find(|line| line.contains("/v2/")).map(str::to_owned)
    };
    wait_until("the line is written", || line().is_some());
    let line: serde_json::Value = serde_json::from_str(&line().unwrap()).unwrap();
    assert_eq!((&line["load_balancer"], &line["rule"]), (&"retail-forecast-alb".into(), &2.into()));
    assert_eq!(line["tags"]["Environment"], "Production");
    assert_eq!((&line["path"], &line["status"]), (&"/v2/x?a=\"b\"".into(), &200.into()));
}

fn admin(platform: &Platform, target: &str, accept: &str) -> String {
    let address = platform.ready()["admin"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    Request::get(address, target).with("accept", accept).send().text
}

/// What promtool has to say of a text, and its exit code: 0 for nothing, 3 for names that it does not like, 1 for what it cannot
/// read.
fn promtool(text: &str) -> Option<(Option<i32>, String)> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("skipped: promtool is not there (`cargo xtask test` installs it)");
        return None;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn acc_s3_101_acc_s3_102_acc_s3_31_acc_s3_56_metrics_join_and_have_the_names_of_cloudwatch() {
    let (platform, address) = start(&[]);
    for _ in 0..20 {
        assert_eq!(ask(address, "/v2/x"), 200);
    }
    assert_eq!(ask(address, "/nowhere"), 404);
    let text = admin(&platform, "/metrics", "*/*");
    assert!(text.ends_with("# EOF\n"));
    let info = text.lines().find(|line| line.starts_with("forebay_load_balancer_info{")).unwrap();
    for label in [
        "load_balancer=\"retail-forecast-alb\"",
        "id=\"ingress:mlops/api\"",
        "resource=\"app/retail-forecast-alb/",
        "tag_Environment=\"Production\"",
        "tag_Project=\"RetailForecast\"",
    ] {
        assert!(info.contains(label), "{label} is not in {info}");
    }
    // What has the label has it in one spelling.
    let of_balancers = text.lines().filter(|line| line.contains("load_balancer=\""));
    let others: Vec<&str> =
        of_balancers.filter(|line| !line.contains("load_balancer=\"retail-forecast-alb\"")).collect();
    assert!(others.is_empty(), "{others:?}");
    if let Some((code, said)) = promtool(&admin(&platform, "/metrics", "text/plain")) {
        assert_eq!(code, Some(0), "{said}");
    }

    let text = admin(&platform, "/metrics/cloudwatch", "text/plain");
    let of = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
        let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
        assert!(line.contains(
            "load_balancer=\"retail-forecast-alb\",dimension_LoadBalancer=\"app/retail-forecast-alb/"
        ));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let requests = of("aws_applicationelb_request_count_total");
    assert!(requests >= 21.0);
    assert_eq!(of("aws_applicationelb_httpcode_target_2_xx_count_total"), requests);
    assert_eq!(of("aws_applicationelb_target_response_time_count"), requests);
    assert!(of("aws_applicationelb_httpcode_elb_4_xx_count_total") >= 1.0);
    assert_eq!(of("aws_applicationelb_httpcode_elb_5_xx_count_total"), 0.0);
    assert!(of("aws_applicationelb_processed_bytes_total") > 100.0 * requests);
    assert_eq!(of("aws_applicationelb_healthy_host_count"), 1.0);
    assert_eq!(of("aws_applicationelb_un_healthy_host_count"), 0.0);
    assert!(of("aws_applicationelb_new_connection_count_total") >= 1.0);
    if let Some((code, said)) = promtool(&text) {
        // The names are Amazon's, and not what it would have chosen.
        assert!(matches!(code, Some(0 | 3)), "{said}");
    }
}

#[test]
fn a_request_is_explained_by_the_rules_that_were_tried_and_the_targets_that_it_leads_to() {
    let (platform, address) = start(&[]);
    let url = format!("http://{address}/v2/models?x=1");
    let text = platform.ok(&["explain", "-H", "host: api.example.com", &url]);
    for line in [
        "request        GET /v2/models?x=1 for host api.example.com from 127.0.0.1",
        "load balancer  retail-forecast-alb (ingress:mlops/api, application)",
        "rule 1         Ingress mlops/api: does not match: path-pattern /predict",
        "rule 2         Ingress mlops/api: matches: host-header api.example.com and path-pattern /v2, /v2/*",
        "rewritten      /models?x=1",
        "target group   mlops/api/api:80 (weight 1)",
        "verdict        to its one target, which is healthy",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    let printed = platform.ok(&["explain", "-X", "TRACE", "http://api.example.com/predict", "-o", "json"]);
    let trace: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(trace["action"]["reason"], "method-not-allowed");
    let nowhere = platform.ok(&["explain", "http://other.example.com/"]);
    assert!(nowhere.contains("verdict        404"), "{nowhere}");
    let no_port = platform.run(&["explain", "http://api.example.com:81/"]);
    assert_eq!(no_port.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&no_port.stderr).contains("nothing listens at port 81"));

    // The same of manifests alone.
    let folder = folder(&[("api.yaml", &manifest(([127, 0, 0, 1], 9000).into()))]);
    let path = folder.path().display().to_string();
    let offline = run(FOREBAY, &["explain", "http://api.example.com/predict", &path]);
    let text = String::from_utf8_lossy(&offline.stdout);
    assert!(text.contains("rule 1         Ingress mlops/api: matches: "), "{text}");
    assert!(text.contains("verdict        to one of 1 targets, which nobody asks how they are"), "{text}");
}

/// Status and reason of the answer to what is sent exactly so.
fn refused(address: SocketAddr, head: &str) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let n_bytes = stream.read(&mut piece).unwrap();
        assert!(n_bytes > 0, "{}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&piece[..n_bytes]);
    }
    let answer = String::from_utf8_lossy(&bytes).into_owned();
    let reason = answer.split("x-forebay-reason: ").nth(1).unwrap_or_default();
    (answer[9..12].parse().unwrap(), reason.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn what_is_refused_before_or_behind_the_rules_is_explained_as_it_is_served() {
    let (platform, address) = start(&[]);
    let (long_line, long_field) = (format!("/predict?{}", "x".repeat(8200)), "y".repeat(8200));
    let half = "z".repeat(7000);
    let addresses = vec!["10.0.0.1"; 31].join(", ");
    for (method, target, fields, expected) in [
        ("CONNECT", "/predict", vec![], "connect-not-served"),
        ("TRACE", "/predict", vec![], "method-not-allowed"),
        ("GET", "/predict", vec![("expect", "200-ok")], "unknown-expectation"),
        ("GET", "/predict", vec![("x-forwarded-for", addresses.as_str())], "too-many-forwarded-for"),
        ("GET", "/predict", vec![("host", "a b")], "malformed-host"),
        ("GET", "/predict", vec![("host", "")], "malformed-host"),
        ("GET", "/predict", vec![("host", "a"), ("host", "b")], "several-hosts"),
        ("GET", long_line.as_str(), vec![], "request-line-too-long"),
        ("GET", "/predict", vec![("x", long_field.as_str())], "field-too-long"),
        ("GET", "/predict", vec![("x", &half), ("y", &half), ("z", &half)], "head-too-long"),
        (
            "POST",
            "/predict",
            vec![("content-length", "1"), ("transfer-encoding", "chunked")],
            "content-length-and-transfer-encoding",
        ),
        ("GET", "/predict", vec![("a b", "c")], "malformed-head"),
        ("GET", "/a%zz", vec![], "malformed-path"),
        ("GET", "//predict", vec![], "ambiguous-path"),
    ] {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        let mut arguments = vec!["explain", "-o", "json", "-X", method];
        let url = format!("http://{address}{target}");
        let mut fields = fields;
        if !fields.iter().any(|(name, _)| *name == "host") {
            fields.insert(0, ("host", "api.example.com"));
        }
        let options: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        for option in &options {
            head += &format!("{option}\r\n");
            arguments.extend(["-H", option]);
        }
        let (status, reason) = refused(address, &(head + "\r\n"));
        assert_eq!(reason, expected, "{method} {target:.40} {fields:.40?}");
        arguments.push(&url);
        let printed = platform.ok(&arguments);
        let told: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let action = &told["action"];
        assert_eq!(
            (&action["status"], &action["reason"]),
            (&status.into(), &reason.as_str().into()),
            "{printed:.900}"
        );
        let verdict = told["verdict"].as_str().unwrap();
        assert!(verdict.starts_with(&format!("{status}, {reason}: ")), "{verdict}");
    }
    // What is in order goes on.
    let text = platform.ok(&[
        "explain",
        "-H",
        "expect: 100-continue",
        "-H",
        "host: api.example.com",
        &format!("http://{address}/predict"),
    ]);
    assert!(text.contains("verdict        to its one target"), "{text}");
}

#[test]
fn targets_show_who_rests_until_when_and_why() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(n_bytes @ 1..) = stream.read(&mut bytes) {
                    let is_check = bytes[..n_bytes].starts_with(b"GET / ");
                    let status = if is_check { "200 OK" } else { "500 Internal Server Error" };
                    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                }
            });
        }
    });
    let folder = folder(&[("api.yaml", &manifest(server))]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string(), "--cores", "1"]);
    let (address, _) = platform.endpoint("api");
    platform.wait_for("the target is healthy", &["targets"], |text| text.contains("healthy"));
    assert!((0..5).all(|_| ask(address, "/predict") == 500));
    let because = ", because it answered one request after the other with 500, 502, 503 or 504";
    platform.wait_for("the target rests", &["targets"], |text| {
        text.contains(" healthy ") && text.contains(" rests until 20") && text.contains(because)
    });
    let told: serde_json::Value = serde_json::from_str(&platform.ok(&["targets", "-o", "json"])).unwrap();
    assert_eq!(told[0]["rest"]["because"], "bad-answers");
    let explained =
        platform.ok(&["explain", "-H", "host: api.example.com", &format!("http://{address}/predict")]);
    assert!(explained.contains(because), "{explained}");
}

#[test]
fn what_became_of_a_request_is_known_by_its_trace_id() {
    let (platform, address) = start(&[]);
    let ask = |target: &str, trace: &str| {
        let request = Request::get(address, target).host("api.example.com");
        request.with("x-amzn-trace-id", trace).send().status
    };
    assert_eq!(ask("/v2/x", "Root=1-00000001-0000000000000000000000aa"), 200);
    assert_eq!(ask("/nowhere", "Root=1-00000001-0000000000000000000000bb"), 404);
    // Who has no id finds it among the last.
    let list = platform.ok(&["why"]);
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    let line =
        |id: &str| lines.iter().find(|line| line.last().is_some_and(|last| last.ends_with(id))).unwrap();
    assert_eq!(line("aa")[4..6], ["GET", "api.example.com/v2/x"], "{list}");
    assert_eq!((line("bb")[1], line("bb")[6]), ("404", "no-route"), "{list}");
    let text = platform.ok(&["why", "1-00000001-0000000000000000000000aa"]);
    for part in [
        "request        GET /v2/x for host api.example.com from 127.0.0.1:",
        "load balancer  retail-forecast-alb (ingress:mlops/api), port 80",
        "rule           2 (host-header api.example.com and path-pattern /v2, /v2/*): forward",
        "target group   mlops/api/api:80",
        ", answered 200 after ",
        "answer         200 after ",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let printed = platform.ok(&["why", "0000000000000000000000bb", "-o", "json"]);
    let requests: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&requests[0]["rule"], &requests[0]["status"]), (&0.into(), &404.into()));
    let unknown = platform.run(&["why", "1-00000001-0000000000000000000000cc"]);
    assert_eq!(unknown.status.code(), Some(1));
    let short = platform.run(&["why", "1-0"]);
    assert!(String::from_utf8_lossy(&short.stderr).contains("8 characters or more"));
    // Each core remembers its last thousand, and those that came before them are forgotten.
    let load = testkit::Load::run(&Request::get(address, "/v2/y").host("api.example.com"), 8, 1200);
    assert_eq!(load.failures, Vec::<String>::new());
    assert_eq!(platform.run(&["why", "1-00000001-0000000000000000000000aa"]).status.code(), Some(1));
}

#[test]
fn acc_s3_137_a_second_of_traffic_is_shown_at_once() {
    let (platform, address) = start(&[]);
    let load = testkit::Load::start(&Request::get(address, "/v2/x").host("api.example.com"), 4);
    let printed = platform.ok(&["top", "--once", "-o", "json"]);
    assert!(load.stop().n_answers > 10);
    let rows: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let group = rows.as_array().unwrap().iter().find(|row| row["targetGroup"] == "mlops/api/api:80").unwrap();
    assert!(group["requestsPerSecond"].as_f64().unwrap() > 10.0, "{printed}");
    assert!(group["p50Seconds"].as_f64().unwrap() <= group["p99Seconds"].as_f64().unwrap(), "{printed}");
    let table = platform.ok(&["targets"]);
    assert!(table.starts_with("LOAD BALANCER ") && table.contains(" ZONE "), "{table}");
}
