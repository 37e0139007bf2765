//! Every model file in `fixtures/models` must answer as the library that wrote it did.
//!
//! A case is a folder: `case.json` names the model files and the tolerance, `input.json` has rows, `expected.json` what
//! the library answered. A new case needs no code. With `MODEL_CASES=<folder>` the cases of that folder are taken instead:
//! the scripts in `fixtures` can make more of them than are kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use models::{Batch, Column, Data, Method, Model, Values};
use serde_json::Value as Json;

/// Cases that agree to the last bit, and must go on to: those without logarithms, exponentials or sums whose order a
/// library for linear algebra chooses.
pub(crate) const BIT_EQUAL: &str = "\
    iris-rf legacy-sk0203-gbr legacy-sk0203-iris-rf legacy-sk0203-retail-pipeline legacy-sk0242-gbr \
    legacy-sk0242-hgb legacy-sk0242-iris-rf legacy-sk0242-retail-pipeline legacy-sk122-gbr \
    legacy-sk122-hgb legacy-sk122-iris-rf legacy-sk122-retail-pipeline mlflow-retail-pipeline retail-gbr \
    retail-hgb retail-hgb-cat sk-dtree-clf sk-dtree-reg sk-extratrees sk-gbr sk-hgb-reg \
    sk-rf-reg sk13-histogram-categories sk13-one-hot-infrequent sk13-ordinal-missing sk15-histogram \
    sk15-histogram-categories sk15-imputer-of-texts sk19-forest-missing \
    sk19-asked-leaves-boosting sk19-asked-leaves-forest-best-first sk19-asked-leaves-forest-of-one \
    sk19-asked-leaves-tree-best-first sk19-asked-leaves-tree-targets sk19-asked-leaves-forest-targets \
    sk19-histogram sk19-histogram-categories sk19-imputer-constant \
    sk19-imputer-indicator sk19-imputer-of-texts sk19-indicator sk19-one-hot-drop sk19-one-hot-few \
    sk19-one-hot-infrequent sk19-ordinal-infrequent sk19-ordinal-missing sk19-scaler-max-abs \
    sk19-scaler-min-max sk19-scaler-robust sk19-scaler-standard sk19-tree-missing sk19-tree-targets \
    cat12-categories cat12-nan-max cat12-reg lgb47-categories lgb47-forest lgb47-linear lgb47-no-missing lgb47-root \
    lgb47-zero mlflow-lightgbm mlflow-lightgbm-sk mlflow-xgboost xgb-categorical xgb-gblinear xgb-reg \
    legacy-sk0242-xgb legacy-sk122-xgb xgb10-names xgb17-booster-dart xgb34-categories xgb34-missing xgb34-quantiles xgb34-targets xgb34-vector-leaf";

/// What is written down of a case besides the answers of Python methods.
const NO_METHODS: &[&str] = &["classes", "margin", "raw_score"];

/// Cases in which the score of a row depends on the other rows of its batch. Version 0.20 was like that.
const DEPENDS_ON_BATCH: &[&str] = &["legacy-sk0203-iris-svc"];

#[test]
fn every_file_answers_as_its_library_did() {
    let elsewhere = std::env::var_os("MODEL_CASES").map(PathBuf::from);
    let is_elsewhere = elsewhere.is_some();
    let mut folders: Vec<PathBuf> = elsewhere
        .unwrap_or_else(fixtures)
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(is_elsewhere || folders.len() >= 100, "fixtures/copy.sh was not run");

    let mut problems = Vec::new();
    for folder in &folders {
        let case = Case::read(folder);
        for (role, file) in &case.files {
            match case.check(file) {
                Ok(difference) => println!("{} {role}: largest difference {difference:e}", case.name),
                Err(problem) => problems.push(format!("{} {role}: {problem}", case.name)),
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// The folder with all cases.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models")
}

/// A case, and how to compare with it.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The model files that are there, by role.
    pub(crate) files: BTreeMap<String, PathBuf>,
    pub(crate) input: Batch,
    expected: Json,
    pub(crate) tolerance: f64,
}

impl Case {
    pub(crate) fn read(folder: &Path) -> Self {
        let json = |name: &str| -> Json {
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
        };
        let case = json("case.json");
        let files = case["files"].as_object().unwrap().iter();
        let files: BTreeMap<String, PathBuf> = files
            .map(|(role, file)| (role.clone(), folder.join(file.as_str().unwrap())))
            .filter(|(_, path)| path.exists())
            .collect();
        assert!(!files.is_empty(), "{} has no model file", folder.display());
        Self {
            name: case["name"].as_str().unwrap().to_owned(),
            files,
            input: batch(&json("input.json")),
            expected: json("expected.json"),
            tolerance: case["tolerance"].as_f64().unwrap(),
        }
    }

    /// The largest difference of any answer of this file, relative to what is greater than one, if none is beyond the
    /// tolerance by itself.
    pub(crate) fn check(&self, file: &Path) -> Result<f64, String> {
        let model = models::load(file).map_err(|error| error.to_string())?;
        if let Some(classes) = self.expected.get("classes") {
            let known = model.classes().ok_or("it has no classes")?;
            compare(known, classes)?;
        }
        let input = told(&model, self.input.clone());
        let mut largest = Difference::default();
        let answers = self.expected.as_object().unwrap().iter();
        for (name, expected) in answers.filter(|(name, _)| !NO_METHODS.contains(&name.as_str())) {
            // What a file is saved for (`predict_fn`) is what MLflow's `predict` answers.
            let method = if self.files.contains_key("mlflow") {
                model.default_method()
            } else {
                name.parse::<Method>()?
            };
            let prediction = model.predict(method, &input).map_err(|error| format!("{name}: {error}"))?;
            let n_expected = expected.as_array().unwrap().len();
            if prediction.shape.n_rows != n_expected {
                return Err(format!("{name}: {} rows instead of {n_expected}", prediction.shape.n_rows));
            }
            let is_flat = !expected[0].is_array();
            if is_flat != prediction.shape.n_columns.is_none() {
                return Err(format!("{name}: the shape is {:?}", prediction.shape));
            }
            let difference =
                compare(&prediction.data, expected).map_err(|problem| format!("{name}: {problem}"))?;
            largest = largest.max(difference);
            if !DEPENDS_ON_BATCH.contains(&self.name.as_str()) {
                self.check_row_by_row(&model, &input, method, &prediction.data)?;
            }
        }
        let bound =
            if BIT_EQUAL.split_whitespace().any(|name| name == self.name) { 0.0 } else { self.tolerance };
        if largest.absolute <= bound {
            Ok(largest.relative)
        } else {
            Err(format!("difference {:e} is beyond {bound:e}", largest.absolute))
        }
    }

    /// One row by itself, and many together, must give the same as the batch.
    fn check_row_by_row(
        &self,
        model: &Model,
        input: &Batch,
        method: Method,
        together: &Data,
    ) -> Result<(), String> {
        let per_row = together.len() / input.n_rows;
        for row in 0..input.n_rows {
            let alone = model.predict(method, &rows(input, &[row])).map_err(|error| error.to_string())?.data;
            if !is_same(&alone, &part(together, row * per_row, per_row)) {
                return Err(format!("row {row} alone gives another {method}"));
            }
        }
        let many: Vec<usize> = (0..700).map(|index| index * 7 % input.n_rows).collect();
        let many_rows = rows(input, &many);
        let repeated = model.predict(method, &many_rows).map_err(|error| error.to_string())?.data;
        let by_threads =
            model.predict_with_threads(method, &many_rows, 2).map_err(|error| error.to_string())?.data;
        if !is_same(&repeated, &by_threads) {
            return Err(format!("two threads give another {method}"));
        }
        for (place, row) in many.into_iter().enumerate() {
            if !is_same(&part(&repeated, place * per_row, per_row), &part(together, row * per_row, per_row)) {
                return Err(format!("row {row} among many gives another {method}"));
            }
        }
        Ok(())
    }
}

/// Rows as a model takes them: by number, if it was saved without column names.
pub(crate) fn told(model: &Model, mut input: Batch) -> Batch {
    if let (false, models::Columns::Table(columns)) = (model.has_column_names(), &mut input.columns) {
        columns.iter_mut().enumerate().for_each(|(index, column)| column.name = index.to_string());
    }
    input
}

/// How far answers are from what is expected.
#[derive(Clone, Copy, Default)]
struct Difference {
    absolute: f64,
    /// To what is greater than one.
    relative: f64,
}

impl Difference {
    fn between(got: f64, expected: f64) -> Self {
        let absolute = (got - expected).abs();
        Self { absolute, relative: absolute / expected.abs().max(1.0) }
    }

    fn max(self, other: Self) -> Self {
        Self { absolute: self.absolute.max(other.absolute), relative: self.relative.max(other.relative) }
    }
}

/// The largest difference between answers and what is expected; texts, truth values and whole numbers must be equal.
fn compare(got: &Data, expected: &Json) -> Result<Difference, String> {
    let mut flat = Vec::new();
    flatten(expected, &mut flat);
    if flat.len() != got.len() {
        return Err(format!("{} values instead of {}", got.len(), flat.len()));
    }
    let mut largest = Difference::default();
    for (index, expected) in flat.into_iter().enumerate() {
        let is_equal = match (got, expected) {
            (Data::Float(values), Json::Number(expected)) => {
                largest =
                    largest.max(Difference::between(f64::from(values[index]), expected.as_f64().unwrap()));
                true
            }
            (Data::Double(values), Json::Number(expected)) => {
                largest = largest.max(Difference::between(values[index], expected.as_f64().unwrap()));
                !values[index].is_nan()
            }
            (Data::Double(values), Json::String(text)) if text == "NaN" => values[index].is_nan(),
            // The logarithm of a probability of zero.
            (Data::Double(values), Json::String(text)) if text == "-inf" => {
                values[index] == f64::NEG_INFINITY
            }
            (Data::Long(values), Json::Number(expected)) => Some(values[index]) == expected.as_i64(),
            (Data::Integer(values), Json::Number(expected)) => {
                Some(i64::from(values[index])) == expected.as_i64()
            }
            (Data::Boolean(values), Json::Bool(expected)) => values[index] == *expected,
            (Data::Text(values), Json::String(expected)) => values[index] == *expected,
            _ => false,
        };
        if !is_equal {
            return Err(format!("value {index} is {:?} instead of {expected}", part(got, index, 1)));
        }
    }
    Ok(largest)
}

/// Whether values are equal, NaN to NaN too.
fn is_same(a: &Data, b: &Data) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

fn flatten<'j>(json: &'j Json, flat: &mut Vec<&'j Json>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| flatten(item, flat)),
        value => flat.push(value),
    }
}

fn part(data: &Data, start: usize, n: usize) -> Data {
    match data {
        Data::Double(values) => Data::Double(values[start..start + n].to_vec()),
        Data::Float(values) => Data::Float(values[start..start + n].to_vec()),
        Data::Long(values) => Data::Long(values[start..start + n].to_vec()),
        Data::Integer(values) => Data::Integer(values[start..start + n].to_vec()),
        Data::Boolean(values) => Data::Boolean(values[start..start + n].to_vec()),
        Data::Text(values) => Data::Text(values[start..start + n].to_vec()),
    }
}

/// Some rows of a table.
pub(crate) fn rows(batch: &Batch, rows: &[usize]) -> Batch {
    let models::Columns::Table(columns) = &batch.columns else { panic!("cases are tables") };
    let column = |column: &Column| {
        let values = match &column.values {
            Values::Double(values) => Values::Double(rows.iter().map(|row| values[*row]).collect()),
            Values::Long(values) => Values::Long(rows.iter().map(|row| values[*row]).collect()),
            Values::Boolean(values) => Values::Boolean(rows.iter().map(|row| values[*row]).collect()),
            Values::Text(texts) => Values::Text(rows.iter().map(|row| texts.get(*row)).collect()),
        };
        Column { name: column.name.clone(), values }
    };
    Batch::table(columns.iter().map(column).collect())
}

/// `{"columns": […], "data": [[…], …]}` as a table; null is missing.
pub(crate) fn batch(json: &Json) -> Batch {
    let data = json["data"].as_array().unwrap();
    let column = |(index, name): (usize, &Json)| {
        let cells: Vec<&Json> = data.iter().map(|row| &row[index]).collect();
        let values = if cells.iter().any(|cell| cell.is_string()) {
            Values::Text(cells.iter().map(|cell| cell.as_str()).collect())
        } else if cells.iter().all(|cell| cell.is_i64()) {
            Values::Long(cells.iter().map(|cell| cell.as_i64().unwrap()).collect())
        } else {
            Values::Double(cells.iter().map(|cell| cell.as_f64().unwrap_or(f64::NAN)).collect())
        };
        Column { name: name.as_str().unwrap().to_owned(), values }
    };
    Batch::table(json["columns"].as_array().unwrap().iter().enumerate().map(column).collect())
}
