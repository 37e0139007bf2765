//! CPU per proxied request, beside HAProxy and nginx: the same targets, the same routing by host, the same load, in turns,
//! over all that clients speak.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::contender::{Contender, measure};
use super::http::Request;
use super::load::{Load, Over};
use super::report::Report;
use super::server::{Server, free_address, pinned};
use super::{Forebay, LOAD_CORE, SERVER_CORE, constant_server, folder, requests};
use crate::tools::{self, Tool};

pub(super) const HAPROXY: Tool = Tool { program: "haproxy", package: "haproxy", why: "it is a peer" };

const TOOLS: &[Tool] = &[
    HAPROXY,
    Tool { program: "nginx", package: "nginx-light", why: "it is a peer" },
    Tool { program: "openssl", package: "openssl", why: "it makes the certificate, and handshakes" },
    Tool { program: "h2load", package: "nghttp2-client", why: "it makes the load over HTTP/2" },
    Tool { program: "nghttp", package: "nghttp2-client", why: "it looks at an answer of gRPC" },
];

/// What is measured: by what name, over what, with how many connections, and whether each request is logged.
const CASES: [(&str, Over, usize, Logs); 10] = [
    ("32 connections", Over::Clear, 32, Logs::No),
    ("256 connections", Over::Clear, 256, Logs::No),
    ("32 connections, with an access log", Over::Clear, 32, Logs::Yes),
    ("256 connections, with an access log", Over::Clear, 256, Logs::Yes),
    ("8 000 requests a second", Over::Paced { rate: 8_000 }, 32, Logs::No),
    ("24 000 requests a second", Over::Paced { rate: 24_000 }, 32, Logs::No),
    ("TLS, 32 connections", Over::Tls, 32, Logs::No),
    ("TLS, whole handshakes", Over::Handshakes, 1, Logs::No),
    ("TLS, HTTP/2, 10 connections of 100 streams", Over::Http2 { streams: 100 }, 10, Logs::No),
    (
        "TLS, gRPC, 10 connections of 100 streams",
        Over::Grpc { streams: 100, n_answered: ANSWER.len() },
        10,
        Logs::No,
    ),
];

/// Whether a proxy writes a line into a file for each request: we in the form of an Application Load Balancer, HAProxy by
/// `option httplog`, nginx in its combined form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logs {
    No,
    Yes,
}

const SECONDS: u32 = 5;

/// The host that both proxies route by.
const HOST: &str = "a.example.com";

/// The unary method that is called where gRPC is spoken. Its service is spoken with in HTTP/2.
const METHOD: &str = "/inference.GRPCInferenceService/ModelInfer";
const SERVICE: &str = "/inference.GRPCInferenceService/";

/// What the targets answer: about 200 bytes of predictions.
pub(super) const ANSWER: &str = r#"{"predictions": [6.033512345678901, 5.123456789012345, 6.987654321098765, 5.456789012345678, 6.234567890123456, 5.345678901234567, 6.567890123456789, 5.678901234567890, 6.789012345678901, 5.890123456789]}"#;

pub(super) fn bench(forebays: &[Forebay]) -> Result<Report, String> {
    tools::ensure(TOOLS)?;
    let mut report = Report::new("proxy");
    let targets = [free_address()?, free_address()?];
    let mut command = pinned(LOAD_CORE, &constant_server());
    command.arg(ANSWER).args(targets.map(|target| target.to_string()));
    let _targets = Server::start("targets", command)?;

    let certificate = Certificate::new()?;
    // One wine, to the host that is routed.
    let body = requests::wine(1)?.to_string();
    let request = Request { host: Some(HOST), path: "/invocations", body };
    let start = |logs| -> Result<Vec<Contender>, String> {
        let mut contenders = Vec::new();
        for (index, forebay) in forebays.iter().enumerate() {
            contenders.push(start_forebay(forebay, index, targets, &certificate, logs)?);
        }
        contenders.push(start_haproxy(targets, &certificate, logs)?);
        contenders.push(start_nginx(targets, &certificate, logs)?);
        for contender in &mut contenders {
            let address = contender.address;
            contender.server.wait_for(|_| request.send(address))?;
        }
        Ok(contenders)
    };
    report.tell_version(version("haproxy", "-v")?);
    report.tell_version(version("nginx", "-v")?);

    for logs in [Logs::No, Logs::Yes] {
        let contenders = start(logs)?;
        let contenders: Vec<&Contender> = contenders.iter().collect();
        for (name, over, connections, _) in CASES.into_iter().filter(|case| case.3 == logs) {
            let path = if matches!(over, Over::Grpc { .. }) { METHOD } else { request.path };
            let request = Request { path, ..request.clone() };
            let load = Load { over, request, connections, seconds: SECONDS };
            report.cases.push(measure(name.to_owned(), &contenders, &load)?);
        }
    }
    Ok(report)
}

/// A certificate of the host with a key of ECDSA on P-256, as PEM.
struct Certificate {
    folder: PathBuf,
    chain: String,
    key: String,
}

impl Certificate {
    fn new() -> Result<Self, String> {
        let folder = folder("certificate")?;
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "30", "-subj", "/CN=a.example.com"]);
        command.args(["-addext", &format!("subjectAltName=DNS:{HOST}")]);
        command.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("chain.pem"));
        let output = command.output().map_err(|error| format!("cannot run openssl: {error}"))?;
        if !output.status.success() {
            return Err(format!("openssl: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let (chain, key) = (read(&folder.join("chain.pem"))?, read(&folder.join("key.pem"))?);
        // HAProxy wants both in one file.
        write(folder.join("both.pem"), &format!("{chain}{key}"))?;
        Ok(Self { folder, chain, key })
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

fn start_forebay(
    forebay: &Forebay,
    index: usize,
    targets: [SocketAddr; 2],
    certificate: &Certificate,
    logs: Logs,
) -> Result<Contender, String> {
    let ports = [free_address()?.port(), free_address()?.port()];
    let manifest = manifest(ports, targets, certificate);
    let log = folder("logs")?.join(format!("access-{index}"));
    let log = log.display().to_string();
    let options: &[&str] = match logs {
        Logs::No => &[],
        Logs::Yes => &["--access-log", &log, "--access-log-format", "alb"],
    };
    let mut contender = up(forebay, &forebay.name, &format!("proxy-{index}"), &manifest, options)?;
    let [clear, secure] = ports.map(|port| SocketAddr::new(contender.address.ip(), port));
    (contender.address, contender.secure) = (clear, Some(secure));
    Ok(contender)
}

/// Starts the platform with one load balancer, and learns its address from the line that it prints when it is ready.
pub(super) fn up(
    forebay: &Forebay,
    name: &str,
    folder_name: &str,
    manifest: &str,
    options: &[&str],
) -> Result<Contender, String> {
    let folder = folder(folder_name)?;
    let state = folder.join("state");
    let _ = fs::remove_dir_all(&state);
    let manifest = write(folder.join("manifest.yaml"), manifest)?;
    let mut command = pinned(SERVER_CORE, &forebay.path);
    command.arg("up").arg(manifest).arg("--state-dir").arg(state);
    command.args(["--cores", "1", "--admin-port", "0", "--api-port", "0", "--output", "json"]).args(options);
    let mut server = Server::start(name, command)?;
    let (address, _) = server.wait_for(|server| {
        let printed = server.printed()?;
        printed.lines().find_map(address_of).ok_or_else(|| io::Error::other("it is not ready"))
    })?;
    Ok(Contender { name: name.to_owned(), server, address, secure: None, start: None })
}

/// The address in the line of JSON that `forebay up` prints.
fn address_of(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let endpoint = line.pointer("/endpoints/0")?;
    let port = u16::try_from(endpoint.pointer("/ports/0")?.as_u64()?).ok()?;
    Some(SocketAddr::new(endpoint["address"].as_str()?.parse().ok()?, port))
}

fn start_haproxy(
    targets: [SocketAddr; 2],
    certificate: &Certificate,
    logs: Logs,
) -> Result<Contender, String> {
    let addresses = [free_address()?, free_address()?];
    let path = folder("haproxy")?.join("haproxy.cfg");
    let configuration = write(path, &haproxy_configuration(addresses, targets, certificate, logs))?;
    started("HAProxy", haproxy(&configuration)?, addresses)
}

/// What starts HAProxy, in the foreground.
pub(super) fn haproxy(configuration: &Path) -> Result<Command, String> {
    let mut command = pinned(SERVER_CORE, &program("haproxy")?);
    command.args(["-db", "-f"]).arg(configuration);
    Ok(command)
}

fn start_nginx(targets: [SocketAddr; 2], certificate: &Certificate, logs: Logs) -> Result<Contender, String> {
    let addresses = [free_address()?, free_address()?];
    let folder = folder("nginx")?;
    let configuration = write(
        folder.join("nginx.conf"),
        &nginx_configuration(&folder, addresses, targets, certificate, logs),
    )?;
    let mut command = pinned(SERVER_CORE, &program("nginx")?);
    command.arg("-c").arg(configuration).arg("-p").arg(folder);
    started("nginx", command, addresses)
}

fn started(name: &str, command: Command, [address, secure]: [SocketAddr; 2]) -> Result<Contender, String> {
    let server = Server::start(name, command)?;
    Ok(Contender { name: name.to_owned(), server, address, secure: Some(secure), start: None })
}

fn program(name: &str) -> Result<PathBuf, String> {
    tools::find(name).ok_or_else(|| format!("`{name}` is missing"))
}

/// `HAProxy version 2.6.12-1 …`
pub(super) fn version(name: &str, flag: &str) -> Result<String, String> {
    let output = Command::new(program(name)?).arg(flag).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    // nginx says it where errors go.
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned())
}

pub(super) fn write(path: PathBuf, text: &str) -> Result<PathBuf, String> {
    fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn manifest(
    [clear, secure]: [u16; 2],
    [one, two]: [SocketAddr; 2],
    Certificate { chain, key, .. }: &Certificate,
) -> String {
    let (one, two) = (one.port(), two.port());
    let [chain, key] = [chain, key].map(|pem| json!(pem));
    format!(
        r#"apiVersion: v1
kind: Service
metadata: {{name: target}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: target}}
subsets:
  - {{addresses: [{{ip: 127.0.0.1}}], ports: [{{name: http, port: {one}}}]}}
  - {{addresses: [{{ip: 127.0.0.1}}], ports: [{{name: http, port: {two}}}]}}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {{name: certificate}}
stringData: {{tls.crt: {chain}, tls.key: {key}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: bench
  annotations:
    alb.ingress.kubernetes.io/group.name: bench
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{{"HTTP": {clear}}}, {{"HTTPS": {secure}}}]'
spec:
  ingressClassName: alb
  tls: [{{hosts: [{HOST}], secretName: certificate}}]
  defaultBackend: {{service: {{name: target, port: {{name: http}}}}}}
  rules:
    - host: {HOST}
      http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: target, port: {{name: http}}}}}}}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: grpc
  annotations:
    alb.ingress.kubernetes.io/group.name: bench
    alb.ingress.kubernetes.io/group.order: "-1"
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{{"HTTPS": {secure}}}]'
    alb.ingress.kubernetes.io/backend-protocol-version: GRPC
    alb.ingress.kubernetes.io/success-codes: "0"
spec:
  ingressClassName: alb
  tls: [{{hosts: [{HOST}], secretName: certificate}}]
  rules:
    - host: {HOST}
      http: {{paths: [{{path: {SERVICE}, pathType: Prefix, backend: {{service: {{name: target, port: {{name: http}}}}}}}}]}}
"#
    )
}

fn haproxy_configuration(
    [clear, secure]: [SocketAddr; 2],
    [one, two]: [SocketAddr; 2],
    certificate: &Certificate,
    logs: Logs,
) -> String {
    let certificate = certificate.file("both.pem");
    // What it prints goes into a file.
    let (to, log) = match logs {
        Logs::No => ("", ""),
        Logs::Yes => ("log stdout format raw daemon", "log global\n  option httplog"),
    };
    format!(
        "global
  nbthread 1
  maxconn 4000
  {to}
defaults
  mode http
  {log}
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  option forwardfor
  http-reuse always
frontend front
  bind {clear}
  bind {secure} ssl crt {certificate} alpn h2,http/1.1
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  use_backend grpc if {{ req.hdr(host) -i {HOST} }} {{ path_beg {SERVICE} }}
  use_backend one if {{ req.hdr(host) -i {HOST} }}
  default_backend two
backend one
  balance roundrobin
  server s1 {one}
  server s2 {two}
backend two
  balance roundrobin
  server s1 {one}
  server s2 {two}
backend grpc
  balance roundrobin
  server s1 {one} proto h2
  server s2 {two} proto h2
"
    )
}

fn nginx_configuration(
    folder: &Path,
    [clear, secure]: [SocketAddr; 2],
    [one, two]: [SocketAddr; 2],
    certificate: &Certificate,
    logs: Logs,
) -> String {
    let log = match logs {
        Logs::No => "off".to_owned(),
        Logs::Yes => format!("{}/access.log", folder.display()),
    };
    let (folder, chain, key) = (folder.display(), certificate.file("chain.pem"), certificate.file("key.pem"));
    format!(
        "daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log {log};
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_certificate {chain};
  ssl_certificate_key {key};
  upstream targets {{ server {one}; server {two}; keepalive 256; keepalive_requests 1000000000; }}
  # A call has a connection to its target for itself, and a thousand are under way.
  upstream grpc {{ server {one}; server {two}; keepalive 1000; keepalive_requests 1000000000; }}
  server {{
    listen {clear} default_server;
    listen {secure} ssl http2 default_server;
    server_name _;
    location / {{ return 404; }}
  }}
  server {{
    listen {clear};
    listen {secure} ssl http2;
    server_name {HOST};
    location / {{
      proxy_pass http://targets;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Connection '';
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
    location {SERVICE} {{
      grpc_pass grpc://grpc;
      grpc_set_header Host $host;
      grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      grpc_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_in_the_line_that_says_ready() {
        let line = r#"{"ready":true,"endpoints":[{"kind":"Ingress","address":"127.77.0.2","ports":[9001]}]}"#;
        assert_eq!(address_of(line), "127.77.0.2:9001".parse().ok());
        assert_eq!(address_of("note: ports below 1024 may not be bound here"), None);
        assert_eq!(address_of("{\"ready\":true,\"endpoints\":[]}"), None);
    }
}
