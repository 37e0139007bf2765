//! Rows as lists of values: `[[6.8, 2.8], [6.0, 3.4]]`, with or without the names of the columns beside them.

use models::Batch;

use super::column::{describe, number};
use super::{Decoded, Form, Schema, Table};
use crate::fault::{Cause, Fault, list as names, quoted};
use crate::json::{Items, Kind, Reader, Scalar};

/// Whether values may be known by their positions alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positions {
    /// In every model.
    Always,
    /// In models that declare no names, as MLflow has it: an order that nobody checks is a mistake that nobody sees.
    Undeclared,
}

/// Reads a list of rows, which are objects or lists of values.
pub(crate) fn list(
    reader: &mut Reader<'_>,
    schema: &Schema,
    body_length: usize,
    path: &'static str,
    positions: Positions,
) -> Result<Decoded, Fault> {
    let mut ahead = reader.clone();
    let mut items = begin_rows(&mut ahead, Form::Rows(path))?;
    if items.next(&mut ahead)? && ahead.peek()? == Kind::Object {
        return super::records(reader, schema, body_length, path);
    }
    let has_names = schema.is_declared() && schema.matrix().is_none();
    if has_names && positions == Positions::Undeclared {
        let names = names(schema.fields().iter().map(|field| field.name.as_str()));
        let fault = Fault::input(path, format!("the model takes columns by name: {names}"));
        return Err(fault.with_help("send objects, or `dataframe_split` with `columns`"));
    }
    rows(reader, schema, body_length, Form::Rows(path))
}

/// Reads rows that are lists of values in the order of the model's columns.
fn rows(reader: &mut Reader<'_>, schema: &Schema, body_length: usize, form: Form) -> Result<Decoded, Fault> {
    if schema.matrix().is_some() {
        return matrix(reader, schema, form);
    }
    let mut table = Table::new(schema, body_length);
    let positions: Vec<Option<usize>> = (0..table.n_columns()).map(Some).collect();
    placed_rows(reader, &mut table, &positions, form)?;
    table.finish(form)
}

/// Reads what pandas calls `split`: `{"columns": […], "data": [[…], …]}`, with the names before the data or after.
pub(crate) fn split(
    reader: &mut Reader<'_>,
    schema: &Schema,
    body_length: usize,
    path: &'static str,
) -> Result<Decoded, Fault> {
    let form = Form::Split(path);
    let mut table = Table::new(schema, body_length);
    let mut positions = None;
    let mut unread_data = None;
    let mut is_read = false;
    let mut members = reader.object().map_err(|_| not_split(path))?;
    while let Some(key) = members.next(reader)? {
        match (key.as_ref(), &positions) {
            ("columns", None) => positions = Some(column_positions(reader, &mut table, form)?),
            ("data", Some(positions)) if !is_read => {
                placed_rows(reader, &mut table, positions, form)?;
                is_read = true;
            }
            ("data", None) if unread_data.is_none() => {
                unread_data = Some(reader.clone());
                reader.skip()?;
            }
            ("index", _) => reader.skip()?,
            ("columns" | "data", _) => {
                return Err(Fault::new(Cause::Format, format!("`{key}` stands there twice")).at(path));
            }
            _ => {
                let problem = format!("expected `columns`, `data` or `index`, got {}", quoted(&key));
                return Err(Fault::new(Cause::Format, problem).at(path));
            }
        }
    }
    match (unread_data, positions) {
        (None, _) if is_read => table.finish(form),
        (None, _) => Err(not_split(path)),
        (Some(mut data), Some(positions)) => {
            placed_rows(&mut data, &mut table, &positions, form)?;
            table.finish(form)
        }
        (Some(_), None) if schema.is_declared() && schema.matrix().is_none() => {
            let names = names(schema.fields().iter().map(|field| field.name.as_str()));
            Err(Fault::input(format!("{path}.columns"), format!("the model takes columns by name: {names}")))
        }
        (Some(mut data), None) => rows(&mut data, schema, body_length, form),
    }
}

fn not_split(path: &str) -> Fault {
    Fault::new(Cause::Format, "expected an object with `columns` and `data`").at(path)
}

/// Reads the names of columns; `None` for those that the model does not know.
fn column_positions(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    form: Form,
) -> Result<Vec<Option<usize>>, Fault> {
    let mut positions = Vec::new();
    let mut names = reader.array()?;
    while names.next(reader)? {
        let name = match reader.scalar()? {
            Scalar::Text(name) => name,
            Scalar::Long(number) => number.to_string().into(),
            other => {
                let problem = format!("expected the name of a column, got {}", describe(&other));
                return Err(Fault::input(form.place_of_name("", positions.len()), problem));
            }
        };
        positions.push(place_column(table, &name, positions.len(), form)?);
    }
    table.require_columns(form)?;
    Ok(positions)
}

/// Finds the position of a column that a header names, which it may do once.
pub(super) fn place_column(
    table: &mut Table<'_>,
    name: &str,
    index: usize,
    form: Form,
) -> Result<Option<usize>, Fault> {
    let Some(position) = table.position(name, index) else { return Ok(None) };
    if table.give(position) {
        return Ok(Some(position));
    }
    Err(Fault::input(
        form.place_of_name(name, index),
        format!("the column {} stands there twice", quoted(name)),
    ))
}

/// Reads rows whose values belong to the columns at these positions.
fn placed_rows(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    positions: &[Option<usize>],
    form: Form,
) -> Result<(), Fault> {
    let n_given = positions.iter().flatten().count();
    let mut items = begin_rows(reader, form)?;
    while items.next(reader)? {
        let row = table.n_rows();
        let mut n_values = 0;
        let mut values = begin_row(reader, row, form)?;
        while values.next(reader)? {
            match positions.get(n_values) {
                None => return Err(wrong_length(row, n_values + 1, positions.len(), form)),
                Some(None) => reader.skip()?,
                Some(Some(position)) => {
                    let value = single(reader, || form.place_of_item(row, n_values))?;
                    table.push(*position, &value).map_err(|misfit| {
                        let place = form.place_of_item(row, n_values);
                        let name = table.schema().fields().get(*position).map(|field| quoted(&field.name));
                        misfit.fault(name.map_or(place.clone(), |name| format!("{place}, column {name}")))
                    })?;
                }
            }
            n_values += 1;
        }
        if n_values < positions.len() {
            return Err(wrong_length(row, n_values, positions.len(), form));
        }
        table.end_rows(1, n_given, form)?;
    }
    Ok(())
}

/// Reads rows of numbers, all of one length, for a model that takes a matrix.
fn matrix(reader: &mut Reader<'_>, schema: &Schema, form: Form) -> Result<Decoded, Fault> {
    let datatype = schema.matrix().expect("the caller has looked");
    let mut numbers = Vec::new();
    let mut n_columns = schema.n_columns();
    let mut n_rows = 0;
    let mut items = begin_rows(reader, form)?;
    while items.next(reader)? {
        let start = numbers.len();
        let mut values = begin_row(reader, n_rows, form)?;
        while values.next(reader)? {
            let index = numbers.len() - start;
            let place = || form.place_of_item(n_rows, index);
            let value = single(reader, place)?;
            numbers.push(number(datatype, &value).map_err(|misfit| misfit.fault(place()))?);
        }
        let length = numbers.len() - start;
        let expected = *n_columns.get_or_insert(length);
        if length != expected || length == 0 {
            return Err(wrong_length(n_rows, length, expected, form));
        }
        n_rows += 1;
    }
    let Some(n_columns) = n_columns.filter(|_| n_rows > 0) else {
        return Err(Fault::input(form.place(None, None), "there are no rows"));
    };
    let batch = Batch::matrix(n_columns, numbers);
    Ok(Decoded { batch, form, ignored: Vec::new(), filled: Vec::new() })
}

/// Reads a single value, which is no list and no object.
#[inline]
pub(super) fn single<'a>(
    reader: &mut Reader<'a>,
    place: impl FnOnce() -> String,
) -> Result<Scalar<'a>, Fault> {
    match reader.peek()? {
        kind @ (Kind::Object | Kind::Array) => {
            Err(Fault::input(place(), format!("expected a single value, got {kind}")))
        }
        _ => Ok(reader.scalar()?),
    }
}

/// Begins the list of rows.
pub(crate) fn begin_rows(reader: &mut Reader<'_>, form: Form) -> Result<Items, Fault> {
    match reader.peek()? {
        Kind::Array => Ok(reader.array()?),
        kind => {
            let problem = format!("expected a list of rows, got {kind}");
            Err(Fault::new(Cause::Format, problem).at(form.place(None, None)))
        }
    }
}

fn begin_row(reader: &mut Reader<'_>, row: usize, form: Form) -> Result<Items, Fault> {
    match reader.peek()? {
        Kind::Array => Ok(reader.array()?),
        kind => {
            let fault =
                Fault::input(form.place(Some(row), None), format!("expected a list of values, got {kind}"));
            Err(fault.with_help("write every row in the same way, as `[1.5, 2]`"))
        }
    }
}

fn wrong_length(row: usize, got: usize, expected: usize, form: Form) -> Fault {
    let values =
        |n_values: usize| if n_values == 1 { "1 value".to_owned() } else { format!("{n_values} values") };
    let at_least = if got > expected { "at least " } else { "" };
    Fault::input(
        form.place(Some(row), None),
        format!("expected {}, got {at_least}{}", values(expected), values(got)),
    )
}
