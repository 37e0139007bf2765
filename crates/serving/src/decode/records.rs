//! Rows as objects: `[{"pH": 3.1}, {"pH": 3.2}]`, and columns as one object: `{"pH": [3.1, 3.2]}`.

use super::column::Misfit;
use super::rows::{begin_rows, single};
use super::{Decoded, Form, Schema, Table};
use crate::fault::{Fault, quoted};
use crate::json::{Kind, Reader};

/// Reads a list of objects, one for each row.
///
/// A key that only some objects have is missing in the others, as pandas has it. A value may be a list of one value.
pub(crate) fn records(
    reader: &mut Reader<'_>,
    schema: &Schema,
    body_length: usize,
    path: &'static str,
) -> Result<Decoded, Fault> {
    let form = Form::Records(path);
    let mut table = Table::new(schema, body_length);
    let mut items = begin_rows(reader, form)?;
    while items.next(reader)? {
        let n_new = read_object(reader, &mut table, form)?;
        if n_new != 1 {
            let problem = format!("expected one row for each object, got {n_new}");
            let fault = Fault::input(form.place(Some(table.n_rows() - n_new), None), problem);
            return Err(fault.with_help("write one object for each row"));
        }
    }
    table.finish(form)
}

/// Reads one object whose values are the columns: lists, or single values for one row.
pub(crate) fn columns(
    reader: &mut Reader<'_>,
    schema: &Schema,
    body_length: usize,
    path: &'static str,
) -> Result<Decoded, Fault> {
    let form = Form::Columns(path);
    let mut table = Table::new(schema, body_length);
    read_object(reader, &mut table, form)?;
    table.finish(form)
}

/// Reads one object into a table, and says how many rows it has.
pub(crate) fn read_object(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    form: Form,
) -> Result<usize, Fault> {
    let first_row = table.n_rows();
    if let kind @ (Kind::Array | Kind::Text | Kind::Number | Kind::Boolean | Kind::Null) = reader.peek()? {
        let problem = format!("expected an object with the columns of the row, got {kind}");
        return Err(Fault::input(form.place(Some(first_row), None), problem));
    }
    let mut n_rows = None;
    let mut n_given = 0;
    let mut n_names = 0;
    let mut members = reader.object()?;
    while let Some(name) = members.next(reader)? {
        let position = table.position(&name, n_names, form)?;
        n_names += 1;
        let Some(position) = position else {
            reader.skip()?;
            continue;
        };
        let place = |row: usize| form.place(Some(first_row + row), Some(&name));
        if table.n_values(position) != first_row {
            return Err(Fault::input(place(0), format!("the column {} stands there twice", quoted(&name))));
        }
        let n_values = read_values(reader, table, position, place)?;
        let expected = *n_rows.get_or_insert(n_values);
        if n_values != expected {
            let problem =
                format!("expected as many values as the column before has, {expected}, got {n_values}");
            return Err(Fault::input(place(0), problem));
        }
        n_given += 1;
    }
    let n_rows = n_rows.unwrap_or(1);
    table.end_rows(n_rows, n_given, form)?;
    Ok(n_rows)
}

/// Reads the value of a column in one row, or a list of its values. Says how many there are.
#[inline]
fn read_values(
    reader: &mut Reader<'_>,
    table: &mut Table<'_>,
    position: usize,
    place: impl Fn(usize) -> String,
) -> Result<usize, Fault> {
    let mut push = |reader: &mut Reader<'_>, row: usize| {
        let value = single(reader, || place(row))?;
        table.push(position, &value).map_err(|misfit: Misfit| misfit.fault(place(row)))
    };
    if reader.peek()? != Kind::Array {
        push(reader, 0)?;
        return Ok(1);
    }
    let mut n_values = 0;
    let mut items = reader.array()?;
    while items.next(reader)? {
        push(reader, n_values)?;
        n_values += 1;
    }
    Ok(n_values)
}
