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
    told_with(manifests, status, Vec::new(), "")
}

/// The same with other objects that are there, and with versions of objects from before.
fn told_with(manifests: &str, status: &Value, others: Vec<Object>, earlier: &str) -> String {
    let earlier: Objects = manifest::read("e.yaml", earlier).objects.into_iter().collect();
    let files: Objects = manifest::read("f.yaml", manifests).objects.into_iter().collect();
    let mut objects: Objects = manifest::read("f.yaml", manifests).objects.into_iter().collect();
    let deployments: Vec<_> = objects.of_kind("Deployment").cloned().collect();
    for deployment in deployments {
        let mut deployment = Object::clone(&deployment);
        deployment.value["status"] = status.clone();
        objects.insert(deployment);
    }
    others.into_iter().for_each(|object| drop(objects.insert(object)));
    let defaults = Defaults::default();
    let (compiled, findings) = (
        manifest::compile(&objects, &defaults),
        manifest::findings(&objects, &defaults, jiff::Timestamp::UNIX_EPOCH),
    );
    let observed = Observed::default();
    let (plan, observed) = (&compiled.plan, &observed);
    let written = Written { findings, files, ..Written::default() };
    let world =
        World { objects: &objects, plan, observed, written: &written, earlier: &earlier, showable: &[] };
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
        Progress::Ready | Progress::ReadyAsBefore(_) => "ready",
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
    ] {
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
    let (compiled, findings) = (
        manifest::compile(&objects, &defaults),
        manifest::findings(&objects, &defaults, jiff::Timestamp::UNIX_EPOCH),
    );
    let balancer = &compiled.plan.load_balancers[0];
    let mut observed = Observed::default();
    let key = TargetKey {
        load_balancer: balancer.id.clone(),
        target_group: balancer.target_groups[0].key.clone(),
        address: "127.0.0.1:9000".parse().unwrap(),
    };
    let health = TargetHealth {
        state: TargetState::Healthy,
        reason: None,
        description: String::new(),
        in_flight: 0,
        rest: None,
    };
    observed.targets.insert(key, health);
    let listener = ListenerKey { load_balancer: balancer.id.clone(), port: 80 };
    observed.listeners.insert(listener, ListenerState::Open);
    let (plan, earlier) = (&compiled.plan, &Objects::default());
    let written = Written { findings, ..Written::default() };
    let world =
        World { objects: &objects, plan, observed: &observed, written: &written, earlier, showable: &[] };
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

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

/// The pod of the Deployment, which runs and is not ready, and what was told of it so often.
fn unhealthy(probe: &Value, message: &str, count: u32) -> Vec<Object> {
    let mut container = probe.clone();
    container["name"] = json!("main");
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "api-1", "namespace": "default", "labels": {"app": "api"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "api-1"}]},
        "spec": {"containers": [container]},
        "status": {"containerStatuses": [{"name": "main", "ready": false,
            "state": {"running": {"startedAt": "2026-11-30T12:00:00Z"}}}]}});
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "api-1"}, "reason": "Unhealthy", "message": message,
        "count": count, "lastTimestamp": "2026-11-30T12:00:01Z"});
    vec![object(pod), object(event)]
}

#[test]
fn a_probe_that_is_answered_404_is_told_with_its_place_and_the_paths_that_answer() {
    let probe = json!({"readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}});
    let text = GOOD
        .replace("image: forebay,", "image: forebay, readinessProbe: {httpGet: {path: /ready, port: 8080}},");
    let of = |message: &str, count| told_with(&text, &json!({}), unhealthy(&probe, message, count), "");
    let unknown = "Readiness probe failed: HTTP probe failed with statuscode: 404";
    assert_eq!(
        of(unknown, 3),
        "Service doubtful the readiness probe is answered 404 at `/ready`, so no replica gets traffic f.yaml:8:81\ncomplete"
    );
    for (message, count) in [
        (unknown, 2),
        ("Readiness probe failed: HTTP probe failed with statuscode: 503", 9),
        ("Liveness probe failed: HTTP probe failed with statuscode: 404", 3),
    ] {
        assert!(of(message, count).starts_with("Service starting waiting for targets"), "{message} {count}");
    }
    let refused =
        "Readiness probe failed: Get \"http://127.78.0.1:8080/ready\": Connection refused (os error 111)";
    let told = of(refused, 3);
    assert!(told.starts_with("Service doubtful the readiness probe finds nobody at port 8080"), "{told}");
    assert!(told.contains(" f.yaml:8:"), "{told}");
    let told = of(&format!("{refused}; the process listens at 127.0.0.1:8080"), 3);
    assert!(told.contains("though the process listens at 127.0.0.1:8080 only"), "{told}");
}

#[test]
fn a_deployment_whose_last_good_version_runs_is_ready_and_says_which() {
    let broken = GOOD.replace("image: forebay", "image: nginx");
    let alone = |text: &str| text.split("---").next().unwrap().to_owned();
    let told = told_with(&alone(&broken), &available(), Vec::new(), &alone(GOOD));
    let sentence =
        "Deployment ready this version cannot be used, so the last good one goes on: image `nginx`";
    assert!(told.starts_with(sentence), "{told}");
    let starting = told_with(&broken, &json!({}), Vec::new(), &alone(GOOD));
    assert!(starting.starts_with("Service starting waiting for targets"), "{starting}");
}

#[test]
fn a_service_is_waited_for_whose_pods_have_the_labels_of_the_last_good_version() {
    let broken = GOOD
        .replace("image: forebay", "image: nginx")
        .replace("metadata: {labels: {app: api}}", "metadata: {labels: {app: web}}");
    let told = told_with(&broken, &json!({}), Vec::new(), GOOD.split("---").next().unwrap());
    assert!(told.starts_with("Service starting waiting for targets"), "{told}");
}

#[test]
fn a_gateway_whose_port_is_taken_is_told_with_the_address_and_the_fix() {
    let text = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: iris}\nspec: {predictor: {sklearn: {storageUri: m.pkl}}}\n";
    let objects: Objects = manifest::read("f.yaml", text).objects.into_iter().collect();
    let plan = manifest::compile(&objects, &Defaults::default()).plan;
    let gateway = &plan.load_balancers[0];
    let listener = ListenerKey { load_balancer: gateway.id.clone(), port: 80 };
    let mut observed = Observed::default();
    let problem = "0.0.0.0:80 is in use by `nginx` (pid 7)".to_owned();
    observed.listeners.insert(listener, ListenerState::Failed(problem));
    let (written, earlier) = (&Written::default(), &Objects::default());
    let world =
        World { objects: &objects, plan: &plan, observed: &observed, written, earlier, showable: &[] };
    let service = objects.of_kind("InferenceService").next().unwrap();
    let progress = world.of_inference_service(service, Some(gateway));
    let Progress::Cannot(cause) = progress else { panic!("{progress:?}") };
    assert_eq!(cause.reason, "port 80: 0.0.0.0:80 is in use by `nginx` (pid 7)");
    assert_eq!(cause.fix.as_deref(), Some("end the process that has the port, or leave --public out"));
}

#[test]
fn a_container_that_ends_again_and_again_says_how_it_ended() {
    for (terminated, how) in [
        (
            json!({"exitCode": 3, "reason": "Error", "message": "no model"}),
            "CrashLoopBackOff (exit code 3): no model",
        ),
        (
            json!({"exitCode": 137, "signal": 9, "reason": "OOMKilled", "message": "m"}),
            "CrashLoopBackOff (OOMKilled, signal 9): m",
        ),
        (json!({"exitCode": 0, "reason": "Completed"}), "CrashLoopBackOff (exit code 0): back-off 10s"),
    ] {
        let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "api-1"},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                "lastState": {"terminated": terminated}}]}}));
        assert_eq!(failure_of_pod(&pod).unwrap(), format!("Pod default/api-1: {how}"));
    }
}

#[test]
fn what_was_refused_and_never_was_there_is_told_as_failed() {
    let files = manifest::read("f.yaml", &GOOD.replace("  selector", "  replicas: two\n  selector")).objects;
    let refused = files[0].reference();
    let finding = Finding::new(&codes::FIELD_INVALID, "no number").at(&files[0], "spec.replicas");
    let written = Written { findings: vec![finding], refused: [refused].into(), ..Written::default() };
    let (objects, observed) = (Objects::default(), Observed::default());
    let world = World {
        objects: &objects,
        plan: &Plan::default(),
        observed: &observed,
        written: &written,
        earlier: &objects,
        showable: &[],
    };
    let alone = world.workloads_alone();
    assert_eq!(line(&alone[0].object.kind, &alone[0].progress), "Deployment cannot no number f.yaml:5:3");
}
