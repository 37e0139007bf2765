//! A target group as one worker sees it: whose turn it is.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use plan::balance::zones::{ZoneSet, Zones};
use plan::balance::{self, Candidate, Candidates, Draw, FULL_WEIGHT, Routable, affinity};
use plan::health::TargetState;
use plan::{Concurrency, Stickiness, TargetGroupSettings};
use tokio::time::Instant;

use crate::names::GroupNames;
use crate::pool::WorkerTarget;
use crate::random::Random;
use crate::retry_budget::Earned;
use crate::snapshot::Group;
use crate::target::{InFlight, Standing, milliseconds_since_start};
use crate::worker::Worker;
use crate::zonal::Zonal;

/// A target group with this worker's view of its targets.
pub(crate) struct WorkerGroup {
    pub(crate) group: Arc<Group>,
    /// How logs call it.
    pub(crate) names: Rc<GroupNames>,
    targets: Vec<Rc<WorkerTarget>>,
    turn: Cell<usize>,
    /// What this worker's requests pay for.
    pub(crate) earned: Earned,
}

/// What one request, or one flow, wants of a target.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish<'a> {
    /// Those that it was sent to before, which are not asked again.
    pub(crate) tried: &'a [SocketAddr],
    /// Who is taken where too few are healthy to go by it.
    pub(crate) when_few: WhenFew,
    /// The one that it belongs to, if there is one.
    pub(crate) belongs_to: Option<SocketAddr>,
    /// Whom it comes from, where that may decide.
    pub(crate) client: Option<IpAddr>,
}

/// Who is taken where fewer targets are healthy than "unhealthy state routing" asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum WhenFew {
    /// Nobody yet: it is to be thought about first.
    Nobody,
    /// Those that are healthy.
    #[default]
    Healthy,
    /// All, as a load balancer of AWS does.
    All,
}

/// A target that was chosen, and the request that is counted there.
pub(crate) struct Taken {
    pub(crate) target: Rc<WorkerTarget>,
    pub(crate) in_flight: InFlight,
}

/// The targets of a group as one request sees them.
struct Seen<'a> {
    targets: &'a [Rc<WorkerTarget>],
    tried: &'a [SocketAddr],
    /// The zones of which they are taken, where that matters.
    within: Option<Within<'a>>,
    /// Whether too few are healthy to go by it.
    is_short: bool,
    /// Who is taken.
    takes: WhenFew,
    /// How those stand at worst that are taken.
    worst: Standing,
    now: Instant,
    settings: &'a TargetGroupSettings,
    /// How many requests a target takes at a time, if that is bounded.
    most: Option<u32>,
}

/// Some zones of a group.
#[derive(Clone, Copy)]
struct Within<'a> {
    zones: &'a Zones,
    those: ZoneSet,
}

// === impl WorkerGroup ===

impl WorkerGroup {
    /// A group whose turns begin at `turn`.
    pub(crate) fn new(group: &Arc<Group>, targets: Vec<Rc<WorkerTarget>>, turn: usize) -> Self {
        let names = Rc::new(group.names.clone());
        let (turn, earned) = (Cell::new(turn), Earned::default());
        Self { group: Arc::clone(group), names, targets, turn, earned }
    }

    /// The target that a request belongs to, or else one whose turn it is; `None` when there is none left.
    pub(crate) fn choose(&self, wish: &Wish<'_>, random: &Random) -> Option<Rc<WorkerTarget>> {
        let place = match &self.group.zonal {
            None => self.place_for(&self.seen(wish, None), wish, self.turn.get(), random),
            Some(zonal) => self.place_in_zones(zonal, wish, random),
        };
        Some(Rc::clone(&self.targets[place?]))
    }

    /// Whether one more may be asked of the group than clients ask, which is paid for then.
    pub(crate) fn may_ask_more(&self) -> bool {
        let may = self.earned.spend(&self.group.floor, milliseconds_since_start());
        if !may {
            self.group.metrics.unpaid.inc();
        }
        may
    }

    /// Chooses a target for a request, which is counted there from now on.
    pub(crate) fn take(&self, wish: &Wish<'_>, worker: &Worker) -> Option<Taken> {
        loop {
            let target = self.choose(wish, &worker.random)?;
            let begun = match self.group.concurrency {
                None => Some(InFlight::begin(&target.shared, worker.index)),
                Some(Concurrency { most, .. }) => {
                    InFlight::begin_within(most.get(), &target.shared, worker.index)
                }
            };
            // Another core may have been there first; then the target has no room any more, and another is chosen.
            if let Some(in_flight) = begun {
                return Some(Taken { target, in_flight });
            }
        }
    }

    /// Whether a target would be chosen if it had room.
    pub(crate) fn is_busy(&self, wish: &Wish<'_>) -> bool {
        let would_be_chosen = || {
            let seen = self.seen(wish, self.group.zonal.as_ref().map(Within::all_allowed));
            (0..self.targets.len()).any(|place| seen.may_be_asked(place))
        };
        self.group.concurrency.is_some() && would_be_chosen()
    }

    fn seen<'a>(&'a self, wish: &Wish<'a>, within: Option<Within<'a>>) -> Seen<'a> {
        let settings = &self.group.settings;
        let is_within = |(place, _): &(usize, _)| within.is_none_or(|within| within.has(*place));
        let targets = self.targets.iter().enumerate().filter(is_within);
        let states = targets.map(|(_, target)| target.shared.state());
        let routable = balance::routable(states, settings.minimum_healthy);
        let mut seen = Seen {
            targets: &self.targets,
            tried: wish.tried,
            within,
            is_short: routable == Routable::All,
            takes: if routable == Routable::All { wish.when_few } else { WhenFew::Healthy },
            worst: Standing::Silent,
            now: net::recently(),
            settings,
            most: self.group.concurrency.map(|concurrency| concurrency.most.get()),
        };
        seen.worst = seen.worst_taken();
        seen
    }

    /// A place in a zone whose turn it is, or in which its client belongs; the next one takes the turn of a zone in which nobody
    /// is left who could be asked.
    fn place_in_zones(&self, zonal: &Zonal, wish: &Wish<'_>, random: &Random) -> Option<usize> {
        let all = Within::all_allowed(zonal);
        let (zones, turn) = (all.zones, self.turn.get());
        let everywhere = self.seen(wish, Some(all));
        let own = wish.belongs_to.and_then(|_| self.place_of_its_own(&everywhere, wish));
        if own.is_some() {
            return own;
        }
        if zonal.crosses || all.those.is_empty() {
            return self.place_for(&everywhere, wish, turn, random);
        }
        let states = self.targets.iter().map(|target| target.shared.state());
        let mut left = zones.open(all.those, states, self.group.settings.dns_failover);
        let n_open = left.len().max(1);
        let of_client = wish.client.filter(|_| self.keeps_addresses());
        while let Some(zone) = match of_client {
            Some(client) => zones.of_address(left, client),
            None => left.in_turn(turn),
        } {
            let seen = self.seen(wish, Some(Within { zones, those: ZoneSet::only(zone) }));
            if seen.is_short && wish.when_few == WhenFew::Nobody {
                return None;
            }
            let place = self.place_for(&seen, wish, turn / n_open, random);
            if place.is_some() {
                return place;
            }
            left = left.without(zone);
        }
        None
    }

    /// Whether clients stay with a target by their addresses.
    fn keeps_addresses(&self) -> bool {
        self.group.settings.stickiness == Stickiness::SourceIp
    }

    /// The place of the target that a request belongs to, or else of one whose turn it is.
    fn place_for(&self, seen: &Seen<'_>, wish: &Wish<'_>, turn: usize, random: &Random) -> Option<usize> {
        self.place_of_its_own(seen, wish).or_else(|| self.place_in_turn(seen, turn, random))
    }

    /// The place of the target that a request belongs to, where it belongs to one that can be asked.
    fn place_of_its_own(&self, seen: &Seen<'_>, wish: &Wish<'_>) -> Option<usize> {
        if let Some(address) = wish.belongs_to {
            let place = self.targets.iter().position(|target| target.shared.address() == address);
            return place.filter(|place| seen.is_candidate(*place));
        }
        let client = wish.client.filter(|_| self.keeps_addresses())?;
        let candidates = self.targets.iter().enumerate().filter(|(place, _)| seen.is_candidate(*place));
        affinity::of_address(client, candidates.map(|(place, target)| (place, target.shared.address())))
    }

    fn place_in_turn(&self, seen: &Seen<'_>, turn: usize, random: &Random) -> Option<usize> {
        let TargetGroupSettings { algorithm, slow_start, .. } = *seen.settings;
        let place = balance::pick(algorithm, seen, Draw { turn, random: random.next(), slow_start })?;
        self.turn.set(self.turn.get().wrapping_add(1));
        Some(place)
    }
}

// === impl Within ===

impl<'a> Within<'a> {
    /// All zones that traffic is not shifted away from.
    fn all_allowed(zonal: &'a Zonal) -> Self {
        Self { zones: &zonal.zones, those: zonal.allowed(net::recently()) }
    }

    fn has(self, place: usize) -> bool {
        self.zones.has(self.those, place)
    }
}

// === impl Seen ===

impl Seen<'_> {
    /// How those stand at worst that are taken: of those that answer badly no more than half are left out, for it may be the
    /// requests that are bad, and those that say nothing are asked where nobody else is left.
    fn worst_taken(&self) -> Standing {
        let (mut n_good, mut n_failing, mut n_silent) = (0, 0, 0);
        for place in (0..self.targets.len()).filter(|place| self.may_be_asked(*place)) {
            match self.targets[place].standing(self.now) {
                Standing::Good => n_good += 1,
                Standing::Failing => n_failing += 1,
                Standing::Silent => n_silent += 1,
            }
        }
        match (n_good, n_failing, n_silent) {
            (_, 0, 0) | (0, 0, _) => Standing::Silent,
            (1.., ..) if n_good >= n_failing => Standing::Good,
            _ => Standing::Failing,
        }
    }

    fn may_be_asked(&self, place: usize) -> bool {
        let target = &self.targets[place].shared;
        let is_routable = match target.state() {
            TargetState::Healthy => self.takes != WhenFew::Nobody,
            TargetState::Draining => false,
            _ => self.takes == WhenFew::All,
        };
        is_routable
            && !self.tried.contains(&target.address())
            && self.within.is_none_or(|within| within.has(place))
    }
}

impl Candidates for Seen<'_> {
    fn n_targets(&self) -> usize {
        self.targets.len()
    }

    fn is_candidate(&self, place: usize) -> bool {
        let target = &self.targets[place];
        self.may_be_asked(place)
            && (self.worst == Standing::Silent || target.standing(self.now) <= self.worst)
            && self.most.is_none_or(|most| target.shared.has_room(most))
    }

    fn at(&self, place: usize) -> Candidate {
        let target = &self.targets[place];
        Candidate {
            in_flight: target.shared.in_flight(),
            weight: if self.settings.mitigates_anomalies { target.shared.weight() } else { FULL_WEIGHT },
            since: target.shared.growing_for(self.settings.slow_start),
            latency: target.pace.latency(self.now),
        }
    }
}
