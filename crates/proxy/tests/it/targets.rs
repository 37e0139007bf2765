//! Targets that behave as they are told while they run.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use net::{Drain, Limits, Request, Response, StatusCode};
use tokio::sync::watch;

use crate::world::free_address;

/// A server that tells its name, and how it behaves. Its health is good for as long as it says anything.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) behaviour: Rc<Behaviour>,
    hangs: watch::Sender<bool>,
    _drain: Drain,
}

/// How requests are answered, but for those of health checks.
#[derive(Default)]
pub(crate) struct Behaviour {
    pub(crate) n_requests: Cell<usize>,
    pub(crate) takes: Cell<Duration>,
    /// One of so many is answered with 500; 0 for none.
    pub(crate) one_fails_of: Cell<usize>,
    /// How many are worked on at the same time, and how many that were at most.
    pub(crate) n_at_once: Cell<usize>,
    pub(crate) most_at_once: Cell<usize>,
    /// What every answer sets as a cookie, if anything.
    pub(crate) sets_cookie: RefCell<Option<String>>,
}

impl Target {
    pub(crate) fn start(name: &'static str) -> Self {
        let (address, behaviour) = (free_address(), Rc::new(Behaviour::default()));
        let (hangs, hanging) = watch::channel(false);
        let told = Rc::clone(&behaviour);
        let handler = move |request: Request| {
            let (behaviour, mut hanging) = (Rc::clone(&told), hanging.clone());
            async move {
                let _ = hanging.wait_for(|hangs| !*hangs).await;
                match request.target.path() {
                    "/health" => Response::new(StatusCode::OK),
                    _ => behaviour.answer(name, request).await,
                }
            }
        };
        let listener = net::bind(address, 1).unwrap().remove(0);
        let (drain, watch) = Drain::new();
        tokio::task::spawn_local(net::serve(listener, handler, Limits::default(), watch));
        Self { address, behaviour, hangs, _drain: drain }
    }

    /// From now on nothing is answered, or what waits is.
    pub(crate) fn hang(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    pub(crate) fn n_requests(&self) -> usize {
        self.behaviour.n_requests.get()
    }
}

impl Behaviour {
    async fn answer(&self, name: &str, request: Request) -> Response {
        let number = self.n_requests.get() + 1;
        self.n_requests.set(number);
        self.n_at_once.set(self.n_at_once.get() + 1);
        self.most_at_once.set(self.most_at_once.get().max(self.n_at_once.get()));
        let _ = request.body.collect(1 << 20).await;
        if !self.takes.get().is_zero() {
            tokio::time::sleep(self.takes.get()).await;
        }
        self.n_at_once.set(self.n_at_once.get() - 1);
        let fails = number.checked_rem(self.one_fails_of.get()) == Some(0);
        let status = if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        let answer = Response::with_body(status, "text/plain", name.to_owned());
        match &*self.sets_cookie.borrow() {
            Some(cookie) => answer.with_field("set-cookie", cookie),
            None => answer,
        }
    }
}
