//! One child process: started in a process group of its own, signalled without races, and gone with all its children.

use std::io::{self, PipeReader, Write as _};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::signal::unix::{self, SignalKind};

use super::terminal;

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launch {
    /// A path, or a name that is looked up in `PATH`.
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    /// All of it: nothing is inherited.
    pub(super) environment: Vec<(String, String)>,
    pub(super) working_directory: Option<PathBuf>,
    /// What it reads first on its input, if that is a pipe: arguments that are not for the list of processes.
    pub(super) input: Option<String>,
}

/// How many bytes a pipe takes before anybody reads (pipe(7)).
const PIPE_BYTES: usize = 65_536;

/// What a process reads from and writes to.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) input: Stdio,
    pub(super) output: Stdio,
    pub(super) errors: Stdio,
    /// Whether the input is a terminal, which is to be the process's own.
    pub(super) in_terminal: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// By itself, with a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// A process that runs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Pid,
    /// Tells that some child has ended, from before this one was started.
    child_ended: unix::Signal,
    /// Open as long as this is: our own replicas end when it closes, however this process ends.
    _stdin: Option<ChildStdin>,
    exit: Option<Exit>,
}

impl Process {
    /// Starts a process; gives the end of the pipe that its output and its errors go to.
    pub(super) fn start(launch: &Launch) -> io::Result<(Self, PipeReader)> {
        let (output, writer) = io::pipe()?;
        let errors = writer.try_clone()?.into();
        let ends = Ends { input: Stdio::piped(), output: writer.into(), errors, in_terminal: false };
        Ok((Self::start_with(launch, ends)?, output))
    }

    /// Starts a process whose output nobody wants.
    pub(super) fn start_silently(launch: &Launch) -> io::Result<Self> {
        let ends =
            Ends { input: Stdio::piped(), output: Stdio::null(), errors: Stdio::null(), in_terminal: false };
        Self::start_with(launch, ends)
    }

    /// Starts a process on these ends. Its process group is its own, in a terminal its session, too.
    pub(super) fn start_with(launch: &Launch, ends: Ends) -> io::Result<Self> {
        let child_ended = unix::signal(SignalKind::child())?;
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .stdin(ends.input)
            .stdout(ends.output)
            .stderr(ends.errors);
        if ends.in_terminal {
            terminal::lead_session(&mut command);
        } else {
            command.process_group(0);
        }
        if let Some(folder) = &launch.working_directory {
            command.current_dir(folder);
        }
        let input = launch.input.as_deref().unwrap_or_default();
        if input.len() > PIPE_BYTES {
            return Err(io::Error::other("its arguments are too long to be handed over"));
        }
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take();
        if let Some(stdin) = &mut stdin {
            // A process that has ended already is told of elsewhere.
            let _ = stdin.write_all(input.as_bytes());
        }
        let group = Pid::from_child(&child);
        Ok(Self { child, group, child_ended, _stdin: stdin, exit: None })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process and its children, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if self.exit.is_none() {
            // Nobody reaped it, so the number is still its own.
            let _ = kill_process_group(self.group, signal);
        }
    }

    /// Waits until the process has ended, and ends what it left behind. Dropping the future loses nothing.
    pub(super) async fn ended(&mut self) -> Exit {
        if let Some(exit) = self.exit {
            return exit;
        }
        while !self.is_zombie() {
            if self.child_ended.recv().await.is_none() {
                // The runtime is going away: the rest of the process's life is not waited for.
                break;
            }
        }
        self.reap()
    }

    /// Whether the process has ended and only waits to be told of.
    fn is_zombie(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(self.group), options), Ok(Some(_)))
    }

    fn reap(&mut self) -> Exit {
        // The process is a zombie: it holds its number, which is also its group's, until it is waited for.
        let _ = kill_process_group(self.group, Signal::KILL);
        let exit = self.child.wait().map_or(Exit::Code(-1), Exit::from);
        self.exit = Some(exit);
        exit
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.reap();
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn shell(script: &str) -> Launch {
        Launch {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: vec![("NAME".to_owned(), "value".to_owned())],
            working_directory: Some("/".into()),
            input: None,
        }
    }

    #[tokio::test]
    async fn a_process_reads_first_what_it_is_started_with() {
        let launch = Launch { input: Some("a secret\n".to_owned()), ..shell("read line; echo \"$line\"") };
        let (mut process, mut output) = Process::start(&launch).unwrap();
        assert_eq!(process.ended().await, Exit::Code(0));
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a secret\n");
    }

    #[tokio::test]
    async fn a_process_has_only_the_environment_it_is_given() {
        let (mut process, mut output) =
            Process::start(&shell("echo $NAME $CARGO $(pwd); echo oops >&2; exit 3")).unwrap();
        assert_eq!(process.ended().await, Exit::Code(3));
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "value /\noops\n");
    }

    #[tokio::test]
    async fn signals_reach_children_and_nothing_is_left_behind() {
        let (mut process, mut output) = Process::start(&shell("sleep 1000 & echo started; wait")).unwrap();
        output.read_exact(&mut [0; 8]).unwrap();
        process.signal(Signal::TERM);
        assert_eq!(process.ended().await, Exit::Signal(15));
        // The pipe closes only when the last process that holds it has ended.
        assert_eq!(output.read(&mut [0; 8]).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_child_that_outlives_its_parent_is_ended() {
        let (mut process, mut output) = Process::start(&shell("sleep 1000 & exit 0")).unwrap();
        assert_eq!(process.ended().await, Exit::Code(0));
        assert_eq!(output.read(&mut [0; 8]).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_dropped_process_is_gone() {
        let (process, mut output) = Process::start(&shell("exec sleep 1000")).unwrap();
        drop(process);
        assert_eq!(output.read(&mut [0; 8]).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error() {
        let launch = Launch { program: "/does/not/exist".into(), ..shell("") };
        assert_eq!(Process::start(&launch).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
