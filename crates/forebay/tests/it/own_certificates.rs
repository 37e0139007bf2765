//! Certificates of the user's own: what is printed of them works when it is pasted, and one for other hosts is told.

use std::process::Command;

use jiff::Timestamp;
use testkit::Platform;

use crate::certificates::{authority, ingress, secret, waits_for, write_pair};
use crate::{FOREBAY, folder};

const ARN: &str = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d";

const NLB: &str = r"apiVersion: v1
kind: Service
metadata:
  name: nlb
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:eu-west-1:111122223333:certificate/nlb
spec: {type: LoadBalancer, ports: [{port: 443, targetPort: 9}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: nlb}
subsets: [{addresses: [{ip: 127.0.0.1}], ports: [{port: 9}]}]
";

#[test]
fn a_printed_curl_line_works_with_certificates_of_ones_own() {
    let state = tempfile::tempdir().unwrap();
    let authority = authority(&state);
    let issue = |host: &str| authority.issue(&[host], Timestamp::now()).unwrap();
    let certificates = tempfile::tempdir().unwrap();
    write_pair(certificates.path(), "0a1b2c3d", &issue("a.example.com"));
    write_pair(certificates.path(), "nlb", &issue("nlb.example.com"));
    let by_secret = "  tls: [{hosts: [b.example.com], secretName: cert}]\n";
    let manifests = folder(&[
        ("a.yaml", &ingress("web", "a.example.com", &[&format!("certificate-arn: {ARN}")], "")),
        ("b.yaml", &ingress("kept", "b.example.com", &[], by_secret)),
        ("nlb.yaml", NLB),
        ("s.json", &secret(&issue("b.example.com"))),
    ]);
    let (path, kept) = (manifests.path().display().to_string(), certificates.path().display().to_string());
    let platform = Platform::start(FOREBAY, &[&path, "--certificates", &kept]);
    let line = |name: &str| platform.ok(&["url", name, "--curl"]).trim().to_owned();
    let lines = [line("ingress/web"), line("ingress/kept"), line("svc/nlb")];
    assert!(lines[0].contains("0a1b2c3d.crt'") && !lines[0].contains(" -k"), "{lines:?}");
    assert!(
        lines[1].contains(" -k ") && lines[1].contains("vouches for the certificate in secret:default/cert")
    );
    assert!(lines[2].contains("nlb.crt'") && lines[2].contains("--resolve 'nlb.example.com:"), "{lines:?}");
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl");
        return;
    }
    for (line, said) in lines.iter().zip(["hello", "hello", ""]) {
        let pasted =
            Command::new("sh").args(["-c", &line.replacen("curl", "curl -sS -m 5", 1)]).output().unwrap();
        let told = String::from_utf8_lossy(&pasted.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&pasted.stdout), said, "{line}: {told}");
        assert_ne!(pasted.status.code(), Some(60), "{line}: {told}");
    }
}

#[test]
fn a_certificate_for_other_hosts_is_told_wherever_it_is_put() {
    let state = tempfile::tempdir().unwrap();
    let authority = authority(&state);
    let issue = |host: &str| authority.issue(&[host], Timestamp::now()).unwrap();
    let (fitting, foreign) = (issue("b.example.com"), issue("foreign.example"));
    let certificates = tempfile::tempdir().unwrap();
    write_pair(certificates.path(), "0a1b2c3d", &issue("a.example.com"));
    let by_secret = "  tls: [{hosts: [b.example.com], secretName: cert}]\n";
    let manifests = folder(&[
        ("a.yaml", &ingress("web", "a.example.com", &[&format!("certificate-arn: {ARN}")], "")),
        ("b.yaml", &ingress("kept", "b.example.com", &[], by_secret)),
        ("s.json", &secret(&fitting)),
    ]);
    let (path, kept) = (manifests.path().display().to_string(), certificates.path().display().to_string());
    let platform = Platform::start(FOREBAY, &[&path, "--certificates", &kept]);
    waits_for(platform.endpoint("kept").0, "b.example.com", &fitting);

    // Into the Secret, which is all that is applied.
    let applied = folder(&[("s.json", &secret(&foreign))]);
    let applied = platform.run(&["apply", "-f", &applied.path().display().to_string()]);
    let told = String::from_utf8_lossy(&applied.stderr).into_owned();
    assert!(
        told.contains("covers none of the hosts that use it (b.example.com): it is for foreign.example"),
        "{told}"
    );
    assert!(told.contains("Its clients get a certificate for foreign.example, and refuse it"), "{told}");
    // Into the folder.
    write_pair(certificates.path(), "0a1b2c3d", &foreign);
    waits_for(platform.endpoint("web").0, "a.example.com", &foreign);
    let events =
        ["get", "events", "-o", "jsonpath={range .items[*]}{.involvedObject.name} {.message}{\"\\n\"}{end}"];
    platform.wait_for("it is an Event", &events, |events| {
        let told =
            |line: &str| line.starts_with("web ") && line.contains("does not cover a.example.com: it is for");
        events.lines().any(told)
    });
    let list = platform.ok(&["cert", "list"]);
    assert!(list.contains(&format!("problem: {ARN} is for none of the hosts")), "{list}");
    assert!(list.contains("problem: secret:default/cert is for none of the hosts"), "{list}");
}
