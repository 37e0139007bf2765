//! Support vector machines.

use super::labels::Classes;
use super::linear::rows_of;
use super::product::{Size, add_product, turned};
use super::scores::{Second, Transform, greatest, logistic};
use super::{Run, run};
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::Tensor;

/// How alike two rows are.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    Linear { plus: f32 },
    Polynomial { gamma: f32, plus: f32, degree: f32 },
    Radial { gamma: f32 },
    Sigmoid { gamma: f32, plus: f32 },
}

/// Vectors that rows are compared with.
struct Vectors {
    kernel: Kernel,
    n: usize,
    n_features: usize,
    /// `n_features × n`
    turned: Vec<f32>,
}

impl Kernel {
    fn read(node: &Node<'_>) -> Result<Self, Fault> {
        let (gamma, plus, degree) = match node.floats("kernel_params")?.unwrap_or_default() {
            [] => (0.0, 0.0, 0.0),
            [gamma, plus, degree, ..] => (*gamma, *plus, *degree),
            _ => return Err(node.problem("its kernel has not three parameters")),
        };
        Ok(match node.text("kernel_type", "LINEAR")? {
            "LINEAR" => Self::Linear { plus: 0.0 },
            "POLY" => Self::Polynomial { gamma, plus, degree },
            "RBF" => Self::Radial { gamma },
            "SIGMOID" => Self::Sigmoid { gamma, plus },
            other => {
                return Err(node.unsupported(&format!("the attribute `kernel_type` that is `{other}` of ")));
            }
        })
    }
}

impl Vectors {
    fn new(node: &Node<'_>, kernel: Kernel, n: usize, values: &[f32]) -> Result<Self, Fault> {
        if n == 0 || values.is_empty() || !values.len().is_multiple_of(n) {
            return Err(node.problem(format!("{} numbers cannot be {n} vectors", values.len())));
        }
        let n_features = values.len() / n;
        Ok(Self { kernel, n, n_features, turned: turned(values, n, n_features) })
    }

    /// How alike each row is to each vector.
    fn compare(&self, tensor: &Tensor) -> Result<(usize, Vec<f32>), Problem> {
        let rows = rows_of(tensor, self.n_features)?;
        let n_rows = rows.len() / self.n_features;
        let mut alike = vec![0.0; crate::onnx::tensor::Shape::new(&[n_rows, self.n])?.n_values()];
        if let Kernel::Radial { gamma } = self.kernel {
            for (row, alike) in rows.chunks_exact(self.n_features).zip(alike.chunks_exact_mut(self.n)) {
                // Column after column, so that all vectors are compared side by side.
                for (value, column) in row.iter().zip(self.turned.chunks_exact(self.n)) {
                    for (sum, of_vector) in alike.iter_mut().zip(column) {
                        let difference = value - of_vector;
                        *sum += difference * difference;
                    }
                }
                alike.iter_mut().for_each(|sum| *sum = (-gamma * *sum).exp());
            }
            return Ok((n_rows, alike));
        }
        let size = Size { rows: n_rows, shared: self.n_features, columns: self.n };
        add_product(&rows, &self.turned, size, &mut alike);
        let shape = |value: f32| match self.kernel {
            Kernel::Linear { plus } => value + plus,
            Kernel::Sigmoid { gamma, plus } => value.mul_add(gamma, plus).tanh(),
            Kernel::Polynomial { gamma, plus, degree } => match value.mul_add(gamma, plus) {
                base if degree == 2.0 => base * base,
                base if degree == 3.0 => base * base * base,
                base => base.powf(degree),
            },
            Kernel::Radial { .. } => value,
        };
        alike.iter_mut().for_each(|value| *value = shape(*value));
        Ok((n_rows, alike))
    }
}

/// `SVMRegressor`
pub(super) fn regressor(node: &Node<'_>) -> Result<Run, Fault> {
    let n = usize::try_from(node.long("n_supports", 0)?).unwrap_or(0);
    let coefficients = node.floats("coefficients")?.unwrap_or_default().to_vec();
    let rho = node.floats("rho")?.and_then(|rho| rho.first().copied());
    let rho = rho.ok_or_else(|| node.problem("it has no rho"))?;
    let finds_outliers = node.flag("one_class", false)?;
    let vectors = node.floats("support_vectors")?.unwrap_or_default();
    // onnxruntime transforms nothing here.
    node.ignore(&["post_transform"]);
    let kernel = Kernel::read(node)?;
    let vectors = match n {
        0 => Vectors::new(node, Kernel::Linear { plus: rho }, 1, &coefficients)?,
        n if coefficients.len() == n => Vectors::new(node, kernel, n, vectors)?,
        n => return Err(node.problem(format!("{n} vectors have {} coefficients", coefficients.len()))),
    };
    run(move |inputs: &Inputs<'_>| {
        let (n_rows, alike) = vectors.compare(inputs.get(0)?)?;
        let mut sums = alike;
        if n > 0 {
            let size = Size { rows: n_rows, shared: n, columns: 1 };
            let mut results = vec![0.0; n_rows];
            add_product(&sums, &coefficients, size, &mut results);
            results.iter_mut().for_each(|sum| *sum += rho);
            sums = results;
        }
        if finds_outliers {
            sums.iter_mut().for_each(|sum| *sum = if *sum > 0.0 { 1.0 } else { -1.0 });
        }
        Tensor::matrix(n_rows, 1, sums)
    })
}

/// `SVMClassifier`
pub(super) fn classifier(node: &Node<'_>) -> Result<Run, Fault> {
    let classes = Classes::read(node, "classlabels_ints")?;
    let transform = Transform::read(node)?;
    let coefficients = node.floats("coefficients")?.unwrap_or_default().to_vec();
    let rho = node.floats("rho")?.unwrap_or_default().to_vec();
    let counts = node.longs("vectors_per_class")?.unwrap_or_default();
    let counts: Option<Vec<usize>> = counts.iter().map(|count| usize::try_from(*count).ok()).collect();
    let counts = counts.ok_or_else(|| node.problem("it has a negative number of vectors"))?;
    let n = counts.iter().try_fold(0_usize, |sum, count| sum.checked_add(*count)).unwrap_or(usize::MAX);
    let kernel = Kernel::read(node)?;
    let vectors = node.floats("support_vectors")?.unwrap_or_default();
    let (prob_a, prob_b) =
        (node.floats("prob_a")?.unwrap_or_default(), node.floats("prob_b")?.unwrap_or_default());
    if n == 0 {
        let plus = *rho.first().ok_or_else(|| node.problem("it has no rho"))?;
        let vectors = Vectors::new(node, Kernel::Linear { plus }, classes.len(), &coefficients)?;
        return linear(classes, vectors, coefficients.iter().all(|it| *it >= 0.0), transform);
    }
    let n_pairs = classes.len() * (classes.len() - 1) / 2;
    let fits = counts.len() == classes.len()
        && coefficients.len() == (classes.len() - 1).saturating_mul(n)
        && rho.len() == n_pairs
        && prob_a.len() == prob_b.len()
        && (prob_a.is_empty() || prob_a.len() == n_pairs)
        && n_pairs > 0;
    if !fits {
        return Err(node.problem("its classes, vectors and coefficients do not fit each other"));
    }
    let pairs = Pairs {
        vectors: Vectors::new(node, kernel, n, vectors)?,
        starts: counts.iter().scan(0, |end, count| Some(std::mem::replace(end, *end + count))).collect(),
        counts,
        coefficients,
        rho,
        probabilities: prob_a.iter().copied().zip(prob_b.iter().copied()).collect(),
    };
    run(move |inputs: &Inputs<'_>| pairs.classify(inputs.get(0)?, &classes, transform))
}

/// A weight per column and class.
fn linear(classes: Classes, vectors: Vectors, is_positive: bool, transform: Transform) -> Result<Run, Fault> {
    run(move |inputs: &Inputs<'_>| {
        let (n_rows, mut scores) = vectors.compare(inputs.get(0)?)?;
        let n = classes.len();
        let pick = |row: &[f32]| {
            let best = greatest(row);
            let is_second = if is_positive { row[best] >= 0.5 } else { row[best] > 0.0 };
            if n == 2 && is_second { 1 } else { best }
        };
        let labels = classes.pick(scores.chunks_exact(n).map(pick))?;
        scores.chunks_exact_mut(n).for_each(|row| transform.apply(row));
        Ok(vec![labels, Tensor::matrix(n_rows, n, scores)?])
    })
}

/// A border between each two classes.
struct Pairs {
    vectors: Vectors,
    /// Where the vectors of each class begin, and how many there are.
    starts: Vec<usize>,
    counts: Vec<usize>,
    coefficients: Vec<f32>,
    rho: Vec<f32>,
    /// How a score becomes a probability, by pair; empty if it does not.
    probabilities: Vec<(f32, f32)>,
}

impl Pairs {
    fn classify(
        &self,
        tensor: &Tensor,
        classes: &Classes,
        transform: Transform,
    ) -> Result<Vec<Tensor>, Problem> {
        let n_classes = classes.len();
        let (n_rows, alike) = self.vectors.compare(tensor)?;
        let mut labels = Vec::with_capacity(n_rows);
        let mut scores = Vec::with_capacity(n_rows * self.rho.len().max(n_classes));
        let (mut row_scores, mut votes) = (Vec::with_capacity(self.rho.len()), vec![0_u32; n_classes]);
        for alike in alike.chunks_exact(self.vectors.n) {
            row_scores.clear();
            votes.fill(0);
            for first in 0..n_classes {
                for second in first + 1..n_classes {
                    let sum = self.score(alike, first, second) + f64::from(self.rho[row_scores.len()]);
                    row_scores.push(sum as f32);
                    votes[if sum > 0.0 { first } else { second }] += 1;
                }
            }
            let mut most = 0;
            for class in 1..n_classes {
                if votes[class] > votes[most] {
                    most = class;
                }
            }
            labels.push(most);
            if !self.probabilities.is_empty() {
                let start = scores.len();
                scores.extend(self.probabilities_of(&row_scores, n_classes));
                transform.apply(&mut scores[start..]);
            } else if n_classes == 2 {
                let second = if transform == Transform::None { Second::Opposite } else { Second::Complement };
                scores.extend(transform.both(row_scores[0], second));
            } else {
                transform.apply(&mut row_scores);
                scores.extend_from_slice(&row_scores);
            }
        }
        let width = scores.len().checked_div(n_rows).unwrap_or(n_classes);
        Ok(vec![classes.pick(labels.into_iter())?, Tensor::matrix(n_rows, width, scores)?])
    }

    /// How far a row is from the border between two classes.
    fn score(&self, alike: &[f32], first: usize, second: usize) -> f64 {
        let sum = |sum: f64, class: usize, row: usize| {
            let vectors = self.starts[class]..self.starts[class] + self.counts[class];
            let coefficients = &self.coefficients[row * self.vectors.n..][vectors.clone()];
            coefficients.iter().zip(&alike[vectors]).fold(sum, |sum, (a, b)| sum + f64::from(a * b))
        };
        sum(sum(0.0, first, second - 1), second, first)
    }

    /// Probabilities of all classes, from those between each two (Wu, Lin and Weng: "Probability Estimates for
    /// Multi-class Classification by Pairwise Coupling").
    fn probabilities_of(&self, scores: &[f32], n: usize) -> Vec<f32> {
        const LEAST: f32 = 1e-7;
        const MAX_ROUNDS: usize = 100;

        let mut pairwise = vec![0.0_f32; n * n];
        let mut pair = 0;
        for first in 0..n {
            for second in first + 1..n {
                let (a, b) = self.probabilities[pair];
                let value = 1.0 - logistic(scores[pair] * a + b);
                let value = value.clamp(LEAST, 1.0 - LEAST);
                pairwise[first * n + second] = value;
                pairwise[second * n + first] = 1.0 - value;
                pair += 1;
            }
        }
        let r = |row: usize, column: usize| pairwise[row * n + column];
        let mut q = vec![0.0_f32; n * n];
        for i in 0..n {
            for j in (0..n).filter(|j| *j != i) {
                q[i * n + i] += r(j, i) * r(j, i);
                q[i * n + j] = if j < i { q[j * n + i] } else { -r(j, i) * r(i, j) };
            }
        }
        let mut p = vec![1.0 / n as f32; n];
        for _ in 0..MAX_ROUNDS {
            let mut products: Vec<f32> = q
                .chunks_exact(n)
                .map(|row| row.iter().zip(&p).fold(0.0, |sum, (a, b)| sum + a * b))
                .collect();
            let mut sum = p.iter().zip(&products).fold(0.0, |sum, (a, b)| sum + a * b);
            let error = products.iter().map(|product| (product - sum).abs()).fold(0.0, f32::max);
            if error < 0.005 / n as f32 {
                break;
            }
            for i in 0..n {
                let diff = (-products[i] + sum) / q[i * n + i];
                p[i] += diff;
                sum = (sum + diff * (diff * q[i * n + i] + 2.0 * products[i])) / (1.0 + diff) / (1.0 + diff);
                for j in 0..n {
                    products[j] = (products[j] + diff * q[i * n + j]) / (1.0 + diff);
                    p[j] /= 1.0 + diff;
                }
            }
        }
        p
    }
}
