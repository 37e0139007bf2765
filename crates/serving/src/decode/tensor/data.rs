//! The data of a tensor: JSON, flat or nested as its shape says; bytes; or the lists of a message.
//!
//! Nothing is allocated for what a shape says. The bytes must be as many as it needs before any is read.

use net::Bytes;

use super::super::column::Misfit;
use super::super::rows::single;
use super::Tensor;
use super::datatype::Datatype;
use crate::fault::{Cause, Fault, quoted};
use crate::json::{JsonError, Kind, Reader, Scalar};

/// The data of a tensor, still to be read.
#[derive(Debug, Clone)]
pub(crate) enum Data<'a> {
    /// A list in JSON, flat or nested.
    Json(Json<'a>),
    /// Elements in little-endian bytes, row after row; each of `BYTES` after its length in 4 bytes.
    Raw(&'a [u8]),
    /// The lists of a message, of which one has the elements.
    Lists(Lists<'a>),
}

/// A list in JSON that was passed over, with its numbers if they could be read at once on the way.
#[derive(Debug, Clone)]
pub(crate) struct Json<'a> {
    reader: Reader<'a>,
    numbers: Option<Vec<f64>>,
    /// How many columns the numbers have, if they are nested.
    n_columns: Option<usize>,
}

/// The lists of a message, one for each kind of elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lists<'a> {
    pub(crate) bools: &'a [bool],
    pub(crate) ints: &'a [i32],
    pub(crate) longs: &'a [i64],
    pub(crate) unsigned_ints: &'a [u32],
    pub(crate) unsigned_longs: &'a [u64],
    pub(crate) floats: &'a [f32],
    pub(crate) doubles: &'a [f64],
    pub(crate) texts: &'a [Bytes],
}

/// Gives every element to `take`, with its index.
pub(super) fn read<'a>(
    tensor: &Tensor<'a>,
    input: usize,
    mut take: impl FnMut(usize, Scalar<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let elements = tensor.elements;
    let mut take = |index: usize, value: Scalar<'a>| {
        let value = elements.admit(value).map_err(|misfit| misfit.fault(place(input, index)))?;
        take(index, value)
    };
    if let Some(numbers) = numbers_of(tensor) {
        let mut numbers = numbers.into_iter().map(Scalar::Double).enumerate();
        return numbers.try_for_each(|(index, number)| take(index, number));
    }
    match &tensor.data {
        Data::Json(Json { reader, .. }) => read_json(reader.clone(), &tensor.shape, input, take),
        Data::Raw(bytes) => read_raw(bytes, tensor, input, take),
        Data::Lists(lists) => read_lists(lists, &tensor.shape, input, take),
    }
}

/// The numbers of a tensor of floats, when it has nothing else and as many as its shape says; otherwise they are to be
/// [`read`] one by one.
pub(super) fn numbers_of(tensor: &Tensor<'_>) -> Option<Vec<f64>> {
    let (Data::Json(Json { numbers: Some(numbers), n_columns, .. }), Datatype::Float(float)) =
        (&tensor.data, tensor.elements.datatype)
    else {
        return None;
    };
    let is_as_said = match (*n_columns, tensor.shape.as_slice()) {
        (Some(n_columns), shape) => shape == [numbers.len() / n_columns, n_columns],
        (None, shape) => n_elements(shape) == Some(numbers.len()),
    };
    is_as_said.then(|| numbers.iter().map(|number| float.nearest(*number)).collect())
}

/// The place of an element in the request.
pub(super) fn place(input: usize, index: usize) -> String {
    format!("$.inputs[{input}].data[{index}]")
}

/// How many elements a shape has; `None` when no number holds it.
fn n_elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length))
}

// === impl Json ===

impl<'a> Json<'a> {
    /// Passes over the next value.
    pub(crate) fn take(reader: &mut Reader<'a>) -> Result<Self, JsonError> {
        let start = reader.clone();
        if let Some((n_columns, numbers)) = reader.number_rows(None) {
            return Ok(Self { reader: start, numbers: Some(numbers), n_columns: Some(n_columns) });
        }
        let numbers = reader.number_list();
        if numbers.is_none() {
            reader.skip()?;
        }
        Ok(Self { reader: start, numbers, n_columns: None })
    }
}

fn read_json<'a>(
    mut reader: Reader<'a>,
    shape: &[usize],
    input: usize,
    mut take: impl FnMut(usize, Scalar<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let is_nested = {
        let mut ahead = reader.clone();
        let mut items = ahead.array().map_err(|_| not_a_list(input))?;
        items.next(&mut ahead)? && ahead.peek()? == Kind::Array
    };
    let mut n_read = 0;
    if is_nested {
        return read_nested(&mut reader, shape, input, &mut n_read, &mut take);
    }
    let expected = n_elements(shape);
    let mut items = reader.array()?;
    while items.next(&mut reader)? {
        let value = single(&mut reader, || place(input, n_read))?;
        if Some(n_read) == expected {
            return Err(wrong_shape(input, shape, "more"));
        }
        take(n_read, value)?;
        n_read += 1;
    }
    if Some(n_read) == expected { Ok(()) } else { Err(wrong_shape(input, shape, "fewer")) }
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

fn read_raw<'a>(
    bytes: &'a [u8],
    tensor: &Tensor<'a>,
    input: usize,
    mut take: impl FnMut(usize, Scalar<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let datatype = tensor.elements.datatype;
    let expected = n_elements(&tensor.shape);
    let Some(n_bytes) = datatype.n_bytes() else {
        return read_texts(bytes, tensor, input, expected, take);
    };
    let expected = expected.and_then(|n_elements| n_elements.checked_mul(n_bytes));
    if expected != Some(bytes.len()) {
        let expected = expected
            .map_or_else(|| "more bytes than a body has".to_owned(), |n_bytes| format!("{n_bytes} bytes"));
        return Err(wrong_size(tensor, input, &expected, bytes.len()));
    }
    bytes
        .chunks_exact(n_bytes)
        .enumerate()
        .try_for_each(|(index, bytes)| take(index, datatype.element(bytes)))
}

fn read_texts<'a>(
    mut bytes: &'a [u8],
    tensor: &Tensor<'a>,
    input: usize,
    expected: Option<usize>,
    mut take: impl FnMut(usize, Scalar<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let length = bytes.len();
    let mut n_read = 0;
    while let Some((prefix, rest)) = bytes.split_first_chunk::<4>() {
        let n_bytes = u32::from_le_bytes(*prefix) as usize;
        let Some((text, rest)) = rest.split_at_checked(n_bytes) else {
            let expected = format!("an element of {n_bytes} bytes at byte {}", length - rest.len());
            return Err(wrong_size(tensor, input, &expected, rest.len()));
        };
        if Some(n_read) == expected {
            return Err(wrong_shape(input, &tensor.shape, "more"));
        }
        take(n_read, self::text(text).map_err(|got| no_text(got, input, n_read))?)?;
        n_read += 1;
        bytes = rest;
    }
    if !bytes.is_empty() {
        return Err(wrong_size(tensor, input, "the 4 bytes of a length at the end", bytes.len()));
    }
    if Some(n_read) == expected { Ok(()) } else { Err(wrong_shape(input, &tensor.shape, "fewer")) }
}

fn wrong_size(tensor: &Tensor<'_>, input: usize, expected: &str, n_bytes: usize) -> Fault {
    let Tensor { name, shape, elements, .. } = tensor;
    let problem = format!(
        "tensor {} of {} {shape:?}: expected {expected}, got {n_bytes}",
        quoted(name),
        elements.datatype.name()
    );
    Fault::input(format!("$.inputs[{input}]"), problem)
}

/// Reads the list that is not empty. It may be any whose elements the datatype has.
fn read_lists<'a>(
    lists: &Lists<'a>,
    shape: &[usize],
    input: usize,
    mut take: impl FnMut(usize, Scalar<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let expected = n_elements(shape);
    let mut n_read = 0;
    lists.for_each(&mut |value| {
        let value = value.map_err(|got| no_text(got, input, n_read))?;
        if Some(n_read) == expected {
            return Err(wrong_shape(input, shape, "more"));
        }
        take(n_read, value)?;
        n_read += 1;
        Ok(())
    })?;
    if Some(n_read) == expected { Ok(()) } else { Err(wrong_shape(input, shape, "fewer")) }
}

impl<'a> Lists<'a> {
    /// Gives the elements of all lists to `take`, one after another.
    fn for_each(
        &self,
        take: &mut impl FnMut(Result<Scalar<'a>, &'static str>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let large = |value: u64| i64::try_from(value).map_or(Scalar::Double(value as f64), Scalar::Long);
        self.bools.iter().try_for_each(|&value| take(Ok(Scalar::Boolean(value))))?;
        self.ints.iter().try_for_each(|&value| take(Ok(Scalar::Long(value.into()))))?;
        self.longs.iter().try_for_each(|&value| take(Ok(Scalar::Long(value))))?;
        self.unsigned_ints.iter().try_for_each(|&value| take(Ok(Scalar::Long(value.into()))))?;
        self.unsigned_longs.iter().try_for_each(|&value| take(Ok(large(value))))?;
        self.floats.iter().try_for_each(|&value| take(Ok(Scalar::Double(value.into()))))?;
        self.doubles.iter().try_for_each(|&value| take(Ok(Scalar::Double(value))))?;
        self.texts.iter().try_for_each(|bytes| take(text(bytes)))
    }
}

/// A text of bytes.
fn text(bytes: &[u8]) -> Result<Scalar<'_>, &'static str> {
    std::str::from_utf8(bytes).map(|text| Scalar::Text(text.into())).map_err(|_| "bytes that are not UTF-8")
}

fn no_text(got: &str, input: usize, index: usize) -> Fault {
    Misfit { expected: "a text", got: got.to_owned(), help: None }.fault(place(input, index))
}
