//! From what is asked of a model to its answer, through the stages that are switched on.
//!
//! ```text
//! predict ──┬──────────────────────────────► computed ──┬─► on this core
//!           └─► logged ─► cached ─► batched ─┘           └─► on a compute thread
//! ```
//!
//! A short question is read, predicted and told on the core that its connection is on.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use models::{Method, Prediction};
use net::Bytes;

use crate::batching::{self, may_join};
use crate::cache::{self, Cache};
use crate::call::{Asked, Predict, Question};
use crate::compute::Overloaded;
use crate::content::Content;
use crate::fault::{Fault, guarded, list};
use crate::model_set::{Entry, Ready};
use crate::reply::Reply;
use crate::shared::Shared;
use crate::view::View;

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

/// Bodies longer than this are read, and compressed, on a compute thread, because that takes as long as a long prediction.
pub(crate) const INLINE_BODY: usize = 64 * 1024;

/// The header field that says whether an answer was kept from an earlier request. Long bodies are not looked up.
const CACHE: &str = "x-forebay-cache";

/// One model, asked on one core.
struct Asking<'a> {
    shared: &'a Arc<Shared>,
    /// The answers that this core keeps, if it does.
    cache: Option<&'a RefCell<Cache>>,
    view: &'a Rc<View>,
    model: usize,
    entry: &'a Entry,
    ready: &'a Ready,
}

/// A prediction that was told, and what it took.
struct Done {
    reply: Reply,
    predictions: Vec<Prediction>,
    n_rows: usize,
    n_predictions: usize,
    took: Duration,
}

/// Reads what a model is asked, predicts, and tells.
///
/// What is not on this way for everybody is boxed, so that a short request has a small future.
pub(crate) async fn predict(
    shared: &Arc<Shared>,
    cache: Option<&RefCell<Cache>>,
    view: &Rc<View>,
    model: usize,
    inquiry: Inquiry,
) -> Result<Reply, Fault> {
    let entry: &Entry = &view.models.entries()[model];
    let ready = entry.require_ready()?;
    let asking = Asking { shared, cache, view, model, entry, ready };
    if cache.is_some() || ready.batching.is_some() || shared.log.get().is_some() {
        return Box::pin(asking.logged(inquiry)).await;
    }
    let asked = inquiry.read_if_short(entry, ready)?;
    Ok(asking.computed(inquiry, asked).await?.reply)
}

// === impl Asking ===

impl Asking<'_> {
    /// Enters what is asked and answered in the log, when it is one of those that are logged.
    async fn logged(&self, inquiry: Inquiry) -> Result<Reply, Fault> {
        let Some(log) = self.shared.log.get() else { return self.cached(inquiry).await };
        let sampled = log.sample(inquiry.event_id.as_deref(), inquiry.content, &inquiry.body);
        let reply = self.cached(inquiry).await?;
        if let Some(sampled) = sampled {
            log.enter(sampled, self.entry, &reply);
        }
        Ok(reply)
    }

    /// Answers from what is kept, and keeps what it had to ask for.
    async fn cached(&self, inquiry: Inquiry) -> Result<Reply, Fault> {
        let asked = inquiry.read_if_short(self.entry, self.ready)?;
        let (cache, asked) = match (self.cache, asked) {
            (Some(cache), Some(asked)) => (cache, asked),
            (_, asked) => return Ok(self.batched(inquiry, asked).await?.0),
        };
        let start = Instant::now();
        let key = cache::key(self.ready.number, &asked);
        let kept = cache.borrow_mut().get(&key);
        self.view.counts_of(Some(self.model)).count_lookup(kept.is_some(), start.elapsed());
        if let Some(predictions) = kept {
            let reply = guarded(|| Ok(told(self.entry, inquiry.predict, &asked, &predictions)))?;
            return Ok(reply.with_field(CACHE, "hit"));
        }
        let (reply, predictions) = self.batched(inquiry, Some(asked)).await?;
        cache.borrow_mut().insert(key, predictions.into());
        Ok(reply.with_field(CACHE, "miss"))
    }

    /// Waits for others that ask the same model, where requests are joined and this one may be.
    async fn batched(
        &self,
        inquiry: Inquiry,
        asked: Option<Asked>,
    ) -> Result<(Reply, Vec<Prediction>), Fault> {
        match asked {
            Some(asked)
                if let Some(batching) = self.ready.batching
                    && may_join(batching, &asked) =>
            {
                let joined = batching::predict(self.shared, self.view, self.model, batching, asked).await;
                let (asked, prediction) = joined?;
                let predictions = vec![prediction];
                let reply = guarded(|| Ok(told(self.entry, inquiry.predict, &asked, &predictions)))?;
                Ok((reply, predictions))
            }
            asked => {
                let done = self.computed(inquiry, asked).await?;
                Ok((done.reply, done.predictions))
            }
        }
    }

    /// Predicts: on this core when that is short, else on a compute thread.
    async fn computed(&self, inquiry: Inquiry, asked: Option<Asked>) -> Result<Done, Fault> {
        let is_short = |asked: &Asked| self.view.paces[self.model].get().is_short(asked.n_predictions());
        let done = match asked {
            Some(asked) if is_short(&asked) => {
                guarded(|| finish(self.entry, self.ready, inquiry.predict, &asked))?
            }
            asked => Box::pin(self.elsewhere(inquiry, asked)).await?,
        };
        done.note(self.view, self.model);
        Ok(done)
    }

    /// Predicts on a compute thread, where long bodies are read too.
    async fn elsewhere(&self, inquiry: Inquiry, asked: Option<Asked>) -> Result<Done, Fault> {
        let (models, model) = (Arc::clone(&self.view.models), self.model);
        let work = move || {
            let entry = &models.entries()[model];
            let ready = entry.require_ready()?;
            guarded(|| {
                let asked = asked.map_or_else(|| inquiry.read(entry, ready), Ok)?;
                finish(entry, ready, inquiry.predict, &asked)
            })
        };
        self.shared.compute.run(work).await.map_err(|Overloaded| Fault::overloaded())?
    }
}

// === impl Done ===

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

// === impl Inquiry ===

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
