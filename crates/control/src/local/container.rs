//! One container of a replica: started, probed, restarted, stopped.
//!
//! A task owns the process and the probes; everybody else sees the status it leaves, and may tell it to stop.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use manifest::{Container, RestartPolicy};
use plan::ObjectRef;
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::back_off::BackOff;
use super::descendants;
use super::leftovers::Leftovers;
use super::log::Logs;
use super::probe::{self, Purpose, Subject};
use super::process::{Exit, Launch, Process};
use super::running::{ContainerName, Running, Stay};
use super::stdin::Stdin;
use super::{listening, memory};
use crate::events::{Event, Recorder};

/// Everything needed to run a container.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) container: Container,
    pub(super) pod: ObjectRef,
    pub(super) launch: Launch,
    /// The mark of everything that it starts, if it may start anything.
    pub(super) mark: Option<String>,
    pub(super) address: IpAddr,
    /// Time between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    pub(super) restart: RestartPolicy,
    /// How often it was started before, by a platform that is no more.
    pub(super) n_starts: u32,
    pub(super) platform: Rc<Platform>,
}

/// What all containers share.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) logs: Logs,
    pub(super) recorder: Recorder,
    pub(super) leftovers: Leftovers,
    /// What the marks of all processes begin with.
    pub(super) mark: String,
    pub(super) running: Running,
    /// Told whenever the status of a container changes.
    pub(super) wake: watch::Sender<()>,
}

/// A container as everybody else sees it.
#[derive(Debug)]
pub(super) struct Handle {
    status: Rc<RefCell<Status>>,
    stop: watch::Sender<Stop>,
}

/// How long a container that is told to stop may take; none while it is not.
type Stop = Option<Duration>;

/// What is known of a container.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Status {
    pub(super) state: State,
    /// How it ended the last time.
    pub(super) last: Option<Termination>,
    pub(super) restarts: u32,
    pub(super) has_started: bool,
    pub(super) is_ready: bool,
    /// Stopped, and never to be started again.
    pub(super) is_gone: bool,
}

/// The state of a container, in Kubernetes' words.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp },
    Terminated(Termination),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Termination {
    /// 128 + the signal for an end by signal, as shells say it.
    pub(super) exit_code: i32,
    pub(super) signal: Option<i32>,
    pub(super) reason: &'static str,
    /// The last lines of its log when it ended in error.
    pub(super) message: String,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
}

/// How one run of a container ended.
struct Run {
    lasted: Duration,
    was_ready: bool,
}

/// How a process ended, and what it had been before.
struct Ended {
    exit: Exit,
    was_ready: bool,
    /// Whether it was ended because it used more than it may.
    for_its_memory: bool,
}

/// How long a process may take to listen at its ports before it is looked at which they are.
const SETTLED: Duration = Duration::from_millis(500);
/// Before the addresses at which a process listens, in the message about a probe that asks elsewhere.
pub const LISTENS_AT: &str = "the process listens at ";
/// How often the memory of a container with a limit is looked at.
const MEMORY_PERIOD: Duration = Duration::from_secs(1);
/// How long the end of a log is waited for after the process has ended.
const LOG_PATIENCE: Duration = Duration::from_millis(250);

// === impl Handle ===

impl Handle {
    /// Starts a container. Must be called on a [`tokio::task::LocalSet`].
    pub(super) fn start(runner: Runner) -> Self {
        let status = Rc::new(RefCell::new(Status::new()));
        let (stop, stopping) = watch::channel(None);
        tokio::task::spawn_local(runner.run(Rc::clone(&status), stopping));
        Self { status, stop }
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// SIGTERM, and SIGKILL after the grace period.
    pub(super) fn stop(&self, grace: Duration) {
        self.stop.send_replace(Some(grace));
    }
}

// === impl Runner ===

impl Runner {
    async fn run(self, status: Rc<RefCell<Status>>, mut stopping: watch::Receiver<Stop>) {
        let mut back_off = BackOff::new(self.restart);
        for start in self.n_starts.. {
            let run = self.run_once(start, &status, &mut stopping).await;
            // When nobody can tell any more, nobody wants it any more.
            if stopping.borrow().is_some() || stopping.has_changed().is_err() {
                break;
            }
            let ended_well = status.borrow().ended_well();
            if self.restart == RestartPolicy::Never
                || (self.restart == RestartPolicy::OnFailure && ended_well)
            {
                break;
            }
            let wait = back_off.after(run.lasted, run.was_ready);
            self.tell_of_restart(&status.borrow().state);
            if !wait.is_zero() && self.wait_to_restart(wait, &status, &mut stopping).await.is_break() {
                break;
            }
        }
        self.change(&status, |status| status.is_gone = true);
    }

    /// Kubernetes shows a restart by its count only, where nobody looks at night.
    fn tell_of_restart(&self, state: &State) {
        let State::Terminated(Termination { exit_code, reason, .. }) = state else { return };
        let container = &self.container.name;
        let message =
            format!("Container {container} ended ({reason}, exit code {exit_code}) and is started again");
        self.record(&Event::warning("Restarting", message));
    }

    /// Waits before a restart, unless told to stop.
    async fn wait_to_restart(
        &self,
        wait: Duration,
        status: &RefCell<Status>,
        stopping: &mut watch::Receiver<Stop>,
    ) -> std::ops::ControlFlow<()> {
        let (container, pod) = (&self.container.name, &self.pod);
        let message = format!("back-off {}s restarting failed container={container}", wait.as_secs());
        self.change(status, |status| {
            if let State::Terminated(last) = &status.state {
                status.last = Some(last.clone());
            }
            status.state = State::Waiting { reason: "CrashLoopBackOff", message };
        });
        let message = format!("Back-off restarting failed container {container} in pod {}", pod.name);
        self.record(&Event::warning("BackOff", message));
        tokio::select! {
            () = sleep(wait) => std::ops::ControlFlow::Continue(()),
            _ = stopping.wait_for(Option::is_some) => std::ops::ControlFlow::Break(()),
        }
    }

    /// From one start to the end that follows it.
    async fn run_once(
        &self,
        start: u32,
        status: &RefCell<Status>,
        stopping: &mut watch::Receiver<Stop>,
    ) -> Run {
        let (begin, started) = (Instant::now(), Timestamp::now());
        let (mut process, last_lines) = match self.start(start).await {
            Ok(running) => running,
            Err(message) => {
                self.record(&Event::warning("Failed", format!("Error: {message}")));
                let termination = Termination::not_started(message, started);
                self.change(status, |status| status.end(termination, start));
                return Run { lasted: Duration::ZERO, was_ready: false };
            }
        };
        self.change(status, |status| status.begin(started, start));
        self.record(&Event::normal("Started", format!("Started container {}", self.container.name)));
        let pid = process.pid();
        let stdin = Stdin::of(&mut process, self.container.stdin);
        let stay = self.enter(pid, stdin);
        let Ended { exit, was_ready, for_its_memory } = self.attend(&mut process, status, stopping).await;
        drop(stay);
        self.platform.leftovers.forget(pid);
        if let Some(mark) = &self.mark {
            // Its group has ended with it; this is for what left the group.
            descendants::kill_beside(mark.clone()).await;
        }
        let last_lines =
            timeout(LOG_PATIENCE, last_lines).await.ok().and_then(Result::ok).unwrap_or_default();
        let termination = Termination::new(exit, for_its_memory, last_lines, started);
        self.change(status, |status| status.end(termination, start));
        Run { lasted: begin.elapsed(), was_ready }
    }

    /// Lets others know that the container runs, for as long as what this gives is there.
    fn enter(&self, pid: u32, stdin: Option<Stdin>) -> Stay {
        let name = ContainerName {
            namespace: self.pod.namespace.clone(),
            pod: self.pod.name.clone(),
            container: self.container.name.clone(),
        };
        let limit = self.container.memory_limit;
        self.platform.running.enter(name, &self.launch, self.address, limit, stdin, pid)
    }

    async fn start(&self, start: u32) -> Result<(Process, oneshot::Receiver<String>), String> {
        let program = self.launch.program.display();
        let (process, output) =
            Process::start(&self.launch).await.map_err(|error| format!("cannot run `{program}`: {error}"))?;
        self.platform.leftovers.remember(process.pid());
        let log = (self.pod.namespace.as_str(), self.pod.name.as_str(), self.container.name.as_str());
        let last_lines = self.platform.logs.keep(log, start, output);
        Ok((process, last_lines.map_err(|error| format!("cannot keep the log of `{program}`: {error}"))?))
    }

    /// Watches over a process to its end.
    async fn attend(
        &self,
        process: &mut Process,
        status: &RefCell<Status>,
        stopping: &mut watch::Receiver<Stop>,
    ) -> Ended {
        let mut probes = Probes::new(self);
        self.on_started_if(probes.begin(), &mut probes, status);
        let (mut was_ready, begin) = (false, Instant::now());
        let mut memory_checks = interval(MEMORY_PERIOD);
        loop {
            // Without a readiness probe, running says little: such a container has to run for a while to count as good.
            was_ready |= self.container.readiness.is_some() && status.borrow().is_ready;
            tokio::select! {
                exit = process.ended() => return Ended { exit, was_ready, for_its_memory: false },
                stop = wait_for_stop(stopping) => {
                    let message = format!("Stopping container {}", self.container.name);
                    self.record(&Event::normal("Killing", message));
                    let exit = self.end(process, stop.unwrap_or(self.grace)).await;
                    return Ended { exit, was_ready, for_its_memory: false };
                }
                Some(answer) = probes.answers.recv() => {
                    // Until then a process that starts may not have come to listen where it will.
                    let is_settled = begin.elapsed() >= SETTLED;
                    self.tell_of_failure(&answer, is_settled.then(|| process.pid()));
                    if !self.take_in(&answer, &mut probes, status) {
                        self.change(status, |status| status.is_ready = false);
                        let exit = self.end(process, self.grace).await;
                        return Ended { exit, was_ready, for_its_memory: false };
                    }
                }
                _ = memory_checks.tick(), if self.container.memory_limit.is_some() => {
                    if self.uses_too_much_memory(process.pid()) {
                        process.signal(Signal::KILL);
                        return Ended { exit: process.ended().await, was_ready, for_its_memory: true };
                    }
                }
            }
        }
    }

    /// Tells that a probe failed: at the regular times, and in between where it will hardly get better by itself. So it is
    /// when a settled process listens, and not where it is asked.
    fn tell_of_failure(&self, answer: &probe::Answer, settled: Option<u32>) {
        let elsewhere = match (&answer.result, settled) {
            (Err(probe::Failure::Refused(_)), Some(pid)) => listening::addresses(pid),
            _ => BTreeSet::new(),
        };
        let elsewhere: Vec<String> = elsewhere.iter().map(ToString::to_string).collect();
        let why = match &answer.result {
            Err(why) if !elsewhere.is_empty() => format!("{why}; {LISTENS_AT}{}", elsewhere.join(", ")),
            _ => match answer.told_failure() {
                Some(why) => why.to_string(),
                None => return,
            },
        };
        let message = format!("{:?} probe failed: {why}", answer.purpose);
        self.record(&Event::warning("Unhealthy", message));
    }

    /// Takes in what a probe was answered. `false`: the container has to be restarted.
    fn take_in(&self, answer: &probe::Answer, probes: &mut Probes<'_>, status: &RefCell<Status>) -> bool {
        match (answer.purpose, answer.verdict) {
            // It has started: what the probe said besides, before it was told to stop, is of no interest.
            (Purpose::Startup, _) if status.borrow().has_started => {}
            (Purpose::Startup, Some(true)) => self.on_started_if(true, probes, status),
            (Purpose::Readiness, Some(is_ready)) => self.change(status, |status| status.is_ready = is_ready),
            (Purpose::Startup | Purpose::Liveness, Some(false)) => {
                let probe = if answer.purpose == Purpose::Startup { "startup" } else { "liveness" };
                let message =
                    format!("Container {} failed {probe} probe, will be restarted", self.container.name);
                self.record(&Event::normal("Killing", message));
                return false;
            }
            _ => {}
        }
        true
    }

    fn on_started_if(&self, has_started: bool, probes: &mut Probes<'_>, status: &RefCell<Status>) {
        if has_started && !status.borrow().has_started {
            let is_ready = self.container.readiness.is_none();
            self.change(status, |status| {
                status.has_started = true;
                status.is_ready = is_ready;
            });
            probes.begin_others();
        }
    }

    /// Ends a process: kindly, and after the grace period not.
    async fn end(&self, process: &mut Process, grace: Duration) -> Exit {
        process.signal(Signal::TERM);
        if let Ok(exit) = timeout(grace, process.ended()).await {
            return exit;
        }
        process.signal(Signal::KILL);
        process.ended().await
    }

    fn uses_too_much_memory(&self, pid: u32) -> bool {
        let (Some(limit), Some(used)) = (self.container.memory_limit, memory::resident(pid)) else {
            return false;
        };
        used > limit
    }

    fn change(&self, status: &RefCell<Status>, change: impl FnOnce(&mut Status)) {
        let before = status.borrow().clone();
        change(&mut status.borrow_mut());
        if *status.borrow() != before {
            self.platform.wake.send_replace(());
        }
    }

    fn record(&self, event: &Event) {
        self.platform.recorder.record(&self.pod, event);
    }
}

/// Waits until a container is told to stop, or nobody can tell it any more.
async fn wait_for_stop(stopping: &mut watch::Receiver<Stop>) -> Stop {
    stopping.wait_for(Option::is_some).await.map_or(None, |stop| *stop)
}

// === Probes ===

/// The probes of one run. They end when this is dropped.
struct Probes<'a> {
    runner: &'a Runner,
    tasks: JoinSet<()>,
    tell: mpsc::Sender<probe::Answer>,
    answers: mpsc::Receiver<probe::Answer>,
}

impl<'a> Probes<'a> {
    fn new(runner: &'a Runner) -> Self {
        let (tell, answers) = mpsc::channel(8);
        Self { runner, tasks: JoinSet::new(), tell, answers }
    }

    /// Begins to ask whether the container has started; `true` when that is not asked.
    fn begin(&mut self) -> bool {
        let startup = &self.runner.container.startup;
        self.ask(Purpose::Startup, startup.as_ref());
        startup.is_none()
    }

    fn begin_others(&mut self) {
        let Container { readiness, liveness, .. } = &self.runner.container;
        self.tasks.abort_all();
        self.ask(Purpose::Readiness, readiness.as_ref());
        self.ask(Purpose::Liveness, liveness.as_ref());
    }

    fn ask(&mut self, purpose: Purpose, probe: Option<&manifest::Probe>) {
        if let Some(probe) = probe {
            let subject = Subject { address: self.runner.address, launch: self.runner.launch.clone() };
            self.tasks.spawn_local(probe::watch(purpose, probe.clone(), subject, self.tell.clone()));
        }
    }
}

// === impl Status ===

impl Status {
    fn new() -> Self {
        let state = State::Waiting { reason: "ContainerCreating", message: String::new() };
        Self { state, last: None, restarts: 0, has_started: false, is_ready: false, is_gone: false }
    }

    /// Whether it has ended, and well.
    pub(super) fn ended_well(&self) -> bool {
        matches!(&self.state, State::Terminated(Termination { exit_code: 0, .. }))
    }

    fn begin(&mut self, since: Timestamp, start: u32) {
        if let State::Terminated(last) = &self.state {
            self.last = Some(last.clone());
        }
        self.state = State::Running { since };
        self.restarts = start;
    }

    fn end(&mut self, termination: Termination, start: u32) {
        self.state = State::Terminated(termination);
        self.restarts = start;
        self.has_started = false;
        self.is_ready = false;
    }
}

// === impl Termination ===

impl Termination {
    fn new(exit: Exit, killed_for_memory: bool, last_lines: String, started: Timestamp) -> Self {
        let (exit_code, signal) = match exit {
            Exit::Code(code) => (code, None),
            Exit::Signal(signal) => (128 + signal, Some(signal)),
        };
        let reason = match exit {
            _ if killed_for_memory => "OOMKilled",
            Exit::Code(0) => "Completed",
            _ => "Error",
        };
        let message = match (exit, last_lines.is_empty()) {
            (Exit::Code(0), _) => String::new(),
            (Exit::Signal(9), true) if !killed_for_memory => "ended by SIGKILL, without a word".to_owned(),
            _ => last_lines,
        };
        Self { exit_code, signal, reason, message, started, finished: Timestamp::now() }
    }

    fn not_started(message: String, now: Timestamp) -> Self {
        Self { exit_code: 128, signal: None, reason: "StartError", message, started: now, finished: now }
    }
}

#[cfg(test)]
mod tests;
