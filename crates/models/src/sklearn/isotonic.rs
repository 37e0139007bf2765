//! Curves that only rise, or only fall (`sklearn/isotonic.py`).

use super::Kind;
use crate::estimator::{Part, Predictor, predictor};
use crate::fault::Fault;
use crate::numeric::interpolate;
use crate::object::Object;
use crate::rows::{Refusal, Rows, Takes};
use crate::{Data, InputProblem, Method, Prediction};

pub(super) const KINDS: &[Kind] = &[Kind {
    path: "sklearn.isotonic.IsotonicRegression",
    ignores: &["f_ increasing increasing_ _X_ y_max y_min _y_"],
    compile: |object| Ok(predictor(Isotonic { curve: Curve::read(object)? })),
}];

/// Points of a curve, and what holds beyond its ends.
#[derive(Debug)]
pub(super) struct Curve {
    xs: Vec<f64>,
    ys: Vec<f64>,
    beyond: Beyond,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Beyond {
    Level,
    Nothing,
    Refused,
}

#[derive(Debug)]
struct Isotonic {
    curve: Curve,
}

// === impl Curve ===

impl Curve {
    pub(super) fn read(object: &Object<'_>) -> Result<Self, Fault> {
        let xs = object.get_any(&["X_thresholds_", "_necessary_X_"])?.numbers()?;
        let ys = object.get_any(&["y_thresholds_", "_necessary_y_"])?.n_numbers(xs.len())?;
        object.find("X_min_");
        object.find("X_max_");
        let is_ascending = xs.is_sorted() && !xs.iter().any(|x| x.is_nan());
        if xs.is_empty() || !is_ascending {
            return Err(object.problem("its points are not in order"));
        }
        let beyond = object.get("out_of_bounds")?;
        let beyond = match beyond.text()?.as_ref() {
            "clip" => Beyond::Level,
            "nan" => Beyond::Nothing,
            "raise" => Beyond::Refused,
            _ => return Err(beyond.unsupported("it is `clip`, `nan` or `raise`")),
        };
        Ok(Self { xs, ys, beyond })
    }

    /// The curve at a place, or NaN where it is nothing.
    pub(super) fn at(&self, x: f64) -> f64 {
        let is_within = self.xs.len() == 1 || self.contains(x);
        if self.beyond != Beyond::Level && !is_within { f64::NAN } else { interpolate(x, &self.xs, &self.ys) }
    }

    fn contains(&self, x: f64) -> bool {
        self.xs.first().is_some_and(|first| *first <= x) && self.xs.last().is_some_and(|last| x <= *last)
    }
}

// === impl Isotonic ===

impl Part for Isotonic {
    fn n_inputs(&self) -> Option<usize> {
        Some(1)
    }
}

impl Predictor for Isotonic {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::Transform]
    }

    fn predict(&self, _method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let matrix = rows.into_matrix(Takes::Finite, "IsotonicRegression")?;
        let curve = &self.curve;
        let refused = |x: &f64| curve.beyond == Beyond::Refused && curve.xs.len() > 1 && !curve.contains(*x);
        if let Some(row) = matrix.values.iter().position(refused) {
            let got = matrix.values[row].to_string();
            let expected = "a value between those of fitting";
            return Err(Refusal::at(row, 0, InputProblem::WrongType { expected, got }));
        }
        let values = Data::Double(matrix.values.iter().map(|x| curve.at(*x)).collect());
        Ok(Prediction::flat(values))
    }
}
