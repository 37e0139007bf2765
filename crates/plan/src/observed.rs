//! What the data plane saw, flowing back up to the control plane.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::LoadBalancerId;
use crate::health::TargetHealth;

/// A snapshot of the world as the data plane sees it. Immutable; replaced whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// The health and load of every target, including those that drain.
    pub targets: BTreeMap<TargetKey, TargetHealth>,
    /// Whether each listener could be opened.
    pub listeners: BTreeMap<ListenerKey, ListenerState>,
}

/// Names a target within a target group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    /// Id of the load balancer.
    pub load_balancer: LoadBalancerId,
    /// Key of the target group.
    pub target_group: String,
    /// Where the target listens.
    pub address: SocketAddr,
}

/// Names a listener.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerKey {
    /// Id of the load balancer.
    pub load_balancer: LoadBalancerId,
    /// The port the manifest names.
    pub port: u16,
}

/// Whether a listener could be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerState {
    /// It accepts connections at all its addresses.
    Open,
    /// It does not; the text says why and who holds the port.
    Failed(String),
}
