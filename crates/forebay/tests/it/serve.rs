//! `forebay serve` on its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use testkit::{Request, run};

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
