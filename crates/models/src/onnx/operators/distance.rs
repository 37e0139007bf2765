//! Distances between all rows of two matrices.

use super::product::{Size, add_product, turned};
use super::{Run, run};
use crate::Data;
use crate::fault::Fault;
use crate::onnx::graph::Inputs;
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Shape, Tensor};

/// `CDist` of onnxruntime: squares of differences, as a product of matrices.
pub(super) fn c_dist(node: &Node<'_>) -> Result<Run, Fault> {
    let takes_root = match node.text("metric", "sqeuclidean")? {
        "euclidean" => true,
        "sqeuclidean" => false,
        metric => return Err(node.unsupported(&format!("the attribute `metric` that is `{metric}` of "))),
    };
    run(move |inputs: &Inputs<'_>| {
        let (a, b) = (inputs.get(0)?, inputs.get(1)?);
        let ([n_a, n], [n_b, n_of_b]) = (a.lengths(), b.lengths()) else {
            return Err(Problem::new("takes two matrices"));
        };
        if n != n_of_b {
            return Err(Problem::new(format!("shapes {:?} and {:?} do not fit", a.shape(), b.shape())));
        }
        let shape = Shape::new(&[*n_a, *n_b])?;
        let size = Size { rows: *n_a, shared: *n, columns: *n_b };
        macro_rules! distances {
            ($type:ty) => {{
                let (a, b) = (a.values::<$type>()?, b.values::<$type>()?);
                let squares = |rows: &[$type]| -> Vec<$type> {
                    rows.chunks_exact((*n).max(1)).map(|row| row.iter().map(|x| x * x).sum()).collect()
                };
                let (of_a, of_b) = (squares(a), squares(b));
                let mut result = vec![0.0; shape.n_values()];
                add_product(a, &turned(b, *n_b, *n), size, &mut result);
                for (row, of_a) in result.chunks_exact_mut((*n_b).max(1)).zip(of_a) {
                    for (value, of_b) in row.iter_mut().zip(&of_b) {
                        let square = (-2.0 * *value + of_a + of_b).max(0.0);
                        *value = if takes_root { square.sqrt() } else { square };
                    }
                }
                Ok(Tensor::of(shape, result))
            }};
        }
        match a.data() {
            Data::Double(_) => distances!(f64),
            _ => distances!(f32),
        }
    })
}
