//! What one request that is passed on may cost. Nobody notices a little more, and no test of what is answered does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use net::{Drain, Gate, Handler, Limits, Request};
use plan::health::TargetState;
use plan::{
    Action, CodeSet, HealthCheck, HealthCheckPort, Listener, Matcher, Plan, Protocol, ServicePort,
    ServicePortName, Target, TargetGroup,
};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::door::Door;
use crate::exchange::Exchanges;
use crate::header_modification::tests::load_balancer;
use crate::listener::{ListenerSlot, WorkerListener};
use crate::logs::{Counters, Form, Lines, LogSettings, Logs, Sink};
use crate::metrics::Metrics;
use crate::pool::WorkerTarget;
use crate::random::Random;
use crate::record::{REMEMBERED, Records};
use crate::snapshot::Snapshot;
use crate::stickiness::Seal;
use crate::worker::Worker;

/// Bytes of the future of a request that is passed on: it is moved when it is made, and some thousands may wait at a time.
const FUTURE_BYTES: usize = 1056;

/// Allocations that a small request over kept connections of HTTP/1.1 takes.
const ALLOCATIONS: u64 = 12;

#[test]
fn the_future_of_a_request_is_small() {
    let n_bytes = size_of_answer(<Exchanges as Handler>::handle);
    assert!(n_bytes <= FUTURE_BYTES, "{n_bytes} bytes");
}

fn size_of_answer<'a, F>(_: impl Fn(&'a Exchanges, Request) -> F) -> usize {
    size_of::<F>()
}

/// Allocations that a line of the access log takes beside them: who hears that the answer is out, and now and then a batch.
const ALLOCATIONS_OF_A_LINE: u64 = 2;

#[test]
fn a_small_request_takes_few_allocations() {
    let each = allocations_of_a_request(None);
    assert!(each <= ALLOCATIONS, "{each} allocations");
}

#[test]
fn a_line_of_the_access_log_takes_hardly_any_allocations() {
    let stream = Some((Sink::File("/dev/null".into()), Form::Alb));
    let settings = LogSettings { stream, ..LogSettings::default() };
    let (logs, _writer) = Logs::start(settings, Counters::default()).unwrap();
    let each = allocations_of_a_request(Some(logs));
    assert!(each <= ALLOCATIONS + ALLOCATIONS_OF_A_LINE, "{each} allocations");
}

/// Bytes that a connection holds which has had an answer and stays.
const IDLE_BYTES: i64 = 1536;

#[test]
fn a_connection_that_waits_holds_little() {
    const N_CONNECTIONS: usize = 200;
    let _counting = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let held = with_a_proxy(None, |address| {
        let connect = || {
            let mut client = TcpStream::connect(address).unwrap();
            exchange(&mut client);
            client
        };
        // So many are remembered; what is known of the others goes with them.
        let _first: Vec<_> = (0..REMEMBERED + N_CONNECTIONS).map(|_| connect()).collect();
        let before = HELD.load(Ordering::Relaxed);
        let _more: Vec<_> = (0..N_CONNECTIONS).map(|_| connect()).collect();
        HELD.load(Ordering::Relaxed) - before
    });
    let each = held / N_CONNECTIONS as i64;
    assert!(each <= IDLE_BYTES, "{each} bytes");
}

fn allocations_of_a_request(logs: Option<Logs>) -> u64 {
    // So many are remembered; from there on what is known of a request stands where an earlier one stood.
    const N_BEFORE: usize = REMEMBERED + 50;
    const N_COUNTED: usize = 500;
    let _counting = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let n_allocations = with_a_proxy(logs, |address| {
        let mut client = TcpStream::connect(address).unwrap();
        let mut ask = |n_times| (0..n_times).for_each(|_| exchange(&mut client));
        ask(N_BEFORE);
        let before = N_ALLOCATIONS.load(Ordering::Relaxed);
        ask(N_COUNTED);
        N_ALLOCATIONS.load(Ordering::Relaxed) - before
    });
    n_allocations / N_COUNTED as u64
}

/// Held by who counts: there is one counter.
static COUNTING: Mutex<()> = Mutex::new(());

/// What a client finds that has a proxy to itself, all of whose allocations are counted.
fn with_a_proxy<T: Send + 'static>(
    logs: Option<Logs>,
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    let target = listen();
    let target_address = target.local_addr().unwrap();
    std::thread::spawn(move || answer_all(&target));
    let runtime = net::runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (exchanges, (_drain, watch)) = (exchanges(target_address, logs), Drain::new());
        let listener = listen();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        tokio::task::spawn_local(net::serve(listener, exchanges, Limits::default(), watch));
        let (told, found) = oneshot::channel();
        IS_COUNTED.set(true);
        std::thread::spawn(move || told.send(client(address)).ok().unwrap());
        found.await.unwrap()
    })
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

const REQUEST: &[u8] = b"POST /invocations HTTP/1.1\r\nhost: a.example.com\r\ncontent-type: application/json\r\nuser-agent: a\r\n\
    accept: */*\r\ncontent-length: 17\r\n\r\n{\"inputs\": [[1]]}";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Mon, 30 Nov 2026 21:00:00 GMT\r\ncontent-length: 18\r\n\r\n\
    {\"predictions\": 1}";
const END_OF_REQUEST: &[u8] = b"[[1]]}";
const END_OF_ANSWER: &[u8] = b": 1}";

fn exchange(stream: &mut TcpStream) {
    stream.write_all(REQUEST).unwrap();
    assert!(read_up_to(stream, END_OF_ANSWER));
}

/// Answers all requests of one connection after the other.
fn answer_all(target: &TcpListener) {
    while let Ok((mut stream, _)) = target.accept() {
        while read_up_to(&mut stream, END_OF_REQUEST) {
            stream.write_all(ANSWER).unwrap();
        }
    }
}

/// Whether a message that ends so has come.
fn read_up_to(stream: &mut TcpStream, end: &[u8]) -> bool {
    let (mut bytes, mut n_bytes) = ([0; 2048], 0);
    while !bytes[..n_bytes].ends_with(end) {
        match stream.read(&mut bytes[n_bytes..]) {
            Ok(0) | Err(_) => return false,
            Ok(n_more) => n_bytes += n_more,
        }
    }
    true
}

/// What stands behind a listener that leads to one target.
fn exchanges(target: SocketAddr, logs: Option<Logs>) -> Exchanges {
    let mut balancer = load_balancer();
    let mut listener = Listener::new(80, Protocol::Http);
    listener.default_action = Some(Action::forward_to(balancer.target_groups.add(group(target))));
    balancer.listeners = vec![listener];
    let (metrics, limits) = (Metrics::default(), Limits::default());
    let plan = Plan { load_balancers: vec![balancer], ..Plan::default() };
    let snapshot = Snapshot::new(&plan.into(), &Snapshot::default(), 1, &metrics, &std::sync::Arc::default());
    let group = &snapshot.groups[0];
    let target = &group.targets[0];
    target.set_state(TargetState::Healthy);
    let targets = HashMap::from([(target.key.clone(), Rc::new(WorkerTarget::new(target, group, 0)))]);
    let worker = Rc::new(Worker {
        index: 0,
        random: Random::default(),
        scratch: Default::default(),
        lines: logs.map(|logs| Rc::new(Lines::new(logs))),
        traces: None,
        records: Records::default(),
        limits,
        gate: Gate::default(),
        keeping: metrics.keeping(&limits),
        seal: Seal::new(),
        rates: metrics.rates(),
        flights: Default::default(),
    });
    let listener = WorkerListener::new(&snapshot.listeners[0], &targets, &metrics, &worker);
    let slots = Rc::from([Rc::new(ListenerSlot::new(listener))]);
    Exchanges::new(Rc::new(Door::new(slots, Gate::default())))
}

fn group(target: SocketAddr) -> TargetGroup {
    let seconds = Duration::from_secs;
    let health_check = HealthCheck {
        protocol: Protocol::Http,
        port: HealthCheckPort::TrafficPort,
        path: None,
        interval: seconds(30),
        timeout: seconds(5),
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        matcher: Matcher::Http(CodeSet::parse("200", 200..=499).unwrap()),
    };
    let service = ServicePort::new("test", "group", ServicePortName::Number(80));
    let target = Target { address: target.ip(), port: target.port(), availability_zone: None };
    TargetGroup { targets: vec![target], ..TargetGroup::new("group", service, Protocol::Http, health_check) }
}

thread_local! {
    /// Whether what this thread allocates is counted.
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
}

static N_ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Bytes that are taken and not given back.
static HELD: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, which counts what one thread asks of it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(n_allocations: u64, n_bytes: i64) {
    if IS_COUNTED.try_with(Cell::get).unwrap_or(false) {
        N_ALLOCATIONS.fetch_add(n_allocations, Ordering::Relaxed);
        HELD.fetch_add(n_bytes, Ordering::Relaxed);
    }
}

// SAFETY: everything is handed on to the system's allocator as it came, and counting allocates nothing.
#[expect(unsafe_code, reason = "there is no other way to see what is allocated")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed() as i64);
        // SAFETY: the caller promises what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, n_bytes: usize) -> *mut u8 {
        count(1, n_bytes.cast_signed() as i64);
        count(0, -(layout.size().cast_signed() as i64));
        // SAFETY: as above; the block is one of the system's, as all are.
        unsafe { System.realloc(block, layout, n_bytes) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size().cast_signed() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}
