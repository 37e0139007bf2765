//! Events about the ports of Services within the cluster: which of them cannot be opened, and why.

use std::collections::BTreeMap;

use plan::{ListenerKey, ListenerState, ObjectRef, Observed, Plan};

use crate::cluster::Cluster;
use crate::events::Event;

/// What was told of each port.
#[derive(Debug, Default)]
pub(super) struct ServiceNews {
    told: BTreeMap<ListenerKey, String>,
}

impl ServiceNews {
    /// Tells what is new.
    pub(super) fn tell(&mut self, plan: &Plan, observed: &Observed, cluster: &mut impl Cluster) {
        for (object, event) in self.news(plan, observed) {
            cluster.record_event(&object, &event);
        }
    }

    fn news(&mut self, plan: &Plan, observed: &Observed) -> Vec<(ObjectRef, Event)> {
        let mut failed = BTreeMap::new();
        let mut news = Vec::new();
        for balancer in &plan.services {
            for listener in &balancer.listeners {
                let key = ListenerKey { load_balancer: balancer.id.clone(), port: listener.port };
                let Some(ListenerState::Failed(why)) = observed.listeners.get(&key) else { continue };
                if self.told.get(&key) != Some(why) {
                    let event = Event::warning("PortNotOpen", format!("port {}: {why}", listener.port));
                    news.extend(balancer.sources.iter().map(|object| (object.clone(), event.clone())));
                }
                failed.insert(key, why.clone());
            }
        }
        self.told = failed;
        news
    }
}
