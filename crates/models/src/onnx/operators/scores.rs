//! What becomes of the scores of classifiers and regressors at last (`post_transform`).

use crate::fault::Fault;
use crate::onnx::node::Node;

/// What is done to scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
    /// Softmax that leaves zeros where they are.
    SoftmaxZero,
    Probit,
}

/// The second of two classes, where a model has a score for one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Second {
    /// The score is a probability.
    Complement,
    /// The score is a distance from the border between the classes.
    Opposite,
}

// === impl Transform ===

impl Transform {
    pub(super) const ALL: [Self; 5] =
        [Self::None, Self::Softmax, Self::Logistic, Self::SoftmaxZero, Self::Probit];

    pub(super) fn read(node: &Node<'_>) -> Result<Self, Fault> {
        Ok(match node.text("post_transform", "NONE")? {
            "NONE" => Self::None,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX" => Self::Softmax,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            "PROBIT" => Self::Probit,
            other => {
                return Err(
                    node.unsupported(&format!("the attribute `post_transform` that is `{other}` of "))
                );
            }
        })
    }

    /// One row of several scores.
    pub(super) fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => scores.iter_mut().for_each(|score| *score = logistic(*score)),
            Self::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
            Self::Softmax => softmax(scores),
            Self::SoftmaxZero => softmax_zero(scores),
        }
    }

    /// The scores of two classes, from that of the second one.
    pub(super) fn both(self, score: f32, second: Second) -> [f32; 2] {
        match (second, self) {
            (Second::Complement, _) => [1.0 - score, score],
            (Second::Opposite, Self::Logistic) => [logistic(-score), logistic(score)],
            (Second::Opposite, _) => [-score, score],
        }
    }
}

/// The logistic function, as onnxruntime computes it.
pub(super) fn logistic(score: f32) -> f32 {
    let value = 1.0 / (1.0 + (-score.abs()).exp());
    if score < 0.0 { 1.0 - value } else { value }
}

/// The probit, with the inverse of the error function as onnxruntime approximates it.
pub(super) fn probit(score: f32) -> f32 {
    #[expect(clippy::approx_constant, reason = "the digits that onnxruntime has")]
    const PI: f32 = 3.14159;

    let x = 2.0 * score - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let v = 2.0 / (PI * 0.147) + 0.5 * log;
    let root = (-v + (v * v - 1.0 / 0.147 * log).sqrt()).sqrt();
    std::f32::consts::SQRT_2 * if x < 0.0 { -root } else { root }
}

fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for score in &mut *scores {
        *score = (*score - max).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn softmax_zero(scores: &mut [f32]) {
    /// What counts as zero.
    const ZERO: f32 = 0.000_000_1;

    let max = scores.iter().copied().fold(f32::MIN, f32::max);
    let factor = (-max).exp();
    let mut sum = 0.0;
    for score in &mut *scores {
        if score.abs() > ZERO {
            *score = (*score - max).exp();
            sum += *score;
        } else {
            *score *= factor;
        }
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// The place of the first greatest score.
pub(super) fn greatest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}
