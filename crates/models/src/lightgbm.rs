//! Models of LightGBM, from its text files and from pickles.
//!
//! A text file does not say which Python class wrote it, so it answers as `Booster.predict`: for `binary` that is one
//! probability per row. In an MLflow folder or a pickle the class is known, and answers as in Python.

mod booster;
mod objective;
mod sklearn;
mod text;
mod tree;

use crate::categories::{self, Unknown};
use crate::classifier::{pick, two_probabilities};
use crate::estimator::{Hint, Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::formats::Content;
use crate::numeric::argmax;
use crate::object::Outline;
use crate::rows::{Refusal, Rows};
use crate::{Data, Method, Prediction};
use booster::Booster;

pub(crate) use sklearn::KINDS;
pub(crate) use text::is_likely;

/// The library, as errors call it.
const LIBRARY: &str = "LightGBM";

/// The class of a file that tells no classes apart, or of which the folder around it says so.
const BOOSTER: &str = "lightgbm.basic.Booster";
/// The class of a file that tells classes apart.
const CLASSIFIER: &str = "lightgbm.sklearn.LGBMClassifier";

/// A booster, asked as one of LightGBM's Python classes.
#[derive(Debug)]
struct Model {
    booster: Booster,
    role: Role,
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

/// Makes a model of a text file. One that was trained to tell classes apart is asked as an `LGBMClassifier` of the
/// classes 0, 1, and so on, unless the folder around it says that a `Booster` was saved, which tells probabilities.
pub(crate) fn load(file: &[u8], class: Option<&str>) -> Result<Content, Fault> {
    let text = std::str::from_utf8(file).map_err(|error| Fault::damaged(error.valid_up_to(), "no UTF-8"))?;
    let booster = Booster::read(text, None)?;
    let names = booster.names.clone();
    let (class, role) = match class {
        None if booster.objective.learned_classes() => {
            let n_classes = booster.n_outputs().max(2) as i64;
            (CLASSIFIER, Role::Classifier { classes: Data::Long((0..n_classes).collect()) })
        }
        _ => (BOOSTER, Role::Booster),
    };
    let outline = vec![Outline { depth: 0, name: None, class: class.to_owned(), version: None }];
    Ok(Content { format: "LightGBM text".to_owned(), step: step(booster, role)?, names, outline })
}

fn step(booster: Booster, role: Role) -> Result<Step, Fault> {
    if let Role::Classifier { classes } = &role {
        let n_outputs = booster.n_outputs();
        let n_known = if n_outputs == 1 { 2 } else { n_outputs };
        if !booster.objective.tells_classes() || classes.len() != n_known {
            return Err(Fault::unsupported(format!(
                "a classifier of {} classes with the objective `{}`",
                classes.len(),
                booster.objective.text
            )));
        }
    }
    Ok(predictor(Model { booster, role }))
}

// === impl Model ===

impl Part for Model {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.booster.n_features)
    }

    fn hint(&self, column: usize) -> Hint {
        match self.booster.categories.get(column) {
            Some(Some(codes)) => codes.hint(),
            _ => Hint::default(),
        }
    }

    fn names(&self) -> Option<&[String]> {
        self.booster.names.as_deref()
    }
}

impl Predictor for Model {
    fn methods(&self) -> Vec<Method> {
        match &self.role {
            Role::Classifier { .. } => vec![Method::Predict, Method::PredictProba, Method::DecisionFunction],
            Role::Booster if self.booster.objective.tells_classes() => {
                vec![Method::Predict, Method::PredictProba]
            }
            Role::Booster => vec![Method::Predict],
        }
    }

    fn classes(&self) -> Option<&Data> {
        match &self.role {
            Role::Booster => None,
            Role::Classifier { classes } => Some(classes),
        }
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let matrix = categories::encode(rows, &self.booster.categories, Unknown::Missing, LIBRARY)?;
        let n_outputs = self.booster.n_outputs();
        let mut answers = self.booster.raw_scores(&matrix);
        // `decision_function` of LightGBM 4.7 answers the scores as they are.
        if method != Method::DecisionFunction {
            self.booster.finish(&mut answers);
        }
        Ok(match (&self.role, method) {
            (_, Method::PredictProba) if n_outputs == 1 => two_probabilities(answers.into_iter()),
            (Role::Classifier { classes }, Method::Predict) => match n_outputs {
                1 => pick(classes, answers.iter().map(|p| usize::from(*p > 1.0 - *p))),
                _ => pick(classes, answers.chunks_exact(n_outputs).map(argmax)),
            },
            _ if n_outputs == 1 => Prediction::flat(Data::Double(answers)),
            _ => Prediction::rows(n_outputs, Data::Double(answers)),
        })
    }
}
