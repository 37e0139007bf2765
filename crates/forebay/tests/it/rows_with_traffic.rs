//! Rows of the acceptance list that only traffic shows.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use testkit::{Platform, Request, run, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::web::{self, address_of};
use crate::{FOREBAY, folder};

/// A server that tells what it was asked, and hands over all that came on each connection.
fn server() -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (came, has_come) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let came = came.clone();
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(n_bytes @ 1..) = stream.read(&mut bytes) {
                    let _ = came.send(bytes[..n_bytes].to_vec());
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nforward");
                }
            });
        }
    });
    (address, has_come)
}

/// A Service that leads to a server of this test.
fn service(server: SocketAddr, spec: &str, annotations: &str) -> String {
    let port = server.port();
    let spec = format!("ports: [{{port: 80, targetPort: {port}}}]\n{spec}");
    let endpoints = format!(
        "apiVersion: v1
kind: Endpoints
metadata: {{name: web}}
subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{port: {port}}}]}}]
---
"
    );
    web::service(annotations, &spec) + &endpoints
}

/// An Ingress with two rules for a host.
fn ingress(annotations: &str) -> String {
    let teapot = r#"alb.ingress.kubernetes.io/actions.teapot: '{"type":"fixed-response","fixedResponseConfig":{"statusCode":"418","contentType":"text/plain","messageBody":"teapot"}}'"#;
    let rules = "rules:
- host: api.example.com
  http:
    paths:
    - {path: /teapot, pathType: Exact, backend: {service: {name: teapot, port: {name: use-annotation}}}}
    - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}";
    web::ingress(&format!("{teapot}\n{annotations}"), rules)
}

const BOTH: &str = r#"alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'"#;

/// Where an Ingress listens with TLS, and without.
fn ports_of(platform: &Platform) -> (SocketAddr, SocketAddr) {
    (address_of(platform, "Ingress", 0), address_of(platform, "Ingress", 1))
}

/// What curl gets over TLS, with the certificate checked against the local authority.
fn secure_get(platform: &Platform, secure: SocketAddr, path: &str) -> String {
    let authority = platform.ok(&["ca", "path"]);
    let resolve = format!("api.example.com:{}:{}", secure.port(), secure.ip());
    let url = format!("https://api.example.com:{}{path}", secure.port());
    let curl = Command::new("curl")
        .args(["--silent", "--show-error", "--cacert", authority.trim(), "--resolve", &resolve, &url])
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&curl.stdout), String::from_utf8_lossy(&curl.stderr))
}

#[test]
fn acc_s0_42_the_plain_port_redirects_every_request_whatever_its_rules_say() {
    let (server, has_come) = server();
    let annotations = format!("{BOTH}\nalb.ingress.kubernetes.io/ssl-redirect: '443'");
    let text = service(server, "", "") + &ingress(&annotations);
    let folder = folder(&[("a.yaml", &text)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let (secure, plain) = ports_of(&platform);
    wait_until("it is served with TLS", || secure_get(&platform, secure, "/x") == "forward");
    assert_eq!(secure_get(&platform, secure, "/teapot"), "teapot");
    let _ = has_come.try_iter().count();
    // Rules, none of them, another host, another method: each goes to the same place with TLS.
    for (method, host, target) in [
        ("GET", "api.example.com", "/teapot"),
        ("GET", "api.example.com", "/predict?x=1&y=a%20b"),
        ("POST", "api.example.com", "/predict"),
        ("GET", "elsewhere.example.com", "/?q"),
    ] {
        let answer = Request::new(method, plain, target).host(host).body(b"{}").send();
        let location = format!("https://{host}:{}{target}", secure.port());
        assert_eq!((answer.status, answer.field("location")), (301, Some(location.as_str())), "{target}");
    }
    let forwarded: Vec<String> =
        has_come.try_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
    let is_of_client = |request: &String| request.contains("predict") || request.contains("?q");
    assert!(!forwarded.iter().any(is_of_client), "{forwarded:?}");
    // Followed, it ends at the target with its query.
    let authority = platform.ok(&["ca", "path"]);
    let resolve = |port: u16| format!("api.example.com:{port}:{}", plain.ip());
    let curl = Command::new("curl")
        .args(["--silent", "--location", "--cacert", authority.trim()])
        .args(["--resolve", &resolve(plain.port()), "--resolve", &resolve(secure.port())])
        .arg(format!("http://api.example.com:{}/predict?store=1", plain.port()))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&curl.stdout), "forward");
    let is_followed = |request: &[u8]| request.starts_with(b"GET /predict?store=1 HTTP/1.1");
    wait_until("the query came along", || has_come.try_iter().any(|request| is_followed(&request)));
}

/// Asks from an address of this machine.
fn ask_from(client: IpAddr, address: SocketAddr) -> String {
    net::runtime().unwrap().block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((client, 0).into()).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let request = "GET /who HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await;
        let n_bytes = read.map_or(0, |read| read.unwrap_or(0));
        String::from_utf8_lossy(&answer[..n_bytes]).into_owned()
    })
}

#[test]
fn acc_s3_32_the_target_and_the_log_know_the_client_behind_each_kind_of_load_balancer() {
    let (server, has_come) = server();
    let announced = "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: '*'";
    let local = "type: LoadBalancer\nexternalTrafficPolicy: Local";
    let network = service(server, local, announced);
    let application = ingress("").replace("name: web, port", "name: plain, port");
    let plain = service(server, "", "").replace("name: web", "name: plain");
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("access.log").display().to_string();
    let folder = folder(&[("a.yaml", &(network + &plain + &application))]);
    let path = folder.path().display().to_string();
    // Said before it is tried.
    let check = run(FOREBAY, &["check", &path]);
    let told = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(told.contains("externalTrafficPolicy: all targets are on this machine"), "{told}");
    let mut platform = Platform::start(FOREBAY, &[&path, "--access-log", &log]);
    let (network, application) = (address_of(&platform, "Service", 0), address_of(&platform, "Ingress", 0));
    platform.wait_for("both are healthy", &["targets"], |told| told.matches(" healthy").count() == 2);
    let client = IpAddr::from([127, 9, 8, 7]);
    // Through the Network Load Balancer the header says it, before the first byte of the client.
    ask_from(client, network);
    let is_announced = |bytes: &Vec<u8>| match net::proxy_protocol::parse(bytes) {
        Ok(Some((net::proxy_protocol::Header::Client { client: told, .. }, _))) => told.ip() == client,
        _ => false,
    };
    wait_until("a connection begins with the client's address", || {
        has_come.try_iter().any(|it| is_announced(&it))
    });
    // Through the Application Load Balancer a field does, and the log.
    wait_until("a request is answered", || ask_from(client, application).ends_with("forward"));
    let is_told = |bytes: &Vec<u8>| {
        String::from_utf8_lossy(bytes).to_ascii_lowercase().contains("x-forwarded-for: 127.9.8.7\r\n")
    };
    wait_until("a request has the client's address", || has_come.try_iter().any(|it| is_told(&it)));
    platform.stop();
    let lines = std::fs::read_to_string(&log).unwrap();
    assert!(lines.lines().any(|line| line.contains("127.9.8.7") && line.contains("/who")), "{lines}");
}

#[test]
fn acc_s3_60_both_ports_without_a_certificate_are_served_here_and_refused_as_on_aws() {
    let (server, _has_come) = server();
    let text = service(server, "", "") + &ingress(BOTH);
    let folder = folder(&[("a.yaml", &text)]);
    let path = folder.path().display().to_string();
    let check = run(FOREBAY, &["check", &path]);
    let told = String::from_utf8_lossy(&check.stdout).into_owned();
    assert_eq!(check.status.code(), Some(0), "{told}");
    assert!(told.contains("[certificate-issued]") && told.contains("api.example.com"), "{told}");
    let platform = Platform::start(FOREBAY, &[&path]);
    let (secure, plain) = ports_of(&platform);
    wait_until("it is served with TLS", || secure_get(&platform, secure, "/x") == "forward");
    assert_eq!(Request::get(plain, "/x").host("api.example.com").send().text, "forward");
    drop(platform);
    // AWS looks for a certificate of the host, and has none.
    let check = run(FOREBAY, &["check", "--strict-aws", &path]);
    let told = String::from_utf8_lossy(&check.stdout).into_owned();
    assert_eq!(check.status.code(), Some(1), "{told}");
    assert!(told.contains("error[certificate-missing]") && told.contains("a.yaml:"), "{told}");
}

#[test]
fn a_load_balancer_in_front_answers_at_an_address_and_ports_of_its_own() {
    let (server, _has_come) = server();
    let annotations = "alb.ingress.kubernetes.io/enable-frontend-nlb: 'true'
alb.ingress.kubernetes.io/frontend-nlb-listener-port-mapping: '8099=80'";
    let text = service(server, "", "") + &ingress(annotations);
    let folder = folder(&[("a.yaml", &text)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let addresses = "jsonpath={.status.loadBalancer.ingress[*].ip}";
    platform.wait_for("there are two addresses", &["get", "ingress", "web", "-o", addresses], |told| {
        told.split_whitespace().count() == 2
    });
    let told = platform.ok(&["get", "ingress", "web", "-o", addresses]);
    let front: IpAddr = told.split_whitespace().nth(1).unwrap().parse().unwrap();
    let front = SocketAddr::from((front, 8099));
    wait_until("it leads to the target", || {
        Request::get(front, "/x").host("api.example.com").send().text == "forward"
    });
    assert_eq!(Request::get(front, "/teapot").host("api.example.com").send().status, 418);
}
