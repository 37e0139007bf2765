//! Load balancers on all interfaces, which share ports as far as their hosts tell them apart.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use testkit::{Platform, Request, wait_until};

use crate::{FOREBAY, folder};

/// An Ingress that answers by itself with its name, for a host, or for all.
fn ingress(name: &str, port: u16, host: &str, more: &str) -> String {
    let host = if host.is_empty() { String::new() } else { format!("host: {host}, ") };
    format!(
        r#"apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations:
    alb.ingress.kubernetes.io/scheme: internal
    alb.ingress.kubernetes.io/listen-ports: '[{{"HTTP": {port}}}]'
    alb.ingress.kubernetes.io/actions.hello: '{{"type":"fixed-response","fixedResponseConfig":{{"contentType":"text/plain","statusCode":"200","messageBody":"{name}"}}}}'
{more}spec:
  ingressClassName: alb
  rules:
    - {{{host}http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: hello, port: {{name: use-annotation}}}}}}}}]}}}}
"#
    )
}

#[test]
fn acc_s0_01_acc_s1_38_load_balancers_share_a_public_port_by_host_and_over_ipv6() {
    let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let dualstack = "    alb.ingress.kubernetes.io/ip-address-type: dualstack\n";
    let folder = folder(&[
        ("a.yaml", &ingress("a", port, "a.example", "")),
        ("b.yaml", &ingress("b", port, "b.example", dualstack)),
        ("c.yaml", &ingress("c", port, "a.example", "")),
    ]);
    let platform = Platform::start(FOREBAY, &["--public", &folder.path().display().to_string()]);
    let public = SocketAddr::from(([127, 0, 0, 1], port));
    let asked = |address, host: &str| {
        let answer = Request::get(address, "/").host(host).send();
        (answer.status, answer.text)
    };
    wait_until("both are open", || {
        asked(public, "b.example").0 == 200 && asked(public, "a.example").0 == 200
    });
    assert_eq!(asked(public, "a.example"), (200, "a".to_owned()));
    assert_eq!(asked(public, "b.example"), (200, "b".to_owned()));
    assert_eq!(asked(public, "c.example").0, 404);
    // The third wants a host that is the first one's, and is where nobody else is.
    let (own, _) = platform.endpoint("c");
    assert_eq!(asked(own, "a.example"), (200, "c".to_owned()));
    let events =
        ["get", "events", "-o", "jsonpath={range .items[*]}{.involvedObject.name}: {.message}{'\\n'}{end}"];
    platform.wait_for("it is told why", &events, |events| {
        let is_it = |line: &str| line.starts_with("c: ") && line.contains("both answer for host `a.example`");
        events.lines().any(is_it)
    });
    let ipv6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    assert_eq!(asked(ipv6, "b.example"), (200, "b".to_owned()));
    assert_eq!(asked(ipv6, "a.example").0, 404);
}
