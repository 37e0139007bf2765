//! Everything here that reads bytes from outside, as functions that must return for any bytes.
//!
//! The fuzz targets and the property tests below call the same functions.
#![doc(hidden)]

use crate::local::probe;
use std::rc::Rc;

use bytes::Bytes;
use http::Request;
use manifest::Object;
use serde_json::{Value, json};

use crate::api::protobuf;
use crate::api::upgrade::{spdy, websocket};
use crate::api::{self, Api};
use crate::store::record::{Record, find_all};
use crate::store::{FieldSelector, LabelSelector, Mode, Store, merge_patch, three_way};

/// A label selector from a query.
pub fn label_selector(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(selector) = LabelSelector::parse(text)
    {
        let _ = selector.matches(&[("app", "web")].into());
    }
}

/// A field selector from a query.
pub fn field_selector(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = FieldSelector::parse(text);
    }
}

/// The answer of a replica to a probe.
pub fn probe_answer(data: &[u8]) {
    if let Some(status) = probe::status_of(data) {
        assert!(status <= 999);
    }
}

/// Patches: three JSON values, one a line.
pub fn patches(data: &[u8]) {
    let mut values =
        data.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let (Some(applied), Some(wanted), Some(live)) = (values.next(), values.next(), values.next()) else {
        return;
    };
    let merged = three_way(Some(&applied), &wanted, &live);
    assert_eq!(three_way(Some(&wanted), &wanted, &merged), merged, "applying again changes nothing");
    let mut patched = live;
    merge_patch(&mut patched, &wanted);
    let once = patched.clone();
    merge_patch(&mut patched, &wanted);
    assert_eq!(patched, once, "patching again changes nothing");
}

/// An object in protobuf: which kind it is, and its message.
pub fn protobuf(data: &[u8]) {
    let Some((kind, raw)) = data.split_first() else { return };
    let Some(kind) = schema::kinds().nth(usize::from(*kind)) else { return };
    let api_version = match kind.package.group {
        "" => kind.package.version.to_owned(),
        group => format!("{group}/{}", kind.package.version),
    };
    if let Ok(value) = protobuf::decode(&protobuf::seal(&api_version, kind.name, raw)) {
        let body = protobuf::encode(&value).expect("what was read can be written");
        assert_eq!(protobuf::decode(&body), Ok(value), "what is written is read again");
    }
}

/// A request to the embedded API: `METHOD path`, media types of body and answer, and the body, each on a line.
pub fn api_request(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut line = || std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let (method, path) = line().split_once(' ').unwrap_or(("GET", "/"));
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("content-type", line()).header("accept", line());
    let request = request.header("authorization", "Bearer token");
    let Ok(request) = request.body(Bytes::copy_from_slice(parts.next().unwrap_or_default())) else { return };
    let store = Rc::new(Store::in_memory());
    for value in [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}),
    ] {
        let Ok(object) = Object::from_value(value) else { return };
        let _ = store.create(object, Mode::Commit);
    }
    let settings = api::Settings { token: "token".to_owned(), ..api::Settings::default() };
    let answer = Api::new(store, None, settings).handle(&request);
    assert_ne!(answer.status(), 500, "{request:?}");
}

/// What a client says on a connection of WebSocket: no message is longer than it may be, or than what was sent.
pub fn websocket(data: &[u8]) {
    let mut decoder = websocket::Decoder::default();
    let mut n_bytes = 0;
    for piece in data.chunks(7) {
        decoder.extend(piece);
        loop {
            match decoder.next() {
                Ok(Some(websocket::Message::Data(bytes))) => n_bytes += bytes.len(),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(n_bytes <= data.len());
}

/// What a client says on a connection of SPDY: what it sends on streams is not longer than what was sent, and what it names
/// them with has a bound, however well it is compressed.
pub fn spdy(data: &[u8]) {
    let mut decoder = spdy::Decoder::default();
    let mut n_bytes = 0;
    for piece in data.chunks(7) {
        decoder.extend(piece);
        loop {
            match decoder.next() {
                Ok(Some(spdy::Frame::Data { bytes, .. })) => n_bytes += bytes.len(),
                Ok(Some(spdy::Frame::Open { headers, .. })) => {
                    let length: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
                    assert!(length <= 16 << 10);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(n_bytes <= data.len());
}

/// A record of the store's file.
pub fn record(data: &[u8]) {
    if let Ok((record, length)) = Record::decode(data) {
        assert_eq!(record.encode().0, data[..length]);
    }
    assert!(find_all(data).count() <= data.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATHS: &[&str] = &[
        "/apis",
        "/api/v1/namespaces",
        "/api/v1/namespaces/default/services",
        "/api/v1/namespaces/default/services/a",
        "/api/v1/namespaces/default/services/a/status",
        "/apis/apps/v1/namespaces/default/deployments/a",
        "/apis/apps/v1/namespaces/default/deployments/a/scale",
        "/api/v1/namespaces/default/pods/a/log",
        "/api/v1/namespaces/default/pods/a/exec",
        "/api/v1/namespaces/default/pods/a/portforward",
        "/apis/serving.kserve.io/v1beta1/inferenceservices",
    ];
    const MEDIA_TYPES: &[&str] = &[
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ];

    /// How frames begin.
    const BEGINNINGS: &[&[u8]] = &[
        b"",
        b"\x82\x85",
        b"\x01\xfe",
        b"\x80\x03\x00\x01\x00\x00\x00\x20",
        b"\x80\x03\x00\x08\x00\x00\x00\x08",
        b"\x00\x00\x00\x01\x01\x00\x00\x04",
    ];

    /// Something like an object, a patch of one, or a list of operations on one.
    fn object() -> impl Strategy<Value = Value> {
        let operation =
            ("add|remove|replace|move|copy|test", "(/(metadata|spec|ports|labels|0|-|a)){0,3}", json())
                .prop_map(
                    |(op, path, value)| json!({"op": op, "path": path, "from": "/spec", "value": value}),
                );
        let fields = ("metadata|spec|status|data|[$]patch|[$]retainKeys", json())
            .prop_map(|(name, value)| json!({name: value}));
        let named = (json(), json()).prop_map(|(metadata, spec)| {
            let mut object = json!({"metadata": {"name": "a", "labels": metadata}, "spec": {"ports": spec, "template": {"spec": {"containers": spec}}}});
            object["metadata"]["annotations"] = json!({"a": "b"});
            object
        });
        prop_oneof![json(), fields, named, prop::collection::vec(operation, 0..3).prop_map(Value::from),]
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "[a-c]".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_may_be_a_selector(text in r"[a-c=!, ()\\./-]{0,24}|\PC{0,24}") {
            label_selector(text.as_bytes());
            field_selector(text.as_bytes());
        }

        #[test]
        fn any_bytes_may_answer_a_probe(bytes in "(HTTP/1.[01] ?[0-9+-]{0,4} ?\r?\n?)?.{0,8}") {
            probe_answer(bytes.as_bytes());
        }

        #[test]
        fn any_bytes_may_be_a_request(data in prop::collection::vec(any::<u8>(), 0..64)) {
            api_request(&data);
        }

        #[test]
        fn any_request_is_answered(
            method in "GET|POST|PUT|PATCH|DELETE",
            path in prop::sample::select(PATHS),
            query in "(\\?(watch|labelSelector|fieldSelector|resourceVersion|dryRun|fieldManager|fieldValidation|tailLines)=[a-z0-9=%!,()]{0,8}){0,1}",
            media_type in prop::sample::select(MEDIA_TYPES),
            body in prop_oneof![object().prop_map(|value| value.to_string().into_bytes()), prop::collection::vec(any::<u8>(), 0..32)],
        ) {
            let head = format!("{method} {path}{query}\n{media_type}\n*/*\n");
            api_request(&[head.as_bytes(), &body].concat());
        }

        #[test]
        fn any_bytes_may_come_after_an_upgrade(
            head in prop::collection::vec(any::<u8>(), 0..12),
            kind in prop::sample::select(BEGINNINGS),
            rest in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            for bytes in [[kind, &rest].concat(), [&head, kind, &rest].concat()] {
                websocket(&bytes);
                spdy(&bytes);
            }
        }

        #[test]
        fn any_bytes_may_be_an_object_in_protobuf(
            kind in 0..90_u8,
            raw in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x0a_u8), Just(0x12), Just(2), Just(0)], 0..48),
        ) {
            protobuf(&[&[kind], raw.as_slice()].concat());
        }

        #[test]
        fn any_values_may_be_patches(a in json(), b in json(), c in json()) {
            patches(format!("{a}\n{b}\n{c}").as_bytes());
        }
    }
}
