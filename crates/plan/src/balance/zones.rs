//! Zones: which of them get traffic, where that depends on the zone ("Cross-zone load balancing" and "Target group health",
//! Elastic Load Balancing user guides; "Zonal shift", Application Recovery Controller developer guide).
//!
//! On AWS a load balancer has a node in each of its zones, and a client comes to the one whose address DNS told it. Here one
//! address stands for all of them: the zones take turns, as they do in DNS, and those take none that DNS would leave out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use super::{MinimumHealthy, affinity};
use crate::health::TargetState;
use crate::{LoadBalancer, Observed, Target, TargetGroup, TargetGroupSettings, TargetKey};

/// Zones of one target group, at most; a region of AWS has six. Targets of further ones count as without a zone.
pub const MOST_ZONES: usize = 64;

/// The zones that the targets of a group are in. A target without one belongs to all of them, as an address outside of the
/// network does on AWS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zones {
    names: Vec<String>,
    of_targets: Vec<Option<u8>>,
    has_targets_of_all: bool,
}

/// Some of the zones of a target group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneSet(u64);

/// Whether a zone gets traffic that is new, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneStanding {
    /// It does.
    Open,
    /// Fewer of its targets are healthy than DNS failover asks for, and another zone has enough.
    FailedOver,
    /// Traffic is shifted away from it.
    ShiftedAway,
}

// === impl Zones ===

impl Zones {
    /// The zones of targets, which are at the same places from here on.
    #[must_use]
    pub fn of(targets: &[Target]) -> Self {
        let mut zones = Self::default();
        for target in targets {
            let place = target.availability_zone.as_deref().and_then(|name| zones.place_or_new(name));
            zones.has_targets_of_all |= place.is_none();
            zones.of_targets.push(place);
        }
        zones
    }

    fn place_or_new(&mut self, name: &str) -> Option<u8> {
        let place = self.names.iter().position(|known| known == name).unwrap_or(self.names.len());
        if place == MOST_ZONES {
            return None;
        }
        if place == self.names.len() {
            self.names.push(name.to_owned());
        }
        u8::try_from(place).ok()
    }

    /// Their names, by their places.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> ZoneSet {
        ZoneSet((0..self.names.len()).fold(0, |set, place| set | 1 << place))
    }

    /// Whether the target at a place is in one of some zones.
    #[must_use]
    pub fn has(&self, zones: ZoneSet, place: usize) -> bool {
        self.of_targets.get(place).copied().flatten().is_none_or(|zone| zones.has(zone.into()))
    }

    /// All but the zone of this name, which traffic is shifted away from. `None` where there is no such zone, or no target but
    /// in it: then nobody would be left.
    #[must_use]
    pub fn without(&self, name: &str) -> Option<ZoneSet> {
        let place = self.names.iter().position(|known| known == name)?;
        let rest = self.all().without(place);
        (!rest.is_empty() || self.has_targets_of_all).then_some(rest)
    }

    /// Those of some zones that get new traffic, by the states of all targets: all that have as many healthy targets as DNS
    /// failover asks for, or all where none has.
    pub fn open(
        &self,
        among: ZoneSet,
        states: impl Iterator<Item = TargetState>,
        dns_failover: MinimumHealthy,
    ) -> ZoneSet {
        let mut counts = [(0_usize, 0_usize); MOST_ZONES];
        let registered = states.enumerate().filter(|(_, state)| *state != TargetState::Draining);
        for (place, state) in registered {
            let is_healthy = usize::from(state == TargetState::Healthy);
            let mut count = |zone: usize| {
                counts[zone].0 += 1;
                counts[zone].1 += is_healthy;
            };
            match self.of_targets.get(place).copied().flatten() {
                Some(zone) => count(zone.into()),
                None => (0..self.names.len()).for_each(count),
            }
        }
        let is_well = |zone: &usize| {
            let (n_registered, n_healthy) = counts[*zone];
            n_registered > 0 && !dns_failover.is_missed(n_healthy, n_registered)
        };
        let well = among.places().filter(is_well).fold(ZoneSet(0), ZoneSet::with);
        if well.is_empty() { among } else { well }
    }

    /// Of some zones the one that a client's address leads to.
    #[must_use]
    pub fn of_address(&self, zones: ZoneSet, client: IpAddr) -> Option<usize> {
        affinity::of_names(client, zones.places().map(|place| (place, self.names[place].as_str())))
    }

    /// How the zones stand, by their places, where traffic may be shifted away from one, and clients either get targets of all
    /// zones or only those of one (`crosses` says which).
    pub fn standings(
        &self,
        shifted_away: Option<&str>,
        crosses: bool,
        states: impl Iterator<Item = TargetState>,
        dns_failover: MinimumHealthy,
    ) -> Vec<ZoneStanding> {
        let rest = shifted_away.and_then(|name| self.without(name)).unwrap_or_else(|| self.all());
        let open = self.open(rest, states, dns_failover);
        let standing = |place: usize| match (rest.has(place), crosses || open.has(place)) {
            (false, _) => ZoneStanding::ShiftedAway,
            (true, false) => ZoneStanding::FailedOver,
            (true, true) => ZoneStanding::Open,
        };
        (0..self.names.len()).map(standing).collect()
    }
}

/// How the zones of a target group stand at a moment, by their names.
#[must_use]
pub fn standings(
    load_balancer: &LoadBalancer,
    target_group: &TargetGroup,
    observed: &Observed,
    now: SystemTime,
) -> BTreeMap<String, ZoneStanding> {
    let zones = Zones::of(&target_group.targets);
    let settings = TargetGroupSettings::of(&target_group.attributes);
    let states = target_group.targets.iter().map(|target| {
        let key = TargetKey {
            load_balancer: load_balancer.id.clone(),
            target_group: target_group.key.clone(),
            address: target.socket(),
        };
        observed.targets.get(&key).map_or(TargetState::Initial, |health| health.state)
    });
    let shifted_away = load_balancer.zonal_shift.as_ref().and_then(|shift| shift.at(now));
    let crosses = load_balancer.crosses_zones(&settings);
    let standings = zones.standings(shifted_away, crosses, states, settings.dns_failover);
    zones.names.into_iter().zip(standings).collect()
}

// === impl ZoneSet ===

impl ZoneSet {
    /// The one at a place.
    #[must_use]
    pub fn only(place: usize) -> Self {
        Self(1 << place)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether the zone at a place is one of them.
    #[must_use]
    pub fn has(self, place: usize) -> bool {
        self.0 & (1 << place) != 0
    }

    /// These and the one at a place.
    #[must_use]
    pub fn with(self, place: usize) -> Self {
        Self(self.0 | 1 << place)
    }

    /// These without the one at a place.
    #[must_use]
    pub fn without(self, place: usize) -> Self {
        Self(self.0 & !(1 << place))
    }

    /// Their places, in order.
    pub fn places(self) -> impl Iterator<Item = usize> {
        (0..MOST_ZONES).filter(move |place| self.has(*place))
    }

    /// The one whose turn it is.
    #[must_use]
    pub fn in_turn(self, turn: usize) -> Option<usize> {
        self.places().nth(turn.checked_rem(self.len())?)
    }
}

// === impl ZoneStanding ===

impl ZoneStanding {
    /// One word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::FailedOver => "failed-over",
            Self::ShiftedAway => "shifted-away",
        }
    }

    /// What is told of a target in such a zone, if there is anything to tell: the ELB API says it of a shift in these words.
    #[must_use]
    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::FailedOver => {
                Some("too few targets of its zone are healthy, and other zones get what is new")
            }
            Self::ShiftedAway => {
                Some("AdministrativeOverride.ZonalShiftActive: traffic is shifted away from its zone")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TargetState::{Draining, Healthy, Unhealthy};

    /// Targets by the last letter of their zones; `-` has none.
    fn zones(written: &str) -> Zones {
        let target = |(n, zone): (usize, char)| Target {
            address: [10, 0, 0, 1].into(),
            port: u16::try_from(n).unwrap(),
            availability_zone: (zone != '-').then(|| format!("eu-west-1{zone}")),
        };
        let targets: Vec<Target> = written.chars().enumerate().map(target).collect();
        Zones::of(&targets)
    }

    fn names(zones: &Zones, set: ZoneSet) -> String {
        set.places().filter_map(|place| zones.names()[place].chars().last()).collect()
    }

    /// `h`ealthy, `u`nhealthy, `d`raining.
    fn states(written: &str) -> impl Iterator<Item = TargetState> {
        written.chars().map(|letter| match letter {
            'h' => Healthy,
            'd' => Draining,
            _ => Unhealthy,
        })
    }

    #[test]
    fn a_zone_below_its_threshold_is_left_out_while_another_is_not() {
        let one = MinimumHealthy { count: 1, percentage: None };
        let half = MinimumHealthy { count: 1, percentage: Some(50) };
        let off = MinimumHealthy { count: 0, percentage: None };
        for (targets, found, threshold, expected) in [
            ("aabb", "hhhh", one, "ab"),
            ("aabb", "uuhh", one, "b"),
            ("aabb", "uuhu", one, "b"),
            ("aabb", "uuhh", off, "ab"),
            ("aaabb", "huuhh", half, "b"),
            ("aaabb", "huuhu", half, "b"),
            // All below: all are asked.
            ("aabb", "uuuu", one, "ab"),
            // One that only drains is registered no more, and neither is its zone.
            ("ab", "dh", one, "b"),
            // A target without a zone is in all of them.
            ("ab-", "uhh", one, "ab"),
            ("ab-", "uhu", one, "b"),
        ] {
            let zones = zones(targets);
            let open = zones.open(zones.all(), states(found), threshold);
            assert_eq!(names(&zones, open), expected, "{targets} {found} {threshold:?}");
        }
    }

    #[test]
    fn a_shift_leaves_all_other_zones_and_never_nobody() {
        let rest = |written: &str, away: &str| {
            let zones = zones(written);
            zones.without(away).map(|rest| names(&zones, rest))
        };
        assert_eq!(rest("aabc", "eu-west-1a"), Some("bc".to_owned()));
        assert_eq!(rest("aab", "eu-west-1c"), None);
        assert_eq!(rest("aa", "eu-west-1a"), None);
        assert_eq!(rest("aa-", "eu-west-1a"), Some(String::new()));
        let shifted = zones("aa-");
        let rest = shifted.without("eu-west-1a").unwrap();
        let used: Vec<bool> = (0..3).map(|place| shifted.has(rest, place)).collect();
        assert_eq!(used, [false, false, true]);
    }

    #[test]
    fn what_is_told_of_zones_is_what_they_get() {
        let zones = zones("aabbc");
        let one = MinimumHealthy { count: 1, percentage: None };
        let told = |shifted: Option<&str>, crosses: bool| {
            let standings = zones.standings(shifted, crosses, states("uuhhh"), one);
            standings.into_iter().map(ZoneStanding::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(None, false), "failed-over open open");
        assert_eq!(told(None, true), "open open open");
        assert_eq!(told(Some("eu-west-1b"), false), "failed-over shifted-away open");
        assert_eq!(told(Some("eu-west-1b"), true), "open shifted-away open");
        assert_eq!(told(Some("eu-west-1x"), true), "open open open");
    }

    #[test]
    fn more_zones_than_there_is_room_for_count_as_none() {
        let target = |n: u16| Target {
            address: [10, 0, 0, 1].into(),
            port: n,
            availability_zone: Some(format!("zone-{n}")),
        };
        let targets: Vec<Target> = (0..70).map(target).collect();
        let zones = Zones::of(&targets);
        assert_eq!((zones.names().len(), zones.all().len()), (MOST_ZONES, MOST_ZONES));
        assert!(zones.has(ZoneSet::only(3), 3) && !zones.has(ZoneSet::only(3), 4));
        assert!(zones.has(ZoneSet::only(3), 69));
    }
}
