//! Ensembles of decision trees.

mod compact;
mod ensemble;
mod read;

use super::labels::Classes;
use super::scores::{Second, Transform, probit};
use super::{Run, run};
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::tensor::Tensor;
use ensemble::{Ensemble, Sums};

/// `TreeEnsembleRegressor`
pub(super) fn regressor(node: &Node<'_>) -> Result<Run, Fault> {
    let n_targets = usize::try_from(node.long("n_targets", 1)?).unwrap_or(0);
    let transform = Transform::read(node)?;
    let base = read::numbers(node, "base_values", "base_values_as_tensor")?;
    let ensemble = read::ensemble(node, read::REGRESSOR, n_targets)?;
    regression(ensemble, &base.values, transform)
}

/// `TreeEnsemble`, which came with version 5.
pub(super) fn ensemble(node: &Node<'_>) -> Result<Run, Fault> {
    let transform = usize::try_from(node.long("post_transform", 0)?).ok();
    let transform = transform.and_then(|index| Transform::ALL.get(index).copied());
    let transform = transform.ok_or_else(|| node.unsupported("the attribute `post_transform` of "))?;
    regression(read::ensemble_of_version_5(node)?, &[], transform)
}

fn regression(ensemble: Ensemble, base: &[f64], transform: Transform) -> Result<Run, Fault> {
    let n = ensemble.n_targets;
    // What no leaf adds to stays zero.
    let base: Vec<f64> = base
        .iter()
        .enumerate()
        .map(|(target, base)| if ensemble.scores(target) { *base } else { 0.0 })
        .collect();
    run(move |inputs: &Inputs<'_>| {
        let (n_rows, mut sums) = ensemble.sums(inputs.get(0)?)?;
        if base.len() == n {
            sums.add_to_rows(&base);
        }
        if sums.is_double && transform == Transform::None {
            return Tensor::matrix(n_rows, n, sums.values);
        }
        let mut scores = sums.to_floats();
        match (n, transform) {
            // With one target, the probit alone is taken.
            (1, Transform::Probit) => scores.iter_mut().for_each(|score| *score = probit(*score)),
            (1, _) => {}
            _ => scores.chunks_exact_mut(n).for_each(|row| transform.apply(row)),
        }
        match sums.is_double {
            true => Tensor::matrix(n_rows, n, scores.into_iter().map(f64::from).collect()),
            false => Tensor::matrix(n_rows, n, scores),
        }
    })
}

/// `TreeEnsembleClassifier`
pub(super) fn classifier(node: &Node<'_>) -> Result<Run, Fault> {
    let classes = Classes::read(node, "classlabels_int64s")?;
    let transform = Transform::read(node)?;
    let base = read::numbers(node, "base_values", "base_values_as_tensor")?.values;
    let ensemble = read::ensemble(node, read::CLASSIFIER, classes.len())?;
    let n = classes.len();
    if !base.is_empty() && base.len() != n && (n, base.len()) != (2, 1) {
        return Err(node.problem(format!("{n} classes have {} base values", base.len())));
    }
    let is_scored: Vec<bool> =
        (0..n).map(|class| ensemble.scores(class) || (n > 2 && !base.is_empty())).collect();
    let is_one_sided = is_scored.iter().filter(|is_scored| **is_scored).count() == 1;
    let weights_are_positive = ensemble.weights_are_positive();
    run(move |inputs: &Inputs<'_>| {
        let (n_rows, mut sums) = ensemble.sums(inputs.get(0)?)?;
        if n != 2 {
            if !base.is_empty() {
                sums.add_to_rows(&base);
            }
            let best = |row: &[f64]| {
                let mut best = None;
                for class in (0..n).filter(|class| is_scored[*class]) {
                    if best.is_none_or(|best: usize| row[class] > row[best]) {
                        best = Some(class);
                    }
                }
                best.unwrap_or(0)
            };
            let labels = classes.pick(sums.values.chunks_exact(n).map(best))?;
            let mut scores = sums.to_floats();
            if n == 1 {
                return Ok(vec![labels, Tensor::matrix(n_rows, 1, scores)?]);
            }
            scores.chunks_exact_mut(n).for_each(|row| transform.apply(row));
            return Ok(vec![labels, Tensor::matrix(n_rows, n, scores)?]);
        }
        let has_second = is_scored[1];
        let mut chosen = Vec::with_capacity(n_rows);
        let mut scores = Vec::with_capacity(n_rows * 2);
        for row in sums.values.chunks_exact(2) {
            let round = |value: f64| Sums::rounded(value, sums.is_double);
            let (first, second) = match &base[..] {
                [_, of_second] if has_second => {
                    let second = round(of_second + row[0]);
                    (-second, Some(second))
                }
                [of_first, of_second] => (round(row[0] + of_first), Some(round(row[1] + of_second))),
                [of_first] => (round(row[0] + of_first), has_second.then_some(row[1])),
                _ => (row[0], has_second.then_some(row[1])),
            };
            let weight = if has_second { second.unwrap_or(first) } else { first };
            let border = if is_one_sided && weights_are_positive { 0.5 } else { 0.0 };
            chosen.push(usize::from(weight > border));
            match second {
                Some(second) => {
                    let mut both = [first as f32, second as f32];
                    transform.apply(&mut both);
                    scores.extend(both);
                }
                None => {
                    let second = if weights_are_positive { Second::Complement } else { Second::Opposite };
                    scores.extend(transform.both(first as f32, second));
                }
            }
        }
        Ok(vec![classes.pick(chosen.into_iter())?, Tensor::matrix(n_rows, 2, scores)?])
    })
}
