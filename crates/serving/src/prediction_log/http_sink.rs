//! Events as POSTs in binary mode, one after another over one connection, as KServe's logger sends them to a broker.
//!
//! The client is the one that models are fetched with, for it has TLS.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::mpsc::Receiver;
use tracing::{error, info};

use super::cloud_event::Event;
use super::{Entered, Exchange, LogCounts, LogMode};

/// Where events are sent to: an `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    url: String,
}

/// Why a text is no URL that events can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; expected `http[s]://HOST[:PORT][/PATH]`")]
pub struct NotASink {
    problem: String,
}

/// How long a sink may take to accept a connection, and to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer, which nobody reads.
const ANSWER_LIMIT: usize = 64 * 1024;

// === impl Sink ===

impl FromStr for Sink {
    type Err = NotASink;

    fn from_str(text: &str) -> Result<Self, NotASink> {
        let wrong = |problem: String| NotASink { problem };
        let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong(format!("`{text}` is no http URL")));
        }
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        if authority.is_none_or(|authority| authority.host().is_empty()) {
            return Err(wrong(format!("`{text}` must have a host, and no user")));
        }
        // What the client would not take is refused now, and not when the first prediction is made.
        let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { url: url.into() })
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// A client that sends events: it follows nobody elsewhere, and trusts whom the system trusts.
pub(super) fn client(sink: &Sink) -> io::Result<Client> {
    let mut client = Client::builder()
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE)
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(1)
        .user_agent(concat!("forebay/", env!("CARGO_PKG_VERSION")));
    if !sink.url.starts_with("https:") {
        // A system without certificates can log all the same.
        client = client.tls_certs_only([]);
    }
    client.build().map_err(|error| io::Error::other(chain(&error)))
}

/// Sends until nobody is left to log. What cannot be sent is dropped: a sink that is away must not fill the memory.
pub(super) async fn send_all(
    client: &Client,
    sink: &Sink,
    mode: LogMode,
    mut entered: Receiver<Entered>,
    counts: &LogCounts,
) {
    let mut is_well = true;
    while let Some(next) = entered.recv().await {
        match next {
            Entered::Flush(flushed) => _ = flushed.send(()),
            Entered::Exchange(exchange) => {
                let sent = send(client, sink, mode, &exchange).await;
                counts.done(&exchange, sent.is_ok());
                match (is_well, &sent) {
                    (true, Err(error)) => error!(%sink, error, "predictions cannot be logged"),
                    (false, Ok(())) => info!(%sink, "predictions are logged again"),
                    _ => {}
                }
                is_well = sent.is_ok();
            }
        }
    }
}

/// Sends the events of an exchange; the problem in words if one of them does not arrive.
async fn send(client: &Client, sink: &Sink, mode: LogMode, exchange: &Exchange) -> Result<(), String> {
    for event in exchange.events(mode) {
        post(client, sink, &event).await?;
    }
    Ok(())
}

async fn post(client: &Client, sink: &Sink, event: &Event<'_>) -> Result<(), String> {
    let mut request = client.post(&sink.url).body(event.data.clone());
    for (name, value) in event.fields() {
        request = request.header(name, value);
    }
    let mut response = request.send().await.map_err(|error| chain(&error))?;
    let status = response.status();
    // The connection is used again when the answer has been read, which nobody else does.
    let mut n_bytes = 0;
    while n_bytes <= ANSWER_LIMIT
        && let Some(part) = response.chunk().await.map_err(|error| chain(&error))?
    {
        n_bytes += part.len();
    }
    if status.is_success() { Ok(()) } else { Err(format!("the sink answered {status}")) }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_an_http_url() {
        let parse = |text: &str| text.parse::<Sink>().map(|sink| sink.to_string());
        let broker = "http://broker.knative-eventing/default?a=b";
        assert_eq!(parse(broker), Ok(broker.into()));
        assert_eq!(parse("http://[::1]:8080"), Ok("http://[::1]:8080/".into()));
        assert_eq!(parse("https://a"), Ok("https://a/".into()));
        for wrong in
            ["ftp://a", "a:80", "/var/log", "http://", "http://a@b/", "https://a:b@c", "http://a b", ""]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
