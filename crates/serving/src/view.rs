//! What one core knows of the models that are served, so that requests take no lock.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::compute::Pace;
use crate::metrics::{Counted, Counts};
use crate::model_set::{Entry, ModelSet};
use crate::queue::Queue;
use crate::shared::Shared;

/// What one core knows of the models that are served.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) generation: u64,
    pub(crate) models: Arc<ModelSet>,
    /// By the index of the model; the last is for requests that ask none.
    counts: Vec<Arc<Counts>>,
    /// By the index of the model.
    pub(crate) paces: Vec<Cell<Pace>>,
    /// The requests that wait to be joined, by the index of the model.
    pub(crate) queues: Vec<Queue>,
}

impl View {
    /// The models that are served.
    pub(crate) fn models(&self) -> &ModelSet {
        &self.models
    }

    /// The models that are served now. Models that stay are counted on.
    pub(crate) fn new(shared: &Shared, before: Option<&Self>) -> Self {
        let generation = shared.generation();
        let models = shared.models();
        let mut known = before.map(Self::counts_by_version).unwrap_or_default();
        let mut counts_of =
            |counted| known.remove(&counted).unwrap_or_else(|| shared.metrics.counts(&counted));
        let entries = models.entries().iter().map(|entry| Counted::of(entry));
        let counts = entries.chain([Counted::default()]).map(&mut counts_of).collect();
        let pace = |entry: &Arc<Entry>| {
            Cell::new(entry.ready().map_or_else(|| Pace::new(Duration::ZERO), |ready| ready.pace))
        };
        let paces = models.entries().iter().map(pace).collect();
        let queues = models.entries().iter().map(|_| Queue::default()).collect();
        Self { generation, models, counts, paces, queues }
    }

    fn counts_by_version(&self) -> HashMap<Counted, Arc<Counts>> {
        let entries = self.models.entries().iter().map(|entry| Counted::of(entry));
        entries.chain([Counted::default()]).zip(self.counts.iter().cloned()).collect()
    }

    /// What is counted of a model, or of requests that ask none.
    pub(crate) fn counts_of(&self, model: Option<usize>) -> &Counts {
        &self.counts[model.unwrap_or(self.counts.len() - 1)]
    }
}
