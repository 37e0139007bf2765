//! Zones that make no difference although somebody wants that they do.

use plan::attributes::CROSS_ZONE;
use plan::balance::zones::{MOST_ZONES, Zones};
use plan::{LoadBalancer, TargetGroup, TargetGroupSettings};

use super::Context;
use crate::{Finding, Object, Severity, codes};

pub(super) fn check(context: &Context<'_>, findings: &mut Vec<Finding>) {
    for load_balancer in &context.plan.load_balancers {
        for target_group in &load_balancer.target_groups {
            findings.extend(finding(context, load_balancer, target_group));
        }
    }
}

fn finding(
    context: &Context<'_>,
    load_balancer: &LoadBalancer,
    target_group: &TargetGroup,
) -> Option<Finding> {
    let targets = &target_group.targets;
    let settings = TargetGroupSettings::of(&target_group.attributes);
    if targets.is_empty() || load_balancer.crosses_zones(&settings) {
        return None;
    }
    let service = &target_group.service;
    let service = context.world.service(&service.namespace, &service.name)?;
    let n_without = targets.iter().filter(|target| target.availability_zone.is_none()).count();
    let zones = Zones::of(targets);
    if zones.names().len() == MOST_ZONES {
        let message = format!(
            "targets of {MOST_ZONES} zones at most are kept apart: those of others get a share of each"
        );
        let finding = Finding::new(&codes::FIELD_NO_EFFECT, message).on(&service.object);
        return Some(finding.with_severity(Severity::Warning));
    }
    // Who only has the default of a Network Load Balancer did not ask for anything.
    let objects = load_balancer.sources.iter().filter_map(|source| context.object(source));
    let mut objects = std::iter::once(&service.object).chain(objects);
    let (object, key) = objects.find_map(|object| Some((object, turned_off_at(object)?)))?;
    (n_without == targets.len()).then(|| {
        let message = format!(
            "{CROSS_ZONE}=false: no target of {} says in which zone it is, so each gets its share",
            service.object.reference()
        );
        let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message).at_annotation(object, key);
        finding.suggest("in the pod template: forebay.dev/zones: eu-west-1a,eu-west-1b")
    })
}

/// The annotation that turns it off.
fn turned_off_at(object: &Object) -> Option<&str> {
    let annotations = object.value.pointer("/metadata/annotations")?.as_object()?.iter();
    let mut texts = annotations.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    let is_off = |text: &str| {
        let mut pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.any(|(key, value)| (key.trim(), value.trim()) == (CROSS_ZONE, "false"))
    };
    texts.find(|(_, text)| is_off(text)).map(|(key, _)| key)
}
