//! One child process: started in a process group of its own, signalled without races, and gone with all its children.
//!
//! Nobody who has one is ever held up by it. A program that is slow to be opened is started on a thread of its own, and what
//! has ended is taken off the kernel's list by another one: for a process whose threads many look at in `/proc`, Linux may
//! need seconds for that, and one that somebody traces (`ptrace`) stays for as long as they like.

use std::io::{self, PipeReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpgid, kill_process, kill_process_group, waitid,
};
use tokio::signal::unix::{self, SignalKind};
use tokio::task::spawn_blocking;

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
    /// Whether its input stays open.
    pub(super) has_input: bool,
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
    /// There until the process has ended.
    child: Option<Child>,
    /// Its number, which is also its group's.
    pid: Pid,
    /// Tells that some child has ended, from before this one was started.
    child_ended: unix::Signal,
    /// Open as long as this is: our own replicas end when it closes, however this process ends.
    stdin: Option<ChildStdin>,
    exit: Option<Exit>,
}

impl Process {
    /// Starts a process; gives the end of the pipe that its output and its errors go to.
    pub(super) async fn start(launch: &Launch) -> io::Result<(Self, PipeReader)> {
        let (output, writer) = io::pipe()?;
        let errors = writer.try_clone()?.into();
        let input = if launch.has_input { Stdio::piped() } else { Stdio::null() };
        let ends = Ends { input, output: writer.into(), errors, in_terminal: false };
        Ok((Self::start_with(launch, ends).await?, output))
    }

    /// Starts a process whose output nobody wants.
    pub(super) async fn start_silently(launch: &Launch) -> io::Result<Self> {
        let ends =
            Ends { input: Stdio::piped(), output: Stdio::null(), errors: Stdio::null(), in_terminal: false };
        Self::start_with(launch, ends).await
    }

    /// Starts a process on these ends. Its process group is its own, in a terminal its session, too. When nobody waits for
    /// the start any more, the process ends as soon as it has started.
    pub(super) async fn start_with(launch: &Launch, ends: Ends) -> io::Result<Self> {
        let child_ended = unix::signal(SignalKind::child())?;
        let launch = launch.clone();
        // Whoever forks waits until the program was opened, which takes as long as the disk that it is on.
        spawn_blocking(move || Self::spawn(&launch, ends, child_ended)).await?
    }

    fn spawn(launch: &Launch, ends: Ends, child_ended: unix::Signal) -> io::Result<Self> {
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
        let pid = Pid::from_child(&child);
        Ok(Self { child: Some(child), pid, child_ended, stdin, exit: None })
    }

    /// Our end of its input, for somebody else to keep.
    pub(super) fn take_stdin(&mut self) -> Option<OwnedFd> {
        self.stdin.take().map(OwnedFd::from)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Sends a signal to the process and its children, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if self.exit.is_some() {
            return;
        }
        // Nobody reaped it, so the number is still its own.
        let _ = kill_process_group(self.pid, signal);
        let has_left_its_group = getpgid(Some(self.pid)).is_ok_and(|group| group != self.pid);
        if has_left_its_group {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits until the process has ended, and ends what it left behind. Dropping the future loses nothing.
    pub(super) async fn ended(&mut self) -> Exit {
        if let Some(exit) = self.exit {
            return exit;
        }
        let exit = loop {
            if let Some(exit) = self.exit_so_far() {
                break exit;
            }
            if self.child_ended.recv().await.is_none() {
                // The runtime is going away: the rest of the process's life is not waited for.
                break Exit::Signal(Signal::KILL.as_raw());
            }
        };
        self.end();
        self.exit = Some(exit);
        exit
    }

    /// How the process has ended, if it has. It only waits to be told of then, and keeps its number.
    fn exit_so_far(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), options) {
            Ok(status) => status.map(Exit::from),
            Err(Errno::CHILD) => Some(Exit::Code(-1)),
            Err(_) => None,
        }
    }

    /// Ends the process, if it has not ended, and its group.
    fn end(&mut self) {
        self.signal(Signal::KILL);
        if let Some(child) = self.child.take() {
            reap(child);
        }
    }
}

/// Takes a process that has ended, or is about to, off the kernel's list. Where there is no thread for it, it stays there for
/// as long as this process runs.
fn reap(mut child: Child) {
    let reaping = std::thread::Builder::new().name("reaper".to_owned()).stack_size(128 * 1024);
    let _ = reaping.spawn(move || child.wait());
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

impl From<WaitIdStatus> for Exit {
    fn from(status: WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::time::Duration;
    use tokio::time::timeout;

    fn shell(script: &str) -> Launch {
        Launch {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: vec![("NAME".to_owned(), "value".to_owned())],
            working_directory: Some("/".into()),
            input: None,
            has_input: true,
        }
    }

    #[tokio::test]
    async fn a_process_reads_first_what_it_is_started_with() {
        let launch = Launch { input: Some("a secret\n".to_owned()), ..shell("read line; echo \"$line\"") };
        let (mut process, mut output) = Process::start(&launch).await.unwrap();
        assert_eq!(process.ended().await, Exit::Code(0));
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a secret\n");
    }

    #[tokio::test]
    async fn a_process_has_only_the_environment_it_is_given() {
        let (mut process, mut output) =
            Process::start(&shell("echo $NAME $CARGO $(pwd); echo oops >&2; exit 3")).await.unwrap();
        assert_eq!(process.ended().await, Exit::Code(3));
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "value /\noops\n");
    }

    #[tokio::test]
    async fn signals_reach_children_and_nothing_is_left_behind() {
        let (mut process, mut output) =
            Process::start(&shell("sleep 1000 & echo started; wait")).await.unwrap();
        output.read_exact(&mut [0; 8]).unwrap();
        process.signal(Signal::TERM);
        assert_eq!(process.ended().await, Exit::Signal(15));
        // The pipe closes only when the last process that holds it has ended.
        assert_eq!(output.read(&mut [0; 8]).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_child_that_outlives_its_parent_is_ended() {
        let (mut process, mut output) = Process::start(&shell("sleep 1000 & exit 0")).await.unwrap();
        assert_eq!(process.ended().await, Exit::Code(0));
        assert_eq!(output.read(&mut [0; 8]).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_dropped_process_is_gone() {
        let (process, mut output) = Process::start(&shell("exec sleep 1000")).await.unwrap();
        drop(process);
        assert_eq!(output.read(&mut [0; 8]).unwrap(), 0);
    }

    /// A process of Perl, which makes system calls as they come, and the first line that it says.
    async fn perl(script: &str) -> (Process, String) {
        let launch = Launch {
            program: "/usr/bin/perl".into(),
            arguments: ["-MPOSIX", "-e", script].map(str::to_owned).to_vec(),
            ..shell("")
        };
        let (process, output) = Process::start(&launch).await.unwrap();
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).unwrap();
        (process, line.trim().to_owned())
    }

    fn runs(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    }

    /// Who traces a process (gdb, strace) hears of its end first, and its parent not before the tracer lets it go.
    #[tokio::test]
    async fn a_process_that_is_traced_holds_up_nobody() {
        let (prctl, ptrace) = if cfg!(target_arch = "x86_64") { (157, 101) } else { (167, 117) };
        let (process, tracer) = perl(&format!(
            "$| = 1; $traced = $$; syscall({prctl}, 0x59616d61, -1, 0, 0, 0);
             if (fork) {{ sleep 1000 }}
             setsid;
             print syscall({ptrace}, 0x4206, $traced, 0, 0) == 0 ? $$ : '', \"\n\";
             sleep 20"
        ))
        .await;
        if tracer.is_empty() {
            eprintln!("skipped: processes may not be traced here");
            return;
        }
        drop(process);
        assert!(runs(&tracer), "whoever dropped the process had to wait for its tracer");
        kill_process(Pid::from_raw(tracer.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    }

    /// A lease (fcntl(2)) keeps whoever opens a file waiting, as a disk does that is far away.
    #[tokio::test]
    async fn a_program_that_takes_long_to_be_opened_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        Command::new("cp").arg("/bin/true").arg(&program).status().unwrap();
        let (holder, held) = perl(&format!(
            "$| = 1; $SIG{{IO}} = 'IGNORE'; open(F, '<', '{}');
             print fcntl(F, 1024, 1) ? 'held' : '', \"\n\";
             sleep 20",
            program.display()
        ))
        .await;
        if held.is_empty() {
            eprintln!("skipped: there are no leases of files here");
            return;
        }
        let launch = Launch { program, ..shell("") };
        let mut starting = std::pin::pin!(Process::start_silently(&launch));
        let early = timeout(Duration::from_millis(50), &mut starting).await;
        assert!(early.is_err(), "whoever started the program had to wait until it was opened");
        drop(holder);
        assert_eq!(starting.await.unwrap().ended().await, Exit::Code(0));
    }

    #[tokio::test]
    async fn a_process_that_left_its_group_is_ended_all_the_same() {
        let (mut process, _) = perl("$| = 1; setpgrp(0, getpgrp(getppid)); print \"left\n\"; sleep 20").await;
        process.signal(Signal::TERM);
        assert_eq!(process.ended().await, Exit::Signal(15));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error() {
        let launch = Launch { program: "/does/not/exist".into(), ..shell("") };
        assert_eq!(Process::start(&launch).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
