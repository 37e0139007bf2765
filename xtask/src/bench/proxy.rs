//! CPU per proxied request, beside HAProxy and nginx: the same targets, the same routing by host, the same load, in turns,
//! over all that clients speak.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::contender::{Contender, Logs, measure};
use super::haproxy::{self, Configuration, HAPROXY};
use super::http::Request;
use super::load::{Load, Over};
use super::manifest::{Ingress, documents, rule, service};
use super::platform::up;
use super::report::Report;
use super::server::{Server, free_address, pinned};
use super::{Forebay, LOAD_CORE, SERVER_CORE, constant_server, folder, installed, requests, version, write};
use crate::tools::{self, Tool};

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

const SECONDS: u32 = 5;

/// The host that both proxies route by.
const HOST: &str = "a.example.com";

/// The unary method that is called where gRPC is spoken. Its service is spoken with in HTTP/2.
const METHOD: &str = "/inference.GRPCInferenceService/ModelInfer";
const SERVICE: &str = "/inference.GRPCInferenceService/";

/// What the targets answer: about 200 bytes of predictions.
pub(super) const ANSWER: &str = r#"{"predictions": [6.033512345678901, 5.123456789012345, 6.987654321098765, 5.456789012345678, 6.234567890123456, 5.345678901234567, 6.567890123456789, 5.678901234567890, 6.789012345678901, 5.890123456789]}"#;

/// Measures the cases whose names have one of these texts in them, or all.
pub(super) fn bench(forebays: &[Forebay], wanted: &[String]) -> Result<Report, String> {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let cases = CASES.into_iter().filter(|(name, ..)| is_wanted(name));
    let cases: Vec<_> = cases.collect();
    if cases.is_empty() {
        let names = CASES.map(|(name, ..)| name).join("; ");
        return Err(format!("there is no such case; there are: {names}"));
    }
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
    report.tell_version(haproxy::version()?);
    report.tell_version(version("nginx", "-v")?);

    for logs in [Logs::No, Logs::Yes] {
        let mut cases = cases.iter().filter(|case| case.3 == logs).peekable();
        let contenders = if cases.peek().is_some() { start(logs)? } else { Vec::new() };
        let contenders: Vec<&Contender> = contenders.iter().collect();
        for &(name, over, connections, _) in cases {
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

fn start_haproxy(
    targets: [SocketAddr; 2],
    certificate: &Certificate,
    logs: Logs,
) -> Result<Contender, String> {
    let is_for_host = format!("if {{ req.hdr(host) -i {HOST} }}");
    let configuration = Configuration {
        logs,
        address: free_address()?,
        secure: Some((free_address()?, certificate.file("both.pem"))),
        rules: &[
            format!("use_backend grpc {is_for_host} {{ path_beg {SERVICE} }}"),
            format!("use_backend one {is_for_host}"),
            "default_backend two".to_owned(),
        ],
        backends: &[("one", ""), ("two", ""), ("grpc", "proto h2")],
        targets: &targets,
    };
    configuration.start("HAProxy", "haproxy")
}

fn start_nginx(targets: [SocketAddr; 2], certificate: &Certificate, logs: Logs) -> Result<Contender, String> {
    let addresses = [free_address()?, free_address()?];
    let folder = folder("nginx")?;
    let configuration = write(
        folder.join("nginx.conf"),
        &nginx_configuration(&folder, addresses, targets, certificate, logs),
    )?;
    let mut command = pinned(SERVER_CORE, &installed("nginx")?);
    command.arg("-c").arg(configuration).arg("-p").arg(folder);
    let (name, server, [address, secure]) = ("nginx".to_owned(), Server::start("nginx", command)?, addresses);
    Ok(Contender { name, server, address, secure: Some(secure), start: None })
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn manifest([clear, secure]: [u16; 2], targets: [SocketAddr; 2], certificate: &Certificate) -> String {
    let Certificate { chain, key, .. } = certificate;
    let [chain, key] = [chain, key].map(|pem| json!(pem));
    let secret = format!(
        "apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {{name: certificate}}
stringData: {{tls.crt: {chain}, tls.key: {key}}}
"
    );
    let tls = Some((HOST, "certificate"));
    let http = Ingress {
        name: "bench",
        annotations: &[("group.name", "bench")],
        listeners: &[("HTTP", clear), ("HTTPS", secure)],
        tls,
        has_default: true,
        rules: rule(HOST, &["/"]),
    };
    let grpc = Ingress {
        name: "grpc",
        annotations: &[
            ("group.name", "bench"),
            ("group.order", "-1"),
            ("backend-protocol-version", "GRPC"),
            ("success-codes", "0"),
        ],
        listeners: &[("HTTPS", secure)],
        tls,
        has_default: false,
        rules: rule(HOST, &[SERVICE]),
    };
    documents(&[service(&targets), secret, http.to_string(), grpc.to_string()])
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
