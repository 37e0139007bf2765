use manifest::Defaults;
use plan::health::TargetHealth;
use plan::{ListenerKey, TargetKey};
use serde_json::json;

use super::*;

const GOOD: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: main, image: forebay, args: [serve, m.pkl], ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec:
  type: LoadBalancer
  selector: {app: api}
  ports: [{port: 80, targetPort: http}]
";

/// How far the Service and what stands alone is, in words.
fn told(manifests: &str, status: &Value) -> String {
    let mut objects: Objects = manifest::read("f.yaml", manifests).objects.into_iter().collect();
    let deployments: Vec<_> = objects.of_kind("Deployment").cloned().collect();
    for deployment in deployments {
        let mut deployment = Object::clone(&deployment);
        deployment.value["status"] = status.clone();
        objects.insert(deployment);
    }
    let defaults = Defaults::default();
    let (compiled, findings) =
        (manifest::compile(&objects, &defaults), manifest::findings(&objects, &defaults));
    let observed = Observed::default();
    let world = World { objects: &objects, plan: &compiled.plan, observed: &observed, findings: &findings };
    let mut lines = Vec::new();
    if let Some(service) = objects.get("Service", "default", "api") {
        let source = service.reference();
        let balancer = compiled.plan.load_balancers.iter().find(|it| it.sources.contains(&source));
        lines.push(line("Service", &world.of_balanced(service, balancer)));
    }
    lines.extend(world.workloads_alone().iter().map(|it| line(&it.object.kind, &it.progress)));
    lines.push(if world.is_complete() { "complete" } else { "incomplete" }.to_owned());
    lines.join("\n")
}

fn line(kind: &str, progress: &Progress) -> String {
    let word = match progress {
        Progress::Ready => "ready",
        Progress::Starting(_) => "starting",
        Progress::Doubtful(_) => "doubtful",
        Progress::Cannot(_) => "cannot",
    };
    let place = progress.cause().and_then(|cause| cause.place.clone()).unwrap_or_default();
    format!("{kind} {word} {} {place}", progress.message()).trim_end().to_owned()
}

fn available() -> Value {
    json!({"availableReplicas": 1})
}

#[test]
fn what_is_good_is_waited_for_and_alone_it_is_ready_when_it_runs() {
    assert_eq!(told(GOOD, &json!({})), "Service starting waiting for targets\nincomplete");
    assert_eq!(told(GOOD, &available()), "Service starting waiting for targets\ncomplete");
    let alone = GOOD.split("---").next().unwrap();
    assert_eq!(told(alone, &available()), "Deployment ready\ncomplete");
    assert_eq!(told(alone, &json!({})), "Deployment starting 0 of 1 replicas are available\nincomplete");
    assert_eq!(told("", &json!({})), "complete", "where there is nothing, nothing is waited for");
}

#[test]
fn what_cannot_come_says_why_and_where_and_is_not_waited_for() {
    for (right, wrong, expected) in [
        (
            "image: forebay",
            "image: nginx",
            "Service cannot image `nginx` cannot be run here: no image is pulled on one machine f.yaml:8:38\ncomplete",
        ),
        (
            "  selector: {app: api}\n  ports",
            "  selector: {app: apis}\n  ports",
            "Service cannot the selector matches no pods f.yaml:15:3\nDeployment starting 0 of 1 replicas are available\nincomplete",
        ),
        (
            "targetPort: http",
            "targetPort: htpp",
            "Service doubtful targetPort `htpp`: no container of the selected pods has this port f.yaml:16:22\nincomplete",
        ),
        ("type: LoadBalancer", "type: LoadBalancer, loadBalancerClass: eks.amazonaws.com/nlb", ""),
    ] {
        if expected.is_empty() {
            let text = GOOD.replace(
                "  type: LoadBalancer\n",
                "  type: LoadBalancer\n  loadBalancerClass: eks.amazonaws.com/nlb\n",
            );
            let told = told(&text, &available());
            assert!(told.starts_with("Service cannot its class `eks.amazonaws.com/nlb`"), "{told}");
            assert!(told.contains("Deployment ready"), "{told}");
            continue;
        }
        assert_eq!(told(&GOOD.replace(right, wrong), &json!({})), expected, "{wrong}");
    }
}

#[test]
fn one_service_that_may_still_come_is_waited_for() {
    let text = GOOD.replace("image: forebay,", "image: forebay, readinessProbe: {httpGet: {port: 9090}},");
    assert!(
        told(&text, &json!({})).starts_with("Service doubtful the probe asks port 9090"),
        "{}",
        told(&text, &json!({}))
    );
    let second = "\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: second}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: main, image: nginx}]}
";
    let both = told(&format!("{GOOD}{second}"), &json!({}));
    assert!(both.starts_with("Service starting waiting for targets"), "{both}");
}

#[test]
fn what_answers_is_ready_whatever_was_found() {
    let text = GOOD.replace("targetPort: http", "targetPort: 9000");
    let objects: Objects = manifest::read("f.yaml", &text).objects.into_iter().collect();
    let defaults = Defaults::default();
    let (compiled, findings) =
        (manifest::compile(&objects, &defaults), manifest::findings(&objects, &defaults));
    let balancer = &compiled.plan.load_balancers[0];
    let mut observed = Observed::default();
    let key = TargetKey {
        load_balancer: balancer.id.clone(),
        target_group: balancer.target_groups[0].key.clone(),
        address: "127.0.0.1:9000".parse().unwrap(),
    };
    let health =
        TargetHealth { state: TargetState::Healthy, reason: None, description: String::new(), in_flight: 0 };
    observed.targets.insert(key, health);
    let listener = ListenerKey { load_balancer: balancer.id.clone(), port: 80 };
    observed.listeners.insert(listener, ListenerState::Open);
    let world = World { objects: &objects, plan: &compiled.plan, observed: &observed, findings: &findings };
    let service = objects.get("Service", "default", "api").unwrap();
    assert_eq!(world.of_balanced(service, Some(balancer)), Progress::Ready);
}

#[test]
fn only_the_last_outcome_of_a_load_balancer_is_told() {
    let event = |name: &str, reason: &str, revision: u32| {
        let involved = json!({"kind": "Ingress", "name": "a"});
        let metadata = json!({"name": name, "namespace": "default", "resourceVersion": revision.to_string()});
        let value = json!({"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": involved,
            "reason": reason, "message": "listen-ports: not JSON"});
        Object::from_value(value).unwrap()
    };
    let source = ObjectRef::new("Ingress", "default", "a");
    let failed = event("b", "FailedBuildModel", 9);
    let told = |events: Vec<Object>| failure_event(&Objects::from_iter(events), &source);
    assert_eq!(told(vec![failed.clone()]).as_deref(), Some("listen-ports: not JSON"));
    assert_eq!(told(vec![failed.clone(), event("a", "SuccessfullyReconciled", 10)]), None);
    assert!(told(vec![failed, event("a", "SuccessfullyReconciled", 8)]).is_some());
}
