//! Unary calls of gRPC ("gRPC over HTTP2"). For h2load they are requests like others; what makes an answer a success is looked
//! at here: that it has a message and, behind that, a status.

use std::net::SocketAddr;
use std::path::Path;

use super::super::LOAD_CORE;
use super::super::folder;
use super::super::http::Request;
use super::super::server::pinned;
use super::{Said, write};

/// The fields of a call.
pub(super) const FIELDS: [&str; 2] = ["content-type: application/grpc", "te: trailers"];

/// Bytes before a message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// A message that is not compressed, as it is sent.
pub(super) fn message(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), content].concat()
}

/// How many calls failed: those that h2load says did, and those that it took for successes and that had no message. A call
/// that fails is a success of HTTP without one, so that fewer bytes came than the messages have. Where an answer that was
/// looked at has no status behind its message, no call of that run counts.
pub(super) fn n_failed(said: &Said, printed: &str, n_answered: usize, has_status: bool) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let n_requests = said.n_requests as u64;
    let Some(n_bytes) = n_bytes_of_data(printed).filter(|_| has_status) else { return n_requests };
    let length = (HEAD + n_answered) as u64;
    let n_succeeded = n_requests.saturating_sub(said.n_failed);
    said.n_failed + (n_succeeded * length).saturating_sub(n_bytes).div_ceil(length)
}

/// `traffic: 9.96MB (10445934) total, 1.43MB (1500234) headers (space savings 62.42%), 7.97MB (8360000) data`
fn n_bytes_of_data(printed: &str) -> Option<u64> {
    let line = printed.lines().find_map(|line| line.strip_prefix("traffic: "))?;
    let data = line.rsplit(", ").next()?.strip_suffix(" data")?;
    data.split_once('(')?.1.strip_suffix(')')?.parse().ok()
}

/// Makes one call, and looks whether a status of success is behind its message.
pub(super) fn has_status(request: &Request, address: SocketAddr) -> Result<bool, String> {
    let body = folder("load")?.join("message");
    write(&body, &message(request.body.as_bytes()))?;
    let mut command = pinned(LOAD_CORE, Path::new("nghttp"));
    command.arg("-v").arg("-d").arg(body).args(FIELDS.iter().flat_map(|field| ["-H", field]));
    command.arg("-H").arg(format!(":authority: {}", request.host_at(address)));
    command.arg(format!("https://{address}{}", request.path));
    let output = command.output().map_err(|error| format!("cannot run nghttp: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(is_answer(&printed))
}

/// Whether in what nghttp tells a status of success comes behind a message.
fn is_answer(printed: &str) -> bool {
    let message = printed.find("recv DATA frame");
    message.is_some_and(|message| printed[message..].contains(") grpc-status: 0\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_sent_behind_its_length() {
        assert_eq!(message(b"ab"), b"\0\0\0\0\x02ab");
        assert_eq!(message(&[7; 300])[..HEAD], [0, 0, 0, 1, 44]);
    }

    #[test]
    fn answers_without_a_message_are_failures() {
        let traffic = |n_bytes: u64| {
            format!(
                "traffic: 1.96MB (1044) total, 1.43MB (1500) headers (space savings 62.42%), 7.97MB ({n_bytes}) data\n"
            )
        };
        let said = Said { n_requests: 100.0, requests_per_second: 10.0, n_failed: 10, latency: None };
        // Of what was under way at the end some bytes came, too.
        assert_eq!(n_failed(&said, &traffic(90 * 205 + 100), 200, true), 10);
        assert_eq!(n_failed(&said, &traffic(87 * 205), 200, true), 13);
        assert_eq!(n_failed(&said, &traffic(0), 200, true), 100);
        assert_eq!(n_failed(&said, "", 200, true), 100);
        assert_eq!(n_failed(&said, &traffic(90 * 205), 200, false), 100);
    }

    #[test]
    fn a_status_is_wanted_behind_the_message() {
        let (status, data) =
            ("[  0.007] recv (stream_id=13) grpc-status: 0\n", "[  0.006] recv DATA frame <length=209>\n");
        assert!(is_answer(&format!("{data}{status}")));
        assert!(!is_answer(&format!("{status}{data}")));
        assert!(!is_answer(status) && !is_answer(data));
        assert!(!is_answer(&format!("{data}{}", status.replace(": 0", ": 14"))));
    }
}
