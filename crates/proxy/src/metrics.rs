//! What the data plane counts. Counters are found once per plan, and only added to on the way of a request.

mod handling;
mod labels;
mod latency;
mod listener;
mod series;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use net::{Budget, Crowding, Http2Failure, Limits};
use plan::health::TargetState;
use plan::{Handling, LoadBalancerId};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use handling::HandlingSeries;
pub(crate) use handling::{CacheMetrics, HandledMetrics, Lookup, MirrorMetrics};
use labels::{
    DatagramLabels, GroupLabels, ListenerLabels, OwnAnswerLabels, PassedOverLabels, ReasonLabels,
    RequestLabels, TargetLabels,
};
pub(crate) use latency::Latency;
pub(crate) use listener::{ListenerMetrics, OpenConnection};
use series::AllSeries;

use crate::logs::Counters;
use crate::rates::Rates;
use crate::replay::Keeping;
use crate::respond::Reason;
use crate::snapshot::{ListenerSnapshot, Snapshot};

/// The counters of the data plane. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: AllSeries<RequestLabels, Counter>,
    routed: AllSeries<GroupLabels, Counter>,
    retries: AllSeries<GroupLabels, Counter>,
    hedges: AllSeries<GroupLabels, Counter>,
    unpaid: AllSeries<GroupLabels, Counter>,
    passed_over: AllSeries<PassedOverLabels, Counter>,
    queued: AllSeries<GroupLabels, Gauge>,
    target_connection_failures: AllSeries<GroupLabels, Counter>,
    target_tls_failures: AllSeries<GroupLabels, Counter>,
    response_time: AllSeries<GroupLabels, Latency>,
    own_answers: AllSeries<OwnAnswerLabels, Counter>,
    beyond_alb: AllSeries<ReasonLabels, Counter>,
    unfinished: AllSeries<ReasonLabels, Counter>,
    connections: AllSeries<ListenerLabels, Counter>,
    open_connections: AllSeries<ListenerLabels, Gauge>,
    refused_connections: AllSeries<ReasonLabels, Counter>,
    shed_connections: AllSeries<ListenerLabels, Counter>,
    processed: AllSeries<ListenerLabels, Counter>,
    datagrams: AllSeries<DatagramLabels, Counter>,
    dropped_datagrams: AllSeries<ReasonLabels, Counter>,
    handshake_failures: AllSeries<ReasonLabels, Counter>,
    http2_failures: AllSeries<ReasonLabels, Counter>,
    targets: Family<TargetLabels, Gauge>,
    health_changes: AllSeries<TargetLabels, Counter>,
    handling: HandlingSeries,
    /// What is counted of logs.
    pub(crate) logs: Counters,
    /// What became of spans.
    traces: traces::Counts,
    unkept_bodies: Counter,
    /// Plans that all cores follow, or have followed.
    pub(crate) plan_changes: Counter,
    buffered_bytes: Gauge,
    /// What bodies are kept in, once there is a data plane.
    buffers: Arc<OnceLock<Budget>>,
    /// What nobody reads, once there is something of which nobody does.
    unread: Arc<OnceLock<Metrics>>,
}

/// The counters of one target group.
#[derive(Debug, Clone)]
pub(crate) struct GroupMetrics {
    /// Answers of targets by the first digit of their status, from 1xx.
    answers: [Counter; 5],
    /// Requests for which a target was chosen.
    pub(crate) routed: Counter,
    pub(crate) retries: Counter,
    connection_failures: Counter,
    /// Requests that another target was asked beside one that says nothing.
    pub(crate) hedges: Counter,
    /// What was not asked again, for the budget had no room.
    pub(crate) unpaid: Counter,
    /// Targets in whose place others are asked, by why.
    pub(crate) failing: Counter,
    pub(crate) silent: Counter,
    /// Requests that wait for a target that has room.
    pub(crate) queued: Gauge,
    tls_failures: Counter,
    pub(crate) response_time: Latency,
}

impl Default for Metrics {
    fn default() -> Self {
        let (requests, retries, response_time) =
            (AllSeries::default(), AllSeries::default(), AllSeries::default());
        let (own_answers, unfinished) = (AllSeries::default(), AllSeries::default());
        let beyond_alb = AllSeries::default();
        let (connections, open_connections) = (AllSeries::default(), AllSeries::default());
        let mut registry = Registry::with_prefix("forebay");
        registry.register("requests", "Requests that a target answered", requests.family());
        registry.register(
            "retries",
            "Requests that were sent again, to another target or over another connection",
            retries.family(),
        );
        let (hedges, unpaid, passed_over) =
            (AllSeries::default(), AllSeries::default(), AllSeries::default());
        registry.register(
            "hedges",
            "Requests that were sent to a second target while the first one said nothing",
            hedges.family(),
        );
        registry.register(
            "retries_over_budget",
            "Requests that were not sent again, for that would have been more than a tenth of all",
            unpaid.family(),
        );
        registry.register(
            "targets_passed_over",
            "Times that others were asked in the place of a target, by why: failing or silent",
            passed_over.family(),
        );
        let queued = AllSeries::default();
        registry.register(
            "queued_requests",
            "Requests that wait because every target works on as many as it takes",
            queued.family(),
        );
        let (routed, target_connection_failures) = (AllSeries::default(), AllSeries::default());
        registry.register(
            "requests_routed",
            "Requests for which a target was chosen, whatever came of them",
            routed.family(),
        );
        registry.register(
            "target_connection_failures",
            "Connections to targets that did not come about, but for those on which TLS did not",
            target_connection_failures.family(),
        );
        let target_tls_failures = AllSeries::default();
        registry.register(
            "target_tls_failures",
            "Connections to targets on which TLS did not come about",
            target_tls_failures.family(),
        );
        registry.register_with_unit(
            "target_response",
            "Time from sending a request to the head of its response",
            Unit::Seconds,
            response_time.family(),
        );
        registry.register(
            "load_balancer_answers",
            "Requests that the load balancer answered itself, by status code and x-forebay-reason",
            own_answers.family(),
        );
        registry.register(
            "refused_beyond_alb",
            "Requests that were refused, and that an ALB in the load balancer's desync mitigation mode would let through, by why",
            beyond_alb.family(),
        );
        registry.register(
            "unfinished_answers",
            "Requests that did not get a whole answer, by why: client-left or answer-broken",
            unfinished.family(),
        );
        registry.register("connections", "Connections accepted", connections.family());
        registry.register("open_connections", "Connections open now", open_connections.family());
        let (refused_connections, shed_connections) = (AllSeries::default(), AllSeries::default());
        registry.register(
            "connections_refused",
            format!("Connections that were not let in, by why: {}", Crowding::REFUSALS.join(", ")),
            refused_connections.family(),
        );
        registry.register(
            "connections_shed",
            "Connections that had been idle for longest and made room for others, which came to this listener",
            shed_connections.family(),
        );
        let processed = AllSeries::default();
        registry.register_with_unit(
            "processed",
            "Bytes that came from clients and went to them: of requests that have their answer, and of flows that have ended",
            Unit::Bytes,
            processed.family(),
        );
        let handshake_failures = AllSeries::default();
        registry.register(
            "tls_handshake_failures",
            "Connections on which TLS did not come about, by why",
            handshake_failures.family(),
        );
        let http2_failures = AllSeries::default();
        let reasons = Http2Failure::ALL.map(Http2Failure::as_str).join(", ");
        registry.register(
            "http2_connections_ended",
            format!("Connections of HTTP/2 that were ended, with all requests on them, by why: {reasons}"),
            http2_failures.family(),
        );
        let (targets, health_changes) = (Family::default(), AllSeries::default());
        registry.register("targets", "Registered targets by their state", Family::clone(&targets));
        registry.register(
            "target_health_changes",
            "Changes of the health of targets, by the state that they came to",
            health_changes.family(),
        );
        let handling = HandlingSeries::default();
        handling.register(&mut registry);
        let logs = Counters::default();
        registry.register(
            "access_log_dropped_lines",
            "Lines of logs that could not be written",
            Counter::clone(&logs.dropped),
        );
        registry.register(
            "log_objects",
            "Objects of logs that were given to their store",
            Counter::clone(&logs.objects),
        );
        registry.register_with_unit(
            "log_waiting",
            "Bytes of objects of logs that wait for their store",
            Unit::Bytes,
            Gauge::clone(&logs.waiting),
        );
        let traces = traces::Counts::default();
        registry.register(
            "trace_spans_exported",
            "Spans of traces that their collector took",
            Counter::clone(&traces.exported),
        );
        registry.register(
            "trace_spans_dropped",
            "Spans of traces that no collector took, or that would have waited among too many",
            Counter::clone(&traces.dropped),
        );
        let (datagrams, dropped_datagrams) = (AllSeries::default(), AllSeries::default());
        registry.register("datagrams", "Datagrams that were passed on, by direction", datagrams.family());
        registry.register(
            "datagrams_dropped",
            "Datagrams that were dropped, by why: not-allowed, no-targets, no-descriptors, unreachable or full",
            dropped_datagrams.family(),
        );
        let plan_changes = Counter::default();
        registry.register(
            "plan_changes",
            "Changes of load balancers and their targets that are in force on every core",
            Counter::clone(&plan_changes),
        );
        let (unkept_bodies, buffered_bytes) = (Counter::default(), Gauge::default());
        registry.register(
            "unkept_bodies",
            "Bodies of requests that were passed on without being kept, for there was no memory left to keep them in",
            Counter::clone(&unkept_bodies),
        );
        registry.register_with_unit(
            "buffered",
            "Bytes of bodies that are kept, so that they can be sent to another target",
            Unit::Bytes,
            Gauge::clone(&buffered_bytes),
        );
        let registry = Arc::new(registry);
        Self {
            registry,
            requests,
            routed,
            retries,
            target_connection_failures,
            hedges,
            unpaid,
            passed_over,
            queued,
            target_tls_failures,
            response_time,
            own_answers,
            beyond_alb,
            unfinished,
            connections,
            open_connections,
            refused_connections,
            shed_connections,
            processed,
            handshake_failures,
            http2_failures,
            targets,
            health_changes,
            handling,
            logs,
            traces,
            datagrams,
            dropped_datagrams,
            plan_changes,
            unkept_bodies,
            buffered_bytes,
            buffers: Arc::default(),
            unread: Arc::default(),
        }
    }
}

impl Metrics {
    /// All counters in the OpenMetrics text format.
    #[must_use]
    pub fn encode(&self) -> String {
        self.encode_with("")
    }

    /// All counters, and before their end metrics of somebody else in the same format.
    #[must_use]
    pub fn encode_with(&self, others: &str) -> String {
        if let Some(buffers) = self.buffers.get() {
            self.buffered_bytes.set(i64::try_from(buffers.used()).unwrap_or(i64::MAX));
        }
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry).expect("writing to a String does not fail");
        out.push_str(others);
        text::encode_eof(&mut out).expect("writing to a String does not fail");
        out
    }

    /// What is counted of traces: for who starts a tracer.
    #[must_use]
    pub fn traces(&self) -> &traces::Counts {
        &self.traces
    }

    /// What all cores keep bodies in.
    pub(crate) fn keeping(&self, limits: &Limits) -> Keeping {
        let budget = self.buffers.get_or_init(|| Budget::new(limits.buffered_bytes)).clone();
        Keeping { most: limits.kept_body_bytes, budget, unkept: self.unkept_bodies.clone() }
    }

    /// The metrics of a load balancer: these, or, where nobody asked for it, such as nobody reads.
    pub(crate) fn of(&self, load_balancer: &LoadBalancerId) -> Self {
        match load_balancer.is_cluster() {
            true => self.unread.get_or_init(Self::default).clone(),
            false => self.clone(),
        }
    }

    pub(crate) fn group(&self, load_balancer: &str, target_group: &str) -> GroupMetrics {
        let names = || (load_balancer.to_owned(), target_group.to_owned());
        let answers = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|code_class| {
            let (load_balancer, target_group) = names();
            self.requests.get(&RequestLabels { load_balancer, target_group, code_class })
        });
        let passed_over = [FAILING, SILENT].map(|reason| {
            let (load_balancer, target_group) = names();
            self.passed_over.get(&PassedOverLabels { load_balancer, target_group, reason })
        });
        let [failing, silent] = passed_over;
        let (load_balancer, target_group) = names();
        let labels = GroupLabels { load_balancer, target_group };
        GroupMetrics {
            answers,
            routed: self.routed.get(&labels),
            retries: self.retries.get(&labels),
            hedges: self.hedges.get(&labels),
            unpaid: self.unpaid.get(&labels),
            failing,
            silent,
            queued: self.queued.get(&labels),
            connection_failures: self.target_connection_failures.get(&labels),
            tls_failures: self.target_tls_failures.get(&labels),
            response_time: self.response_time.get(&labels),
        }
    }

    pub(crate) fn listener(&self, load_balancer: &str, port: u16) -> ListenerMetrics {
        let labels = ListenerLabels { load_balancer: load_balancer.to_owned(), port };
        let unfinished = |reason: Reason| {
            let (load_balancer, reason) = (load_balancer.to_owned(), reason.name);
            self.unfinished.get(&ReasonLabels { load_balancer, port, reason })
        };
        let datagrams = |direction| {
            let load_balancer = load_balancer.to_owned();
            DatagramLabels { load_balancer, port, direction }
        };
        ListenerMetrics {
            connections: self.connections.get(&labels),
            open_connections: self.open_connections.get(&labels),
            refused_connections: AllSeries::clone(&self.refused_connections),
            shed_connections: self.shed_connections.get(&labels),
            processed: self.processed.get(&labels),
            datagrams_up: self.datagrams.get(&datagrams("up")),
            datagrams_down: self.datagrams.get(&datagrams("down")),
            dropped_datagrams: AllSeries::clone(&self.dropped_datagrams),
            own_answers: AllSeries::clone(&self.own_answers),
            beyond_alb: AllSeries::clone(&self.beyond_alb),
            handshake_failures: AllSeries::clone(&self.handshake_failures),
            http2_failures: AllSeries::clone(&self.http2_failures),
            client_left: unfinished(Reason::CLIENT_LEFT),
            answer_broken: unfinished(Reason::ANSWER_BROKEN),
            labels,
            known: RefCell::default(),
        }
    }

    /// What is counted of requests of a listener that are handled so.
    pub(crate) fn handled(&self, listener: &ListenerSnapshot, handling: &Handling) -> HandledMetrics {
        self.handling.of(&listener.names.load_balancer, listener.key.port, handling)
    }

    /// What is counted of requests that are copied for a target group.
    pub(crate) fn mirror(&self, load_balancer: &str, target_group: &str) -> MirrorMetrics {
        self.handling.mirror(load_balancer, target_group)
    }

    /// What all caches of answers count.
    pub(crate) fn caches(&self) -> CacheMetrics {
        self.handling.caches.clone()
    }

    /// How often clients have asked lately, of all rules that ask for that.
    pub(crate) fn rates(&self) -> Rates {
        Rates::new(self.handling.forgotten.clone())
    }

    /// Forgets what was counted of load balancers, listeners and target groups that are gone.
    pub(crate) fn forget_gone(&self, snapshot: &Snapshot) {
        let listeners = snapshot.listeners.iter().map(|it| (it.names.load_balancer.as_str(), it.key.port));
        let listeners: HashSet<(&str, u16)> = listeners.collect();
        let groups = snapshot.groups.iter().map(|it| (it.load_balancer_name.as_str(), it.key.as_str()));
        let groups: HashSet<(&str, &str)> = groups.collect();
        let is_there = |load_balancer: &str, port: Option<u16>, group: Option<&str>| {
            port.is_none_or(|port| listeners.contains(&(load_balancer, port)))
                && group.is_none_or(|group| groups.contains(&(load_balancer, group)))
        };
        self.requests.retain(is_there);
        self.response_time.retain(is_there);
        self.own_answers.retain(is_there);
        self.datagrams.retain(is_there);
        self.open_connections.retain(is_there);
        self.health_changes.retain(is_there);
        self.passed_over.retain(is_there);
        self.queued.retain(is_there);
        self.handling.retain(is_there);
        let of_groups = [
            &self.routed,
            &self.retries,
            &self.hedges,
            &self.unpaid,
            &self.target_connection_failures,
            &self.target_tls_failures,
        ];
        for of_group in of_groups {
            of_group.retain(is_there);
        }
        for of_listener in [&self.connections, &self.shed_connections, &self.processed] {
            of_listener.retain(is_there);
        }
        if let Some(unread) = self.unread.get() {
            unread.forget_gone(snapshot);
        }
        let of_reasons = [
            &self.unfinished,
            &self.refused_connections,
            &self.dropped_datagrams,
            &self.handshake_failures,
            &self.http2_failures,
        ];
        for of_reason in of_reasons {
            of_reason.retain(is_there);
        }
    }

    /// Tells how many targets of each group are in which state; groups that are gone are told of no more.
    pub(crate) fn set_targets<'a>(
        &self,
        targets: impl Iterator<Item = (&'a str, &'a str, TargetState)>,
        before: &mut BTreeSet<(String, String)>,
    ) {
        let mut counts: BTreeMap<(&str, &str), [i64; STATES.len()]> = BTreeMap::new();
        for (load_balancer, target_group, state) in targets {
            let counts = counts.entry((load_balancer, target_group)).or_default();
            if let Some(index) = STATES.iter().position(|known| *known == state) {
                counts[index] += 1;
            }
        }
        let labels = |load_balancer: &str, target_group: &str, state: TargetState| TargetLabels {
            load_balancer: load_balancer.to_owned(),
            target_group: target_group.to_owned(),
            state: state.as_str(),
        };
        for ((load_balancer, target_group), counts) in &counts {
            for (state, count) in STATES.into_iter().zip(*counts) {
                self.targets.get_or_create_owned(&labels(load_balancer, target_group, state)).set(count);
            }
            before.remove(&((*load_balancer).to_owned(), (*target_group).to_owned()));
        }
        for (load_balancer, target_group) in &*before {
            for state in STATES {
                self.targets.remove(&labels(load_balancer, target_group, state));
            }
        }
        *before =
            counts.into_keys().map(|(balancer, group)| (balancer.to_owned(), group.to_owned())).collect();
    }

    /// Counts that a target came to another state.
    pub(crate) fn health_changed(&self, load_balancer: &str, target_group: &str, state: TargetState) {
        let labels = TargetLabels {
            load_balancer: load_balancer.to_owned(),
            target_group: target_group.to_owned(),
            state: state.as_str(),
        };
        self.health_changes.get(&labels).inc();
    }
}

/// Why others are asked in the place of a target.
const FAILING: &str = "failing";
const SILENT: &str = "silent";

/// States that targets are counted in.
const STATES: [TargetState; 4] =
    [TargetState::Initial, TargetState::Healthy, TargetState::Unhealthy, TargetState::Draining];

impl GroupMetrics {
    /// Counts a connection to a target that could not be opened, unless that is our own fault.
    pub(crate) fn count_unopened(&self, error: &net::ConnectError) {
        match error {
            net::ConnectError::Handshake { .. } => _ = self.tls_failures.inc(),
            error if error.is_ours() => {}
            _ => _ = self.connection_failures.inc(),
        }
    }

    /// Counts an answer of a target.
    pub(crate) fn count_answer(&self, status: net::StatusCode, after: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.answers[class - 1].inc();
        self.response_time.observe(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_told_of_no_more() {
        let metrics = Metrics::default();
        metrics.group("gone", "a/b:80").count_answer(net::StatusCode::OK, Duration::from_millis(2));
        metrics.listener("gone", 80).count_own_answer(404, "no-route");
        metrics.listener("gone", 80).count_bytes(7);
        metrics.health_changed("gone", "a/b:80", TargetState::Healthy);
        assert!(
            metrics.encode().contains(r#"forebay_processed_bytes_total{load_balancer="gone",port="80"} 7"#)
        );
        metrics.forget_gone(&Snapshot::default());
        let text = metrics.encode();
        assert!(!text.contains("gone"), "{text}");
    }

    #[test]
    fn answers_are_counted_by_group_and_class() {
        let metrics = Metrics::default();
        let group = metrics.group("retail", "mlops/api:80");
        group.count_answer(net::StatusCode::OK, Duration::from_millis(2));
        group.count_answer(net::StatusCode::NOT_FOUND, Duration::from_secs(60));
        let text = metrics.encode();
        for line in [
            r#"forebay_requests_total{load_balancer="retail",target_group="mlops/api:80",code_class="2xx"} 1"#,
            r#"forebay_requests_total{load_balancer="retail",target_group="mlops/api:80",code_class="4xx"} 1"#,
            r#"forebay_target_response_seconds_bucket{le="0.0025",load_balancer="retail",target_group="mlops/api:80"} 1"#,
            r#"forebay_target_response_seconds_bucket{le="+Inf",load_balancer="retail",target_group="mlops/api:80"} 2"#,
            r#"forebay_target_response_seconds_count{load_balancer="retail",target_group="mlops/api:80"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
