//! Where certificates come from: folders, Secrets, the local authority.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use control::{Authority, Issued};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::{Platform, Request, run, wait_until};

use crate::{FOREBAY, folder};

const ARN: &str = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d";

/// An Ingress that answers by itself on 80 and 443, with these annotations and lines of its `spec`.
pub(crate) fn ingress(name: &str, host: &str, annotations: &[&str], spec: &str) -> String {
    let annotations: String =
        annotations.iter().map(|line| format!("    alb.ingress.kubernetes.io/{line}\n")).collect();
    format!(
        r#"apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations:
    alb.ingress.kubernetes.io/scheme: internal
    alb.ingress.kubernetes.io/listen-ports: '[{{"HTTP": 80}}, {{"HTTPS": 443}}]'
    alb.ingress.kubernetes.io/actions.hello: '{{"type":"fixed-response","fixedResponseConfig":{{"contentType":"text/plain","statusCode":"200","messageBody":"hello"}}}}'
{annotations}spec:
  ingressClassName: alb
{spec}  rules:
    - host: {host}
      http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: hello, port: {{name: use-annotation}}}}}}}}]}}
"#
    )
}

/// Somebody else's authority.
pub(crate) fn authority(folder: &tempfile::TempDir) -> Authority {
    Authority::open(folder.path(), Timestamp::now()).unwrap()
}

pub(crate) fn write_pair(folder: &Path, id: &str, pair: &Issued) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(folder.join(format!("{id}.crt")), &pair.certificate).unwrap();
    let key = folder.join(format!("{id}.key"));
    std::fs::write(&key, &pair.key).unwrap();
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn secret(pair: &Issued) -> String {
    let value = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cert"}, "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    });
    value.to_string()
}

/// The listener of an Ingress that speaks TLS.
pub(crate) fn tls_listener(platform: &Platform, name: &str) -> SocketAddr {
    let (address, _) = platform.endpoint(name);
    address
}

/// The certificate that a client of a host is shown.
pub(crate) fn shown(address: SocketAddr, host: &str) -> Result<manifest::CertificateFacts, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let shown = runtime.block_on(net::shown_by(address, host, &["h2", "http/1.1"], Duration::from_secs(10)));
    let shown = shown.map_err(|error| error.to_string())?;
    manifest::facts_of_der(&shown.chain[0]).ok_or_else(|| "unreadable".to_owned())
}

pub(crate) fn serial(pair: &Issued) -> String {
    manifest::read_facts(&pair.certificate).unwrap().serial
}

pub(crate) fn waits_for(address: SocketAddr, host: &str, pair: &Issued) {
    let wanted = serial(pair);
    wait_until("the certificate is shown", || shown(address, host).is_ok_and(|facts| facts.serial == wanted));
}

pub(crate) fn metrics(platform: &Platform) -> String {
    let admin = platform.ready()["admin"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    Request::get(admin, "/metrics").send().text
}

#[test]
fn acc_s0_40_acc_s2_20_acc_s2_33_a_folder_maps_arns_and_is_followed_without_a_failed_handshake() {
    let state = tempfile::tempdir().unwrap();
    let authority = authority(&state);
    let issue = || authority.issue(&["api.example.com"], Timestamp::now()).unwrap();
    let certificates = tempfile::tempdir().unwrap();
    let first = issue();
    write_pair(certificates.path(), "0a1b2c3d", &first);
    let text = ingress("web", "api.example.com", &[&format!("certificate-arn: {ARN}")], "");
    let manifests = folder(&[("a.yaml", &text)]);
    let path = |path: &Path| path.display().to_string();
    let platform =
        Platform::start(FOREBAY, &[&path(manifests.path()), "--certificates", &path(certificates.path())]);
    let address = tls_listener(&platform, "web");
    waits_for(address, "api.example.com", &first);

    // While it is asked without a pause, certificates come and go; also one without its key, and one that has ended.
    let (stop, is_stopped) = std::sync::mpsc::channel::<()>();
    let asking = std::thread::spawn(move || {
        let (mut n_asked, mut failures) = (0, Vec::new());
        while is_stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            n_asked += 1;
            failures.extend(shown(address, "api.example.com").err());
        }
        (n_asked, failures)
    });
    let mut last = first;
    for round in 0..3 {
        let bad =
            authority.issue(&["api.example.com"], Timestamp::now() - SignedDuration::from_hours(24 * 100));
        write_pair(certificates.path(), "0a1b2c3d", &bad.unwrap());
        std::thread::sleep(Duration::from_millis(700));
        let next = issue();
        std::fs::write(certificates.path().join("0a1b2c3d.crt"), &next.certificate).unwrap();
        if round == 0 {
            // Seen before its key is there.
            std::thread::sleep(Duration::from_millis(1_500));
            assert_eq!(shown(address, "api.example.com").unwrap().serial, serial(&last));
        }
        std::fs::write(certificates.path().join("0a1b2c3d.key"), &next.key).unwrap();
        waits_for(address, "api.example.com", &next);
        last = next;
    }
    stop.send(()).unwrap();
    let (n_asked, failures) = asking.join().unwrap();
    assert!(n_asked > 20 && failures.is_empty(), "{n_asked} {failures:?}");
    let until = manifest::read_facts(&last.certificate).unwrap().until.as_second();
    let series = format!(
        "forebay_certificate_expiry_timestamp_seconds{{certificate=\"{ARN}\",host=\"api.example.com\"}} {until}"
    );
    assert!(metrics(&platform).contains(&series), "{series} is not in\n{}", metrics(&platform));

    // Who asks in clear text, and who does not believe it, are counted by why.
    let _ = Request::get(address, "/").send();
    let counted = |reason: &str| {
        let text = metrics(&platform);
        text.lines().any(|line| {
            line.starts_with("forebay_tls_handshake_failures_total{")
                && line.contains(&format!("reason=\"{reason}\""))
                && !line.ends_with(" 0")
        })
    };
    wait_until("the failure is counted", || counted("not-tls"));
}

#[test]
fn a_secret_that_cannot_be_used_is_told_with_its_place_and_costs_no_other_certificate() {
    let state = tempfile::tempdir().unwrap();
    let authority = authority(&state);
    let one = authority.issue(&["api.example.com"], Timestamp::now()).unwrap();
    let two = authority.issue(&["api.example.com"], Timestamp::now()).unwrap();
    let crossed = Issued { key: two.key.clone(), ..one.clone() };
    let text =
        ingress("web", "api.example.com", &[], "  tls: [{hosts: [api.example.com], secretName: cert}]\n");
    let manifests = folder(&[("a.yaml", &text), ("secret.json", &secret(&crossed))]);
    let path = manifests.path().display().to_string();
    let check = run(FOREBAY, &["check", &path]);
    let told = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(
        told.contains("`tls.key` is not the key of the certificate (CN=api.example.com) (line 1)"),
        "{told}"
    );
    assert!(told.contains("secret.json:1:") && told.contains("a.yaml:"), "{told}");
    assert!(!told.contains(one.key.lines().nth(1).unwrap()), "no key is printed");

    let platform = Platform::start(FOREBAY, &[&path]);
    let address = tls_listener(&platform, "web");
    // The local authority stands in, so the load balancer is as it should be.
    wait_until("a certificate is shown", || shown(address, "api.example.com").is_ok());
    let events = |kind: &str| {
        let path = format!(
            "jsonpath={{range .items[?(@.involvedObject.kind==\"{kind}\")]}}{{.reason}} {{.message}}{{\"\\n\"}}{{end}}"
        );
        platform.ok(&["get", "events", "-o", &path])
    };
    wait_until("it is told", || events("Secret").contains("CertificateInvalid"));
    wait_until("all is well", || events("Ingress").contains("SuccessfullyReconciled"));
    assert!(!events("Ingress").contains("FailedDeployModel"), "{}", events("Ingress"));

    let good = folder(&[("s.json", &secret(&one))]);
    let _ = platform.ok(&["apply", "-f", &good.path().display().to_string()]);
    waits_for(address, "api.example.com", &one);
    // The one that worked goes on when it is replaced by a bad one.
    let bad = folder(&[("s.json", &secret(&crossed))]);
    let applied = platform.run(&["apply", "-f", &bad.path().display().to_string()]);
    let told = String::from_utf8_lossy(&applied.stderr).into_owned();
    assert!(told.contains("is not the key of the certificate"), "{told}");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(shown(address, "api.example.com").unwrap().serial, serial(&one));
    let refused = platform.run(&["apply", "-f", &without_key().path().display().to_string()]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("data[tls.key]: Required value"), "{told}");
}

fn without_key() -> tempfile::TempDir {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: other}\ntype: kubernetes.io/tls\nstringData: {tls.crt: x}\n";
    folder(&[("s.yaml", text)])
}

#[test]
fn acc_s2_14_acc_s3_46_acc_s3_60_what_check_says_of_certificates() {
    let state = tempfile::tempdir().unwrap();
    let authority = authority(&state);
    let hours = |days: i64| SignedDuration::from_hours(24 * days);
    let check = |text: &str, pair: Option<&Issued>, more: &[&str]| {
        let secret = pair.map(secret).unwrap_or_else(|| "{}".to_owned());
        let manifests = folder(&[("a.yaml", text), ("s.json", &secret)]);
        let path = manifests.path().join("a.yaml").display().to_string();
        let secret_path = manifests.path().join("s.json").display().to_string();
        let mut arguments = vec!["check", &path];
        if pair.is_some() {
            arguments.push(&secret_path);
        }
        arguments.extend(more);
        let checked = run(FOREBAY, &arguments);
        (checked.status.code(), String::from_utf8_lossy(&checked.stdout).into_owned())
    };
    let with_secret =
        ingress("web", "a.b.example.com", &[], "  tls: [{hosts: [a.b.example.com], secretName: cert}]\n");
    let now = Timestamp::now();
    let for_days = |days: i64| authority.issue(&["*.example.com"], now - hours(90 - days)).unwrap();
    let (_, told) = check(&with_secret, Some(&for_days(80)), &[]);
    assert!(
        told.contains("does not cover a.b.example.com: `*.example.com` stands for one label, no more"),
        "{told}"
    );
    assert!(!told.contains("ends"), "{told}");
    for (days, code, said) in [
        (20, "certificate-renew", "the certificate for *.example.com ends on "),
        (3, "certificate-ending", "the certificate for *.example.com ends within a week, on "),
        (-3, "certificate-ending", "the certificate for *.example.com ended on "),
    ] {
        let (_, told) = check(&with_secret, Some(&for_days(days)), &[]);
        assert!(told.contains(&format!("warning[{code}]: {said}")) && told.contains("s.json:1:"), "{told}");
    }
    let early = authority.issue(&["a.b.example.com"], now + hours(5)).unwrap();
    let (_, told) = check(&with_secret, Some(&early), &[]);
    assert!(told.contains("does not hold before"), "{told}");

    let elsewhere = ingress("web", "a.example.com", &[&format!("certificate-arn: {ARN}")], "");
    let (code, told) = check(&elsewhere, None, &[]);
    assert!(
        code == Some(0) && told.contains("warning[certificate-not-here]") && told.contains("a.yaml:9:5"),
        "{told}"
    );
    let certificates = tempfile::tempdir().unwrap();
    let certificates_path = certificates.path().display().to_string();
    write_pair(certificates.path(), "0a1b2c3d", &for_days(80));
    let (_, told) = check(&elsewhere, None, &["--certificates", &certificates_path]);
    assert!(!told.contains("certificate-"), "{told}");
    let unknown = ingress("web", "a.example.com", &[&format!("certificate-arn: {ARN}x")], "");
    let (code, told) = check(&unknown, None, &["--certificates", &certificates_path, "--strict-aws"]);
    assert!(code == Some(1) && told.contains("error[certificate-unknown]"), "{told}");
    let placeholder = "certificate-arn: arn:aws:acm:us-east-1:YOUR_ACCOUNT_ID:certificate/YOUR_CERT_ID";
    let placeholder = ingress("web", "a.example.com", &[placeholder], "");
    let (code, told) = check(&placeholder, None, &[]);
    assert!(code == Some(0) && told.contains("names no account, so something was left to fill in"), "{told}");
    let (code, told) = check(&placeholder, None, &["--strict-aws"]);
    assert!(code == Some(1) && told.contains("error[certificate-placeholder]"), "{told}");
    let env = folder(&[("env.yaml", "region: us-east-1\n")]);
    let env_path = env.path().join("env.yaml").display().to_string();
    let (_, told) = check(&elsewhere, None, &["--env", &env_path]);
    assert!(told.contains("is of another region than the load balancer, which is in us-east-1"), "{told}");
    let (code, _) = check(&ingress("web", "a.example.com", &[], ""), None, &["--strict-aws"]);
    assert_eq!(code, Some(1), "without a certificate there is no HTTPS listener on AWS");
}

/// `/metrics` of a server that speaks TLS.
fn metrics_over_tls(runtime: &tokio::runtime::Runtime, address: SocketAddr, authority: &Authority) -> String {
    let authorities = net::Authorities::from_pem(authority.certificate()).unwrap();
    let patience = Duration::from_secs(5);
    let local = tokio::task::LocalSet::new();
    let ask = async {
        let connection =
            net::ClientConnection::open_tls(address, "localhost", &authorities, patience).await.unwrap();
        let mut fields = net::Fields::new();
        fields.push("host", "localhost");
        let outgoing = net::Outgoing {
            method: &net::Method::GET,
            target: "/metrics",
            fields: &fields,
            body: net::Body::Empty,
            timeout: patience,
        };
        let response = connection.send(outgoing, drop).await.unwrap();
        String::from_utf8(response.body.collect(1 << 20).await.unwrap().to_vec()).unwrap()
    };
    local.block_on(runtime, ask)
}

#[test]
fn a_model_server_speaks_https_and_follows_its_files() {
    let state = tempfile::tempdir().unwrap();
    let authority = authority(&state);
    let issue = || authority.issue(&["localhost", "127.0.0.1"], Timestamp::now()).unwrap();
    let (one, two) = (issue(), issue());
    write_pair(state.path(), "server", &one);
    let file = |name: &str| state.path().join(name).display().to_string();
    let (certificate, key) = (file("server.crt"), file("server.key"));
    let model = format!("iris={}", crate::project("examples/iris/model"));
    let mut child = std::process::Command::new(FOREBAY)
        .args([
            "serve",
            &model,
            "--port",
            "0",
            "-o",
            "json",
            "--ssl_certfile",
            &certificate,
            "--ssl_keyfile",
            &key,
        ])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address: SocketAddr =
        ready["url"].as_str().unwrap().strip_prefix("https://").unwrap().parse().unwrap();
    waits_for(address, "localhost", &one);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seen = runtime
        .block_on(net::shown_by(address, "localhost", &["h2", "http/1.1"], Duration::from_secs(5)))
        .unwrap();
    assert_eq!(seen.protocol.as_deref(), Some("h2"));
    // A key without its certificate changes nothing; with it, it does.
    std::fs::write(state.path().join("server.key"), &two.key).unwrap();
    std::thread::sleep(Duration::from_millis(1_300));
    assert_eq!(shown(address, "localhost").unwrap().serial, serial(&one));
    std::fs::write(state.path().join("server.crt"), &two.certificate).unwrap();
    waits_for(address, "localhost", &two);
    // One that does not hold does not take the place of one that does; a good one after it does.
    let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 365);
    write_pair(state.path(), "server", &authority.issue(&["localhost"], long_ago).unwrap());
    std::thread::sleep(Duration::from_millis(1_300));
    assert_eq!(shown(address, "localhost").unwrap().serial, serial(&two));
    let three = issue();
    write_pair(state.path(), "server", &three);
    waits_for(address, "localhost", &three);
    // The same is told of it as of the certificates of load balancers.
    let plain = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut &plain, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let _ = std::io::Read::read_to_end(&mut &plain, &mut Vec::new());
    let metrics = metrics_over_tls(&runtime, address, &authority);
    assert!(metrics.contains("forebay_tls_handshake_failures_total{reason=\"not-tls\"} 1"), "{metrics}");
    let until = manifest::read_facts(&three.certificate).unwrap().until.as_second();
    let expiry = format!(
        "forebay_certificate_expiry_timestamp_seconds{{certificate=\"{certificate}\",host=\"localhost\"}} {until}"
    );
    assert!(metrics.contains(&expiry) && metrics.ends_with('\n'), "{metrics}");
    child.kill().unwrap();
    child.wait().unwrap();

    let refused = |arguments: &[&str]| {
        let done = run(FOREBAY, &[&["serve", &model, "--port", "0"], arguments].concat());
        assert!(!done.status.success());
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    let told = refused(&["--tls-cert", &certificate]);
    assert!(told.contains("server.crt:1: it has no private key") && told.contains("fix: "), "{told}");
    assert!(refused(&["--tls-key", &key]).contains("name that with --tls-cert"));
}

#[test]
fn acc_s1_35_acc_s1_37_acc_s1_38_only_https_and_both_ways_from_http_to_it() {
    let listen = r#"[{"HTTP": 80}, {"HTTPS": 443}]"#;
    let only = ingress("only", "a.example.com", &[], "").replace(listen, r#"[{"HTTPS": 443}]"#);
    let redirect = ingress("redirect", "b.example.com", &["ssl-redirect: '443'"], "");
    let action = r#"actions.hello: '{"type":"redirect","redirectConfig":{"protocol":"HTTPS","port":"443","statusCode":"HTTP_301"}}'"#;
    let by_action = ingress("action", "c.example.com", &[], "");
    let own = by_action.lines().find(|line| line.contains("actions.hello")).unwrap().to_owned();
    let by_action = by_action.replace(own.trim(), &format!("alb.ingress.kubernetes.io/{action}"));
    let manifests = folder(&[("a.yaml", &only), ("b.yaml", &redirect), ("c.yaml", &by_action)]);
    let platform = Platform::start(FOREBAY, &[&manifests.path().display().to_string()]);
    let ports = |name: &str| {
        let endpoints = platform.ready()["endpoints"].as_array().unwrap().clone();
        let endpoint = endpoints.into_iter().find(|endpoint| endpoint["name"] == name).unwrap();
        let ports = endpoint["ports"].as_array().unwrap().clone();
        (tls_listener(&platform, name).ip(), ports)
    };
    let (address, only) = ports("only");
    assert_eq!(only.len(), 1);
    wait_until("it speaks TLS", || shown(tls_listener(&platform, "only"), "a.example.com").is_ok());
    // With or without the right to bind it, nobody answers at the port for HTTP.
    for port in [80, 8080] {
        assert!(std::net::TcpStream::connect((address, port)).is_err(), "{port}");
    }
    for (name, host) in [("redirect", "b.example.com"), ("action", "c.example.com")] {
        let (address, ports) = ports(name);
        let plain = SocketAddr::new(address, u16::try_from(ports[1].as_u64().unwrap()).unwrap());
        let answer = Request::get(plain, "/x?y=1").host(host).send();
        assert_eq!(answer.status, 301, "{name}");
        let location = answer.field("location").unwrap();
        assert!(
            location.starts_with(&format!("https://{host}")) && location.ends_with("/x?y=1"),
            "{location}"
        );
    }
}

#[test]
fn the_end_of_a_certificate_is_an_event_in_its_last_week_only() {
    let state = tempfile::tempdir().unwrap();
    let authority = authority(&state);
    let for_days = |days: i64, host: &str| {
        authority.issue(&[host], Timestamp::now() - SignedDuration::from_hours(24 * (90 - days))).unwrap()
    };
    let certificates = tempfile::tempdir().unwrap();
    write_pair(certificates.path(), "soon", &for_days(3, "soon.example.com"));
    write_pair(certificates.path(), "later", &for_days(20, "later.example.com"));
    let secret = secret(&for_days(3, "secret.example.com"));
    let by_secret = ingress("secret", "secret.example.com", &[], "  tls: [{secretName: cert}]\n");
    let files = [
        ("a.yaml", ingress("soon", "soon.example.com", &[], "")),
        ("b.yaml", ingress("later", "later.example.com", &[], "")),
        ("c.yaml", by_secret),
        ("s.json", secret),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let manifests = folder(&files);
    let path = |path: &Path| path.display().to_string();
    let platform =
        Platform::start(FOREBAY, &[&path(manifests.path()), "--certificates", &path(certificates.path())]);
    let events = [
        "get",
        "events",
        "-o",
        "jsonpath={range .items[*]}{.involvedObject.kind}/{.involvedObject.name} {.reason} {.message}{\"\\n\"}{end}",
    ];
    platform.wait_for("both are told", &events, |events| {
        let has = |start: &str, part: &str| {
            events.lines().any(|line| line.starts_with(start) && line.contains(part))
        };
        has("Ingress/soon CertificateProblem ", "for soon.example.com ends within a week, on ")
            && has("Secret/cert CertificateEnding ", "for secret.example.com ends within a week, on ")
    });
    let told = platform.ok(&events);
    assert!(!told.contains("later.example.com ends"), "{told}");
    // Discovered by host, without an ARN.
    assert!(platform.ok(&["cert", "list"]).contains("Ingress default/later:443 (default)"));
}
