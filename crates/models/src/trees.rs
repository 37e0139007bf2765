//! Sums of decision trees, laid out for speed.
//!
//! A node takes 16 bytes and its two children lie side by side, so a step is one comparison added to an index, without a
//! branch. A leaf leads to itself, so several walks can go on together until the last one has arrived: eight trees for
//! one row, or eight rows for one tree. Each walk waits for memory while the others go on; that is where the time goes.

mod layout;

pub(crate) use layout::{Builder, Node, Test};

/// Walks that go on together.
const WALKS: usize = 8;

/// Rows that go through all trees before the next ones do, so that they and their sums stay near.
const BLOCK_ROWS: usize = 64;

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

// === impl Forest ===

impl Forest {
    /// Adds the leaves that `n_rows` rows of `n_features` numbers reach to `sums`, `n_outputs` per row. The trees take
    /// turns with the outputs, in tree order.
    pub(crate) fn add_to(&self, rows: &[f64], n_features: usize, sums: &mut [f64], n_outputs: usize) {
        let has_categories = !self.categories.is_empty();
        if has_categories {
            self.add::<true>(rows, n_features, sums, n_outputs);
        } else {
            self.add::<false>(rows, n_features, sums, n_outputs);
        }
    }

    fn add<const CATEGORIES: bool>(
        &self,
        rows: &[f64],
        n_features: usize,
        sums: &mut [f64],
        n_outputs: usize,
    ) {
        let blocks = rows.chunks(n_features * BLOCK_ROWS).zip(sums.chunks_mut(n_outputs * BLOCK_ROWS));
        for (rows, sums) in blocks {
            let (eights, rest) = rows.split_at(rows.len() / (n_features * WALKS) * (n_features * WALKS));
            let n_eights = eights.len() / n_features;
            let (eight_sums, rest_sums) = sums.split_at_mut(n_eights * n_outputs);
            if !eights.is_empty() {
                self.add_rows::<CATEGORIES>(eights, n_features, eight_sums, n_outputs);
            }
            for (row, sums) in rest.chunks_exact(n_features).zip(rest_sums.chunks_exact_mut(n_outputs)) {
                self.add_row::<CATEGORIES>(row, sums);
            }
        }
    }

    /// One row, eight trees at a time.
    fn add_row<const CATEGORIES: bool>(&self, row: &[f64], sums: &mut [f64]) {
        let mut output = 0;
        for roots in self.roots.chunks(WALKS) {
            let mut places = [roots[0]; WALKS];
            places[..roots.len()].copy_from_slice(roots);
            self.walk::<CATEGORIES>(&mut places, |_| row);
            for place in &places[..roots.len()] {
                self.add_leaf(*place, &mut sums[output..]);
                output = (output + self.width) % sums.len();
            }
        }
    }

    /// Eight rows at a time, one tree after another.
    fn add_rows<const CATEGORIES: bool>(
        &self,
        rows: &[f64],
        n_features: usize,
        sums: &mut [f64],
        n_outputs: usize,
    ) {
        let mut output = 0;
        for root in &self.roots {
            let groups = rows.chunks_exact(n_features * WALKS).zip(sums.chunks_exact_mut(n_outputs * WALKS));
            for (rows, sums) in groups {
                let mut places = [*root; WALKS];
                self.walk::<CATEGORIES>(&mut places, |walk| {
                    &rows[walk * n_features..(walk + 1) * n_features]
                });
                for (place, sums) in places.iter().zip(sums.chunks_exact_mut(n_outputs)) {
                    self.add_leaf(*place, &mut sums[output..]);
                }
            }
            output = (output + self.width) % n_outputs;
        }
    }

    /// Moves all walks until none moves any more.
    fn walk<'r, const CATEGORIES: bool>(&self, places: &mut [u32; WALKS], row: impl Fn(usize) -> &'r [f64]) {
        loop {
            let mut moved = 0;
            for (walk, place) in places.iter_mut().enumerate() {
                let next = self.step::<CATEGORIES>(*place, row(walk));
                moved |= next ^ *place;
                *place = next;
            }
            if moved == 0 {
                return;
            }
        }
    }

    fn step<const CATEGORIES: bool>(&self, place: u32, row: &[f64]) -> u32 {
        let node = self.nodes[place as usize];
        let value = row[(node.feature & FEATURE) as usize];
        if CATEGORIES && node.feature & BY_CATEGORY != 0 {
            return node.left + u32::from(self.goes_right_by_category(node, value));
        }
        let is_greater = value > f64::from_bits(node.test);
        let is_missing_and_right = value.is_nan() & (node.feature & MISSING_RIGHT != 0);
        node.left + u32::from(is_greater | is_missing_and_right)
    }

    fn goes_right_by_category(&self, node: Packed, value: f64) -> bool {
        let categories = &self.categories[node.test as usize];
        let contains = |set: &[u32; 8], category: usize| set[category / 32] >> (category % 32) & 1 == 1;
        // A category is a whole number; a fraction is cut off.
        match value {
            0.0..256.0 if contains(&categories.left, value as usize) => false,
            0.0..256.0 if contains(&categories.known, value as usize) => true,
            _ => node.feature & MISSING_RIGHT != 0,
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

#[cfg(test)]
mod tests;
