use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::{Exposure, KINDS, findings, read};

/// One object for each row of the table, in its order: what asks, and the place where it does.
const ASKING: &[(&str, &str)] = &[
    ("kind: Pod, apiVersion: v1, spec: {securityContext: {runAsUser: 1}}", "spec.securityContext"),
    (
        "kind: Deployment, apiVersion: apps/v1, spec: {template: {spec: {containers: [{}, {securityContext: {privileged: true}}]}}}",
        "spec.template.spec.containers[1].securityContext",
    ),
    ("kind: Pod, apiVersion: v1, spec: {runtimeClassName: gvisor}", "spec.runtimeClassName"),
    ("kind: Pod, apiVersion: v1, spec: {hostUsers: false}", "spec.hostUsers"),
    (
        "kind: Namespace, apiVersion: v1, metadata: {name: a, labels: {pod-security.kubernetes.io/audit: baseline}}",
        "metadata.labels[\"pod-security.kubernetes.io/audit\"]",
    ),
    (
        "kind: Namespace, apiVersion: v1, metadata: {name: a, labels: {istio-injection: enabled}}",
        "metadata.labels.istio-injection",
    ),
    (
        "kind: Namespace, apiVersion: v1, metadata: {name: a, labels: {istio.io/rev: stable}}",
        "metadata.labels[\"istio.io/rev\"]",
    ),
    ("eks.amazonaws.com/role-arn: arn:a", "ServiceAccount"),
    ("iam.gke.io/gcp-service-account: a@b", "ServiceAccount"),
    (
        "kind: InferenceService, apiVersion: serving.kserve.io/v1beta1, spec: {predictor: {serviceAccountName: a}}",
        "spec.predictor.serviceAccountName",
    ),
    ("kind: Pod, apiVersion: v1, spec: {nodeSelector: {pool: gpu}}", "spec.nodeSelector"),
    ("kind: Pod, apiVersion: v1, spec: {affinity: {nodeAffinity: {x: [1]}}}", "spec.affinity.nodeAffinity"),
    (
        "kind: Pod, apiVersion: v1, spec: {affinity: {podAntiAffinity: {x: [1]}}}",
        "spec.affinity.podAntiAffinity",
    ),
    (
        "kind: Pod, apiVersion: v1, spec: {topologySpreadConstraints: [{maxSkew: 1}]}",
        "spec.topologySpreadConstraints",
    ),
    ("kind: Pod, apiVersion: v1, spec: {priorityClassName: high}", "spec.priorityClassName"),
    ("kind: Job, apiVersion: batch/v1, spec: {backoffLimitPerIndex: 1}", "spec.backoffLimitPerIndex"),
    ("kind: Job, apiVersion: batch/v1, spec: {maxFailedIndexes: 1}", "spec.maxFailedIndexes"),
    (
        "kind: Job, apiVersion: batch/v1, spec: {successPolicy: {rules: [{succeededCount: 1}]}}",
        "spec.successPolicy",
    ),
    ("kind: StatefulSet, apiVersion: apps/v1, spec: {serviceName: db}", "spec.serviceName"),
    (
        "kind: StatefulSet, apiVersion: apps/v1, spec: {volumeClaimTemplates: [{spec: {accessModes: [a]}}]}",
        "spec.volumeClaimTemplates",
    ),
    ("kind: Pod, apiVersion: v1, spec: {hostAliases: [{ip: 127.0.0.1}]}", "spec.hostAliases"),
    ("kind: Pod, apiVersion: v1, spec: {dnsConfig: {searches: [a]}}", "spec.dnsConfig"),
    (
        "kind: Pod, apiVersion: v1, spec: {containers: [{env: [{}, {name: a, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]}]}",
        "spec.containers[0].env[1].valueFrom.resourceFieldRef",
    ),
    ("kind: Pod, apiVersion: v1, spec: {resourceClaims: [{name: gpu}]}", "spec.resourceClaims"),
    ("kind: Pod, apiVersion: v1, spec: {readinessGates: [{conditionType: a}]}", "spec.readinessGates"),
    (
        "kind: Pod, apiVersion: v1, spec: {containers: [{resources: {limits: {cpu: 1, nvidia.com/gpu: 1}}}]}",
        "spec.containers[0].resources.limits",
    ),
    ("serving.kserve.io/enable-auth: 'true'", "InferenceService"),
    ("security.opendatahub.io/enable-auth: 'true'", "InferenceService"),
    (
        "kind: InferenceService, apiVersion: serving.kserve.io/v1beta1, spec: {predictor: {scaleTarget: 10}}",
        "spec.predictor.scaleTarget",
    ),
    (
        "kind: InferenceService, apiVersion: serving.kserve.io/v1beta1, spec: {predictor: {autoScaling: {metrics: [{type: a}]}}}",
        "spec.predictor.autoScaling",
    ),
    (
        "kind: InferenceService, apiVersion: serving.kserve.io/v1beta1, spec: {predictor: {initContainers: [{name: a}]}}",
        "spec.predictor.initContainers",
    ),
    (
        "kind: InferenceService, apiVersion: serving.kserve.io/v1beta1, spec: {predictor: {timeout: 60}}",
        "spec.predictor.timeout",
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
    ("kind: Service, apiVersion: v1, spec: {externalName: example.com}", "spec.externalName"),
    ("kind: Service, apiVersion: v1, spec: {externalIPs: [192.0.2.1]}", "spec.externalIPs"),
    ("kind: Service, apiVersion: v1, spec: {ipFamilyPolicy: RequireDualStack}", "spec.ipFamilyPolicy"),
    ("service.beta.kubernetes.io/aws-load-balancer-security-groups: sg-1", "Service"),
    ("service.beta.kubernetes.io/aws-load-balancer-ip-address-type: dualstack", "Service"),
    ("alb.ingress.kubernetes.io/wafv2-acl-arn: arn:a", "Ingress"),
    ("alb.ingress.kubernetes.io/wafv2-acl-name: a", "Ingress"),
    ("alb.ingress.kubernetes.io/waf-acl-id: a", "Ingress"),
    ("alb.ingress.kubernetes.io/web-acl-id: a", "Ingress"),
    ("alb.ingress.kubernetes.io/shield-advanced-protection: 'true'", "Ingress"),
    ("alb.ingress.kubernetes.io/security-groups: sg-1", "Ingress"),
    (
        "kind: IngressClassParams, apiVersion: elbv2.k8s.aws/v1beta1, spec: {wafv2AclArn: arn:a}",
        "spec.wafv2AclArn",
    ),
    (
        "kind: IngressClassParams, apiVersion: elbv2.k8s.aws/v1beta1, spec: {wafv2AclName: a}",
        "spec.wafv2AclName",
    ),
    ("nginx.ingress.kubernetes.io/auth-type: basic", "Ingress"),
    ("nginx.ingress.kubernetes.io/auth-url: http://a", "Ingress"),
    ("nginx.ingress.kubernetes.io/auth-tls-secret: a/b", "Ingress"),
    ("nginx.ingress.kubernetes.io/whitelist-source-range: 10.0.0.0/8", "Ingress"),
    ("nginx.ingress.kubernetes.io/limit-rps: '5'", "Ingress"),
    ("nginx.ingress.kubernetes.io/enable-modsecurity: 'true'", "Ingress"),
    (
        "kind: IngressClassParams, apiVersion: elbv2.k8s.aws/v1beta1, spec: {ipAddressType: dualstack}",
        "spec.ipAddressType",
    ),
    ("alb.ingress.kubernetes.io/ip-address-type: dualstack", "Ingress"),
    (
        "kind: CustomResourceDefinition, apiVersion: apiextensions.k8s.io/v1, spec: {versions: [{schema: {x-kubernetes-validations: [{rule: a}]}}]}",
        "spec.versions[0].schema",
    ),
    (
        "kind: CustomResourceDefinition, apiVersion: apiextensions.k8s.io/v1, spec: {conversion: {strategy: Webhook}}",
        "spec.conversion.strategy",
    ),
];

/// The manifest of a row, and the field it asks at.
fn manifest(written: &str, place: &str) -> (String, Option<String>) {
    match place {
        "Ingress" | "InferenceService" | "Service" | "ServiceAccount" => {
            let api_version = crate::kind_named(place).unwrap().api_version();
            let spec = match written.split_once(": ") {
                Some((key, _)) if key.starts_with("nginx") => "{ingressClassName: alb}",
                Some((key, _)) if key.ends_with("aws-load-balancer-ip-address-type") => {
                    "{type: LoadBalancer}"
                }
                _ => "{}",
            };
            let key = written.split(": ").next().unwrap().to_owned();
            let text = format!(
                "apiVersion: {api_version}\nkind: {place}\nmetadata:\n  name: a\n  annotations:\n    {written}\nspec: {spec}\n"
            );
            (text, Some(key))
        }
        _ => {
            let field = (!place.is_empty()).then(|| place.to_owned());
            let name = if written.contains("metadata: ") { "" } else { ", metadata: {name: a}" };
            (format!("{{{written}{name}}}\n"), field)
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
        assert!(finding.message.ends_with(row.words.words), "{written}: {}", finding.message);
        assert_eq!(finding.field, field, "{written}");
        assert!(finding.location.is_some(), "{written}");
        let severity = if row.weight == Weight::Note { Severity::Info } else { Severity::Warning };
        assert_eq!(finding.severity, severity, "{written}");
        assert_eq!(told(Exposure::PublicUnprotected).severity, severity, "{written}");
        let public = told(Exposure::Public);
        let protects = row.weight == Weight::Protection;
        let expected = if protects { Severity::Error } else { severity };
        assert_eq!(public.severity, expected, "{written}");
        assert_eq!(public.suggestion.unwrap().contains("--allow-unprotected"), protects, "{written}");

        let objects: Objects = [object].into_iter().collect();
        let all = findings(&objects, &with(Exposure::Loopback), jiff::Timestamp::UNIX_EPOCH);
        let at_field =
            all.iter().filter(|other| other.field == finding.field && other.object == finding.object);
        let messages: Vec<&str> =
            at_field.filter(|it| it.code != "field-invalid").map(|it| it.message.as_str()).collect();
        assert_eq!(messages, [finding.message.as_str()], "{written}: each is told once\n{all:?}");
    }
}

#[test]
fn kinds_that_do_less_than_they_ask_for_are_told_of_each_object() {
    for kind in KINDS.iter().filter(|kind| kind.effect.is_told()) {
        let value = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": "a"}});
        let object = Object::from_value(value).unwrap();
        let found = of(&object, &with(Exposure::Public));
        let (severity, words) = match kind.effect {
            Effect::Unprotecting(words) => (Severity::Error, words),
            Effect::Lacking(words) => (Severity::Warning, words),
            Effect::Made | Effect::Kept => unreachable!("it is told of"),
        };
        assert_eq!(found[0].message, format!("{} `a`: {}", kind.kind, words.words));
        assert_eq!((found.len(), found[0].severity), (1, severity), "{kind:?}");
    }
}

#[test]
fn rows_say_something_and_no_two_the_same_place() {
    let mut places = BTreeSet::new();
    for row in ROWS {
        assert!(!row.words.words.is_empty() && !row.words.advice.is_empty());
        let place = match row.place {
            Place::Field(path, _) | Place::PodField(path, _) => path,
            Place::Label(key, _) | Place::Annotation(key, _) => key,
        };
        for kind in row.kinds {
            assert!(crate::kind_named(kind).is_some(), "{kind}");
            assert!(places.insert((*kind, place)), "{kind} {place}");
        }
        assert!(!row.kinds.is_empty() || places.insert(("", place)), "{place}");
    }
}

#[test]
fn what_follows_from_another_object_does_not_ask_itself_and_nothing_is_nothing() {
    let pod = |metadata: Value, context: Value| {
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"securityContext": context, "containers": [{"securityContext": {}}]}});
        let objects: Objects = [Object::from_value(value).unwrap()].into_iter().collect();
        all(&objects, &Defaults::default(), &Memo::default()).len()
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
        let balancers = compiled.plan.load_balancers.iter().map(|it| it.id.to_string());
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
