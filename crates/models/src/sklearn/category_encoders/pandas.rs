//! Columns and tables of pandas, as they are pickled since 1.4: arrays, and the labels of their rows.

use crate::Scalar;
use crate::fault::Fault;
use crate::formats::numpy::Kind;
use crate::object::Value;
use crate::sklearn::preprocessing::categories::{Categories, list};

/// Labels that are counted and not saved.
const MAX_RANGE: usize = 1 << 16;

/// Labels of rows or columns.
pub(super) struct Index {
    labels: Vec<Option<Scalar>>,
    /// Whether they are Python objects, among which None is another one than NaN. Since 3.0 texts are mostly not.
    pub(super) are_objects: bool,
}

/// A `Series`.
pub(super) struct Series {
    pub(super) index: Index,
    pub(super) values: Vec<f64>,
}

/// A `DataFrame` of numbers.
pub(super) struct Frame {
    pub(super) index: Index,
    pub(super) names: Index,
    /// Column after column.
    pub(super) columns: Vec<Vec<f64>>,
}

// === impl Index ===

impl Index {
    fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let [_class, about] = value.arguments()?[..] else {
            return Err(value.problem("have unknown labels"));
        };
        let about = about.pairs()?;
        let find = |key: &str| about.iter().find(|(name, _)| name.is_text(key)).map(|(_, value)| *value);
        if let Some(data) = find("data") {
            // Texts are in an array of pandas' own, around one of objects.
            let parts = data.state_items().unwrap_or_default();
            let inner = parts.iter().find(|part| part.array().is_ok());
            let are_objects = inner.is_none() && data.array()?.kind() == Kind::Object;
            return Ok(Self { labels: list(inner.unwrap_or(&data))?, are_objects });
        }
        let number = |key| find(key).map_or(Ok(None), |value| value.integer().map(Some));
        let (Some(start), Some(stop), Some(step @ 1..)) =
            (number("start")?, number("stop")?, number("step")?)
        else {
            return Err(value.problem("have unknown labels"));
        };
        let n = usize::try_from((stop.saturating_sub(start)).max(0) / step).unwrap_or(usize::MAX);
        if n > MAX_RANGE {
            return Err(Fault::TooLarge { what: "labels", limit: MAX_RANGE as u64 });
        }
        let labels = (0..n as i64).map(|place| Some(Scalar::Long(start + place * step))).collect();
        Ok(Self { labels, are_objects: false })
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn into_categories(self) -> Categories {
        Categories::of(self.labels)
    }

    /// The labels, if they are whole numbers.
    pub(super) fn longs(&self) -> Option<Vec<i64>> {
        let long = |label: &Option<Scalar>| match label {
            Some(Scalar::Long(long)) => Some(*long),
            Some(Scalar::Double(double)) if double.fract() == 0.0 => Some(*double as i64),
            _ => None,
        };
        self.labels.iter().map(long).collect()
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.labels.iter().position(|label| matches!(label, Some(Scalar::Text(text)) if text == name))
    }
}

// === impl Series ===

impl Series {
    pub(super) fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let manager = value.object()?.get("_mgr")?;
        let problem = || value.problem("are no column of numbers that pandas saved since 1.4");
        let parts = manager.state_items().map_err(|_| problem())?;
        let [axes, blocks, ..] = parts[..] else { return Err(problem()) };
        let (axes, blocks) = (axes.items()?, blocks.items()?);
        let ([index], [block]) = (&axes[..], &blocks[..]) else { return Err(problem()) };
        let series = Self { index: Index::read(index)?, values: block.numbers()? };
        if series.index.len() != series.values.len() {
            return Err(problem());
        }
        Ok(series)
    }
}

// === impl Frame ===

impl Frame {
    pub(super) fn read(value: &Value<'_>) -> Result<Self, Fault> {
        let manager = value.object()?.get("_mgr")?;
        let problem = || value.problem("are no table of numbers that pandas saved since 1.4");
        let parts = manager.arguments().map_err(|_| problem())?;
        let [blocks, axes] = parts[..] else { return Err(problem()) };
        let axes = axes.items()?;
        let [names, index] = &axes[..] else { return Err(problem()) };
        let (names, index) = (Index::read(names)?, Index::read(index)?);
        let mut columns: Vec<Option<Vec<f64>>> = vec![None; names.len()];
        for block in blocks.items()? {
            let [values, places, ..] = block.arguments()?[..] else { return Err(problem()) };
            let grid = values.grid()?;
            let places = self::places(&places, grid.n_rows).ok_or_else(problem)?;
            if grid.n_columns != index.len() {
                return Err(problem());
            }
            for (row, place) in grid.rows().zip(places) {
                *columns.get_mut(place).ok_or_else(problem)? = Some(row.to_vec());
            }
        }
        let columns: Option<Vec<Vec<f64>>> = columns.into_iter().collect();
        Ok(Self { index, names, columns: columns.ok_or_else(problem)? })
    }

    pub(super) fn column(&self, name: &str) -> Option<&[f64]> {
        self.columns.get(self.names.position(name)?).map(Vec::as_slice)
    }
}

/// The columns that the rows of a block are: a slice, or a list.
fn places(value: &Value<'_>, n: usize) -> Option<Vec<usize>> {
    if let Ok(list) = value.integers() {
        let places: Option<Vec<usize>> = list.into_iter().map(|place| usize::try_from(place).ok()).collect();
        return places.filter(|places| places.len() == n);
    }
    let slice = value.arguments().ok()?;
    let [start, _stop, step] = slice[..] else { return None };
    let (start, step) = (start.count().ok()?, if step.is_none() { 1 } else { step.count().ok()? });
    (0..n).map(|row| row.checked_mul(step)?.checked_add(start)).collect()
}
