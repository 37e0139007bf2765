//! The kinds of objects that Forebay knows.
//!
//! A kind that something is made from has a file of its own with its wire types; a kind that is only kept is a row of
//! [`KINDS`]. Kinds that are not here are named in a finding and left out.

pub(crate) mod autoscaler_v1;
pub(crate) mod config;
pub(crate) mod elsewhere;
pub(crate) mod endpoints;
pub(crate) mod inference_service;
pub(crate) mod ingress;
pub(crate) mod ingress_class;
pub(crate) mod ingress_class_params_v1;
pub(crate) mod ingress_v1beta1;
pub(crate) mod metadata;
pub(crate) mod pod;
pub(crate) mod selector;
pub(crate) mod service;
pub(crate) mod target_control_config;
pub(crate) mod validation;

use serde::de::DeserializeOwned;

use crate::read::key_path;
use crate::wire::{self, Case, Note, WireError};
use crate::{Finding, Object, codes};

/// A kind of object that Forebay knows.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// For example `InferenceService`.
    pub kind: &'static str,
    /// For example `inferenceservices`.
    pub plural: &'static str,
    /// For example `isvc`.
    pub short_names: &'static [&'static str],
    /// Whether objects of this kind live in a namespace.
    pub is_namespaced: bool,
    /// Whether anything is made from objects of this kind; the others are kept, and said to have no effect.
    pub has_effect: bool,
}

const CORE: &str = "";
const APPS: &str = "apps";
const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const ELB: &str = "elbv2.k8s.aws";

/// Every kind, in the order of a `get all`.
pub const KINDS: &[Kind] = &[
    cluster(CORE, "v1", "Namespace", "namespaces", &["ns"]),
    namespaced(CORE, "v1", "ConfigMap", "configmaps", &["cm"]),
    namespaced(CORE, "v1", "Secret", "secrets", &[]),
    namespaced(CORE, "v1", "Service", "services", &["svc"]),
    namespaced(CORE, "v1", "Endpoints", "endpoints", &["ep"]),
    namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", &[]),
    namespaced(APPS, "v1", "Deployment", "deployments", &["deploy"]),
    namespaced(APPS, "v1", "ReplicaSet", "replicasets", &["rs"]),
    namespaced(CORE, "v1", "Pod", "pods", &["po"]),
    namespaced(CORE, "v1", "Event", "events", &["ev"]),
    namespaced(NETWORKING, "v1", "Ingress", "ingresses", &["ing"]),
    cluster(NETWORKING, "v1", "IngressClass", "ingressclasses", &[]),
    cluster(ELB, "v1beta1", "IngressClassParams", "ingressclassparams", &[]),
    namespaced(ELB, "v1beta1", "ALBTargetControlConfig", "albtargetcontrolconfigs", &[]),
    namespaced("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices", &["isvc"]),
    namespaced(ELB, "v1beta1", "TargetGroupBinding", "targetgroupbindings", &[]).without_effect(),
    namespaced("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"])
        .without_effect(),
    namespaced("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", &["pdb"]).without_effect(),
    namespaced("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors", &["smon"])
        .without_effect(),
    namespaced(NETWORKING, "v1", "NetworkPolicy", "networkpolicies", &["netpol"]).without_effect(),
    namespaced(CORE, "v1", "ServiceAccount", "serviceaccounts", &["sa"]).without_effect(),
    namespaced(RBAC, "v1", "Role", "roles", &[]).without_effect(),
    namespaced(RBAC, "v1", "RoleBinding", "rolebindings", &[]).without_effect(),
    cluster(RBAC, "v1", "ClusterRole", "clusterroles", &[]).without_effect(),
    cluster(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", &[]).without_effect(),
    namespaced(CORE, "v1", "ResourceQuota", "resourcequotas", &["quota"]).without_effect(),
    namespaced(CORE, "v1", "LimitRange", "limitranges", &["limits"]).without_effect(),
    namespaced(CORE, "v1", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"]).without_effect(),
    cluster(CORE, "v1", "Node", "nodes", &["no"]).without_effect(),
];

const fn namespaced(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
) -> Kind {
    Kind { group, version, kind, plural, short_names, is_namespaced: true, has_effect: true }
}

const fn cluster(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
) -> Kind {
    Kind { group, version, kind, plural, short_names, is_namespaced: false, has_effect: true }
}

/// The kind somebody means by its name in any of kubectl's spellings, in any case: `Service`, `services`, `svc`,
/// `deployments.apps`, `inferenceservice.serving.kserve.io`, `deployments.v1.apps`.
#[must_use]
pub fn kind_named(text: &str) -> Option<&'static Kind> {
    let (name, group) = text.split_once('.').unwrap_or((text, ""));
    KINDS.iter().find(|kind| kind.is_called(name) && (group.is_empty() || kind.is_of_group(group)))
}

/// The kind with exactly this group and kind, whatever the version.
pub(crate) fn kind_of(group: &str, kind: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|known| known.group == group && known.kind == kind)
}

/// Reads an object as the wire type of its kind. What the type does not know, and what has no effect, becomes findings;
/// so does what is wrong, and then there is nothing to return.
pub(crate) fn read<T: DeserializeOwned>(object: &Object, findings: &mut Vec<Finding>) -> Option<T> {
    let mut own = Vec::new();
    let read = read_anyway(object, &mut own);
    let is_good = !own.iter().any(Finding::is_error);
    findings.extend(own);
    read.filter(|_| is_good)
}

/// The same for a reader who looks for more that is wrong, and leaves the object out when an error was found: fields that
/// are wrong are as if they were not there.
pub(crate) fn read_anyway<T: DeserializeOwned>(object: &Object, findings: &mut Vec<Finding>) -> Option<T> {
    let metadata = object.value.get("metadata").unwrap_or(&serde_json::Value::Null);
    let metadata = wire::read_all::<metadata::Metadata>(metadata, "metadata", Case::Exact);
    let read = wire::read_all::<T>(&object.value, "", Case::Exact);
    let notes = metadata.notes.iter().chain(&read.notes);
    findings.extend(notes.map(|note| field_finding(object, note)));
    let errors = metadata.errors.iter().chain(&read.errors);
    let wrong: Vec<Finding> = errors.map(|error| error_finding(object, error)).collect();
    let more = validation::findings(object, &wrong);
    findings.extend(wrong.into_iter().chain(more));
    read.value
}

fn error_finding(object: &Object, error: &WireError) -> Finding {
    // What a Secret holds is nobody's to read in a message.
    let message = match object.kind.kind {
        "Secret" => format!("`{}` is not of the right type", error.path),
        _ => error.to_string(),
    };
    let place = error.missing.map_or_else(|| error.path.clone(), |field| key_path(&error.path, field));
    let finding = Finding::new(&codes::FIELD_INVALID, message).at(object, &place);
    finding.maybe_suggest(about_quotes(&error.problem).map(str::to_owned))
}

/// What to do about quotes that are missing, or around what should be a number or boolean.
fn about_quotes(problem: &str) -> Option<&'static str> {
    let is_scalar = problem.starts_with("is the boolean") || problem.starts_with("is the number");
    if is_scalar && problem.ends_with("not a text") {
        return Some("put it in quotes");
    }
    let (text, wanted) = problem.strip_prefix("is the text `")?.split_once("`, not ")?;
    let is_number = wanted.contains("number") && text.parse::<f64>().is_ok();
    let is_boolean = wanted == "`true` or `false`" && matches!(text, "true" | "false");
    (is_number || is_boolean).then_some("leave the quotes out")
}

fn field_finding(object: &Object, note: &Note) -> Finding {
    match note {
        Note::Unknown { path, nearest } => {
            let message = format!("{} has no field `{path}`: it is ignored", object.kind.kind);
            let finding = Finding::new(&codes::FIELD_UNKNOWN, message).at(object, path);
            finding.maybe_suggest(nearest.map(|near| format!("did you mean `{near}`?")))
        }
        Note::NoEffect { path } => {
            let message = format!("`{path}` has no effect on one machine yet");
            Finding::new(&codes::FIELD_NO_EFFECT, message).at(object, path)
        }
    }
}

// === impl Kind ===

impl Kind {
    /// `v1`, or `networking.k8s.io/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The name of one, as kubectl prints it: `service`, `inferenceservice.serving.kserve.io`.
    #[must_use]
    pub fn resource(&self) -> String {
        let singular = self.singular();
        if self.group.is_empty() { singular } else { format!("{singular}.{}", self.group) }
    }

    /// For example `inferenceservice`.
    #[must_use]
    pub fn singular(&self) -> String {
        self.kind.to_ascii_lowercase()
    }

    fn is_called(&self, name: &str) -> bool {
        let mut names = [self.kind, self.plural].into_iter().chain(self.short_names.iter().copied());
        names.any(|known| known.eq_ignore_ascii_case(name))
    }

    fn is_of_group(&self, group: &str) -> bool {
        let version_first = group
            .split_once('.')
            .is_some_and(|(version, group)| version == self.version && group == self.group);
        group.eq_ignore_ascii_case(self.group) || version_first
    }

    const fn without_effect(mut self) -> Self {
        self.has_effect = false;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_every_name_kubectl_takes() {
        for (name, kind) in [
            ("Service", "Service"),
            ("services", "Service"),
            ("SVC", "Service"),
            ("ep", "Endpoints"),
            ("deployments.apps", "Deployment"),
            ("deployment.v1.apps", "Deployment"),
            ("isvc", "InferenceService"),
            ("inferenceservices.serving.kserve.io", "InferenceService"),
            ("InferenceService.v1beta1.serving.kserve.io", "InferenceService"),
            ("ingress", "Ingress"),
        ] {
            assert_eq!(kind_named(name).map(|kind| kind.kind), Some(kind), "{name}");
        }
        for nobody in ["", ".", "servicess", "deployments.core", "svc.apps", "deployments.v2.apps"] {
            assert_eq!(kind_named(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn quotes_are_spoken_of_where_they_are_what_is_wrong() {
        for (problem, advice) in [
            ("is the number `1`, not a text", Some("put it in quotes")),
            ("is the boolean `true`, not a text", Some("put it in quotes")),
            ("is the text `80`, not a number from 0 to 65535", Some("leave the quotes out")),
            ("is the text `true`, not `true` or `false`", Some("leave the quotes out")),
            ("is the text `http`, not a number from 0 to 65535", None),
            ("is a list, not a text", None),
        ] {
            assert_eq!(about_quotes(problem), advice, "{problem}");
        }
    }

    #[test]
    fn every_name_means_one_kind() {
        for kind in KINDS {
            for name in [kind.kind, kind.plural].iter().chain(kind.short_names) {
                assert_eq!(kind_named(name), Some(kind), "{name}");
            }
            assert_eq!(kind_named(&kind.resource()), Some(kind));
        }
    }
}
