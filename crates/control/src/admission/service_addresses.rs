//! Services do not share an address or a node port, and what answers nowhere on this machine is said to.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Attempt, items, text};
use crate::store::{Cause, Status};
use manifest::Object;

pub(super) fn check(attempt: &mut Attempt<'_>) -> Result<(), Status> {
    if !attempt.is_a("Service") {
        return Ok(());
    }
    let object = &*attempt.object;
    let is_other = |other: &&Object| (&other.namespace, &other.name) != (&object.namespace, &object.name);
    let others: Vec<&Object> = attempt.all.of_kind("Service").map(AsRef::as_ref).filter(is_other).collect();
    let spec = &object.value["spec"];
    let before = attempt.old.map_or(&Value::Null, |old| &old.value["spec"]);
    let address = text(spec, "clusterIP");
    let mut causes = Vec::new();
    let is_address = address.parse::<IpAddr>().is_ok();
    let is_new = is_address && address != text(before, "clusterIP");
    if is_new && others.iter().any(|other| other.value["spec"]["clusterIP"] == address) {
        let why = format!("failed to allocate IP {address}: provided IP is already allocated");
        causes.push(Cause::invalid("spec.clusterIPs", &json!([address]), &why));
    }
    for (index, port) in items(&spec["ports"]).enumerate() {
        let number = &port["nodePort"];
        let is_taken = |other: &&Object| {
            items(&other.value["spec"]["ports"]).any(|port| number.is_u64() && port["nodePort"] == *number)
        };
        if number.as_u64().is_some_and(|number| number > 0) && others.iter().any(is_taken) {
            let field = format!("spec.ports[{index}].nodePort");
            causes.push(Cause::invalid(field, number, "provided port is already allocated"));
        }
    }
    if !causes.is_empty() {
        return Err(Status::invalid(object.kind, &object.name, causes));
    }
    let api = attempt.all.get("Service", "default", "kubernetes");
    let has_network = api.is_some_and(|api| is_loopback(text(&api.value["spec"], "clusterIP")));
    if is_new && has_network && !is_loopback(address) {
        let warning = format!(
            "spec.clusterIP: nothing answers at {address} on this machine: leave it out, and the Service gets a loopback address"
        );
        attempt.warnings.push(warning);
    }
    Ok(())
}

fn is_loopback(address: &str) -> bool {
    address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
