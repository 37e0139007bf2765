//! Kinds that run, route or protect something in a cluster, and do nothing here: whoever writes one is warned, and told
//! what to write instead. Kinds that only configure a cluster are not here; they are worth a note.

use serde_json::Value;

use crate::Object;

/// A kind that would do something elsewhere.
struct Elsewhere {
    group: &'static str,
    kinds: &'static [&'static str],
    /// What does not happen, to be put behind the object.
    missing: &'static str,
    advice: &'static str,
}

const NOT_RUN: &str = "is not run here";
const NOT_ROUTED: &str = "routes nothing here";
const NOT_PROTECTED: &str = "protects nothing here: what it would refuse is let in";

const AS_DEPLOYMENT: &str = "write it as a Deployment";
const AS_COMMAND: &str = "run its command yourself: what runs here are Deployments and Pods";
const AS_INGRESS: &str = "write it as an Ingress";
const AS_NETWORK: &str = "write it as a Service of type LoadBalancer";
const AS_SERVERLESS: &str =
    "write it as an InferenceService, or as a Deployment with a Service and an Ingress";
const AS_INFERENCE: &str = "write each of its models as an InferenceService";
const AS_KSERVE: &str = "apiVersion: serving.kserve.io/v1beta1";
const AS_CONDITION: &str =
    "refuse requests with the conditions of an Ingress's rules, or in front of the load balancer";

/// Every one, by group.
const ELSEWHERE: &[Elsewhere] = &[
    run("", &["ReplicationController"], AS_DEPLOYMENT),
    run("apps", &["StatefulSet", "DaemonSet", "ReplicaSet"], AS_DEPLOYMENT),
    run("apps.kruise.io", &["CloneSet", "StatefulSet", "DaemonSet"], AS_DEPLOYMENT),
    run("apps.openshift.io", &["DeploymentConfig"], AS_DEPLOYMENT),
    run("argoproj.io", &["Rollout"], AS_DEPLOYMENT),
    run("argoproj.io", &["Workflow", "CronWorkflow"], AS_COMMAND),
    run("batch", &["Job", "CronJob"], AS_COMMAND),
    run("extensions", &["DaemonSet", "ReplicaSet"], AS_DEPLOYMENT),
    run("keda.sh", &["ScaledJob"], AS_COMMAND),
    run("kubeflow.org", &["MPIJob", "PyTorchJob", "TFJob", "XGBoostJob"], AS_COMMAND),
    run("leaderworkerset.x-k8s.io", &["LeaderWorkerSet"], AS_DEPLOYMENT),
    run("machinelearning.seldon.io", &["SeldonDeployment"], AS_INFERENCE),
    run("mlops.seldon.io", &["Model", "Pipeline"], AS_INFERENCE),
    run("ray.io", &["RayCluster", "RayService"], AS_DEPLOYMENT),
    run("ray.io", &["RayJob"], AS_COMMAND),
    run("serving.knative.dev", &["Service", "Configuration"], AS_SERVERLESS),
    run("serving.kserve.io", &["InferenceGraph", "LLMInferenceService", "TrainedModel"], AS_INFERENCE),
    run("serving.kubeflow.org", &["InferenceService"], AS_KSERVE),
    route("configuration.konghq.com", &["TCPIngress", "UDPIngress"], AS_NETWORK),
    route(
        "elbv2.k8s.aws",
        &["TargetGroupBinding"],
        "write it as an Ingress, or as a Service of type LoadBalancer",
    ),
    route("gateway.networking.k8s.io", &["Gateway", "GRPCRoute", "HTTPRoute"], AS_INGRESS),
    route("gateway.networking.k8s.io", &["TCPRoute", "TLSRoute", "UDPRoute"], AS_NETWORK),
    route("getambassador.io", &["Host", "Mapping"], AS_INGRESS),
    route("k8s.nginx.org", &["VirtualServer", "VirtualServerRoute"], AS_INGRESS),
    route("networking.istio.io", &["Gateway", "VirtualService"], AS_INGRESS),
    route("projectcontour.io", &["HTTPProxy"], AS_INGRESS),
    route("route.openshift.io", &["Route"], AS_INGRESS),
    route("serving.knative.dev", &["DomainMapping", "Route"], AS_INGRESS),
    route("traefik.containo.us", &["IngressRoute"], AS_INGRESS),
    route("traefik.io", &["IngressRoute"], AS_INGRESS),
    route("traefik.io", &["IngressRouteTCP", "IngressRouteUDP"], AS_NETWORK),
    protect("security.istio.io", &["AuthorizationPolicy", "RequestAuthentication"], AS_CONDITION),
];

const fn run(group: &'static str, kinds: &'static [&'static str], advice: &'static str) -> Elsewhere {
    Elsewhere { group, kinds, missing: NOT_RUN, advice }
}

const fn route(group: &'static str, kinds: &'static [&'static str], advice: &'static str) -> Elsewhere {
    Elsewhere { group, kinds, missing: NOT_ROUTED, advice }
}

const fn protect(group: &'static str, kinds: &'static [&'static str], advice: &'static str) -> Elsewhere {
    Elsewhere { group, kinds, missing: NOT_PROTECTED, advice }
}

/// What an object of such a kind does not do here, and what to write instead.
pub(crate) fn missing(group: &str, kind: &str) -> Option<(&'static str, &'static str)> {
    let entry = ELSEWHERE.iter().find(|it| it.group == group && it.kinds.contains(&kind))?;
    Some((entry.missing, entry.advice))
}

/// The same of an object that is kept. A ReplicaSet that belongs to a Deployment is only shown, and misses nothing.
pub(crate) fn missing_of(object: &Object) -> Option<(&'static str, &'static str)> {
    let owners = object.value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let is_owned = owners.is_some_and(|owners| !owners.is_empty());
    missing(object.kind.group, object.kind.kind).filter(|_| !is_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_once() {
        let mut all: Vec<(&str, &str)> =
            ELSEWHERE.iter().flat_map(|it| it.kinds.iter().map(|kind| (it.group, *kind))).collect();
        let n_all = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n_all);
    }
}
