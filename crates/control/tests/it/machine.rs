//! One machine in a folder of its own, driven as the control loop does it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use control::Cluster;
use control::local::{Local, LocalSettings};
use control::store::Query;
use manifest::{Container, Object, Objects, Probe, ProbeHandler, Program, Rollout, Workload};
use plan::{ObjectRef, Observed};
use serde_json::{Value, json};

use crate::{PATIENCE, responder};

pub(crate) struct Machine {
    pub(crate) local: Local,
    pub(crate) observed: Observed,
}

impl Machine {
    pub(crate) async fn new(folder: &Path) -> Self {
        let settings = LocalSettings {
            state_folder: folder.join("state"),
            program: folder.join("forebay"),
            node_name: "here".to_owned(),
            environment: Vec::new(),
        };
        Self { local: Local::open(settings).await.unwrap(), observed: Observed::default() }
    }

    pub(crate) fn apply(&self, value: &Value) {
        let object = Object::from_value(value.clone()).unwrap();
        self.local.store().apply(vec![object]).into_iter().for_each(|applied| drop(applied.unwrap()));
    }

    /// Keeps the workloads until something is so.
    pub(crate) async fn until(
        &mut self,
        workloads: &[Workload],
        what: &str,
        is_so: impl Fn(&Objects) -> bool,
    ) -> Arc<Objects> {
        let so = async {
            loop {
                self.local.keep_workloads(workloads, &self.observed);
                let objects = self.local.objects();
                if is_so(&objects) {
                    return objects;
                }
                // Some of what tests wait for is not the machine's to tell.
                let _ = tokio::time::timeout(Duration::from_millis(20), self.local.changed()).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, so).await;
        waited.unwrap_or_else(|_| panic!("never {what}: {}", self.describe()))
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let events = self.local.store().list(&Query::of("Event")).objects;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        events
            .iter()
            .map(|event| text(&event.value["reason"]) + " " + &text(&event.value["message"]))
            .collect()
    }

    fn describe(&self) -> String {
        let pods = self.local.store().list(&Query::of("Pod")).objects;
        let pods = pods.iter().map(|pod| format!("{} {}", pod.name, pod.value["status"])).collect::<Vec<_>>();
        format!("{pods:#?} {:#?}", self.events())
    }
}

/// Runs a test on the one thread that everything is on.
pub(crate) async fn on_one_thread<F: Future>(test: F) -> F::Output {
    tokio::task::LocalSet::new().run_until(test).await
}

pub(crate) fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "mlops"},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "responder",
                    "ports": [{"name": "http", "containerPort": responder::PORT}]}]},
            },
        },
    })
}

pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "mlops"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": "http"}]},
    })
}

/// Responders of a Deployment.
pub(crate) fn workload(name: &str, replicas: u32, template_hash: &str) -> Workload {
    let container = Container {
        name: "main".to_owned(),
        program: Program::Command { command: responder::command() },
        stdin: manifest::Stdin::Nobody,
        environment: responder::environment(Duration::ZERO),
        pod_fields: Vec::new(),
        ports: Vec::new(),
        startup: None,
        readiness: Some(Probe {
            handler: ProbeHandler::Http {
                port: responder::PORT,
                path: "/health".to_owned(),
                headers: Vec::new(),
            },
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
        }),
        liveness: None,
        cpu_limit: None,
        memory_limit: None,
    };
    Workload {
        owner: ObjectRef::new("Deployment", "mlops", name),
        replicas,
        labels: BTreeMap::from([("app".to_owned(), name.to_owned())]),
        annotations: BTreeMap::new(),
        zones: Vec::new(),
        template_hash: template_hash.to_owned(),
        rollout: Rollout::RollingUpdate { max_surge: 1, max_unavailable: 0 },
        min_ready: Duration::ZERO,
        termination_grace: Duration::from_secs(10),
        restart: manifest::RestartPolicy::Always,
        active_deadline: None,
        is_paused: false,
        containers: vec![container],
        working_directory: None,
    }
}

/// A workload that runs a shell script.
pub(crate) fn script(name: &str, script: &str) -> Workload {
    let mut workload = workload(name, 1, "script");
    let command = ["/bin/sh", "-c", script].map(ToOwned::to_owned).to_vec();
    workload.containers[0].program = Program::Command { command };
    workload.containers[0].readiness = None;
    workload
}

pub(crate) fn is_ready(object: &Object) -> bool {
    let conditions = object.value["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

pub(crate) fn ready_pods(objects: &Objects) -> Vec<Arc<Object>> {
    objects.of_kind("Pod").filter(|pod| is_ready(pod)).cloned().collect()
}

pub(crate) fn field<'a>(objects: &'a Objects, kind: &str, name: &str, pointer: &str) -> &'a Value {
    let object = objects.get(kind, "mlops", name);
    object.and_then(|object| object.value.pointer(pointer)).unwrap_or(&Value::Null)
}

/// The addresses of a Service's endpoints that get traffic.
pub(crate) fn endpoints(objects: &Objects, service: &str) -> Vec<String> {
    let slices = objects.of_kind("EndpointSlice");
    let slices = slices.filter(|slice| slice.labels().get("kubernetes.io/service-name") == Some(&service));
    let endpoints = slices.filter_map(|slice| slice.value["endpoints"].as_array()).flatten();
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
    ready.map(|endpoint| endpoint["addresses"][0].as_str().unwrap().to_owned()).collect()
}

/// Asks a responder for its pod's name.
pub(crate) fn ask(address: &str) -> std::io::Result<String> {
    let address: SocketAddr = format!("{address}:{}", responder::PORT).parse().unwrap();
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
}
