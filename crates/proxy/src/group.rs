//! A target group as one worker sees it: whose turn it is.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use plan::balance::{self, Candidate, Candidates, Draw, FULL_WEIGHT, Routable};
use plan::health::TargetState;

use crate::names::GroupNames;
use crate::pool::WorkerTarget;
use crate::random::Random;
use crate::snapshot::Group;

/// A target group with this worker's view of its targets.
pub(crate) struct WorkerGroup {
    pub(crate) group: Arc<Group>,
    /// How logs call it.
    pub(crate) names: Rc<GroupNames>,
    targets: Vec<Rc<WorkerTarget>>,
    turn: Cell<usize>,
}

/// The targets of a group as one request sees them.
struct Seen<'a> {
    targets: &'a [Rc<WorkerTarget>],
    /// Those that it was sent to before.
    tried: &'a [SocketAddr],
    /// Whether the unhealthy ones are taken too.
    takes_all: bool,
}

// === impl WorkerGroup ===

impl WorkerGroup {
    /// A group whose turns begin at `turn`.
    pub(crate) fn new(group: &Arc<Group>, targets: Vec<Rc<WorkerTarget>>, turn: usize) -> Self {
        let names = Rc::new(group.names.clone());
        Self { group: Arc::clone(group), names, targets, turn: Cell::new(turn) }
    }

    /// A target whose turn it is, other than those tried already; `None` when there is none left. Where too few are healthy
    /// to go by it, all are taken, if the group may fail open.
    pub(crate) fn choose(
        &self,
        tried: &[SocketAddr],
        random: &Random,
        fails_open: bool,
    ) -> Option<Rc<WorkerTarget>> {
        let states = self.targets.iter().map(|target| target.shared.state());
        let takes_all = match balance::routable(states, self.group.settings.minimum_healthy) {
            Routable::Nothing => return None,
            Routable::All => fails_open,
            Routable::Healthy => false,
        };
        let turn = self.turn.get();
        let seen = Seen { targets: &self.targets, tried, takes_all };
        let place =
            balance::pick(self.group.settings.algorithm, &seen, Draw { turn, random: random.next() })?;
        self.turn.set(turn.wrapping_add(1));
        Some(Rc::clone(&self.targets[place]))
    }
}

// === impl Seen ===

impl Candidates for Seen<'_> {
    fn n_targets(&self) -> usize {
        self.targets.len()
    }

    fn is_candidate(&self, place: usize) -> bool {
        let target = &self.targets[place].shared;
        let is_routable = match target.state() {
            TargetState::Healthy => true,
            TargetState::Draining => false,
            _ => self.takes_all,
        };
        is_routable && !self.tried.contains(&target.address())
    }

    fn at(&self, place: usize) -> Candidate {
        Candidate { in_flight: self.targets[place].shared.in_flight(), weight: FULL_WEIGHT }
    }
}
