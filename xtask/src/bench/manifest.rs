//! Manifests of load balancers under test: what they do, and the targets behind them.

use std::fmt::{self, Write};
use std::net::SocketAddr;

/// The Service that rules lead to.
pub(super) const SERVICE: &str = "target";

/// An Ingress of an Application Load Balancer.
#[derive(Debug)]
pub(super) struct Ingress<'a> {
    pub(super) name: &'a str,
    /// What is said beside where it listens, by key without its prefix.
    pub(super) annotations: &'a [(&'a str, &'a str)],
    /// Protocols and ports.
    pub(super) listeners: &'a [(&'a str, u16)],
    /// A host and the Secret of its certificate.
    pub(super) tls: Option<(&'a str, &'a str)>,
    /// Whether what no rule fits goes to the Service.
    pub(super) has_default: bool,
    /// As [`rule`] writes them.
    pub(super) rules: String,
}

/// One text of several documents.
pub(super) fn documents(documents: &[String]) -> String {
    documents.join("---\n")
}

/// The Service, and its targets.
pub(super) fn service(targets: &[SocketAddr]) -> String {
    let mut text = format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {SERVICE}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: {SERVICE}}}
subsets:
"
    );
    for target in targets {
        let (ip, port) = (target.ip(), target.port());
        let _ = writeln!(text, "  - {{addresses: [{{ip: {ip}}}], ports: [{{name: http, port: {port}}}]}}");
    }
    text
}

/// A rule for each of some paths of a host, which may have a star, that leads to the Service.
pub(super) fn rule(host: &str, paths: &[&str]) -> String {
    rule_to(SERVICE, PORT, host, paths)
}

/// The same to a Service and a port of it, by `name` or `number`.
pub(super) fn rule_to(service: &str, port: &str, host: &str, paths: &[&str]) -> String {
    let mut text = format!("    - host: \"{host}\"\n      http:\n        paths:\n");
    let backend = backend(service, port);
    for path in paths {
        let _ = writeln!(text, "          - {{path: {path}, pathType: Prefix, backend: {backend}}}");
    }
    text
}

const PORT: &str = "name: http";

fn backend(service: &str, port: &str) -> String {
    format!("{{service: {{name: {service}, port: {{{port}}}}}}}")
}

// === impl Ingress ===

impl fmt::Display for Ingress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners = self.listeners.iter().map(|(protocol, port)| format!("{{\"{protocol}\": {port}}}"));
        let listeners = listeners.collect::<Vec<_>>().join(", ");
        write!(
            f,
            "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {}
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{listeners}]'
",
            self.name
        )?;
        for (key, value) in self.annotations {
            writeln!(f, "    alb.ingress.kubernetes.io/{key}: '{value}'")?;
        }
        writeln!(f, "spec:\n  ingressClassName: alb")?;
        if let Some((host, secret)) = self.tls {
            writeln!(f, "  tls: [{{hosts: [{host}], secretName: {secret}}}]")?;
        }
        if self.has_default {
            writeln!(f, "  defaultBackend: {}", backend(SERVICE, PORT))?;
        }
        write!(f, "  rules:\n{}", self.rules)
    }
}
