//! Events about load balancers: that one is being made, that it is there, or what keeps it from being there.

use std::collections::BTreeMap;

use plan::{ListenerState, LoadBalancer, LoadBalancerId, ObjectRef, Observed, Plan};

use super::load_balancer::{shown_by, states};
use super::placement::Problem;
use crate::cluster::Cluster;
use crate::events::Event;

/// What was told of each load balancer, by its id.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    told: BTreeMap<LoadBalancerId, Told>,
    problems: BTreeMap<LoadBalancerId, Vec<String>>,
}

#[derive(Debug)]
struct Told {
    /// The load balancer without its targets, which come and go.
    balancer: LoadBalancer,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// The data plane has not said anything.
    Open,
    Pending,
    Failed(Vec<String>),
}

impl Announcements {
    /// What kept load balancers from being where they should be.
    pub(super) fn set_problems(&mut self, problems: Vec<Problem>) {
        self.problems.clear();
        for (id, problem) in problems {
            self.problems.entry(id).or_default().push(problem);
        }
    }

    /// Tells what is new.
    pub(super) fn tell(&mut self, plan: &Plan, observed: &Observed, cluster: &mut impl Cluster) {
        self.told.retain(|id, _| plan.load_balancer(id).is_some());
        for balancer in &plan.load_balancers {
            for (object, event) in self.news(balancer, observed) {
                cluster.record_event(&object, &event);
            }
        }
    }

    fn news(&mut self, balancer: &LoadBalancer, observed: &Observed) -> Vec<(ObjectRef, Event)> {
        let described = without_targets(balancer);
        let before = self.told.get(&balancer.id).filter(|told| told.balancer == described);
        let outcome = outcome(balancer, self.problems.get(&balancer.id), observed);
        let mut events = Vec::new();
        if before.is_none() {
            events.extend(
                shown_by(balancer).into_iter().filter(|object| object.kind == "Service").map(|service| {
                    (service, Event::normal("EnsuringLoadBalancer", "Ensuring load balancer"))
                }),
            );
        }
        if before.is_none_or(|before| before.outcome != outcome) {
            let news = shown_by(balancer)
                .into_iter()
                .filter_map(|object| Some((object.clone(), event(&object, &outcome)?)));
            events.extend(news);
        }
        self.told.insert(balancer.id.clone(), Told { balancer: described, outcome });
        events
    }
}

fn without_targets(balancer: &LoadBalancer) -> LoadBalancer {
    let mut balancer = balancer.clone();
    balancer.target_groups.iter_mut().for_each(|group| group.targets.clear());
    balancer
}

fn outcome(balancer: &LoadBalancer, problems: Option<&Vec<String>>, observed: &Observed) -> Outcome {
    let mut failures: Vec<String> = problems.into_iter().flatten().cloned().collect();
    // Why nothing is left to open is a finding.
    let mut is_open = !balancer.listeners.is_empty();
    for (port, state) in states(balancer, observed) {
        match state {
            Some(ListenerState::Failed(why)) => failures.push(format!("port {port}: {why}")),
            Some(ListenerState::Open) => {}
            None => is_open = false,
        }
    }
    match (failures.is_empty(), is_open) {
        (false, _) => Outcome::Failed(failures),
        (true, true) => Outcome::Open,
        (true, false) => Outcome::Pending,
    }
}

/// In the words of the Service controller and of the AWS Load Balancer Controller.
fn event(object: &ObjectRef, outcome: &Outcome) -> Option<Event> {
    let is_service = object.kind == "Service";
    match outcome {
        Outcome::Pending => None,
        Outcome::Open if is_service => Some(Event::normal("EnsuredLoadBalancer", "Ensured load balancer")),
        Outcome::Open => Some(Event::normal("SuccessfullyReconciled", "Successfully reconciled")),
        Outcome::Failed(failures) => {
            let reason = if is_service { "SyncLoadBalancerFailed" } else { "FailedDeployModel" };
            Some(Event::warning(reason, failures.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::load_balancer::tests::{observed, plan};

    fn told(announcements: &mut Announcements, plan: &Plan, states: &[(u16, ListenerState)]) -> Vec<String> {
        let balancer = &plan.load_balancers[0];
        let news = announcements.news(balancer, &observed(&balancer.id, states));
        news.into_iter()
            .map(|(object, event)| format!("{}: {} {}", object.kind, event.reason, event.message))
            .collect()
    }

    #[test]
    fn acc_s3_107_a_service_hears_of_its_load_balancer_once() {
        let mut announcements = Announcements::default();
        let plan = plan(&LoadBalancerId::service("mlops", "api"), &[80]);
        let open = [(80, ListenerState::Open)];
        assert_eq!(
            told(&mut announcements, &plan, &[]),
            ["Service: EnsuringLoadBalancer Ensuring load balancer"]
        );
        assert_eq!(
            told(&mut announcements, &plan, &open),
            ["Service: EnsuredLoadBalancer Ensured load balancer"]
        );
        assert!(told(&mut announcements, &plan, &open).is_empty());
    }

    #[test]
    fn acc_s3_108_acc_s1_46_an_ingress_hears_what_keeps_its_address_away() {
        let mut announcements = Announcements::default();
        let plan = plan(&LoadBalancerId::ingress("mlops", "api"), &[80, 443]);
        let taken = ListenerState::Failed("`nginx` (pid 7) has it".to_owned());
        assert_eq!(
            told(&mut announcements, &plan, &[(80, taken), (443, ListenerState::Open)]),
            ["Ingress: FailedDeployModel port 80: `nginx` (pid 7) has it"]
        );
        let open = [(80, ListenerState::Open), (443, ListenerState::Open)];
        assert_eq!(
            told(&mut announcements, &plan, &open),
            ["Ingress: SuccessfullyReconciled Successfully reconciled"]
        );
    }

    #[test]
    fn a_load_balancer_without_an_address_says_so() {
        let mut announcements = Announcements::default();
        let id = LoadBalancerId::ingress("mlops", "api");
        announcements.set_problems(vec![(id.clone(), "no address".to_owned())]);
        let plan = plan(&id, &[80]);
        assert_eq!(told(&mut announcements, &plan, &[]), ["Ingress: FailedDeployModel no address"]);
    }
}
