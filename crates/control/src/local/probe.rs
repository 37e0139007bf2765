//! Probes: asking a container whether it has started, whether it may get traffic, and whether it is alive.
//!
//! Kubernetes' semantics ("Configure Liveness, Readiness and Startup Probes"), with one difference: until the first
//! success, startup and readiness are also asked between the regular times, at first every few milliseconds, so that a
//! replica that starts in 20 ms is ready in 30. Such an extra failure counts for nothing.

mod http;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use manifest::{Probe, ProbeHandler};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::process::{Exit, Launch, Process};

pub(crate) use http::status_of;

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Startup,
    Readiness,
    Liveness,
}

/// What a probe was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) purpose: Purpose,
    pub(super) result: Result<(), Failure>,
    /// Whether it was one of the regular times.
    pub(super) is_regular: bool,
    /// Set when a threshold is reached: enough successes in a row, or enough failures.
    pub(super) verdict: Option<bool>,
}

/// Why a probe failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Somebody answered, with a status that is no success.
    Status(u16),
    /// Nobody listens there.
    Refused(String),
    /// Nobody answered, or not in a way that counts.
    Other(String),
}

/// Whom a probe asks.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) address: IpAddr,
    /// How a command inside of the container would be started.
    pub(super) launch: Launch,
}

/// The first pause between two extra tries, and for commands, which cost a process each.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const FIRST_PAUSE_OF_COMMANDS: Duration = Duration::from_millis(100);

/// Asks again and again, and tells each answer, until the receiver is gone.
pub(super) async fn watch(purpose: Purpose, probe: Probe, subject: Subject, tell: mpsc::Sender<Answer>) {
    let mut times = Times::new(purpose, &probe, Instant::now());
    let mut tracker = Tracker::default();
    loop {
        let (at, is_regular) = times.next(Instant::now());
        sleep_until(at).await;
        let asked = timeout(probe.timeout, ask(&probe.handler, &subject)).await;
        let result = asked.unwrap_or_else(|_| Err(format!("no answer within {:?}", probe.timeout).into()));
        let verdict =
            if is_regular || result.is_ok() { tracker.record(&probe, result.is_ok()) } else { None };
        if result.is_ok() {
            times.succeeded();
        }
        if tell.send(Answer { purpose, result, is_regular, verdict }).await.is_err() {
            return;
        }
    }
}

async fn ask(handler: &ProbeHandler, subject: &Subject) -> Result<(), Failure> {
    match handler {
        ProbeHandler::Http { port, path, headers } => {
            http::get(SocketAddr::new(subject.address, *port), path, headers).await
        }
        ProbeHandler::Tcp { port } => {
            let address = SocketAddr::new(subject.address, *port);
            TcpStream::connect(address)
                .await
                .map(drop)
                .map_err(|error| Failure::of_connecting(&error, format!("dial tcp {address}: {error}")))
        }
        ProbeHandler::Exec { command } => Ok(run(command, subject).await?),
    }
}

async fn run(command: &[String], subject: &Subject) -> Result<(), String> {
    let [program, arguments @ ..] = command else { return Err("the command is empty".to_owned()) };
    let launch = Launch {
        program: program.into(),
        arguments: arguments.to_vec(),
        input: None,
        ..subject.launch.clone()
    };
    let mut process = Process::start_silently(&launch)
        .await
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    match process.ended().await {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) => Err(format!("command `{program}` exited with {code}")),
        Exit::Signal(signal) => Err(format!("command `{program}` was ended by signal {signal}")),
    }
}

// === impl Answer, Failure ===

impl Answer {
    /// The failure that people hear of, if it was one: those between the regular times only where asking again will hardly
    /// help, because whoever answered does not know the question.
    pub(super) fn told_failure(&self) -> Option<&Failure> {
        let failure = self.result.as_ref().err()?;
        (self.is_regular || matches!(failure, Failure::Status(400..=499))).then_some(failure)
    }
}

impl Failure {
    /// Why no connection came about, in words of the caller's.
    fn of_connecting(error: &io::Error, problem: String) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused(problem),
            _ => Self::Other(problem),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "HTTP probe failed with statuscode: {status}"),
            Self::Refused(problem) | Self::Other(problem) => f.write_str(problem),
        }
    }
}

impl From<String> for Failure {
    fn from(problem: String) -> Self {
        Self::Other(problem)
    }
}

// === Tracker ===

/// Results in a row.
#[derive(Debug, Default)]
struct Tracker {
    successes: u32,
    failures: u32,
}

impl Tracker {
    /// Takes in a result; says so when there are now enough of its kind.
    fn record(&mut self, probe: &Probe, is_success: bool) -> Option<bool> {
        if is_success {
            self.failures = 0;
            self.successes = self.successes.saturating_add(1);
            (self.successes >= probe.success_threshold).then_some(true)
        } else {
            self.successes = 0;
            self.failures = self.failures.saturating_add(1);
            (self.failures >= probe.failure_threshold).then_some(false)
        }
    }
}

// === Times ===

/// When a probe asks: at regular times, and, until the first success, in between.
#[derive(Debug)]
struct Times {
    next_regular: Instant,
    period: Duration,
    /// The next pause between extra tries, while there are any.
    pause: Option<Duration>,
    is_first: bool,
    begin: Instant,
}

impl Times {
    fn new(purpose: Purpose, probe: &Probe, now: Instant) -> Self {
        let first_pause = match probe.handler {
            ProbeHandler::Exec { .. } => FIRST_PAUSE_OF_COMMANDS,
            ProbeHandler::Http { .. } | ProbeHandler::Tcp { .. } => FIRST_PAUSE,
        };
        let begin = now + probe.initial_delay;
        let is_eager = purpose != Purpose::Liveness;
        Self {
            // A process that was started an instant ago has a period before its failures count.
            next_regular: if is_eager || probe.initial_delay.is_zero() {
                begin + probe.period
            } else {
                begin
            },
            period: probe.period,
            pause: is_eager.then_some(first_pause),
            is_first: true,
            begin,
        }
    }

    /// The next time, and whether it is a regular one.
    fn next(&mut self, now: Instant) -> (Instant, bool) {
        if let Some(pause) = self.pause {
            let is_first = std::mem::take(&mut self.is_first);
            let extra = if is_first { self.begin } else { now + pause };
            if !is_first {
                // Beyond a period there is nothing in between any more.
                self.pause = Some((pause * 3 / 2).min(self.period));
            }
            if extra < self.next_regular {
                return (extra, false);
            }
        }
        let regular = self.next_regular;
        // A probe that took longer than its period does not catch up on those it missed.
        self.next_regular = regular.max(now) + self.period;
        (regular, true)
    }

    /// There was a success: only regular times from now on.
    fn succeeded(&mut self) {
        self.pause = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(initial_delay: u64, period: u64) -> Probe {
        Probe {
            handler: ProbeHandler::Tcp { port: 1 },
            initial_delay: Duration::from_secs(initial_delay),
            period: Duration::from_secs(period),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
        }
    }

    /// The first times in milliseconds, regular ones with `!`, when every try fails at once.
    fn times(purpose: Purpose, probe: &Probe, n: usize) -> String {
        let start = Instant::now();
        let mut times = Times::new(purpose, probe, start);
        let mut now = start;
        let written = (0..n).map(|_| {
            let (at, is_regular) = times.next(now);
            now = at;
            format!("{}{}", (at - start).as_millis(), if is_regular { "!" } else { "" })
        });
        written.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn readiness_is_asked_densely_at_first() {
        assert_eq!(
            times(Purpose::Readiness, &probe(0, 1), 14),
            "0 10 25 47 81 131 207 321 492 748 1000! 1576 2000! 3000!"
        );
    }

    #[test]
    fn acc_s4_49_nobody_is_asked_before_the_initial_delay() {
        assert_eq!(times(Purpose::Startup, &probe(5, 10), 3), "5000 5010 5025");
        assert_eq!(times(Purpose::Liveness, &probe(5, 10), 3), "5000! 15000! 25000!");
    }

    #[test]
    fn liveness_is_asked_at_regular_times_only() {
        assert_eq!(times(Purpose::Liveness, &probe(0, 10), 3), "10000! 20000! 30000!");
    }

    #[test]
    fn a_probe_that_never_succeeds_is_asked_for_as_long_as_it_takes() {
        for period in [1, 10, u64::from(u32::MAX)] {
            let start = Instant::now();
            let mut times = Times::new(Purpose::Readiness, &probe(0, period), start);
            let mut now = start;
            for _ in 0..5000 {
                // Every answer takes as long as it may.
                now = times.next(now).0 + Duration::from_secs(1);
            }
            assert_eq!(times.pause, Some(Duration::from_secs(period)));
        }
    }

    #[test]
    fn after_a_success_only_regular_times_are_left() {
        let start = Instant::now();
        let mut times = Times::new(Purpose::Readiness, &probe(0, 10), start);
        assert_eq!(times.next(start), (start, false));
        times.succeeded();
        assert_eq!(times.next(start), (start + Duration::from_secs(10), true));
    }

    #[test]
    fn an_answer_that_the_path_is_not_known_is_told_before_the_first_regular_time() {
        let told = |failure: Failure, is_regular| {
            let answer =
                Answer { purpose: Purpose::Readiness, result: Err(failure), is_regular, verdict: None };
            answer.told_failure().map(ToString::to_string)
        };
        let unknown = "HTTP probe failed with statuscode: 404".to_owned();
        assert_eq!(told(Failure::Status(404), false), Some(unknown));
        assert_eq!(told(Failure::Status(503), false), None, "a server that starts says so");
        assert_eq!(
            told("refused".to_owned().into(), false),
            None,
            "a process that starts listens to nobody yet"
        );
        assert_eq!(told("refused".to_owned().into(), true).as_deref(), Some("refused"));
    }

    #[test]
    fn acc_s4_49_thresholds_count_results_in_a_row() {
        let mut tracker = Tracker::default();
        let probe = Probe { success_threshold: 2, ..probe(0, 1) };
        let verdicts: Vec<_> =
            "+-++---+".chars().map(|result| tracker.record(&probe, result == '+')).collect();
        assert_eq!(verdicts, [None, None, None, Some(true), None, None, Some(false), None]);
    }
}
