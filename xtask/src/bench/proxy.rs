//! CPU per proxied request, beside HAProxy: the same targets, the same routing by host, the same load, in turns.

use std::fs;
use std::net::SocketAddr;

use super::load::{Figures, Load, folder};
use super::server::Server;
use super::{build, median};
use crate::tools::{self, Tool};

const TOOLS: &[Tool] = &[
    Tool { program: "haproxy", package: "haproxy", why: "it is the peer" },
    Tool { program: "wrk", package: "wrk", why: "it makes the load" },
    Tool { program: "taskset", package: "util-linux", why: "each process has a core of its own" },
];

const ROUNDS: usize = 5;
const CONNECTIONS: [usize; 2] = [32, 256];

/// Two targets that both proxies use.
const TARGETS: [&str; 2] = ["127.0.0.1:19101", "127.0.0.1:19102"];
const HAPROXY: &str = "127.0.0.1:19001";

const MANIFEST: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: target}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: target}
subsets:
  - {addresses: [{ip: 127.0.0.1}], ports: [{name: http, port: 19101}]}
  - {addresses: [{ip: 127.0.0.1}], ports: [{name: http, port: 19102}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: bench
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 19000}]'
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: target, port: {number: 80}}}
  rules:
    - host: a.example.com
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: target, port: {name: http}}}}]}
"#;

const HAPROXY_CONFIGURATION: &str = "
global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
  option forwardfor
frontend front
  bind 127.0.0.1:19001
  http-request set-header X-Forwarded-Proto http
  use_backend one if { req.hdr(host) -i a.example.com }
  default_backend two
backend one
  balance roundrobin
  server s1 127.0.0.1:19101
  server s2 127.0.0.1:19102
backend two
  balance roundrobin
  server s1 127.0.0.1:19101
  server s2 127.0.0.1:19102
";

/// About 250 bytes, as one wine.
const BODY: &str = r#"{"dataframe_split": {"columns": ["a","b","c","d","e","f","g","h","i","j","k"], "data": [[6.3584, 0.3375, 0.1261, 3.5761, 0.0382, 5.1266, 33.5828, 0.9993, 3.1724, 0.5416, 10.6068]]}}"#;

pub(super) fn bench() -> Result<(), String> {
    tools::ensure(TOOLS)?;
    build()?;
    let folder = folder()?;
    let (manifest, configuration) = (folder.join("proxy.yaml"), folder.join("haproxy.cfg"));
    let write = |path, text| fs::write(path, text).map_err(|error| format!("cannot write: {error}"));
    write(&manifest, MANIFEST)?;
    write(&configuration, HAPROXY_CONFIGURATION)?;
    let state = folder.join("state");
    let _ = fs::remove_dir_all(&state);
    let path = |name: &str| tools::root().join("target/release").join(name).display().to_string();

    let answer = "x".repeat(200);
    let command = [&path("constant"), &answer, TARGETS[0], TARGETS[1]].map(String::as_str_ref);
    let _targets = Server::start("targets", 1, &command, address(TARGETS[1])?)?;
    let state = state.display().to_string();
    let manifest = manifest.display().to_string();
    let forebay = [
        path("forebay"),
        "up".into(),
        manifest,
        "--state-dir".into(),
        state,
        "--cores".into(),
        "1".into(),
    ];
    let _ = forebay;
    Err("unfinished".into())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address"))
}

#[expect(dead_code, reason = "unfinished")]
fn table(rows: &[(String, usize, Vec<Figures>)]) {
    for (name, connections, figures) in rows {
        let cpu = median(figures.iter().map(|figures| figures.cpu_microseconds).collect());
        println!("{name:20} {connections:4} {cpu:6.2}");
    }
}
