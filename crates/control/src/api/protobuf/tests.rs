use std::collections::BTreeSet;

use proptest::prelude::*;
use schema::{Field, Holds};
use serde_json::Map;

use super::wire::put_number;
use super::*;

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// What kubectl 1.33 sends for `create namespace mlops`.
const NAMESPACE: &str = "6b387300 0a0f 0a02 7631 1209 4e616d657370616365 1219 0a13 0a05 6d6c6f7073 1a00 2200 2a00 3200 3800 4200 1200 1a00";

#[test]
fn acc_s3_87_a_namespace_is_read() {
    let value = decode(&unhex(NAMESPACE)).unwrap();
    assert_eq!(value, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mlops"}}));
}

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    put_bytes(&mut field, number, bytes);
    field
}

fn number(field: u32, number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_number(&mut bytes, field, number);
    bytes
}

fn body(kind: &str, raw: &[u8]) -> Vec<u8> {
    seal("v1", kind, raw)
}

#[test]
fn a_secret_keeps_its_bytes() {
    let entry = [field(1, b"key"), field(2, &[0xff, 0])].concat();
    let labels = field(11, &[field(1, b"a"), field(2, b"b")].concat());
    let metadata = field(1, &[field(1, b"s"), labels, field(14, b"f/x")].concat());
    let raw = [metadata, field(2, &entry), field(3, b"Opaque"), number(5, 1)].concat();
    let expected = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"key": "/wA="}, "immutable": true,
        "metadata": {"name": "s", "labels": {"a": "b"}, "finalizers": ["f/x"]}});
    assert_eq!(decode(&body("Secret", &raw)).unwrap(), expected);
}

#[test]
fn the_version_that_a_change_was_made_from_is_read() {
    let owner = [field(1, b"Pod"), field(3, b"p"), field(4, b"u-2"), field(5, b"v1"), number(6, 1)].concat();
    let metadata = [field(1, b"c"), field(5, b"u-1"), field(6, b"12"), field(13, &owner)].concat();
    let value = decode(&body("ConfigMap", &field(1, &metadata))).unwrap();
    assert_eq!(
        value["metadata"],
        json!({"name": "c", "uid": "u-1", "resourceVersion": "12",
            "ownerReferences": [{"kind": "Pod", "name": "p", "uid": "u-2", "apiVersion": "v1", "controller": true}]})
    );
    let options = [number(1, 5), field(2, &field(1, b"u-1"))].concat();
    for api_version in ["v1", "apps/v1", "serving.kserve.io/v1beta1"] {
        let value = decode(&seal(api_version, "DeleteOptions", &options)).unwrap();
        assert_eq!(
            (&value["gracePeriodSeconds"], &value["preconditions"]),
            (&json!(5), &json!({"uid": "u-1"}))
        );
    }
}

#[test]
fn zero_is_told_where_it_is_something_else_than_nothing() {
    // 0 replicas, not paused, and the strategy that is always written.
    let spec = [number(1, 0), field(4, &field(1, b"")), number(7, 0)].concat();
    let value = decode(&seal("apps/v1", "Deployment", &field(2, &spec))).unwrap();
    assert_eq!(value["spec"], json!({"replicas": 0}));
    // An empty directory, and no host port.
    let port = [field(1, b""), number(2, 0), number(3, 8080), field(4, b"TCP"), field(5, b"")].concat();
    let volume = [field(1, b"tmp"), field(2, &field(2, b""))].concat();
    let container = [field(1, b"c"), field(6, &port), number(16, 0)].concat();
    let value = decode(&body("Pod", &field(2, &[field(1, &volume), field(2, &container)].concat()))).unwrap();
    assert_eq!(
        value["spec"],
        json!({"volumes": [{"name": "tmp", "emptyDir": {}}],
            "containers": [{"name": "c", "ports": [{"containerPort": 8080, "protocol": "TCP"}]}]})
    );
}

#[test]
fn ports_times_and_amounts_are_read() {
    let by_name = [number(1, 1), number(2, 0), field(3, b"http")].concat();
    let by_number = [number(1, 0), number(2, 8080), field(3, b"")].concat();
    let port = |target: &[u8]| field(1, &[field(2, b"TCP"), number(3, 80), field(4, target)].concat());
    let created = field(8, &[number(1, 1_767_225_600), number(2, 0)].concat());
    let spec = [port(&by_name), port(&by_number)].concat();
    let value = decode(&body("Service", &[field(1, &created), field(2, &spec)].concat())).unwrap();
    assert_eq!(
        value["spec"]["ports"],
        json!([{"protocol": "TCP", "port": 80, "targetPort": "http"}, {"protocol": "TCP", "port": 80, "targetPort": 8080}])
    );
    assert_eq!(value["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
    let limit = [field(1, b"cpu"), field(2, &field(1, b"500m"))].concat();
    let resources = field(8, &field(1, &limit));
    let value = decode(&body("Pod", &field(2, &field(2, &resources)))).unwrap();
    assert_eq!(value["spec"]["containers"][0]["resources"]["limits"], json!({"cpu": "500m"}));
}

#[test]
fn what_is_not_in_the_tables_is_refused() {
    for (body, reason) in [
        (body("Deployment", b""), Reason::UnsupportedMediaType),
        (seal("serving.kserve.io/v1beta1", "InferenceService", b""), Reason::UnsupportedMediaType),
        (body("ConfigMap", &field(9, b"x")), Reason::UnsupportedMediaType),
        (body("ConfigMap", &[0x0a, 0x7f]), Reason::BadRequest),
        (body("ConfigMap", &[0x0d, 0, 0, 0, 0]), Reason::BadRequest),
        (body("ConfigMap", &[0xff; 12]), Reason::BadRequest),
        (body("ControllerRevision", b""), Reason::UnsupportedMediaType),
        (seal("apps/v1", "ControllerRevision", &field(2, &field(1, b"{"))), Reason::BadRequest),
        (b"{}".to_vec(), Reason::BadRequest),
    ] {
        assert_eq!(decode(&body).unwrap_err().reason, reason, "{body:?}");
    }
}

#[test]
fn a_list_is_written() {
    let list = json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
        "items": [{"metadata": {"name": "a"}, "data": {"k": "v"}}]});
    let items = [field(1, &field(1, b"a")), field(2, &[field(1, b"k"), field(2, b"v")].concat())].concat();
    let raw = [field(1, &field(2, b"7")), field(2, &items)].concat();
    assert_eq!(encode(&list), Some(body("ConfigMapList", &raw)));
    assert_eq!(decode(&body("ConfigMapList", &raw)).unwrap(), list);
    assert_eq!(encode(&json!({"kind": "InferenceService", "apiVersion": "serving.kserve.io/v1beta1"})), None);
}

/// A value for every field, made from random numbers, in the form that decoding gives.
fn any_object(of: &'static Type, random: &mut impl FnMut() -> u64) -> Value {
    let fields: Vec<&Field> =
        of.fields().filter(|field| field.name != "apiVersion" && field.name != "kind").collect();
    let mut object = Map::new();
    for field in fields {
        if random().is_multiple_of(3) {
            let value = any_value(&field.holds, random);
            let is_empty = value == json!({}) || value == json!([]);
            if !is_empty || field.tells_zero {
                object.insert(field.name.to_owned(), value);
            }
        }
    }
    Value::Object(object)
}

fn any_value(holds: &'static Holds, random: &mut impl FnMut() -> u64) -> Value {
    match holds {
        Holds::Text => json!(format!("t{}", random() % 100)),
        Holds::Bool => json!(true),
        Holds::Int32 => json!(1 + (random() % 1000)),
        Holds::Int64 => json!(-1 - (random() % 1000).cast_signed()),
        Holds::Double => json!(0.5),
        Holds::Bytes => json!("AAEC"),
        Holds::Quantity => json!("500m"),
        Holds::IntOrString if random().is_multiple_of(2) => json!("25%"),
        Holds::IntOrString => json!(random() % 3),
        Holds::Time => json!("2026-01-01T00:00:01Z"),
        Holds::MicroTime => json!("2026-01-01T00:00:01.000002Z"),
        Holds::Json => json!({"a": [1, null, "b"]}),
        Holds::Object(reference) => any_object(reference.get(), random),
        Holds::List(item) => (0..random() % 3).map(|_| any_value(item, random)).collect(),
        Holds::Map(value) => {
            let entries = (0..random() % 3).map(|index| (format!("k{index}"), any_value(value, random)));
            Value::Object(entries.collect())
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(seed in any::<u64>()) {
        let mut state = seed | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> 8
        };
        let kinds: Vec<&'static Type> = schema::kinds().filter(|kind| kind.has_protobuf()).collect();
        let kind = kinds[usize::try_from(random()).unwrap() % kinds.len()];
        let mut object = any_object(kind, &mut random);
        let package = kind.package;
        let api_version = if package.group.is_empty() { package.version.to_owned() } else { format!("{}/{}", package.group, package.version) };
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind.name);
        prop_assert_eq!(decode(&encode(&object).unwrap()).unwrap(), object);
    }
}

#[test]
fn every_kind_of_kubernetes_itself_has_protobuf() {
    let without: BTreeSet<&str> = schema::kinds()
        .filter(|kind| kind.package.path.starts_with("io.k8s.api.") && !kind.has_protobuf())
        .map(|kind| kind.name)
        .collect();
    assert_eq!(without, BTreeSet::new());
}
