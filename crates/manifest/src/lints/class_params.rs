//! IngressClassParams: what is wrong with them, also when no Ingress is of their class, and those that no class names.

use std::collections::BTreeSet;

use crate::compile::world::World;
use crate::kinds::ingress_class::IngressClassParams;
use crate::kinds::{self};
use crate::{Finding, Severity, codes};

pub(super) fn check(world: &World<'_>) -> Vec<Finding> {
    let classes = world.objects.of_kind("IngressClass");
    let names = classes.filter_map(|class| class.value.pointer("/spec/parameters/name")?.as_str());
    let named: BTreeSet<&str> = names.collect();
    let mut findings = Vec::new();
    for params in world.objects.of_kind("IngressClassParams") {
        let _ = kinds::read::<IngressClassParams>(params, &mut findings);
        let name = &params.name;
        if !named.contains(name.as_str()) {
            let message =
                format!("no IngressClass names IngressClassParams `{name}`: nothing follows from it");
            let finding = Finding::new(&codes::KIND_IGNORED, message).with_severity(Severity::Warning);
            findings.push(finding.on(params).suggest(format!(
                "spec.parameters of the class: {{apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: {name}}}"
            )));
        }
    }
    findings
}
