//! Encoders of the package `category_encoders`: whatever one was fitted to, it came down to the numbers that each category
//! of a column becomes, and those of what is unknown or missing.

mod pandas;

use std::collections::HashMap;

use super::Kind;
use super::preprocessing::categories::Categories;
use crate::InputProblem;
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Cell, Column, Refusal, Rows, Table};
use pandas::{Frame, Series};

/// What fitting was told and found besides.
const FIT: &str = "\
    base combine_min_nan_groups _combine_min_nan_groups cols_hier composite_members_ _count _dim feature_dtypes_in_ \
    feature_names_out_ hierarchy_depth index_start invariant_cols keep_components lab_encoder_ m _mean \
    mapping_supplied min_group_lumping_ min_group_name _min_group_categories _min_group_name _min_group_size \
    min_samples_leaf model normalize _normalize ordinal_encoder randomized regularization return_df sigma smoothing \
    _sum use_all_cols use_cat_names use_default_cols";

/// The code of what was not there in fitting.
const UNKNOWN: i64 = -1;

/// The code of what is missing.
const MISSING: i64 = -2;

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "category_encoders.ordinal.OrdinalEncoder", ignores: &[FIT], compile: ordinal },
    Kind { path: "category_encoders.one_hot.OneHotEncoder", ignores: &[FIT], compile: tables },
    Kind { path: "category_encoders.binary.BinaryEncoder", ignores: &[FIT], compile: tables },
    Kind { path: "category_encoders.basen.BaseNEncoder", ignores: &[FIT], compile: tables },
    Kind { path: "category_encoders.target_encoder.TargetEncoder", ignores: &[FIT], compile: numbers },
    Kind { path: "category_encoders.m_estimate.MEstimateEncoder", ignores: &[FIT], compile: numbers },
    Kind { path: "category_encoders.james_stein.JamesSteinEncoder", ignores: &[FIT], compile: numbers },
    Kind { path: "category_encoders.woe.WOEEncoder", ignores: &[FIT], compile: numbers },
    Kind { path: "category_encoders.count.CountEncoder", ignores: &[FIT], compile: counts },
    Kind { path: "category_encoders.leave_one_out.LeaveOneOutEncoder", ignores: &[FIT], compile: left_out },
    Kind { path: "category_encoders.cat_boost.CatBoostEncoder", ignores: &[FIT], compile: left_out },
];

#[derive(Debug)]
struct Encoder {
    name: String,
    names: Vec<String>,
    /// `None` for a column that stays as it is.
    columns: Vec<Option<Encoded>>,
}

/// A column of categories, and what becomes of them.
#[derive(Debug)]
struct Encoded {
    categories: Categories,
    width: usize,
    /// For each category its numbers; `None` if it is refused.
    numbers: Vec<Option<Vec<f64>>>,
    unknown: Option<Vec<f64>>,
    /// What is missing, where it is no category.
    missing: Option<Vec<f64>>,
}

/// What is done with a value that is unknown, or missing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Handling {
    Value,
    Nan,
    Refuse,
    /// A column of its own tells of it.
    Indicator,
}

/// The codes of the categories of a column.
struct Codes {
    categories: Categories,
    /// For each category; `None` where it becomes NaN.
    codes: Vec<Option<i64>>,
    unknown: Option<i64>,
}

fn ordinal(object: &Object<'_>) -> Result<Step, Fault> {
    let handling = handling(object)?;
    let mut all = codes(object)?;
    encoder(object, |_, name| {
        let Codes { categories, codes, unknown } = take(object, &mut all, name)?;
        let number = |code: Option<i64>| vec![code.map_or(f64::NAN, |code| code as f64)];
        Ok(Encoded::new(categories, 1, handling, codes, number, Some(number(unknown))))
    })
}

/// Encoders with one number per code.
fn numbers(object: &Object<'_>) -> Result<Step, Fault> {
    if let Some(hierarchy) = object.some("hierarchy") {
        return Err(hierarchy.unsupported("categories are in no hierarchy"));
    }
    let inner = object.get("ordinal_encoder")?.object()?;
    let mut all = codes(&inner)?;
    let handling = handling(object)?;
    let mappings = by_name(&object.get("mapping")?)?;
    encoder(object, |value, name| {
        let Codes { categories, codes, unknown } = take(object, &mut all, name)?;
        let series = Series::read(mappings.get(name).ok_or_else(|| value.problem("has no numbers"))?)?;
        let keys = series.index.longs().ok_or_else(|| value.problem("has unknown codes"))?;
        let by_code: HashMap<i64, f64> = keys.into_iter().zip(series.values).collect();
        let number =
            |code: Option<i64>| vec![code.and_then(|code| by_code.get(&code).copied()).unwrap_or(f64::NAN)];
        Ok(Encoded::new(categories, 1, handling, codes, number, Some(number(unknown))))
    })
}

/// Encoders with a row of a table per code.
fn tables(object: &Object<'_>) -> Result<Step, Fault> {
    let inner = object.get("ordinal_encoder")?.object()?;
    let mut all = codes(&inner)?;
    let handling = handling(object)?;
    let mappings = by_entry(&object.get("mapping")?)?;
    let fills_missing = object.name() == "OneHotEncoder";
    encoder(object, |value, name| {
        let Codes { categories, codes, unknown } = take(object, &mut all, name)?;
        let frame = Frame::read(mappings.get(name).ok_or_else(|| value.problem("has no table"))?)?;
        let width = frame.columns.len();
        let keys = frame.index.longs().ok_or_else(|| value.problem("has unknown codes"))?;
        let places: HashMap<i64, usize> = keys.into_iter().zip(0..).collect();
        let row = |code: Option<i64>| match code
            .or(fills_missing.then_some(MISSING))
            .and_then(|code| places.get(&code))
        {
            Some(place) => frame.columns.iter().map(|column| column[*place]).collect(),
            None => vec![f64::NAN; width],
        };
        Ok(Encoded::new(categories, width, handling, codes, row, Some(row(unknown))))
    })
}

fn counts(object: &Object<'_>) -> Result<Step, Fault> {
    // These may be other for each column, and then say so in a dict.
    let handling = handling(object)?;
    object.find("_handle_unknown");
    object.find("_handle_missing");
    let mappings = by_name(&object.get("mapping")?)?;
    encoder(object, |value, name| {
        let series = Series::read(mappings.get(name).ok_or_else(|| value.problem("has no counts"))?)?;
        let categories = series.index.into_categories();
        let other = match handling {
            [Handling::Refuse, _] => None,
            [Handling::Value, Handling::Value | Handling::Refuse] => Some(vec![0.0]),
            _ => Some(vec![f64::NAN]),
        };
        let numbers: Vec<Option<Vec<f64>>> =
            series.values.into_iter().map(|count| Some(vec![count])).collect();
        let missing = other.clone().filter(|_| handling[1] != Handling::Refuse);
        let mut encoded = Encoded { categories, width: 1, numbers, unknown: other, missing };
        encoded.refuse_missing(handling);
        Ok(encoded)
    })
}

/// Encoders that keep sums and counts of the target: `LeaveOneOutEncoder`, and with a weight of the mean `CatBoostEncoder`.
fn left_out(object: &Object<'_>) -> Result<Step, Fault> {
    let mean = object.get("_mean")?.number()?;
    let weight = object.some("a").map_or(Ok(0.0), |weight| weight.number())?;
    let handling = handling(object)?;
    let mappings = by_name(&object.get("mapping")?)?;
    encoder(object, |value, name| {
        let frame = Frame::read(mappings.get(name).ok_or_else(|| value.problem("has no sums"))?)?;
        let (Some(sums), Some(counts)) = (frame.column("sum"), frame.column("count")) else {
            return Err(value.problem("has no sums and counts"));
        };
        // A category that was there once tells nothing.
        let number = |(sum, count): (&f64, &f64)| match *count > 1.0 {
            true => (sum + mean * weight) / (count + weight),
            false => mean,
        };
        let numbers: Vec<f64> = sums.iter().zip(counts).map(number).collect();
        let other = |handling| match handling {
            Handling::Value => Some(vec![mean]),
            Handling::Nan | Handling::Indicator => Some(vec![f64::NAN]),
            Handling::Refuse => None,
        };
        let are_objects = frame.index.are_objects;
        let categories = frame.index.into_categories();
        let mut numbers: Vec<Option<Vec<f64>>> =
            numbers.into_iter().map(|number| Some(vec![number])).collect();
        match (handling[1], categories.nan.or(categories.none)) {
            (Handling::Nan, Some(place)) => numbers[place] = Some(vec![f64::NAN]),
            // None, which is what a missing text is in Python, is not the NaN that is a category.
            (Handling::Value, Some(place)) if are_objects => numbers[place] = Some(vec![mean]),
            _ => {}
        }
        let mut encoded = Encoded {
            categories,
            width: 1,
            numbers,
            unknown: other(handling[0]),
            missing: other(handling[1]),
        };
        encoded.refuse_missing(handling);
        Ok(encoded)
    })
}

/// An encoder whose columns `encode` makes, each by its name.
fn encoder(
    object: &Object<'_>,
    mut encode: impl FnMut(&Value<'_>, &str) -> Result<Encoded, Fault>,
) -> Result<Step, Fault> {
    if object.flag_or("drop_invariant", false)? {
        return Err(object.get("drop_invariant")?.unsupported("all columns are kept"));
    }
    for key in ["composite_cols", "min_group_size"] {
        if let Some(value) = object.some(key) {
            return Err(value.unsupported("categories are encoded one by one"));
        }
    }
    let names = object.get("feature_names_in_")?.texts()?;
    let encoded = object.get("cols")?;
    let wanted = encoded.texts()?;
    if let Some(name) = wanted.iter().find(|name| !names.contains(name)) {
        return Err(encoded.problem(&format!("name `{name}`, which is no column")));
    }
    let column = |name: &String| wanted.contains(name).then(|| encode(&encoded, name)).transpose();
    let columns = names.iter().map(column).collect::<Result<_, _>>()?;
    Ok(transformer(Encoder { name: object.name().to_owned(), names, columns }))
}

/// What is done with the unknown, and with the missing.
fn handling(object: &Object<'_>) -> Result<[Handling; 2], Fault> {
    let read = |key| {
        let value = object.get(key)?;
        match value.text().as_deref() {
            Ok("value") => Ok(Handling::Value),
            Ok("return_nan") => Ok(Handling::Nan),
            Ok("error") => Ok(Handling::Refuse),
            Ok("indicator") => Ok(Handling::Indicator),
            _ => Err(value.unsupported("it is `value`, `return_nan`, `error` or `indicator`")),
        }
    };
    Ok([read("handle_unknown")?, read("handle_missing")?])
}

/// The codes of all columns of an `OrdinalEncoder`.
fn codes(object: &Object<'_>) -> Result<HashMap<String, Codes>, Fault> {
    let [unknown, missing] = handling(object)?;
    let read = |(name, mapping): (String, Value<'_>)| {
        let series = Series::read(&mapping)?;
        let code = |code: &f64| match *code as i64 {
            MISSING if missing == Handling::Nan => None,
            code => Some(code),
        };
        let codes = series.values.iter().map(code).collect();
        let unknown = (unknown != Handling::Nan).then_some(UNKNOWN);
        Ok((name, Codes { categories: series.index.into_categories(), codes, unknown }))
    };
    by_entry(&object.get("mapping")?)?.into_iter().map(read).collect()
}

fn take(object: &Object<'_>, all: &mut HashMap<String, Codes>, name: &str) -> Result<Codes, Fault> {
    all.remove(name).ok_or_else(|| object.problem(format!("the column `{name}` has no categories")))
}

/// The mappings of a dict by column.
fn by_name<'s>(value: &Value<'s>) -> Result<HashMap<String, Value<'s>>, Fault> {
    value.pairs()?.into_iter().map(|(name, mapping)| Ok((name.text()?.into_owned(), mapping))).collect()
}

/// The mappings of a list of dicts with a column each.
fn by_entry<'s>(value: &Value<'s>) -> Result<HashMap<String, Value<'s>>, Fault> {
    let entry = |entry: &Value<'s>| {
        let pairs = entry.pairs()?;
        let find = |key| pairs.iter().find(|(name, _)| name.is_text(key)).map(|(_, value)| *value);
        let (Some(name), Some(mapping)) = (find("col"), find("mapping")) else {
            return Err(value.problem("have an entry without a column"));
        };
        Ok((name.text()?.into_owned(), mapping))
    };
    value.items()?.iter().map(entry).collect()
}

// === impl Encoded ===

impl Encoded {
    fn new(
        categories: Categories,
        width: usize,
        handling: [Handling; 2],
        codes: Vec<Option<i64>>,
        numbers: impl Fn(Option<i64>) -> Vec<f64>,
        unknown: Option<Vec<f64>>,
    ) -> Self {
        let unknown = unknown.filter(|_| handling[0] != Handling::Refuse);
        let numbers = codes.into_iter().map(|code| Some(numbers(code))).collect();
        // Where missing is no category, it is as unknown as others.
        let mut encoded = Self { categories, width, numbers, missing: unknown.clone(), unknown };
        encoded.refuse_missing(handling);
        encoded
    }

    fn refuse_missing(&mut self, handling: [Handling; 2]) {
        if handling[1] == Handling::Refuse {
            self.missing = None;
            for place in [self.categories.nan, self.categories.none].into_iter().flatten() {
                self.numbers[place] = None;
            }
        }
    }

    fn find(&self, cell: Cell<'_>) -> Option<&[f64]> {
        let numbers = match self.categories.find(cell) {
            Some(category) => self.numbers.get(category)?.as_ref(),
            None if cell == Cell::Missing => self.missing.as_ref(),
            None => self.unknown.as_ref(),
        };
        numbers.map(Vec::as_slice)
    }
}

// === impl Encoder ===

impl Part for Encoder {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.columns.len())
    }

    fn hint(&self, column: usize) -> Hint {
        match self.columns.get(column) {
            Some(Some(encoded)) => encoded.categories.hint(),
            _ => Hint::default(),
        }
    }

    fn names(&self) -> Option<&[String]> {
        Some(&self.names)
    }
}

impl Transformer for Encoder {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.columns.iter().map(|column| column.as_ref().map_or(1, |encoded| encoded.width)).sum()
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let n_rows = rows.n_rows();
        let mut columns = Vec::with_capacity(self.n_outputs(self.columns.len()));
        for (index, column) in self.columns.iter().enumerate() {
            let Some(encoded) = column else {
                columns.push(rows.column(index));
                continue;
            };
            let mut outputs = vec![Vec::with_capacity(n_rows); encoded.width];
            for row in 0..n_rows {
                let cell = rows.cell(row, index);
                let Some(numbers) = encoded.find(cell) else {
                    return Err(self.refusal(encoded, cell, row, index));
                };
                outputs.iter_mut().zip(numbers).for_each(|(output, number)| output.push(*number));
            }
            columns.extend(outputs.into_iter().map(|output| Column::Double(output.into())));
        }
        Ok(Rows::Table(Table { n_rows, columns }))
    }
}

impl Encoder {
    fn refusal(&self, encoded: &Encoded, cell: Cell<'_>, row: usize, column: usize) -> Refusal {
        if cell == Cell::Missing {
            let problem = InputProblem::NotFinite { got: "a missing value", estimator: self.name.clone() };
            return Refusal::at(row, column, problem);
        }
        encoded.categories.unknown(cell, row, column)
    }
}
