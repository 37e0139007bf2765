//! Rows as lists of values: `[[6.8, 2.8], [6.0, 3.4]]`, with or without the names of the columns beside them.

use models::{Batch, DataType};

use super::column::{describe, number};
use super::names::Names;
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
    if items.next(&mut ahead)? {
        match ahead.peek()? {
            Kind::Object => return super::records(reader, schema, body_length, path),
            Kind::Array => {}
            // Of one column there is no order, and a value is a row.
            _ if schema.n_columns() == Some(1) => {
                return values(reader, schema, body_length, Form::Rows(path));
            }
            _ => {}
        }
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
    if let Some(datatype) = schema.numbers() {
        let batch = numbers(reader, schema, datatype, None, form)?;
        return Ok(Decoded { batch, form, ignored: Vec::new(), gaps: Vec::new() });
    }
    let mut table = Table::new(schema, body_length);
    let n_values = if schema.has_full_rows() { length_of_first(reader.clone(), form)? } else { 0 };
    let positions = schema.positions_of_row(n_values);
    if n_values > 0 && n_values != positions.len() {
        return Err(wrong_length(0, n_values, positions.len(), form));
    }
    placed_rows(reader, &mut table, &positions, form)?;
    table.finish(form)
}

/// How many values the first row has; none if there is no row.
fn length_of_first(mut reader: Reader<'_>, form: Form) -> Result<usize, Fault> {
    let mut n_values = 0;
    if begin_rows(&mut reader, form)?.next(&mut reader)? {
        let mut values = begin_row(&mut reader, 0, form)?;
        while values.next(&mut reader)? {
            reader.skip()?;
            n_values += 1;
        }
    }
    Ok(n_values)
}

/// Reads rows that are single values, of a model that takes one column.
fn values(
    reader: &mut Reader<'_>,
    schema: &Schema,
    body_length: usize,
    form: Form,
) -> Result<Decoded, Fault> {
    let mut table = Table::new(schema, body_length);
    let mut items = begin_rows(reader, form)?;
    while items.next(reader)? {
        let row = table.n_rows();
        let place = || form.place(Some(row), None);
        let value = single(reader, place)?;
        table.push(0, &value).map_err(|misfit| misfit.fault(place()))?;
        table.end_rows(1, 1, form)?;
    }
    table.finish(form)
}

/// Reads a row that is a list of the values of all columns, of a model whose columns have no names, into a table.
pub(crate) fn read_values(reader: &mut Reader<'_>, table: &mut Table<'_>, form: Form) -> Result<(), Fault> {
    let row = table.n_rows();
    let n_columns = table.schema().n_columns();
    let mut n_values = 0;
    let mut items = begin_row(reader, row, form)?;
    while items.next(reader)? {
        let value = single(reader, || form.place_of_item(row, n_values))?;
        let position = match n_columns {
            Some(n_columns) if n_values >= n_columns => {
                return Err(wrong_length(row, n_values + 1, n_columns, form));
            }
            Some(_) => n_values,
            None => table.position(&n_values.to_string(), n_values, form)?.unwrap_or(n_values),
        };
        table.push(position, &value).map_err(|misfit| misfit.fault(form.place_of_item(row, n_values)))?;
        n_values += 1;
    }
    match n_columns {
        Some(n_columns) if n_values < n_columns => Err(wrong_length(row, n_values, n_columns, form)),
        _ => table.end_rows(1, n_values, form),
    }
}

/// Reads what pandas calls `split`: `{"columns": […], "data": [[…], …]}`, with the names before the data or after.
pub(crate) fn split(
    reader: &mut Reader<'_>,
    schema: &Schema,
    body_length: usize,
    path: &'static str,
) -> Result<Decoded, Fault> {
    let form = Form::Split(path);
    let mut header = None;
    let mut data = None;
    let mut decoded = None;
    let mut members = reader.object().map_err(|_| not_split(path))?;
    while let Some(key) = members.next(reader)? {
        match key.as_ref() {
            "columns" if header.is_none() && decoded.is_none() => {
                header = Some(read_header(reader, schema, form)?);
            }
            "data" if data.is_none() => {
                data = Some(reader.clone());
                match header.take() {
                    Some(header) => decoded = Some(split_rows(reader, header, body_length, form)?),
                    None => reader.skip()?,
                }
            }
            "index" => reader.skip()?,
            "columns" | "data" => {
                return Err(Fault::new(Cause::Format, format!("`{key}` stands there twice")).at(path));
            }
            _ => {
                let problem = format!("expected `columns`, `data` or `index`, got {}", quoted(&key));
                return Err(Fault::new(Cause::Format, problem).at(path));
            }
        }
    }
    match (decoded, data, header) {
        (Some(decoded), _, _) => Ok(decoded),
        (None, None, _) => Err(not_split(path)),
        (None, Some(mut data), Some(header)) => split_rows(&mut data, header, body_length, form),
        (None, Some(_), None) if schema.is_declared() && schema.matrix().is_none() => {
            let names = names(schema.fields().iter().map(|field| field.name.as_str()));
            Err(Fault::input(format!("{path}.columns"), format!("the model takes columns by name: {names}")))
        }
        (None, Some(mut data), None) => rows(&mut data, schema, body_length, form),
    }
}

fn not_split(path: &str) -> Fault {
    Fault::new(Cause::Format, "expected an object with `columns` and `data`").at(path)
}

/// The names above the data, and the positions of their columns; `None` for those that the model does not know.
struct Header<'s> {
    names: Names<'s>,
    positions: Vec<Option<usize>>,
}

fn read_header<'s>(reader: &mut Reader<'_>, schema: &'s Schema, form: Form) -> Result<Header<'s>, Fault> {
    let mut names = Names::new(schema);
    let mut positions = Vec::with_capacity(schema.fields().len());
    let mut items = reader.array()?;
    while items.next(reader)? {
        let index = positions.len();
        let is_in_order = schema.quoted(index).is_some_and(|quoted| reader.take(quoted));
        if is_in_order {
            names.give_once(index, &schema.fields()[index].name, index, form)?;
            positions.push(Some(index));
            continue;
        }
        let name = match reader.scalar()? {
            Scalar::Text(name) => name,
            Scalar::Long(number) => number.to_string().into(),
            other => {
                let problem = format!("expected the name of a column, got {}", describe(&other));
                return Err(Fault::input(form.place_of_name("", index), problem));
            }
        };
        positions.push(names.place(&name, index, form)?);
    }
    names.require(form)?;
    Ok(Header { names, positions })
}

/// Reads the rows below a header.
fn split_rows(
    reader: &mut Reader<'_>,
    header: Header<'_>,
    body_length: usize,
    form: Form,
) -> Result<Decoded, Fault> {
    let Header { names, positions } = header;
    if let Some(datatype) = names.schema().numbers()
        && names.is_complete()
    {
        let places = Some((positions.as_slice(), names.n_columns()));
        let batch = numbers(reader, names.schema(), datatype, places, form)?;
        return Ok(Decoded { batch, form, ignored: names.into_unknown(&[]), gaps: Vec::new() });
    }
    let mut table = Table::with_names(names, body_length);
    placed_rows(reader, &mut table, &positions, form)?;
    table.finish(form)
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
                    let schema = table.schema();
                    let place = || place_of_value(schema, *position, row, n_values, form);
                    table.push(*position, &value).map_err(|misfit| misfit.fault(place()))?;
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

/// Reads rows of numbers, all of one length, into a matrix: in their order, or at the positions of their columns, of which
/// there are so many.
fn numbers(
    reader: &mut Reader<'_>,
    schema: &Schema,
    datatype: DataType,
    places: Option<(&[Option<usize>], usize)>,
    form: Form,
) -> Result<Batch, Fault> {
    let mut n_columns = places.map(|(_, n_columns)| n_columns).or(schema.n_columns());
    let mut length = places.map(|(positions, _)| positions.len()).or(n_columns);
    let mut numbers = Vec::with_capacity(n_columns.unwrap_or(0).min(MOST_EXPECTED_COLUMNS));
    let mut n_rows = 0;
    let is_double = datatype == DataType::Double;
    let are_in_order = places.is_none_or(|(positions, n_columns)| {
        positions.len() == n_columns && positions.iter().copied().eq((0..n_columns).map(Some))
    });
    if is_double
        && are_in_order
        && let Some((n_columns, numbers)) = reader.number_rows(length)
    {
        return Ok(Batch::matrix(n_columns, numbers));
    }
    let mut items = begin_rows(reader, form)?;
    while items.next(reader)? {
        let start = numbers.len();
        if let Some((_, n_columns)) = places {
            numbers.resize(start + n_columns, f64::NAN);
        }
        let mut n_values = 0;
        let mut values = begin_row(reader, n_rows, form)?;
        while values.next(reader)? {
            if length.is_some_and(|length| n_values == length) {
                return Err(wrong_length(n_rows, n_values + 1, n_values, form));
            }
            let position = places.map_or(Some(n_values), |(positions, _)| positions[n_values]);
            let Some(position) = position else {
                reader.skip()?;
                n_values += 1;
                continue;
            };
            let number = match is_double.then(|| reader.plain_number()).flatten() {
                Some(number) => number,
                None => {
                    let value = single(reader, || form.place_of_item(n_rows, n_values))?;
                    let place = || place_of_value(schema, position, n_rows, n_values, form);
                    number(datatype, &value).map_err(|misfit| misfit.fault(place()))?
                }
            };
            match numbers.get_mut(start + position) {
                Some(place) => *place = number,
                None => numbers.push(number),
            }
            n_values += 1;
        }
        let expected = *length.get_or_insert(n_values);
        if n_values != expected || n_values == 0 {
            return Err(wrong_length(n_rows, n_values, expected, form));
        }
        n_columns.get_or_insert(n_values);
        n_rows += 1;
    }
    match n_columns {
        Some(n_columns) if n_rows > 0 => Ok(Batch::matrix(n_columns, numbers)),
        _ => Err(Fault::input(form.place(None, None), "there are no rows")),
    }
}

/// For how many columns room is made before a value has come.
const MOST_EXPECTED_COLUMNS: usize = 4096;

/// The place of a value in a row, with the name of its column if the model has one.
fn place_of_value(schema: &Schema, position: usize, row: usize, index: usize, form: Form) -> String {
    let place = form.place_of_item(row, index);
    match schema.fields().get(position) {
        Some(field) => format!("{place}, column {}", quoted(&field.name)),
        None => place,
    }
}

/// Reads a single value, which is no list and no object.
#[inline]
pub(super) fn single<'a>(
    reader: &mut Reader<'a>,
    place: impl FnOnce() -> String,
) -> Result<Scalar<'a>, Fault> {
    reader.scalar().map_err(|error| match reader.peek() {
        Ok(kind @ (Kind::Object | Kind::Array)) => {
            Fault::input(place(), format!("expected a single value, got {kind}"))
        }
        _ => error.into(),
    })
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
