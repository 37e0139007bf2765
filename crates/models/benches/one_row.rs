//! How long a prediction takes, for one row and for many, on one core.
//!
//! Run by hand: `cargo bench -p models`, or `cargo bench -p models -- FOLDER…` for cases of your own. A case is a folder
//! with a model and `input.json` (`{"columns": […], "data": [[…], …]}`). Rows take turns, since a row that is always the
//! same is always in the cache.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use models::{Batch, Column, Columns, Model, Values};
use serde_json::Value as Json;

/// The fastest of many short rounds counts: on a busy machine most are disturbed, and some are not.
const ROUND: Duration = Duration::from_millis(1);
const ALL_ROUNDS: Duration = Duration::from_millis(500);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folders: Vec<PathBuf> =
        std::env::args_os().skip(1).map(PathBuf::from).filter(|path| path.is_dir()).collect();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models");
    let usual = ["mlflow-wine-elasticnet-pickle/model", "iris-svc", "iris-rf", "retail-gbr", "retail-hgb"];
    let folders = if folders.is_empty() { usual.map(|case| fixtures.join(case)).to_vec() } else { folders };

    println!("{:<40} {:>12} {:>12} {:>16}", "model", "matrix row", "table row", "of 1000 rows");
    for folder in folders {
        let input = [folder.join("input.json"), folder.join("../input.json")];
        let input = input.iter().find(|path| path.is_file()).ok_or("no input.json")?;
        let mut table =
            table(&serde_json::from_slice(&std::fs::read(input)?)?).ok_or("input.json is no table")?;
        let file = ["model.joblib", "model.zlib.joblib"].map(|name| folder.join(name));
        let model = models::load(file.iter().find(|file| file.is_file()).unwrap_or(&folder))?;
        if let (false, Columns::Table(columns)) = (model.has_column_names(), &mut table.columns) {
            columns.iter_mut().enumerate().for_each(|(index, column)| column.name = index.to_string());
        }
        measure(&folder, &model, &table)?;
    }
    Ok(())
}

fn measure(folder: &Path, model: &Model, table: &Batch) -> Result<(), Box<dyn std::error::Error>> {
    let method = model.default_method();
    let tables: Vec<Batch> = (0..table.n_rows).map(|row| rows(table, &[row])).collect();
    let matrices: Option<Vec<Batch>> = tables.iter().map(matrix).collect();
    let many = rows(table, &(0..1000).map(|row| row * 7 % table.n_rows).collect::<Vec<_>>());
    let many = matrix(&many).unwrap_or(many);
    model.predict(method, &many)?;

    let time = |batches: &[Batch]| {
        fastest(|index| drop(black_box(model.predict(method, black_box(&batches[index % batches.len()])))))
    };
    let of_matrix = matrices.map_or_else(|| "-".to_owned(), |matrices| show(time(&matrices)));
    let (of_table, of_many) = (time(&tables), time(std::slice::from_ref(&many)) / 1000.0);
    let name =
        folder.iter().rev().find(|part| *part != "model").map(|name| name.to_string_lossy().into_owned());
    println!("{:<40} {of_matrix:>12} {:>12} {:>16}", name.unwrap_or_default(), show(of_table), show(of_many));
    Ok(())
}

/// Nanoseconds that one call takes.
fn fastest(mut call: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..10).for_each(&mut call);
    let calls_per_round = (ROUND.as_secs_f64() / start.elapsed().as_secs_f64() * 10.0).ceil() as usize;

    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed() < ALL_ROUNDS {
        let round = Instant::now();
        (0..calls_per_round).for_each(&mut call);
        best = best.min(round.elapsed().as_secs_f64() * 1e9 / calls_per_round as f64);
    }
    best
}

fn show(nanoseconds: f64) -> String {
    format!("{:.3} µs", nanoseconds / 1000.0)
}

fn table(json: &Json) -> Option<Batch> {
    let data = json["data"].as_array()?;
    let column = |(index, name): (usize, &Json)| {
        let cells: Vec<&Json> = data.iter().map(|row| &row[index]).collect();
        let values = if cells.iter().any(|cell| cell.is_string()) {
            Values::Text(cells.iter().map(|cell| cell.as_str()).collect())
        } else {
            Values::Double(cells.iter().map(|cell| cell.as_f64().unwrap_or(f64::NAN)).collect())
        };
        Some(Column { name: name.as_str()?.to_owned(), values })
    };
    json["columns"].as_array()?.iter().enumerate().map(column).collect::<Option<_>>().map(Batch::table)
}

fn rows(batch: &Batch, rows: &[usize]) -> Batch {
    let Columns::Table(columns) = &batch.columns else { return batch.clone() };
    let column = |column: &Column| {
        let values = match &column.values {
            Values::Double(values) => Values::Double(rows.iter().map(|row| values[*row]).collect()),
            Values::Text(texts) => Values::Text(rows.iter().map(|row| texts.get(*row)).collect()),
            other => other.clone(),
        };
        Column { name: column.name.clone(), values }
    };
    Batch::table(columns.iter().map(column).collect())
}

/// The same rows without names, if they are numbers.
fn matrix(batch: &Batch) -> Option<Batch> {
    let Columns::Table(columns) = &batch.columns else { return None };
    let numbers: Option<Vec<&Vec<f64>>> = columns
        .iter()
        .map(|column| match &column.values {
            Values::Double(values) => Some(values),
            _ => None,
        })
        .collect();
    let numbers = numbers?;
    let values = (0..batch.n_rows).flat_map(|row| numbers.iter().map(move |column| column[row])).collect();
    Some(Batch::matrix(columns.len(), values))
}
