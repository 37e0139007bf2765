//! Trees that ask the same question on a whole level, as CatBoost grows them: the answers are the bits of the leaf's
//! number.

use super::views::{Key, Missing, Rank, Views};
use crate::numeric::vectors::in_vectors;

/// Rows whose bits are made together.
const BLOCK_ROWS: usize = 128;

/// Trees whose leaves are added to a sum at once, in their order.
const TREES: usize = 4;

/// The most levels of a tree.
pub(crate) const MAX_DEPTH: usize = 16;

/// Many oblivious trees, whose leaves add up.
#[derive(Debug)]
pub(crate) struct Oblivious {
    views: Views,
    /// The view and rank of every level of every tree, the lowest bit first.
    levels: Vec<(u16, Rank)>,
    trees: Vec<Tree>,
    values: Vec<f64>,
    width: usize,
}

#[derive(Debug, Clone, Copy)]
struct Tree {
    n_levels: u32,
    /// Where its values begin.
    start: u32,
}

/// A level of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    pub(crate) feature: usize,
    /// What is greater sets the bit.
    pub(crate) threshold: f64,
    /// Whether a missing value sets it.
    pub(crate) missing: Missing,
}

/// Collects trees into an [`Oblivious`].
#[derive(Debug)]
pub(crate) struct ObliviousBuilder {
    n_features: usize,
    width: usize,
    levels: Vec<(Key, f64)>,
    trees: Vec<Tree>,
    values: Vec<f64>,
}

// === impl ObliviousBuilder ===

impl ObliviousBuilder {
    /// For trees over `n_features` columns whose leaves have `width` values.
    pub(crate) fn new(n_features: usize, width: usize) -> Self {
        Self { n_features, width, levels: Vec::new(), trees: Vec::new(), values: Vec::new() }
    }

    /// Adds a tree with the values of all its leaves. The problem, if it is none.
    pub(crate) fn add(&mut self, levels: &[Level], values: &[f64]) -> Result<(), String> {
        if levels.len() > MAX_DEPTH {
            return Err(format!("a tree has {} levels, more than {MAX_DEPTH}", levels.len()));
        }
        if values.len() != self.width << levels.len() {
            return Err("a tree has not one leaf for each combination of its tests".to_owned());
        }
        for level in levels {
            if level.feature >= self.n_features {
                return Err(format!("a tree looks at column {} of {}", level.feature, self.n_features));
            }
            if level.threshold.is_nan() {
                return Err("a tree compares with NaN".to_owned());
            }
            let key = Key::Number { feature: level.feature as u32, missing: level.missing };
            self.levels.push((key, level.threshold));
        }
        let start = u32::try_from(self.values.len()).map_err(|_| "there are too many leaves".to_owned())?;
        self.trees.push(Tree { n_levels: levels.len() as u32, start });
        self.values.extend_from_slice(values);
        Ok(())
    }

    pub(crate) fn finish(self) -> Oblivious {
        let views = Views::new(self.levels.clone());
        let finder = views.finder();
        let levels = self.levels.iter().map(|(key, threshold)| finder.find(*key, *threshold)).collect();
        Oblivious { levels, trees: self.trees, values: self.values, width: self.width, views }
    }
}

// === impl Oblivious ===

impl Oblivious {
    /// Adds the leaves that rows of `n_features` numbers reach to `sums`, one row of them per row, in tree order.
    pub(crate) fn add_to(&self, rows: &[f64], n_features: usize, sums: &mut [f64]) {
        let blocks = rows.chunks(n_features * BLOCK_ROWS).zip(sums.chunks_mut(self.width * BLOCK_ROWS));
        let mut ranks = Vec::new();
        for (rows, sums) in blocks {
            let n_rows = rows.len() / n_features;
            ranks.resize(self.views.len() * n_rows, 0);
            self.views.rank_columns(rows, n_features, &mut ranks);
            match n_rows {
                1 => self.add_row(&ranks, sums),
                _ => in_vectors(
                    #[inline(always)]
                    || self.add_block(&ranks, sums),
                ),
            }
        }
    }

    fn add_row(&self, ranks: &[Rank], sums: &mut [f64]) {
        let mut levels = &self.levels[..];
        for tree in &self.trees {
            let (own, rest) = levels.split_at(tree.n_levels as usize);
            levels = rest;
            let bits = own.iter().enumerate();
            let leaf = bits.fold(0, |leaf, (bit, (view, rank))| {
                leaf | usize::from(ranks[usize::from(*view)] > *rank) << bit
            });
            self.add_leaf(*tree, leaf, sums);
        }
    }

    /// Rows side by side.
    #[inline(always)]
    fn add_block(&self, ranks: &[Rank], sums: &mut [f64]) {
        let n_rows = sums.len() / self.width;
        let mut levels = &self.levels[..];
        let mut leaves = [[0_u16; BLOCK_ROWS]; TREES];
        for trees in self.trees.chunks(TREES) {
            for (tree, leaves) in trees.iter().zip(&mut leaves) {
                let (own, rest) = levels.split_at(tree.n_levels as usize);
                levels = rest;
                find_leaves(own, ranks, &mut leaves[..n_rows]);
            }
            if let (1, Ok(trees)) = (self.width, <&[Tree; TREES]>::try_from(trees)) {
                let values = trees.map(|tree| self.values_of(tree));
                for (row, sum) in sums.iter_mut().enumerate() {
                    *sum = values
                        .iter()
                        .zip(&leaves)
                        .fold(*sum, |sum, (values, leaves)| sum + values[usize::from(leaves[row])]);
                }
                continue;
            }
            for (tree, leaves) in trees.iter().zip(&leaves) {
                for (leaf, sums) in leaves.iter().zip(sums.chunks_exact_mut(self.width)) {
                    self.add_leaf(*tree, usize::from(*leaf), sums);
                }
            }
        }
    }

    /// The values of all leaves of a tree.
    #[inline(always)]
    fn values_of(&self, tree: Tree) -> &[f64] {
        &self.values[tree.start as usize..][..self.width << tree.n_levels]
    }

    fn add_leaf(&self, tree: Tree, leaf: usize, sums: &mut [f64]) {
        let start = tree.start as usize + leaf * self.width;
        for (sum, value) in sums.iter_mut().zip(&self.values[start..start + self.width]) {
            *sum += *value;
        }
    }
}

/// The leaves of a tree that rows reach. `ranks` are theirs view after view.
#[inline(always)]
fn find_leaves(levels: &[(u16, Rank)], ranks: &[Rank], leaves: &mut [u16]) {
    leaves.fill(0);
    let n_rows = leaves.len();
    for (bit, (view, rank)) in levels.iter().enumerate() {
        let column = &ranks[usize::from(*view) * n_rows..][..n_rows];
        for (leaf, value) in leaves.iter_mut().zip(column) {
            *leaf |= u16::from(*value > *rank) << bit;
        }
    }
}
