//! The commands around certificates: `cert`, `ca` and `domain`.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::{Platform, run, wait_until};

use crate::certificates::{authority, ingress, shown, tls_listener, write_pair};
use crate::{FOREBAY, folder};

#[test]
fn acc_s3_74_acc_s0_43_certificates_are_listed_shown_and_checked_as_clients_see_them() {
    let text = ingress("web", "api.example.com", &[], "");
    let manifests = folder(&[("a.yaml", &text)]);
    let platform = Platform::start(FOREBAY, &[&manifests.path().display().to_string()]);
    let list = platform.ok(&["cert", "list"]);
    assert!(list.contains("local:api.example.com") && list.contains("Ingress default/web:443"), "{list}");
    let shown = platform.ok(&["cert", "show", "api.example.com"]);
    assert!(shown.contains("names        api.example.com") && shown.contains("forebay ca trust"), "{shown}");
    let domain: Value =
        serde_json::from_str(&platform.ok(&["domain", "check", "api.example.com", "-o", "json"])).unwrap();
    let tls = &domain["listeners"][1];
    assert_eq!(tls["protocol"], "HTTPS");
    assert_eq!(tls["rules"][0]["priority"], 1);
    assert_eq!(
        (&tls["certificate"]["problem"], &tls["certificate"]["localAuthority"]),
        (&Value::Null, &json!(true))
    );
    let text = platform.ok(&["domain", "check", "api.example.com"]);
    assert!(
        text.contains("rule 1    host-header api.example.com") && text.contains("curl --resolve"),
        "{text}"
    );
    let unknown = platform.run(&["domain", "check", "other.example.com"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stdout).contains("no rule here is for other.example.com"));

    // The line that is printed works, chain and name included.
    let authority = platform.ok(&["ca", "path"]);
    let (ip, port) = (tls_listener(&platform, "web").ip(), tls_listener(&platform, "web").port());
    let curl = std::process::Command::new("curl")
        .args(["-sS", "--cacert", authority.trim(), "--resolve", &format!("api.example.com:{port}:{ip}")])
        .arg(format!("https://api.example.com:{port}/"))
        .output();
    match curl {
        Ok(curl) => assert_eq!(
            String::from_utf8_lossy(&curl.stdout),
            "hello",
            "{}",
            String::from_utf8_lossy(&curl.stderr)
        ),
        Err(error) => eprintln!("skipped: curl cannot be run: {error}"),
    }
}

#[test]
fn acc_s2_17_acc_s3_73_what_is_issued_or_imported_is_shown_at_once() {
    let state = tempfile::tempdir().unwrap();
    let state_path = state.path().display().to_string();
    let cert = |arguments: &[&str]| {
        let done = run(FOREBAY, &[&["cert"], arguments, &["--state-dir", &state_path]].concat());
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr),
        )
    };
    let (code, export) = cert(&["issue", "a.example.com", "*.example.com", "--export"]);
    assert!(code == Some(0) && export.starts_with("export certArn=arn:aws:acm:"), "{export}");
    let arn = export.trim().trim_start_matches("export certArn=").to_owned();
    let text = ingress("web", "a.example.com", &[&format!("certificate-arn: {arn}")], "");
    let manifests = folder(&[("a.yaml", &text)]);
    let manifests_path = manifests.path().display().to_string();
    let arguments = ["up", "-o", "json", "--admin-port", "0", "--api-port", "0", &manifests_path];
    // The state folder of this platform is the one that the certificate was put into.
    let mut child = std::process::Command::new(FOREBAY)
        .args(arguments)
        .args(["--state-dir", &state_path])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let endpoint = &ready["endpoints"][0];
    let address: SocketAddr =
        format!("{}:{}", endpoint["address"].as_str().unwrap(), endpoint["ports"][0]).parse().unwrap();
    let names = || shown(address, "a.example.com").map(|facts| facts.names.join(","));
    wait_until("the issued one is shown", || names() == Ok("a.example.com,*.example.com".to_owned()));

    let other = tempfile::tempdir().unwrap();
    let pair = authority(&other).issue(&["a.example.com"], Timestamp::now()).unwrap();
    write_pair(other.path(), "mine", &pair);
    let file = |name: &str| other.path().join(name).display().to_string();
    let id = arn.rsplit('/').next().unwrap();
    let (code, told) = cert(&["import", &file("mine.crt"), &file("mine.key"), "--id", id]);
    assert_eq!(code, Some(0), "{told}");
    wait_until("the imported one is shown", || names() == Ok("a.example.com".to_owned()));
    let (code, told) = cert(&["import", &file("mine.crt")]);
    assert!(
        code == Some(1) && told.contains("mine.crt:1: it has no private key") && told.contains("fix: "),
        "{told}"
    );
    let (code, told) = cert(&["issue", "a*b.example.com"]);
    assert!(code == Some(1) && told.contains("a wildcard stands for the whole first label"), "{told}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn acc_s2_13_acc_s2_15_names_that_certificates_need_from_manifests_and_from_a_platform() {
    let service = |namespace: &str| {
        format!(
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {{name: sklearn-iris, namespace: {namespace}}}\nspec: {{predictor: {{sklearn: {{storageUri: 'file:///nowhere'}}}}}}\n---\n"
        )
    };
    let text = service("prod") + &service("staging") + &ingress("web", "api.example.com", &[], "");
    let manifests = folder(&[("a.yaml", &text)]);
    let path = manifests.path().display().to_string();
    let names = |more: &[&str]| {
        let done = run(FOREBAY, &[&["cert", "names", "-f", &path], more].concat());
        (
            String::from_utf8_lossy(&done.stdout).into_owned(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    let (all, how) = names(&["--domain", "platform.example.com"]);
    assert_eq!(all, "*.prod.platform.example.com\n*.staging.platform.example.com\napi.example.com\n");
    assert!(how.contains("forebay cert issue '*.prod.platform.example.com'"), "{how}");
    assert!(
        how.contains("--domain-name '*.prod.platform.example.com' --subject-alternative-names "),
        "{how}"
    );
    assert_eq!(names(&["-n", "staging"]).0, "*.staging.example.com\n");
    assert_eq!(names(&["ingress/web"]).0, "api.example.com\n");

    let only = folder(&[("a.yaml", &ingress("web", "api.example.com", &[], ""))]);
    let platform = Platform::start(FOREBAY, &[&only.path().display().to_string()]);
    let told: Value = serde_json::from_str(&platform.ok(&["cert", "names", "-o", "json"])).unwrap();
    assert_eq!(told[0]["name"], "api.example.com");
    assert_eq!(told[0]["hosts"][0]["kind"], "Ingress");
}

#[test]
fn the_authority_is_printed_and_its_variables_keep_the_authorities_of_the_machine() {
    let state = tempfile::tempdir().unwrap();
    let state_path = state.path().display().to_string();
    let ca = |arguments: &[&str]| {
        let done = run(FOREBAY, &[&["ca"], arguments, &["--state-dir", &state_path]].concat());
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let printed = ca(&["print"]);
    assert!(printed.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(std::fs::read_to_string(ca(&["path"]).trim()).unwrap(), printed);
    let described: Value = serde_json::from_str(&ca(&["print", "-o", "json"])).unwrap();
    assert!(described["subject"].as_str().unwrap().contains("Forebay local authority"), "{described}");
    let lines = ca(&["trust", "--variables"]);
    for name in [
        "SSL_CERT_FILE=",
        "REQUESTS_CA_BUNDLE=",
        "NODE_EXTRA_CA_CERTS=",
        "GIT_SSL_CAINFO=",
        "keytool",
        "certutil",
    ] {
        assert!(lines.contains(name), "{name} is not in {lines}");
    }
    let told: Value = serde_json::from_str(&ca(&["trust", "--variables", "-o", "json"])).unwrap();
    let bundle = std::fs::read_to_string(told["variables"]["SSL_CERT_FILE"].as_str().unwrap()).unwrap();
    assert!(bundle.contains(&printed));
    if let Ok(system) = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt") {
        assert!(bundle.len() > system.len());
    }
}

#[test]
fn acc_s2_16_a_certificate_is_waited_for_and_what_the_authority_signed_is_asked_for_with_its_file() {
    let text = ingress("web", "api.example.com", &[], "");
    let manifests = folder(&[("a.yaml", &text)]);
    let platform = Platform::start(FOREBAY, &[&manifests.path().display().to_string()]);
    let waited = platform.ok(&["cert", "wait", "api.example.com"]);
    assert!(waited.contains("api.example.com has a certificate of O=Forebay"), "{waited}");
    let late = platform.run(&["cert", "wait", "api.example.com", "--by-others", "--timeout", "300ms"]);
    assert_eq!(late.status.code(), Some(124));
    assert!(String::from_utf8_lossy(&late.stderr).contains("the local authority stands in"));
    // A certificate that was issued by hand is one of the authority, too.
    let issued = platform.ok(&["cert", "issue", "api.example.com"]);
    assert!(issued.contains("for api.example.com, until "), "{issued}");
    platform.wait_for("it is shown", &["cert", "list"], |list| !list.contains("local:api.example.com"));
    let curl = platform.ok(&["url", "web", "--curl"]);
    assert!(curl.contains("--cacert"), "{curl}");
}
