//! `kubectl exec` and `kubectl attach`: a command beside a container, or what a container says, over one connection.
//!
//! ```text
//! channels of WebSocket: 0 input, 1 output, 2 errors, 3 how it ended, 4 size of the terminal, 255 end of a channel (v5)
//! streams of SPDY, by their header `streamtype`: stdin, stdout, stderr, error, resize
//! ```

use std::time::Duration;

use bytes::Bytes;
use manifest::Object;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::{Call, log};
use super::link::{self, Frames, Gone, Messages, Outlet};
use super::{Wire, spdy};
use crate::local::{
    CommandEnd, ContainerName, Input, LogQuery, LogStream, Output, Place, Running, Stdin, Wanted,
};
use crate::store::{Reason, Status};

/// What is run, and what is wanted of it.
#[derive(Debug)]
pub(super) struct Session {
    wanted: Wanted,
    subject: Subject,
}

#[derive(Debug)]
enum Subject {
    /// A command beside a container.
    Command { place: Box<Place>, command: Vec<String> },
    /// What a container says, and its input, where it has one.
    Container { said: Box<LogStream>, stdin: Option<Stdin> },
}

/// Where each of the things that are said goes.
#[derive(Debug, Clone)]
struct Voice {
    outlet: Outlet,
    /// The streams of SPDY; none: channels of WebSocket.
    streams: Option<Streams>,
}

/// The streams that a client has opened, by what they are for.
#[derive(Debug, Clone, Copy, Default)]
struct Streams {
    stdin: Option<u32>,
    stdout: Option<u32>,
    stderr: Option<u32>,
    error: Option<u32>,
    resize: Option<u32>,
}

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const END: u8 = 255;

/// How long a client may take to open its streams.
const STREAMS_PATIENCE: Duration = Duration::from_secs(30);
/// What is told a command and not yet taken, and what it said and nobody took.
const WAITING: usize = 8;
/// The longest command line, in bytes.
const COMMAND_LIMIT: usize = 128 << 10;
/// `^C`. Whoever attaches a terminal to a container whose input is nobody's would not get out otherwise.
const INTERRUPT: u8 = 3;

const NO_INPUT: &str = "note: the container has no standard input, as `stdin: true` would give it, so only what it says is \
                        attached to; `kubectl exec` runs a command with input";

// === impl Call ===

impl Call<'_> {
    /// A command beside a container.
    pub(super) fn exec(&self, pod: &Object, running: &Running) -> Result<Session, Status> {
        let command: Vec<String> = self.parameters.all("command").map(str::to_owned).collect();
        if command.iter().map(String::len).sum::<usize>() > COMMAND_LIMIT {
            return Err(Status::new(Reason::BadRequest, "the command is longer than 128 KiB"));
        }
        if command.first().is_none_or(String::is_empty) {
            return Err(Status::new(
                Reason::BadRequest,
                "you must specify at least 1 command for the container",
            ));
        }
        let name = self.container_name(pod)?;
        let Some(place) = running.find(&name) else {
            let message = format!("container {} of pod {} does not run now", name.container, name.pod);
            return Err(Status::new(Reason::BadRequest, message));
        };
        Ok(Session { wanted: self.wanted()?, subject: Subject::Command { place: Box::new(place), command } })
    }

    /// What a container says from now on.
    pub(super) fn attach(&self, pod: &Object, running: &Running) -> Result<Session, Status> {
        let name = self.container_name(pod)?;
        let Some(place) = running.find(&name) else {
            let message = format!("container {} of pod {} does not run now", name.container, name.pod);
            return Err(Status::new(Reason::BadRequest, message));
        };
        let ContainerName { namespace, pod, container } = name;
        let stdin = place.stdin();
        // Who is the only one to hear it misses nothing.
        let tail_lines = (!stdin.as_ref().is_some_and(Stdin::is_for_one)).then_some(0);
        let query = LogQuery { namespace, pod, container, tail_lines, ..LogQuery::default() };
        let logs = self.api.machine.as_ref().map(|machine| &machine.logs);
        let stream = logs.map(|logs| logs.follow(&query)).transpose()?;
        let stream =
            stream.ok_or_else(|| Status::new(Reason::ServiceUnavailable, "there are no logs here"))?;
        let subject = Subject::Container { said: Box::new(stream), stdin };
        Ok(Session { wanted: self.wanted()?, subject })
    }

    fn container_name(&self, pod: &Object) -> Result<ContainerName, Status> {
        Ok(ContainerName {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            container: log::container(pod, self.parameters.text("container"))?,
        })
    }

    fn wanted(&self) -> Result<Wanted, Status> {
        let terminal = self.parameters.is_on("tty");
        let wanted = Wanted {
            stdin: self.parameters.is_on("stdin"),
            stdout: self.parameters.is_on("stdout"),
            stderr: self.parameters.is_on("stderr") && !terminal,
            terminal,
        };
        if wanted.stdin || wanted.stdout || wanted.stderr {
            return Ok(wanted);
        }
        Err(Status::new(Reason::BadRequest, "at least one of stdin, stdout, stderr must be on"))
    }
}

// === impl Session ===

impl Session {
    pub(super) async fn run(self, stream: impl AsyncRead + AsyncWrite + 'static, wire: Wire) {
        match wire {
            Wire::Channels => {
                link::over_messages(stream, async |messages: &mut Messages<_>, outlet: Outlet| {
                    let voice = Voice { outlet, streams: None };
                    self.converse(&voice, async |tell| hear_messages(messages, tell).await).await;
                })
                .await;
            }
            Wire::Spdy { is_in_websocket } => {
                link::over_frames(stream, is_in_websocket, async |frames: &mut Frames<_>, outlet: Outlet| {
                    let opening = timeout(STREAMS_PATIENCE, self.wait_for_streams(frames, &outlet));
                    let Ok(Some(streams)) = opening.await else { return };
                    let voice = Voice { outlet, streams: Some(streams) };
                    self.converse(&voice, async |tell| hear_frames(frames, streams, tell).await).await;
                    voice.end_streams().await;
                })
                .await;
            }
        }
    }

    /// Runs what is to be run. It ends when that ends, or when the client has gone.
    async fn converse(self, voice: &Voice, hear: impl AsyncFnOnce(mpsc::Sender<Input>)) {
        let (tell, input) = mpsc::channel(WAITING);
        let (output, mut said) = mpsc::channel(WAITING);
        let running = self.attend(input, output, voice);
        let speaking = async {
            while let Some(output) = said.recv().await {
                if voice.say(&output).await.is_err() {
                    return;
                }
            }
        };
        let conversation = async { tokio::join!(running, speaking).0 };
        let end = tokio::select! {
            end = conversation => end,
            () = hear(tell) => return,
            () = voice.outlet.closed() => return,
        };
        let _ = voice.tell_end(&end).await;
    }

    /// Runs the subject to its end; gives what is told of the end.
    async fn attend(
        self,
        input: mpsc::Receiver<Input>,
        output: mpsc::Sender<Output>,
        voice: &Voice,
    ) -> Value {
        match self.subject {
            Subject::Command { place, command } => match place.start(&command, self.wanted).await {
                Ok(running) => told(running.run(input, output).await),
                Err(error) => {
                    let program = command.first().map_or("", String::as_str);
                    let _ =
                        voice.say(&complaint(self.wanted, &format!("cannot run `{program}`: {error}"))).await;
                    not_started(&error)
                }
            },
            Subject::Container { said: mut lines, stdin } => {
                let stdin = stdin.filter(|_| self.wanted.stdin);
                if self.wanted.stdin && stdin.is_none() {
                    let _ = voice.say(&complaint(self.wanted, NO_INPUT)).await;
                }
                let is_terminal = self.wanted.terminal;
                let listening = async {
                    match stdin {
                        Some(stdin) => stdin.feed(input, is_terminal).await,
                        None => interrupted(input, is_terminal).await,
                    }
                };
                tokio::select! {
                    () = follow(&mut lines, self.wanted, output) => {}
                    () = listening => {}
                }
                success()
            }
        }
    }

    /// Waits until the client has opened every stream that it asked for.
    async fn wait_for_streams<S: AsyncRead>(
        &self,
        frames: &mut Frames<S>,
        outlet: &Outlet,
    ) -> Option<Streams> {
        let mut encoder = spdy::Encoder::default();
        let mut streams = Streams::default();
        loop {
            let spdy::Frame::Open { stream, headers, .. } = frames.next().await? else { continue };
            let kind = headers.iter().find(|(name, _)| name == "streamtype").map(|(_, value)| value.as_str());
            let slot = match kind {
                Some("stdin") => &mut streams.stdin,
                Some("stdout") => &mut streams.stdout,
                Some("stderr") => &mut streams.stderr,
                Some("error") => &mut streams.error,
                Some("resize") => &mut streams.resize,
                _ => {
                    outlet.frame(spdy::reset(stream)).await.ok()?;
                    continue;
                }
            };
            *slot = Some(stream);
            outlet.frame(encoder.reply(stream)).await.ok()?;
            let Wanted { stdin, stdout, stderr, terminal } = self.wanted;
            let needed = [
                (true, streams.error),
                (stdin, streams.stdin),
                (stdout, streams.stdout),
                (stderr, streams.stderr),
                (terminal, streams.resize),
            ];
            if needed.iter().all(|(is_wanted, stream)| !is_wanted || stream.is_some()) {
                return Some(streams);
            }
        }
    }
}

/// Passes on what a container says. The log keeps lines, a terminal wants them to return, too.
async fn follow(lines: &mut LogStream, wanted: Wanted, output: mpsc::Sender<Output>) {
    while let Some(mut text) = lines.next().await {
        if wanted.terminal {
            text = String::from_utf8_lossy(&text).replace('\n', "\r\n").into_bytes();
        }
        let said = if wanted.stdout { Output::Stdout(text.into()) } else { Output::Stderr(text.into()) };
        if output.send(said).await.is_err() {
            return;
        }
    }
}

/// Waits for somebody at a terminal to have enough.
async fn interrupted(mut input: mpsc::Receiver<Input>, is_terminal: bool) {
    while let Some(told) = input.recv().await {
        if is_terminal && matches!(&told, Input::Bytes(bytes) if bytes.contains(&INTERRUPT)) {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Hears what a client says on the channels of WebSocket, until it says nothing more.
async fn hear_messages<S: AsyncRead>(messages: &mut Messages<S>, tell: mpsc::Sender<Input>) {
    while let Some(mut message) = messages.next().await {
        if message.is_empty() {
            continue;
        }
        let input = match message.split_to(1)[0] {
            STDIN => Some(Input::Bytes(message)),
            RESIZE => size(&message),
            END if *message == [STDIN] => Some(Input::End),
            _ => None,
        };
        if let Some(input) = input
            && tell.send(input).await.is_err()
        {
            // Whoever was told has ended; what else is said is dropped until the client knows.
            continue;
        }
    }
}

/// Hears what a client says on the streams of SPDY, until it says nothing more.
async fn hear_frames<S: AsyncRead>(frames: &mut Frames<S>, streams: Streams, tell: mpsc::Sender<Input>) {
    while let Some(frame) = frames.next().await {
        let (inputs, is_last) = match frame {
            spdy::Frame::Data { stream, bytes, is_last } if Some(stream) == streams.stdin => {
                ((!bytes.is_empty()).then_some(Input::Bytes(bytes)), is_last)
            }
            spdy::Frame::Data { stream, bytes, .. } if Some(stream) == streams.resize => {
                (size(&bytes), false)
            }
            spdy::Frame::Reset { stream } if Some(stream) == streams.stdin => (None, true),
            _ => (None, false),
        };
        for input in inputs.into_iter().chain(is_last.then_some(Input::End)) {
            let _ = tell.send(input).await;
        }
    }
}

/// The size of a terminal, as a client words it.
fn size(text: &[u8]) -> Option<Input> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let number = |name: &str| u16::try_from(value[name].as_u64()?).ok();
    Some(Input::Resize(number("Width")?, number("Height")?))
}

// === how it ended ===

fn success() -> Value {
    json!({ "metadata": {}, "status": "Success" })
}

fn told(end: CommandEnd) -> Value {
    match end {
        CommandEnd::Code(0) => success(),
        CommandEnd::Code(code) => exited(code, &format!("exit status {code}")),
        CommandEnd::OutOfMemory => exited(137, "it used more memory than its container may"),
        CommandEnd::WithContainer => exited(137, "its container has ended"),
        CommandEnd::Unwanted => success(),
    }
}

/// What shells say: 127 for a program that is not there, 126 for one that cannot be run.
fn not_started(error: &std::io::Error) -> Value {
    let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
    exited(code, &format!("exit status {code}"))
}

fn exited(code: i32, why: &str) -> Value {
    let message = format!("command terminated with non-zero exit code: {why}");
    let causes = json!([{ "reason": "ExitCode", "message": code.to_string() }]);
    json!({
        "metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode",
        "details": { "causes": causes },
    })
}

/// A line of ours, where the client shows what it is not told by the command.
fn complaint(wanted: Wanted, text: &str) -> Output {
    match wanted {
        Wanted { stderr: true, .. } => Output::Stderr(Bytes::from(format!("{text}\n"))),
        Wanted { terminal: true, .. } => Output::Stdout(Bytes::from(format!("{text}\r\n"))),
        _ => Output::Stdout(Bytes::from(format!("{text}\n"))),
    }
}

// === impl Voice ===

impl Voice {
    async fn say(&self, output: &Output) -> Result<(), Gone> {
        let (channel, bytes) = match output {
            Output::Stdout(bytes) => (STDOUT, bytes),
            Output::Stderr(bytes) => (STDERR, bytes),
        };
        self.on(channel, bytes).await
    }

    async fn tell_end(&self, end: &Value) -> Result<(), Gone> {
        self.on(ERROR, end.to_string().as_bytes()).await
    }

    async fn on(&self, channel: u8, bytes: &[u8]) -> Result<(), Gone> {
        let Some(streams) = &self.streams else { return self.outlet.channel(channel, bytes).await };
        let stream = match channel {
            STDOUT => streams.stdout,
            STDERR => streams.stderr.or(streams.stdout),
            _ => streams.error,
        };
        match stream {
            Some(stream) => self.outlet.frame(spdy::data(stream, bytes, false)).await,
            None => Ok(()),
        }
    }

    async fn end_streams(&self) {
        let Some(Streams { stdin, stdout, stderr, error, resize }) = self.streams else { return };
        for stream in [stdout, stderr, stdin, resize, error].into_iter().flatten() {
            let _ = self.outlet.frame(spdy::data(stream, &[], true)).await;
        }
    }
}
