//! Asks a model, as `bench/peers/ask_model.py` does with the library that made it.
//!
//! usage: `ask_model MODEL ROWS`
//!
//! `ROWS` is `{"columns": [names] or null, "data": [[…], …]}`. Each line read is a question, and is answered by a line:
//!
//! - `answers`: what the model predicts for all rows
//! - `row SECONDS`: CPU seconds of predicting one row, the rows in turns, measured for so long
//! - `rows SECONDS`: CPU seconds of predicting all rows at once
//! - `rows-by-threads SECONDS N`: seconds by the clock of predicting all rows at once by so many threads

use std::error::Error;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use models::{Batch, Column, Data, Model, PredictError, Values};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// What a question is measured by.
#[derive(Clone, Copy)]
enum Clock {
    /// CPU time of this process.
    Cpu,
    Wall(Instant),
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(rows)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ask_model MODEL ROWS".into());
    };
    let model = models::load(path.as_ref())?;
    let table: Value = serde_json::from_slice(&std::fs::read(rows)?)?;
    let data = table["data"].as_array().ok_or("the rows have no `data`")?;
    let rows = batch(&table["columns"], data);
    let each: Vec<Batch> =
        data.iter().map(|row| batch(&table["columns"], std::slice::from_ref(row))).collect();
    for line in io::stdin().lines() {
        println!("{}", answer(&model, &rows, &each, &line?)?);
    }
    Ok(())
}

fn answer(model: &Model, rows: &Batch, each: &[Batch], question: &str) -> Result<Value, Box<dyn Error>> {
    let words: Vec<&str> = question.split_whitespace().collect();
    let ask = |batch: &Batch, n_threads| {
        model.predict_with_threads(model.default_method(), black_box(batch), n_threads).map(black_box)
    };
    match words[..] {
        ["answers"] => numbers(&ask(rows, 1)?.data),
        ["row", seconds] => {
            let one = |index: usize| ask(&each[index % each.len()], 1);
            Ok(json!(seconds_of(Clock::Cpu, seconds.parse()?, one)?))
        }
        ["rows", seconds] => Ok(json!(seconds_of(Clock::Cpu, seconds.parse()?, |_| ask(rows, 1))?)),
        ["rows-by-threads", seconds, n_threads] => {
            let (clock, n_threads) = (Clock::Wall(Instant::now()), n_threads.parse()?);
            Ok(json!(seconds_of(clock, seconds.parse()?, |_| ask(rows, n_threads))?))
        }
        _ => Err(format!("`{question}` is no question").into()),
    }
}

/// Seconds of a call, of as many as take so long. `call` is told how many there were before it.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "few calls"
)]
fn seconds_of<T>(
    clock: Clock,
    least_seconds: f64,
    call: impl Fn(usize) -> Result<T, PredictError>,
) -> Result<f64, PredictError> {
    let mut n_calls = 1;
    loop {
        let start = clock.now();
        for index in 0..n_calls {
            drop(call(index)?);
        }
        let seconds = (clock.now() - start).as_secs_f64();
        if seconds >= least_seconds {
            return Ok(seconds / n_calls as f64);
        }
        n_calls = (n_calls * 2).max((n_calls as f64 * least_seconds / seconds.max(1e-9)) as usize);
    }
}

/// Rows without names are a matrix; columns of whole numbers are whole.
fn batch(names: &Value, data: &[Value]) -> Batch {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let cells = data.iter().filter_map(Value::as_array);
    let Some(names) = names.as_array() else {
        let n_columns = data.first().and_then(Value::as_array).map_or(0, Vec::len);
        return Batch::matrix(n_columns, cells.flatten().map(number).collect());
    };
    let column = |(index, name): (usize, &Value)| {
        let longs: Option<Vec<i64>> = cells.clone().map(|row| row[index].as_i64()).collect();
        let doubles = || cells.clone().map(|row| number(&row[index])).collect();
        let values = longs.map_or_else(|| Values::Double(doubles()), Values::Long);
        Column { name: name.as_str().unwrap_or_default().to_owned(), values }
    };
    Batch::table(names.iter().enumerate().map(column).collect())
}

fn numbers(data: &Data) -> Result<Value, Box<dyn Error>> {
    Ok(match data {
        Data::Double(values) => json!(values),
        Data::Float(values) => values.iter().map(|value| json!(f64::from(*value))).collect(),
        Data::Long(values) => json!(values),
        Data::Integer(values) => json!(values),
        Data::Boolean(_) | Data::Text(_) => return Err("the model does not answer numbers".into()),
    })
}

// === impl Clock ===

impl Clock {
    fn now(self) -> Duration {
        match self {
            Self::Wall(start) => start.elapsed(),
            Self::Cpu => {
                let time = clock_gettime(ClockId::ProcessCPUTime);
                Duration::try_from(time).unwrap_or_default()
            }
        }
    }
}
