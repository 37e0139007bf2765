//! A target port that no container of the selected pods has: nothing answers there.

use std::collections::BTreeSet;

use super::Context;
use crate::compile::world::Backend;
use crate::kinds::service::{ServicePort, TransportProtocol};
use crate::wire::IntOrString;
use crate::workload::Ports;
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for backend in context.world.services.values() {
        let pods: Vec<&Ports> = context.world.selected(backend).map(|pod| &pod.ports).collect();
        if pods.is_empty() {
            continue;
        }
        let carried = backend.spec.ports.iter().enumerate();
        for (index, port) in carried.filter(|(_, port)| port.protocol == TransportProtocol::Tcp) {
            findings.extend(problem(backend, index, port, &pods));
        }
    }
}

fn problem(backend: &Backend, index: usize, port: &ServicePort, pods: &[&Ports]) -> Option<Finding> {
    let has_it = |ports: &&&Ports| match &port.target_port {
        Some(IntOrString::String(name)) if name.parse::<u16>().is_err() => ports.has_name(name),
        _ => port.target_number().is_none_or(|number| ports.has_number(number)),
    };
    if pods.iter().any(|ports| has_it(&ports)) {
        return None;
    }
    let (field, written) = match &port.target_port {
        Some(written) => ("targetPort", written.to_string()),
        None => ("port", port.port.to_string()),
    };
    let message = format!("{field} `{written}`: no container of the selected pods has this port");
    let all: BTreeSet<String> = pods.iter().flat_map(|ports| ports.described()).collect();
    let known = all.into_iter().collect::<Vec<_>>().join(", ");
    let near = pods.iter().find_map(|ports| ports.nearest_name(&written));
    let suggestion = match (near, known.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, false) => format!("the pods have {known}"),
        (None, true) => "give the port of the container this name".to_owned(),
    };
    let path = format!("spec.ports[{index}].{field}");
    let finding = Finding::new(&codes::TARGET_PORT_MISSING, message).at(&backend.object, &path);
    Some(finding.suggest(suggestion))
}
