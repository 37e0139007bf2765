//! Linear models.

use super::labels::Classes;
use super::product::{Size, add_product, turned};
use super::scores::{Second, Transform, greatest};
use super::{Run, run};
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::Tensor;

/// Weights of several targets.
struct Linear {
    n_features: usize,
    n_targets: usize,
    /// `n_features × n_targets`
    weights: Vec<f32>,
    intercepts: Vec<f32>,
}

impl Linear {
    fn new(node: &Node<'_>, n_targets: usize, intercepts: Vec<f32>) -> Result<Self, Fault> {
        let coefficients = node.floats("coefficients")?.unwrap_or_default();
        if n_targets == 0 || coefficients.is_empty() || !coefficients.len().is_multiple_of(n_targets) {
            let problem = format!("{} coefficients cannot be of {n_targets} targets", coefficients.len());
            return Err(node.problem(problem));
        }
        let n_features = coefficients.len() / n_targets;
        Ok(Self { n_features, n_targets, weights: turned(coefficients, n_targets, n_features), intercepts })
    }

    /// The sums of all rows, and how many rows there are.
    fn sums(&self, tensor: &Tensor) -> Result<(usize, Vec<f32>), Problem> {
        let rows = rows_of(tensor, self.n_features)?;
        let n_rows = rows.len() / self.n_features;
        let mut sums = vec![0.0; n_rows * self.n_targets];
        let size = Size { rows: n_rows, shared: self.n_features, columns: self.n_targets };
        add_product(&rows, &self.weights, size, &mut sums);
        for row in sums.chunks_exact_mut(self.n_targets) {
            row.iter_mut().zip(&self.intercepts).for_each(|(sum, intercept)| *sum += intercept);
        }
        Ok((n_rows, sums))
    }
}

/// The numbers of rows that have a fixed number of columns.
pub(super) fn rows_of(tensor: &Tensor, n_columns: usize) -> Result<std::borrow::Cow<'_, [f32]>, Problem> {
    let (_, found) = tensor.rows_and_columns();
    if found != n_columns {
        return Err(Problem::new(format!("takes {n_columns} columns, not the shape {:?}", tensor.shape())));
    }
    tensor.to_floats()
}

/// `LinearRegressor`
pub(super) fn regressor(node: &Node<'_>) -> Result<Run, Fault> {
    let n_targets = usize::try_from(node.long("targets", 1)?).unwrap_or(0);
    let transform = Transform::read(node)?;
    let intercepts = node.floats("intercepts")?.unwrap_or_default().to_vec();
    if !intercepts.is_empty() && intercepts.len() != n_targets {
        return Err(node.problem(format!("{n_targets} targets have {} intercepts", intercepts.len())));
    }
    let linear = Linear::new(node, n_targets, intercepts)?;
    run(move |inputs: &Inputs<'_>| {
        let (n_rows, mut sums) = linear.sums(inputs.get(0)?)?;
        // With one target, the probit alone is taken.
        if n_targets > 1 || transform == Transform::Probit {
            sums.chunks_exact_mut(n_targets).for_each(|row| transform.apply(row));
        }
        Tensor::matrix(n_rows, n_targets, sums)
    })
}

/// `LinearClassifier`
pub(super) fn classifier(node: &Node<'_>) -> Result<Run, Fault> {
    let classes = Classes::read(node, "classlabels_ints")?;
    let transform = Transform::read(node)?;
    // Whether the classes were told apart one by one, the weights know.
    node.ignore(&["multi_class"]);
    let intercepts = node.floats("intercepts")?.unwrap_or_default().to_vec();
    let n_targets = if intercepts.is_empty() { classes.len() } else { intercepts.len() };
    if n_targets != classes.len() && (n_targets, classes.len()) != (1, 2) {
        return Err(node.problem(format!("{} classes have {n_targets} scores", classes.len())));
    }
    let linear = Linear::new(node, n_targets, intercepts)?;
    run(move |inputs: &Inputs<'_>| {
        let (n_rows, mut sums) = linear.sums(inputs.get(0)?)?;
        if n_targets > 1 {
            let labels = classes.pick(sums.chunks_exact(n_targets).map(greatest))?;
            sums.chunks_exact_mut(n_targets).for_each(|row| transform.apply(row));
            return Ok(vec![labels, Tensor::matrix(n_rows, n_targets, sums)?]);
        }
        if classes.len() == 1 {
            let labels = classes.pick(sums.iter().map(|_| 0))?;
            return Ok(vec![labels, Tensor::matrix(n_rows, 1, sums)?]);
        }
        let labels = classes.pick(sums.iter().map(|sum| usize::from(*sum > 0.0)))?;
        let scores = match transform {
            Transform::Logistic => {
                sums.iter().flat_map(|sum| transform.both(*sum, Second::Opposite)).collect()
            }
            _ => sums.iter().flat_map(|sum| [1.0 - sum, *sum]).collect(),
        };
        Ok(vec![labels, Tensor::matrix(n_rows, 2, scores)?])
    })
}
