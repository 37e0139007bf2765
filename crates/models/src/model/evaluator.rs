//! Batches in, answers out.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::entry::Entry;
use crate::estimator::Step;
use crate::rows::{Cell, Refusal, Rows, Takes};
use crate::{Batch, Data, InputError, InputProblem, Method, Prediction};

/// Rows that go through the estimator together, if they are narrow.
const BLOCK_ROWS: usize = 240;

/// Blocks have a multiple of so many rows, because trees are walked through by so many at once.
const ROWS_AT_ONCE: usize = 12;

/// Numbers that these rows have on their way, where one-hot columns make them wide.
const BLOCK_VALUES: usize = 1 << 20;

/// Rows that are answered first, to see how long the others will take.
const SAMPLE_ROWS: usize = 2 * ROWS_AT_ONCE;

/// Work that takes longer than this is shared out. To start a thread takes a tenth of it.
const WORTH_SHARING: Duration = Duration::from_micros(200);

/// An estimator, and how a batch gets to it.
#[derive(Debug)]
pub(super) struct Evaluator {
    pub(super) step: Step,
    pub(super) entry: Entry,
    /// Rows that go through the estimator together; `None` if that must be all of them.
    block_rows: Option<usize>,
}

/// How rows are shared out to threads.
#[derive(Debug, PartialEq)]
struct Shares {
    /// Rows that go through the estimator together.
    block_rows: usize,
    /// Rows of a thread. The last one may have fewer.
    n_rows_each: usize,
}

// === impl Shares ===

impl Shares {
    /// Equal shares, in blocks of about the same size that is at most `block_rows`.
    fn new(n_rows: usize, block_rows: usize, n_threads: usize) -> Self {
        let n_shares = n_threads.clamp(1, n_rows.div_ceil(block_rows));
        let n_rows_each = n_rows.div_ceil(n_shares);
        let n_blocks_each = n_rows_each.div_ceil(block_rows);
        let even = n_rows_each.div_ceil(n_blocks_each).next_multiple_of(ROWS_AT_ONCE);
        let block_rows = if n_shares == 1 { block_rows } else { even.min(block_rows) };
        Self { block_rows, n_rows_each: n_blocks_each * block_rows }
    }
}

// === impl Evaluator ===

impl Evaluator {
    pub(super) fn new(step: Step, entry: Entry) -> Self {
        let widest = step.widest(entry.n_columns.unwrap_or(1)).max(1);
        let block_rows = (BLOCK_VALUES / widest).clamp(1, BLOCK_ROWS);
        Self { block_rows: step.rows_are_independent().then_some(block_rows), step, entry }
    }

    /// The answer to a method that the estimator has, by up to `n_threads` threads.
    pub(super) fn ask(
        &self,
        method: Method,
        batch: &Batch,
        n_threads: usize,
    ) -> Result<Prediction, InputError> {
        let rows = self.entry.rows(batch)?;
        let n_rows = rows.n_rows();
        let block_rows = match self.block_rows {
            Some(block_rows) if block_rows < n_rows => block_rows,
            _ => return self.answer(method, rows).map_err(|refusal| self.input_error(refusal, 0)),
        };
        if n_threads < 2 {
            return self.answer_blocks(method, &rows, 0..n_rows, block_rows);
        }
        let began = Instant::now();
        let n_first = SAMPLE_ROWS.min(block_rows);
        let first = self.answer_blocks(method, &rows, 0..n_first, block_rows)?;
        let of_others = began.elapsed().as_secs_f64() * (n_rows - n_first) as f64 / n_first as f64;
        let n_threads = if of_others < WORTH_SHARING.as_secs_f64() { 1 } else { n_threads };
        self.share_out(method, &rows, first, block_rows, n_threads)
    }

    /// Adds the answers for the rest of the rows to those for the first ones, by so many threads.
    fn share_out(
        &self,
        method: Method,
        rows: &Rows<'_>,
        first: Prediction,
        block_rows: usize,
        n_threads: usize,
    ) -> Result<Prediction, InputError> {
        let (start, end) = (first.shape.n_rows, rows.n_rows());
        let Shares { block_rows, n_rows_each } = Shares::new(end - start, block_rows, n_threads);
        let mut shares = (start..end).step_by(n_rows_each).map(|start| start..end.min(start + n_rows_each));
        let own = shares.next().expect("there are rows");
        std::thread::scope(|scope| {
            let answer = |share| self.answer_blocks(method, rows, share, block_rows);
            let others: Vec<_> = shares.map(|share| scope.spawn(move || answer(share))).collect();
            let mut whole = answer(own).map(|part| {
                let mut whole = first;
                whole.append(part);
                whole
            });
            for other in others {
                let part = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                if let Ok(whole) = &mut whole {
                    match part {
                        Ok(part) => whole.append(part),
                        Err(error) => return Err(error),
                    }
                }
            }
            whole
        })
    }

    /// The answer for some of the rows, block after block.
    fn answer_blocks(
        &self,
        method: Method,
        rows: &Rows<'_>,
        share: Range<usize>,
        block_rows: usize,
    ) -> Result<Prediction, InputError> {
        let answer = |start: usize| {
            let block = rows.slice(start..share.end.min(start + block_rows));
            self.answer(method, block).map_err(|refusal| self.input_error(refusal, start))
        };
        let mut whole = answer(share.start)?;
        for start in share.clone().step_by(block_rows).skip(1) {
            whole.append(answer(start)?);
        }
        Ok(whole)
    }

    /// All outputs that have names.
    pub(super) fn ask_outputs(&self, batch: &Batch) -> Result<Vec<Prediction>, InputError> {
        let rows = self.entry.rows(batch)?;
        match &self.step {
            Step::Predictor(predictor) => predictor.predict_outputs(rows),
            Step::Transformer(_) => Ok(Vec::new()),
        }
        .map_err(|refusal| self.input_error(refusal, 0))
    }

    /// The answer for rows that have the columns of the estimator.
    pub(super) fn answer(&self, method: Method, rows: Rows<'_>) -> Result<Prediction, Refusal> {
        match &self.step {
            Step::Predictor(predictor) => predictor.predict(method, rows),
            Step::Transformer(transformer) => match transformer.besides() {
                Some(besides) if method != Method::Transform => besides.predict(method, rows),
                _ => transformed(transformer.transform(rows)?).map_err(|refusal| refusal.after(1)),
            },
        }
    }

    fn input_error(&self, refusal: Refusal, first_row: usize) -> InputError {
        InputError {
            row: refusal.row.map(|row| first_row + row),
            column: refusal.column.and_then(|column| self.entry.name(column)),
            problem: refusal.problem,
        }
    }
}

/// What a transformer gives, as an answer: numbers, or texts if there is nothing else.
fn transformed(rows: Rows<'_>) -> Result<Prediction, Refusal> {
    let n_columns = rows.n_columns();
    let is_text = matches!(&rows, Rows::Table(table) if table.has_only_texts());
    if !is_text {
        let matrix = rows.into_matrix(Takes::Everything, "the model")?;
        return Ok(Prediction::rows(n_columns, Data::Double(matrix.values.into_owned())));
    }
    let places = (0..rows.n_rows()).flat_map(|row| (0..n_columns).map(move |column| (row, column)));
    let text = |(row, column)| match rows.cell(row, column) {
        Cell::Text(text) => Ok(text.to_owned()),
        cell => {
            Err(Refusal::at(row, column, InputProblem::WrongType { expected: "a text", got: cell.show() }))
        }
    };
    Ok(Prediction::rows(n_columns, Data::Text(places.map(text).collect::<Result<_, _>>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shared_out_equally() {
        let shares = |n_rows, n_threads| {
            let Shares { block_rows, n_rows_each } = Shares::new(n_rows, 240, n_threads);
            (block_rows, n_rows_each)
        };
        assert_eq!(shares(1000, 1), (240, 1200));
        assert_eq!(shares(1000, 2), (168, 504));
        assert_eq!(shares(241, 2), (132, 132));
        // There is not more than one thread per block.
        assert_eq!(shares(300, 8), (156, 156));
        assert_eq!(shares(100_000, 4), (240, 25_200));
        assert_eq!(Shares::new(5, 1, 2), Shares { block_rows: 1, n_rows_each: 3 });
    }
}
