//! `SplineTransformer`: each column as the values of curves that are high in one part of it.

use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{Grid, Object, Value};
use crate::sklearn::by_row::{RowTransformer, transforms_rows};

pub(super) const FIT: &str = "degree knots n_knots order sparse_output";

/// The greatest degree of a curve.
const MAX_DEGREE: usize = 64;

#[derive(Debug)]
struct Splines {
    columns: Vec<Spline>,
    beyond: Beyond,
    keeps_last: bool,
    n_splines: usize,
}

/// What holds beyond the knots.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Beyond {
    Constant,
    Linear,
    Continued,
    Periodic,
    Refused,
}

/// The curves of a column (`scipy.interpolate.BSpline`).
#[derive(Debug)]
struct Spline {
    knots: Vec<f64>,
    degree: usize,
    /// For each piece: its weight in each curve.
    weights: Grid,
}

pub(super) fn spline(object: &Object<'_>) -> Result<Step, Fault> {
    let beyond = object.get("extrapolation")?;
    let beyond = match beyond.text()?.as_ref() {
        "constant" => Beyond::Constant,
        "linear" => Beyond::Linear,
        "continue" => Beyond::Continued,
        "periodic" => Beyond::Periodic,
        "error" => Beyond::Refused,
        _ => return Err(beyond.unsupported("this extrapolation is not known")),
    };
    if beyond == Beyond::Refused {
        return Err(object.get("extrapolation")?.unsupported("curves go on beyond the knots in some way"));
    }
    if let Some(handling) = object.some("handle_missing")
        && !handling.is_text("error")
    {
        return Err(handling.unsupported("missing values are refused with `error`"));
    }
    let splines = object.get("bsplines_")?;
    let columns: Vec<Spline> = splines.items()?.iter().map(Spline::read).collect::<Result<_, _>>()?;
    let n_splines = columns.first().map_or(0, |column| column.weights.n_columns);
    if columns.iter().any(|column| column.weights.n_columns != n_splines) || n_splines == 0 {
        return Err(splines.problem("do not fit each other"));
    }
    object.find("n_features_out_");
    let keeps_last = object.get("include_bias")?.flag()?;
    Ok(transforms_rows(object, Splines { columns, beyond, keeps_last, n_splines }))
}

// === impl Splines ===

impl RowTransformer for Splines {
    fn n_inputs(&self) -> usize {
        self.columns.len()
    }

    fn n_outputs(&self) -> usize {
        self.columns.len() * (self.n_splines - usize::from(!self.keeps_last))
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        for (x, spline) in row.iter().zip(&self.columns) {
            transformed.extend(spline.curves(*x, self.beyond));
            if !self.keeps_last {
                transformed.pop();
            }
        }
    }
}

// === impl Spline ===

impl Spline {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        // Since 1.18 scipy keeps what it computes with in an object inside, first of two.
        let inner = value.state_items().ok().and_then(|parts| parts.first().copied());
        let inner = inner.filter(|inner| inner.class_name().is_some());
        let object = inner.unwrap_or(*value).object()?;
        let knots = object.get_any(&["_t", "t"])?.numbers()?;
        let weights = object.get_any(&["_c", "c"])?.grid()?;
        let degree = object.get("k")?.count()?;
        let is_right = degree <= MAX_DEGREE
            && knots.len() == weights.n_rows + degree + 1
            && weights.n_rows > degree
            && knots.is_sorted();
        if !is_right {
            return Err(value.problem("have an unknown form"));
        }
        Ok(Self { knots, degree, weights })
    }

    /// Where the curves are defined.
    fn ends(&self) -> (f64, f64) {
        (self.knots[self.degree], self.knots[self.weights.n_rows])
    }

    /// The values of all curves.
    fn curves(&self, x: f64, beyond: Beyond) -> Vec<f64> {
        let (first, last) = self.ends();
        let is_outside = x < first || x > last;
        match beyond {
            Beyond::Periodic if last > first => self.inside(first + (x - first).rem_euclid(last - first), 0),
            Beyond::Periodic => self.inside(0.0, 0),
            Beyond::Constant if is_outside => self.constant(x < first),
            Beyond::Linear if is_outside => self.linear(x),
            _ => self.inside(x, 0),
        }
    }

    /// Those of the curves that reach the end, level from there.
    fn constant(&self, is_below: bool) -> Vec<f64> {
        let (first, last) = self.ends();
        let mut values = self.inside(if is_below { first } else { last }, 0);
        let n = values.len();
        let kept = if is_below { 0..self.degree.min(n) } else { n - self.degree.min(n)..n };
        values.iter_mut().enumerate().filter(|(index, _)| !kept.contains(index)).for_each(|(_, x)| *x = 0.0);
        values
    }

    /// Those of the curves that reach the end, straight from there.
    fn linear(&self, x: f64) -> Vec<f64> {
        let (first, last) = self.ends();
        let is_below = x < first;
        let end = if is_below { first } else { last };
        let (mut values, slopes) = (self.inside(end, 0), self.inside(end, 1));
        let n = values.len();
        let n_kept = if self.degree <= 1 { self.degree + 1 } else { self.degree }.min(n);
        let kept = if is_below { 0..n_kept } else { n - n_kept..n };
        for (index, (value, slope)) in values.iter_mut().zip(slopes).enumerate() {
            *value = if kept.contains(&index) { *value + (x - end) * slope } else { 0.0 };
        }
        values
    }

    /// The curves, or their slopes, as the pieces around the place have them.
    fn inside(&self, x: f64, derivative: usize) -> Vec<f64> {
        let n_pieces = self.weights.n_rows;
        let after = self.knots[..n_pieces].partition_point(|knot| *knot <= x);
        let interval = after.saturating_sub(1).clamp(self.degree, n_pieces - 1);
        let pieces = self.pieces(x, interval, derivative);
        let mut values = vec![0.0; self.weights.n_columns];
        for (piece, weights) in
            pieces.iter().zip((interval - self.degree..=interval).map(|row| self.weights.row(row)))
        {
            values.iter_mut().zip(weights).for_each(|(value, weight)| *value += piece * weight);
        }
        values
    }

    /// The pieces that are not zero in an interval, by the recursion of de Boor and Cox.
    fn pieces(&self, x: f64, interval: usize, derivative: usize) -> Vec<f64> {
        let mut pieces = vec![0.0; self.degree + 1];
        pieces[0] = 1.0;
        for degree in 1..=self.degree {
            let lower = pieces.clone();
            let is_derived = degree + derivative > self.degree;
            pieces[0] = 0.0;
            for n in 1..=degree {
                let (after, before) = (self.knots[interval + n], self.knots[interval + n - degree]);
                if after == before {
                    pieces[n] = 0.0;
                    continue;
                }
                let weight = lower[n - 1] / (after - before);
                if is_derived {
                    pieces[n - 1] -= weight * degree as f64;
                    pieces[n] = weight * degree as f64;
                } else {
                    pieces[n - 1] += weight * (after - x);
                    pieces[n] = weight * (x - before);
                }
            }
        }
        pieces
    }
}
