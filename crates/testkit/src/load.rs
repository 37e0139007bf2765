//! Load: many keep-alive connections that ask the same, and what they got.

use std::convert::Infallible;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::{Answer, PATIENCE, Request};

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
    /// Starts asking over this many connections. Returns once something has come of the first request of each.
    #[must_use]
    pub fn start(request: &Request, n_connections: usize) -> Self {
        let (load, first) = Self::spawn(request, n_connections, usize::MAX);
        // The end is that all have let go of it.
        let _ = first.recv();
        load
    }

    fn spawn(request: &Request, n_connections: usize, n_each: usize) -> (Self, Receiver<Infallible>) {
        let stop = Arc::new(AtomicBool::new(false));
        let (waits, first) = mpsc::channel();
        let client = |_| {
            let (request, stop, waits) = (request.clone(), Arc::clone(&stop), waits.clone());
            std::thread::spawn(move || ask(&request, &stop, n_each, waits))
        };
        (Self { clients: (0..n_connections).map(client).collect(), stop }, first)
    }

    /// Asks this often over each of this many connections, and tells what came of it.
    ///
    /// # Panics
    /// When a client has panicked.
    #[must_use]
    pub fn run(request: &Request, n_connections: usize, n_each: usize) -> Report {
        let (load, _) = Self::spawn(request, n_connections, n_each);
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

/// Asks until it is to stop. `waits` is let go of after the first time.
fn ask(request: &Request, stop: &AtomicBool, n_times: usize, waits: Sender<Infallible>) -> Report {
    let bytes = request.bytes(true);
    let (mut report, mut waits) = (Report::default(), Some(waits));
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
        drop(waits.take());
    }
    report
}

/// One request; what is wrong with its answer, if anything is. The connection is kept, as the server says it may be.
fn exchange(
    connection: &mut Option<BufReader<TcpStream>>,
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
            connection.insert(BufReader::new(stream))
        }
    };
    stream.get_mut().write_all(bytes)?;
    let answer = Answer::read(stream, request.method())?;
    if answer.ends_connection() {
        *connection = None;
    }
    Ok((answer.status != 200).then(|| format!("after {:?}: {answer:?}", start.elapsed())))
}
