//! Graphs inside of graphs.

use super::{Run, run};
use crate::fault::Fault;
use crate::onnx::graph::{self, Inputs};
use crate::onnx::node::Node;
use crate::onnx::problem::Problem;
use crate::onnx::tensor::{Shape, Tensor};

/// Times that a graph inside of another one is run.
const MAX_ROUNDS: usize = 1 << 22;

/// `Scan`: a graph that is run for each row of some inputs. What it says about the next round goes on to it.
pub(super) fn scan(node: &Node<'_>) -> Result<Run, Fault> {
    let body = node.graph("body")?;
    let n_scanned = usize::try_from(node.long("num_scan_inputs", 0)?).unwrap_or(0);
    for name in ["scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions"] {
        if node.longs(name)?.is_some_and(|longs| longs.iter().any(|long| *long != 0)) {
            return Err(node.unsupported(&format!("the attribute `{name}` other than 0 of ")));
        }
    }
    if node.version < 9 {
        return Err(node.unsupported("batches of "));
    }
    let n_states = node.n_inputs().checked_sub(n_scanned).filter(|_| n_scanned > 0);
    let n_states = n_states.ok_or_else(|| node.problem("it has no input to go through"))?;
    let graph = graph::compile(body, node.opsets, node.captures)?;
    let n_outputs = graph.n_outputs();
    let n_body_inputs = graph::input_names(body).count();
    if n_body_inputs != node.n_inputs() || n_outputs < n_states || n_outputs != node.n_outputs() {
        return Err(node.problem("its graph has other inputs or outputs"));
    }
    let plan = graph.plan(&(0..n_outputs).collect::<Vec<_>>());
    run(move |inputs: &Inputs<'_>| {
        let all: Vec<&Tensor> = inputs.iter().collect::<Result<_, _>>()?;
        let (states, rest) = all.split_at(n_states);
        let (scanned, captured) = rest.split_at(n_scanned);
        let n_rounds = scanned[0].lengths().first().copied().unwrap_or(0);
        let fits = |tensor: &&Tensor| tensor.lengths().first() == Some(&n_rounds);
        if !scanned.iter().all(fits) {
            return Err(Problem::new("has inputs of several lengths to go through"));
        }
        if n_rounds > MAX_ROUNDS {
            return Err(Problem::of_values("has too many rows to go through"));
        }
        let mut states: Vec<Tensor> = states.iter().copied().cloned().collect();
        let mut collected: Vec<Vec<Tensor>> = vec![Vec::with_capacity(n_rounds); n_outputs - n_states];
        for round in 0..n_rounds {
            let slices = scanned.iter().map(|tensor| row(tensor, round));
            let mut given = std::mem::take(&mut states);
            for slice in slices {
                given.push(slice?);
            }
            given.extend(captured.iter().copied().cloned());
            let failed = |error: graph::RunError| Problem {
                text: format!("in {}: {}", error.node, error.problem.text),
                ..error.problem
            };
            let mut results = graph.run(&plan, given).map_err(failed)?.into_iter();
            states.extend(results.by_ref().take(n_states));
            collected.iter_mut().zip(results).for_each(|(collected, result)| collected.push(result));
        }
        for rows in collected {
            states.push(stacked(&rows)?);
        }
        Ok(states)
    })
}

fn row(tensor: &Tensor, index: usize) -> Result<Tensor, Problem> {
    let shape = Shape::new(&tensor.lengths()[1..])?;
    let n = shape.n_values();
    Ok(tensor.pick(shape, index * n..(index + 1) * n))
}

/// Arrays of one shape, one above the other.
fn stacked(rows: &[Tensor]) -> Result<Tensor, Problem> {
    let Some(first) = rows.first() else { return Err(Problem::of_values("has nothing to go through")) };
    let with_row = |tensor: &Tensor| tensor.reshaped(&[&[1], tensor.lengths()].concat());
    if rows.iter().any(|row| row.shape() != first.shape()) {
        return Err(Problem::new("gives rows of several shapes"));
    }
    let rows: Vec<Tensor> = rows.iter().map(with_row).collect::<Result<_, _>>()?;
    super::layout::joined(&rows.iter().collect::<Vec<_>>(), 0)
}
