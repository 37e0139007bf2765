//! A server on one core, as everything that answers there sees it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use net::{Body, BodyError, Bytes, CollectError, Hoard, NoRoom, Request};

use crate::admin;
use crate::cache::Cache;
use crate::call::{Call, Predict, percent_decoded};
use crate::compute::Overloaded;
use crate::content::Content;
use crate::content_encoding::{Encoding, most_plain};
use crate::fault::{Cause, Fault, guarded};
use crate::metrics::Metrics;
use crate::prediction::{self, INLINE_BODY, Inquiry};
use crate::reply::Reply;
use crate::repository::{self, Change};
use crate::shared::Shared;
use crate::spans::RequestTrace;
use crate::view::View;

/// The server on one core.
#[derive(Debug, Clone)]
pub struct ServerHandler {
    core: Rc<Core>,
    /// Whether its clients may change the models.
    is_admin: bool,
    /// The trace of the request that is at work, if it is recorded.
    pub(crate) trace: Option<Rc<RequestTrace>>,
}

#[derive(Debug)]
struct Core {
    shared: Arc<Shared>,
    view: RefCell<Rc<View>>,
    /// The answers that are kept, if any are.
    cache: Option<RefCell<Cache>>,
}

impl ServerHandler {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let view = RefCell::new(Rc::new(View::new(shared, None)));
        let size = shared.settings.cache_bytes_per_core;
        let cache = (size > 0).then(|| RefCell::new(Cache::new(size)));
        Self { core: Rc::new(Core { shared: Arc::clone(shared), view, cache }), is_admin: false, trace: None }
    }

    /// The same for clients who may change the models.
    pub(crate) fn into_admin(self) -> Self {
        Self { is_admin: true, ..self }
    }

    /// Who answers a request that is recorded.
    pub(crate) fn traced(&self, request: &Request) -> Option<Self> {
        let trace = RequestTrace::begin(self.core.shared.traces.get()?, request)?;
        Some(Self { trace: Some(Rc::new(trace)), ..self.clone() })
    }

    /// What is served at the moment.
    pub(crate) fn view(&self) -> Rc<View> {
        let generation = self.core.shared.generation();
        let current = Rc::clone(&self.core.view.borrow());
        if current.generation == generation {
            return current;
        }
        let newer = Rc::new(View::new(&self.core.shared, Some(&current)));
        *self.core.view.borrow_mut() = Rc::clone(&newer);
        newer
    }

    /// What was counted so far.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.core.shared.metrics
    }

    /// Bytes of a request body, at most.
    pub(crate) fn body_limit(&self) -> usize {
        self.core.shared.settings.body_limit
    }

    /// Asks a model what a call and its body say.
    pub(crate) async fn ask(
        &self,
        view: &Rc<View>,
        call: &Call<'_>,
        model: usize,
        predict: Predict,
        body: Body,
    ) -> Result<Reply, Fault> {
        let settings = &self.core.shared.settings;
        let entry = &view.models.entries()[model];
        entry.require_ready()?;
        let (content, method) = (Content::of(call.fields, settings)?, call.method()?);
        // Held until there is an answer.
        let (body, _held) = self.read(call, body).await?;
        let event_id = self.core.shared.log.get().and_then(|_| call.fields.text("ce-id")).map(str::to_owned);
        let alias = Some(call.name_of(entry)).filter(|name| *name != entry.name).map(Cow::into_owned);
        let unused = call.unused();
        let inquiry = Inquiry { predict, content, method, alias, unused, body, event_id };
        self.predict(view, model, inquiry).await
    }

    /// See [`prediction::predict`].
    pub(crate) async fn predict(
        &self,
        view: &Rc<View>,
        model: usize,
        inquiry: Inquiry,
    ) -> Result<Reply, Fault> {
        let (shared, cache) = (&self.core.shared, self.core.cache.as_ref());
        if let Some(trace) = &self.trace {
            let prediction = prediction::predict(shared, cache, view, model, inquiry);
            return Box::pin(trace.predict(&view.models.entries()[model], prediction)).await;
        }
        prediction::predict(shared, cache, view, model, inquiry).await
    }

    /// Loads or unloads the model of the path.
    pub(crate) async fn change_by_path(
        &self,
        call: &Call<'_>,
        change: Change,
        body: Body,
    ) -> Result<(), Fault> {
        self.check_admin(Some(call.fields))?;
        let (body, _held) = self.read(call, body).await?;
        repository::check_parameters(&body)?;
        let name = call.captures.model.map(percent_decoded).unwrap_or_default();
        self.core.shared.change(&name, change).await
    }

    /// Loads or unloads a model.
    pub(crate) async fn change(&self, name: &str, change: Change) -> Result<(), Fault> {
        self.check_admin(None)?;
        self.core.shared.change(name, change).await
    }

    fn check_admin(&self, fields: Option<&net::Fields>) -> Result<(), Fault> {
        admin::check(self.core.shared.admin_address.get(), self.is_admin, fields)
    }

    /// Where a body is collected, and held until there is an answer.
    pub(crate) fn hoard(&self) -> Hoard {
        Hoard::new(&self.core.shared.bodies)
    }

    /// The whole body of a request, as it was before it was compressed, and what holds its memory.
    pub(crate) async fn read(&self, call: &Call<'_>, body: Body) -> Result<(Bytes, Hoard), Fault> {
        let encoding = Encoding::of(call.fields)?;
        let mut hoard = self.hoard();
        let body = hoard.collect(body, self.body_limit()).await.map_err(not_collected)?;
        Ok((self.plain(encoding, body, &mut hoard).await?, hoard))
    }

    /// What a body stands for, which may be much more than it is: it is decompressed elsewhere.
    pub(crate) async fn plain(
        &self,
        encoding: Option<&'static Encoding>,
        body: Bytes,
        hoard: &mut Hoard,
    ) -> Result<Bytes, Fault> {
        let Some(encoding) = encoding else { return Ok(body) };
        let limit = self.body_limit();
        hoard.hold(body.len() + most_plain(body.len(), limit)).await.map_err(|NoRoom| Fault::crowded())?;
        let work = move || guarded(|| encoding.decode(&body, limit));
        self.core.shared.compute.run(work).await.map_err(|Overloaded| Fault::overloaded())?
    }

    /// The same reply as a client takes it: compressed when that is worth it, elsewhere when it takes long.
    pub(crate) async fn compressed(&self, reply: Reply, accepted: Option<&'static Encoding>) -> Reply {
        if !Encoding::is_worth(&reply) {
            return reply;
        }
        let reply = reply.with_field("vary", "accept-encoding");
        let Some(encoding) = accepted else { return reply };
        if reply.body.len() <= INLINE_BODY {
            return encoding.encode(reply);
        }
        let plain = reply.clone();
        self.core.shared.compute.run(move || encoding.encode(reply)).await.unwrap_or(plain)
    }
}

fn not_collected(error: CollectError) -> Fault {
    match error {
        CollectError::TooLarge { .. } => {
            Fault::new(Cause::TooLarge, error.to_string()).with_help("send fewer rows at a time")
        }
        CollectError::Body(BodyError::TimedOut) => {
            Fault::new(Cause::TooSlow, "the body did not come in time")
        }
        CollectError::Body(error) => Fault::new(Cause::Format, error.to_string()),
        CollectError::NoRoom(NoRoom) => Fault::crowded(),
    }
}
