//! The first levels of a tree, decided for many rows at once by comparing vectors instead of walking.

use super::views::Rank;
use super::{BY_CATEGORY, Packed};

/// Rows side by side, as many as a vector has ranks.
pub(super) const TILE: usize = 16;

/// Levels that are decided at once. One more would cost as much as walking it.
const LEVELS: usize = 4;

const N_NODES: usize = (1 << LEVELS) - 1;
const N_PLACES: usize = 1 << LEVELS;

/// Levels below that are counted.
const MAX_STEPS: u32 = 64;

/// The first levels of a tree, as if they had all their nodes.
#[derive(Debug)]
pub(super) struct Top {
    /// View and rank of the nodes, level after level. Rows stay left where there is none.
    nodes: [(u16, Rank); N_NODES],
    /// Where rows are below.
    places: [u32; N_PLACES],
    /// The most steps from there to a leaf, or `u32::MAX` if they are very many.
    pub(super) n_steps: u32,
}

// === impl Top ===

impl Top {
    /// A leaf is repeated on the levels below it, and so is a test by category, which is no comparison.
    pub(super) fn new(nodes: &[Packed], root: u32) -> Self {
        let mut top = Self { nodes: [(0, Rank::MAX); N_NODES], places: [root; N_PLACES], n_steps: 0 };
        let mut level = vec![root];
        let mut upper = top.nodes.iter_mut();
        for _ in 0..LEVELS {
            let below = level.iter().zip(&mut upper).flat_map(|(place, upper)| {
                let node = nodes[*place as usize];
                if node.left == *place || node.view & BY_CATEGORY != 0 {
                    return [*place; 2];
                }
                *upper = (node.view, node.rank);
                [node.left, node.left + 1]
            });
            level = below.collect();
        }
        top.places.copy_from_slice(&level);
        top.n_steps = level.iter().map(|place| n_steps(nodes, *place, MAX_STEPS)).max().unwrap_or(0);
        top
    }

    /// For tiles of rows, the numbers of the places they come to.
    #[inline(always)]
    pub(super) fn find(&self, ranks: &[[Rank; TILE]], n_views: usize, starts: &mut [[u16; TILE]]) {
        let views = self.nodes.map(|(view, _)| usize::from(view));
        // Looked at here, not for every tile.
        assert!(views.iter().all(|view| *view < n_views));
        for (tile, starts) in ranks.chunks_exact(n_views).zip(starts) {
            let columns = views.map(|view| &tile[view]);
            for (row, start) in starts.iter_mut().enumerate() {
                // All bits or none: with `if`s this would not become vectors.
                let right =
                    |node: usize| 0_u16.wrapping_sub(u16::from(columns[node][row] > self.nodes[node].1));
                let pick = |bits: u16, right: u16, left: u16| left ^ (bits & (left ^ right));
                let a = right(0);
                let b = pick(a, right(2), right(1));
                let c = pick(a, pick(b, right(6), right(5)), pick(b, right(4), right(3)));
                let d = pick(
                    a,
                    pick(b, pick(c, right(14), right(13)), pick(c, right(12), right(11))),
                    pick(b, pick(c, right(10), right(9)), pick(c, right(8), right(7))),
                );
                *start = a & 8 | b & 4 | c & 2 | d & 1;
            }
        }
    }

    /// The place that a number found stands for.
    #[inline(always)]
    pub(super) fn place(&self, start: u16) -> u32 {
        self.places[usize::from(start) % N_PLACES]
    }
}

/// The most steps to a leaf, if they are not more than `limit`.
fn n_steps(nodes: &[Packed], place: u32, limit: u32) -> u32 {
    let left = nodes[place as usize].left;
    if left == place {
        return 0;
    }
    if limit == 0 {
        return u32::MAX;
    }
    n_steps(nodes, left, limit - 1).max(n_steps(nodes, left + 1, limit - 1)).saturating_add(1)
}
