//! `forebay serve` on its own.

use std::io::{BufRead, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};

use testkit::{Request, run};

use crate::grpc::speaks_http2;
use crate::{FOREBAY, folder, project};

#[test]
fn acc_s0_31_a_model_is_served_without_any_host_and_ends_when_told() {
    let model = project("examples/iris/model");
    let mut child = Command::new(FOREBAY)
        .args(["serve", &format!("iris={model}"), "--port", "0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let address = address.parse().unwrap();
    let body = r#"{"instances":[[6.8,2.8,4.8,1.4],[6.0,3.4,4.5,1.6]]}"#;
    assert_eq!(
        Request::post(address, "/v1/models/iris:predict", body).send().text,
        r#"{"predictions":[1,1]}"#
    );
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    assert!(Request::get(address, "/v2/health/live").try_send().is_err());
}

/// `forebay serve` with these arguments, on a free port. It ends with the test.
pub(crate) struct Serving {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub(crate) address: SocketAddr,
}

impl Serving {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// The same with variables of the environment.
    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let mut command = Command::new(FOREBAY);
        command.args(["serve", "--port", "0"]).args(arguments).stderr(Stdio::piped());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = read_line(&mut stderr);
        // With -v more is said before.
        while !line.contains("http://") && !line.is_empty() {
            line = read_line(&mut stderr);
        }
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        Self { child, stderr, address: address.expect(&line).parse().unwrap() }
    }

    /// The next line it says.
    fn line(&mut self) -> String {
        read_line(&mut self.stderr)
    }

    /// Where it speaks gRPC, as its next line says.
    pub(crate) fn grpc_address(&mut self) -> SocketAddr {
        let line = self.line();
        line.trim().strip_prefix("gRPC on ").expect(&line).parse().unwrap()
    }

    /// Where models are loaded and unloaded, as its next line says.
    pub(crate) fn admin_address(&mut self) -> SocketAddr {
        let line = self.line();
        line.trim().strip_prefix("admin on http://").expect(&line).parse().unwrap()
    }

    /// Ends it as Ctrl-C does; what it has said since.
    pub(crate) fn end(&mut self) -> String {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        said
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        let answer = Request::post(self.address, path, body).send();
        (answer.status, answer.text)
    }
}

fn read_line(stderr: &mut impl BufRead) -> String {
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    line
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn requests_are_told_to_who_wants_to_see_them() {
    let model = format!("iris={}", project("examples/iris/model"));
    let body = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
    for (options, is_told) in [(&["-v", &model][..], true), (&[&model], false)] {
        let mut serving = Serving::start(options);
        let request = Request::post(serving.address, "/v1/models/iris:predict?x=%0a", body);
        assert_eq!(request.with("x-amzn-trace-id", "Root=1-a-b").send().status, 200);
        let said = serving.end();
        let told = said.lines().find(|line| line.contains("target=\"/v1/models/iris:predict?x=%0a\""));
        assert_eq!(told.is_some(), is_told, "{said}");
        for part in ["request method=\"POST\"", " status=200 seconds=0.", " trace=\"Root=1-a-b\""] {
            assert!(told.is_none_or(|line| line.contains(part)), "{part} is not in {said}");
        }
    }
}

#[test]
fn a_folder_of_models_is_served_in_all_versions_and_read_again_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let add = |version: &str| {
        let place = folder.path().join("iris").join(version);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::copy(project("fixtures/models/iris-svc/model.joblib"), place.join("model.joblib")).unwrap();
    };
    add("1");
    let path = folder.path().display().to_string();
    let mut serving = Serving::start(&["--model-repository", &path, "--admin-address", "0"]);
    let admin = serving.admin_address();
    let change = |path: &str| Request::post(admin, path, "{}").send().status;
    let body =
        r#"{"id":"a","inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[6.8,2.8,4.8,1.4]}]}"#;
    let asked_version = |path: &str| {
        let (status, text) = serving.post(path, body);
        let version = text.split("\"model_version\":\"").nth(1).and_then(|rest| rest.split('"').next());
        (status, version.map(str::to_owned))
    };
    assert_eq!(asked_version("/v2/models/iris/infer"), (200, Some("1".to_owned())));
    add("2");
    assert_eq!(asked_version("/v2/models/iris/versions/2/infer"), (404, None));
    assert_eq!(change("/v2/repository/models/iris/load"), 200);
    assert_eq!(asked_version("/v2/models/iris/infer"), (200, Some("2".to_owned())));
    assert_eq!(asked_version("/v2/models/iris/versions/1/infer"), (200, Some("1".to_owned())));
    assert_eq!(change("/v2/repository/models/..%2firis/load"), 404);
    assert_eq!(change("/v2/repository/models/iris/unload"), 200);
    assert_eq!(asked_version("/v2/models/iris/infer"), (404, None));
}

#[test]
fn grpc_is_spoken_on_a_port_of_its_own() {
    let model = format!("iris={}", project("examples/iris/model"));
    let mut serving = Serving::start(&[&model, "--grpc-port", "0"]);
    assert!(speaks_http2(serving.grpc_address()));
}

#[test]
fn a_model_of_the_command_line_is_loaded_again_from_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.joblib");
    std::fs::copy(project("fixtures/models/iris-svc/model.joblib"), &file).unwrap();
    let mut serving = Serving::start(&[&format!("iris={}", file.display()), "--admin-address", "0"]);
    let admin = serving.admin_address();
    let change = |path: &str| {
        let answer = Request::post(admin, path, "").send();
        (answer.status, answer.text)
    };
    let body = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
    let predict = || serving.post("/v1/models/iris:predict", body);
    assert_eq!(change("/v2/repository/models/iris/unload").0, 200);
    assert_eq!(predict().0, 404);
    let index = |body: &str| serving.post("/v2/repository/index", body).1;
    assert!(index("").contains("unloaded"));
    assert_eq!(index(r#"{"ready":true}"#), "[]");
    std::fs::copy(project("fixtures/models/iris-strlabels/model.joblib"), &file).unwrap();
    assert_eq!(change("/v2/repository/models/iris/load").0, 200);
    assert_eq!(predict(), (200, r#"{"predictions":["versicolor"]}"#.to_owned()));
    std::fs::write(&file, "no model").unwrap();
    let (status, text) = change("/v2/repository/models/iris/load");
    assert!(status == 400 && text.contains("model `iris` cannot be loaded: "), "{status} {text}");
    assert_eq!(predict().0, 200);
    assert_eq!(change("/v2/repository/models/rose/load").0, 404);
}

#[test]
fn predictions_are_logged_before_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("predictions.jsonl").display().to_string();
    let model = format!("iris={}", project("examples/iris/model"));
    let options = ["--log-predictions", &path, "--cache-size", "1000000", "--batch-size", "8"];
    let mut serving = Serving::start(&[&[model.as_str()], &options[..]].concat());
    let body = r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#;
    for _ in 0..3 {
        assert_eq!(serving.post("/v1/models/iris:predict", body), (200, r#"{"predictions":[1]}"#.to_owned()));
    }
    assert!(Command::new("kill").arg(serving.child.id().to_string()).status().unwrap().success());
    assert!(serving.child.wait().unwrap().success());
    let log = std::fs::read_to_string(&path).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains(r#""data":{"predictions":[1]}"#)).count(), 3, "{log}");
}

#[test]
fn options_that_mean_nothing_are_refused() {
    for (options, words) in [
        (["--log-predictions", "ftp://broker"], "is no http URL"),
        (["--log-mode", "request"], "--log-predictions"),
        (["--log-sample", "0.5"], "--log-predictions"),
        (["--batch-delay", "2ms"], "--batch-size"),
    ] {
        let output = run(FOREBAY, &[&["serve", "model.pkl"], &options[..]].concat());
        let problem = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{problem}");
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn clients_change_nothing_unless_they_may() {
    let model = format!("iris={}", project("examples/iris/model"));
    let predict =
        |serving: &Serving| serving.post("/v1/models/iris:predict", r#"{"instances":[[6.8,2.8,4.8,1.4]]}"#);
    let serving = Serving::start(&[&model]);
    assert_eq!(serving.post("/v2/repository/models/iris/unload", "{}").0, 403);
    assert_eq!(predict(&serving), (200, r#"{"predictions":[1]}"#.to_owned()));
    // With an admin address they are told where.
    let mut serving = Serving::start(&[&model, "--admin-address", "0"]);
    let admin = serving.admin_address();
    assert!(admin.ip().is_loopback() && admin.port() != serving.address.port());
    let (status, text) = serving.post("/v2/repository/models/iris/unload", "{}");
    assert!(status == 403 && text.contains(&format!("http://{admin}")), "{status} {text}");
    assert_eq!(predict(&serving), (200, r#"{"predictions":[1]}"#.to_owned()));
    assert_eq!(Request::post(admin, "/v2/repository/models/iris/unload", "{}").send().status, 200);
    assert_eq!(predict(&serving).0, 404);
}

#[test]
fn a_model_that_is_none_is_an_error_that_names_the_place() {
    let folder = folder(&[
        ("evil.pkl", "cposix\nsystem\n(S'true'\ntR."),
        ("short.pkl", "\u{80}"),
        ("text.pkl", "hello, I am no model"),
        ("empty.joblib", ""),
    ]);
    for (file, words) in [
        ("missing.pkl", "is not there"),
        ("evil.pkl", "posix.system"),
        ("short.pkl", "short.pkl"),
        ("text.pkl", "text.pkl"),
        ("empty.joblib", "empty.joblib"),
    ] {
        let path = folder.path().join(file).display().to_string();
        let output = run(FOREBAY, &["serve", &path, "--port", "0"]);
        let problem = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{file}: {problem}");
        assert!(problem.starts_with("error: ") && problem.contains(words), "{file}: {problem}");
    }
}

#[test]
fn a_program_is_told_the_url_on_one_line() {
    let model = project("fixtures/models/iris-svc/model.joblib");
    let mut command = Command::new(FOREBAY);
    command.args(["serve", &model, "--port", "0", "-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let line = read_line(&mut BufReader::new(child.stdout.take().unwrap()));
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!((&told["ready"], &told["models"]), (&true.into(), &serde_json::json!(["iris-svc"])));
    assert!(told["url"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{told}");
}
