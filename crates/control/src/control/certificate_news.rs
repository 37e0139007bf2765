//! Events about certificates that are shown by a load balancer and are not objects themselves: files, and what comes from
//! elsewhere. What is wrong with a Secret is a finding.

use std::collections::BTreeSet;

use plan::Plan;

use super::load_balancer::shown_by;
use super::placement::Problem;
use crate::cluster::Cluster;
use crate::events::Event;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct CertificateNews {
    told: BTreeSet<Problem>,
}

impl CertificateNews {
    /// Tells each problem once, and again when it comes back.
    pub(super) fn tell(&mut self, plan: &Plan, problems: Vec<Problem>, cluster: &mut impl Cluster) {
        let now: BTreeSet<Problem> = problems.into_iter().collect();
        for (id, problem) in now.difference(&self.told) {
            for object in plan.load_balancer(id).into_iter().flat_map(shown_by) {
                cluster.record_event(&object, &Event::warning("CertificateProblem", problem.clone()));
            }
        }
        self.told = now;
    }
}
