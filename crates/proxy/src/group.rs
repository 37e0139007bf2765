//! A target group as one worker sees it: whose turn it is.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use plan::balance::Routable;
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
        let all = match plan::balance::routable(states, self.group.settings.minimum_healthy) {
            Routable::Nothing => return None,
            Routable::All => fails_open,
            Routable::Healthy => false,
        };
        let usable = |target: &&Rc<WorkerTarget>| {
            let state = target.shared.state();
            let is_routable =
                if all { state != TargetState::Draining } else { state == TargetState::Healthy };
            is_routable && !tried.contains(&target.shared.address())
        };
        let turn = self.turn.get();
        let candidates = self.targets.iter().filter(usable);
        let in_flight = |target: &&Rc<WorkerTarget>| target.shared.in_flight();
        let picked =
            plan::balance::pick(self.group.settings.algorithm, candidates, in_flight, turn, random.next());
        if picked.is_some() {
            self.turn.set(turn.wrapping_add(1));
        }
        picked.cloned()
    }
}
