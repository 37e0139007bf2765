//! What tests of the compile step begin with: an Ingress that leads to Pods, and the Service behind it.

use crate::{Compiled, Defaults, Objects, compile, read};

/// In the spec of the Ingress: all requests go to the Service.
pub(super) const TO_WEB: &str = "defaultBackend: {service: {name: web, port: {number: 80}}}";

/// In the spec of the Ingress: requests for a host go there.
pub(super) fn rules_to_web(hosts: &[&str]) -> String {
    let paths = "{paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}";
    let rules: Vec<String> = hosts.iter().map(|host| format!("{{host: '{host}', http: {paths}}}")).collect();
    format!("rules: [{}]", rules.join(", "))
}

/// The Ingress `web` with these annotations (lines of YAML) and this in its spec (lines, too), and the Service `web`.
pub(super) fn web(annotations: &str, spec: &str) -> String {
    let lines =
        |indent: &str, text: &str| text.lines().map(|line| format!("{indent}{line}\n")).collect::<String>();
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
{}spec:
  ingressClassName: alb
{}---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{port: 80}}]}}
---
",
        lines("    ", annotations),
        lines("  ", spec)
    )
}

/// What manifests mean where nothing else is known.
pub(super) fn compiled(manifests: &str) -> Compiled {
    compiled_with(manifests, &Defaults::default())
}

pub(super) fn compiled_with(manifests: &str, defaults: &Defaults) -> Compiled {
    let objects: Objects = read("f.yaml", manifests).objects.into_iter().collect();
    compile(&objects, defaults)
}
