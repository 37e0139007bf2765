//! What runs a cluster: who leads, who may come first, what is asked before something is written.

use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, NONE, PLAIN, UNKNOWN, column, count, items, number, plain, text_or};
use super::fill::set_missing;
use super::{CORE, Effect, Kind, STATUS, Words, cluster, namespaced};
use crate::{Object, Objects};

const ADMISSION: &str = "admissionregistration.k8s.io";
const FLOW: &str = "flowcontrol.apiserver.k8s.io";

pub(super) static LEASE: Kind = Kind {
    columns: &[
        NAME,
        column("Holder", |lease, _| json!(text_or(&lease.value["spec"]["holderIdentity"], ""))),
        AGE,
    ],
    ..namespaced("coordination.k8s.io", "v1", "Lease", "leases")
};

pub(super) static COMPONENT_STATUS: Kind = Kind {
    short_names: &["cs"],
    columns: &[
        NAME,
        column("Status", |component, _| {
            let healthy = condition(component, "Healthy");
            json!(if healthy["status"] == "True" { "Healthy" } else { "Unhealthy" })
        }),
        column("Message", |component, _| json!(text_or(&condition(component, "Healthy")["message"], ""))),
        column("Error", |component, _| json!(text_or(&condition(component, "Healthy")["error"], ""))),
    ],
    verbs: &["get", "list"],
    ..cluster(CORE, "v1", "ComponentStatus", "componentstatuses")
};

/// Tells of the custom kinds that there are, which is all that it does here.
pub(super) static PRIORITY_CLASS: Kind = Kind {
    short_names: &["pc"],
    columns: &[
        NAME,
        count("Value", |class, _| class.value["value"].as_i64().map_or(json!(0), |value| json!(value))),
        column("Global-Default", |class, _| json!(class.value["globalDefault"] == true)),
        AGE,
        column("PreemptionPolicy", |class, _| {
            json!(text_or(&class.value["preemptionPolicy"], "PreemptLowerPriority"))
        }),
    ],
    fill: |object: &mut Object, _: Option<&Object>, _: &Objects| {
        if let Some(class) = object.value.as_object_mut() {
            set_missing(class, [("preemptionPolicy", json!("PreemptLowerPriority"))]);
        }
    },
    ..cluster("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses")
};

pub(super) static VALIDATING_WEBHOOKS: Kind = Kind {
    columns: WEBHOOKS,
    effect: Effect::Unprotecting(NOT_ASKED),
    ..cluster(ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
};

pub(super) static MUTATING_WEBHOOKS: Kind = Kind {
    columns: WEBHOOKS,
    effect: Effect::Unprotecting(NOT_ASKED),
    ..cluster(ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
};

pub(super) static API_SERVICE: Kind = Kind {
    subresources: STATUS,
    categories: &["api-extensions"],
    columns: &[
        NAME,
        column("Service", |api, _| {
            let service = &api.value["spec"]["service"];
            let part = |field: &str| text_or(&service[field], "").to_owned();
            json!(if service.is_object() {
                format!("{}/{}", part("namespace"), part("name"))
            } else {
                "Local".to_owned()
            })
        }),
        column("Available", |api, _| {
            let available = condition(api, "Available");
            let (status, reason) =
                (text_or(&available["status"], UNKNOWN), text_or(&available["reason"], ""));
            json!(if status == "True" || reason.is_empty() {
                status.to_owned()
            } else {
                format!("{status} ({reason})")
            })
        }),
        AGE,
    ],
    effect: Effect::Lacking(Words {
        words: "no other API server is asked: what it would serve is not there",
        advice: "ask that server itself",
    }),
    ..cluster("apiregistration.k8s.io", "v1", "APIService", "apiservices")
};

pub(super) static CERTIFICATE_SIGNING_REQUEST: Kind = Kind {
    short_names: &["csr"],
    subresources: STATUS,
    fields: &["spec.signerName"],
    columns: &[
        NAME,
        AGE,
        column("SignerName", |request, _| json!(text_or(&request.value["spec"]["signerName"], NONE))),
        column("Requestor", |request, _| json!(text_or(&request.value["spec"]["username"], ""))),
        column("RequestedDuration", |request, _| match request.value["spec"]["expirationSeconds"].as_i64() {
            Some(seconds) => json!(super::time::human_duration(seconds)),
            None => json!(NONE),
        }),
        column("Condition", |request, _| json!(request_state(request))),
    ],
    effect: Effect::Lacking(Words {
        words: "nobody signs it",
        advice: "have the local authority make a certificate: forebay cert issue",
    }),
    ..cluster("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests")
};

pub(super) static RUNTIME_CLASS: Kind = Kind {
    columns: &[NAME, column("Handler", |class, _| json!(text_or(&class.value["handler"], ""))), AGE],
    effect: Effect::Kept,
    ..cluster("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses")
};

pub(super) static FLOW_SCHEMA: Kind = Kind {
    subresources: STATUS,
    columns: &[
        NAME,
        column("PriorityLevel", |schema, _| {
            json!(text_or(&schema.value["spec"]["priorityLevelConfiguration"]["name"], ""))
        }),
        count("MatchingPrecedence", |schema, _| json!(number(&schema.value["spec"]["matchingPrecedence"]))),
        column("DistinguisherMethod", |schema, _| {
            json!(text_or(&schema.value["spec"]["distinguisherMethod"]["type"], NONE))
        }),
        AGE,
        column("MissingPL", |schema, _| json!(text_or(&condition(schema, "Dangling")["status"], "?"))),
    ],
    effect: Effect::Kept,
    ..cluster(FLOW, "v1", "FlowSchema", "flowschemas")
};

pub(super) static PRIORITY_LEVEL: Kind = Kind {
    subresources: STATUS,
    columns: &[
        NAME,
        column("Type", |level, _| json!(text_or(&level.value["spec"]["type"], ""))),
        column("NominalConcurrencyShares", |level, _| or_none(&limited(level)["nominalConcurrencyShares"])),
        column("Queues", |level, _| or_none(&limited(level)["limitResponse"]["queuing"]["queues"])),
        column("HandSize", |level, _| or_none(&limited(level)["limitResponse"]["queuing"]["handSize"])),
        column("QueueLengthLimit", |level, _| {
            or_none(&limited(level)["limitResponse"]["queuing"]["queueLengthLimit"])
        }),
        AGE,
    ],
    effect: Effect::Kept,
    ..cluster(FLOW, "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations")
};

pub(super) static PROFILE: Kind =
    Kind { columns: PLAIN, ..cluster("kubeflow.org", "v1", "Profile", "profiles") };

const NOT_ASKED: Words = Words {
    words: "no webhook is asked before something is written: objects that it would refuse or change are taken as they are",
    advice: "check manifests before they are applied",
};

const WEBHOOKS: &[Column] =
    &[NAME, count("Webhooks", |hooks, _| json!(items(&hooks.value["webhooks"]).count())), AGE];

fn condition<'a>(object: &'a Object, kind: &str) -> &'a Value {
    let status = &object.value["status"]["conditions"];
    // A ComponentStatus has them at its top.
    let mut all = items(status).chain(items(&object.value["conditions"]));
    all.find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

fn limited(level: &Object) -> &Value {
    &level.value["spec"]["limited"]
}

fn or_none(value: &Value) -> Value {
    if value.is_null() { json!(NONE) } else { json!(plain(value)) }
}

/// `Pending`, or what was decided: `Approved,Issued`
fn request_state(request: &Object) -> String {
    let status = &request.value["status"];
    let has = |kind: &str| items(&status["conditions"]).any(|condition| condition["type"] == kind);
    let mut words: Vec<&str> =
        ["Approved", "Denied", "Failed"].into_iter().filter(|kind| has(kind)).collect();
    if status["certificate"].is_string() {
        words.push("Issued");
    }
    if words.is_empty() { "Pending".to_owned() } else { words.join(",") }
}
