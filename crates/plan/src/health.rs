//! Target health as a load balancer sees it: states, reasons, and the step from one check to the next.
//!
//! See "Health checks for your target groups" in the Application Load Balancer guide.

use std::time::Duration;

use crate::HealthCheck;

/// The state of a target and why it is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetHealth {
    /// The state.
    pub state: TargetState,
    /// The reason code of the ELB API; `None` for a healthy target.
    pub reason: Option<Reason>,
    /// A sentence for people; empty for a healthy target.
    pub description: String,
    /// Requests or connections the target is working on.
    pub in_flight: u32,
    /// That requests go to others for now, whatever health checks say.
    pub rest: Option<Rest>,
}

/// That others are asked in the place of a target, as requests themselves found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Why.
    pub because: RestReason,
    /// Until when, since the beginning of 1970; `None`: until it says something.
    pub until: Option<Duration>,
}

/// Why a target rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestReason {
    /// It answered one request after the other with a status of the server's fault.
    BadAnswers,
    /// It ended connections instead of answering.
    BrokenConnections,
    /// It says nothing to requests that wait for it.
    Silence,
}

/// States of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetState {
    /// Registered, and no check has come back yet.
    Initial,
    /// Gets traffic.
    Healthy,
    /// Gets none, unless too few are healthy.
    Unhealthy,
    /// The same, and keeps the flows that it has for a while yet.
    UnhealthyDraining,
    /// Known, but no rule leads to its group.
    Unused,
    /// Deregistered; finishes what it has.
    Draining,
}

/// Reason codes of the ELB API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No check has come back yet.
    InitialHealthChecking,
    /// The answer's status code is not one that counts as success.
    ResponseCodeMismatch,
    /// No answer in time.
    Timeout,
    /// The connection failed, or what came was no answer.
    FailedHealthChecks,
    /// No rule leads to the target group.
    NotInUse,
    /// Finishing.
    DeregistrationInProgress,
    /// The load balancer itself could not ask.
    InternalError,
}

/// The result of one health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// It counts as success.
    Success,
    /// It does not, and why.
    Failure {
        /// The reason code.
        reason: Reason,
        /// A sentence for people.
        description: String,
    },
}

/// The health of one target over time: a state machine without a clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracker {
    state: TargetState,
    reason: Option<Reason>,
    description: String,
    successes: u32,
    failures: u32,
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            state: TargetState::Initial,
            reason: Some(Reason::InitialHealthChecking),
            description: "Initial health checks in progress".to_owned(),
            successes: 0,
            failures: 0,
        }
    }
}

impl Tracker {
    /// The state after all checks so far.
    #[must_use]
    pub fn state(&self) -> TargetState {
        self.state
    }

    /// Takes in the result of a check. Returns whether the state changed.
    ///
    /// From `initial`, one success is enough: the healthy threshold is for the way back from `unhealthy`.
    pub fn record(&mut self, check: &HealthCheck, result: CheckResult) -> bool {
        let before = self.state;
        match result {
            CheckResult::Success => {
                self.failures = 0;
                self.successes = self.successes.saturating_add(1);
                let needed = if before == TargetState::Unhealthy { check.healthy_threshold } else { 1 };
                if self.successes >= needed {
                    self.become_state(TargetState::Healthy, None, String::new());
                }
            }
            CheckResult::Failure { reason, description } => {
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                if before == TargetState::Unhealthy || self.failures >= check.unhealthy_threshold {
                    self.become_state(TargetState::Unhealthy, Some(reason), description);
                }
            }
        }
        self.state != before
    }

    /// Takes in that traffic itself could not reach the target: unhealthy at once, until checks succeed again.
    pub fn eject(&mut self, description: String) -> bool {
        let before = self.state;
        self.successes = 0;
        self.become_state(TargetState::Unhealthy, Some(Reason::FailedHealthChecks), description);
        self.state != before
    }

    /// What is told about the target.
    #[must_use]
    pub fn health(&self, in_flight: u32) -> TargetHealth {
        TargetHealth {
            state: self.state,
            reason: self.reason,
            description: self.description.clone(),
            in_flight,
            rest: None,
        }
    }

    fn become_state(&mut self, state: TargetState, reason: Option<Reason>, description: String) {
        self.state = state;
        self.reason = reason;
        self.description = description;
    }
}

impl TargetState {
    /// The state where it makes no difference that flows are kept for a while.
    #[must_use]
    pub fn settled(self) -> Self {
        if self == Self::UnhealthyDraining { Self::Unhealthy } else { self }
    }

    /// Whether checks failed.
    #[must_use]
    pub fn is_unhealthy(self) -> bool {
        self.settled() == Self::Unhealthy
    }

    /// The name in the ELB API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::UnhealthyDraining => "unhealthy.draining",
            Self::Unused => "unused",
            Self::Draining => "draining",
        }
    }
}

impl RestReason {
    /// Stable, kebab-case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadAnswers => "bad-answers",
            Self::BrokenConnections => "broken-connections",
            Self::Silence => "silence",
        }
    }

    /// A half sentence for people, as after "because".
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadAnswers => "it answered one request after the other with 500, 502, 503 or 504",
            Self::BrokenConnections => "it ended connections instead of answering",
            Self::Silence => "it says nothing to requests that wait for it",
        }
    }
}

impl Reason {
    /// The code in the ELB API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InitialHealthChecking => "Elb.InitialHealthChecking",
            Self::ResponseCodeMismatch => "Target.ResponseCodeMismatch",
            Self::Timeout => "Target.Timeout",
            Self::FailedHealthChecks => "Target.FailedHealthChecks",
            Self::NotInUse => "Target.NotInUse",
            Self::DeregistrationInProgress => "Target.DeregistrationInProgress",
            Self::InternalError => "Elb.InternalError",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CodeSet, HealthCheckPort, Matcher, Protocol};
    use std::time::Duration;

    fn check(healthy_threshold: u32, unhealthy_threshold: u32) -> HealthCheck {
        HealthCheck {
            protocol: Protocol::Http,
            port: HealthCheckPort::TrafficPort,
            path: Some("/".into()),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(5),
            healthy_threshold,
            unhealthy_threshold,
            matcher: Matcher::Http(CodeSet::parse("200", 200..=499).unwrap()),
        }
    }

    /// Plays checks (`+` success, `-` failure) and writes the state after each one by its first letter.
    fn play(healthy_threshold: u32, unhealthy_threshold: u32, results: &str) -> String {
        let check = check(healthy_threshold, unhealthy_threshold);
        let mut tracker = Tracker::default();
        let mut states = String::new();
        for result in results.chars() {
            let failure =
                CheckResult::Failure { reason: Reason::Timeout, description: "Request timed out".to_owned() };
            tracker.record(&check, if result == '+' { CheckResult::Success } else { failure });
            states.push_str(&tracker.state().as_str()[..1]);
        }
        states
    }

    #[test]
    fn one_success_makes_a_new_target_healthy() {
        assert_eq!(play(5, 2, "+"), "h");
        assert_eq!(play(5, 2, "-+"), "ih");
    }

    #[test]
    fn acc_s3_43_acc_s3_44_thresholds_count_results_in_a_row() {
        assert_eq!(play(2, 2, "+-+--"), "hhhhu");
        assert_eq!(play(2, 3, "+---+-++"), "hhhuuuuh");
    }

    #[test]
    fn a_target_that_never_answered_turns_unhealthy_after_the_threshold() {
        assert_eq!(play(2, 3, "---"), "iiu");
    }

    #[test]
    fn an_ejected_target_needs_the_healthy_threshold_to_come_back() {
        let check = check(2, 2);
        let mut tracker = Tracker::default();
        tracker.record(&check, CheckResult::Success);
        assert!(tracker.eject("connection refused".into()));
        assert!(!tracker.record(&check, CheckResult::Success));
        assert!(tracker.record(&check, CheckResult::Success));
        assert_eq!(tracker.state(), TargetState::Healthy);
    }
}
