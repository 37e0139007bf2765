//! The API as clients meet it: requests in the shapes that kubectl sends, and what comes back.

use std::rc::Rc;

use bytes::Bytes;
use expect_test::expect;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::*;

mod access;
mod against;
mod apply;
mod as_kubernetes;
mod change;
mod discovery;
mod get;
mod refusals;
mod watch;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const TOKEN: &str = "secret";

fn api() -> Api {
    Api::new(Rc::new(Store::in_memory()), None, Settings { token: TOKEN.to_owned(), ..Settings::default() })
}

/// One request as `METHOD path`, with fields and a body.
fn send(api: &Api, line: &str, fields: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Body> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:7443");
    request = request.header("authorization", format!("Bearer {TOKEN}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    api.handle(&request.body(body.into()).unwrap())
}

fn text(response: Response<Body>) -> String {
    match response.into_body() {
        Body::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Body::Stream(_) | Body::Upgrade(_) => panic!("an answer that goes on"),
    }
}

fn value(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response)).unwrap()
}

/// Sends a body of a type; gives the status code and the answer.
fn write(api: &Api, line: &str, media_type: &str, body: &Value) -> (u16, Value) {
    let response = send(api, line, &[("content-type", media_type)], body.to_string());
    (response.status().as_u16(), value(response))
}

fn get(api: &Api, path: &str) -> Value {
    value(send(api, &format!("GET {path}"), &[("accept", "application/json")], ""))
}

fn message(answer: &(u16, Value)) -> String {
    format!(
        "{} {}: {}",
        answer.0,
        answer.1["reason"].as_str().unwrap_or("-"),
        answer.1["message"].as_str().unwrap_or("-")
    )
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}})
}

fn deployment() -> Value {
    let pod = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "api", "image": "forebay:1"}]}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": pod}})
}

fn object(value: Value) -> manifest::Object {
    manifest::Object::from_value(value).unwrap()
}
