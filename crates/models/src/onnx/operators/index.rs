//! Values that are found by their place, and places that are found by their value.

use std::cmp::Ordering;

use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Element, Shape, Tensor, place, type_name};

/// Indices into `n`, some of them counted from the end. A wrong one is the request's fault if requests give them.
fn places(indices: &Tensor, n: usize) -> Result<Vec<usize>, Problem> {
    let place = |index: &i64| place(*index, n).map_err(|problem| Problem::of_values(problem.text));
    indices.to_longs()?.iter().map(place).collect()
}

/// `Gather`
pub(super) fn gather(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = node.long("axis", 0)?;
    run(move |inputs: &Inputs<'_>| {
        let (tensor, indices) = (inputs.get(0)?, inputs.get(1)?);
        let place = tensor.shape().place(axis)?;
        let axis = tensor.shape().axis(place);
        let places = places(indices, axis.length)?;
        let (before, after) = tensor.lengths().split_at(place);
        let shape = Shape::new(&[before, indices.lengths(), &after[1..]].concat())?;
        let starts = (0..axis.outer).flat_map(|block| {
            let start = block * axis.length;
            places.iter().map(move |place| (start + place) * axis.inner)
        });
        Ok(tensor.pick(shape, starts.flat_map(|start| start..start + axis.inner)))
    })
}

/// `GatherElements`
pub(super) fn gather_elements(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = node.long("axis", 0)?;
    run(move |inputs: &Inputs<'_>| {
        let (tensor, indices) = (inputs.get(0)?, inputs.get(1)?);
        let at = tensor.shape().place(axis)?;
        let shape = *indices.shape();
        let fits = shape.rank() == tensor.shape().rank()
            && (0..shape.rank()).all(|axis| axis == at || shape.lengths()[axis] <= tensor.lengths()[axis]);
        if !fits {
            let problem = format!("shapes {:?} and {shape:?} do not fit", tensor.shape());
            return Err(Problem::new(problem));
        }
        let places = places(indices, tensor.lengths()[at])?;
        let (old, new) = (tensor.shape().strides(), shape.strides());
        let source = |(index, place): (usize, &usize)| {
            let along = |axis: usize| match axis == at {
                true => place * old[axis],
                false => index / new[axis] % shape.lengths()[axis] * old[axis],
            };
            (0..shape.rank()).map(along).sum()
        };
        Ok(tensor.pick(shape, places.iter().enumerate().map(source)))
    })
}

/// `GatherND`
pub(super) fn gather_nd(node: &Node<'_>) -> Result<Run, Fault> {
    if node.long("batch_dims", 0)? != 0 {
        return Err(node.unsupported("the attribute `batch_dims` of "));
    }
    run(|inputs: &Inputs<'_>| {
        let (tensor, indices) = (inputs.get(0)?, inputs.get(1)?);
        let longs = indices.to_longs()?;
        let Some((depth, outer)) = indices.lengths().split_last() else {
            return Err(Problem::new("takes indices of one dimension or more"));
        };
        if *depth > tensor.shape().rank() {
            return Err(Problem::new("has more indices than dimensions"));
        }
        let (known, inner) = tensor.lengths().split_at(*depth);
        let shape = Shape::new(&[outer, inner].concat())?;
        let run: usize = inner.iter().product();
        let strides = tensor.shape().strides();
        let n_starts: usize = outer.iter().product();
        let mut starts = Vec::with_capacity(n_starts);
        for index in 0..n_starts {
            let mut start = 0;
            for (axis, long) in longs[index * depth..(index + 1) * depth].iter().enumerate() {
                let along = place(*long, known[axis]).map_err(|problem| Problem::of_values(problem.text))?;
                start += along * strides[axis];
            }
            starts.push(start);
        }
        Ok(tensor.pick(shape, starts.iter().flat_map(|start| *start..start + run)))
    })
}

/// `ArrayFeatureExtractor`: some of the last dimension.
pub(super) fn feature_extractor(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let (tensor, indices) = (inputs.get(0)?, inputs.get(1)?);
        let n_columns = tensor.lengths().last().copied().unwrap_or(1);
        let places = places(indices, n_columns)?;
        let n_rows = tensor.n_values().checked_div(n_columns).unwrap_or(0);
        let shape = match tensor.lengths().split_last() {
            Some((_, outer)) if !outer.is_empty() => Shape::new(&[outer, &[places.len()]].concat())?,
            _ => Shape::new(&[1, places.len()])?,
        };
        let rows = (0..n_rows).map(|row| row * n_columns);
        Ok(tensor.pick(shape, rows.flat_map(|start| places.iter().map(move |place| start + place))))
    })
}

/// `NonZero`
pub(super) fn non_zero(_node: &Node<'_>) -> Result<Run, Fault> {
    run(|inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        fn found<T: Element>(values: &[T]) -> Vec<usize> {
            let zero = T::default();
            (0..values.len()).filter(|index| values[*index] != zero).collect()
        }
        let found = match tensor.data() {
            Data::Float(values) => found(values),
            Data::Double(values) => found(values),
            Data::Integer(values) => found(values),
            Data::Long(values) => found(values),
            Data::Boolean(values) => found(values),
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        };
        let strides = tensor.shape().strides();
        let along = |axis: usize| {
            let length = tensor.lengths()[axis];
            found.iter().map(move |index| (index / strides[axis] % length) as i64)
        };
        let rank = tensor.shape().rank();
        Tensor::matrix(rank, found.len(), (0..rank).flat_map(along).collect::<Vec<i64>>())
    })
}

/// `OneHot`
pub(super) fn one_hot(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = node.long("axis", -1)?;
    run(move |inputs: &Inputs<'_>| {
        let (indices, depth, off_and_on) = (inputs.get(0)?, inputs.get(1)?, inputs.get(2)?);
        let depth = match depth.data() {
            Data::Float(values) => values.first().map(|value| *value as i64),
            _ => depth.to_longs()?.first().copied(),
        };
        let depth = depth.and_then(|depth| usize::try_from(depth).ok());
        let depth = depth.ok_or_else(|| Problem::new("has no depth"))?;
        if off_and_on.n_values() != 2 {
            return Err(Problem::new("takes two values"));
        }
        let indices_at: Vec<Option<usize>> = match indices.data() {
            Data::Float(values) => values.iter().map(|value| place(*value as i64, depth).ok()).collect(),
            _ => indices.to_longs()?.iter().map(|long| place(*long, depth).ok()).collect(),
        };
        let at = place(axis, indices.shape().rank() + 1)?;
        let (before, after) = indices.lengths().split_at(at);
        let shape = Shape::new(&[before, &[depth], after].concat())?;
        let inner: usize = after.iter().product();
        let is_on = |index: usize| {
            let (block, rest) = (index / (inner * depth), index % (inner * depth));
            indices_at[block * inner + rest % inner] == Some(rest / inner)
        };
        Ok(off_and_on.pick(shape, (0..shape.n_values()).map(|index| usize::from(is_on(index)))))
    })
}

/// `TopK`
pub(super) fn top_k(node: &Node<'_>) -> Result<Run, Fault> {
    let axis = node.long("axis", -1)?;
    let largest = node.flag("largest", true)?;
    let fixed = node.find_long("k")?;
    node.ignore(&["sorted"]);
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let k = match (fixed, inputs.find(1)) {
            (Some(k), _) => Some(k),
            (None, Some(k)) => k.to_longs()?.first().copied(),
            (None, None) => None,
        };
        let at = tensor.shape().place(axis)?;
        let axis = tensor.shape().axis(at);
        let k = k.and_then(|k| usize::try_from(k).ok()).filter(|k| *k <= axis.length);
        let k = k.ok_or_else(|| Problem::new(format!("takes more than the {} there are", axis.length)))?;
        let shape = tensor.shape().with(at, k)?;
        let order: fn(&Data, usize, usize) -> Ordering = match tensor.data() {
            Data::Float(_) | Data::Double(_) | Data::Integer(_) | Data::Long(_) => compare,
            data => return Err(Problem::new(format!("takes numbers, not {}", type_name(data)))),
        };
        let mut sources = vec![0; shape.n_values()];
        let mut candidates: Vec<usize> = Vec::with_capacity(axis.length);
        for block in 0..axis.outer {
            for column in 0..axis.inner {
                let source = |index: usize| (block * axis.length + index) * axis.inner + column;
                candidates.clear();
                candidates.extend(0..axis.length);
                let by_value = |a: &usize, b: &usize| {
                    let order = order(tensor.data(), source(*a), source(*b));
                    if largest { order.reverse() } else { order }.then(a.cmp(b))
                };
                if k > 0 && k < axis.length {
                    candidates.select_nth_unstable_by(k - 1, by_value);
                }
                let taken = &mut candidates[..k];
                taken.sort_unstable_by(by_value);
                for (rank, index) in taken.iter().enumerate() {
                    sources[(block * k + rank) * axis.inner + column] = source(*index);
                }
            }
        }
        let indices = sources.iter().map(|source| (source / axis.inner % axis.length) as i64).collect();
        Ok(vec![tensor.pick(shape, sources.iter().copied()), Tensor::of::<i64>(shape, indices)])
    })
}

fn compare(data: &Data, a: usize, b: usize) -> Ordering {
    match data {
        Data::Float(values) => {
            values[a].partial_cmp(&values[b]).unwrap_or(values[b].is_nan().cmp(&values[a].is_nan()))
        }
        Data::Double(values) => {
            values[a].partial_cmp(&values[b]).unwrap_or(values[b].is_nan().cmp(&values[a].is_nan()))
        }
        Data::Integer(values) => values[a].cmp(&values[b]),
        Data::Long(values) => values[a].cmp(&values[b]),
        Data::Boolean(_) | Data::Text(_) => Ordering::Equal,
    }
}
