//! Asks at a steady rate, whatever comes back: a server that is late for one request is late for those that should have
//! followed, as it is for clients who know nothing of each other (an open loop; "coordinated omission" is what others call it
//! when that is not counted).
//!
//! usage: `paced ADDRESS HOST PATH BODY RATE SECONDS CONNECTIONS [FILE]`
//!
//! It posts the body so many times a second, over connections that stay, and prints one line of JSON: how many `requests`
//! there were, in how many `seconds`, how many `failed`, and `p50`, `p99` and `max` of the microseconds from the moment a
//! request was due to its whole answer.
//!
//! Into the file it writes a line for each request: when it was due, in microseconds since 1970, how many microseconds later
//! it was sent, how many more it took, and 1 for a success or 0. With a file it ends early when its standard input does.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time for all threads to stand ready.
const RUN_UP: Duration = Duration::from_millis(200);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ([address, host, path, body, rate, seconds, connections], file @ ([] | [_])) =
        arguments.split_first_chunk().ok_or(USAGE)?
    else {
        return Err(USAGE.into());
    };
    let (address, seconds): (SocketAddr, f64) = (address.parse()?, seconds.parse()?);
    let (rate, n_connections): (f64, u32) = (rate.parse()?, connections.parse()?);
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (began, every) = (Instant::now() + RUN_UP, Duration::from_secs_f64(1.0 / rate));
    let began_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + RUN_UP;
    if !file.is_empty() {
        thread::spawn(|| {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            IS_OVER.store(true, Ordering::Relaxed);
        });
    }
    let asked = thread::scope(|scope| {
        let asking = |first: u32| {
            let due = (first..).step_by(n_connections as usize).map(move |n| began + every * n);
            let end = began + Duration::from_secs_f64(seconds);
            let due = due.take_while(move |due| *due < end && !IS_OVER.load(Ordering::Relaxed));
            let request = request.as_bytes();
            scope.spawn(move || ask(address, request, due))
        };
        let threads: Vec<_> = (0..n_connections).map(asking).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect::<Vec<_>>()
    });
    let took = began.elapsed().as_secs_f64();
    if let [file] = file {
        let mut file = BufWriter::new(File::create(file)?);
        for Asked { due, waited, took, is_success } in &asked {
            let due_at = began_at + due.saturating_duration_since(began);
            let [due, waited, took] = [&due_at, waited, took].map(Duration::as_micros);
            writeln!(file, "{due} {waited} {took} {}", u8::from(*is_success))?;
        }
        file.flush()?;
    }
    let succeeded = asked.iter().filter(|asked| asked.is_success);
    let mut late: Vec<u128> = succeeded.map(|asked| (asked.waited + asked.took).as_micros()).collect();
    late.sort_unstable();
    let part =
        |thousandths: usize| late.get((late.len() * thousandths / 1000).min(late.len().saturating_sub(1)));
    println!(
        "{}",
        json!({
            "requests": asked.len(),
            "seconds": took,
            "failed": asked.len() - late.len(),
            "p50": part(500),
            "p99": part(990),
            "max": late.last(),
        })
    );
    Ok(())
}

/// Whether nothing more is to be asked.
static IS_OVER: AtomicBool = AtomicBool::new(false);

const USAGE: &str = "usage: paced ADDRESS HOST PATH BODY RATE SECONDS CONNECTIONS [FILE]";

/// What came of a request.
struct Asked {
    due: Instant,
    /// How long after that it was sent.
    waited: Duration,
    /// How long its answer took from there.
    took: Duration,
    is_success: bool,
}

fn ask(address: SocketAddr, request: &[u8], due: impl Iterator<Item = Instant>) -> Vec<Asked> {
    let mut connection = None;
    let one = |due: Instant| {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        let is_success = exchange(&mut connection, address, request).is_ok();
        if !is_success {
            connection = None;
        }
        Asked { due, waited: sent.saturating_duration_since(due), took: sent.elapsed(), is_success }
    };
    due.map(one).collect()
}

/// Sends a request and takes its answer, which has to be 200 with a length.
fn exchange(connection: &mut Option<TcpStream>, address: SocketAddr, request: &[u8]) -> io::Result<()> {
    let stream = match connection {
        Some(stream) => stream,
        none => {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            none.insert(stream)
        }
    };
    stream.write_all(request)?;
    let (mut answer, mut n_bytes) = ([0; 16 * 1024], 0);
    loop {
        let n_read = stream.read(answer.get_mut(n_bytes..).unwrap_or_default())?;
        if n_read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        n_bytes += n_read;
        if let Some(is_whole) = is_whole(&answer[..n_bytes]) {
            return if is_whole { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) };
        }
    }
}

/// Whether these bytes are a whole answer; nothing while more has to come, `false` where it is none that counts.
fn is_whole(answer: &[u8]) -> Option<bool> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: Option<usize> = length.and_then(|length| length.trim().parse().ok());
    let (true, Some(length)) = (head.starts_with("http/1.1 200 "), length) else { return Some(false) };
    (answer.len() >= end + 4 + length).then_some(true)
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn an_answer_counts_when_it_is_whole_and_a_success() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n".as_slice();
        assert_eq!(is_whole(&head[..20]), None);
        assert_eq!(is_whole(head), None);
        assert_eq!(is_whole(&[head, b"{}"].concat()), Some(true));
        assert_eq!(is_whole(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"), Some(false));
        assert_eq!(is_whole(b"HTTP/1.1 200 OK\r\n\r\n"), Some(false));
    }
}
