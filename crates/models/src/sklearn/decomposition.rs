//! Fewer columns: projections onto directions that were found in fitting (`sklearn/decomposition`).

mod factors;
mod topics;

use super::Kind;
use super::by_row::{RowTransformer, transforms_rows};
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::dot;
use crate::numeric::inverse::inverse;
use crate::object::{Grid, Object};

/// What fitting was told and found besides.
const FIT: &str = "\
    algorithm batch_size batch_size_ explained_variance_ explained_variance_ratio_ fun fun_args \
    iterated_power mixing_ n_components n_components_ n_features_ n_iter n_oversamples n_samples_ n_samples_seen_ \
    noise_variance_ power_iteration_normalizer singular_values_ svd_method svd_solver _fit_svd_solver var_ \
    w_init _whiten whiten_solver _unmixing _n_features_out";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.decomposition.PCA", ignores: &[FIT], compile: pca },
    Kind { path: "sklearn.decomposition.IncrementalPCA", ignores: &[FIT], compile: pca },
    Kind { path: "sklearn.decomposition.TruncatedSVD", ignores: &[FIT], compile: truncated_svd },
    Kind { path: "sklearn.decomposition.FastICA", ignores: &[FIT], compile: fast_ica },
    Kind {
        path: "sklearn.decomposition.FactorAnalysis",
        ignores: &[FIT, "loglike_ noise_variance_init rotation"],
        compile: factor_analysis,
    },
    Kind { path: "sklearn.decomposition.SparsePCA", ignores: &[FIT, SPARSE], compile: sparse_pca },
    Kind { path: "sklearn.decomposition.MiniBatchSparsePCA", ignores: &[FIT, SPARSE], compile: sparse_pca },
    Kind { path: "sklearn.decomposition.NMF", ignores: &[FIT, factors::FIT], compile: factors::factors },
    Kind {
        path: "sklearn.decomposition.MiniBatchNMF",
        ignores: &[FIT, factors::FIT],
        compile: factors::factors_of_batches,
    },
    Kind {
        path: "sklearn.decomposition.LatentDirichletAllocation",
        ignores: &[FIT, topics::FIT],
        compile: topics::topics,
    },
    Kind {
        path: "sklearn.neighbors.NeighborhoodComponentsAnalysis",
        ignores: &["callback init n_components n_features_in_ _n_features_out random_state_"],
        compile: truncated_svd,
    },
    Kind {
        path: "sklearn.random_projection.GaussianRandomProjection",
        ignores: &[FIT, RANDOM],
        compile: truncated_svd,
    },
    Kind {
        path: "sklearn.random_projection.SparseRandomProjection",
        ignores: &[FIT, RANDOM],
        compile: truncated_svd,
    },
];

/// How sparse directions were found.
const SPARSE: &str = "\
    alpha callback error_ max_no_improvement method n_steps_ normalize_components shuffle U_init V_init";

/// How random directions were drawn.
const RANDOM: &str = "compute_inverse_components dense_output density density_ eps";

#[derive(Debug)]
struct Projection {
    /// One row per direction.
    directions: Grid,
    /// The middle of the rows of fitting.
    mean: Option<Vec<f64>>,
    /// What the mean becomes, which is subtracted after the projection.
    projected_mean: Vec<f64>,
    /// What each output is divided by.
    scales: Option<Vec<f64>>,
}

fn pca(object: &Object<'_>) -> Result<Step, Fault> {
    let directions = object.get("components_")?.grid()?;
    let mean = object.some("mean_").map(|mean| mean.n_numbers(directions.n_columns)).transpose()?;
    let variances = object.get("explained_variance_")?.n_numbers(directions.n_rows)?;
    let is_whitened = object.flag_or("whiten", false)?;
    let scales = is_whitened.then(|| variances.iter().map(|x| x.sqrt().max(f64::EPSILON)).collect());
    projection(object, directions, mean, scales)
}

fn truncated_svd(object: &Object<'_>) -> Result<Step, Fault> {
    projection(object, object.get("components_")?.grid()?, None, None)
}

fn fast_ica(object: &Object<'_>) -> Result<Step, Fault> {
    let directions = object.get("components_")?.grid()?;
    let is_whitened = object.find("whiten").is_some_and(|whiten| whiten.flag() != Ok(false));
    object.find("whitening_");
    let mean = object.some("mean_").filter(|_| is_whitened);
    let mean = mean.map(|mean| mean.n_numbers(directions.n_columns)).transpose()?;
    projection(object, directions, mean, None)
}

/// The expected values of what is behind the columns, which have noise of their own.
fn factor_analysis(object: &Object<'_>) -> Result<Step, Fault> {
    let components = object.get("components_")?.grid()?;
    let noise = object.get("noise_variance_")?.n_numbers(components.n_columns)?;
    let mean = object.get("mean_")?.n_numbers(components.n_columns)?;
    let mut weighted = components.clone();
    for row in weighted.values.chunks_exact_mut(noise.len().max(1)) {
        row.iter_mut().zip(&noise).for_each(|(x, noise)| *x /= noise);
    }
    let directions = unmixed(object, &weighted, &components, 1.0)?;
    projection(object, directions, Some(mean), None)
}

/// A ridge regression of each row on the components.
fn sparse_pca(object: &Object<'_>) -> Result<Step, Fault> {
    let components = object.get("components_")?.grid()?;
    if let (Some(normalizes), None) = (object.find("normalize_components"), object.find("mean_")) {
        return Err(normalizes.unsupported("it is True, which is what later versions do"));
    }
    let mean = object.get("mean_")?.n_numbers(components.n_columns)?;
    let alpha = object.get("ridge_alpha")?.number()?;
    let directions = unmixed(object, &components, &components, alpha)?;
    projection(object, directions, Some(mean), None)
}

/// `(a · bᵀ + diagonal)⁻¹ · a`
fn unmixed(object: &Object<'_>, a: &Grid, b: &Grid, diagonal: f64) -> Result<Grid, Fault> {
    let n = a.n_rows;
    let products = a.rows().flat_map(|a| b.rows().map(|b| dot(a, b)));
    let mut mixed = Grid { n_rows: n, n_columns: n, values: products.collect() };
    (0..n).for_each(|index| mixed.values[index * (n + 1)] += diagonal);
    let unmixing = inverse(mixed).ok_or_else(|| object.problem("its components do not differ"))?;
    let columns = a.transposed();
    let values = unmixing.rows().flat_map(|row| columns.rows().map(|column| dot(row, column))).collect();
    Ok(Grid { n_rows: n, n_columns: a.n_columns, values })
}

fn projection(
    object: &Object<'_>,
    directions: Grid,
    mean: Option<Vec<f64>>,
    scales: Option<Vec<f64>>,
) -> Result<Step, Fault> {
    let of_mean = |mean: &Vec<f64>| directions.rows().map(|direction| dot(mean, direction)).collect();
    let projected_mean = mean.as_ref().map_or_else(|| vec![0.0; directions.n_rows], of_mean);
    Ok(transforms_rows(object, Projection { directions, mean, projected_mean, scales }))
}

impl RowTransformer for Projection {
    fn n_inputs(&self) -> usize {
        self.directions.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.directions.n_rows
    }

    fn hint(&self, column: usize) -> Hint {
        let mean = self.mean.as_ref().and_then(|mean| mean.get(column));
        mean.map_or_else(Hint::default, |mean| Hint::number(*mean))
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let start = transformed.len();
        let directions = self.directions.rows().zip(&self.projected_mean);
        transformed.extend(directions.map(|(direction, mean)| dot(row, direction) - mean));
        let scales = self.scales.iter().flatten();
        transformed[start..].iter_mut().zip(scales).for_each(|(value, scale)| *value /= scale);
    }
}
