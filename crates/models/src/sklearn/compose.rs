//! `ColumnTransformer`: some columns to one transformer, others to another, the results side by side.

use std::borrow::Cow;
use std::collections::HashMap;

use super::pipeline::{is_passthrough, weight_of};
use super::{Kind, compile};
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{MAX_COLUMNS, Object, Value};
use crate::record::Record;
use crate::rows::{Refusal, Rows, Table};

/// What fitting was told; `transformers_` says what became of it.
const FIT: &str = "\
    _columns force_int_remainder_cols _has_str_cols _n_features _name_to_fitted_passthrough output_indices_ \
    remainder _remainder sparse_threshold transformers _transformers_feature_names_out \
    verbose_feature_names_out";

pub(super) const KINDS: &[Kind] =
    &[Kind { path: "sklearn.compose.ColumnTransformer", ignores: &[FIT], compile: column_transformer }];

#[derive(Debug)]
struct ColumnTransformer {
    n_inputs: usize,
    names: Option<Vec<String>>,
    branches: Vec<Branch>,
    gives_sparse: bool,
}

#[derive(Debug)]
struct Branch {
    columns: Vec<usize>,
    /// Nothing, for columns that pass through.
    transformer: Option<Box<dyn Transformer>>,
    weight: Option<f64>,
}

fn column_transformer(object: &Object<'_>) -> Result<Step, Fault> {
    let mut columns = Columns::read(object)?;
    let weights = object.some("transformer_weights");
    let mut branches = Vec::new();
    for branch in object.get("transformers_")?.items()? {
        let [name, part, wanted] = branch.items()?[..] else { return Err(branch.problem("are not triples")) };
        let name = name.text()?;
        let is_dropped = part.is_text("drop");
        let columns = columns.resolve(&name, &wanted, is_dropped)?;
        // What was fitted with no columns was not fitted at all.
        if is_dropped || columns.is_empty() {
            continue;
        }
        let transformer =
            if is_passthrough(&part) { None } else { Some(part_of(&part, &name, columns.len())?) };
        branches.push(Branch { columns, transformer, weight: weight_of(weights.as_ref(), &name)? });
    }
    let (n_inputs, names) = columns.finish();
    let gives_sparse = object.flag_or("sparse_output_", false)?;
    Ok(transformer(ColumnTransformer { n_inputs, names, branches, gives_sparse }))
}

fn part_of(part: &Value<'_>, name: &str, n_columns: usize) -> Result<Box<dyn Transformer>, Fault> {
    let Step::Transformer(transformer) = compile(part, Some(name))?.step else {
        return Err(part.problem("have a part that is no transformer"));
    };
    match transformer.n_inputs() {
        Some(n_inputs) if n_inputs != n_columns => {
            Err(part.problem(&format!("give {n_columns} columns to a part that takes {n_inputs}")))
        }
        _ => Ok(transformer),
    }
}

/// The columns that a table must have, as far as the file tells.
#[derive(Debug)]
enum Columns<'s> {
    /// All are known: how many, their names if they have some, and what each branch takes (since 1.0).
    Known { n_inputs: usize, names: Option<Vec<String>>, places: HashMap<Cow<'s, str>, Value<'s>> },
    /// Only those that branches take by name are known, which is all that 0.20 and 0.21 saved.
    Named(Vec<String>),
}

impl<'s> Columns<'s> {
    fn read(object: &Object<'s>) -> Result<Self, Fault> {
        let names = match (object.some("_df_columns"), object.some("_feature_names_in")) {
            // An index of pandas: a class, and the names among its arguments.
            (Some(index), _) => match &index.arguments()?[..] {
                [_, arguments] => {
                    let arguments = arguments.pairs()?;
                    let data = arguments.iter().find(|(key, _)| key.is_text("data"));
                    data.map(|(_, names)| names.texts()).transpose()?
                }
                _ => None,
            },
            (None, Some(names)) => Some(names.texts()?),
            (None, None) => object.some("feature_names_in_").map(|names| names.texts()).transpose()?,
        };
        let n_inputs = match (object.n_columns(&["n_features_in_", "_n_features"])?, &names) {
            (Some(n_columns), _) => n_columns,
            (None, Some(names)) => names.len(),
            (None, None) => match n_places(object)? {
                Some(n_places) => n_places,
                None => return Ok(Self::Named(Vec::new())),
            },
        };
        if names.as_ref().is_some_and(|names| names.len() != n_inputs) {
            return Err(object.problem("the number of column names is wrong"));
        }
        let mut places = HashMap::new();
        if let Some(saved) = object.some("_transformer_to_input_indices") {
            for (name, indices) in saved.pairs()? {
                places.insert(name.text()?, indices);
            }
        }
        if names.is_none() && places.is_empty() && takes_names(object)? {
            return Ok(Self::Named(Vec::new()));
        }
        Ok(Self::Known { n_inputs, names, places })
    }

    /// The places of the columns that a branch wants.
    fn resolve(&mut self, branch: &str, wanted: &Value<'s>, is_dropped: bool) -> Result<Vec<usize>, Fault> {
        match self {
            Self::Known { n_inputs, names, places } => {
                let saved = places.get(branch).copied();
                let columns = match saved {
                    Some(places) => {
                        Some(places.integers()?.into_iter().map(usize::try_from).collect::<Result<_, _>>())
                            .transpose()
                            .map_err(|_| wanted.problem("have a negative place"))?
                    }
                    None => places_of(wanted, *n_inputs, names.as_deref())?,
                };
                let columns: Option<Vec<usize>> = columns;
                columns
                    .filter(|columns| columns.iter().all(|column| column < n_inputs))
                    .ok_or_else(|| wanted.problem(&format!("take columns of `{branch}` that are not there")))
            }
            Self::Named(known) => {
                let Some(names) = names_of(wanted)? else {
                    if is_dropped {
                        return Ok(Vec::new());
                    }
                    return Err(wanted.unsupported(
                        "scikit-learn before 0.22 saves the order of the columns only if all are taken by name",
                    ));
                };
                let place = |name: String| {
                    known.iter().position(|known| *known == name).unwrap_or_else(|| {
                        known.push(name);
                        known.len() - 1
                    })
                };
                Ok(names.into_iter().map(place).collect())
            }
        }
    }

    fn finish(self) -> (usize, Option<Vec<String>>) {
        match self {
            Self::Known { n_inputs, names, .. } => (n_inputs, names),
            Self::Named(names) => (names.len(), Some(names)),
        }
    }
}

/// How many columns there are, if all branches take them by number; the remainder is a branch too.
fn n_places(object: &Object<'_>) -> Result<Option<usize>, Fault> {
    let mut n_places = 0;
    for branch in object.get("transformers_")?.items()? {
        let [_, _, wanted] = branch.items()?[..] else { return Ok(None) };
        let Ok(items) = wanted.items() else { return Ok(None) };
        for item in items {
            match item.record() {
                Record::Int(place @ 0..) if (*place as usize) < MAX_COLUMNS => {
                    n_places = n_places.max(*place as usize + 1);
                }
                _ => return Ok(None),
            }
        }
    }
    Ok(Some(n_places))
}

/// Whether a branch takes columns by name.
fn takes_names(object: &Object<'_>) -> Result<bool, Fault> {
    for branch in object.get("transformers_")?.items()? {
        if let [_, _, wanted] = branch.items()?[..]
            && names_of(&wanted)?.is_some_and(|names| !names.is_empty())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The names in a wish for columns, if it consists of those.
fn names_of(wanted: &Value<'_>) -> Result<Option<Vec<String>>, Fault> {
    if let Ok(name) = wanted.text() {
        return Ok(Some(vec![name.into_owned()]));
    }
    let Ok(items) = wanted.items() else { return Ok(wanted.texts().ok()) };
    let is_named = items.iter().all(|item| matches!(item.record(), Record::Text(_)));
    if is_named {
        items.iter().map(|item| item.text().map(|name| Some(name.into_owned()))).collect()
    } else {
        Ok(None)
    }
}

/// The places of columns by name, number, truth value or slice.
fn places_of(
    wanted: &Value<'_>,
    n_inputs: usize,
    names: Option<&[String]>,
) -> Result<Option<Vec<usize>>, Fault> {
    let from_end = |place: i64| {
        let place = if place < 0 { place.checked_add(i64::try_from(n_inputs).ok()?)? } else { place };
        usize::try_from(place).ok()
    };
    let named = |name: &str| names?.iter().position(|known| known == name);
    if let Some(wanted) = names_of(wanted)? {
        return Ok(wanted.iter().map(|name| named(name)).collect());
    }
    if let Ok(place) = wanted.integer() {
        return Ok(from_end(place).map(|place| vec![place]));
    }
    if let Record::Instance(instance) = wanted.record()
        && &*instance.class == "builtins.slice"
    {
        return slice_of(wanted, n_inputs, names);
    }
    let items = match wanted.items() {
        Ok(items) if items.iter().all(|item| matches!(item.record(), Record::Bool(_))) => {
            let mask = items.iter().map(Value::flag).collect::<Result<Vec<bool>, _>>()?;
            return Ok(Some((0..mask.len()).filter(|place| mask[*place]).collect()));
        }
        Ok(_) => wanted.integers()?,
        Err(_) if wanted.array()?.kind() == crate::formats::numpy::Kind::Bool => {
            let mask = wanted.integers()?;
            return Ok(Some((0..mask.len()).filter(|place| mask[*place] == 1).collect()));
        }
        Err(_) => wanted.integers()?,
    };
    Ok(items.into_iter().map(from_end).collect())
}

/// The places in a Python slice. One of names, unlike one of numbers, includes its end.
fn slice_of(
    slice: &Value<'_>,
    n_inputs: usize,
    names: Option<&[String]>,
) -> Result<Option<Vec<usize>>, Fault> {
    let [start, stop, step] = slice.arguments()?[..] else { return Err(slice.problem("have an odd slice")) };
    if !step.is_none() && step.integer()? != 1 {
        return Err(slice.unsupported("slices have a step of one"));
    }
    let place = |bound: &Value<'_>, open: usize, after_name: usize| -> Result<Option<usize>, Fault> {
        if bound.is_none() {
            return Ok(Some(open));
        }
        if let Ok(name) = bound.text() {
            let place = names.and_then(|names| names.iter().position(|known| **known == name));
            return Ok(place.map(|place| place + after_name));
        }
        let place = bound.integer()?;
        let n = i64::try_from(n_inputs).unwrap_or(i64::MAX);
        let place = if place < 0 { place.saturating_add(n).max(0) } else { place.min(n) };
        Ok(usize::try_from(place).ok())
    };
    let bounds = (place(&start, 0, 0)?, place(&stop, n_inputs, 1)?);
    let (Some(start), Some(stop)) = bounds else { return Ok(None) };
    Ok(Some((start..stop).collect()))
}

/// Parts side by side: numbers if all are, else columns.
pub(super) fn stack(n_rows: usize, parts: &[Rows<'_>]) -> Rows<'static> {
    let n_columns: usize = parts.iter().map(Rows::n_columns).sum();
    if parts.iter().any(|part| matches!(part, Rows::Table(table) if table.has_texts())) {
        let columns = parts.iter().flat_map(|part| (0..part.n_columns()).map(|column| part.column(column)));
        return Rows::Table(Table { n_rows, columns: columns.collect() });
    }
    let mut values = vec![0.0; n_rows * n_columns];
    let mut start = 0;
    for part in parts {
        match part {
            Rows::Matrix(matrix) => {
                let places = values.chunks_exact_mut(n_columns.max(1));
                for (place, row) in places.zip(matrix.rows()) {
                    place[start..start + matrix.n_columns].copy_from_slice(row);
                }
            }
            Rows::Table(table) => {
                for (index, column) in table.columns.iter().enumerate() {
                    column.copy_to(values.iter_mut().skip(start + index).step_by(n_columns));
                }
            }
        }
        start += part.n_columns();
    }
    Rows::matrix(n_rows, n_columns, values)
}

// === impl ColumnTransformer ===

impl Part for ColumnTransformer {
    fn n_inputs(&self) -> Option<usize> {
        Some(self.n_inputs)
    }

    fn hint(&self, column: usize) -> Hint {
        let hints = self.branches.iter().filter_map(|branch| {
            let place = branch.columns.iter().position(|taken| *taken == column)?;
            Some(
                branch.transformer.as_ref().map_or_else(Hint::default, |transformer| transformer.hint(place)),
            )
        });
        Hint::of_all(hints)
    }

    fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }
}

impl Transformer for ColumnTransformer {
    fn n_outputs(&self, _n_inputs: usize) -> usize {
        self.branches.iter().map(Branch::n_outputs).sum()
    }

    fn widest(&self, n_inputs: usize) -> usize {
        let branches = self.branches.iter().filter_map(|branch| {
            let transformer = branch.transformer.as_ref()?;
            Some(transformer.widest(branch.columns.len()))
        });
        branches.fold(n_inputs.max(self.n_outputs(n_inputs)), usize::max)
    }

    fn gives_sparse(&self, _takes_sparse: bool) -> bool {
        self.gives_sparse
    }

    fn knows_none(&self, column: usize) -> bool {
        self.branches.iter().any(|branch| {
            let place = branch.columns.iter().position(|taken| *taken == column);
            let known = branch.transformer.as_ref().zip(place);
            known.is_some_and(|(transformer, place)| transformer.knows_none(place))
        })
    }

    fn keep_none(&mut self, column: usize) {
        let mut start = 0;
        for branch in &mut self.branches {
            let end = start + branch.n_outputs();
            if let Some(transformer) = branch.transformer.as_mut().filter(|_| (start..end).contains(&column))
            {
                transformer.keep_none(column - start);
            }
            start = end;
        }
    }

    fn transform<'a>(&self, rows: Rows<'a>) -> Result<Rows<'a>, Refusal> {
        let mut parts = Vec::with_capacity(self.branches.len());
        for branch in &self.branches {
            let part = rows.select(&branch.columns);
            let part = match &branch.transformer {
                Some(transformer) => transformer.transform(part).map_err(|refusal| branch.found(refusal))?,
                None => part,
            };
            parts.push(part.weighted(branch.weight)?);
        }
        Ok(stack(rows.n_rows(), &parts))
    }
}

impl Branch {
    fn n_outputs(&self) -> usize {
        let n_columns = self.columns.len();
        self.transformer.as_ref().map_or(n_columns, |transformer| transformer.n_outputs(n_columns))
    }

    /// The refusal with the column counted among all.
    fn found(&self, refusal: Refusal) -> Refusal {
        let column = refusal.column.and_then(|column| self.columns.get(column).copied());
        Refusal { column, ..refusal }
    }
}
