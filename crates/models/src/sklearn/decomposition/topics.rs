//! `LatentDirichletAllocation`: how much of a text is about each of some topics (`sklearn/decomposition/_lda.py`).

use crate::estimator::Step;
use crate::fault::Fault;
use crate::object::{Grid, Object};
use crate::sklearn::by_row::{RowTransformer, refuses_negative, transforms_rows};

/// How topics were found.
pub(super) const FIT: &str = "\
    bound_ components_ doc_topic_prior evaluate_every learning_decay learning_method learning_offset n_batch_iter_ \
    _n_components \
    n_topics n_jobs perp_tol random_state_ topic_word_prior topic_word_prior_ total_samples";

/// Rounds for one text; each looks at all of its words.
const MAX_ROUNDS: usize = 100_000;

#[derive(Debug)]
struct Topics {
    /// For each word: how likely it is in each topic.
    words: Grid,
    prior: f64,
    max_rounds: usize,
    /// The mean change after which no further round is needed.
    tolerance: f64,
}

pub(super) fn topics(object: &Object<'_>) -> Result<Step, Fault> {
    let topics = object.get("exp_dirichlet_component_")?.grid()?;
    let max_rounds = object.get("max_doc_update_iter")?.count()?;
    if max_rounds > MAX_ROUNDS {
        return Err(Fault::TooLarge { what: "rounds per text", limit: MAX_ROUNDS as u64 });
    }
    if topics.n_rows == 0 {
        return Err(object.problem("it has no topics"));
    }
    Ok(transforms_rows(
        object,
        Topics {
            words: topics.transposed(),
            prior: object.get("doc_topic_prior_")?.number()?,
            max_rounds,
            tolerance: object.get("mean_change_tol")?.number()?,
        },
    ))
}

impl RowTransformer for Topics {
    fn n_inputs(&self) -> usize {
        self.words.n_rows
    }

    fn n_outputs(&self) -> usize {
        self.words.n_columns
    }

    fn refuses(&self, row: &[f64]) -> Option<(usize, &'static str)> {
        refuses_negative(row)
    }

    fn transform(&self, row: &[f64], transformed: &mut Vec<f64>) {
        let shares = self.shares(row);
        let sum: f64 = shares.iter().sum();
        transformed.extend(shares.iter().map(|share| share / sum));
    }
}

impl Topics {
    /// `_update_doc_distribution` of one text.
    fn shares(&self, row: &[f64]) -> Vec<f64> {
        let n_topics = self.words.n_columns;
        let words: Vec<(f64, &[f64])> =
            row.iter().copied().zip(self.words.rows()).filter(|(count, _)| *count != 0.0).collect();
        let mut shares = vec![1.0; n_topics];
        let mut weights = expectations(&shares);
        for _ in 0..self.max_rounds {
            let mut next = vec![0.0; n_topics];
            for (count, word) in &words {
                let sum: f64 = weights.iter().zip(*word).map(|(weight, word)| weight * word).sum();
                let scaled = count / (sum + f64::EPSILON);
                next.iter_mut().zip(*word).for_each(|(next, word)| *next += scaled * word);
            }
            next.iter_mut().zip(&weights).for_each(|(next, weight)| *next = *next * weight + self.prior);
            weights = expectations(&next);
            let change: f64 = shares.iter().zip(&next).map(|(before, after)| (before - after).abs()).sum();
            shares = next;
            if change / (n_topics as f64) < self.tolerance {
                break;
            }
        }
        shares
    }
}

/// `_dirichlet_expectation_1d`
fn expectations(shares: &[f64]) -> Vec<f64> {
    let all = psi(shares.iter().sum());
    shares.iter().map(|share| (psi(*share) - all).exp()).collect()
}

/// The digamma function as the estimator has it, which is not what is most exact.
fn psi(x: f64) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    if x <= 1e-6 {
        return -EULER - 1.0 / x;
    }
    let (mut x, mut result) = (x, 0.0);
    while x < 6.0 {
        result -= 1.0 / x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    result += x.ln() - 0.5 * inverse;
    let square = inverse * inverse;
    result - square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0)))
}
