//! Rows as tensors of the Open Inference Protocol: one for all columns, or one for each.

mod data;
mod datatype;

use models::{Batch, DataType};

use super::column::number;
use super::names::Names;
use super::{Decoded, Form, Schema, Table};
use crate::fault::Fault;

pub(crate) use data::{Data, Json, Lists};
pub(crate) use datatype::{Datatype, Elements, datatype_name};

/// A tensor whose data is still to be read.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    /// Its name.
    pub(crate) name: String,
    /// Its shape, as the request says.
    pub(crate) shape: Vec<usize>,
    /// What its elements are.
    pub(crate) elements: Elements,
    /// Whether it is one column of a table: its content type is `pd`, or another one that stands for a column.
    pub(crate) is_column: bool,
    /// Its data.
    pub(crate) data: Data<'a>,
}

/// Reads tensors as rows: several, or one that is called a column, are columns by name; one alone is all columns.
pub(crate) fn tensors(tensors: &[Tensor<'_>], schema: &Schema, body_length: usize) -> Result<Decoded, Fault> {
    match tensors {
        [] => Err(Fault::input("$.inputs", "there are no tensors")),
        [tensor] if !tensor.is_column && !is_named_column(tensor, schema) => whole(tensor, schema),
        tensors => columns(tensors, schema, body_length),
    }
}

/// Whether a tensor is a column, or one of several inputs, by its name and its shape, though nobody says so.
fn is_named_column(tensor: &Tensor<'_>, schema: &Schema) -> bool {
    let is_column_shaped = matches!(tensor.shape.as_slice(), [_] | [_, 1]);
    schema.input(&tensor.name).is_some()
        || is_column_shaped && schema.has_names() && schema.position(&tensor.name, 0).is_some()
}

/// Reads a tensor of all columns.
fn whole(tensor: &Tensor<'_>, schema: &Schema) -> Result<Decoded, Fault> {
    let (n_rows, n_columns) = match *tensor.shape.as_slice() {
        [n_rows, n_columns] => (n_rows, n_columns),
        [n_rows] if schema.n_columns() == Some(1) => (n_rows, 1),
        _ => return Err(no_matrix(tensor, schema)),
    };
    let positions = schema.positions_of_row(n_columns);
    let expected = if schema.has_full_rows() { Some(positions.len()) } else { schema.n_columns() };
    let expected = expected.unwrap_or(n_columns);
    if n_columns != expected || n_columns == 0 {
        let problem = format!("expected {expected} columns, got {n_columns}");
        return Err(Fault::input("$.inputs[0].shape", problem));
    }
    let Some(datatype) = schema.numbers() else {
        let mut table = Table::new(schema, 0);
        data::read(tensor, 0, |index, value| {
            let Some(position) = positions[index % n_columns] else { return Ok(()) };
            table.push(position, &value).map_err(|misfit| misfit.fault(data::place(0, index)))
        })?;
        table.end_rows(n_rows, schema.fields().len(), Form::Tensors)?;
        return table.finish(Form::Tensors);
    };
    if datatype == DataType::Double
        && n_rows > 0
        && let Some(numbers) = data::numbers_of(tensor)
    {
        let batch = Batch::matrix(n_columns, numbers);
        return Ok(Decoded { batch, form: Form::Tensors, ignored: Vec::new(), gaps: Vec::new() });
    }
    let mut numbers = Vec::new();
    data::read(tensor, 0, |index, value| {
        numbers.push(number(datatype, &value).map_err(|misfit| misfit.fault(data::place(0, index)))?);
        Ok(())
    })?;
    if n_rows == 0 {
        return Err(Fault::input("$.inputs[0].shape", "there are no rows"));
    }
    let batch = Batch::matrix(n_columns, numbers);
    Ok(Decoded { batch, form: Form::Tensors, ignored: Vec::new(), gaps: Vec::new() })
}

/// The fault of a tensor that has no rows and columns.
fn no_matrix(tensor: &Tensor<'_>, schema: &Schema) -> Fault {
    let problem = format!("expected rows and columns, got {:?}", tensor.shape);
    let n_columns =
        schema.n_columns().map_or_else(|| "columns".to_owned(), |n_columns| n_columns.to_string());
    Fault::input("$.inputs[0].shape", problem)
        .with_help(format!("write the shape of one row as [1, {n_columns}]"))
}

/// Reads one tensor for each column, or for each of the inputs that the model's file names, which may have several.
fn columns(tensors: &[Tensor<'_>], schema: &Schema, body_length: usize) -> Result<Decoded, Fault> {
    let mut names = Names::new(schema);
    let mut places: Vec<Option<(usize, usize)>> = Vec::with_capacity(tensors.len());
    for (index, tensor) in tensors.iter().enumerate() {
        let Some((first, n_columns)) = schema.input(&tensor.name) else {
            let position = names.place(&tensor.name, index, Form::Tensors)?;
            places.push(position.map(|position| (position, 1)));
            continue;
        };
        for position in first..first + n_columns {
            names.give_once(position, &tensor.name, index, Form::Tensors)?;
        }
        places.push(Some((first, n_columns)));
    }
    let mut table = Table::with_names(names, body_length);
    let mut n_rows = None;
    for (index, (tensor, place)) in tensors.iter().zip(&places).enumerate() {
        let n_columns = place.map_or(1, |(_, n_columns)| n_columns);
        let length = match *tensor.shape.as_slice() {
            [length] if n_columns == 1 => length,
            [length, width] if width == n_columns => length,
            _ => return Err(wrong_shape(tensor, index, n_columns)),
        };
        let expected = *n_rows.get_or_insert(length);
        if length != expected {
            let problem = format!("expected as many rows as the input before has, {expected}, got {length}");
            return Err(Fault::input(format!("$.inputs[{index}].shape"), problem));
        }
        data::read(tensor, index, |element, value| {
            let Some((first, _)) = *place else { return Ok(()) };
            let position = first + element % n_columns;
            table.push(position, &value).map_err(|misfit| misfit.fault(data::place(index, element)))
        })?;
    }
    let n_given = places.iter().flatten().map(|(_, n_columns)| n_columns).sum();
    table.end_rows(n_rows.unwrap_or(0), n_given, Form::Tensors)?;
    table.finish(Form::Tensors)
}

fn wrong_shape(tensor: &Tensor<'_>, index: usize, n_columns: usize) -> Fault {
    let expected = match n_columns {
        1 => "expected the rows of one column, as [2] or [2, 1]".to_owned(),
        n_columns => format!("expected the rows of {n_columns} columns, as [2, {n_columns}]"),
    };
    Fault::input(format!("$.inputs[{index}].shape"), format!("{expected}, got {:?}", tensor.shape))
}
