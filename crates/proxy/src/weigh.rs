//! Gives targets their weights, where those that fail more than their peers get less.

use plan::balance::anomaly::{Record, weights};
use plan::health::TargetState;
use tracing::{info, warn};

use crate::snapshot::{Group, Snapshot};
use crate::target::SharedTarget;

/// Looks at all groups that want it.
pub(crate) fn weigh(snapshot: &Snapshot) {
    let groups = snapshot.groups.iter().filter(|group| group.settings.mitigates_anomalies);
    groups.for_each(|group| weigh_group(group));
}

fn weigh_group(group: &Group) {
    let is_healthy = |target: &&std::sync::Arc<SharedTarget>| target.state() == TargetState::Healthy;
    let targets: Vec<_> = group.targets.iter().filter(is_healthy).collect();
    let known: Vec<(Record, u32)> = targets.iter().map(|target| (target.record(), target.weight())).collect();
    for ((target, (record, before)), weight) in targets.iter().zip(&known).zip(weights(&known)) {
        let Some(weight) = weight else { continue };
        target.set_weight(weight);
        let (address, n_failures, n_requests) = (target.address(), record.n_failures, record.n_requests);
        if weight < *before {
            warn!(target = %address, n_failures, n_requests, weight, "target fails more than its peers and gets less");
        } else if weight > *before {
            info!(target = %address, weight, "target is as good as its peers and gets more");
        }
    }
}
