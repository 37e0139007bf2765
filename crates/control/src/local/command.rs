//! A command that somebody runs beside a container, with its input, its output and perhaps a terminal.
//!
//! It runs in a process group of its own, and all of that group ends with the command, with the container, and with the
//! one who ran it.

use std::io::{self, PipeReader, PipeWriter};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, timeout};

use super::descriptor::Descriptor;
use super::leftovers::Leftovers;
use super::memory;
use super::process::{Ends, Exit, Launch, Process};
use super::running::Place;
use super::terminal::{self, Size, Terminal};

/// What somebody wants of a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// To write to it.
    pub stdin: bool,
    /// What it says.
    pub stdout: bool,
    /// What it complains of.
    pub stderr: bool,
    /// That it thinks it has a terminal: then all it says comes as output.
    pub terminal: bool,
}

/// What somebody tells a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Bytes for its standard input.
    Bytes(Bytes),
    /// There is no more input.
    End,
    /// The terminal has another size: columns and rows.
    Resize(u16, u16),
}

/// What a command says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// On standard output, or its terminal.
    Stdout(Bytes),
    /// On standard error.
    Stderr(Bytes),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    /// By itself or by a signal; 128 + the signal, as shells say it.
    Code(i32),
    /// It used more memory than its container may.
    OutOfMemory,
    /// Its container ended.
    WithContainer,
    /// Nobody listens any more.
    Unwanted,
}

/// A command that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Command {
    process: Process,
    input: Option<Rc<Descriptor>>,
    output: Option<Rc<Descriptor>>,
    errors: Option<Rc<Descriptor>>,
    is_terminal: bool,
    memory_limit: Option<u64>,
    container_end: watch::Receiver<()>,
    leftovers: Rc<Leftovers>,
}

/// Bytes that one read may bring.
const READ_BYTES: usize = 16 << 10;
/// How often the memory of a command is looked at.
const MEMORY_PERIOD: Duration = Duration::from_secs(1);
/// How long the end of the output is waited for after the command has ended: something that left its group may hold it.
const REST_PATIENCE: Duration = Duration::from_secs(10);
/// What a terminal takes for the end of input (`^D`).
const END_OF_TRANSMISSION: &[u8] = &[4];

// === impl Command ===

impl Command {
    pub(super) async fn start(launch: &Launch, wanted: Wanted, place: &Place) -> io::Result<Self> {
        let (process, input, output, errors) = if wanted.terminal {
            in_terminal(launch, wanted).await?
        } else {
            on_pipes(launch, wanted).await?
        };
        place.leftovers.remember(process.pid());
        Ok(Self {
            process,
            input,
            output,
            errors,
            is_terminal: wanted.terminal,
            memory_limit: place.memory_limit,
            container_end: place.end.clone(),
            leftovers: Rc::clone(&place.leftovers),
        })
    }

    /// Passes input and output until the command ends, or until nobody takes its output.
    pub async fn run(mut self, mut input: mpsc::Receiver<Input>, output: mpsc::Sender<Output>) -> CommandEnd {
        let feeding = feed(self.input.take(), self.is_terminal, &mut input);
        let pumping = async {
            tokio::join!(
                pump(self.output.take(), &output, Output::Stdout),
                pump(self.errors.take(), &output, Output::Stderr),
            );
        };
        tokio::pin!(feeding, pumping);
        let mut memory_checks = interval(MEMORY_PERIOD);
        let (pid, limit) = (self.process.pid(), self.memory_limit);
        let (mut is_fed, mut is_pumped) = (false, false);
        let end = loop {
            tokio::select! {
                exit = self.process.ended() => break CommandEnd::Code(match exit {
                    Exit::Code(code) => code,
                    Exit::Signal(signal) => 128 + signal,
                }),
                _ = self.container_end.changed() => break CommandEnd::WithContainer,
                () = output.closed() => break CommandEnd::Unwanted,
                () = &mut feeding, if !is_fed => is_fed = true,
                () = &mut pumping, if !is_pumped => is_pumped = true,
                _ = memory_checks.tick(), if limit.is_some() => {
                    if memory::resident(pid).zip(limit).is_some_and(|(used, limit)| used > limit) {
                        break CommandEnd::OutOfMemory;
                    }
                }
            }
        };
        self.process.signal(Signal::KILL);
        self.process.ended().await;
        self.leftovers.forget(pid);
        if !is_pumped {
            tokio::select! {
                _ = timeout(REST_PATIENCE, pumping) => {}
                () = output.closed() => {}
            }
        }
        end
    }
}

type Descriptors = (Process, Option<Rc<Descriptor>>, Option<Rc<Descriptor>>, Option<Rc<Descriptor>>);

async fn on_pipes(launch: &Launch, wanted: Wanted) -> io::Result<Descriptors> {
    let pipe = |is_wanted: bool| is_wanted.then(io::pipe).transpose();
    let (input, output, errors) = (pipe(wanted.stdin)?, pipe(wanted.stdout)?, pipe(wanted.stderr)?);
    let (theirs, our_input) =
        input.map_or((Stdio::null(), None), |(reader, writer)| (reader.into(), Some(writer)));
    let theirs_of = |pipe: Option<(PipeReader, PipeWriter)>| {
        pipe.map_or((Stdio::null(), None), |(reader, writer)| (Stdio::from(writer), Some(reader)))
    };
    let ((output, our_output), (errors, our_errors)) = (theirs_of(output), theirs_of(errors));
    let process =
        Process::start_with(launch, Ends { input: theirs, output, errors, in_terminal: false }).await?;
    Ok((
        process,
        our_input.map(|end| Descriptor::new(end.into())).transpose()?,
        our_output.map(|end| Descriptor::new(end.into())).transpose()?,
        our_errors.map(|end| Descriptor::new(end.into())).transpose()?,
    ))
}

async fn in_terminal(launch: &Launch, wanted: Wanted) -> io::Result<Descriptors> {
    let Terminal { ours, theirs } = terminal::open()?;
    let end = || theirs.try_clone().map(Stdio::from);
    let ends = Ends { input: end()?, output: end()?, errors: end()?, in_terminal: true };
    let process = Process::start_with(launch, ends).await?;
    drop(theirs);
    let ours = Descriptor::new(ours)?;
    // Without a reader the terminal would fill up: what nobody wants is read and dropped.
    Ok((process, wanted.stdin.then(|| Rc::clone(&ours)), Some(ours), None))
}

/// Writes what is told into a command. Without input, sizes are dropped too: they are the terminal's, which is its input.
async fn feed(descriptor: Option<Rc<Descriptor>>, is_terminal: bool, input: &mut mpsc::Receiver<Input>) {
    let mut descriptor = descriptor;
    while let Some(told) = input.recv().await {
        let Some(open) = &descriptor else { continue };
        let written = match told {
            Input::Bytes(bytes) => open.write_all(&bytes).await,
            Input::End if is_terminal => open.write_all(END_OF_TRANSMISSION).await,
            Input::End => {
                descriptor = None;
                continue;
            }
            Input::Resize(columns, rows) if is_terminal => {
                terminal::resize(open.as_fd(), Size { columns, rows })
            }
            Input::Resize(..) => Ok(()),
        };
        if written.is_err() {
            // It has closed its input, and may go on all the same.
            descriptor = None;
        }
    }
}

/// Passes on what a command says.
async fn pump(from: Option<Rc<Descriptor>>, to: &mpsc::Sender<Output>, as_output: fn(Bytes) -> Output) {
    let Some(from) = from else { return };
    let mut buffer = vec![0; READ_BYTES];
    // A terminal whose other end is closed gives an error, which is its end.
    while let Ok(n_bytes @ 1..) = from.read(&mut buffer).await {
        if to.send(as_output(Bytes::copy_from_slice(&buffer[..n_bytes]))).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
