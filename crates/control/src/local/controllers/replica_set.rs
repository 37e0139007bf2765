//! ReplicaSet and ReplicationController: so many pods of a template. Those of a Deployment are kept with it.

use std::cmp::Reverse;
use std::sync::Arc;

use manifest::Object;
use serde_json::json;

use super::made::{self, is_active, is_ready};
use super::{Wanted, World, count, time};
use crate::local::keep::{DELETION_COST, owner_of};

pub(super) fn wanted(set: &Arc<Object>, world: &World<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    if owner_of(set).is_some_and(|owner| owner.kind == "Deployment") {
        return wanted;
    }
    let Some((pods, steps)) = made::selected(set, world) else { return wanted };
    wanted.steps = steps;
    let active: Vec<&Object> = pods.into_iter().filter(|pod| is_active(pod)).collect();
    if !made::is_ending(set) {
        fit(set, &active, &mut wanted);
    }

    let template_labels = &set.value["spec"]["template"]["metadata"]["labels"];
    let has_all = |pod: &&&Object| {
        let mut labels = template_labels.as_object().into_iter().flatten();
        labels.all(|(key, value)| value.as_str() == pod.labels().get(key.as_str()).copied())
    };
    let labelled = active.iter().filter(has_all).count();
    let (ready, available, next) = made::readiness(&active, set, world.now);
    wanted.look_again(next);
    let mut status =
        json!({"observedGeneration": set.value["metadata"]["generation"], "replicas": active.len()});
    made::counted(
        &mut status,
        &[("fullyLabeledReplicas", labelled), ("readyReplicas", ready), ("availableReplicas", available)],
    );
    wanted.status = Some(status);
    wanted
}

/// Has pods made, or the least useful ones deleted.
fn fit(set: &Arc<Object>, active: &[&Object], wanted: &mut Wanted) {
    let n_wanted = count(&set.value["spec"]["replicas"], 1);
    for _ in active.len()..n_wanted {
        let name = made::name(&format!("{}-", set.name));
        let pod = made::pod(set, &set.value["spec"]["template"], &name, &[]);
        wanted.make(pod);
    }
    let n_too_many = active.len().saturating_sub(n_wanted);
    if n_too_many > 0 {
        let mut by_worth = active.to_vec();
        by_worth.sort_by_cached_key(|pod| worth(pod));
        by_worth.into_iter().take(n_too_many).for_each(|pod| wanted.delete(set, pod));
    }
}

/// Whom to give up first: the smallest goes. It is what `replica::Worth` says of replicas that run.
fn worth(pod: &Object) -> impl Ord + use<> {
    let cost: i64 = pod.annotation(DELETION_COST).and_then(|cost| cost.parse().ok()).unwrap_or(0);
    let created = time(&pod.value["metadata"]["creationTimestamp"]);
    (
        pod.value["status"]["phase"] == "Running",
        is_ready(pod),
        cost,
        Reverse(made::available_at(pod, 0)),
        Reverse(made::restarts(pod)),
        Reverse(created),
    )
}
