//! Trees that were read, and the sums of their leaves.

use super::compact::Compact;
use crate::Data;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Tensor, type_name};

/// Trees of one node of a graph.
#[derive(Debug)]
pub(super) struct Ensemble {
    pub(super) n_targets: usize,
    /// Columns that trees look at: one more than the last of them.
    pub(super) n_features: usize,
    pub(super) nodes: Vec<Branch>,
    pub(super) roots: Vec<usize>,
    pub(super) leaves: Vec<Leaf>,
    /// What leaves add, and to which target.
    pub(super) weights: Vec<(usize, f64)>,
    pub(super) aggregate: Aggregate,
    /// Whether sums have 64 bits.
    pub(super) is_double: bool,
    /// The same trees in a faster form, if they can have it.
    pub(super) compact: Option<Compact>,
}

/// A node of a tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Branch {
    Leaf(usize),
    Split { feature: usize, test: Test, missing_is_true: bool, if_true: usize, if_false: usize },
}

/// What a number is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Above(f64),
    Equal(f64),
    Unequal(f64),
    Among(Vec<f64>),
}

/// Which of the weights are a leaf's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Leaf {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What the trees' weights become together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// Sums of all rows: those of 32 bits are rounded after each addition.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) values: Vec<f64>,
    pub(super) n_targets: usize,
    pub(super) is_double: bool,
}

// === impl Sums ===

impl Sums {
    /// Two numbers of 32 bits have the same sum and quotient whether they are rounded once or, after 64 bits, twice.
    pub(super) fn rounded(value: f64, is_double: bool) -> f64 {
        if is_double { value } else { f64::from(value as f32) }
    }

    pub(super) fn add_to_rows(&mut self, base: &[f64]) {
        for row in self.values.chunks_exact_mut(self.n_targets) {
            for (value, base) in row.iter_mut().zip(base) {
                *value = Self::rounded(*value + base, self.is_double);
            }
        }
    }

    pub(super) fn to_floats(&self) -> Vec<f32> {
        self.values.iter().map(|value| *value as f32).collect()
    }
}

// === impl Ensemble ===

impl Ensemble {
    /// Whether any leaf adds to a target.
    pub(super) fn scores(&self, target: usize) -> bool {
        self.weights.iter().any(|(of, _)| *of == target)
    }

    pub(super) fn weights_are_positive(&self) -> bool {
        self.weights.iter().all(|(_, weight)| *weight >= 0.0)
    }

    /// The sums of all rows, and how many rows there are.
    pub(super) fn sums(&self, tensor: &Tensor) -> Result<(usize, Sums), Problem> {
        let (n_rows, n_columns) = tensor.rows_and_columns();
        if n_columns < self.n_features {
            let problem = format!("takes {} columns, not the shape {:?}", self.n_features, tensor.shape());
            return Err(Problem::new(problem));
        }
        let rows: Vec<f64> = match tensor.data() {
            Data::Float(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Data::Double(values) => values.clone(),
            Data::Integer(values) => values.iter().map(|value| f64::from(*value as f32)).collect(),
            Data::Long(values) => values.iter().map(|value| f64::from(*value as f32)).collect(),
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        };
        let mut sums = Sums {
            values: vec![0.0; n_rows * self.n_targets],
            n_targets: self.n_targets,
            is_double: self.is_double,
        };
        if let Some(compact) = self.compact.as_ref().filter(|_| n_columns > 0) {
            sums.values = compact.sums(&rows, n_columns, self.n_targets);
            if self.aggregate == Aggregate::Average {
                let n_trees = self.roots.len() as f64;
                sums.values.iter_mut().for_each(|sum| *sum = Sums::rounded(*sum / n_trees, self.is_double));
            }
            return Ok((n_rows, sums));
        }
        for (row, sums) in
            rows.chunks_exact(n_columns.max(1)).zip(sums.values.chunks_exact_mut(self.n_targets))
        {
            self.add_row(row, sums);
        }
        Ok((n_rows, sums))
    }

    fn add_row(&self, row: &[f64], sums: &mut [f64]) {
        let rounded = |value| Sums::rounded(value, self.is_double);
        let starts_with = |known: &mut Option<f64>, weight: f64, better: bool| {
            if known.is_none() || better {
                *known = Some(weight);
            }
        };
        let mut best: Vec<Option<f64>> = match self.aggregate {
            Aggregate::Min | Aggregate::Max => vec![None; self.n_targets],
            _ => Vec::new(),
        };
        for root in &self.roots {
            let leaf = self.leaves[self.walk(*root, row)];
            for (target, weight) in &self.weights[leaf.start..leaf.end] {
                match self.aggregate {
                    Aggregate::Sum | Aggregate::Average => sums[*target] = rounded(sums[*target] + weight),
                    Aggregate::Min => {
                        let better = best[*target].is_some_and(|known| *weight < known);
                        starts_with(&mut best[*target], *weight, better);
                    }
                    Aggregate::Max => {
                        let better = best[*target].is_some_and(|known| *weight > known);
                        starts_with(&mut best[*target], *weight, better);
                    }
                }
            }
        }
        match self.aggregate {
            Aggregate::Sum => {}
            Aggregate::Average => {
                sums.iter_mut().for_each(|sum| *sum = rounded(*sum / self.roots.len() as f64));
            }
            Aggregate::Min | Aggregate::Max => {
                sums.iter_mut().zip(best).for_each(|(sum, best)| *sum = best.unwrap_or(0.0));
            }
        }
    }

    fn walk(&self, root: usize, row: &[f64]) -> usize {
        let mut place = root;
        loop {
            match &self.nodes[place] {
                Branch::Leaf(leaf) => return *leaf,
                Branch::Split { feature, test, missing_is_true, if_true, if_false } => {
                    let value = row[*feature];
                    let is_true = test.is_true(value) || (*missing_is_true && value.is_nan());
                    place = if is_true { *if_true } else { *if_false };
                }
            }
        }
    }
}

impl Test {
    fn is_true(&self, value: f64) -> bool {
        match self {
            Self::AtMost(threshold) => value <= *threshold,
            Self::Below(threshold) => value < *threshold,
            Self::AtLeast(threshold) => value >= *threshold,
            Self::Above(threshold) => value > *threshold,
            Self::Equal(threshold) => value == *threshold,
            Self::Unequal(threshold) => value != *threshold,
            Self::Among(members) => members.contains(&value),
        }
    }
}
