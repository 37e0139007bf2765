//! A target group as one worker sees it: whose turn it is.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

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
    /// Whether unhealthy ones are taken where too few are healthy to go by it.
    pub(crate) fails_open: bool,
    /// The one that it belongs to, if there is one.
    pub(crate) belongs_to: Option<SocketAddr>,
    /// Whom it comes from, where that may decide.
    pub(crate) client: Option<IpAddr>,
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
    /// Whether the unhealthy ones are taken too.
    takes_all: bool,
    /// How those stand at worst that are taken.
    worst: Standing,
    now: Instant,
    settings: &'a TargetGroupSettings,
    /// How many requests a target takes at a time, if that is bounded.
    most: Option<u32>,
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
        let seen = self.seen(wish)?;
        let place = match self.place_of_its_own(&seen, wish) {
            Some(place) => place,
            None => self.place_in_turn(&seen, random)?,
        };
        Some(Rc::clone(&self.targets[place]))
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
        let limited = self.group.concurrency.is_some();
        limited
            && self.seen(wish).is_some_and(|seen| self.targets.iter().any(|target| seen.may_be_asked(target)))
    }

    fn seen<'a>(&'a self, wish: &Wish<'a>) -> Option<Seen<'a>> {
        let settings = &self.group.settings;
        let states = self.targets.iter().map(|target| target.shared.state());
        let takes_all = match balance::routable(states, settings.minimum_healthy) {
            Routable::Nothing => return None,
            Routable::All => wish.fails_open,
            Routable::Healthy => false,
        };
        let now = net::recently();
        let mut seen = Seen {
            targets: &self.targets,
            tried: wish.tried,
            takes_all,
            worst: Standing::Silent,
            now,
            settings,
            most: self.group.concurrency.map(|concurrency| concurrency.most.get()),
        };
        seen.worst = seen.worst_taken();
        Some(seen)
    }

    /// The place of the target that a request belongs to, where it belongs to one that can be asked.
    fn place_of_its_own(&self, seen: &Seen<'_>, wish: &Wish<'_>) -> Option<usize> {
        if let Some(address) = wish.belongs_to {
            let place = self.targets.iter().position(|target| target.shared.address() == address);
            return place.filter(|place| seen.is_candidate(*place));
        }
        let client = wish.client.filter(|_| self.group.settings.stickiness == Stickiness::SourceIp)?;
        let candidates = self.targets.iter().enumerate().filter(|(place, _)| seen.is_candidate(*place));
        affinity::of_address(client, candidates.map(|(place, target)| (place, target.shared.address())))
    }

    fn place_in_turn(&self, seen: &Seen<'_>, random: &Random) -> Option<usize> {
        let TargetGroupSettings { algorithm, slow_start, .. } = *seen.settings;
        let turn = self.turn.get();
        let place = balance::pick(algorithm, seen, Draw { turn, random: random.next(), slow_start })?;
        self.turn.set(turn.wrapping_add(1));
        Some(place)
    }
}

// === impl Seen ===

impl Seen<'_> {
    /// How those stand at worst that are taken: of those that answer badly no more than half are left out, for it may be the
    /// requests that are bad, and those that say nothing are asked where nobody else is left.
    fn worst_taken(&self) -> Standing {
        let (mut n_good, mut n_failing, mut n_silent) = (0, 0, 0);
        for target in self.targets.iter().filter(|target| self.may_be_asked(target)) {
            match target.standing(self.now) {
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

    fn may_be_asked(&self, target: &WorkerTarget) -> bool {
        let is_routable = match target.shared.state() {
            TargetState::Healthy => true,
            TargetState::Draining => false,
            _ => self.takes_all,
        };
        is_routable && !self.tried.contains(&target.shared.address())
    }
}

impl Candidates for Seen<'_> {
    fn n_targets(&self) -> usize {
        self.targets.len()
    }

    fn is_candidate(&self, place: usize) -> bool {
        let target = &self.targets[place];
        self.may_be_asked(target)
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
