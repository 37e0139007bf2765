//! Models of XGBoost, from its files - JSON, UBJSON and the older binary ones - and from pickles.
//!
//! A file that was saved by one of the scikit-learn classes says so, and answers as that class does. Any other answers as
//! `Booster.predict`: for `binary:logistic` that is one probability per row.

mod binary;
mod booster;
mod objective;
mod sklearn;
mod tree;

use crate::categories::{self, Unknown};
use crate::estimator::{Hint, Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::formats::Content;
use crate::formats::document::Document;
use crate::numeric::argmax_of;
use crate::object::Outline;
use crate::rows::{Matrix, Refusal, Rows, Takes};
use crate::{Data, Method, Prediction};
use booster::{Booster, Use};
use objective::Link;

pub(crate) use sklearn::KINDS;

/// The library, as errors call it.
const LIBRARY: &str = "XGBoost";

/// The class that a file is of when it does not say one.
const BOOSTER: &str = "xgboost.core.Booster";

/// A booster, asked as one of XGBoost's Python classes.
#[derive(Debug)]
struct Model {
    booster: Booster,
    role: Role,
    /// Numbers that count as missing, besides NaN.
    missing: Option<f64>,
}

/// Which Python class answers.
#[derive(Debug)]
enum Role {
    /// `Booster`, and the regressors and rankers, which answer as it does.
    Booster,
    Classifier {
        classes: Data,
    },
}

/// Whether a document is one of XGBoost's.
pub(crate) fn is_own(document: &Document) -> bool {
    document.find("learner").is_some() || document.find("Model").is_some()
}

/// Whether bytes are a file of the older binary format.
pub(crate) fn is_binary(data: &[u8]) -> bool {
    binary::is_likely(data)
}

/// Makes a model of a file of the older binary format.
pub(crate) fn load_binary(data: &[u8], class: Option<&str>) -> Result<Content, Fault> {
    load(&binary::read(data)?, "binary", class)
}

/// Makes a model of a file. `class` is what the folder around it says it was saved from.
pub(crate) fn load(document: &Document, format: &str, class: Option<&str>) -> Result<Content, Fault> {
    let place = booster::root(document);
    let own_class = sklearn::saved_class(&place.get("learner")?)?;
    let class = class.or(own_class).unwrap_or(BOOSTER);
    let used = if class == BOOSTER { Use::All } else { Use::Best { n_trees: None } };
    let booster = Booster::read(&place, used)?;
    let role = match sklearn::is_classifier(class) {
        true => Role::Classifier { classes: booster.classes() },
        false => Role::Booster,
    };
    let names = booster.names.clone();
    let outline = vec![Outline { depth: 0, name: None, class: class.to_owned(), version: None }];
    let step = predictor(Model::new(booster, role, None)?);
    Ok(Content { format: format!("XGBoost {format}"), step, names, outline })
}

// === impl Model ===

impl Model {
    fn new(booster: Booster, role: Role, missing: Option<f64>) -> Result<Self, Fault> {
        let n_classes = match &role {
            Role::Classifier { classes } => classes.len(),
            Role::Booster => return Ok(Self { booster, role, missing }),
        };
        let is_right = match booster.n_outputs() {
            1 => n_classes == 2 && booster.link.tells_two_classes(),
            n_outputs => n_classes == n_outputs || n_classes == 2,
        };
        if !is_right {
            return Err(Fault::Unsupported {
                what: format!(
                    "a classifier of {n_classes} classes with the objective `{}`",
                    booster.objective
                ),
                help: Some("it is `binary:logistic`, `multi:softprob` or `multi:softmax`".to_owned()),
            });
        }
        Ok(Self { booster, role, missing })
    }

    /// The rows as XGBoost sees them: rounded to 32 bits, NaN where a value is missing.
    fn matrix<'a>(&self, rows: Rows<'a>) -> Result<Matrix<'a>, Refusal> {
        let mut matrix = categories::encode(rows, &self.booster.categories, Unknown::Refuse, LIBRARY)?;
        for value in matrix.values.to_mut() {
            let is_missing = self.missing.is_some_and(|missing| *value as f32 == missing as f32);
            *value = if is_missing { f64::NAN } else { f64::from(*value as f32) };
        }
        matrix.check(Takes::Missing, LIBRARY)?;
        Ok(matrix)
    }

    /// What `XGBClassifier` makes of what a booster answers.
    fn classify(&self, method: Method, classes: &Data, mut answers: Vec<f32>) -> Prediction {
        let n_outputs = self.booster.n_outputs();
        let is_multi_label = n_outputs > 1 && classes.len() != n_outputs;
        match method {
            Method::PredictProba => probabilities(answers, n_outputs),
            _ if is_multi_label => {
                answers.iter_mut().for_each(|answer| *answer = f32::from(*answer > 0.5));
                let labels = answers.into_iter().map(f64::from).collect();
                Prediction::rows(n_outputs, Data::Double(labels))
            }
            _ if n_outputs == 1 => {
                crate::classifier::pick(classes, answers.iter().map(|answer| usize::from(*answer > 0.5)))
            }
            _ => crate::classifier::pick(classes, answers.chunks_exact(n_outputs).map(argmax_of)),
        }
    }
}

impl Part for Model {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.booster.n_features)
    }

    fn hint(&self, column: usize) -> Hint {
        self.booster.hint(column)
    }

    fn names(&self) -> Option<&[String]> {
        self.booster.names.as_deref()
    }
}

impl Predictor for Model {
    fn methods(&self) -> Vec<Method> {
        match self.role {
            Role::Booster if !self.booster.link.is_probability() => vec![Method::Predict],
            _ => vec![Method::Predict, Method::PredictProba],
        }
    }

    fn classes(&self) -> Option<&Data> {
        match &self.role {
            Role::Booster => None,
            Role::Classifier { classes } => Some(classes),
        }
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let matrix = self.matrix(rows)?;
        let n_outputs = self.booster.n_outputs();
        let mut answers = self.booster.margins(&matrix);
        match &self.role {
            Role::Classifier { classes } => {
                // A classifier takes the probabilities even where the booster would answer with classes.
                let link =
                    if self.booster.link == Link::Softmax { Link::Softprob } else { self.booster.link };
                link.apply(&mut answers, n_outputs);
                Ok(self.classify(method, classes, answers))
            }
            Role::Booster if method == Method::PredictProba => {
                let link =
                    if self.booster.link == Link::Softmax { Link::Softprob } else { self.booster.link };
                link.apply(&mut answers, n_outputs);
                Ok(probabilities(answers, n_outputs))
            }
            Role::Booster if self.booster.link == Link::Softmax => {
                let classes = answers.chunks_exact(n_outputs).map(|margins| argmax_of(margins) as f32);
                Ok(Prediction::flat(Data::Float(classes.collect())))
            }
            Role::Booster => {
                self.booster.link.apply(&mut answers, n_outputs);
                Ok(match n_outputs {
                    1 => Prediction::flat(Data::Float(answers)),
                    _ => Prediction::rows(n_outputs, Data::Float(answers)),
                })
            }
        }
    }
}

/// Probabilities of all classes, where a booster gives just that of the second of two.
fn probabilities(answers: Vec<f32>, n_outputs: usize) -> Prediction {
    if n_outputs > 1 {
        return Prediction::rows(n_outputs, Data::Float(answers));
    }
    let both = answers.iter().flat_map(|probability| [1.0 - probability, *probability]);
    Prediction::rows(2, Data::Float(both.collect()))
}

/// A model inside another saved object, or by itself.
fn step(booster: Booster, role: Role, missing: Option<f64>) -> Result<Step, Fault> {
    Ok(predictor(Model::new(booster, role, missing)?))
}
