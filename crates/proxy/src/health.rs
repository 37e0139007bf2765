//! The health of targets: one task asks each of them again and again, and owns what is known of them.
//!
//! It follows the snapshots that the director hands it, hears from the cores which targets take no connection, and tells
//! what it knows. Nothing of it is shared.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use plan::balance::{MinimumHealthy, Routable, routable};
use plan::health::{CheckResult, TargetHealth, TargetState, Tracker};
use plan::{HealthCheck, Matcher, TargetGroupSettings, TargetKey};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::check::{self, Checked};
use crate::logs::{CheckLine, Lines};
use crate::names::GroupNames;
use crate::snapshot::{Group, Snapshot};
use crate::speech::Speech;
use crate::target::SharedTarget;

/// What is known of every target that is watched. The load is not known here.
pub(crate) type Healths = HashMap<TargetKey, TargetHealth>;

/// How long a target that is new, or that traffic could not reach, waits for its next check, at most.
const SOON: Duration = Duration::from_secs(1);

/// How soon a target is asked that says nothing to traffic. If it answers then, traffic tries it again.
const SUSPICION: Duration = Duration::from_millis(250);

/// When traffic tries one again whose health is only that it takes connections, which one that hangs does too.
const UNPROVEN: Duration = Duration::from_secs(5);

/// What happens to the task.
enum Event {
    /// Other targets, or other ways to check them.
    Follow(Arc<Snapshot>),
    /// Traffic found nobody at the address of a target, or somebody who says nothing.
    Unreachable,
    /// A check came back.
    Checked(Id, TargetKey, Checked),
    /// Nobody wants to know any more.
    End,
}

/// The task's own.
struct Watcher {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    wake: Arc<Notify>,
    watched: HashMap<TargetKey, Watched>,
    checks: JoinSet<(TargetKey, Checked)>,
    /// Lines of logs, if there are any.
    lines: Option<Rc<Lines>>,
}

/// A target whose health is being watched.
struct Watched {
    target: Arc<SharedTarget>,
    check: HealthCheck,
    speech: Speech,
    /// How logs call its group.
    group: GroupNames,
    tracker: Tracker,
    /// The check that is under way, or waits until it is due.
    checking: AbortHandle,
    due: Instant,
    /// Whether traffic found nobody at the target's address, so that it is asked again soon.
    is_ejected: bool,
    /// Until when a good check is no proof that it answers.
    suspected_until: Instant,
    slow_start: Option<Duration>,
    when_unhealthy: WhenUnhealthy,
    /// Since when it is unhealthy, if it is.
    unhealthy_since: Option<Instant>,
    /// Whether its flows are kept for a while yet.
    is_draining: bool,
    /// Whether its flows were cut for that.
    is_cut: bool,
    /// Whether others had their full share when it came, or it has been healthy before. Those that come to an empty group begin
    /// with all of theirs ("Slow start mode", ALB user guide).
    comes_to_others: bool,
}

/// What becomes of the flows of a target that turns unhealthy ("Target group attributes", NLB user guide).
#[derive(Debug, Clone, Copy)]
struct WhenUnhealthy {
    /// After which time they are cut, if they are.
    cut_after: Option<Duration>,
    /// When all targets are asked for want of healthy ones. Then none is cut.
    minimum_healthy: MinimumHealthy,
}

/// Watches the targets of one snapshot after the other until nobody hands them on. Must run on a
/// [`tokio::task::LocalSet`].
pub(crate) async fn watch(
    snapshots: watch::Receiver<Arc<Snapshot>>,
    wake: Arc<Notify>,
    healths: watch::Sender<Arc<Healths>>,
    lines: Option<Rc<Lines>>,
) {
    let mut watcher = Watcher { snapshots, wake, watched: HashMap::new(), checks: JoinSet::new(), lines };
    loop {
        let is_news = match watcher.next().await {
            Event::Follow(snapshot) => {
                watcher.follow(&snapshot);
                true
            }
            Event::Unreachable => {
                watcher.ask_suspects();
                watcher.eject_unreachable()
            }
            Event::Checked(check, key, checked) => watcher.record(check, &key, checked),
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
                Some(ended) = self.checks.join_next_with_id() => if let Ok((check, (key, checked))) = ended {
                    return Event::Checked(check, key, checked);
                },
            }
        }
    }

    /// Begins to watch targets that are new, and forgets those that are gone.
    fn follow(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.watched);
        for group in &snapshot.groups {
            let is_grown = |target: &Arc<SharedTarget>| {
                let known = before.get(&target.key);
                known.is_some_and(Watched::is_grown)
            };
            let comes_to_others = group.targets.iter().any(is_grown);
            for target in &group.targets {
                let slow_start = group.settings.slow_start;
                let watched = match before.remove(&target.key) {
                    Some(kept) if kept.check == group.health_check && kept.speech == group.check_speech => {
                        let when_unhealthy = WhenUnhealthy::of(&group.settings);
                        Watched { slow_start, when_unhealthy, group: group.names.clone(), ..kept }
                    }
                    Some(kept) => {
                        kept.checking.abort();
                        let begun = self.begin(target, group, kept.tracker);
                        let Watched { comes_to_others, unhealthy_since, is_draining, is_cut, .. } = kept;
                        Watched { comes_to_others, unhealthy_since, is_draining, is_cut, ..begun }
                    }
                    None => Watched { comes_to_others, ..self.begin(target, group, Tracker::default()) },
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
        Watched {
            target: Arc::clone(target),
            check,
            speech,
            group: group.names.clone(),
            tracker,
            checking,
            due,
            is_ejected: false,
            suspected_until: due,
            slow_start: group.settings.slow_start,
            when_unhealthy: WhenUnhealthy::of(&group.settings),
            unhealthy_since: None,
            is_draining: false,
            is_cut: false,
            comes_to_others: false,
        }
    }

    /// Takes in what a check brought, and has the next one wait for its time: checks begin at a fixed rate. Returns whether
    /// it is news.
    fn record(&mut self, check: Id, key: &TargetKey, checked: Checked) -> bool {
        let may_grow = |watched: &Watched| watched.slow_start.is_some() && !watched.is_grown();
        let has_grown_peers = self.watched.get(key).is_some_and(may_grow) && self.has_grown_peers(key);
        let Some(watched) = self.watched.get_mut(key).filter(|watched| watched.checking.id() == check) else {
            return false;
        };
        if let Some(lines) = &self.lines {
            watched.log(lines, &checked);
        }
        if checked.result == CheckResult::Success && watched.suspected_until <= Instant::now() {
            watched.target.speaks();
        }
        let before = watched.health();
        let changed = watched.tracker.record(&watched.check, checked.result);
        let state = watched.tracker.state();
        if changed && state == TargetState::Healthy {
            watched.target.set_growing(watched.comes_to_others && has_grown_peers);
            watched.comes_to_others = true;
        }
        watched.target.set_state(state);
        watched.took_in(state);
        if changed {
            info!(target = %watched.target.address(), state = state.as_str(), "target health changed");
        }
        watched.is_ejected &= state != TargetState::Healthy;
        let is_urgent = state == TargetState::Initial || watched.is_ejected;
        let now = Instant::now();
        let next = watched.due + watched.check.interval;
        watched.check_at(if is_urgent { next.min(now + SOON) } else { next.max(now) }, &mut self.checks);
        // The reason may be another although the state is not.
        let is_news = watched.health() != before;
        self.cut_unhealthy(key);
        is_news
    }

    /// Ends the flows of a target that has been unhealthy for long enough.
    fn cut_unhealthy(&mut self, key: &TargetKey) {
        let Some(watched) = self.watched.get(key).filter(|watched| watched.is_to_be_cut()) else { return };
        let minimum_healthy = watched.when_unhealthy.minimum_healthy;
        let of_group = |other: &&TargetKey| {
            other.target_group == key.target_group && other.load_balancer == key.load_balancer
        };
        let of_group = self.watched.iter().filter(|(other, _)| of_group(other));
        let states = of_group.map(|(_, watched)| watched.tracker.state());
        if routable(states, minimum_healthy) == Routable::All {
            return;
        }
        if let Some(watched) = self.watched.get_mut(key) {
            watched.is_cut = true;
            watched.target.cut_flows();
        }
    }

    /// Asks those soon how they are who say nothing to traffic.
    fn ask_suspects(&mut self) {
        for watched in self.watched.values_mut().filter(|watched| watched.target.take_suspect()) {
            let is_proof = watched.check.matcher != Matcher::Connection;
            let until = Instant::now() + if is_proof { SUSPICION } else { UNPROVEN };
            watched.suspected_until = until;
            if watched.due > until {
                watched.checking.abort();
                watched.check_at(until, &mut self.checks);
            }
        }
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
            watched.took_in(watched.tracker.state());
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

    /// Whether another target of the group has its full share.
    fn has_grown_peers(&self, key: &TargetKey) -> bool {
        let is_peer = |other: &TargetKey| {
            other.target_group == key.target_group && other.load_balancer == key.load_balancer && other != key
        };
        self.watched.iter().any(|(other, watched)| is_peer(other) && watched.is_grown())
    }

    fn healths(&self) -> Healths {
        self.watched.iter().map(|(key, watched)| (key.clone(), watched.health())).collect()
    }
}

// === impl WhenUnhealthy ===

impl WhenUnhealthy {
    fn of(settings: &TargetGroupSettings) -> Self {
        let later = (!settings.unhealthy_draining.is_zero()).then_some(settings.unhealthy_draining);
        let cut_after = if settings.cuts_unhealthy { Some(Duration::ZERO) } else { later };
        Self { cut_after, minimum_healthy: settings.minimum_healthy }
    }
}

// === impl Watched ===

impl Watched {
    /// Takes in how it is.
    fn took_in(&mut self, state: TargetState) {
        if state != TargetState::Unhealthy {
            (self.unhealthy_since, self.is_cut) = (None, false);
        } else if self.unhealthy_since.is_none() {
            self.unhealthy_since = Some(Instant::now());
        }
        let is_unhealthy = state == TargetState::Unhealthy;
        self.is_draining = is_unhealthy && self.when_unhealthy.cut_after.is_some() && !self.is_over();
    }

    /// Whether it has been unhealthy for as long as its flows may stay.
    fn is_over(&self) -> bool {
        let since = self.unhealthy_since.zip(self.when_unhealthy.cut_after);
        since.is_some_and(|(since, time)| since.elapsed() >= time)
    }

    fn is_to_be_cut(&self) -> bool {
        !self.is_cut && self.is_over()
    }

    /// What is told of it.
    fn health(&self) -> TargetHealth {
        let health = self.tracker.health(0);
        match health.state {
            TargetState::Unhealthy if self.is_draining => {
                TargetHealth { state: TargetState::UnhealthyDraining, ..health }
            }
            _ => health,
        }
    }

    /// Whether it is healthy and has its full share.
    fn is_grown(&self) -> bool {
        let is_healthy = self.tracker.state() == TargetState::Healthy;
        is_healthy && self.target.growing_for(self.slow_start).is_none()
    }

    /// Writes of a check, where its load balancer wants that.
    fn log(&self, lines: &Rc<Lines>, checked: &Checked) {
        let Some(log) = &self.group.health_check_log else { return };
        let kind = match (&self.check.matcher, self.speech.is_http2(), self.check.protocol.is_tls()) {
            (Matcher::Grpc(_), ..) => "grpc",
            (_, true, _) => "h2",
            (_, _, true) => "https",
            _ => "http",
        };
        let Checked { result, code, took } = checked;
        let (target, group) = (self.target.address(), self.group.name.as_str());
        lines.add_check(log, &CheckLine { kind, target, group, result, code: *code, took: *took });
    }

    fn check_at(&mut self, due: Instant, checks: &mut JoinSet<(TargetKey, Checked)>) {
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
) -> (TargetKey, Checked) {
    tokio::time::sleep_until(due).await;
    let checked = check::check(target.address(), &check, &speech).await;
    (target.key.clone(), checked)
}
