//! The arguments of this process, and how those with passwords are kept out of the list of processes, which every user of a
//! machine can read.
//!
//! Such arguments stand there with stars. The real ones come through a pipe that the last argument names: from the platform on
//! standard input (`--arguments-from=/dev/stdin`), or from this very program, which starts itself anew in its process.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use manifest::{ARGUMENTS_FROM, starred_uri};
use rustix::io::{FdFlags, fcntl_setfd};
use tracing::warn;

/// How many bytes a pipe takes before anybody reads (pipe(7)).
const PIPE_BYTES: usize = 65_536;

/// The arguments of this process, the name of the program before them.
#[derive(Debug)]
pub(crate) struct Arguments {
    all: Vec<OsString>,
    were_handed_over: bool,
}

impl Arguments {
    /// Those that the process was started with, or those that are handed over.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let mut all: Vec<OsString> = std::env::args_os().collect();
        let last = all.last().and_then(|last| last.to_str());
        let Some(path) = last.and_then(|last| last.strip_prefix(ARGUMENTS_FROM)) else {
            return Ok(Self { all, were_handed_over: false });
        };
        let handed_over: Vec<String> = serde_json::from_slice(&first_line(path)?)?;
        all.truncate(1);
        all.extend(handed_over.into_iter().map(OsString::from));
        Ok(Self { all, were_handed_over: true })
    }

    pub(crate) fn all(&self) -> &[OsString] {
        &self.all
    }

    /// Starts this program anew with stars in its arguments, if they hold secrets. Nothing happens if they hold none.
    pub(crate) fn hide_secrets(&self) {
        let arguments: Option<Vec<&str>> =
            self.all.iter().skip(1).map(|argument| argument.to_str()).collect();
        let Some(arguments) = arguments.filter(|_| !self.were_handed_over) else { return };
        let shown: Vec<String> = arguments.iter().map(|argument| starred_uri(argument)).collect();
        if shown == arguments {
            return;
        }
        let Err(error) = start_anew(&arguments, &shown);
        warn!(%error, "the arguments hold a password, and every user of this machine can read it in the list of processes");
    }
}

/// Replaces this program by itself.
fn start_anew(arguments: &[&str], shown: &[String]) -> io::Result<std::convert::Infallible> {
    let line = serde_json::to_string(arguments)? + "\n";
    if line.len() > PIPE_BYTES {
        return Err(io::Error::other("they are too long to be handed over"));
    }
    let program = std::env::current_exe()?;
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(line.as_bytes())?;
    // The only one that the program after this one is to find open.
    fcntl_setfd(&reader, FdFlags::empty())?;
    let from = format!("{ARGUMENTS_FROM}/dev/fd/{}", reader.as_raw_fd());
    Err(Command::new(program).args(shown).arg(from).exec())
}

/// The first line of a pipe, and no byte of what comes after it.
fn first_line(path: &str) -> io::Result<Vec<u8>> {
    let mut pipe = std::fs::File::open(path)?;
    let (mut line, mut byte) = (Vec::new(), [0]);
    while pipe.read(&mut byte)? > 0 && byte != *b"\n" {
        line.push(byte[0]);
    }
    Ok(line)
}
