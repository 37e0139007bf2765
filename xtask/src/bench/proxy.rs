//! CPU per proxied request, beside HAProxy: the same targets, the same routing by host, the same load, in turns.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::contender::{Contender, measure};
use super::http::Request;
use super::load::Load;
use super::report::Report;
use super::server::{Server, free_address, pinned};
use super::{Forebay, LOAD_CORE, SERVER_CORE, constant_server, folder, requests};
use crate::tools::{self, Tool};

const TOOLS: &[Tool] = &[Tool { program: "haproxy", package: "haproxy", why: "it is the peer" }];

const CONNECTIONS: [usize; 2] = [32, 256];
const SECONDS: u32 = 5;

/// The host that both proxies route by.
const HOST: &str = "a.example.com";

/// What the targets answer: about 200 bytes of predictions.
const ANSWER: &str = r#"{"predictions": [6.033512345678901, 5.123456789012345, 6.987654321098765, 5.456789012345678, 6.234567890123456, 5.345678901234567, 6.567890123456789, 5.678901234567890, 6.789012345678901, 5.890123456789]}"#;

pub(super) fn bench(forebays: &[Forebay]) -> Result<Report, String> {
    tools::ensure(TOOLS)?;
    let mut report = Report::new("proxy");
    let targets = [free_address()?, free_address()?];
    let mut command = pinned(LOAD_CORE, &constant_server());
    command.arg(ANSWER).args(targets.map(|target| target.to_string()));
    let _targets = Server::start("targets", command)?;

    let mut contenders = Vec::new();
    for (index, forebay) in forebays.iter().enumerate() {
        contenders.push(start_forebay(forebay, index, targets)?);
    }
    contenders.push(start_haproxy(targets)?);
    // One wine, to the host that is routed.
    let body = requests::wine(1)?.to_string();
    let request = Request { host: Some(HOST), path: "/invocations", body };
    for contender in &mut contenders {
        let address = contender.address;
        contender.server.wait_for(|_| request.send(address))?;
    }
    report.tell_version(haproxy_version()?);

    let contenders: Vec<&Contender> = contenders.iter().collect();
    for connections in CONNECTIONS {
        let load = Load { request: request.clone(), connections, seconds: SECONDS };
        report.cases.push(measure(format!("{connections} connections"), &contenders, &load)?);
    }
    Ok(report)
}

/// Starts the platform with one load balancer, and learns its address from the line that it prints when it is ready.
fn start_forebay(forebay: &Forebay, index: usize, targets: [SocketAddr; 2]) -> Result<Contender, String> {
    let folder = folder(&format!("proxy-{index}"))?;
    let state = folder.join("state");
    let _ = fs::remove_dir_all(&state);
    let manifest = write(folder.join("proxy.yaml"), &manifest(free_address()?.port(), targets))?;
    let mut command = pinned(SERVER_CORE, &forebay.path);
    command.arg("up").arg(manifest).arg("--state-dir").arg(state);
    command.args(["--cores", "1", "--admin-port", "0", "--api-port", "0", "--output", "json"]);
    let mut server = Server::start(&forebay.name, command)?;
    let (address, _) = server.wait_for(|server| {
        let printed = server.printed()?;
        printed.lines().find_map(address_of).ok_or_else(|| io::Error::other("it is not ready"))
    })?;
    Ok(Contender { name: forebay.name.clone(), server, address, start: None })
}

/// The address in the line of JSON that `forebay up` prints.
fn address_of(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let endpoint = line.pointer("/endpoints/0")?;
    let port = u16::try_from(endpoint.pointer("/ports/0")?.as_u64()?).ok()?;
    Some(SocketAddr::new(endpoint["address"].as_str()?.parse().ok()?, port))
}

fn start_haproxy(targets: [SocketAddr; 2]) -> Result<Contender, String> {
    let address = free_address()?;
    let path = folder("haproxy")?.join("haproxy.cfg");
    let configuration = write(path, &haproxy_configuration(address, targets))?;
    let mut command = pinned(SERVER_CORE, &haproxy()?);
    command.args(["-db", "-f"]).arg(configuration);
    let server = Server::start("HAProxy", command)?;
    Ok(Contender { name: "HAProxy".to_owned(), server, address, start: None })
}

fn haproxy() -> Result<PathBuf, String> {
    tools::find("haproxy").ok_or_else(|| "`haproxy` is missing".to_owned())
}

/// `HAProxy version 2.6.12-1 …`
fn haproxy_version() -> Result<String, String> {
    let output = Command::new(haproxy()?).arg("-v").output().map_err(|error| format!("haproxy: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.lines().next().unwrap_or_default().to_owned())
}

fn write(path: PathBuf, text: &str) -> Result<PathBuf, String> {
    fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

fn manifest(port: u16, [one, two]: [SocketAddr; 2]) -> String {
    let (one, two) = (one.port(), two.port());
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
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: bench
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{{"HTTP": {port}}}]'
spec:
  ingressClassName: alb
  defaultBackend: {{service: {{name: target, port: {{name: http}}}}}}
  rules:
    - host: {HOST}
      http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: target, port: {{name: http}}}}}}}}]}}
"#
    )
}

fn haproxy_configuration(address: SocketAddr, [one, two]: [SocketAddr; 2]) -> String {
    format!(
        "global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  option forwardfor
  http-reuse always
frontend front
  bind {address}
  http-request set-header X-Forwarded-Proto http
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
