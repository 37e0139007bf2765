//! Many values to one, along some dimensions; and what needs such a value first.

use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Axis, Element, MAX_RANK, Shape, Strided, Tensor, type_name};

/// A number that is summed up.
trait Number: Element + Copy + PartialOrd {
    const ONE: Self;
    fn of_count(n: usize) -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn divided(self, by: Self) -> Self;
    fn magnitude(self) -> Self;
    fn sqrt(self) -> Self;
    fn ln(self) -> Self;
    fn exp(self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn is_finite(self) -> bool;
}

macro_rules! number {
    ($type:ty) => {
        impl Number for $type {
            const ONE: Self = 1.0;
            fn of_count(n: usize) -> Self {
                n as Self
            }
            fn plus(self, other: Self) -> Self {
                self + other
            }
            fn times(self, other: Self) -> Self {
                self * other
            }
            fn divided(self, by: Self) -> Self {
                self / by
            }
            fn magnitude(self) -> Self {
                self.abs()
            }
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            fn ln(self) -> Self {
                self.ln()
            }
            fn exp(self) -> Self {
                self.exp()
            }
            fn minus(self, other: Self) -> Self {
                self - other
            }
            fn is_finite(self) -> bool {
                self.is_finite()
            }
        }
    };
    (whole $type:ty) => {
        impl Number for $type {
            const ONE: Self = 1;
            fn of_count(n: usize) -> Self {
                n as Self
            }
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn divided(self, by: Self) -> Self {
                self.checked_div(by).unwrap_or(0)
            }
            fn magnitude(self) -> Self {
                self.wrapping_abs()
            }
            fn sqrt(self) -> Self {
                (self as f64).sqrt() as Self
            }
            fn ln(self) -> Self {
                (self as f64).ln() as Self
            }
            fn exp(self) -> Self {
                (self as f64).exp() as Self
            }
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            fn is_finite(self) -> bool {
                true
            }
        }
    };
}

number!(f32);
number!(f64);
number!(whole i32);
number!(whole i64);

/// Dimensions that become one, or that are gone.
struct Reduction {
    axes: Option<Vec<i64>>,
    keeps: bool,
    nothing_if_empty: bool,
}

impl Reduction {
    fn read(node: &Node<'_>) -> Result<Self, Fault> {
        Ok(Self {
            axes: node.longs("axes")?.map(<[i64]>::to_vec),
            keeps: node.flag("keepdims", true)?,
            nothing_if_empty: node.flag("noop_with_empty_axes", false)?,
        })
    }

    fn run<T: Number>(
        &self,
        inputs: &Inputs<'_>,
        values: &[T],
        reduce: impl Fn(&mut dyn Iterator<Item = T>, usize) -> T,
    ) -> Result<(Shape, Vec<T>), Problem> {
        let shape = inputs.get(0)?.shape();
        let axes = match (&self.axes, inputs.find(1)) {
            (Some(axes), _) => axes.clone(),
            (None, Some(axes)) => axes.to_longs()?.into_owned(),
            (None, None) => Vec::new(),
        };
        let mut is_gone = [axes.is_empty() && !self.nothing_if_empty; MAX_RANK];
        for axis in axes {
            is_gone[shape.place(axis)?] = true;
        }
        let of = |gone: bool| (0..shape.rank()).filter(move |axis| is_gone[*axis] == gone);
        let lengths = |gone: bool| of(gone).map(|axis| shape.lengths()[axis]).collect::<Vec<_>>();
        let own = shape.strides();
        let strides = |gone: bool| {
            let mut strides = [0; MAX_RANK];
            of(gone).enumerate().for_each(|(place, axis)| strides[place] = own[axis] as isize);
            strides
        };
        let (outer, inner) = (Shape::new(&lengths(false))?, Shape::new(&lengths(true))?);
        let n = inner.n_values();
        let inner_strides = strides(true);
        // Mostly what is reduced is side by side.
        let is_dense = inner.rank() == 1 && inner_strides[0] == 1;
        let one = |start: usize| match is_dense {
            true => reduce(&mut values[start..start + n].iter().copied(), n),
            false => reduce(&mut Strided::new(inner, start, inner_strides).map(|place| values[place]), n),
        };
        let results = Strided::new(outer, 0, strides(false)).map(one).collect();
        let kept: Vec<usize> =
            (0..shape.rank()).map(|axis| if is_gone[axis] { 1 } else { shape.lengths()[axis] }).collect();
        Ok((if self.keeps { Shape::new(&kept)? } else { outer }, results))
    }
}

/// Makes an operator that reduces.
macro_rules! reduction {
    ($name:ident, $doc:literal, |$values:ident, $n:ident| $body:expr) => {
        #[doc = $doc]
        pub(super) fn $name(node: &Node<'_>) -> Result<Run, Fault> {
            fn reduce<T: Number>($values: &mut dyn Iterator<Item = T>, $n: usize) -> T {
                let _ = $n;
                $body
            }
            let reduction = Reduction::read(node)?;
            run(move |inputs: &Inputs<'_>| {
                let (shape, data) = match inputs.get(0)?.data() {
                    Data::Float(values) => wrapped(reduction.run(inputs, values, reduce)?),
                    Data::Double(values) => wrapped(reduction.run(inputs, values, reduce)?),
                    Data::Integer(values) => wrapped(reduction.run(inputs, values, reduce)?),
                    Data::Long(values) => wrapped(reduction.run(inputs, values, reduce)?),
                    data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
                };
                Ok(Tensor::new(shape, data))
            })
        }
    };
}

fn wrapped<T: Element>((shape, values): (Shape, Vec<T>)) -> (Shape, Data) {
    (shape, T::wrap(values))
}

fn sum_of<T: Number>(values: &mut dyn Iterator<Item = T>) -> T {
    values.fold(T::default(), T::plus)
}

/// The first value that no other is before. NaN is before all.
fn first_of<T: Number>(values: &mut dyn Iterator<Item = T>, is_before: impl Fn(T, T) -> bool) -> T {
    let is_nan = |value: T| value.partial_cmp(&value).is_none();
    let better = |best: T, value: T| {
        if !is_nan(best) && (is_nan(value) || is_before(value, best)) { value } else { best }
    };
    values.reduce(better).unwrap_or_default()
}

reduction!(sum, "`ReduceSum`", |values, n| sum_of(values));
reduction!(mean, "`ReduceMean`", |values, n| sum_of(values).divided(T::of_count(n)));
reduction!(max, "`ReduceMax`", |values, n| first_of(values, |a, b| a > b));
reduction!(min, "`ReduceMin`", |values, n| first_of(values, |a, b| a < b));
reduction!(product, "`ReduceProd`", |values, n| values.fold(T::ONE, T::times));
reduction!(l1, "`ReduceL1`", |values, n| sum_of(&mut values.map(T::magnitude)));
reduction!(l2, "`ReduceL2`", |values, n| sum_of(&mut values.map(|value| value.times(value))).sqrt());
reduction!(log_sum, "`ReduceLogSum`", |values, n| sum_of(values).ln());
reduction!(sum_square, "`ReduceSumSquare`", |values, n| sum_of(&mut values.map(|value| value.times(value))));
reduction!(log_sum_exp, "`ReduceLogSumExp`", |values, n| {
    let values: Vec<T> = values.collect();
    let max = first_of(&mut values.iter().copied(), |a, b| a > b);
    let max = if max.is_finite() { max } else { T::default() };
    sum_of(&mut values.iter().map(|value| value.minus(max).exp())).ln().plus(max)
});

/// `ArgMax`
pub(super) fn arg_max(node: &Node<'_>) -> Result<Run, Fault> {
    arg(node, true)
}

/// `ArgMin`
pub(super) fn arg_min(node: &Node<'_>) -> Result<Run, Fault> {
    arg(node, false)
}

fn arg(node: &Node<'_>, is_max: bool) -> Result<Run, Fault> {
    let axis = node.long("axis", 0)?;
    let keeps = node.flag("keepdims", true)?;
    let last = node.flag("select_last_index", false)?;
    fn best<T: Number>(values: &[T], axis: Axis, is_max: bool, last: bool) -> Vec<i64> {
        let one = |start: usize| {
            let mut best = 0;
            for index in 1..axis.length {
                let (value, known) = (values[start + index * axis.inner], values[start + best * axis.inner]);
                let is_better = if is_max { value > known } else { value < known };
                if is_better || (last && value == known) {
                    best = index;
                }
            }
            best as i64
        };
        let starts = (0..axis.outer)
            .flat_map(|block| (0..axis.inner).map(move |column| block * axis.length * axis.inner + column));
        starts.map(one).collect()
    }
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let place = tensor.shape().place(axis)?;
        let axis = tensor.shape().axis(place);
        if axis.length == 0 {
            return Err(Problem::of_values("finds nothing among nothing"));
        }
        let places = match tensor.data() {
            Data::Float(values) => best(values, axis, is_max, last),
            Data::Double(values) => best(values, axis, is_max, last),
            Data::Integer(values) => best(values, axis, is_max, last),
            Data::Long(values) => best(values, axis, is_max, last),
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        };
        let (before, after) = tensor.lengths().split_at(place);
        let one: &[usize] = if keeps { &[1] } else { &[] };
        Ok(Tensor::of(Shape::new(&[before, one, &after[1..]].concat())?, places))
    })
}

/// Does something to each run of numbers along a dimension.
fn each_run<T: Number>(values: &[T], axis: Axis, work: impl Fn(&mut [T])) -> Vec<T> {
    let mut values = values.to_vec();
    if axis.inner == 1 {
        values.chunks_exact_mut(axis.length.max(1)).for_each(work);
        return values;
    }
    let mut run = vec![T::default(); axis.length];
    for block in 0..axis.outer {
        for column in 0..axis.inner {
            let place = |index: usize| (block * axis.length + index) * axis.inner + column;
            run.iter_mut().enumerate().for_each(|(index, value)| *value = values[place(index)]);
            work(&mut run);
            run.iter().enumerate().for_each(|(index, value)| values[place(index)] = *value);
        }
    }
    values
}

/// Does something to each run of numbers with a fraction along a dimension.
fn along(
    tensor: &Tensor,
    axis: Axis,
    float: impl Fn(&mut [f32]),
    double: impl Fn(&mut [f64]),
) -> Result<Tensor, Problem> {
    let data = match tensor.data() {
        Data::Float(values) => Data::Float(each_run(values, axis, float)),
        Data::Double(values) => Data::Double(each_run(values, axis, double)),
        data => return Err(Problem::new(format!("takes float or double, not {}", type_name(data)))),
    };
    Ok(Tensor::new(*tensor.shape(), data))
}

fn softmax_of<T: Number>(run: &mut [T]) {
    let max = first_of(&mut run.iter().copied(), |a, b| a > b);
    run.iter_mut().for_each(|value| *value = value.minus(max).exp());
    let sum = sum_of(&mut run.iter().copied());
    run.iter_mut().for_each(|value| *value = value.divided(sum));
}

fn log_softmax_of<T: Number>(run: &mut [T]) {
    let max = first_of(&mut run.iter().copied(), |a, b| a > b);
    let sum = sum_of(&mut run.iter().map(|value| value.minus(max).exp())).ln();
    run.iter_mut().for_each(|value| *value = value.minus(max).minus(sum));
}

/// `Softmax`
pub(super) fn softmax(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = softmax_axis(node)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        along(tensor, axis(tensor)?, softmax_of::<f32>, softmax_of::<f64>)
    })
}

/// `LogSoftmax`
pub(super) fn log_softmax(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = softmax_axis(node)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        along(tensor, axis(tensor)?, log_softmax_of::<f32>, log_softmax_of::<f64>)
    })
}

/// Before version 13, all dimensions from the axis on were one.
fn softmax_axis(node: &Node<'_>) -> Result<impl Fn(&Tensor) -> Result<Axis, Problem> + use<>, Fault> {
    let is_old = node.version < 13;
    let axis = node.long("axis", if is_old { 1 } else { -1 })?;
    Ok(move |tensor: &Tensor| {
        let place = tensor.shape().place(axis)?;
        let axis = tensor.shape().axis(place);
        Ok(if is_old { Axis { length: axis.length * axis.inner, inner: 1, ..axis } } else { axis })
    })
}

/// `LpNormalization`
pub(super) fn lp_normalization(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = node.long("axis", -1)?;
    let p = node.long("p", 2)?;
    if p != 1 && p != 2 {
        return Err(node.unsupported("the attribute `p` other than 1 and 2 of "));
    }
    fn normalized<T: Number>(run: &mut [T], p: i64) {
        let norm = match p {
            1 => sum_of(&mut run.iter().map(|value| value.magnitude())),
            _ => sum_of(&mut run.iter().map(|value| value.times(*value))).sqrt(),
        };
        if norm != T::default() {
            run.iter_mut().for_each(|value| *value = value.divided(norm));
        } else {
            run.fill(T::default());
        }
    }
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let axis = tensor.shape().axis(tensor.shape().place(axis)?);
        along(tensor, axis, |run| normalized(run, p), |run| normalized(run, p))
    })
}

/// `CumSum`
pub(super) fn cumulative_sum(node: &Node<'_>) -> Result<Run, Fault> {
    let without_own = node.flag("exclusive", false)?;
    let from_end = node.flag("reverse", false)?;
    fn summed<T: Number>(run: &mut [T], without_own: bool, from_end: bool) {
        if from_end {
            run.reverse();
        }
        let mut sum = T::default();
        for value in run.iter_mut() {
            let before = sum;
            sum = sum.plus(*value);
            *value = if without_own { before } else { sum };
        }
        if from_end {
            run.reverse();
        }
    }
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let axis = inputs.get(1)?.to_longs()?.first().copied().unwrap_or(0);
        let axis = tensor.shape().axis(tensor.shape().place(axis)?);
        macro_rules! sums {
            ($values:ident) => {
                each_run($values, axis, |run| summed(run, without_own, from_end))
            };
        }
        let data = match tensor.data() {
            Data::Float(values) => Data::Float(sums!(values)),
            Data::Double(values) => Data::Double(sums!(values)),
            Data::Integer(values) => Data::Integer(sums!(values)),
            Data::Long(values) => Data::Long(sums!(values)),
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        };
        Ok(Tensor::new(*tensor.shape(), data))
    })
}
