//! Asking the embedded Kubernetes API of the running platform.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use control::api::{FINDING_FIELD, FINDINGS_FIELD};
use manifest::{DEFINITION, Exposure, Kind, Object};
use net::{Authorities, Body, ClientConnection, ConnectError, Fields, Method, Outgoing, Response};
use serde_json::Value;
use tokio::time::timeout;

use crate::findings;
use crate::globals::Globals;
use crate::platform::{self, Platform};

/// The embedded API of a platform.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    authorities: Authorities,
    token: String,
    /// The platform's process.
    pid: u32,
    /// Who can reach its load balancers.
    pub(crate) exposure: Exposure,
}

/// One question.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    /// The form of the answer.
    pub(crate) accept: &'a str,
    /// The form of the body, and the body.
    pub(crate) body: Option<(&'a str, String)>,
}

/// An answer to a write.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Value,
    /// Sentences for the one who wrote.
    pub(crate) warnings: Vec<String>,
    /// What there is to say about the object.
    pub(crate) findings: Vec<Value>,
}

/// The API refused, in kubectl's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// For example `NotFound`.
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// An answer that goes on, line by line.
pub(crate) struct Lines {
    body: Body,
    buffer: Vec<u8>,
}

pub(crate) const JSON: &str = "application/json";
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";

/// How long the platform may take to accept a connection, and then to begin an answer, before it is said that it takes long. One
/// that is stopped is not waited for any longer.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take at most, say for its disk, and how long an answer that has begun may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an answer that goes on may be silent.
const STREAM_PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The largest answer, and the longest line of one that goes on, in bytes.
const ANSWER_LIMIT: usize = 256 << 20;
const LINE_LIMIT: usize = 16 << 20;

// === impl Client ===

impl Client {
    /// The API of the running platform.
    pub(crate) fn find(globals: &Globals) -> anyhow::Result<Self> {
        let state_dir = globals.state_dir();
        let platform = Platform::find(&state_dir)?;
        platform.must_not_be_stopped()?;
        let address = platform.api.trim_start_matches("https://").parse();
        let address = address.with_context(|| format!("`{}` is no address of an API", platform.api))?;
        let path = state_dir.join(control::CERTIFICATE_FILE);
        let cannot_read = || format!("cannot read `{}`, the certificate of the platform", path.display());
        let authority = std::fs::read_to_string(&path).with_context(cannot_read)?;
        let authorities = Authorities::from_pem(&authority).with_context(cannot_read)?;
        let exposure = findings::exposure(platform.refuses_unprotected, false);
        Ok(Self { address, authorities, token: platform.token, pid: platform.pid, exposure })
    }

    /// The definitions of kinds that there are.
    pub(crate) async fn definitions(&self) -> anyhow::Result<Vec<Arc<Object>>> {
        let kind = manifest::kind_named(DEFINITION).context("this build knows no definitions of kinds")?;
        let list = self.get(&collection(kind, None), JSON).await?;
        let items = list["items"].as_array().into_iter().flatten();
        let objects = items.filter_map(|item| {
            let mut value = item.clone();
            value["kind"] = kind.kind.into();
            value["apiVersion"] = kind.api_version().into();
            Object::of_kind(kind, value).ok()
        });
        Ok(objects.map(Arc::new).collect())
    }

    /// An object, a list or a table.
    pub(crate) async fn get(&self, target: &str, accept: &str) -> anyhow::Result<Value> {
        let ask = Ask { method: Method::GET, target: target.to_owned(), accept, body: None };
        Ok(self.write(ask).await?.object)
    }

    /// An object, if it is there.
    pub(crate) async fn find_object(&self, target: &str) -> anyhow::Result<Option<Value>> {
        match self.get(target, JSON).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if is_refused(&error, "NotFound") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks, and reads all of the answer.
    pub(crate) async fn write(&self, ask: Ask<'_>) -> anyhow::Result<Written> {
        let response = self.send(ask, PATIENCE).await?;
        let values = |name: &str| -> Vec<String> {
            response.fields.all(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
        };
        let warnings = values("warning").iter().filter_map(|value| warning(value)).collect();
        let findings =
            values(FINDING_FIELD).iter().filter_map(|value| serde_json::from_str(value).ok()).collect();
        let text = response.body.collect(ANSWER_LIMIT).await.context("the answer is not whole")?;
        let object = serde_json::from_slice(&text).context("the answer is not JSON")?;
        Ok(Written { object, warnings, findings })
    }

    /// Asks for an answer that goes on.
    pub(crate) async fn lines(&self, target: &str, accept: &str) -> anyhow::Result<Lines> {
        let ask = Ask { method: Method::GET, target: target.to_owned(), accept, body: None };
        let response = self.send(ask, STREAM_PATIENCE).await?;
        Ok(Lines { body: response.body, buffer: Vec::new() })
    }

    /// Asks. A refusal is an error.
    async fn send(&self, ask: Ask<'_>, patience: Duration) -> anyhow::Result<Response> {
        let name = self.address.ip().to_string();
        let opening = ClientConnection::open_tls(self.address, &name, &self.authorities, PATIENCE);
        let connection = match self.while_busy(pin!(opening)).await? {
            Ok(connection) => connection,
            Err(ConnectError::TimedOut { .. }) => return Err(self.is_silent(PATIENCE)),
            Err(ConnectError::Handshake { problem, .. }) if problem.kind() == io::ErrorKind::TimedOut => {
                return Err(self.is_silent(PATIENCE));
            }
            Err(error) => {
                let address = self.address;
                let why = format!(
                    "the connection to the server {address} was refused: is the platform still running?"
                );
                return Err(anyhow::Error::new(error).context(why));
            }
        };
        let mut fields = Fields::with_capacity(6, 512);
        fields.push("host", self.address.to_string());
        fields.push("authorization", format!("Bearer {}", self.token));
        fields.push("accept", ask.accept);
        fields.push(FINDINGS_FIELD, "json");
        let (content_type, body) = ask.body.unzip();
        if let Some(content_type) = content_type {
            fields.push("content-type", content_type);
        }
        let body = body.map_or(Body::Empty, Body::from);
        let outgoing =
            Outgoing { method: &ask.method, target: &ask.target, fields: &fields, body, timeout: patience };
        let response = self.while_busy(pin!(connection.send(outgoing, drop))).await??;
        if response.status.is_success() {
            return Ok(response);
        }
        let code = response.status;
        let text = response.body.collect(ANSWER_LIMIT).await?;
        match serde_json::from_slice::<Value>(&text) {
            Ok(status) if status["kind"] == "Status" => Err(Refusal::of(&status).into()),
            _ => bail!("the API answered {code}: {}", String::from_utf8_lossy(&text).trim()),
        }
    }
}

impl Client {
    /// Waits for the platform, which may be busy, and says so when that takes long.
    ///
    /// # Errors
    /// When it is stopped, or takes too long.
    async fn while_busy<T>(&self, mut work: Pin<&mut impl Future<Output = T>>) -> anyhow::Result<T> {
        if let Ok(done) = timeout(HEAD_PATIENCE, work.as_mut()).await {
            return Ok(done);
        }
        if platform::is_stopped(self.pid) {
            return Err(self.is_silent(HEAD_PATIENCE));
        }
        let (address, pid, seconds) = (self.address, self.pid, HEAD_PATIENCE.as_secs());
        eprintln!(
            "note: the platform at {address} has not answered for {seconds} s: its disk or its processors are busy (pid {pid}); waiting on"
        );
        timeout(PATIENCE - HEAD_PATIENCE, work).await.map_err(|_| self.is_silent(PATIENCE))
    }

    /// That the platform neither refuses nor answers.
    fn is_silent(&self, patience: Duration) -> anyhow::Error {
        platform::silent(self.address, patience, self.pid)
    }
}

/// Whether an error is the API's refusal for a reason.
pub(crate) fn is_refused(error: &anyhow::Error, reason: &str) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.reason == reason)
}

/// The text of `299 - "text"`.
fn warning(value: &str) -> Option<String> {
    let quoted = value.strip_prefix("299 - \"")?.strip_suffix('"')?;
    let mut escaped = false;
    let text = quoted.chars().filter(|character| {
        escaped = *character == '\\' && !escaped;
        !escaped
    });
    Some(text.collect())
}

// === paths ===

/// The path of the objects of a kind, in a namespace or in all.
pub(crate) fn collection(kind: &Kind, namespace: Option<&str>) -> String {
    let version = if kind.group.is_empty() { "/api/" } else { "/apis/" };
    let namespace = namespace.filter(|_| kind.is_namespaced);
    let namespace = namespace.map(|namespace| format!("/namespaces/{}", encoded(namespace)));
    format!("{version}{}{}/{}", kind.api_version(), namespace.unwrap_or_default(), kind.plural)
}

/// The path of an object.
pub(crate) fn path(kind: &Kind, namespace: &str, name: &str) -> String {
    format!("{}/{}", collection(kind, Some(namespace)), encoded(name))
}

/// The path of an object.
pub(crate) fn path_of(object: &Object) -> String {
    path(object.kind, &object.namespace, &object.name)
}

/// A path with a query. Parameters without a value are left out.
pub(crate) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = parameters
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// Text as it may stand in a segment of a path or in a query (RFC 3986 §2.3).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

// === impl Refusal ===

impl Refusal {
    fn of(status: &Value) -> Self {
        let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        Self { reason: text("reason"), message: text("message") }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.as_str() {
            "Unauthorized" => write!(f, "error: You must be logged in to the server (Unauthorized)"),
            "Invalid" => write!(f, "The {}", self.message),
            reason => write!(f, "Error from server ({reason}): {}", self.message),
        }
    }
}

impl std::error::Error for Refusal {}

// === impl Lines ===

impl Lines {
    /// The next line without its end; `None` after the last.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<String>> {
        let mut searched = 0;
        loop {
            if let Some(length) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(searched + length + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            searched = self.buffer.len();
            if searched > LINE_LIMIT {
                bail!("a line of the answer is longer than {LINE_LIMIT} bytes");
            }
            match self.body.chunk().await {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.context("the answer broke off")?),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    let line = std::mem::take(&mut self.buffer);
                    return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_kubernetes() {
        let service = manifest::kind_named("svc").unwrap();
        assert_eq!(collection(service, None), "/api/v1/services");
        assert_eq!(path(service, "mlops", "api"), "/api/v1/namespaces/mlops/services/api");
        let role = manifest::kind_named("clusterrole").unwrap();
        assert_eq!(path(role, "x", "a:b/c"), "/apis/rbac.authorization.k8s.io/v1/clusterroles/a%3Ab%2Fc");
        assert_eq!(with_query("/a", &[("x", "a b=ü"), ("y", "")]), "/a?x=a%20b%3D%C3%BC");
        assert_eq!(with_query("/a", &[]), "/a");
    }

    #[test]
    fn refusals_read_as_kubectl_words_them() {
        let said = |reason: &str, message: &str| {
            Refusal { reason: reason.to_owned(), message: message.to_owned() }.to_string()
        };
        assert_eq!(
            said("NotFound", "services \"x\" not found"),
            "Error from server (NotFound): services \"x\" not found"
        );
        assert_eq!(said("Invalid", "Service \"x\" is invalid: a: b"), "The Service \"x\" is invalid: a: b");
        assert_eq!(said("Unauthorized", ""), "error: You must be logged in to the server (Unauthorized)");
    }

    #[test]
    fn warnings_lose_their_quotes() {
        assert_eq!(warning(r#"299 - "say \"so\" \\""#).unwrap(), r#"say "so" \"#);
        assert_eq!(warning("199 - \"x\""), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_platform_that_neither_refuses_nor_answers_is_waited_for_while_it_may_be_busy() {
        let folder = tempfile::tempdir().unwrap();
        let authority = control::Authority::open(folder.path(), jiff::Timestamp::now()).unwrap();
        // The system accepts connections for a process that is stopped.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut process = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let client = Client {
            address: listener.local_addr().unwrap(),
            authorities: Authorities::from_pem(authority.certificate()).unwrap(),
            token: "t".to_owned(),
            pid: process.id(),
            exposure: Exposure::Loopback,
        };
        let said = async |patience: &str| {
            for error in [
                client.get("/api/v1/pods", JSON).await.map(drop).unwrap_err(),
                client.lines("/api/v1/pods?watch=true", JSON).await.map(drop).unwrap_err(),
            ] {
                let (error, pid) = (format!("{error:#}"), format!("pid {}", client.pid));
                let silence = format!("has not answered for {patience} s");
                assert!(error.contains(&silence) && error.contains(&pid), "{error}");
            }
        };
        said("60").await;
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        testkit::wait_until("it is stopped", || platform::is_stopped(client.pid));
        said("10").await;
        process.kill().unwrap();
        process.wait().unwrap();
    }

    #[tokio::test]
    async fn lines_are_put_together() {
        let mut lines = Lines { body: Body::from("a\n\nb"), buffer: b"1".to_vec() };
        for line in ["1a", "", "b"] {
            assert_eq!(lines.next().await.unwrap().as_deref(), Some(line));
        }
        assert_eq!(lines.next().await.unwrap(), None);
    }
}
