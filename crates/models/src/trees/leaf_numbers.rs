//! Which leaves rows reach, in the numbers that a library gave its nodes: what `apply` answers.
//!
//! No sum needs these numbers, so they are beside what walks read, and only where they can be asked for.

use super::views::Rank;
use super::{AnyTest, Forest, Part, Sum, WALKS};

/// The numbers of all leaves of a forest.
#[derive(Debug)]
pub(crate) struct LeafNumbers(pub(super) Vec<PartNumbers>);

/// The numbers of the leaves of a part: four bytes for each, and two bits for each node to find them by.
#[derive(Debug, Default)]
pub(super) struct PartNumbers {
    words: Vec<Word>,
    /// In the order of their places.
    numbers: Vec<u32>,
}

/// Which of 64 places are leaves.
#[derive(Debug)]
struct Word {
    is_leaf: u64,
    /// How many leaves have places before these.
    n_before: u32,
}

// === impl Forest ===

impl<S: Sum> Forest<S> {
    /// The numbers of the leaves that rows of `n_features` numbers reach: row after row, one for each tree.
    pub(crate) fn leaves(&self, numbers: &LeafNumbers, rows: &[f64], n_features: usize) -> Vec<u32> {
        let mut leaves = Vec::with_capacity(rows.len() / n_features * self.n_trees);
        let mut ranks = Vec::new();
        for row in rows.chunks_exact(n_features) {
            for (part, numbers) in self.parts.iter().zip(&numbers.0) {
                ranks.resize(part.views.len(), 0);
                part.views.rank_row(row, &mut ranks);
                part.find_leaves(numbers, &ranks, &mut leaves);
            }
        }
        leaves
    }
}

impl<S: Sum> Part<S> {
    fn find_leaves(&self, numbers: &PartNumbers, ranks: &[Rank], leaves: &mut Vec<u32>) {
        for trees in self.trees.chunks(WALKS) {
            let mut places = [trees[0].root; WALKS];
            for (place, tree) in places.iter_mut().zip(trees) {
                *place = tree.root;
            }
            self.walk::<AnyTest, WALKS>(&mut places, u32::MAX, |_, view| ranks[usize::from(view)]);
            leaves.extend(places[..trees.len()].iter().map(|place| numbers.find(*place)));
        }
    }
}

// === impl PartNumbers ===

impl PartNumbers {
    /// Adds a leaf. Its place is behind those of all leaves before.
    pub(super) fn push(&mut self, place: usize, number: u32) {
        let word = place / 64;
        while self.words.len() <= word {
            self.words.push(Word { is_leaf: 0, n_before: self.numbers.len() as u32 });
        }
        self.words[word].is_leaf |= 1 << (place % 64);
        self.numbers.push(number);
    }

    /// The number of the leaf at a place.
    fn find(&self, place: u32) -> u32 {
        let word = &self.words[place as usize / 64];
        let before = word.is_leaf & ((1 << (place % 64)) - 1);
        self.numbers[(word.n_before + before.count_ones()) as usize]
    }
}
