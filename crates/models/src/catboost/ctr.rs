//! Statistics over categories (CTR): how often categories were seen in the training, and with which targets, becomes a
//! number that trees compare. What is read here is `TStaticCtrProvider::CalcCtrs` of the library, in its 32-bit numbers.

use std::collections::HashMap;

use super::saved::Saved;
use crate::fault::Fault;
use crate::trees::Missing;

/// What the library mixes hashes with (`catboost/libs/model/hash.h`).
const MULTIPLIER: u64 = 0x4906_ba49_4954_cb65;

/// The hash of a place in a table that is empty.
const NO_HASH: u64 = u64::MAX;

/// Statistics of one model.
pub(super) const MAX_STATISTICS: usize = 1 << 15;

/// What combinations and borders of all statistics have together: tables of a `cbm` file may be told many times.
pub(super) const MAX_ELEMENTS: usize = 1 << 22;

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The share of targets above a border.
    Borders,
    /// The share of targets between two borders.
    Buckets,
    BinarizedMean,
    FloatMean,
    /// How often, of the most frequent.
    Counter,
    /// How often, of all.
    Frequency,
}

/// All kinds by their names, in the order of their numbers in `cbm` files.
pub(super) const KINDS: &[(&str, Kind)] = &[
    ("Borders", Kind::Borders),
    ("Buckets", Kind::Buckets),
    ("BinarizedTargetMeanValue", Kind::BinarizedMean),
    ("FloatTargetMeanValue", Kind::FloatMean),
    ("Counter", Kind::Counter),
    ("FeatureFreq", Kind::Frequency),
];

/// What is looked at together. Columns of numbers and of categories count from 0 by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Combination {
    pub(super) categories: Vec<usize>,
    /// Columns of numbers, and the bits of the 32-bit numbers that they are to exceed.
    pub(super) numbers: Vec<(usize, u32)>,
    /// Columns of categories, and the hashes that they are to have.
    pub(super) one_hot: Vec<(usize, i32)>,
}

/// A statistic as files tell it.
#[derive(Debug)]
pub(super) struct Statistic {
    pub(super) combination: Combination,
    pub(super) kind: Kind,
    /// Which of the tables has what was counted.
    pub(super) table: usize,
    pub(super) target_border: usize,
    pub(super) scaling: Scaling,
    /// What trees compare it with.
    pub(super) borders: Vec<f32>,
}

/// How a share becomes a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaling {
    pub(super) prior: f32,
    pub(super) prior_denominator: f32,
    pub(super) shift: f32,
    pub(super) scale: f32,
}

/// What was counted for each combination of values that was seen.
#[derive(Debug)]
pub(super) struct Table {
    rows: HashMap<u64, u32>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// Row after row, how many targets were of each class or of one before it.
    Classes { n_classes: usize, counts: Vec<i32> },
    /// The sum of targets, and how many there were.
    Means(Vec<(f32, i32)>),
    /// How often it was seen, and of how many.
    Totals { counts: Vec<i32>, denominator: i32 },
}

/// The statistics of a model, ready to be computed.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    tables: Vec<Table>,
    groups: Vec<Group>,
    n_statistics: usize,
}

/// Statistics of the same combination.
#[derive(Debug)]
struct Group {
    /// Places in the list of hashes of a row.
    categories: Vec<usize>,
    numbers: Vec<(usize, f64, Missing)>,
    one_hot: Vec<(usize, i32)>,
    shares: Vec<(usize, Share, Scaling)>,
}

/// What of a row of a table is divided by what.
#[derive(Debug, Clone, Copy)]
enum Share {
    /// Targets of the classes up to `last` and after `before`, of all.
    Classes {
        before: Option<usize>,
        last: usize,
    },
    Mean,
    Total,
}

// === impl Combination ===

impl Combination {
    pub(super) fn n_elements(&self) -> usize {
        self.categories.len() + self.numbers.len() + self.one_hot.len()
    }
}

// === impl Scaling ===

impl Scaling {
    fn apply(self, good: f32, total: f32) -> f32 {
        let share = (good + self.prior) / (total + self.prior_denominator);
        (share + self.shift) * self.scale
    }
}

// === impl Table ===

impl Table {
    /// A table of counts: for each row, one per class of targets if targets have classes.
    pub(super) fn of_counts(
        kind: Kind,
        rows: impl IntoIterator<Item = (u64, u32)>,
        mut counts: Vec<i32>,
        n_classes: usize,
        denominator: i32,
    ) -> Result<Self, Fault> {
        if kind != Kind::Borders && kind != Kind::Buckets {
            return Self::new(rows, Values::Totals { counts, denominator });
        }
        if n_classes < 2 || !counts.len().is_multiple_of(n_classes) {
            return Err(Saved::problem("a table of statistics has not the same classes in each row"));
        }
        for row in counts.chunks_exact_mut(n_classes) {
            let mut sum = 0_i32;
            for count in row {
                sum = sum.wrapping_add(*count);
                *count = sum;
            }
        }
        Self::new(rows, Values::Classes { n_classes, counts })
    }

    pub(super) fn of_means(
        rows: impl IntoIterator<Item = (u64, u32)>,
        means: Vec<(f32, i32)>,
    ) -> Result<Self, Fault> {
        Self::new(rows, Values::Means(means))
    }

    fn new(rows: impl IntoIterator<Item = (u64, u32)>, values: Values) -> Result<Self, Fault> {
        let rows: HashMap<u64, u32> = rows.into_iter().filter(|(hash, _)| *hash != NO_HASH).collect();
        let n_rows = match &values {
            Values::Classes { n_classes, counts } => counts.len() / n_classes,
            Values::Means(means) => means.len(),
            Values::Totals { counts, .. } => counts.len(),
        };
        if rows.values().any(|row| *row as usize >= n_rows) {
            return Err(Saved::problem("a table of statistics is not all there"));
        }
        Ok(Self { rows, values })
    }

    fn share(&self, kind: Kind, target_border: usize) -> Result<Share, Fault> {
        let share = match (kind, &self.values) {
            // Of two classes there is one border, whatever its number.
            (Kind::Borders, Values::Classes { n_classes: 2, .. }) => {
                Share::Classes { before: Some(0), last: 1 }
            }
            (Kind::Borders, Values::Classes { n_classes, .. }) if target_border < *n_classes => {
                Share::Classes { before: Some(target_border), last: n_classes - 1 }
            }
            (Kind::Buckets, Values::Classes { n_classes, .. }) if target_border < *n_classes => {
                Share::Classes { before: target_border.checked_sub(1), last: target_border }
            }
            (Kind::BinarizedMean | Kind::FloatMean, Values::Means(_)) => Share::Mean,
            (Kind::Counter | Kind::Frequency, Values::Totals { .. }) => Share::Total,
            _ => return Err(Saved::problem("a statistic does not fit its table")),
        };
        Ok(share)
    }

    /// The two numbers of a share. A combination that was never seen has none.
    fn count(&self, share: Share, row: Option<usize>) -> (f32, f32) {
        match (&self.values, share) {
            (Values::Totals { counts, denominator }, _) => {
                (row.map_or(0.0, |row| counts[row] as f32), *denominator as f32)
            }
            (Values::Means(means), _) => row.map_or((0.0, 0.0), |row| (means[row].0, means[row].1 as f32)),
            (Values::Classes { n_classes, counts }, Share::Classes { before, last }) => {
                let Some(row) = row else { return (0.0, 0.0) };
                let counts = &counts[row * n_classes..][..*n_classes];
                let before = before.map_or(0, |before| counts[before]);
                (counts[last].wrapping_sub(before) as f32, counts[n_classes - 1] as f32)
            }
            (Values::Classes { .. }, _) => (0.0, 0.0),
        }
    }
}

// === impl Statistics ===

impl Statistics {
    /// Prepares statistics. `hashed` are the columns of categories whose hashes there will be, and `missing` is the rule
    /// of each column of numbers.
    pub(super) fn new(
        saved: &[Statistic],
        tables: Vec<Table>,
        hashed: &[usize],
        missing: &[Missing],
    ) -> Result<Self, Fault> {
        let hash_of = |category: usize| {
            let place = hashed.binary_search(&category).ok();
            place.ok_or_else(|| Saved::problem("a statistic looks at no column"))
        };
        let mut groups: Vec<Group> = Vec::new();
        let mut last = None;
        for statistic in saved {
            let table = tables.get(statistic.table);
            let table = table.ok_or_else(|| Saved::problem("a statistic has no table"))?;
            let share = table.share(statistic.kind, statistic.target_border)?;
            let Combination { categories, numbers, one_hot } = &statistic.combination;
            if last != Some(&statistic.combination) {
                let number = |(number, bits): &(usize, u32)| {
                    let missing = missing.get(*number).copied();
                    let missing = missing.ok_or_else(|| Saved::problem("a statistic looks at no column"))?;
                    Ok::<_, Fault>((*number, f64::from(f32::from_bits(*bits)), missing))
                };
                let test = |(category, hash): &(usize, i32)| Ok::<_, Fault>((hash_of(*category)?, *hash));
                groups.push(Group {
                    categories: categories
                        .iter()
                        .map(|category| hash_of(*category))
                        .collect::<Result<_, _>>()?,
                    numbers: numbers.iter().map(number).collect::<Result<_, _>>()?,
                    one_hot: one_hot.iter().map(test).collect::<Result<_, _>>()?,
                    shares: Vec::new(),
                });
                last = Some(&statistic.combination);
            }
            if let Some(group) = groups.last_mut() {
                group.shares.push((statistic.table, share, statistic.scaling));
            }
        }
        Ok(Self { tables, groups, n_statistics: saved.len() })
    }

    pub(super) fn len(&self) -> usize {
        self.n_statistics
    }

    /// Adds the statistics of a row to its values, which begin at `start` with those of columns of numbers.
    pub(super) fn add_to(&self, hashes: &[i32], start: usize, values: &mut Vec<f64>) {
        for group in &self.groups {
            let hash = group.hash(hashes, &values[start..]);
            values.extend(group.shares.iter().map(|(table, share, scaling)| {
                let table = &self.tables[*table];
                let row = table.rows.get(&hash).map(|row| *row as usize);
                let (good, total) = table.count(*share, row);
                f64::from(scaling.apply(good, total))
            }));
        }
    }
}

// === impl Group ===

impl Group {
    fn hash(&self, hashes: &[i32], numbers: &[f64]) -> u64 {
        let categories = self.categories.iter().map(|category| i64::from(hashes[*category]) as u64);
        let numbers = self.numbers.iter().map(|(number, border, missing)| {
            let number = numbers[*number];
            u64::from(number > *border || (number.is_nan() && *missing == Missing::Right))
        });
        let one_hot = self.one_hot.iter().map(|(category, hash)| u64::from(hashes[*category] == *hash));
        categories.chain(numbers).chain(one_hot).fold(0, mix)
    }
}

fn mix(hash: u64, next: u64) -> u64 {
    MULTIPLIER.wrapping_mul(hash.wrapping_add(MULTIPLIER.wrapping_mul(next)))
}
