//! Messages that are broken stay broken, on whichever side: nobody takes a part for the whole.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use plan::{LoadBalancer, LoadBalancerKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, group, load_balancer, plan_of, run};

/// A target that answers everything with these bytes and then resets the connection, or closes it.
async fn canned(answer: &'static [u8], resets: bool) -> (SocketAddr, Rc<RefCell<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Rc::new(RefCell::new(String::new()));
    let requests = Rc::clone(&seen);
    tokio::task::spawn_local(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let requests = Rc::clone(&requests);
            tokio::task::spawn_local(async move {
                let mut bytes = [0; 4096];
                let n_bytes = stream.read(&mut bytes).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&bytes[..n_bytes]).into_owned();
                if request.contains("HealthChecker") {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                    return;
                }
                requests.borrow_mut().push_str(&request);
                let _ = stream.write_all(answer).await;
                if resets {
                    // What was written has to be read before the reset overtakes it.
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    stream.set_zero_linger().unwrap();
                }
            });
        }
    });
    (address, seen)
}

async fn balancer_of(target: SocketAddr) -> (World, LoadBalancer) {
    let balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[target])]);
    (World::start(plan_of(&balancer)).await, balancer)
}

/// Sends bytes and reads to the end. Returns what came, and whether the end was a proper one.
async fn talk(address: SocketAddr, request: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer).await;
    (String::from_utf8_lossy(&answer).into_owned(), ended.is_ok())
}

async fn answer_to(request: &str, answer: &'static [u8], resets: bool) -> (String, bool) {
    let (target, _) = canned(answer, resets).await;
    let (_world, balancer) = balancer_of(target).await;
    talk(balancer.listeners[0].addresses[0], request).await
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[test]
fn an_answer_that_lasts_to_the_end_of_its_connection_ends_only_with_a_proper_end() {
    run(async {
        let endless = b"HTTP/1.1 200 OK\r\n\r\nhalf of it";
        let (answer, _) = answer_to(GET, endless, false).await;
        assert!(
            answer.ends_with("a\r\nhalf of it\r\n0\r\n\r\n") || answer.ends_with("half of it"),
            "{answer}"
        );
        let (answer, _) = answer_to(GET, endless, true).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("half of it"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
        // HTTP/1.0 has no chunks: only a reset tells.
        let old = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
        assert!(answer_to(old, endless, false).await.1);
        assert!(!answer_to(old, endless, true).await.1);
    });
}

#[test]
fn an_answer_that_is_broken_from_its_first_byte_is_a_502_with_its_reason() {
    run(async {
        for (answer, reason) in [
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc".as_slice(), "target-malformed"),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nGET /x HTTP/1.1\r\n\r\n",
                "target-malformed",
            ),
            (b"HTTP/1.1 200\r\nX-A : 1\r\n\r\n", "target-malformed"),
        ] {
            let (answer, _) = answer_to(GET, answer, false).await;
            assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
            assert!(answer.contains(&format!("x-forebay-reason: {reason}\r\n")), "{answer}");
        }
    });
}

#[test]
fn an_answer_to_head_gains_no_length() {
    run(async {
        let head = GET.replace("GET", "HEAD");
        let (answer, _) = answer_to(&head, b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", false).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("content-length"), "{answer}");
        let (answer, _) =
            answer_to(&head, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("content-length"), "{answer}");
        for length in ["0", "42"] {
            let told = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").leak().as_bytes();
            let (answer, _) = answer_to(&head, told, false).await;
            assert!(answer.contains(&format!("content-length: {length}\r\n")), "{answer}");
        }
    });
}

#[test]
fn a_trailer_section_that_is_none_is_refused() {
    run(async {
        let (target, seen) = canned(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false).await;
        let (_world, balancer) = balancer_of(target).await;
        let address = balancer.listeners[0].addresses[0];
        let chunked = |trailers: &str| {
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{trailers}\r\n"
            )
        };
        for trailers in ["GET /x HTTP/1.1\r\n", "X-A : 1\r\n", "X-A: 1\r\n folded\r\n"] {
            let (answer, _) = talk(address, &chunked(trailers)).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{trailers:?}: {answer}");
            assert!(answer.contains("x-forebay-reason: malformed-body\r\n"), "{trailers:?}: {answer}");
        }
        assert!(!seen.borrow().contains("0\r\n\r\n"), "{}", seen.borrow());
        let (answer, _) = talk(address, &chunked("X-Sum: 1\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    });
}

#[test]
fn a_target_always_sees_exactly_one_host() {
    run(async {
        let (target, seen) = canned(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false).await;
        let (_world, balancer) = balancer_of(target).await;
        let address = balancer.listeners[0].addresses[0];
        for (request, host) in [
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Host\r\n\r\n".to_owned(), "a".to_owned()),
            ("GET / HTTP/1.0\r\n\r\n".to_owned(), address.ip().to_string()),
            ("GET http://b/ HTTP/1.0\r\n\r\n".to_owned(), "b".to_owned()),
        ] {
            seen.borrow_mut().clear();
            let (answer, _) = talk(address, &request).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{request:?}: {answer}");
            let seen = seen.borrow().to_ascii_lowercase();
            let hosts: Vec<&str> = seen.lines().filter_map(|line| line.strip_prefix("host: ")).collect();
            assert_eq!(hosts, [host], "{request:?}");
        }
        for request in ["GET / HTTP/1.1\r\n\r\n", "GET http://b/ HTTP/1.1\r\n\r\n"] {
            let (answer, _) = talk(address, request).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
        }
    });
}

#[test]
fn answers_that_nobody_got_whole_are_counted_by_why() {
    run(async {
        let (target, _) = canned(b"HTTP/1.1 200 OK\r\n\r\nhalf of it", true).await;
        let (world, balancer) = balancer_of(target).await;
        talk(balancer.listeners[0].addresses[0], GET).await;
        let count = |reason: &str| {
            let line = format!(
                r#"forebay_unfinished_answers_total{{load_balancer="lb",port="80",reason="{reason}"}} 1"#
            );
            world.metrics.encode().lines().any(|known| known == line)
        };
        while !count("answer-broken") {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert!(!count("client-left"));

        // A target that takes its time, and a client that has none.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (world, balancer) = balancer_of(silent.local_addr().unwrap()).await;
        let count = |reason: &str| {
            let metrics = world.metrics.encode();
            metrics.lines().any(|line| line.contains(&format!(r#"reason="{reason}"}} 1"#)))
        };
        let mut stream = TcpStream::connect(balancer.listeners[0].addresses[0]).await.unwrap();
        stream.write_all(GET.as_bytes()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        drop(stream);
        while !count("client-left") {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    });
}
