//! Kinds of the Gateway API and of Istio, which are kept.

use serde_json::{Value, json};

use super::columns::{AGE, Column, NAME, column, items, text_or, wide};
use super::{Effect, Kind, STATUS, Words, cluster, namespaced};
use crate::Object;

const GATEWAYS: &str = "gateway.networking.k8s.io";
const CATEGORY: &[&str] = &["gateway-api"];

pub(super) static HTTP_ROUTE: Kind = Kind {
    categories: CATEGORY,
    subresources: STATUS,
    columns: &[
        NAME,
        column("Hostnames", |route, _| match &route.value["spec"]["hostnames"] {
            Value::Null => Value::Null,
            hosts => json!(hosts.to_string()),
        }),
        AGE,
    ],
    effect: Effect::Kept,
    ..namespaced(GATEWAYS, "v1", "HTTPRoute", "httproutes")
};

pub(super) static GATEWAY: Kind = Kind {
    short_names: &["gtw"],
    categories: CATEGORY,
    subresources: STATUS,
    columns: &[
        NAME,
        column("Class", |gateway, _| json!(text_or(&gateway.value["spec"]["gatewayClassName"], ""))),
        column("Address", |gateway, _| {
            items(&gateway.value["status"]["addresses"]).next().map_or(Value::Null, |it| it["value"].clone())
        }),
        column("Programmed", |gateway, _| status_of(gateway, "Programmed")),
        AGE,
    ],
    effect: Effect::Kept,
    ..namespaced(GATEWAYS, "v1", "Gateway", "gateways")
};

pub(super) static GATEWAY_CLASS: Kind = Kind {
    short_names: &["gc"],
    categories: CATEGORY,
    subresources: STATUS,
    columns: CLASS_COLUMNS,
    effect: Effect::Kept,
    ..cluster(GATEWAYS, "v1", "GatewayClass", "gatewayclasses")
};

pub(super) static AUTHORIZATION_POLICY: Kind = Kind {
    short_names: &["ap"],
    categories: &["istio-io", "security-istio-io"],
    subresources: STATUS,
    columns: &[NAME, column("Action", |policy, _| policy.value["spec"]["action"].clone()), AGE],
    effect: Effect::Unprotecting(Words {
        words: "protects nothing here: what it would refuse is let in",
        advice: "refuse requests with the conditions of an Ingress's rules, or in front of the load balancer",
    }),
    ..namespaced("security.istio.io", "v1", "AuthorizationPolicy", "authorizationpolicies")
};

const CLASS_COLUMNS: &[Column] = &[
    NAME,
    column("Controller", |class, _| json!(text_or(&class.value["spec"]["controllerName"], ""))),
    column("Accepted", |class, _| status_of(class, "Accepted")),
    AGE,
    wide("Description", |class, _| class.value["spec"]["description"].clone()),
];

fn status_of(object: &Object, condition: &str) -> Value {
    let mut all = items(&object.value["status"]["conditions"]);
    all.find(|it| it["type"] == condition).map_or(Value::Null, |it| it["status"].clone())
}
