//! Models of CatBoost, from its `cbm` and JSON files and from pickles.
//!
//! What was learned tells which Python class answers: a model of a classification loss answers as `CatBoostClassifier`,
//! any other as `CatBoostRegressor`. Texts and embeddings are refused by name.

mod cbm;
mod city;
mod columns;
mod ctr;
mod flat;
mod json;
mod loss;
mod saved;
mod sklearn;

use crate::classifier::{pick, two_probabilities};
use crate::estimator::{Hint, Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::formats::Content;
use crate::formats::document::Document;
use crate::numeric::{argmax, expit, softmax};
use crate::object::Outline;
use crate::rows::{Refusal, Rows};
use crate::trees::{Forest, Oblivious};
use crate::{Data, Method, Prediction};
use columns::Columns;
use loss::Loss;
use saved::Saved;

pub(crate) use cbm::is_likely;
pub(crate) use sklearn::KINDS;

/// The library, as errors call it.
const LIBRARY: &str = "CatBoost";

/// A model, ready to answer.
#[derive(Debug)]
struct Model {
    columns: Columns,
    trees: Trees,
    scale: f64,
    /// One per output.
    bias: Vec<f64>,
    loss: Loss,
    classes: Option<Data>,
    /// The sum above which the answer is the second of two classes.
    border: f64,
}

#[derive(Debug)]
enum Trees {
    Oblivious(Oblivious),
    Plain(Forest),
}

/// Whether a document is one of CatBoost's.
pub(crate) fn is_own(document: &Document) -> bool {
    document.find("features_info").is_some()
}

/// Makes a model of a JSON file.
pub(crate) fn load_json(document: &Document) -> Result<Content, Fault> {
    content(json::read(document)?, "CatBoost JSON")
}

/// Makes a model of a `cbm` file.
pub(crate) fn load_cbm(file: &[u8]) -> Result<Content, Fault> {
    content(cbm::read(file)?, "CatBoost cbm")
}

fn content(saved: Saved, format: &str) -> Result<Content, Fault> {
    let model = saved.finish()?;
    let class = match model.classes {
        Some(_) => "catboost.core.CatBoostClassifier",
        None => "catboost.core.CatBoostRegressor",
    };
    let outline = vec![Outline { depth: 0, name: None, class: class.to_owned(), version: None }];
    let names = model.columns.names.clone();
    Ok(Content { format: format.to_owned(), step: predictor(model), names, outline })
}

fn step(saved: Saved) -> Result<Step, Fault> {
    Ok(predictor(saved.finish()?))
}

// === impl Model ===

impl Model {
    fn sums(&self, rows: Rows<'_>) -> Result<Vec<f64>, Refusal> {
        let matrix = self.columns.encode(rows)?;
        let n_outputs = self.bias.len();
        let mut sums = vec![0.0; matrix.n_rows * n_outputs];
        match &self.trees {
            Trees::Oblivious(trees) => trees.add_to(&matrix.values, matrix.n_columns, &mut sums),
            Trees::Plain(forest) => forest.add_to(&matrix.values, matrix.n_columns, &mut sums, n_outputs),
        }
        for sums in sums.chunks_exact_mut(n_outputs) {
            sums.iter_mut().zip(&self.bias).for_each(|(sum, bias)| *sum = self.scale * *sum + bias);
        }
        Ok(sums)
    }

    fn classify(&self, classes: &Data, sums: &[f64]) -> Prediction {
        let n_outputs = self.bias.len();
        match self.loss {
            Loss::ManyLabels => {
                let labels = sums.iter().map(|sum| i64::from(*sum > 0.0)).collect();
                Prediction::rows(n_outputs, Data::Long(labels))
            }
            _ if n_outputs == 1 => pick(classes, sums.iter().map(|sum| usize::from(*sum > self.border))),
            _ => {
                // The Python class answers with a column where there may be many classes.
                let flat = pick(classes, sums.chunks_exact(n_outputs).map(argmax));
                Prediction::rows(1, flat.data)
            }
        }
    }

    fn probabilities(&self, mut sums: Vec<f64>) -> Prediction {
        let n_outputs = self.bias.len();
        match self.loss {
            Loss::Softmax => sums.chunks_exact_mut(n_outputs).for_each(softmax),
            _ if n_outputs == 1 => return two_probabilities(sums.into_iter().map(expit)),
            _ => sums.iter_mut().for_each(|sum| *sum = expit(*sum)),
        }
        Prediction::rows(n_outputs, Data::Double(sums))
    }
}

impl Part for Model {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.columns.n_columns())
    }

    fn hint(&self, column: usize) -> Hint {
        self.columns.hint(column)
    }

    fn names(&self) -> Option<&[String]> {
        self.columns.names.as_deref()
    }
}

impl Predictor for Model {
    fn methods(&self) -> Vec<Method> {
        match self.classes {
            Some(_) => vec![Method::Predict, Method::PredictProba, Method::PredictLogProba],
            None => vec![Method::Predict],
        }
    }

    fn classes(&self) -> Option<&Data> {
        self.classes.as_ref()
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let mut sums = self.sums(rows)?;
        Ok(match (&self.classes, method) {
            (Some(_), Method::PredictProba) => self.probabilities(sums),
            (Some(_), Method::PredictLogProba) => {
                let Prediction { shape, data } = self.probabilities(sums);
                let logarithms = data.to_doubles().into_iter().map(f64::ln).collect();
                Prediction { shape, data: Data::Double(logarithms) }
            }
            (Some(classes), _) => self.classify(classes, &sums),
            (None, _) => {
                let n_outputs = self.bias.len();
                self.loss.apply(&mut sums);
                match n_outputs {
                    1 => Prediction::flat(Data::Double(sums)),
                    _ => Prediction::rows(n_outputs, Data::Double(sums)),
                }
            }
        })
    }
}
