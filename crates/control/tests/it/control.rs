//! From manifests to replicas, a plan, statuses and Events: the whole loop, with a data plane that only says yes.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::local::{Local, LocalSettings};
use control::store::{DeleteOptions, Mode, Query, Store};
use control::{Binding, Channels, Control, Settings};
use manifest::{Objects, read};
use plan::health::{TargetHealth, TargetState};
use plan::{ListenerKey, ListenerState, LoadBalancerId, Observed, Plan, TargetKey};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::local::last_number;
use crate::machine::{ask, on_one_thread};

use crate::{PATIENCE, responder};

/// A platform that runs, and what it told its data plane.
pub(crate) struct Platform {
    pub(crate) store: Rc<Store>,
    plan: watch::Receiver<Arc<Plan>>,
    /// Ports that the data plane says it cannot open.
    taken_ports: Rc<RefCell<Vec<u16>>>,
    end: Rc<Notify>,
    ended: tokio::task::JoinHandle<()>,
}

impl Platform {
    pub(crate) async fn start(folder: &Path, settings: Settings) -> Self {
        let local = LocalSettings {
            state_folder: folder.join("state"),
            program: forebay(folder),
            node_name: "here".to_owned(),
            environment: Vec::new(),
        };
        let local = Local::open(local).await.unwrap();
        let store = local.store();
        let (plan_sender, plan) = watch::channel(Arc::new(Plan::default()));
        let (observed_sender, observed) = watch::channel(Arc::new(Observed::default()));
        let taken_ports = Rc::new(RefCell::new(Vec::new()));
        tokio::task::spawn_local(data_plane(plan.clone(), observed_sender, Rc::clone(&taken_ports)));
        let end = Rc::new(Notify::new());
        let ending = Rc::clone(&end);
        let drain = async move { ending.notified().await };
        let ended = tokio::task::spawn_local(async move {
            let channels = Channels {
                plan: plan_sender,
                keys: watch::Sender::default(),
                observed,
                challenges: watch::Sender::default().subscribe(),
            };
            Control::run(local, settings, None, channels, drain).await;
        });
        Self { store, plan, taken_ports, end, ended }
    }

    pub(crate) fn apply(&self, yaml: &str) {
        let read = read("test.yaml", yaml);
        assert!(read.findings.is_empty(), "{:?}", read.findings);
        self.store.apply(read.objects).into_iter().for_each(|applied| drop(applied.unwrap()));
    }

    pub(crate) fn delete(&self, kind: &str, name: &str) {
        let kind = manifest::kind_named(kind).unwrap();
        self.store.delete((kind, "mlops", name), &DeleteOptions::default(), Mode::Commit).unwrap();
    }

    /// Waits until objects and the plan are so.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&Objects, &Plan) -> bool,
    ) -> (Arc<Objects>, Arc<Plan>) {
        let mut revisions = self.store.revisions();
        let so = async {
            loop {
                revisions.borrow_and_update();
                let (objects, plan) = (self.store.objects(), Arc::clone(&self.plan.borrow_and_update()));
                if is_so(&objects, &plan) {
                    return (objects, plan);
                }
                tokio::select! {
                    _ = revisions.changed() => {}
                    _ = self.plan.changed() => {}
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, so).await;
        waited.unwrap_or_else(|_| panic!("never {what}: {:#?} {:#?}", self.events(), self.pods()))
    }

    fn events(&self) -> Vec<String> {
        let events = self.store.list(&Query::of("Event")).objects;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told = events.iter().map(|event| {
            let event = &event.value;
            format!(
                "{} {} {}",
                text(&event["involvedObject"]["name"]),
                text(&event["reason"]),
                text(&event["message"])
            )
        });
        told.collect()
    }

    fn pods(&self) -> Vec<Value> {
        self.store.list(&Query::of("Pod")).objects.iter().map(|pod| pod.value["status"].clone()).collect()
    }

    pub(crate) async fn stop(self) {
        self.end.notify_one();
        self.ended.await.unwrap();
    }

    /// Lets it go without a word, as when it is killed.
    pub(crate) async fn crash(self) {
        self.ended.abort();
        let _ = self.ended.await;
        // What its replicas still hold of it they let go of when they have ended.
        while Rc::strong_count(&self.store) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Opens every listener and finds every target healthy.
async fn data_plane(
    mut plan: watch::Receiver<Arc<Plan>>,
    observed: watch::Sender<Arc<Observed>>,
    taken_ports: Rc<RefCell<Vec<u16>>>,
) {
    while plan.changed().await.is_ok() {
        let plan = Arc::clone(&plan.borrow_and_update());
        let mut seen = Observed::default();
        for balancer in &plan.load_balancers {
            for listener in &balancer.listeners {
                let key = ListenerKey { load_balancer: balancer.id.clone(), port: listener.port };
                let is_taken = taken_ports.borrow().contains(&listener.port);
                let failed = ListenerState::Failed("`nginx` (pid 7) has it".to_owned());
                seen.listeners.insert(key, if is_taken { failed } else { ListenerState::Open });
            }
            for group in &balancer.target_groups {
                for target in &group.targets {
                    let key = TargetKey {
                        load_balancer: balancer.id.clone(),
                        target_group: group.key.clone(),
                        address: target.socket(),
                    };
                    let health = TargetHealth {
                        state: TargetState::Healthy,
                        reason: None,
                        description: String::new(),
                        in_flight: 0,
                        rest: None,
                    };
                    seen.targets.insert(key, health);
                }
            }
        }
        observed.send_replace(Arc::new(seen));
    }
}

/// What runs in the place of our own program: a responder, whatever it is told.
fn forebay(folder: &Path) -> PathBuf {
    let path = folder.join("forebay");
    let variables = responder::environment(Duration::ZERO);
    let variables: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let text = format!(
        "#!/bin/sh\nfor argument; do case $argument in *broken*) echo no such model; exit 1;; esac; done\n\
         exec env {} {}\n",
        variables.join(" "),
        responder::command().join(" ")
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// All targets of a plan, as `address:port`.
fn targets(plan: &Plan) -> Vec<String> {
    let groups = plan.load_balancers.iter().flat_map(|balancer| &balancer.target_groups);
    groups.flat_map(|group| &group.targets).map(|target| target.socket().to_string()).collect()
}

pub(crate) fn at<'a>(
    objects: &'a Objects,
    kind: &str,
    namespace: &str,
    name: &str,
    pointer: &str,
) -> &'a Value {
    let object = objects.get(kind, namespace, name);
    object.and_then(|object| object.value.pointer(pointer)).unwrap_or(&Value::Null)
}

const RETAIL: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: retail-api, namespace: mlops}
spec:
  replicas: 2
  selector: {matchLabels: {app: retail-api}}
  template:
    metadata: {labels: {app: retail-api}}
    spec:
      containers:
      - name: api
        image: example.com/forebay:1
        args: [serve, retail=/model]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /health, port: http}}
---
apiVersion: v1
kind: Service
metadata: {name: retail-api-svc, namespace: mlops}
spec:
  type: LoadBalancer
  selector: {app: retail-api}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: retail-api-ingress
  namespace: mlops
  annotations: {alb.ingress.kubernetes.io/target-type: ip}
spec:
  ingressClassName: alb
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: retail-api-svc, port: {number: 80}}}}]}
";

const IRIS: &str = "
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: sklearn-iris, namespace: staging}
spec:
  predictor:
    minReplicas: 2
    model: {modelFormat: {name: sklearn}, storageUri: /models/iris}
";

#[tokio::test]
async fn acc_s0_01_acc_s1_33_acc_s1_10_what_is_applied_is_reachable_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        platform.apply(RETAIL);
        let ready = |objects: &Objects, plan: &Plan| {
            let addressed = |kind, name| {
                at(objects, kind, "mlops", name, "/status/loadBalancer/ingress/0/ip").is_string()
            };
            targets(plan).len() == 4
                && addressed("Ingress", "retail-api-ingress")
                && addressed("Service", "retail-api-svc")
        };
        let (objects, plan) = platform.until("reachable", ready).await;
        for target in targets(&plan) {
            assert!(ask(target.strip_suffix(":8080").unwrap()).unwrap().starts_with("retail-api-"));
        }
        let ingress =
            at(&objects, "Ingress", "mlops", "retail-api-ingress", "/status/loadBalancer/ingress/0");
        let address =
            plan.load_balancer(&LoadBalancerId::ingress("mlops", "retail-api-ingress")).unwrap().listeners[0]
                .addresses[0];
        assert_eq!(ingress["ip"], address.ip().to_string());
        assert_eq!(ingress["hostname"], ingress["ip"]);
        assert_ne!(
            ingress["ip"],
            *at(&objects, "Service", "mlops", "retail-api-svc", "/status/loadBalancer/ingress/0/ip")
        );
        platform.until("told", |_, _| true).await;
        let told = platform.events();
        for event in [
            "retail-api-svc EnsuringLoadBalancer Ensuring load balancer",
            "retail-api-svc EnsuredLoadBalancer Ensured load balancer",
            "retail-api-ingress SuccessfullyReconciled Successfully reconciled",
        ] {
            assert!(told.contains(&event.to_owned()), "{event} in {told:#?}");
        }
        platform.stop().await;
    })
    .await;
}

#[tokio::test]
async fn acc_s0_25_acc_s0_26_acc_s0_35_an_inference_service_becomes_ready() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        platform.apply(IRIS);
        let status =
            |objects: &Objects| at(objects, "InferenceService", "staging", "sklearn-iris", "/status").clone();
        let is_ready = |objects: &Objects, plan: &Plan| {
            let conditions = status(objects)["conditions"].clone();
            let ready = json!("True");
            let conditions = conditions.as_array().into_iter().flatten();
            let mut ready = conditions.filter(|c| c["type"] == "Ready" && c["status"] == ready);
            ready.next().is_some() && targets(plan).len() == 2
        };
        let (objects, _) = platform.until("ready", is_ready).await;
        let status = status(&objects);
        assert_eq!(status["url"], "http://sklearn-iris.staging.example.com");
        let traffic = &status["components"]["predictor"]["traffic"][0];
        assert_eq!(traffic["revisionName"], "sklearn-iris-predictor-default-00001");
        assert_eq!((&traffic["latestRevision"], &traffic["percent"]), (&json!(true), &json!(100)));
        let kourier =
            at(&objects, "Service", "knative-serving", "kourier", "/status/loadBalancer/ingress/0/hostname");
        assert!(kourier.as_str().unwrap().starts_with("127.77."));
        let owner = at(
            &objects,
            "Deployment",
            "staging",
            "sklearn-iris-predictor-default",
            "/metadata/ownerReferences/0/uid",
        );
        assert_eq!(owner, at(&objects, "InferenceService", "staging", "sklearn-iris", "/metadata/uid"));

        let kind = manifest::kind_named("isvc").unwrap();
        platform
            .store
            .delete((kind, "staging", "sklearn-iris"), &DeleteOptions::default(), Mode::Commit)
            .unwrap();
        let gone = |objects: &Objects, plan: &Plan| {
            let kinds = ["Deployment", "Service", "Pod", "ReplicaSet"];
            plan.load_balancers.is_empty() && kinds.iter().all(|kind| objects.of_kind(kind).next().is_none())
        };
        platform.until("gone", gone).await;
        platform.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_told_where_people_look() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        platform.apply(&IRIS.replace("/models/iris", "/models/broken"));
        let failure = "/status/modelStatus/lastFailureInfo";
        let (objects, _) = platform
            .until("failed", |objects, _| {
                !at(objects, "InferenceService", "staging", "sklearn-iris", failure).is_null()
            })
            .await;
        let failure = at(&objects, "InferenceService", "staging", "sklearn-iris", failure);
        assert_eq!(
            (&failure["reason"], &failure["message"]),
            (&json!("ModelLoadFailed"), &json!("no such model"))
        );
        platform.stop().await;
    })
    .await;
}

#[tokio::test]
async fn f_10_a_broken_change_leaves_what_works_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        platform.apply(RETAIL);
        platform.until("reachable", |_, plan| targets(plan).len() == 4).await;
        let good = platform
            .plan
            .borrow()
            .load_balancer(&LoadBalancerId::ingress("mlops", "retail-api-ingress"))
            .cloned()
            .unwrap();

        let broken =
            "{alb.ingress.kubernetes.io/target-type: ip, alb.ingress.kubernetes.io/listen-ports: 'nonsense'}";
        platform.apply(&RETAIL.replace("{alb.ingress.kubernetes.io/target-type: ip}", broken));
        let told = |platform: &Platform| {
            let events = platform.events();
            events.iter().any(|event| event.starts_with("retail-api-ingress FailedBuildModel"))
        };
        let deadline = Instant::now() + PATIENCE;
        while !told(&platform) {
            assert!(Instant::now() < deadline, "{:#?}", platform.events());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let after = platform
            .plan
            .borrow()
            .load_balancer(&LoadBalancerId::ingress("mlops", "retail-api-ingress"))
            .cloned()
            .unwrap();
        assert_eq!(after, good);

        platform.delete("Ingress", "retail-api-ingress");
        platform
            .until("gone", |_, plan| {
                plan.load_balancer(&LoadBalancerId::ingress("mlops", "retail-api-ingress")).is_none()
            })
            .await;
        platform.stop().await;
    })
    .await;
}

#[tokio::test]
async fn acc_s1_46_acc_s0_23_a_port_that_is_taken_is_told_with_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings::default()).await;
        platform.taken_ports.borrow_mut().push(80);
        platform.apply(RETAIL);
        let is_told = |objects: &Objects, _: &Plan| {
            let events = objects.of_kind("Event");
            let reasons: Vec<_> = events.filter_map(|event| event.value["reason"].as_str()).collect();
            reasons.contains(&"FailedDeployModel") && reasons.contains(&"SyncLoadBalancerFailed")
        };
        let (objects, _) = platform.until("told", is_told).await;
        assert!(
            at(&objects, "Ingress", "mlops", "retail-api-ingress", "/status/loadBalancer/ingress").is_null()
        );
        let told = platform.events();
        let expected = "retail-api-ingress FailedDeployModel port 80: `nginx` (pid 7) has it";
        assert!(told.contains(&expected.to_owned()), "{told:#?}");
        platform.stop().await;
    })
    .await;
}

#[tokio::test]
async fn low_ports_are_shifted_where_they_may_not_be_bound() {
    let folder = tempfile::tempdir().unwrap();
    let binding = Binding { shifts_low_ports: true, ..Binding::default() };
    on_one_thread(async {
        let mut platform = Platform::start(folder.path(), Settings { binding, ..Settings::default() }).await;
        platform.apply(RETAIL);
        let port = "/status/loadBalancer/ingress/0/ports/0/port";
        let (objects, _) = platform
            .until("reachable", |objects, _| {
                !at(objects, "Service", "mlops", "retail-api-svc", port).is_null()
            })
            .await;
        assert_eq!(*at(&objects, "Service", "mlops", "retail-api-svc", port), 8080);
        platform.stop().await;
    })
    .await;
}

#[tokio::test]
async fn acc_s0_50_everything_is_back_after_a_restart_at_the_same_address() {
    let folder = tempfile::tempdir().unwrap();
    on_one_thread(async {
        let reachable = |objects: &Objects, plan: &Plan| {
            targets(plan).len() == 4
                && at(objects, "Service", "mlops", "retail-api-svc", "/status/loadBalancer/ingress/0/ip")
                    .is_string()
        };
        let address = |objects: &Objects| {
            let address =
                at(objects, "Service", "mlops", "retail-api-svc", "/status/loadBalancer/ingress/0/ip");
            // Another test may have claimed the block in the meantime; the place in the block is ours.
            last_number(address.as_str().unwrap().parse().unwrap())
        };
        let mut first = Platform::start(folder.path(), Settings::default()).await;
        first.apply(RETAIL);
        let (objects, _) = first.until("reachable", reachable).await;
        let before = address(&objects);
        first.stop().await;
        drop(objects);

        let mut second = Platform::start(folder.path(), Settings::default()).await;
        let (objects, _) = second.until("reachable again", reachable).await;
        assert_eq!(address(&objects), before);
        second.stop().await;
    })
    .await;
}
