//! What Kubernetes refuses of an object besides fields of the wrong type: numbers out of bounds, texts that are none, and
//! parts that have to be there.
//!
//! Rows of tables: a field is one line. What only makes no sense together is in [`together`].

mod together;

use std::net::IpAddr;

use base64::Engine;
use serde_json::{Value, json};

use super::pod::MAX_REPLICAS;
use crate::read::key_path;
use crate::workload::relative_path;
use crate::{Finding, Object, codes};

/// Something in an object that an API server refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// For example `spec.ports[0].port`.
    pub field: String,
    /// Whether the object cannot even be decoded; otherwise it is invalid.
    pub is_undecodable: bool,
    /// In Kubernetes' words, without the field: `Invalid value: -1: must be greater than or equal to 0`.
    pub message: String,
}

/// A number of an object.
struct Number {
    /// Where; `[]` stands for every item of a list.
    path: &'static str,
    least: i64,
    most: i64,
    /// Whether it may also be a text: a name, or a percentage.
    may_be_text: bool,
}

const INT32: i64 = i32::MAX as i64;
const PORTS: (i64, i64) = (1, 65_535);
const REPLICAS: i64 = MAX_REPLICAS as i64;

/// The numbers of each kind.
const NUMBERS: &[(&str, &[Number])] = &[
    (
        "Deployment",
        &[
            number("spec.replicas", 0, REPLICAS),
            number("spec.minReadySeconds", 0, INT32),
            number("spec.revisionHistoryLimit", 0, INT32),
            number("spec.progressDeadlineSeconds", 0, INT32),
            number("spec.strategy.rollingUpdate.maxSurge", 0, INT32).or_text(),
            number("spec.strategy.rollingUpdate.maxUnavailable", 0, INT32).or_text(),
        ],
    ),
    (
        "Service",
        &[
            number("spec.ports[].port", PORTS.0, PORTS.1),
            number("spec.ports[].targetPort", PORTS.0, PORTS.1).or_text(),
            number("spec.ports[].nodePort", 0, PORTS.1),
            number("spec.healthCheckNodePort", 0, PORTS.1),
        ],
    ),
    (
        "HorizontalPodAutoscaler",
        &[number("spec.minReplicas", 1, INT32), number("spec.maxReplicas", 1, INT32)],
    ),
    (
        "InferenceService",
        &[
            number("spec.predictor.minReplicas", 0, REPLICAS),
            number("spec.predictor.maxReplicas", 0, INT32),
            number("spec.predictor.canaryTrafficPercent", 0, 100),
            number("spec.predictor.terminationGracePeriodSeconds", 0, INT32),
        ],
    ),
];

/// Where the pods of a kind stand.
const PODS: &[(&str, &str)] = &[("Deployment", "spec.template.spec"), ("Pod", "spec")];

/// The numbers of a pod's spec.
const POD_NUMBERS: &[Number] = &[
    number("terminationGracePeriodSeconds", 0, INT32),
    number("containers[].ports[].containerPort", PORTS.0, PORTS.1),
    number("containers[].ports[].hostPort", 0, PORTS.1),
];

const PROBES: &[&str] = &["startupProbe", "readinessProbe", "livenessProbe"];

/// The numbers of a container's probe.
const PROBE_NUMBERS: &[Number] = &[
    number("initialDelaySeconds", 0, INT32),
    number("timeoutSeconds", 0, INT32),
    number("periodSeconds", 0, INT32),
    number("successThreshold", 0, INT32),
    number("failureThreshold", 0, INT32),
    number("httpGet.port", PORTS.0, PORTS.1).or_text(),
    number("tcpSocket.port", PORTS.0, PORTS.1).or_text(),
    number("grpc.port", PORTS.0, PORTS.1).or_text(),
];

/// What has to be there.
const REQUIRED: &[(&str, &[&str])] = &[
    ("Deployment", &["spec.selector", "spec.template.spec.containers"]),
    ("Pod", &["spec.containers"]),
    ("Service", &["spec"]),
    ("Ingress", &["spec"]),
    ("InferenceService", &["spec.predictor"]),
];

/// Addresses that traffic is sent to.
const ADDRESSES: &[(&str, &[&str])] =
    &[("Endpoints", &["subsets[].addresses[].ip"]), ("EndpointSlice", &["endpoints[].addresses[]"])];
/// Maps of texts.
const TEXTS: &[(&str, &[&str])] = &[("ConfigMap", &["data"]), ("Secret", &["stringData"])];

/// Maps of bytes, written in base64.
const BYTES: &[(&str, &[&str])] = &[("ConfigMap", &["binaryData"]), ("Secret", &["data"])];

/// Everything that an API server refuses of an object, of what is known here.
#[must_use]
pub fn violations(object: &Object) -> Vec<Violation> {
    let (kind, value) = (object.kind.kind, &object.value);
    let missing = rows(REQUIRED, kind).iter().filter(|path| at(value, path).is_none_or(is_nothing));
    let mut found: Vec<Violation> = missing
        .map(|path| Violation {
            field: (*path).to_owned(),
            is_undecodable: false,
            message: "Required value".to_owned(),
        })
        .collect();
    check_numbers(object, &mut |field, value, why| {
        found.push(Violation::of_number(kind, field, value, &why));
    });
    check_addresses(object, &mut |field, address, why| {
        let message = format!("Invalid value: {address}: {why}");
        found.push(Violation { field, is_undecodable: false, message });
    });
    for (field, path) in relative_path::without_a_start(object) {
        let message =
            format!("Invalid value: {}: {}: use {}", json!(path), relative_path::PROBLEM, relative_path::FIX);
        found.push(Violation { field, is_undecodable: false, message });
    }
    if let Some((_, pod)) = PODS.iter().find(|(of, _)| *of == kind) {
        together::check(kind, value, pod, &mut found);
    }
    for map in rows(TEXTS, kind) {
        check_texts(kind, map, value, &mut found);
    }
    for map in rows(BYTES, kind) {
        check_texts(kind, map, value, &mut found);
        check_bytes(map, value, &mut found);
    }
    found
}

/// Tells every address that traffic may not be sent to: its place, it, and why.
fn check_addresses(object: &Object, tell: &mut dyn FnMut(String, &Value, &str)) {
    for path in rows(ADDRESSES, object.kind.kind) {
        each(&object.value, "", path, &mut |field, address| {
            let parsed = address.as_str().and_then(|address| address.parse().ok());
            if let Some(why) = parsed.and_then(problem_of_address) {
                tell(field, address, why);
            }
        });
    }
}

/// Why traffic may not be sent to an address (`ValidateNonSpecialIP` of Kubernetes, which refuses loopback too).
fn problem_of_address(address: IpAddr) -> Option<&'static str> {
    let (is_link_local, is_link_local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if address.is_unspecified() {
        Some("may not be unspecified")
    } else if is_link_local {
        Some(
            "may not be in the link-local range (169.254.0.0/16, fe80::/10), where a cloud keeps its credentials",
        )
    } else if is_link_local_multicast {
        Some("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    } else {
        None
    }
}

/// The numbers out of bounds and the addresses that are none, as findings. The rest is found when an object is read.
pub(crate) fn findings(object: &Object) -> Vec<Finding> {
    let mut found = Vec::new();
    check_addresses(object, &mut |field, address, why| {
        let message = format!("`{field}` is {address}: it {why}");
        found.push(Finding::new(&codes::FIELD_INVALID, message).at(object, &field));
    });
    for (field, path) in relative_path::without_a_start(object) {
        let finding = Finding::new(&codes::PATH_RELATIVE, format!("`{path}` {}", relative_path::PROBLEM));
        found.push(finding.at(object, &field).suggest(relative_path::FIX));
    }
    check_numbers(object, &mut |field, value, why| {
        let message = format!("`{field}` is `{}`: it {why}", value.to_string().trim_matches('"'));
        found.push(Finding::new(&codes::FIELD_INVALID, message).at(object, &field));
    });
    found
}

/// Tells every number that is none, or out of bounds: its place, it, and why.
fn check_numbers(object: &Object, tell: &mut dyn FnMut(String, &Value, String)) {
    let (kind, object) = (object.kind.kind, &object.value);
    let mut check = |within: &Value, above: &str, number: &Number| {
        each(within, above, number.path, &mut |field, value| {
            if let Some(why) = number.problem(value) {
                tell(field, value, why);
            }
        });
    };
    rows(NUMBERS, kind).iter().for_each(|number| check(object, "", number));
    for (_, spec) in PODS.iter().filter(|(of, _)| *of == kind) {
        let Some(pod) = at(object, spec) else { continue };
        POD_NUMBERS.iter().for_each(|number| check(pod, spec, number));
        for probe in PROBES {
            each(pod, spec, &format!("containers[].{probe}"), &mut |path, probe| {
                PROBE_NUMBERS.iter().for_each(|number| check(probe, &path, number));
            });
        }
    }
}

// === impl Violation ===

impl Violation {
    /// Kubernetes' numbers have 32 bits: what does not fit, or is no number at all, is not even decoded.
    fn of_number(kind: &str, field: String, value: &Value, why: &str) -> Self {
        let is_undecodable = why == NO_NUMBER || (value.is_number() && as_int32(value).is_none());
        let message = if is_undecodable {
            let written =
                if value.is_number() { format!("number {value}") } else { go_type(value).to_owned() };
            let name: String = field.split(['[', ']']).step_by(2).collect();
            format!("json: cannot unmarshal {written} into Go struct field {kind}.{name} of type int32")
        } else {
            format!("Invalid value: {value}: {why}")
        };
        Self { field, is_undecodable, message }
    }
}

// === impl Number ===

const fn number(path: &'static str, least: i64, most: i64) -> Number {
    Number { path, least, most, may_be_text: false }
}

impl Number {
    const fn or_text(mut self) -> Self {
        self.may_be_text = true;
        self
    }

    /// Why a value is not one of these; null counts as nothing.
    fn problem(&self, value: &Value) -> Option<String> {
        let number = match value {
            Value::Null => return None,
            Value::String(text) if self.may_be_text => return self.problem_of_text(text),
            value => value.as_f64(),
        };
        let Some(number) = number else { return Some(NO_NUMBER.to_owned()) };
        let (least, most) = (self.least as f64, self.most as f64);
        if (least..=most).contains(&number) && as_int32(value).is_some() {
            return None;
        }
        Some(match (self.least, self.most) {
            (0, _) if number < 0.0 => "must be greater than or equal to 0".to_owned(),
            (_, REPLICAS) => {
                format!("must be less than or equal to {REPLICAS}, the most that one machine runs")
            }
            (least, INT32) if number < least as f64 => format!("must be greater than or equal to {least}"),
            (least, most) => format!("must be between {least} and {most}, inclusive"),
        })
    }

    /// Names are looked up elsewhere; a percentage is one of the bounds of a rollout.
    fn problem_of_text(&self, text: &str) -> Option<String> {
        if !self.path.ends_with("maxSurge") && !self.path.ends_with("maxUnavailable") {
            return None;
        }
        let percent = text.strip_suffix('%').filter(|digits| !digits.is_empty() && digits.len() <= 9);
        let is_good = percent.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        (!is_good).then(|| "must be a number followed by `%`".to_owned())
    }
}

const NO_NUMBER: &str = "must be a number";

fn as_int32(value: &Value) -> Option<i32> {
    i32::try_from(value.as_i64()?).ok()
}

// --- texts and bytes ---

fn check_texts(kind: &str, map: &str, object: &Value, found: &mut Vec<Violation>) {
    let entries = object[map].as_object().into_iter().flatten();
    let wrong = entries.filter(|(_, value)| !value.is_string() && !value.is_null());
    found.extend(wrong.map(|(key, value)| Violation {
        field: key_path(map, key),
        is_undecodable: true,
        message: format!(
            "json: cannot unmarshal {} into Go struct field {kind}.{map} of type string",
            go_type(value)
        ),
    }));
}

/// What the bytes are is nobody's to read in a message.
fn check_bytes(map: &str, object: &Value, found: &mut Vec<Violation>) {
    for (key, value) in object[map].as_object().into_iter().flatten() {
        // Line breaks are legal, as `base64` without `-w0` makes them.
        let written: String = value.as_str().unwrap_or_default().split_ascii_whitespace().collect();
        let decoded = base64::engine::general_purpose::STANDARD.decode(&written);
        found.extend(decoded.err().map(|error| {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _) => at,
                _ => written.len(),
            };
            let message = format!("illegal base64 data at input byte {at}");
            Violation { field: key_path(map, key), is_undecodable: true, message }
        }));
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

// --- places ---

fn rows<T>(table: &'static [(&str, &[T])], kind: &str) -> &'static [T] {
    table.iter().find(|(of, _)| *of == kind).map(|(_, rows)| *rows).unwrap_or_default()
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Shows every value at a path. It goes no deeper than the path does.
fn each(value: &Value, above: &str, path: &str, show: &mut dyn FnMut(String, &Value)) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let key = first.trim_end_matches("[]");
    let Some(part) = value.get(key) else { return };
    let place = if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") };
    let mut go_on = |part: &Value, place: String| match rest {
        Some(rest) => each(part, &place, rest, show),
        None => show(place, part),
    };
    match part {
        Value::Array(items) if first.ends_with("[]") => {
            items.iter().enumerate().for_each(|(index, item)| go_on(item, format!("{place}[{index}]")));
        }
        part => go_on(part, place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind_named;

    #[track_caller]
    fn check(kind: &str, fields: &Value, expected: &[&str]) {
        let kind = kind_named(kind).unwrap();
        let mut value =
            json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": "a"}});
        value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let violations = violations(&Object::from_value(value).unwrap());
        let shown = violations.iter().map(|violation| {
            let class = if violation.is_undecodable { "400" } else { "422" };
            format!("{class} {}: {}", violation.field, violation.message)
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }

    /// A Deployment with these fields in its spec, and these in its container.
    fn deployment(spec: &Value, container: &Value) -> Value {
        let mut named = json!({"name": "main", "image": "x"});
        named.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        let mut all = json!({"selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}},
            "spec": {"terminationGracePeriodSeconds": 30, "containers": [named]}}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        json!({"spec": all})
    }

    #[test]
    fn numbers_have_bounds() {
        let good = json!({"replicas": 200, "minReadySeconds": 0, "progressDeadlineSeconds": 2_147_483_647,
            "strategy": {"rollingUpdate": {"maxSurge": "250%", "maxUnavailable": 2_147_483_647}}});
        check("deploy", &deployment(&good, &json!({})), &[]);
        let bad = json!({"replicas": 201, "minReadySeconds": -1, "revisionHistoryLimit": "x",
            "progressDeadlineSeconds": i64::MAX,
            "strategy": {"rollingUpdate": {"maxSurge": u32::MAX, "maxUnavailable": "99999999999%"}}});
        check(
            "deploy",
            &deployment(&bad, &json!({})),
            &[
                "422 spec.replicas: Invalid value: 201: must be less than or equal to 200, the most that one machine runs",
                "422 spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
                "400 spec.revisionHistoryLimit: json: cannot unmarshal string into Go struct field Deployment.spec.revisionHistoryLimit of type int32",
                "400 spec.progressDeadlineSeconds: json: cannot unmarshal number 9223372036854775807 into Go struct field Deployment.spec.progressDeadlineSeconds of type int32",
                "400 spec.strategy.rollingUpdate.maxSurge: json: cannot unmarshal number 4294967295 into Go struct field Deployment.spec.strategy.rollingUpdate.maxSurge of type int32",
                "422 spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"99999999999%\": must be a number followed by `%`",
            ],
        );
        check(
            "deploy",
            &deployment(&json!({"replicas": -1}), &json!({})),
            &["422 spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
        );
    }

    #[test]
    fn numbers_of_containers_and_ports_have_bounds() {
        let container = json!({"ports": [{"containerPort": 80}, {"containerPort": 65_536}],
            "livenessProbe": {"periodSeconds": -1, "failureThreshold": 1e300, "httpGet": {"port": 0}},
            "readinessProbe": {"tcpSocket": {"port": "http"}}});
        check(
            "deploy",
            &deployment(&json!({}), &container),
            &[
                "422 spec.template.spec.containers[0].ports[1].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
                "422 spec.template.spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
                "400 spec.template.spec.containers[0].livenessProbe.failureThreshold: json: cannot unmarshal number 1e+300 into Go struct field Deployment.spec.template.spec.containers.livenessProbe.failureThreshold of type int32",
                "422 spec.template.spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        );
        check(
            "svc",
            &json!({"spec": {"ports": [{"port": 70_000, "targetPort": "http"}]}}),
            &["422 spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive"],
        );
    }

    #[test]
    fn traffic_is_not_sent_to_a_cloud_s_credentials() {
        let slice = |address: &str| json!({"endpoints": [{"addresses": ["127.0.0.1", address]}]});
        let expected = r#"422 endpoints[0].addresses[1]: Invalid value: "169.254.169.254": may not be in the link-local range (169.254.0.0/16, fe80::/10), where a cloud keeps its credentials"#;
        check("EndpointSlice", &slice("169.254.169.254"), &[expected]);
        check("EndpointSlice", &slice("10.0.0.1"), &[]);
        let expected = r#"422 subsets[0].addresses[0].ip: Invalid value: "0.0.0.0": may not be unspecified"#;
        check("Endpoints", &json!({"subsets": [{"addresses": [{"ip": "0.0.0.0"}]}]}), &[expected]);
    }

    #[test]
    fn what_a_kind_is_made_of_has_to_be_there() {
        check(
            "deploy",
            &json!({}),
            &["422 spec.selector: Required value", "422 spec.template.spec.containers: Required value"],
        );
        check("pod", &json!({"spec": {"containers": []}}), &["422 spec.containers: Required value"]);
        check("isvc", &json!({"spec": 3}), &["422 spec.predictor: Required value"]);
    }

    #[test]
    fn texts_are_texts_and_bytes_are_base64() {
        check(
            "cm",
            &json!({"data": {"a": true, "b": 12, "c": "x"}}),
            &[
                "400 data.a: json: cannot unmarshal bool into Go struct field ConfigMap.data of type string",
                "400 data.b: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
            ],
        );
        check(
            "secret",
            &json!({"data": {"a": "b2s=", "b": "b2\ns=", "c": "not base64"}, "stringData": {"d": []}}),
            &[
                "400 stringData.d: json: cannot unmarshal array into Go struct field Secret.stringData of type string",
                "400 data.c: illegal base64 data at input byte 9",
            ],
        );
    }
}
