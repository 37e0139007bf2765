//! The table.

use serde_json::Value;

use super::place::{Place, is_said};
use super::{Unmet, Weight};
use crate::Object;
use crate::registry::definition::has_rules;
use crate::registry::{DEFINITION, Words};

/// Whatever describes pods.
const PODS: &[&str] = &[];
/// What describes pods that run on one node or another. Those of a DaemonSet run on the nodes that they select.
const SCHEDULED: &[&str] = &[
    "Pod",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
    "Job",
    "CronJob",
    "InferenceService",
];
const INGRESS: &[&str] = &["Ingress"];
const SERVICE: &[&str] = &["Service"];

const JOB: &[&str] = &["Job"];
const ALL_INDEXES: &str = "failures of all indexes are counted together";
const CLASS: &[&str] = &["IngressClassParams"];
const MODEL: &[&str] = &["InferenceService"];
const DEFINITIONS: &[&str] = &[DEFINITION];

const FIREWALL: &str = "keep the platform on loopback, or put a firewall in front of it";
const OWN_FILTER: &str = "put a filter of requests in front of it";
const OTHER_USER: &str = "start forebay itself as a user that may do little";
const RANGES: &str = "name addresses in alb.ingress.kubernetes.io/inbound-cidrs and take security-groups out";
const SERVICE_RANGES: &str =
    "name addresses in spec.loadBalancerSourceRanges and take aws-load-balancer-security-groups out";
const NO_ACL: &str =
    "no request is checked against a web ACL in this build, and what it would refuse is let in";
const NO_ROLE: &str = "no process takes this role: our model server has the credentials of who started forebay, and others have none";
const NO_MESH: &str = "no proxy of a mesh is put beside pods, so nothing of the mesh is done";
const CREDENTIALS: &str = "name credentials in the env of the container";
const PLAIN_COPIES: &str = "expect requests of one client at all targets";
const NOT_SCALED: &str = "nothing is scaled by it yet: replicas stay as many as they are";
const ONE_MACHINE: &str = "all replicas run on this machine: when it fails, none is left";
const SECOND_MACHINE: &str = "run a second platform on another machine, and balance between both";
const BY_HAND: &str = "set the number of replicas by hand: forebay scale";

/// Every row.
pub(super) const ROWS: &[Unmet] = &[
    protects(
        PODS,
        Place::PodField("securityContext", is_said),
        "processes run as the user who started forebay, with what that user may do",
        OTHER_USER,
    ),
    protects(
        PODS,
        Place::PodField("containers[].securityContext", is_said),
        "the process runs as the user who started forebay, with what that user may do",
        OTHER_USER,
    ),
    protects(
        PODS,
        Place::PodField("runtimeClassName", is_said),
        "the process runs beside all others of this machine, in no sandbox",
        "run what nobody trusts on another machine",
    ),
    protects(
        PODS,
        Place::PodField("hostUsers", |value| *value == Value::Bool(false)),
        "processes run as users of this machine, with what these may do",
        OTHER_USER,
    ),
    lacks(
        &["Namespace"],
        Place::Label("pod-security.kubernetes.io/audit", |level| level != "privileged"),
        "there is no audit log to write into",
        "have the one who writes warned: pod-security.kubernetes.io/warn",
    ),
    lacks(&["Namespace"], Place::Label("istio-injection", |value| value == "enabled"), NO_MESH, FIREWALL),
    lacks(&["Namespace"], Place::Label("istio.io/rev", |_| true), NO_MESH, FIREWALL),
    lacks(
        &["ServiceAccount"],
        Place::Annotation("eks.amazonaws.com/role-arn", is_named),
        NO_ROLE,
        CREDENTIALS,
    ),
    lacks(
        &["ServiceAccount"],
        Place::Annotation("iam.gke.io/gcp-service-account", is_named),
        NO_ROLE,
        CREDENTIALS,
    ),
    lacks(
        MODEL,
        Place::Field("spec.predictor.serviceAccountName", is_said),
        "models are fetched with the credentials of who started forebay, not with the secrets of this account",
        "set AWS_* or GOOGLE_* where forebay is started",
    ),
    lacks(
        SCHEDULED,
        Place::PodField("nodeSelector", wants_other_nodes),
        "there is one machine, and pods run on it whatever it is",
        "see that this machine has what the pods need",
    ),
    lacks(
        PODS,
        Place::PodField("affinity.nodeAffinity", is_said),
        "there is one machine, and pods run on it whatever it is",
        "see that this machine has what the pods need",
    ),
    lacks(PODS, Place::PodField("affinity.podAntiAffinity", is_said), ONE_MACHINE, SECOND_MACHINE),
    lacks(PODS, Place::PodField("topologySpreadConstraints", is_said), ONE_MACHINE, SECOND_MACHINE),
    lacks(
        PODS,
        Place::PodField("priorityClassName", is_said),
        "no pod goes before another when the machine is short of something",
        "limit containers one by one with resources.limits",
    ),
    lacks(JOB, Place::Field("spec.backoffLimitPerIndex", is_said), ALL_INDEXES, "write backoffLimit"),
    lacks(JOB, Place::Field("spec.maxFailedIndexes", is_said), ALL_INDEXES, "write backoffLimit"),
    lacks(
        JOB,
        Place::Field("spec.successPolicy", is_said),
        "a Job is complete when all its completions are there",
        "write as many completions as are needed",
    ),
    notes(
        &["StatefulSet"],
        Place::Field("spec.serviceName", is_said),
        "no names are served on one machine, so those of single pods do not resolve",
        "find their addresses in the EndpointSlices of the Service",
    ),
    lacks(
        &["StatefulSet"],
        Place::Field("spec.volumeClaimTemplates", is_said),
        "no claim is made of it, and no volume is mounted: paths are those of the machine itself",
        "name a folder by the name of the pod, which the variable POD_NAME has",
    ),
    lacks(
        PODS,
        Place::PodField("hostAliases", is_said),
        "processes know the hosts of this machine, and no others",
        "write them into /etc/hosts of this machine",
    ),
    lacks(
        PODS,
        Place::PodField("dnsConfig", is_said),
        "processes look names up as this machine does",
        "write it into /etc/resolv.conf of this machine",
    ),
    lacks(
        PODS,
        Place::PodField("containers[].env[].valueFrom.resourceFieldRef", is_said),
        "the variable is empty: amounts are not told to processes",
        "write the amount as its value",
    ),
    lacks(
        PODS,
        Place::PodField("resourceClaims", is_said),
        "no device is set apart for a pod: processes see those of the machine",
        "name the device in the env of the container, for example CUDA_VISIBLE_DEVICES",
    ),
    lacks(
        PODS,
        Place::PodField("readinessGates", is_said),
        "pods are ready without it",
        "use a readinessProbe",
    ),
    lacks(
        PODS,
        Place::PodField("containers[].resources.limits", limits_something_else),
        "only cpu and memory are limited on one machine",
        "take other limits out",
    ),
    protects(
        MODEL,
        Place::Annotation("serving.kserve.io/enable-auth", is_true),
        "nobody has to show a token, and everybody who reaches it may ask",
        FIREWALL,
    ),
    protects(
        MODEL,
        Place::Annotation("security.opendatahub.io/enable-auth", is_true),
        "nobody has to show a token, and everybody who reaches it may ask",
        FIREWALL,
    ),
    lacks(MODEL, Place::Field("spec.predictor.scaleTarget", is_said), NOT_SCALED, BY_HAND),
    lacks(MODEL, Place::Field("spec.predictor.autoScaling", is_said), NOT_SCALED, BY_HAND),
    lacks(
        MODEL,
        Place::Field("spec.predictor.initContainers", is_said),
        "init containers are not run on one machine: what they prepare has to be there",
        "do it before, and name the model by where it lies",
    ),
    lacks(
        MODEL,
        Place::Field("spec.predictor.timeout", is_said),
        "requests that take longer are not ended",
        "give clients a timeout of their own",
    ),
    lacks(
        PODS,
        Place::PodField("volumes", is_said),
        "no volume is mounted on one machine: paths are those of the machine itself",
        "name files by their path on this machine, relative to the manifest if you like",
    ),
    lacks(
        PODS,
        Place::PodField("containers[].lifecycle", is_said),
        "hooks are not run on one machine",
        "handle SIGTERM in the program itself",
    ),
    lacks(
        PODS,
        Place::PodField("containers[].workingDir", is_said),
        "the process starts in the folder of its manifest",
        "name files by their path from there",
    ),
    lacks(
        &["InferenceService"],
        Place::Field("spec.explainer", is_said),
        "no explainer is run in this build: `:explain` is answered by nobody, predictions are",
        "take it out, or explain offline",
    ),
    notes(
        SERVICE,
        Place::Field("spec.externalTrafficPolicy", |value| value == "Local"),
        "all targets are on this machine, so connections go to every one of them, and none of them takes another way; \
         their clients are told by a PROXY protocol header only",
        "aws-load-balancer-proxy-protocol: \"*\", where targets read the header",
    ),
    lacks(
        SERVICE,
        Place::Field("spec.sessionAffinity", |value| value == "ClientIP"),
        "connections of one client are not kept together in this build",
        PLAIN_COPIES,
    ),
    lacks(
        SERVICE,
        Place::Field("spec.externalName", is_said),
        "names of other hosts are not followed, so it leads nowhere",
        "write a Service without selector, and Endpoints with the address",
    ),
    lacks(
        SERVICE,
        Place::Field("spec.externalIPs", is_said),
        "nothing listens on these addresses",
        "use the address of its load balancer",
    ),
    lacks(
        SERVICE,
        Place::Field("spec.ipFamilyPolicy", |value| value == "RequireDualStack"),
        "a Service has addresses of IPv4 here, whatever its load balancer listens on",
        "ipFamilyPolicy: SingleStack",
    ),
    protects(
        SERVICE,
        Place::Annotation("service.beta.kubernetes.io/aws-load-balancer-security-groups", is_named),
        "security groups are not known on one machine, so everybody who reaches it may connect, whatever \
         loadBalancerSourceRanges says",
        SERVICE_RANGES,
    ),
    notes(
        SERVICE,
        Place::Annotation("service.beta.kubernetes.io/aws-load-balancer-ip-address-type", |service, text| {
            is_dualstack(service, text) && service.value["spec"]["type"] == "LoadBalancer"
        }),
        IPV4_ON_LOOPBACK,
        PUBLIC,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/wafv2-acl-arn", is_named),
        NO_ACL,
        OWN_FILTER,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/wafv2-acl-name", is_named),
        NO_ACL,
        OWN_FILTER,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/waf-acl-id", is_named),
        "no request is checked against a web ACL in this build, and AWS has ended WAF Classic",
        OWN_FILTER,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/web-acl-id", is_named),
        "no request is checked against a web ACL in this build, and AWS has ended WAF Classic",
        OWN_FILTER,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/shield-advanced-protection", is_true),
        "floods are not kept out on one machine",
        FIREWALL,
    ),
    protects(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/security-groups", is_named),
        "security groups are not known on one machine, so everybody who reaches it may connect, whatever inbound-cidrs \
         says",
        RANGES,
    ),
    protects(CLASS, Place::Field("spec.wafv2AclArn", is_said), NO_ACL, OWN_FILTER),
    protects(CLASS, Place::Field("spec.wafv2AclName", is_said), NO_ACL, OWN_FILTER),
    nginx("nginx.ingress.kubernetes.io/auth-type"),
    nginx("nginx.ingress.kubernetes.io/auth-url"),
    nginx("nginx.ingress.kubernetes.io/auth-tls-secret"),
    nginx("nginx.ingress.kubernetes.io/whitelist-source-range"),
    nginx("nginx.ingress.kubernetes.io/limit-rps"),
    nginx("nginx.ingress.kubernetes.io/enable-modsecurity"),
    notes(
        CLASS,
        Place::Field("spec.ipAddressType", |value| {
            value.as_str().is_some_and(|text| text.starts_with("dualstack"))
        }),
        IPV4_ON_LOOPBACK,
        PUBLIC,
    ),
    notes(
        INGRESS,
        Place::Annotation("alb.ingress.kubernetes.io/ip-address-type", is_dualstack),
        IPV4_ON_LOOPBACK,
        PUBLIC,
    ),
    lacks(
        DEFINITIONS,
        Place::Field("spec.versions[].schema", has_rules),
        "x-kubernetes-validations are not checked here: objects that they would refuse are taken",
        "say it with the words of the schema where that can be: enum, pattern, required, minimum, oneOf",
    ),
    lacks(
        DEFINITIONS,
        Place::Field("spec.conversion.strategy", |strategy| strategy == "Webhook"),
        "no webhook is asked here: versions differ in apiVersion alone",
        "write objects in the version that is stored",
    ),
];

/// What another controller's annotation asks of a load balancer of ours. An Ingress of that controller's class is not served
/// at all.
const fn nginx(key: &'static str) -> Unmet {
    let words = "annotations of nginx are not followed by a load balancer of AWS, and what they would refuse is let in";
    let advice = "use the annotations and conditions of alb.ingress.kubernetes.io";
    protects(INGRESS, Place::Annotation(key, is_not_of_nginx), words, advice)
}

const fn lacks(
    kinds: &'static [&'static str],
    place: Place,
    words: &'static str,
    advice: &'static str,
) -> Unmet {
    Unmet { kinds, place, words: Words { words, advice }, weight: Weight::Lack }
}

/// Loopback addresses of load balancers are of IPv4.
const IPV4_ON_LOOPBACK: &str =
    "only with --public the load balancer listens on IPv6 too, on all interfaces of a machine that has it";
const PUBLIC: &str = "forebay up --public, or use its IPv4 address";

const fn notes(
    kinds: &'static [&'static str],
    place: Place,
    words: &'static str,
    advice: &'static str,
) -> Unmet {
    Unmet { kinds, place, words: Words { words, advice }, weight: Weight::Note }
}

const fn protects(
    kinds: &'static [&'static str],
    place: Place,
    words: &'static str,
    advice: &'static str,
) -> Unmet {
    Unmet { kinds, place, words: Words { words, advice }, weight: Weight::Protection }
}

fn is_named(_: &Object, text: &str) -> bool {
    !matches!(text.trim(), "" | "none")
}

fn is_true(_: &Object, text: &str) -> bool {
    text.trim() == "true"
}

fn is_dualstack(_: &Object, text: &str) -> bool {
    text.trim().starts_with("dualstack")
}

fn is_not_of_nginx(object: &Object, text: &str) -> bool {
    let class = object.value.pointer("/spec/ingressClassName").and_then(Value::as_str);
    let class = class.or_else(|| object.annotation("kubernetes.io/ingress.class"));
    !matches!(text.trim(), "" | "false") && class.is_some_and(|class| !class.contains("nginx"))
}

/// Whether a selector asks for more than what every machine is of that runs this.
fn wants_other_nodes(selector: &Value) -> bool {
    let keys = selector.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    keys.into_iter().any(|key| !matches!(key, "kubernetes.io/os" | "kubernetes.io/arch"))
}

fn limits_something_else(limits: &Value) -> bool {
    let names = limits.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    names.into_iter().any(|name| !matches!(name, "cpu" | "memory"))
}
