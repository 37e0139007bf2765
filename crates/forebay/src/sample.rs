//! A request that an endpoint answers: taken from the reference of the model server behind it.

use std::net::SocketAddr;
use std::time::Duration;

use net::{Body, ClientConnection, Fields, Method, Outgoing};
use serde_json::Value;

use crate::endpoints::Endpoint;

/// How long an endpoint may take to tell its reference.
const PATIENCE: Duration = Duration::from_secs(2);

/// The largest reference that is read, in bytes.
const REFERENCE_LIMIT: usize = 16 << 20;

/// A POST of JSON that is answered with 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The path.
    pub(crate) path: String,
    /// The body.
    pub(crate) body: String,
}

/// Asks an endpoint for an example request. `None` when it is no model server.
pub(crate) async fn sample(endpoint: &Endpoint) -> Option<Sample> {
    let reference = get(endpoint, "/openapi.json").await?;
    let reference: Value = serde_json::from_slice(&reference).ok()?;
    endpoint.example_paths.iter().find_map(|path| of_operation(&reference, path))
}

/// The first example of an operation.
fn of_operation(reference: &Value, path: &str) -> Option<Sample> {
    let examples =
        &reference["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"];
    let (model, example) = examples.as_object()?.iter().next()?;
    Some(Sample { path: path.replace("{model}", model), body: example.get("value")?.to_string() })
}

async fn get(endpoint: &Endpoint, path: &str) -> Option<net::Bytes> {
    let address = SocketAddr::new(endpoint.address.parse().ok()?, *endpoint.ports.first()?);
    let connection = ClientConnection::open(address, PATIENCE).await.ok()?;
    let mut fields = Fields::new();
    let host = if endpoint.host.is_empty() { endpoint.authority() } else { endpoint.host.clone() };
    fields.push("host", host);
    let outgoing = Outgoing {
        method: &Method::GET,
        target: path,
        fields: &fields,
        body: Body::Empty,
        timeout: PATIENCE,
    };
    let response = connection.send(outgoing, drop).await.ok()?;
    if !response.status.is_success() {
        return None;
    }
    response.body.collect(REFERENCE_LIMIT).await.ok()
}

/// A line for the shell that asks an endpoint.
pub(crate) fn curl(endpoint: &Endpoint, sample: Option<&Sample>) -> String {
    let mut line = "curl".to_owned();
    if !endpoint.host.is_empty() {
        line.push_str(&format!(" -H 'Host: {}'", endpoint.host));
    }
    let path = sample.map_or(endpoint.path.as_str(), |sample| sample.path.as_str());
    line.push_str(&format!(" http://{}{path}", endpoint.authority()));
    if let Some(sample) = sample {
        line.push_str(&format!(" -H 'Content-Type: application/json' -d {}", quoted(&sample.body)));
    }
    line
}

/// A word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, ports: Vec<u16>) -> Endpoint {
        Endpoint {
            kind: "InferenceService".into(),
            namespace: "staging".into(),
            name: "sklearn-iris".into(),
            url: String::new(),
            host: host.into(),
            load_balancer: String::new(),
            address: "127.77.0.1".into(),
            ports,
            path: "/".into(),
            example_paths: Vec::new(),
        }
    }

    #[test]
    fn acc_s0_15_a_curl_line_needs_no_name_to_be_resolved() {
        let sample =
            Sample { path: "/v1/models/it:predict".into(), body: r#"{"instances":["it's"]}"#.into() };
        let line = curl(&endpoint("sklearn-iris.staging.example.com", vec![80]), Some(&sample));
        assert_eq!(
            line,
            r#"curl -H 'Host: sklearn-iris.staging.example.com' http://127.77.0.1/v1/models/it:predict -H 'Content-Type: application/json' -d '{"instances":["it'\''s"]}'"#
        );
        assert_eq!(curl(&endpoint("", vec![8080]), None), "curl http://127.77.0.1:8080/");
    }

    #[test]
    fn the_example_is_that_of_the_model() {
        let reference = serde_json::json!({"paths": {"/v1/models/{model}:predict": {"post": {"requestBody": {"content": {
            "application/json": {"examples": {"iris": {"value": {"instances": [[1.5]]}}}}}}}}}});
        let sample = of_operation(&reference, "/v1/models/{model}:predict").unwrap();
        assert_eq!(
            (sample.path.as_str(), sample.body.as_str()),
            ("/v1/models/iris:predict", r#"{"instances":[[1.5]]}"#)
        );
        assert_eq!(of_operation(&reference, "/predict"), None);
    }
}
