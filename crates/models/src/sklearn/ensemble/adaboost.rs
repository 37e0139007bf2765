//! `AdaBoost`: models that vote with weights (`sklearn/ensemble/_weight_boosting.py`).

use crate::classifier::{Scores, places};
use crate::estimator::Step;
use crate::fault::Fault;
use crate::numeric::softmax;
use crate::object::Object;
use crate::rows::{Refusal, Rows};
use crate::sklearn::inner::{Combine, Inner, around};
use crate::{Data, Method, Prediction};

/// How the models were fitted.
pub(super) const FIT: &str = "\
    base_estimator base_estimator_ estimator estimator_ estimator_errors_ estimator_params learning_rate loss \
    n_classes_ n_estimators";

#[derive(Debug)]
struct Classifier {
    classes: Data,
    weights: Vec<f64>,
    votes: Votes,
}

/// What a model adds to the score of each class.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Votes {
    /// Its weight to its class.
    ForOne,
    /// Its weight to its class, and a share of that against each other.
    ForOneAgainstOthers,
    /// From its probabilities (`SAMME.R`).
    Logarithms,
}

/// The median of the models' answers, by weight.
#[derive(Debug)]
struct Regressor {
    weights: Vec<f64>,
}

pub(super) fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let inner = Inner::read_all(&object.get("estimators_")?)?;
    let weights = weights(object, inner.len())?;
    let algorithm = object.find("algorithm").map(|algorithm| algorithm.text()).transpose()?;
    let is_old = object.sklearn_version().is_some_and(|version| version < (1, 3));
    let votes = match algorithm.as_deref() {
        Some("SAMME.R") => Votes::Logarithms,
        _ if is_old => Votes::ForOne,
        _ => Votes::ForOneAgainstOthers,
    };
    let knows_classes = |inner: &Inner| match (votes, inner.classes()) {
        (Votes::Logarithms, Some(own)) => *own == classes && inner.has(Method::PredictProba),
        (_, Some(own)) => places(own, &classes).is_some(),
        (_, None) => false,
    };
    if !inner.iter().all(knows_classes) {
        return Err(object.problem("an estimator knows other classes"));
    }
    Ok(around(inner, None, Classifier { classes, weights, votes }))
}

pub(super) fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let inner = Inner::read_all(&object.get("estimators_")?)?;
    let weights = weights(object, inner.len())?;
    Ok(around(inner, None, Regressor { weights }))
}

/// The weights of the models; there may be room for more of them.
fn weights(object: &Object<'_>, n_inner: usize) -> Result<Vec<f64>, Fault> {
    let weights = object.get("estimator_weights_")?;
    let mut numbers = weights.numbers()?;
    if numbers.len() < n_inner {
        return Err(weights.problem("are fewer than the estimators"));
    }
    numbers.truncate(n_inner);
    Ok(numbers)
}

// === impl Classifier ===

impl Classifier {
    /// A score per class.
    fn votes(&self, rows: &Rows<'_>, inner: &[Inner]) -> Result<Vec<f64>, Refusal> {
        let n_classes = self.classes.len();
        let mut scores = vec![0.0; rows.n_rows() * n_classes];
        for (inner, weight) in inner.iter().zip(&self.weights) {
            if self.votes == Votes::Logarithms {
                let answer = inner.numbers(Method::PredictProba, rows)?;
                for (scores, probabilities) in scores.chunks_exact_mut(n_classes).zip(answer.rows()) {
                    add_logarithms(scores, probabilities);
                }
                continue;
            }
            let answer = inner.ask(Method::Predict, rows)?;
            let answer = places(&answer.data, &self.classes).unwrap_or_default();
            let against = match self.votes {
                Votes::ForOneAgainstOthers => -1.0 / (n_classes as f64 - 1.0) * weight,
                _ => 0.0,
            };
            for (scores, class) in scores.chunks_exact_mut(n_classes).zip(answer) {
                let vote = |(index, score): (usize, &mut f64)| {
                    *score += if index == class { *weight } else { against }
                };
                scores.iter_mut().enumerate().for_each(vote);
            }
        }
        let sum: f64 = self.weights.iter().sum();
        scores.iter_mut().for_each(|score| *score /= sum);
        Ok(scores)
    }

    fn scores(&self, rows: &Rows<'_>, inner: &[Inner]) -> Result<Scores, Refusal> {
        let n_classes = self.classes.len();
        if n_classes == 1 {
            return Ok(Scores { per_row: 1, values: vec![0.0; rows.n_rows()] });
        }
        let votes = self.votes(rows, inner)?;
        if n_classes > 2 {
            return Ok(Scores { per_row: n_classes, values: votes });
        }
        let difference = |votes: &[f64]| -votes[0] + votes[1];
        Ok(Scores { per_row: 1, values: votes.chunks_exact(2).map(difference).collect() })
    }
}

/// `_samme_proba`
fn add_logarithms(scores: &mut [f64], probabilities: &[f64]) {
    let n_classes = scores.len() as f64;
    let logarithm = |x: &f64| x.max(f64::EPSILON).ln();
    let sum: f64 = probabilities.iter().map(logarithm).sum();
    for (score, probability) in scores.iter_mut().zip(probabilities) {
        *score += (n_classes - 1.0) * (logarithm(probability) - (1.0 / n_classes) * sum);
    }
}

/// `_compute_proba_from_decision`
fn probabilities(scores: &Scores, n_classes: usize) -> Prediction {
    let mut values: Vec<f64> = match n_classes {
        1 => return Prediction::rows(1, Data::Double(vec![1.0; scores.values.len()])),
        2 => scores.values.iter().flat_map(|score| [-score / 2.0, score / 2.0]).collect(),
        n_classes => scores.values.iter().map(|score| score / (n_classes as f64 - 1.0)).collect(),
    };
    values.chunks_exact_mut(n_classes).for_each(softmax);
    Prediction::rows(n_classes, Data::Double(values))
}

impl Combine for Classifier {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::PredictProba, Method::DecisionFunction]
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let scores = self.scores(&rows, inner)?;
        Ok(match method {
            Method::DecisionFunction => scores.into_prediction(),
            Method::PredictProba => probabilities(&scores, self.classes.len()),
            _ => scores.pick(&self.classes),
        })
    }
}

// === impl Regressor ===

impl Combine for Regressor {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn combine(&self, _method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let answers: Vec<Vec<f64>> = inner
            .iter()
            .map(|inner| inner.numbers(Method::Predict, &rows).map(|answer| answer.column(0)))
            .collect::<Result<_, _>>()?;
        let median = |row: usize| {
            let of_row: Vec<f64> = answers.iter().filter_map(|answer| answer.get(row).copied()).collect();
            weighted_median(&of_row, &self.weights)
        };
        Ok(Prediction::flat(Data::Double((0..rows.n_rows()).map(median).collect())))
    }
}

/// The first answer, in order, at which half of all weight is reached.
fn weighted_median(answers: &[f64], weights: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..answers.len()).collect();
    order.sort_by(|a, b| answers[*a].total_cmp(&answers[*b]));
    let total = order.iter().fold(0.0, |sum, index| sum + weights[*index]);
    let mut sum = 0.0;
    let middle = order.iter().find(|index| {
        sum += weights[**index];
        sum >= 0.5 * total
    });
    middle.map_or(f64::NAN, |index| answers[*index])
}
