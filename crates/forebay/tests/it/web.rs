//! What tests begin with that have servers of their own: an Ingress and a Service `web`, and where their load balancers answer.

use std::net::SocketAddr;

use testkit::Platform;

/// An Ingress whose targets are Pods, with these annotations and this in its spec: lines of YAML.
pub(crate) fn ingress(annotations: &str, spec: &str) -> String {
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
",
        lines("    ", annotations),
        lines("  ", spec)
    )
}

/// A Service whose targets are Pods where it is a load balancer, with these annotations and this in its spec.
pub(crate) fn service(annotations: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
{}spec:
{}---
",
        lines("    ", annotations),
        lines("  ", spec)
    )
}

fn lines(indent: &str, text: &str) -> String {
    text.lines().map(|line| format!("{indent}{line}\n")).collect()
}

/// Where the load balancer of the first object of a kind answers, at one of its ports.
pub(crate) fn address_of(platform: &Platform, kind: &str, index_of_port: usize) -> SocketAddr {
    let endpoints = platform.ready()["endpoints"].as_array().unwrap();
    let endpoint = endpoints.iter().find(|endpoint| endpoint["kind"] == kind).unwrap();
    let address = endpoint["address"].as_str().unwrap();
    format!("{address}:{}", endpoint["ports"][index_of_port]).parse().unwrap()
}
