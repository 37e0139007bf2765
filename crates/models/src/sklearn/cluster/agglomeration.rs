//! `FeatureAgglomeration`: columns that are alike become one (`sklearn/cluster/_feature_agglomeration.py`).

use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::Object;
use crate::sklearn::by_row::{RowTransformer, transforms_rows};

/// How columns were found to be alike.
pub(super) const FIT: &str = "\
    affinity children_ compute_distances compute_full_tree connectivity distance_threshold distances_ linkage memory \
    metric _metric n_clusters n_clusters_ n_components n_components_ n_connected_components_ n_leaves_ _n_features_out";

/// Makes one number of those of columns that are alike.
type Pool = fn(&mut [f64]) -> f64;

/// All functions that may do that, by name.
const POOLS: &[(&str, Pool)] = &[
    ("mean", mean),
    ("median", median),
    ("max", max),
    ("amax", max),
    ("min", min),
    ("amin", min),
    ("sum", sum),
];

#[derive(Debug)]
struct Agglomeration {
    n_columns: usize,
    /// The columns of each group.
    groups: Vec<Vec<usize>>,
    pool: Pool,
}

pub(super) fn agglomeration(object: &Object<'_>) -> Result<Step, Fault> {
    let labels = object.get("labels_")?;
    let of_columns = labels.integers()?;
    let mut known = of_columns.clone();
    known.sort_unstable();
    known.dedup();
    if known.first() != Some(&0) || known.last() != Some(&(known.len() as i64 - 1)) {
        return Err(labels.problem("do not number the groups"));
    }
    let group = |label: &i64| (0..of_columns.len()).filter(|column| of_columns[*column] == *label).collect();
    let groups = known.iter().map(group).collect();
    let function = object.get("pooling_func")?;
    let name = function
        .class_path()
        .filter(|path| path.starts_with("numpy."))
        .and_then(|path| path.rsplit('.').next());
    let pool = POOLS.iter().find(|(known, _)| Some(*known) == name);
    let (_, pool) =
        pool.ok_or_else(|| function.unsupported("it is numpy's mean, median, max, min or sum"))?;
    Ok(transforms_rows(object, Agglomeration { n_columns: of_columns.len(), groups, pool: *pool }))
}

fn sum(values: &mut [f64]) -> f64 {
    values.iter().sum()
}

fn mean(values: &mut [f64]) -> f64 {
    sum(values) / values.len() as f64
}

fn max(values: &mut [f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn min(values: &mut [f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

impl RowTransformer for Agglomeration {
    fn n_inputs(&self) -> usize {
        self.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.groups.len()
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let group = |group: &Vec<usize>| group.iter().map(|column| row[*column]).collect::<Vec<f64>>();
        transformed.extend(self.groups.iter().map(|columns| (self.pool)(&mut group(columns))));
    }
}
