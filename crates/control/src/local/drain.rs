//! Whether a replica that leaves has finished what it was working on.

use std::net::IpAddr;
use std::time::Duration;

use plan::Observed;
use plan::health::TargetState;

/// How long the data plane has to learn that a replica leaves before its silence means anything.
const SETTLE: Duration = Duration::from_millis(100);

/// Whether a replica that left the endpoints so long ago may be told to end.
///
/// The data plane takes a target away itself when its deregistration delay is over, so only the replica's own grace
/// period is a limit here.
pub(super) fn is_over(address: IpAddr, left_for: Duration, grace: Duration, observed: &Observed) -> bool {
    left_for >= grace || (left_for >= SETTLE && is_idle(address, observed))
}

/// When to look again although nothing happened.
pub(super) fn look_again_after(left_for: Duration, grace: Duration) -> Duration {
    let next = if left_for < SETTLE { SETTLE.min(grace) } else { grace };
    next.saturating_sub(left_for)
}

fn is_idle(address: IpAddr, observed: &Observed) -> bool {
    let mut ours = observed.targets.iter().filter(|(target, _)| target.address.ip() == address);
    ours.all(|(_, health)| health.state == TargetState::Draining && health.in_flight == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::health::TargetHealth;
    use plan::{LoadBalancerId, TargetKey};

    const GRACE: Duration = Duration::from_secs(30);

    fn over(left_for_ms: u64, targets: &[(&str, TargetState, u32)]) -> bool {
        let targets = targets.iter().enumerate().map(|(n, (address, state, in_flight))| {
            let key = TargetKey {
                load_balancer: LoadBalancerId::group(&n.to_string()),
                target_group: String::new(),
                address: address.parse().unwrap(),
            };
            let health = TargetHealth {
                state: *state,
                reason: None,
                description: String::new(),
                in_flight: *in_flight,
                rest: None,
            };
            (key, health)
        });
        let observed = Observed { targets: targets.collect(), ..Observed::default() };
        is_over("127.78.0.1".parse().unwrap(), Duration::from_millis(left_for_ms), GRACE, &observed)
    }

    #[test]
    fn a_replica_that_leaves_waits_for_the_last_answer() {
        let busy = [("127.78.0.1:80", TargetState::Draining, 1)];
        assert!(!over(29_999, &busy));
        assert!(over(100, &[("127.78.0.1:80", TargetState::Draining, 0)]));
        assert!(over(30_000, &busy), "the grace period is a limit");
    }

    #[test]
    fn every_load_balancer_is_waited_for() {
        let targets =
            [("127.78.0.1:80", TargetState::Draining, 0), ("127.78.0.1:80", TargetState::Draining, 2)];
        assert!(!over(100, &targets));
    }

    #[test]
    fn a_data_plane_that_has_not_heard_of_it_is_waited_for() {
        assert!(!over(100, &[("127.78.0.1:80", TargetState::Healthy, 0)]));
        assert!(!over(99, &[]));
        assert!(over(100, &[]));
        assert!(over(100, &[("127.78.0.2:80", TargetState::Healthy, 5)]), "others do not matter");
    }
}
