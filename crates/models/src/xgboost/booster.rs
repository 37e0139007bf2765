//! A whole model: trees or weights, and what their sums mean.

use super::LIBRARY;
use super::objective::Link;
use super::tree::SavedTree;
use crate::Data;
use crate::categories::Codes;
use crate::estimator::Hint;
use crate::fault::Fault;
use crate::formats::document::{Document, Place};
use crate::object::MAX_COLUMNS;
use crate::rows::Matrix;
use crate::trees::{Builder, Forest};

/// Sums per row.
const MAX_OUTPUTS: usize = 1 << 16;

const LEARNER_KEYS: &[&str] =
    &["attributes", "feature_names", "feature_types", "gradient_booster", "learner_model_param", "objective"];
const PARAMETER_KEYS: &[&str] =
    &["base_score", "boost_from_average", "num_class", "num_feature", "num_target"];
const BOOSTER_KEYS: &[&str] = &["gbtree", "model", "name", "weight_drop"];
const TREES_KEYS: &[&str] =
    &["cats", "gbtree_model_param", "iteration_indptr", "tree_info", "trees", "weight_drop"];

/// A booster, ready to answer.
#[derive(Debug)]
pub(super) struct Booster {
    pub(super) n_features: usize,
    /// The names of its columns, if it was fitted with names.
    pub(super) names: Option<Vec<String>>,
    /// For columns that were of categories: their codes.
    pub(super) categories: Vec<Option<Codes>>,
    pub(super) objective: String,
    pub(super) link: Link,
    /// Where sums begin, one per output.
    base: Vec<f32>,
    learned: Learned,
}

#[derive(Debug)]
enum Learned {
    Trees(Forest<f32>),
    /// For each column one weight per output, and after all of them the biases.
    Weights(Vec<f32>),
}

/// The model of a file, which may also hold the settings it was trained with.
pub(super) fn root(document: &Document) -> Place<'_> {
    let place = document.place(LIBRARY);
    place.find("Model").unwrap_or(place)
}

/// Which trees answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use {
    All,
    /// Those until training was to be stopped early, as the scikit-learn classes have it. Until 1.3 only the object
    /// around the booster knows how many these are, per output.
    Best {
        n_trees: Option<usize>,
    },
}

/// Whether a file was written before a version. One that does not say is taken to be new.
fn is_before(root: &Place<'_>, version: [f64; 2]) -> bool {
    let own = root.find("version").and_then(|own| own.numbers().ok()).and_then(|own| own.get(..2));
    own.is_some_and(|own| *own < version[..])
}

/// What `base_score` is an answer of. Before 1.0 it was saved as a margin; and until 1.2 one objective took a probability,
/// although it answers with margins.
fn link_of_base(root: &Place<'_>, objective: &str, link: Link) -> Link {
    match objective {
        _ if is_before(root, [1.0, 0.0]) => Link::Identity,
        "binary:logitraw" if is_before(root, [1.0, 3.0]) => Link::Logistic,
        _ => link,
    }
}

/// Refuses a map with a key that is not on the list: it may change answers.
pub(super) fn check_keys(place: &Place<'_>, known: &[&str]) -> Result<(), Fault> {
    match place.pairs()?.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some((key, _)) => Err(Fault::Unsupported {
            what: format!("{LIBRARY} with `{}`", crate::rows::short(key)),
            help: Some("this build does not know whether answers depend on it".to_owned()),
        }),
    }
}

// === impl Booster ===

impl Booster {
    pub(super) fn read(root: &Place<'_>, used: Use) -> Result<Self, Fault> {
        let learner = &root.get("learner")?;
        check_keys(learner, LEARNER_KEYS)?;
        let parameters = learner.get("learner_model_param")?;
        check_keys(&parameters, PARAMETER_KEYS)?;
        let count = |key| parameters.find(key).map_or(Ok(0), |value| value.count());
        let n_features = parameters.get("num_feature")?.count()?;
        if n_features == 0 || n_features > MAX_COLUMNS {
            return Err(Fault::TooLarge { what: "columns", limit: MAX_COLUMNS as u64 });
        }
        let n_outputs = count("num_class")?.max(count("num_target")?).max(1);
        if n_outputs > MAX_OUTPUTS {
            return Err(Fault::TooLarge { what: "outputs", limit: MAX_OUTPUTS as u64 });
        }
        let names = match learner.find("feature_names") {
            Some(names) => Some(names.texts()?).filter(|names| !names.is_empty()),
            None => None,
        };
        if names.as_ref().is_some_and(|names| names.len() != n_features) {
            return Err(learner.problem("has another number of `feature_names` than columns"));
        }
        let objective = learner.get("objective")?.get("name")?;
        let link = match Link::read(&objective)? {
            // Quantiles that cross are put in order since then.
            Link::Sorted if is_before(root, [3.0, 4.0]) => Link::Identity,
            link => link,
        };
        let base_link = link_of_base(root, objective.text()?, link);
        let base = base_margins(&parameters.get("base_score")?, base_link, n_outputs)?;

        let gradient_booster = learner.get("gradient_booster")?;
        check_keys(&gradient_booster, BOOSTER_KEYS)?;
        // Until 3.3 DART kept its trees one level deeper.
        let inner = gradient_booster.find("gbtree").unwrap_or(gradient_booster);
        let model = inner.get("model")?;
        let name = gradient_booster.get("name")?;
        let mut booster = Self {
            n_features,
            names,
            categories: Vec::new(),
            objective: objective.text()?.to_owned(),
            link,
            base,
            learned: Learned::Weights(Vec::new()),
        };
        match name.text()? {
            "gbtree" | "dart" => {
                check_keys(&model, TREES_KEYS)?;
                let weights = gradient_booster.find("weight_drop").or(model.find("weight_drop"));
                let n_used = match used {
                    Use::All => None,
                    Use::Best { n_trees } => booster.n_best_trees(learner, &model, n_trees)?,
                };
                booster.learned = Learned::Trees(booster.read_trees(&model, weights, n_used)?);
                booster.categories = match model.find("cats") {
                    Some(categories) => read_categories(&categories, n_features)?,
                    None => Vec::new(),
                };
            }
            "gblinear" => {
                let weights = model.get("weights")?.n_numbers((n_features + 1) * n_outputs)?;
                // It takes the first of several base scores for all outputs.
                booster.base = vec![booster.base[0]; n_outputs];
                booster.learned = Learned::Weights(weights.iter().map(|weight| *weight as f32).collect());
            }
            _ => return Err(name.unsupported("boosters are gbtree, dart and gblinear")),
        }
        Ok(booster)
    }

    fn read_trees(
        &self,
        model: &Place<'_>,
        weights: Option<Place<'_>>,
        n_used: Option<usize>,
    ) -> Result<Forest<f32>, Fault> {
        let trees = model.get("trees")?;
        let n_trees = trees.items()?.len();
        let outputs = model.get("tree_info")?;
        outputs.n_numbers(n_trees)?;
        let outputs = outputs.counts()?;
        let weights = weights.map(|weights| weights.n_numbers(n_trees)).transpose()?;
        let n_used = n_used.unwrap_or(n_trees);

        let mut builder: Option<(usize, Builder<f32>)> = None;
        for (index, tree) in trees.items()?.take(n_used).enumerate() {
            let saved = SavedTree::read(&tree)?;
            let own = || (saved.width, Builder::new(self.n_features, saved.width));
            let (width, builder) = builder.get_or_insert_with(own);
            if saved.width != *width || outputs[index] + *width > self.n_outputs() {
                return Err(trees.problem("do not fit the number of outputs"));
            }
            let weight = weights.map_or(1.0, |weights| weights[index] as f32);
            let leaf = |node: usize, leaves: &mut Vec<f32>| {
                leaves.extend(saved.leaf(node).map(|value| value * weight));
            };
            builder.add(&saved.nodes, outputs[index], leaf).map_err(|problem| trees.problem(problem))?;
        }
        let builder = builder.map_or_else(|| Builder::new(self.n_features, 1), |(_, builder)| builder);
        Ok(builder.finish())
    }

    /// How many trees there are up to the best iteration, if there is one and it is known how many.
    fn n_best_trees(
        &self,
        learner: &Place<'_>,
        model: &Place<'_>,
        per_output: Option<usize>,
    ) -> Result<Option<usize>, Fault> {
        let attribute = |key| learner.find("attributes")?.find(key)?.count().ok();
        let best = attribute("best_iteration");
        if let (Some(best), Some(ends)) = (best, model.find("iteration_indptr")) {
            return Ok(ends.counts()?.get(best.saturating_add(1)).copied());
        }
        let n_parallel = model.find("gbtree_model_param").and_then(|it| it.find("num_parallel_tree"));
        let n_parallel = n_parallel.map(|n_parallel| n_parallel.count()).transpose()?;
        let counted = best.zip(n_parallel).map(|(best, n)| best.saturating_add(1).saturating_mul(n.max(1)));
        let n = counted.or(per_output).or(attribute("best_ntree_limit"));
        Ok(n.map(|n| n.saturating_mul(self.n_outputs())))
    }

    pub(super) fn n_outputs(&self) -> usize {
        self.base.len()
    }

    /// The classes that `XGBClassifier` numbers.
    pub(super) fn classes(&self) -> Data {
        let is_multi_class = matches!(self.link, Link::Softmax | Link::Softprob);
        let n_classes = if is_multi_class { self.n_outputs() } else { 2 };
        Data::Long((0..n_classes as i64).collect())
    }

    pub(super) fn hint(&self, column: usize) -> Hint {
        match self.categories.get(column) {
            Some(Some(codes)) => codes.hint(),
            _ => Hint::default(),
        }
    }

    /// The sums of all rows.
    pub(super) fn margins(&self, matrix: &Matrix<'_>) -> Vec<f32> {
        let mut margins = self.base.repeat(matrix.n_rows);
        match &self.learned {
            Learned::Trees(forest) => {
                forest.add_to(&matrix.values, self.n_features, &mut margins, self.n_outputs());
            }
            Learned::Weights(weights) => {
                let n = self.n_outputs();
                let (weights, biases) = weights.split_at(self.n_features * n);
                for (row, margins) in matrix.rows().zip(margins.chunks_exact_mut(n)) {
                    margins.iter_mut().zip(biases).for_each(|(margin, bias)| *margin += bias);
                    for (value, weights) in row.iter().zip(weights.chunks_exact(n)) {
                        if !value.is_nan() {
                            let add = |(margin, weight): (&mut f32, &f32)| *margin += *value as f32 * weight;
                            margins.iter_mut().zip(weights).for_each(add);
                        }
                    }
                }
            }
        }
        margins
    }
}

/// `base_score`: a number, or since 3.1 a list of them, mostly as a text.
fn base_margins(base_score: &Place<'_>, link: Link, n_outputs: usize) -> Result<Vec<f32>, Fault> {
    let scores: Vec<f64> = match base_score.document {
        Document::Numbers(scores) => scores.clone(),
        Document::Text(text) if text.starts_with('[') => {
            let numbers = text.trim_start_matches('[').trim_end_matches(']').split(',');
            let numbers: Result<_, _> = numbers.map(|number| number.trim().parse()).collect();
            numbers.map_err(|_| base_score.problem("is no list of numbers"))?
        }
        _ => vec![base_score.number()?],
    };
    let margins: Vec<f32> = scores.iter().map(|score| link.margin(*score as f32)).collect();
    match margins[..] {
        [margin] => Ok(vec![margin; n_outputs]),
        _ if margins.len() == n_outputs => Ok(margins),
        _ => Err(base_score.problem("does not have one value per output")),
    }
}

/// The categories that columns had in Python, since 3.1: numbers, or texts in one list of bytes.
fn read_categories(categories: &Place<'_>, n_features: usize) -> Result<Vec<Option<Codes>>, Fault> {
    let columns = categories.get("enc")?.items()?;
    if columns.len() == 0 {
        return Ok(Vec::new());
    }
    if columns.len() != n_features {
        return Err(categories.problem("does not have one entry per column"));
    }
    let codes = |column: Place<'_>| -> Result<Option<Codes>, Fault> {
        let values = column.get("values")?;
        let Some(offsets) = column.find("offsets") else {
            return Ok(Some(Codes::numbers(values.numbers()?)));
        };
        let offsets = offsets.counts()?;
        if offsets.is_empty() {
            return Ok(None);
        }
        // Bytes are saved with a sign.
        let bytes: Vec<u8> = values.numbers()?.iter().map(|byte| *byte as i64 as u8).collect();
        let text = |ends: &[usize]| {
            let bytes = bytes.get(ends[0]..ends[1]).ok_or_else(|| values.problem("is too short"))?;
            String::from_utf8(bytes.to_vec()).map_err(|_| values.problem("holds no UTF-8"))
        };
        let mut n_bytes = 0;
        for ends in offsets.windows(2) {
            n_bytes += ends[1].saturating_sub(ends[0]);
        }
        if n_bytes > bytes.len() {
            return Err(values.problem("is shorter than its texts"));
        }
        Ok(Some(Codes::texts(offsets.windows(2).map(text).collect::<Result<_, _>>()?)))
    };
    columns.map(codes).collect()
}
