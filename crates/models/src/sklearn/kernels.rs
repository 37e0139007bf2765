//! Answers by how similar a row is to those of fitting.

mod chi2;
mod gaussian_process;
mod pairwise;
mod process_kernel;

use super::Kind;
use super::by_row::{Answers, Predict, RowPredictor, RowTransformer, answers_rows, transforms_rows};
use crate::Method;
use crate::estimator::{Hint, Step};
use crate::fault::Fault;
use crate::numeric::dot;
use crate::object::{Grid, Object};
use pairwise::Pairwise;

/// What fitting was told and found besides.
const FIT: &str = "\
    alpha alphas_ coef0 degree component_indices_ eigen_solver fit_inverse_transform gamma gamma_ iterated_power \
    kernel kernel_params lambdas_ n_components _n_features_out remove_zero_eig dual_coef_ X_transformed_fit_";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.kernel_ridge.KernelRidge", ignores: &[FIT], compile: kernel_ridge },
    Kind { path: "sklearn.decomposition.KernelPCA", ignores: &[FIT], compile: kernel_pca },
    Kind { path: "sklearn.kernel_approximation.Nystroem", ignores: &[FIT], compile: nystroem },
    Kind {
        path: "sklearn.kernel_approximation.RBFSampler",
        ignores: &[FIT, "_gamma _random_state"],
        compile: rbf_sampler,
    },
    Kind { path: "sklearn.kernel_approximation.AdditiveChi2Sampler", ignores: &[], compile: chi2::additive },
    Kind { path: "sklearn.kernel_approximation.SkewedChi2Sampler", ignores: &[FIT], compile: chi2::skewed },
    Kind { path: "sklearn.preprocessing.KernelCenterer", ignores: &[], compile: kernel_centerer },
    Kind {
        path: "sklearn.gaussian_process.GaussianProcessRegressor",
        ignores: &[gaussian_process::FIT],
        compile: gaussian_process::regressor,
    },
    Kind {
        path: "sklearn.gaussian_process.GaussianProcessClassifier",
        ignores: &[gaussian_process::FIT],
        compile: gaussian_process::classifier,
    },
    Kind {
        path: "sklearn.gaussian_process._BinaryGaussianProcessClassifierLaplace",
        ignores: &[gaussian_process::FIT],
        compile: gaussian_process::binary,
    },
];

/// The weighted similarities to the rows of fitting.
#[derive(Debug)]
struct KernelRidge {
    kernel: Pairwise,
    points: Grid,
    /// One row per target.
    weights: Grid,
}

/// Similarities, projected.
#[derive(Debug)]
struct Projected {
    kernel: Pairwise,
    points: Grid,
    center: Option<Center>,
    /// One row per output.
    directions: Grid,
}

/// What makes similarities have the mean zero.
#[derive(Debug)]
struct Center {
    of_points: Vec<f64>,
    of_all: f64,
}

#[derive(Debug)]
struct RandomWaves {
    /// One row per output.
    directions: Grid,
    offsets: Vec<f64>,
}

fn kernel_ridge(object: &Object<'_>) -> Result<Step, Fault> {
    let points = object.get("X_fit_")?.grid()?;
    let saved = object.get("dual_coef_")?;
    let (weights, predict) = match saved.array()?.shape[..] {
        [n_rows] if n_rows == points.n_rows => {
            (Grid { n_rows: 1, n_columns: n_rows, values: saved.numbers()? }, Predict::Number)
        }
        [n_rows, _] if n_rows == points.n_rows => (saved.grid()?.transposed(), Predict::Targets),
        _ => return Err(saved.problem("are not one per row of fitting")),
    };
    let kernel = Pairwise::read(object, points.n_columns)?;
    let answers = Answers { methods: vec![Method::Predict], predict };
    Ok(answers_rows(object, answers, KernelRidge { kernel, points, weights }))
}

fn kernel_pca(object: &Object<'_>) -> Result<Step, Fault> {
    let points = object.get("X_fit_")?.grid()?;
    let values = object.get_any(&["eigenvalues_", "lambdas_"])?.numbers()?;
    let vectors = object.get_any(&["eigenvectors_", "alphas_"])?.grid()?;
    let center = Center::read(&object.get("_centerer")?.object()?)?;
    if center.of_points.len() != points.n_rows {
        return Err(object.problem("its center is not that of its points"));
    }
    if vectors.n_rows != points.n_rows || vectors.n_columns != values.len() {
        return Err(object.problem("its directions do not fit the rows of fitting"));
    }
    let mut directions = vectors.transposed();
    let rows = directions.values.chunks_exact_mut(points.n_rows.max(1));
    for (row, value) in rows.zip(&values) {
        // Directions without any extent become zero.
        let scale = if *value > 0.0 { 1.0 / value.sqrt() } else { 0.0 };
        row.iter_mut().for_each(|x| *x *= scale);
    }
    // Without `gamma` it is found in fitting since 1.2, and before it was one over the number of columns.
    let kernel = Pairwise::read(object, points.n_columns)?;
    Ok(transforms_rows(object, Projected { kernel, points, center: Some(center), directions }))
}

/// Takes similarities, and makes them those of rows whose mean is zero.
fn kernel_centerer(object: &Object<'_>) -> Result<Step, Fault> {
    Ok(transforms_rows(object, Center::read(object)?))
}

fn nystroem(object: &Object<'_>) -> Result<Step, Fault> {
    let points = object.get("components_")?.grid()?;
    let directions = object.get("normalization_")?.grid()?;
    if directions.n_columns != points.n_rows {
        return Err(object.problem("its normalization does not fit its components"));
    }
    let kernel = Pairwise::read(object, points.n_columns)?;
    Ok(transforms_rows(object, Projected { kernel, points, center: None, directions }))
}

fn rbf_sampler(object: &Object<'_>) -> Result<Step, Fault> {
    let directions = object.get("random_weights_")?.grid()?.transposed();
    let offsets = object.get("random_offset_")?.n_numbers(directions.n_rows)?;
    Ok(transforms_rows(object, RandomWaves { directions, offsets }))
}

// === impl KernelRidge ===

impl RowPredictor for KernelRidge {
    fn n_inputs(&self) -> usize {
        self.points.n_columns
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.points.values.get(column).copied().unwrap_or_default())
    }

    fn answer(&self, _method: Method, row: &[f64], numbers: &mut Vec<f64>) {
        let similar: Vec<f64> = self.points.rows().map(|point| self.kernel.of(row, point)).collect();
        numbers.extend(self.weights.rows().map(|weights| dot(&similar, weights)));
    }
}

// === impl Projected ===

impl RowTransformer for Projected {
    fn n_inputs(&self) -> usize {
        self.points.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.directions.n_rows
    }

    fn hint(&self, column: usize) -> Hint {
        Hint::number(self.points.values.get(column).copied().unwrap_or_default())
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let mut similar: Vec<f64> = self.points.rows().map(|point| self.kernel.of(row, point)).collect();
        if let Some(center) = &self.center {
            center.apply(&mut similar);
        }
        transformed.extend(self.directions.rows().map(|direction| dot(&similar, direction)));
    }
}

// === impl Center ===

impl Center {
    fn read(centerer: &Object<'_>) -> Result<Self, Fault> {
        let of_points = centerer.get("K_fit_rows_")?.numbers()?;
        Ok(Self { of_points, of_all: centerer.get("K_fit_all_")?.number()? })
    }

    fn apply(&self, similar: &mut [f64]) {
        let mean = similar.iter().sum::<f64>() / similar.len() as f64;
        let points = similar.iter_mut().zip(&self.of_points);
        points.for_each(|(x, of_point)| *x = *x - of_point - mean + self.of_all);
    }
}

impl RowTransformer for Center {
    fn n_inputs(&self) -> usize {
        self.of_points.len()
    }

    fn n_outputs(&self) -> usize {
        self.of_points.len()
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let mut similar = row.to_vec();
        self.apply(&mut similar);
        transformed.append(&mut similar);
    }
}

// === impl RandomWaves ===

impl RowTransformer for RandomWaves {
    fn n_inputs(&self) -> usize {
        self.directions.n_columns
    }

    fn n_outputs(&self) -> usize {
        self.directions.n_rows
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let height = (2.0 / self.offsets.len() as f64).sqrt();
        let waves = self.directions.rows().zip(&self.offsets);
        transformed.extend(waves.map(|(direction, offset)| height * (dot(row, direction) + offset).cos()));
    }
}
