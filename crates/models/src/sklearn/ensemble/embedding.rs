//! `RandomTreesEmbedding`: a column for each leaf of each tree, with a one where a row arrives.

use super::members;
use crate::estimator::{Part, Predictor, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Matrix, Refusal, Rows, Takes};
use crate::sklearn::tree;
use crate::trees::{Builder, Forest, Node};
use crate::{Data, Method, Prediction};

#[derive(Debug)]
struct Embedding {
    n_features: usize,
    /// For each column: the number of its leaf among the nodes of its tree.
    leaves: Vec<i64>,
    gives_sparse: bool,
    /// One sum per tree: the column of the leaf.
    forest: Forest,
}

pub(super) fn embedding(object: &Object<'_>) -> Result<Step, Fault> {
    let encoder = object.get("one_hot_encoder_")?.object()?;
    let leaves = encoder.get("categories_")?;
    let leaves: Vec<Vec<i64>> = leaves.items()?.iter().map(Value::integers).collect::<Result<_, _>>()?;
    let trees = members(object)?;
    let problem = || object.problem("its columns are not those of its leaves");
    if trees.len() != leaves.len() {
        return Err(problem());
    }
    let mut builder: Option<(usize, Builder)> = None;
    let mut start = 0;
    for (index, (tree, leaves)) in trees.iter().zip(&leaves).enumerate() {
        let tree = tree::SavedTree::read(tree)?;
        let (n_features, builder) =
            builder.get_or_insert_with(|| (tree.n_features, Builder::new(tree.n_features, 1)));
        let is_leaf = |node: usize| tree.nodes[node] == Node::Leaf;
        let own = (0..tree.nodes.len()).filter(|node| is_leaf(*node)).map(|node| node as i64);
        if !own.eq(leaves.iter().copied()) || tree.n_features != *n_features {
            return Err(problem());
        }
        let column = |node: usize| leaves.partition_point(|leaf| *leaf < node as i64);
        let added =
            builder.add(&tree.nodes, index, |node, values| values.push((start + column(node)) as f64));
        added.map_err(|problem| object.problem(problem))?;
        start += leaves.len();
    }
    let (n_features, builder) = builder.ok_or_else(problem)?;
    let gives_sparse = object.flag_or("sparse_output", true)?;
    let leaves = leaves.concat();
    Ok(transformer(Embedding { n_features, leaves, gives_sparse, forest: builder.finish() }))
}

impl Embedding {
    /// For each row, the columns of the leaves that it reaches, one for each tree.
    fn columns(&self, matrix: &Matrix<'_>) -> Vec<f64> {
        let n_trees = self.forest.n_trees();
        let mut columns = vec![0.0; matrix.n_rows * n_trees];
        self.forest.add_to(&matrix.values, self.n_features, &mut columns, n_trees);
        columns
    }
}

impl Part for Embedding {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.n_features)
    }
}

impl Transformer for Embedding {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.leaves.len()
    }

    fn besides(&self) -> Option<&dyn Predictor> {
        Some(self)
    }

    fn gives_sparse(&self, _takes_sparse: bool) -> bool {
        self.gives_sparse
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let matrix = tree::rounded(rows, Takes::Finite, "RandomTreesEmbedding")?;
        let (n_trees, n_outputs) = (self.forest.n_trees(), self.leaves.len());
        let columns = self.columns(&matrix);
        let mut values = vec![0.0; matrix.n_rows * n_outputs];
        for (columns, row) in columns.chunks_exact(n_trees).zip(values.chunks_exact_mut(n_outputs)) {
            columns.iter().for_each(|column| row[*column as usize] = 1.0);
        }
        Ok(Rows::matrix(matrix.n_rows, n_outputs, values))
    }
}

impl Predictor for Embedding {
    fn methods(&self) -> Vec<Method> {
        vec![Method::Apply]
    }

    fn predict(&self, _method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        let matrix = tree::rounded(rows, Takes::Finite, "RandomTreesEmbedding")?;
        let leaf = |column: &f64| self.leaves[*column as usize];
        let leaves = self.columns(&matrix).iter().map(leaf).collect();
        Ok(Prediction::rows(self.forest.n_trees(), Data::Long(leaves)))
    }
}
