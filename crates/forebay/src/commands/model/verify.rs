//! `forebay model verify`: a model's answers beside those that its library gave.

use std::path::PathBuf;

use anyhow::bail;
use models::{Batch, Method, Model};
use serde_json::{Map, Value, json};

use super::load;
use crate::commands::End;
use crate::output::table::Printer;
use crate::output::{self, Output};
use crate::rows;

/// Compare a model's answers with expected ones; exit code 1 when they differ by more than allowed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay model verify model.joblib --input input.json --expected expected.json
  forebay model verify model.json --input input.json --expected expected.json --tolerance 1e-6")]
pub(crate) struct Options {
    /// A model file or folder; PATH#KEY for what a dict in a pickle has under a key
    #[arg(value_name = "PATH[#KEY]")]
    model: PathBuf,

    /// Rows: {"columns": […], "data": [[…]]}, or a .csv or .parquet file
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,

    /// Answers by method: {"predict": […], "predict_proba": [[…]]}, or a .csv or .parquet file with such columns
    #[arg(short, long, value_name = "FILE")]
    expected: PathBuf,

    /// Largest difference that is allowed, relative to the larger of the two numbers or 1
    #[arg(short, long, default_value_t = 1e-9, value_name = "N")]
    tolerance: f64,

    /// How it is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

/// How far answers are from the expected ones.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Difference {
    n_values: usize,
    n_equal: usize,
    /// Values that are no numbers and differ, or of which one is no number.
    n_wrong: usize,
    absolute: f64,
    /// Relative to the larger of the two, or to 1.
    relative: f64,
    /// Doubles in between.
    ulps: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<End> {
    let model = load(&options.model)?;
    let batch = rows::read(&options.input, model.signature())?;
    let answers = rows::read_answers(&options.expected)?;
    let mut differences = Vec::new();
    for method in Method::ALL {
        if let Some(expected) = answers.get(method.as_str()) {
            differences
                .push((method, difference(&model, meant(&model, method, &answers), &batch, expected)?));
        }
    }
    if differences.is_empty() {
        bail!("`{}` has answers of no method", options.expected.display());
    }
    output::say(&match options.output {
        Output::Text => table(&differences),
        Output::Json => serde_json::to_string_pretty(&as_json(&differences))? + "\n",
    })?;
    let is_fine = |(_, difference): &(Method, Difference)| {
        difference.n_wrong == 0 && difference.relative <= options.tolerance
    };
    Ok(if differences.iter().all(is_fine) { End::Done } else { End::Failed })
}

/// The method that is meant by a name. `predict` is what the model was saved for, as it is in MLflow, where a folder may say that
/// it stands for probabilities (`predict_fn`); unless the answers have these by their own name.
fn meant(model: &Model, method: Method, answers: &Map<String, Value>) -> Method {
    let default = model.default_method();
    let is_there = model.methods().contains(&Method::Predict);
    let is_said = answers.contains_key(default.as_str());
    if method == Method::Predict && is_there && !is_said { default } else { method }
}

fn difference(model: &Model, method: Method, batch: &Batch, expected: &Value) -> anyhow::Result<Difference> {
    let got = rows::prediction(&rows::predict(model, method, batch)?);
    let (mut got_values, mut expected_values) = (Vec::new(), Vec::new());
    flatten(&got, &mut got_values);
    flatten(expected, &mut expected_values);
    if got_values.len() != expected_values.len() {
        bail!("{method}: {} values, expected {}", got_values.len(), expected_values.len());
    }
    let mut difference = Difference::default();
    for (got, expected) in got_values.into_iter().zip(expected_values) {
        difference.add(got, expected);
    }
    Ok(difference)
}

fn flatten<'v>(value: &'v Value, flat: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, flat)),
        value => flat.push(value),
    }
}

impl Difference {
    fn add(&mut self, got: &Value, expected: &Value) {
        self.n_values += 1;
        let (Some(a), Some(b)) = (got.as_f64(), expected.as_f64()) else {
            if got == expected {
                self.n_equal += 1;
            } else {
                self.n_wrong += 1;
            }
            return;
        };
        if a == b {
            self.n_equal += 1;
        }
        self.absolute = self.absolute.max((a - b).abs());
        self.relative = self.relative.max((a - b).abs() / a.abs().max(b.abs()).max(1.0));
        self.ulps = self.ulps.max(place(a).abs_diff(place(b)));
    }
}

/// The place of a number among all doubles, so that neighbours are 1 apart.
fn place(number: f64) -> i64 {
    let bits = number.to_bits().cast_signed();
    if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
}

fn table(differences: &[(Method, Difference)]) -> String {
    let header = ["METHOD", "VALUES", "EQUAL", "WRONG", "LARGEST DIFFERENCE", "RELATIVE", "ULPS"];
    let rows = differences.iter().map(|(method, difference)| {
        vec![
            method.to_string(),
            difference.n_values.to_string(),
            difference.n_equal.to_string(),
            difference.n_wrong.to_string(),
            format!("{:e}", difference.absolute),
            format!("{:e}", difference.relative),
            difference.ulps.to_string(),
        ]
    });
    let rows: Vec<Vec<String>> = [header.map(str::to_owned).to_vec()].into_iter().chain(rows).collect();
    Printer::default().print(&rows)
}

fn as_json(differences: &[(Method, Difference)]) -> Value {
    let entry = |(method, difference): &(Method, Difference)| {
        let value = json!({
            "values": difference.n_values,
            "equal": difference.n_equal,
            "wrong": difference.n_wrong,
            "absolute": difference.absolute,
            "relative": difference.relative,
            "ulps": difference.ulps,
        });
        (method.as_str().to_owned(), value)
    };
    Value::Object(differences.iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_apart() {
        assert_eq!(place(1.0_f64.next_up()).abs_diff(place(1.0)), 1);
        assert_eq!(place(-0.0).abs_diff(place(0.0)), 0);
        assert_eq!(place(f64::from_bits(1)).abs_diff(place(-f64::from_bits(1))), 2);
    }

    #[test]
    fn texts_are_equal_or_wrong() {
        let mut difference = Difference::default();
        difference.add(&json!("a"), &json!("a"));
        difference.add(&json!("a"), &json!("b"));
        difference.add(&json!("NaN"), &json!(1.0));
        difference.add(&json!(2.0), &json!(2));
        assert_eq!((difference.n_equal, difference.n_wrong, difference.ulps), (2, 2, 0));
    }
}
