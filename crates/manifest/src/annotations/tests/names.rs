//! Names and values that are nearly right, and what is suggested.

use super::*;

#[test]
fn a_mistyped_prefix_is_corrected_and_that_of_another_controller_left_alone() {
    for (key, right) in [
        ("alb.ingress.kubernets.io/scheme", Some("alb.ingress.kubernetes.io/scheme")),
        ("alb.ingres.kubernetes.io/target-type", Some("alb.ingress.kubernetes.io/target-type")),
        ("alb.ingress.kubernets.io/colour", None),
        ("nginx.ingress.kubernetes.io/ssl-redirect", None),
        ("alb.networking.azure.io/scheme", None),
        ("alb.ingress.kubernetes.io/scheme", None),
        ("scheme", None),
    ] {
        assert_eq!(with_right_prefix(key, false).as_deref(), right, "{key}");
    }
    let key = "service.beta.kubernets.io/aws-load-balancer-scheme";
    assert!(with_right_prefix(key, true).is_some());
    assert_eq!(with_right_prefix(key, false), None);
}

#[test]
fn annotations_of_other_controllers_are_not_ignored_silently() {
    let text = MANIFESTS.replace(
        "alb.ingress.kubernetes.io/target-type",
        "nginx.ingress.kubernetes.io/whitelist-source-range: 10.0.0.0/8, kubernetes.io/ingress.class: nginx, alb.ingress.kubernetes.io/target-type",
    );
    assert_ne!(text, MANIFESTS);
    let objects: Objects = read("f.yaml", &text).objects.into_iter().collect();
    let findings = compile(&objects, &Defaults::default()).findings;
    let told = |code: &str, part: &str| {
        findings.iter().any(|finding| finding.code == code && finding.message.contains(part))
    };
    assert!(
        told("annotation-no-effect", "whitelist-source-range is for another controller"),
        "{findings:#?}"
    );
    assert!(told("annotation-invalid", "`nginx` is not spec.ingressClassName `alb`"), "{findings:#?}");
}

#[test]
fn what_is_suggested_is_what_was_meant_and_never_less_tls() {
    let certificate = |id: &str| format!("arn:aws:acm:eu-west-1:111122223333:certificate/{id}");
    let two = format!("{} {}", certificate("x"), certificate("y"));
    let two_rightly = format!("{},{}", certificate("x"), certificate("y"));
    for (key, text, code, suggestion) in [
        (
            "backend-protocol",
            "https",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol: HTTPS",
        ),
        (
            "backend-protocol",
            "tls",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol: HTTPS",
        ),
        (
            "backend-protocol",
            "GRPC",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol-version: GRPC, beside",
        ),
        (
            "backend-protocol",
            "h2c",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol-version: HTTP2, beside",
        ),
        (
            "backend-protocol-version",
            "http2",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol-version: HTTP2",
        ),
        (
            "backend-protocol-version",
            "grpc",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol-version: GRPC",
        ),
        ("certificate-arn", &two, "annotation-invalid", &two_rightly),
        (
            "ssl-policy",
            "ELBSecurityPolicy-TLS13-1-2-2021-6",
            "ssl-policy-unknown",
            "ELBSecurityPolicy-TLS13-1-2-2021-06",
        ),
        ("ssl-policy", "modern", "ssl-policy-unknown", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"),
        (
            "aws-load-balancer-ssl-negotiation-policy",
            "tls",
            "ssl-policy-unknown",
            "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        ),
    ] {
        let (_, findings) = plan_with(&[(&full_key(key), text)]);
        let found = findings.iter().find(|finding| finding.code == code && finding.is_error());
        let suggested = found.and_then(|finding| finding.suggestion.as_deref()).unwrap_or_default();
        assert!(suggested.starts_with(suggestion), "{key}: {text}: {suggested}");
    }
}

#[test]
fn names_that_the_documents_of_the_controller_get_wrong_lead_to_the_right_ones() {
    for (wrong, right) in MISNAMED {
        let prefix = if *wrong == "use-regex-path-match" { SERVICE_PREFIX } else { INGRESS_PREFIX };
        let (_, findings) = plan_with(&[(&format!("{prefix}{wrong}"), "true")]);
        let told = findings.iter().find(|it| it.code == "annotation-unknown" && it.message.contains(wrong));
        assert_eq!(told.and_then(|it| it.suggestion.as_deref()), Some(*right), "{wrong}: {findings:?}");
    }
}
