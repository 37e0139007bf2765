//! Linear models of stochastic gradient descent, as far as they answer in their own way.

use super::{Classifier, Probabilities, linear_classifier};
use crate::estimator::{Step, predictor};
use crate::fault::Fault;
use crate::object::Object;
use crate::sklearn::by_row::{Answers, RowPredictor, answers_rows, outlier_scores};
use crate::{Method, numeric};

/// A weighted sum, negative for what is unlike the rows of fitting.
#[derive(Debug)]
struct OneClass {
    weights: Vec<f64>,
    offset: f64,
}

pub(super) fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let (linear, classes) = linear_classifier(object)?;
    let loss = object.get("loss")?;
    let probabilities = match loss.text()?.as_ref() {
        "log_loss" | "log" => Some(Probabilities::OneVersusRest),
        "modified_huber" => Some(Probabilities::Clipped),
        _ => None,
    };
    Ok(predictor(Classifier { linear, classes, probabilities }))
}

pub(super) fn one_class(object: &Object<'_>) -> Result<Step, Fault> {
    let weights = object.get("coef_")?.numbers()?;
    object.find("intercept_");
    let offset = object.get("offset_")?.n_numbers(1)?[0];
    Ok(answers_rows(object, Answers::outlier(), OneClass { weights, offset }))
}

impl RowPredictor for OneClass {
    fn n_inputs(&self) -> usize {
        self.weights.len()
    }

    fn answer(&self, method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let score = numeric::dot(row, &self.weights) - self.offset;
        match method {
            Method::DecisionFunction => numbers.push(score),
            _ => numbers.extend(outlier_scores(score < 0.0)),
        }
    }
}
