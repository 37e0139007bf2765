//! Columns whose products are near to a chi-squared kernel (`sklearn/kernel_approximation.py`).

use std::f64::consts::PI;

use crate::estimator::Step;
use crate::fault::Fault;
use crate::numeric::dot;
use crate::object::{Grid, MAX_COLUMNS, Object};
use crate::sklearn::by_row::{RowTransformer, refuses_negative, transforms_rows};

#[derive(Debug)]
struct Additive {
    n_columns: usize,
    n_steps: usize,
    interval: f64,
}

#[derive(Debug)]
struct Skewed {
    skewedness: f64,
    /// One row per output.
    directions: Grid,
    offsets: Vec<f64>,
}

pub(super) fn additive(object: &Object<'_>) -> Result<Step, Fault> {
    let n_columns = object.n_columns(&["n_features_in_"])?;
    let n_columns = n_columns.ok_or_else(|| object.problem("it does not say how many columns it takes"))?;
    let steps = object.get("sample_steps")?;
    let n_steps = steps.count()?;
    if n_steps == 0 {
        return Err(steps.unsupported("there is one step at least"));
    }
    if n_steps.saturating_mul(2).saturating_mul(n_columns) > MAX_COLUMNS {
        return Err(Fault::TooLarge { what: "columns", limit: MAX_COLUMNS as u64 });
    }
    let keys = ["sample_interval_", "_sample_interval", "sample_interval"];
    let interval = keys.into_iter().map(|key| object.some(key)).fold(None, Option::or);
    let interval = match (interval, n_steps) {
        (Some(interval), _) => interval.number()?,
        (None, 1) => 0.8,
        (None, 2) => 0.5,
        (None, 3) => 0.4,
        (None, _) => return Err(steps.unsupported("more than 3 steps have a `sample_interval`")),
    };
    Ok(transforms_rows(object, Additive { n_columns, n_steps, interval }))
}

pub(super) fn skewed(object: &Object<'_>) -> Result<Step, Fault> {
    let directions = object.get("random_weights_")?.grid()?.transposed();
    let offsets = object.get("random_offset_")?.n_numbers(directions.n_rows)?;
    let skewedness = object.get("skewedness")?.number()?;
    Ok(transforms_rows(object, Skewed { skewedness, directions, offsets }))
}

impl RowTransformer for Additive {
    fn n_inputs(&self) -> usize {
        self.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.n_columns * (2 * self.n_steps - 1)
    }

    fn refuses(&self, row: &[f64]) -> Option<(usize, &'static str)> {
        refuses_negative(row)
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let interval = self.interval;
        // The logarithm of zero is nothing to go on with; zero stays zero.
        let mut of_each = |of: &dyn Fn(f64) -> f64| {
            transformed.extend(row.iter().map(|x| if *x == 0.0 { 0.0 } else { of(*x) }));
        };
        of_each(&|x| (x * interval).sqrt());
        for step in 1..self.n_steps {
            let step = step as f64;
            let height = |x: f64| (2.0 * x * interval / (PI * step * interval).cosh()).sqrt();
            of_each(&|x| height(x) * (step * (interval * x.ln())).cos());
            of_each(&|x| height(x) * (step * (interval * x.ln())).sin());
        }
    }
}

impl RowTransformer for Skewed {
    fn n_inputs(&self) -> usize {
        self.directions.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.directions.n_rows
    }

    fn refuses(&self, row: &[f64]) -> Option<(usize, &'static str)> {
        let place = row.iter().position(|number| *number <= -self.skewedness);
        place.map(|column| (column, "a number above minus `skewedness`"))
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let logs: Vec<f64> = row.iter().map(|x| (x + self.skewedness).ln()).collect();
        let height = 2.0_f64.sqrt() / (self.offsets.len() as f64).sqrt();
        let waves = self.directions.rows().zip(&self.offsets);
        transformed.extend(waves.map(|(direction, offset)| height * (dot(&logs, direction) + offset).cos()));
    }
}
