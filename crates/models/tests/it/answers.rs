//! What a model takes, what it refuses and how it says so, and what it tells about itself.

use expect_test::{Expect, expect};
use models::{Batch, Column, Data, DataType, Inputs, Method, Model, PredictError, Values};

use crate::cases::{Case, fixtures, rows};

fn model(path: &str) -> Model {
    models::load(&fixtures().join(path)).unwrap()
}

fn table(columns: &[(&str, Values)]) -> Batch {
    let column =
        |(name, values): &(&str, Values)| Column { name: (*name).to_owned(), values: values.clone() };
    Batch::table(columns.iter().map(column).collect())
}

fn text(text: &str) -> Values {
    Values::Text([Some(text)].into_iter().collect())
}

/// The answer in short, or the error with its place.
#[expect(clippy::needless_pass_by_value, reason = "`expect!` is written in place")]
fn check(model: &Model, batch: &Batch, expected: Expect) {
    let shown = match model.predict(model.default_method(), batch) {
        Ok(prediction) => format!("{:?}", prediction.data),
        Err(PredictError::Input(error)) => match (error.row, &error.column) {
            (None, None) => error.to_string(),
            (row, column) => format!("row {row:?}, column {column:?}: {error}"),
        },
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown);
}

fn food(store: i64, price: f64) -> Vec<(&'static str, Values)> {
    vec![
        ("store_id", Values::Long(vec![store])),
        ("category", text("food")),
        ("price", Values::Double(vec![price])),
        ("promotion", Values::Long(vec![0])),
    ]
}

#[test]
fn columns_are_found_by_name_in_any_order_and_others_are_ignored() {
    let model = model("mlflow-retail-pipeline/model");
    let mut columns = food(3, 20.0);
    check(&model, &table(&columns), expect!["Double([38.49718749578468])"]);
    columns.reverse();
    columns.insert(1, ("weather", text("rain")));
    check(&model, &table(&columns), expect!["Double([38.49718749578468])"]);
}

#[test]
fn numbers_of_any_type_are_numbers() {
    let model = model("mlflow-retail-pipeline/model");
    let mut columns = food(3, 20.0);
    columns[0].1 = Values::Double(vec![3.0]);
    columns[2].1 = Values::Long(vec![20]);
    columns[3].1 = Values::Boolean(vec![false]);
    check(&model, &table(&columns), expect!["Double([38.49718749578468])"]);
}

#[test]
fn columns_that_are_missing_are_all_named() {
    let model = model("mlflow-retail-pipeline/model");
    let columns = food(3, 20.0);
    check(&model, &table(&columns[..2]), expect!["missing columns: `price`, `promotion`"]);
}

#[test]
fn what_is_refused_has_its_row_and_column() {
    let retail = model("mlflow-retail-pipeline/model");
    let mut columns = food(3, 20.0);
    columns[2].1 = text("cheap");
    check(
        &retail,
        &table(&columns),
        expect![[r#"row Some(0), column Some("price"): expected a number, got the text `cheap`"#]],
    );
    check(
        &retail,
        &table(&food(3, f64::INFINITY)),
        expect![[
            r#"row Some(0), column Some("price"): infinity where StandardScaler takes only finite numbers"#
        ]],
    );
    // Behind the first step columns have no names any more. Forests take missing values, but not in sparse matrices.
    check(
        &retail,
        &table(&food(3, f64::NAN)),
        expect![
            "row Some(0), column None: a missing value where RandomForestRegressor takes only finite numbers"
        ],
    );
    let svc = model("iris-svc/model.joblib");
    check(
        &svc,
        &Batch::matrix(4, vec![5.0, 3.0, 1.0, 0.2, 5.0, f64::NAN, 1.0, 0.2]),
        expect![[r#"row Some(1), column Some("1"): a missing value where SVC takes only finite numbers"#]],
    );
}

#[test]
fn a_row_far_behind_is_named_by_its_own_number() {
    let mut values = [5.0, 3.0, 1.0, 0.2].repeat(1000);
    values[999 * 4 + 2] = f64::NAN;
    check(
        &model("iris-svc/model.joblib"),
        &Batch::matrix(4, values),
        expect![[r#"row Some(999), column Some("2"): a missing value where SVC takes only finite numbers"#]],
    );
}

#[test]
fn a_matrix_must_have_the_right_width() {
    let svc = model("iris-svc/model.joblib");
    check(&svc, &Batch::matrix(3, vec![1.0; 6]), expect!["each row has 3 values; the model takes 4"]);
    check(&svc, &Batch::matrix(4, Vec::new()), expect!["there are no rows"]);
    let columns = [("0", Values::Double(vec![1.0])), ("1", Values::Double(vec![1.0]))];
    check(&svc, &table(&columns), expect!["each row has 2 values; the model takes 4"]);
}

#[test]
fn a_batch_of_unequal_columns_is_refused() {
    let svc = model("iris-svc/model.joblib");
    let columns = [("a", Values::Double(vec![1.0, 2.0])), ("b", Values::Double(vec![1.0]))];
    check(&svc, &table(&columns), expect!["there are 1 values in a batch of 2 rows"]);
}

#[test]
fn a_model_without_column_names_is_told_no_columns_by_name() {
    let svc = model("iris-svc/model.joblib");
    let number = |value: f64| Values::Double(vec![value]);
    let values = [6.8, 2.8, 4.8, 1.4];
    let named =
        |names: [&'static str; 4]| table(&[0, 1, 2, 3].map(|place| (names[place], number(values[place]))));
    check(
        &svc,
        &named(["sl", "sw", "pl", "pw"]),
        expect!["the model was saved without column names, so nobody knows which of its columns `sl` is"],
    );
    // Names that say where a column stands do, in any order.
    check(&svc, &Batch::matrix(4, values.to_vec()), expect!["Long([1])"]);
    for names in [["0", "1", "2", "3"], ["x0", "x1", "x2", "x3"], ["f0", "f1", "f2", "f3"]] {
        check(&svc, &named(names), expect!["Long([1])"]);
    }
    let mixed = [3, 1, 0, 2].map(|place| (["x0", "x1", "x2", "x3"][place], number(values[place])));
    check(&svc, &table(&mixed), expect!["Long([1])"]);
    check(&svc, &table(&mixed[..3]), expect!["each row has 3 values; the model takes 4"]);
    check(&svc, &named(["x0", "x1", "x2", "x4"]), expect!["each row has 5 values; the model takes 4"]);
    check(&svc, &named(["x0", "x1", "2", "x2"]), expect!["the column `x2` stands there twice"]);
    // Of one column there is no order.
    let texts = model("sk-tfidf-logreg/model.joblib");
    let review = |name| table(&[(name, text("a b"))]);
    let answer = |batch: &Batch| texts.predict(Method::Predict, batch).unwrap();
    assert_eq!(answer(&review("review")), answer(&review("text")));
}

#[test]
fn unknown_categories_are_ignored_where_the_encoder_does() {
    let model = model("retail-logit/model.joblib");
    let case = Case::read(&fixtures().join("retail-logit"));
    let mut row = rows(&case.input, &[0]);
    let models::Columns::Table(columns) = &mut row.columns else { panic!("a table") };
    columns.iter_mut().find(|column| column.name == "category").unwrap().values = text("garden");
    check(&model, &row, expect![[r#"Text(["high"])"#]]);
}

#[test]
fn unknown_categories_are_refused_where_the_encoder_does() {
    let strict = model("sk19-one-hot-strict/model.joblib");
    check(
        &strict,
        &table(&[("kind", text("garden")), ("store", Values::Long(vec![1]))]),
        expect![[
            r#"row Some(0), column Some("kind"): `garden` is not one of the 4 categories the model was fitted with: `books`, `food`, `home`, `toys`"#
        ]],
    );
    check(
        &strict,
        &table(&[("kind", text("toys")), ("store", Values::Double(vec![1.5]))]),
        expect![[
            r#"row Some(0), column Some("store"): `1.5` is not one of the 8 categories the model was fitted with: `1`, `2`, `3`, `4`, `5`, `6`, `7`, `8`"#
        ]],
    );
    check(
        &strict,
        &table(&[("kind", Values::Long(vec![1])), ("store", Values::Long(vec![1]))]),
        expect![[
            r#"row Some(0), column Some("kind"): `1` is not one of the 4 categories the model was fitted with: `books`, `food`, `home`, `toys`"#
        ]],
    );
}

#[test]
fn a_column_without_any_value_is_filled_in_its_type() {
    let imputer = model("sk19-imputer-of-texts/model.joblib");
    let answer = |kind: Values| imputer.predict(Method::Transform, &table(&[("kind", kind)])).unwrap();
    let filled = answer(Values::Text([None, None].into_iter().collect()));
    assert_eq!(filled, answer(Values::Double(vec![f64::NAN; 2])));
    // Not given at all is a mistake, as in scikit-learn.
    let nothing = table(&[("other", Values::Long(vec![1, 2]))]);
    let error = imputer.predict(Method::Transform, &nothing).unwrap_err();
    assert_eq!(error.to_string(), "missing columns: `kind`");
}

#[test]
fn an_encoder_refuses_what_it_was_told_to() {
    let model = model("sk19-categories-strict/model.joblib");
    let row = |kind: Option<&str>, store: i64| {
        table(&[
            ("store", Values::Long(vec![store])),
            ("kind", Values::Text([kind].into_iter().collect())),
            ("price", Values::Double(vec![5.0])),
            ("month", Values::Long(vec![2])),
        ])
    };
    check(&model, &row(Some("toys"), 3), expect!["Double([6.0, 4.0, 5.0, 2.0])"]);
    check(
        &model,
        &row(Some("garden"), 3),
        expect![[
            r#"row Some(0), column Some("kind"): `garden` is not one of the 4 categories the model was fitted with: `books`, `home`, `food`, `toys`"#
        ]],
    );
    check(
        &model,
        &row(None, 3),
        expect![[
            r#"row Some(0), column Some("kind"): a missing value where OrdinalEncoder takes only finite numbers"#
        ]],
    );
    check(
        &model,
        &row(Some("toys"), 99),
        expect![[
            r#"row Some(0), column Some("store"): `99` is not one of the 8 categories the model was fitted with: `6`, `8`, `1`, `2`, `7`, `3`, `4`, `5`"#
        ]],
    );
}

#[test]
fn a_key_that_is_not_there_is_like_one_without_a_value() {
    let model = model("sk19-maps/model.joblib");
    let columns = [("kind", text("toys")), ("month", Values::Long(vec![3]))];
    let holes = [("price", Values::Double(vec![f64::NAN])), ("store", Values::Double(vec![f64::NAN]))];
    let all: Vec<(&str, Values)> = columns.iter().chain(&holes).cloned().collect();
    let answer = |batch: &Batch| model.predict(Method::Predict, batch).unwrap().data;
    assert_eq!(answer(&table(&columns)), answer(&table(&all)));
    assert!(model.predict(Method::Predict, model.example()).is_ok());
}

#[test]
fn what_may_not_be_negative_is_refused_with_its_place() {
    let batch = Batch::matrix(8, vec![1.0, 1.0, 1.0, -2.5, 1.0, 1.0, 1.0, 1.0]);
    let model = model("sk19-factors/model.joblib");
    check(
        &model,
        &batch,
        expect![[r#"row Some(0), column Some("3"): expected a number that is not negative, got -2.5"#]],
    );
}

#[test]
fn a_method_that_is_not_there_is_refused_with_those_that_are() {
    let svc = model("iris-svc/model.joblib");
    let error = svc.predict(Method::PredictProba, &Batch::matrix(4, vec![1.0; 4])).unwrap_err();
    assert_eq!(error.to_string(), "the model has no `predict_proba`; it has predict, decision_function");
    assert_eq!(svc.methods(), [Method::Predict, Method::DecisionFunction]);
}

#[test]
fn probabilities_of_several_targets_are_not_served_rather_than_absent() {
    for case in ["sk19-asked-leaves-forest-targets", "sk19-forest-targets", "sk19-near-targets"] {
        let model = model(&format!("{case}/model.joblib"));
        let error = model.predict(Method::PredictProba, model.example()).unwrap_err().to_string();
        assert!(
            error.starts_with("`predict_proba` of this model is not served here: for several targets its library gives a list of arrays, one for each, and an answer is one array here; the model is asked for predict"),
            "{case}: {error}"
        );
    }
}

#[test]
fn leaves_are_told_by_trees_themselves_and_not_by_what_is_around_them() {
    let has_leaves = |file: &str| model(file).methods().contains(&Method::Apply);
    for trees in
        ["sk-dtree-clf", "sk-rf-reg", "sk-extratrees", "sk-gbc", "sk19-forest-targets", "sk19-embedding"]
    {
        assert!(has_leaves(&format!("{trees}/model.joblib")), "{trees}");
    }
    for other in ["sk-adaboost", "sk-hgb-reg", "sk-iforest", "sk19-bagging-columns", "sk19-voting-hard"] {
        assert!(!has_leaves(&format!("{other}/model.joblib")), "{other}");
    }
    // A pipeline that ends with a forest.
    assert!(!has_leaves("mlflow-retail-pipeline/model"));
}

#[test]
fn what_a_model_was_saved_for_is_its_default() {
    assert_eq!(model("mlflow-wine-classifier-proba/model").default_method(), Method::PredictProba);
    assert_eq!(model("mlflow-retail-pipeline/model").default_method(), Method::Predict);
    assert_eq!(model("sk19-scaler-robust/model.joblib").default_method(), Method::Transform);
}

#[test]
fn classes_have_their_type() {
    assert_eq!(model("iris-svc/model.skops").classes(), Some(&Data::Long(vec![0, 1, 2])));
    let names = ["setosa", "versicolor", "virginica"].map(str::to_owned).to_vec();
    assert_eq!(model("iris-strlabels/model.joblib").classes(), Some(&Data::Text(names)));
    assert_eq!(model("sk19-logreg-bool/model.joblib").classes(), Some(&Data::Boolean(vec![false, true])));
    assert_eq!(model("sk-linreg/model.joblib").classes(), None);
}

#[test]
fn a_declared_signature_is_told_as_it_is() {
    let model = model("mlflow-retail-pipeline/model");
    let signature = model.signature();
    assert!(signature.is_declared);
    let Inputs::Columns(fields) = &signature.inputs else { panic!("columns") };
    let told: Vec<(&str, DataType, bool)> =
        fields.iter().map(|field| (field.name.as_str(), field.datatype, field.required)).collect();
    assert_eq!(
        told,
        [
            ("store_id", DataType::Long, true),
            ("category", DataType::String, true),
            ("price", DataType::Double, true),
            ("promotion", DataType::Long, true),
        ]
    );
    assert_eq!(signature.outputs[0].datatype, DataType::Double);
}

#[test]
fn without_a_declaration_the_model_itself_tells_what_it_takes() {
    let model = model("retail-hgb/model.joblib");
    let Inputs::Columns(fields) = &model.signature().inputs else { panic!("columns") };
    let told: Vec<String> = fields
        .iter()
        .map(|field| {
            let optional = if field.required { "" } else { "?" };
            format!("{}{optional}: {}", field.name, field.datatype.as_str())
        })
        .collect();
    assert!(!model.signature().is_declared);
    expect![[r#"
        price: double
        promotion: double
        day_of_week: double
        month: double
        store_id: long
        product_id: long
        category: string"#]]
    .assert_eq(&told.join("\n"));
    // Values may be missing, columns may not.
    let missing = || Values::Double(vec![f64::NAN]);
    let without_price = table(&[
        ("price", missing()),
        ("promotion", missing()),
        ("day_of_week", missing()),
        ("month", missing()),
        ("store_id", Values::Long(vec![1])),
        ("product_id", Values::Long(vec![101])),
        ("category", Values::Text([None].into_iter().collect())),
    ]);
    check(&model, &without_price, expect!["Double([25.626149669663214])"]);
    let without_columns =
        table(&[("store_id", Values::Long(vec![1])), ("product_id", Values::Long(vec![101]))]);
    let error = model.predict(Method::Predict, &without_columns).unwrap_err();
    let names = "`price`, `promotion`, `day_of_week`, `month`, `category`";
    assert_eq!(error.to_string(), format!("missing columns: {names}"));

    let svc = models::load(&fixtures().join("iris-svc/model.p0.pkl")).unwrap();
    assert_eq!(svc.signature().inputs, Inputs::Matrix { datatype: DataType::Double, n_columns: Some(4) });
}

#[test]
fn columns_that_nobody_looks_at_are_not_asked_for() {
    let model = model("retail-logit/model.joblib");
    let Inputs::Columns(fields) = &model.signature().inputs else { panic!("columns") };
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["price", "category", "promotion", "day_of_week"]);
}

#[test]
fn every_model_takes_its_own_example() {
    for entry in fixtures().read_dir().unwrap() {
        let case = Case::read(&entry.unwrap().path());
        for file in case.files.values() {
            let model = models::load(file).unwrap();
            let answer = model.predict(model.default_method(), model.example());
            assert!(answer.is_ok(), "{}: {answer:?}", case.name);
        }
    }
}

#[test]
fn an_example_that_was_saved_is_kept() {
    let model = model("mlflow-retail-pipeline/model");
    let models::Columns::Table(columns) = &model.example().columns else { panic!("a table") };
    assert_eq!(columns[1].values, Values::Text([Some("books"), Some("home")].into_iter().collect()));
    assert_eq!(columns[2].values, Values::Double(vec![17.21, 56.67]));
}

#[test]
fn an_example_is_made_of_what_the_model_was_fitted_with() {
    let model = model("retail-hgb/model.joblib");
    let models::Columns::Table(columns) = &model.example().columns else { panic!("a table") };
    let told: Vec<String> =
        columns.iter().map(|column| format!("{}: {:?}", column.name, column.values)).collect();
    expect![[r#"
        price: Double([30.72])
        promotion: Double([0.0])
        day_of_week: Double([0.0])
        month: Double([0.0])
        store_id: Long([1])
        product_id: Long([100])
        category: Text(Texts { bytes: "books", ends: [5], missing: [false] })"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn a_model_tells_where_it_came_from() {
    let model = model("retail-gbr/model.zlib.joblib");
    let description = model.description();
    assert_eq!(description.format, "joblib, zlib");
    assert_eq!(description.libraries, [("scikit-learn".to_owned(), "1.9.1".to_owned())]);
    assert_eq!(description.file_bytes, std::fs::metadata(&description.file).unwrap().len());
    assert_eq!(description.sha256.len(), 64);
    let part = |part: &models::Part| {
        let name = part.name.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        format!("{}{name}{}", "  ".repeat(part.depth), part.class)
    };
    let parts: Vec<String> = description.parts.iter().map(part).collect();
    expect![[r#"
        sklearn.pipeline.Pipeline
          prep: sklearn.compose._column_transformer.ColumnTransformer
            num: sklearn.preprocessing._data.StandardScaler
            cat: sklearn.preprocessing._encoders.OneHotEncoder
          model: sklearn.ensemble._gb.GradientBoostingRegressor"#]]
    .assert_eq(&parts.join("\n"));
}

#[test]
fn the_format_is_told_by_the_bytes() {
    let format = |path: &str| model(path).description().format.clone();
    assert_eq!(format("iris-svc/model.p0.pkl"), "pickle, protocol 0");
    assert_eq!(format("iris-svc/model.cloud.pkl"), "pickle, protocol 5");
    assert_eq!(format("iris-svc/model.gzip.joblib"), "joblib, gzip");
    assert_eq!(format("iris-svc/model.skops"), "skops 0.16.0");
    assert_eq!(format("mlflow-wine-elasticnet-skops/model"), "MLflow sklearn, skops 0.16.0");
}
