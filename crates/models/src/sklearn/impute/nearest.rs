//! `KNNImputer`: the mean of the nearest rows of fitting that have the value.
//!
//! Which of several rows that are equally far count as nearest, the library leaves to `numpy.argpartition`, whose answer
//! depends on the processor. Here the first ones do.

use super::{Missing, MissingIndicator, indicated};
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Grid, Object};
use crate::rows::{Refusal, Rows};

pub(super) const FIT: &str = "_mask_fit_X metric";

#[derive(Debug)]
struct NearestImputer {
    missing: Missing,
    /// The rows of fitting; NaN where a value was missing.
    points: Grid,
    means: Vec<f64>,
    n_neighbors: usize,
    by_distance: bool,
    /// The columns that come out: those that had a value in fitting.
    kept: Vec<bool>,
    keeps_empty: bool,
    indicated: Vec<usize>,
}

pub(super) fn nearest_imputer(object: &Object<'_>) -> Result<Step, Fault> {
    let missing = Missing::read(&object.get("missing_values")?)?;
    if matches!(missing, Missing::Text(_)) {
        return Err(object.get("missing_values")?.unsupported("a missing value is NaN or a number"));
    }
    let metric = object.get("metric")?;
    if !metric.is_text("nan_euclidean") {
        return Err(metric.unsupported("it is `nan_euclidean`"));
    }
    let weights = object.get("weights")?;
    let by_distance = match weights.text().as_deref() {
        Ok("distance") => true,
        Ok("uniform") => false,
        _ => return Err(weights.unsupported("they are `uniform` or `distance`")),
    };
    let mut points = object.get("_fit_X")?.grid()?;
    points.values.iter_mut().filter(|value| missing.is_number(**value)).for_each(|value| *value = f64::NAN);
    let mean = |column: usize| {
        let known: Vec<f64> = points.column(column).into_iter().filter(|value| !value.is_nan()).collect();
        known.iter().sum::<f64>() / known.len() as f64
    };
    let means: Vec<f64> = (0..points.n_columns).map(mean).collect();
    object.find("_valid_mask");
    let n_neighbors = object.get("n_neighbors")?.count()?.max(1);
    let indicated = indicated(object, &missing, points.n_columns)?;
    Ok(transformer(NearestImputer {
        missing,
        kept: means.iter().map(|mean| !mean.is_nan()).collect(),
        means,
        points,
        n_neighbors,
        by_distance,
        keeps_empty: object.flag_or("keep_empty_features", false)?,
        indicated,
    }))
}

/// `nan_euclidean_distances`: over the columns that both rows have, scaled to all; NaN if there are none.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| a - b).filter(|difference| !difference.is_nan());
    let (sum, n_present) =
        differences.fold((0.0, 0), |(sum, n), difference| (sum + difference * difference, n + 1));
    match n_present {
        0 => f64::NAN,
        n_present => (sum / f64::from(n_present) * a.len() as f64).sqrt(),
    }
}

impl NearestImputer {
    /// What takes the place of a missing value, given the distances to all rows of fitting.
    fn value(&self, column: usize, distances: &[f64]) -> f64 {
        let points = self.points.column(column);
        let donors = distances.iter().zip(points).filter(|(_, value)| !value.is_nan());
        let mut donors: Vec<(f64, f64)> = donors
            .map(|(distance, value)| (*distance, value))
            .filter(|(distance, _)| !distance.is_nan())
            .collect();
        if donors.is_empty() {
            return self.means[column];
        }
        donors.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        donors.truncate(self.n_neighbors);
        let is_there = donors.iter().any(|(distance, _)| *distance == 0.0);
        let weight = |distance: f64| match (self.by_distance, is_there) {
            (false, _) => 1.0,
            (true, true) => f64::from(distance == 0.0),
            (true, false) => 1.0 / distance,
        };
        let sum: f64 = donors.iter().map(|(distance, value)| weight(*distance) * value).sum();
        sum / donors.iter().map(|(distance, _)| weight(*distance)).sum::<f64>()
    }
}

impl Part for NearestImputer {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.points.n_columns)
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.means.get(column).copied().unwrap_or_default())
    }
}

impl Transformer for NearestImputer {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        let n_kept = self.kept.iter().filter(|is_kept| **is_kept || self.keeps_empty).count();
        n_kept + self.indicated.len()
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let mut matrix = rows.into_matrix(self.missing.takes(), "KNNImputer")?;
        let is_missing = |value: &&mut f64| self.missing.is_number(**value);
        matrix.values.to_mut().iter_mut().filter(is_missing).for_each(|value| *value = f64::NAN);
        let n_outputs = self.n_outputs(matrix.n_columns);
        let mut values = Vec::with_capacity(matrix.n_rows * n_outputs);
        for row in matrix.rows() {
            let has_gaps = row.iter().zip(&self.kept).any(|(value, is_kept)| *is_kept && value.is_nan());
            let distances: Vec<f64> = match has_gaps {
                true => self.points.rows().map(|point| distance(row, point)).collect(),
                false => Vec::new(),
            };
            for (column, (value, is_kept)) in row.iter().zip(&self.kept).enumerate() {
                match is_kept {
                    true if value.is_nan() => values.push(self.value(column, &distances)),
                    true => values.push(*value),
                    false => values.extend(self.keeps_empty.then_some(0.0)),
                }
            }
            values.extend(MissingIndicator::flags(&self.indicated, row));
        }
        Ok(Rows::matrix(matrix.n_rows, n_outputs, values))
    }
}
