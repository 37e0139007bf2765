//! Histogram gradient boosting (`sklearn/ensemble/_hist_gradient_boosting`). Its trees compare 64-bit numbers, send
//! missing values one way or the other, and may split by category.

use super::{Kind, compile};
use crate::classifier::Scores;
use crate::estimator::{Hint, Part, Predictor, Step, Transformer, predictor};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows, Takes};
use crate::trees::{Builder, Categories, Forest, Missing, Node, Test};
use crate::{Data, Method, Prediction};

/// How the trees were grown.
const FIT: &str = "\
    categorical_features do_early_stopping_ early_stopping _feature_subsample_rng _fitted_with_sw in_fit \
    _in_fit interaction_cst is_categorical_ _is_categorical_remapped l2_regularization _label_encoder \
    learning_rate loss_ max_bins max_depth max_features max_leaf_nodes min_samples_leaf monotonic_cst \
    _n_features n_iter_no_change quantile _random_seed scorer_ _scorer scoring train_score_ \
    _use_validation_data validation_fraction validation_score_";
const CLASSIFICATION: &str = "loss _loss";
const REGRESSION: &str = "_loss";

pub(super) const KINDS: &[Kind] = &[
    Kind {
        path: "sklearn.ensemble.HistGradientBoostingClassifier",
        ignores: &[FIT, CLASSIFICATION],
        compile: classifier,
    },
    Kind {
        path: "sklearn.ensemble.HistGradientBoostingRegressor",
        ignores: &[FIT, REGRESSION],
        compile: regressor,
    },
];

#[derive(Debug)]
struct Boosting {
    name: String,
    n_features: usize,
    takes: Takes,
    /// Encodes categories and puts them first.
    preprocessor: Option<Box<dyn Transformer>>,
    baseline: Vec<f64>,
    forest: Forest,
}

#[derive(Debug)]
struct Regressor {
    boosting: Boosting,
    /// Whether the sum is the logarithm of the answer.
    is_logarithm: bool,
}

#[derive(Debug)]
struct Classifier {
    boosting: Boosting,
    classes: Data,
}

fn regressor(object: &Object<'_>) -> Result<Step, Fault> {
    let loss = object.get("loss")?;
    let is_logarithm = match loss.text().as_deref() {
        Ok("poisson" | "gamma") => true,
        Ok(
            "squared_error" | "least_squares" | "absolute_error" | "least_absolute_deviation" | "quantile",
        ) => false,
        _ => return Err(loss.unsupported("only the losses that have a name are known")),
    };
    Ok(predictor(Regressor { boosting: boosting(object, 1)?, is_logarithm }))
}

fn classifier(object: &Object<'_>) -> Result<Step, Fault> {
    let classes = object.get("classes_")?.labels()?;
    let width = if classes.len() == 2 { 1 } else { classes.len() };
    Ok(predictor(Classifier { boosting: boosting(object, width)?, classes }))
}

fn boosting(object: &Object<'_>, width: usize) -> Result<Boosting, Fault> {
    let trees_per_iteration = object.get("n_trees_per_iteration_")?;
    if trees_per_iteration.count()? != width {
        return Err(trees_per_iteration.problem("does not fit the classes"));
    }
    let n_features = object.n_columns(&["n_features_in_", "_n_features", "n_features_"])?;
    let n_features = n_features.ok_or_else(|| object.problem("it does not say how many columns it takes"))?;
    let baseline = object.get("_baseline_prediction")?;
    let baseline = match baseline.number() {
        Ok(number) if width == 1 => vec![number],
        _ => baseline.n_numbers(width)?,
    };
    let preprocessor = match object.some("_preprocessor") {
        None => None,
        Some(preprocessor) => match compile(&preprocessor, None)?.step {
            Step::Transformer(transformer)
                if transformer.n_inputs() == Some(n_features)
                    && transformer.n_outputs(n_features) == n_features =>
            {
                Some(transformer)
            }
            _ => return Err(preprocessor.problem("does not keep the number of columns")),
        },
    };
    let known = known_categories(&object.get_any(&["_bin_mapper", "bin_mapper_"])?, n_features)?;

    let mut builder = Builder::new(n_features, 1);
    let mut knows_missing = true;
    for iteration in object.get("_predictors")?.items()? {
        let trees = iteration.items()?;
        if trees.len() != width {
            return Err(iteration.problem("do not have one tree per score"));
        }
        for (output, tree) in trees.iter().enumerate() {
            let tree = SavedTree::read(tree, &known)?;
            knows_missing &= tree.knows_missing;
            let added = builder.add(&tree.nodes, output, |node, leaves| leaves.push(tree.values[node]));
            added.map_err(|problem| object.problem(problem))?;
        }
    }
    Ok(Boosting {
        name: object.name().to_owned(),
        n_features,
        takes: if knows_missing { Takes::Everything } else { Takes::Finite },
        preprocessor,
        baseline,
        forest: builder.finish(),
    })
}

/// For each column that is a category: which ones there were (`_BinMapper.make_known_categories_bitsets`).
fn known_categories(mapper: &Value<'_>, n_features: usize) -> Result<Vec<Option<[u32; 8]>>, Fault> {
    let mapper = mapper.object()?;
    let Some(is_categorical) = mapper.some("is_categorical_") else { return Ok(vec![None; n_features]) };
    let is_categorical = is_categorical.n_numbers(n_features)?;
    let thresholds = mapper.get("bin_thresholds_")?;
    let columns = thresholds.items()?;
    if columns.len() != n_features {
        return Err(thresholds.problem("are not one list per column"));
    }
    let known = is_categorical.iter().zip(columns).map(|(is_categorical, categories)| {
        if *is_categorical == 0.0 {
            return Ok(None);
        }
        let mut set = [0; 8];
        for category in categories.numbers()? {
            if !(0.0..256.0).contains(&category) {
                return Err(thresholds.problem("have a category that is not from 0 to 255"));
            }
            let category = category as usize;
            set[category / 32] |= 1 << (category % 32);
        }
        Ok(Some(set))
    });
    known.collect()
}

/// A tree as it is saved (`TreePredictor`).
struct SavedTree {
    nodes: Vec<Node>,
    values: Vec<f64>,
    knows_missing: bool,
}

impl SavedTree {
    fn read(tree: &Value<'_>, known: &[Option<[u32; 8]>]) -> Result<Self, Fault> {
        let state = tree.object()?;
        let array = state.get("nodes")?.array()?;
        let problem = || state.problem("its nodes have an unknown form");
        let longs = |field: &str| array.field_longs(field).ok_or_else(problem);
        let (left, right) = (longs("left")?, longs("right")?);
        let (features, is_leaf) = (longs("feature_idx")?, longs("is_leaf")?);
        let values = array.field_doubles("value").ok_or_else(problem)?;
        let thresholds = array.field_doubles("num_threshold").or_else(|| array.field_doubles("threshold"));
        let thresholds = thresholds.ok_or_else(problem)?;
        let missing_left = array.field_longs("missing_go_to_left");
        let by_category = array.field_longs("is_categorical");
        let sets = array.field_longs("bitset_idx");
        let left_sets = match (&by_category, state.some("raw_left_cat_bitsets")) {
            (Some(by_category), Some(sets)) if by_category.contains(&1) => sets.integers()?,
            _ => Vec::new(),
        };

        let left_set = |index: usize| -> Option<[u32; 8]> {
            let start = usize::try_from(sets.as_ref()?[index]).ok()?.checked_mul(8)?;
            let words = left_sets.get(start..start.checked_add(8)?)?;
            let words: Option<Vec<u32>> = words.iter().map(|word| u32::try_from(*word).ok()).collect();
            words?.try_into().ok()
        };
        let node = |index: usize| -> Option<Node> {
            if is_leaf[index] != 0 {
                return Some(Node::Leaf);
            }
            let feature = usize::try_from(features[index]).ok()?;
            let is_by_category = by_category.as_ref().is_some_and(|by_category| by_category[index] != 0);
            let is_missing_left = missing_left.as_ref().is_some_and(|missing_left| missing_left[index] != 0);
            let test = match is_by_category {
                false => {
                    let missing = if is_missing_left { Missing::Left } else { Missing::Right };
                    Test::AtMost { threshold: thresholds[index], missing }
                }
                true => by_set(left_set(index)?, (*known.get(feature)?)?, is_missing_left),
            };
            Some(Node::Split {
                feature,
                test,
                left: usize::try_from(left[index]).ok()?,
                right: usize::try_from(right[index]).ok()?,
            })
        };
        let nodes = (0..left.len()).map(node).collect::<Option<_>>().ok_or_else(problem)?;
        Ok(Self { nodes, values, knows_missing: missing_left.is_some() })
    }
}

/// A test by category. Those that are not known count as missing.
fn by_set(left: [u32; 8], known: [u32; 8], is_missing_left: bool) -> Test {
    let right = left.iter().zip(known).map(|(left, known)| match is_missing_left {
        true => known & !left,
        false => !left,
    });
    Test::OneOf(Categories {
        right: right.collect(),
        others_right: !is_missing_left,
        missing_right: !is_missing_left,
        from_zero: true,
    })
}

// === impl Boosting ===

impl Boosting {
    fn scores(&self, rows: Rows<'_>) -> Result<Scores, Refusal> {
        let rows = match &self.preprocessor {
            Some(preprocessor) => preprocessor.transform(rows)?,
            None => rows,
        };
        let matrix = rows.into_matrix(self.takes, &self.name)?;
        let mut scores = self.baseline.repeat(matrix.n_rows);
        self.forest.add_to(&matrix.values, self.n_features, &mut scores, self.baseline.len());
        Ok(Scores { per_row: self.baseline.len(), values: scores })
    }

    fn hint(&self, column: usize) -> Hint {
        self.preprocessor.as_ref().map_or_else(Hint::default, |preprocessor| preprocessor.hint(column))
    }
}

// === impl Regressor ===

impl Part for Regressor {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.boosting.n_features)
    }

    fn hint(&self, column: usize) -> Hint {
        self.boosting.hint(column)
    }
}

impl Predictor for Regressor {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict]
    }

    fn predict(&self, _method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let mut sums = self.boosting.scores(rows)?.values;
        if self.is_logarithm {
            sums.iter_mut().for_each(|sum| *sum = sum.exp());
        }
        Ok(Prediction::flat(Data::Double(sums)))
    }
}

// === impl Classifier ===

impl Part for Classifier {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.boosting.n_features)
    }

    fn hint(&self, column: usize) -> Hint {
        self.boosting.hint(column)
    }
}

impl Predictor for Classifier {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Predict, Method::PredictProba, Method::DecisionFunction]
    }

    fn classes(&self) -> Option<&Data> {
        Some(&self.classes)
    }

    fn predict(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let scores = self.boosting.scores(rows)?;
        Ok(match method {
            Method::DecisionFunction => scores.into_prediction(),
            Method::PredictProba => scores.into_probabilities(),
            _ => scores.pick(&self.classes),
        })
    }
}
