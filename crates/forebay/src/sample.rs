//! A request that an endpoint answers: taken from the reference of the model server behind it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use net::{Authorities, Body, ClientConnection, Fields, Method, Outgoing};
use serde_json::Value;

use crate::endpoints::{Endpoint, OwnCertificate};

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
pub(crate) async fn sample(endpoint: &Endpoint, authority: &Path) -> Option<Sample> {
    if endpoint.udp {
        return None;
    }
    let reference = get(endpoint, "/openapi.json", authority).await?;
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

async fn get(endpoint: &Endpoint, path: &str, authority: &Path) -> Option<net::Bytes> {
    let address = SocketAddr::new(endpoint.address.parse().ok()?, *endpoint.ports.first()?);
    let host = if endpoint.host.is_empty() { &endpoint.address } else { &endpoint.host };
    let connection = if endpoint.tls {
        let authorities = Authorities::from_pem(&std::fs::read_to_string(authority).ok()?).ok()?;
        ClientConnection::open_tls(address, host, &authorities, PATIENCE).await.ok()?
    } else {
        ClientConnection::open(address, PATIENCE).await.ok()?
    };
    let mut fields = Fields::new();
    fields.push("host", endpoint.authority_of(host));
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

/// A line for the shell that asks an endpoint, whose certificate the authority in a file has signed. It needs no name to be
/// resolved.
pub(crate) fn curl(endpoint: &Endpoint, sample: Option<&Sample>, authority: &Path) -> String {
    if endpoint.udp {
        let port = endpoint.ports.first().map_or_else(String::new, |port| format!(" {port}"));
        return format!("nc -u {}{port}", endpoint.address);
    }
    let (mut line, mut comment) = ("curl".to_owned(), String::new());
    let path = sample.map_or(endpoint.path.as_str(), |sample| sample.path.as_str());
    let mut named = endpoint.authority();
    if endpoint.tls {
        let authority = authority.display().to_string();
        match &endpoint.certificate {
            None => line.push_str(&format!(" --cacert {}", quoted(&authority))),
            // A certificate in a file vouches for itself.
            Some(OwnCertificate { file: Some(file), fits: true, .. }) => {
                line.push_str(&format!(" --cacert {}", quoted(file)));
            }
            Some(own) => {
                line.push_str(" -k");
                comment = match own.fits {
                    true => format!("  # -k: nobody here vouches for the certificate in {}", own.name),
                    false => format!("  # -k: the certificate is for {}, so clients refuse it", own.host),
                };
            }
        }
        let of_certificate = endpoint.certificate.as_ref().map_or("", |own| own.host.as_str());
        let host = if endpoint.host.is_empty() { of_certificate } else { &endpoint.host };
        if let (false, Some(port)) = (host.is_empty(), endpoint.ports.first()) {
            // The name is asked for in TLS already, so a field alone would not do.
            line.push_str(&format!(" --resolve '{host}:{port}:{}'", endpoint.address));
            named = endpoint.authority_of(host);
        }
    } else if !endpoint.host.is_empty() {
        line.push_str(&format!(" -H 'Host: {}'", endpoint.host));
    }
    line.push_str(&format!(" {}://{named}{path}", endpoint.scheme()));
    if let Some(sample) = sample {
        line.push_str(&format!(" -H 'Content-Type: application/json' -d {}", quoted(&sample.body)));
    }
    line + &comment
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
            tls: false,
            udp: false,
            certificate: None,
            path: "/".into(),
            example_paths: Vec::new(),
        }
    }

    #[test]
    fn acc_s0_15_a_curl_line_needs_no_name_to_be_resolved() {
        let sample =
            Sample { path: "/v1/models/it:predict".into(), body: r#"{"instances":["it's"]}"#.into() };
        let line =
            curl(&endpoint("sklearn-iris.staging.example.com", vec![80]), Some(&sample), Path::new("ca.crt"));
        assert_eq!(
            line,
            r#"curl -H 'Host: sklearn-iris.staging.example.com' http://127.77.0.1/v1/models/it:predict -H 'Content-Type: application/json' -d '{"instances":["it'\''s"]}'"#
        );
        let curl = |endpoint: &Endpoint| curl(endpoint, None, Path::new("state/ca.crt"));
        assert_eq!(curl(&endpoint("", vec![8080])), "curl http://127.77.0.1:8080/");
        let secure = |host: &str, port| Endpoint { tls: true, ..endpoint(host, vec![port]) };
        assert_eq!(curl(&secure("", 443)), "curl --cacert 'state/ca.crt' https://127.77.0.1/");
        assert_eq!(
            curl(&secure("a.example", 8443)),
            "curl --cacert 'state/ca.crt' --resolve 'a.example:8443:127.77.0.1' https://a.example:8443/"
        );
    }

    #[test]
    fn a_curl_line_works_with_certificates_of_ones_own() {
        let line = |host: &str, name: &str, file: Option<&str>, fits: bool| {
            let (name, file) = (name.to_owned(), file.map(str::to_owned));
            let own = OwnCertificate { name, file, host: "nlb.test".to_owned(), fits };
            let endpoint = Endpoint { tls: true, certificate: Some(own), ..endpoint(host, vec![443]) };
            curl(&endpoint, None, Path::new("ca.crt"))
        };
        assert_eq!(
            line("", "arn:x", Some("/c/x.crt"), true),
            "curl --cacert '/c/x.crt' --resolve 'nlb.test:443:127.77.0.1' https://nlb.test/"
        );
        assert_eq!(
            line("nlb.test", "secret:a/b", None, true),
            "curl -k --resolve 'nlb.test:443:127.77.0.1' https://nlb.test/  # -k: nobody here vouches for the certificate in secret:a/b"
        );
        assert_eq!(
            line("a.test", "arn:x", Some("/c/x.crt"), false),
            "curl -k --resolve 'a.test:443:127.77.0.1' https://a.test/  # -k: the certificate is for nlb.test, so clients refuse it"
        );
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
