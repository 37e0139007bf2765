//! What trees see of a row: ranks instead of numbers.

use std::collections::HashMap;

use super::top::TILE;

/// How many thresholds a number exceeds, or the code of a category.
pub(super) type Rank = u16;

/// Thresholds in one view. A column with more has several views.
const MAX_THRESHOLDS: usize = Rank::MAX as usize - 2;

/// What |numbers| up to this count as zero, where zero counts as missing (`kZeroThreshold` of LightGBM).
const ALMOST_ZERO: f64 = 1e-35_f32 as f64;

/// What a test does with a value that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Missing {
    Left,
    Right,
    /// It counts as the number zero.
    Zero,
    /// It goes left, and so does zero, which counts as missing.
    ZeroLeft,
    /// It goes right, and so does zero, which counts as missing.
    ZeroRight,
}

/// What of a row a test looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Number {
        feature: u32,
        missing: Missing,
    },
    /// A whole number; what is behind the point is cut off. `from_zero`: what is below zero is no category, even if it
    /// is above minus one.
    Category {
        feature: u32,
        from_zero: bool,
    },
}

/// One number of a row as trees see it.
#[derive(Debug)]
struct View {
    key: Key,
    /// In ascending order, without repetition.
    thresholds: Vec<f64>,
}

/// All that trees look at.
#[derive(Debug)]
pub(super) struct Views(Vec<View>);

/// Finds the view and rank of a test.
pub(super) struct Finder<'v> {
    views: &'v [View],
    /// The first view of each key; further ones follow.
    firsts: HashMap<Key, usize>,
}

// === impl Key ===

impl Key {
    fn feature(self) -> usize {
        match self {
            Self::Number { feature, .. } | Self::Category { feature, .. } => feature as usize,
        }
    }
}

// === impl View ===

impl View {
    fn rank(&self, value: f64) -> Rank {
        let missing = match self.key {
            Key::Category { from_zero, .. } => return category(value, from_zero),
            Key::Number { missing, .. } => missing,
        };
        let is_zero = || value.abs() <= ALMOST_ZERO;
        match missing {
            Missing::Left if value.is_nan() => 0,
            Missing::Right if value.is_nan() => Rank::MAX - 1,
            Missing::Zero if value.is_nan() => self.n_below(0.0),
            Missing::ZeroLeft if value.is_nan() || is_zero() => 0,
            Missing::ZeroRight if value.is_nan() || is_zero() => Rank::MAX - 1,
            _ => self.n_below(value),
        }
    }

    fn n_below(&self, value: f64) -> Rank {
        self.thresholds.partition_point(|threshold| *threshold < value) as Rank
    }
}

fn category(value: f64, from_zero: bool) -> Rank {
    let is_below = if from_zero { value < 0.0 } else { value <= -1.0 };
    match value {
        _ if value.is_nan() => Views::MISSING,
        _ if is_below || value >= f64::from(Views::OTHER) => Views::OTHER,
        _ => value as Rank,
    }
}

// === impl Views ===

impl Views {
    /// The rank of a missing category.
    pub(super) const MISSING: Rank = Rank::MAX;
    /// The rank of a category beyond all codes.
    pub(super) const OTHER: Rank = Rank::MAX - 1;

    /// Views for these tests. Those by category have no threshold.
    pub(super) fn new(mut tests: Vec<(Key, f64)>) -> Self {
        tests.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut views: Vec<View> = Vec::new();
        for (key, threshold) in tests {
            let last = views.last_mut().filter(|view| view.key == key);
            match last {
                // Zero and minus zero are the same threshold.
                Some(view) if view.thresholds.last() == Some(&threshold) => {}
                Some(view) if view.thresholds.len() < MAX_THRESHOLDS => view.thresholds.push(threshold),
                _ => views.push(View { key, thresholds: vec![threshold] }),
            }
        }
        if views.is_empty() {
            // Trees that are a single leaf look at nothing, but a leaf looks at the first view.
            let key = Key::Number { feature: 0, missing: Missing::Left };
            views.push(View { key, thresholds: Vec::new() });
        }
        Self(views)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn finder(&self) -> Finder<'_> {
        let mut firsts = HashMap::new();
        for (index, view) in self.0.iter().enumerate() {
            firsts.entry(view.key).or_insert(index);
        }
        Finder { views: &self.0, firsts }
    }

    pub(super) fn rank_row(&self, row: &[f64], ranks: &mut [Rank]) {
        for (view, rank) in self.0.iter().zip(ranks) {
            *rank = view.rank(row[view.key.feature()]);
        }
    }

    /// The ranks of rows, tile after tile, and in each view after view.
    pub(super) fn rank_tiles(&self, rows: &[f64], n_features: usize, ranks: &mut [[Rank; TILE]]) {
        for (rows, ranks) in rows.chunks(n_features * TILE).zip(ranks.chunks_exact_mut(self.len())) {
            for (view, ranks) in self.0.iter().zip(ranks) {
                let values = rows.iter().skip(view.key.feature()).step_by(n_features);
                for (value, rank) in values.zip(ranks) {
                    *rank = view.rank(*value);
                }
            }
        }
    }

    /// The ranks of rows, view after view.
    pub(super) fn rank_columns(&self, rows: &[f64], n_features: usize, ranks: &mut [Rank]) {
        let n_rows = rows.len() / n_features;
        for (view, ranks) in self.0.iter().zip(ranks.chunks_exact_mut(n_rows)) {
            let values = rows.iter().skip(view.key.feature()).step_by(n_features);
            for (value, rank) in values.zip(ranks) {
                *rank = view.rank(*value);
            }
        }
    }
}

// === impl Finder ===

impl Finder<'_> {
    /// The view of a test, and the rank that numbers have to exceed to go right.
    pub(super) fn find(&self, key: Key, threshold: f64) -> (u16, Rank) {
        let mut index = self.firsts[&key];
        while self.views[index].thresholds.last().is_some_and(|last| *last < threshold) {
            index += 1;
        }
        let rank = self.views[index].thresholds.partition_point(|below| *below < threshold);
        (index as u16, rank as Rank)
    }
}
