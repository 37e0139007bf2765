//! Clients that others wrote, against `forebay serve` and `forebay up`: the assertions are in Python, in `tests/clients`.
//!
//! They are installed from PyPI, so these tests do something only where that is wanted: with `FOREBAY_TEST_PYPI=1`.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use testkit::Platform;

use crate::grpc::{behind_a_network_load_balancer, behind_an_application_load_balancer};
use crate::serve::Serving;
use crate::{FOREBAY, folder, project};

/// Says that packages may be installed, and the network used for it.
const SWITCH: &str = "FOREBAY_TEST_PYPI";

/// Packages of PyPI, in a virtual environment below the target folder.
pub(crate) struct Environment {
    /// Its folder there, and the list of its packages in `tests/clients`.
    name: &'static str,
    python: OnceLock<PathBuf>,
}

/// What clients are written with.
static CLIENTS: Environment = Environment::new("clients");

/// What models are trained with.
pub(crate) static TRAINING: Environment = Environment::new("training");

#[test]
fn acc_s0_32_tritonclient_is_answered_over_http_and_grpc() {
    let Some(python) = CLIENTS.python("tritonclient") else { return };
    let models = [
        ("iris", "iris-svc/model.joblib"),
        ("labels", "iris-strlabels/model.joblib"),
        ("texts", "sk-tfidf-logreg/model.joblib"),
    ];
    let models = models.map(|(name, path)| format!("{name}={}", project(&format!("fixtures/models/{path}"))));
    let [iris, labels, texts] = models.each_ref().map(String::as_str);
    let mut serving = Serving::start(&[iris, labels, texts, "--grpc-port", "0", "--admin-address", "0"]);
    let grpc_address = serving.grpc_address().to_string();
    let admin_address = serving.admin_address().to_string();
    run(python, "triton.py", &[&serving.address.to_string(), &grpc_address, &admin_address]);
}

#[test]
fn tritonclient_is_answered_through_a_network_load_balancer() {
    let Some(python) = CLIENTS.python("tritonclient") else { return };
    let (_platform, _folder, address) = behind_a_network_load_balancer();
    run(python, "triton_behind.py", &[&address.to_string()]);
}

#[test]
fn tritonclient_is_answered_through_an_application_load_balancer() {
    let Some(python) = CLIENTS.python("tritonclient") else { return };
    let (_platform, _folder, address) = behind_an_application_load_balancer(r#"{"HTTP": 80}"#);
    run(python, "triton_behind.py", &[&address.to_string(), "iris.example.com"]);
    let (platform, _folder, address) = behind_an_application_load_balancer(r#"{"HTTPS": 443}"#);
    let authority = platform.state_dir().join("ca.crt");
    let authority = authority.display().to_string();
    run(python, "triton_behind.py", &[&address.to_string(), "iris.example.com", &authority]);
}

#[test]
fn websockets_talk_through_an_application_load_balancer() {
    let Some(python) = CLIENTS.python("websockets") else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let manifest = format!(
        "apiVersion: v1
kind: Service
metadata: {{name: echo}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: echo}}
subsets: [{{addresses: [{{ip: 127.0.0.1}}], ports: [{{name: http, port: {port}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: echo
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{{\"HTTP\": 80}}, {{\"HTTPS\": 443}}]'
    alb.ingress.kubernetes.io/success-codes: 400-499
spec:
  ingressClassName: alb
  rules:
  - host: echo.example.com
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: echo, port: {{name: http}}}}}}}}]}}
"
    );
    let folder = folder(&[("echo.yaml", &manifest)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let (secure, host) = platform.endpoint("echo");
    let clear = SocketAddr::new(secure.ip(), 80);
    let authority = platform.state_dir().join("ca.crt").display().to_string();
    let [port, clear, secure] = [port.to_string(), clear.to_string(), secure.to_string()];
    run(python, "websocket_exchange.py", &[&port, &clear, &secure, &host, &authority]);
}

#[test]
fn the_python_client_of_kubernetes_works_against_the_embedded_api() {
    let Some(python) = CLIENTS.python("kubernetes") else { return };
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: python}\n";
    let folder = folder(&[("namespace.yaml", namespace)]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    let kubeconfig = platform.state_dir().join("kubeconfig").display().to_string();
    run(python, "kubernetes_client.py", &[&kubeconfig, "python"]);
}

#[test]
fn acc_s0_16_clients_of_mlflow_are_answered() {
    let Some(python) = CLIENTS.python("mlflow") else { return };
    let serving = Serving::start(&[&project("fixtures/models/mlflow-retail-pipeline/model")]);
    run(python, "mlflow_scoring.py", &[&serving.address.to_string()]);
}

#[test]
fn onnxruntime_of_the_active_python_runs_what_we_do_not() {
    let Some(python) = CLIENTS.python("onnxruntime") else { return };
    let environment = python.parent().and_then(Path::parent).unwrap();
    let rows = tempfile::tempdir().unwrap();
    let rows = rows.path().join("rows.csv");
    std::fs::write(&rows, "x0,x1,x2\n1,2,0.5\n4,5,-6\n").unwrap();
    let answer = |variables: &[(&str, &Path)]| {
        let mut command = Command::new(FOREBAY);
        command
            .args(["model", "predict", &project("crates/models/tests/it/celu.onnx"), "--input"])
            .arg(&rows);
        // Neither the environment of the tests nor the folder that they run in has it.
        command.env_clear().envs(variables.iter().copied()).current_dir(environment.join("lib"));
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    };
    let folder = environment.join("bin");
    for variables in [[("VIRTUAL_ENV", environment)], [("PATH", folder.as_path())]] {
        let answer = answer(&variables);
        assert!(answer.contains("-0.4423984") && answer.contains("6.75"), "{answer}");
    }
    let missing = answer(&[("PATH", Path::new("/nowhere"))]);
    assert!(missing.contains("Celu") && missing.contains("`pip install onnxruntime`"), "{missing}");
}

// === impl Environment ===

impl Environment {
    const fn new(name: &'static str) -> Self {
        Self { name, python: OnceLock::new() }
    }

    /// The Python that has the packages; `None` where nothing may be installed, which is said even when output is captured.
    pub(crate) fn python(&self, what: &str) -> Option<&Path> {
        if std::env::var_os(SWITCH).is_none_or(|value| value != "1") {
            let _ =
                writeln!(std::io::stderr(), "skipped: {what} is installed and tried only with {SWITCH}=1");
            return None;
        }
        Some(self.python.get_or_init(|| self.install()))
    }

    /// Makes a virtual environment with the packages, unless there is one.
    fn install(&self) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name);
        let python = folder.join("bin/python");
        let packages = script(&format!("{}.txt", self.name));
        let wanted = std::fs::read_to_string(&packages).unwrap();
        let installed = folder.join("installed.txt");
        if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
            return python;
        }
        let done = |command: &mut Command| {
            let output = command.output().unwrap();
            let problem = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?}: {problem}");
        };
        done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        done(Command::new(&python).args(pip).arg(&packages));
        std::fs::write(installed, wanted).unwrap();
        python
    }
}

fn script(name: &str) -> String {
    project(&format!("crates/forebay/tests/clients/{name}"))
}

/// Runs a script, whose assertions are the test. What it saw is shown with `--nocapture`.
pub(crate) fn run(python: &Path, name: &str, arguments: &[&str]) {
    let output = Command::new(python).arg("-B").arg(script(name)).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("ok: "), "{name} has seen nothing");
}
