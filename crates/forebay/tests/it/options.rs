//! What InferenceServices and command lines say of how models are served, as far as another program sees it.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use testkit::{PATIENCE, Platform, Request, run};

use crate::serve::Serving;
use crate::{FOREBAY, folder, project};

const BODY: &str = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
const ANSWER: &str = r#"{"predictions":[1]}"#;

/// A certificate for 127.0.0.1 that signs itself and is good for a century, made with `openssl req -x509 -newkey ec -pkeyopt
/// ec_paramgen_curve:prime256v1 -nodes -days 36500 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE`.
const CERTIFICATE: &str = "crates/forebay/tests/it/sink/certificate.pem";
const KEY: &str = "crates/forebay/tests/it/sink/key.pem";

/// What was sent to a sink: heads in lower case, and bodies.
struct Sink {
    address: SocketAddr,
    requests: Receiver<(String, String)>,
}

impl Sink {
    /// A sink that takes everything, with TLS or without.
    fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, tls) = (sender.clone(), tls.clone());
                std::thread::spawn(move || {
                    let take = |request| sender.send(request).is_ok();
                    match tls {
                        None => answer(stream, take),
                        Some(config) => {
                            answer(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), take);
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    fn next(&self) -> (String, String) {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }
}

/// Answers the requests of a connection for as long as they come.
fn answer(stream: impl Read + Write, take: impl Fn((String, String)) -> bool) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).is_ok_and(|n_bytes| n_bytes > 0) {
                continue;
            }
            return;
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        stream.get_mut().write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").unwrap();
        stream.get_mut().flush().unwrap();
        if !take((head, String::from_utf8(body).unwrap())) {
            return;
        }
    }
}

fn tls() -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(project(CERTIFICATE)).unwrap();
    let key = PrivateKeyDer::from_pem_file(project(KEY)).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    Arc::new(config.with_single_cert(vec![certificate], key).unwrap())
}

#[test]
fn an_inference_service_says_how_its_model_is_served() {
    let sink = Sink::start(None);
    let manifest = format!(
        "apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {{name: iris}}
spec:
  predictor:
    batcher: {{maxBatchSize: 8, maxLatency: 1}}
    logger: {{url: 'http://{}/events', mode: request}}
    sklearn: {{storageUri: '{}', args: [--workers=2, --cache-size, '1000000']}}
",
        sink.address,
        project("examples/iris/model")
    );
    let folder = folder(&[("iris.yaml", &manifest)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let (address, host) = platform.endpoint("iris");
    let predict = || Request::post(address, "/v1/models/iris:predict", BODY).host(&host).send();
    // Two threads have a cache each.
    let answers: Vec<_> = (0..20).map(|_| predict()).collect();
    assert!(answers.iter().all(|answer| answer.text == ANSWER), "{answers:?}");
    let kept = |kept: &str| {
        let is_so = |field: &(String, String)| field.0 == "x-forebay-cache" && field.1 == kept;
        answers.iter().filter(|answer| answer.fields.iter().any(is_so)).count()
    };
    assert!((1..=2).contains(&kept("miss")) && kept("hit") >= 18, "{answers:?}");
    let (head, body) = sink.next();
    assert!(head.starts_with("post /events http/1.1\r\n"), "{head}");
    assert_eq!(body, BODY);
    assert!((1..20).all(|_| sink.next().0.contains("ce-type: org.kubeflow.serving.inference.request\r\n")));
    let metrics = Request::get(address, "/metrics").host(&host).send().text;
    assert!(metrics.contains("forebay_model_batch_rows_count{model=\"iris\""), "{metrics}");
}

#[test]
fn events_are_sent_over_tls_to_whom_the_system_trusts() {
    let sink = Sink::start(Some(tls()));
    let (model, url) =
        (format!("iris={}", project("examples/iris/model")), format!("https://{}", sink.address));
    let options = [model.as_str(), "--log-predictions", &url];
    let trusting = [("SSL_CERT_FILE", project(CERTIFICATE))];
    let serving = Serving::start_with(&options, &trusting);
    assert_eq!(serving.post("/v1/models/iris:predict", BODY), (200, ANSWER.to_owned()));
    let ((request, question), (response, answer)) = (sink.next(), sink.next());
    assert!(request.contains("ce-type: org.kubeflow.serving.inference.request\r\n"), "{request}");
    assert!(response.contains("ce-type: org.kubeflow.serving.inference.response\r\n"), "{response}");
    assert_eq!((question.as_str(), answer.as_str()), (BODY, ANSWER));
    // Whom nobody has heard of gets nothing, and the client its answer all the same.
    let careful = Serving::start(&options);
    assert_eq!(careful.post("/v1/models/iris:predict", BODY), (200, ANSWER.to_owned()));
    let dropped = || Request::get(careful.address, "/metrics").send().text;
    let line = "forebay_model_log_exchanges_total{result=\"dropped\"} 1";
    testkit::wait_until("the event is dropped", || dropped().lines().any(|known| known == line));
    assert!(sink.requests.try_recv().is_err());
}

#[test]
fn without_certificates_only_http_is_logged_to() {
    let sink = Sink::start(None);
    let model = format!("iris={}", project("examples/iris/model"));
    let nothing = || ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| (name, "/nowhere".to_owned()));
    let options = |scheme: &str| {
        [model.clone(), "--log-predictions".to_owned(), format!("{scheme}://{}", sink.address)]
    };
    let serving = Serving::start_with(&options("http").each_ref().map(String::as_str), &nothing());
    assert_eq!(serving.post("/v1/models/iris:predict", BODY), (200, ANSWER.to_owned()));
    assert_eq!(sink.next().1, BODY);
    let mut command = Command::new(FOREBAY);
    let output =
        command.args(["serve", "--port", "0"]).args(options("https")).envs(nothing()).output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{problem}");
    assert!(problem.starts_with("error: cannot open the log of predictions"), "{problem}");
}

/// The table of options that a manifest may name is in another crate than the options.
#[test]
fn every_option_of_a_manifest_is_one_of_the_command() {
    let help = run(FOREBAY, &["serve", "--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let names = manifest::serving_option_names();
    assert!(names.len() > 5);
    for name in names {
        assert!(help.split_whitespace().any(|word| word == name), "{name}\n{help}");
    }
}

/// What arguments a container of ours may have is in that crate too, and is all that the command knows.
#[test]
fn every_option_of_the_command_is_known_where_arguments_are_checked() {
    let help = run(FOREBAY, &["serve", "--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let written = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let mut options: Vec<(String, bool)> = written
        .filter_map(|line| {
            let name = line.split([' ', ',']).find(|word| word.starts_with("--"))?;
            // The value stands behind the name, before what the option does.
            let has_value = line.split(name).nth(1)?.starts_with(" <");
            Some((name.trim_end_matches('.').to_owned(), has_value))
        })
        .collect();
    options.push(("--stop-when-stdin-closes".to_owned(), false));
    options.sort();
    let mut known: Vec<(String, bool)> =
        manifest::serve_option_names().map(|(name, has_value)| (name.to_owned(), has_value)).collect();
    known.sort();
    assert_eq!(known, options, "{help}");
}
