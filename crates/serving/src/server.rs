//! The server: a request in, the answer of a model out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use models::Prediction;
use net::{Bytes, CollectError, Fields, Handler, Method, Request, Response, StatusCode, Target};
use tracing::error;

use crate::Settings;
use crate::call::{Asked, Call, Predict, Question};
use crate::compute::{Compute, Overloaded, Pace};
use crate::content::Content;
use crate::decode::Decoded;
use crate::fault::{Cause, Fault, list, nearest, quoted};
use crate::metrics::{Counts, Metrics, Outcome};
use crate::model_set::{DuplicateName, Entry, EntryState, ModelSet, Ready, ServedModel};
use crate::protocols::{FALLBACK, PROTOCOLS, Protocol};
use crate::reply::{Reply, TEXT};
use crate::route::{Answer, Found, Route, Verb, find};

/// A model server. A clone is another handle to the same.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

/// What all cores share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    compute: Compute,
    metrics: Metrics,
    models: RwLock<Arc<ModelSet>>,
    /// Counts the sets of models, so that a core sees without a lock that there is another one.
    generation: AtomicU64,
}

/// The server on one core.
#[derive(Debug, Clone)]
pub struct ServerHandler {
    core: Rc<Core>,
}

#[derive(Debug)]
struct Core {
    shared: Arc<Shared>,
    view: RefCell<Rc<View>>,
}

/// What one core knows of the models that are served.
#[derive(Debug)]
struct View {
    generation: u64,
    models: Arc<ModelSet>,
    /// By the index of the model; the last is for requests that ask none.
    counts: Vec<Arc<Counts>>,
    paces: Vec<Cell<Pace>>,
}

/// Bodies longer than this are read on a compute thread, because reading them takes as long as a long prediction.
const INLINE_BODY: usize = 64 * 1024;

// === impl Server ===

impl Server {
    /// A server of these models. The first is the one that is asked when a request names none.
    ///
    /// # Errors
    /// When two models have one name.
    pub fn new(models: Vec<ServedModel>, settings: Settings) -> Result<Self, DuplicateName> {
        let shared = Shared {
            compute: Compute::start(settings.compute_threads, settings.compute_queue),
            metrics: Metrics::default(),
            models: RwLock::new(Arc::new(ModelSet::new(models, &settings)?)),
            generation: AtomicU64::new(0),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Serves other models from now on. Requests that are at work finish with those they began with.
    ///
    /// # Errors
    /// When two models have one name. Nothing changes then.
    pub fn replace_models(&self, models: Vec<ServedModel>) -> Result<(), DuplicateName> {
        let models = Arc::new(ModelSet::new(models, &self.shared.settings)?);
        *self.shared.models.write().unwrap_or_else(PoisonError::into_inner) = models;
        self.shared.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// What answers requests on one core. Make one on each, and clone it for its connections.
    #[must_use]
    pub fn handler(&self) -> ServerHandler {
        let view = RefCell::new(Rc::new(View::new(&self.shared, None)));
        ServerHandler { core: Rc::new(Core { shared: Arc::clone(&self.shared), view }) }
    }
}

// === impl View ===

impl View {
    /// The models that are served now. Counts and paces of models that stay are kept.
    fn new(shared: &Shared, before: Option<&Self>) -> Self {
        let generation = shared.generation.load(Ordering::Acquire);
        let models = Arc::clone(&shared.models.read().unwrap_or_else(PoisonError::into_inner));
        let names = || models.entries().iter().map(|entry| entry.name.as_str()).chain([""]);
        let known: HashMap<&str, &Arc<Counts>> = before.map(Self::counts_by_name).unwrap_or_default();
        let counts = names().map(|name| match known.get(name) {
            Some(counts) => Arc::clone(counts),
            None => shared.metrics.counts(name),
        });
        let counts = counts.collect();
        let pace = |entry: &Entry| {
            Cell::new(entry.ready().map_or_else(|| Pace::new(Duration::ZERO), |ready| ready.pace))
        };
        let paces = models.entries().iter().map(pace).collect();
        Self { generation, models, counts, paces }
    }

    fn counts_by_name(&self) -> HashMap<&str, &Arc<Counts>> {
        let names = self.models.entries().iter().map(|entry| entry.name.as_str()).chain([""]);
        names.zip(&self.counts).collect()
    }

    fn counts_of(&self, model: Option<usize>) -> &Counts {
        &self.counts[model.unwrap_or(self.counts.len() - 1)]
    }
}

// === impl Core ===

impl Core {
    /// What is served at the moment.
    fn view(&self) -> Rc<View> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let current = Rc::clone(&self.view.borrow());
        if current.generation == generation {
            return current;
        }
        let newer = Rc::new(View::new(&self.shared, Some(&current)));
        *self.view.borrow_mut() = Rc::clone(&newer);
        newer
    }
}

// === impl ServerHandler ===

impl Handler for ServerHandler {
    async fn handle(&self, request: Request) -> Response {
        let start = Instant::now();
        let view = self.core.view();
        let Answered { protocol, model, reply } = self.core.answer(&view, request).await;
        let outcome = Outcome { protocol, status: reply.status, duration: start.elapsed() };
        view.counts_of(model).count_request(outcome);
        reply.into_response()
    }
}

/// A reply, and who gave it.
struct Answered {
    protocol: usize,
    model: Option<usize>,
    reply: Reply,
}

/// A prediction that was told, and what it took.
struct Done {
    reply: Reply,
    n_rows: usize,
    took: Duration,
}

impl Core {
    /// Finds the route, then the model, then reads, predicts and tells; every fault is told by the protocol of the path.
    async fn answer(&self, view: &Rc<View>, request: Request) -> Answered {
        let Request { method, target, fields, body, .. } = request;
        let (protocol, route, captures) = match find(Verb::of(&method), target.path()) {
            Found::Route(protocol, route, captures) => (protocol, route, captures),
            Found::OtherVerb(protocol, route) => {
                let reply = other_method(&method, &target, &fields, view, &PROTOCOLS[protocol], route);
                return Answered { protocol, model: None, reply };
            }
            Found::Nothing => {
                let reply = no_such_path(&method, &target, view);
                return Answered { protocol: FALLBACK, model: None, reply };
            }
        };
        let (models, metrics) = (&view.models, &self.shared.metrics);
        let call = Call { models, metrics, target: &target, fields: &fields, captures };
        let (model, reply) = match &route.answer {
            Answer::Page(page) => (None, page(&call)),
            Answer::Predict(predict) => match call.entry() {
                Ok(model) => (Some(model), self.predict(view, &call, model, *predict, body).await),
                Err(fault) => (None, Err(fault)),
            },
        };
        let reply = reply.unwrap_or_else(|fault| (PROTOCOLS[protocol].refuse)(&fault));
        Answered { protocol, model, reply }
    }

    async fn predict(
        &self,
        view: &Rc<View>,
        call: &Call<'_>,
        model: usize,
        predict: Predict,
        body: net::Body,
    ) -> Result<Reply, Fault> {
        let shared = &self.shared;
        let entry = &view.models.entries()[model];
        let ready = ready(entry)?;
        let method = call.method()?;
        let content = Content::of(call.fields, &shared.settings)?;
        let body = body.collect(shared.settings.body_limit).await.map_err(not_collected)?;
        let question = Question::new(entry, ready, content, &body, method);
        let asked = match body.len() {
            0..=INLINE_BODY => Some(guarded(|| (predict.ask)(&question))?),
            _ => None,
        };
        let pace = &view.paces[model];
        let done = match asked {
            Some(asked) if pace.get().is_short(asked.n_predictions()) => {
                guarded(|| finish(entry, ready, predict, &asked))?
            }
            asked => {
                let models = Arc::clone(&view.models);
                let work = move || {
                    let entry = &models.entries()[model];
                    let ready = self::ready(entry)?;
                    guarded(|| {
                        let asked = match asked {
                            Some(asked) => asked,
                            None => (predict.ask)(&Question::new(entry, ready, content, &body, method))?,
                        };
                        finish(entry, ready, predict, &asked)
                    })
                };
                shared.compute.run(work).await.map_err(|Overloaded| overloaded())??
            }
        };
        let mut newer = pace.get();
        newer.learn(done.n_rows, done.took);
        pace.set(newer);
        view.counts_of(Some(model)).count_prediction(done.n_rows, done.took);
        Ok(done.reply)
    }
}

/// Predicts what is asked, and tells it.
fn finish(entry: &Entry, ready: &Ready, predict: Predict, asked: &Asked) -> Result<Done, Fault> {
    let Decoded { batch, ignored, .. } = &asked.decoded;
    let start = Instant::now();
    let predictions = asked.outputs.iter().map(|output| ready.model.predict(output.method, batch));
    let predictions: Result<Vec<Prediction>, _> = predictions.collect();
    let predictions = predictions.map_err(|error| Fault::of_prediction(error, &asked.decoded))?;
    let took = start.elapsed();
    let mut reply = (predict.tell)(entry, asked, &predictions);
    if !ignored.is_empty() {
        let ignored = list(ignored.iter().map(String::as_str));
        reply = reply.with_field(
            "x-forebay-warning",
            format!("ignored, because the model does not know them: {ignored}"),
        );
    }
    Ok(Done { reply, n_rows: asked.n_predictions(), took })
}

/// Makes a panic of the work a fault, so that neither a connection nor a thread is lost to it.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        error!("a model panicked on a request");
        Err(Fault::new(Cause::Internal, "the model failed on this request"))
    })
}

fn ready(entry: &Entry) -> Result<&Ready, Fault> {
    let name = quoted(&entry.name);
    match &entry.state {
        EntryState::Ready(ready) => Ok(ready),
        EntryState::Loading => Err(Fault::new(Cause::Unavailable, format!("model {name} is still loading"))),
        EntryState::Failed => {
            Err(Fault::new(Cause::Unavailable, format!("model {name} could not be loaded")))
        }
    }
}

fn not_collected(error: CollectError) -> Fault {
    match error {
        CollectError::TooLarge { .. } => {
            Fault::new(Cause::TooLarge, error.to_string()).with_help("send fewer rows at a time")
        }
        CollectError::Body(error) => Fault::new(Cause::Format, error.to_string()),
    }
}

fn overloaded() -> Fault {
    Fault::new(Cause::Unavailable, "too many predictions are waiting").with_help("try again in a moment")
}

/// Answers a path that takes another method: with what it takes, and a line that works.
fn other_method(
    method: &Method,
    target: &Target,
    fields: &Fields,
    view: &View,
    protocol: &Protocol,
    route: &Route,
) -> Reply {
    let allow = route.verb.allow();
    if *method == Method::OPTIONS {
        return Reply::new(StatusCode::NO_CONTENT, TEXT, Bytes::new()).with_field("allow", allow);
    }
    let problem = format!("{} does not take {method}", quoted(target.path()));
    let fault =
        Fault::new(Cause::Method, problem).with_help(format!("try: {}", curl(target, fields, view, route)));
    (protocol.refuse)(&fault).with_field("allow", allow)
}

/// A line for the shell that asks a route as it wants to be asked.
fn curl(target: &Target, fields: &Fields, view: &View, route: &Route) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_~/%[]".contains(&byte);
    let authority = fields.text("host").filter(|host| host.bytes().all(is_plain)).unwrap_or("localhost:8080");
    let path = Some(target.path()).filter(|path| path.bytes().all(is_plain)).unwrap_or(route.pattern);
    let url = format!("http://{authority}{path}");
    let Answer::Predict(predict) = &route.answer else {
        return match route.verb {
            Verb::Get => format!("curl {url}"),
            Verb::Post => format!("curl -X POST {url}"),
        };
    };
    let entry = view.models.entries().first();
    let example = entry.and_then(|entry| (predict.example)(entry, entry.ready()?));
    let example = example.filter(|example| example.len() <= LONGEST_EXAMPLE);
    let body = example.map_or_else(|| "@input.json".to_owned(), |example| example.replace('\'', "'\\''"));
    format!("curl {url} -H 'content-type: application/json' -d '{body}'")
}

/// How long an example may be to stand in a message.
const LONGEST_EXAMPLE: usize = 2000;

/// Answers a path that nothing is at: with the path that was meant, when it is near.
fn no_such_path(method: &Method, target: &Target, view: &View) -> Reply {
    let path = target.path();
    if let Some(redirect) = without_slash(method, target) {
        return Reply::new(StatusCode::TEMPORARY_REDIRECT, TEXT, Bytes::new())
            .with_field("location", redirect);
    }
    let patterns = || PROTOCOLS.iter().flat_map(|protocol| protocol.routes).map(|route| route.pattern);
    let models = list(view.models.entries().iter().map(|entry| entry.name.as_str()));
    let help = match nearest(path, patterns()) {
        Some(near) => format!("did you mean {near}? Models served here: {models}"),
        None => format!("see /docs. Models served here: {models}"),
    };
    let fault = Fault::new(Cause::NotFound, format!("nothing is at {}", quoted(path))).with_help(help);
    (PROTOCOLS[FALLBACK].refuse)(&fault)
}

/// The same address without a slash at its end, relative to the one with it, if something is there.
fn without_slash(method: &Method, target: &Target) -> Option<String> {
    let path = target.path().strip_suffix('/')?;
    let Found::Route(..) = find(Verb::of(method), path) else { return None };
    let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
    let (_, last) = path.rsplit_once('/')?;
    Some(format!("../{last}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault() {
        let fault = guarded::<()>(|| panic!("on purpose")).unwrap_err();
        assert_eq!(
            (fault.cause, fault.to_string().as_str()),
            (Cause::Internal, "the model failed on this request")
        );
    }
}
