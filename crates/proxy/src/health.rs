//! The health of targets: one task asks each of them again and again, and owns what is known of them.
//!
//! It follows the snapshots that the director hands it, hears from the cores which targets take no connection, and tells
//! what it knows. Nothing of it is shared.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use plan::health::{CheckResult, TargetHealth, TargetState, Tracker};
use plan::{HealthCheck, TargetKey};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::check;
use crate::snapshot::{Group, Snapshot};
use crate::speech::Speech;
use crate::target::SharedTarget;

/// What is known of every target that is watched. The load is not known here.
pub(crate) type Healths = HashMap<TargetKey, TargetHealth>;

/// How long a target that is new, or that traffic could not reach, waits for its next check, at most.
const SOON: Duration = Duration::from_secs(1);

/// What happens to the task.
enum Event {
    /// Other targets, or other ways to check them.
    Follow(Arc<Snapshot>),
    /// Traffic found nobody at the address of a target.
    Unreachable,
    /// A check came back.
    Checked(Id, TargetKey, CheckResult),
    /// Nobody wants to know any more.
    End,
}

/// The task's own.
struct Watcher {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    wake: Arc<Notify>,
    watched: HashMap<TargetKey, Watched>,
    checks: JoinSet<(TargetKey, CheckResult)>,
}

/// A target whose health is being watched.
struct Watched {
    target: Arc<SharedTarget>,
    check: HealthCheck,
    speech: Speech,
    tracker: Tracker,
    /// The check that is under way, or waits until it is due.
    checking: AbortHandle,
    due: Instant,
    /// Whether traffic found nobody at the target's address, so that it is asked again soon.
    is_ejected: bool,
}

/// Watches the targets of one snapshot after the other until nobody hands them on. Must run on a
/// [`tokio::task::LocalSet`].
pub(crate) async fn watch(
    snapshots: watch::Receiver<Arc<Snapshot>>,
    wake: Arc<Notify>,
    healths: watch::Sender<Arc<Healths>>,
) {
    let mut watcher = Watcher { snapshots, wake, watched: HashMap::new(), checks: JoinSet::new() };
    loop {
        let is_news = match watcher.next().await {
            Event::Follow(snapshot) => {
                watcher.follow(&snapshot);
                true
            }
            Event::Unreachable => watcher.eject_unreachable(),
            Event::Checked(check, key, result) => watcher.record(check, &key, result),
            Event::End => return,
        };
        if is_news {
            healths.send_replace(Arc::new(watcher.healths()));
        }
    }
}

// === impl Watcher ===

impl Watcher {
    async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                changed = self.snapshots.changed() => {
                    return match changed {
                        Ok(()) => Event::Follow(Arc::clone(&self.snapshots.borrow_and_update())),
                        Err(_) => Event::End,
                    };
                }
                () = self.wake.notified() => return Event::Unreachable,
                // A check that was taken back says nothing.
                Some(ended) = self.checks.join_next_with_id() => if let Ok((check, (key, result))) = ended {
                    return Event::Checked(check, key, result);
                },
            }
        }
    }

    /// Begins to watch targets that are new, and forgets those that are gone.
    fn follow(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.watched);
        for group in &snapshot.groups {
            for target in &group.targets {
                let watched = match before.remove(&target.key) {
                    Some(kept) if kept.check == group.health_check && kept.speech == group.check_speech => {
                        kept
                    }
                    Some(kept) => {
                        kept.checking.abort();
                        self.begin(target, group, kept.tracker)
                    }
                    None => self.begin(target, group, Tracker::default()),
                };
                self.watched.insert(target.key.clone(), watched);
            }
        }
        before.into_values().for_each(|gone| gone.checking.abort());
    }

    fn begin(&mut self, target: &Arc<SharedTarget>, group: &Group, tracker: Tracker) -> Watched {
        let (check, speech) = (group.health_check.clone(), group.check_speech.clone());
        let due = Instant::now();
        let checking = check_at(due, Arc::clone(target), check.clone(), speech.clone());
        let checking = self.checks.spawn_local(checking);
        Watched { target: Arc::clone(target), check, speech, tracker, checking, due, is_ejected: false }
    }

    /// Takes in what a check brought, and has the next one wait for its time: checks begin at a fixed rate. Returns whether
    /// it is news.
    fn record(&mut self, check: Id, key: &TargetKey, result: CheckResult) -> bool {
        let Some(watched) = self.watched.get_mut(key).filter(|watched| watched.checking.id() == check) else {
            return false;
        };
        let before = watched.tracker.health(0);
        let changed = watched.tracker.record(&watched.check, result);
        let state = watched.tracker.state();
        watched.target.set_state(state);
        if changed {
            info!(target = %watched.target.address(), state = state.as_str(), "target health changed");
        }
        watched.is_ejected &= state != TargetState::Healthy;
        let is_urgent = state == TargetState::Initial || watched.is_ejected;
        let now = Instant::now();
        let next = watched.due + watched.check.interval;
        watched.check_at(if is_urgent { next.min(now + SOON) } else { next.max(now) }, &mut self.checks);
        // The reason may be another although the state is not.
        watched.tracker.health(0) != before
    }

    /// Takes targets out that traffic could not reach, and asks them again soon. Returns whether it is news.
    fn eject_unreachable(&mut self) -> bool {
        let mut is_news = false;
        for watched in self.watched.values_mut().filter(|watched| watched.target.take_unreachable()) {
            let problem = "Connections are refused, or its model is still loading".to_owned();
            if watched.tracker.eject(problem) {
                warn!(target = %watched.target.address(), "target ejected: it takes no connections, or no requests yet");
            }
            watched.target.set_state(watched.tracker.state());
            watched.is_ejected = true;
            let now = Instant::now();
            let is_under_way = watched.due <= now;
            if !is_under_way {
                watched.checking.abort();
                watched.check_at(now + SOON.min(watched.check.interval), &mut self.checks);
            }
            is_news = true;
        }
        is_news
    }

    fn healths(&self) -> Healths {
        self.watched.iter().map(|(key, watched)| (key.clone(), watched.tracker.health(0))).collect()
    }
}

// === impl Watched ===

impl Watched {
    fn check_at(&mut self, due: Instant, checks: &mut JoinSet<(TargetKey, CheckResult)>) {
        self.due = due;
        let check = check_at(due, Arc::clone(&self.target), self.check.clone(), self.speech.clone());
        self.checking = checks.spawn_local(check);
    }
}

/// One check of one target, at its time.
async fn check_at(
    due: Instant,
    target: Arc<SharedTarget>,
    check: HealthCheck,
    speech: Speech,
) -> (TargetKey, CheckResult) {
    tokio::time::sleep_until(due).await;
    let result = check::check(target.address(), &check, &speech).await;
    (target.key.clone(), result)
}
