//! An Ingress: paths with their type, and backends that lead somewhere.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::names::{SUBDOMAIN_RULE, is_subdomain};
use super::{Violation, is_nothing, items, text};

/// What the paths of an Ingress may not hold, and how they may not end.
const NO_PARTS: &[&str] = &["//", "/./", "/../", "%2f", "%2F"];
const NO_ENDS: &[&str] = &["/..", "/."];

pub(crate) fn check(object: &Value, found: &mut Vec<Violation>) {
    let spec = &object["spec"];
    let rules = items(spec, "rules");
    if rules.is_empty() && is_nothing(&spec["defaultBackend"]) {
        let why = "either `defaultBackend` or `rules` must be specified";
        found.push(Violation::invalid("spec", &json!({}), why));
    }
    if !is_nothing(&spec["defaultBackend"]) {
        check_backend(&spec["defaultBackend"], "spec.defaultBackend", found);
    }
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        if let Some(host) = text(rule, "host") {
            check_host(host, &format!("{path}.host"), found);
        }
        if rule["http"].is_null() {
            continue;
        }
        let paths = items(&rule["http"], "paths");
        if paths.is_empty() {
            found.push(Violation::required(format!("{path}.http.paths"), ""));
        }
        for (index, written) in paths.iter().enumerate() {
            check_path(written, &format!("{path}.http.paths[{index}]"), found);
        }
    }
}

fn check_host(host: &str, field: &str, found: &mut Vec<Violation>) {
    if host.parse::<IpAddr>().is_ok() {
        found.push(Violation::invalid(field, &json!(host), "must be a DNS name, not an IP address"));
    } else if !is_subdomain(host.strip_prefix("*.").unwrap_or(host)) {
        found.push(Violation::invalid(field, &json!(host), SUBDOMAIN_RULE));
    }
}

fn check_path(written: &Value, field: &str, found: &mut Vec<Violation>) {
    let path = written["path"].as_str().unwrap_or_default();
    let kind = text(written, "pathType");
    if kind.is_none() {
        found.push(Violation::required(format!("{field}.pathType"), "pathType must be specified"));
    }
    let mut wrong = |why: String| {
        found.push(Violation::invalid(format!("{field}.path"), &json!(path), why));
    };
    let is_strict = matches!(kind, Some("Exact" | "Prefix"));
    if !path.starts_with('/') {
        // Without a type, and with one of the controller's own, there may be no path at all.
        if is_strict || !path.is_empty() {
            wrong("must be an absolute path".to_owned());
        }
    } else if is_strict {
        let parts = NO_PARTS.iter().filter(|part| path.contains(**part));
        parts.for_each(|part| wrong(format!("must not contain '{part}'")));
        let ends = NO_ENDS.iter().filter(|end| path.ends_with(**end));
        ends.for_each(|end| wrong(format!("cannot end with '{end}'")));
    }
    check_backend(&written["backend"], &format!("{field}.backend"), found);
}

fn check_backend(backend: &Value, field: &str, found: &mut Vec<Violation>) {
    let mut wrong = |why: &str| found.push(Violation::invalid(field, &json!(""), why));
    let service = &backend["service"];
    match (service.is_null(), backend["resource"].is_null()) {
        (false, false) => wrong("cannot set both resource and service backends"),
        (true, true) => wrong("resource or service backend is required"),
        (true, false) => {}
        (false, true) => {
            let port = &service["port"];
            let has_number = port["number"].as_u64().is_some_and(|number| number > 0);
            match (text(port, "name").is_some(), has_number) {
                (true, true) => wrong("cannot set both port name & port number"),
                (false, false) if port["number"].is_null() || port["number"] == json!(0) => {
                    found.push(Violation::required(field, "port name or number is required"));
                }
                _ => {}
            }
            if text(service, "name").is_none() {
                found.push(Violation::required(format!("{field}.service.name"), ""));
            }
        }
    }
}
