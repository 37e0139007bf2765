//! Targets that stop answering, answer badly, or take requests down with them: what traffic itself finds out.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plan::health::{Rest, RestReason};
use plan::{LoadBalancer, LoadBalancerKind, Replay, TargetGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http2;
use crate::targets::Target;
use crate::world::{Client, World, free_address, group, load_balancer, plan_of, run};

/// Targets that only predict, whose health is asked as seldom as that of most.
fn ours(addresses: &[SocketAddr]) -> TargetGroup {
    let mut group = group("g", addresses);
    group.replay = Replay::Everything;
    group.health_check.interval = Duration::from_secs(10);
    group
}

fn balancer_of(group: TargetGroup) -> LoadBalancer {
    load_balancer(LoadBalancerKind::Application, vec![group])
}

fn metric(world: &World, name: &str) -> u64 {
    let text = world.metrics.encode();
    let of_name = |line: &&str| line.starts_with(&format!("forebay_{name}"));
    text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Clients that predict one after the other until they are told to stop. Each says how long its slowest answer took, how many
/// it got, and what failed.
struct Load {
    stop: Rc<Cell<bool>>,
    clients: Vec<tokio::task::JoinHandle<(Duration, usize, Vec<String>)>>,
}

async fn predict(address: SocketAddr, stop: Rc<Cell<bool>>) -> (Duration, usize, Vec<String>) {
    let client = Client::new(address);
    let (mut slowest, mut n_answers, mut failures) = (Duration::ZERO, 0, Vec::new());
    while !stop.get() {
        let began = Instant::now();
        match client.post("/predict", "{}").await {
            Ok(answer) if answer.status == 200 => n_answers += 1,
            Ok(answer) => {
                failures.push(format!("{} {:?}", answer.status, answer.fields.text("x-forebay-reason")));
            }
            Err(error) => failures.push(error.to_string()),
        }
        slowest = slowest.max(began.elapsed());
    }
    (slowest, n_answers, failures)
}

impl Load {
    fn begin(address: SocketAddr, n_clients: usize) -> Self {
        let stop = Rc::new(Cell::new(false));
        let clients =
            (0..n_clients).map(|_| tokio::task::spawn_local(predict(address, Rc::clone(&stop)))).collect();
        Self { stop, clients }
    }

    /// The slowest answer of all; none may have failed.
    async fn end(self) -> Duration {
        self.stop.set(true);
        let mut slowest = Duration::ZERO;
        for client in self.clients {
            let (of_client, n_answers, failures) = client.await.unwrap();
            assert!(n_answers > 0 && failures.is_empty(), "{n_answers} answers, {failures:?}");
            slowest = slowest.max(of_client);
        }
        slowest
    }
}

/// Sooner than anything that only ends by a timeout, however busy the machine is.
const SOON: Duration = Duration::from_secs(3);

#[test]
fn a_target_that_hangs_gets_no_new_request_and_those_it_has_go_to_another() {
    run(async {
        let targets = ["a", "b"].map(Target::start);
        let balancer = balancer_of(ours(&targets.each_ref().map(|target| target.address)));
        let world = World::start(plan_of(&balancer)).await;
        let load = Load::begin(balancer.listeners[0].addresses[0], 8);
        tokio::time::sleep(Duration::from_millis(300)).await;
        targets[0].hang(true);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let (n_before, n_all_before) = (targets[0].n_requests(), targets[1].n_requests());
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(targets[1].n_requests() > n_all_before + 20, "the other one answers all");
        targets[0].hang(false);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(targets[0].n_requests() > n_before + 20, "it is asked again once it answers");
        let slowest = load.end().await;
        assert!(slowest < SOON, "{slowest:?}");
        assert!(metric(&world, "hedges_total") > 0 && metric(&world, "targets_passed_over_total") > 0);
    });
}

#[test]
fn a_request_over_http2_that_hangs_goes_to_another_target_too() {
    run(async {
        let targets = ["a", "b"].map(Target::start);
        let mut group = ours(&targets.each_ref().map(|target| target.address));
        group.protocol_version = Some(plan::ProtocolVersion::Http2);
        let balancer = balancer_of(group);
        let world = World::start(plan_of(&balancer)).await;
        let client = http2::connect(balancer.listeners[0].addresses[0]).await;
        targets[0].hang(true);
        for _ in 0..20 {
            let began = Instant::now();
            let request = http2::request(net::Method::POST, "/predict", &[]);
            let answer = http2::ask(&client, request, b"{}").await.unwrap();
            assert_eq!((answer.status, answer.text.as_str()), (200, "b"));
            assert!(began.elapsed() < SOON);
        }
        assert!(metric(&world, "hedges_total") > 0);
    });
}

#[test]
fn where_nothing_may_be_sent_twice_new_requests_go_elsewhere_all_the_same() {
    run(async {
        let targets = ["a", "b"].map(Target::start);
        let mut group = ours(&targets.each_ref().map(|target| target.address));
        group.replay = Replay::Idempotent;
        let balancer = balancer_of(group);
        let world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        targets[0].hang(true);
        // Each core finds out for itself, or hears of it.
        let stuck: Vec<_> = (0..8)
            .map(|_| tokio::task::spawn_local(async move { Client::new(address).post("/pay", "1").await }))
            .collect();
        tokio::time::sleep(Duration::from_millis(400)).await;
        for _ in 0..40 {
            let began = Instant::now();
            assert_eq!(Client::new(address).post("/pay", "1").await.unwrap().text, "b");
            assert!(began.elapsed() < SOON);
        }
        assert_eq!(metric(&world, "hedges_total"), 0);
        targets[0].hang(false);
        for stuck in stuck {
            assert_eq!(stuck.await.unwrap().unwrap().status, 200);
        }
    });
}

#[test]
fn what_only_asks_goes_to_another_target_of_others_beside_one_that_hangs() {
    use net::Method;
    run(async {
        let targets = ["a", "b"].map(Target::start);
        let mut group = ours(&targets.each_ref().map(|target| target.address));
        group.replay = Replay::Idempotent;
        let balancer = balancer_of(group);
        let world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            targets[0].hang(true);
            let n_before = metric(&world, "hedges_total");
            for _ in 0..4 {
                let began = Instant::now();
                let answer = client.send(method.clone(), "a.example.com", "/x", net::Body::Empty, &[]).await;
                assert_eq!(answer.unwrap().status, 200, "{method}");
                assert!(began.elapsed() < SOON, "{method}");
            }
            assert!(metric(&world, "hedges_total") > n_before, "{method}");
            targets[0].hang(false);
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    });
}

#[test]
fn a_slow_target_is_not_silent_once_it_is_known() {
    run(async {
        let targets = ["a", "b"].map(Target::start);
        targets.iter().for_each(|target| target.behaviour.takes.set(Duration::from_millis(400)));
        let balancer = balancer_of(ours(&targets.each_ref().map(|target| target.address)));
        // What is known of a target, each core knows for itself.
        let settings = proxy::Settings { n_cores: 1, ..proxy::Settings::default() };
        let world = World::start_as(plan_of(&balancer), proxy::Metrics::default(), settings).await;
        let address = balancer.listeners[0].addresses[0];
        for _ in 0..4 {
            Client::new(address).get("/").await;
        }
        let (n_hedges, n_passed_over) =
            (metric(&world, "hedges_total"), metric(&world, "targets_passed_over"));
        for _ in 0..8 {
            assert_eq!(Client::new(address).get("/").await.status, 200);
        }
        assert_eq!(metric(&world, "hedges_total"), n_hedges);
        assert_eq!(metric(&world, "targets_passed_over"), n_passed_over);
    });
}

#[test]
fn a_target_that_answers_one_request_after_the_other_badly_rests_for_a_while() {
    run(async {
        let targets = ["a", "b", "c"].map(Target::start);
        let balancer = balancer_of(ours(&targets.each_ref().map(|target| target.address)));
        let mut world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        targets[0].behaviour.one_fails_of.set(1);
        let mut n_bad = 0;
        for _ in 0..300 {
            n_bad += usize::from(client.get("/").await.status == 500);
        }
        assert_eq!(n_bad, 5);
        // Who asks how targets are hears of that.
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        let is_told = |observed: &Arc<plan::Observed>| {
            let rest = |target: &Target| {
                let found = observed.targets.iter().find(|(key, _)| key.address == target.address);
                found.and_then(|(_, health)| health.rest)
            };
            let soon = now..now + Duration::from_secs(10);
            let is_so = |rest: Rest| {
                rest.because == RestReason::BadAnswers
                    && rest.until.is_some_and(|until| soon.contains(&until))
            };
            rest(&targets[0]).is_some_and(is_so) && targets[1..].iter().all(|target| rest(target).is_none())
        };
        world.wait_until(is_told).await;
        // When all do it, the requests may be what is bad.
        targets.iter().for_each(|target| target.behaviour.one_fails_of.set(1));
        let before = targets.each_ref().map(Target::n_requests);
        for _ in 0..60 {
            assert_eq!(client.get("/").await.status, 500);
        }
        let n_asked = targets.iter().zip(before).filter(|(target, before)| target.n_requests() > *before);
        assert!(n_asked.count() >= 2);
    });
}

/// A server that answers every other request and ends the connection of the others without a word. Its health checks are answered.
async fn breaking() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(free_address()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let n_asked = Rc::new(Cell::new(0));
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let n_asked = Rc::clone(&n_asked);
            tokio::task::spawn_local(async move {
                let mut head = [0; 4096];
                let Ok(n_bytes @ 1..) = stream.read(&mut head).await else { return };
                let is_check = head[..n_bytes].starts_with(b"GET /health");
                n_asked.set(n_asked.get() + usize::from(!is_check));
                if is_check || n_asked.get().is_multiple_of(2) {
                    let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nb";
                    let _ = stream.write_all(answer).await;
                }
            });
        }
    });
    address
}

#[test]
fn a_target_that_ends_every_other_connection_instead_of_answering_rests_for_a_while() {
    run(async {
        let good = crate::world::Server::start("a");
        let balancer = balancer_of(group("g", &[breaking().await, good.address]));
        let world = World::start(plan_of(&balancer)).await;
        let client = Client::new(balancer.listeners[0].addresses[0]);
        let mut lost = Vec::new();
        for n in 0..200 {
            if client.get("/").await.status != 200 {
                lost.push(n);
            }
        }
        assert!(lost.iter().all(|n| *n < 40), "{lost:?}");
        assert!(metric(&world, "targets_passed_over_total") >= 1);
    });
}

#[test]
fn new_requests_avoid_an_address_that_swallows_connections() {
    run(async {
        let target = Target::start("a");
        let listener = tokio::net::TcpSocket::new_v4().unwrap();
        let address = free_address();
        listener.bind(address).unwrap();
        let mut group = ours(&[target.address, address]);
        group.health_check.protocol = plan::Protocol::Tcp;
        group.health_check.matcher = plan::Matcher::Connection;
        let listener = listener.listen(1).unwrap();
        let balancer = balancer_of(group);
        let world = World::start(plan_of(&balancer)).await;
        // Nobody accepts, and there is room for no more.
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address)).await
        {
            waiting.push(stream);
        }
        let load = Load::begin(balancer.listeners[0].addresses[0], 8);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let slowest = load.end().await;
        assert!(slowest < SOON, "{slowest:?}");
        assert!(metric(&world, "targets_passed_over_total") > 0);
        drop(listener);
    });
}

/// A target that goes down with every request of some kind, and is there again for the next.
async fn fragile(n_deaths: Rc<Cell<usize>>) -> SocketAddr {
    let address = free_address();
    let listen = move || net::bind(address, 1).unwrap().remove(0);
    let first = tokio::net::TcpListener::from_std(listen()).unwrap();
    let listener = Rc::new(RefCell::new(Some(first)));
    tokio::task::spawn_local(async move {
        loop {
            let Some(open) = listener.borrow_mut().take() else { return };
            let Ok((mut stream, _)) = open.accept().await else { return };
            let mut bytes = [0; 4096];
            let n_bytes = stream.read(&mut bytes).await.unwrap_or(0);
            if bytes[..n_bytes].starts_with(b"GET /health") {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await;
                listener.replace(Some(open));
                continue;
            }
            n_deaths.set(n_deaths.get() + 1);
            drop((open, stream));
            tokio::time::sleep(Duration::from_secs(1)).await;
            listener.replace(Some(tokio::net::TcpListener::from_std(listen()).unwrap()));
        }
    });
    address
}

#[test]
fn a_request_that_takes_two_targets_down_goes_to_no_third() {
    run(async {
        let n_deaths = Rc::new(Cell::new(0));
        let mut addresses = Vec::new();
        for _ in 0..4 {
            addresses.push(fragile(Rc::clone(&n_deaths)).await);
        }
        let balancer = balancer_of(ours(&addresses));
        let _world = World::start(plan_of(&balancer)).await;
        let answer = Client::new(balancer.listeners[0].addresses[0]).post("/predict", "{}").await.unwrap();
        assert_eq!((answer.status, answer.fields.text("x-forebay-reason")), (502, Some("costly-request")));
        assert_eq!(n_deaths.get(), 2);
    });
}

// === A process that is stopped ===

/// Says to [`a_process_that_serves`] where it is to serve.
const SERVE: &str = "FOREBAY_TEST_SERVE";

#[test]
#[ignore = "serves for another test, which starts it"]
fn a_process_that_serves() {
    let Ok(address) = std::env::var(SERVE) else { return };
    let listener = std::net::TcpListener::bind(address).unwrap();
    for stream in listener.incoming() {
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            while stream.read(&mut bytes).is_ok_and(|n_bytes| n_bytes > 0) {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            }
        });
    }
}

struct Process(Child);

impl Process {
    fn start(address: SocketAddr) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "ejection::a_process_that_serves"]);
        command.env(SERVE, address.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Self(command.spawn().unwrap());
        while std::net::TcpStream::connect(address).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        process
    }

    fn signal(&self, name: &str) {
        let killed = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.0.id())]).status();
        assert!(killed.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn kill_stop_of_a_target_costs_no_prediction() {
    run(async {
        let addresses = [free_address(), free_address()];
        let processes = addresses.map(Process::start);
        let balancer = balancer_of(ours(&addresses));
        let _world = World::start(plan_of(&balancer)).await;
        let mut all = Vec::new();
        for _ in 0..3 {
            let load = Load::begin(balancer.listeners[0].addresses[0], 8);
            tokio::time::sleep(Duration::from_millis(300)).await;
            processes[0].signal("STOP");
            tokio::time::sleep(Duration::from_millis(1200)).await;
            all.push(load.end().await);
            processes[0].signal("CONT");
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        println!("slowest answer after kill -STOP: {all:?}");
        assert!(all.iter().all(|slowest| *slowest < SOON), "{all:?}");
    });
}

#[test]
fn new_connections_through_a_network_load_balancer_avoid_a_target_that_hangs() {
    run(async {
        let targets = ["a", "b"].map(Target::start);
        let mut group = ours(&targets.each_ref().map(|target| target.address));
        (group.protocol, group.protocol_version) = (plan::Protocol::Tcp, None);
        group.health_check.protocol = plan::Protocol::Tcp;
        group.health_check.matcher = plan::Matcher::Connection;
        let balancer = load_balancer(LoadBalancerKind::Network, vec![group]);
        let _world = World::start(plan_of(&balancer)).await;
        let address = balancer.listeners[0].addresses[0];
        targets[0].hang(true);
        // Each core finds out for itself, or hears of it.
        let stuck: Vec<_> = (0..8)
            .map(|_| tokio::task::spawn_local(async move { Client::new(address).get("/").await.text }))
            .collect();
        tokio::time::sleep(Duration::from_millis(400)).await;
        for _ in 0..20 {
            let began = Instant::now();
            assert_eq!(Client::new(address).get("/").await.text, "b");
            assert!(began.elapsed() < SOON);
        }
        targets[0].hang(false);
        for stuck in stuck {
            assert!(["a", "b"].contains(&stuck.await.unwrap().as_str()));
        }
    });
}
