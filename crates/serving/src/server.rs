//! The server: a request in, the answer of a model out.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use net::{Connection, Handler, HandshakeFailure, LOADING, Request, Response, StatusCode};
use traces::Tracer;

use crate::Settings;
use crate::admin::AdminAddress;
use crate::call::Call;
use crate::content_encoding::Encoding;
use crate::fault::{Cause, Fault};
use crate::grpc;
use crate::handler::ServerHandler;
use crate::metrics::{Outcome, ShownCertificate};
use crate::model_set::{DuplicateName, ModelSet, ServedModel};
use crate::openapi;
use crate::pattern::without_needless_escapes;
use crate::prediction_log::PredictionLog;
use crate::protocols::{FALLBACK, Found, Protocol, find};
use crate::reply::{JSON, Reply};
use crate::repository::{Loader, Repository};
use crate::route::{Answer, Verb};
use crate::shared::Shared;
use crate::told::Told;
use crate::unrouted;
use crate::view::View;

/// A model server. A clone is another handle to the same.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

// === impl Server ===

impl Server {
    /// A server of these models. The first is the one that is asked when a request names none.
    ///
    /// # Errors
    /// When two models have one name.
    pub fn new(models: Vec<ServedModel>, settings: Settings) -> Result<Self, DuplicateName> {
        Self::with_loader(models, settings, None)
    }

    /// The same, where clients of the admin address may load and unload the models of a repository.
    ///
    /// # Errors
    /// When two models have one name.
    pub fn with_repository(
        models: Vec<ServedModel>,
        settings: Settings,
        repository: Arc<dyn Repository>,
    ) -> Result<Self, DuplicateName> {
        Self::with_loader(models, settings, Some(Loader::new(repository)))
    }

    fn with_loader(
        models: Vec<ServedModel>,
        settings: Settings,
        loader: Option<Loader>,
    ) -> Result<Self, DuplicateName> {
        let models = ModelSet::new(models, &settings)?;
        Ok(Self { shared: Arc::new(Shared::new(models, settings, loader)) })
    }

    /// Serves other models from now on. Requests that are at work finish with those they began with.
    ///
    /// # Errors
    /// When two models have one name. Nothing changes then.
    pub fn replace_models(&self, models: Vec<ServedModel>) -> Result<(), DuplicateName> {
        self.shared.replace(ModelSet::new(models, &self.shared.settings)?);
        Ok(())
    }

    /// Logs predictions from now on, unless they are logged already.
    pub fn log_predictions(&self, log: PredictionLog) {
        self.shared.metrics.count_log(Arc::clone(log.counts()));
        let _ = self.shared.log.set(log);
    }

    /// Records the traces of requests from now on, unless they are recorded already.
    pub fn trace(&self, tracer: Tracer) {
        self.shared.metrics.count_spans(tracer.counts().clone());
        let _ = self.shared.traces.set(tracer);
    }

    /// Says which certificate clients are shown from now on, for who reads the metrics.
    pub fn show_certificate(&self, certificate: ShownCertificate) {
        self.shared.metrics.tls.show(certificate);
    }

    /// Says where clients may load and unload models; it is told those who ask elsewhere. The first time counts.
    pub fn set_admin_address(&self, address: SocketAddr) {
        let _ = self.shared.admin_address.set(AdminAddress(address));
    }

    /// What answers requests that come over the admin address: as [`Self::handler`], and it changes the models.
    #[must_use]
    pub fn admin_handler(&self) -> ServerHandler {
        self.handler().into_admin()
    }

    /// What answers requests on one core. Make one on each, and clone it for its connections. It is run on a
    /// [`tokio::task::LocalSet`], as [`net::serve`] does.
    #[must_use]
    pub fn handler(&self) -> ServerHandler {
        ServerHandler::new(&self.shared)
    }
}

// === impl ServerHandler ===

/// A reply, and who gave it.
struct Answered {
    protocol: &'static Protocol,
    model: Option<usize>,
    reply: Reply,
}

impl Handler for ServerHandler {
    fn handshake_failed(&self, failure: HandshakeFailure, _: &Connection) {
        self.metrics().tls.count(failure);
    }

    async fn handle(&self, request: Request) -> Response {
        let told = Told::of(&request);
        let traced = self.traced(&request);
        let handler = traced.as_ref().unwrap_or(self);
        let response = if request.is_grpc() {
            grpc::answer(handler, request).await
        } else {
            answer_of_http(handler, request).await
        };
        if let Some(trace) = &handler.trace {
            trace.answered(response.status);
        }
        if let Some(told) = told {
            told.tell(response.status);
        }
        response
    }
}

async fn answer_of_http(handler: &ServerHandler, request: Request) -> Response {
    let start = Instant::now();
    let view = handler.view();
    let accepted = Encoding::accepted(&request.fields);
    let Answered { protocol, model, reply } = answer(handler, &view, request).await;
    let reply = handler.compressed(reply, accepted).await;
    let outcome = Outcome { protocol: protocol.name, status: reply.status, start, duration: start.elapsed() };
    view.counts_of(model).count_request(outcome);
    reply.into_response()
}

/// Finds the route, then the model, then reads, predicts and tells; every fault is told by the protocol of the path.
async fn answer(handler: &ServerHandler, view: &Rc<View>, request: Request) -> Answered {
    let Request { method, target, fields, body, .. } = request;
    let (models, metrics) = (&view.models, handler.metrics());
    let path = without_needless_escapes(target.path());
    let (protocol, route, captures) = match find(Verb::of(&method), &path) {
        Found::Route(protocol, route, captures) => (protocol, route, captures),
        Found::OtherVerb(protocol, route, captures) => {
            let call = Call { models, metrics, target: &target, fields: &fields, captures };
            let reply = unrouted::other_method(&method, &call, protocol, route);
            return Answered { protocol, model: None, reply };
        }
        Found::Nothing => {
            let reply = unrouted::no_such_path(&method, &target, models);
            return Answered { protocol: FALLBACK, model: None, reply };
        }
    };
    if let Some(trace) = &handler.trace {
        trace.routed(route.pattern);
    }
    let call = Call { models, metrics, target: &target, fields: &fields, captures };
    let (model, reply) = match &route.answer {
        Answer::Page(page) => (None, page(&call)),
        Answer::Reference => {
            let document = models.reference(openapi::document);
            (None, Ok(Reply::new(StatusCode::OK, JSON, document.clone())))
        }
        Answer::Read(page) => {
            let read = Box::pin(handler.read(&call, body)).await;
            (None, read.and_then(|(body, _held)| page(&call, &body)))
        }
        Answer::Change(change) => {
            let done = Box::pin(handler.change_by_path(&call, *change, body)).await;
            (None, done.map(|()| Reply::empty(StatusCode::OK)))
        }
        Answer::Predict(predict) => match call.position() {
            Ok(model) => (Some(model), handler.ask(view, &call, model, *predict, body).await),
            Err(fault) => (None, Err(fault)),
        },
    };
    let reply = reply.unwrap_or_else(|fault| refuse(protocol, &fault));
    Answered { protocol, model, reply }
}

/// The answer to a request that has none, in the shape of its protocol.
fn refuse(protocol: &Protocol, fault: &Fault) -> Reply {
    let reply = (protocol.refuse)(fault);
    match fault.cause {
        Cause::Loading => reply.with_field(LOADING.0, LOADING.1),
        _ => reply,
    }
}

#[cfg(test)]
mod tests {
    use net::{Refused, Rejection};

    use super::*;

    #[test]
    fn who_asks_too_much_is_told_when_to_ask_again() {
        let handler = Server::new(Vec::new(), Settings::default()).unwrap().handler();
        let local: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let connection = Connection { peer: local, local, tls: None };
        for (reason, again) in [("too-many-requests-of-client", Some("1")), ("malformed-head", None)] {
            let rejection = *Rejection::ALL.iter().find(|known| known.reason == reason).unwrap();
            let refused = Refused { rejection, request: None, is_grpc: false };
            assert_eq!(handler.reject(&refused, &connection).fields.text("retry-after"), again, "{reason}");
        }
    }
}
