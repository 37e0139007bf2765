//! A tiny HTTP server as a process, for replicas of tests.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

/// The port of every responder: each has an address of its own.
pub(crate) const PORT: u16 = 8080;
const ENABLED: &str = "TEST_RESPONDER";
const START_DELAY: &str = "TEST_RESPONDER_DELAY_MS";

/// Program and arguments of a responder.
pub(crate) fn command() -> Vec<String> {
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    [&program, "responder::responder", "--exact", "--nocapture"].map(ToOwned::to_owned).to_vec()
}

/// Environment of a responder that takes so long to start.
pub(crate) fn environment(start_delay: Duration) -> Vec<(String, String)> {
    let delay = start_delay.as_millis().to_string();
    vec![(ENABLED.to_owned(), "1".to_owned()), (START_DELAY.to_owned(), delay)]
}

/// Not a test by itself: the process. It answers every request with its pod's name.
#[test]
fn responder() {
    if std::env::var_os(ENABLED).is_none() {
        return;
    }
    let variable = |name: &str| std::env::var(name).unwrap();
    std::thread::sleep(Duration::from_millis(variable(START_DELAY).parse().unwrap()));
    let address: IpAddr = variable("FOREBAY_ADDRESS").parse().unwrap();
    let name = variable("POD_NAME");
    let listener = TcpListener::bind((address, PORT)).unwrap();
    println!("listening on {address}");
    for stream in listener.incoming().flatten() {
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let Some(request) = lines.next() else { continue };
        let _ = lines.find(String::is_empty);
        println!("{request}");
        let _ = write!(&stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
    }
}
