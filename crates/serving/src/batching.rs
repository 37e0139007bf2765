//! Requests for one model that wait at the same time, predicted together.
//!
//! Each core joins the requests of its own connections, so nothing is shared and nothing is locked: a queue per core and
//! model, and a task that leads it as long as somebody waits. One batch of a queue is at work at a time; what comes
//! meanwhile is the next batch. So with no delay at all requests are joined exactly when the model is the bottleneck, and
//! a delay adds to that a bounded wait for company.
//!
//! Every request gets the answer it would get alone, bit by bit: only models whose rows are independent are asked
//! together, only rows whose columns are alike are joined, and when a batch is refused each request is asked alone, so
//! that a bad row is the trouble of whoever sent it.
//!
//! Bodies that are long enough to be read on a compute thread wait for nobody.
//!
//! This is what MLServer calls adaptive batching and Triton dynamic batching. It is worth its while for models that do
//! much the same work for many rows as for one; a model of a microsecond is better asked at once.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use models::{Batch, Batching, Prediction};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::call::Asked;
use crate::compute::Overloaded;
use crate::fault::{Fault, guarded};
use crate::model_set::Ready;
use crate::queue::{Answer, Queue, Waiting};
use crate::shared::Shared;
use crate::view::View;

/// Whether a request may wait for others: it asks one thing of fewer rows than make a batch.
pub(crate) fn may_join(batching: Batching, asked: &Asked) -> bool {
    asked.outputs.len() == 1 && (1..batching.max_rows).contains(&asked.decoded.batch.n_rows)
}

/// Waits for company, and predicts. Must be called on a [`tokio::task::LocalSet`].
pub(crate) async fn predict(
    shared: &Arc<Shared>,
    view: &Rc<View>,
    model: usize,
    batching: Batching,
    asked: Asked,
) -> Result<(Asked, Prediction), Fault> {
    let queue = &view.queues[model];
    if queue.waiting.borrow().len() >= shared.settings.compute_queue {
        return Err(Fault::overloaded());
    }
    let (answer, answered) = oneshot::channel();
    queue.push(Waiting { asked, since: tokio::time::Instant::now(), answer });
    if !queue.is_led.replace(true) {
        tokio::task::spawn_local(lead(Arc::clone(shared), Rc::clone(view), model, batching));
    } else if queue.n_rows.get() >= batching.max_rows {
        queue.arrived.notify_one();
    }
    // The sender is dropped unused only when there was no place for the batch on the compute threads.
    let (asked, prediction) = answered.await.map_err(|_| Fault::overloaded())?;
    Ok((asked, prediction?))
}

/// Leads a queue, and is missed by nobody when it ends: the next request sets off another.
struct Leader<'q>(&'q Queue);

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        self.0.is_led.set(false);
    }
}

/// Predicts batch after batch until nobody waits.
async fn lead(shared: Arc<Shared>, view: Rc<View>, model: usize, batching: Batching) {
    let queue = &view.queues[model];
    let _leader = Leader(queue);
    while let Some(first) = queue.first() {
        // The notice may be one of a batch that is gone.
        let is_full = async {
            while queue.n_rows.get() < batching.max_rows {
                queue.arrived.notified().await;
            }
        };
        if !batching.max_delay.is_zero() {
            let _ = timeout(batching.max_delay.saturating_sub(first.elapsed()), is_full).await;
        }
        let batch = queue.take(batching.max_rows);
        if !batch.is_empty() {
            work(&shared, &view, model, batch).await;
        }
    }
}

/// Predicts a batch, here when that is short, else on a compute thread, and hands out the answers.
async fn work(shared: &Arc<Shared>, view: &Rc<View>, model: usize, batch: Vec<Waiting>) {
    let (asked, answers): (Vec<Asked>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.asked, waiting.answer)).unzip();
    let n_rows = asked.iter().map(|asked| asked.decoded.batch.n_rows).sum();
    let pace = &view.paces[model];
    let done = if pace.get().is_short(n_rows) {
        view.models.entries()[model].require_ready().map(|ready| timed(ready, asked))
    } else {
        let models = Arc::clone(&view.models);
        let work = move || models.entries()[model].require_ready().map(|ready| timed(ready, asked));
        match shared.compute.run(work).await {
            Ok(done) => done,
            Err(Overloaded) => return,
        }
    };
    // A model that is not there was refused before anything waited for it.
    let Ok((done, took)) = done else { return };
    let mut newer = pace.get();
    newer.learn(n_rows, took);
    pace.set(newer);
    let counts = view.counts_of(Some(model));
    counts.count_prediction(n_rows, took);
    counts.count_batch(n_rows);
    for (answer, asked) in answers.into_iter().zip(done) {
        // Who is not there any more needs no answer.
        let _ = answer.send(asked);
    }
}

fn timed(ready: &Ready, asked: Vec<Asked>) -> (Vec<Answer>, Duration) {
    let start = Instant::now();
    let answers = answers(ready, asked);
    (answers, start.elapsed())
}

/// The answer to each: from one prediction when that goes well, else from one for each.
fn answers(ready: &Ready, asked: Vec<Asked>) -> Vec<Answer> {
    if let Some(predictions) = together(ready, &asked) {
        return asked.into_iter().zip(predictions.into_iter().map(Ok)).collect();
    }
    let alone = |asked: Asked| {
        let answer = guarded(|| {
            let Some(output) = asked.outputs.first() else { return Err(Fault::overloaded()) };
            let prediction = ready.answer(output.ask, &asked.decoded.batch);
            prediction.map_err(|error| asked.decoded.fault(error))
        });
        (asked, answer)
    };
    asked.into_iter().map(alone).collect()
}

/// The answers of one prediction; `None` when there is only one request, or the model refuses some of the rows.
fn together(ready: &Ready, asked: &[Asked]) -> Option<Vec<Prediction>> {
    let [first, others @ ..] = asked else { return None };
    if others.is_empty() {
        return None;
    }
    let mut batch: Batch = first.decoded.batch.clone();
    others.iter().for_each(|other| batch.append(&other.decoded.batch));
    let n_rows: Vec<usize> = asked.iter().map(|asked| asked.decoded.batch.n_rows).collect();
    let ask = first.first_ask()?;
    guarded(|| Ok(ready.answer(ask, &batch).ok())).ok()??.split(&n_rows)
}
