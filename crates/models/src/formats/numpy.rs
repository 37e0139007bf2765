//! Arrays of numpy, as pickle, joblib and skops carry them.

pub(crate) mod dtype;
pub(crate) mod npy;

use std::borrow::Cow;

use crate::fault::Fault;
use crate::record::{Id, Record, Records};

pub(crate) use dtype::{Dtype, Kind};

/// Dimensions of an array; numpy's own limit.
const MAX_DIMENSIONS: usize = 64;

/// An array, still in the bytes it was saved in.
#[derive(Debug, Clone)]
pub(crate) struct Array<'a> {
    pub(crate) shape: Vec<usize>,
    dtype: Dtype,
    /// Whether the first index runs fastest.
    fortran: bool,
    elements: Elements<'a>,
}

#[derive(Debug, Clone)]
enum Elements<'a> {
    Bytes(Cow<'a, [u8]>),
    Objects(Cow<'a, [Id]>),
}

impl<'a> Array<'a> {
    /// An array over bytes, which must be as many as type and shape say.
    pub(crate) fn new(
        dtype: Dtype,
        shape: Vec<usize>,
        fortran: bool,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> Result<Self, Fault> {
        let bytes = bytes.into();
        if byte_size(&dtype, &shape)? != bytes.len() || dtype.kind == Kind::Object {
            let problem = format!("{} bytes for shape {shape:?} of {} bytes each", bytes.len(), dtype.size);
            return Err(Fault::inconsistent("numpy.ndarray", problem));
        }
        Ok(Self { shape, dtype, fortran, elements: Elements::Bytes(bytes) })
    }

    /// An array of Python objects.
    pub(crate) fn objects(
        shape: Vec<usize>,
        fortran: bool,
        objects: impl Into<Cow<'a, [Id]>>,
    ) -> Result<Self, Fault> {
        let objects = objects.into();
        let dtype = Dtype { kind: Kind::Object, size: 8, big_endian: false, fields: Vec::new() };
        if byte_size(&dtype, &shape)? != objects.len().saturating_mul(8) {
            let problem = format!("{} objects for shape {shape:?}", objects.len());
            return Err(Fault::inconsistent("numpy.ndarray", problem));
        }
        Ok(Self { shape, dtype, fortran, elements: Elements::Objects(objects) })
    }

    /// The array that a record is, if it is one: read before, or pickled in one of numpy's own ways.
    pub(crate) fn from_records<'r>(
        records: &'r Records<'_>,
        id: Id,
    ) -> Result<Option<Cow<'r, Array<'r>>>, Fault> {
        let instance = match records.get(id) {
            Record::Array(array) => return Ok(Some(Cow::Borrowed(array))),
            Record::Instance(instance) => instance,
            _ => return Ok(None),
        };
        let unknown_form = || Fault::inconsistent("numpy.ndarray", "it is pickled in an unknown form");
        let array = match &*instance.class {
            "numpy.core.multiarray._reconstruct" | "numpy._core.multiarray._reconstruct" => {
                let state =
                    instance.state.and_then(|state| records.sequence(state)).ok_or_else(unknown_form)?;
                let [_version, shape, dtype, fortran, data] = state else { return Err(unknown_form()) };
                let fortran = records.int(*fortran) == Some(1);
                Self::pickled(records, *dtype, *shape, fortran, *data)?
            }
            "numpy.core.numeric._frombuffer" | "numpy._core.numeric._frombuffer" => {
                let [data, dtype, shape, order] = records.arguments(instance) else {
                    return Err(unknown_form());
                };
                let fortran = records.text(*order) == Some("F");
                Self::pickled(records, *dtype, *shape, fortran, *data)?
            }
            "numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar" => {
                let [dtype, data] = records.arguments(instance) else { return Err(unknown_form()) };
                let bytes = records.bytes(*data).ok_or_else(unknown_form)?;
                Array::new(Dtype::from_records(records, *dtype)?, Vec::new(), false, bytes)?
            }
            _ => return Ok(None),
        };
        Ok(Some(Cow::Owned(array)))
    }

    fn pickled<'r>(
        records: &'r Records<'_>,
        dtype: Id,
        shape: Id,
        fortran: bool,
        data: Id,
    ) -> Result<Array<'r>, Fault> {
        let dtype = Dtype::from_records(records, dtype)?;
        let shape = shape_of(records, shape)?;
        match records.get(data) {
            Record::List(objects) if dtype.kind == Kind::Object => {
                Array::objects(shape, fortran, &objects[..])
            }
            _ => {
                let bytes = records.bytes(data);
                let bytes = bytes.ok_or_else(|| Fault::inconsistent("numpy.ndarray", "it has no data"))?;
                Array::new(dtype, shape, fortran, bytes)
            }
        }
    }

    /// The array with bytes of its own.
    pub(crate) fn into_owned(self) -> Array<'static> {
        let elements = match self.elements {
            Elements::Bytes(bytes) => Elements::Bytes(Cow::Owned(bytes.into_owned())),
            Elements::Objects(objects) => Elements::Objects(Cow::Owned(objects.into_owned())),
        };
        Array { elements, ..self }
    }

    /// How many elements there are.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.dtype.kind
    }

    /// Bytes per element.
    pub(crate) fn item_size(&self) -> usize {
        self.dtype.size
    }

    /// All elements as numbers, the last index running fastest; `None` if they are none.
    pub(crate) fn doubles(&self) -> Option<Vec<f64>> {
        self.in_order(&self.dtype, 0, double)
    }

    /// All elements as whole numbers; `None` if one is none.
    pub(crate) fn longs(&self) -> Option<Vec<i64>> {
        self.in_order(&self.dtype, 0, long)
    }

    /// All elements as texts; `None` if they are none.
    pub(crate) fn texts(&self) -> Option<Vec<String>> {
        self.in_order(&self.dtype, 0, text)
    }

    /// One field of all elements as numbers.
    pub(crate) fn field_doubles(&self, name: &str) -> Option<Vec<f64>> {
        let field = self.dtype.fields.iter().find(|field| field.name == name)?;
        self.in_order(&field.dtype, field.offset, double)
    }

    /// One field of all elements as whole numbers.
    pub(crate) fn field_longs(&self, name: &str) -> Option<Vec<i64>> {
        let field = self.dtype.fields.iter().find(|field| field.name == name)?;
        self.in_order(&field.dtype, field.offset, long)
    }

    /// All elements, if they are Python objects.
    pub(crate) fn object_ids(&self) -> Option<Vec<Id>> {
        let Elements::Objects(objects) = &self.elements else { return None };
        Some((0..objects.len()).map(|index| objects[self.place(index)]).collect())
    }

    fn in_order<T>(
        &self,
        dtype: &Dtype,
        offset: usize,
        read: fn(&Dtype, &[u8]) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Elements::Bytes(bytes) = &self.elements else { return None };
        let element = |index: usize| {
            let start = self.place(index) * self.dtype.size + offset;
            read(dtype, &bytes[start..start + dtype.size])
        };
        (0..self.len()).map(element).collect()
    }

    /// Where in memory the element lies that is the `index`-th when the last index runs fastest.
    fn place(&self, index: usize) -> usize {
        if !self.fortran || self.shape.len() < 2 {
            return index;
        }
        let mut rest = index;
        let mut place = 0;
        let mut stride = self.len();
        for length in self.shape.iter().rev() {
            stride /= length;
            place += rest % length * stride;
            rest /= length;
        }
        place
    }
}

/// The shape of an array, from a tuple of whole numbers.
pub(crate) fn shape_of(records: &Records<'_>, id: Id) -> Result<Vec<usize>, Fault> {
    let unknown_form = || Fault::inconsistent("numpy.ndarray", "its shape is no tuple of whole numbers");
    let lengths = records.sequence(id).filter(|lengths| lengths.len() <= MAX_DIMENSIONS);
    let length = |id: &Id| records.int(*id).and_then(|length| usize::try_from(length).ok());
    lengths.ok_or_else(unknown_form)?.iter().map(|id| length(id).ok_or_else(unknown_form)).collect()
}

/// Bytes that an array of this type and shape takes.
pub(crate) fn byte_size(dtype: &Dtype, shape: &[usize]) -> Result<usize, Fault> {
    let size = shape.iter().try_fold(dtype.size, |size, length| size.checked_mul(*length));
    let elements = shape.iter().try_fold(1_usize, |n, length| n.checked_mul(*length));
    size.filter(|_| elements.is_some() && (dtype.size > 0 || elements == Some(0) || shape.is_empty()))
        .ok_or_else(|| Fault::inconsistent("numpy.ndarray", format!("its shape {shape:?} is beyond memory")))
}

/// A number of up to eight bytes, least significant first.
fn little_endian(dtype: &Dtype, bytes: &[u8]) -> [u8; 8] {
    let mut number = [0; 8];
    number[..bytes.len()].copy_from_slice(bytes);
    if dtype.big_endian {
        number[..bytes.len()].reverse();
    }
    number
}

fn double(dtype: &Dtype, bytes: &[u8]) -> Option<f64> {
    match (dtype.kind, dtype.size) {
        (Kind::Float, 8) => Some(f64::from_le_bytes(little_endian(dtype, bytes))),
        (Kind::Float, 4) => {
            let bits = u64::from_le_bytes(little_endian(dtype, bytes));
            Some(f64::from(f32::from_bits(u32::try_from(bits).expect("four bytes were read"))))
        }
        (Kind::Float, 2) => {
            let bits = u64::from_le_bytes(little_endian(dtype, bytes));
            Some(half(u16::try_from(bits).expect("two bytes were read")))
        }
        (Kind::Uint, 8) => Some(u64::from_le_bytes(little_endian(dtype, bytes)) as f64),
        _ => long(dtype, bytes).map(|long| long as f64),
    }
}

fn long(dtype: &Dtype, bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 8 {
        return None;
    }
    let number = u64::from_le_bytes(little_endian(dtype, bytes));
    match dtype.kind {
        Kind::Bool => Some(i64::from(number != 0)),
        Kind::Uint => i64::try_from(number).ok(),
        Kind::Int => {
            let unused = 64 - 8 * dtype.size;
            Some((number.cast_signed() << unused) >> unused)
        }
        _ => None,
    }
}

fn text(dtype: &Dtype, bytes: &[u8]) -> Option<String> {
    match dtype.kind {
        Kind::Bytes => {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            Some(bytes[..end].iter().copied().map(char::from).collect())
        }
        Kind::Text => {
            let code = |bytes: &[u8]| {
                let bits = u64::from_le_bytes(little_endian(dtype, bytes));
                u32::try_from(bits).expect("four bytes were read")
            };
            let codes: Vec<u32> = bytes.chunks_exact(4).map(code).collect();
            let end = codes.iter().rposition(|code| *code != 0).map_or(0, |last| last + 1);
            codes[..end].iter().copied().map(char::from_u32).collect()
        }
        _ => None,
    }
}

/// A 16-bit float (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * f64::powi(2.0, -24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * f64::powi(2.0, exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(code: &str, shape: &[usize], fortran: bool, bytes: &[u8]) -> Array<'static> {
        Array::new(Dtype::parse(code).unwrap(), shape.to_vec(), fortran, bytes.to_vec()).unwrap()
    }

    #[test]
    fn fortran_order_is_turned() {
        let rows = array("u1", &[2, 3], true, &[1, 4, 2, 5, 3, 6]);
        assert_eq!(rows.longs().unwrap(), [1, 2, 3, 4, 5, 6]);
        let cube = array("u1", &[2, 2, 2], true, &[0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(cube.longs().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn numbers_of_every_size_and_byte_order() {
        assert_eq!(array(">i4", &[1], false, &[0xff, 0xff, 0xff, 0xfe]).longs().unwrap(), [-2]);
        assert_eq!(array("i1", &[1], false, &[0x80]).longs().unwrap(), [-128]);
        assert_eq!(array("u8", &[1], false, &[0xff; 8]).longs(), None);
        assert_eq!(array("u8", &[1], false, &[0xff; 8]).doubles().unwrap(), [18_446_744_073_709_551_615.0]);
        assert_eq!(array(">f4", &[1], false, &1.5_f32.to_be_bytes()).doubles().unwrap(), [1.5]);
        assert_eq!(
            array("f2", &[2], false, &[0x00, 0x3e, 0x01, 0x00]).doubles().unwrap(),
            [1.5, 5.960_464_477_539_063e-8]
        );
        assert_eq!(array("b1", &[2], false, &[0, 1]).doubles().unwrap(), [0.0, 1.0]);
    }

    #[test]
    fn texts_lose_their_padding() {
        assert_eq!(array("S4", &[2], false, b"ab\0\0\0\0\0\0").texts().unwrap(), ["ab", ""]);
        let wide: Vec<u8> =
            "gr\u{fc}n\0".chars().flat_map(|letter| u32::from(letter).to_be_bytes()).collect();
        assert_eq!(array(">U5", &[1], false, &wide).texts().unwrap(), ["gr\u{fc}n"]);
    }

    #[test]
    fn a_shape_must_match_the_bytes() {
        let dtype = || Dtype::parse("f8").unwrap();
        assert!(Array::new(dtype(), vec![2], false, vec![0; 15]).is_err());
        assert!(Array::new(dtype(), vec![usize::MAX, 2], false, vec![0; 16]).is_err());
        assert!(Array::new(Dtype::parse("U0").unwrap(), vec![1 << 60], false, Vec::new()).is_err());
        assert!(Array::new(dtype(), vec![0, 1 << 60], false, Vec::new()).is_ok());
    }
}
