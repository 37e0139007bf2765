//! How long it takes after a fault until requests are answered as before.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::super::engine::Engine;
use super::super::figures::{Row, Table, count, part};
use super::super::http::Request;
use super::super::manifest::service;
use super::super::platform::Platform;
use super::super::proxy::ANSWER;
use super::super::server::{free_address, pinned, signal};
use super::super::{Forebay, LOAD_CORE, program};
use super::asked::{Asked, Asking, Pace, milliseconds, now};
use super::world::{N_REPLICAS, World, of_iris, of_others};

/// How often each fault strikes.
const TIMES: u32 = 20;

/// What is asked. Most of the connections are idle most of the time: whoever waits for a target that says nothing keeps
/// nobody else from asking.
const RATE: u32 = 1_000;
const CONNECTIONS: usize = 256;

/// Before the first fault.
const CALM: Duration = Duration::from_secs(5);

/// A fault lasts so long, and so long nothing is done after it.
const LASTS: Duration = Duration::from_secs(2);
const RESTS: Duration = Duration::from_secs(2);

/// How long replicas and targets may take to be complete again.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer is slow that takes more times than this the time within which 99 of 100 come while nothing happens.
const TIMES_P99: u32 = 5;

const COLUMNS: &[&str] = &[
    "well p50 ms",
    "well max ms",
    "longest p50 ms",
    "longest max ms",
    "slow",
    "failed",
    "requests",
    "slow from ms",
];

/// What is done to whom.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// A signal to the replica that runs longest.
    Signal(&'static str),
    /// A signal to the replica that got the last one.
    SignalAgain(&'static str),
    /// A word to one of two targets of others. It is a new one each time: one that has failed rests longer when it fails again.
    Word(&'static str),
}

/// A fault, and what ends it.
struct Fault {
    name: &'static str,
    act: Act,
    end: Option<(&'static str, Act)>,
    request: fn() -> Result<Request, String>,
}

const FAULTS: &[Fault] = &[
    Fault { name: "kill -9 of a replica", act: Act::Signal("-KILL"), end: None, request: of_iris },
    Fault {
        name: "kill -STOP of a replica",
        act: Act::Signal("-STOP"),
        end: Some(("  then kill -CONT", Act::SignalAgain("-CONT"))),
        request: of_iris,
    },
    Fault {
        name: "a target of others answers 500",
        act: Act::Word("fail"),
        end: Some(("  then 200", Act::Word("answer"))),
        request: of_others,
    },
    Fault {
        name: "a target of others says nothing",
        act: Act::Word("hang"),
        end: Some(("  then breaks off, and answers", Act::Word("answer"))),
        request: of_others,
    },
];

/// Those who suffer.
struct Victims {
    platform: Platform,
    target: Engine,
    replica: String,
    sound: SocketAddr,
    /// Targets that have not failed yet, of the one that does what it is told.
    fresh: Vec<SocketAddr>,
}

/// When something was done, and until when what followed from it is looked at.
#[derive(Debug, Clone, Copy)]
struct Window {
    start: Duration,
    end: Duration,
    /// Whether requests count that were under way at the start. Those of a fault are not those of its end.
    counts_under_way: bool,
}

/// What followed.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// From the act on, until requests were sent that were all answered well.
    well: Duration,
    longest: Duration,
    n_slow: usize,
    n_failed: usize,
    n_requests: usize,
}

pub(super) fn measure(forebay: &Forebay) -> Result<Table, String> {
    let addresses = |n: u32| (0..n).map(|_| free_address()).collect::<Result<Vec<SocketAddr>, String>>();
    let target = |name: &str, addresses: &[SocketAddr]| {
        let mut command = pinned(LOAD_CORE, &program("faulty"));
        command.arg(ANSWER).args(addresses.iter().map(SocketAddr::to_string));
        Engine::start(name, command)
    };
    let (sound, fresh) = (addresses(1)?, addresses(TIMES * 2)?);
    let _sound = target("sound target", &sound)?;
    let world = World { port: free_address()?.port(), targets: &[sound[0], fresh[0]], rules: String::new() };
    let mut victims = Victims {
        target: target("faulty target", &fresh)?,
        platform: world.start(forebay, "recovery")?,
        replica: String::new(),
        sound: sound[0],
        fresh,
    };
    let mut rows = Vec::new();
    for fault in FAULTS {
        rows.extend(fault.measure(&mut victims)?);
    }
    let notes = vec![
        format!(
            "each fault {TIMES} times, under {RATE} requests a second over {CONNECTIONS} connections to {N_REPLICAS} replicas, \
             or 2 targets of others"
        ),
        format!(
            "well: from the fault on, until all requests that are sent are answered with 200, and none of them slowly: in more \
             than {TIMES_P99} × p99 before the first fault, and more than any then"
        ),
        "longest: of the requests that were under way or sent meanwhile".to_owned(),
    ];
    Ok(Table { name: "recovery", notes, columns: COLUMNS, rows })
}

// === impl Fault ===

impl Fault {
    /// Lets it strike again and again, and looks at those who ask meanwhile.
    fn measure(&self, victims: &mut Victims) -> Result<Vec<Row>, String> {
        eprintln!("xtask: {}", self.name);
        let (request, address) = ((self.request)()?, victims.platform.address);
        victims.platform.server.wait_for(|_| request.send(address))?;
        let seconds = (CALM + (LASTS + RESTS + PATIENCE) * TIMES).as_secs();
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let pace = Pace { rate: RATE, connections: CONNECTIONS, seconds };
        let mut asking = Asking::start("recovery", address, &request, pace)?;
        sleep(CALM);
        let (mut faults, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            victims.must_be_whole()?;
            if let Act::Word(_) = self.act {
                victims.get_fresh_target()?;
            }
            let start = now();
            victims.suffer(self.act)?;
            sleep(LASTS);
            let middle = now();
            if let Some((_, act)) = self.end {
                victims.suffer(act)?;
            }
            sleep(RESTS);
            let end = now();
            let fault_end = if self.end.is_some() { middle } else { end };
            faults.push(Window { start, end: fault_end, counts_under_way: true });
            ends.push(Window { start: middle, end, counts_under_way: false });
        }
        asking.stop();
        let asked = asking.finish()?;
        let first = faults.first().map(|window| window.start).unwrap_or_default();
        let bar = bar(&asked, first).ok_or("nothing was asked before the first fault")?;
        let row = |name: &str, windows: &[Window]| (name.to_owned(), figures(&asked, windows, bar));
        Ok([row(self.name, &faults)].into_iter().chain(self.end.map(|(name, _)| row(name, &ends))).collect())
    }
}

/// What is slow: nearly nothing was, before the first fault.
fn bar(asked: &[Asked], first: Duration) -> Option<Duration> {
    let calm = asked.iter().filter(|asked| asked.sent() + asked.took < first).map(|asked| asked.took);
    let mut calm: Vec<Duration> = calm.collect();
    calm.sort_unstable();
    let p99 = calm.get(calm.len() * 99 / 100)?;
    Some((*p99 * TIMES_P99).max(*calm.last()?))
}

fn figures(asked: &[Asked], windows: &[Window], bar: Duration) -> Vec<Option<f64>> {
    let outcomes: Vec<Outcome> = windows.iter().map(|window| window.outcome(asked, bar)).collect();
    let well = milliseconds(outcomes.iter().map(|outcome| outcome.well));
    let longest = milliseconds(outcomes.iter().map(|outcome| outcome.longest));
    let sum = |of: fn(&Outcome) -> usize| count(outcomes.iter().map(of).sum());
    vec![
        part(&well, 500),
        part(&well, 1000),
        part(&longest, 500),
        part(&longest, 1000),
        sum(|outcome| outcome.n_slow),
        sum(|outcome| outcome.n_failed),
        sum(|outcome| outcome.n_requests),
        Some(bar.as_secs_f64() * 1e3),
    ]
}

// === impl Victims ===

impl Victims {
    fn suffer(&mut self, act: Act) -> Result<(), String> {
        match act {
            Act::Signal(kind) => {
                let replicas = self.platform.replicas();
                self.replica = replicas.into_iter().next().ok_or("there is no replica")?;
                signal(kind, [&self.replica]);
            }
            Act::SignalAgain(kind) => signal(kind, [&self.replica]),
            Act::Word(word) => drop(self.target.ask(word)?),
        }
        Ok(())
    }

    /// Waits until all replicas run.
    fn must_be_whole(&self) -> Result<(), String> {
        wait_until("a replica does not come back", || Ok(self.platform.replicas().len() == N_REPLICAS))
    }

    /// Puts a target that has not failed yet in the place of the one that has, and waits until it is asked.
    fn get_fresh_target(&mut self) -> Result<(), String> {
        let fresh = self.fresh.pop().ok_or("there is no target left")?;
        self.platform.apply(&service(&[self.sound, fresh]))?;
        wait_until("a target does not become healthy", || self.platform.is_healthy(fresh))?;
        sleep(RESTS);
        Ok(())
    }
}

fn wait_until(problem: &str, mut is_true: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
    let start = Instant::now();
    while !is_true()? {
        if start.elapsed() > PATIENCE {
            return Err(problem.to_owned());
        }
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

// === impl Window ===

impl Window {
    fn outcome(self, asked: &[Asked], bar: Duration) -> Outcome {
        let is_under_way = |asked: &Asked| self.counts_under_way && asked.sent() + asked.took > self.start;
        let is_in =
            |asked: &&Asked| asked.sent() < self.end && (asked.sent() >= self.start || is_under_way(asked));
        let inside: Vec<&Asked> = asked.iter().filter(is_in).collect();
        let is_slow = |asked: &Asked| asked.is_success && asked.took > bar;
        let bad = inside.iter().filter(|asked| !asked.is_success || is_slow(asked));
        Outcome {
            well: bad.map(|asked| asked.sent().saturating_sub(self.start)).max().unwrap_or_default(),
            longest: inside.iter().map(|asked| asked.took).max().unwrap_or_default(),
            n_slow: inside.iter().filter(|asked| is_slow(asked)).count(),
            n_failed: inside.iter().filter(|asked| !asked.is_success).count(),
            n_requests: inside.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_well_when_no_request_is_sent_any_more_that_is_slow_or_fails() {
        let ms = Duration::from_millis;
        let asked = |due, took, is_success| Asked { due: ms(due), waited: ms(0), took: ms(took), is_success };
        let all = [
            asked(100, 2, true),
            asked(995, 300, true),
            asked(1010, 40, false),
            asked(1200, 11, true),
            asked(1300, 10, true),
            asked(2100, 500, false),
        ];
        let window = Window { start: ms(1000), end: ms(2000), counts_under_way: true };
        let (well, longest) = (ms(200), ms(300));
        let outcome = Outcome { well, longest, n_slow: 2, n_failed: 1, n_requests: 4 };
        assert_eq!(window.outcome(&all, ms(10)), outcome);
        assert_eq!(window.outcome(&all[..1], ms(10)).well, ms(0));
        let window = Window { counts_under_way: false, ..window };
        let outcome = Outcome { well, longest: ms(40), n_slow: 1, n_failed: 1, n_requests: 3 };
        assert_eq!(window.outcome(&all, ms(10)), outcome);
        assert_eq!(bar(&all, ms(1000)), Some(ms(10)));
        assert_eq!(bar(&all, ms(50)), None);
    }
}
