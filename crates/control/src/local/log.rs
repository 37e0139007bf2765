//! The logs of replicas: one line of the file per line of output, each with its time, so that it can be asked for later.
//!
//! A log belongs to one start of one container. Two starts are kept, and of each at most two files of [`FILE_BYTES`].
//! A thread per log reads what the process writes: it must never wait for us, not even for a full disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, PipeReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::Timestamp;
use plan::ObjectRef;
use tokio::sync::{oneshot, watch};

use crate::store::{Reason, Status};

/// The size at which a log goes on in a new file; the one before it is kept.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Longer lines are cut into several.
const LINE_BYTES: usize = 16 * 1024;
/// What is kept of the last lines, for the reason of an end (`FallbackToLogsOnError`).
const TAIL_LINES: usize = 80;
const TAIL_BYTES: usize = 2048;

/// All logs of the platform, in one folder: `<namespace>/<pod>/<container>/<start>.log`.
#[derive(Debug, Clone)]
pub struct Logs {
    folder: PathBuf,
    /// Logs that are being written, and how many lines they have.
    open: Rc<RefCell<BTreeMap<PathBuf, watch::Receiver<u64>>>>,
}

/// Which log, and how much of it (`kubectl logs`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// Namespace of the pod.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Its container.
    pub container: String,
    /// The start before the last one.
    pub previous: bool,
    /// Only so many lines from the end.
    pub tail_lines: Option<usize>,
    /// Only lines from this time on.
    pub since: Option<Timestamp>,
    /// Whether each line begins with its time.
    pub timestamps: bool,
}

/// Lines of a log as they come.
#[derive(Debug)]
pub struct LogStream {
    file: BufReader<File>,
    path: PathBuf,
    timestamps: bool,
    ahead: VecDeque<u8>,
    lines: Option<watch::Receiver<u64>>,
}

// === impl Logs ===

impl Logs {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, open: Rc::default() }
    }

    /// Forgets all logs but those of some pods.
    pub(super) fn keep_those_of(&self, pods: &BTreeSet<ObjectRef>) {
        let is_kept = |pod: &Path| {
            let names: Vec<_> = pod.iter().rev().take(2).filter_map(|name| name.to_str()).collect();
            let [name, namespace] = names[..] else { return false };
            pods.contains(&ObjectRef::new("Pod", namespace, name))
        };
        let entries =
            |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
        for namespace in entries(&self.folder) {
            entries(&namespace).filter(|pod| !is_kept(pod)).for_each(|pod| drop(fs::remove_dir_all(pod)));
        }
    }

    /// Keeps what comes out of a pipe. The receiver gets the last lines once the pipe is closed.
    pub(super) fn keep(
        &self,
        (namespace, pod, container): (&str, &str, &str),
        start: u32,
        output: PipeReader,
    ) -> io::Result<oneshot::Receiver<String>> {
        let folder = self.container_folder(namespace, pod, container)?;
        // Without a folder, lines are lost until there is one; the process runs all the same.
        let _ = super::folder::create(&folder);
        forget_before(&folder, start.saturating_sub(1));
        let path = folder.join(format!("{start}.log"));
        let mut writer = Writer::new(path.clone());
        let (lines, progress) = watch::channel(0);
        let (tail, last_lines) = oneshot::channel();
        std::thread::Builder::new().name("log".to_owned()).stack_size(128 * 1024).spawn(move || {
            writer.copy(output, &lines);
            let _ = tail.send(writer.tail.text());
        })?;
        let mut open = self.open.borrow_mut();
        open.retain(|_, progress| progress.has_changed().is_ok());
        open.insert(path, progress);
        Ok(last_lines)
    }

    /// Forgets all logs of a pod.
    pub(super) fn forget(&self, namespace: &str, pod: &str) {
        if let Ok(folder) = self.container_folder(namespace, pod, "") {
            let _ = fs::remove_dir_all(folder);
        }
    }

    /// What a log says now.
    ///
    /// # Errors
    /// [`Reason::BadRequest`] when the container has no such log.
    pub fn read(&self, query: &LogQuery) -> Result<Vec<u8>, Status> {
        let (mut stream, _) = self.open(query)?;
        Ok(std::mem::take(&mut stream.ahead).into())
    }

    /// What a log says now, and then what is added, until the container ends.
    ///
    /// # Errors
    /// [`Reason::BadRequest`] when the container has no such log.
    pub fn follow(&self, query: &LogQuery) -> Result<LogStream, Status> {
        let (mut stream, path) = self.open(query)?;
        stream.lines = self.open.borrow().get(&path).cloned();
        Ok(stream)
    }

    fn open(&self, query: &LogQuery) -> Result<(LogStream, PathBuf), Status> {
        let LogQuery { namespace, pod, container, .. } = query;
        let path = self.path(query).ok_or_else(|| {
            let which = if query.previous { "previous terminated container" } else { "container" };
            let state = if query.previous { "not found" } else { "is waiting to start" };
            Status::new(Reason::BadRequest, format!("{which} \"{container}\" in pod \"{pod}\" {state}"))
        })?;
        let unreadable = |error: io::Error| {
            let message = format!("the log of {namespace}/{pod} {container} cannot be read: {error}");
            Status::new(Reason::InternalError, message)
        };
        let older = File::open(rotated(&path)).ok();
        let mut newer = BufReader::new(File::open(&path).map_err(unreadable)?);
        let mut selected = Selection::new(query);
        if let Some(older) = older {
            selected.read(&mut BufReader::new(older)).map_err(unreadable)?;
        }
        selected.read(&mut newer).map_err(unreadable)?;
        let ahead = selected.text().into();
        let timestamps = query.timestamps;
        Ok((LogStream { file: newer, path: path.clone(), timestamps, ahead, lines: None }, path))
    }

    /// The file of the last start of a container, or of the one before.
    fn path(&self, query: &LogQuery) -> Option<PathBuf> {
        let folder = self.container_folder(&query.namespace, &query.pod, &query.container).ok()?;
        let last = starts(&folder).max()?;
        let start = if query.previous { last.checked_sub(1)? } else { last };
        let path = folder.join(format!("{start}.log"));
        path.exists().then_some(path)
    }

    /// Names become parts of the path, and are checked although they were checked before.
    fn container_folder(&self, namespace: &str, pod: &str, container: &str) -> io::Result<PathBuf> {
        let is_name = |name: &str| !name.starts_with('.') && !name.contains(['/', '\0']);
        if [namespace, pod, container].into_iter().all(is_name) && !pod.is_empty() {
            Ok(self.folder.join(namespace).join(pod).join(container))
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }
}

/// The starts of a container that have a log.
fn starts(folder: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".log")?.parse().ok())
}

fn forget_before(folder: &Path, first_kept: u32) {
    for start in starts(folder).filter(|start| *start < first_kept) {
        let path = folder.join(format!("{start}.log"));
        let _ = fs::remove_file(rotated(&path));
        let _ = fs::remove_file(path);
    }
}

/// Where the older half of a long log is.
fn rotated(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

// === impl LogStream ===

impl LogStream {
    /// The next whole lines; `None` at the end of the log.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if !self.ahead.is_empty() {
                return Some(std::mem::take(&mut self.ahead).into());
            }
            // Whether it has ended is asked before reading: what came before the end is then read for certain.
            let has_ended = self.lines.as_mut().is_none_or(|lines| lines.has_changed().is_err());
            self.read_more();
            if !self.ahead.is_empty() {
                continue;
            }
            if has_ended {
                return None;
            }
            if let Some(lines) = &mut self.lines
                && lines.changed().await.is_err()
            {
                self.lines = None;
            }
        }
    }

    fn read_more(&mut self) {
        loop {
            let mut line = Vec::new();
            match self.file.read_until(b'\n', &mut line) {
                Ok(0) if self.go_on_in_new_file() => {}
                Ok(n) if line.ends_with(b"\n") => {
                    self.ahead.extend(without_time(&line[..n], self.timestamps));
                    if self.ahead.len() > 64 * 1024 {
                        return;
                    }
                }
                Ok(n) => {
                    // A line that is being written: it is read again when it is whole.
                    let back = i64::try_from(n).unwrap_or_default();
                    let _ = self.file.seek(SeekFrom::Current(-back));
                    return;
                }
                Err(_) => return,
            }
        }
    }

    /// Whether the log goes on in another file than the one that is read.
    fn go_on_in_new_file(&mut self) -> bool {
        let number = |metadata: io::Result<fs::Metadata>| metadata.map(|metadata| metadata.ino()).ok();
        if number(self.file.get_ref().metadata()) == number(fs::metadata(&self.path)) {
            return false;
        }
        let Ok(file) = File::open(&self.path) else { return false };
        self.file = BufReader::new(file);
        true
    }
}

/// A line as it was put out, unless its time is asked for.
fn without_time(line: &[u8], timestamps: bool) -> &[u8] {
    let time_ends = line.iter().position(|byte| *byte == b' ').map_or(0, |at| at + 1);
    if timestamps { line } else { &line[time_ends..] }
}

// === Selection ===

/// The lines of a log that somebody asked for.
struct Selection<'a> {
    query: &'a LogQuery,
    lines: VecDeque<Vec<u8>>,
}

impl<'a> Selection<'a> {
    fn new(query: &'a LogQuery) -> Self {
        Self { query, lines: VecDeque::new() }
    }

    /// Reads to the end of the file. A line that is still being written is left to be read again.
    fn read(&mut self, file: &mut BufReader<File>) -> io::Result<()> {
        loop {
            let mut line = Vec::new();
            let n = file.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                let back = i64::try_from(n).unwrap_or_default();
                file.seek(SeekFrom::Current(-back))?;
                return Ok(());
            }
            if self.query.since.is_none_or(|since| time_of(&line).is_none_or(|time| time >= since)) {
                self.lines.push_back(line);
            }
            if self.query.tail_lines.is_some_and(|wanted| self.lines.len() > wanted) {
                self.lines.pop_front();
            }
        }
    }

    fn text(&self) -> Vec<u8> {
        let lines = self.lines.iter().flat_map(|line| without_time(line, self.query.timestamps));
        lines.copied().collect()
    }
}

fn time_of(line: &[u8]) -> Option<Timestamp> {
    let time = line.split(|byte| *byte == b' ').next()?;
    std::str::from_utf8(time).ok()?.parse().ok()
}

// === Writer ===

/// The thread's side of a log.
struct Writer {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    bytes: u64,
    tail: Tail,
    n_lost: u64,
}

impl Writer {
    fn new(path: PathBuf) -> Self {
        let file = File::create(&path).map(BufWriter::new).ok();
        Self { path, file, bytes: 0, tail: Tail::default(), n_lost: 0 }
    }

    /// Copies lines until the pipe is closed.
    fn copy(&mut self, output: PipeReader, n_lines: &watch::Sender<u64>) {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            let limit = u64::try_from(LINE_BYTES).unwrap_or(u64::MAX);
            match (&mut output).take(limit).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => self.write(&line),
            }
            if output.buffer().is_empty() {
                // Whoever follows sees the line when its writer pauses.
                let _ = self.file.as_mut().map(Write::flush);
                n_lines.send_modify(|n| *n += 1);
            }
        }
    }

    fn write(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.tail.push(line);
        match self.write_line(line) {
            Ok(()) => {}
            // A full disk loses lines, and says later how many; it never holds up the process.
            Err(_) => self.n_lost += 1,
        }
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes >= FILE_BYTES {
            self.file = None;
            fs::rename(&self.path, rotated(&self.path))?;
            self.bytes = 0;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(File::create(&self.path)?)),
        };
        let now = Timestamp::now();
        if self.n_lost > 0 {
            let note = format!("{now:.9} ({} lines could not be written here)\n", self.n_lost);
            file.write_all(note.as_bytes())?;
            self.n_lost = 0;
        }
        write!(file, "{now:.9} ")?;
        file.write_all(line)?;
        file.write_all(b"\n")?;
        self.bytes += 32 + u64::try_from(line.len()).unwrap_or(0);
        Ok(())
    }
}

/// The last lines, within [`TAIL_LINES`] and [`TAIL_BYTES`].
#[derive(Default)]
struct Tail {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Tail {
    fn push(&mut self, line: &[u8]) {
        let line = &line[line.len().saturating_sub(TAIL_BYTES)..];
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_vec());
        while self.lines.len() > TAIL_LINES || self.bytes > TAIL_BYTES {
            let Some(forgotten) = self.lines.pop_front() else { break };
            self.bytes -= forgotten.len() + 1;
        }
    }

    fn text(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests;
