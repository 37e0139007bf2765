//! Certificates by ACME, of Debian's `pebble`, which looks at challenges as a public authority does.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use control::Authority;
use jiff::Timestamp;
use serde_json::json;
use testkit::{Platform, Request, wait_until};

use crate::certificates::{ingress, metrics, shown};
use crate::{FOREBAY, folder};

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Option<Running> {
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok().map(Running)
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until somebody listens.
fn wait_for(address: SocketAddr) {
    wait_until("it listens", || std::net::TcpStream::connect(address).is_ok());
}

/// How long the certificates of this authority live.
const LIFE: Duration = Duration::from_secs(30);

#[test]
fn acc_s0_43_acc_s2_47_an_authority_is_asked_and_asked_again_before_a_certificate_ends() {
    let (dns, management, directory) = (free_address(), free_address(), free_address());
    let (dns_text, management_text) = (dns.to_string(), management.to_string());
    let dns_server = start(
        "pebble-challtestsrv",
        &[
            "-dns01",
            &dns_text,
            "-management",
            &management_text,
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-defaultIPv6",
            "",
        ],
        &[],
    );
    let Some(_dns_server) = dns_server else {
        eprintln!("skipped: `pebble` is not installed; cargo xtask test does it where it may");
        return;
    };
    wait_for(management);

    // One load balancer can be asked over HTTP, the other in TLS only.
    let plain = ingress("plain", "a.example.com", &[], "");
    let tls = ingress("tls", "b.example.com", &[], "")
        .replace(r#"[{"HTTP": 80}, {"HTTPS": 443}]"#, r#"[{"HTTPS": 443}]"#);
    let manifests = folder(&[("a.yaml", &plain), ("b.yaml", &tls)]);
    let path = manifests.path().display().to_string();
    let mut platform = Platform::start(FOREBAY, &[&path]);
    let (plain, tls) = (platform.endpoint("plain").0, platform.endpoint("tls").0);
    let ready = platform.ready()["endpoints"].as_array().unwrap().clone();
    let ports = ready.iter().find(|endpoint| endpoint["name"] == "plain").unwrap()["ports"].clone();
    platform.stop();
    for (host, address) in [("a.example.com.", plain), ("b.example.com.", tls)] {
        let body = json!({"host": host, "addresses": [address.ip().to_string()]}).to_string();
        assert_eq!(Request::post(management, "/add-a", &body).send().status, 200);
    }

    let state = tempfile::tempdir().unwrap();
    let authority = Authority::open(state.path(), Timestamp::now()).unwrap();
    let own = authority.issue(&["localhost", "127.0.0.1"], Timestamp::now()).unwrap();
    let file = |name: &str| state.path().join(name).display().to_string();
    std::fs::write(file("pebble.crt"), &own.certificate).unwrap();
    std::fs::write(file("pebble.key"), &own.key).unwrap();
    let config = json!({"pebble": {
        "listenAddress": directory.to_string(), "managementListenAddress": "",
        "certificate": file("pebble.crt"), "privateKey": file("pebble.key"),
        "httpPort": ports[1], "tlsPort": ports[0], "ocspResponderURL": "", "externalAccountBindingRequired": false,
        "certificateValidityPeriod": LIFE.as_secs(),
    }});
    std::fs::write(file("pebble.json"), config.to_string()).unwrap();
    let begin = || {
        let arguments = ["-config", &file("pebble.json"), "-dnsserver", &dns_text];
        // It refuses 1 nonce of 20 otherwise, and whoever meets that three times in a row waits for a minute.
        let variables =
            [("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_AUTHZREUSE", "0"), ("PEBBLE_WFE_NONCEREJECT", "0")];
        let pebble = start("pebble", &arguments, &variables).unwrap();
        wait_for(directory);
        pebble
    };
    let pebble = begin();

    let url = format!("https://localhost:{}/dir", directory.port());
    let root = file("ca.crt");
    platform.start_again(&[
        &path,
        "--acme-directory",
        &url,
        "--acme-root",
        &root,
        "--acme-email",
        "ops@example.com",
    ]);
    let issued = |address: SocketAddr, host: &str| {
        let facts = shown(address, host).ok()?;
        (facts.issuer.contains("Pebble") && facts.covers(host)).then_some(facts.serial)
    };
    let (plain, tls) = (platform.endpoint("plain").0, platform.endpoint("tls").0);
    wait_until("both have a certificate of the authority", || {
        issued(plain, "a.example.com").is_some() && issued(tls, "b.example.com").is_some()
    });
    let list = platform.ok(&["cert", "list"]);
    assert!(list.contains("Pebble") && list.contains("Ingress default/tls:443"), "{list}");
    for entry in std::fs::read_dir(platform.state_dir().join("acme")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }

    // It is renewed in time, and until then and after it every handshake is good.
    let first = issued(plain, "a.example.com").unwrap();
    let mut failures = Vec::new();
    wait_until("another certificate comes", || match shown(plain, "a.example.com") {
        Ok(facts) if facts.holds(Timestamp::now()).is_good() => facts.serial != first,
        other => {
            failures.push(format!("{other:?}"));
            true
        }
    });
    assert!(failures.is_empty(), "{failures:?}");

    // The account is used again, and so is what came by it.
    let accounts = || {
        let names = std::fs::read_dir(platform.state_dir().join("acme")).unwrap();
        names
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|it| it == "json"))
            .count()
    };
    assert_eq!(accounts(), 1);

    // An authority that begins anew knows no account of before: another one is made, in the place of that one.
    drop(pebble);
    let _pebble = begin();
    let before = issued(plain, "a.example.com").unwrap();
    wait_until("a certificate comes by a new account", || {
        issued(plain, "a.example.com").is_some_and(|serial| serial != before)
    });
    assert_eq!(accounts(), 1);
}

#[test]
fn an_authority_that_does_not_answer_is_told_and_costs_nothing_else() {
    let wild = ingress("wild", "'*.wild.example'", &[], "");
    let manifests = folder(&[("a.yaml", &ingress("web", "a.example.com", &[], "")), ("b.yaml", &wild)]);
    let path = manifests.path().display().to_string();
    let url = format!("https://localhost:{}/dir", free_address().port());
    let platform = Platform::start(FOREBAY, &[&path, "--acme-directory", &url]);
    wait_until("the local authority stands in", || {
        shown(platform.endpoint("web").0, "a.example.com").is_ok()
    });
    let events = ["get", "events", "-o", "jsonpath={range .items[*]}{.reason} {.message}{\"\\n\"}{end}"];
    platform.wait_for("it is told", &events, |events| {
        events.lines().any(|line| line.starts_with("CertificateProblem no certificate for a.example.com: "))
    });
    platform.wait_for("so is the wildcard", &events, |events| {
        events.contains("CertificateProblem no certificate for *.wild.example is asked for: ")
    });
    let list = platform.ok(&["cert", "list"]);
    assert!(list.contains("problem: no certificate for a.example.com: "), "{list}");
    assert!(list.contains("problem: no certificate for *.wild.example is asked for: "), "{list}");
    let checked = platform.run(&["domain", "check", "a.example.com"]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.contains("ACME: no certificate for a.example.com: "), "{checked}");
    let metrics = metrics(&platform);
    assert!(metrics.contains("forebay_acme_failures_total{reason=\"directory-unreachable\"}"), "{metrics}");
    let refused = platform.run(&["up", "--acme-directory", "http://example.com/dir"]);
    assert!(!refused.status.success());
    let refused = testkit::run(FOREBAY, &["up", "--acme-email", "a@example.com"]);
    assert_eq!(refused.status.code(), Some(2));
}
