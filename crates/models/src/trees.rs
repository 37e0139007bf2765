//! Sums of decision trees, laid out for speed. All libraries' trees become these.
//!
//! Before the first step each number of a row is replaced by its rank: how many of the thresholds of its column it
//! exceeds. That is exact whatever the numbers are, decides once where missing values go ([`views`]), and makes a node
//! 8 bytes. The two children of a node lie side by side, so a step is one comparison added to an index, without a branch.
//! A leaf leads to itself, so several walks can go on together until the last one has arrived: many trees for one row,
//! or many rows for one tree. Each walk waits for memory while the others go on; that is where the time goes.

mod layout;
mod oblivious;
mod views;

use std::ops::AddAssign;

pub(crate) use layout::{Builder, Categories, Node, Test};
pub(crate) use oblivious::{Level, Oblivious, ObliviousBuilder};
pub(crate) use views::Missing;
use views::{Rank, Views};

/// Walks that go on together: as many as the processor has registers for.
const WALKS: usize = 12;

/// Rows that go through all trees before the next ones do, so that they and their sums stay near.
const BLOCK_ROWS: usize = 20 * WALKS;

/// Steps between two looks at whether all walks have arrived.
const STEPS: usize = 2;

/// Bit of [`Packed::view`]: the test is a set of categories.
const BY_CATEGORY: u16 = 1 << 15;

/// Views of one row that need no allocation: as many as a byte tells apart.
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

/// Rows that go through the trees together, and where their leaves are added.
struct Block<'b, S> {
    ranks: &'b [Rank],
    sums: &'b mut [S],
    n_outputs: usize,
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
        ranks: &mut Vec<Rank>,
    ) {
        let n_views = self.views.len();
        let n_rows = rows.len() / n_features;
        if n_rows == 1 && n_views <= FEW_VIEWS {
            let mut few = [0; FEW_VIEWS];
            self.views.rank_row(rows, &mut few[..n_views]);
            // There are not more views than a byte tells apart, so none needs to be looked for beyond the end.
            return self.add_row::<W>(|view| few[usize::from(view as u8)], sums);
        }
        ranks.resize(n_rows * n_views, 0);
        self.views.rank_rows(rows, n_features, ranks);
        let n_together = n_rows / WALKS * WALKS;
        let (together, rest) = ranks.split_at(n_together * n_views);
        let (together_sums, rest_sums) = sums.split_at_mut(n_together * n_outputs);
        if n_together > 0 {
            self.add_rows::<W>(Block { ranks: together, sums: together_sums, n_outputs });
        }
        for (ranks, sums) in rest.chunks_exact(n_views).zip(rest_sums.chunks_exact_mut(n_outputs)) {
            self.add_row::<W>(|view| ranks[usize::from(view)], sums);
        }
    }

    /// One row, many trees at a time.
    fn add_row<W: Way>(&self, rank: impl Fn(u16) -> Rank, sums: &mut [S]) {
        for trees in self.trees.chunks(WALKS) {
            let mut places = [trees[0].root; WALKS];
            for (place, tree) in places.iter_mut().zip(trees) {
                *place = tree.root;
            }
            self.walk::<W>(&mut places, |_, view| rank(view));
            for (place, tree) in places.iter().zip(trees) {
                self.leaves.add_to(*place, &mut sums[tree.output as usize..]);
            }
        }
    }

    /// Many rows at a time, one tree after another.
    fn add_rows<W: Way>(&self, block: Block<'_, S>) {
        let Block { ranks, sums, n_outputs } = block;
        let n_views = self.views.len();
        for tree in &self.trees {
            let groups = ranks.chunks_exact(n_views * WALKS).zip(sums.chunks_exact_mut(n_outputs * WALKS));
            for (ranks, sums) in groups {
                let mut places = [tree.root; WALKS];
                let row = |walk: usize| &ranks[walk * n_views..(walk + 1) * n_views];
                self.walk::<W>(&mut places, |walk, view| row(walk)[usize::from(view)]);
                for (place, sums) in places.iter().zip(sums.chunks_exact_mut(n_outputs)) {
                    self.leaves.add_to(*place, &mut sums[tree.output as usize..]);
                }
            }
        }
    }

    /// Moves all walks until none moves any more.
    fn walk<W: Way>(&self, places: &mut [u32; WALKS], rank: impl Fn(usize, u16) -> Rank) {
        loop {
            let mut moved = 0;
            for step in 0..STEPS {
                for (walk, place) in places.iter_mut().enumerate() {
                    let node = self.nodes[*place as usize];
                    let next = node.left + u32::from(W::is_right(self, node, |view| rank(walk, view)));
                    if step == STEPS - 1 {
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
}

impl<S: Sum> Leaves<S> {
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
    fn is_right<S>(_part: &Part<S>, node: Packed, rank: impl Fn(u16) -> Rank) -> bool {
        rank(node.view) > node.rank
    }
}

impl Way for AnyTest {
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
