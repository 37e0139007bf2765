//! A password in the URI of a model is for the server that it is of: every user of a machine can read the list of processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};

use testkit::{Platform, Request};

use crate::serve::Serving;
use crate::{FOREBAY, folder, project};

const BODY: &str = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
const ANSWER: &str = r#"{"predictions":[1]}"#;

/// A server of one model, for those who know that the user `me` has the password `w0rd`.
fn model_server() -> SocketAddr {
    let model = std::fs::read(project("fixtures/models/iris-svc/model.joblib")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let is_known = head.iter().any(|line| line.ends_with("Basic bWU6dzByZA=="));
            let is_get = head.first().is_some_and(|line| line.starts_with("GET "));
            let status = if is_known { "200 OK" } else { "401 Unauthorized" };
            let length = if is_known { model.len() } else { 0 };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let body = if is_get && is_known { &model[..] } else { &[] };
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    address
}

/// What every user, and the same user, can read of a process.
fn shown(pid: u32) -> [String; 2] {
    ["cmdline", "environ"].map(|file| {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    })
}

#[test]
fn a_replica_has_its_password_neither_in_its_command_line_nor_in_its_environment() {
    let server = model_server();
    let manifest = format!(
        "apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: iris}}
spec: {{predictor: {{sklearn: {{storageUri: 'http://me:w0rd@{server}/model.joblib'}}}}}}
"
    );
    let folder = folder(&[("iris.yaml", &manifest)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let (address, host) = platform.endpoint("iris");
    let answer = Request::post(address, "/v1/models/iris:predict", BODY).host(&host).send();
    assert_eq!(answer.text, ANSWER);
    let replicas = platform.replicas("serve iris=");
    let [replica] = replicas[..] else { panic!("{replicas:?}") };
    let [arguments, environment] = shown(replica);
    assert!(arguments.contains(&format!("serve iris=http://***@{server}/model.joblib")), "{arguments}");
    assert!(!arguments.contains("w0rd") && !environment.contains("w0rd"), "{arguments}\n{environment}");
}

#[test]
fn a_password_that_serve_is_given_is_gone_from_its_command_line() {
    let server = model_server();
    let cache = tempfile::tempdir().unwrap();
    let (uri, cache) =
        (format!("iris=http://me:w0rd@{server}/model.joblib"), cache.path().display().to_string());
    let serving = Serving::start(&[&uri, "--model-cache", &cache]);
    assert_eq!(serving.post("/v1/models/iris:predict", BODY), (200, ANSWER.to_owned()));
    let [arguments, environment] = shown(serving.pid());
    assert!(arguments.contains(&format!("iris=http://***@{server}/model.joblib")), "{arguments}");
    assert!(!arguments.contains("w0rd") && !environment.contains("w0rd"), "{arguments}\n{environment}");
}
