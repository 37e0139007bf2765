//! Signals: what tells a command to end, to read its files again, or nothing.

use std::fs::File;
use std::io::{self, IsTerminal as _};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::commands::End;

/// The signals of this process, from the moment at which somebody began to listen. None that comes later is lost, and
/// none but SIGINT, SIGTERM and the end of the terminal ends the process.
pub(crate) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
    /// Not told of: that somebody listens is what keeps them from ending the process.
    _ignored: [io::Result<Signal>; 2],
    terminal: Terminal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To finish what is begun, and end.
    End(End),
    /// To read the files again: SIGHUP from somebody, rather than from a terminal that was closed.
    ReadAgain,
}

// === impl Signals ===

impl Signals {
    /// Begins to listen. Where that fails the system ends the process, as it does any other.
    pub(crate) fn listen() -> Self {
        let listen = |kind| signal(kind).ok();
        Self {
            interrupt: listen(SignalKind::interrupt()),
            terminate: listen(SignalKind::terminate()),
            // Whoever started us with `nohup` does not want to hear of it.
            hangup: if is_hangup_ignored() { None } else { listen(SignalKind::hangup()) },
            _ignored: [signal(SignalKind::user_defined1()), signal(SignalKind::user_defined2())],
            terminal: Terminal::of_this_process(),
        }
    }

    /// The next signal that asks for anything.
    pub(crate) async fn next(&mut self) -> Wish {
        tokio::select! {
            () = next(&mut self.interrupt) => Wish::End(End::Interrupted),
            () = next(&mut self.terminate) => Wish::End(End::Done),
            () = next(&mut self.hangup) => match self.terminal.has_gone() {
                true => {
                    self.terminal.forget();
                    Wish::End(End::Done)
                }
                false => Wish::ReadAgain,
            },
        }
    }

    /// Waits until somebody wants this process to end, or standard input ends if that counts. There is nothing to read
    /// again, which is said to people; a replica, whose platform has its input, hears of hangups by accident only.
    pub(crate) async fn end(mut self, stdin_counts: bool) -> End {
        let wished = async {
            loop {
                match self.next().await {
                    Wish::End(end) => return end,
                    Wish::ReadAgain if stdin_counts => {}
                    Wish::ReadAgain => {
                        eprintln!(
                            "SIGHUP: there are no manifests to read again; load models anew with --admin-address"
                        );
                    }
                }
            }
        };
        tokio::select! {
            end = wished => end,
            () = end_of_stdin(), if stdin_counts => End::Done,
        }
    }
}

/// The next signal of a kind; never, when nobody listens.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether this process was started with SIGHUP ignored.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores_hangup(&status)
}

/// Whether the mask of ignored signals in a `/proc/…/status` has the first one, which is SIGHUP.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// The terminal that controls this process, if one did at its start.
struct Terminal {
    was_there: bool,
    /// Whether standard output and standard error lead to it.
    has_output: bool,
    has_errors: bool,
}

impl Terminal {
    fn of_this_process() -> Self {
        Self {
            was_there: is_there(),
            has_output: io::stdout().is_terminal(),
            has_errors: io::stderr().is_terminal(),
        }
    }

    fn has_gone(&self) -> bool {
        self.was_there && !is_there()
    }

    /// Has what would be printed go nowhere: writing to a terminal that has gone is an error, which `eprintln!` does not
    /// survive.
    fn forget(&self) {
        let Ok(nowhere) = File::options().write(true).open("/dev/null") else { return };
        if self.has_output {
            let _ = rustix::stdio::dup2_stdout(&nowhere);
        }
        if self.has_errors {
            let _ = rustix::stdio::dup2_stderr(&nowhere);
        }
    }
}

/// Whether a terminal controls this process.
fn is_there() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Waits for the end of standard input on a thread that the end of the process does not wait for.
async fn end_of_stdin() {
    let (ended, has_ended) = oneshot::channel::<()>();
    let reading = std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(ended);
    });
    match reading {
        Ok(_) => drop(has_ended.await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_started_by_nohup_is_known() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("Name:\tx\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangup(""));
    }
}
