//! The registry of kinds: everything there is to know about each kind of object, in one place.
//!
//! A kind is a [`Kind`] in a file below, and a line in [`KINDS`]: its names, what is shown of it, what is filled in, what may
//! not change, what is refused, and what is made of it. Routes, discovery, tables, defaults and refusals are read from here.
//! What the objects of a kind hold is *not* here: wire types stand in `kinds`. Kinds that a CustomResourceDefinition declares come
//! beside these ([`Kinds`]); others are named in a finding and left out.

pub(crate) mod columns;
mod fill;
mod pod_spec;
mod time;

mod apps;
mod batch;
mod cluster;
mod config;
mod custom;
pub(crate) mod declared;
pub(crate) mod definition;
mod event;
mod gateway;
mod json_path;
mod kserve;
mod namespace;
mod networking;
mod node;
pub(crate) mod pod;
mod quota;
mod rbac;
mod scaling;
mod served;
mod service;
mod storage;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::kinds::validation::{Rules, Violation};
use crate::{Object, Objects};
use columns::Column;

pub use declared::{DEFINITION, Definition, Kinds, Slot};
pub use definition::is_of_program;

/// A kind of object that Forebay knows.
pub struct Kind {
    /// What its objects are filed under, in whatever group and version they are asked for: `Pod`, or `Widget.example.com` for
    /// a kind that a definition declares. One kind is one key.
    pub key: &'static str,
    /// API group, empty for the core group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// For example `InferenceService`.
    pub kind: &'static str,
    /// For example `inferenceservices`.
    pub plural: &'static str,
    /// For example `inferenceservice`; empty: as the kind in lower case.
    pub singular: &'static str,
    /// What lists of it are called; empty: as the kind with `List` behind it.
    pub list: &'static str,
    /// For example `isvc`.
    pub short_names: &'static [&'static str],
    /// Whether objects of this kind live in a namespace.
    pub is_namespaced: bool,
    /// The groups of kinds that it belongs to, for example `all`.
    pub categories: &'static [&'static str],
    /// What may be done with objects, in the words of discovery.
    pub verbs: &'static [&'static str],
    /// What has a path of its own below an object, for example `status`.
    pub subresources: &'static [&'static str],
    /// The columns of its table.
    pub columns: &'static [Column],
    /// What field selectors may ask for besides its name and namespace.
    pub fields: &'static [&'static str],
    /// Fills in what an object leaves open.
    pub fill: Fill,
    /// What stays as it was first said.
    pub fixed: &'static [Fixed],
    /// What does not change once an object says `immutable: true`.
    pub sealed: &'static [&'static str],
    /// More that may not change.
    pub change: Change,
    /// Where it describes pods.
    pub(crate) pods: Pods,
    /// What is refused of an object.
    pub(crate) rules: Rules,
    /// What is made of an object.
    pub(crate) effect: Effect,
    /// What its objects look like, where a definition says so.
    pub(crate) slot: Option<&'static Slot>,
    /// How its objects are stored, where that is in another version.
    pub(crate) conversion: Option<&'static Conversion>,
}

/// How the objects of a kind that is served in a second version become those of the version in which they are stored.
pub(crate) struct Conversion {
    pub(crate) storage: &'static Kind,
    /// Fields that have other names: that of the stored version, and that of the other one.
    pub(crate) renames: &'static [(&'static str, &'static str)],
    /// From the stored version to the other one.
    pub(crate) read: fn(&mut Value),
    /// From the other one to the stored version.
    pub(crate) write: fn(&mut Value),
}

/// Fills in what an object leaves open. `old` is the object it takes the place of, `all` is everything there is. Filling is
/// idempotent: an object that was filled once is not changed by filling it again, and a write that leaves a filled field
/// out keeps its value.
pub type Fill = fn(object: &mut Object, old: Option<&Object>, all: &Objects);

/// Finds what an object may not change of the one it takes the place of.
pub type Change = fn(new: &Value, old: &Value, found: &mut Vec<Violation>);

/// A field that keeps what it was first given. One that is left out keeps it, too.
#[derive(Debug)]
pub struct Fixed {
    /// Where it stands, as a JSON pointer.
    pub pointer: &'static str,
    /// What it is called in a refusal.
    pub field: &'static str,
    /// Why a change of it is refused.
    pub why: &'static str,
}

/// Where the objects of a kind describe pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pods {
    /// Nowhere.
    None,
    /// Here is the specification of a pod.
    Spec(&'static str),
    /// Here is one, with models beside its containers.
    Model(&'static str),
}

/// What is made of the objects of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Something: they do what they do elsewhere.
    Made,
    /// Nothing: they are kept, and one note tells of all of them.
    Kept,
    /// Less than they ask for, which is told of each of them.
    Lacking(Words),
    /// Less than they ask for, and somebody or something was to be kept out by it.
    Unprotecting(Words),
}

/// What is told of an object that does not get what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words {
    /// What happens instead, in one sentence.
    pub(crate) words: &'static str,
    /// What to write or do instead.
    pub(crate) advice: &'static str,
}

const CORE: &str = "";
const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const ALL: &[&str] = &["all"];
const STATUS: &[&str] = &["status"];
const SCALED: &[&str] = &["status", "scale"];

/// Every kind, in the order of a `get all`.
pub static KINDS: &[&Kind] = &[
    &namespace::NAMESPACE,
    &config::CONFIG_MAP,
    &config::SECRET,
    &service::SERVICE,
    &networking::ENDPOINTS,
    &networking::ENDPOINT_SLICE,
    &apps::DEPLOYMENT,
    &apps::REPLICA_SET,
    &apps::STATEFUL_SET,
    &apps::DAEMON_SET,
    &apps::CONTROLLER_REVISION,
    &apps::REPLICATION_CONTROLLER,
    &batch::JOB,
    &batch::CRON_JOB,
    &pod::POD,
    &pod::POD_TEMPLATE,
    &event::EVENT,
    &networking::INGRESS,
    &networking::INGRESS_CLASS,
    &custom::INGRESS_CLASS_PARAMS,
    &custom::TARGET_CONTROL_CONFIG,
    &kserve::INFERENCE_SERVICE,
    &kserve::SERVING_RUNTIME,
    &kserve::CLUSTER_SERVING_RUNTIME,
    &kserve::INFERENCE_GRAPH,
    &kserve::TRAINED_MODEL,
    &kserve::CLUSTER_STORAGE_CONTAINER,
    &kserve::DOMAIN_MAPPING,
    &custom::TARGET_GROUP_BINDING,
    &scaling::HORIZONTAL_POD_AUTOSCALER,
    &scaling::POD_DISRUPTION_BUDGET,
    &custom::SERVICE_MONITOR,
    &networking::NETWORK_POLICY,
    &config::SERVICE_ACCOUNT,
    &rbac::ROLE,
    &rbac::ROLE_BINDING,
    &rbac::CLUSTER_ROLE,
    &rbac::CLUSTER_ROLE_BINDING,
    &quota::RESOURCE_QUOTA,
    &quota::LIMIT_RANGE,
    &storage::PERSISTENT_VOLUME_CLAIM,
    &storage::PERSISTENT_VOLUME,
    &storage::STORAGE_CLASS,
    &storage::CSI_DRIVER,
    &storage::CSI_NODE,
    &storage::VOLUME_ATTACHMENT,
    &node::NODE,
    &cluster::LEASE,
    &definition::CUSTOM_RESOURCE_DEFINITION,
    &cluster::COMPONENT_STATUS,
    &cluster::PRIORITY_CLASS,
    &cluster::RUNTIME_CLASS,
    &cluster::VALIDATING_WEBHOOKS,
    &cluster::MUTATING_WEBHOOKS,
    &cluster::API_SERVICE,
    &cluster::CERTIFICATE_SIGNING_REQUEST,
    &cluster::FLOW_SCHEMA,
    &cluster::PRIORITY_LEVEL,
    &cluster::PROFILE,
    &gateway::HTTP_ROUTE,
    &gateway::GATEWAY,
    &gateway::GATEWAY_CLASS,
    &gateway::AUTHORIZATION_POLICY,
];

/// Kinds that are served in a second version beside the one in which they are stored.
pub(crate) static SERVED: &[&Kind] = &[&served::EVENT_V1, &served::HORIZONTAL_POD_AUTOSCALER_V1];

/// The kind somebody means by its name in any of kubectl's spellings, in any case: `Service`, `services`, `svc`,
/// `deployments.apps`, `inferenceservice.serving.kserve.io`, `deployments.v1.apps`. Of those of the program; see
/// [`Kinds::named`] for all.
#[must_use]
pub fn kind_named(text: &str) -> Option<&'static Kind> {
    named_among(text, KINDS.iter().copied())
}

fn named_among(text: &str, mut kinds: impl Iterator<Item = &'static Kind>) -> Option<&'static Kind> {
    let (name, group) = text.split_once('.').unwrap_or((text, ""));
    kinds.find(|kind| kind.is_called(name) && (group.is_empty() || kind.is_of_group(group)))
}

/// The kind with exactly this group and kind, whatever the version.
pub(crate) fn kind_of(group: &str, kind: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|known| known.group == group && known.kind == kind)
}

/// A kind in namespaces, of which nothing more is said.
const fn namespaced(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Kind {
    Kind {
        key: kind,
        group,
        version,
        kind,
        plural,
        singular: "",
        list: "",
        short_names: &[],
        is_namespaced: true,
        categories: &[],
        verbs: VERBS,
        subresources: &[],
        columns: &[],
        fields: &[],
        fill: |_, _, _| {},
        fixed: &[],
        sealed: &[],
        change: |_, _, _| {},
        pods: Pods::None,
        rules: Rules::NONE,
        effect: Effect::Made,
        slot: None,
        conversion: None,
    }
}

/// The same for a kind without namespaces.
const fn cluster(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Kind {
    Kind { is_namespaced: false, ..namespaced(group, version, kind, plural) }
}

/// Whether a value says something else than another one, of which it may leave out parts.
fn says_otherwise(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => new.iter().any(|(key, value)| {
            let was = old.get(key).unwrap_or(&Value::Null);
            says_otherwise(value, was)
        }),
        (Value::Array(new), Value::Array(old)) => {
            new.len() != old.len() || new.iter().zip(old).any(|(new, old)| says_otherwise(new, old))
        }
        (Value::Object(new), Value::Null) => !new.is_empty(),
        (Value::Null, _) => false,
        (new, old) => new != old,
    }
}

/// Gives a field another name.
fn rename(object: &mut Value, from: &str, to: &str) {
    if let Some(fields) = object.as_object_mut()
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}

const fn fixed(pointer: &'static str, field: &'static str, why: &'static str) -> Fixed {
    Fixed { pointer, field, why }
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
        if self.singular.is_empty() { self.kind.to_ascii_lowercase() } else { self.singular.to_owned() }
    }

    /// For example `InferenceServiceList`.
    #[must_use]
    pub fn list_kind(&self) -> String {
        if self.list.is_empty() { format!("{}List", self.kind) } else { self.list.to_owned() }
    }

    /// Whether a CustomResourceDefinition declares it, or did.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.slot.is_some()
    }

    /// What a CustomResourceDefinition says of it now.
    #[must_use]
    pub fn definition(&self) -> Option<Arc<Definition>> {
        self.slot.and_then(Slot::get)
    }

    /// The kind in the version in which its objects are stored.
    #[must_use]
    pub fn storage(&'static self) -> &'static Self {
        match (self.conversion, self.slot) {
            (Some(conversion), _) => conversion.storage,
            (None, Some(slot)) => slot.get().map_or(self, |definition| definition.storage()),
            (None, None) => self,
        }
    }

    /// Makes of a stored object's value one of this version.
    pub fn read(&self, value: &mut Value) {
        if let Some(conversion) = self.conversion {
            conversion.renames.iter().for_each(|(stored, other)| rename(value, stored, other));
            (conversion.read)(value);
        }
        self.say_version(value);
    }

    /// Makes of a value of this version one that can be stored.
    pub fn write(&'static self, value: &mut Value) {
        if let Some(conversion) = self.conversion {
            conversion.renames.iter().for_each(|(stored, other)| rename(value, other, stored));
            (conversion.write)(value);
        }
        self.storage().say_version(value);
    }

    /// Whether values of objects are other ones than those that are stored.
    #[must_use]
    pub fn is_converted(&self) -> bool {
        self.conversion.is_some() || self.slot.is_some()
    }

    /// What a field of this version is called where it is stored, if that is otherwise.
    #[must_use]
    pub fn stored_path(&self, path: &str) -> Option<String> {
        let renames = self.conversion?.renames;
        renames.iter().find_map(|(stored, other)| Some(format!("{stored}{}", path.strip_prefix(other)?)))
    }

    fn say_version(&self, value: &mut Value) {
        if let Value::Object(fields) = value {
            fields.insert("apiVersion".to_owned(), Value::from(self.api_version()));
        }
    }

    /// Whether anything is made from objects of this kind; the others are kept, and said to have no effect.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        self.effect == Effect::Made
    }

    /// Where its objects have the specification of a pod: `spec.template.spec`.
    #[must_use]
    pub fn pod_spec(&self) -> Option<&'static str> {
        self.pods.spec()
    }

    /// Whether Kubernetes itself does not have it.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.group.contains('.') && !self.group.ends_with(".k8s.io")
    }

    fn is_called(&self, name: &str) -> bool {
        let mut names =
            [self.kind, self.plural, self.singular].into_iter().chain(self.short_names.iter().copied());
        names.any(|known| !known.is_empty() && known.eq_ignore_ascii_case(name))
    }

    fn is_of_group(&self, group: &str) -> bool {
        let version_first = group
            .split_once('.')
            .is_some_and(|(version, group)| version == self.version && group == self.group);
        group.eq_ignore_ascii_case(self.group) || version_first
    }
}

/// A kind is the same in each of its versions.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Kind {}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource())
    }
}

// === impl Effect ===

impl Effect {
    /// Whether each object is told of by itself, so that no note about the kind is needed.
    pub(crate) fn is_told(self) -> bool {
        matches!(self, Self::Lacking(_) | Self::Unprotecting(_))
    }
}

// === impl Pods ===

impl Pods {
    /// The specification of a pod, or what stands for it.
    pub(crate) fn place(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Spec(place) | Self::Model(place) => Some(place),
        }
    }

    /// The specification of a pod that Kubernetes checks.
    pub(crate) fn spec(self) -> Option<&'static str> {
        if let Self::Spec(place) = self { Some(place) } else { None }
    }
}

#[cfg(test)]
mod tests;
