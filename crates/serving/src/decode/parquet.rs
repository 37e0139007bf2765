//! Rows as a Parquet file, as pandas, Polars, DuckDB and Spark save tables of plain columns.
//!
//! What is read: one value per cell, pages of both versions, plain and dictionary encodings, runs and differences, and
//! snappy, gzip and zstd. Everything else is refused with its name. Columns that pandas adds for its index are passed over.
//!
//! A reader of ours, because bodies come from strangers: what is unpacked and what is handed on has a budget that grows with
//! the length of the file, and a broken file is an error at its place.

mod codecs;
mod encodings;
mod metadata;
mod pages;
mod thrift;

use super::names::Names;
use super::{Decoded, Form, Schema, Table};
use crate::fault::{Cause, Fault};
use crate::json::Scalar;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", column.as_ref().map(|column| format!("column `{column}`: ")).unwrap_or_default())]
struct Problem {
    column: Option<String>,
    problem: String,
    /// A value that does not fit the model, rather than a broken file.
    misfit: Option<Box<Fault>>,
}

/// The letters of a column's name that an error shows.
const SHOWN_LETTERS: usize = 64;

impl Problem {
    fn new(problem: impl Into<String>) -> Self {
        Self { column: None, problem: problem.into(), misfit: None }
    }

    fn in_column(column: &str, problem: impl Into<String>) -> Self {
        let column = column.chars().take(SHOWN_LETTERS).collect();
        Self { column: Some(column), ..Self::new(problem) }
    }

    /// The same, with the column if none is known.
    fn of(self, column: &str) -> Self {
        let shown = || column.chars().take(SHOWN_LETTERS).collect();
        Self { column: self.column.or_else(|| Some(shown())), ..self }
    }

    fn fault(self) -> Fault {
        match self.misfit {
            Some(fault) => *fault,
            None => Fault::new(Cause::Format, format!("the Parquet file cannot be read: {self}")),
        }
    }
}

/// How much memory and work a file may cost.
struct Budget {
    /// Bytes of pages that are unpacked.
    n_unpacked: usize,
    /// Bytes of values that are handed on.
    n_values: usize,
}

/// What any file may cost, and how much more for each of its bytes, and what none may.
const ANYWAY: usize = 16 << 20;
const UNPACKED_PER_BYTE: usize = 128;
const VALUES_PER_BYTE: usize = 64;
const MAX_VALUE_BYTES: usize = 512 << 20;
const MAX_PAGE_BYTES: usize = 64 << 20;
/// What a value costs, beside the bytes of a text.
const VALUE_BYTES: usize = 8;

impl Budget {
    fn of(file: &[u8]) -> Self {
        let of = |per_byte: usize| file.len().saturating_mul(per_byte).saturating_add(ANYWAY);
        Self { n_unpacked: of(UNPACKED_PER_BYTE), n_values: of(VALUES_PER_BYTE).min(MAX_VALUE_BYTES) }
    }

    /// A page of so many bytes.
    fn unpack(&mut self, n_bytes: usize) -> Result<(), Problem> {
        let left = self.n_unpacked.checked_sub(n_bytes).filter(|_| n_bytes <= MAX_PAGE_BYTES);
        self.n_unpacked = left.ok_or_else(Self::too_much)?;
        Ok(())
    }

    /// Whether so many values may come.
    fn check(&self, n: usize) -> Result<(), Problem> {
        if n > self.n_values / VALUE_BYTES { Err(Self::too_much()) } else { Ok(()) }
    }

    fn value(&mut self, value: &Scalar<'_>) -> Result<(), Problem> {
        let n_bytes = VALUE_BYTES + if let Scalar::Text(text) = value { text.len() } else { 0 };
        self.n_values = self.n_values.checked_sub(n_bytes).ok_or_else(Self::too_much)?;
        Ok(())
    }

    fn too_much() -> Problem {
        Problem::new("it unfolds to far more than its length; send fewer rows at a time")
    }
}

/// The names of the columns.
pub(crate) fn header(file: &[u8]) -> Result<Vec<String>, Fault> {
    let metadata = metadata::read(file).map_err(Problem::fault)?;
    Ok(metadata.columns.into_iter().map(|column| column.name).filter(|name| !is_index(name)).collect())
}

/// Reads all rows of a file.
pub(crate) fn parquet(file: &[u8], schema: &Schema) -> Result<Decoded, Fault> {
    let form = Form::File;
    let mut metadata = metadata::read(file).map_err(Problem::fault)?;
    metadata.columns.retain(|column| !is_index(&column.name));
    let mut names = Names::new(schema);
    let mut positions = Vec::with_capacity(metadata.columns.len());
    for (index, column) in metadata.columns.iter().enumerate() {
        positions.push(names.place(&column.name, index, form)?);
    }
    names.require(form)?;
    let mut table = Table::with_names(names, file.len());
    let mut budget = Budget::of(file);
    for (column, position) in metadata.columns.iter().zip(&positions) {
        let Some(position) = position else { continue };
        let mut row = 0;
        let mut take = |value: Scalar<'_>| {
            let pushed = table.push(*position, &value);
            row += 1;
            pushed.map_err(|misfit| {
                let fault = misfit.fault(form.place(Some(row - 1), Some(&column.name)));
                Problem { misfit: Some(Box::new(fault)), ..Problem::new("") }
            })
        };
        for chunk in &column.chunks {
            pages::read(file, column, chunk, &mut budget, &mut take)
                .map_err(|problem| problem.of(&column.name).fault())?;
        }
    }
    let n_given = positions.iter().flatten().count();
    table.end_rows(metadata.n_rows, n_given, form)?;
    table.finish(form)
}

/// Whether a column is the index of a `DataFrame` that pandas saved with it.
fn is_index(name: &str) -> bool {
    let number = name.strip_prefix("__index_level_").and_then(|rest| rest.strip_suffix("__"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
