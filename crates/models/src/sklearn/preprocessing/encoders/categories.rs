//! The categories of a column, to be looked up.

use std::collections::HashMap;

use crate::estimator::Hint;
use crate::fault::Fault;
use crate::formats::numpy::Kind;
use crate::object::Value;
use crate::record::Record;
use crate::rows::{Cell, Refusal};
use crate::{DataType, InputProblem, Scalar};

/// The categories of a column, each with its number. As in Python, `1`, `1.0` and `True` are the same one.
#[derive(Debug)]
pub(in crate::sklearn) struct Categories {
    texts: HashMap<String, usize>,
    /// Whole numbers, exactly, in order.
    longs: Vec<(i64, usize)>,
    /// Other numbers, in order.
    doubles: Vec<(f64, usize)>,
    /// Python tells None from NaN. Here a missing value is None where that is known, and else NaN.
    pub(in crate::sklearn) none: Option<usize>,
    pub(in crate::sklearn) nan: Option<usize>,
    first: Option<Scalar>,
    pub(in crate::sklearn) n_categories: usize,
}

// === impl Categories ===

impl Categories {
    pub(in crate::sklearn) fn read(value: &Value<'_>) -> Result<Self, Fault> {
        Ok(Self::of(list(value)?))
    }

    /// The categories of a list; `None` is Python's None.
    pub(in crate::sklearn) fn of(list: Vec<Option<Scalar>>) -> Self {
        let mut categories = Self {
            texts: HashMap::new(),
            longs: Vec::new(),
            doubles: Vec::new(),
            none: list.iter().position(Option::is_none),
            nan: None,
            first: None,
            n_categories: list.len(),
        };
        for (index, category) in list.into_iter().enumerate() {
            let Some(category) = category else { continue };
            match &category {
                Scalar::Double(double) if double.is_nan() => {
                    categories.nan = Some(index);
                    continue;
                }
                Scalar::Double(double) => match whole(*double) {
                    Some(long) => categories.longs.push((long, index)),
                    None => categories.doubles.push((*double, index)),
                },
                Scalar::Long(long) => categories.longs.push((*long, index)),
                Scalar::Boolean(flag) => categories.longs.push((i64::from(*flag), index)),
                Scalar::Text(text) => drop(categories.texts.insert(text.clone(), index)),
            }
            categories.first.get_or_insert(category);
        }
        categories.longs.sort_unstable();
        categories.doubles.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        categories
    }

    /// The number of a category, if it is known.
    pub(in crate::sklearn) fn find(&self, cell: Cell<'_>) -> Option<usize> {
        match cell {
            Cell::Missing => self.none.or(self.nan),
            Cell::Text(text) => self.texts.get(text).copied(),
            Cell::Long(long) => self.find_long(long),
            Cell::Boolean(flag) => self.find_long(i64::from(flag)),
            Cell::Double(double) => match whole(double) {
                Some(long) => self.find_long(long),
                None => {
                    let place = self.doubles.binary_search_by(|(known, _)| known.total_cmp(&double)).ok()?;
                    Some(self.doubles[place].1)
                }
            },
        }
    }

    fn find_long(&self, long: i64) -> Option<usize> {
        let place = self.longs.binary_search_by_key(&long, |(known, _)| *known).ok()?;
        Some(self.longs[place].1)
    }

    /// The refusal of a category that is not known.
    pub(in crate::sklearn) fn unknown(&self, cell: Cell<'_>, row: usize, column: usize) -> Refusal {
        let (value, n_known, known) = (cell.show(), self.n_categories, self.first_known());
        Refusal::at(row, column, InputProblem::UnknownCategory { value, n_known, known })
    }

    /// The first categories, for an error.
    fn first_known(&self) -> Vec<String> {
        let is_first = |index: usize| index < InputProblem::MAX_KNOWN_SHOWN;
        let texts = self.texts.iter().filter(|(_, index)| is_first(**index));
        let longs = self.longs.iter().filter(|(_, index)| is_first(*index));
        let doubles = self.doubles.iter().filter(|(_, index)| is_first(*index));
        let missing = [("None", self.none), ("NaN", self.nan)].into_iter();
        let mut known: Vec<(usize, String)> =
            texts
                .map(|(text, index)| (*index, text.clone()))
                .chain(longs.map(|(long, index)| (*index, long.to_string())))
                .chain(doubles.map(|(double, index)| (*index, double.to_string())))
                .chain(missing.filter_map(|(name, index)| {
                    Some((index.filter(|index| is_first(*index))?, name.to_owned()))
                }))
                .collect();
        known.sort_unstable();
        known.into_iter().map(|(_, category)| category).collect()
    }

    pub(in crate::sklearn) fn hint(&self) -> Hint {
        let Some(example) = self.first.clone() else {
            return Hint { datatype: DataType::Any, ..Hint::default() };
        };
        let datatype = match &example {
            Scalar::Double(_) => DataType::Double,
            Scalar::Long(_) => DataType::Long,
            Scalar::Boolean(_) => DataType::Boolean,
            Scalar::Text(_) => DataType::String,
        };
        Hint { datatype, example, ..Hint::default() }
    }
}

/// The elements of an array of categories; `None` is Python's None.
pub(in crate::sklearn) fn list(value: &Value<'_>) -> Result<Vec<Option<Scalar>>, Fault> {
    let array = value.array()?;
    let (longs, doubles) = (array.longs(), array.doubles());
    Ok(match (array.kind(), longs, doubles) {
        (Kind::Opaque | Kind::Struct, ..) => {
            return Err(value.unsupported("categories are texts, numbers and truth values, but no times"));
        }
        (Kind::Object, ..) => value.items()?.iter().map(object).collect::<Result<_, _>>()?,
        (Kind::Bool, Some(flags), _) => {
            flags.into_iter().map(|flag| Some(Scalar::Boolean(flag == 1))).collect()
        }
        (_, Some(longs), _) => longs.into_iter().map(|long| Some(Scalar::Long(long))).collect(),
        (_, None, Some(doubles)) => doubles.into_iter().map(|double| Some(Scalar::Double(double))).collect(),
        _ => value.texts()?.into_iter().map(|text| Some(Scalar::Text(text))).collect(),
    })
}

/// One category that is a Python object.
fn object(value: &Value<'_>) -> Result<Option<Scalar>, Fault> {
    Ok(Some(match value.record() {
        Record::None => return Ok(None),
        Record::Bool(flag) => Scalar::Boolean(*flag),
        Record::Int(long) => Scalar::Long(*long),
        Record::Float(double) => Scalar::Double(*double),
        _ => match (value.integer(), value.number()) {
            (Ok(long), _) => Scalar::Long(long),
            (_, Ok(double)) => Scalar::Double(double),
            _ => Scalar::Text(value.text()?.into_owned()),
        },
    }))
}

/// The whole number that a number is, if it is one that 64 bits hold.
fn whole(double: f64) -> Option<i64> {
    let long = double as i64;
    (long as f64 == double && long != i64::MAX).then_some(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact() {
        assert_eq!(whole(3.0), Some(3));
        assert_eq!(whole(-0.0), Some(0));
        assert_eq!(whole(0.5), None);
        assert_eq!(whole(f64::NAN), None);
        assert_eq!(whole(1e300), None);
        assert_eq!(whole(i64::MAX as f64), None);
        assert_eq!(whole(i64::MIN as f64), Some(i64::MIN));
    }
}
