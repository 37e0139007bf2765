//! `/docs` in a real browser: the operations are there, and trying one answers 200.

use serde_json::json;
use testkit::Platform;

use crate::browser::Browser;
use crate::{FOREBAY, bundled, folder, replicas_of_iris};

#[tokio::test]
async fn acc_s1_02_docs_of_each_model_can_be_tried_in_a_browser() {
    let platform = bundled();
    let stories = [
        ("mlflow-wine-classifier", "/invocations"),
        ("sklearn-iris", "/v1/models/{model}:predict"),
        ("retail-forecast-alb-ingress", "/predict"),
    ];
    let places = stories.map(|(name, _)| {
        let (address, host) = platform.endpoint(name);
        (if host.is_empty() { address.ip().to_string() } else { host }, address)
    });
    let browser = Browser::start(&places).await;
    for ((name, path), (host, address)) in stories.iter().zip(&places) {
        assert_eq!(browser.try_it(&format!("http://{host}:{}", address.port()), path).await, "200", "{name}");
    }
}

/// The iris model behind an Ingress that speaks HTTP/1.1 and HTTP/2 in TLS, with a certificate of the local authority.
const INGRESS: &str = r"apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: iris
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d
    alb.ingress.kubernetes.io/ssl-policy: ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09
spec:
  ingressClassName: alb
  rules:
    - host: iris.example.com
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: iris, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: iris}
spec: {selector: {app: iris}, ports: [{port: 80, targetPort: 8080}]}
---
";

#[tokio::test]
async fn docs_open_over_https_in_a_browser_that_has_the_authority_in_its_store_and_in_no_other() {
    let manifests =
        folder(&[("iris.yaml", &format!("{INGRESS}{}", replicas_of_iris("--cache-size, '1000'", "8080")))]);
    let platform = Platform::start(FOREBAY, &[&manifests.path().display().to_string()]);
    let (address, host) = platform.endpoint("iris");
    assert_eq!(host, "iris.example.com");
    let (places, server) = ([(host.clone(), address)], format!("https://{host}:{}", address.port()));
    let printed = platform.ok(&["ca", "trust", "--variables"]);
    let line = printed.lines().find_map(|line| line.strip_prefix("# Chromium: ")).unwrap();

    let browser = Browser::start_after(line, &places).await;
    assert_eq!(browser.try_it(&server, "/v1/models/{model}:predict").await, "200");
    assert_eq!(browser.evaluate("window.isSecureContext").await, json!(true));
    let spoken = "performance.getEntriesByType('navigation')[0].nextHopProtocol";
    assert_eq!(browser.evaluate(spoken).await, json!("h2"));
    assert_eq!(browser.evaluate("document.location.protocol").await, json!("https:"));
    let answer =
        ".opblock-post:has([data-path='/v1/models/{model}:predict']) .live-responses-table .microlight";
    let prediction = browser.element(answer).await.text().await.unwrap();
    assert!(prediction.contains("predictions"), "{prediction}");

    let stranger = Browser::start(&places).await;
    let refused = stranger.client.goto(&format!("{server}/docs")).await.map_err(|error| error.to_string());
    // Where the driver does not tell, the page in place of ours does.
    let shown = stranger.evaluate("document.documentElement.textContent").await.to_string();
    let told = format!("{refused:?} {shown}");
    assert!(told.contains("ERR_CERT_AUTHORITY_INVALID"), "{told}");
    assert!(!shown.contains("swagger"), "{shown}");
}
