//! A plan made ready for the cores: settings parsed once, targets carried over from the plan before.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use net::ClientAuthentication;
use plan::{
    Action, ApplicationSettings, Concurrency, DesyncMode, ForwardedFor, Handling, HealthCheck, HostClaims,
    ListenerKey, LoadBalancer, LoadBalancerId, LoadBalancerKind, NetworkSettings, Origin, Plan, Replay, Rule,
    RuleIndex, TargetGroup, TargetGroupSettings, TargetKey,
};
use tokio::sync::Notify;

use crate::handled::{ByRule, SharedHandling, Sharing};
use crate::header_modification::{AnswerFields, ClientFields};
use crate::line::Line;
use crate::metrics::{GroupMetrics, Metrics};
use crate::names::{GroupNames, ListenerNames};
use crate::retry_budget::Floor;
use crate::speech::Speech;
use crate::target::SharedTarget;
use crate::tls::{self, ListenerTls};
use crate::zonal::Zonal;

/// Everything the cores need to know of a plan.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// What it was made of.
    plan: Arc<Plan>,
    pub(crate) listeners: Vec<Arc<ListenerSnapshot>>,
    pub(crate) groups: Vec<Arc<Group>>,
}

/// A listener with the target groups its rules may lead to.
#[derive(Debug)]
pub(crate) struct ListenerSnapshot {
    pub(crate) key: ListenerKey,
    /// How metrics and logs call it and its load balancer.
    pub(crate) names: ListenerNames,
    pub(crate) listener: plan::Listener,
    /// Where its rules are found.
    pub(crate) rules: RuleIndex,
    /// Whether one of them asks for some paths.
    pub(crate) looks_at_paths: bool,
    pub(crate) groups: Vec<Arc<Group>>,
    pub(crate) settings: ListenerSettings,
    /// What is done to requests of its rules beside their actions.
    pub(crate) handled: ByRule<Arc<SharedHandling>>,
    /// What tells its rules from others in a cache of answers, and last what is done where none holds; none where there is no cache.
    identities: Vec<u64>,
    /// The hosts that it answers for, where others share its address.
    pub(crate) claims: HostClaims,
    /// What it speaks TLS with, if it ends TLS.
    pub(crate) tls: Option<ListenerTls>,
    /// Why it is not opened, if it cannot be.
    pub(crate) problem: Option<String>,
}

/// What a load balancer's and a listener's attributes mean for traffic.
#[derive(Debug, Clone)]
pub(crate) struct ListenerSettings {
    /// The listener's port, as fields tell it.
    pub(crate) port: String,
    /// How long client and target may be silent.
    pub(crate) idle_timeout: Duration,
    /// When a client connection ends with its next response.
    pub(crate) client_keep_alive: Duration,
    pub(crate) forwarded_for: ForwardedFor,
    pub(crate) preserves_host: bool,
    pub(crate) drops_invalid_fields: bool,
    /// What an ALB would let through of what is refused here.
    pub(crate) desync_mode: DesyncMode,
    /// What is done to every answer, if anything is.
    pub(crate) answer_fields: Option<AnswerFields>,
    /// What targets are told of clients, if they are told anything.
    pub(crate) client_fields: Option<Arc<ClientFields>>,
    /// Whether clients are asked who they are, and who has to vouch for them.
    pub(crate) client_authentication: ClientAuthentication,
}

/// A target group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) load_balancer: LoadBalancerId,
    pub(crate) load_balancer_name: String,
    pub(crate) key: String,
    /// How logs call it.
    pub(crate) names: GroupNames,
    pub(crate) health_check: HealthCheck,
    /// What its attributes say.
    pub(crate) settings: TargetGroupSettings,
    pub(crate) origin: Origin,
    pub(crate) replay: Replay,
    /// What is spoken with the targets.
    pub(crate) speech: Speech,
    /// What is spoken with them to find out how they are.
    pub(crate) check_speech: Speech,
    pub(crate) targets: Vec<Arc<SharedTarget>>,
    /// Their zones, where these make a difference.
    pub(crate) zonal: Option<Zonal>,
    /// How many requests a target takes at a time, if that is bounded, and those who wait for it.
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) line: Arc<Line>,
    /// What may always be asked more than clients ask.
    pub(crate) floor: Floor,
    /// When targets last came or went.
    changed: Instant,
    pub(crate) metrics: GroupMetrics,
}

impl Snapshot {
    /// Makes a plan ready. Load balancers of `before` that stay the same are the same ones, and targets that are still there keep
    /// their state.
    pub(crate) fn new(
        plan: &Arc<Plan>,
        before: &Self,
        n_cores: usize,
        metrics: &Metrics,
        wake: &Arc<Notify>,
    ) -> Self {
        let known: HashMap<&TargetKey, &Arc<SharedTarget>> = before
            .groups
            .iter()
            .flat_map(|group| &group.targets)
            .map(|target| (&target.key, target))
            .collect();
        // One server may be in several groups, and takes no more requests for that.
        let bounds = known.values().map(|target| (target.address(), Arc::clone(target.bounded())));
        let bounds: RefCell<HashMap<SocketAddr, Arc<AtomicU32>>> = RefCell::new(bounds.collect());
        let target = |key: TargetKey, line: &Arc<Line>| match known.get(&key) {
            Some(target) => Arc::clone(target),
            None => {
                let bounded = Arc::clone(bounds.borrow_mut().entry(key.address).or_default());
                Arc::new(SharedTarget::new(key, n_cores, bounded, Arc::clone(line), Arc::clone(wake)))
            }
        };
        let earlier = before.by_load_balancer();
        let none = Earlier::default();
        let mut snapshot = Self { plan: Arc::clone(plan), ..Self::default() };
        let mut sharing = Sharing::after(before, metrics);
        for load_balancer in plan.all() {
            let metrics = &metrics.of(&load_balancer.id);
            let earlier = earlier.get(&load_balancer.id).unwrap_or(&none);
            if earlier.load_balancer == Some(load_balancer) {
                snapshot.listeners.extend(earlier.listeners.iter().copied().cloned());
                snapshot.groups.extend(earlier.groups.iter().copied().cloned());
                continue;
            }
            let groups_before: HashMap<&str, &Arc<Group>> =
                earlier.groups.iter().map(|group| (group.key.as_str(), *group)).collect();
            let groups: Vec<Arc<Group>> = load_balancer
                .target_groups
                .iter()
                .map(|target_group| {
                    let before = groups_before.get(target_group.key.as_str()).copied();
                    Arc::new(Group::new(load_balancer, target_group, before, metrics, &target))
                })
                .collect();
            for listener in &load_balancer.listeners {
                let key = ListenerKey { load_balancer: load_balancer.id.clone(), port: listener.port };
                let earlier = earlier.listeners.iter().find(|earlier| earlier.key == key);
                let tls = ListenerTls::of(
                    load_balancer,
                    listener,
                    earlier.and_then(|earlier| earlier.tls.as_ref()),
                );
                let (tls, problem) = match tls {
                    Ok(tls) => (tls, None),
                    Err(problem) => (None, Some(problem.to_string())),
                };
                snapshot.listeners.push(Arc::new(ListenerSnapshot {
                    tls,
                    problem,
                    key,
                    names: ListenerNames::of(load_balancer, listener),
                    rules: RuleIndex::new(&listener.rules),
                    looks_at_paths: listener.looks_at_paths(),
                    listener: listener.clone(),
                    groups: groups.clone(),
                    settings: ListenerSettings::new(load_balancer, listener),
                    handled: sharing.of(listener),
                    identities: identities(load_balancer, listener),
                    claims: HostClaims::of(load_balancer, listener),
                }));
            }
            snapshot.groups.extend(groups);
        }
        snapshot
    }

    /// What was made of each load balancer.
    fn by_load_balancer(&self) -> HashMap<&LoadBalancerId, Earlier<'_>> {
        let mut all: HashMap<&LoadBalancerId, Earlier<'_>> = HashMap::new();
        for balancer in self.plan.all() {
            all.entry(&balancer.id).or_default().load_balancer = Some(balancer);
        }
        for listener in &self.listeners {
            all.entry(&listener.key.load_balancer).or_default().listeners.push(listener);
        }
        for group in &self.groups {
            all.entry(&group.load_balancer).or_default().groups.push(group);
        }
        all
    }
}

/// What was made of a load balancer.
#[derive(Default)]
struct Earlier<'a> {
    load_balancer: Option<&'a LoadBalancer>,
    listeners: Vec<&'a Arc<ListenerSnapshot>>,
    groups: Vec<&'a Arc<Group>>,
}

impl ListenerSnapshot {
    /// What tells a rule from others in a cache of answers.
    pub(crate) fn identity(&self, rule: Option<usize>) -> u64 {
        let identity = rule.map_or_else(|| self.identities.last(), |place| self.identities.get(place));
        identity.copied().unwrap_or_default()
    }
}

/// A number for what each rule looks at and does, and what it has targets told, whatever its place is: requests of the same URL may come
/// to several.
fn identities(load_balancer: &LoadBalancer, listener: &plan::Listener) -> Vec<u64> {
    let rules = listener.rules.iter().map(|rule| (Some(&**rule), &rule.action, rule.handling.as_deref()));
    let default = (None, listener.default_action_or_not_found(), listener.default_handling.as_deref());
    let all = rules.chain([default]);
    let has_cache = |handling: Option<&Handling>| handling.is_some_and(|handling| handling.cache.is_some());
    if !all.clone().any(|(_, _, handling)| has_cache(handling)) {
        return Vec::new();
    }
    let identity = |(rule, action, handling): (Option<&Rule>, &Action, Option<&Handling>)| {
        if !has_cache(handling) {
            return 0;
        }
        let leads_to: Vec<&str> = match action {
            Action::Forward(forward) => {
                forward.targets.iter().map(|target| load_balancer.name_of(&target.target_group)).collect()
            }
            Action::Redirect(_) | Action::FixedResponse(_) => Vec::new(),
        };
        let looks_at = rule.map(|rule| (&rule.conditions, &rule.transforms));
        let told = handling.and_then(|handling| handling.request_fields.as_ref());
        let mut hasher = DefaultHasher::new();
        format!("{:?} {looks_at:?} {leads_to:?} {told:?}", load_balancer.id).hash(&mut hasher);
        hasher.finish()
    };
    all.map(identity).collect()
}

impl Group {
    fn new(
        load_balancer: &LoadBalancer,
        target_group: &TargetGroup,
        before: Option<&Arc<Self>>,
        metrics: &Metrics,
        target: &impl Fn(TargetKey, &Arc<Line>) -> Arc<SharedTarget>,
    ) -> Self {
        let settings = TargetGroupSettings::of(&target_group.attributes);
        let key = |address| TargetKey {
            load_balancer: load_balancer.id.clone(),
            target_group: target_group.key.clone(),
            address,
        };
        let line = before.map_or_else(Arc::default, |before| Arc::clone(&before.line));
        let targets: Vec<_> =
            target_group.targets.iter().map(|found| target(key(found.socket()), &line)).collect();
        let same_targets = |before: &&Arc<Self>| {
            before.targets.len() == targets.len()
                && before.targets.iter().zip(&targets).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        let announces = settings.proxy_protocol_v2;
        let changed = before.filter(same_targets).map_or_else(Instant::now, |before| before.changed);
        Self {
            load_balancer: load_balancer.id.clone(),
            load_balancer_name: load_balancer.name.clone(),
            key: target_group.key.clone(),
            names: GroupNames::of(load_balancer, target_group),
            health_check: target_group.health_check.clone(),
            zonal: Zonal::of(load_balancer, target_group, &settings),
            settings,
            origin: target_group.origin,
            replay: target_group.replay,
            speech: Speech::new(target_group.spoken(), announces, before.map(|before| &before.speech)),
            check_speech: Speech::new(
                target_group.spoken_in_checks(),
                announces,
                before.map(|before| &before.check_speech),
            ),
            targets,
            concurrency: target_group.concurrency,
            line,
            floor: Floor::default(),
            changed,
            metrics: metrics.group(&load_balancer.name, &target_group.key),
        }
    }
}

impl Group {
    /// Whether targets came, went or turned out to be unreachable within this time: more may come soon.
    pub(crate) fn was_disturbed_within(&self, time: Duration) -> bool {
        self.changed.elapsed() < time || self.targets.iter().any(|target| target.was_ejected_within(time))
    }
}

impl ListenerSettings {
    fn new(load_balancer: &LoadBalancer, listener: &plan::Listener) -> Self {
        // What a Network Load Balancer carries is no request, so that nothing is done to any.
        let (application, idle_timeout) = match load_balancer.kind {
            LoadBalancerKind::Application => {
                let application = ApplicationSettings::of(&load_balancer.attributes);
                let idle_timeout = application.idle_timeout;
                (application, idle_timeout)
            }
            LoadBalancerKind::Network => {
                let network = NetworkSettings::of(&listener.attributes);
                (ApplicationSettings::default(), network.idle_timeout)
            }
        };
        Self {
            port: listener.port.to_string(),
            idle_timeout,
            client_keep_alive: application.client_keep_alive,
            forwarded_for: application.forwarded_for,
            preserves_host: application.preserves_host,
            drops_invalid_fields: application.drops_invalid_fields,
            desync_mode: application.desync_mode,
            answer_fields: AnswerFields::of(listener),
            client_fields: ClientFields::of(load_balancer, listener).map(Arc::new),
            client_authentication: tls::client_authentication(listener),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::{
        Action, Condition, HealthCheckPort, Listener, Matcher, Protocol, Rule, ServicePort, ServicePortName,
    };

    fn balancer(name: &str, path: &str) -> LoadBalancer {
        let id = LoadBalancerId::ingress("test", name);
        let mut listener = Listener::new(80, Protocol::Http);
        let rule = Rule::new(vec![Condition::paths(&[path])], Action::not_found().clone());
        listener.rules.push(rule.into());
        let mut balancer = LoadBalancer::new(id, LoadBalancerKind::Application, name);
        balancer.listeners.push(listener);
        let service = ServicePort::new("test", "s", ServicePortName::Number(80));
        let check = HealthCheck {
            protocol: Protocol::Tcp,
            port: HealthCheckPort::TrafficPort,
            path: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            healthy_threshold: 3,
            unhealthy_threshold: 3,
            matcher: Matcher::Connection,
        };
        balancer.target_groups.add(TargetGroup::new("g", service, Protocol::Http, check));
        balancer
    }

    #[test]
    fn load_balancers_that_stay_the_same_are_not_made_ready_again() {
        let (metrics, wake) = (Metrics::default(), Arc::default());
        let snapshot = |path: &str, before: &Snapshot| {
            let load_balancers = vec![balancer("a", "/a"), balancer("b", path)];
            Snapshot::new(&Plan { load_balancers, ..Plan::default() }.into(), before, 1, &metrics, &wake)
        };
        let before = snapshot("/b", &Snapshot::default());
        let after = snapshot("/c", &before);
        let is_same = |n: usize| {
            let listeners = Arc::ptr_eq(&before.listeners[n], &after.listeners[n]);
            assert_eq!(listeners, Arc::ptr_eq(&before.groups[n], &after.groups[n]));
            listeners
        };
        assert!(is_same(0) && !is_same(1));
    }
}
