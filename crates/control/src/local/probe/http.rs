//! The GET of an HTTP probe: one connection, one request, one status line. Not a general client.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Failure;

/// The longest status line that is read.
const LINE_BYTES: usize = 1024;

/// Asks for a path; 200 to 399 is success. The caller limits the time.
pub(super) async fn get(
    address: SocketAddr,
    path: &str,
    headers: &[(String, String)],
) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| format!("Get \"http://{address}{path}\": {error}");
    let connected = TcpStream::connect(address).await;
    let mut stream = connected.map_err(|error| Failure::of_connecting(&error, failed(&error)))?;
    stream.write_all(request(address, path, headers).as_bytes()).await.map_err(|error| failed(&error))?;
    let mut answer = [0; LINE_BYTES];
    let mut n_read = 0;
    while n_read < LINE_BYTES && !answer[..n_read].contains(&b'\n') {
        match stream.read(&mut answer[n_read..]).await.map_err(|error| failed(&error))? {
            0 => break,
            n => n_read += n,
        }
    }
    match status_of(&answer[..n_read]) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(Failure::Status(status)),
        None => Err(format!("Get \"http://{address}{path}\": malformed HTTP response").into()),
    }
}

fn request(address: SocketAddr, path: &str, headers: &[(String, String)]) -> String {
    // What could end a line early is left out: a probe sends the one request that it means.
    let clean = |text: &str| text.chars().filter(|character| !character.is_control()).collect::<String>();
    let given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let mut request = format!("GET {} HTTP/1.1\r\n", clean(path).replace(' ', "%20"));
    let ours =
        [("Host", address.to_string()), ("User-Agent", "kube-probe/1.33".into()), ("Accept", "*/*".into())];
    for (name, value) in ours.iter().filter(|(name, _)| !given(name)) {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
        request.push_str(&format!("{}: {}\r\n", clean(name), clean(value)));
    }
    request.push_str("Connection: close\r\n\r\n");
    request
}

/// The status code of an answer that begins with a whole status line.
pub(crate) fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split_inclusive(|byte| *byte == b'\n').next()?.strip_suffix(b"\n")?;
    let rest = line.strip_prefix(b"HTTP/1.")?.get(1..)?.strip_prefix(b" ")?;
    let (code, after) = rest.split_at_checked(3)?;
    let is_whole = after.is_empty() || after.starts_with(b" ") || after == b"\r";
    (is_whole && code.iter().all(u8::is_ascii_digit)).then(|| std::str::from_utf8(code).ok()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        for (answer, status) in [
            ("HTTP/1.1 200 OK\r\n", Some(200)),
            ("HTTP/1.0 503\r\nmore", Some(503)),
            ("HTTP/1.1 404 \n", Some(404)),
            ("HTTP/1.1 200 OK", None),
            ("HTTP/1.1 2000\r\n", None),
            ("HTTP/1.1 +20 OK\r\n", None),
            ("HTTP/2 200\r\n", None),
            ("SSH-2.0-x\r\n", None),
            ("", None),
        ] {
            assert_eq!(status_of(answer.as_bytes()), status, "{answer:?}");
        }
    }

    #[test]
    fn a_request_is_one_request() {
        let address = "127.78.0.1:8080".parse().unwrap();
        let headers = [("X-A".to_owned(), "1\r\nX-B: 2".to_owned()), ("host".to_owned(), "api".to_owned())];
        expect_test::expect![[r#"
            GET /health?a=%20b HTTP/1.1
            User-Agent: kube-probe/1.33
            Accept: */*
            X-A: 1X-B: 2
            host: api
            Connection: close

        "#]]
        .assert_eq(&request(address, "/health?a= b\r\n", &headers).replace('\r', ""));
    }
}
