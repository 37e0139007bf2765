//! The stream that an operator asked for: a file, or what the process prints.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use prometheus_client::metrics::counter::Counter;
use tracing::warn;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// The end of a file, which is made if it is not there, and opened anew when it was moved away.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A sink that is open.
pub(super) struct Out {
    opened: Opened,
    is_failing: bool,
}

enum Opened {
    File { path: PathBuf, file: File },
    Stdout,
    Stderr,
}

// === impl Out ===

impl Out {
    pub(super) fn open(sink: Sink) -> io::Result<Self> {
        let opened = match sink {
            Sink::File(path) => Opened::File { file: open_at_the_end(&path)?, path },
            Sink::Stdout => Opened::Stdout,
            Sink::Stderr => Opened::Stderr,
        };
        Ok(Self { opened, is_failing: false })
    }

    /// Writes lines, or counts them as dropped.
    pub(super) fn write(&mut self, bytes: &[u8], n_lines: u64, dropped: &Counter) {
        match self.opened.write(bytes) {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                dropped.inc_by(n_lines);
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(%error, "the access log takes nothing; lines are dropped until it does");
                }
            }
        }
    }
}

impl Opened {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File { path, file } => {
                if was_moved_away(path, file) {
                    *file = open_at_the_end(path)?;
                }
                file.write_all(bytes)
            }
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(bytes),
        }
    }
}

/// Who asks for what, and with which tokens in the query, is nobody else's business.
fn open_at_the_end(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Whether another file, or none, stands at the path: that is how logs are rotated.
fn was_moved_away(path: &Path, file: &File) -> bool {
    let same = |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(open)) => !same(&there, &open),
        (Err(error), _) => error.kind() == io::ErrorKind::NotFound,
        (Ok(_), Err(_)) => false,
    }
}
