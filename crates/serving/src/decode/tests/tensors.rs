use expect_test::{Expect, expect};

use super::{check_decoded, schema};
use crate::decode::{Data, Datatype, Decoded, Elements, Json, Schema, Tensor};
use crate::fault::Fault;
use crate::json::Reader;

/// Tensors are written as `name shape datatype data`, one on a line; `pd` before the name says that it is a column.
#[track_caller]
fn check_tensors(columns: &str, text: &str, expected: &Expect) {
    check_decoded(read(text, &schema(columns, false)), expected);
}

/// Reads tensors, one on a line, as columns of a schema.
pub(super) fn read(text: &str, schema: &Schema) -> Result<Decoded, Fault> {
    let tensor = |(index, line): (usize, &'static str)| {
        let (is_column, line) = line.strip_prefix("pd ").map_or((false, line), |line| (true, line));
        let [name, shape, datatype, data] = line.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
        let shape = shape.split('x').map(|length| length.parse().unwrap()).collect();
        let elements = Elements { datatype: Datatype::parse(datatype, index)?, is_base64: false };
        let data = Data::Json(Json::take(&mut Reader::new(data.as_bytes())).unwrap());
        Ok(Tensor { name: name.to_owned(), shape, elements, is_column, data })
    };
    let lines = text.to_owned().leak().lines().enumerate();
    let tensors: Result<Vec<Tensor<'_>>, Fault> = lines.map(tensor).collect();
    tensors.and_then(|tensors| crate::decode::tensors(&tensors, schema, text.len()))
}

#[test]
fn one_tensor_is_all_columns() {
    check_tensors("matrix 2", "x 2x2 FP64 [1, 2, 3, 4]", &expect!["[1.0 2.0] [3.0 4.0]"]);
    check_tensors(
        "matrix 2",
        "x 2x2 FP32 [[1, 0.1], [3, null]]",
        &expect!["[1.0 0.10000000149011612] [3.0 NaN]"],
    );
    check_tensors("matrix 2", "x 1x2 FP16 [1, 0.1]", &expect!["[1.0 0.0999755859375]"]);
    check_tensors("matrix 1", "x 2 FP64 [1, 2]", &expect!["[1.0] [2.0]"]);
    check_tensors("a:any", r#"x 2 BYTES ["p", "q"]"#, &expect![[r#"a=["p", "q"]"#]]);
    check_tensors("a:any b:any", "x 2x2 INT64 [1, 2, 3, 4]", &expect!["a=[1, 3] b=[2, 4]"]);
    check_tensors("a:any b:any", r#"x 1x2 BYTES ["p", "q"]"#, &expect![[r#"a=["p"] b=["q"]"#]]);
}

#[test]
fn several_tensors_are_columns() {
    check_tensors(
        "a:any b:any",
        "b 2 INT64 [1, 2]\na 2x1 FP64 [[3], [4]]",
        &expect!["a=[3.0, 4.0] b=[1, 2]"],
    );
    check_tensors(
        "matrix 2",
        "c0 2 FP64 [1, 2]\nc1 2 FP64 [3, 4]",
        &expect![
            "Input $.inputs[0].name: the model was saved without column names, so nobody knows which of its columns `c0` is; send the 2 values of each row as an array in the order of the columns, or declare `features` in forebay.yaml beside the model"
        ],
    );
    check_tensors("a:any", "pd a 2 BOOL [true, false]", &expect!["a=[true, false]"]);
    check_tensors("a:any", "a 2 FP64 [1, 2]", &expect!["a=[1.0, 2.0]"]);
    check_tensors(
        "a:double b:double",
        "pd b 1 FP64 [1]\npd a 1 FP64 [2]\npd z 1 BYTES [\"ignored\"]",
        &expect![[r#"
            a=[2.0] b=[1.0]
            ignored ["`z`"]"#]],
    );
}

#[test]
fn tensors_say_what_is_wrong_where() {
    let check = |text, expected: Expect| check_tensors("matrix 4", text, &expected);
    check(
        "x 3x4 FP64 [1, 2, 3, 4]",
        expect!["Input $.inputs[0].data: expected the values of shape [3, 4], got fewer"],
    );
    check(
        "x 1x4 FP64 [1, 2, 3, 4, 5]",
        expect!["Input $.inputs[0].data: expected the values of shape [1, 4], got more"],
    );
    check(
        "x 2x4 FP64 [[1, 2, 3, 4], [1, 2, 3]]",
        expect!["Input $.inputs[0].data: expected the values of shape [4], got fewer"],
    );
    check(
        "x 1x4 FP64 [[1, 2, 3, 4], [1, 2, 3, 4]]",
        expect!["Input $.inputs[0].data: expected the values of shape [1, 4], got more"],
    );
    check(
        "x 1x4 FP64 [[1, 2, [3], 4]]",
        expect!["Input $.inputs[0].data: expected a single value, got a list"],
    );
    check(
        "x 1x4 FP64 [[1, 2, 3, \"4\"]]",
        expect!["Input $.inputs[0].data[3]: expected a number, got the text `4`"],
    );
    check("x 1x3 FP64 [1, 2, 3]", expect!["Input $.inputs[0].shape: expected 4 columns, got 3"]);
    check(
        "x 4 FP64 [1, 2, 3, 4]",
        expect![
            "Input $.inputs[0].shape: expected rows and columns, got [4]; write the shape of one row as [1, 4]"
        ],
    );
    check("x 0x4 FP64 []", expect!["Input $.inputs[0].shape: there are no rows"]);
    check(
        "x 4294967296x4294967296 FP64 [1, 2, 3]",
        expect!["Input $.inputs[0].shape: expected 4 columns, got 4294967296"],
    );
    check(
        "x 1000000000000x4 FP64 [1, 2, 3]",
        expect!["Input $.inputs[0].data: expected the values of shape [1000000000000, 4], got fewer"],
    );
    check(
        "x 1x4 FLOAT [1, 2, 3, 4]",
        expect![
            "Input $.inputs[0].datatype: expected one of `FP64`, `FP32`, `FP16`, `BF16`, `INT64`, `INT32`, `INT16`, `INT8`, `UINT64`, `UINT32`, `UINT16`, `UINT8`, `BOOL`, `BYTES`, got `FLOAT`"
        ],
    );
    check(
        "x 1x4 INT8 [1, 2, 3, 400]",
        expect![
            "Input $.inputs[0].data[3]: expected a whole number of the input's datatype, got the number 400"
        ],
    );
    check("x 1x4 FP64 5", expect!["Format $.inputs[0].data: expected a list"]);
    check(
        "a 2 FP64 [1, 2]\nb 3 FP64 [1, 2, 3]",
        expect![
            "Input $.inputs[0].name: the model was saved without column names, so nobody knows which of its columns `a` is; send the 4 values of each row as an array in the order of the columns, or declare `features` in forebay.yaml beside the model"
        ],
    );
    check(
        "a 2x2 FP64 [1, 2, 3, 4]\nb 2 FP64 [1, 2]",
        expect![
            "Input $.inputs[0].name: the model was saved without column names, so nobody knows which of its columns `a` is; send the 4 values of each row as an array in the order of the columns, or declare `features` in forebay.yaml beside the model"
        ],
    );
    check(
        "a 2 FP64 [1, 2]\na 2 FP64 [1, 2]",
        expect![
            "Input $.inputs[0].name: the model was saved without column names, so nobody knows which of its columns `a` is; send the 4 values of each row as an array in the order of the columns, or declare `features` in forebay.yaml beside the model"
        ],
    );
}
