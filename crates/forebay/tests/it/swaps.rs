//! Change under load over TLS: certificates are swapped, manifests read again and replicas replaced while clients ask, and
//! no request and no handshake is lost.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use control::Authority;
use jiff::Timestamp;
use net::{
    Authorities, Body, ClientConnection, ClientTls, Fields, Http2Connection, Method, Outgoing, Response,
    SendError,
};
use serde_json::json;
use testkit::{PATIENCE, Platform};
use tokio::task::LocalSet;

use crate::{FOREBAY, folder, replicas_of_iris};

const HOST: &str = "iris.example.com";

/// What is changed, and how many clients ask meanwhile.
#[derive(Clone, Copy)]
struct Extent {
    n_swaps: usize,
    n_reloads: usize,
    /// Rollouts, each of which replaces two replicas.
    n_rollouts: usize,
    n_connections: usize,
    n_http2_connections: usize,
    n_streams: usize,
}

/// In every run.
const SHORT: Extent = Extent {
    n_swaps: 5,
    n_reloads: 2,
    n_rollouts: 1,
    n_connections: 8,
    n_http2_connections: 2,
    n_streams: 8,
};

/// With `FOREBAY_TEST_LONG=1`.
const LONG: Extent = Extent {
    n_swaps: 50,
    n_reloads: 20,
    n_rollouts: 10,
    n_connections: 128,
    n_http2_connections: 10,
    n_streams: 100,
};

/// Requests after which a client of HTTP/1.1 connects anew, so that there are handshakes all the time.
const REQUESTS_OF_A_CONNECTION: usize = 20;

#[test]
fn acc_s2_33_nothing_is_lost_over_tls_while_certificates_manifests_and_replicas_change() {
    let extent = if std::env::var_os("FOREBAY_TEST_LONG").is_some_and(|it| it == "1") { LONG } else { SHORT };
    let state = tempfile::tempdir().unwrap();
    let authority = Authority::open(state.path(), Timestamp::now()).unwrap();
    let manifests = folder(&[("iris.yaml", &iris()), ("secret.yaml", &secret(&authority))]);
    let path = |name: &str| manifests.path().join(name).display().to_string();
    let platform = Platform::start(FOREBAY, &[&path("")]);
    platform.wait_for("both targets are healthy", &["targets"], |text| text.matches("healthy").count() == 2);
    let (address, _) = platform.endpoint("iris");

    let stop = Arc::new(AtomicBool::new(false));
    let asking = {
        let (stop, trusted) = (Arc::clone(&stop), authority.certificate().to_owned());
        std::thread::spawn(move || ask(address, &trusted, extent, &stop))
    };
    for n in 0..extent.n_swaps.max(extent.n_reloads).max(extent.n_rollouts) {
        if n < extent.n_swaps {
            std::fs::write(path("secret.yaml"), secret(&authority)).unwrap();
            let _ = platform.ok(&["apply", "-f", &path("secret.yaml")]);
        }
        if n < extent.n_reloads {
            let signalled = Command::new("kill").args(["-HUP", &platform.pid().to_string()]).status();
            assert!(signalled.unwrap().success());
        }
        if n < extent.n_rollouts {
            let _ = platform.ok(&["rollout", "restart", "deployment/iris"]);
            let _ = platform.ok(&["rollout", "status", "deployment/iris"]);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    stop.store(true, Ordering::Relaxed);
    let asked = asking.join().unwrap();
    println!("{asked:?}");
    assert_eq!(asked.failures, Vec::<String>::new());
    assert!(asked.n_http1 > extent.n_connections && asked.n_http2 > extent.n_streams, "{asked:?}");
    assert!(asked.n_handshakes > extent.n_connections, "{asked:?}");
}

fn iris() -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: iris
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{{\"HTTPS\": 443}}]'
spec:
  ingressClassName: alb
  tls: [{{hosts: [{HOST}], secretName: cert}}]
  rules:
  - host: {HOST}
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: iris, port: {{number: 80}}}}}}}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: iris}}
spec: {{selector: {{app: iris}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
{}",
        replicas_of_iris("", "8080")
    )
}

/// A new certificate in a Secret.
fn secret(authority: &Authority) -> String {
    let pair = authority.issue(&[HOST], Timestamp::now()).unwrap();
    let value = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cert"}, "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    });
    value.to_string()
}

/// What clients asked, and what went wrong.
#[derive(Debug, Default)]
struct Asked {
    n_handshakes: usize,
    n_http1: usize,
    n_http2: usize,
    failures: Vec<String>,
}

/// What the clients of one run share.
struct Clients {
    address: SocketAddr,
    tls: ClientTls,
    stop: Arc<AtomicBool>,
    asked: RefCell<Asked>,
}

/// Asks over all connections until it is told to stop.
fn ask(address: SocketAddr, trusted: &str, extent: Extent, stop: &Arc<AtomicBool>) -> Asked {
    let tls = ClientTls::verifying(HOST, &Authorities::from_pem(trusted).unwrap()).unwrap();
    let clients = Clients { address, tls, stop: Arc::clone(stop), asked: RefCell::default() };
    let clients = Rc::new(clients);
    let runtime = net::runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..extent.n_connections {
            let clients = Rc::clone(&clients);
            asking.spawn_local(async move { clients.ask_over_http1().await });
        }
        for _ in 0..extent.n_http2_connections {
            let connection = Rc::new(RefCell::new(None));
            for _ in 0..extent.n_streams {
                let (clients, connection) = (Rc::clone(&clients), Rc::clone(&connection));
                asking.spawn_local(async move { clients.ask_over_http2(&connection).await });
            }
        }
        asking.join_all().await;
    });
    clients.asked.take()
}

impl Clients {
    /// Whether to go on: until the time is over, or so much failed that one knows.
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && self.asked.borrow().failures.len() < 10
    }

    fn failed(&self, what: &impl ToString) {
        self.asked.borrow_mut().failures.push(what.to_string());
    }

    async fn ask_over_http1(&self) {
        while self.goes_on() {
            let opened = ClientConnection::open_in(self.address, Some(&self.tls), PATIENCE).await;
            let mut connection = match opened {
                Ok(connection) => Some(connection),
                Err(error) => return self.failed(&error),
            };
            self.asked.borrow_mut().n_handshakes += 1;
            for _ in 0..REQUESTS_OF_A_CONNECTION {
                let Some(open) = connection.take().filter(|_| self.goes_on()) else { break };
                let kept = Rc::new(Cell::new(None));
                let keep = Rc::clone(&kept);
                let fields = fields();
                match whole(open.send(question(&fields), move |open| keep.set(Some(open))).await).await {
                    Ok(()) => self.asked.borrow_mut().n_http1 += 1,
                    Err(problem) => return self.failed(&format!("HTTP/1.1: {problem}")),
                }
                connection = kept.take();
            }
        }
    }

    /// Asks over a connection that others share. What a server that ends a connection has not looked at is asked again, as
    /// clients do (RFC 9113 §8.7).
    async fn ask_over_http2(&self, shared: &RefCell<Option<Http2Connection>>) {
        while self.goes_on() {
            let open = shared.borrow().clone().filter(Http2Connection::is_open);
            let connection = match open {
                Some(connection) => connection,
                None => match Http2Connection::open(self.address, Some(&self.tls), PATIENCE).await {
                    Ok(connection) => {
                        self.asked.borrow_mut().n_handshakes += 1;
                        shared.borrow_mut().get_or_insert_with(|| connection.clone());
                        connection
                    }
                    Err(error) => return self.failed(&error),
                },
            };
            let fields = fields();
            match connection.send(question(&fields)).await {
                Err(SendError::NotProcessed) => {
                    shared.borrow_mut().take_if(|shared| !shared.is_open());
                }
                answer => match whole(answer).await {
                    Ok(()) => self.asked.borrow_mut().n_http2 += 1,
                    Err(problem) => return self.failed(&format!("HTTP/2: {problem}")),
                },
            }
        }
    }
}

fn fields() -> Fields {
    let mut fields = Fields::new();
    fields.push("host", HOST);
    fields.push("content-type", "application/json");
    fields
}

fn question(fields: &Fields) -> Outgoing<'_> {
    let body = Body::from(br#"{"instances": [[5.1, 3.5, 1.4, 0.2]]}"#.to_vec());
    Outgoing { method: &Method::POST, target: "/v1/models/iris:predict", fields, body, timeout: PATIENCE }
}

/// Whether an answer is the right one, and came to its end.
async fn whole(answer: Result<Response, SendError>) -> Result<(), String> {
    let response = answer.map_err(|error| error.to_string())?;
    let status = response.status;
    let reason = response.fields.text("x-forebay-reason").map(str::to_owned);
    let body = response.body.collect(1 << 16).await.map_err(|error| error.to_string())?;
    match (status.as_u16(), &*body) {
        (200, br#"{"predictions":[0]}"#) => Ok(()),
        _ => Err(format!("{status} {reason:?} {}", String::from_utf8_lossy(&body))),
    }
}
