//! The status of InferenceServices, from the objects that they stand for. Pure.

use jiff::Timestamp;
use manifest::{Object, Objects, Route};
use serde_json::{Value, json};

use crate::conditions::{self, Condition};
use crate::events::Event;
use crate::store::metadata;

/// The annotation with the number of a Deployment's version.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// KServe's reason for a model that is there and cannot be loaded, or is not there.
const MODEL_LOAD_FAILED: &str = "ModelLoadFailed";
const DEPLOYMENT_MODE: &str = "serving.kserve.io/deploymentMode";

/// What is known of an InferenceService's predictor.
#[derive(Debug, Default)]
struct Predictor {
    is_available: bool,
    latest_created: Option<String>,
    latest_ready: Option<String>,
    n_copies: u64,
    failures: Vec<Value>,
}

/// The status of an InferenceService. `is_open`: the load balancer that its route is on can be reached.
pub(super) fn status(
    object: &Object,
    route: Option<&Route>,
    is_open: bool,
    objects: &Objects,
    now: Timestamp,
) -> Value {
    let predictor = Predictor::of(object, objects);
    let now = metadata::time(now);
    let before = &object.value["status"];
    let mut status = json!({
        "observedGeneration": object.value["metadata"]["generation"],
        "deploymentMode": object.annotation(DEPLOYMENT_MODE).unwrap_or("Knative"),
        "conditions": conditions::list(&conditions(object, &predictor, route, is_open), &before["conditions"], &now),
        "components": {"predictor": component(object, &predictor, route)},
        "modelStatus": model_status(&predictor, &before["modelStatus"], &now),
    });
    if let Some(route) = route {
        status["url"] = json!(route.url);
        let inside = format!("http://{}.{}.svc.cluster.local", object.name, object.namespace);
        status["address"] = json!({"url": inside});
    }
    status
}

/// What to tell of an InferenceService whose status becomes another: that it is ready or no longer, that a model failed.
pub(super) fn news(object: &Object, status: &Value) -> Vec<Event> {
    let before = &object.value["status"];
    let mut news = Vec::new();
    let name = &object.name;
    match (conditions::holds(before, "Ready"), conditions::holds(status, "Ready")) {
        (false, true) => {
            let message = format!("InferenceService [{name}] is Ready");
            news.push(Event::normal("InferenceServiceReady", message));
        }
        (true, false) => {
            let message = format!("InferenceService [{name}] is no longer Ready");
            news.push(Event::warning("InferenceServiceNotReady", message));
        }
        _ => {}
    }
    let failure = |status: &Value| {
        let message = &status["modelStatus"]["lastFailureInfo"]["message"];
        message.as_str().map(ToOwned::to_owned)
    };
    if let Some(message) = failure(status).filter(|message| failure(before).as_ref() != Some(message)) {
        news.push(Event::warning(MODEL_LOAD_FAILED, message));
    }
    news
}

/// Components that KServe runs beside the predictor and that are not run here: the field, the condition, what follows, and
/// whether the service is not ready without it.
const NOT_RUN: &[(&str, &str, &str, bool)] = &[
    (
        "transformer",
        "TransformerReady",
        "no transformer is run in this build, and requests would reach the model untransformed",
        true,
    ),
    (
        "explainer",
        "ExplainerReady",
        "no explainer is run in this build; predictions are answered without it",
        false,
    ),
];
/// The reason of their conditions.
const NOT_RUN_HERE: &str = "NotRunHere";

fn conditions(
    object: &Object,
    predictor: &Predictor,
    route: Option<&Route>,
    is_open: bool,
) -> Vec<Condition> {
    let spec = &object.value["spec"];
    let missing: Vec<_> = NOT_RUN.iter().filter(|(field, ..)| !spec[*field].is_null()).collect();
    let needed = missing.iter().find(|(.., is_needed)| *is_needed);
    let is_reachable = route.is_some() && is_open;
    let why_not = match (route, is_open) {
        (None, _) => ("NoRoute", "it has no host: see its Events"),
        (Some(_), false) => ("LoadBalancerNotReady", "its load balancer is not open yet"),
        (Some(_), true) => ("", ""),
    };
    let reachable = |kind| Condition::new(kind, is_reachable).because(why_not.0, why_not.1);
    let available = |kind| {
        let failure =
            predictor.failures.first().map(|failure| failure["message"].as_str().unwrap_or_default());
        match (predictor.is_available, failure) {
            (true, _) => Condition::new(kind, true),
            (false, Some(message)) => Condition::new(kind, false).because(MODEL_LOAD_FAILED, message),
            (false, None) => Condition::new(kind, false).because("NotReady", "no replica is ready yet"),
        }
    };
    let ready = match (predictor.is_available, is_reachable) {
        (true, true) => Condition::new("Ready", true),
        (false, _) => Condition { kind: "Ready", ..available("PredictorReady") },
        (true, false) => Condition { kind: "Ready", ..reachable("IngressReady") },
    };
    let ready = match needed {
        Some((_, _, message, _)) => Condition::new("Ready", false).because(NOT_RUN_HERE, *message),
        None => ready,
    };
    let is_latest = predictor.latest_ready.is_some() && predictor.latest_ready == predictor.latest_created;
    let mut all = vec![
        reachable("IngressReady"),
        Condition::new("LatestDeploymentReady", is_latest),
        available("PredictorReady"),
        reachable("PredictorRouteReady"),
        ready,
        reachable("RoutesReady"),
    ];
    let of_missing = missing
        .iter()
        .map(|(_, condition, message, _)| Condition::new(condition, false).because(NOT_RUN_HERE, *message));
    all.extend(of_missing);
    all
}

fn component(object: &Object, predictor: &Predictor, route: Option<&Route>) -> Value {
    let mut component = json!({});
    if let Some(created) = &predictor.latest_created {
        component["latestCreatedRevision"] = json!(created);
    }
    if let Some(ready) = &predictor.latest_ready {
        component["latestReadyRevision"] = json!(ready);
        component["latestRolledoutRevision"] = json!(ready);
        component["traffic"] = json!([{"revisionName": ready, "latestRevision": true, "percent": 100}]);
    }
    let rest = route.and_then(|route| route.url.strip_prefix("http://")?.strip_prefix(object.name.as_str()));
    if let Some(rest) = rest {
        component["url"] = json!(format!("http://{}-predictor-default{rest}", object.name));
    }
    component
}

fn model_status(predictor: &Predictor, before: &Value, now: &str) -> Value {
    let failure = predictor.failures.first();
    let (transition, target) = match (failure, predictor.is_available) {
        (Some(_), _) => ("BlockedByFailedLoad", "FailedToLoad"),
        (None, true) => ("UpToDate", "Loaded"),
        (None, false) => ("InProgress", "Loading"),
    };
    let active = if predictor.latest_ready.is_some() { "Loaded" } else { "" };
    let mut status = json!({
        "transitionStatus": transition,
        "states": {"activeModelState": active, "targetModelState": target},
        "copies": {"totalCopies": predictor.n_copies, "failedCopies": predictor.failures.len()},
    });
    if let Some(failure) = failure {
        let is_same = before["lastFailureInfo"]["message"] == failure["message"];
        let time = Some(&before["lastFailureInfo"]["time"]).filter(|time| is_same && time.is_string());
        status["lastFailureInfo"] = failure.clone();
        status["lastFailureInfo"]["time"] = time.cloned().unwrap_or_else(|| json!(now));
    }
    status
}

impl Predictor {
    fn of(object: &Object, objects: &Objects) -> Self {
        let deployment = objects.of_kind("Deployment").find(|deployment| is_owned(deployment, object));
        let Some(deployment) = deployment else { return Self::default() };
        let revision = |object: &Object| {
            let number: u64 = object.annotation(REVISION)?.parse().ok()?;
            Some((number, format!("{}-{number:05}", deployment.name)))
        };
        let sets: Vec<_> = objects.of_kind("ReplicaSet").filter(|set| is_owned(set, deployment)).collect();
        let ready = sets.iter().filter(|set| set.value["status"]["readyReplicas"].as_u64() > Some(0));
        let pods = || {
            let owned = |pod: &&std::sync::Arc<Object>| sets.iter().any(|set| is_owned(pod, set));
            objects.of_kind("Pod").filter(owned).filter(|pod| metadata::deletion(pod).is_none())
        };
        Self {
            is_available: conditions::holds(&deployment.value["status"], "Available"),
            latest_created: revision(deployment).map(|(_, name)| name),
            latest_ready: ready.filter_map(|set| revision(set)).max().map(|(_, name)| name),
            n_copies: u64::try_from(pods().count()).unwrap_or(u64::MAX),
            failures: pods().filter_map(|pod| failure(pod)).collect(),
        }
    }
}

fn is_owned(object: &Object, owner: &Object) -> bool {
    let owners = object.value["metadata"]["ownerReferences"].as_array();
    object.namespace == owner.namespace
        && owners.into_iter().flatten().any(|reference| {
            reference["controller"] == true
                && reference["kind"] == owner.kind.kind
                && reference["name"] == owner.name.as_str()
        })
}

/// Why a pod could not load its model. One that merely was killed is started again and has not failed.
fn failure(pod: &Object) -> Option<Value> {
    let containers = pod.value["status"]["containerStatuses"].as_array()?;
    let failed =
        containers.iter().find(|container| container["state"]["waiting"]["reason"] == "CrashLoopBackOff")?;
    let last = &failed["lastState"]["terminated"];
    let exit_code = last["exitCode"].as_i64().unwrap_or_default();
    let said = last["message"].as_str().filter(|message| !message.is_empty());
    let message =
        said.map_or_else(|| format!("the replica ended with exit code {exit_code}"), ToOwned::to_owned);
    Some(json!({
        "reason": MODEL_LOAD_FAILED,
        "location": pod.name,
        "message": message,
        "exitCode": exit_code,
        "modelRevisionName": "",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::ObjectRef;

    fn owned(kind: &str, name: &str, owner: (&str, &str), rest: &Value) -> Object {
        let known = manifest::kind_named(kind).unwrap();
        let owners = json!([{"kind": owner.0, "name": owner.1, "controller": true}]);
        let mut value = json!({"apiVersion": known.api_version(), "kind": kind,
            "metadata": {"name": name, "namespace": "staging", "ownerReferences": owners}});
        crate::store::merge_patch(&mut value, rest);
        Object::from_value(value).unwrap()
    }

    fn iris() -> Object {
        let value = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": "iris", "namespace": "staging", "generation": 2}});
        Object::from_value(value).unwrap()
    }

    fn route() -> Route {
        Route {
            object: ObjectRef::new("InferenceService", "staging", "iris"),
            hosts: vec!["iris.staging.example.com".to_owned()],
            url: "http://iris.staging.example.com".to_owned(),
            load_balancer: plan::LoadBalancerId::gateway("knative-serving", "kourier"),
        }
    }

    /// A predictor whose first version is ready, and whose second is in a state.
    fn world(is_available: bool, pod_status: &Value) -> Objects {
        let available = if is_available { "True" } else { "False" };
        let revision = |n: &str| json!({"metadata": {"annotations": {REVISION: n}}});
        let mut deployment = revision("2");
        deployment["status"] = json!({"conditions": [{"type": "Available", "status": available}]});
        let mut old = revision("1");
        old["status"] = json!({"readyReplicas": u32::from(is_available)});
        let mut new = revision("2");
        new["status"] = json!({"readyReplicas": 0});
        let name = "iris-predictor-default";
        [
            owned("Deployment", name, ("InferenceService", "iris"), &deployment),
            owned("ReplicaSet", "old", ("Deployment", name), &old),
            owned("ReplicaSet", "new", ("Deployment", name), &new),
            owned("Pod", "new-1", ("ReplicaSet", "new"), &json!({"status": pod_status})),
        ]
        .into_iter()
        .collect()
    }

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn acc_s0_25_acc_s0_26_a_ready_service_has_a_url_and_its_columns() {
        let status = status(&iris(), Some(&route()), true, &world(true, &json!({})), now());
        assert!(conditions::holds(&status, "Ready"));
        assert_eq!(status["url"], "http://iris.staging.example.com");
        assert_eq!(status["address"]["url"], "http://iris.staging.svc.cluster.local");
        assert_eq!(status["observedGeneration"], 2);
        let predictor = &status["components"]["predictor"];
        assert_eq!(predictor["latestCreatedRevision"], "iris-predictor-default-00002");
        assert_eq!(predictor["latestReadyRevision"], "iris-predictor-default-00001");
        assert_eq!(predictor["traffic"][0]["percent"], 100);
        assert_eq!(predictor["url"], "http://iris-predictor-default.staging.example.com");
        assert_eq!(status["modelStatus"]["transitionStatus"], "UpToDate");
        assert_eq!(news(&iris(), &status)[0].reason, "InferenceServiceReady");
    }

    #[test]
    fn a_model_that_cannot_be_loaded_says_why() {
        let pod = json!({"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 1, "message": "`model.pkl` is not a model"}}}]});
        let status = status(&iris(), Some(&route()), true, &world(false, &pod), now());
        assert!(!conditions::holds(&status, "Ready"));
        let failure = &status["modelStatus"]["lastFailureInfo"];
        assert_eq!((&failure["reason"], &failure["exitCode"]), (&json!("ModelLoadFailed"), &json!(1)));
        assert_eq!(failure["message"], "`model.pkl` is not a model");
        assert_eq!(status["modelStatus"]["states"]["targetModelState"], "FailedToLoad");
        assert_eq!(status["modelStatus"]["copies"], json!({"totalCopies": 1, "failedCopies": 1}));
        let ready = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
        assert_eq!((&ready["reason"], &ready["message"]), (&json!("ModelLoadFailed"), &failure["message"]));
        let told = Event::warning("ModelLoadFailed", "`model.pkl` is not a model");
        assert_eq!(news(&iris(), &status), [told]);
        let mut knowing = iris();
        knowing.value["status"] = status.clone();
        assert!(news(&knowing, &status).is_empty());
    }

    #[test]
    fn a_service_whose_load_balancer_is_closed_is_not_ready() {
        let status = status(&iris(), Some(&route()), false, &world(true, &json!({})), now());
        assert!(conditions::holds(&status, "PredictorReady"));
        assert!(!conditions::holds(&status, "IngressReady") && !conditions::holds(&status, "Ready"));
    }

    #[test]
    fn what_is_asked_for_beside_the_predictor_and_not_run_is_said() {
        let with = |field: &str| {
            let mut object = iris();
            object.value["spec"][field] = json!({"containers": [{"name": "a"}]});
            status(&object, Some(&route()), true, &world(true, &json!({})), now())
        };
        let explained = with("explainer");
        assert!(conditions::holds(&explained, "Ready") && !conditions::holds(&explained, "ExplainerReady"));
        let transformed = with("transformer");
        assert!(
            !conditions::holds(&transformed, "Ready") && !conditions::holds(&transformed, "TransformerReady")
        );
        let conditions = transformed["conditions"].as_array().unwrap();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready").unwrap();
        assert_eq!(ready["reason"], "NotRunHere");
        assert!(ready["message"].as_str().unwrap().contains("untransformed"));
    }

    #[test]
    fn a_service_without_anything_is_in_progress() {
        let status = status(&iris(), None, false, &Objects::default(), now());
        assert!(!conditions::holds(&status, "Ready"));
        assert_eq!(status.get("url"), None);
        assert_eq!(status["modelStatus"]["transitionStatus"], "InProgress");
        assert!(news(&iris(), &status).is_empty());
    }
}
