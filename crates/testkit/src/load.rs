//! Load: many keep-alive connections that ask the same, and what they got.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::{PATIENCE, Request};

/// Connections that ask until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Report>>,
}

/// What a load got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Answers with status 200.
    pub n_answers: usize,
    /// Everything else, in words.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts asking over this many connections.
    #[must_use]
    pub fn start(request: &Request, n_connections: usize) -> Self {
        Self::spawn(request, n_connections, usize::MAX)
    }

    fn spawn(request: &Request, n_connections: usize, n_each: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (request, stop) = (request.clone(), Arc::clone(&stop));
            std::thread::spawn(move || ask(&request, &stop, n_each))
        };
        Self { clients: (0..n_connections).map(client).collect(), stop }
    }

    /// Asks this often over each of this many connections, and tells what came of it.
    ///
    /// # Panics
    /// When a client has panicked.
    #[must_use]
    pub fn run(request: &Request, n_connections: usize, n_each: usize) -> Report {
        let load = Self::spawn(request, n_connections, n_each);
        collect(load.clients)
    }

    /// Stops asking, and tells what came of it.
    ///
    /// # Panics
    /// When a client has panicked.
    #[must_use]
    pub fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        collect(self.clients)
    }
}

fn collect(clients: Vec<JoinHandle<Report>>) -> Report {
    let reports = clients.into_iter().map(|client| client.join().unwrap());
    reports.fold(Report::default(), |mut all, report| {
        all.n_answers += report.n_answers;
        all.failures.extend(report.failures);
        all
    })
}

fn ask(request: &Request, stop: &AtomicBool, n_times: usize) -> Report {
    let bytes = request.bytes(true);
    let mut report = Report::default();
    let mut connection = None;
    for _ in 0..n_times {
        if stop.load(Ordering::Relaxed) || report.failures.len() >= 10 {
            break;
        }
        match exchange(&mut connection, request, &bytes) {
            Ok(None) => report.n_answers += 1,
            Ok(Some(failure)) => report.failures.push(failure),
            Err(error) => {
                connection = None;
                report.failures.push(error.to_string());
            }
        }
    }
    report
}

/// One request; what is wrong with its answer, if anything is. The connection is kept, as the server says it may be.
fn exchange(
    connection: &mut Option<TcpStream>,
    request: &Request,
    bytes: &[u8],
) -> std::io::Result<Option<String>> {
    let start = Instant::now();
    let stream = match connection {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(request.address())?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            connection.insert(stream)
        }
    };
    stream.write_all(bytes)?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let n_bytes = stream.read(&mut buffer)?;
        if n_bytes == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&buffer[..n_bytes]);
        if let Some((status, closes)) = complete(&answer) {
            if closes {
                *connection = None;
            }
            let text = || String::from_utf8_lossy(&answer).into_owned();
            return Ok((status != 200).then(|| format!("after {:?}: {}", start.elapsed(), text())));
        }
    }
}

/// Status, and whether the connection ends, once the answer is whole. Only answers with a length are understood.
fn complete(answer: &[u8]) -> Option<(u16, bool)> {
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..head_end]).ok()?.to_ascii_lowercase();
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).map_or("0", str::trim);
    let length: usize = length.parse().ok()?;
    (answer.len() >= head_end + length).then(|| (status, head.contains("connection: close")))
}
