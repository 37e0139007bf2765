//! `TfidfTransformer`: counts, weighted by how rare a term is.

use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{Grid, Object};
use crate::sklearn::by_row::{RowTransformer, transforms_rows};
use crate::sklearn::preprocessing::normalizer::Norm;

/// What the vectorizer around it says once more.
pub(super) const FIT: &str = "norm smooth_idf sublinear_tf use_idf";

#[derive(Debug)]
pub(super) struct Weighting {
    is_sublinear: bool,
    /// How rare each term is.
    rarities: Option<Vec<f64>>,
    norm: Option<Norm>,
}

#[derive(Debug)]
struct TfidfTransformer {
    n_columns: usize,
    weighting: Weighting,
}

pub(super) fn tfidf_transformer(object: &Object<'_>) -> Result<Step, Fault> {
    let weighting = Weighting::read(object)?;
    let known = weighting.rarities.as_ref().map(Vec::len);
    let n_columns = object.n_columns(&["n_features_in_"])?.or(known);
    let n_columns = n_columns.ok_or_else(|| object.problem("it does not say how many columns it takes"))?;
    if !weighting.fits(n_columns) {
        return Err(object.problem("its weights are not one per column"));
    }
    Ok(transforms_rows(object, TfidfTransformer { n_columns, weighting }))
}

// === impl Weighting ===

impl Weighting {
    pub(super) fn read(object: &Object<'_>) -> Result<Self, Fault> {
        let norm = object.get("norm")?;
        let norm = if norm.is_none() || norm.flag() == Ok(false) { None } else { Some(Norm::read(&norm)?) };
        let rarities = match object.get("use_idf")?.flag()? {
            true => Some(rarities(object)?),
            false => None,
        };
        Ok(Self { is_sublinear: object.get("sublinear_tf")?.flag()?, rarities, norm })
    }

    pub(super) fn fits(&self, n_columns: usize) -> bool {
        self.rarities.as_ref().is_none_or(|rarities| rarities.len() == n_columns)
    }

    pub(super) fn apply(&self, counts: &mut [f64]) {
        if self.is_sublinear {
            counts.iter_mut().filter(|count| **count != 0.0).for_each(|count| *count = count.ln() + 1.0);
        }
        let rarities = self.rarities.iter().flatten();
        counts.iter_mut().zip(rarities).for_each(|(count, rarity)| *count *= rarity);
        if let Some(norm) = self.norm {
            norm.apply(counts);
        }
    }
}

/// `idf_`, which was the diagonal of a sparse matrix before 1.5.
fn rarities(object: &Object<'_>) -> Result<Vec<f64>, Fault> {
    match object.find("idf_") {
        Some(rarities) => rarities.numbers(),
        None => {
            let diagonal = object.get("_idf_diag")?;
            let matrix = diagonal.object()?;
            match matrix.name() {
                "dia_matrix" => matrix.get("data")?.numbers(),
                _ => {
                    let Grid { n_columns, values, .. } = diagonal.grid()?;
                    Ok(values.iter().copied().step_by(n_columns + 1).collect())
                }
            }
        }
    }
}

impl RowTransformer for TfidfTransformer {
    fn n_inputs(&self) -> usize {
        self.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.n_columns
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let start = transformed.len();
        transformed.extend(row);
        self.weighting.apply(&mut transformed[start..]);
    }
}
