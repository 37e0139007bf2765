//! What engines need for predictions, for readers and for programs.

use std::fmt;

use serde_json::{Value, json};

use crate::bench::report::median;
use crate::bench::{Findings, ROUNDS, machine};

/// Rows of the larger question.
const N_ROWS: f64 = 1000.0;

/// The figures of all models.
#[derive(Debug)]
pub(in crate::bench) struct Table {
    busyness: f64,
    pub(super) cases: Vec<Case>,
    versions: String,
}

/// One model with several engines. The first one's time is what others are compared with.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) rows: Vec<Row>,
}

/// What one engine needed, by round.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) engine: String,
    /// CPU seconds of a row by itself.
    pub(super) one: Vec<f64>,
    /// CPU seconds of 1 000 rows at once.
    pub(super) many: Vec<f64>,
    /// How many times faster two threads are on 1 000 rows, where that is measured.
    pub(super) speed_up: Vec<f64>,
    /// The largest difference to the answers of the engine in the next row, where there is one.
    pub(super) difference: Option<f64>,
}

// === impl Table ===

impl Table {
    pub(super) fn new(versions: String) -> Self {
        Self { busyness: machine::busyness(), cases: Vec::new(), versions }
    }
}

impl Findings for Table {
    fn json(&self) -> Value {
        let cases: Vec<Value> = self.cases.iter().map(Case::json).collect();
        json!({
            "bench": "models",
            "machine": machine::description(),
            "load_average_before": self.busyness,
            "rounds": ROUNDS,
            "cases": cases,
            "versions": self.versions,
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            writeln!(f, "{case}")?;
        }
        let (now, before) = (machine::busyness(), self.busyness);
        writeln!(f, "medians of {ROUNDS} rounds; load average before: {before:.1}, after: {now:.1}")?;
        writeln!(f, "{}", machine::description())?;
        writeln!(f, "{}", self.versions)
    }
}

// === impl Case ===

impl Case {
    /// How often the first engine's time goes into that of another: for one row, and for many.
    fn times(&self, row: &Row) -> (f64, f64) {
        let first = self.rows.first();
        let times = |time: fn(&Row) -> f64| first.map_or(f64::NAN, |first| time(row) / time(first));
        (times(Row::one_microseconds), times(|row| median(row.many.iter().copied())))
    }

    fn json(&self) -> Value {
        let engines = self.rows.iter().map(|row| {
            let (times_one, times_many) = self.times(row);
            json!({
                "engine": row.engine,
                "row_microseconds": row.one_microseconds(),
                "row_times_first": times_one,
                "rows_per_second": row.rows_per_second(),
                "rows_times_first": times_many,
                "two_threads": row.two_threads(),
                "difference": row.difference,
                "rounds": {"row_seconds": row.one, "rows_seconds": row.many, "two_threads": row.speed_up},
            })
        });
        json!({"case": self.name, "what": self.what, "engines": engines.collect::<Vec<_>>()})
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.engine.chars().count()).max().unwrap_or(0);
        writeln!(f, "{}: {}", self.name, self.what)?;
        writeln!(f, "  {:width$}    row µs  × time    rows/s  × time  2 threads  difference", "")?;
        for row in &self.rows {
            let (times_one, times_many) = self.times(row);
            let line = format!(
                "  {:width$}  {:>8.2}  {times_one:>6.2}  {:>8.0}  {times_many:>6.2}  {:>9}  {:>10}",
                row.engine,
                row.one_microseconds(),
                row.rows_per_second(),
                row.two_threads().map_or_else(String::new, |times| format!("× {times:.2}")),
                row.difference.map_or_else(String::new, show_difference),
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn show_difference(difference: f64) -> String {
    if difference == 0.0 { "none".to_owned() } else { format!("{difference:.0e}") }
}

// === impl Row ===

impl Row {
    pub(super) fn new(engine: String, difference: Option<f64>) -> Self {
        Self { engine, one: Vec::new(), many: Vec::new(), speed_up: Vec::new(), difference }
    }

    fn one_microseconds(&self) -> f64 {
        median(self.one.iter().copied()) * 1e6
    }

    fn rows_per_second(&self) -> f64 {
        N_ROWS / median(self.many.iter().copied())
    }

    fn two_threads(&self) -> Option<f64> {
        (!self.speed_up.is_empty()).then(|| median(self.speed_up.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_a_table_and_an_object() {
        let ours = Row {
            engine: "Forebay".to_owned(),
            one: vec![4e-6, 9e-6, 3e-6],
            many: vec![2e-3, 2e-3, 1e-3],
            speed_up: vec![1.5, 1.9, 2.0],
            difference: Some(0.0),
        };
        let mut theirs = Row::new("XGBoost".to_owned(), None);
        theirs.one = vec![1e-4, 1.2e-4, 2e-4];
        theirs.many = vec![5e-3, 4e-3, 3e-3];
        let mut graph = Row::new("Forebay, ONNX".to_owned(), Some(2.4e-7));
        (graph.one, graph.many) = (vec![5e-6], vec![4e-3]);
        let case = Case { name: "xgboost", what: "500 trees", rows: vec![ours, theirs, graph] };
        let table = "\
xgboost: 500 trees
                   row µs  × time    rows/s  × time  2 threads  difference
  Forebay            4.00    1.00    500000    1.00     × 1.90        none
  XGBoost          120.00   30.00    250000    2.00
  Forebay, ONNX      5.00    1.25    250000    2.00                   2e-7
";
        assert_eq!(case.to_string(), table);
        let object = case.json();
        assert_eq!(object["engines"][1]["row_times_first"], 30.0);
        assert_eq!(object["engines"][0]["two_threads"], 1.9);
        assert_eq!(object["engines"][1]["two_threads"], Value::Null);
        assert_eq!(object["engines"][2]["rounds"]["rows_seconds"][0], 4e-3);
    }
}
