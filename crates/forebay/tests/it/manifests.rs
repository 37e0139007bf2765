//! `forebay check` and `forebay plan`.

use serde_json::Value;
use testkit::run;

use crate::{FOREBAY, folder, project};

#[test]
fn acc_s4_03_our_own_manifests_are_without_errors_and_warnings() {
    for story in ["wine", "iris", "retail"] {
        let output = run(FOREBAY, &["check", &project(&format!("examples/{story}"))]);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}{err}");
        assert!(err.contains("0 errors, 0 warnings"), "{out}{err}");
    }
}

const BROKEN: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/healthcheck-interval-seconds: '1'
    alb.ingress.kubernetes.io/shceme: internal
spec:
  ingressClassName: alb
  defaultBackend: {service: {name: api, port: {number: 80}}}
";

#[test]
fn findings_name_place_cause_and_fix_and_decide_the_exit_code() {
    let folder = folder(&[("web.yaml", BROKEN)]);
    let path = folder.path().join("web.yaml").display().to_string();
    let output = run(FOREBAY, &["check", &path]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("{path}:6:5")), "{text}");
    assert!(text.contains("`1`") && text.contains("5") && text.contains("300"), "{text}");
    assert!(text.contains("alb.ingress.kubernetes.io/scheme"), "{text}");
    let output = run(FOREBAY, &["check", "-o", "json", &path]);
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(findings.to_string().contains("annotation-unknown"), "{findings}");
    assert_eq!(run(FOREBAY, &["check"]).status.code(), Some(1));
    assert_eq!(run(FOREBAY, &["check", "--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn a_plan_is_printed_as_the_load_balancer_s_api_has_it_and_always_the_same() {
    let retail = project("examples/retail");
    let print = || run(FOREBAY, &["plan", "-f", &retail, "-o", "json"]);
    let (first, second) = (print(), print());
    assert_eq!(first.stdout, second.stdout);
    let plan: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(plan["schema"], "forebay.plan/v1");
    let names: Vec<&str> = plan["loadBalancers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|balancer| balancer["id"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ingress:mlops/retail-forecast-alb-ingress", "service:mlops/retail-forecast-nlb"]);
    assert_eq!(plan["rules"].as_array().unwrap().len(), 6);
}
