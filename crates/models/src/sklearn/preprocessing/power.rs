//! `PowerTransformer`: powers that make columns look normal.

use crate::InputProblem;
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows, Takes};

/// A power for each column, and then the moving and stretching of a scaler.
#[derive(Debug)]
pub(in crate::sklearn) struct Power {
    method: Method,
    exponents: Vec<f64>,
    scaler: Option<(Vec<f64>, Vec<f64>)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    YeoJohnson,
    BoxCox,
}

pub(super) fn power_transformer(object: &Object<'_>) -> Result<Step, Fault> {
    Power::read(object).map(transformer)
}

// === impl Power ===

impl Power {
    pub(in crate::sklearn) fn read(object: &Object<'_>) -> Result<Self, Fault> {
        let method = object.get("method")?;
        let method = match method.text()?.as_ref() {
            "yeo-johnson" => Method::YeoJohnson,
            "box-cox" => Method::BoxCox,
            _ => return Err(method.unsupported("it is `yeo-johnson` or `box-cox`")),
        };
        let exponents = object.get("lambdas_")?.numbers()?;
        let is_standardized = object.get("standardize")?.flag()?;
        let scaler = object.some("_scaler").filter(|_| is_standardized);
        let scaler = scaler.map(|scaler| read_scaler(&scaler, exponents.len())).transpose()?;
        if is_standardized && scaler.is_none() {
            return Err(object.problem("`_scaler` is missing; was the model fitted?"));
        }
        Ok(Self { method, exponents, scaler })
    }

    pub(in crate::sklearn) fn n_columns(&self) -> usize {
        self.exponents.len()
    }

    fn forward(&self, column: usize, x: f64) -> f64 {
        let exponent = self.exponents[column];
        let powered = match self.method {
            Method::YeoJohnson => yeo_johnson(x, exponent),
            Method::BoxCox => box_cox(x, exponent),
        };
        match &self.scaler {
            Some((means, scales)) => (powered - means[column]) / scales[column],
            None => powered,
        }
    }

    /// The number that [`Power::forward`] turns into this one.
    pub(in crate::sklearn) fn backward(&self, column: usize, y: f64) -> f64 {
        let exponent = self.exponents[column];
        let y = match &self.scaler {
            Some((means, scales)) => y * scales[column] + means[column],
            None => y,
        };
        match self.method {
            Method::YeoJohnson if y >= 0.0 && exponent.abs() < f64::EPSILON => y.exp() - 1.0,
            Method::YeoJohnson if y >= 0.0 => (y * exponent + 1.0).powf(1.0 / exponent) - 1.0,
            Method::YeoJohnson if (exponent - 2.0).abs() > f64::EPSILON => {
                1.0 - (-(2.0 - exponent) * y + 1.0).powf(1.0 / (2.0 - exponent))
            }
            Method::YeoJohnson => 1.0 - (-y).exp(),
            Method::BoxCox if exponent == 0.0 => y.exp(),
            Method::BoxCox => ((exponent * y).ln_1p() / exponent).exp(),
        }
    }
}

fn read_scaler(value: &Value<'_>, n_columns: usize) -> Result<(Vec<f64>, Vec<f64>), Fault> {
    let scaler = value.object()?;
    Ok((scaler.get("mean_")?.n_numbers(n_columns)?, scaler.get("scale_")?.n_numbers(n_columns)?))
}

fn yeo_johnson(x: f64, exponent: f64) -> f64 {
    let of_positive = |x: f64, exponent: f64| match exponent {
        _ if exponent.abs() < f64::EPSILON => x.ln_1p(),
        _ => (exponent * x.ln_1p()).exp_m1() / exponent,
    };
    if x >= 0.0 { of_positive(x, exponent) } else { -of_positive(-x, 2.0 - exponent) }
}

/// `scipy.special.boxcox`
fn box_cox(x: f64, exponent: f64) -> f64 {
    if exponent.abs() < 1e-19 { x.ln() } else { (exponent * x.ln()).exp_m1() / exponent }
}

impl Part for Power {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.exponents.len())
    }

    fn hint(&self, _column: usize) -> Hint {
        if self.method == Method::BoxCox { Hint::number(1.0) } else { Hint::default() }
    }
}

impl Transformer for Power {
    fn n_outputs(&self, n_inputs: usize) -> usize {
        n_inputs
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let mut matrix = rows.into_matrix(Takes::Missing, "PowerTransformer")?;
        let n_columns = self.exponents.len().max(1);
        for (row_index, row) in matrix.values.to_mut().chunks_exact_mut(n_columns).enumerate() {
            for (column, x) in row.iter_mut().enumerate() {
                if self.method == Method::BoxCox && *x <= 0.0 {
                    let problem =
                        InputProblem::WrongType { expected: "a number above zero", got: x.to_string() };
                    return Err(Refusal::at(row_index, column, problem));
                }
                *x = self.forward(column, *x);
            }
        }
        Ok(Rows::Matrix(matrix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_again() {
        for method in [Method::YeoJohnson, Method::BoxCox] {
            for exponent in [-1.5, 0.0, 0.5, 1.0, 2.0, 3.0] {
                let power = Power { method, exponents: vec![exponent], scaler: Some((vec![0.5], vec![2.0])) };
                for x in [0.1, 1.0, 1.7] {
                    let back = power.backward(0, power.forward(0, x));
                    assert!((back - x).abs() < 1e-12, "{method:?} {exponent} {x}: {back}");
                }
            }
        }
        let power = Power { method: Method::YeoJohnson, exponents: vec![2.0], scaler: None };
        assert!((power.backward(0, power.forward(0, -3.0)) + 3.0).abs() < 1e-12);
    }
}
