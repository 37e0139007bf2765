//! What annotations of ours have done to requests, from the manifest to the wire.

use testkit::{Platform, Request};

use crate::{FOREBAY, folder, project};

/// The bundled InferenceService of iris, with an annotation.
fn iris_with(annotation: &str) -> Platform {
    let manifest = std::fs::read_to_string(project("examples/iris/inference-service.yaml")).unwrap();
    let named = "  name: sklearn-iris\n  namespace: staging\n";
    assert!(manifest.contains(named));
    let manifest = manifest.replace(named, &format!("{named}  annotations:\n    {annotation}\n"));
    let model = format!("storageUri: {}", project("examples/iris/model"));
    let folder = folder(&[("iris.yaml", &manifest.replace("storageUri: model", &model))]);
    Platform::start(FOREBAY, &[&folder.path().display().to_string()])
}

#[test]
fn acc_s0_20_a_page_of_another_origin_asks_an_inference_service_by_its_path() {
    let platform = iris_with("forebay.dev/cors: https://app.example.com");
    let (gateway, host) = platform.endpoint("sklearn-iris");
    let by_path = "/serving/staging/sklearn-iris/v1/models/sklearn-iris:predict";
    let origin = "https://app.example.com";
    for (target, host) in [(by_path, gateway.to_string()), ("/v1/models/sklearn-iris:predict", host)] {
        let preflight = Request::new("OPTIONS", gateway, target)
            .host(&host)
            .with("origin", origin)
            .with("access-control-request-method", "POST")
            .with("access-control-request-headers", "content-type")
            .send();
        assert_eq!((preflight.status, preflight.field("x-forebay-reason")), (204, Some("cors-preflight")));
        assert_eq!(preflight.field("access-control-allow-origin"), Some(origin));
        assert_eq!(preflight.field("access-control-allow-headers"), Some("content-type"));
        let sample = r#"{"instances":[[6.8,2.8,4.8,1.4],[6.0,3.4,4.5,1.6]]}"#;
        let answer = Request::post(gateway, target, sample).host(&host).with("origin", origin).send();
        assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"predictions":[1,1]}"#));
        assert_eq!(answer.field("access-control-allow-origin"), Some(origin));
    }
    // The same is explained.
    let url = format!("http://{gateway}{by_path}");
    let asks = ["-H", "origin: https://other.example", "-H", "access-control-request-method: POST"];
    let text = platform.ok(&[&["explain", "-X", "OPTIONS", &url][..], &asks].concat());
    assert!(text.contains("handling       forebay.dev/cors: https://app.example.com"), "{text}");
    assert!(text.contains("verdict        403, cors-refused: the origin is not one"), "{text}");
}

#[test]
fn answers_tell_which_replica_of_which_revision_gave_them() {
    let platform = iris_with("forebay.dev/served-by: \"true\"");
    let (gateway, host) = platform.endpoint("sklearn-iris");
    let answer = Request::get(gateway, "/v2/health/ready").host(&host).send();
    let told = answer.field("x-served-by").unwrap_or_default().to_owned();
    let parts: Vec<&str> = told.split('/').collect();
    let pods = platform.ok(&["get", "pods", "-n", "staging", "-o", "json"]);
    assert_eq!((parts.len(), parts[0]), (3, "sklearn-iris-predictor-default"), "{told}");
    assert!(pods.contains(&format!("\"pod-template-hash\": \"{}\"", parts[1])), "{told}: {pods}");
    assert!(parts[2].starts_with("127."), "{told}");
}
