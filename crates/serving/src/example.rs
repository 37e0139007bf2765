//! Bodies that a model answers, for people who read the reference and for hints in errors.

use models::{Batch, Column, Columns, DataType, Field, Values};

use crate::decode::datatype_name;
use crate::json::write::{Dialect, Writer};
use crate::model_set::Ready;

/// How many rows an example shows.
const SHOWN_ROWS: usize = 2;

/// The rows that a model brings along, with their columns in its order.
struct Example {
    batch: Batch,
    /// The names of the columns, if the model has names for them that are not made up.
    names: Option<Vec<String>>,
}

/// Rows as MLflow takes them: `"dataframe_split": {…}` with names, or `"instances": […]` without.
pub(crate) fn split_or_instances(ready: &Ready) -> String {
    let example = Example::of(ready);
    let data = rows(&example);
    let Some(names) = &example.names else { return format!("\"instances\": {data}") };
    let mut columns = Writer::new(Dialect::Python, 256);
    columns.list(names, |json, name| _ = json.text(name));
    format!("\"dataframe_split\": {{\"columns\": {}, \"data\": {data}}}", columns.into_text())
}

/// Rows as a list: of lists when all values are numbers or the columns have no names, else of objects.
pub(crate) fn instances(ready: &Ready) -> String {
    let example = Example::of(ready);
    if !example.has_texts() || example.names.is_none() {
        return rows(&example);
    }
    let mut json = Writer::new(Dialect::Python, 256);
    json.list(0..example.n_rows(), |json, row| write_object(json, &example, row));
    json.into_text()
}

/// The first row as an object, or as a list of values when the columns have no names.
pub(crate) fn features(ready: &Ready) -> String {
    let example = Example::of(ready);
    let mut json = Writer::new(Dialect::Python, 256);
    match example.names {
        Some(_) => write_object(&mut json, &example, 0),
        None => write_row(&mut json, &example, 0),
    }
    json.into_text()
}

/// Rows as tensors: one for each column when their types are declared or differ, else one for all.
pub(crate) fn tensors(ready: &Ready) -> String {
    let example = Example::of(ready);
    let mut json = Writer::new(Dialect::Python, 512);
    match &example.batch.columns {
        Columns::Table(columns) if ready.schema.is_declared() || example.has_texts() => {
            json.raw("{\"parameters\": {\"content_type\": \"pd\"}, \"inputs\": ");
            json.list(columns.iter().enumerate(), |json, (index, column)| {
                write_tensor(json, &column.name, &[example.n_rows()], datatype(column, ready));
                json.list(0..example.n_rows(), |json, row| write_cell(json, &example, row, index)).raw("}");
            });
        }
        _ => {
            let shape = [example.n_rows(), example.batch.n_columns()];
            json.raw("{\"inputs\": [");
            write_tensor(&mut json, "input-0", &shape, DataType::Double);
            json.raw(&rows(&example)).raw("}]");
        }
    }
    json.raw("}");
    json.into_text()
}

impl Example {
    fn of(ready: &Ready) -> Self {
        let mut example = ready.model.example().clone();
        let fields = ready.schema.fields();
        let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        if let (Columns::Table(columns), false) = (&mut example.columns, names.is_empty()) {
            let position = |column: &Column| names.iter().position(|name| *name == column.name);
            columns.retain(|column| position(column).is_some());
            columns.sort_by_key(position);
        }
        Self { batch: example, names: ready.schema.has_names().then_some(names) }
    }

    fn n_rows(&self) -> usize {
        self.batch.n_rows.min(SHOWN_ROWS)
    }

    fn has_texts(&self) -> bool {
        match &self.batch.columns {
            Columns::Matrix { .. } => false,
            Columns::Table(columns) => columns.iter().any(|column| matches!(column.values, Values::Text(_))),
        }
    }

    fn name(&self, column: usize) -> &str {
        self.names.as_ref().and_then(|names| names.get(column)).map_or("", String::as_str)
    }
}

/// The type of a column as the signature has it, or as its values are.
fn datatype(column: &Column, ready: &Ready) -> DataType {
    let declared =
        ready.schema.position(&column.name, 0).map(|position| ready.schema.fields()[position].datatype);
    match (declared, &column.values) {
        (Some(datatype), _) if datatype != DataType::Any => datatype,
        (_, Values::Double(_)) => DataType::Double,
        (_, Values::Long(_)) => DataType::Long,
        (_, Values::Boolean(_)) => DataType::Boolean,
        (_, Values::Text(_)) => DataType::String,
    }
}

/// The type of a column as the signature has it, or as its values are in the example when it has none.
pub(crate) fn type_of_field(field: &Field, ready: &Ready) -> DataType {
    match &ready.model.example().columns {
        Columns::Table(columns) if field.datatype == DataType::Any => {
            let column = columns.iter().find(|column| column.name == field.name);
            column.map_or(field.datatype, |column| datatype(column, ready))
        }
        _ => field.datatype,
    }
}

fn rows(example: &Example) -> String {
    let mut json = Writer::new(Dialect::Python, 256);
    json.list(0..example.n_rows(), |json, row| write_row(json, example, row));
    json.into_text()
}

fn write_row(json: &mut Writer, example: &Example, row: usize) {
    json.list(0..example.batch.n_columns(), |json, column| write_cell(json, example, row, column));
}

fn write_tensor(json: &mut Writer, name: &str, shape: &[usize], datatype: DataType) {
    json.raw("{\"name\": ")
        .text(name)
        .raw(", \"shape\": ")
        .list(shape, |json, length| _ = json.long(*length as i64));
    json.raw(", \"datatype\": ").text(datatype_name(datatype)).raw(", \"data\": ");
}

fn write_object(json: &mut Writer, example: &Example, row: usize) {
    json.raw("{");
    for column in 0..example.batch.n_columns() {
        json.raw(if column == 0 { "" } else { ", " }).text(example.name(column)).raw(": ");
        write_cell(json, example, row, column);
    }
    json.raw("}");
}

fn write_cell(json: &mut Writer, example: &Example, row: usize, column: usize) {
    let values = match &example.batch.columns {
        Columns::Matrix { n_columns, values } => return write_double(json, values[row * n_columns + column]),
        Columns::Table(columns) => &columns[column].values,
    };
    match values {
        Values::Double(values) => write_double(json, values[row]),
        Values::Long(values) => _ = json.long(values[row]),
        Values::Boolean(values) => _ = json.boolean(values[row]),
        Values::Text(texts) => match texts.get(row) {
            Some(text) => _ = json.text(text),
            None => _ = json.raw("null"),
        },
    }
}

fn write_double(json: &mut Writer, value: f64) {
    if value.is_finite() {
        json.double(value);
    } else {
        json.raw("null");
    }
}
