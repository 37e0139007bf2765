//! Rows as tensors of the Open Inference Protocol: one for all columns, or one for each.

use models::Batch;

use super::column::{Misfit, number};
use super::names::Names;
use super::rows::single;
use super::{Decoded, Form, Schema, Table};
use crate::fault::{Cause, Fault, list, nearest, quoted};
use crate::json::{Kind, Reader, Scalar};

/// A tensor whose data is still to be read.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    /// Its name.
    pub(crate) name: String,
    /// Its shape, as the request says.
    pub(crate) shape: Vec<usize>,
    /// The type of its elements, as the request says.
    pub(crate) datatype: Datatype,
    /// Whether it is one column of a table: its content type is `pd`, or another one that stands for a column.
    pub(crate) is_column: bool,
    /// Where its data begins.
    pub(crate) data: Reader<'a>,
}

/// A type of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datatype {
    Bool,
    /// Whole numbers from the first to the second.
    Integer(i64, i64),
    Fp32,
    Fp64,
    Bytes,
}

/// All types of elements, by their names in the protocol.
const DATATYPES: &[(&str, Datatype)] = &[
    ("FP64", Datatype::Fp64),
    ("FP32", Datatype::Fp32),
    ("INT64", Datatype::Integer(i64::MIN, i64::MAX)),
    ("INT32", Datatype::Integer(i32::MIN as i64, i32::MAX as i64)),
    ("INT16", Datatype::Integer(i16::MIN as i64, i16::MAX as i64)),
    ("INT8", Datatype::Integer(i8::MIN as i64, i8::MAX as i64)),
    ("UINT64", Datatype::Integer(0, i64::MAX)),
    ("UINT32", Datatype::Integer(0, u32::MAX as i64)),
    ("UINT16", Datatype::Integer(0, u16::MAX as i64)),
    ("UINT8", Datatype::Integer(0, u8::MAX as i64)),
    ("BOOL", Datatype::Bool),
    ("BYTES", Datatype::Bytes),
];

/// Reads tensors as rows: several, or one that is called a column, are columns by name; one alone is all columns.
pub(crate) fn tensors(
    tensors: &mut [Tensor<'_>],
    schema: &Schema,
    body_length: usize,
) -> Result<Decoded, Fault> {
    match tensors {
        [] => Err(Fault::input("$.inputs", "there are no tensors")),
        [tensor] if !tensor.is_column && !is_named_column(tensor, schema) => whole(tensor, schema),
        tensors => columns(tensors, schema, body_length),
    }
}

/// Whether a tensor is a column by its name and its shape, though nobody says so.
fn is_named_column(tensor: &Tensor<'_>, schema: &Schema) -> bool {
    let is_column_shaped = matches!(tensor.shape.as_slice(), [_] | [_, 1]);
    is_column_shaped && schema.position(&tensor.name, 0).is_some()
}

/// Reads a tensor of all columns.
fn whole(tensor: &mut Tensor<'_>, schema: &Schema) -> Result<Decoded, Fault> {
    let place = |index: usize| format!("$.inputs[0].data[{index}]");
    let &[n_rows, n_columns] = tensor.shape.as_slice() else {
        let fault =
            Fault::input("$.inputs[0].shape", format!("expected rows and columns, got {:?}", tensor.shape));
        let n_columns =
            schema.n_columns().map_or_else(|| "columns".to_owned(), |n_columns| n_columns.to_string());
        return Err(fault.with_help(format!("write the shape of one row as [1, {n_columns}]")));
    };
    let expected = schema.n_columns().unwrap_or(n_columns);
    if n_columns != expected || n_columns == 0 {
        let problem = format!("expected {expected} columns, got {n_columns}");
        return Err(Fault::input("$.inputs[0].shape", problem));
    }
    let datatype = tensor.datatype;
    let Some(numbers_datatype) = schema.numbers() else {
        let mut table = Table::new(schema, 0);
        read_data(tensor, 0, |index, value| {
            let value = datatype.admit(value).map_err(|misfit| misfit.fault(place(index)))?;
            table.push(index % n_columns, &value).map_err(|misfit| misfit.fault(place(index)))
        })?;
        table.end_rows(n_rows, n_columns, Form::Tensors)?;
        return table.finish(Form::Tensors);
    };
    let mut numbers = Vec::new();
    read_data(tensor, 0, |index, value| {
        let value = datatype.admit(value).and_then(|value| number(numbers_datatype, &value));
        numbers.push(value.map_err(|misfit| misfit.fault(place(index)))?);
        Ok(())
    })?;
    if n_rows == 0 {
        return Err(Fault::input("$.inputs[0].shape", "there are no rows"));
    }
    let batch = Batch::matrix(n_columns, numbers);
    Ok(Decoded { batch, form: Form::Tensors, ignored: Vec::new() })
}

/// Reads one tensor for each column.
fn columns(tensors: &mut [Tensor<'_>], schema: &Schema, body_length: usize) -> Result<Decoded, Fault> {
    let mut names = Names::new(schema);
    let mut positions = Vec::with_capacity(tensors.len());
    for (input, tensor) in tensors.iter().enumerate() {
        positions.push(names.place(&tensor.name, input, Form::Tensors)?);
    }
    let mut table = Table::with_names(names, body_length);
    let mut n_rows = None;
    for (input, (tensor, position)) in tensors.iter_mut().zip(&positions).enumerate() {
        let (&[length] | &[length, 1]) = tensor.shape.as_slice() else {
            let problem =
                format!("expected the rows of one column, as [2] or [2, 1], got {:?}", tensor.shape);
            return Err(Fault::input(format!("$.inputs[{input}].shape"), problem));
        };
        let expected = *n_rows.get_or_insert(length);
        if length != expected {
            let problem = format!("expected as many rows as the input before has, {expected}, got {length}");
            return Err(Fault::input(format!("$.inputs[{input}].shape"), problem));
        }
        let datatype = tensor.datatype;
        read_data(tensor, input, |index, value| {
            let place = || format!("$.inputs[{input}].data[{index}]");
            let value = datatype.admit(value).map_err(|misfit| misfit.fault(place()))?;
            let Some(position) = *position else { return Ok(()) };
            table.push(position, &value).map_err(|misfit| misfit.fault(place()))
        })?;
    }
    table.end_rows(n_rows.unwrap_or(0), positions.iter().flatten().count(), Form::Tensors)?;
    table.finish(Form::Tensors)
}

/// Reads the data of a tensor, which is flat, or nested as its shape says. Nothing is allocated for a shape.
fn read_data<'a>(
    tensor: &mut Tensor<'a>,
    input: usize,
    mut take: impl FnMut(usize, Scalar<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let reader = &mut tensor.data;
    let is_nested = {
        let mut ahead = reader.clone();
        let mut items = ahead.array().map_err(|_| not_a_list(input))?;
        items.next(&mut ahead)? && ahead.peek()? == Kind::Array
    };
    let mut n_read = 0;
    if is_nested {
        read_nested(reader, &tensor.shape, input, &mut n_read, &mut take)?;
        return Ok(());
    }
    let expected = tensor.shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    let mut items = reader.array()?;
    while items.next(reader)? {
        let value = single(reader, || format!("$.inputs[{input}].data[{n_read}]"))?;
        if Some(n_read) == expected {
            return Err(wrong_shape(input, &tensor.shape, "more"));
        }
        take(n_read, value)?;
        n_read += 1;
    }
    if Some(n_read) == expected { Ok(()) } else { Err(wrong_shape(input, &tensor.shape, "fewer")) }
}

fn read_nested<'a>(
    reader: &mut Reader<'a>,
    shape: &[usize],
    input: usize,
    n_read: &mut usize,
    take: &mut impl FnMut(usize, Scalar<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let [length, inner @ ..] = shape else {
        let value = single(reader, || format!("$.inputs[{input}].data"))?;
        take(*n_read, value)?;
        *n_read += 1;
        return Ok(());
    };
    let mut n_items = 0;
    let mut items = reader.array().map_err(|_| wrong_shape(input, shape, "fewer"))?;
    while items.next(reader)? {
        if n_items == *length {
            return Err(wrong_shape(input, shape, "more"));
        }
        read_nested(reader, inner, input, n_read, take)?;
        n_items += 1;
    }
    if n_items == *length { Ok(()) } else { Err(wrong_shape(input, shape, "fewer")) }
}

fn not_a_list(input: usize) -> Fault {
    Fault::new(Cause::Format, "expected a list").at(format!("$.inputs[{input}].data"))
}

fn wrong_shape(input: usize, shape: &[usize], comparison: &str) -> Fault {
    let problem = format!("expected the values of shape {shape:?}, got {comparison}");
    Fault::input(format!("$.inputs[{input}].data"), problem)
}

// === impl Datatype ===

impl Datatype {
    /// The type of this name.
    pub(crate) fn parse(name: &str, input: usize) -> Result<Self, Fault> {
        let found = DATATYPES.iter().find(|(known, _)| *known == name);
        found.map(|(_, datatype)| *datatype).ok_or_else(|| {
            let names = || DATATYPES.iter().map(|(name, _)| *name);
            let problem = format!("expected one of {}, got {}", list(names()), quoted(name));
            let fault = Fault::input(format!("$.inputs[{input}].datatype"), problem);
            match nearest(name, names()) {
                _ if name == "FP16" => fault.with_help("send FP32: JSON has no FP16"),
                Some(near) => fault.with_help(format!("did you mean {near}?")),
                None => fault,
            }
        })
    }

    /// Makes sure that a value is of this type.
    fn admit(self, value: Scalar<'_>) -> Result<Scalar<'_>, Misfit> {
        match (self, value) {
            (Self::Fp64, value @ (Scalar::Double(_) | Scalar::Null))
            | (Self::Bytes, value @ (Scalar::Text(_) | Scalar::Null))
            | (Self::Bool, value @ (Scalar::Boolean(_) | Scalar::Long(0..=1))) => Ok(value),
            (Self::Fp64, Scalar::Long(number)) => Ok(Scalar::Double(number as f64)),
            (Self::Fp32, Scalar::Double(number)) => Ok(Scalar::Double(f64::from(number as f32))),
            (Self::Fp32, Scalar::Long(number)) => Ok(Scalar::Double(f64::from(number as f32))),
            (Self::Fp32, Scalar::Null) => Ok(Scalar::Null),
            (Self::Integer(least, most), Scalar::Long(number)) if (least..=most).contains(&number) => {
                Ok(Scalar::Long(number))
            }
            (Self::Fp32 | Self::Fp64, value) => Err(Misfit::new("a number", &value)),
            (Self::Integer(_, _), value) => {
                Err(Misfit::new("a whole number of the input's datatype", &value))
            }
            (Self::Bool, value) => Err(Misfit::new("true or false", &value)),
            (Self::Bytes, value) => Err(Misfit::new("a text", &value)),
        }
    }
}
