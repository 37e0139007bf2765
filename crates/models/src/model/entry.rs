//! From the columns of a batch to those of an estimator, which have an order and no names.

use std::collections::HashMap;

use crate::features::Features;
use crate::rows::{Column, Rows, Table};
use crate::{Batch, Columns, InputError, InputProblem, position_in_name};

/// How the columns of a batch become those of the estimator.
#[derive(Debug)]
pub(super) struct Entry {
    /// How many columns the estimator takes; `None` if it takes any number.
    pub(super) n_columns: Option<usize>,
    /// Its columns, if they have names.
    pub(super) columns: Option<Vec<EntryColumn>>,
    /// Whether these names are those of the model. Others are for want of any: columns are known by their positions.
    pub(super) has_own_names: bool,
    /// What is made of a request first.
    pub(super) features: Option<Features>,
}

/// A column of the estimator.
#[derive(Debug)]
pub(super) struct EntryColumn {
    pub(super) name: String,
    /// Whether it must be there. One that need not be is missing in all rows if it is not.
    pub(super) is_required: bool,
    /// Whether the answer can depend on it. One that is of no use is zero in all rows if it is not there, for there are
    /// selections of columns that look at those that they drop.
    pub(super) is_used: bool,
    /// Whether the estimator takes missing values in it.
    pub(super) takes_missing: bool,
}

// === impl Entry ===

impl Entry {
    /// The rows of a batch, with the columns of the estimator.
    pub(super) fn rows<'a>(&'a self, batch: &'a Batch) -> Result<Rows<'a>, InputError> {
        check_shape(batch)?;
        match (&batch.columns, &self.columns, &self.features) {
            (Columns::Table(columns), _, None) if !self.has_own_names => {
                self.rows_by_position(batch.n_rows, columns)
            }
            (Columns::Table(columns), Some(wanted), None) => pick_in_order(wanted, batch.n_rows, columns),
            (Columns::Table(_), Some(wanted), Some(features)) => {
                let mut named = features.apply(batch)?;
                pick(wanted, batch.n_rows, |_, name| {
                    let place = named.iter().position(|(known, _)| *known == name)?;
                    Some(named.swap_remove(place).1)
                })
            }
            _ => match self.n_columns {
                Some(expected) if expected != batch.n_columns() => {
                    Err(problem(InputProblem::WrongColumnCount { expected, got: batch.n_columns() }))
                }
                _ => Ok(Rows::of(batch)),
            },
        }
    }

    /// The rows of a table for a model without column names: of the only column there is, or of columns whose names say
    /// where they stand, in any order. That nothing else is guessed is decision 13.
    fn rows_by_position<'a>(
        &self,
        n_rows: usize,
        columns: &'a [crate::Column],
    ) -> Result<Rows<'a>, InputError> {
        let n_columns = self.n_columns.unwrap_or(columns.len());
        let made_up = self.columns.as_deref().unwrap_or_default();
        let mut places: Vec<Option<&crate::Column>> = vec![None; n_columns];
        for column in columns {
            let is_it = |made_up: &EntryColumn| made_up.name == column.name;
            let position = match made_up.iter().position(is_it).or_else(|| position_in_name(&column.name)) {
                _ if n_columns == 1 && columns.len() == 1 => 0,
                Some(position) => position,
                None => return Err(problem(InputProblem::NoColumnNames { name: column.name.clone() })),
            };
            let Some(place) = places.get_mut(position) else {
                let (expected, got) = (n_columns, columns.len().max(position + 1));
                return Err(problem(InputProblem::WrongColumnCount { expected, got }));
            };
            if place.replace(column).is_some() {
                return Err(problem(InputProblem::ColumnTwice { name: column.name.clone() }));
            }
        }
        if made_up.is_empty() && columns.len() != n_columns {
            let (expected, got) = (n_columns, columns.len());
            return Err(problem(InputProblem::WrongColumnCount { expected, got }));
        }
        let mut rows = Vec::with_capacity(n_columns);
        let mut missing = Vec::new();
        for (position, place) in places.into_iter().enumerate() {
            match (place, made_up.get(position)) {
                (Some(column), _) => rows.push(Column::of(&column.values)),
                (None, Some(made_up)) if !made_up.is_required => rows.push(made_up.absent(n_rows)),
                (None, Some(made_up)) => missing.push(made_up.name.clone()),
                (None, None) => missing.push(position.to_string()),
            }
        }
        match missing.is_empty() {
            true => Ok(Rows::Table(Table { n_rows, columns: rows })),
            false => Err(problem(InputProblem::MissingColumns { names: missing })),
        }
    }

    /// What an error calls a column: its name, or else its place.
    pub(super) fn name(&self, column: usize) -> Option<String> {
        match &self.columns {
            Some(columns) => columns.get(column).map(|column| column.name.clone()),
            None => Some(column.to_string()),
        }
    }
}

impl EntryColumn {
    /// The column where a batch does not have it.
    fn absent(&self, n_rows: usize) -> Column<'static> {
        let value = if self.is_used { f64::NAN } else { 0.0 };
        Column::Double(vec![value; n_rows].into())
    }
}

/// Checks that a batch has rows, and that all its columns have as many.
fn check_shape(batch: &Batch) -> Result<(), InputError> {
    if batch.n_rows == 0 {
        return Err(problem(InputProblem::NoRows));
    }
    let expected = batch.n_rows;
    let unequal = match &batch.columns {
        Columns::Matrix { n_columns, values } => {
            let is_right = expected.checked_mul(*n_columns) == Some(values.len());
            (!is_right).then_some(values.len())
        }
        Columns::Table(columns) => {
            columns.iter().map(|column| column.values.len()).find(|n_values| *n_values != expected)
        }
    };
    match unequal {
        None => Ok(()),
        Some(got) => Err(problem(InputProblem::UnequalColumns { expected, got })),
    }
}

/// Finds columns by name. They mostly come in the right order, so names are looked up only when they do not.
fn pick_in_order<'a>(
    wanted: &[EntryColumn],
    n_rows: usize,
    columns: &'a [crate::Column],
) -> Result<Rows<'a>, InputError> {
    let mut by_name: Option<HashMap<&str, &crate::Column>> = None;
    pick(wanted, n_rows, |index, name| {
        let column = match columns.get(index) {
            Some(column) if column.name == name => Some(column),
            _ => {
                let named = || columns.iter().map(|column| (column.name.as_str(), column)).collect();
                let by_name = by_name.get_or_insert_with(named);
                by_name.get(name).copied().or_else(|| find_with_spaces(columns, name))
            }
        };
        column.map(|column| Column::of(&column.values))
    })
}

/// The column whose name the model has with `_` for each space, as LightGBM writes it.
fn find_with_spaces<'a>(columns: &'a [crate::Column], wanted: &str) -> Option<&'a crate::Column> {
    let is_meant = |column: &&crate::Column| {
        column.name.contains(' ')
            && column.name.len() == wanted.len()
            && column.name.replace(' ', "_") == wanted
    };
    wanted.contains('_').then(|| columns.iter().find(is_meant)).flatten()
}

/// The wanted columns, in order. `find` is told where a column mostly is, and its name.
fn pick<'a>(
    wanted: &[EntryColumn],
    n_rows: usize,
    mut find: impl FnMut(usize, &str) -> Option<Column<'a>>,
) -> Result<Rows<'a>, InputError> {
    let mut columns = Vec::with_capacity(wanted.len());
    let mut missing = Vec::new();
    for (index, wanted) in wanted.iter().enumerate() {
        match find(index, &wanted.name) {
            Some(column) => columns.push(column),
            None if wanted.is_required => missing.push(wanted.name.clone()),
            None => columns.push(wanted.absent(n_rows)),
        }
    }
    if missing.is_empty() {
        Ok(Rows::Table(Table { n_rows, columns }))
    } else {
        Err(problem(InputProblem::MissingColumns { names: missing }))
    }
}

fn problem(problem: InputProblem) -> InputError {
    InputError { row: None, column: None, problem }
}
