//! A model that answers, and what it says about itself.

mod assembly;
mod entry;
mod evaluator;

use std::path::PathBuf;
use std::time::Duration;

use crate::estimator::Step;
use crate::{Batch, Data, DataType, Method, NotServed, PredictError, Prediction, Signature, classifier};
use evaluator::Evaluator;

pub(crate) use assembly::Assembly;

/// A loaded model. It is never changed, so many threads may ask it at once.
#[derive(Debug)]
pub struct Model {
    evaluator: Evaluator,
    signature: Signature,
    methods: Vec<Method>,
    not_served: Vec<NotServed>,
    default_method: Method,
    threshold: Option<f64>,
    inputs: Vec<NamedInput>,
    example: Batch,
    description: Description,
}

/// What a model is and where it came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// Its name, if its folder says one.
    pub name: Option<String>,
    /// Its version, if its folder says one.
    pub version: Option<String>,
    /// The file format, for example `joblib, zlib` or `MLflow sklearn, skops 0.16.0`.
    pub format: String,
    /// Its estimators, the outermost first.
    pub parts: Vec<Part>,
    /// Names and versions of the libraries that wrote it, as far as the file says.
    pub libraries: Vec<(String, String)>,
    /// The model file.
    pub file: PathBuf,
    /// Bytes in the model file.
    pub file_bytes: u64,
    /// SHA-256 of the model file, in lower-case hexadecimal.
    pub sha256: String,
    /// How requests for it may be joined, if its folder says.
    pub batching: Option<Batching>,
}

/// How requests that wait at the same time may be joined, in the words of MLServer's `model-settings.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Rows that are predicted together, at most (`max_batch_size`). One or none: requests are not joined.
    pub max_rows: usize,
    /// How long the first request may wait for others (`max_batch_time`).
    pub max_delay: Duration,
}

/// An input that a model's file names, with one column or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedInput {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub datatype: DataType,
    /// How many columns it has, if the file says.
    pub n_columns: Option<usize>,
    /// Whether it is a list of values, rather than a matrix.
    pub is_list: bool,
}

/// An output that a model's file names, as the file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedOutput {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub datatype: DataType,
    /// How many columns it has, if the file says; `None` for one value per row.
    pub n_columns: Option<Option<usize>>,
}

/// An estimator of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// How many estimators it is inside of.
    pub depth: usize,
    /// What the estimator around it calls it, for example the name of a pipeline's step.
    pub name: Option<String>,
    /// Its Python class, as `module.name`.
    pub class: String,
}

// === impl Model ===

impl Model {
    /// What a request may carry, and what it gets.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What the model can be asked for.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// What the model can be asked for in its library, and not here.
    #[must_use]
    pub fn not_served(&self) -> &[NotServed] {
        &self.not_served
    }

    /// What the model is asked for when a request does not say: what it was saved for, or else the first method.
    #[must_use]
    pub fn default_method(&self) -> Method {
        self.default_method
    }

    /// Whether the model has names for its columns: its own, or those that its folder declares. One that has none is told
    /// its columns in their order, or by numbers ([`crate::position_in_name`]).
    #[must_use]
    pub fn has_column_names(&self) -> bool {
        self.evaluator.entry.has_own_names
    }

    /// The columns that the model was fitted with, in their order, by its names for them: those that no answer depends on
    /// are among them. None if it has no names.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let columns = self.evaluator.entry.columns.iter().flatten().filter(|_| self.has_column_names());
        columns.map(|column| column.name.as_str())
    }

    /// The classes that the model tells apart, in the order of its probabilities.
    #[must_use]
    pub fn classes(&self) -> Option<&Data> {
        self.evaluator.step.classes()
    }

    /// From which probability on a row has the second of two classes, if the model's folder says.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// The inputs that the model's file names, in the order of their columns (an ONNX graph does). None when columns are
    /// known by other names, which the model's folder declares.
    #[must_use]
    pub fn inputs(&self) -> &[NamedInput] {
        &self.inputs
    }

    /// The outputs that the model gives at once, if its file names them (an ONNX graph does).
    #[must_use]
    pub fn outputs(&self) -> &[NamedOutput] {
        match &self.evaluator.step {
            Step::Predictor(predictor) => predictor.outputs(),
            Step::Transformer(_) => &[],
        }
    }

    /// What the model is and where it came from.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Rows that the model takes: those that were saved with it, or one that is made up.
    #[must_use]
    pub fn example(&self) -> &Batch {
        &self.example
    }

    /// Whether a row is answered alone as it is among others. Of an ONNX graph, for example, nobody knows.
    #[must_use]
    pub fn rows_are_independent(&self) -> bool {
        self.evaluator.step.rows_are_independent()
    }

    /// Answers for every row of a batch.
    ///
    /// Columns are found by name where the model was fitted with names, in any order, and further ones are ignored. A
    /// batch without names must have exactly the columns of the model.
    ///
    /// # Errors
    ///
    /// When the model has no such method, or does not take the batch. The error says which row and column is to blame,
    /// as far as it is one.
    pub fn predict(&self, method: Method, batch: &Batch) -> Result<Prediction, PredictError> {
        self.predict_with_threads(method, batch, 1)
    }

    /// The same as [`Model::predict`], by up to so many threads, the caller's own among them. Batches of a few hundred
    /// rows, and those that take no longer than to start a thread, are answered by one.
    ///
    /// # Errors
    ///
    /// Those of [`Model::predict`].
    pub fn predict_with_threads(
        &self,
        method: Method,
        batch: &Batch,
        n_threads: usize,
    ) -> Result<Prediction, PredictError> {
        if !self.methods.contains(&method) {
            let available = self.methods.clone();
            let not_served = self.not_served.iter().find(|not_served| not_served.method == method);
            return Err(match not_served {
                Some(not_served) => PredictError::NotServed { not_served: *not_served, available },
                None => PredictError::NoMethod { method, available },
            });
        }
        match (self.threshold, method, self.classes()) {
            (Some(threshold), Method::Predict, Some(classes)) => {
                let probabilities = self.evaluator.ask(Method::PredictProba, batch, n_threads)?;
                Ok(classifier::decide(classes, &probabilities.data, threshold))
            }
            _ => Ok(self.evaluator.ask(method, batch, n_threads)?),
        }
    }

    /// One of [`Model::outputs`], by its place, for every row of a batch.
    ///
    /// # Errors
    ///
    /// When the model does not take the batch.
    ///
    /// # Panics
    ///
    /// When it has no such output.
    pub fn predict_output(&self, output: usize, batch: &Batch) -> Result<Prediction, PredictError> {
        Ok(self.predict_outputs(batch)?.swap_remove(output))
    }

    /// All of [`Model::outputs`], in their order, for every row of a batch.
    ///
    /// # Errors
    ///
    /// When the model does not take the batch.
    pub fn predict_outputs(&self, batch: &Batch) -> Result<Vec<Prediction>, PredictError> {
        Ok(self.evaluator.ask_outputs(batch)?)
    }
}
