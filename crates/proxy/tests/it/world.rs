//! A data plane, targets that tell who they are, and clients.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use net::{
    Body, ClientConnection, Drain, Fields, KeyRing, LOADING, Limits, Method, Outgoing, Request, Response,
    StatusCode,
};
use plan::{
    Action, CodeSet, HealthCheck, HealthCheckPort, Listener, LoadBalancer, LoadBalancerKind, Matcher,
    Observed, Origin, Plan, Protocol, ServicePort, ServicePortName, Target, TargetGroup,
};
use tokio::sync::watch;
use tokio::task::LocalSet;

/// Runs a test on a thread of its own, as the platform does.
pub(crate) fn run(test: impl Future<Output = ()>) {
    run_within(Duration::from_secs(60), test);
}

/// Runs one that may take so long on a machine that is busy.
pub(crate) fn run_within(patience: Duration, test: impl Future<Output = ()>) {
    let runtime = net::runtime().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(patience, test).await.expect("the test hangs");
    });
}

/// A running data plane.
pub(crate) struct World {
    pub(crate) plans: watch::Sender<Arc<Plan>>,
    pub(crate) keys: watch::Sender<Arc<KeyRing>>,
    pub(crate) observed: watch::Receiver<Arc<Observed>>,
    pub(crate) metrics: proxy::Metrics,
    pub(crate) drain: Drain,
}

impl World {
    pub(crate) async fn start(plan: Plan) -> Self {
        Self::start_with(plan, proxy::Metrics::default(), None).await
    }

    /// A data plane that writes logs.
    pub(crate) async fn start_with(plan: Plan, metrics: proxy::Metrics, logs: Option<proxy::Logs>) -> Self {
        let settings = proxy::Settings { n_cores: 2, logs, ..proxy::Settings::default() };
        Self::start_as(plan, metrics, settings).await
    }

    /// A data plane with settings of its own.
    pub(crate) async fn start_as(plan: Plan, metrics: proxy::Metrics, settings: proxy::Settings) -> Self {
        let (plans, plans_receiver) = watch::channel(Arc::new(plan));
        let (keys, key_ring) = watch::channel(Arc::default());
        let (observed_sender, observed) = watch::channel(Arc::default());
        let (drain, watch) = Drain::new();
        tokio::task::spawn_local(proxy::run(
            plans_receiver,
            key_ring,
            observed_sender,
            metrics.clone(),
            settings,
            watch,
        ));
        let mut world = Self { plans, keys, observed, metrics, drain };
        world.settle().await;
        world
    }

    /// Changes the plan and waits until every core follows it, its targets are known, and those that are gone are told to drain.
    pub(crate) async fn change(&mut self, plan: Plan) {
        let before = self.n_plans();
        self.plans.send_replace(Arc::new(plan));
        while self.n_plans() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.settle().await;
    }

    /// How many plans have come into force.
    fn n_plans(&self) -> u64 {
        let metrics = self.metrics.encode();
        let lines = metrics.lines().filter_map(|line| line.strip_prefix("forebay_plan_changes_total "));
        lines.map(|number| number.parse::<u64>().unwrap()).sum()
    }

    /// Waits until every listener of the plan is told of, and every target has been asked.
    async fn settle(&mut self) {
        let plan = Arc::clone(&self.plans.borrow());
        let n_listeners: usize = plan.load_balancers.iter().map(|balancer| balancer.listeners.len()).sum();
        let groups = || plan.load_balancers.iter().flat_map(|balancer| &balancer.target_groups);
        let targets: Vec<SocketAddr> =
            groups().flat_map(|group| &group.targets).map(Target::socket).collect();
        self.wait_until(|observed| {
            let known = |address: &SocketAddr| {
                observed
                    .targets
                    .iter()
                    .any(|(key, health)| key.address == *address && health.state.as_str() != "initial")
            };
            observed.listeners.len() == n_listeners && targets.iter().all(known)
        })
        .await;
    }

    pub(crate) async fn wait_until(&mut self, condition: impl FnMut(&Arc<Observed>) -> bool) {
        self.observed.wait_for(condition).await.unwrap();
    }

    /// The state of the target at an address.
    pub(crate) fn state_of(&self, address: SocketAddr) -> Option<&'static str> {
        let observed = self.observed.borrow();
        observed
            .targets
            .iter()
            .find(|(key, _)| key.address == address)
            .map(|(_, health)| health.state.as_str())
    }
}

/// A load balancer with one listener on a free port.
pub(crate) fn load_balancer(kind: LoadBalancerKind, groups: Vec<TargetGroup>) -> LoadBalancer {
    let is_application = kind == LoadBalancerKind::Application;
    let protocol = if is_application { Protocol::Http } else { Protocol::Tcp };
    let mut listener = Listener::new(80, protocol);
    listener.addresses = vec![free_address()];
    let id = plan::LoadBalancerId::ingress("test", "lb");
    let mut balancer = LoadBalancer { target_groups: groups.into(), ..LoadBalancer::new(id, kind, "lb") };
    if let Some(first) = balancer.target_groups.first() {
        listener.default_action = Some(forward_to(&balancer, &first.key));
    }
    balancer.listeners.push(listener);
    balancer
}

/// The action that leads to the target group with this key.
pub(crate) fn forward_to(balancer: &LoadBalancer, key: &str) -> Action {
    Action::forward_to(balancer.target_groups.find(key).unwrap())
}

pub(crate) fn plan_of(load_balancer: &LoadBalancer) -> Plan {
    Plan { load_balancers: vec![load_balancer.clone()], ..Plan::default() }
}

/// A target group that is asked for its health often.
pub(crate) fn group(key: &str, targets: &[SocketAddr]) -> TargetGroup {
    let service = ServicePort::new("test", key, ServicePortName::Number(80));
    let health_check = HealthCheck {
        protocol: Protocol::Http,
        port: HealthCheckPort::TrafficPort,
        path: Some("/health".into()),
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(2),
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        matcher: Matcher::Http(CodeSet::parse("200", 200..=499).unwrap()),
    };
    let target = |address: &SocketAddr| Target {
        address: address.ip(),
        port: address.port(),
        availability_zone: None,
    };
    TargetGroup {
        targets: targets.iter().map(target).collect(),
        ..TargetGroup::new(key, service, Protocol::Http, health_check)
    }
}

/// A target group of replicas of ours.
pub(crate) fn of_ours(group: TargetGroup) -> TargetGroup {
    TargetGroup { origin: Origin::Ours, replay: Origin::Ours.replay(), ..group }
}

/// An address nobody listens on. Each call gives another one, on a loopback address of this process: a port that the system
/// finds free may be somebody else's before it is bound again.
pub(crate) fn free_address() -> SocketAddr {
    /// Below those that connections leave from.
    static PORTS: AtomicU16 = AtomicU16::new(20_000);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 160 + high % 64, middle, low], PORTS.fetch_add(1, Ordering::Relaxed)))
}

/// A server that tells its name, counts requests, and behaves as it is told.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) n_requests: Rc<Cell<usize>>,
    pub(crate) is_healthy: Rc<Cell<bool>>,
    /// Whether requests are answered as a replica does that loads its model.
    pub(crate) is_loading: Rc<Cell<bool>>,
    /// Whether `/slow` is answered.
    released: watch::Sender<bool>,
    drain: RefCell<Option<Drain>>,
}

impl Server {
    pub(crate) fn start(name: &'static str) -> Self {
        Self::start_at(name, free_address())
    }

    pub(crate) fn start_at(name: &'static str, address: SocketAddr) -> Self {
        let n_requests = Rc::new(Cell::new(0));
        let is_healthy = Rc::new(Cell::new(true));
        let is_loading = Rc::new(Cell::new(false));
        let (released, release) = watch::channel(false);
        let (count, healthy, loading) =
            (Rc::clone(&n_requests), Rc::clone(&is_healthy), Rc::clone(&is_loading));
        let handler = move |request: Request| {
            let (count, healthy, loading) = (Rc::clone(&count), Rc::clone(&healthy), Rc::clone(&loading));
            let mut release = release.clone();
            async move {
                if loading.get() {
                    return Response::new(StatusCode::SERVICE_UNAVAILABLE).with_field(LOADING.0, LOADING.1);
                }
                if request.target.path() == "/slow" {
                    count.set(count.get() + 1);
                    let _ = release.wait_for(|released| *released).await;
                    return Response::with_body(StatusCode::OK, "text/plain", name.to_owned());
                }
                answer(name, request, &count, &healthy).await
            }
        };
        let listener = net::bind(address, 1).unwrap().remove(0);
        let (drain, watch) = Drain::new();
        tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
        Self { address, n_requests, is_healthy, is_loading, released, drain: RefCell::new(Some(drain)) }
    }

    /// Answers what was asked of `/slow`, which waits until then.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    /// Stops accepting; connections that are open end after the request they are at.
    pub(crate) fn stop(&self) {
        drop(self.drain.borrow_mut().take());
    }
}

async fn answer(name: &str, request: Request, count: &Cell<usize>, healthy: &Cell<bool>) -> Response {
    if request.target.path() == "/health" {
        let status = if healthy.get() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        return Response::new(status);
    }
    count.set(count.get() + 1);
    match request.target.path() {
        "/fields" => {
            let mut text = format!("{} {}\n", request.method, request.target.as_str());
            for (field, value) in request.fields.iter() {
                let (field, value) = (String::from_utf8_lossy(field), String::from_utf8_lossy(value));
                text.push_str(&format!("{}: {value}\n", field.to_ascii_lowercase()));
            }
            Response::with_body(StatusCode::OK, "text/plain", text)
        }
        "/echo" => Response::with_body(StatusCode::OK, "text/plain", request.body),
        _ => {
            let _ = request.body.collect(1 << 20).await;
            Response::with_body(StatusCode::OK, "text/plain", name.to_owned())
        }
    }
}

/// A client with one connection that it keeps as long as it can.
pub(crate) struct Client {
    address: SocketAddr,
    n_opened: Cell<usize>,
    idle: Rc<RefCell<Option<ClientConnection>>>,
}

/// Status, fields and text of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) text: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, n_opened: Cell::new(0), idle: Rc::default() }
    }

    /// How many connections it has opened so far.
    pub(crate) fn n_opened(&self) -> usize {
        self.n_opened.get()
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(Method::GET, "a.example.com", target, Body::Empty, &[]).await.unwrap()
    }

    pub(crate) async fn post(&self, target: &str, body: impl Into<Body>) -> Result<Answer, net::SendError> {
        self.send(Method::POST, "a.example.com", target, body.into(), &[]).await
    }

    /// Asks with more patience than others have.
    pub(crate) async fn send_within(
        &self,
        patience: Duration,
        target: &str,
    ) -> Result<Answer, net::SendError> {
        let (method, body) = (Method::GET, Body::Empty);
        self.send_patiently(method, "a.example.com", target, body, &[], patience).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        host: &str,
        target: &str,
        body: Body,
        more: &[(&str, &str)],
    ) -> Result<Answer, net::SendError> {
        self.send_patiently(method, host, target, body, more, Duration::from_secs(10)).await
    }

    async fn send_patiently(
        &self,
        method: Method,
        host: &str,
        target: &str,
        body: Body,
        more: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Answer, net::SendError> {
        let kept = self.idle.borrow_mut().take().filter(ClientConnection::is_open);
        let connection = match kept {
            Some(connection) => connection,
            None => {
                self.n_opened.set(self.n_opened.get() + 1);
                ClientConnection::open(self.address, Duration::from_secs(5)).await.unwrap()
            }
        };
        let mut fields = Fields::new();
        fields.push("host", host);
        for (name, value) in more {
            fields.push(name, value);
        }
        let outgoing = Outgoing { method: &method, target, fields: &fields, body, timeout };
        let idle = Rc::clone(&self.idle);
        let response =
            connection.send(outgoing, move |connection| *idle.borrow_mut() = Some(connection)).await?;
        let bytes = response.body.collect(64 << 20).await.map_err(|_| net::SendError::Truncated)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { status: response.status.as_u16(), fields: response.fields, text })
    }
}
