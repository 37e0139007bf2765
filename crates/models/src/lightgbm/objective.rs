//! What was learned, and so how raw scores become answers (`ConvertOutput` of `src/objective`).

use super::LIBRARY;
use crate::fault::Fault;
use crate::numeric::{expit, softmax};

/// An objective, as the file says it.
#[derive(Debug)]
pub(super) struct Objective {
    pub(super) text: String,
    link: Link,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    Identity,
    /// The square root was learned.
    SignedSquare,
    Exponential,
    /// With a factor.
    Logistic(f64),
    /// Logistic, for each class by itself.
    OneVsAll(f64),
    Softmax,
    /// `log(1 + exp(x))`
    Softplus,
}

/// All objectives, with what they make of raw scores. A further one is a row.
const OBJECTIVES: &[(&str, Link)] = &[
    ("regression", Link::Identity),
    ("regression_l1", Link::Identity),
    ("huber", Link::Identity),
    ("fair", Link::Identity),
    ("quantile", Link::Identity),
    ("mape", Link::Identity),
    ("poisson", Link::Exponential),
    ("gamma", Link::Exponential),
    ("tweedie", Link::Exponential),
    ("binary", Link::Logistic(1.0)),
    ("multiclass", Link::Softmax),
    ("multiclassova", Link::OneVsAll(1.0)),
    ("cross_entropy", Link::Logistic(1.0)),
    ("cross_entropy_lambda", Link::Softplus),
    ("lambdarank", Link::Identity),
    ("rank_xendcg", Link::Identity),
    // An objective that was code is not saved: answers are raw scores.
    ("custom", Link::Identity),
];

// === impl Objective ===

impl Objective {
    /// Reads for example `binary sigmoid:1`.
    pub(super) fn read(text: &str) -> Result<Self, Fault> {
        let mut words = text.split_ascii_whitespace();
        let name = words.next().unwrap_or("custom");
        let known = OBJECTIVES.iter().find(|(known, _)| *known == name).map(|(_, link)| *link);
        let mut link = known.ok_or_else(|| {
            let names: Vec<&str> = OBJECTIVES.iter().map(|(name, _)| *name).collect();
            unsupported(text, format!("objectives are {}", names.join(", ")))
        })?;
        for word in words {
            let (key, value) = word.split_once(':').unwrap_or((word, ""));
            match (key, &mut link) {
                ("sigmoid", Link::Logistic(factor) | Link::OneVsAll(factor)) => {
                    *factor =
                        value.parse().map_err(|_| unsupported(text, "sigmoid is a number".to_owned()))?;
                }
                ("sqrt", Link::Identity) => link = Link::SignedSquare,
                ("num_class" | "tweedie_variance_power" | "alpha" | "quantile" | "sqrt", _) => {}
                _ => return Err(unsupported(text, format!("`{key}` is not known"))),
            }
        }
        Ok(Self { text: text.to_owned(), link })
    }

    /// Whether answers are probabilities of classes.
    pub(super) fn tells_classes(&self) -> bool {
        matches!(self.link, Link::Logistic(_) | Link::OneVsAll(_) | Link::Softmax)
    }

    /// Whether what was learned were classes, and not numbers between zero and one.
    pub(super) fn learned_classes(&self) -> bool {
        self.tells_classes() && !self.text.starts_with("cross_entropy")
    }

    /// Makes answers of raw scores, of which each row has `n_outputs`.
    pub(super) fn apply(&self, scores: &mut [f64], n_outputs: usize) {
        let convert: &dyn Fn(f64) -> f64 = match self.link {
            Link::Identity => return,
            Link::Softmax => return scores.chunks_exact_mut(n_outputs).for_each(softmax),
            Link::SignedSquare => &|score| score.signum() * score * score,
            Link::Exponential => &f64::exp,
            Link::Logistic(factor) | Link::OneVsAll(factor) => &move |score| expit(factor * score),
            Link::Softplus => &|score| score.exp().ln_1p(),
        };
        scores.iter_mut().for_each(|score| *score = convert(*score));
    }
}

fn unsupported(text: &str, help: String) -> Fault {
    let what = format!("{LIBRARY} with objective={}", crate::rows::short(text));
    Fault::Unsupported { what, help: Some(help) }
}
