//! Logs that load balancers keep because their manifests want it, read back from the objects that they come to.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::{Body, Identity, Method};
use plan::attributes::{
    ACCESS_LOGS, ACCESS_LOGS_BUCKET, ACCESS_LOGS_PREFIX, CONNECTION_LOGS, CONNECTION_LOGS_BUCKET,
    HEALTH_CHECK_LOGS, HEALTH_CHECK_LOGS_BUCKET,
};
use plan::{
    Action, Certificate, Condition, FixedResponse, LoadBalancer, LoadBalancerKind, Protocol, Redirect, Rule,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::tls_client::{Authority, NOW, TlsClient};
use crate::world::{Client, Server, World, free_address, group, load_balancer, plan_of, run};

/// Objects by bucket and key.
type Kept = Arc<Mutex<Vec<(String, String)>>>;

/// A store that keeps objects in memory.
struct Memory(Kept);

impl proxy::LogStore for Memory {
    fn put(&mut self, bucket: &str, key: &str, bytes: &[u8]) -> Result<(), String> {
        let mut text = String::new();
        let mut reader = flate2::read::MultiGzDecoder::new(bytes);
        reader.read_to_string(&mut text).map_err(|error| error.to_string())?;
        self.0.lock().unwrap().push((format!("{bucket}/{key}"), text));
        Ok(())
    }
}

/// A data plane whose logs come to be known at its end.
struct Logging {
    world: World,
    writer: proxy::LogWriter,
    kept: Kept,
}

impl Logging {
    async fn start(balancer: &LoadBalancer) -> Self {
        let kept = Kept::default();
        let store: Option<Box<dyn proxy::LogStore>> = Some(Box::new(Memory(Arc::clone(&kept))));
        let metrics = proxy::Metrics::default();
        let settings = proxy::LogSettings { store, ..proxy::LogSettings::default() };
        let (logs, writer) = proxy::open_logs(settings, &metrics).unwrap();
        let world = World::start_with(plan_of(balancer), metrics, Some(logs)).await;
        Self { world, writer, kept }
    }

    /// Ends it as SIGTERM does. Returns the objects by their keys, and their lines.
    async fn end(self) -> Vec<(String, Vec<String>)> {
        let Self { world, writer, kept } = self;
        world.drain.finish(Duration::from_secs(20)).await;
        let patience = Duration::from_secs(20);
        assert!(tokio::task::spawn_blocking(move || writer.finish(patience)).await.unwrap());
        assert!(world.metrics.encode().contains("forebay_access_log_dropped_lines_total 0\n"));
        let kept = std::mem::take(&mut *kept.lock().unwrap());
        kept.into_iter().map(|(key, text)| (key, text.lines().map(str::to_owned).collect())).collect()
    }
}

/// The fields of a line as readers of such logs see them: words, or what stands in quotes.
fn fields(line: &str) -> Vec<&str> {
    let (mut fields, mut rest) = (Vec::new(), line);
    while !rest.is_empty() {
        let (field, more) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        fields.push(field);
        rest = more.strip_prefix(' ').unwrap_or(more);
    }
    fields
}

fn log_into(balancer: &mut LoadBalancer, is_on: &str, bucket: &str) {
    balancer.attributes.set(is_on, "true").unwrap();
    balancer.attributes.set(bucket, "retail-forecast-alb-logs").unwrap();
}

fn on_path(path: &str, action: Action) -> Rule {
    Rule::new(vec![Condition::paths(&[path])], action)
}

#[test]
fn acc_s3_47_acc_s3_48_acc_s3_49_acc_s1_40_what_an_annotation_asks_for_is_logged_and_nothing_is_lost_at_the_end()
 {
    run(async {
        let server = Server::start("one");
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        log_into(&mut balancer, ACCESS_LOGS, ACCESS_LOGS_BUCKET);
        balancer.attributes.set(ACCESS_LOGS_PREFIX, "alb-access-logs").unwrap();
        let teapot = FixedResponse { status: 418, content_type: None, message_body: None };
        balancer.listeners[0].rules = [
            on_path("/old", Action::Redirect(Redirect::keeping_everything(301))),
            on_path("/teapot", Action::FixedResponse(teapot)),
        ]
        .map(Arc::new)
        .into();
        let address = balancer.listeners[0].addresses[0];
        let logging = Logging::start(&balancer).await;
        let client = Client::new(address);
        let agent = [("user-agent", "curl/8.5 (x; \"y\")")];
        for target in ["/x?a=1", "/old?b", "/teapot"] {
            client.send(Method::GET, "a.example.com", target, Body::Empty, &agent).await.unwrap();
        }
        client.send(Method::TRACE, "a.example.com", "/trace", Body::Empty, &[]).await.unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let both = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(both).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        // Enough that one core hands over several batches.
        for _ in 0..400 {
            client.get("/many").await;
        }

        let objects = logging.end().await;
        let (key, lines) = &objects[0];
        let begins =
            "retail-forecast-alb-logs/alb-access-logs/AWSLogs/000000000000/elasticloadbalancing/us-east-1/";
        assert!(objects.len() == 1 && key.starts_with(begins), "{key}");
        assert!(key.contains("/000000000000_elasticloadbalancing_us-east-1_app.lb."), "{key}");
        assert!(key.ends_with(".log.gz"), "{key}");
        assert_eq!(lines.len(), 405);
        let of = |path: &str| {
            let line = lines.iter().find(|line| line.contains(path)).unwrap();
            let fields = fields(line);
            assert_eq!(fields.len(), 33, "{line}");
            fields
        };
        let forwarded = of(":80/x?a=1 HTTP/1.1");
        assert_eq!((forwarded[0], forwarded[4]), ("http", server.address.to_string().as_str()));
        assert!(forwarded[5..8].iter().all(|time| time.parse::<f64>().unwrap() >= 0.0), "{forwarded:?}");
        assert_eq!(forwarded[8..10], ["200", "200"]);
        assert!(forwarded[10..12].iter().all(|bytes| bytes.parse::<u64>().unwrap() > 50), "{forwarded:?}");
        assert_eq!(
            forwarded[12..16],
            ["GET http://a.example.com:80/x?a=1 HTTP/1.1", "curl/8.5 (x; \\x22y\\x22)", "-", "-"]
        );
        assert!(
            forwarded[16].starts_with("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/g/")
        );
        assert!(forwarded[17].starts_with("Root=1-"), "{forwarded:?}");
        assert_eq!((forwarded[20], forwarded[22]), ("0", "forward"));
        assert_eq!(forwarded[25..27], [forwarded[4], "200"]);
        assert!(forwarded[29].starts_with("TID_") && forwarded[29].len() == 36, "{forwarded:?}");
        let redirected = of("/old?b HTTP/1.1");
        assert_eq!((redirected[8], redirected[20], redirected[22]), ("301", "1", "redirect"));
        assert_eq!(redirected[23], "http://a.example.com:80/old?b");
        let fixed = of("/teapot HTTP/1.1");
        assert_eq!((fixed[5], fixed[8], fixed[9], fixed[22]), ("-1", "418", "-", "fixed-response"));
        // All came over one connection.
        assert!(forwarded[29] == redirected[29] && forwarded[29] == fixed[29]);
        let refused = of("/trace HTTP/1.1");
        assert_eq!((refused[8], refused[20], refused[24]), ("405", "-", "method-not-allowed"));
        let ambiguous = of("- http://lb:80- -");
        assert_eq!((ambiguous[8], ambiguous[12]), ("400", "- http://lb:80- -"));
        assert_eq!(ambiguous[27..29], ["Ambiguous", "BothTeClPresent"]);
    });
}

/// A load balancer that ends TLS, whose keys are there.
async fn start_secure(
    kind: LoadBalancerKind,
    protocol: Protocol,
    target: SocketAddr,
) -> (Logging, Authority, SocketAddr) {
    let authority = Authority::new("servers");
    let mut balancer = load_balancer(kind, vec![group("g", &[target])]);
    balancer.listeners[0].protocol = protocol;
    let certificate = |arn: &str| Certificate { arn: arn.to_owned(), source: "annotation" };
    balancer.listeners[0].certificates = vec![certificate("arn:other"), certificate("arn:a")];
    log_into(&mut balancer, ACCESS_LOGS, ACCESS_LOGS_BUCKET);
    if kind == LoadBalancerKind::Application {
        log_into(&mut balancer, CONNECTION_LOGS, CONNECTION_LOGS_BUCKET);
    }
    let logging = Logging::start(&balancer).await;
    let identity = |name: &str, serial| -> Identity { authority.make(name, serial, NOW).identity() };
    let ring =
        [("arn:a".to_owned(), identity("a.example", 1)), ("arn:other".to_owned(), identity("b.example", 2))];
    logging.world.keys.send_replace(Arc::new(HashMap::from(ring)));
    (logging, authority, balancer.listeners[0].addresses[0])
}

async fn ask_secure(client: &TlsClient, address: SocketAddr) {
    // The keys are there a moment later.
    loop {
        if let Ok(mut stream) = client.open(address, "a.example").await {
            stream
                .write_all(b"GET /x HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn connections_are_logged_with_what_their_handshakes_came_to_and_requests_name_theirs() {
    run(async {
        let server = Server::start("one");
        let (logging, authority, address) =
            start_secure(LoadBalancerKind::Application, Protocol::Https, server.address).await;
        ask_secure(&TlsClient::new(&authority, None), address).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        let objects = logging.end().await;
        assert_eq!(objects.len(), 2, "{objects:?}");
        let (connections, requests): (Vec<_>, Vec<_>) =
            objects.into_iter().partition(|(key, _)| key.contains("/conn_log.000000000000_"));
        let request = fields(&requests[0].1[0]);
        assert_eq!((request[0], request[15]), ("https", "TLSv1.3"));
        assert!(request[14].starts_with("TLS_"), "{request:?}");
        assert_eq!(request[18..20], ["a.example", "arn:a"]);
        let lines: Vec<Vec<&str>> = connections[0].1.iter().map(|line| fields(line)).collect();
        assert!(lines.iter().all(|fields| fields.len() == 12), "{lines:?}");
        let opened = lines.iter().find(|fields| fields[11] == request[29]).unwrap();
        assert_eq!((opened[3], opened[4], opened[10]), ("80", "TLSv1.3", "Success"));
        assert!(opened[6].parse::<f64>().unwrap() < 60.0, "{opened:?}");
        assert!(lines.iter().any(|fields| fields[10] == "Failed:UnmappedConnectionError"), "{lines:?}");
    });
}

#[test]
fn acc_s3_26_a_network_load_balancer_logs_connections_of_tls() {
    run(async {
        let server = Server::start("one");
        let (logging, authority, address) =
            start_secure(LoadBalancerKind::Network, Protocol::Tls, server.address).await;
        ask_secure(&TlsClient::new(&authority, None), address).await;
        let objects = logging.end().await;
        assert!(objects[0].0.contains("_elasticloadbalancing_us-east-1_net.lb."), "{objects:?}");
        let lines = &objects[0].1;
        assert_eq!(lines.len(), 1, "{lines:?}");
        let fields = fields(&lines[0]);
        assert_eq!(fields.len(), 22, "{fields:?}");
        assert_eq!(fields[..2], ["tls", "2.0"]);
        assert!(fields[3].starts_with("net/lb/"), "{fields:?}");
        assert_eq!(fields[6], address.to_string());
        assert!(fields[7..11].iter().all(|number| number.parse::<u64>().is_ok()), "{fields:?}");
        assert!(fields[9].parse::<u64>().unwrap() > 50 && fields[10].parse::<u64>().unwrap() > 50);
        assert_eq!((fields[12], fields[15], fields[17]), ("arn:a", "tlsv13", "a.example"));
    });
}

#[test]
fn every_check_of_a_target_is_logged_with_what_came_of_it() {
    run(async {
        let (server, nobody) = (Server::start("one"), free_address());
        let groups = vec![group("g", &[server.address, nobody])];
        let mut balancer = load_balancer(LoadBalancerKind::Application, groups);
        log_into(&mut balancer, HEALTH_CHECK_LOGS, HEALTH_CHECK_LOGS_BUCKET);
        let mut logging = Logging::start(&balancer).await;
        server.is_healthy.set(false);
        logging
            .world
            .wait_until(|seen| seen.targets.values().all(|it| it.state.as_str() == "unhealthy"))
            .await;
        let objects = logging.end().await;
        let (key, lines) = &objects[0];
        assert!(
            key.contains("/health_check_log_000000000000_elasticloadbalancing_us-east-1_app.lb."),
            "{key}"
        );
        let lines: Vec<Vec<&str>> = lines.iter().map(|line| fields(line)).collect();
        assert!(lines.iter().all(|fields| fields.len() == 8 && fields[0] == "http" && fields[4] == "g"));
        let has = |address: SocketAddr, wanted: [&str; 3]| {
            let is_meant = |fields: &&Vec<&str>| fields[3] == address.to_string() && fields[5..] == wanted;
            lines.iter().any(|fields| is_meant(&fields))
        };
        assert!(has(server.address, ["PASS", "200", "-"]), "{lines:?}");
        assert!(has(server.address, ["FAIL", "503", "TargetError"]), "{lines:?}");
        assert!(has(nobody, ["FAIL", "-", "ConnectionReset"]), "{lines:?}");
        assert!(lines.iter().all(|fields| fields[2].parse::<f64>().unwrap() < 10.0), "{lines:?}");
    });
}

#[test]
fn a_store_that_hangs_stops_no_traffic() {
    /// A store that waits to be let go.
    struct Hanging(Receiver<()>);
    impl proxy::LogStore for Hanging {
        fn put(&mut self, _: &str, _: &str, _: &[u8]) -> Result<(), String> {
            self.0.recv().map_err(|error| error.to_string())
        }
    }
    run(async {
        let server = Server::start("one");
        let mut balancer = load_balancer(LoadBalancerKind::Application, vec![group("g", &[server.address])]);
        log_into(&mut balancer, ACCESS_LOGS, ACCESS_LOGS_BUCKET);
        let (release, held): (Sender<()>, _) = mpsc::channel();
        let metrics = proxy::Metrics::default();
        let store: Option<Box<dyn proxy::LogStore>> = Some(Box::new(Hanging(held)));
        let interval = Duration::from_millis(20);
        let settings = proxy::LogSettings { store, interval, ..proxy::LogSettings::default() };
        let (logs, writer) = proxy::open_logs(settings, &metrics).unwrap();
        let world = World::start_with(plan_of(&balancer), metrics, Some(logs)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        for _ in 0..300 {
            assert_eq!(client.get("/x").await.status, 200);
        }
        let waits = |text: &str| !text.contains("forebay_log_waiting_bytes 0\n");
        while !waits(&world.metrics.encode()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(release);
        world.drain.finish(Duration::from_secs(20)).await;
        let patience = Duration::from_secs(20);
        assert!(tokio::task::spawn_blocking(move || writer.finish(patience)).await.unwrap());
    });
}
