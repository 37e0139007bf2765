//! The bodies that are posted: the requests of the bundled stories, with as many rows as wanted.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::folder;
use crate::tools::root;

/// Irises in the protocol KServe V1.
pub(super) fn iris_v1(n_rows: usize) -> Result<Value, String> {
    Ok(json!({"instances": irises(n_rows)?}))
}

/// Irises in the Open Inference Protocol V2.
pub(super) fn iris_v2(n_rows: usize) -> Result<Value, String> {
    Ok(matrix_v2("FP64", &irises(n_rows)?))
}

/// Wines as MLflow's `dataframe_split`.
pub(super) fn wine(n_rows: usize) -> Result<Value, String> {
    let mut request = example("examples/wine/test/input_invocations.json")?;
    let data = &mut request["dataframe_split"]["data"];
    *data = again(data, n_rows)?.into();
    Ok(request)
}

/// One sale of the retail story, as `/predict` takes it.
pub(super) fn retail(_: usize) -> Result<Value, String> {
    example("examples/retail/test/data.json")
}

/// Rows that the model `xgboost` of `bench models` was not trained on, in the Open Inference Protocol V2.
pub(super) fn xgboost_v2(n_rows: usize) -> Result<Value, String> {
    let rows = again(&read(&folder("models")?.join("xgboost/rows.json"))?["data"], n_rows)?;
    Ok(matrix_v2("FP32", &rows))
}

fn matrix_v2(datatype: &str, rows: &[Value]) -> Value {
    let n_columns = rows.first().and_then(Value::as_array).map_or(0, Vec::len);
    json!({"inputs": [{"name": "predict", "shape": [rows.len(), n_columns], "datatype": datatype, "data": rows}]})
}

fn irises(n_rows: usize) -> Result<Vec<Value>, String> {
    again(&example("examples/iris/test/input.json")?["instances"], n_rows)
}

/// Rows, from the beginning again when they end.
fn again(rows: &Value, n_rows: usize) -> Result<Vec<Value>, String> {
    let rows = rows.as_array().filter(|rows| !rows.is_empty()).ok_or("an example request has no rows")?;
    Ok(rows.iter().cycle().take(n_rows).cloned().collect())
}

fn example(path: &str) -> Result<Value, String> {
    read(&root().join(path))
}

fn read(path: &Path) -> Result<Value, String> {
    let problem = |error: &dyn Display| format!("cannot read {}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| problem(&error))?;
    serde_json::from_str(&text).map_err(|error| problem(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_many_as_wanted() {
        for n_rows in [1, 2, 100] {
            let n = |value: &Value| value.as_array().map(Vec::len);
            assert_eq!(n(&iris_v1(n_rows).unwrap()["instances"]), Some(n_rows));
            assert_eq!(n(&wine(n_rows).unwrap()["dataframe_split"]["data"]), Some(n_rows));
            let input = &iris_v2(n_rows).unwrap()["inputs"][0];
            assert_eq!((n(&input["data"]), &input["shape"]), (Some(n_rows), &json!([n_rows, 4])));
        }
        assert_eq!(retail(1).unwrap()["features"]["store_id"], 1);
    }
}
