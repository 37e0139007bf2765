//! A Service: its ports, which are told apart by name, number and protocol, and what it needs to lead anywhere.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::names::{LABEL_RULE, SERVICE_RULE, is_label};
use super::{Violation, items, text};

/// The node ports that Kubernetes gives out.
const NODE_PORTS: RangeInclusive<u64> = 30_000..=32_767;

pub(crate) fn check(object: &Value, found: &mut Vec<Violation>) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        found.push(Violation::invalid("metadata.name", &json!(name), SERVICE_RULE));
    }
    let spec = &object["spec"];
    let leads_elsewhere = text(spec, "type") == Some("ExternalName");
    if leads_elsewhere && text(spec, "externalName").is_none() {
        found.push(Violation::required("spec.externalName", ""));
    }
    let is_headless = text(spec, "clusterIP") == Some("None");
    let ports = items(spec, "ports");
    if ports.is_empty() && !is_headless && !leads_elsewhere {
        found.push(Violation::required("spec.ports", ""));
    }
    check_ports(ports, found);
    for (index, range) in items(spec, "loadBalancerSourceRanges").iter().enumerate() {
        let is_range = range.as_str().is_some_and(|range| range.trim().parse::<IpNet>().is_ok());
        if !is_range {
            let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            found.push(Violation::invalid(format!("spec.loadBalancerSourceRanges[{index}]"), range, why));
        }
    }
}

fn check_ports(ports: &[Value], found: &mut Vec<Violation>) {
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = format!("{path}.name");
        match text(port, "name") {
            // The only port needs no name to be told from others.
            None if ports.len() == 1 => {}
            None => found.push(Violation::required(name, "")),
            Some(written) if !is_label(written) => {
                found.push(Violation::invalid(name, &json!(written), LABEL_RULE));
            }
            Some(written) if !names.insert(written) => {
                found.push(Violation::duplicate(name, format!("{written:?}")));
            }
            Some(_) => {}
        }
        let number = port["port"].as_u64().unwrap_or(0);
        if port["port"].is_null() {
            let why = "must be between 1 and 65535, inclusive";
            found.push(Violation::invalid(format!("{path}.port"), &json!(0), why));
        }
        let protocol = text(port, "protocol").unwrap_or("TCP");
        if !numbers.insert((protocol, number)) {
            found.push(Violation::duplicate(path.clone(), go_port(protocol, number)));
        }
        let node_port = port["nodePort"].as_u64().unwrap_or(0);
        if node_port > 0 && !NODE_PORTS.contains(&node_port) {
            let (least, most) = NODE_PORTS.into_inner();
            let why = format!(
                "provided port is not in the valid range. The range of valid ports is {least}-{most}"
            );
            found.push(Violation::invalid(format!("{path}.nodePort"), &json!(node_port), why));
        }
    }
}

/// A port as an API server written in Go prints it.
fn go_port(protocol: &str, number: u64) -> String {
    format!(
        "core.ServicePort{{Name:\"\", Protocol:{protocol:?}, AppProtocol:(*string)(nil), Port:{number}, TargetPort:intstr.IntOrString{{Type:0, IntVal:0, StrVal:\"\"}}, NodePort:0}}"
    )
}
