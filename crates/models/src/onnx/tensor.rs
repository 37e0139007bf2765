//! Values on their way through a graph: arrays of any rank.

use std::fmt;

use super::problem::Problem;
use crate::Data;

/// Dimensions of an array.
pub(super) const MAX_RANK: usize = 8;

/// Values of an array. Every array that is made has a [`Shape`], and so is bounded by this.
pub(super) const MAX_VALUES: usize = 1 << 26;

/// How long an array is in each dimension. The product of the lengths is at most [`MAX_VALUES`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    rank: usize,
    lengths: [usize; MAX_RANK],
}

/// An array, the last dimension side by side. It has as many values as its shape says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    shape: Shape,
    data: Data,
}

/// A dimension of an array, and what is around it: the array is `outer` blocks of `length` runs of `inner` values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) outer: usize,
    pub(super) length: usize,
    pub(super) inner: usize,
}

/// A type that arrays have.
pub(super) trait Element: Clone + Default + PartialEq {
    const NAME: &'static str;

    fn of(data: &Data) -> Option<&[Self]>;

    fn wrap(values: Vec<Self>) -> Data;
}

macro_rules! element {
    ($type:ty, $variant:ident, $name:literal) => {
        impl Element for $type {
            const NAME: &'static str = $name;

            fn of(data: &Data) -> Option<&[Self]> {
                match data {
                    Data::$variant(values) => Some(values),
                    _ => None,
                }
            }

            fn wrap(values: Vec<Self>) -> Data {
                Data::$variant(values)
            }
        }
    };
}

element!(f32, Float, "float");
element!(f64, Double, "double");
element!(i32, Integer, "int32");
element!(i64, Long, "int64");
element!(bool, Boolean, "bool");
element!(String, Text, "string");

/// Does the same with values of any type, and keeps the type.
macro_rules! same_type {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            $crate::Data::Float($values) => $crate::Data::Float($body),
            $crate::Data::Double($values) => $crate::Data::Double($body),
            $crate::Data::Integer($values) => $crate::Data::Integer($body),
            $crate::Data::Long($values) => $crate::Data::Long($body),
            $crate::Data::Boolean($values) => $crate::Data::Boolean($body),
            $crate::Data::Text($values) => $crate::Data::Text($body),
        }
    };
}
pub(super) use same_type;

/// The name of a type, as ONNX writes it.
pub(super) fn type_name(data: &Data) -> &'static str {
    match data {
        Data::Float(_) => f32::NAME,
        Data::Double(_) => f64::NAME,
        Data::Integer(_) => i32::NAME,
        Data::Long(_) => i64::NAME,
        Data::Boolean(_) => bool::NAME,
        Data::Text(_) => String::NAME,
    }
}

// === impl Shape ===

impl Shape {
    pub(super) const SCALAR: Self = Self { rank: 0, lengths: [1; MAX_RANK] };

    pub(super) fn new(lengths: &[usize]) -> Result<Self, Problem> {
        if lengths.len() > MAX_RANK {
            return Err(Problem::new(format!("an array of {} dimensions", lengths.len())));
        }
        let product =
            lengths.iter().try_fold(1_usize, |product, length| product.checked_mul((*length).max(1)));
        if product.is_none_or(|product| product > MAX_VALUES) {
            return Err(Problem::new(format!("an array of the shape {lengths:?} is too large")));
        }
        let mut shape = Self { rank: lengths.len(), ..Self::SCALAR };
        shape.lengths[..lengths.len()].copy_from_slice(lengths);
        Ok(shape)
    }

    pub(super) fn lengths(&self) -> &[usize] {
        &self.lengths[..self.rank]
    }

    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    /// How many values an array of this shape has.
    pub(super) fn n_values(&self) -> usize {
        self.lengths().iter().product()
    }

    /// The place of a dimension that may be counted from the end.
    pub(super) fn place(&self, axis: i64) -> Result<usize, Problem> {
        place(axis, self.rank)
    }

    pub(super) fn axis(&self, place: usize) -> Axis {
        Axis {
            outer: self.lengths[..place].iter().product(),
            length: self.lengths[place],
            inner: self.lengths[place + 1..self.rank].iter().product(),
        }
    }

    /// The shape with another length in one dimension.
    pub(super) fn with(&self, place: usize, length: usize) -> Result<Self, Problem> {
        let mut lengths = self.lengths;
        lengths[place] = length;
        Self::new(&lengths[..self.rank])
    }

    /// How far apart two neighbours of each dimension are.
    pub(super) fn strides(&self) -> [usize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut stride = 1;
        for place in (0..self.rank).rev() {
            strides[place] = stride;
            stride *= self.lengths[place];
        }
        strides
    }

    /// The shape of what two arrays are together: a dimension of length 1 is as long as the other's.
    pub(super) fn broadcast(&self, other: &Self) -> Result<Self, Problem> {
        if self == other {
            return Ok(*self);
        }
        let rank = self.rank.max(other.rank);
        let mut lengths = [1; MAX_RANK];
        for (place, length) in lengths[..rank].iter_mut().enumerate() {
            *length = match (self.length_from_end(rank - place), other.length_from_end(rank - place)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return Err(Problem::new(format!("shapes {self:?} and {other:?} do not fit"))),
            };
        }
        Self::new(&lengths[..rank])
    }

    fn length_from_end(&self, back: usize) -> usize {
        if back > self.rank { 1 } else { self.lengths[self.rank - back] }
    }

    /// The strides with which an array of this shape is read as one of a shape it is broadcast to.
    pub(super) fn strides_in(&self, broadcast: &Self) -> [usize; MAX_RANK] {
        let own = self.strides();
        let mut strides = [0; MAX_RANK];
        for back in 1..=self.rank {
            if self.lengths[self.rank - back] != 1 {
                strides[broadcast.rank - back] = own[self.rank - back];
            }
        }
        strides
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lengths().fmt(f)
    }
}

/// The place of one of `n` that may be counted from the end.
pub(super) fn place(index: i64, n: usize) -> Result<usize, Problem> {
    let from_start = if index < 0 { index.checked_add_unsigned(n as u64) } else { Some(index) };
    let place = from_start.and_then(|index| usize::try_from(index).ok()).filter(|place| *place < n);
    place.ok_or_else(|| Problem::new(format!("there is no {index} among {n}")))
}

// === impl Tensor ===

impl Tensor {
    /// The data must have as many values as the shape.
    pub(super) fn new(shape: Shape, data: Data) -> Self {
        assert_eq!(shape.n_values(), data.len(), "an array has as many values as its shape says");
        Self { shape, data }
    }

    pub(super) fn of<T: Element>(shape: Shape, values: Vec<T>) -> Self {
        Self::new(shape, T::wrap(values))
    }

    pub(super) fn vector<T: Element>(values: Vec<T>) -> Result<Self, Problem> {
        Ok(Self::of(Shape::new(&[values.len()])?, values))
    }

    pub(super) fn matrix<T: Element>(
        n_rows: usize,
        n_columns: usize,
        values: Vec<T>,
    ) -> Result<Self, Problem> {
        Ok(Self::of(Shape::new(&[n_rows, n_columns])?, values))
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(super) fn lengths(&self) -> &[usize] {
        self.shape.lengths()
    }

    pub(super) fn data(&self) -> &Data {
        &self.data
    }

    pub(super) fn into_data(self) -> Data {
        self.data
    }

    pub(super) fn n_values(&self) -> usize {
        self.data.len()
    }

    /// The values, if they have this type.
    pub(super) fn values<T: Element>(&self) -> Result<&[T], Problem> {
        T::of(&self.data)
            .ok_or_else(|| Problem::new(format!("takes {}, not {}", T::NAME, type_name(&self.data))))
    }

    /// The same values in another shape, which must have as many.
    pub(super) fn reshaped(&self, lengths: &[usize]) -> Result<Self, Problem> {
        let shape = Shape::new(lengths)?;
        if shape.n_values() != self.n_values() {
            let problem = format!("{} values cannot have the shape {shape:?}", self.n_values());
            return Err(Problem::new(problem));
        }
        Ok(Self { shape, data: self.data.clone() })
    }

    /// Rows and columns: one dimension is one row; of more than two, all but the first are columns.
    pub(super) fn rows_and_columns(&self) -> (usize, usize) {
        match *self.lengths() {
            [] => (1, 1),
            [n_columns] => (1, n_columns),
            [n_rows, ref rest @ ..] => (n_rows, rest.iter().product()),
        }
    }

    /// Numbers of any type, rounded to 32 bits.
    pub(super) fn to_floats(&self) -> Result<std::borrow::Cow<'_, [f32]>, Problem> {
        Ok(match &self.data {
            Data::Float(values) => values.into(),
            Data::Double(values) => values.iter().map(|value| *value as f32).collect(),
            Data::Integer(values) => values.iter().map(|value| *value as f32).collect(),
            Data::Long(values) => values.iter().map(|value| *value as f32).collect(),
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        })
    }

    /// Whole numbers, such as indices.
    pub(super) fn to_longs(&self) -> Result<std::borrow::Cow<'_, [i64]>, Problem> {
        Ok(match &self.data {
            Data::Long(values) => values.into(),
            Data::Integer(values) => values.iter().map(|value| i64::from(*value)).collect(),
            data => return Err(Problem::new(format!("takes whole numbers, not {}", type_name(data)))),
        })
    }

    /// An array of values that are found in this one.
    pub(super) fn pick(&self, shape: Shape, places: impl Iterator<Item = usize>) -> Self {
        let data = same_type!(&self.data, values => picked(values, places));
        Self::new(shape, data)
    }
}

fn picked<T: Element>(values: &[T], places: impl Iterator<Item = usize>) -> Vec<T> {
    places.map(|place| values[place].clone()).collect()
}

/// The places of values that are read with a stride per dimension, in order.
#[derive(Debug, Clone)]
pub(super) struct Strided {
    shape: Shape,
    strides: [isize; MAX_RANK],
    index: [usize; MAX_RANK],
    place: isize,
    left: usize,
}

impl Strided {
    /// All places must be inside of the array that is read.
    pub(super) fn new(shape: Shape, start: usize, strides: [isize; MAX_RANK]) -> Self {
        Self { shape, strides, index: [0; MAX_RANK], place: start as isize, left: shape.n_values() }
    }
}

impl Iterator for Strided {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place;
        for axis in (0..self.shape.rank).rev() {
            self.index[axis] += 1;
            self.place += self.strides[axis];
            if self.index[axis] < self.shape.lengths[axis] {
                break;
            }
            self.place -= self.strides[axis] * self.index[axis] as isize;
            self.index[axis] = 0;
        }
        Some(place as usize)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_bounded() {
        assert!(Shape::new(&[1 << 20, 1 << 20]).is_err());
        assert!(Shape::new(&[usize::MAX, 2]).is_err());
        assert!(Shape::new(&[0, usize::MAX]).is_err());
        assert!(Shape::new(&[1; MAX_RANK + 1]).is_err());
        assert_eq!(Shape::new(&[3, 0, 2]).unwrap().n_values(), 0);
    }

    #[test]
    fn shapes_broadcast_from_the_end() {
        let shape = |lengths: &[usize]| Shape::new(lengths).unwrap();
        assert_eq!(shape(&[4, 1, 3]).broadcast(&shape(&[2, 1])).unwrap(), shape(&[4, 2, 3]));
        assert_eq!(shape(&[]).broadcast(&shape(&[2, 3])).unwrap(), shape(&[2, 3]));
        assert_eq!(shape(&[1, 3]).broadcast(&shape(&[0, 1])).unwrap(), shape(&[0, 3]));
        assert!(shape(&[4, 3]).broadcast(&shape(&[4])).is_err());
    }

    #[test]
    fn places_may_be_counted_from_the_end() {
        assert_eq!((place(-1, 3).unwrap(), place(0, 3).unwrap()), (2, 0));
        assert!(place(3, 3).is_err() && place(-4, 3).is_err() && place(i64::MIN, 3).is_err());
    }
}
