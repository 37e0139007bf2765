//! Events about the health of targets: that one gets no more traffic, and that it gets some again.

use std::collections::{BTreeMap, BTreeSet};

use plan::health::{TargetHealth, TargetState};
use plan::{ObjectRef, Observed, Plan, TargetKey};

use super::load_balancer::shown_by;
use crate::cluster::Cluster;
use crate::events::Event;

/// The state of every target, as it was told last.
#[derive(Debug, Default)]
pub(super) struct TargetNews {
    states: BTreeMap<TargetKey, TargetState>,
}

impl TargetNews {
    /// Tells what is new, to the Service that the target belongs to and to what shows its load balancer.
    pub(super) fn tell(&mut self, plan: &Plan, observed: &Observed, cluster: &mut impl Cluster) {
        for (object, event) in self.news(plan, observed) {
            cluster.record_event(&object, &event);
        }
    }

    fn news(&mut self, plan: &Plan, observed: &Observed) -> Vec<(ObjectRef, Event)> {
        let mut news = Vec::new();
        for (key, health) in &observed.targets {
            let before = self.states.insert(key.clone(), health.state);
            if let Some(event) = event(key, before, health) {
                news.extend(hearers(plan, key).into_iter().map(|object| (object, event.clone())));
            }
        }
        self.states.retain(|key, _| observed.targets.contains_key(key));
        news
    }
}

/// What there is to say of a target. That a new one is healthy is as it should be, and told by its pod.
fn event(key: &TargetKey, before: Option<TargetState>, health: &TargetHealth) -> Option<Event> {
    let TargetKey { target_group, address, .. } = key;
    match (before.map(TargetState::settled), health.state.settled()) {
        (Some(TargetState::Unhealthy), TargetState::Healthy) => {
            Some(Event::normal("Healthy", format!("target {address} of {target_group} is healthy again")))
        }
        (Some(TargetState::Unhealthy), TargetState::Unhealthy) => None,
        (_, TargetState::Unhealthy) => {
            let why = &health.description;
            Some(Event::warning(
                "Unhealthy",
                format!("target {address} of {target_group} is unhealthy: {why}"),
            ))
        }
        _ => None,
    }
}

fn hearers(plan: &Plan, key: &TargetKey) -> BTreeSet<ObjectRef> {
    let Some(balancer) = plan.load_balancer(&key.load_balancer) else { return BTreeSet::new() };
    let groups = balancer.target_groups.iter().filter(|group| group.key == key.target_group);
    let services =
        groups.map(|group| ObjectRef::new("Service", &group.service.namespace, &group.service.name));
    services.chain(shown_by(balancer)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::load_balancer::tests::plan;
    use plan::LoadBalancerId;
    use plan::health::Reason;

    #[test]
    fn a_target_that_falls_ill_and_gets_well_is_told_of_once_each() {
        let id = LoadBalancerId::ingress("mlops", "api");
        let plan = plan(&id, &[80]);
        let key = TargetKey {
            load_balancer: id,
            target_group: "mlops/api:80".to_owned(),
            address: "127.78.0.2:8080".parse().unwrap(),
        };
        let mut news = TargetNews::default();
        let mut told = |state| {
            let health = TargetHealth {
                state,
                reason: Some(Reason::Timeout),
                description: "Request timed out".to_owned(),
                in_flight: 0,
                rest: None,
            };
            let targets = [(key.clone(), health)].into_iter().collect();
            let events = news.news(&plan, &Observed { targets, ..Observed::default() });
            let lines = events.into_iter().map(|(object, event)| {
                format!("{object}: {} {} {}", event.severity.as_str(), event.reason, event.message)
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(TargetState::Initial), "");
        assert_eq!(told(TargetState::Healthy), "");
        assert_eq!(
            told(TargetState::Unhealthy),
            "Ingress mlops/api: Warning Unhealthy target 127.78.0.2:8080 of mlops/api:80 is unhealthy: Request timed out"
        );
        assert_eq!(told(TargetState::Unhealthy), "");
        assert_eq!(
            told(TargetState::Healthy),
            "Ingress mlops/api: Normal Healthy target 127.78.0.2:8080 of mlops/api:80 is healthy again"
        );
        assert_eq!(told(TargetState::Draining), "");
    }
}
