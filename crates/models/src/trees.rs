//! Sums of decision trees, laid out for speed. All libraries' trees become these.
//!
//! Before the first step each number of a row is replaced by its rank: how many of the thresholds of its column it
//! exceeds. That is exact whatever the numbers are, decides once where missing values go ([`views`]), and makes a node
//! 8 bytes. The two children of a node lie side by side, so a step is one comparison added to an index, without a branch.
//! A leaf leads to itself, so several walks can go on together until the last one has arrived: many trees for one row,
//! or many rows for one tree. Each walk waits for memory while the others go on; that is where the time goes. Many rows
//! do not walk the first levels of a tree: those are few nodes, and all of them are compared at once ([`top`]). Which leaf
//! it is that a row reaches, and not just what it holds, is told beside all this ([`leaf_numbers`]).

mod layout;
mod leaf_numbers;
mod oblivious;
mod top;
mod views;

use std::ops::AddAssign;

pub(crate) use layout::{Builder, Categories, Node, Test};
pub(crate) use leaf_numbers::LeafNumbers;
pub(crate) use oblivious::{Level, Oblivious, ObliviousBuilder};
use top::{TILE, Top};
pub(crate) use views::Missing;
use views::{Rank, Views};

use crate::numeric::vectors::in_vectors;

/// Trees that one row walks together: as many as the processor has registers for.
const WALKS: usize = 12;

/// Rows that walk one tree together: half a tile.
const GROUP: usize = 8;

/// Rows that go through all trees before the next ones do, so that they and their sums stay near.
const BLOCK_ROWS: usize = 16 * TILE;

/// Steps of a group before the first look at whether all walks have arrived.
const FEW_STEPS: u32 = 4;

/// Steps between two looks at whether all walks have arrived.
const STEPS: u32 = 2;

/// Bit of [`Packed::view`]: the test is a set of categories.
const BY_CATEGORY: u16 = 1 << 15;

/// Views that are looked up faster, and for one row without allocation: as many as a byte tells apart.
const FEW_VIEWS: usize = 1 << u8::BITS;

/// What leaves hold and sums add up: `f64`, or `f32` where the library computes so.
pub(crate) trait Sum: Copy + Default + AddAssign {}

impl Sum for f32 {}
impl Sum for f64 {}

/// Many trees, whose leaves add up.
#[derive(Debug)]
pub(crate) struct Forest<S = f64> {
    /// Mostly one; several where trees look at very many columns.
    parts: Vec<Part<S>>,
    n_trees: usize,
}

/// Trees in a row that share their views.
#[derive(Debug)]
struct Part<S> {
    views: Views,
    nodes: Vec<Packed>,
    trees: Vec<Tree>,
    /// One for each tree.
    tops: Vec<Top>,
    leaves: Leaves<S>,
    sets: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Tree {
    root: u32,
    /// Which sum its leaves are added to.
    output: u32,
}

#[derive(Debug, Clone, Copy)]
struct Packed {
    /// The left child; the right one is next to it. A leaf itself.
    left: u32,
    /// What the row is looked up in, and a flag.
    view: u16,
    /// What is greater goes right. By category: where those go that are in no set ([`Way`]).
    rank: Rank,
}

/// The values of leaves, by the place of the node.
#[derive(Debug)]
struct Leaves<S> {
    width: usize,
    /// Where the values of a node begin; empty if each node has just one.
    starts: Vec<u32>,
    values: Vec<S>,
}

/// Which way a walk goes from a node. There are two so that trees without categories do not pay for those.
trait Way {
    /// `rank` is asked for the rank in a view.
    fn is_right<S>(part: &Part<S>, node: Packed, rank: impl Fn(u16) -> Rank) -> bool;
}

/// All tests compare.
struct Compare;

/// Tests may be sets of categories.
struct AnyTest;

// === impl Forest ===

impl<S: Sum> Forest<S> {
    /// Adds the leaves that rows of `n_features` numbers reach to `sums`, `n_outputs` per row, in tree order.
    pub(crate) fn add_to(&self, rows: &[f64], n_features: usize, sums: &mut [S], n_outputs: usize) {
        for part in &self.parts {
            let mut ranks = Vec::new();
            let blocks = rows.chunks(n_features * BLOCK_ROWS).zip(sums.chunks_mut(n_outputs * BLOCK_ROWS));
            for (rows, sums) in blocks {
                match part.sets.is_empty() {
                    true => part.add_block::<Compare>(rows, n_features, sums, n_outputs, &mut ranks),
                    false => part.add_block::<AnyTest>(rows, n_features, sums, n_outputs, &mut ranks),
                }
            }
        }
    }

    /// How many trees there are.
    pub(crate) fn n_trees(&self) -> usize {
        self.n_trees
    }
}

// === impl Part ===

impl<S: Sum> Part<S> {
    fn add_block<W: Way>(
        &self,
        rows: &[f64],
        n_features: usize,
        sums: &mut [S],
        n_outputs: usize,
        ranks: &mut Vec<[Rank; TILE]>,
    ) {
        let n_together = rows.len() / n_features / GROUP * GROUP;
        let (together, rest) = rows.split_at(n_together * n_features);
        let (together_sums, rest_sums) = sums.split_at_mut(n_together * n_outputs);
        if n_together > 0 {
            let n_views = self.views.len();
            // Behind the last tile there is room for as many views as are looked up.
            ranks.resize(n_together.div_ceil(TILE) * n_views + FEW_VIEWS, [0; TILE]);
            self.views.rank_tiles(together, n_features, ranks);
            let (ranks, sums) = (&ranks[..], together_sums);
            in_vectors(
                #[inline(always)]
                || match n_views <= FEW_VIEWS {
                    true => {
                        let tile = |tile: usize| {
                            ranks[tile * n_views..].first_chunk::<FEW_VIEWS>().expect("there is room")
                        };
                        self.add_rows::<W, _>(ranks, sums, n_outputs, tile, |tile, view| {
                            &tile[usize::from(view as u8)]
                        });
                    }
                    false => {
                        let tile = |tile: usize| &ranks[tile * n_views..];
                        self.add_rows::<W, _>(ranks, sums, n_outputs, tile, |tile, view| {
                            &tile[usize::from(view)]
                        });
                    }
                },
            );
        }
        for (row, sums) in rest.chunks_exact(n_features).zip(rest_sums.chunks_exact_mut(n_outputs)) {
            self.rank_and_add_row::<W>(row, sums);
        }
    }

    fn rank_and_add_row<W: Way>(&self, row: &[f64], sums: &mut [S]) {
        let n_views = self.views.len();
        if n_views <= FEW_VIEWS {
            let mut few = [0; FEW_VIEWS];
            self.views.rank_row(row, &mut few[..n_views]);
            // There are not more views than a byte tells apart, so none needs to be looked for beyond the end.
            return self.add_row::<W>(|view| few[usize::from(view as u8)], sums);
        }
        let mut ranks = vec![0; n_views];
        self.views.rank_row(row, &mut ranks);
        self.add_row::<W>(|view| ranks[usize::from(view)], sums);
    }

    /// One row, many trees at a time.
    fn add_row<W: Way>(&self, rank: impl Fn(u16) -> Rank, sums: &mut [S]) {
        for trees in self.trees.chunks(WALKS) {
            let mut places = [trees[0].root; WALKS];
            for (place, tree) in places.iter_mut().zip(trees) {
                *place = tree.root;
            }
            self.walk::<W, WALKS>(&mut places, u32::MAX, |_, view| rank(view));
            for (place, tree) in places.iter().zip(trees) {
                self.leaves.add_to(*place, &mut sums[tree.output as usize..]);
            }
        }
    }

    /// Many rows at a time, one tree after another. `tile` is asked for the ranks of a tile, `column` for those in a view.
    #[inline(always)]
    fn add_rows<'r, W: Way, T: Copy>(
        &self,
        ranks: &[[Rank; TILE]],
        sums: &mut [S],
        n_outputs: usize,
        tile: impl Fn(usize) -> T,
        column: impl Fn(T, u16) -> &'r [Rank; TILE],
    ) {
        let n_views = self.views.len();
        let mut starts = [[0; TILE]; BLOCK_ROWS / TILE];
        for (tree, top) in self.trees.iter().zip(&self.tops) {
            let output = tree.output as usize;
            if self.nodes[tree.root as usize].left == tree.root {
                let rows = sums.chunks_exact_mut(n_outputs);
                rows.for_each(|sums| self.leaves.add_to(tree.root, &mut sums[output..]));
                continue;
            }
            let n_tiles = sums.len().div_ceil(n_outputs * TILE);
            top.find(ranks, n_views, &mut starts[..n_tiles]);
            for (index, (starts, sums)) in starts.iter().zip(sums.chunks_mut(n_outputs * TILE)).enumerate() {
                let tile = tile(index);
                let groups =
                    starts.as_chunks::<GROUP>().0.iter().zip(sums.chunks_exact_mut(n_outputs * GROUP));
                for (group, (starts, sums)) in groups.enumerate() {
                    let mut places = starts.map(|start| top.place(start));
                    let rank = |walk, view| column(tile, view)[group * GROUP + walk];
                    self.walk_on::<W>(&mut places, top.n_steps, rank);
                    self.leaves.add_group(&places, output, sums, n_outputs);
                }
            }
        }
    }

    /// Moves all walks, at most `n_steps`; those that have arrived stay.
    #[inline(always)]
    fn walk_on<W: Way>(&self, places: &mut [u32; GROUP], n_steps: u32, rank: impl Fn(usize, u16) -> Rank) {
        for _ in 0..n_steps.min(FEW_STEPS) {
            for (walk, place) in places.iter_mut().enumerate() {
                *place = self.next::<W>(*place, |view| rank(walk, view));
            }
        }
        self.walk::<W, GROUP>(places, n_steps.saturating_sub(FEW_STEPS), rank);
    }

    /// Moves all walks until none moves any more, which is after `n_steps` at the latest.
    #[inline(always)]
    fn walk<W: Way, const N: usize>(
        &self,
        places: &mut [u32; N],
        n_steps: u32,
        rank: impl Fn(usize, u16) -> Rank,
    ) {
        for _ in 0..n_steps.div_ceil(STEPS) {
            let mut moved = 0;
            for step in 1..=STEPS {
                for (walk, place) in places.iter_mut().enumerate() {
                    let next = self.next::<W>(*place, |view| rank(walk, view));
                    if step == STEPS {
                        moved |= next ^ *place;
                    }
                    *place = next;
                }
            }
            if moved == 0 {
                return;
            }
        }
    }

    /// Where a walk goes.
    #[inline(always)]
    fn next<W: Way>(&self, place: u32, rank: impl Fn(u16) -> Rank) -> u32 {
        let node = self.nodes[place as usize];
        node.left + u32::from(W::is_right(self, node, rank))
    }
}

impl<S: Sum> Leaves<S> {
    /// For a group of rows.
    #[inline(always)]
    fn add_group(&self, places: &[u32; GROUP], output: usize, sums: &mut [S], n_outputs: usize) {
        if self.starts.is_empty() {
            for (place, sum) in places.iter().zip(sums[output..].iter_mut().step_by(n_outputs)) {
                *sum += self.values[*place as usize];
            }
            return;
        }
        for (place, sums) in places.iter().zip(sums.chunks_exact_mut(n_outputs)) {
            self.add_to(*place, &mut sums[output..]);
        }
    }

    /// For one row.
    fn add_to(&self, place: u32, sums: &mut [S]) {
        if self.starts.is_empty() {
            sums[0] += self.values[place as usize];
            return;
        }
        let start = self.starts[place as usize] as usize;
        for (sum, value) in sums.iter_mut().zip(&self.values[start..start + self.width]) {
            *sum += *value;
        }
    }
}

// === impl Way ===

impl Way for Compare {
    #[inline(always)]
    fn is_right<S>(_part: &Part<S>, node: Packed, rank: impl Fn(u16) -> Rank) -> bool {
        rank(node.view) > node.rank
    }
}

impl Way for AnyTest {
    #[inline(always)]
    fn is_right<S>(part: &Part<S>, node: Packed, rank: impl Fn(u16) -> Rank) -> bool {
        let rank = rank(node.view & !BY_CATEGORY);
        if node.view & BY_CATEGORY == 0 {
            return rank > node.rank;
        }
        // A node with a set has a third place after its children, which says where in `sets` it is.
        let set = part.nodes[node.left as usize + 2].left as usize;
        let n_words = part.sets[set] as usize;
        match usize::from(rank) / 32 {
            _ if rank == Views::MISSING => node.rank & Packed::MISSING_RIGHT != 0,
            word if word < n_words => part.sets[set + 1 + word] >> (rank % 32) & 1 == 1,
            _ => node.rank & Packed::OTHERS_RIGHT != 0,
        }
    }
}

impl Packed {
    const MISSING_RIGHT: Rank = 1;
    const OTHERS_RIGHT: Rank = 2;
}

#[cfg(test)]
mod tests;
