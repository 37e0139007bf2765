//! Kinds that run, route, make, scale or protect something in a cluster, and do nothing here: whoever writes one is warned,
//! and told what to write instead. Kinds that only configure a cluster are not here; they are worth a note.

use serde_json::Value;

use crate::{Finding, Object, Severity, codes};

/// Kinds that would do something elsewhere.
struct Elsewhere {
    group: &'static str,
    /// Their names, or [`EVERY`] one of the group.
    kinds: &'static [&'static str],
    /// What does not happen, to be put behind the object.
    missing: &'static str,
    /// Whether somebody or something is to be kept out by them.
    protects: bool,
    advice: &'static str,
}

/// The kinds of a group whose names its users choose.
const EVERY: &[&str] = &[];

const NOT_RUN: &str = "is not run here";
const NOT_ROUTED: &str = "routes nothing here";
const NOT_MADE: &str = "makes nothing here";
const NOT_SCALED: &str = "scales nothing here: replicas stay as many as they are";
const NOT_PROTECTED: &str = "protects nothing here: what it would refuse is let in";
const NOT_FILTERED: &str = "filters nothing here: nobody is kept from the pods that it selects";
const NOT_ENCRYPTED: &str =
    "encrypts nothing here: connections are plain, and nobody has to show a certificate";
const NOT_ADMITTED: &str = "checks nothing here: objects that it would refuse are taken";

const AS_DEPLOYMENT: &str = "write it as a Deployment";
const AS_JOB: &str = "write it as a Job";
const AS_INGRESS: &str = "write it as an Ingress";
const AS_NETWORK: &str = "write it as a Service of type LoadBalancer";
const AS_EITHER: &str = "write it as an Ingress, or as a Service of type LoadBalancer";
const AS_ANNOTATIONS: &str = "say it with annotations of the Ingress or Service";
const AS_SERVERLESS: &str =
    "write it as an InferenceService, or as a Deployment with a Service and an Ingress";
const AS_INFERENCE: &str = "write each of its models as an InferenceService";
const AS_KSERVE: &str = "apiVersion: serving.kserve.io/v1beta1";
const AS_SECRET: &str = "write the Secret that it stands for";
const AS_CERTIFICATE: &str =
    "write its certificate and key as a Secret, and name that in spec.tls of the Ingress";
const BY_HAND: &str = "set the number of replicas by hand: forebay scale";
const AS_CONDITION: &str =
    "refuse requests with the conditions of an Ingress's rules, or in front of the load balancer";
const AS_FIREWALL: &str = "keep the platform on loopback, or put a firewall in front of it";
const AS_LOOPBACK: &str = "keep the platform on loopback, or end TLS in front of it";
const AS_USER: &str = "start forebay itself as a user that may do little";
const AS_REVIEW: &str = "check manifests before they are applied";
const AS_KYVERNO: &str = "check manifests before they are applied: kyverno apply POLICY --resource MANIFEST";
const AS_GATOR: &str = "check manifests before they are applied: gator test --filename FOLDER";

/// Every one, by group.
const ELSEWHERE: &[Elsewhere] = &[
    run("apps.kruise.io", &["CloneSet", "StatefulSet", "DaemonSet"], AS_DEPLOYMENT),
    run("apps.openshift.io", &["DeploymentConfig"], AS_DEPLOYMENT),
    run("argoproj.io", &["Rollout"], AS_DEPLOYMENT),
    run("argoproj.io", &["Workflow", "CronWorkflow"], AS_JOB),
    run("extensions", &["DaemonSet", "ReplicaSet"], AS_DEPLOYMENT),
    run("keda.sh", &["ScaledJob"], AS_JOB),
    run("kubeflow.org", &["MPIJob", "PyTorchJob", "TFJob", "XGBoostJob"], AS_JOB),
    run("leaderworkerset.x-k8s.io", &["LeaderWorkerSet"], AS_DEPLOYMENT),
    run("machinelearning.seldon.io", &["SeldonDeployment"], AS_INFERENCE),
    run("mlops.seldon.io", &["Model", "Pipeline"], AS_INFERENCE),
    run("ray.io", &["RayCluster", "RayService"], AS_DEPLOYMENT),
    run("ray.io", &["RayJob"], AS_JOB),
    run("serving.knative.dev", &["Service", "Configuration"], AS_SERVERLESS),
    run("serving.kserve.io", &["InferenceGraph", "LLMInferenceService", "TrainedModel"], AS_INFERENCE),
    run("serving.kubeflow.org", &["InferenceService"], AS_KSERVE),
    make("bitnami.com", &["SealedSecret"], AS_SECRET),
    make("cert-manager.io", &["Certificate", "ClusterIssuer", "Issuer"], AS_CERTIFICATE),
    make("external-secrets.io", &["ClusterExternalSecret", "ExternalSecret"], AS_SECRET),
    make("secrets-store.csi.x-k8s.io", &["SecretProviderClass"], AS_SECRET),
    scale("autoscaling.k8s.io", &["VerticalPodAutoscaler"], "write resources.limits into the containers"),
    scale("keda.sh", &["ScaledObject"], BY_HAND),
    route("configuration.konghq.com", &["TCPIngress", "UDPIngress"], AS_NETWORK),
    route("eks.amazonaws.com", &["TargetGroupBinding"], AS_EITHER),
    route("elbv2.k8s.aws", &["TargetGroupBinding"], AS_EITHER),
    route("gateway.envoyproxy.io", &["BackendTrafficPolicy", "ClientTrafficPolicy"], AS_ANNOTATIONS),
    route("gateway.networking.k8s.io", &["Gateway", "GRPCRoute", "HTTPRoute"], AS_INGRESS),
    route("gateway.networking.k8s.io", &["TCPRoute", "TLSRoute", "UDPRoute"], AS_NETWORK),
    route("getambassador.io", &["Host", "Mapping"], AS_INGRESS),
    route("k8s.nginx.org", &["VirtualServer", "VirtualServerRoute"], AS_INGRESS),
    route("networking.istio.io", &["DestinationRule"], AS_ANNOTATIONS),
    route("networking.istio.io", &["Gateway", "VirtualService"], AS_INGRESS),
    route("projectcontour.io", &["HTTPProxy"], AS_INGRESS),
    route("route.openshift.io", &["Route"], AS_INGRESS),
    route("serving.knative.dev", &["DomainMapping", "Route"], AS_INGRESS),
    route("traefik.containo.us", &["IngressRoute"], AS_INGRESS),
    route("traefik.io", &["IngressRoute"], AS_INGRESS),
    route("traefik.io", &["IngressRouteTCP", "IngressRouteUDP"], AS_NETWORK),
    protect(
        "admissionregistration.k8s.io",
        &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration"],
        NOT_ADMITTED,
        AS_REVIEW,
    ),
    protect(
        "cilium.io",
        &["CiliumClusterwideNetworkPolicy", "CiliumNetworkPolicy"],
        NOT_FILTERED,
        AS_FIREWALL,
    ),
    protect("constraints.gatekeeper.sh", EVERY, NOT_ADMITTED, AS_GATOR),
    protect("consul.hashicorp.com", &["ServiceIntentions"], NOT_PROTECTED, AS_CONDITION),
    protect("crd.antrea.io", &["ClusterNetworkPolicy", "NetworkPolicy"], NOT_FILTERED, AS_FIREWALL),
    protect("crd.projectcalico.org", CALICO, NOT_FILTERED, AS_FIREWALL),
    protect("gateway.envoyproxy.io", &["SecurityPolicy"], NOT_PROTECTED, AS_CONDITION),
    protect("gateway.networking.k8s.io", &["BackendTLSPolicy"], NOT_ENCRYPTED, AS_LOOPBACK),
    protect("kuma.io", &["MeshTrafficPermission"], NOT_PROTECTED, AS_CONDITION),
    protect("kyverno.io", &["ClusterPolicy", "Policy"], NOT_ADMITTED, AS_KYVERNO),
    protect(
        "networking.k8s.aws",
        &["ApplicationNetworkPolicy", "ClusterNetworkPolicy"],
        NOT_FILTERED,
        AS_FIREWALL,
    ),
    protect("policies.kyverno.io", &["ImageValidatingPolicy", "ValidatingPolicy"], NOT_ADMITTED, AS_KYVERNO),
    protect("policy", &["PodSecurityPolicy"], NOT_ADMITTED, AS_USER),
    protect(
        "policy.linkerd.io",
        &["AuthorizationPolicy", "MeshTLSAuthentication", "NetworkAuthentication", "Server"],
        NOT_PROTECTED,
        AS_CONDITION,
    ),
    protect(
        "policy.networking.k8s.io",
        &["AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy"],
        NOT_FILTERED,
        AS_FIREWALL,
    ),
    protect("projectcalico.org", CALICO, NOT_FILTERED, AS_FIREWALL),
    protect(
        "security.istio.io",
        &["AuthorizationPolicy", "RequestAuthentication"],
        NOT_PROTECTED,
        AS_CONDITION,
    ),
    protect("security.istio.io", &["PeerAuthentication"], NOT_ENCRYPTED, AS_LOOPBACK),
    protect("security.openshift.io", &["SecurityContextConstraints"], NOT_ADMITTED, AS_USER),
    protect("templates.gatekeeper.sh", &["ConstraintTemplate"], NOT_ADMITTED, AS_GATOR),
    protect("vpcresources.k8s.aws", &["SecurityGroupPolicy"], NOT_FILTERED, AS_FIREWALL),
    protect("wafv2.services.k8s.aws", &["RuleGroup", "WebACL"], NOT_PROTECTED, AS_CONDITION),
];

const CALICO: &[&str] = &["GlobalNetworkPolicy", "NetworkPolicy"];

const fn run(group: &'static str, kinds: &'static [&'static str], advice: &'static str) -> Elsewhere {
    Elsewhere { group, kinds, missing: NOT_RUN, protects: false, advice }
}

const fn route(group: &'static str, kinds: &'static [&'static str], advice: &'static str) -> Elsewhere {
    Elsewhere { group, kinds, missing: NOT_ROUTED, protects: false, advice }
}

const fn make(group: &'static str, kinds: &'static [&'static str], advice: &'static str) -> Elsewhere {
    Elsewhere { group, kinds, missing: NOT_MADE, protects: false, advice }
}

const fn scale(group: &'static str, kinds: &'static [&'static str], advice: &'static str) -> Elsewhere {
    Elsewhere { group, kinds, missing: NOT_SCALED, protects: false, advice }
}

const fn protect(
    group: &'static str,
    kinds: &'static [&'static str],
    missing: &'static str,
    advice: &'static str,
) -> Elsewhere {
    Elsewhere { group, kinds, missing, protects: true, advice }
}

/// What there is to say of an object of such a kind: what it does not do here, and what to write instead. One that asks for
/// protection weighs as much as its surroundings make it: see [`Exposure`](crate::Exposure).
pub(crate) fn missing(group: &str, kind: &str, shown: &str) -> Option<Finding> {
    let entry = ELSEWHERE.iter().find(|entry| entry.is_about(group, kind))?;
    let code = if entry.protects { &codes::PROTECTION_MISSING } else { &codes::KIND_IGNORED };
    let finding = Finding::new(code, format!("{shown} {}", entry.missing));
    Some(finding.with_severity(Severity::Warning).suggest(entry.advice))
}

/// The same of an object that is kept. One that belongs to another is only shown, and misses nothing; what is told of each object
/// of a kind is told already.
pub(crate) fn missing_of(object: &Object) -> Option<Finding> {
    let owners = object.value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let is_told = owners.is_some_and(|owners| !owners.is_empty()) || object.kind.effect.is_told();
    let shown = format!("{} `{}`", object.kind.kind, object.name);
    let finding = missing(object.kind.group, object.kind.kind, &shown).filter(|_| !is_told)?;
    Some(Finding { location: object.locate("kind"), ..finding.on(object) })
}

/// Whether each object of a kind that is kept is told of by itself.
pub(crate) fn is_told(group: &str, kind: &str) -> bool {
    ELSEWHERE.iter().any(|entry| entry.is_about(group, kind))
}

// === impl Elsewhere ===

impl Elsewhere {
    fn is_about(&self, group: &str, kind: &str) -> bool {
        self.group == group && (self.kinds == EVERY || self.kinds.contains(&kind))
    }
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
        let every: Vec<&str> = ELSEWHERE.iter().filter(|it| it.kinds == EVERY).map(|it| it.group).collect();
        let alone = |group: &&str| ELSEWHERE.iter().filter(|it| it.group == *group).count() == 1;
        assert!(every.iter().all(alone), "{every:?}");
    }
}
