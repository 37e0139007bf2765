//! The models that are served, and the names they are served under.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use models::{
    Batch, Batching, Columns, Data, DataType, Field, Inputs, LoadError, Method, Model, NamedOutput,
    PredictError, Prediction, Values,
};
use net::Bytes;
use tracing::{info, warn};

use crate::Settings;
use crate::compute::Pace;
use crate::decode::Schema;
use crate::fault::{Cause, Fault, quoted};
use crate::output::{Ask, Output};

/// A model, and how it is served.
#[derive(Debug)]
pub struct ServedModel {
    /// The name it is asked for by.
    pub name: String,
    /// Further names that mean the same, where no model before has them.
    pub aliases: Vec<String>,
    /// What answers call its version.
    pub version: Option<String>,
    /// Which server's answers it gives where servers differ.
    pub style: Style,
    /// What it is asked for when a request does not say, if not what the model file says.
    pub method: Option<Method>,
    /// Whether it is there.
    pub state: ModelState,
}

/// Whether a model is there.
#[derive(Debug)]
pub enum ModelState {
    /// It is being fetched or read. It answers 503.
    Loading,
    /// It could not be loaded. It answers 503.
    Failed,
    /// It answers.
    Ready(Box<LoadedModel>),
}

/// A model in memory.
#[derive(Debug)]
pub struct LoadedModel {
    /// The model.
    pub model: Model,
    /// When it was loaded.
    pub loaded_at: Timestamp,
}

/// Whose answers a model gives in the Open Inference Protocol, which leaves names and shapes of outputs open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// MLServer's: output `predict`, or `output-1` of an MLflow model; shape `[N, 1]`.
    #[default]
    MlServer,
    /// KServe's own servers: output `output-0`, shape `[N]`.
    KServe,
}

/// Two models cannot have one name, unless they are different versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two models are called `{name}`")]
pub struct DuplicateName {
    /// The name.
    pub name: String,
}

/// The models that are served at a moment. It never changes; another takes its place.
#[derive(Debug)]
pub(crate) struct ModelSet {
    entries: Vec<Arc<Entry>>,
    /// By name, the version that is asked when a request names none: the first.
    positions: HashMap<String, usize>,
    /// The names of all models in order, those that were unloaded included, so that they find their places again.
    order: Vec<String>,
    /// What is told of them to people; written when somebody asks.
    reference: OnceLock<Bytes>,
}

/// A model and its names.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    aliases: Vec<String>,
    pub(crate) version: Option<String>,
    pub(crate) style: Style,
    pub(crate) state: EntryState,
}

/// Whether a model is there.
#[derive(Debug)]
pub(crate) enum EntryState {
    Loading,
    Failed,
    Ready(Box<Ready>),
}

/// A model that answers.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) model: Model,
    pub(crate) schema: Schema,
    /// What it is asked for when a request does not say.
    pub(crate) method: Method,
    /// How long it took for the first row.
    pub(crate) pace: Pace,
    /// How long it took to predict the example for the first time.
    pub(crate) warm_up: Duration,
    pub(crate) loaded_at: Timestamp,
    /// How requests for it are joined, if they are.
    pub(crate) batching: Option<Batching>,
    /// What its answers to the example are like; known when somebody has asked.
    outputs: OnceLock<Vec<OutputKind>>,
    /// Counts the models that this process has loaded: no two have one number.
    pub(crate) number: u64,
}

/// What the answers of a model to one question are like.
#[derive(Debug)]
pub(crate) struct OutputKind {
    pub(crate) ask: Ask,
    pub(crate) datatype: DataType,
    /// How many columns they have, if that is known; `None` for one value per row.
    pub(crate) n_columns: Option<Option<usize>>,
}

// === impl LoadedModel ===

impl LoadedModel {
    /// Loads a model from a file or a folder.
    ///
    /// # Errors
    /// When it cannot be read, or is no model that can be served.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Ok(Self { model: models::load(path)?, loaded_at: Timestamp::now() })
    }
}

// === impl ModelSet ===

impl ModelSet {
    /// The table of these models; the first is the one that is asked when no name is said.
    pub(crate) fn new(models: Vec<ServedModel>, settings: &Settings) -> Result<Self, DuplicateName> {
        let entries = models.into_iter().map(|model| Arc::new(Entry::new(model, settings)));
        Self::of(entries.collect(), Vec::new())
    }

    /// The set of these models, in the order of the names as far as it is known.
    fn of(mut entries: Vec<Arc<Entry>>, mut order: Vec<String>) -> Result<Self, DuplicateName> {
        let mut places: HashMap<String, usize> =
            order.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        for entry in &entries {
            places.entry(entry.name.clone()).or_insert_with(|| {
                order.push(entry.name.clone());
                order.len() - 1
            });
        }
        entries.sort_by_key(|entry| places.get(&entry.name).copied());
        let mut positions = HashMap::new();
        for (position, entry) in entries.iter().enumerate() {
            let first = *positions.entry(entry.name.clone()).or_insert(position);
            let is_twice = entries[first..position]
                .iter()
                .any(|other| other.name == entry.name && other.version == entry.version);
            if is_twice {
                return Err(DuplicateName { name: entry.name.clone() });
            }
        }
        for (position, entry) in entries.iter().enumerate() {
            for alias in &entry.aliases {
                positions.entry(alias.clone()).or_insert(position);
            }
        }
        Ok(Self { entries, positions, order, reference: OnceLock::new() })
    }

    /// The same set with these versions of a model instead of those it has.
    pub(crate) fn with(
        &self,
        name: &str,
        models: Vec<ServedModel>,
        settings: &Settings,
    ) -> Result<Self, DuplicateName> {
        let others = self.entries.iter().filter(|entry| entry.name != name).cloned();
        let newer = models.into_iter().map(|model| Arc::new(Entry::new(model, settings)));
        Self::of(others.chain(newer).collect(), self.order.clone())
    }

    /// The same set without a model; none if it has no such model.
    pub(crate) fn without(&self, name: &str) -> Option<Self> {
        let others: Vec<_> = self.entries.iter().filter(|entry| entry.name != name).cloned().collect();
        if others.len() == self.entries.len() {
            return None;
        }
        Some(Self::of(others, self.order.clone()).expect("a part of a set has no name twice"))
    }

    /// The names of the models that were unloaded.
    pub(crate) fn unloaded(&self) -> impl Iterator<Item = &String> {
        let there: HashSet<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        self.order.iter().filter(move |name| !there.contains(name.as_str()))
    }

    /// A model in all its versions, the default one first.
    pub(crate) fn versions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let entries = self.entries.iter().filter(move |entry| entry.name == name);
        entries.filter_map(|entry| entry.version.as_deref())
    }

    /// The names of the models, each once.
    pub(crate) fn own_names(&self) -> impl Iterator<Item = &str> {
        let is_first =
            |(position, entry): &(usize, &Arc<Entry>)| self.positions.get(&entry.name) == Some(position);
        self.entries.iter().enumerate().filter(is_first).map(|(_, entry)| entry.name.as_str())
    }

    /// The models, in order.
    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// The position of the model that has a name, in its default version.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    /// The position of a version of the model at a position.
    pub(crate) fn position_of_version(&self, model: usize, version: &str) -> Option<usize> {
        let name = &self.entries[model].name;
        let is_it = |entry: &Arc<Entry>| entry.name == *name && entry.version.as_deref() == Some(version);
        self.entries.iter().position(is_it)
    }

    /// All names that models are asked for by: each model's own, then its others.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut names: Vec<(usize, bool, &str)> = self
            .positions
            .iter()
            .map(|(name, position)| (*position, *name != self.entries[*position].name, name.as_str()))
            .collect();
        names.sort_unstable();
        names.into_iter().map(|(_, _, name)| name)
    }

    /// What is told of these models to people, which `write` writes once.
    pub(crate) fn reference(&self, write: impl FnOnce(&[Arc<Entry>]) -> String) -> &Bytes {
        self.reference.get_or_init(|| write(&self.entries).into())
    }

    /// Whether there are models, and all of them are there.
    pub(crate) fn is_ready(&self) -> bool {
        !self.entries.is_empty() && self.entries.iter().all(|entry| entry.ready().is_some())
    }

    /// Whether there is a model that answers.
    pub(crate) fn is_any_ready(&self) -> bool {
        self.entries.iter().any(|entry| entry.ready().is_some())
    }
}

// === impl Entry ===

impl Entry {
    fn new(model: ServedModel, settings: &Settings) -> Self {
        let state = match model.state {
            ModelState::Loading => EntryState::Loading,
            ModelState::Failed => EntryState::Failed,
            ModelState::Ready(loaded) => {
                EntryState::Ready(Box::new(Ready::new(*loaded, model.method, settings)))
            }
        };
        let ServedModel { name, aliases, version, style, .. } = model;
        Self { name, aliases, version, style, state }
    }

    /// What the output is called that a request does not name. Where it has no name of its own, it has that of the method.
    pub(crate) fn default_output(&self) -> &'static str {
        match self.style {
            Style::KServe => "output-0",
            Style::MlServer if self.is_mlflow() => "output-1",
            Style::MlServer => self.ready().map_or(Method::Predict, |ready| ready.method).as_str(),
        }
    }

    /// What an output is called that a request does not call by another name.
    pub(crate) fn name_of_output(&self, ask: Ask) -> &str {
        match (ask, self.ready()) {
            (Ask::Output(place), Some(ready)) => {
                ready.model.outputs().get(place).map_or("", |output| &output.name)
            }
            (Ask::Method(method), Some(ready)) if method != ready.method => method.as_str(),
            _ => self.default_output(),
        }
    }

    /// How many columns an output has besides its rows; `None` when it is a list. A list of values is a column in MLServer's
    /// style, but for the outputs that a file names, which have the shape that it says.
    pub(crate) fn n_columns_of_output(&self, ask: Ask, n_columns: Option<usize>) -> Option<usize> {
        match (n_columns, self.style, ask) {
            (None, Style::MlServer, Ask::Method(_)) => Some(1),
            (n_columns, _, _) => n_columns,
        }
    }

    /// Whether the model is one that MLflow saved.
    pub(crate) fn is_mlflow(&self) -> bool {
        self.ready().is_some_and(|ready| ready.model.description().format.starts_with("MLflow"))
    }

    /// The model, when it is there.
    pub(crate) fn ready(&self) -> Option<&Ready> {
        match &self.state {
            EntryState::Ready(ready) => Some(ready),
            EntryState::Loading | EntryState::Failed => None,
        }
    }

    /// The model, or why it does not answer.
    pub(crate) fn require_ready(&self) -> Result<&Ready, Fault> {
        let (cause, problem) = match &self.state {
            EntryState::Ready(ready) => return Ok(ready),
            EntryState::Loading => (Cause::Loading, "is still loading"),
            EntryState::Failed => (Cause::Unavailable, "could not be loaded"),
        };
        Err(Fault::new(cause, format!("model {} {problem}", quoted(&self.name))))
    }
}

// === impl Ready ===

static N_LOADED: AtomicU64 = AtomicU64::new(0);

impl Ready {
    fn new(loaded: LoadedModel, method: Option<Method>, settings: &Settings) -> Self {
        let LoadedModel { model, loaded_at } = loaded;
        let method = method.unwrap_or_else(|| model.default_method());
        let schema = Schema::new(model.signature(), settings.lenient_column_names);
        let schema = schema.with_inputs(model.inputs()).with_columns(model.columns());
        let schema = if model.has_column_names() { schema } else { schema.without_names() };
        let schema = if takes_columns_in_order(&model, method) { schema.in_order() } else { schema };
        let (warm_up, pace) = warm_up(&model, method);
        let batching = model.description().batching.or(settings.batching);
        if settings.batching.is_some() && batching != settings.batching {
            warn!(?batching, "requests are joined as the model's folder says, not as the server was told");
        }
        let batching = batching.filter(|batching| batching.max_rows > 1);
        if batching.is_some() && !model.rows_are_independent() {
            let class = model.description().parts.first().map(|part| part.class.as_str());
            info!(
                class,
                "requests for this model are not joined, because rows may depend on each other in it"
            );
        }
        let batching = batching.filter(|_| model.rows_are_independent());
        let number = N_LOADED.fetch_add(1, Ordering::Relaxed);
        let outputs = OnceLock::new();
        Self { model, schema, method, pace, warm_up, loaded_at, batching, outputs, number }
    }

    /// What is asked of it when a request does not say: all outputs that its file names, or else a method.
    pub(crate) fn asked_by_default(&self) -> Vec<Ask> {
        match self.model.outputs().len() {
            0 => vec![Ask::Method(self.method)],
            n_outputs => (0..n_outputs).map(Ask::Output).collect(),
        }
    }

    /// What its answers are like: those that come unasked, then the other methods. Found out by asking it for its example;
    /// where it has no answer to that, told as it is declared.
    pub(crate) fn outputs(&self) -> &[OutputKind] {
        let others = self.model.methods().iter().copied().filter(|method| *method != self.method);
        let others = others.filter(|_| self.model.outputs().is_empty()).map(Ask::Method);
        let kind = |ask| match self.answer(ask, self.model.example()) {
            Ok(Prediction { shape, data }) => {
                OutputKind { ask, datatype: datatype(&data), n_columns: shape.n_columns.map(Some) }
            }
            Err(_) => self.declared(ask),
        };
        self.outputs.get_or_init(|| self.asked_by_default().into_iter().chain(others).map(kind).collect())
    }

    /// What its answers to one question are like, as far as that is known without one.
    fn declared(&self, ask: Ask) -> OutputKind {
        let (datatype, n_columns) = match ask {
            Ask::Output(place) => {
                let NamedOutput { datatype, n_columns, .. } = self.model.outputs()[place];
                (datatype, n_columns)
            }
            Ask::Method(Method::Predict) => (self.model.classes().map_or(DataType::Double, datatype), None),
            Ask::Method(_) => (DataType::Double, Some(None)),
        };
        OutputKind { ask, datatype, n_columns }
    }

    /// The answer to one question.
    pub(crate) fn answer(&self, ask: Ask, batch: &Batch) -> Result<Prediction, PredictError> {
        match ask {
            Ask::Method(method) => self.model.predict(method, batch),
            Ask::Output(place) => self.model.predict_output(place, batch),
        }
    }

    /// The answers to all that a request asks for. Outputs that the model gives at once are asked for once.
    pub(crate) fn answers(&self, outputs: &[Output], batch: &Batch) -> Result<Vec<Prediction>, PredictError> {
        let mut at_once = None;
        let mut answer = |ask| match ask {
            Ask::Output(place) if outputs.len() > 1 => {
                let all = match &at_once {
                    Some(all) => all,
                    None => at_once.insert(self.model.predict_outputs(batch)?),
                };
                Ok(Prediction::clone(&all[place]))
            }
            ask => self.answer(ask, batch),
        };
        outputs.iter().map(|output| answer(output.ask)).collect()
    }
}

fn datatype(data: &Data) -> DataType {
    match data {
        Data::Double(_) => DataType::Double,
        Data::Float(_) => DataType::Float,
        Data::Long(_) => DataType::Long,
        Data::Integer(_) => DataType::Integer,
        Data::Boolean(_) => DataType::Boolean,
        Data::Text(_) => DataType::String,
    }
}

/// Of how many columns the order is found out.
const MOST_ORDERED_COLUMNS: usize = 1024;

/// Whether a row of numbers without names means the same to the model as one with the names of its signature in order.
///
/// The model itself is asked: with a row that misses one number after another, for which it blames the column by its name.
/// Of a model that lacks nothing when a number is missing this cannot be found out, and it is given names.
fn takes_columns_in_order(model: &Model, method: Method) -> bool {
    let Inputs::Columns(fields) = &model.signature().inputs else { return false };
    let Columns::Table(columns) = &model.example().columns else { return false };
    let n_columns = fields.len();
    let first_value = |field: &Field| match &columns.iter().find(|column| column.name == field.name)?.values {
        Values::Double(values) => values.first().copied(),
        _ => None,
    };
    let example: Option<Vec<f64>> = fields.iter().map(first_value).collect();
    let Some(example) = example.filter(|_| n_columns <= MOST_ORDERED_COLUMNS) else { return false };
    let is_blamed = |position: usize| {
        let mut row = example.clone();
        row[position] = f64::NAN;
        let refused = model.predict(method, &Batch::matrix(n_columns, row));
        matches!(refused, Err(PredictError::Input(error)) if error.column.as_ref() == Some(&fields[position].name))
    };
    model.predict(method, &Batch::matrix(n_columns, example.clone())).is_ok() && (0..n_columns).all(is_blamed)
}

/// Predicts the example before anybody asks, twice so that caches are warm, and says how long the first time took and then
/// a row.
fn warm_up(model: &Model, method: Method) -> (Duration, Pace) {
    let example = model.example();
    let measure = || {
        let start = Instant::now();
        // An example that does not fit tells the pace as well, and nothing else is asked of it here.
        let _ = model.predict(method, example);
        start.elapsed()
    };
    let first = measure();
    let n_rows = u32::try_from(example.n_rows.max(1)).unwrap_or(u32::MAX);
    (first, Pace::new(first.min(measure()) / n_rows))
}
