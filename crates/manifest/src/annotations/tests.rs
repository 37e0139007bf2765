//! Every annotation at least once: what it changes in the plan, and what it refuses.

use serde_json::Value;

use super::*;
use crate::{Defaults, Objects, Severity, compile, plan_json, read};

mod names;
mod of_ingress;
mod of_ours;
mod of_service;
mod refused;

/// An Ingress on 80 and 443 with two rules, a Service behind it, and a Service that is a load balancer.
const MANIFESTS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {alb.ingress.kubernetes.io/target-type: ip, alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]'}}
spec:
  ingressClassName: alb
  rules:
  - host: a.example.com
    http:
      paths:
      - {path: /a, backend: {service: {name: api, port: {number: 80}}}}
      - {path: /b, backend: {service: {name: name, port: {name: use-annotation}}}}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: lb, annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}}
spec: {type: LoadBalancer, ports: [{name: plain, port: 80, targetPort: 8080}, {name: tls, port: 443, targetPort: 8443}]}
"#;

/// Compiles the manifests with annotations put on the Ingress, or on the Service when their name is one for Services.
fn plan_with(annotations: &[(&str, &str)]) -> (Value, Vec<Finding>) {
    let mut objects = Objects::default();
    for mut object in read("f.yaml", MANIFESTS).objects {
        for (key, text) in annotations {
            let on_service = key.starts_with(SERVICE_PREFIX);
            let is_meant = if on_service { object.name == "lb" } else { object.name == "web" };
            if is_meant {
                object.value["metadata"]["annotations"][*key] = Value::from(*text);
            }
        }
        objects.insert(object);
    }
    let compiled = compile(&objects, &Defaults::default());
    (serde_json::from_str(&plan_json(&compiled)).unwrap(), compiled.findings)
}

fn full_key(key: &str) -> String {
    let is_of_service =
        key.starts_with("aws-") || key == "load-balancer-source-ranges" || key == "actions.TCP-80";
    let prefix = if is_of_service { SERVICE_PREFIX } else { INGRESS_PREFIX };
    format!("{prefix}{key}")
}

/// The plan has a value at a place, and none of the findings is an error. Places begin in the list of a kind and count only
/// what belongs to the load balancer with the annotation.
#[track_caller]
fn check(key: &str, text: &str, place: &str, expected: &str) {
    let key = full_key(key);
    let (plan, findings) = plan_with(&[(&key, text)]);
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.is_error()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let (list, rest) = place.split_once('/').unwrap();
    let is_network = key.starts_with(SERVICE_PREFIX);
    let mut found = plan[list].as_array().unwrap().iter().filter(|item| {
        let owner = item.get("id").or(item.get("loadBalancer")).and_then(Value::as_str).unwrap();
        (owner == "service:default/lb") == is_network
    });
    let (index, pointer) = rest.split_once('/').unwrap();
    let item = found.nth(index.parse().unwrap()).unwrap();
    let value = item.pointer(&format!("/{pointer}")).unwrap_or_else(|| panic!("{place} is not there"));
    assert_eq!(value.to_string(), expected, "{key}: {text}");
}

#[test]
fn every_example_is_taken() {
    for annotation in annotations() {
        let key =
            annotation.sample_key().replace("target-control-port.Service.Port", "target-control-port.api.80");
        let key = key.replace(
            "aws-load-balancer-listener-attributes.HTTPS-443",
            "aws-load-balancer-listener-attributes.TCP-80",
        );
        let key = key.replace("beta.kubernetes.io/actions.HTTPS-443", "beta.kubernetes.io/actions.TCP-80");
        let example = annotation.example.replace("\"serviceName\":\"canary\"", "\"serviceName\":\"api\"");
        let (_, findings) = plan_with(&[(&key, &example)]);
        let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.is_error()).collect();
        let is_refused = annotation.key == "jwt-validation";
        assert_eq!(errors.len(), usize::from(is_refused), "{key}: {example}: {errors:?}");
        let is_unknown = findings.iter().any(|finding| finding.code == codes::ANNOTATION_UNKNOWN.name);
        assert!(!is_unknown, "{key}");
        let says_nothing_follows = findings.iter().any(|finding| {
            finding.code == codes::ANNOTATION_NO_EFFECT.name
                && finding.message.contains("has no effect here yet")
        });
        let has_effect =
            !matches!(annotation.apply, Apply::Nothing | Apply::IngressRecord(_) | Apply::ServiceRecord(_));
        assert_eq!(says_nothing_follows, !has_effect, "{key}");
    }
}

#[test]
fn no_name_stands_twice() {
    let mut keys: Vec<String> = annotations().map(Annotation::full_key).collect();
    let n_keys = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), n_keys);
}

#[test]
fn attributes_that_do_nothing_here_say_so_and_those_that_do_something_do_not() {
    for (key, attribute, acts) in [
        ("aws-load-balancer-target-group-attributes", "proxy_protocol_v2.enabled=true", true),
        ("aws-load-balancer-target-group-attributes", "deregistration_delay.timeout_seconds=60", true),
        (
            "aws-load-balancer-target-group-attributes",
            "deregistration_delay.connection_termination.enabled=true",
            true,
        ),
        ("aws-load-balancer-target-group-attributes", "preserve_client_ip.enabled=false", false),
        ("load-balancer-attributes", "routing.http.x_amzn_tls_version_and_cipher_suite.enabled=true", true),
        ("load-balancer-attributes", "routing.http2.enabled=false", true),
        ("load-balancer-attributes", "ipv6.deny_all_igw_traffic=true", false),
        ("target-group-attributes", "routing.http2.rst_stream_error_forwarding.enabled=true", false),
        ("listener-attributes.HTTP-80", "routing.http.response.server.enabled=false", true),
        ("target-group-attributes", "load_balancing.algorithm.type=weighted_random", true),
        ("target-group-attributes", "slow_start.duration_seconds=60", true),
        ("target-group-attributes", "stickiness.enabled=true", true),
    ] {
        let findings = plan_with(&[(&full_key(key), attribute)]).1;
        let idle = format!("recorded, and without effect in this build: {attribute}");
        assert_eq!(findings.iter().any(|finding| finding.message == idle), !acts, "{findings:?}");
    }
}
