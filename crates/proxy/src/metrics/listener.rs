//! The counters of one listener.

use std::cell::RefCell;

use net::{Crowding, HandshakeFailure, Http2Failure};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::labels::{ListenerLabels, OwnAnswerLabels, ReasonLabels};
use super::series::AllSeries;

/// The counters of one listener, on one core.
#[derive(Debug)]
pub(crate) struct ListenerMetrics {
    pub(super) connections: Counter,
    pub(super) open_connections: Gauge,
    pub(super) refused_connections: AllSeries<ReasonLabels, Counter>,
    pub(super) shed_connections: Counter,
    /// Bytes of clients, and to them.
    pub(super) processed: Counter,
    pub(super) datagrams_up: Counter,
    pub(super) datagrams_down: Counter,
    pub(super) dropped_datagrams: AllSeries<ReasonLabels, Counter>,
    pub(super) own_answers: AllSeries<OwnAnswerLabels, Counter>,
    pub(super) beyond_alb: AllSeries<ReasonLabels, Counter>,
    pub(super) handshake_failures: AllSeries<ReasonLabels, Counter>,
    pub(super) http2_failures: AllSeries<ReasonLabels, Counter>,
    /// Requests whose client left, and those whose target's answer broke off.
    pub(crate) client_left: Counter,
    pub(crate) answer_broken: Counter,
    pub(super) labels: ListenerLabels,
    /// Counters that were needed already: finding one among all of them takes a lock.
    pub(super) known: RefCell<Vec<((u16, &'static str), Counter)>>,
}

/// A connection that is counted as open for as long as this lives.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    open: Gauge,
}

// === impl ListenerMetrics ===

impl ListenerMetrics {
    /// Counts a connection, and that it is open.
    pub(crate) fn open_connection(&self) -> OpenConnection {
        self.connections.inc();
        self.open_connections.inc();
        OpenConnection { open: self.open_connections.clone() }
    }

    /// Where the bytes of flows are counted.
    pub(crate) fn bytes(&self) -> Counter {
        self.processed.clone()
    }

    /// Counts bytes of clients, and to them.
    pub(crate) fn count_bytes(&self, n_bytes: u64) {
        self.processed.inc_by(n_bytes);
    }

    /// Counts a datagram of a client that went to a target.
    pub(crate) fn count_datagram_up(&self, n_bytes: usize) {
        self.datagrams_up.inc();
        self.count_bytes(n_bytes as u64);
    }

    /// Counts a datagram of a target that went to a client.
    pub(crate) fn count_datagram_down(&self, n_bytes: usize) {
        self.datagrams_down.inc();
        self.count_bytes(n_bytes as u64);
    }

    /// Counts a datagram that went nowhere.
    pub(crate) fn count_dropped(&self, reason: &'static str) {
        let ListenerLabels { load_balancer, port } = self.labels.clone();
        self.dropped_datagrams.get(&ReasonLabels { load_balancer, port, reason }).inc();
    }

    /// Counts what a crowd at the gate led to.
    pub(crate) fn count_crowding(&self, crowding: Crowding) {
        match crowding {
            Crowding::Shed(n_connections) => _ = self.shed_connections.inc_by(n_connections as u64),
            Crowding::Refused(reason) => {
                let ListenerLabels { load_balancer, port } = self.labels.clone();
                let labels = ReasonLabels { load_balancer, port, reason };
                self.refused_connections.get(&labels).inc();
            }
        }
    }

    /// Counts that TLS did not come about.
    pub(crate) fn count_handshake_failure(&self, failure: HandshakeFailure) {
        let ListenerLabels { load_balancer, port } = self.labels.clone();
        let labels = ReasonLabels { load_balancer, port, reason: failure.as_str() };
        self.handshake_failures.get(&labels).inc();
    }

    /// Counts that a connection of HTTP/2 was ended.
    pub(crate) fn count_http2_failure(&self, failure: Http2Failure) {
        let ListenerLabels { load_balancer, port } = self.labels.clone();
        let labels = ReasonLabels { load_balancer, port, reason: failure.as_str() };
        self.http2_failures.get(&labels).inc();
    }

    /// Counts a request that was refused, and that an ALB would let through.
    pub(crate) fn count_beyond_alb(&self, reason: &'static str) {
        let ListenerLabels { load_balancer, port } = self.labels.clone();
        self.beyond_alb.get(&ReasonLabels { load_balancer, port, reason }).inc();
    }

    /// Counts an answer that the load balancer gave itself.
    pub(crate) fn count_own_answer(&self, code: u16, reason: &'static str) {
        let mut known = self.known.borrow_mut();
        if let Some((_, counter)) = known.iter().find(|(key, _)| *key == (code, reason)) {
            counter.inc();
            return;
        }
        let ListenerLabels { load_balancer, port } = self.labels.clone();
        let counter = self.own_answers.get(&OwnAnswerLabels { load_balancer, port, code, reason });
        counter.inc();
        known.push(((code, reason), counter));
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.open.dec();
    }
}
