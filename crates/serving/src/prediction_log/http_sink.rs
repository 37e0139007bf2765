//! Events as POSTs in binary mode, one after another over one connection, as KServe's logger sends them to a broker.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use net::{Body, ClientConnection, Fields, Method, Outgoing};
use tokio::sync::mpsc::Receiver;
use tracing::{error, info};

use super::cloud_event::Event;
use super::{Entered, Exchange, LogCounts};

/// Where events are sent to: an `http` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    host: String,
    port: u16,
    /// Host and port as the URL has them.
    authority: String,
    /// Path and query.
    target: String,
}

/// Why a text is no URL that events can be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; expected `http://HOST[:PORT][/PATH]`")]
pub struct NotASink {
    problem: String,
}

/// How long a sink may take to accept a connection, and then to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer, which nobody reads.
const ANSWER_LIMIT: usize = 64 * 1024;

// === impl Sink ===

impl FromStr for Sink {
    type Err = NotASink;

    fn from_str(text: &str) -> Result<Self, NotASink> {
        let wrong = |problem: String| NotASink { problem };
        let uri: Uri = text.parse().map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong(format!("`{text}` is no http URL")));
        }
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let Some(authority) = authority.filter(|authority| !authority.host().is_empty()) else {
            return Err(wrong(format!("`{text}` must have a host, and no user")));
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.as_str().to_owned(),
            target: target.to_owned(),
        })
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.target)
    }
}

/// A connection that waits for its next request, if there is one.
type Idle = Rc<RefCell<Option<ClientConnection>>>;

/// Sends until nobody is left to log. What cannot be sent is dropped: a sink that is away must not fill the memory.
pub(super) async fn send_all(sink: &Sink, mut entered: Receiver<Entered>, counts: &LogCounts) {
    let idle = Idle::default();
    let mut is_well = true;
    while let Some(next) = entered.recv().await {
        match next {
            Entered::Flush(flushed) => _ = flushed.send(()),
            Entered::Exchange(exchange) => {
                let sent = send(sink, &idle, &exchange).await;
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

/// Sends both events of an exchange; the problem in words if one of them does not arrive.
async fn send(sink: &Sink, idle: &Idle, exchange: &Exchange) -> Result<(), String> {
    for event in exchange.events() {
        let kept = idle.borrow_mut().take().filter(ClientConnection::is_open);
        let was_kept = kept.is_some();
        let first = post(sink, idle, &event, kept).await;
        // A connection that was kept may just have been closed by the other side.
        if first.is_err() && was_kept {
            post(sink, idle, &event, None).await?;
        } else {
            first?;
        }
    }
    Ok(())
}

async fn post(
    sink: &Sink,
    idle: &Idle,
    event: &Event<'_>,
    connection: Option<ClientConnection>,
) -> Result<(), String> {
    let connection = match connection {
        Some(connection) => connection,
        None => connect(sink).await?,
    };
    let mut fields = Fields::with_capacity(12, 768);
    fields.push("host", &sink.authority);
    event.to_fields(&mut fields);
    let request = Outgoing {
        method: &Method::POST,
        target: &sink.target,
        fields: &fields,
        body: Body::from(event.data.clone()),
        timeout: PATIENCE,
    };
    let kept = Rc::clone(idle);
    let give_back = move |connection| *kept.borrow_mut() = Some(connection);
    let response = connection.send(request, give_back).await.map_err(|error| error.to_string())?;
    let status = response.status;
    let answer = response.body.collect(ANSWER_LIMIT).await;
    match (status.is_success(), answer) {
        (true, Ok(_)) => Ok(()),
        (false, _) => Err(format!("the sink answered {status}")),
        (_, Err(error)) => Err(error.to_string()),
    }
}

async fn connect(sink: &Sink) -> Result<ClientConnection, String> {
    let found =
        tokio::time::timeout(PATIENCE, tokio::net::lookup_host((sink.host.as_str(), sink.port))).await;
    let addresses = found.map_err(|_| "the name of the sink was not found in time".to_owned())?;
    let mut problem = "the sink has no address".to_owned();
    for address in addresses.map_err(|error| error.to_string())? {
        match ClientConnection::open(address, PATIENCE).await {
            Ok(connection) => return Ok(connection),
            Err(error) => problem = error.to_string(),
        }
    }
    Err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_an_http_url() {
        let parse =
            |text: &str| text.parse::<Sink>().map(|sink| (sink.host.clone(), sink.port, sink.to_string()));
        let broker = "http://broker.knative-eventing/default?a=b";
        assert_eq!(parse(broker), Ok(("broker.knative-eventing".into(), 80, broker.into())));
        assert_eq!(parse("http://[::1]:8080"), Ok(("::1".into(), 8080, "http://[::1]:8080/".into())));
        for wrong in ["https://a", "a:80", "/var/log", "http://", "http://a@b/", "http://a b", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
