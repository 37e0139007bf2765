//! A Service that selects no workload, though its namespace has some.

use std::collections::BTreeMap;

use super::Context;
use crate::compile::world::{Backend, World};
use crate::{Finding, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for backend in context.world.services.values() {
        let object = &backend.object;
        let has_selector = !backend.spec.selector.is_empty();
        if !has_selector || context.world.selected(backend).next().is_some() {
            continue;
        }
        let selector = &backend.spec.selector;
        // How many labels are the same, how many are nearly so, and how many have their name in common.
        let nearness = |labels: &BTreeMap<String, String>| {
            let known = selector.iter().filter_map(|(key, value)| Some((labels.get(key)?, value)));
            known.fold((0, 0, 0), |(same, near, named), (label, value)| {
                let is_near = plan::suggest::nearest(value, std::iter::once(label.as_str())).is_some();
                (same + usize::from(label == value), near + usize::from(is_near), named + 1)
            })
        };
        let pods = context.world.pods_in(&object.namespace);
        let nearest = pods.max_by_key(|pod| nearness(&pod.labels));
        let Some(nearest) = nearest else { continue };
        let labels: Vec<String> =
            nearest.labels.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let finding = Finding::new(&codes::SELECTOR_MATCHES_NOTHING, "the selector matches no pods");
        let finding = finding.at(object, "spec.selector");
        findings.push(finding.suggest(format!("nearest labels: {}", labels.join(", "))));
    }
}

/// The same where the namespace has no workload at all, and nobody has written addresses for the Service either.
pub(super) fn without_pods(world: &World<'_>) -> Vec<Finding> {
    let is_alone = |backend: &&Backend| {
        let object = &backend.object;
        !backend.spec.selector.is_empty()
            && world.pods_in(&object.namespace).next().is_none()
            && backend.spec.ports.iter().all(|port| world.targets(backend, port).is_empty())
    };
    let alone = world.services.values().filter(is_alone);
    let finding = |backend: &Backend| {
        let object = &backend.object;
        let message = format!(
            "the selector matches no pods: namespace {} has no Deployment and no Pod",
            object.namespace
        );
        let finding = Finding::new(&codes::SELECTOR_MATCHES_NOTHING, message).at(object, "spec.selector");
        let selector = backend.spec.selector.iter().map(|(key, value)| format!("{key}: {value}"));
        let labels = selector.collect::<Vec<_>>().join(", ");
        finding.suggest(format!("a Deployment in the namespace whose pods have the labels {labels}"))
    };
    alone.map(finding).collect()
}
