//! `QuantileTransformer`: each number as the share of numbers below it, or as a normal one of that rank.

use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::{interpolate, normal};
use crate::object::Object;
use crate::rows::Takes;
use crate::sklearn::by_row::{RowTransformer, transforms_rows};

pub(super) const FIT: &str = "ignore_implicit_zeros n_quantiles n_quantiles_ subsample";

/// What is nearer than this to the ends counts as the end.
const EDGE: f64 = 1e-7;

#[derive(Debug)]
pub(in crate::sklearn) struct Quantiles {
    shares: Vec<f64>,
    /// For each column: the quantiles, and their opposites from the other end.
    columns: Vec<Column>,
    is_normal: bool,
    opposite_shares: Vec<f64>,
    /// The lowest and highest normal number.
    limits: [f64; 2],
}

#[derive(Debug)]
struct Column {
    quantiles: Vec<f64>,
    opposite: Vec<f64>,
}

pub(super) fn quantile_transformer(object: &Object<'_>) -> Result<Step, Fault> {
    Ok(transforms_rows(object, Quantiles::read(object)?))
}

// === impl Quantiles ===

impl Quantiles {
    pub(in crate::sklearn) fn read(object: &Object<'_>) -> Result<Self, Fault> {
        let distribution = object.get("output_distribution")?;
        let is_normal = match distribution.text()?.as_ref() {
            "normal" => true,
            "uniform" => false,
            _ => return Err(distribution.unsupported("it is `uniform` or `normal`")),
        };
        let shares = object.get("references_")?.numbers()?;
        let quantiles = object.get("quantiles_")?.grid()?;
        if quantiles.n_rows != shares.len() || shares.is_empty() {
            return Err(object.problem("its quantiles do not fit their shares"));
        }
        let column = |column: usize| {
            let quantiles = quantiles.column(column);
            Column { opposite: opposite(&quantiles), quantiles }
        };
        let edge = EDGE - f64::EPSILON;
        Ok(Self {
            opposite_shares: opposite(&shares),
            columns: (0..quantiles.n_columns).map(column).collect(),
            shares,
            is_normal,
            limits: [normal::value_above(edge), normal::value_above(1.0 - edge)],
        })
    }

    fn forward(&self, column: usize, x: f64) -> f64 {
        let Column { quantiles, opposite } = &self.columns[column];
        let (first, last) = (quantiles[0], quantiles[quantiles.len() - 1]);
        let share = match self.is_normal {
            _ if x.is_nan() => return x,
            true if x - EDGE < first => 0.0,
            true if x + EDGE > last => 1.0,
            false if x == first => 0.0,
            false if x == last => 1.0,
            // Where a number is several quantiles at once, this is the middle of them.
            _ => {
                let from_below = interpolate(x, quantiles, &self.shares);
                0.5 * (from_below - interpolate(-x, opposite, &self.opposite_shares))
            }
        };
        if self.is_normal { normal::value_above(share).clamp(self.limits[0], self.limits[1]) } else { share }
    }

    /// The number that [`Quantiles::forward`] turns into this one.
    pub(in crate::sklearn) fn backward(&self, column: usize, y: f64) -> f64 {
        let quantiles = &self.columns[column].quantiles;
        let (first, last) = (quantiles[0], quantiles[quantiles.len() - 1]);
        let share = if self.is_normal { normal::share_below(y) } else { y };
        match self.is_normal {
            true if share - EDGE < 0.0 => first,
            true if share + EDGE > 1.0 => last,
            _ => interpolate(share, &self.shares, quantiles),
        }
    }

    pub(in crate::sklearn) fn n_columns(&self) -> usize {
        self.columns.len()
    }
}

fn opposite(values: &[f64]) -> Vec<f64> {
    values.iter().rev().map(|value| -value).collect()
}

impl RowTransformer for Quantiles {
    fn n_inputs(&self) -> usize {
        self.columns.len()
    }

    fn n_outputs(&self) -> usize {
        self.columns.len()
    }

    fn takes(&self) -> Takes {
        Takes::Missing
    }

    fn hint(&self, column: usize) -> Hint {
        let column = self.columns.get(column);
        column.map_or_else(Hint::default, |column| Hint::number(column.quantiles[column.quantiles.len() / 2]))
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        transformed.extend(row.iter().enumerate().map(|(column, x)| self.forward(column, *x)));
    }
}
