//! Which file of a folder is the model, and what the other files say.

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use models::{Batch, Column, Inputs, LoadError, Method, Model, Values};
use tempfile::TempDir;

use crate::cases::{Case, fixtures, told};
use Content::{Fixture, Text};

/// A folder with these files, each a copy of a fixture or a text.
fn folder(files: &[(&str, Content<'_>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        match content {
            Fixture(fixture) => drop(fs::copy(fixtures().join(fixture), path).unwrap()),
            Text(text) => fs::write(path, text).unwrap(),
        }
    }
    folder
}

#[derive(Clone, Copy)]
enum Content<'c> {
    Fixture(&'c str),
    Text(&'c str),
}

/// What loading a folder says, without the folder's path.
#[expect(clippy::needless_pass_by_value, reason = "`expect!` is written in place")]
fn check_refused(folder: &Path, expected: Expect) {
    let error = models::load(folder).unwrap_err();
    expected.assert_eq(&error.to_string().replace(&*folder.to_string_lossy(), "DIR"));
}

fn svc() -> Content<'static> {
    Fixture("iris-svc/model.joblib")
}

#[test]
fn the_one_model_of_a_folder_is_found() {
    for name in ["model.joblib", "model.pkl", "model.pickle", "iris.joblib", "anything.skops"] {
        let folder = folder(&[(name, svc()), ("README.md", Text("hello"))]);
        assert_eq!(models::load(folder.path()).unwrap().description().format, "joblib", "{name}");
    }
}

#[test]
fn a_file_called_model_comes_first() {
    let folder = folder(&[("a.pkl", Text("broken")), ("model.pkl", svc())]);
    assert_eq!(models::load(folder.path()).unwrap().methods().len(), 2);
}

#[test]
fn several_models_are_refused_by_name() {
    let several = folder(&[("a.pkl", svc()), ("b.joblib", svc())]);
    check_refused(
        several.path(),
        expect![
            "`DIR` has several model files: `a.pkl`, `b.joblib`; name the one you mean, or leave one in the folder"
        ],
    );
    let several = folder(&[("model.pkl", svc()), ("model.joblib", svc())]);
    assert!(matches!(models::load(several.path()), Err(LoadError::Ambiguous { .. })));
}

#[test]
fn a_folder_without_a_model_says_what_was_looked_for() {
    let empty = folder(&[("README.md", Text("hello"))]);
    check_refused(
        empty.path(),
        expect![
            "`DIR` is not a model this build can read: it has no `MLmodel` and no file `*.bst`, `*.cb`, `*.cbm`, `*.joblib`, `*.lgb`, `*.onnx`, `*.pickle`, `*.pkl`, `*.skops`, `*.ubj`, `model.json`, `model.txt`"
        ],
    );
    assert!(matches!(models::load(Path::new("/nowhere/at/all")), Err(LoadError::Read { .. })));
}

#[test]
fn mlserver_settings_name_the_model_its_version_and_its_file() {
    let settings = r#"{"name": "iris", "implementation": "x", "max_batch_size": 8, "max_batch_time": 0.5,
            "parameters": {"uri": "./b.pkl", "version": "v3"}}"#;
    let folder = folder(&[("a.pkl", Text("")), ("b.pkl", svc()), ("model-settings.json", Text(settings))]);
    let model = models::load(folder.path()).unwrap();
    let description = model.description();
    assert_eq!((description.name.as_deref(), description.version.as_deref()), (Some("iris"), Some("v3")));
    assert_eq!(description.file.file_name().unwrap(), "b.pkl");
    let max_delay = std::time::Duration::from_millis(500);
    assert_eq!(description.batching, Some(models::Batching { max_rows: 8, max_delay }));
}

#[test]
fn a_path_does_not_lead_out_of_its_folder() {
    let mlmodel = "flavors:\n  sklearn:\n    pickled_model: ../model.pkl\n";
    check_refused(
        folder(&[("MLmodel", Text(mlmodel))]).path(),
        expect!["`DIR/MLmodel`: `../model.pkl` is not inside of the folder"],
    );
    let settings = r#"{"parameters": {"uri": "/etc/passwd"}}"#;
    let folder = folder(&[("model.pkl", svc()), ("model-settings.json", Text(settings))]);
    assert_eq!(models::load(folder.path()).unwrap().description().file, folder.path().join("model.pkl"));
}

#[cfg(unix)]
#[test]
fn a_link_does_not_lead_out_of_its_folder() {
    use std::os::unix::fs::symlink;

    let outside = folder(&[("secret.pkl", Text("root:*:2"))]);
    let inner = folder(&[("..data.pkl", svc())]);
    let link = inner.path().join("model.pkl");
    symlink("..data.pkl", &link).unwrap();
    assert!(models::load(inner.path()).is_ok());
    fs::remove_file(&link).unwrap();
    symlink(outside.path().join("secret.pkl"), &link).unwrap();
    check_refused(
        inner.path(),
        expect!["cannot read `DIR/model.pkl`: it is a link that leads out of the model's folder"],
    );
}

#[test]
fn what_mlflow_saved_of_other_libraries_is_refused_by_name() {
    let code = "flavors:\n  python_function:\n    loader_module: mlflow.pyfunc.model\n";
    check_refused(
        folder(&[("MLmodel", Text(code))]).path(),
        expect![
            "an MLflow model that is Python code (loaded by `mlflow.pyfunc.model`) is not supported: this build reads the flavors sklearn, catboost, lightgbm, onnx, xgboost"
        ],
    );
    let prophet = "flavors:\n  prophet: {data: x}\n  python_function: {loader_module: mlflow.prophet}\n";
    check_refused(
        folder(&[("MLmodel", Text(prophet))]).path(),
        expect![
            "an MLflow model of flavor prophet, python_function is not supported: this build reads the flavors sklearn, catboost, lightgbm, onnx, xgboost"
        ],
    );
}

#[test]
fn a_predict_function_that_the_model_has_not_is_refused() {
    let mlmodel =
        "flavors:\n  python_function: {predict_fn: predict_proba}\n  sklearn: {pickled_model: model.pkl}\n";
    check_refused(
        folder(&[("MLmodel", Text(mlmodel)), ("model.pkl", svc())]).path(),
        expect![
            "`sklearn.svm._classes.SVC` in `DIR/model.pkl` is inconsistent: it is to be asked for `predict_proba`, which it has not; it has `predict`, `decision_function`"
        ],
    );
    let mlmodel = "flavors:\n  python_function: {predict_fn: score}\n  sklearn: {pickled_model: model.pkl}\n";
    check_refused(
        folder(&[("MLmodel", Text(mlmodel)), ("model.pkl", svc())]).path(),
        expect![
            "an MLflow model with `predict_fn: score` is not supported: it is one of predict, predict_proba, predict_log_proba, decision_function, transform, score_samples, kneighbors, kneighbors_distance, apply"
        ],
    );
}

#[test]
fn mistakes_in_settings_have_their_place() {
    let error = |files: &[(&str, Content<'_>)]| models::load(folder(files).path()).unwrap_err().to_string();
    let bad_json = error(&[("model.pkl", svc()), ("model-settings.json", Text("{"))]);
    assert!(bad_json.contains("line 1"), "{bad_json}");
    let bad_yaml = error(&[("MLmodel", Text("flavors: [\n"))]);
    assert!(bad_yaml.contains("MLmodel`: "), "{bad_yaml}");
    let unknown_key = error(&[("model.pkl", svc()), ("forebay.yaml", Text("name: x\nfeature: []\n"))]);
    assert!(unknown_key.contains("feature"), "{unknown_key}");
}

/// A pickle of `{"model": …, "columns": ["a", "b"], "best": {"of.all": [None, …]}}`, with a `DummyRegressor` that was not
/// fitted for the models.
fn dict_with_models() -> Vec<u8> {
    let model = b"csklearn.dummy\nDummyRegressor\n)\x81}(U\x09constant_K\x01U\x08strategyU\x08constantub";
    let mut pickle = b"\x80\x02}(U\x05model".to_vec();
    pickle.extend_from_slice(model);
    pickle.extend_from_slice(b"U\x07columns](U\x01aU\x01beU\x04best}(U\x06of.all](N");
    pickle.extend_from_slice(model);
    pickle.extend_from_slice(b"euu.");
    pickle
}

#[test]
fn the_part_of_a_pickle_that_is_the_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.pkl");
    fs::write(&path, dict_with_models()).unwrap();
    let refused = |part: &str| {
        let error = models::load(Path::new(&format!("{}{part}", path.display()))).unwrap_err().to_string();
        error.split_once(": ").unwrap().1.to_owned()
    };
    expect!["it is a dict that holds a model; name it as the part `#model` at the end of the path"]
        .assert_eq(&refused(""));
    expect!["it has no part `modle`; the dict there has `model`, `columns`, `best`"]
        .assert_eq(&refused("#modle"));
    expect!["it has no part `7`; the list there has 2 items, from 0"].assert_eq(&refused("#best.of.all.7"));
    expect!["it has no part `x`; what is there is no dict and no list"]
        .assert_eq(&refused("#best.of.all.0.x"));
    expect!["it is a list without a model, of `0`, `1`"].assert_eq(&refused("#columns"));
    expect!["it is a list that holds a model; name it as the part `#1` at the end of the path"]
        .assert_eq(&refused("#best.of.all"));
    // These are models, and what is missing in them is told.
    for part in ["#model", "#best.of.all.1"] {
        let error = models::load(Path::new(&format!("{}{part}", path.display()))).unwrap_err().to_string();
        assert!(error.contains("DummyRegressor"), "{error}");
    }
    // A file of that very name is meant itself.
    fs::write(folder.path().join("all.pkl#model"), "x").unwrap();
    assert!(refused("#model").contains("it is a text"));
}

#[test]
fn files_that_are_no_models_are_named() {
    let refused = |content: &[u8], expected: Expect| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.pkl"), content).unwrap();
        check_refused(folder.path(), expected);
    };
    refused(b"", expect!["`DIR/model.pkl` is not a model this build can read: it is empty"]);
    refused(
        b"hello, world",
        expect![[r#"`DIR/model.pkl` is not a model this build can read: it is a text"#]],
    );
    refused(
        b"\x28\xb5\x2f\xfd....",
        expect![
            "a file compressed with zstd is not supported: this build reads zlib, gzip, bzip2, xz, lzma, lz4, and files that are not compressed"
        ],
    );
    refused(
        b"\x89HDF\r\n\x1a\n....",
        expect!["`DIR/model.pkl` is not a model this build can read: an HDF5 file (Keras?)"],
    );
    refused(
        b"\x80\x04\x95\x02\0\0\0\0\0\0\0K\x01.",
        expect![
            "a file that holds 1 instead of an estimator is not supported: save the fitted estimator itself"
        ],
    );
    refused(
        b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.",
        expect![
            "`DIR/model.pkl` names `os.system` at byte 2, which is not allowed in a model file; nothing was executed"
        ],
    );

    refused(
        b"\x80\x02csklearn.svm._classes\nSVC\n)\x81.",
        expect!["`sklearn.svm._classes.SVC` in `DIR/model.pkl` is inconsistent: `kernel` is missing"],
    );
}

#[test]
fn an_estimator_that_is_not_supported_is_named_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.pkl"), b"\x80\x02csklearn.cluster._dbscan\nDBSCAN\n)\x81.").unwrap();
    let error = models::load(folder.path()).unwrap_err().to_string();
    let expected = "`sklearn.cluster._dbscan.DBSCAN` is not supported: of `sklearn.cluster` this build has AffinityPropagation, ";
    assert!(error.starts_with(expected), "{error}");
}

const RETAIL: &str = r#"
name: retail-sales
version: v1.0
features:
  - {name: store_id, type: long}
  - {name: product_id, type: long}
  - {name: date, type: datetime, default: "2024-01-01"}
  - {name: price, type: double, default: 29.99}
  - {name: promotion, type: long, default: 0}
  - {name: category, type: string, default: books}
  - {name: day_of_week, from: date, part: day_of_week}
  - {name: month, from: date, part: month}
"#;

fn retail() -> (TempDir, Model) {
    let folder =
        folder(&[("model.joblib", Fixture("retail-gbr/model.zlib.joblib")), ("forebay.yaml", Text(RETAIL))]);
    let model = models::load(folder.path()).unwrap();
    (folder, model)
}

fn text(text: &str) -> Values {
    Values::Text([Some(text)].into_iter().collect())
}

fn request(columns: Vec<(&str, Values)>) -> Batch {
    let column = |(name, values): (&str, Values)| Column { name: name.to_owned(), values };
    Batch::table(columns.into_iter().map(column).collect())
}

#[test]
fn acc_s3_94_features_with_a_date_are_predicted_as_the_pipeline_does() {
    let (_folder, model) = retail();
    let derived = request(vec![
        ("store_id", Values::Long(vec![1])),
        ("product_id", Values::Long(vec![123])),
        ("date", text("2024-01-01")),
        ("price", Values::Double(vec![29.99])),
        ("promotion", Values::Long(vec![0])),
    ]);
    let whole = request(vec![
        ("price", Values::Double(vec![29.99])),
        ("promotion", Values::Long(vec![0])),
        ("day_of_week", Values::Long(vec![0])),
        ("month", Values::Long(vec![1])),
        ("store_id", Values::Long(vec![1])),
        ("product_id", Values::Long(vec![123])),
        ("category", text("books")),
    ]);
    let plain = models::load(&fixtures().join("retail-gbr/model.skops")).unwrap();
    let answer = model.predict(Method::Predict, &derived).unwrap();
    assert_eq!(answer, plain.predict(Method::Predict, &whole).unwrap());
}

#[test]
fn acc_s3_130_two_features_are_enough_where_the_others_have_defaults() {
    let (_folder, model) = retail();
    let two = request(vec![("store_id", Values::Long(vec![1])), ("product_id", Values::Long(vec![123]))]);
    assert_eq!(model.predict(Method::Predict, &two).unwrap().shape.n_rows, 1);
}

#[test]
fn a_feature_without_default_is_asked_for_where_the_model_needs_it() {
    let settings =
        "features: [{name: date, type: datetime}, {name: month, from: date, part: month}, {name: price}]";
    let folder = folder(&[
        ("model.joblib", Fixture("retail-gbr/model.zlib.joblib")),
        ("forebay.yaml", Text(settings)),
    ]);
    let model = models::load(folder.path()).unwrap();
    let number = || Values::Long(vec![1]);
    let rest = ["store_id", "product_id", "promotion", "day_of_week", "category"];
    let rest = rest.map(|name| (name, number())).into_iter().collect();
    let error = model.predict(Method::Predict, &request(rest)).unwrap_err();
    assert_eq!(error.to_string(), "missing columns: `date`, `price`");
}

#[test]
fn acc_s3_131_the_folder_says_name_and_version() {
    let (_folder, model) = retail();
    let description = model.description();
    assert_eq!(description.name.as_deref(), Some("retail-sales"));
    assert_eq!(description.version.as_deref(), Some("v1.0"));
}

#[test]
fn a_feature_step_tells_what_a_request_may_carry() {
    let (_folder, model) = retail();
    let Inputs::Columns(fields) = &model.signature().inputs else { panic!("columns") };
    let told: Vec<String> = fields
        .iter()
        .map(|field| {
            let default =
                field.default.as_ref().map_or_else(String::new, |default| format!(" = {default:?}"));
            let optional = if field.required { "" } else { "?" };
            format!("{}{optional}: {}{default}", field.name, field.datatype.as_str())
        })
        .collect();
    expect![[r#"
        store_id: long
        product_id: long
        date?: datetime = Text("2024-01-01")
        price?: double = Double(29.99)
        promotion?: long = Long(0)
        category?: string = Text("books")"#]]
    .assert_eq(&told.join("\n"));
    assert!(model.predict(Method::Predict, model.example()).is_ok());
}

#[test]
fn a_model_without_column_names_is_given_names_beside_it() {
    const NAMES: &str = "features: [{name: sl}, {name: sw}, {name: pl}, {name: pw}]";
    let folder = folder(&[("model.joblib", svc()), ("forebay.yaml", Text(NAMES))]);
    let column =
        |(name, value): (&str, f64)| Column { name: name.to_owned(), values: Values::Double(vec![value]) };
    let row = Batch::table([("pw", 1.4), ("sl", 6.8), ("pl", 4.8), ("sw", 2.8)].map(column).to_vec());
    // Whether the folder is named, or the only model in it.
    for path in [folder.path().to_owned(), folder.path().join("model.joblib")] {
        let model = models::load(&path).unwrap();
        assert_eq!(model.predict(Method::Predict, &row).unwrap().data, models::Data::Long(vec![1]));
    }
}

#[test]
fn the_columns_of_a_model_without_names_are_counted() {
    let check = |yaml: &str, expected: Expect| {
        check_refused(folder(&[("model.joblib", svc()), ("forebay.yaml", Text(yaml))]).path(), expected);
    };
    check(
        "features: [{name: a}, {name: b}]",
        expect![[
            r#"`forebay.yaml` in `DIR/model.joblib` is inconsistent: the model was saved without column names and takes 4 columns, and 2 are declared; say which of the features they are, in the order of the model, as `columns: [a, b, …]`"#
        ]],
    );
    check(
        "{features: [{name: a}, {name: b}], columns: [a, c]}",
        expect!["`DIR/forebay.yaml`: columns[1]: `c` is none of the features"],
    );
    check(
        "columns: [a]",
        expect!["`DIR/forebay.yaml`: `columns` needs `features`, of which the columns are some"],
    );
    let model = folder(&[
        ("model.joblib", svc()),
        (
            "forebay.yaml",
            Text(
                "{features: [{name: mm}, {name: sw}, {name: pl}, {name: pw}, {name: sl, expression: mm / 10}], columns: [sl, sw, pl, pw]}",
            ),
        ),
    ]);
    let model = models::load(model.path()).unwrap();
    let column =
        |(name, value): (&str, f64)| Column { name: name.to_owned(), values: Values::Double(vec![value]) };
    let row = Batch::table([("pw", 1.4), ("mm", 68.0), ("pl", 4.8), ("sw", 2.8)].map(column).to_vec());
    assert_eq!(model.predict(Method::Predict, &row).unwrap().data, models::Data::Long(vec![1]));
}

#[test]
fn a_feature_that_the_model_does_not_need_is_refused_when_it_is_loaded() {
    let check = |model: Content<'_>, yaml: &str, expected: Expect| {
        check_refused(folder(&[("model.joblib", model), ("forebay.yaml", Text(yaml))]).path(), expected);
    };
    check(
        Fixture("retail-gbr/model.zlib.joblib"),
        "features: [{name: store_id}, {name: prise, type: double, default: 9.99}]",
        expect![
            "`forebay.yaml` in `DIR/model.joblib` is inconsistent: features[1] (`prise`): the model has no such column, and none of its columns is made of it; did you mean `price`?"
        ],
    );
    check(
        svc(),
        "{features: [{name: sl}, {name: sw}, {name: pl}, {name: pw}, {name: colour}], columns: [sl, sw, pl, pw]}",
        expect![
            "`forebay.yaml` in `DIR/model.joblib` is inconsistent: features[4] (`colour`): the model has no such column, and none of its columns is made of it; the columns of the model are `pl`, `pw`, `sl`, `sw`"
        ],
    );
}

#[test]
fn a_column_that_a_selection_drops_may_be_left_out() {
    let rows = Case::read(&fixtures().join("sk-selectk-voting")).input;
    let models::Columns::Table(columns) = &rows.columns else { panic!("a table") };
    let names: Vec<String> = columns.iter().map(|column| format!("{{name: {:?}}}", column.name)).collect();
    let yaml = format!("features: [{}]", names.join(", "));
    let folder =
        folder(&[("model.joblib", Fixture("sk-selectk-voting/model.joblib")), ("forebay.yaml", Text(&yaml))]);
    let model = models::load(folder.path()).unwrap();
    let Inputs::Columns(fields) = &model.signature().inputs else { panic!("columns") };
    let is_required =
        |column: &&Column| fields.iter().any(|field| field.required && field.name == column.name);
    let needed = Batch::table(columns.iter().filter(is_required).cloned().collect());
    assert!(needed.n_columns() < rows.n_columns());
    let answer = |rows: &Batch| model.predict(Method::Predict, rows).map(|answer| answer.data);
    assert_eq!(answer(&needed), answer(&rows));
}

#[test]
fn a_name_of_another_servers_settings_is_one_that_a_path_can_have() {
    let settings = folder(&[("model.pkl", svc()), ("model-settings.json", Text(r#"{"name": "a/b"}"#))]);
    check_refused(
        settings.path(),
        expect![
            "`DIR/model-settings.json`: `name` is `a/b`, and a `/` cannot stand in a part of a path; write `name: a-b`"
        ],
    );
}

#[test]
fn a_threshold_decides_between_two_classes() {
    const THRESHOLD: &str = "{method: predict_proba, threshold: 0.9}";
    let load = |yaml: &str| {
        let folder =
            folder(&[("model.joblib", Fixture("sk-gbc-binary/model.joblib")), ("forebay.yaml", Text(yaml))]);
        models::load(folder.path()).unwrap()
    };
    let model = load(THRESHOLD);
    assert_eq!((model.default_method(), model.threshold()), (Method::PredictProba, Some(0.9)));
    let input = Case::read(&fixtures().join("sk-gbc-binary")).input;
    let rows = told(&model, input);
    let models::Data::Double(probabilities) = model.predict(Method::PredictProba, &rows).unwrap().data else {
        panic!("numbers")
    };
    let classes = model.classes().unwrap().clone();
    for threshold in [0.0, 0.01, 0.5, 0.99, 1.0] {
        let model = load(&format!("threshold: {threshold}"));
        let expected: Vec<usize> =
            probabilities.chunks(2).map(|row| usize::from(row[1] >= threshold)).collect();
        let got = model.predict(Method::Predict, &rows).unwrap().data;
        assert_eq!(format!("{got:?}"), format!("{:?}", picked(&classes, &expected)), "{threshold}");
    }
}

/// The labels of these classes.
fn picked(classes: &models::Data, places: &[usize]) -> models::Data {
    match classes {
        models::Data::Long(labels) => models::Data::Long(places.iter().map(|place| labels[*place]).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_threshold_that_makes_no_sense_is_refused() {
    let check = |fixture: &str, yaml: &str, expected: Expect| {
        check_refused(
            folder(&[("model.joblib", Fixture(fixture)), ("forebay.yaml", Text(yaml))]).path(),
            expected,
        );
    };
    check(
        "iris-logreg/model.joblib",
        "threshold: 0.3",
        expect![
            "`forebay.yaml` in `DIR/model.joblib` is inconsistent: `threshold` is for models that tell two classes apart, and this one tells 3"
        ],
    );
    check(
        "sk-linreg/model.joblib",
        "threshold: 0.3",
        expect![
            "`forebay.yaml` in `DIR/model.joblib` is inconsistent: `threshold` is for models that tell two classes apart, and this one tells none"
        ],
    );
    check(
        "iris-binary-svc-linear/model.joblib",
        "threshold: 0.3",
        expect![
            "`forebay.yaml` in `DIR/model.joblib` is inconsistent: `threshold` is for models that give probabilities, and this one has none"
        ],
    );
    check(
        "sk-gbc-binary/model.joblib",
        "threshold: 1.5",
        expect!["`DIR/forebay.yaml`: `threshold`: expected a probability, from 0 to 1, got 1.5"],
    );
    check(
        "sk-gbc-binary/model.joblib",
        "method: predict_probability",
        expect![
            "`DIR/forebay.yaml`: `method`: `predict_probability` is none of predict, predict_proba, predict_log_proba, decision_function, transform, score_samples, kneighbors, kneighbors_distance, apply"
        ],
    );
    check(
        "sk-linreg/model.joblib",
        "method: predict_proba",
        expect![
            "`sklearn.linear_model._base.LinearRegression` in `DIR/model.joblib` is inconsistent: it is to be asked for `predict_proba`, which it has not; it has `predict`"
        ],
    );
}
