//! `NMF`: what rows are made of, if nothing of it is negative (`sklearn/decomposition/_nmf.py`).
//!
//! The library goes on until a whole batch is good enough, so that its answers depend, a little, on which rows are asked
//! about together. Here each row gets what the library answers for it alone.

use crate::estimator::Step;
use crate::fault::Fault;
use crate::numeric::dot;
use crate::object::{Grid, Object};
use crate::sklearn::by_row::{RowTransformer, refuses_negative, transforms_rows};

/// How the parts were found.
pub(super) const FIT: &str = "\
    alpha_H _batch_size _beta_loss _ewa_cost _ewa_cost_min _components_denominator _components_numerator forget_factor fresh_restarts \
    fresh_restarts_max_iter _gamma init max_no_improvement _l1_reg_H _l2_reg_H _n_components _no_improvement n_steps_ reconstruction_err_ \
    regularization _rho transform_max_iter _transform_max_iter";

/// Rounds for one row.
const MAX_ROUNDS: usize = 100_000;

/// What stands for zero in a division: the spacing of 32-bit numbers at one.
const EPSILON: f64 = f32::EPSILON as f64;

/// Rounds between two looks at how far it is.
const LOOK_EVERY: usize = 10;

#[derive(Debug)]
struct Factors {
    /// One row per part.
    parts: Grid,
    /// The products of parts with each other.
    products: Grid,
    /// For each part: the sum of its numbers.
    sums: Vec<f64>,
    solver: Solver,
    max_rounds: usize,
    tolerance: f64,
    l1: f64,
    l2: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Solver {
    /// One coordinate after another.
    Descent,
    /// All are multiplied with what makes them better.
    Multiplied { loss: Loss, stops: Stops },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    Squares,
    /// Kullback and Leibler's.
    Information,
}

/// When multiplying ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stops {
    /// When the error does not become less.
    ByError,
    /// When the answer does not change.
    ByChange,
}

pub(super) fn factors(object: &Object<'_>) -> Result<Step, Fault> {
    let solver = object.get("solver")?;
    let loss = loss(object)?;
    let solver = match solver.text()?.as_ref() {
        "cd" if object.flag_or("shuffle", false)? => {
            return Err(object.get("shuffle")?.unsupported("parts are looked at in their order"));
        }
        "cd" => Solver::Descent,
        "mu" => Solver::Multiplied { loss, stops: Stops::ByError },
        _ => return Err(solver.unsupported("it is `cd` or `mu`")),
    };
    object.find("shuffle");
    of(object, solver, &["max_iter"])
}

pub(super) fn factors_of_batches(object: &Object<'_>) -> Result<Step, Fault> {
    let solver = Solver::Multiplied { loss: loss(object)?, stops: Stops::ByChange };
    of(object, solver, &["_transform_max_iter", "transform_max_iter", "max_iter"])
}

fn loss(object: &Object<'_>) -> Result<Loss, Fault> {
    let loss = object.get("beta_loss")?;
    match (loss.text().as_deref(), loss.number()) {
        (Ok("frobenius"), _) | (_, Ok(2.0)) => Ok(Loss::Squares),
        (Ok("kullback-leibler"), _) | (_, Ok(1.0)) => Ok(Loss::Information),
        _ => Err(loss.unsupported("it is `frobenius` or `kullback-leibler`")),
    }
}

fn of(object: &Object<'_>, solver: Solver, rounds: &[&'static str]) -> Result<Step, Fault> {
    let parts = object.get("components_")?.grid()?;
    let rounds = rounds.iter().find_map(|key| object.some(key));
    let max_rounds = rounds.ok_or_else(|| object.problem("`max_iter` is missing"))?.count()?;
    if max_rounds > MAX_ROUNDS {
        return Err(Fault::TooLarge { what: "rounds per row", limit: MAX_ROUNDS as u64 });
    }
    if parts.n_rows == 0 {
        return Err(object.problem("it has no parts"));
    }
    // Until 1.1 there was one strength for both factors, which did not grow with the number of columns.
    if let Some(alpha) = object.some("alpha").filter(|alpha| alpha.number() != Ok(0.0))
        && !alpha.is_text("deprecated")
    {
        return Err(alpha.unsupported("it is 0, as `alpha_W` may be another"));
    }
    let alpha = object.some("alpha_W").map_or(Ok(0.0), |alpha| alpha.number())?;
    let ratio = object.some("l1_ratio").map_or(Ok(0.0), |ratio| ratio.number())?;
    let strength = parts.n_columns as f64 * alpha;
    let (l1, l2) = (strength * ratio, strength * (1.0 - ratio));
    let products = parts.rows().flat_map(|a| parts.rows().map(|b| dot(a, b))).collect();
    let n = parts.n_rows;
    let mut products = Grid { n_rows: n, n_columns: n, values: products };
    if solver == Solver::Descent {
        (0..n).for_each(|index| products.values[index * (n + 1)] += l2);
    }
    let sums = parts.rows().map(|part| part.iter().sum()).collect();
    let tolerance = object.get("tol")?.number()?;
    Ok(transforms_rows(object, Factors { parts, products, sums, solver, max_rounds, tolerance, l1, l2 }))
}

impl RowTransformer for Factors {
    fn n_inputs(&self) -> usize {
        self.parts.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.parts.n_rows
    }

    fn refuses(&self, row: &[f64]) -> Option<(usize, &'static str)> {
        refuses_negative(row)
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        transformed.extend(match self.solver {
            Solver::Descent => self.descend(row),
            Solver::Multiplied { loss, stops } => self.multiply(row, loss, stops),
        });
    }
}

impl Factors {
    /// `_fit_coordinate_descent`
    fn descend(&self, row: &[f64]) -> Vec<f64> {
        let wanted: Vec<f64> = self.parts.rows().map(|part| dot(row, part) - self.l1).collect();
        let mut amounts = vec![0.0; self.parts.n_rows];
        let mut first = None;
        for _ in 0..self.max_rounds {
            let mut violation = 0.0;
            for (index, products) in self.products.rows().enumerate() {
                let gradient = products.iter().zip(&amounts).fold(-wanted[index], |sum, (a, b)| sum + a * b);
                let projected: f64 = if amounts[index] == 0.0 { gradient.min(0.0) } else { gradient };
                violation += projected.abs();
                if products[index] != 0.0 {
                    amounts[index] = (amounts[index] - gradient / products[index]).max(0.0);
                }
            }
            let first = *first.get_or_insert(violation);
            if first == 0.0 || violation / first <= self.tolerance {
                break;
            }
        }
        amounts
    }

    /// `_fit_multiplicative_update`, and `_solve_W` of batches.
    fn multiply(&self, row: &[f64], loss: Loss, stops: Stops) -> Vec<f64> {
        let mean = row.iter().sum::<f64>() / row.len() as f64;
        let mut amounts = vec![(mean / self.parts.n_rows as f64).sqrt(); self.parts.n_rows];
        let first_error = self.error(row, &amounts, loss);
        let mut error_before = first_error;
        for round in 1..=self.max_rounds {
            let before = amounts.clone();
            let factors = self.multipliers(row, &amounts, loss);
            amounts.iter_mut().zip(factors).for_each(|(amount, factor)| *amount *= factor);
            let is_done = match stops {
                _ if self.tolerance <= 0.0 => false,
                Stops::ByChange => {
                    let change: f64 = amounts.iter().zip(&before).map(|(a, b)| (a - b) * (a - b)).sum();
                    change.sqrt() / dot(&amounts, &amounts).sqrt() <= self.tolerance
                }
                Stops::ByError if round % LOOK_EVERY == 0 => {
                    let error = self.error(row, &amounts, loss);
                    let gain = error_before - error;
                    error_before = error;
                    gain / first_error < self.tolerance
                }
                Stops::ByError => false,
            };
            if is_done {
                break;
            }
        }
        amounts
    }

    /// `_multiplicative_update_w`
    fn multipliers(&self, row: &[f64], amounts: &[f64], loss: Loss) -> Vec<f64> {
        let ratios: Vec<f64> = match loss {
            Loss::Squares => row.to_vec(),
            Loss::Information => {
                self.made_of(amounts).iter().zip(row).map(|(made, x)| x / made.max(EPSILON)).collect()
            }
        };
        let multiplier = |index: usize| {
            let below = match loss {
                Loss::Squares => dot(amounts, self.products.row(index)),
                Loss::Information => self.sums[index],
            };
            let below = below + self.l1 + self.l2 * amounts[index];
            dot(&ratios, self.parts.row(index)) / if below == 0.0 { EPSILON } else { below }
        };
        (0..amounts.len()).map(multiplier).collect()
    }

    /// The row that amounts of the parts make.
    fn made_of(&self, amounts: &[f64]) -> Vec<f64> {
        let mut row = vec![0.0; self.parts.n_columns];
        for (part, amount) in self.parts.rows().zip(amounts) {
            row.iter_mut().zip(part).for_each(|(x, part)| *x += amount * part);
        }
        row
    }

    /// `_beta_divergence`, and the root of its double.
    fn error(&self, row: &[f64], amounts: &[f64], loss: Loss) -> f64 {
        let made = self.made_of(amounts);
        let divergence = match loss {
            Loss::Squares => {
                row.iter().zip(&made).map(|(x, made)| (x - made) * (x - made)).sum::<f64>() / 2.0
            }
            Loss::Information => {
                let known = row.iter().zip(&made).filter(|(x, _)| **x > EPSILON);
                let logs: f64 = known.map(|(x, made)| x * (x / made.max(EPSILON)).ln()).sum();
                logs + dot(amounts, &self.sums) - row.iter().sum::<f64>()
            }
        };
        (2.0 * divergence.max(0.0)).sqrt()
    }
}
