mod tensors;

use expect_test::{Expect, expect};
use models::{Batch, Columns, DataType, Field, Inputs, Scalar, Signature, Values};

use super::*;
use crate::fault::Fault;
use crate::json::Reader;

/// The schema of a model that takes numbers in the order of its columns, and of the same model if it needs their names.
fn both(columns: &str) -> [Schema; 2] {
    [schema(columns, true).in_order(), schema(columns, true)]
}

/// A schema written as `name:type …`, where `?` after the name says that the column need not be there, `!` that it must be
/// there and may have missing values, and `=value` that it has a default; or as `matrix 4`, `matrix any`.
fn schema(text: &str, is_declared: bool) -> Schema {
    let inputs = match text.strip_prefix("matrix ") {
        Some(n_columns) => Inputs::Matrix { datatype: DataType::Double, n_columns: n_columns.parse().ok() },
        None => Inputs::Columns(text.split_whitespace().map(field).collect()),
    };
    Schema::new(&Signature { inputs, outputs: Vec::new(), params: Vec::new(), is_declared }, false)
}

fn field(text: &str) -> Field {
    let (name, datatype) = text.split_once(':').unwrap();
    let (datatype, default) = datatype.split_once('=').unzip();
    let datatype = datatype.unwrap_or(text.split_once(':').unwrap().1);
    let datatype = match datatype {
        "double" => DataType::Double,
        "long" => DataType::Long,
        "string" => DataType::String,
        "boolean" => DataType::Boolean,
        "any" => DataType::Any,
        other => panic!("{other}"),
    };
    let default = default.map(|value| match datatype {
        DataType::Long => Scalar::Long(value.parse().unwrap()),
        DataType::String => Scalar::Text(value.to_owned()),
        _ => Scalar::Double(value.parse().unwrap()),
    });
    let (required, takes_missing) = (!name.ends_with('?'), name.ends_with(['?', '!']));
    let name = name.trim_end_matches(['?', '!']).replace('_', " ");
    Field { name, datatype, required, default, takes_missing }
}

/// A batch as `a=1.0,2.0 b="x",-`, or row by row as `[1.0 2.0] [3.0 4.0]`.
fn show(batch: &Batch) -> String {
    match &batch.columns {
        Columns::Matrix { n_columns, values } => {
            let rows = values.chunks(*n_columns).map(|row| format!("{row:?}").replace(',', ""));
            rows.collect::<Vec<_>>().join(" ")
        }
        Columns::Table(columns) => {
            let column = |column: &models::Column| {
                let values = match &column.values {
                    Values::Double(values) => format!("{values:?}"),
                    Values::Long(values) => format!("{values:?}"),
                    Values::Boolean(values) => format!("{values:?}"),
                    Values::Text(texts) => {
                        format!("{:?}", texts.iter().map(|text| text.unwrap_or("-")).collect::<Vec<_>>())
                    }
                };
                format!("{}={values}", column.name)
            };
            columns.iter().map(column).collect::<Vec<_>>().join(" ")
        }
    }
}

#[track_caller]
fn check_decoded(decoded: Result<Decoded, Fault>, expected: &Expect) {
    let shown = match decoded {
        Ok(Decoded { batch, ignored, gaps, .. }) => {
            let mut shown = show(&batch);
            if !ignored.is_empty() {
                shown +=
                    &format!("\nignored {:?}", ignored.iter().map(ToString::to_string).collect::<Vec<_>>());
            }
            if !gaps.is_empty() {
                shown += &format!("\ngaps in {gaps:?}");
            }
            shown
        }
        Err(fault) => format!("{:?} {fault}", fault.cause),
    };
    expected.assert_eq(&shown);
}

/// Columns that a signature declares, in the form of pandas' `split`.
#[track_caller]
fn check_split(columns: &str, body: &str, expected: &Expect) {
    let schema = schema(columns, true);
    check_decoded(
        split(&mut Reader::new(body.as_bytes()), &schema, body.len(), "$.dataframe_split"),
        expected,
    );
}

/// Columns that a signature declares, as a list of objects.
#[track_caller]
fn check_records(columns: &str, body: &str, expected: &Expect) {
    let schema = schema(columns, true);
    check_decoded(records(&mut Reader::new(body.as_bytes()), &schema, body.len(), "$.records"), expected);
}

/// Columns of which nothing is declared, as a list.
#[track_caller]
fn check_list(columns: &str, body: &str, expected: &Expect) {
    let schema = schema(columns, false);
    let decoded =
        list(&mut Reader::new(body.as_bytes()), &schema, body.len(), "$.instances", Positions::Always);
    check_decoded(decoded, expected);
}

#[test]
fn truth_values_of_pandas_are_numbers_where_numbers_are_declared() {
    let rows = |columns: &str| {
        let decoded = csv(b"a,b\nTrue,1\nFalse,2\n", &schema(columns, true));
        decoded.map(|decoded| show(&decoded.batch)).unwrap_or_else(|fault| fault.to_string())
    };
    let matrix = csv(b"x0,x1\nTrue,1\nFalse,2\n", &schema("matrix 2", true)).unwrap();
    assert_eq!(show(&matrix.batch), "[1.0 1.0] [0.0 2.0]");
    assert_eq!(rows("a:double b:double"), "a=[1.0, 0.0] b=[1.0, 2.0]");
    assert_eq!(rows("a:long b:double"), "a=[1, 0] b=[1.0, 2.0]");
    assert_eq!(rows("a:string b:double"), "a=[\"True\", \"False\"] b=[1.0, 2.0]");
    let mixed = csv(b"x0,x1\nTrue,1\n3,2\n", &schema("matrix 2", true)).unwrap_err().to_string();
    assert!(mixed.contains("expected a number, got the text `True`"), "{mixed}");
}

#[test]
fn split_finds_columns_by_name() {
    let columns = "a:double b:long c:string";
    check_split(
        columns,
        r#"{"columns":["a","b","c"],"data":[[1,2,"x"],[3.5,4,null]]}"#,
        &expect![[r#"a=[1.0, 3.5] b=[2, 4] c=["x", "-"]"#]],
    );
    check_split(
        columns,
        r#"{"data":[["x",1,2]],"index":[7],"columns":["c","a","b"]}"#,
        &expect![[r#"a=[1.0] b=[2] c=["x"]"#]],
    );
    check_split(
        columns,
        r#"{"columns":["z","a","b","c"],"data":[[[1],1,2,"x"]]}"#,
        &expect![[r#"
        a=[1.0] b=[2] c=["x"]
        ignored ["`z`"]"#]],
    );
}

#[test]
fn columns_that_need_no_names_are_read_into_a_matrix() {
    for body in [
        r#"{"columns":["b","a"],"data":[[1,2],[3,null]]}"#,
        r#"{"data":[[9,1,2],[9,3,null]],"columns":["z","b","a"]}"#,
    ] {
        let [ordered, named] = both("a:double b:double").map(|schema| {
            split(&mut Reader::new(body.as_bytes()), &schema, body.len(), "$.dataframe_split").unwrap()
        });
        assert_eq!(show(&ordered.batch), "[2.0 1.0] [NaN 3.0]");
        assert_eq!(show(&named.batch), "a=[2.0, NaN] b=[1.0, 3.0]");
        assert_eq!(ordered.ignored, named.ignored);
    }
}

#[test]
fn faults_are_the_same_with_and_without_names() {
    for (columns, data) in [
        (r#"["a","b"]"#, r#"[[1,"x"]]"#),
        (r#"["b","a","z"]"#, r#"[[1,2]]"#),
        (r#"["b","a"]"#, "[[1,2,3]]"),
        (r#"["b","a"]"#, "[[1,[2]]]"),
        (r#"["b","a"]"#, "[1]"),
        (r#"["b","a"]"#, "[]"),
        (r#"["b","a","a"]"#, "[]"),
        (r#"["b","b"]"#, "[]"),
        (r#"["b","A"]"#, "[]"),
    ] {
        let body = format!("{{\"columns\":{columns},\"data\":{data}}}");
        let [ordered, named] = both("a:double b:double").map(|schema| {
            split(&mut Reader::new(body.as_bytes()), &schema, body.len(), "$.dataframe_split").unwrap_err()
        });
        assert_eq!(ordered, named);
    }
}

#[test]
fn split_says_what_is_wrong_where() {
    let columns = "fixed_acidity:double pH:double n:long";
    let check = |body, expected: Expect| check_split(columns, body, &expected);
    check(
        r#"{"columns":["fixed_acidity","pH","n"],"data":[[1,2,3]]}"#,
        expect![
            "Input $.dataframe_split.columns[0]: got `fixed_acidity`, missing columns: `fixed acidity`; did you mean `fixed acidity`?"
        ],
    );
    check(
        r#"{"columns":["fixed acidity","pH"],"data":[[1,2]]}"#,
        expect!["Input $.dataframe_split: missing columns: `n`"],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n","pH"],"data":[[1,2,3,4]]}"#,
        expect!["Input $.dataframe_split.columns[3]: the column `pH` stands there twice"],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n"],"data":[[1,2,3],[1,"abc",3]]}"#,
        expect!["Input $.dataframe_split.data[1][1], column `pH`: expected a number, got the text `abc`"],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n"],"data":[[1,2,null]]}"#,
        expect![
            "Input $.dataframe_split.data[0][2], column `n`: expected a whole number, got null; whole numbers cannot be missing: declare the column as double in the model's signature"
        ],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n"],"data":[[1,2,[3]]]}"#,
        expect!["Input $.dataframe_split.data[0][2]: expected a single value, got a list"],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n"],"data":[[1,2]]}"#,
        expect!["Input $.dataframe_split.data[0]: expected 3 values, got 2 values"],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n"],"data":[[1,2,3,4,5]]}"#,
        expect!["Input $.dataframe_split.data[0]: expected 3 values, got at least 4 values"],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n"],"data":[{"pH":1}]}"#,
        expect![
            "Input $.dataframe_split.data[0]: expected a list of values, got an object; write every row in the same way, as `[1.5, 2]`"
        ],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n"],"data":[]}"#,
        expect!["Input $.dataframe_split: there are no rows"],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n"],"data":5}"#,
        expect!["Format $.dataframe_split: expected a list of rows, got a number"],
    );
    check(
        r#"{"columns":["fixed acidity","pH","n"]}"#,
        expect!["Format $.dataframe_split: expected an object with `columns` and `data`"],
    );
    check(
        r#"{"columns":["fixed acidity",null],"data":[]}"#,
        expect!["Input $.dataframe_split.columns[1]: expected the name of a column, got null"],
    );
    check(
        r#"{"data":[[1,2,3]]}"#,
        expect![
            "Input $.dataframe_split.columns: the model takes columns by name: `fixed acidity`, `pH`, `n`"
        ],
    );
    check(
        r#"{"rows":[[1,2,3]]}"#,
        expect!["Format $.dataframe_split: expected `columns`, `data` or `index`, got `rows`"],
    );
    check(r#"{"data":[],"data":[]}"#, expect!["Format $.dataframe_split: `data` stands there twice"]);
    check("[1]", expect!["Format $.dataframe_split: expected an object with `columns` and `data`"]);
}

#[test]
fn records_find_columns_by_name() {
    let columns = "a:double b?:long c:string=x";
    check_records(
        columns,
        r#"[{"a":1,"b":2,"c":"y"},{"c":"z","a":3,"b":4}]"#,
        &expect![[r#"a=[1.0, 3.0] b=[2, 4] c=["y", "z"]"#]],
    );
    check_records(
        columns,
        r#"[{"a":1},{"a":3,"b":4}]"#,
        &expect![[r#"a=[1.0, 3.0] b=[NaN, 4.0] c=["x", "x"]"#]],
    );
    check_records(
        columns,
        r#"[{"a":1,"z":{"y":[]}},{"a":2,"b":4}]"#,
        &expect![[r#"
        a=[1.0, 2.0] b=[NaN, 4.0] c=["x", "x"]
        ignored ["`z`"]"#]],
    );
    check_records(columns, r#"[{"a":[1]}]"#, &expect![[r#"a=[1.0] b=[NaN] c=["x"]"#]]);
}

#[test]
fn records_say_what_is_wrong_where() {
    let check = |body, expected: Expect| check_records("first:double second_one:long", body, &expected);
    check(
        r#"[{"first":1,"second-one":2}]"#,
        expect![[
            r#"Input $.records[0]["second-one"]: got `second-one`, missing columns: `second one`; did you mean `second one`?"#
        ]],
    );
    check(
        r#"[{"first":1,"second one":2},{"first":1,"second one":"x"}]"#,
        expect![[r#"Input $.records[1]["second one"]: expected a whole number, got the text `x`"#]],
    );
    check(
        r#"[{"first":1,"first":2}]"#,
        expect!["Input $.records[0].first: the column `first` stands there twice"],
    );
    check(
        r#"[{"first":[1,2],"second one":[1,2]}]"#,
        expect!["Input $.records[0]: expected one row for each object, got 2; write one object for each row"],
    );
    check(
        r#"[{"first":[1,2],"second one":3}]"#,
        expect![[
            r#"Input $.records[0]["second one"]: expected as many values as the column before has, 2, got 1"#
        ]],
    );
    check(
        r#"[{"first":1,"second one":2},[1,2]]"#,
        expect!["Input $.records[1]: expected an object with the columns of the row, got a list"],
    );
    check("[]", expect!["Input $.records: there are no rows"]);
    check("{}", expect!["Format $.records: expected a list of rows, got an object"]);
    check("[{}]", expect!["Input $.records[0]: missing columns: `first`, `second one`"]);
}

#[test]
fn a_row_that_lacks_a_column_which_others_have_is_named_unless_the_model_takes_missing_values() {
    let columns = "price:double shop!:any n:long=7";
    let check = |body, expected: Expect| check_records(columns, body, &expected);
    check(
        r#"[{"price":1,"shop":"a"},{"shop":"b"}]"#,
        expect!["Input $.records[1]: missing columns: `price`"],
    );
    check(
        r#"[{"price":1,"shop":"a"},{"shop":"b","prise":2}]"#,
        expect!["Input $.records[1].prise: got `prise`, missing columns: `price`; did you mean `price`?"],
    );
    check(
        r#"[{"price":1,"shop":"a"},{"price":2}]"#,
        expect![[r#"
        price=[1.0, 2.0] shop=["a", "-"] n=[7, 7]
        gaps in ["shop"]"#]],
    );
    check(
        r#"[{"price":1,"shop":"a"},{"price":2,"shopp":"b"}]"#,
        expect![[r#"
        price=[1.0, 2.0] shop=["a", "-"] n=[7, 7]
        ignored ["`shopp` (did you mean `shop`?)"]
        gaps in ["shop"]"#]],
    );
    // A column that no row has is missing as ever.
    check(r#"[{"price":1},{"price":2}]"#, expect!["Input $.records: missing columns: `shop`"]);
}

#[test]
fn rows_of_all_columns_that_a_model_was_fitted_with_are_taken() {
    let full = ["id", "a", "colour", "b"];
    let schema = schema("a:any b:any", false).with_columns(full.into_iter());
    let check = |body: &str, expected: Expect| {
        let read =
            list(&mut Reader::new(body.as_bytes()), &schema, body.len(), "$.instances", Positions::Always);
        check_decoded(read, &expected);
    };
    check(r#"[[7, 1, "red", 2], [8, 3, "blue", 4]]"#, expect!["a=[1, 3] b=[2, 4]"]);
    check("[[1, 2], [3, 4]]", expect!["a=[1, 3] b=[2, 4]"]);
    check(r#"[["x", 2, 3]]"#, expect!["Input $.instances[0]: expected 4 values, got 3 values"]);
    check(
        r#"[{"id": 7, "a": 1, "colour": "red", "b": 2, "z": 1}]"#,
        expect![[r#"
        a=[1] b=[2]
        ignored ["`z`"]"#]],
    );
    check_decoded(tensors::read("rows 1x4 FP64 [7, 1, 5, 2]", &schema), &expect!["a=[1.0] b=[2.0]"]);
}

#[test]
fn a_list_of_lists_has_the_columns_of_the_model() {
    check_list("a:any b:any", "[[1, 2.5], [3, null]]", &expect!["a=[1, 3] b=[2.5, NaN]"]);
    check_list("a:any b:any", r#"[[1, "x"], [2, "y"]]"#, &expect![[r#"a=[1, 2] b=["x", "y"]"#]]);
    check_list("matrix 2", "[[1, 2.5], [3, null]]", &expect!["[1.0 2.5] [3.0 NaN]"]);
    check_list("matrix any", "[[1, 2.5, 3], [3, NaN, true]]", &expect!["[1.0 2.5 3.0] [3.0 NaN 1.0]"]);
}

#[test]
fn a_list_says_what_is_wrong_where() {
    let check = |body, expected: Expect| check_list("matrix 2", body, &expected);
    check("[[1, 2], [3]]", expect!["Input $.instances[1]: expected 2 values, got 1 value"]);
    check("[[1, 2, 3]]", expect!["Input $.instances[0]: expected 2 values, got at least 3 values"]);
    check(
        "[1, 2]",
        expect![
            "Input $.instances[0]: expected a list of values, got a number; write every row in the same way, as `[1.5, 2]`"
        ],
    );
    check(
        r#"["a", "b"]"#,
        expect![
            "Input $.instances[0]: expected a list of values, got a text; write every row in the same way, as `[1.5, 2]`"
        ],
    );
    check(r#"[["a", "b"]]"#, expect!["Input $.instances[0][0]: expected a number, got the text `a`"]);
    check("[[[1], 2]]", expect!["Input $.instances[0][0]: expected a single value, got a list"]);
    check("[]", expect!["Input $.instances: there are no rows"]);
    check("5", expect!["Format $.instances: expected a list of rows, got a number"]);
    check(
        "[[1, 2], {}]",
        expect![
            "Input $.instances[1]: expected a list of values, got an object; write every row in the same way, as `[1.5, 2]`"
        ],
    );
}

#[test]
fn objects_for_a_model_without_names_have_the_columns_of_the_first() {
    let check = |body, expected: Expect| check_list("matrix 2", body, &expected);
    check(
        r#"[{"b":[1],"a":[2]},{"a":3,"b":4}]"#,
        expect![
            "Input $.instances[0].b: the model was saved without column names, so nobody knows which of its columns `b` is; send the 2 values of each row as an array in the order of the columns, or declare `features` in forebay.yaml beside the model"
        ],
    );
    check(
        r#"[{"b":1,"a":2},{"a":3,"c":4}]"#,
        expect![
            "Input $.instances[0].b: the model was saved without column names, so nobody knows which of its columns `b` is; send the 2 values of each row as an array in the order of the columns, or declare `features` in forebay.yaml beside the model"
        ],
    );
    check("[{}]", expect!["Input $.instances[0]: missing columns: `x0`, `x1`"]);
}

#[test]
fn a_signature_with_names_may_insist_on_them() {
    let schema = schema("a:double b:double", true);
    let body = "[[1, 2]]";
    let decoded =
        list(&mut Reader::new(body.as_bytes()), &schema, body.len(), "$.instances", Positions::Undeclared);
    check_decoded(
        decoded,
        &expect![
            "Input $.instances: the model takes columns by name: `a`, `b`; send objects, or `dataframe_split` with `columns`"
        ],
    );
}

#[test]
fn columns_are_lists_or_one_row() {
    let check = |body: &str, expected: Expect| {
        let schema = schema("a:double b:double", true);
        check_decoded(columns(&mut Reader::new(body.as_bytes()), &schema, body.len(), "$.inputs"), &expected);
    };
    check(r#"{"b":[1,2],"a":[3,4]}"#, expect!["a=[3.0, 4.0] b=[1.0, 2.0]"]);
    check(r#"{"b":1,"a":3}"#, expect!["a=[3.0] b=[1.0]"]);
    check(
        r#"{"b":[1,2],"a":[3]}"#,
        expect!["Input $.inputs.a[0]: expected as many values as the column before has, 2, got 1"],
    );
    check(r#"{"b":[1,2],"a":[3,"x"]}"#, expect!["Input $.inputs.a[1]: expected a number, got the text `x`"]);
    check(r#"{"b":[],"a":[]}"#, expect!["Input $.inputs: there are no rows"]);
}

#[test]
fn defaults_stand_for_what_is_left_out() {
    let check = |body: &str, expected: Expect| {
        let schema = schema("a:double b:long c:string d:double=5", true);
        let mut table = Table::new(&schema, body.len()).needing_defaults();
        let form = Form::Record("$.features");
        let read = read_object(&mut Reader::new(body.as_bytes()), &mut table, form);
        check_decoded(read.and_then(|_| table.finish(form)), &expected);
    };
    check(r#"{"a":1,"b":2,"c":"x","d":4}"#, expect![[r#"a=[1.0] b=[2] c=["x"] d=[4.0]"#]]);
    check(
        r#"{"a":1,"b":null,"e":7}"#,
        expect![
            "Input $.features.b: expected a whole number, got null; whole numbers cannot be missing: declare the column as double in the model's signature"
        ],
    );
    check(
        r#"{"a":1,"b":null,"c":"x"}"#,
        expect![
            "Input $.features.b: expected a whole number, got null; whole numbers cannot be missing: declare the column as double in the model's signature"
        ],
    );
    check(r#"{"a":1,"d":null}"#, expect!["Input $.features: missing columns: `b`, `c`"]);
    check(
        r#"{"a":1,"b":2,"C":"x"}"#,
        expect!["Input $.features.C: got `C`, missing columns: `c`; did you mean `c`?"],
    );
    check(r#"{"a":"x"}"#, expect!["Input $.features.a: expected a number, got the text `x`"]);
    check("[]", expect!["Input $.features: expected an object with the columns of the row, got a list"]);
}

#[test]
fn filling_in_has_a_limit() {
    let schema = schema("a!:double b!:double", true);
    let body = format!("[{}{{}}]", "{},".repeat(100_000));
    let decoded = records(&mut Reader::new(body.as_bytes()), &schema, 0, "$.records");
    check_decoded(
        decoded,
        &expect!["Input $.records: too many values are left out to fill them in; send fewer rows at a time"],
    );
}

#[test]
fn csv_has_a_header_and_declared_types() {
    let check = |columns: &str, body: &str, expected: Expect| {
        check_decoded(csv(body.as_bytes(), &schema(columns, true)), &expected);
    };
    check(
        "a:double b:string c:long",
        "b,a,c,z\r\nx,1.5,2,0\r\n\"y, \"\"z\"\"\n\",NaN,3,0\r\n",
        expect![[r#"
        a=[1.5, NaN] b=["x", "y, \"z\"\n"] c=[2, 3]
        ignored ["`z`"]"#]],
    );
    check(
        "a:any b:any c:any d:any",
        "a,b,c,d\n1,1.5,True,x\n2,,False,1\n\n",
        expect![[r#"a=[1, 2] b=[1.5, NaN] c=[true, false] d=["x", "1"]"#]],
    );
    check("a:any", "a\n007\nx\n", expect![[r#"a=["007", "x"]"#]]);
    check(
        "matrix 2",
        "p,q\n1,2\n3,4",
        expect![
            "Input line 1, field 1: the model was saved without column names, so nobody knows which of its columns `p` is; send the 2 values of each row as an array in the order of the columns, or declare `features` in forebay.yaml beside the model"
        ],
    );
}

#[test]
fn csv_says_what_is_wrong_where() {
    let check = |body: &[u8], expected: Expect| {
        check_decoded(csv(body, &schema("a:double b:double", true)), &expected);
    };
    check(b"a,b\n1\n2,3,4\n", expect!["Format line 2: expected 2 fields, as the header has, got 1"]);
    check(b"a,b\n1,2\n2,3,4\n", expect!["Format line 3: expected 2 fields, as the header has, got 3"]);
    check(b"a,b\n1,x\n", expect!["Input row 1, column `b`: expected a number, got the text `x`"]);
    check(b"a,B\n1,2\n", expect!["Input line 1, field 2: got `B`, missing columns: `b`; did you mean `b`?"]);
    check(b"a,b,a\n1,2,3\n", expect!["Input line 1, field 3: the column `a` stands there twice"]);
    check(b"a,b\n1,\"2\n", expect!["Format line 2: a quoted field does not end"]);
    check(
        b"a,b\n1,\"2\"x\n",
        expect!["Format line 2: expected a comma or the end of the line after a quoted field"],
    );
    check(b"a,b\n", expect!["Input there are no rows"]);
    check(b"", expect!["Input missing columns: `a`, `b`"]);
    check(b"a,b\n1,\xff\n", expect!["Format the body is not UTF-8 at byte 6"]);
}
