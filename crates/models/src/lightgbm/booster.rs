//! A whole model: trees, and what their sums mean.

use super::LIBRARY;
use super::objective::Objective;
use super::text::{Block, Blocks};
use super::tree::{LinearLeaf, SavedTree};
use crate::categories::Codes;
use crate::fault::Fault;
use crate::formats::document::{Document, json};
use crate::object::MAX_COLUMNS;
use crate::rows::Matrix;
use crate::trees::{Builder, Forest};

const HEADER_KEYS: &[&str] = &[
    "average_output",
    "feature_infos",
    "feature_names",
    "label_index",
    "max_feature_idx",
    "monotone_constraints",
    "num_class",
    "num_tree_per_iteration",
    "objective",
    "tree_sizes",
    "version",
];

/// Versions of the format.
const VERSIONS: &[&str] = &["v2", "v3", "v4"];

/// A booster, ready to answer.
#[derive(Debug)]
pub(super) struct Booster {
    pub(super) n_features: usize,
    /// The names of its columns, if it was fitted with names.
    pub(super) names: Option<Vec<String>>,
    /// For columns that were of categories: their codes.
    pub(super) categories: Vec<Option<Codes>>,
    pub(super) objective: Objective,
    /// Trees per iteration, and so sums per row.
    n_outputs: usize,
    /// What sums are divided by.
    divisor: Option<f64>,
    trees: Trees,
}

#[derive(Debug)]
enum Trees {
    Constant(Forest),
    /// The forest finds the leaf of each tree.
    Linear {
        forest: Forest,
        leaves: Vec<Vec<LinearLeaf>>,
    },
}

// === impl Booster ===

impl Booster {
    /// Reads a model in text. `n_iterations`: how many of its iterations to use, if not all.
    pub(super) fn read(text: &str, n_iterations: Option<usize>) -> Result<Self, Fault> {
        let blocks = Blocks::read(text)?;
        let header = &blocks.header;
        header.check_keys(HEADER_KEYS)?;
        let version = header.get("version")?;
        if !VERSIONS.contains(&version) {
            let what = format!("{LIBRARY} text of version {}", crate::rows::short(version));
            return Err(Fault::Unsupported {
                what,
                help: Some(format!("versions are {}", VERSIONS.join(", "))),
            });
        }
        let n_features = header.value::<usize>("max_feature_idx")?.saturating_add(1);
        if n_features > MAX_COLUMNS {
            return Err(Fault::TooLarge { what: "columns", limit: MAX_COLUMNS as u64 });
        }
        let names: Vec<String> = header.n_values("feature_names", n_features)?;
        let is_numbered = names.iter().enumerate().all(|(index, name)| *name == format!("Column_{index}"));
        let objective = Objective::read(header.find("objective").unwrap_or(""))?;

        let n_outputs: usize = header.value("num_tree_per_iteration")?;
        let n_trees = blocks.trees.len();
        if n_outputs == 0 || n_trees == 0 || n_trees % n_outputs != 0 {
            return Err(header.problem(format!("{n_trees} trees are not {n_outputs} per iteration")));
        }
        let n_used = n_iterations.map_or(n_trees, |n| n.saturating_mul(n_outputs).min(n_trees));
        let trees = blocks.trees[..n_used].iter().map(|tree| SavedTree::read(tree, n_features));
        let trees: Vec<SavedTree> = trees.collect::<Result<_, _>>()?;
        let divisor = header.find("average_output").map(|_| (n_used / n_outputs) as f64);
        Ok(Self {
            n_features,
            names: (!is_numbered).then_some(names),
            categories: read_categories(&blocks, n_features)?,
            objective,
            n_outputs,
            divisor,
            trees: Trees::read(trees, header, n_features, n_outputs)?,
        })
    }

    pub(super) fn n_outputs(&self) -> usize {
        self.n_outputs
    }

    /// The sums of all rows.
    pub(super) fn raw_scores(&self, matrix: &Matrix<'_>) -> Vec<f64> {
        let n_outputs = self.n_outputs;
        let mut sums = vec![0.0; matrix.n_rows * n_outputs];
        match &self.trees {
            Trees::Constant(forest) => {
                forest.add_to(&matrix.values, self.n_features, &mut sums, n_outputs);
            }
            Trees::Linear { forest, leaves } => {
                let mut reached = vec![0.0; leaves.len()];
                for (row, sums) in matrix.rows().zip(sums.chunks_exact_mut(n_outputs)) {
                    reached.fill(0.0);
                    forest.add_to(row, self.n_features, &mut reached, leaves.len());
                    for (index, (leaf, leaves)) in reached.iter().zip(leaves).enumerate() {
                        sums[index % n_outputs] += leaves[*leaf as usize].value(row);
                    }
                }
            }
        }
        sums
    }

    /// What raw scores mean: the average of a random forest, in the words of the objective.
    pub(super) fn finish(&self, scores: &mut [f64]) {
        if let Some(divisor) = self.divisor {
            scores.iter_mut().for_each(|score| *score /= divisor);
        }
        self.objective.apply(scores, self.n_outputs);
    }
}

impl Trees {
    fn read(
        trees: Vec<SavedTree>,
        header: &Block<'_>,
        n_features: usize,
        n_outputs: usize,
    ) -> Result<Self, Fault> {
        let is_linear = trees.iter().any(|tree| tree.linear.is_some());
        let mut builder = Builder::new(n_features, 1);
        for (index, tree) in trees.iter().enumerate() {
            let value = |leaf: usize| if is_linear { leaf as f64 } else { tree.values[leaf] };
            let leaf = |node: usize, leaves: &mut Vec<f64>| leaves.push(value(node - tree.n_inner));
            let output = if is_linear { index } else { index % n_outputs };
            builder.add(&tree.nodes, output, leaf).map_err(|problem| header.problem(problem))?;
        }
        let forest = builder.finish();
        if !is_linear {
            return Ok(Self::Constant(forest));
        }
        let constant = |value: &f64| LinearLeaf { constant: *value, terms: Vec::new(), fallback: *value };
        let leaves =
            |tree: SavedTree| tree.linear.unwrap_or_else(|| tree.values.iter().map(constant).collect());
        Ok(Self::Linear { forest, leaves: trees.into_iter().map(leaves).collect() })
    }
}

/// The categories that columns had in pandas. They are listed without saying of which columns; these are told by how
/// their values are described.
fn read_categories(blocks: &Blocks<'_>, n_features: usize) -> Result<Vec<Option<Codes>>, Fault> {
    let header = &blocks.header;
    let Some(text) = blocks.pandas_categorical else { return Ok(Vec::new()) };
    let document = json::read(text.as_bytes())?;
    let lists: &[Document] = match &document {
        Document::List(lists) => lists,
        Document::Null | Document::Numbers(_) => return Ok(Vec::new()),
        _ => return Err(header.problem("`pandas_categorical` is no list")),
    };
    let infos: Vec<&str> = header.get("feature_infos")?.split_ascii_whitespace().collect();
    if infos.len() != n_features {
        return Err(header.problem("`feature_infos` are not one per column"));
    }
    let is_category = |info: &str| !info.starts_with('[') && info != "none";
    let places = |is_own: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..n_features).filter(|index| is_own(infos[*index])).collect()
    };
    // A column that has just one value is described as `none`, whatever it is.
    let candidates = [places(&is_category), places(&|info| is_category(info) || info == "none")];
    let columns = candidates.into_iter().find(|columns| columns.len() == lists.len());
    let columns = columns.ok_or_else(|| Fault::Unsupported {
        what: format!(
            "{LIBRARY} with categories of {} columns, of which it is not clear which they are",
            lists.len()
        ),
        help: None,
    })?;
    let mut codes: Vec<Option<Codes>> = (0..n_features).map(|_| None).collect();
    for (column, list) in columns.into_iter().zip(lists) {
        codes[column] = Some(match list {
            Document::Numbers(numbers) => Codes::numbers(numbers),
            list => Codes::texts(list.place(LIBRARY).texts()?),
        });
    }
    Ok(codes)
}
