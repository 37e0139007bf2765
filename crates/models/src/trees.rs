//! Sums of decision trees, laid out for speed.
//!
//! A node takes 16 bytes and its two children lie side by side, so a step is one comparison added to an index, without a
//! branch. A leaf leads to itself, so several walks can go on together until the last one has arrived: twelve trees for
//! one row, or twelve rows for one tree. Each walk waits for memory while the others go on; that is where the time goes.

mod layout;

pub(crate) use layout::{Builder, Node, Test};

/// Walks that go on together: as many as the processor has registers for.
const WALKS: usize = 12;

/// Rows that go through all trees before the next ones do, so that they and their sums stay near.
const BLOCK_ROWS: usize = 20 * WALKS;

/// Bit of [`Packed::feature`]: a missing value goes right.
const MISSING_RIGHT: u32 = 1 << 31;

/// Bit of [`Packed::feature`]: the test is a set of categories.
const BY_CATEGORY: u32 = 1 << 30;

/// Bits of [`Packed::feature`] that number the column.
const FEATURE: u32 = BY_CATEGORY - 1;

/// High bits of [`Packed::test`] in a leaf. They make it a NaN, which nothing is greater than.
const LEAF: u64 = 0x7ff8 << 48;

/// Many trees, whose leaves add up.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    nodes: Vec<Packed>,
    /// Where each tree begins.
    roots: Vec<u32>,
    /// `width` values for each leaf.
    leaves: Vec<f64>,
    width: usize,
    categories: Vec<Categories>,
}

#[derive(Debug, Clone, Copy)]
struct Packed {
    /// The bits of a number: what is greater goes right. By category: the set's number. In a leaf: [`LEAF`] and the
    /// leaf's number.
    test: u64,
    /// The column, and two flags.
    feature: u32,
    /// The left child; the right one is next to it. A leaf itself.
    left: u32,
}

/// Which of the categories 0 to 255 go left, and which are known; others count as missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Categories {
    pub(crate) left: [u32; 8],
    pub(crate) known: [u32; 8],
}

/// Rows that go through the trees together, and where their leaves are added.
struct Block<'b> {
    rows: &'b [f64],
    n_features: usize,
    sums: &'b mut [f64],
    n_outputs: usize,
}

/// Which way a walk goes from a node. There are several so that rows without missing values, and trees without
/// categories, do not pay for those.
trait Way {
    fn is_right(forest: &Forest, node: Packed, value: f64) -> bool;
}

/// All values are there, and all tests compare.
struct Compare;

/// Values may be missing.
struct CompareOrMiss;

/// Tests may be sets of categories.
struct AnyTest;

// === impl Forest ===

impl Forest {
    /// Adds the leaves that rows of `n_features` numbers reach to `sums`, `n_outputs` per row. The trees take turns
    /// with the outputs, in tree order.
    pub(crate) fn add_to(&self, rows: &[f64], n_features: usize, sums: &mut [f64], n_outputs: usize) {
        let blocks = rows.chunks(n_features * BLOCK_ROWS).zip(sums.chunks_mut(n_outputs * BLOCK_ROWS));
        for (rows, sums) in blocks {
            let block = Block { rows, n_features, sums, n_outputs };
            if !self.categories.is_empty() {
                self.add_block::<AnyTest>(block);
            } else if rows.iter().any(|value| value.is_nan()) {
                self.add_block::<CompareOrMiss>(block);
            } else {
                self.add_block::<Compare>(block);
            }
        }
    }

    fn add_block<W: Way>(&self, block: Block<'_>) {
        let Block { rows, n_features, sums, n_outputs } = block;
        let n_together = rows.len() / n_features / WALKS * WALKS;
        let (together, rest) = rows.split_at(n_together * n_features);
        let (together_sums, rest_sums) = sums.split_at_mut(n_together * n_outputs);
        if n_together > 0 {
            self.add_rows::<W>(Block { rows: together, n_features, sums: together_sums, n_outputs });
        }
        for (row, sums) in rest.chunks_exact(n_features).zip(rest_sums.chunks_exact_mut(n_outputs)) {
            self.add_row::<W>(row, sums);
        }
    }

    /// One row, many trees at a time.
    fn add_row<W: Way>(&self, row: &[f64], sums: &mut [f64]) {
        let mut output = 0;
        for roots in self.roots.chunks(WALKS) {
            let mut places = [roots[0]; WALKS];
            places[..roots.len()].copy_from_slice(roots);
            self.walk::<W>(&mut places, |_| row);
            for place in &places[..roots.len()] {
                self.add_leaf(*place, &mut sums[output..]);
                output = (output + self.width) % sums.len();
            }
        }
    }

    /// Many rows at a time, one tree after another.
    fn add_rows<W: Way>(&self, block: Block<'_>) {
        let Block { rows, n_features, sums, n_outputs } = block;
        let mut output = 0;
        for root in &self.roots {
            let groups = rows.chunks_exact(n_features * WALKS).zip(sums.chunks_exact_mut(n_outputs * WALKS));
            for (rows, sums) in groups {
                let mut places = [*root; WALKS];
                self.walk::<W>(&mut places, |walk| &rows[walk * n_features..(walk + 1) * n_features]);
                for (place, sums) in places.iter().zip(sums.chunks_exact_mut(n_outputs)) {
                    self.add_leaf(*place, &mut sums[output..]);
                }
            }
            output = (output + self.width) % n_outputs;
        }
    }

    /// Moves all walks until none moves any more.
    fn walk<'r, W: Way>(&self, places: &mut [u32; WALKS], row: impl Fn(usize) -> &'r [f64]) {
        loop {
            let mut moved = 0;
            for (walk, place) in places.iter_mut().enumerate() {
                let node = self.nodes[*place as usize];
                let value = row(walk)[(node.feature & FEATURE) as usize];
                let next = node.left + u32::from(W::is_right(self, node, value));
                moved |= next ^ *place;
                *place = next;
            }
            if moved == 0 {
                return;
            }
        }
    }

    fn add_leaf(&self, place: u32, sums: &mut [f64]) {
        let leaf = (self.nodes[place as usize].test & u64::from(u32::MAX)) as usize;
        let values = &self.leaves[leaf * self.width..(leaf + 1) * self.width];
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }

    /// How many trees there are.
    pub(crate) fn n_trees(&self) -> usize {
        self.roots.len()
    }
}

// === impl Way ===

impl Way for Compare {
    fn is_right(_forest: &Forest, node: Packed, value: f64) -> bool {
        value > f64::from_bits(node.test)
    }
}

impl Way for CompareOrMiss {
    fn is_right(_forest: &Forest, node: Packed, value: f64) -> bool {
        (value > f64::from_bits(node.test)) | (value.is_nan() & node.sends_missing_right())
    }
}

impl Way for AnyTest {
    fn is_right(forest: &Forest, node: Packed, value: f64) -> bool {
        if node.feature & BY_CATEGORY == 0 {
            return CompareOrMiss::is_right(forest, node, value);
        }
        let categories = &forest.categories[node.test as usize];
        let contains = |set: &[u32; 8], category: usize| set[category / 32] >> (category % 32) & 1 == 1;
        // A category is a whole number; a fraction is cut off.
        match value {
            0.0..256.0 if contains(&categories.left, value as usize) => false,
            0.0..256.0 if contains(&categories.known, value as usize) => true,
            _ => node.sends_missing_right(),
        }
    }
}

impl Packed {
    fn sends_missing_right(self) -> bool {
        self.feature & MISSING_RIGHT != 0
    }
}

#[cfg(test)]
mod tests;
