//! What a cluster has from the start, and every namespace with it. Nobody wrote it, so it is in memory only (decision 4),
//! until somebody changes it.
//!
//! There are two nodes, one for each zone of this machine, which share what it has.

pub(crate) mod controller;

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use manifest::{Object, Objects};
use plan::ObjectRef;
use serde_json::{Value, json};

use crate::store::metadata;

/// What a cluster has from the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Given {
    /// The name of this machine, which its nodes are called by.
    pub machine: String,
    /// The certificate of the local authority, in PEM.
    pub certificate: String,
    /// The port of the API.
    pub api_port: u16,
    /// The first address of the network of Services on this machine, which is the API's.
    pub service_network: Option<Ipv4Addr>,
}

/// The zones of this machine.
const ZONES: [&str; 2] = ["local-a", "local-b"];
/// Where nodes say that they live.
pub(crate) const LEASES: &str = "kube-node-lease";
/// Namespaces that nobody writes into.
const NAMESPACES: [&str; 2] = ["kube-public", LEASES];
/// The account of pods that name none.
const ACCOUNT: &str = "default";
/// Where every namespace has the certificate of the authority.
const ROOT_CERTIFICATE: &str = "kube-root-ca.crt";
/// Who makes volumes: folders of this machine.
pub(crate) const PROVISIONER: &str = "forebay.dev/folder";
/// The class of claims that name none.
const STORAGE_CLASS: &str = "standard";
/// The classes of what a cluster cannot do without, and what they count.
const PRIORITIES: [(&str, u32); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];
/// The Service by which pods of a cluster find its API.
const SERVICE: &str = "kubernetes";
/// The address of the API where Services have no network on this machine.
const API_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Where the API is reached, and what runs here.
const MACHINE_ADDRESS: &str = "127.0.0.1";
/// How long a lease of a node counts, in seconds.
const LEASE_SECONDS: u32 = 40;
/// How often the leases of nodes are renewed, as a kubelet does.
pub(crate) const RENEWAL: Duration = Duration::from_secs(10);
/// With every so-manieth renewal the conditions of a node say that they were looked at (`nodeStatusReportFrequency`).
pub(crate) const RENEWALS_PER_HEARTBEAT: u64 = 30;

/// Whether an object is one of those that are there from the start.
#[must_use]
pub fn is_given(object: &ObjectRef) -> bool {
    match (object.kind.as_str(), object.name.as_str()) {
        ("Namespace", name) => NAMESPACES.contains(&name),
        ("ServiceAccount", name) => name == ACCOUNT,
        ("ConfigMap", name) => name == ROOT_CERTIFICATE,
        ("Service" | "Endpoints" | "EndpointSlice", name) => name == SERVICE && object.namespace == "default",
        ("StorageClass", name) => name == STORAGE_CLASS,
        ("PriorityClass", name) => name.starts_with("system-"),
        ("Lease", _) => object.namespace == LEASES,
        ("Node", _) => true,
        ("Deployment", name) => object.namespace == controller::NAMESPACE && name == controller::NAME,
        ("Pod", name) => object.namespace == controller::NAMESPACE && name == controller::POD,
        _ => false,
    }
}

// === impl Given ===

impl Given {
    /// The names of the nodes: that of the machine, and one beside it.
    #[must_use]
    pub fn nodes(&self) -> [String; 2] {
        [self.machine.clone(), format!("{}-b", self.machine)]
    }

    /// Those of the objects that are not there, in an order in which they can be made. This is asked again and again, so what is
    /// there is not made for it.
    pub(crate) fn missing(&self, objects: &Objects, now: Timestamp) -> Vec<Object> {
        let mut missing = Vec::new();
        let mut need = |kind: &str, namespace: &str, name: &str, made: &dyn Fn() -> Value| {
            if objects.get(kind, namespace, name).is_none() {
                missing.extend(Object::from_value(made()).ok());
            }
        };
        for name in NAMESPACES {
            need("Namespace", "", name, &|| namespace(name));
        }
        let there = objects.of_kind("Namespace").filter(|namespace| metadata::deletion(namespace).is_none());
        let there = there.map(|namespace| namespace.name.as_str()).filter(|name| !NAMESPACES.contains(name));
        for namespace in NAMESPACES.into_iter().chain(there) {
            need("ServiceAccount", namespace, ACCOUNT, &|| account(namespace));
            need("ConfigMap", namespace, ROOT_CERTIFICATE, &|| self.root_certificate(namespace));
        }
        need("Service", "default", SERVICE, &|| self.service());
        need("Endpoints", "default", SERVICE, &|| self.endpoints());
        need("EndpointSlice", "default", SERVICE, &|| self.endpoint_slice());
        need("StorageClass", "", STORAGE_CLASS, &storage_class);
        for (name, value) in PRIORITIES {
            need("PriorityClass", "", name, &|| priority(name, value));
        }
        for (name, zone) in self.nodes().iter().zip(ZONES) {
            need("Node", "", name, &|| node(name, zone, now));
            need("Lease", LEASES, name, &|| lease(name, now));
        }
        need("Deployment", controller::NAMESPACE, controller::NAME, &|| controller::deployment(now));
        // A part of a node is there after it.
        if let Some(node) = objects.get("Node", "", &self.machine) {
            need("Pod", controller::NAMESPACE, controller::POD, &|| controller::pod(node, now));
        }
        missing
    }

    /// Where pods of a namespace find the certificate of the authority.
    fn root_certificate(&self, namespace: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": ROOT_CERTIFICATE, "namespace": namespace},
            "data": {"ca.crt": self.certificate},
        })
    }

    fn service(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": SERVICE,
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "clusterIP": self.service_network.unwrap_or(API_ADDRESS),
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": self.api_port.max(1)}],
            },
        })
    }

    /// Where the API is, which no selector finds.
    fn endpoints(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": SERVICE,
                "namespace": "default",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [{
                "addresses": [{"ip": MACHINE_ADDRESS}],
                "ports": [{"name": "https", "port": self.api_port.max(1), "protocol": "TCP"}],
            }],
        })
    }

    fn endpoint_slice(&self) -> Value {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": SERVICE,
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": SERVICE},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [MACHINE_ADDRESS], "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": self.api_port.max(1), "protocol": "TCP"}],
        })
    }
}

/// The lease of a node, renewed.
pub(crate) fn renewed(lease: &Object, now: Timestamp) -> Value {
    let mut value = lease.value.clone();
    value["spec"]["renewTime"] = json!(micro_time(now));
    value
}

/// The status of a node, with conditions that have just been looked at.
pub(crate) fn seen(node: &Object, now: Timestamp) -> Value {
    let mut status = node.value["status"].clone();
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastHeartbeatTime"] = json!(metadata::time(now));
    }
    status
}

/// `2026-11-21T12:00:00.000000Z`: a time of a Lease (`MicroTime`).
fn micro_time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn account(namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": namespace}})
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn storage_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
    })
}

fn priority(name: &str, value: u32) -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "description": "For what a cluster cannot do without.",
        "value": value,
    })
}

fn lease(node: &str, now: Timestamp) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": node, "namespace": LEASES},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": micro_time(now)},
    })
}

fn node(name: &str, zone: &str, now: Timestamp) -> Value {
    let (os, architecture) = (std::env::consts::OS, architecture());
    let labels = json!({
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": os,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": os,
        "topology.kubernetes.io/zone": zone,
    });
    let version = format!("v1.33.0+forebay-{}", env!("CARGO_PKG_VERSION"));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let share = share();
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": MACHINE_ADDRESS}, {"type": "Hostname", "address": name}],
            "allocatable": share,
            "capacity": share,
            "conditions": conditions(&metadata::time(now)),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
            "nodeInfo": {
                "architecture": architecture,
                "bootID": "",
                "containerRuntimeVersion": format!("forebay://{}", env!("CARGO_PKG_VERSION")),
                "kernelVersion": kernel.trim(),
                "kubeProxyVersion": version,
                "kubeletVersion": version,
                "machineID": "",
                "operatingSystem": os,
                "osImage": "one machine of Forebay",
                "systemUUID": "",
            },
        },
    })
}

fn conditions(now: &str) -> Value {
    let pressure = |kind: &str, reason: &str, message: &str| {
        (kind.to_owned(), "False", reason.to_owned(), message.to_owned())
    };
    let all = [
        pressure("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        pressure("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        pressure("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready".to_owned(), "True", "KubeletReady".to_owned(), "kubelet is posting ready status".to_owned()),
    ];
    let written = all.into_iter().map(|(kind, status, reason, message)| {
        json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        })
    });
    written.collect()
}

/// What one of the nodes has of the machine.
fn share() -> Value {
    let n_nodes = ZONES.len() as u64;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total: Option<u64> = total.and_then(|total| total.trim().strip_suffix(" kB")?.parse().ok());
    json!({
        "cpu": format!("{}m", cores * 1000 / n_nodes),
        "memory": format!("{}Ki", total.unwrap_or(1 << 20) / n_nodes),
        "pods": "110",
    })
}

/// As Go calls it, and Kubernetes with it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
