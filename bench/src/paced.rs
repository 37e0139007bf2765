//! Asks at a steady rate, whatever comes back: a server that is late for one request is late for those that should have
//! followed, as it is for clients who know nothing of each other (an open loop; "coordinated omission" is what others call it
//! when that is not counted).
//!
//! usage: `paced ADDRESS HOST PATH BODY RATE SECONDS CONNECTIONS`
//!
//! It posts the body so many times a second, over connections that stay, and prints one line of JSON: how many `requests`
//! there were, in how many `seconds`, how many `failed`, and `p50`, `p99` and `max` of the microseconds from the moment a
//! request was due to its whole answer.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time for all threads to stand ready.
const RUN_UP: Duration = Duration::from_millis(200);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, host, path, body, rate, seconds, connections] = arguments.as_slice() else {
        return Err("usage: paced ADDRESS HOST PATH BODY RATE SECONDS CONNECTIONS".into());
    };
    let (address, seconds): (SocketAddr, f64) = (address.parse()?, seconds.parse()?);
    let (rate, n_connections): (f64, u32) = (rate.parse()?, connections.parse()?);
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (began, every) = (Instant::now() + RUN_UP, Duration::from_secs_f64(1.0 / rate));
    let asked = thread::scope(|scope| {
        let asking = |first: u32| {
            let due = (first..).step_by(n_connections as usize).map(move |n| began + every * n);
            let due = due.take_while(move |due| *due < began + Duration::from_secs_f64(seconds));
            let request = request.as_bytes();
            scope.spawn(move || ask(address, request, due))
        };
        let threads: Vec<_> = (0..n_connections).map(asking).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    let took = began.elapsed().as_secs_f64();
    let n_failed: usize = asked.iter().map(|asked| asked.n_failed).sum();
    let mut late: Vec<u64> = asked.into_iter().flat_map(|asked| asked.microseconds).collect();
    late.sort_unstable();
    let part =
        |thousandths: usize| late.get((late.len() * thousandths / 1000).min(late.len().saturating_sub(1)));
    println!(
        "{}",
        json!({
            "requests": late.len() + n_failed,
            "seconds": took,
            "failed": n_failed,
            "p50": part(500),
            "p99": part(990),
            "max": late.last(),
        })
    );
    Ok(())
}

/// What came of the requests of one connection.
#[derive(Default)]
struct Asked {
    microseconds: Vec<u64>,
    n_failed: usize,
}

fn ask(address: SocketAddr, request: &[u8], due: impl Iterator<Item = Instant>) -> Asked {
    let mut asked = Asked::default();
    let mut connection = None;
    for due in due {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        match exchange(&mut connection, address, request) {
            Ok(()) => asked.microseconds.push(due.elapsed().as_micros().try_into().unwrap_or(u64::MAX)),
            Err(_) => {
                connection = None;
                asked.n_failed += 1;
            }
        }
    }
    asked
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
