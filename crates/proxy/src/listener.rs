//! A listener as one worker sees it: its rules' actions, with target groups found.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use net::{Limits, LiveLimits, LiveTls, Response};
use plan::balance::affinity::{self, name_of_group};
use plan::{
    Action, FixedResponse, Forward, GroupStickiness, Handling, Preflight, Redirect, RequestHead,
    TargetGroupRef, TargetKey, Transform,
};

use crate::filters::{Filters, Leaving};
use crate::group::WorkerGroup;
use crate::handled::{ByRule, Handled};
use crate::metrics::{ListenerMetrics, Metrics};
use crate::names::ListenerNames;
use crate::pool::WorkerTarget;
use crate::record::{Act, Record};
use crate::snapshot::ListenerSnapshot;
use crate::worker::Worker;

/// A listener's place: what stands in it changes with the plan, while connections hold the place.
pub(crate) struct ListenerSlot {
    listener: RefCell<Rc<WorkerListener>>,
    pub(crate) limits: LiveLimits,
    /// Where TLS ends here.
    pub(crate) tls: Option<LiveTls>,
}

/// A listener with this worker's view of its target groups.
pub(crate) struct WorkerListener {
    pub(crate) snapshot: Arc<ListenerSnapshot>,
    /// What each rule does, by the rule's index; made ready when the first request comes to it, because of ten thousand rules most
    /// may never get any.
    actions: Vec<OnceCell<Box<WorkerAction>>>,
    /// What happens when no rule matches.
    default_action: WorkerAction,
    /// In the order of the load balancer.
    groups: Vec<Rc<WorkerGroup>>,
    /// What requests and answers pass that are not handled otherwise.
    pub(crate) filters: Filters,
    pub(crate) handled: ByRule<Rc<Handled>>,
    /// Whether browsers that ask before a request are answered for any rule.
    answers_preflights: bool,
    pub(crate) metrics: ListenerMetrics,
    /// How logs call it.
    pub(crate) names: Rc<ListenerNames>,
    pub(crate) worker: Rc<Worker>,
}

/// An action, made ready to be done.
pub(crate) enum WorkerAction {
    Forward(WorkerForward),
    Redirect(Redirect),
    FixedResponse(FixedResponse),
    /// No rule matches, and nothing is configured for that.
    NoRoute,
}

/// A forward action with its target groups found.
pub(crate) struct WorkerForward {
    weights: Vec<u16>,
    groups: Vec<Option<Rc<WorkerGroup>>>,
    /// For how many seconds a client stays with its target group by a cookie, if it does.
    pub(crate) stickiness: Option<u32>,
    /// Whether it stays with it by its address.
    keeps_addresses: bool,
    /// The state of smooth weighted round robin.
    current: RefCell<Vec<i32>>,
    /// What is rewritten before a target is asked.
    pub(crate) transforms: Vec<Transform>,
}

/// A path that can be read in two ways, which lead to different places.
#[derive(Debug)]
pub(crate) struct Ambiguous;

// === impl ListenerSlot ===

impl ListenerSlot {
    pub(crate) fn new(listener: WorkerListener) -> Self {
        let limits = LiveLimits::new(listener.limits(), listener.worker.gate.clone());
        let tls = listener.snapshot.tls.as_ref().map(|tls| tls.server.clone().into());
        Self { listener: RefCell::new(Rc::new(listener)), limits, tls }
    }

    /// Puts the listener of another plan in.
    pub(crate) fn set(&self, listener: WorkerListener) {
        self.limits.set(listener.limits());
        if let (Some(live), Some(tls)) = (&self.tls, &listener.snapshot.tls) {
            live.set(tls.server.clone());
        }
        self.listener.replace(Rc::new(listener));
    }

    /// The listener as the plan of this moment has it.
    pub(crate) fn current(&self) -> Rc<WorkerListener> {
        Rc::clone(&self.listener.borrow())
    }

    /// Whether the listener lets a client in.
    pub(crate) fn admits(&self, peer: IpAddr) -> bool {
        let current = self.listener.borrow();
        current.snapshot.listener.source_ranges.as_ref().is_none_or(|ranges| ranges.admit(peer))
    }
}

// === impl WorkerListener ===

impl WorkerListener {
    pub(crate) fn new(
        snapshot: &Arc<ListenerSnapshot>,
        targets: &HashMap<TargetKey, Rc<WorkerTarget>>,
        metrics: &Metrics,
        worker: &Rc<Worker>,
    ) -> Self {
        let metrics = &metrics.of(&snapshot.key.load_balancer);
        let groups = snapshot.groups.iter().map(|group| {
            let known = group.targets.iter().filter_map(|target| targets.get(&target.key).cloned());
            // Cores begin at different targets, so that few requests spread evenly too.
            Rc::new(WorkerGroup::new(group, known.collect(), worker.index))
        });
        let groups: Vec<_> = groups.collect();
        let default_action = snapshot.listener.default_action.as_ref();
        let default_action = default_action.map(|default| WorkerAction::new(default, &[], &groups));
        Self {
            actions: snapshot.listener.rules.iter().map(|_| OnceCell::new()).collect(),
            default_action: default_action.unwrap_or(WorkerAction::NoRoute),
            handled: Handled::of(snapshot, &groups, metrics, worker),
            groups,
            filters: Filters::of(&snapshot.settings, &Handling::default()),
            answers_preflights: snapshot.handled.all().any(|handled| handled.asked.cors.is_some()),
            metrics: metrics.listener(&snapshot.names.load_balancer, snapshot.key.port),
            names: Rc::new(snapshot.names.clone()),
            snapshot: Arc::clone(snapshot),
            worker: Rc::clone(worker),
        }
    }

    /// The place of the first rule that holds, as [`plan::route`] finds it by trying all. The error: the rules say something
    /// else of another reading of the path, of which a target may make its own choice.
    pub(crate) fn rule(
        &self,
        head: &RequestHead<'_>,
        readings: &[String],
    ) -> Result<Option<usize>, Ambiguous> {
        let listener = &self.snapshot.listener;
        if self.answers_preflights
            && let Some(found) = self.rule_of_preflight(head, readings)?
        {
            return Ok(found);
        }
        let first = |head: &RequestHead<'_>| self.snapshot.rules.first(&listener.rules, head);
        let found = first(head);
        match plan::is_ambiguous(listener, head, found, readings, first) {
            true => Err(Ambiguous),
            false => Ok(found),
        }
    }

    /// The same for a preflight that is answered here, as [`plan::route_preflight`] finds it.
    fn rule_of_preflight(
        &self,
        head: &RequestHead<'_>,
        readings: &[String],
    ) -> Result<Option<Option<usize>>, Ambiguous> {
        let listener = &self.snapshot.listener;
        let Some(preflight) = Preflight::of(head) else { return Ok(None) };
        let head = &RequestHead { method: &preflight.method, ..*head };
        let first = |head: &RequestHead<'_>| self.snapshot.rules.first_for_preflight(&listener.rules, head);
        let found = first(head);
        match listener.cors_at(found) {
            None => Ok(None),
            Some(_) if plan::is_ambiguous(listener, head, found, readings, first) => Err(Ambiguous),
            Some(_) => Ok(Some(found)),
        }
    }

    /// What the rule at a place says to do, or what is done where none holds.
    pub(crate) fn action(&self, rule: Option<usize>) -> &WorkerAction {
        let found = rule.and_then(|place| {
            let (action, rule) = (self.actions.get(place)?, self.snapshot.listener.rules.get(place)?);
            let make = || Box::new(WorkerAction::new(&rule.action, &rule.transforms, &self.groups));
            Some(&**action.get_or_init(make))
        });
        found.unwrap_or(&self.default_action)
    }

    /// The target group with this key.
    pub(crate) fn group(&self, key: &str) -> Option<Rc<WorkerGroup>> {
        self.groups.iter().find(|group| group.group.key == key).cloned()
    }

    /// The target group whose turn it is for what no rule looks at, or that a client stays with.
    pub(crate) fn default_group(&self, client: IpAddr) -> Option<Rc<WorkerGroup>> {
        match &self.default_action {
            WorkerAction::Forward(forward) if forward.keeps_addresses => forward.of_address(client),
            WorkerAction::Forward(forward) => forward.choose(),
            _ => None,
        }
    }

    /// Has an answer become what answers of this listener, and to this request of which so much is known, are like.
    pub(crate) fn modify_answer(&self, record: Option<&Record>, answer: &mut Response) {
        let handled = record.and_then(|record| record.handled.as_deref());
        let filters = handled.map_or(&self.filters, |handled| &handled.filters);
        filters.pass_answer(&Leaving { settings: &self.snapshot.settings, handled, record }, answer);
    }

    pub(crate) fn limits(&self) -> Limits {
        let settings = &self.snapshot.settings;
        Limits {
            idle_timeout: settings.idle_timeout,
            max_age: settings.client_keep_alive,
            ..self.worker.limits
        }
    }
}

// === impl WorkerAction ===

impl WorkerAction {
    /// What logs call it, where a manifest says so.
    pub(crate) fn act(&self) -> Option<Act> {
        match self {
            Self::Forward(_) => Some(Act::Forward),
            Self::Redirect(_) => Some(Act::Redirect),
            Self::FixedResponse(_) => Some(Act::FixedResponse),
            Self::NoRoute => None,
        }
    }

    fn new(action: &Action, transforms: &[Transform], groups: &[Rc<WorkerGroup>]) -> Self {
        match action {
            Action::Forward(forward) => Self::Forward(WorkerForward::new(forward, transforms, groups)),
            Action::Redirect(redirect) => Self::Redirect(redirect.clone()),
            Action::FixedResponse(response) => Self::FixedResponse(response.clone()),
        }
    }
}

// === impl WorkerForward ===

impl WorkerForward {
    fn new(forward: &Forward, transforms: &[Transform], groups: &[Rc<WorkerGroup>]) -> Self {
        let group = |target_group: &TargetGroupRef| match target_group {
            TargetGroupRef::Group(id) => groups.get(id.place()).cloned(),
            TargetGroupRef::Arn(_) | TargetGroupRef::Name(_) => None,
        };
        Self {
            weights: forward.targets.iter().map(|target| target.weight.get()).collect(),
            groups: forward.targets.iter().map(|target| group(&target.target_group)).collect(),
            stickiness: match forward.stickiness {
                Some(GroupStickiness::Cookie(time)) => u32::try_from(time.as_secs()).ok(),
                Some(GroupStickiness::SourceIp) | None => None,
            },
            keeps_addresses: forward.stickiness == Some(GroupStickiness::SourceIp),
            current: RefCell::new(vec![0; forward.targets.len()]),
            transforms: transforms.to_vec(),
        }
    }

    /// The target group whose turn it is by weight; `None` when all weights are zero or the group is not known here.
    pub(crate) fn choose(&self) -> Option<Rc<WorkerGroup>> {
        let index = match self.groups.len() {
            1 if self.weights[0] > 0 => 0,
            _ => plan::balance::pick_weighted(&self.weights, &mut self.current.borrow_mut())?,
        };
        self.groups[index].clone()
    }

    /// The target group that a client's address leads to.
    fn of_address(&self, client: IpAddr) -> Option<Rc<WorkerGroup>> {
        self.groups[affinity::of_weights(client, &self.weights)?].clone()
    }

    /// The target group of this name in cookies, while it has any weight.
    pub(crate) fn group_named(&self, name: u64) -> Option<Rc<WorkerGroup>> {
        let weighted = self.groups.iter().zip(&self.weights).filter(|(_, weight)| **weight > 0);
        let mut groups = weighted.filter_map(|(group, _)| group.as_ref());
        groups.find(|group| name_of_group(&group.group.key) == name).cloned()
    }
}
