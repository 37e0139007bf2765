//! Where values stand: shapes, and arrays that are put together, taken apart and turned.

use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{
    Element, MAX_RANK, MAX_VALUES, Shape, Strided, Tensor, place, same_type, type_name,
};

/// Numbers that are an attribute in old versions of an operator, and an input in newer ones.
fn longs_of(
    inputs: &Inputs<'_>,
    input: usize,
    attribute: Option<&Vec<i64>>,
) -> Result<Option<Vec<i64>>, Problem> {
    match (attribute, inputs.find(input)) {
        (Some(longs), _) => Ok(Some(longs.clone())),
        (None, Some(tensor)) => Ok(Some(tensor.to_longs()?.into_owned())),
        (None, None) => Ok(None),
    }
}

fn attribute(node: &Node<'_>, name: &'static str) -> Result<Option<Vec<i64>>, Fault> {
    Ok(node.longs(name)?.map(<[i64]>::to_vec))
}

fn length(long: i64) -> Result<usize, Problem> {
    usize::try_from(long).map_err(|_| Problem::new(format!("a length of {long}")))
}

fn lengths(longs: &[i64]) -> Result<Vec<usize>, Problem> {
    longs.iter().map(|long| length(*long)).collect()
}

/// `Constant`
pub(super) fn constant(node: &Node<'_>) -> Result<Run, Fault> {
    let tensor = if let Some(tensor) = node.tensor("value")? {
        Ok(tensor.clone())
    } else if node.has("value_float") {
        Ok(Tensor::of(Shape::SCALAR, vec![node.float("value_float", 0.0)?]))
    } else if let Some(long) = node.find_long("value_int")? {
        Ok(Tensor::of(Shape::SCALAR, vec![long]))
    } else if node.has("value_string") {
        Ok(Tensor::of(Shape::SCALAR, vec![node.text("value_string", "")?.to_owned()]))
    } else if let Some(floats) = node.floats("value_floats")? {
        Tensor::vector(floats.to_vec())
    } else if let Some(longs) = node.longs("value_ints")? {
        Tensor::vector(longs.to_vec())
    } else if let Some(texts) = node.texts("value_strings")? {
        Tensor::vector(texts.to_vec())
    } else {
        return Err(node.problem("it has no value"));
    };
    let tensor = tensor.map_err(|problem| node.problem(problem.text))?;
    run(move |_: &Inputs<'_>| Ok(tensor.clone()))
}

/// `ConstantOfShape`
pub(super) fn constant_of_shape(node: &Node<'_>) -> Result<Run, Fault> {
    let value = match node.tensor("value")? {
        Some(tensor) if tensor.n_values() == 1 => tensor.data().clone(),
        None => Data::Float(vec![0.0]),
        Some(_) => return Err(node.problem("its value is not one number")),
    };
    run(move |inputs: &Inputs<'_>| {
        let shape = Shape::new(&lengths(&inputs.get(0)?.to_longs()?)?)?;
        Ok(Tensor::new(shape, same_type!(&value, values => repeated(&values[0], shape.n_values()))))
    })
}

fn repeated<T: Element>(value: &T, n: usize) -> Vec<T> {
    vec![value.clone(); n]
}

/// `Shape`
pub(super) fn shape(node: &Node<'_>) -> Result<Run, Fault> {
    let (start, end) = (node.long("start", 0)?, node.find_long("end")?);
    run(move |inputs: &Inputs<'_>| {
        let lengths = inputs.get(0)?.lengths();
        let n = lengths.len() as i64;
        let bound = |at: i64| if at < 0 { at.saturating_add(n).max(0) } else { at.min(n) } as usize;
        let (start, end) = (bound(start), bound(end.unwrap_or(n)));
        let part = lengths.get(start..end).unwrap_or_default();
        Tensor::vector(part.iter().map(|length| *length as i64).collect())
    })
}

/// `Size`
pub(super) fn size(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| Ok(Tensor::of(Shape::SCALAR, vec![inputs.get(0)?.n_values() as i64])))
}

/// `Reshape`: -1 is what is left, and 0 is the length that was there.
pub(super) fn reshape(node: &Node<'_>) -> Result<Run, Fault> {
    let shape = attribute(node, "shape")?;
    let zero_is_zero = node.flag("allowzero", false)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let wanted = longs_of(inputs, 1, shape.as_ref())?.ok_or_else(|| Problem::new("has no shape"))?;
        let old = tensor.lengths();
        let mut lengths = Vec::with_capacity(wanted.len());
        for (index, long) in wanted.iter().enumerate() {
            lengths.push(match long {
                -1 => 1,
                0 if !zero_is_zero => {
                    *old.get(index).ok_or_else(|| Problem::new("keeps a length that is not there"))?
                }
                long => length(*long)?,
            });
        }
        if let Some(open) = wanted.iter().position(|long| *long == -1) {
            let rest = Shape::new(&lengths)?.n_values();
            lengths[open] = tensor.n_values().checked_div(rest).unwrap_or(0);
        }
        tensor.reshaped(&lengths)
    })
}

/// `Flatten`
pub(super) fn flatten(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = node.long("axis", 1)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        // It may also be behind the last dimension.
        let axis = place(axis, tensor.shape().rank() + 1).or_else(|_| tensor.shape().place(axis))?;
        let (rows, columns) = tensor.lengths().split_at(axis);
        tensor.reshaped(&[rows.iter().product(), columns.iter().product()])
    })
}

/// `Squeeze`
pub(super) fn squeeze(node: &Node<'_>) -> Result<Run, Fault> {
    let axes = attribute(node, "axes")?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let gone: Vec<usize> = match longs_of(inputs, 1, axes.as_ref())? {
            Some(axes) => axes.iter().map(|axis| tensor.shape().place(*axis)).collect::<Result<_, _>>()?,
            None => (0..tensor.shape().rank()).filter(|axis| tensor.lengths()[*axis] == 1).collect(),
        };
        let left = tensor.lengths().iter().enumerate().filter(|(axis, _)| !gone.contains(axis));
        tensor.reshaped(&left.map(|(_, length)| *length).collect::<Vec<_>>())
    })
}

/// `Unsqueeze`
pub(super) fn unsqueeze(node: &Node<'_>) -> Result<Run, Fault> {
    let axes = attribute(node, "axes")?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let axes = longs_of(inputs, 1, axes.as_ref())?.ok_or_else(|| Problem::new("has no axes"))?;
        let rank = tensor.shape().rank() + axes.len();
        if rank > MAX_RANK {
            return Err(Problem::new(format!("an array of {rank} dimensions")));
        }
        let new: Vec<usize> = axes.iter().map(|axis| place(*axis, rank)).collect::<Result<_, _>>()?;
        let mut old = tensor.lengths().iter();
        let lengths: Option<Vec<usize>> =
            (0..rank).map(|axis| if new.contains(&axis) { Some(1) } else { old.next().copied() }).collect();
        tensor.reshaped(&lengths.ok_or_else(|| Problem::new("has the same axis twice"))?)
    })
}

/// `Transpose`
pub(super) fn transpose(node: &Node<'_>) -> Result<Run, Fault> {
    let order = attribute(node, "perm")?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let rank = tensor.shape().rank();
        let order: Vec<usize> = match &order {
            None => (0..rank).rev().collect(),
            Some(order) => order.iter().map(|axis| place(*axis, rank)).collect::<Result<_, _>>()?,
        };
        let is_complete = (0..rank).all(|axis| order.contains(&axis)) && order.len() == rank;
        if !is_complete {
            return Err(Problem::new(format!("cannot turn {rank} dimensions as {order:?}")));
        }
        let old = tensor.shape().strides();
        let mut strides = [0; MAX_RANK];
        order.iter().enumerate().for_each(|(axis, from)| strides[axis] = old[*from] as isize);
        let lengths: Vec<usize> = order.iter().map(|axis| tensor.lengths()[*axis]).collect();
        let shape = Shape::new(&lengths)?;
        Ok(tensor.pick(shape, Strided::new(shape, 0, strides)))
    })
}

/// `Concat`
pub(super) fn concat(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = node.long("axis", 1)?;
    run(move |inputs: &Inputs<'_>| {
        let tensors: Vec<&Tensor> = inputs.iter().collect::<Result<_, _>>()?;
        joined(&tensors, axis)
    })
}

/// Arrays one after another along an axis.
pub(super) fn joined(tensors: &[&Tensor], axis: i64) -> Result<Tensor, Problem> {
    fn values_of<T: Element>(tensors: &[&Tensor], place: usize, n: usize) -> Result<Vec<T>, Problem> {
        let parts: Vec<&[T]> = tensors.iter().map(|tensor| tensor.values()).collect::<Result<_, _>>()?;
        let runs: Vec<usize> = tensors.iter().map(|it| it.lengths()[place..].iter().product()).collect();
        let outer: usize = tensors[0].lengths()[..place].iter().product();
        let mut values = Vec::with_capacity(n);
        for block in 0..outer {
            for (part, run) in parts.iter().zip(&runs) {
                values.extend_from_slice(&part[block * run..(block + 1) * run]);
            }
        }
        Ok(values)
    }
    let Some(first) = tensors.first() else { return Err(Problem::new("has no inputs")) };
    let place = first.shape().place(axis)?;
    let mut length = 0;
    for tensor in tensors {
        let fits = tensor.shape().rank() == first.shape().rank()
            && (0..first.shape().rank())
                .all(|axis| axis == place || tensor.lengths()[axis] == first.lengths()[axis]);
        if !fits {
            let problem = format!("shapes {:?} and {:?} do not fit", first.shape(), tensor.shape());
            return Err(Problem::new(problem));
        }
        length += tensor.lengths()[place];
    }
    let shape = first.shape().with(place, length)?;
    let n = shape.n_values();
    Ok(Tensor::new(
        shape,
        match first.data() {
            Data::Float(_) => Data::Float(values_of(tensors, place, n)?),
            Data::Double(_) => Data::Double(values_of(tensors, place, n)?),
            Data::Integer(_) => Data::Integer(values_of(tensors, place, n)?),
            Data::Long(_) => Data::Long(values_of(tensors, place, n)?),
            Data::Boolean(_) => Data::Boolean(values_of(tensors, place, n)?),
            Data::Text(_) => Data::Text(values_of(tensors, place, n)?),
        },
    ))
}

/// `Slice`
pub(super) fn slice(node: &Node<'_>) -> Result<Run, Fault> {
    let starts = attribute(node, "starts")?;
    let ends = attribute(node, "ends")?;
    let axes = attribute(node, "axes")?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let missing = || Problem::new("does not say from where to where");
        let starts = longs_of(inputs, 1, starts.as_ref())?.ok_or_else(missing)?;
        let ends = longs_of(inputs, 2, ends.as_ref())?.ok_or_else(missing)?;
        let axes = match longs_of(inputs, 3, axes.as_ref())? {
            Some(axes) => axes,
            None => (0..starts.len() as i64).collect(),
        };
        let steps = longs_of(inputs, 4, None)?.unwrap_or_else(|| vec![1; axes.len()]);
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return Err(Problem::new("has bounds of several lengths"));
        }
        let old = tensor.shape().strides();
        let mut lengths = tensor.lengths().to_vec();
        let (mut first, mut strides) = (0, old.map(|stride| stride as isize));
        for (((axis, start), end), step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
            let axis = tensor.shape().place(*axis)?;
            let (start, n) = range_of(tensor.lengths()[axis], *start, *end, *step)?;
            first += start * old[axis];
            strides[axis] = old[axis] as isize * if n > 1 { *step as isize } else { 1 };
            lengths[axis] = n;
        }
        let shape = Shape::new(&lengths)?;
        Ok(tensor.pick(shape, Strided::new(shape, first, strides)))
    })
}

/// Where a slice begins, and how many it takes. As in Python, bounds beyond the ends are moved there.
fn range_of(length: usize, start: i64, end: i64, step: i64) -> Result<(usize, usize), Problem> {
    let n = length as i64;
    let from_start = |at: i64| if at < 0 { at.saturating_add(n) } else { at };
    let (start, end) = (from_start(start), from_start(end));
    let (start, span) = match step {
        0 => return Err(Problem::new("has a step of 0")),
        1.. => {
            let start = start.clamp(0, n);
            (start, end.clamp(0, n) - start)
        }
        _ => {
            let start = start.clamp(-1, n - 1);
            (start, start - end.clamp(-1, n - 1))
        }
    };
    if span <= 0 {
        return Ok((0, 0));
    }
    let taken = (span as u64).div_ceil(step.unsigned_abs());
    Ok((start as usize, taken as usize))
}

/// `Split`
pub(super) fn split(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = node.long("axis", 0)?;
    let parts = attribute(node, "split")?;
    let n_parts = node.long("num_outputs", node.n_outputs() as i64)?;
    let n_parts = usize::try_from(n_parts).ok().filter(|n| *n > 0 && *n <= node.n_outputs());
    let n_parts = n_parts.ok_or_else(|| node.problem("it has no outputs"))?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let place = tensor.shape().place(axis)?;
        let whole = tensor.lengths()[place];
        let parts = match longs_of(inputs, 1, parts.as_ref())? {
            Some(parts) => lengths(&parts)?,
            None => {
                let each = whole.div_ceil(n_parts);
                (0..n_parts).map(|part| whole.saturating_sub(part * each).min(each)).collect()
            }
        };
        if parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(*part)) != Some(whole) {
            return Err(Problem::new(format!("cannot split {whole} into {parts:?}")));
        }
        let strides = tensor.shape().strides();
        let mut start = 0;
        let cut = |length: usize| {
            let shape = tensor.shape().with(place, length)?;
            let places = Strided::new(shape, start * strides[place], strides.map(|stride| stride as isize));
            start += length;
            Ok(tensor.pick(shape, places))
        };
        parts.into_iter().map(cut).collect::<Result<Vec<_>, _>>()
    })
}

/// `Expand`
pub(super) fn expand(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let wanted = Shape::new(&lengths(&inputs.get(1)?.to_longs()?)?)?;
        let shape = tensor.shape().broadcast(&wanted)?;
        let strides = tensor.shape().strides_in(&shape).map(|stride| stride as isize);
        Ok(tensor.pick(shape, Strided::new(shape, 0, strides)))
    })
}

/// `Tile`
pub(super) fn tile(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let times = lengths(&inputs.get(1)?.to_longs()?)?;
        if times.len() != tensor.shape().rank() {
            return Err(Problem::new("does not say how often for each dimension"));
        }
        let long = |(length, times): (&usize, &usize)| length.checked_mul(*times).unwrap_or(usize::MAX);
        let lengths: Vec<usize> = tensor.lengths().iter().zip(&times).map(long).collect();
        let shape = Shape::new(&lengths)?;
        let (old, new) = (tensor.shape().strides(), shape.strides());
        let place = |index: usize| {
            let along = |axis: usize| index / new[axis] % lengths[axis] % tensor.lengths()[axis] * old[axis];
            (0..lengths.len()).map(along).sum()
        };
        Ok(tensor.pick(shape, (0..shape.n_values()).map(place)))
    })
}

/// `Pad` with one value around.
pub(super) fn pad(node: &Node<'_>) -> Result<Run, Fault> {
    if node.text("mode", "constant")? != "constant" {
        return Err(node.unsupported("the attribute `mode` other than `constant` of "));
    }
    let pads = attribute(node, "pads")?;
    let value = node.float("value", 0.0)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let rank = tensor.shape().rank();
        let pads = longs_of(inputs, 1, pads.as_ref())?.ok_or_else(|| Problem::new("has no pads"))?;
        let axes = longs_of(inputs, 3, None)?.unwrap_or_else(|| (0..rank as i64).collect());
        if pads.len() != 2 * axes.len() {
            return Err(Problem::new("does not say how much for each side"));
        }
        let (mut before, mut lengths) = (vec![0; rank], tensor.lengths().to_vec());
        for (index, axis) in axes.iter().enumerate() {
            let axis = tensor.shape().place(*axis)?;
            before[axis] = length(pads[index])?;
            let after = length(pads[axes.len() + index])?;
            let whole = before[axis].checked_add(after).and_then(|both| both.checked_add(lengths[axis]));
            lengths[axis] = whole.unwrap_or(usize::MAX);
        }
        let shape = Shape::new(&lengths)?;
        let (old, new) = (tensor.shape().strides(), shape.strides());
        let place = |index: usize| {
            let along = |axis: usize| {
                let inside = (index / new[axis] % lengths[axis]).checked_sub(before[axis])?;
                (inside < tensor.lengths()[axis]).then_some(inside * old[axis])
            };
            (0..rank).map(along).sum::<Option<usize>>()
        };
        fn filled<T: Element>(
            values: &[T],
            around: &T,
            places: impl Iterator<Item = Option<usize>>,
        ) -> Vec<T> {
            places.map(|place| place.map_or_else(|| around.clone(), |place| values[place].clone())).collect()
        }
        let around = inputs.find(2);
        fn given<T: Element>(around: Option<&Tensor>, default: T) -> Result<T, Problem> {
            let Some(around) = around else { return Ok(default) };
            Ok(around.values::<T>()?.first().cloned().unwrap_or_default())
        }
        let places = (0..shape.n_values()).map(place);
        let data = match tensor.data() {
            Data::Float(values) => Data::Float(filled(values, &given(around, value)?, places)),
            Data::Double(values) => Data::Double(filled(values, &given(around, f64::from(value))?, places)),
            Data::Integer(values) => Data::Integer(filled(values, &given(around, value as i32)?, places)),
            Data::Long(values) => Data::Long(filled(values, &given(around, value as i64)?, places)),
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        };
        Ok(Tensor::new(shape, data))
    })
}

/// `Range`
pub(super) fn range(_node: &Node<'_>) -> Result<Run, Fault> {
    fn ends<T: Element + Copy>(inputs: &Inputs<'_>) -> Result<[T; 3], Problem> {
        let end = |input: usize| {
            let value = inputs.get(input)?.values::<T>()?.first().copied();
            value.ok_or_else(|| Problem::new("has no bounds"))
        };
        Ok([end(0)?, end(1)?, end(2)?])
    }
    fn count(start: f64, limit: f64, step: f64) -> Result<usize, Problem> {
        let n = ((limit - start) / step).ceil();
        match n {
            _ if step == 0.0 || n.is_nan() || n > MAX_VALUES as f64 => {
                Err(Problem::new("has too many values"))
            }
            _ => Ok(n.max(0.0) as usize),
        }
    }
    run(|inputs: &Inputs<'_>| match inputs.get(0)?.data() {
        Data::Float(_) => {
            let [start, limit, step] = ends::<f32>(inputs)?;
            let n = count(start.into(), limit.into(), step.into())?;
            Tensor::vector((0..n).map(|index| start + index as f32 * step).collect())
        }
        Data::Double(_) => {
            let [start, limit, step] = ends::<f64>(inputs)?;
            let n = count(start, limit, step)?;
            Tensor::vector((0..n).map(|index| start + index as f64 * step).collect())
        }
        Data::Integer(_) => {
            let [start, limit, step] = ends::<i32>(inputs)?;
            let n = count(start.into(), limit.into(), step.into())?;
            Tensor::vector((0..n).map(|index| start.wrapping_add(step.wrapping_mul(index as i32))).collect())
        }
        Data::Long(_) => {
            let [start, limit, step] = ends::<i64>(inputs)?;
            let n = count(start as f64, limit as f64, step as f64)?;
            Tensor::vector((0..n).map(|index| start.wrapping_add(step.wrapping_mul(index as i64))).collect())
        }
        data => Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
    })
}

/// `EyeLike`
pub(super) fn eye_like(node: &Node<'_>) -> Result<Run, Fault> {
    let wanted = node.find_long("dtype")?;
    let diagonal = node.long("k", 0)?;
    let of_type = |number| crate::onnx::file::no_values(number);
    let wanted = match wanted {
        None => None,
        Some(number) => Some(of_type(number).ok_or_else(|| node.unsupported("the type of "))?),
    };
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let [n_rows, n_columns] = *tensor.lengths() else { return Err(Problem::new("takes a matrix")) };
        let places = (0..n_rows).flat_map(|row| (0..n_columns).map(move |column| (row, column)));
        let ones = places.map(|(row, column)| column as i64 - row as i64 == diagonal);
        Ok(Tensor::new(
            *tensor.shape(),
            match wanted.as_ref().unwrap_or(tensor.data()) {
                Data::Float(_) => Data::Float(ones.map(|one| f32::from(u8::from(one))).collect()),
                Data::Double(_) => Data::Double(ones.map(f64::from).collect()),
                Data::Integer(_) => Data::Integer(ones.map(i32::from).collect()),
                Data::Long(_) => Data::Long(ones.map(i64::from).collect()),
                data => return Err(Problem::new(format!("makes numbers, not {}", type_name(data)))),
            },
        ))
    })
}

/// `Trilu`
pub(super) fn trilu(node: &Node<'_>) -> Result<Run, Fault> {
    let upper = node.flag("upper", true)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let diagonal = match inputs.find(1) {
            Some(diagonal) => diagonal.to_longs()?.first().copied().unwrap_or(0),
            None => 0,
        };
        let [.., n_rows, n_columns] = *tensor.lengths() else { return Err(Problem::new("takes a matrix")) };
        let keeps = |index: usize| {
            let (row, column) = (index / n_columns % n_rows, index % n_columns);
            let beyond = (column as i64 - row as i64).saturating_sub(diagonal);
            if upper { beyond >= 0 } else { beyond <= 0 }
        };
        fn kept<T: Element>(values: &[T], keeps: impl Fn(usize) -> bool) -> Vec<T> {
            let value = |(index, value): (usize, &T)| if keeps(index) { value.clone() } else { T::default() };
            values.iter().enumerate().map(value).collect()
        }
        Ok(Tensor::new(*tensor.shape(), same_type!(tensor.data(), values => kept(values, keeps))))
    })
}
