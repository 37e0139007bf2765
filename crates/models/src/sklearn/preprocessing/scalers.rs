//! Scalers: each column moved and stretched. They do the same in two orders, and the orders round differently.

use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::Object;
use crate::rows::{Refusal, Rows, Takes};

/// What fitting was told and found besides.
pub(super) const FIT: &str = "\
    data_max_ data_min_ data_range_ max_abs_ n_samples_seen_ quantile_range unit_variance var_";

#[derive(Debug)]
struct Scaler {
    name: String,
    n_columns: usize,
    order: Order,
    clip: Option<[f64; 2]>,
}

#[derive(Debug)]
enum Order {
    /// Move, then divide; either may be left out.
    CenterThenDivide { centers: Option<Vec<f64>>, scales: Option<Vec<f64>> },
    /// Multiply, then move.
    MultiplyThenAdd { factors: Vec<f64>, offsets: Vec<f64> },
}

pub(super) fn standard(object: &Object<'_>) -> Result<Step, Fault> {
    centered(object, ("with_mean", "mean_"), ("with_std", "scale_"))
}

pub(super) fn robust(object: &Object<'_>) -> Result<Step, Fault> {
    centered(object, ("with_centering", "center_"), ("with_scaling", "scale_"))
}

fn centered(
    object: &Object<'_>,
    center: (&'static str, &'static str),
    scale: (&'static str, &'static str),
) -> Result<Step, Fault> {
    let numbers = |(wanted, attribute): (&'static str, &'static str)| {
        let numbers = object.find(attribute).filter(|value| !value.is_none());
        match (object.get(wanted)?.flag()?, numbers) {
            (true, Some(numbers)) => numbers.numbers().map(Some),
            (true, None) => Err(object.problem(format!("`{attribute}` is missing; was the model fitted?"))),
            (false, _) => Ok(None),
        }
    };
    let (centers, scales) = (numbers(center)?, numbers(scale)?);
    let saved = object.n_columns(&["n_features_in_"])?;
    let lengths = [centers.as_ref().map(Vec::len), scales.as_ref().map(Vec::len), saved];
    scaler(object, &lengths, Order::CenterThenDivide { centers, scales }, None)
}

pub(super) fn max_abs(object: &Object<'_>) -> Result<Step, Fault> {
    let scales = object.get("scale_")?.numbers()?;
    let clip = object.flag_or("clip", false)?.then_some([-1.0, 1.0]);
    scaler(
        object,
        &[Some(scales.len())],
        Order::CenterThenDivide { centers: None, scales: Some(scales) },
        clip,
    )
}

pub(super) fn min_max(object: &Object<'_>) -> Result<Step, Fault> {
    let (factors, offsets) = (object.get("scale_")?.numbers()?, object.get("min_")?.numbers()?);
    let range = object.get("feature_range")?;
    let clip = match (object.flag_or("clip", false)?, &range.numbers()?[..]) {
        (true, [low, high]) if low <= high => Some([*low, *high]),
        (true, _) => return Err(range.problem("is no range")),
        (false, _) => None,
    };
    let lengths = [Some(factors.len()), Some(offsets.len())];
    scaler(object, &lengths, Order::MultiplyThenAdd { factors, offsets }, clip)
}

fn scaler(
    object: &Object<'_>,
    lengths: &[Option<usize>],
    order: Order,
    clip: Option<[f64; 2]>,
) -> Result<Step, Fault> {
    let mut lengths = lengths.iter().flatten();
    let n_columns =
        *lengths.next().ok_or_else(|| object.problem("it does not say how many columns it takes"))?;
    if lengths.any(|length| *length != n_columns) {
        return Err(object.problem("its attributes have different lengths"));
    }
    Ok(transformer(Scaler { name: object.name().to_owned(), n_columns, order, clip }))
}

// === impl Scaler ===

impl Part for Scaler {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.n_columns)
    }

    fn hint(&self, column: usize) -> Hint {
        let near = match &self.order {
            Order::CenterThenDivide { centers: Some(centers), .. } => centers.get(column).copied(),
            Order::CenterThenDivide { .. } => None,
            // The lower end of the range that was fitted.
            Order::MultiplyThenAdd { factors, offsets } => {
                factors.get(column).zip(offsets.get(column)).map(|(factor, offset)| -offset / factor)
            }
        };
        near.map_or_else(Hint::default, Hint::number)
    }
}

impl Transformer for Scaler {
    fn n_outputs(&self, n_inputs: usize) -> usize {
        n_inputs
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let mut matrix = rows.into_matrix(Takes::Missing, &self.name)?;
        let values = matrix.values.to_mut();
        for row in values.chunks_exact_mut(self.n_columns.max(1)) {
            match &self.order {
                Order::CenterThenDivide { centers, scales } => {
                    let (centers, scales) = (centers.iter().flatten(), scales.iter().flatten());
                    row.iter_mut().zip(centers).for_each(|(value, center)| *value -= center);
                    row.iter_mut().zip(scales).for_each(|(value, scale)| *value /= scale);
                }
                Order::MultiplyThenAdd { factors, offsets } => {
                    for ((value, factor), offset) in row.iter_mut().zip(factors).zip(offsets) {
                        *value = *value * factor + offset;
                    }
                }
            }
            if let Some([low, high]) = self.clip {
                row.iter_mut().for_each(|value| *value = value.clamp(low, high));
            }
        }
        Ok(Rows::Matrix(matrix))
    }
}
