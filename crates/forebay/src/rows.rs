//! Rows and predictions as files have them: as JSON (`{"columns": […], "data": [[…]]}`, without `columns` for a model that has
//! no names for them, and `{"predict": […]}`), as CSV under a header, and as Parquet.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use models::{
    Batch, Column, Columns, Data, InputError, InputProblem, Method, Model, PredictError, Prediction,
    Signature, Texts, Values,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use serving::{RowFormat, read_rows};

/// Rows in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    columns: Option<Vec<Value>>,
    data: Vec<Vec<Value>>,
    /// The names of the rows, which pandas writes too and no model is told.
    #[serde(default, rename = "index")]
    _index: IgnoredAny,
}

/// Reads the rows for a model from a file; `-` is standard input. What is missing is `null` in JSON, and nothing in CSV.
pub(crate) fn read(path: &Path, signature: &Signature) -> anyhow::Result<Batch> {
    let file = RowFile::read(path)?;
    let batch = match file.format {
        Format::Json => parse(file.text()?),
        Format::Rows(format) => {
            read_rows(format, &file.content, Some(signature)).map_err(anyhow::Error::from)
        }
    };
    batch.with_context(|| format!("{} has no rows that a model could take", file.name))
}

/// Reads answers by method from a file. In CSV and Parquet a column has the name of its method, and the columns of one that
/// gives several values per row begin with it (`predict_proba_0`); without any such name they are those of `predict`.
pub(crate) fn read_answers(path: &Path) -> anyhow::Result<Map<String, Value>> {
    let file = RowFile::read(path)?;
    let answers = match file.format {
        Format::Json => serde_json::from_slice(&file.content).map_err(anyhow::Error::from),
        Format::Rows(format) => {
            read_rows(format, &file.content, None).map(answers).map_err(anyhow::Error::from)
        }
    };
    answers.with_context(|| format!("{} is no object of answers", file.name))
}

/// A file with rows, or with answers for them.
struct RowFile {
    name: String,
    format: Format,
    content: Vec<u8>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Json,
    Rows(RowFormat),
}

impl RowFile {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let (name, content) = if path == Path::new("-") {
            ("standard input".to_owned(), read_bounded(io::stdin()))
        } else {
            (format!("`{}`", path.display()), File::open(path).and_then(read_bounded))
        };
        let content = content.with_context(|| format!("cannot read {name}"))?;
        Ok(Self { name, format: Format::of(path, &content), content })
    }

    fn text(&self) -> anyhow::Result<&str> {
        std::str::from_utf8(&self.content).with_context(|| format!("{} is no text", self.name))
    }
}

impl Format {
    /// The format that the name of a file says, or else its first byte.
    fn of(path: &Path, content: &[u8]) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let first = content.iter().find(|byte| !byte.is_ascii_whitespace());
        match extension.to_ascii_lowercase().as_str() {
            _ if content.starts_with(b"PAR1") => Self::Rows(RowFormat::Parquet),
            "parquet" | "pq" => Self::Rows(RowFormat::Parquet),
            "csv" => Self::Rows(RowFormat::Csv),
            "" if !matches!(first, Some(b'{' | b'[') | None) => Self::Rows(RowFormat::Csv),
            _ => Self::Json,
        }
    }
}

/// The columns of a table as answers of methods.
fn answers(batch: Batch) -> Map<String, Value> {
    let Columns::Table(columns) = batch.columns else { return Map::new() };
    let columns: Vec<(String, Vec<Value>)> =
        columns.into_iter().map(|column| (column.name, cells(&column.values))).collect();
    let mut answers = Map::new();
    for method in Method::ALL {
        let of_method: Vec<&Vec<Value>> = columns
            .iter()
            .filter(|(name, _)| method_of(name) == Some(method))
            .map(|(_, cells)| cells)
            .collect();
        insert(&mut answers, method, &of_method);
    }
    if answers.is_empty() {
        insert(&mut answers, Method::Predict, &columns.iter().map(|(_, cells)| cells).collect::<Vec<_>>());
    }
    answers
}

fn insert(answers: &mut Map<String, Value>, method: Method, columns: &[&Vec<Value>]) {
    let rows = match columns {
        [] => return,
        [only] => Value::Array((*only).clone()),
        [first, ..] => {
            let row = |row: usize| Value::Array(columns.iter().map(|column| column[row].clone()).collect());
            Value::Array((0..first.len()).map(row).collect())
        }
    };
    answers.insert(method.as_str().to_owned(), rows);
}

/// The method whose answers a column has by its name; the longest that fits.
fn method_of(name: &str) -> Option<Method> {
    let is_of = |method: &Method| {
        let rest = name.strip_prefix(method.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '.', '[', ' ']))
    };
    Method::ALL.into_iter().filter(is_of).max_by_key(|method| method.as_str().len())
}

/// The cells of a column as JSON.
fn cells(values: &Values) -> Vec<Value> {
    match values {
        Values::Double(values) => values.iter().map(|value| number(*value)).collect(),
        Values::Long(values) => values.iter().map(|value| json!(value)).collect(),
        Values::Boolean(values) => values.iter().map(|value| json!(value)).collect(),
        Values::Text(values) => values.iter().map(|value| json!(value)).collect(),
    }
}

/// How many bytes of rows are read.
const MAX_BYTES: u64 = 1 << 28;

fn read_bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    source.take(MAX_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {MAX_BYTES} bytes"),
        ));
    }
    Ok(content)
}

/// Predictions for rows of a file, or what is wrong in which row and column.
pub(crate) fn predict(model: &Model, method: Method, batch: &Batch) -> anyhow::Result<Prediction> {
    model.predict(method, batch).map_err(|error| {
        let PredictError::Input(InputError { row, column, problem }) = &error else { return error.into() };
        if let InputProblem::NoColumnNames { .. } = problem {
            let help = "leave `columns` out of the rows, whose values then stand in the order of the model's columns, or \
                        declare `features` in forebay.yaml beside the model";
            return anyhow!("{error}; {help}");
        }
        let row = row.map(|row| format!("data[{row}]"));
        let column = column.as_ref().map(|column| format!("column `{column}`"));
        let place: Vec<String> = row.into_iter().chain(column).collect();
        if place.is_empty() { error.into() } else { anyhow!("{}: {error}", place.join(", ")) }
    })
}

fn parse(text: &str) -> anyhow::Result<Batch> {
    let Written { columns, data, .. } = serde_json::from_str(text)?;
    // Columns without names are told by their numbers.
    let numbers = || (0..data.first().map_or(0, Vec::len)).map(|column| column.to_string()).collect();
    let columns: Vec<String> = match columns {
        Some(columns) => columns.into_iter().enumerate().map(name).collect::<Result<_, _>>()?,
        None => numbers(),
    };
    for (row, cells) in data.iter().enumerate() {
        let (n_cells, n_columns) = (cells.len(), columns.len());
        ensure!(n_cells == n_columns, "data[{row}]: expected {n_columns} values, got {n_cells}");
    }
    let column = |(index, name): (usize, String)| {
        let cells: Vec<&Value> = data.iter().map(|row| &row[index]).collect();
        let values = values(&cells).with_context(|| format!("column `{name}`"))?;
        anyhow::Ok(Column { name, values })
    };
    let columns = columns.into_iter().enumerate().map(column).collect::<Result<_, _>>()?;
    Ok(Batch::table(columns))
}

/// The name of a column; pandas counts those of an array.
fn name((index, name): (usize, Value)) -> anyhow::Result<String> {
    match name {
        Value::String(name) => Ok(name),
        Value::Number(number) => Ok(number.to_string()),
        _ => bail!("columns[{index}]: expected a text or a number"),
    }
}

/// Cells in the narrowest type that all of them have.
fn values(cells: &[&Value]) -> anyhow::Result<Values> {
    let all = |is_one: fn(&Value) -> bool| cells.iter().all(|cell| is_one(cell));
    if all(Value::is_i64) {
        return Ok(Values::Long(cells.iter().filter_map(|cell| cell.as_i64()).collect()));
    }
    if all(Value::is_boolean) {
        return Ok(Values::Boolean(cells.iter().filter_map(|cell| cell.as_bool()).collect()));
    }
    if all(|cell| cell.is_number() || cell.is_null()) {
        return Ok(Values::Double(cells.iter().map(|cell| cell.as_f64().unwrap_or(f64::NAN)).collect()));
    }
    if all(|cell| cell.is_string() || cell.is_null()) {
        return Ok(Values::Text(cells.iter().map(|cell| cell.as_str()).collect::<Texts>()));
    }
    let kind = |cell: &&Value| match cell {
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Bool(_) => "truth value",
        Value::Null => "null",
        Value::Array(_) | Value::Object(_) => "list or object",
    };
    let first = cells.iter().find(|cell| !cell.is_null()).map_or("null", kind);
    let other = cells.iter().position(|cell| !cell.is_null() && kind(cell) != first).unwrap_or(0);
    bail!("data[{other}] is a {}, after a {first}", kind(&cells[other]))
}

/// A prediction as JSON: one value, or one list of values, per row. What JSON has no number for is a text.
pub(crate) fn prediction(prediction: &Prediction) -> Value {
    let values = data(&prediction.data);
    match prediction.shape.n_columns {
        None => Value::Array(values),
        Some(n_columns) => values.chunks(n_columns.max(1)).map(|row| json!(row)).collect(),
    }
}

/// Values as JSON.
pub(crate) fn data(data: &Data) -> Vec<Value> {
    match data {
        Data::Double(values) => values.iter().map(|value| number(*value)).collect(),
        Data::Float(values) => values.iter().map(|value| number(f64::from(*value))).collect(),
        Data::Long(values) => values.iter().map(|value| json!(value)).collect(),
        Data::Integer(values) => values.iter().map(|value| json!(value)).collect(),
        Data::Boolean(values) => values.iter().map(|value| json!(value)).collect(),
        Data::Text(values) => values.iter().map(|value| json!(value)).collect(),
    }
}

fn number(value: f64) -> Value {
    match value {
        value if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pandas_splits_is_taken_with_its_index_and_columns_that_are_numbers() {
        let rows = parse(r#"{"columns":[1,0],"index":[0],"data":[[2.5,7.5]]}"#);
        let Columns::Table(columns) = rows.unwrap().columns else { panic!() };
        assert_eq!(columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["1", "0"]);
    }

    #[test]
    fn columns_have_the_type_of_their_values() {
        let rows =
            parse(r#"{"columns":["a","b","c","d"],"data":[[1,1,"x",true],[2,null,null,false]]}"#).unwrap();
        let Columns::Table(columns) = rows.columns else { panic!() };
        assert_eq!(columns[0].values, Values::Long(vec![1, 2]));
        assert!(matches!(&columns[1].values, Values::Double(values) if values[1].is_nan()));
        assert_eq!(columns[2].values, Values::Text([Some("x"), None].into_iter().collect()));
        assert_eq!(columns[3].values, Values::Boolean(vec![true, false]));
    }

    #[test]
    fn rows_that_make_no_sense_say_where() {
        for (text, words) in [
            (r#"{"columns":["a"],"data":[[1],[1,2]]}"#, "data[1]: expected 1 values, got 2"),
            (
                r#"{"columns":["a"],"data":[[null],[1],["x"]]}"#,
                "column `a`: data[2] is a text, after a number",
            ),
            (r#"{"columns":[null],"data":[[1]]}"#, "columns[0]: expected a text or a number"),
            (r#"{"columns":["a"],"data":[[{}]]}"#, "column `a`: data[0] is a list or object"),
            (r#"{"columns":["a"]}"#, "missing field `data`"),
        ] {
            let problem = format!("{:#}", parse(text).unwrap_err());
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn files_are_what_their_name_or_their_first_byte_says() {
        let format = |name: &str, content: &str| Format::of(Path::new(name), content.as_bytes());
        assert_eq!(format("a.csv", "{"), Format::Rows(RowFormat::Csv));
        assert_eq!(format("a.CSV", ""), Format::Rows(RowFormat::Csv));
        assert_eq!(format("a.parquet", ""), Format::Rows(RowFormat::Parquet));
        assert_eq!(format("-", "PAR1…"), Format::Rows(RowFormat::Parquet));
        assert_eq!(format("-", " {"), Format::Json);
        assert_eq!(format("-", "a,b"), Format::Rows(RowFormat::Csv));
        assert_eq!(format("a.json", "a,b"), Format::Json);
    }

    #[test]
    fn columns_of_a_table_are_answers_of_methods() {
        let read = |text: &str| {
            let batch = read_rows(RowFormat::Csv, text.as_bytes(), None).unwrap();
            Value::Object(answers(batch))
        };
        assert_eq!(
            read("predict,predict_proba_0,predict_proba_1\na,0.5,0.5\nb,1,0\n"),
            json!({"predict": ["a", "b"], "predict_proba": [[0.5, 0.5], [1.0, 0.0]]})
        );
        assert_eq!(read("quality\n5.5\n6\n"), json!({"predict": [5.5, 6.0]}));
        assert_eq!(read("x,y\n1,True\n"), json!({"predict": [[1, true]]}));
    }

    #[test]
    fn predictions_have_the_shape_of_their_rows() {
        let flat = Prediction::flat(Data::Double(vec![0.5, f64::NAN]));
        assert_eq!(prediction(&flat), json!([0.5, "NaN"]));
        let rows = Prediction::rows(2, Data::Text(["a", "b"].map(str::to_owned).to_vec()));
        assert_eq!(prediction(&rows), json!([["a", "b"]]));
        assert_eq!(prediction(&Prediction::flat(Data::Float(vec![0.1]))), json!([0.10000000149011612]));
    }
}
