//! Many classes from classifiers of two (`sklearn/multiclass.py`).

use super::Kind;
use super::by_row::{Answers, RowPredictor, answers_rows};
use super::inner::{Combine, Inner, around};
use crate::classifier::{Scores, pick};
use crate::estimator::Step;
use crate::fault::Fault;
use crate::numeric::{argmax, dot};
use crate::object::{Grid, Object};
use crate::rows::{Refusal, Rows};
use crate::{Data, Method, Prediction};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        path: "sklearn.multiclass.OneVsRestClassifier",
        ignores: &["estimator"],
        compile: one_versus_rest,
    },
    Kind {
        path: "sklearn.multiclass.OneVsOneClassifier",
        ignores: &["estimator n_classes_ pairwise_indices_"],
        compile: one_versus_one,
    },
    Kind {
        path: "sklearn.multiclass.OutputCodeClassifier",
        ignores: &["code_size estimator"],
        compile: output_code,
    },
    Kind { path: "sklearn.multiclass._ConstantPredictor", ignores: &[], compile: constant },
];

/// The version since which the first of equal scores is taken.
const REVERSED_SINCE: (u32, u32) = (1, 8);

#[derive(Debug)]
struct OneVersusRest {
    classes: Data,
    /// Whether each row may have any number of classes.
    is_multilabel: bool,
    asks: Method,
    takes_last: bool,
}

#[derive(Debug)]
struct OneVersusOne {
    classes: Data,
    asks: Method,
    /// Until 0.20 scores depended on those of the other rows, though the class did not.
    has_scores: bool,
}

/// Each class has a code, and each estimator tells one of its digits.
#[derive(Debug)]
struct OutputCode {
    classes: Data,
    /// One row per class.
    codes: Grid,
}

/// Stands for a class that all rows of fitting had, or none.
#[derive(Debug)]
struct Constant {
    n_columns: usize,
    is_class: f64,
}

fn one_versus_rest(object: &Object<'_>) -> Result<Step, Fault> {
    let binarizer = object.get("label_binarizer_")?.object()?;
    let kind = binarizer.get("y_type_")?;
    let is_multilabel = match kind.text()?.as_ref() {
        "multilabel-indicator" => true,
        "multiclass" | "binary" => false,
        _ => return Err(kind.unsupported("targets are one class, or several of yes or no")),
    };
    object.find("classes_");
    object.find("multilabel_");
    let classes = binarizer.get("classes_")?.labels()?;
    let inner = Inner::read_all(&object.get("estimators_")?)?;
    let is_one_per_class = inner.len() == classes.len() || inner.len() == 1 && classes.len() == 2;
    if !is_one_per_class {
        return Err(object.problem("its estimators are not one per class"));
    }
    let asks = asked(object, &inner)?;
    let takes_last = object.sklearn_version().is_some_and(|version| version < REVERSED_SINCE);
    Ok(around(inner, None, OneVersusRest { classes, is_multilabel, asks, takes_last }))
}

fn one_versus_one(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    if let Some(pairwise) = object.some("pairwise_indices_") {
        return Err(pairwise.unsupported("kernels are not precomputed"));
    }
    let inner = Inner::read_all(&object.get("estimators_")?)?;
    if inner.len() != classes.len() * (classes.len() - 1) / 2 {
        return Err(object.problem("its estimators are not one per pair of classes"));
    }
    let asks = asked(object, &inner)?;
    let has_scores = object.sklearn_version().is_none_or(|version| version >= (0, 21));
    Ok(around(inner, None, OneVersusOne { classes, asks, has_scores }))
}

fn output_code(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let codes = object.get("code_book_")?.grid()?;
    let inner = Inner::read_all(&object.get("estimators_")?)?;
    if codes.n_rows != classes.len() || codes.n_columns != inner.len() {
        return Err(object.problem("its codes do not fit its classes and estimators"));
    }
    Ok(around(inner, None, OutputCode { classes, codes }))
}

/// What is a score of a classifier of two classes: `decision_function`, or else a probability.
fn asked(object: &Object<'_>, inner: &[Inner]) -> Result<Method, Fault> {
    // A constant has both.
    let methods = [Method::DecisionFunction, Method::PredictProba];
    let all_have = |method: &Method| inner.iter().all(|inner| inner.has(*method));
    let asked = methods.into_iter().find(all_have);
    asked.ok_or_else(|| object.problem("an estimator has neither scores nor probabilities"))
}

fn constant(object: &Object<'_>) -> Result<Step, Fault> {
    let is_class = object.get("y_")?;
    let is_class = is_class.number().or_else(|_| is_class.n_numbers(1).map(|numbers| numbers[0]))?;
    let n_columns = object.n_columns(&["n_features_in_"])?.unwrap_or(0);
    let answers = Answers::class(Data::Long(vec![0, 1]), &[Method::PredictProba, Method::DecisionFunction]);
    Ok(answers_rows(object, answers, Constant { n_columns, is_class }))
}

// === impl Constant ===

impl RowPredictor for Constant {
    fn n_inputs(&self) -> usize {
        self.n_columns
    }

    fn answer(&self, method: Method, _row: &[f64], numbers: &mut Vec<f64>) {
        match method {
            Method::PredictProba => numbers.extend([1.0 - self.is_class, self.is_class]),
            _ => numbers.push(self.is_class),
        }
    }
}

// === impl OneVersusRest ===

impl OneVersusRest {
    /// One row of scores per row.
    fn scores(&self, method: Method, rows: &Rows<'_>, inner: &[Inner]) -> Result<Scores, Refusal> {
        let columns: Vec<Vec<f64>> = inner
            .iter()
            .map(|inner| {
                let answer = inner.numbers(method, rows)?;
                Ok(answer.column(usize::from(method == Method::PredictProba)))
            })
            .collect::<Result<_, Refusal>>()?;
        let values = (0..rows.n_rows()).flat_map(|row| columns.iter().map(move |column| column[row]));
        Ok(Scores { per_row: inner.len(), values: values.collect() })
    }

    /// The class with the highest score. Of equal ones it was the last until 1.7.
    fn best(&self, scores: &[f64]) -> usize {
        if !self.takes_last {
            return argmax(scores);
        }
        let n_classes = scores.len();
        let reversed: Vec<f64> = scores.iter().rev().copied().collect();
        n_classes - 1 - argmax(&reversed)
    }

    fn threshold(&self) -> f64 {
        if self.asks == Method::PredictProba { 0.5 } else { 0.0 }
    }

    fn probabilities(&self, scores: Scores) -> Prediction {
        let Scores { per_row, mut values } = scores;
        if per_row == 1 {
            let both = values.iter().flat_map(|of_second| [1.0 - of_second, *of_second]);
            return Prediction::rows(2, Data::Double(both.collect()));
        }
        if !self.is_multilabel {
            for row in values.chunks_exact_mut(per_row) {
                let sum: f64 = row.iter().sum();
                row.iter_mut().filter(|_| sum != 0.0).for_each(|x| *x /= sum);
            }
        }
        Prediction::rows(per_row, Data::Double(values))
    }
}

impl Combine for OneVersusRest {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::PredictProba, Method::DecisionFunction]
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let threshold = self.threshold();
        match method {
            Method::PredictProba => {
                return Ok(self.probabilities(self.scores(Method::PredictProba, &rows, inner)?));
            }
            Method::DecisionFunction => {
                return Ok(self.scores(Method::DecisionFunction, &rows, inner)?.into_prediction());
            }
            _ => {}
        }
        let scores = self.scores(self.asks, &rows, inner)?;
        let of_rows = || scores.values.chunks_exact(scores.per_row);
        Ok(match (self.is_multilabel, scores.per_row) {
            (true, n_classes) => {
                let values = scores.values.iter().map(|score| i64::from(*score > threshold)).collect();
                Prediction::rows(n_classes, Data::Long(values))
            }
            (false, 1) => pick(&self.classes, of_rows().map(|row| usize::from(row[0] > threshold))),
            (false, _) => pick(&self.classes, of_rows().map(|row| self.best(row))),
        })
    }
}

// === impl OneVersusOne ===

impl OneVersusOne {
    /// `_ovr_decision_function`: votes, and confidences as a fraction of a vote.
    fn scores(&self, rows: &Rows<'_>, inner: &[Inner]) -> Result<Vec<f64>, Refusal> {
        let n_classes = self.classes.len();
        let mut votes = vec![0.0; rows.n_rows() * n_classes];
        let mut sums = votes.clone();
        let pairs =
            (0..n_classes).flat_map(|first| (first + 1..n_classes).map(move |second| (first, second)));
        for (inner, (first, second)) in inner.iter().zip(pairs) {
            let confidences = inner.binary_scores(rows)?;
            let answers = inner.ask(Method::Predict, rows)?.data.to_doubles();
            for (row, (confidence, answer)) in confidences.iter().zip(answers).enumerate() {
                let start = row * n_classes;
                sums[start + first] -= confidence;
                sums[start + second] += confidence;
                votes[start + if answer == 0.0 { first } else { second }] += 1.0;
            }
        }
        let score = |(votes, sum): (&f64, &f64)| votes + sum / (3.0 * (sum.abs() + 1.0));
        Ok(votes.iter().zip(&sums).map(score).collect())
    }
}

impl Combine for OneVersusOne {
    fn methods(&self) -> Vec<Method> {
        match self.has_scores {
            true => vec![Method::Predict, Method::DecisionFunction],
            false => vec![Method::Predict],
        }
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn combine(&self, method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let n_classes = self.classes.len();
        let values = self.scores(&rows, inner)?;
        let second = || values.chunks_exact(2).map(|row| row[1]);
        let threshold = if self.asks == Method::PredictProba { 0.5 } else { 0.0 };
        Ok(match (method, n_classes) {
            (Method::DecisionFunction, 2) => Prediction::flat(Data::Double(second().collect())),
            (Method::DecisionFunction, _) => Prediction::rows(n_classes, Data::Double(values)),
            (_, 2) => pick(&self.classes, second().map(|score| usize::from(score > threshold))),
            _ => pick(&self.classes, values.chunks_exact(n_classes).map(argmax)),
        })
    }
}

// === impl OutputCode ===

impl Combine for OutputCode {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn combine(&self, _method: Method, rows: Rows<'_>, inner: &[Inner]) -> Result<Prediction, Refusal> {
        let digits: Vec<Vec<f64>> =
            inner.iter().map(|inner| inner.binary_scores(&rows)).collect::<Result<_, _>>()?;
        let nearest = |row: usize| {
            let own: Vec<f64> = digits.iter().map(|digits| digits[row]).collect();
            let nearness = |code: &[f64]| 2.0 * dot(&own, code) - dot(code, code);
            argmax(&self.codes.rows().map(nearness).collect::<Vec<f64>>())
        };
        Ok(pick(&self.classes, (0..rows.n_rows()).map(nearest)))
    }
}
