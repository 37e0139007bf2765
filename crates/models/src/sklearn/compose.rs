//! `ColumnTransformer`: some columns to one transformer, others to another, the results side by side.

mod columns;
mod target;

use std::collections::HashMap;

use super::inner::into_transformer;
use super::pipeline::{is_passthrough, weight_of};
use super::{Kind, compile};
use crate::estimator::{Hint, Part, Step, Transformer, transformer};
use crate::fault::Fault;
use crate::object::{Object, Value};
use crate::rows::{Refusal, Rows, Table};
use columns::Columns;

/// What fitting was told; `transformers_` says what became of it.
const FIT: &str = "\
    _columns force_int_remainder_cols _has_str_cols _n_features _name_to_fitted_passthrough output_indices_ \
    remainder _remainder sparse_threshold transformers _transformers_feature_names_out \
    verbose_feature_names_out";

pub(super) const KINDS: &[Kind] = &[
    Kind { path: "sklearn.compose.ColumnTransformer", ignores: &[FIT], compile: column_transformer },
    Kind {
        path: "sklearn.compose.TransformedTargetRegressor",
        ignores: &[target::FIT],
        compile: target::transformed_target,
    },
];

#[derive(Debug)]
struct ColumnTransformer {
    n_inputs: usize,
    names: Option<Vec<String>>,
    branches: Vec<Branch>,
    /// For each column that is used: the branches that take it, and its place in each.
    takers: HashMap<usize, Vec<(usize, usize)>>,
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
        if part.is_text("drop") {
            continue;
        }
        let columns = columns.resolve(&name, &wanted)?;
        // What was fitted with no columns was not fitted at all.
        if columns.is_empty() {
            continue;
        }
        let transformer =
            if is_passthrough(&part) { None } else { Some(part_of(&part, &name, columns.len())?) };
        branches.push(Branch { columns, transformer, weight: weight_of(weights.as_ref(), &name)? });
    }
    let (n_inputs, names) = columns.finish();
    let mut takers: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
    for (index, branch) in branches.iter().enumerate() {
        for (place, column) in branch.columns.iter().enumerate() {
            takers.entry(*column).or_default().push((index, place));
        }
    }
    let gives_sparse = object.flag_or("sparse_output_", false)?;
    Ok(transformer(ColumnTransformer { n_inputs, names, branches, takers, gives_sparse }))
}

fn part_of(part: &Value<'_>, name: &str, n_columns: usize) -> Result<Box<dyn Transformer>, Fault> {
    let Some(transformer) = into_transformer(compile(part, Some(name))?.step) else {
        return Err(part.problem("have a part that is no transformer"));
    };
    match transformer.n_inputs() {
        Some(n_inputs) if n_inputs != n_columns => {
            Err(part.problem(&format!("give {n_columns} columns to a part that takes {n_inputs}")))
        }
        _ => Ok(transformer),
    }
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
        let hints = self.takers(column).map(|(transformer, place)| {
            transformer.map_or_else(Hint::default, |transformer| transformer.hint(place))
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
        let mut takers = self.takers(column);
        takers
            .any(|(transformer, place)| transformer.is_some_and(|transformer| transformer.knows_none(place)))
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

impl ColumnTransformer {
    /// The transformers that take a column, and its place in each.
    fn takers(&self, column: usize) -> impl Iterator<Item = (Option<&dyn Transformer>, usize)> {
        let takers = self.takers.get(&column).map_or(&[][..], Vec::as_slice);
        takers.iter().map(|(branch, place)| (self.branches[*branch].transformer.as_deref(), *place))
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
