//! Generalized linear models: a weighted sum through the inverse of a link.

use super::{Linear, linear};
use crate::estimator::{Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::object::Object;
use crate::rows::{Refusal, Rows};
use crate::{Data, Method, Prediction};

/// What is predicted is the exponential of the sum.
#[derive(Debug)]
struct Exponential(Linear);

pub(super) fn logarithmic(object: &Object<'_>) -> Result<Step, Fault> {
    // Until 1.0 it said so itself.
    if let Some(link) = object.some("link").filter(|link| !link.is_text("log") && !link.is_text("auto")) {
        return Err(link.unsupported("it is the logarithm"));
    }
    let linear = linear(object)?;
    if linear.weights.n_rows != 1 {
        return Err(object.problem("it has several targets"));
    }
    Ok(predictor(Exponential(linear)))
}

/// `TweedieRegressor`, whose link is the logarithm unless its power says that targets may be negative.
pub(super) fn tweedie(object: &Object<'_>) -> Result<Step, Fault> {
    let power = object.get("power")?.number()?;
    let link = object.get("link")?;
    match link.text()?.as_ref() {
        "identity" => super::regressor(object),
        "auto" if power <= 0.0 => super::regressor(object),
        "auto" | "log" => logarithmic(object),
        _ => Err(link.unsupported("it is `auto`, `identity` or `log`")),
    }
}

impl Part for Exponential {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.0.weights.n_columns)
    }
}

impl Predictor for Exponential {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn predict(&self, _method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let sums = self.0.sums(rows)?;
        Ok(Prediction::flat(Data::Double(sums.values.iter().map(|sum| sum.exp()).collect())))
    }
}
