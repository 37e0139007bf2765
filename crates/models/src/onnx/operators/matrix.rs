//! Linear algebra.

use super::product::{Real, Size, add_product, turned};
use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Element, MAX_RANK, Shape, Strided, Tensor, type_name};

/// Multiplications of one node.
const MAX_WORK: usize = 1 << 36;

fn check_work(lengths: &[usize]) -> Result<(), Problem> {
    let work = lengths.iter().try_fold(1_usize, |work, length| work.checked_mul(*length));
    match work {
        Some(work) if work <= MAX_WORK => Ok(()),
        _ => Err(Problem::of_values("the product of these arrays takes too long")),
    }
}

/// `MatMul`, as `numpy.matmul`
pub(super) fn mat_mul(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        match a.data() {
            Data::Float(values) => product_of(values, b.values()?, a.shape(), b.shape()),
            Data::Double(values) => product_of(values, b.values()?, a.shape(), b.shape()),
            data => Err(Problem::new(format!("takes float or double, not {}", type_name(data)))),
        }
    })
}

fn product_of<T: Element + Real>(
    a: &[T],
    b: &[T],
    a_shape: &Shape,
    b_shape: &Shape,
) -> Result<Tensor, Problem> {
    let unfit = || Problem::new(format!("shapes {a_shape:?} and {b_shape:?} do not fit"));
    // A vector is one row on the left, and one column on the right.
    let (a_outer, rows, shared) = match *a_shape.lengths() {
        [] => return Err(unfit()),
        [shared] => (&[][..], 1, shared),
        [ref outer @ .., rows, shared] => (outer, rows, shared),
    };
    let (b_outer, b_shared, columns) = match *b_shape.lengths() {
        [] => return Err(unfit()),
        [shared] => (&[][..], shared, 1),
        [ref outer @ .., shared, columns] => (outer, shared, columns),
    };
    if shared != b_shared {
        return Err(unfit());
    }
    let size = Size { rows, shared, columns };
    let (a_outer, b_outer) = (Shape::new(a_outer)?, Shape::new(b_outer)?);
    let outer = a_outer.broadcast(&b_outer)?;
    check_work(&[outer.n_values(), rows, shared, columns])?;
    let mut lengths = outer.lengths().to_vec();
    if a_shape.rank() > 1 {
        lengths.push(rows);
    }
    if b_shape.rank() > 1 {
        lengths.push(columns);
    }
    let shape = Shape::new(&lengths)?;
    let mut result = vec![T::default(); shape.n_values()];
    let places =
        |shape: &Shape| Strided::new(outer, 0, shape.strides_in(&outer).map(|stride| stride as isize));
    let pairs = places(&a_outer).zip(places(&b_outer));
    for ((at, bt), result) in pairs.zip(result.chunks_exact_mut((rows * columns).max(1))) {
        let (n_left, n_right) = (rows * shared, shared * columns);
        let (left, right) = (&a[at * n_left..(at + 1) * n_left], &b[bt * n_right..(bt + 1) * n_right]);
        add_product(left, right, size, result);
    }
    Ok(Tensor::of(shape, result))
}

/// `Gemm`
pub(super) fn gemm(node: &Node<'_>) -> Result<Run, Fault> {
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    let (turns_a, turns_b) = (node.flag("transA", false)?, node.flag("transB", false)?);
    node.ignore(&["broadcast"]);
    fn computed<T: Element + Real + std::ops::Mul<Output = T>>(
        inputs: &Inputs<'_>,
        (turns_a, turns_b): (bool, bool),
        (alpha, beta): (T, T),
    ) -> Result<Tensor, Problem> {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        let lengths = |tensor: &Tensor| match *tensor.lengths() {
            [rows, columns] => Ok((rows, columns)),
            _ => Err(Problem::new(format!("takes matrices, not the shape {:?}", tensor.shape()))),
        };
        let ((mut rows, mut shared), (mut b_shared, mut columns)) = (lengths(a)?, lengths(b)?);
        let (mut left, mut right) = (a.values::<T>()?.to_vec(), std::borrow::Cow::Borrowed(b.values::<T>()?));
        if turns_a {
            left = turned(&left, rows, shared);
            (rows, shared) = (shared, rows);
        }
        if turns_b {
            right = turned(&right, b_shared, columns).into();
            (b_shared, columns) = (columns, b_shared);
        }
        if shared != b_shared {
            return Err(Problem::new(format!("shapes {:?} and {:?} do not fit", a.shape(), b.shape())));
        }
        check_work(&[rows, shared, columns])?;
        let shape = Shape::new(&[rows, columns])?;
        let mut result = vec![T::default(); shape.n_values()];
        if let Some(c) = inputs.find(2) {
            if c.shape().broadcast(&shape)? != shape {
                return Err(Problem::new(format!("shapes {:?} and {shape:?} do not fit", c.shape())));
            }
            let strides = c.shape().strides_in(&shape).map(|stride| stride as isize);
            let values = c.values::<T>()?;
            let places = Strided::new(shape, 0, strides);
            result.iter_mut().zip(places).for_each(|(result, place)| *result = values[place] * beta);
        }
        left.iter_mut().for_each(|value| *value = *value * alpha);
        add_product(&left, &right, Size { rows, shared, columns }, &mut result);
        Ok(Tensor::of(shape, result))
    }
    run(move |inputs: &Inputs<'_>| match inputs.get(0)?.data() {
        Data::Float(_) => computed(inputs, (turns_a, turns_b), (alpha, beta)),
        Data::Double(_) => computed(inputs, (turns_a, turns_b), (f64::from(alpha), f64::from(beta))),
        data => Err(Problem::new(format!("takes float or double, not {}", type_name(data)))),
    })
}

/// `BatchNormalization` of a fitted network
pub(super) fn batch_normalization(node: &Node<'_>) -> Result<Run, Fault> {
    let epsilon = node.float("epsilon", 1e-5)?;
    node.ignore(&["momentum", "spatial"]);
    if node.flag("training_mode", false)? || node.n_outputs() > 1 {
        return Err(node.unsupported("the training of "));
    }
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let n = tensor.lengths().get(1).copied().unwrap_or(1);
        let of_channel = |input: usize| {
            let values = inputs.get(input)?.values::<f32>()?;
            if values.len() == n { Ok(values) } else { Err(Problem::new("has not one number per column")) }
        };
        let (scale, bias, mean, variance) = (of_channel(1)?, of_channel(2)?, of_channel(3)?, of_channel(4)?);
        let inner: usize = tensor.lengths().iter().skip(2).product();
        let value = |(index, value): (usize, &f32)| {
            let channel = index / inner % n;
            let factor = scale[channel] / (variance[channel] + epsilon).sqrt();
            value * factor + (bias[channel] - mean[channel] * factor)
        };
        let values: Vec<f32> = tensor.values::<f32>()?.iter().enumerate().map(value).collect();
        Ok(Tensor::of(*tensor.shape(), values))
    })
}

/// Labels of an equation's dimensions.
struct Equation {
    inputs: Vec<Vec<char>>,
    output: Vec<char>,
    /// All labels: first those of the output, then those that are summed over.
    labels: Vec<char>,
}

/// `Einsum` without an ellipsis
pub(super) fn einsum(node: &Node<'_>) -> Result<Run, Fault> {
    let text: String = node.text("equation", "")?.split_whitespace().collect();
    let equation = Equation::parse(&text);
    let equation = equation
        .ok_or_else(|| node.unsupported(&format!("the attribute `equation` that is `{text}` of ")))?;
    if equation.inputs.len() != node.n_inputs() {
        return Err(node.problem("its equation has another number of inputs"));
    }
    run(move |inputs: &Inputs<'_>| match inputs.get(0)?.data() {
        Data::Float(_) => equation.compute::<f32>(inputs, 1.0, |a, b| a * b),
        Data::Double(_) => equation.compute::<f64>(inputs, 1.0, |a, b| a * b),
        data => Err(Problem::new(format!("takes float or double, not {}", type_name(data)))),
    })
}

impl Equation {
    fn parse(text: &str) -> Option<Self> {
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text, None),
        };
        let is_plain = |part: &str| part.chars().all(|label| label.is_ascii_alphabetic());
        let inputs: Vec<Vec<char>> = left.split(',').map(|input| input.chars().collect()).collect();
        let mut all: Vec<char> = inputs.iter().flatten().copied().collect();
        all.sort_unstable();
        let output: Vec<char> = match right {
            Some(right) => right.chars().collect(),
            // Those that occur once, in the order of the alphabet.
            None => all
                .iter()
                .copied()
                .filter(|label| all.iter().filter(|it| *it == label).count() == 1)
                .collect(),
        };
        all.dedup();
        let is_known = output.iter().all(|label| all.contains(label)) && left.split(',').all(is_plain);
        let summed = all.into_iter().filter(|label| !output.contains(label));
        let labels: Vec<char> = output.iter().copied().chain(summed).collect();
        (is_known && labels.len() <= MAX_RANK).then_some(Self { inputs, output, labels })
    }

    fn compute<T: Element + Real>(
        &self,
        inputs: &Inputs<'_>,
        one: T,
        times: impl Fn(T, T) -> T,
    ) -> Result<Tensor, Problem> {
        let mut lengths: Vec<Option<usize>> = vec![None; self.labels.len()];
        let mut factors: Vec<(&[T], [isize; MAX_RANK])> = Vec::with_capacity(self.inputs.len());
        for (index, labels) in self.inputs.iter().enumerate() {
            let tensor = inputs.get(index)?;
            if tensor.shape().rank() != labels.len() {
                return Err(Problem::new("has an equation of other dimensions"));
            }
            let (own, mut strides) = (tensor.shape().strides(), [0; MAX_RANK]);
            for (axis, label) in labels.iter().enumerate() {
                let place =
                    self.labels.iter().position(|known| known == label).expect("labels are of inputs");
                let length = tensor.lengths()[axis];
                if lengths[place].is_some_and(|known| known != length) {
                    return Err(Problem::new(format!("has several lengths for `{label}`")));
                }
                lengths[place] = Some(length);
                strides[place] += own[axis] as isize;
            }
            factors.push((tensor.values()?, strides));
        }
        let lengths: Vec<usize> = lengths.into_iter().flatten().collect();
        check_work(&lengths)?;
        let (outer, inner) = lengths.split_at(self.output.len());
        let (outer, inner) = (Shape::new(outer)?, Shape::new(inner)?);
        let of_inner = |strides: &[isize; MAX_RANK]| {
            let mut rest = [0; MAX_RANK];
            rest[..MAX_RANK - outer.rank()].copy_from_slice(&strides[outer.rank()..]);
            rest
        };
        let mut starts: Vec<Strided> =
            factors.iter().map(|(_, strides)| Strided::new(outer, 0, *strides)).collect();
        let sum = |_| {
            let starts = starts.iter_mut().map(|starts| starts.next().expect("one for each output"));
            let mut places: Vec<Strided> = starts
                .zip(&factors)
                .map(|(start, (_, strides))| Strided::new(inner, start, of_inner(strides)))
                .collect();
            let mut sum = T::default();
            for _ in 0..inner.n_values() {
                let values = places.iter_mut().zip(&factors);
                let product = values.fold(one, |product, (places, (values, _))| {
                    times(product, values[places.next().expect("one for each number")])
                });
                sum += product;
            }
            sum
        };
        Ok(Tensor::of(outer, (0..outer.n_values()).map(sum).collect()))
    }
}
