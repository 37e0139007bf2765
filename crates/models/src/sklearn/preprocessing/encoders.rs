//! `OneHotEncoder` and `OrdinalEncoder`: categories to numbers (`sklearn/preprocessing/_encoders.py`).

pub(in crate::sklearn) mod categories;
pub(super) mod label;
pub(super) mod target;

use crate::InputProblem;
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Cell, Matrix, Refusal, Rows};
use categories::Categories;

/// What fitting was told; `categories_` and the other fitted attributes say what became of it.
pub(super) const FIT: &str = "\
    categories _categories categorical_features _categorical_features drop dtype feature_name_combiner \
    max_categories min_frequency n_values _n_values";

#[derive(Debug)]
struct OneHotEncoder {
    columns: Vec<OneHotColumn>,
    handle_unknown: HandleUnknown,
    gives_sparse: bool,
}

#[derive(Debug)]
struct OneHotColumn {
    categories: Categories,
    /// For each category: the output that is one. `None` for one that was dropped.
    outputs: Vec<Option<usize>>,
    n_outputs: usize,
    /// The output of all rare categories together, if there is one.
    infrequent: Option<usize>,
}

#[derive(Debug)]
struct OrdinalEncoder {
    columns: Vec<OrdinalColumn>,
    /// The code of an unknown category; `None` if it is refused.
    unknown: Option<f64>,
}

#[derive(Debug)]
struct OrdinalColumn {
    categories: Categories,
    codes: Vec<f64>,
}

/// What happens to a category that was not there in fitting.
#[derive(Debug, Clone, Copy, PartialEq)]
enum HandleUnknown {
    Refuse,
    Ignore,
    CountAsInfrequent,
}

pub(super) fn one_hot(object: &Object<'_>) -> Result<Step, Fault> {
    if object.flag_or("_legacy_mode", false)? {
        let help = "fit it with `categories='auto'`, which is what later versions do".to_owned();
        let what = format!("`{}` with its integer mode of 0.20 and 0.21", object.class());
        return Err(Fault::Unsupported { what, help: Some(help) });
    }
    let handle_unknown = object.get("handle_unknown")?;
    let handle_unknown = match handle_unknown.text()?.as_ref() {
        "error" => HandleUnknown::Refuse,
        "ignore" => HandleUnknown::Ignore,
        // `warn` came with 1.6, and did what it says from 1.8 on.
        "warn" if object.sklearn_version().is_some_and(|version| version < (1, 8)) => HandleUnknown::Ignore,
        "infrequent_if_exist" | "warn" => HandleUnknown::CountAsInfrequent,
        _ => {
            return Err(
                handle_unknown.unsupported("it is `error`, `ignore`, `infrequent_if_exist` or `warn`")
            );
        }
    };
    let categories = categories(object)?;
    let mappings = infrequent_mappings(object, &categories)?;
    let dropped = dropped(object, categories.len())?;
    let columns = categories.into_iter().zip(mappings).zip(dropped);
    let columns =
        columns.map(|((categories, mapping), dropped)| OneHotColumn::new(categories, mapping, dropped));
    let columns: Vec<OneHotColumn> = columns.collect();
    if let Some(counts) = object.some("_n_features_outs")
        && !counts.integers()?.into_iter().eq(columns.iter().map(|column| column.n_outputs as i64))
    {
        return Err(counts.problem("do not fit the categories"));
    }
    // `sparse` became `sparse_output` with 1.2.
    let (old, new) = (object.find("sparse"), object.find("sparse_output"));
    let gives_sparse = new.or(old).map_or(Ok(true), |flag| flag.flag())?;
    Ok(transformer(OneHotEncoder { columns, handle_unknown, gives_sparse }))
}

pub(super) fn ordinal(object: &Object<'_>) -> Result<Step, Fault> {
    let unknown_value = object.some("unknown_value");
    let unknown = match object.find("handle_unknown") {
        None => None,
        Some(handle_unknown) => match (handle_unknown.text()?.as_ref(), unknown_value) {
            ("error", _) => None,
            ("use_encoded_value", Some(value)) => Some(value.number()?),
            _ => {
                return Err(handle_unknown
                    .unsupported("it is `error`, or `use_encoded_value` with an `unknown_value`"));
            }
        },
    };
    let encoded_missing =
        object.find("encoded_missing_value").map_or(Ok(f64::NAN), |value| value.number())?;
    // Before 1.0 NaN was a category like any other, and so it is without this attribute.
    let nan_is_special = object.find("_missing_indices").is_some();
    let categories = categories(object)?;
    let mappings = infrequent_mappings(object, &categories)?;
    let columns = categories.into_iter().zip(mappings).map(|(categories, mapping)| {
        let code = |category: usize| match &mapping {
            _ if nan_is_special && categories.nan == Some(category) => encoded_missing,
            Some(groups) => groups.get(category).map_or(f64::NAN, |group| *group as f64),
            None => category as f64,
        };
        OrdinalColumn { codes: (0..categories.n_categories).map(code).collect(), categories }
    });
    Ok(transformer(OrdinalEncoder { columns: columns.collect(), unknown }))
}

fn categories(object: &Object<'_>) -> Result<Vec<Categories>, Fault> {
    object.get("categories_")?.items()?.iter().map(Categories::read).collect()
}

/// For each column: the group of each category, if rare categories share one (`_default_to_infrequent_mappings`).
fn infrequent_mappings(
    object: &Object<'_>,
    categories: &[Categories],
) -> Result<Vec<Option<Vec<usize>>>, Fault> {
    let is_enabled = object.flag_or("_infrequent_enabled", false)?;
    object.find("_infrequent_indices");
    let Some(mappings) = object.some("_default_to_infrequent_mappings").filter(|_| is_enabled) else {
        return Ok(vec![None; categories.len()]);
    };
    let columns = mappings.items()?;
    if columns.len() != categories.len() {
        return Err(mappings.problem("are not one per column"));
    }
    let mapping = |(mapping, categories): (Value<'_>, &Categories)| {
        if mapping.is_none() {
            return Ok(None);
        }
        let group = |group: i64| usize::try_from(group).ok().filter(|group| *group < categories.n_categories);
        let groups: Option<Vec<usize>> = mapping.integers()?.into_iter().map(group).collect();
        // A missing category of an ordinal encoder is outside of the mapping, and last.
        let n_mapped = [categories.n_categories, categories.n_categories.saturating_sub(1)];
        groups
            .filter(|groups| n_mapped.contains(&groups.len()))
            .map(Some)
            .ok_or_else(|| mappings.problem("do not fit the categories"))
    };
    columns.into_iter().zip(categories).map(mapping).collect()
}

/// For each column: the group that has no output.
fn dropped(object: &Object<'_>, n_columns: usize) -> Result<Vec<Option<usize>>, Fault> {
    let after_grouping = object.find("_drop_idx_after_grouping");
    let Some(dropped) = after_grouping.or(object.find("drop_idx_")).filter(|dropped| !dropped.is_none())
    else {
        return Ok(vec![None; n_columns]);
    };
    // 0.21 and 0.22 have plain numbers here, later ones objects of which some are None.
    let indices: Vec<Option<usize>> = match dropped.items() {
        Ok(items) => {
            let index = |item: Value<'_>| if item.is_none() { Ok(None) } else { item.count().map(Some) };
            items.into_iter().map(index).collect::<Result<_, _>>()?
        }
        Err(_) => dropped.integers()?.into_iter().map(|index| usize::try_from(index).ok()).collect(),
    };
    if indices.len() != n_columns {
        return Err(dropped.problem("are not one per column"));
    }
    Ok(indices)
}

/// Refuses infinite numbers, which no encoder takes.
fn check_finite(cell: Cell<'_>, encoder: &str, row: usize, column: usize) -> Result<(), Refusal> {
    match cell {
        Cell::Double(double) if double.is_infinite() => {
            let problem = InputProblem::NotFinite { got: "infinity", estimator: encoder.to_owned() };
            Err(Refusal::at(row, column, problem))
        }
        _ => Ok(()),
    }
}

// === impl OneHotColumn ===

impl OneHotColumn {
    /// `groups` says which categories share an output, and `dropped` which group has none.
    fn new(categories: Categories, groups: Option<Vec<usize>>, dropped: Option<usize>) -> Self {
        let shares_outputs = groups.is_some();
        let groups = groups.unwrap_or_else(|| (0..categories.n_categories).collect());
        let last_group = groups.iter().max().copied();
        let output = |group: usize| match dropped {
            Some(dropped) if group == dropped => None,
            Some(dropped) if group > dropped => Some(group - 1),
            _ => Some(group),
        };
        Self {
            outputs: groups.iter().map(|group| output(*group)).collect(),
            n_outputs: groups.iter().filter_map(|group| output(*group)).max().map_or(0, |last| last + 1),
            infrequent: last_group.filter(|_| shares_outputs).and_then(output),
            categories,
        }
    }
}

// === impl OneHotEncoder ===

impl Part for OneHotEncoder {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.columns.len())
    }

    fn hint(&self, column: usize) -> Hint {
        self.columns.get(column).map_or_else(Hint::unused, |column| column.categories.hint())
    }
}

impl Transformer for OneHotEncoder {
    fn gives_sparse(&self, _takes_sparse: bool) -> bool {
        self.gives_sparse
    }

    fn knows_none(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.categories.none.is_some())
    }

    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.columns.iter().map(|column| column.n_outputs).sum()
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let n_rows = rows.n_rows();
        let n_columns = self.n_outputs(self.columns.len());
        let mut values = vec![0.0; n_rows * n_columns];
        let mut start = 0;
        for (index, column) in self.columns.iter().enumerate() {
            for row in 0..n_rows {
                let cell = rows.cell(row, index);
                check_finite(cell, "OneHotEncoder", row, index)?;
                let output = match (column.categories.find(cell), self.handle_unknown) {
                    (Some(category), _) => column.outputs.get(category).copied().flatten(),
                    (None, HandleUnknown::Refuse) => return Err(column.categories.unknown(cell, row, index)),
                    (None, HandleUnknown::Ignore) => None,
                    (None, HandleUnknown::CountAsInfrequent) => column.infrequent,
                };
                if let Some(output) = output {
                    values[row * n_columns + start + output] = 1.0;
                }
            }
            start += column.n_outputs;
        }
        Ok(Rows::matrix(n_rows, n_columns, values))
    }
}

// === impl OrdinalEncoder ===

impl Part for OrdinalEncoder {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.columns.len())
    }

    fn hint(&self, column: usize) -> Hint {
        self.columns.get(column).map_or_else(Hint::unused, |column| column.categories.hint())
    }
}

impl Transformer for OrdinalEncoder {
    fn knows_none(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.categories.none.is_some())
    }

    fn n_outputs(&self, n_inputs: usize) -> usize {
        n_inputs
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let mut codes = Vec::with_capacity(rows.n_rows() * self.columns.len());
        for row in 0..rows.n_rows() {
            for (index, column) in self.columns.iter().enumerate() {
                let cell = rows.cell(row, index);
                check_finite(cell, "OrdinalEncoder", row, index)?;
                codes.push(match (column.categories.find(cell), self.unknown) {
                    (Some(category), _) => column.codes[category],
                    (None, Some(unknown)) => unknown,
                    (None, None) => return Err(column.categories.unknown(cell, row, index)),
                });
            }
        }
        Ok(Rows::Matrix(Matrix {
            n_rows: rows.n_rows(),
            n_columns: self.columns.len(),
            values: codes.into(),
        }))
    }
}
