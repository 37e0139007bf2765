//! Answers that do not look at the rows (`sklearn/dummy.py`).

use super::Kind;
use crate::classifier::pick;
use crate::estimator::{Hint, Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::numeric::argmax;
use crate::object::Object;
use crate::rows::{Refusal, Rows};
use crate::{Data, Method, Prediction};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        path: "sklearn.dummy.DummyClassifier",
        ignores: &["n_classes_ output_2d_ sparse_output_"],
        compile: classifier,
    },
    Kind {
        path: "sklearn.dummy.DummyRegressor",
        ignores: &["constant n_outputs_ quantile strategy output_2d_"],
        compile: regressor,
    },
];

/// The same for each row.
#[derive(Debug)]
struct Same {
    n_columns: Option<usize>,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Numbers(Vec<f64>),
    Class { classes: Data, place: usize, probabilities: Vec<f64> },
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let numbers = object.get("constant_")?.numbers()?;
    let n_columns = object.n_columns(&["n_features_in_"])?;
    Ok(predictor(Same { n_columns, answer: Answer::Numbers(numbers) }))
}

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let n_targets = object.get("n_outputs_")?;
    if n_targets.count()? != 1 {
        return Err(n_targets.unsupported("it has one target"));
    }
    let classes = object.get("classes_")?.labels()?;
    let priors = object.get("class_prior_")?.n_numbers(classes.len())?;
    object.find("_strategy");
    let strategy = object.get("strategy")?;
    let constant = object.get("constant")?;
    let only = |place: usize| (0..classes.len()).map(|index| f64::from(index == place)).collect();
    let (place, probabilities) = match strategy.text()?.as_ref() {
        "prior" => (argmax(&priors), priors),
        "most_frequent" => (argmax(&priors), only(argmax(&priors))),
        "constant" => {
            let items = constant.items().unwrap_or_default();
            let label = items.first().unwrap_or(&constant);
            let place = match (&classes, label.text(), label.number()) {
                (Data::Text(classes), Ok(text), _) => classes.iter().position(|class| *class == text),
                (classes, _, Ok(number)) => classes.to_doubles().iter().position(|class| *class == number),
                _ => None,
            };
            let place = place.ok_or_else(|| constant.problem("is none of the classes"))?;
            (place, only(place))
        }
        _ => {
            return Err(
                strategy.unsupported("answers are the same each time: `prior`, `most_frequent`, `constant`")
            );
        }
    };
    let n_columns = object.n_columns(&["n_features_in_"])?;
    Ok(predictor(Same { n_columns, answer: Answer::Class { classes, place, probabilities } }))
}

impl Part for Same {
    fn n_inputs(&self) -> Option<usize> {
        self.n_columns
    }

    fn hint(&self, _column: usize) -> Hint {
        Hint::unused()
    }
}

impl Predictor for Same {
    fn methods(&self) -> Vec<Method> {
        match self.answer {
            Answer::Numbers(_) => vec![Method::Predict],
            Answer::Class { .. } => vec![Method::Predict, Method::PredictProba],
        }
    }

    fn classes(&self) -> Option<&Data> {
        match &self.answer {
            Answer::Numbers(_) => None,
            Answer::Class { classes, .. } => Some(classes),
        }
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let n_rows = rows.n_rows();
        Ok(match (&self.answer, method) {
            (Answer::Numbers(numbers), _) if numbers.len() == 1 => {
                Prediction::flat(Data::Double(vec![numbers[0]; n_rows]))
            }
            (Answer::Numbers(numbers), _) => {
                Prediction::rows(numbers.len(), Data::Double(numbers.repeat(n_rows)))
            }
            (Answer::Class { probabilities, .. }, Method::PredictProba) => {
                Prediction::rows(probabilities.len(), Data::Double(probabilities.repeat(n_rows)))
            }
            (Answer::Class { classes, place, .. }, _) => pick(classes, std::iter::repeat_n(*place, n_rows)),
        })
    }
}
