//! Which lists of built-in kinds are merged by a key, and which maps go as one. All other lists are replaced whole.
//!
//! From the merge keys that Kubernetes publishes in its OpenAPI document (`x-kubernetes-patch-merge-key` for strategic
//! merge patches, `x-kubernetes-list-map-keys` for server-side apply), for the kinds that are served here.

use manifest::Kind;
use serde_json::Value;

/// How a value is merged.
#[derive(Debug)]
pub(super) enum Shape {
    /// Maps field by field, lists as a whole.
    Plain,
    /// A map, with the fields that are not plain.
    Fields(&'static [(&'static str, Shape)]),
    /// A list of maps that are told apart by a key.
    Items(Items),
    /// A list of texts of which each is there once.
    Set,
}

/// A list of maps that are told apart by a key.
#[derive(Debug)]
pub(super) struct Items {
    /// The field that tells them apart in a strategic merge patch.
    pub(super) key: &'static str,
    /// The further fields that tell them apart in server-side apply, with what they are when left out.
    further_keys: &'static [(&'static str, &'static str)],
    /// How the items themselves are merged.
    pub(super) item: &'static Shape,
}

/// The shape of objects of a kind.
pub(super) fn of(kind: &Kind) -> &'static Shape {
    match (is_built_in(kind), kind.kind) {
        (true, "Deployment" | "ReplicaSet") => &WORKLOAD,
        (true, "Pod") => &POD,
        (true, "Service") => &SERVICE,
        (true, "ServiceAccount") => &SERVICE_ACCOUNT,
        (true, "Node") => &NODE,
        (true, _) => &OTHER,
        (false, _) => &CUSTOM,
    }
}

/// Whether a kind is Kubernetes' own. Others have no published merge keys, and take no strategic merge patch.
pub(super) fn is_built_in(kind: &Kind) -> bool {
    !kind.group.contains('.') || kind.group.ends_with(".k8s.io")
}

// === impl Shape ===

impl Shape {
    /// The shape of a field of a map.
    pub(super) fn field(&self, name: &str) -> &Self {
        let Self::Fields(fields) = self else { return &Self::Plain };
        fields.iter().find(|(field, _)| *field == name).map_or(&Self::Plain, |(_, shape)| shape)
    }
}

// === impl Items ===

impl Items {
    /// Whether two items are one for server-side apply.
    pub(super) fn are_same(&self, a: &Value, b: &Value) -> bool {
        let further = |of: &Value, (key, default): &(&str, &str)| {
            of.get(key).and_then(Value::as_str).unwrap_or(default).to_owned()
        };
        a.get(self.key) == b.get(self.key)
            && self.further_keys.iter().all(|key| further(a, key) == further(b, key))
    }
}

const fn by(key: &'static str, item: &'static Shape) -> Shape {
    Shape::Items(Items { key, further_keys: &[], item })
}

const METADATA: (&str, Shape) =
    ("metadata", Shape::Fields(&[("finalizers", Shape::Set), ("ownerReferences", by("uid", &Shape::Plain))]));
const CONDITIONS: (&str, Shape) = ("conditions", by("type", &Shape::Plain));
const STATUS: (&str, Shape) = ("status", Shape::Fields(&[CONDITIONS]));

static CONTAINER: Shape = Shape::Fields(&[
    ("env", by("name", &Shape::Plain)),
    ("ports", Shape::Items(Items { key: "containerPort", further_keys: TCP, item: &Shape::Plain })),
    ("volumeDevices", by("devicePath", &Shape::Plain)),
    ("volumeMounts", by("mountPath", &Shape::Plain)),
]);
const TCP: &[(&str, &str)] = &[("protocol", "TCP")];

const POD_SPEC: Shape = Shape::Fields(&[
    ("containers", by("name", &CONTAINER)),
    ("ephemeralContainers", by("name", &CONTAINER)),
    ("hostAliases", by("ip", &Shape::Plain)),
    ("imagePullSecrets", by("name", &Shape::Plain)),
    ("initContainers", by("name", &CONTAINER)),
    ("resourceClaims", by("name", &Shape::Plain)),
    ("schedulingGates", by("name", &Shape::Plain)),
    (
        "topologySpreadConstraints",
        Shape::Items(Items {
            key: "topologyKey",
            further_keys: &[("whenUnsatisfiable", "")],
            item: &Shape::Plain,
        }),
    ),
    ("volumes", by("name", &Shape::Plain)),
]);

static POD: Shape = Shape::Fields(&[METADATA, ("spec", POD_SPEC), STATUS]);
static WORKLOAD: Shape = Shape::Fields(&[
    METADATA,
    ("spec", Shape::Fields(&[("template", Shape::Fields(&[METADATA, ("spec", POD_SPEC)]))])),
    STATUS,
]);
static SERVICE: Shape = Shape::Fields(&[
    METADATA,
    (
        "spec",
        Shape::Fields(&[(
            "ports",
            Shape::Items(Items { key: "port", further_keys: TCP, item: &Shape::Plain }),
        )]),
    ),
    STATUS,
]);
static SERVICE_ACCOUNT: Shape = Shape::Fields(&[
    METADATA,
    ("imagePullSecrets", by("name", &Shape::Plain)),
    ("secrets", by("name", &Shape::Plain)),
]);
static NODE: Shape = Shape::Fields(&[
    METADATA,
    ("status", Shape::Fields(&[CONDITIONS, ("addresses", by("type", &Shape::Plain))])),
]);
static OTHER: Shape = Shape::Fields(&[METADATA, STATUS]);
static CUSTOM: Shape = Shape::Fields(&[METADATA]);
