//! Events at the end of a file, one in a line. It is opened once; whoever rotates it copies and truncates it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;
use tracing::error;

use super::{Entered, Exchange, LogCounts, LogMode};

/// Opens the file at its end. One that is new is for its owner alone: what people ask is their own business.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Writes until nobody is left to log. What was written goes to the file whenever nothing waits.
pub(super) fn write_all(
    file: File,
    path: &Path,
    mode: LogMode,
    mut entered: Receiver<Entered>,
    counts: &LogCounts,
) {
    let mut file = BufWriter::new(file);
    let mut is_well = true;
    loop {
        let next = match entered.try_recv() {
            Err(TryRecvError::Empty) => {
                note(&mut is_well, &file.flush(), path);
                entered.blocking_recv()
            }
            next => next.ok(),
        };
        match next {
            Some(Entered::Exchange(exchange)) => {
                let written = write(&mut file, &exchange, mode);
                counts.done(&exchange, written.is_ok());
                note(&mut is_well, &written, path);
            }
            Some(Entered::Flush(flushed)) => {
                note(&mut is_well, &file.flush(), path);
                let _ = flushed.send(());
            }
            None => return note(&mut is_well, &file.flush(), path),
        }
    }
}

fn write(file: &mut BufWriter<File>, exchange: &Exchange, mode: LogMode) -> io::Result<()> {
    let lines: Vec<u8> = exchange.events(mode).flat_map(|event| event.to_line()).collect();
    file.write_all(&lines)
}

/// Says that the file cannot be written, once until it can again.
fn note(is_well: &mut bool, written: &io::Result<()>, path: &Path) {
    if let (true, Err(error)) = (*is_well, written) {
        error!(path = %path.display(), %error, "predictions cannot be logged");
    }
    *is_well = written.is_ok();
}
