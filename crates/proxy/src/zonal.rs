//! Where the zones of a group's targets matter: targets are used within their zone only, or traffic is shifted away from one.

use std::time::SystemTime;

use plan::balance::zones::{ZoneSet, Zones};
use plan::{LoadBalancer, TargetGroup, TargetGroupSettings};
use tokio::time::Instant;

/// The zones of a group whose targets are not all alike because of them.
#[derive(Debug)]
pub(crate) struct Zonal {
    pub(crate) zones: Zones,
    /// Whether targets of all zones are used for every client.
    pub(crate) crosses: bool,
    shift: Option<Shift>,
}

/// Traffic is shifted away from a zone.
#[derive(Debug)]
struct Shift {
    /// The other zones.
    rest: ZoneSet,
    until: Option<Instant>,
}

impl Zonal {
    /// `None` where it makes no difference in which zone a target is.
    pub(crate) fn of(
        load_balancer: &LoadBalancer,
        target_group: &TargetGroup,
        settings: &TargetGroupSettings,
    ) -> Option<Self> {
        let zones = Zones::of(&target_group.targets);
        let crosses = load_balancer.crosses_zones(settings);
        let now = SystemTime::now();
        let shift = load_balancer.zonal_shift.as_ref().and_then(|shift| {
            let rest = zones.without(shift.at(now)?)?;
            let left = shift.until.and_then(|until| until.duration_since(now).ok());
            Some(Shift { rest, until: left.and_then(|left| Instant::now().checked_add(left)) })
        });
        let matters = !zones.names().is_empty() && (!crosses || shift.is_some());
        matters.then_some(Self { zones, crosses, shift })
    }

    /// The zones that traffic is not shifted away from at this moment.
    pub(crate) fn allowed(&self, now: Instant) -> ZoneSet {
        let lasts = |shift: &&Shift| shift.until.is_none_or(|until| now < until);
        self.shift.as_ref().filter(lasts).map_or_else(|| self.zones.all(), |shift| shift.rest)
    }
}
