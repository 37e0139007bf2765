//! Columns of numbers that are prepared for a model.

use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Shape, Tensor, type_name};

/// The number for the column of each place: there is one for all columns, or one for each.
fn of_columns<T: Copy>(numbers: &[T], n_columns: usize) -> Result<impl Fn(usize) -> T + '_, Problem> {
    let n = numbers.len();
    if n == 0 || (n != 1 && n != n_columns) {
        return Err(Problem::new(format!("has {n} numbers for {n_columns} columns")));
    }
    Ok(move |index: usize| numbers[index % n])
}

fn last_length(tensor: &Tensor) -> usize {
    tensor.lengths().last().copied().unwrap_or(1).max(1)
}

/// `Scaler`
pub(super) fn scaler(node: &Node<'_>) -> Result<Run, Fault> {
    let offsets = node.floats("offset")?.unwrap_or(&[0.0]).to_vec();
    let scales = node.floats("scale")?.unwrap_or(&[1.0]).to_vec();
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let n_columns = last_length(tensor);
        let (offset, scale) = (of_columns(&offsets, n_columns)?, of_columns(&scales, n_columns)?);
        let values = tensor.to_floats()?;
        let scaled = values.iter().enumerate().map(|(index, value)| (value - offset(index)) * scale(index));
        Ok(Tensor::of(*tensor.shape(), scaled.collect::<Vec<f32>>()))
    })
}

/// `Normalizer`
pub(super) fn normalizer(node: &Node<'_>) -> Result<Run, Fault> {
    let norm: fn(&mut [f32]) = match node.text("norm", "MAX")? {
        "MAX" => by_max,
        "L1" => by_sum,
        "L2" => by_squares,
        other => return Err(node.unsupported(&format!("the attribute `norm` that is `{other}` of "))),
    };
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let mut values = tensor.to_floats()?.into_owned();
        values.chunks_exact_mut(last_length(tensor)).for_each(norm);
        Ok(Tensor::of(*tensor.shape(), values))
    })
}

fn by_max(row: &mut [f32]) {
    let max = row.iter().copied().fold(f32::MIN, f32::max);
    if max != 0.0 {
        row.iter_mut().for_each(|value| *value /= max);
    }
}

fn by_sum(row: &mut [f32]) {
    let sum: f32 = row.iter().fold(0.0, |sum, value| sum + value.abs());
    if sum != 0.0 {
        row.iter_mut().for_each(|value| *value /= sum);
    }
}

fn by_squares(row: &mut [f32]) {
    let sum: f32 = row.iter().fold(0.0, |sum, value| sum + value * value);
    if sum != 0.0 {
        row.iter_mut().for_each(|value| *value = (*value * *value / sum).sqrt().copysign(*value));
    }
}

/// `Imputer`
pub(super) fn imputer(node: &Node<'_>) -> Result<Run, Fault> {
    let floats = node.floats("imputed_value_floats")?.unwrap_or_default().to_vec();
    let longs = node.longs("imputed_value_int64s")?.unwrap_or_default().to_vec();
    let float = node.float("replaced_value_float", 0.0)?;
    let long = node.long("replaced_value_int64", 0)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let n_columns = last_length(tensor);
        let data = match tensor.data() {
            Data::Float(values) => {
                let filling = of_columns(&floats, n_columns)?;
                let is_gone = |value: f32| value == float || (float.is_nan() && value.is_nan());
                let filled = values.iter().enumerate();
                Data::Float(
                    filled
                        .map(|(index, value)| if is_gone(*value) { filling(index) } else { *value })
                        .collect(),
                )
            }
            Data::Long(values) => {
                let filling = of_columns(&longs, n_columns)?;
                let filled = values.iter().enumerate();
                Data::Long(
                    filled
                        .map(|(index, value)| if *value == long { filling(index) } else { *value })
                        .collect(),
                )
            }
            data => return Err(Problem::new(format!("takes float or int64, not {}", type_name(data)))),
        };
        Ok(Tensor::new(*tensor.shape(), data))
    })
}

/// `Binarizer`
pub(super) fn binarizer(node: &Node<'_>) -> Result<Run, Fault> {
    let threshold = node.float("threshold", 0.0)?;
    run(move |inputs: &Inputs<'_>| {
        let tensor = inputs.get(0)?;
        let values = tensor.to_floats()?;
        let flags: Vec<f32> = values.iter().map(|value| f32::from(u8::from(*value > threshold))).collect();
        Ok(Tensor::of(*tensor.shape(), flags))
    })
}

/// `FeatureVectorizer`: columns side by side, each part cut or filled with zeros to its length.
pub(super) fn vectorizer(node: &Node<'_>) -> Result<Run, Fault> {
    let lengths = node.longs("inputdimensions")?.unwrap_or_default();
    let lengths: Option<Vec<usize>> = lengths.iter().map(|length| usize::try_from(*length).ok()).collect();
    let lengths = lengths.filter(|lengths| lengths.len() == node.n_inputs());
    let lengths = lengths.ok_or_else(|| node.problem("it has not one length per input"))?;
    run(move |inputs: &Inputs<'_>| {
        let n_rows = inputs.get(0)?.rows_and_columns().0;
        let width = lengths.iter().try_fold(0_usize, |sum, length| sum.checked_add(*length));
        let shape = Shape::new(&[n_rows, width.unwrap_or(usize::MAX)])?;
        let width = shape.lengths()[1];
        let mut values = vec![0.0_f32; shape.n_values()];
        let mut start = 0;
        for (index, length) in lengths.iter().enumerate() {
            let tensor = inputs.get(index)?;
            let (n, n_columns) = tensor.rows_and_columns();
            if n != n_rows {
                return Err(Problem::new("has inputs of several numbers of rows"));
            }
            let floats = tensor.to_floats()?;
            let taken = n_columns.min(*length);
            for row in 0..n_rows {
                let part = &floats[row * n_columns..row * n_columns + taken];
                values[row * width + start..][..taken].copy_from_slice(part);
            }
            start += length;
        }
        Ok(Tensor::of(shape, values))
    })
}
