//! Admission: what every write passes that makes an object or changes one, whoever writes and in whatever form, also when
//! it is only tried.
//!
//! A step is a function in a file below and a line in [`STEPS`], in the order in which they are taken: those that fill
//! something in, then those that refuse. They run within the transaction, so what a step counts is so when the object is
//! stored; nothing gets in between. Pods of controllers pass them like those that people write; other objects that follow
//! from others, statuses and what a cluster has from the start do not.

mod amount;
mod limit_range;
mod namespace_lifecycle;
mod platform;
mod pod_security;
mod priority;
pub(crate) mod quota;
mod runtime_class;
mod service_account;
mod service_addresses;
mod storage;
mod tolerations;

use manifest::{Kind, Object, Objects};
use serde_json::Value;

pub(crate) use amount::Amount;
pub(crate) use storage::CLAIM_PROTECTION;

use crate::store::Status;

/// One write, as it would be stored.
pub(crate) struct Attempt<'a> {
    pub(crate) object: &'a mut Object,
    /// What it takes the place of.
    pub(crate) old: Option<&'a Object>,
    /// All that there is without it.
    pub(crate) all: &'a Objects,
    /// Sentences for the one who writes.
    pub(crate) warnings: &'a mut Vec<String>,
}

/// Looks at a write, and may change what is written.
///
/// # Errors
/// Why it is refused.
type Step = fn(&mut Attempt<'_>) -> Result<(), Status>;

/// Every step, in order.
const STEPS: &[Step] = &[
    namespace_lifecycle::check,
    platform::check,
    // What fills something in.
    limit_range::fill,
    service_account::fill,
    priority::fill,
    runtime_class::fill,
    tolerations::fill,
    storage::fill,
    // What refuses.
    limit_range::check,
    pod_security::check,
    priority::check,
    service_addresses::check,
    quota::check,
];

/// Takes all steps.
///
/// # Errors
/// What the first says that refuses, or what is wrong with the object as it was filled.
pub(crate) fn admit(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    for step in STEPS {
        step(attempt)?;
    }
    Ok(())
}

// === impl Attempt ===

impl<'a> Attempt<'a> {
    pub(crate) fn is_new(&self) -> bool {
        self.old.is_none()
    }

    fn is_a(&self, kind: &str) -> bool {
        self.object.kind.key == kind
    }

    /// Whether it is a pod that was not there before. Of one that is there hardly anything changes.
    fn is_new_pod(&self) -> bool {
        self.is_new() && self.is_a("Pod")
    }

    /// `pods "a" is forbidden: <why>`
    fn forbidden(&self, why: &str) -> Status {
        Status::forbidden(self.object.kind, &self.object.name, why)
    }

    /// The objects of a kind in the namespace of this one.
    fn neighbours(&self, kind: &'static str) -> impl Iterator<Item = &'a Object> + use<'a> {
        in_namespace(self.all, kind, &self.object.namespace)
    }
}

/// The objects of a kind in a namespace, by name.
fn in_namespace<'a>(
    all: &'a Objects,
    kind: &'static str,
    namespace: &str,
) -> impl Iterator<Item = &'a Object> + use<'a> {
    let namespace = namespace.to_owned();
    let from = all.of_kind_from(kind, &namespace, "");
    from.map(AsRef::as_ref).take_while(move |object| object.namespace == namespace)
}

/// The specification of the pods that objects of a kind describe, and what stands for their metadata: `spec.template.spec`
/// and `spec.template.metadata` of a Deployment.
fn described_pod<'a>(kind: &Kind, object: &'a Value) -> Option<(&'a Value, &'a Value)> {
    let mut metadata = &object["metadata"];
    let mut spec = object;
    for part in kind.pod_spec()?.split('.') {
        metadata = &spec["metadata"];
        spec = spec.get(part)?;
    }
    Some((metadata, spec))
}

/// The containers of a pod and what they are listed under, those that come first included.
fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    items(&spec["initContainers"]).chain(items(&spec["containers"]))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
