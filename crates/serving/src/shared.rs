//! What all cores of a server share: the models at the moment, and what was counted.
//!
//! The set of models is never changed, but replaced: requests that are at work finish with the one they began with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use net::Budget;
use traces::Tracer;

use crate::Settings;
use crate::admin::AdminAddress;
use crate::compute::{Compute, Overloaded};
use crate::fault::{Cause, Fault, guarded, quoted};
use crate::metrics::Metrics;
use crate::model_set::ModelSet;
use crate::prediction_log::PredictionLog;
use crate::protocols::PROTOCOLS;
use crate::repository::{Change, Loader, Repository, RepositoryError};

/// What all cores share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) compute: Compute,
    pub(crate) metrics: Metrics,
    /// What bodies are collected in.
    pub(crate) bodies: Budget,
    pub(crate) log: OnceLock<PredictionLog>,
    pub(crate) traces: OnceLock<Tracer>,
    models: RwLock<Arc<ModelSet>>,
    /// Where clients may load models from, if they may.
    loader: Option<Loader>,
    /// Where they may do so.
    pub(crate) admin_address: OnceLock<AdminAddress>,
    /// Counts the sets of models, so that a core sees without a lock that there is another one.
    generation: AtomicU64,
}

impl Shared {
    pub(crate) fn new(models: ModelSet, settings: Settings, loader: Option<Loader>) -> Self {
        Self {
            compute: Compute::start(settings.compute_threads, settings.compute_queue),
            metrics: Metrics::new(PROTOCOLS.iter().map(|protocol| protocol.name)),
            bodies: Budget::new(settings.bodies_limit),
            log: OnceLock::new(),
            traces: OnceLock::new(),
            models: RwLock::new(Arc::new(models)),
            generation: AtomicU64::new(0),
            loader,
            admin_address: OnceLock::new(),
            settings,
        }
    }

    /// What is served at the moment. Takes a lock: cores ask [`Self::generation`] first.
    pub(crate) fn models(&self) -> Arc<ModelSet> {
        Arc::clone(&self.models.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often the set of models was replaced.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Serves another set of models from now on.
    pub(crate) fn replace(&self, models: ModelSet) {
        *self.models.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(models);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Loads or unloads a model, and returns when requests find it so.
    pub(crate) async fn change(self: &Arc<Self>, name: &str, change: Change) -> Result<(), Fault> {
        let Some(loader) = &self.loader else {
            return Err(Fault::new(
                Cause::NotSupported,
                "models are not loaded and unloaded by clients here",
            ));
        };
        let (shared, name) = (Arc::clone(self), name.to_owned());
        let repository = Arc::clone(&loader.repository);
        let work = move || {
            guarded(|| match change {
                Change::Load => shared.load(repository.as_ref(), &name),
                Change::Unload => shared.unload(&name),
            })
        };
        loader.thread.run(work).await.map_err(|Overloaded| {
            Fault::new(Cause::Unavailable, "too many models are waiting to be loaded")
                .with_help("try again in a moment")
        })?
    }

    fn load(&self, repository: &dyn Repository, name: &str) -> Result<(), Fault> {
        let models = repository.load(name).map_err(|error| {
            let cause = match error {
                RepositoryError::Unknown { .. } => Cause::NotFound,
                RepositoryError::Load { .. } => Cause::Input,
            };
            Fault::new(cause, error.to_string())
        })?;
        let newer = self.models().with(name, models, &self.settings);
        self.replace(newer.map_err(|error| Fault::new(Cause::Input, error.to_string()))?);
        Ok(())
    }

    fn unload(&self, name: &str) -> Result<(), Fault> {
        let problem = || Fault::new(Cause::NotFound, format!("no model is called {}", quoted(name)));
        self.replace(self.models().without(name).ok_or_else(problem)?);
        Ok(())
    }
}
