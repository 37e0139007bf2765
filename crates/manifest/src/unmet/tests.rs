use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::{Exposure, findings, read};

/// One object for each row of the table, in its order: what asks, and the place where it does.
const ASKING: &[(&str, &str)] = &[
    ("kind: NetworkPolicy, apiVersion: networking.k8s.io/v1", ""),
    ("kind: Role, apiVersion: rbac.authorization.k8s.io/v1", ""),
    ("kind: ResourceQuota, apiVersion: v1", ""),
    ("kind: LimitRange, apiVersion: v1", ""),
    ("kind: HorizontalPodAutoscaler, apiVersion: autoscaling/v2", ""),
    ("kind: PodDisruptionBudget, apiVersion: policy/v1", ""),
    ("kind: Pod, apiVersion: v1, spec: {securityContext: {runAsUser: 1}}", "spec.securityContext"),
    (
        "kind: Deployment, apiVersion: apps/v1, spec: {template: {spec: {containers: [{}, {securityContext: {privileged: true}}]}}}",
        "spec.template.spec.containers[1].securityContext",
    ),
    ("kind: Pod, apiVersion: v1, spec: {volumes: [{name: a}]}", "spec.volumes"),
    (
        "kind: InferenceService, apiVersion: serving.kserve.io/v1beta1, spec: {predictor: {sklearn: {lifecycle: {preStop: {exec: {}, sleep: 1}}}}}",
        "spec.predictor.sklearn.lifecycle",
    ),
    ("kind: Pod, apiVersion: v1, spec: {containers: [{workingDir: /}]}", "spec.containers[0].workingDir"),
    (
        "kind: InferenceService, apiVersion: serving.kserve.io/v1beta1, spec: {explainer: {containers: [{name: a}]}}",
        "spec.explainer",
    ),
    ("kind: Service, apiVersion: v1, spec: {externalTrafficPolicy: Local}", "spec.externalTrafficPolicy"),
    ("kind: Service, apiVersion: v1, spec: {sessionAffinity: ClientIP}", "spec.sessionAffinity"),
    ("service.beta.kubernetes.io/aws-load-balancer-security-groups: sg-1", "Service"),
    ("service.beta.kubernetes.io/aws-load-balancer-ip-address-type: dualstack", "Service"),
    (
        "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes: 'a=b, stickiness.enabled = true'",
        "Service",
    ),
    ("alb.ingress.kubernetes.io/wafv2-acl-arn: arn:a", "Ingress"),
    ("alb.ingress.kubernetes.io/wafv2-acl-name: a", "Ingress"),
    ("alb.ingress.kubernetes.io/waf-acl-id: a", "Ingress"),
    ("alb.ingress.kubernetes.io/web-acl-id: a", "Ingress"),
    ("alb.ingress.kubernetes.io/shield-advanced-protection: 'true'", "Ingress"),
    ("alb.ingress.kubernetes.io/security-groups: sg-1", "Ingress"),
    (
        "alb.ingress.kubernetes.io/mutual-authentication: '[{\"port\": 443, \"mode\": \"passthrough\"}]'",
        "Ingress",
    ),
    ("alb.ingress.kubernetes.io/ip-address-type: dualstack", "Ingress"),
    ("alb.ingress.kubernetes.io/target-group-attributes: stickiness.enabled=true", "Ingress"),
    (
        "alb.ingress.kubernetes.io/actions.a: '{\"type\":\"forward\",\"forwardConfig\":{\"targetGroupStickinessConfig\":{\"enabled\":true,\"durationSeconds\":60}}}'",
        "Ingress",
    ),
    (
        "service.beta.kubernetes.io/actions.TCP-80: '{\"forwardConfig\":{\"targetGroupStickinessConfig\":{\"Enabled\":true}}}'",
        "Service",
    ),
];

/// The manifest of a row, and the field it asks at.
fn manifest(written: &str, place: &str) -> (String, Option<String>) {
    match place {
        "Ingress" | "Service" => {
            let api_version = if place == "Ingress" { "networking.k8s.io/v1" } else { "v1" };
            let key = written.split(": ").next().unwrap().to_owned();
            let text = format!(
                "apiVersion: {api_version}\nkind: {place}\nmetadata:\n  name: a\n  annotations:\n    {written}\nspec: {{}}\n"
            );
            (text, Some(key))
        }
        _ => {
            let field = (!place.is_empty()).then(|| place.to_owned());
            (format!("{{{written}, metadata: {{name: a}}}}\n"), field)
        }
    }
}

fn with(exposure: Exposure) -> Defaults {
    Defaults { exposure, ..Defaults::default() }
}

#[test]
fn every_row_is_told_at_its_place_and_what_protects_weighs_more_where_others_come() {
    assert_eq!(ASKING.len(), ROWS.len(), "a row of the table has no example here");
    for (row, (written, place)) in ROWS.iter().zip(ASKING) {
        let (text, field) = manifest(written, place);
        let object = read("f.yaml", &text).objects.remove(0);
        let told = |exposure| {
            let found = of(&object, &with(exposure));
            assert_eq!(found.len(), 1, "{written}: {found:?}");
            found.into_iter().next().unwrap()
        };
        let finding = told(Exposure::Loopback);
        assert!(finding.message.ends_with(row.words), "{written}: {}", finding.message);
        assert_eq!(finding.field, field, "{written}");
        assert!(finding.location.is_some(), "{written}");
        assert_eq!(finding.severity, Severity::Warning, "{written}");
        assert_eq!(told(Exposure::PublicUnprotected).severity, Severity::Warning, "{written}");
        let public = told(Exposure::Public);
        let expected = if row.protects { Severity::Error } else { Severity::Warning };
        assert_eq!(public.severity, expected, "{written}");
        assert_eq!(public.suggestion.unwrap().contains("--allow-unprotected"), row.protects, "{written}");

        let objects: Objects = [object].into_iter().collect();
        let all = findings(&objects, &with(Exposure::Loopback));
        let at_field =
            all.iter().filter(|other| other.field == finding.field && other.object == finding.object);
        let messages: Vec<&str> =
            at_field.filter(|it| it.code != "field-invalid").map(|it| it.message.as_str()).collect();
        assert_eq!(messages, [finding.message.as_str()], "{written}: each is told once\n{all:?}");
    }
}

#[test]
fn rows_say_something_and_no_two_the_same_place() {
    let mut places = BTreeSet::new();
    for row in ROWS {
        assert!(!row.words.is_empty() && !row.advice.is_empty());
        let place = match row.place {
            Place::Object => "",
            Place::Field(path, _) | Place::PodField(path, _) | Place::Annotation(path, _) => path,
        };
        for kind in row.kinds {
            assert!(crate::kind_named(kind).is_some(), "{kind}");
            assert!(places.insert((kind, place)), "{kind} {place}");
        }
    }
}

#[test]
fn what_follows_from_another_object_does_not_ask_itself_and_nothing_is_nothing() {
    let pod = |metadata: Value, context: Value| {
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"securityContext": context, "containers": [{"securityContext": {}}]}});
        let objects: Objects = [Object::from_value(value).unwrap()].into_iter().collect();
        all(&objects, &Defaults::default()).len()
    };
    assert_eq!(pod(json!({"name": "a"}), json!({"runAsNonRoot": true})), 1);
    assert_eq!(pod(json!({"name": "a"}), json!({})), 0);
    let owned = json!({"name": "a", "ownerReferences": [{"kind": "ReplicaSet", "name": "b"}]});
    assert_eq!(pod(owned, json!({"runAsNonRoot": true})), 0);
}

#[test]
fn on_a_public_address_nothing_is_served_that_asks_for_protection_in_vain() {
    let text = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: guarded, annotations: {alb.ingress.kubernetes.io/wafv2-acl-name: a}}
spec: {ingressClassName: alb}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: open}
spec: {ingressClassName: alb}
---
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: iris}
spec: {predictor: {securityContext: {runAsUser: 1}, sklearn: {storageUri: m.pkl}}}
";
    let objects: Objects = read("f.yaml", text).objects.into_iter().collect();
    let served = |exposure| {
        let compiled = crate::compile(&objects, &with(exposure));
        let balancers = compiled.plan.load_balancers.iter().map(|it| it.id.clone());
        balancers.chain(compiled.routes.iter().map(|route| route.object.to_string())).collect::<Vec<_>>()
    };
    let all = [
        "gateway:knative-serving/kourier",
        "ingress:default/guarded",
        "ingress:default/open",
        "InferenceService default/iris",
    ];
    assert_eq!(served(Exposure::Loopback), all);
    assert_eq!(served(Exposure::PublicUnprotected), all);
    assert_eq!(served(Exposure::Public), ["ingress:default/open"]);
}
