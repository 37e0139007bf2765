//! Support vector machines with a kernel (libsvm, `svm.cpp`).

use super::Kind;
use crate::classifier::{Scores, pick};
use crate::estimator::{Part, Predictor, Step, predictor};
use crate::fault::Fault;
use crate::numeric::exp::exp_each;
use crate::numeric::vectors::in_vectors;
use crate::numeric::{argmax, dot};
use crate::object::{Grid, Object};
use crate::rows::{Refusal, Rows, Takes};
use crate::{Data, Method, Prediction};

/// What fitting was told and left behind. `dual_coef_` and `intercept_` are the same values with another sign.
const FIT: &str = "\
    C cache_size class_weight_ dual_coef_ epsilon fit_status_ gamma intercept_ _num_iter nu shape_fit_ \
    shrinking _sparse support_ _effective_probability";
const REGRESSION: &str = "probability _probA _probB probA_ probB_ n_support_ _n_support";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.svm.SVC", ignores: &[FIT], compile: classifier },
    Kind { path: "sklearn.svm.NuSVC", ignores: &[FIT], compile: classifier },
    Kind { path: "sklearn.svm.SVR", ignores: &[FIT, REGRESSION], compile: regressor },
    Kind { path: "sklearn.svm.NuSVR", ignores: &[FIT, REGRESSION], compile: regressor },
    Kind { path: "sklearn.svm.OneClassSVM", ignores: &[FIT, REGRESSION, "offset_"], compile: one_class },
];

/// Rows that are compared with all support vectors at once.
const ROWS: usize = 8;

/// Support vectors, and sums of the kernel values between them and a row.
#[derive(Debug)]
struct Machine {
    name: String,
    kernel: Kernel,
    n_vectors: usize,
    n_columns: usize,
    /// The support vectors, column after column: what is summed up for one is summed up for its neighbours at once.
    columns: Vec<f64>,
    sums: Vec<Sum>,
}

/// A weighted sum of kernel values.
#[derive(Debug)]
struct Sum {
    /// Each with the place of the support vector that the first weight belongs to, in the order of summing up.
    runs: Vec<(usize, Vec<f64>)>,
    intercept: f64,
}

#[derive(Debug, Clone, Copy)]
enum Kernel {
    Linear,
    Poly { gamma: f64, coef0: f64, degree: u32 },
    Rbf { gamma: f64 },
    Sigmoid { gamma: f64, coef0: f64 },
}

#[derive(Debug)]
struct Regressor(Machine);

/// A sum that is above zero for what is like the rows of fitting.
#[derive(Debug)]
struct OneClass(Machine);

#[derive(Debug)]
struct Classifier {
    /// With a sum for every pair of classes.
    machine: Machine,
    /// At least two.
    classes: Data,
    /// Platt's A and B per pair of classes.
    platt: Option<Vec<[f64; 2]>>,
    /// How the scores of pairs are gathered into one per class, if they are.
    scores_per_class: Option<Gathering>,
    /// Whether the class is picked by these scores instead of by votes.
    breaks_ties: bool,
}

/// `_ovr_decision_function` of `sklearn.utils.multiclass`: votes, and the scores themselves as a fraction of a vote.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Gathering {
    /// The fraction is `score / (3 (|score| + 1))`.
    ByRow,
    /// Until 0.20 the fraction was the score as a share of the largest one of all rows.
    ByBatch,
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    Ok(predictor(Regressor(machine_of_one(object)?)))
}

fn one_class(object: &Object<'_>) -> Result<Step, Fault> {
    Ok(predictor(OneClass(machine_of_one(object)?)))
}

/// A machine with one weight per support vector.
fn machine_of_one(object: &Object<'_>) -> Result<Machine, Fault> {
    let mut machine = machine(object)?;
    let weights = object.get_any(&["_dual_coef_", "dual_coef_"])?.grid()?;
    if weights.n_rows != 1 || weights.n_columns != machine.n_vectors {
        return Err(object.problem("there is not one weight per support vector"));
    }
    let intercept = object.get_any(&["_intercept_", "intercept_"])?.n_numbers(1)?[0];
    machine.sums = vec![Sum { runs: vec![(0, weights.values)], intercept }];
    Ok(machine)
}

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let mut machine = machine(object)?;
    let classes = object.get("classes_")?.labels()?;
    if classes.len() < 2 {
        return Err(object.problem("there are not two classes"));
    }
    machine.sums = sums_of_pairs(object, classes.len(), machine.n_vectors)?;
    let shape = object.get("decision_function_shape")?;
    let is_old = object.sklearn_version().is_some_and(|version| version < (0, 21));
    let scores_per_class = match shape.text()?.as_ref() {
        "ovo" => None,
        "ovr" if classes.len() <= 2 => None,
        "ovr" if is_old => Some(Gathering::ByBatch),
        "ovr" => Some(Gathering::ByRow),
        _ => return Err(shape.unsupported("it is `ovr` or `ovo`")),
    };
    Ok(predictor(Classifier {
        breaks_ties: object.flag_or("break_ties", false)? && scores_per_class.is_some(),
        platt: platt(object, machine.sums.len())?,
        machine,
        classes,
        scores_per_class,
    }))
}

fn kernel(object: &Object<'_>) -> Result<Kernel, Fault> {
    let number = |key| object.get(key)?.number();
    let kernel = object.get("kernel")?;
    let (gamma, coef0) = (number("_gamma")?, number("coef0")?);
    let degree = object.get("degree")?;
    match kernel.text() {
        Ok(name) if name == "linear" => Ok(Kernel::Linear),
        Ok(name) if name == "rbf" => Ok(Kernel::Rbf { gamma }),
        Ok(name) if name == "sigmoid" => Ok(Kernel::Sigmoid { gamma, coef0 }),
        Ok(name) if name == "poly" => {
            // libsvm cuts the degree to a whole number.
            let degree = degree.number()?;
            if !(0.0..=1e6).contains(&degree) {
                return Err(object.get("degree")?.problem("is no degree"));
            }
            Ok(Kernel::Poly { gamma, coef0, degree: degree as u32 })
        }
        _ => Err(kernel.unsupported("kernels are `linear`, `poly`, `rbf` and `sigmoid`")),
    }
}

/// The support vectors, whose sums are still to be read.
fn machine(object: &Object<'_>) -> Result<Machine, Fault> {
    let kernel = kernel(object)?;
    let vectors = object.get("support_vectors_")?.grid()?;
    if vectors.n_columns == 0 {
        return Err(object.problem("the support vectors have no columns"));
    }
    let column = |column: usize| vectors.rows().map(move |vector| vector[column]);
    Ok(Machine {
        name: object.name().to_owned(),
        kernel,
        n_vectors: vectors.n_rows,
        n_columns: vectors.n_columns,
        columns: (0..vectors.n_columns).flat_map(column).collect(),
        sums: Vec::new(),
    })
}

/// What decides between every two of the classes: above zero the first one wins.
fn sums_of_pairs(object: &Object<'_>, n_classes: usize, n_vectors: usize) -> Result<Vec<Sum>, Fault> {
    let weights = object.get("_dual_coef_")?.grid()?;
    if weights.n_rows + 1 != n_classes || weights.n_columns != n_vectors {
        return Err(object.problem("the weights are not one per support vector and further class"));
    }
    let starts = starts(object, n_classes, n_vectors)?;
    let intercepts = object.get("_intercept_")?.n_numbers(n_classes * (n_classes - 1) / 2)?;
    // A support vector has its weight against another class in the row of that class, of those that are not its own.
    let run = |class: usize, row: usize| {
        let vectors = starts[class]..starts[class + 1];
        (vectors.start, weights.values[row * n_vectors..][vectors].to_vec())
    };
    let sum = |((first, second), intercept)| Sum {
        runs: vec![run(first, second - 1), run(second, first)],
        intercept,
    };
    Ok(pairs(n_classes).zip(intercepts).map(sum).collect())
}

/// All pairs of classes, in libsvm's order.
fn pairs(n_classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n_classes).flat_map(move |first| (first + 1..n_classes).map(move |second| (first, second)))
}

fn starts(object: &Object<'_>, n_classes: usize, n_vectors: usize) -> Result<Vec<usize>, Fault> {
    let counts = object.get_any(&["_n_support", "n_support_"])?;
    let mut starts = vec![0];
    let mut end = 0_usize;
    for count in counts.integers()? {
        let count = usize::try_from(count).map_err(|_| counts.problem("is negative"))?;
        end = end.saturating_add(count);
        starts.push(end);
    }
    if starts.len() != n_classes + 1 || end != n_vectors {
        return Err(counts.problem("does not add up to the support vectors"));
    }
    Ok(starts)
}

fn platt(object: &Object<'_>, n_pairs: usize) -> Result<Option<Vec<[f64; 2]>>, Fault> {
    let a = object.get_any(&["_probA", "probA_"])?.numbers()?;
    let b = object.get_any(&["_probB", "probB_"])?.numbers()?;
    let probability = object.find("probability");
    let is_wanted = probability.is_some_and(|probability| probability.flag().unwrap_or(false));
    if !is_wanted || a.is_empty() {
        return Ok(None);
    }
    if a.len() != n_pairs || b.len() != n_pairs {
        return Err(object.problem("there is not one pair of probability parameters per pair of classes"));
    }
    Ok(Some(a.into_iter().zip(b).map(|(a, b)| [a, b]).collect()))
}

// === impl Gathering ===

impl Gathering {
    /// Makes scores of confidences.
    fn add(self, votes: &[f64], confidences: &mut [f64]) {
        let largest = confidences.iter().fold(0.0, |largest, confidence| f64::max(largest, confidence.abs()));
        for (votes, confidence) in votes.iter().zip(confidences) {
            *confidence = match self {
                Self::ByRow => votes + *confidence / (3.0 * (confidence.abs() + 1.0)),
                Self::ByBatch if largest > 0.0 => votes + *confidence * ((0.5 - f64::EPSILON) / largest),
                Self::ByBatch => *votes,
            };
        }
    }
}

// === impl Kernel ===

impl Kernel {
    /// What a column adds to the sum of a support vector.
    #[inline(always)]
    fn term(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Rbf { .. } => (a - b) * (a - b),
            Self::Linear | Self::Poly { .. } | Self::Sigmoid { .. } => a * b,
        }
    }

    /// Makes values of the kernel of sums over all columns.
    fn finish(self, sums: &mut [f64]) {
        match self {
            Self::Linear => {}
            Self::Poly { gamma, coef0, degree } => {
                sums.iter_mut().for_each(|sum| *sum = power(gamma * *sum + coef0, degree));
            }
            Self::Rbf { gamma } => {
                sums.iter_mut().for_each(|sum| *sum *= -gamma);
                exp_each(sums);
            }
            Self::Sigmoid { gamma, coef0 } => {
                sums.iter_mut().for_each(|sum| *sum = (gamma * *sum + coef0).tanh());
            }
        }
    }
}

/// `powi` of libsvm: by squaring, in its order.
fn power(base: f64, times: u32) -> f64 {
    let (mut square, mut result, mut left) = (base, 1.0, times);
    while left > 0 {
        if left % 2 == 1 {
            result *= square;
        }
        square *= square;
        left /= 2;
    }
    result
}

// === impl Machine ===

impl Machine {
    /// All sums of every row, row after row.
    fn sums(&self, rows: Rows<'_>) -> Result<Vec<f64>, Refusal> {
        let matrix = rows.into_matrix(Takes::Finite, &self.name)?;
        let mut sums = Vec::with_capacity(matrix.n_rows * self.sums.len());
        let groups = matrix.values.chunks_exact(ROWS * self.n_columns);
        let rest = groups.remainder().chunks_exact(self.n_columns);
        if groups.len() > 0 {
            let mut alike = vec![[0.0; ROWS]; self.n_vectors];
            groups.for_each(|group| self.sum_rows(group, &mut alike, &mut sums));
        }
        let mut alike = vec![[0.0]; self.n_vectors];
        rest.for_each(|row| self.sum_rows(row, &mut alike, &mut sums));
        Ok(sums)
    }

    /// Adds the sums of some rows, which are side by side in `alike`.
    fn sum_rows<const N: usize>(&self, rows: &[f64], alike: &mut [[f64; N]], sums: &mut Vec<f64>) {
        in_vectors(
            #[inline(always)]
            || self.compare(rows, alike),
        );
        self.kernel.finish(alike.as_flattened_mut());
        let start = sums.len();
        sums.resize(start + N * self.sums.len(), 0.0);
        in_vectors(
            #[inline(always)]
            || self.weigh(alike, &mut sums[start..]),
        );
    }

    /// What the kernel makes a value of, for each support vector and row.
    #[inline(always)]
    fn compare<const N: usize>(&self, rows: &[f64], alike: &mut [[f64; N]]) {
        alike.fill([0.0; N]);
        let columns = self.columns.chunks_exact(self.n_vectors.max(1));
        for (index, column) in columns.enumerate() {
            let values: [f64; N] = std::array::from_fn(|row| rows[row * self.n_columns + index]);
            for (sums, b) in alike.iter_mut().zip(column) {
                sums.iter_mut().zip(values).for_each(|(sum, a)| *sum += self.kernel.term(a, *b));
            }
        }
    }

    /// Sums kernel values up, in the order of the support vectors.
    #[inline(always)]
    fn weigh<const N: usize>(&self, alike: &[[f64; N]], results: &mut [f64]) {
        for (index, sum) in self.sums.iter().enumerate() {
            let mut totals = [0.0; N];
            for (start, weights) in &sum.runs {
                for (weight, alike) in weights.iter().zip(&alike[*start..]) {
                    totals.iter_mut().zip(alike).for_each(|(total, value)| *total += weight * value);
                }
            }
            let places = results[index..].iter_mut().step_by(self.sums.len());
            places.zip(totals).for_each(|(place, total)| *place = total + sum.intercept);
        }
    }
}

// === impl Regressor ===

impl Part for Regressor {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.0.n_columns)
    }
}

impl Predictor for Regressor {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn predict(&self, _method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        Ok(Prediction::flat(Data::Double(self.0.sums(rows)?)))
    }
}

// === impl OneClass ===

impl Part for OneClass {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.0.n_columns)
    }
}

impl Predictor for OneClass {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::DecisionFunction]
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let sums = self.0.sums(rows)?;
        Ok(Prediction::flat(match method {
            Method::DecisionFunction => Data::Double(sums),
            _ => Data::Long(sums.iter().map(|sum| if *sum > 0.0 { 1 } else { -1 }).collect()),
        }))
    }
}

// === impl Classifier ===

impl Part for Classifier {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.machine.n_columns)
    }
}

impl Predictor for Classifier {
    fn methods(&self) -> Vec<Method> {
        match self.platt {
            Some(_) => vec![Method::Predict, Method::PredictProba, Method::DecisionFunction],
            None => vec![Method::Predict, Method::DecisionFunction],
        }
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn rows_are_independent(&self) -> bool {
        self.scores_per_class != Some(Gathering::ByBatch)
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        match (method, &self.platt) {
            (Method::DecisionFunction, _) => Ok(self.scores(rows)?.into_prediction()),
            (Method::PredictProba, Some(platt)) => self.probabilities(rows, platt),
            _ if self.breaks_ties => Ok(self.scores(rows)?.pick(&self.classes)),
            _ => {
                let sums = self.machine.sums(rows)?;
                let mut votes = vec![0.0; self.n_classes()];
                let winners = sums.chunks_exact(self.n_pairs()).map(|pairs| {
                    self.count_votes(pairs, &mut votes);
                    argmax(&votes)
                });
                Ok(pick(&self.classes, winners))
            }
        }
    }
}

impl Classifier {
    fn n_classes(&self) -> usize {
        self.classes.len()
    }

    fn n_pairs(&self) -> usize {
        self.machine.sums.len()
    }

    fn count_votes(&self, sums: &[f64], votes: &mut [f64]) {
        votes.fill(0.0);
        for ((first, second), sum) in pairs(self.n_classes()).zip(sums) {
            votes[if *sum > 0.0 { first } else { second }] += 1.0;
        }
    }

    /// `decision_function`: scores of pairs, or of classes.
    fn scores(&self, rows: Rows<'_>) -> Result<Scores, Refusal> {
        let mut sums = self.machine.sums(rows)?;
        let n_classes = self.n_classes();
        let Some(gathering) = self.scores_per_class else {
            if n_classes == 2 {
                // The sign is that of the second class.
                sums.iter_mut().for_each(|sum| *sum = -*sum);
            }
            return Ok(Scores { per_row: self.n_pairs(), values: sums });
        };
        let n_rows = sums.len() / self.n_pairs();
        let (mut values, mut votes) = (vec![0.0; n_rows * n_classes], vec![0.0; n_rows * n_classes]);
        let of_rows = values.chunks_exact_mut(n_classes).zip(votes.chunks_exact_mut(n_classes));
        for ((values, votes), sums) in of_rows.zip(sums.chunks_exact(self.n_pairs())) {
            for ((first, second), sum) in pairs(n_classes).zip(sums) {
                values[first] += sum;
                values[second] -= sum;
                // Here, unlike in `predict`, a sum of exactly zero is a vote for the first.
                votes[if *sum < 0.0 { second } else { first }] += 1.0;
            }
        }
        gathering.add(&votes, &mut values);
        Ok(Scores { per_row: n_classes, values })
    }

    fn probabilities(&self, rows: Rows<'_>, platt: &[[f64; 2]]) -> Result<Prediction, Refusal> {
        /// libsvm keeps the probability of a pair this far from 0 and 1.
        const MIN_PROBABILITY: f64 = 1e-7;

        let n_classes = self.n_classes();
        let sums = self.machine.sums(rows)?;
        let mut values = Vec::with_capacity(sums.len() / self.n_pairs() * n_classes);
        let mut pairwise =
            Grid { n_rows: n_classes, n_columns: n_classes, values: vec![0.0; n_classes * n_classes] };
        for sums in sums.chunks_exact(self.n_pairs()) {
            for (((first, second), sum), [a, b]) in pairs(n_classes).zip(sums).zip(platt) {
                let probability = sigmoid(sum * a + b).clamp(MIN_PROBABILITY, 1.0 - MIN_PROBABILITY);
                pairwise.values[first * n_classes + second] = probability;
                pairwise.values[second * n_classes + first] = 1.0 - probability;
            }
            values.extend(couple(&pairwise));
        }
        Ok(Prediction::rows(n_classes, Data::Double(values)))
    }
}

/// `sigmoid_predict` of libsvm, without cancellation.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { (-x).exp() / (1.0 + (-x).exp()) } else { 1.0 / (1.0 + x.exp()) }
}

/// `multiclass_probability` of libsvm: probabilities of classes from those of pairs (Wu, Lin and Weng 2004, method 2).
fn couple(pairwise: &Grid) -> Vec<f64> {
    let k = pairwise.n_rows;
    let r = |of: usize, against: usize| pairwise.values[of * k + against];
    let mut q = vec![0.0; k * k];
    for t in 0..k {
        for j in (0..k).filter(|j| *j != t) {
            q[t * k + t] += r(j, t) * r(j, t);
            q[t * k + j] = if j < t { q[j * k + t] } else { -r(j, t) * r(t, j) };
        }
    }
    let tolerance = 0.005 / k as f64;
    let mut p = vec![1.0 / k as f64; k];
    let mut qp = vec![0.0; k];
    for _ in 0..k.max(100) {
        for (qp, q) in qp.iter_mut().zip(q.chunks_exact(k)) {
            *qp = dot(q, &p);
        }
        let mut pqp = dot(&p, &qp);
        if qp.iter().all(|qp| (qp - pqp).abs() < tolerance) {
            break;
        }
        for t in 0..k {
            let q_t = &q[t * k..(t + 1) * k];
            let step = (pqp - qp[t]) / q_t[t];
            p[t] += step;
            pqp = (pqp + step * (step * q_t[t] + 2.0 * qp[t])) / (1.0 + step) / (1.0 + step);
            for j in 0..k {
                qp[j] = (qp[j] + step * q_t[j]) / (1.0 + step);
                p[j] /= 1.0 + step;
            }
        }
    }
    p
}
