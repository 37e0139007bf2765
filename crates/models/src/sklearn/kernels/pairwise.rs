//! Similarities by name (`sklearn/metrics/pairwise.py`).

use crate::fault::Fault;
use crate::numeric::{dot, squared_distance};
use crate::object::Object;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pairwise {
    Linear,
    Polynomial { gamma: f64, coef0: f64, degree: f64 },
    Rbf { gamma: f64 },
    Laplacian { gamma: f64 },
    Sigmoid { gamma: f64, coef0: f64 },
    Cosine,
}

// === impl Pairwise ===

impl Pairwise {
    /// The similarity that an estimator over so many columns was fitted with.
    pub(super) fn read(object: &Object<'_>, n_columns: usize) -> Result<Self, Fault> {
        if let Some(parameters) = object.some("kernel_params")
            && parameters.pairs().map_or(true, |pairs| !pairs.is_empty())
        {
            return Err(parameters.unsupported("kernels have no further parameters"));
        }
        let number = |keys: &[&'static str], default: f64| {
            let found = keys.iter().map(|key| object.some(key)).fold(None, Option::or);
            found.map_or(Ok(default), |value| value.number())
        };
        let gamma = number(&["gamma_", "gamma"], 1.0 / n_columns.max(1) as f64)?;
        let coef0 = number(&["coef0"], 1.0)?;
        let degree = number(&["degree"], 3.0)?;
        let kernel = object.get("kernel")?;
        let name = kernel.text();
        Ok(match name.as_deref() {
            Ok("linear") => Self::Linear,
            Ok("poly" | "polynomial") => Self::Polynomial { gamma, coef0, degree },
            Ok("rbf") => Self::Rbf { gamma },
            Ok("laplacian") => Self::Laplacian { gamma },
            Ok("sigmoid") => Self::Sigmoid { gamma, coef0 },
            Ok("cosine") => Self::Cosine,
            _ => {
                let help = "kernels are `linear`, `polynomial`, `rbf`, `laplacian`, `sigmoid` and `cosine`";
                return Err(kernel.unsupported(help));
            }
        })
    }

    pub(super) fn of(self, a: &[f64], b: &[f64]) -> f64 {
        match self {
            Self::Linear => dot(a, b),
            Self::Polynomial { gamma, coef0, degree } => (gamma * dot(a, b) + coef0).powf(degree),
            Self::Rbf { gamma } => (-gamma * squared_distance(a, b)).exp(),
            Self::Laplacian { gamma } => {
                let distance: f64 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
                (-gamma * distance).exp()
            }
            Self::Sigmoid { gamma, coef0 } => (gamma * dot(a, b) + coef0).tanh(),
            Self::Cosine => dot(&direction(a), &direction(b)),
        }
    }
}

/// A row of length one, or of zeros.
fn direction(row: &[f64]) -> Vec<f64> {
    let length = dot(row, row).sqrt();
    row.iter().map(|x| if length == 0.0 { *x } else { x / length }).collect()
}
