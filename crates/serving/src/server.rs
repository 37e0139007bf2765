//! The server: a request in, the answer of a model out.

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use models::{Method, Prediction};
use net::{Bytes, CollectError, Handler, LOADING, Request, Response, StatusCode};
use tracing::error;

use crate::Settings;
use crate::admin::{self, AdminAddress};
use crate::batching::{self, may_join};
use crate::cache::{self, Cache};
use crate::call::{Asked, Call, Predict, Question, percent_decoded};
use crate::compute::{Compute, Overloaded};
use crate::content::Content;
use crate::content_encoding::Encoding;
use crate::fault::{Cause, Fault, list, quoted};
use crate::grpc;
use crate::metrics::{Metrics, Outcome};
use crate::model_set::{DuplicateName, Entry, EntryState, ModelSet, Ready, ServedModel};
use crate::prediction_log::PredictionLog;
use crate::protocols::{FALLBACK, PROTOCOLS};
use crate::reply::Reply;
use crate::repository::{self, Change, Loader, Repository};
use crate::route::{Answer, Found, Verb, find};
use crate::unrouted;
use crate::view::View;

/// A model server. A clone is another handle to the same.
#[derive(Debug, Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

/// What all cores share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) compute: Compute,
    pub(crate) metrics: Metrics,
    log: OnceLock<PredictionLog>,
    pub(crate) models: RwLock<Arc<ModelSet>>,
    /// Where clients may load models from, if they may.
    pub(crate) loader: Option<Loader>,
    /// Where they may do so.
    pub(crate) admin_address: OnceLock<AdminAddress>,
    /// Counts the sets of models, so that a core sees without a lock that there is another one.
    pub(crate) generation: AtomicU64,
}

/// The server on one core.
#[derive(Debug, Clone)]
pub struct ServerHandler {
    core: Rc<Core>,
    /// Whether its clients may change the models.
    is_admin: bool,
}

#[derive(Debug)]
struct Core {
    shared: Arc<Shared>,
    view: RefCell<Rc<View>>,
    /// The answers that are kept, if any are.
    cache: Option<RefCell<Cache>>,
}

/// Bodies longer than this are read, and compressed, on a compute thread, because that takes as long as a long prediction.
const INLINE_BODY: usize = 64 * 1024;

/// The header field that says whether an answer was kept from an earlier request. Long bodies are not looked up.
const CACHE: &str = "x-forebay-cache";

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
        let shared = Shared {
            compute: Compute::start(settings.compute_threads, settings.compute_queue),
            metrics: Metrics::default(),
            log: OnceLock::new(),
            models: RwLock::new(Arc::new(ModelSet::new(models, &settings)?)),
            generation: AtomicU64::new(0),
            loader,
            admin_address: OnceLock::new(),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
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

    /// Says where clients may load and unload models; it is told those who ask elsewhere. The first time counts.
    pub fn set_admin_address(&self, address: SocketAddr) {
        let _ = self.shared.admin_address.set(AdminAddress(address));
    }

    /// What answers requests that come over the admin address: as [`Self::handler`], and it changes the models.
    #[must_use]
    pub fn admin_handler(&self) -> ServerHandler {
        ServerHandler { is_admin: true, ..self.handler() }
    }

    /// What answers requests on one core. Make one on each, and clone it for its connections. It is run on a
    /// [`tokio::task::LocalSet`], as [`net::serve`] does.
    #[must_use]
    pub fn handler(&self) -> ServerHandler {
        let view = RefCell::new(Rc::new(View::new(&self.shared, None)));
        let size = self.shared.settings.cache_bytes_per_core;
        let cache = (size > 0).then(|| RefCell::new(Cache::new(size)));
        ServerHandler {
            core: Rc::new(Core { shared: Arc::clone(&self.shared), view, cache }),
            is_admin: false,
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Serves another set of models from now on.
    pub(crate) fn replace(&self, models: ModelSet) {
        *self.models.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(models);
        self.generation.fetch_add(1, Ordering::Release);
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
        if request.is_grpc() {
            return grpc::answer(self, request).await;
        }
        let start = Instant::now();
        let view = self.core.view();
        let accepted = Encoding::accepted(&request.fields);
        let Answered { protocol, model, reply } = self.core.answer(&view, request, self.is_admin).await;
        let reply = self.core.compressed(reply, accepted).await;
        let outcome = Outcome { protocol, status: reply.status, start, duration: start.elapsed() };
        view.counts_of(model).count_request(outcome);
        reply.into_response()
    }
}

impl ServerHandler {
    /// What is served at the moment.
    pub(crate) fn view(&self) -> Rc<View> {
        self.core.view()
    }

    /// What was counted so far.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.core.shared.metrics
    }

    /// Bytes of a request body, at most.
    pub(crate) fn body_limit(&self) -> usize {
        self.core.shared.settings.body_limit
    }

    /// See [`Core::plain`].
    pub(crate) async fn plain(
        &self,
        encoding: Option<&'static Encoding>,
        body: Bytes,
    ) -> Result<Bytes, Fault> {
        self.core.plain(encoding, body).await
    }

    /// See [`repository::change`].
    pub(crate) async fn change(&self, name: &str, change: Change) -> Result<(), Fault> {
        admin::check(&self.core.shared, self.is_admin, None)?;
        repository::change(&self.core.shared, name, change).await
    }

    /// See [`Core::predict`].
    pub(crate) async fn predict(
        &self,
        view: &Rc<View>,
        model: usize,
        inquiry: Inquiry,
    ) -> Result<Reply, Fault> {
        self.core.predict(view, model, inquiry).await
    }
}

/// What a model is asked, before the body is read.
pub(crate) struct Inquiry {
    pub(crate) predict: Predict,
    pub(crate) content: Content,
    /// What the query says the model is asked for.
    pub(crate) method: Option<Method>,
    /// What the request calls the model, if that is not its own name.
    pub(crate) alias: Option<String>,
    /// What else the query says, and nobody reads.
    pub(crate) unused: Vec<String>,
    pub(crate) body: Bytes,
    /// What the client calls it in the log, if it is logged.
    pub(crate) event_id: Option<String>,
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
    predictions: Vec<Prediction>,
    n_rows: usize,
    n_predictions: usize,
    took: Duration,
}

impl Core {
    /// Finds the route, then the model, then reads, predicts and tells; every fault is told by the protocol of the path.
    async fn answer(&self, view: &Rc<View>, request: Request, is_admin: bool) -> Answered {
        let Request { method, target, fields, body, .. } = request;
        let (models, metrics) = (&view.models, &self.shared.metrics);
        let (protocol, route, captures) = match find(Verb::of(&method), target.path()) {
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
        let call = Call { models, metrics, target: &target, fields: &fields, captures };
        let (model, reply) = match &route.answer {
            Answer::Page(page) => (None, page(&call)),
            Answer::Read(page) => {
                (None, Box::pin(self.read(&call, body)).await.and_then(|body| page(&call, &body)))
            }
            Answer::Change(change) => {
                let done = Box::pin(self.change(&call, *change, body, is_admin)).await;
                (None, done.map(|()| Reply::empty(StatusCode::OK)))
            }
            Answer::Predict(predict) => match call.position() {
                Ok(model) => (Some(model), self.ask(view, &call, model, *predict, body).await),
                Err(fault) => (None, Err(fault)),
            },
        };
        let reply = reply.unwrap_or_else(|fault| refuse(protocol, &fault));
        Answered { protocol, model, reply }
    }

    async fn ask(
        &self,
        view: &Rc<View>,
        call: &Call<'_>,
        model: usize,
        predict: Predict,
        body: net::Body,
    ) -> Result<Reply, Fault> {
        let settings = &self.shared.settings;
        ready(&view.models.entries()[model])?;
        let (content, method) = (Content::of(call.fields, settings)?, call.method()?);
        let encoding = Encoding::of(call.fields)?;
        let body = body.collect(settings.body_limit).await.map_err(not_collected)?;
        let body = self.plain(encoding, body).await?;
        let event_id = self.shared.log.get().and_then(|_| call.fields.text("ce-id")).map(str::to_owned);
        let entry = &view.models.entries()[model];
        let alias = Some(call.name_of(entry)).filter(|name| *name != entry.name).map(Cow::into_owned);
        let unused = call.unused();
        let inquiry = Inquiry { predict, content, method, alias, unused, body, event_id };
        self.predict(view, model, inquiry).await
    }

    /// Loads or unloads the model of the path.
    async fn change(
        &self,
        call: &Call<'_>,
        change: Change,
        body: net::Body,
        is_admin: bool,
    ) -> Result<(), Fault> {
        admin::check(&self.shared, is_admin, Some(call.fields))?;
        let body = self.read(call, body).await?;
        repository::check_parameters(&body)?;
        let name = call.captures.model.map(percent_decoded).unwrap_or_default();
        repository::change(&self.shared, &name, change).await
    }

    /// The whole body of a request, as it was before it was compressed.
    async fn read(&self, call: &Call<'_>, body: net::Body) -> Result<Bytes, Fault> {
        let encoding = Encoding::of(call.fields)?;
        let body = body.collect(self.shared.settings.body_limit).await.map_err(not_collected)?;
        self.plain(encoding, body).await
    }

    /// Reads what a model is asked, predicts, and tells: here when that is short, else on a compute thread.
    ///
    /// What is not on this way for everybody is boxed, so that a short request has a small future.
    async fn predict(&self, view: &Rc<View>, model: usize, inquiry: Inquiry) -> Result<Reply, Fault> {
        let entry = &view.models.entries()[model];
        let ready = ready(entry)?;
        if self.cache.is_some() || ready.batching.is_some() || self.shared.log.get().is_some() {
            return Box::pin(self.logged(view, model, inquiry)).await;
        }
        let asked = inquiry.read_if_short(entry, ready)?;
        match asked {
            Some(asked) if view.paces[model].get().is_short(asked.n_predictions()) => {
                Ok(here(view, model, ready, inquiry.predict, &asked)?.reply)
            }
            asked => Ok(Box::pin(self.elsewhere(view, model, inquiry, asked)).await?.reply),
        }
    }

    /// The same on a compute thread.
    async fn elsewhere(
        &self,
        view: &Rc<View>,
        model: usize,
        inquiry: Inquiry,
        asked: Option<Asked>,
    ) -> Result<Done, Fault> {
        let models = Arc::clone(&view.models);
        let work = move || {
            let entry = &models.entries()[model];
            let ready = ready(entry)?;
            guarded(|| {
                let asked = asked.map_or_else(|| inquiry.read(entry, ready), Ok)?;
                finish(entry, ready, inquiry.predict, &asked)
            })
        };
        let done = self.shared.compute.run(work).await.map_err(|Overloaded| overloaded())??;
        done.note(view, model);
        Ok(done)
    }

    /// The same, logged when that is wanted.
    async fn logged(&self, view: &Rc<View>, model: usize, inquiry: Inquiry) -> Result<Reply, Fault> {
        let Some(log) = self.shared.log.get() else { return self.kept(view, model, inquiry).await };
        let sampled = log.sample(inquiry.event_id.as_deref(), inquiry.content, &inquiry.body);
        let reply = self.kept(view, model, inquiry).await?;
        if let Some(sampled) = sampled {
            log.enter(sampled, &view.models.entries()[model], &reply);
        }
        Ok(reply)
    }

    /// The same, from what is kept and to be kept, when that is wanted.
    async fn kept(&self, view: &Rc<View>, model: usize, inquiry: Inquiry) -> Result<Reply, Fault> {
        let entry = &view.models.entries()[model];
        let ready = ready(entry)?;
        let asked = inquiry.read_if_short(entry, ready)?;
        let (cache, asked) = match (&self.cache, asked) {
            (Some(cache), Some(asked)) => (cache, asked),
            (_, asked) => return Ok(self.joined(view, model, inquiry, asked).await?.0),
        };
        let start = Instant::now();
        let key = cache::key(ready.number, &asked);
        let kept = cache.borrow_mut().get(&key);
        view.counts_of(Some(model)).count_lookup(kept.is_some(), start.elapsed());
        if let Some(predictions) = kept {
            let reply = guarded(|| Ok(told(entry, inquiry.predict, &asked, &predictions)))?;
            return Ok(reply.with_field(CACHE, "hit"));
        }
        let (reply, predictions) = self.joined(view, model, inquiry, Some(asked)).await?;
        cache.borrow_mut().insert(key, predictions.into());
        Ok(reply.with_field(CACHE, "miss"))
    }

    /// The same, together with others when that is wanted.
    async fn joined(
        &self,
        view: &Rc<View>,
        model: usize,
        inquiry: Inquiry,
        asked: Option<Asked>,
    ) -> Result<(Reply, Vec<Prediction>), Fault> {
        let entry = &view.models.entries()[model];
        let ready = ready(entry)?;
        let done = match asked {
            Some(asked)
                if let Some(batching) = ready.batching
                    && may_join(batching, &asked) =>
            {
                let joined = batching::predict(&self.shared, view, model, batching, asked).await;
                let (asked, prediction) = joined?;
                let predictions = vec![prediction];
                let reply = guarded(|| Ok(told(entry, inquiry.predict, &asked, &predictions)))?;
                return Ok((reply, predictions));
            }
            Some(asked) if view.paces[model].get().is_short(asked.n_predictions()) => {
                here(view, model, ready, inquiry.predict, &asked)?
            }
            asked => self.elsewhere(view, model, inquiry, asked).await?,
        };
        Ok((done.reply, done.predictions))
    }

    /// What a body stands for, which may be much more than it is: it is decompressed elsewhere.
    async fn plain(&self, encoding: Option<&'static Encoding>, body: Bytes) -> Result<Bytes, Fault> {
        let Some(encoding) = encoding else { return Ok(body) };
        let limit = self.shared.settings.body_limit;
        let work = move || guarded(|| encoding.decode(&body, limit));
        self.shared.compute.run(work).await.map_err(|Overloaded| overloaded())?
    }

    /// The same reply as a client takes it: compressed when that is worth it, elsewhere when it takes long.
    async fn compressed(&self, reply: Reply, accepted: Option<&'static Encoding>) -> Reply {
        if !Encoding::is_worth(&reply) {
            return reply;
        }
        let reply = reply.with_field("vary", "accept-encoding");
        let Some(encoding) = accepted else { return reply };
        if reply.body.len() <= INLINE_BODY {
            return encoding.encode(reply);
        }
        let plain = reply.clone();
        self.shared.compute.run(move || encoding.encode(reply)).await.unwrap_or(plain)
    }
}

impl Done {
    /// Notes how long it took.
    fn note(&self, view: &View, model: usize) {
        let pace = &view.paces[model];
        let mut newer = pace.get();
        newer.learn(self.n_predictions, self.took);
        pace.set(newer);
        view.counts_of(Some(model)).count_prediction(self.n_rows, self.took);
    }
}

impl Inquiry {
    /// Reads the body, unless that takes long.
    fn read_if_short(&self, entry: &Entry, ready: &Ready) -> Result<Option<Asked>, Fault> {
        match self.body.len() {
            0..=INLINE_BODY => guarded(|| self.read(entry, ready)).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads the body.
    fn read(&self, entry: &Entry, ready: &Ready) -> Result<Asked, Fault> {
        let question = Question::new(entry, ready, self.content, &self.body, self.method);
        let mut asked = (self.predict.ask)(&Question { alias: self.alias.as_deref(), ..question })?;
        asked.unused.extend(self.unused.iter().cloned());
        Ok(asked)
    }
}

/// Predicts on this core.
#[inline]
fn here(view: &View, model: usize, ready: &Ready, predict: Predict, asked: &Asked) -> Result<Done, Fault> {
    let done = guarded(|| finish(&view.models.entries()[model], ready, predict, asked))?;
    done.note(view, model);
    Ok(done)
}

/// Predicts what is asked, and tells it.
fn finish(entry: &Entry, ready: &Ready, predict: Predict, asked: &Asked) -> Result<Done, Fault> {
    let batch = &asked.decoded.batch;
    let start = Instant::now();
    let predictions = ready.answers(&asked.outputs, batch);
    let predictions = predictions.map_err(|error| asked.decoded.fault(error))?;
    let took = start.elapsed();
    let reply = told(entry, predict, asked, &predictions);
    Ok(Done { reply, predictions, n_rows: batch.n_rows, n_predictions: asked.n_predictions(), took })
}

/// The answer in the protocol of the question.
fn told(entry: &Entry, predict: Predict, asked: &Asked, predictions: &[Prediction]) -> Reply {
    let reply = (predict.tell)(entry, asked, predictions);
    let quoted_list = |names: &[String]| list(names.iter().map(String::as_str));
    let unknown: Vec<String> = asked.decoded.ignored.iter().map(ToString::to_string).collect();
    let warnings = [
        ("ignored, because the model does not know them", unknown.join(", ")),
        ("missing in rows that lack them", quoted_list(&asked.decoded.gaps)),
        ("without effect here", quoted_list(&asked.unused)),
    ];
    let warnings = warnings.iter().filter(|(_, names)| !names.is_empty());
    let warning = |(what, names): &(&str, String)| format!("{what}: {names}");
    let nulls = match reply.n_nulls {
        0 => None,
        1 => Some("1 value is infinite or not a number".to_owned()),
        n_nulls => Some(format!("{n_nulls} values are infinite or not numbers")),
    };
    let nulls =
        nulls.map(|nulls| format!("{nulls}, for which JSON has `null`; gRPC and binary tensors carry them"));
    match warnings.map(warning).chain(nulls).collect::<Vec<_>>() {
        warnings if warnings.is_empty() => reply,
        warnings => reply.with_field("x-forebay-warning", warnings.join("; ")),
    }
}

/// The answer to a request that has none, in the shape of its protocol.
fn refuse(protocol: usize, fault: &Fault) -> Reply {
    let reply = (PROTOCOLS[protocol].refuse)(fault);
    match fault.cause {
        Cause::Loading => reply.with_field(LOADING.0, LOADING.1),
        _ => reply,
    }
}

/// Makes a panic of the work a fault, so that neither a connection nor a thread is lost to it.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        error!("a model panicked on a request");
        Err(Fault::new(Cause::Internal, "the model failed on this request"))
    })
}

/// The model, when it is there.
pub(crate) fn ready(entry: &Entry) -> Result<&Ready, Fault> {
    let (cause, problem) = match &entry.state {
        EntryState::Ready(ready) => return Ok(ready),
        EntryState::Loading => (Cause::Loading, "is still loading"),
        EntryState::Failed => (Cause::Unavailable, "could not be loaded"),
    };
    Err(Fault::new(cause, format!("model {} {problem}", quoted(&entry.name))))
}

fn not_collected(error: CollectError) -> Fault {
    match error {
        CollectError::TooLarge { .. } => {
            Fault::new(Cause::TooLarge, error.to_string()).with_help("send fewer rows at a time")
        }
        CollectError::Body(error) => Fault::new(Cause::Format, error.to_string()),
    }
}

pub(crate) fn overloaded() -> Fault {
    Fault::new(Cause::Unavailable, "too many predictions are waiting").with_help("try again in a moment")
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
