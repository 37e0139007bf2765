//! What rules cost: one beside ten thousand, and HAProxy, which finds its backend for as many in a map.

use std::fmt::Write;
use std::net::SocketAddr;
use std::ops::Range;

use super::contender::{Contender, Logs, measure};
use super::haproxy::{self, Configuration, HAPROXY};
use super::http::Request;
use super::load::{Load, Over};
use super::manifest::{Ingress, documents, rule, service};
use super::platform::up;
use super::proxy::ANSWER;
use super::report::Report;
use super::server::{Server, free_address, pinned};
use super::{Forebay, LOAD_CORE, constant_server, folder, requests, write};
use crate::tools;

pub(super) const N_HOSTS: usize = 1_000;
const N_PATHS: usize = 10;

const SECONDS: u32 = 4;
const CONNECTIONS: usize = 32;

/// The requests: by what name, and for which host and path.
const CASES: [(&str, &str, &str); 4] = [
    ("the first rule", "h0.example.com", "/p0/predict"),
    ("a rule in the middle", "h500.example.com", "/p5/predict"),
    ("the last rule", "h999.example.com", "/p9/predict"),
    ("a host without rules", "other.example.com", "/p0/predict"),
];

pub(super) fn bench(forebays: &[Forebay]) -> Result<Report, String> {
    tools::ensure(&[HAPROXY])?;
    let mut report = Report::new("rules");
    let target = free_address()?;
    let mut command = pinned(LOAD_CORE, &constant_server());
    command.arg(ANSWER).arg(target.to_string());
    let _target = Server::start("target", command)?;

    let mut contenders = Vec::new();
    for (index, forebay) in forebays.iter().enumerate() {
        for (what, rules) in [("one rule", one_rule()), ("10 000 rules", many_rules(0..N_HOSTS))] {
            let port = free_address()?.port();
            let (name, folder) =
                (format!("{}, {what}", forebay.name), format!("rules-{index}-{}", &what[..2]));
            let mut contender = up(forebay, &name, folder.trim(), &manifest(port, target, rules), &[])?;
            contender.address.set_port(port);
            contenders.push(contender);
        }
    }
    contenders.push(start_haproxy(target)?);
    let body = requests::wine(1)?.to_string();
    for contender in &mut contenders {
        let (address, (_, host, path)) = (contender.address, CASES[0]);
        let request = Request { host: Some(host), path, body: body.clone() };
        contender.server.wait_for(|_| request.send(address))?;
    }
    report.tell_version(haproxy::version()?);

    let contenders: Vec<&Contender> = contenders.iter().collect();
    for (name, host, path) in CASES {
        let request = Request { host: Some(host), path, body: body.clone() };
        let load = Load { over: Over::Clear, request, connections: CONNECTIONS, seconds: SECONDS };
        report.cases.push(measure(name.to_owned(), &contenders, &load)?);
    }
    Ok(report)
}

fn one_rule() -> String {
    rule("*.example.com", &["/"])
}

/// Ten rules for each of some hosts, of which there are a thousand.
pub(super) fn many_rules(hosts: Range<usize>) -> String {
    let paths: Vec<String> = (0..N_PATHS).map(|path| format!("/p{path}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    hosts.map(|host| rule(&format!("h{host}.example.com"), &paths)).collect()
}

fn manifest(port: u16, target: SocketAddr, rules: String) -> String {
    let listeners = &[("HTTP", port)];
    let ingress = Ingress { name: "bench", annotations: &[], listeners, tls: None, has_default: true, rules };
    documents(&[service(&[target]), ingress.to_string()])
}

/// The folder of HAProxy.
const FOLDER: &str = "rules-haproxy";

fn start_haproxy(target: SocketAddr) -> Result<Contender, String> {
    let mut map = String::new();
    for host in 0..N_HOSTS {
        for path in 0..N_PATHS {
            let _ = writeln!(map, "h{host}.example.com/p{path} one");
        }
    }
    let map = write(folder(FOLDER)?.join("rules.map"), &map)?;
    let configuration = Configuration {
        logs: Logs::No,
        address: free_address()?,
        secure: None,
        rules: &[format!("use_backend %[base,lower,map_beg({},one)]", map.display())],
        backends: &[("one", "")],
        targets: &[target],
    };
    configuration.start("HAProxy, 10 000 in a map", FOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_rules_as_are_told() {
        assert_eq!(many_rules(0..N_HOSTS).matches("path: /p").count(), 10_000);
        assert_eq!(one_rule().matches("path: /").count(), 1);
    }
}
