use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;
use crate::{Batching, Column as Named, Values};

const RETAIL: &str = r#"
name: retail-sales
version: v1.0
features:
  - {name: store_id, type: long}
  - {name: category, type: string, default: food}
  - {name: price, type: double, default: 20}
  - {name: date, type: datetime, default: "2024-01-01"}
  - {name: day_of_week, from: date, part: day_of_week}
  - {name: month, from: date, part: month}
  - {name: currency, value: EUR}
"#;

fn features(text: &str) -> Features {
    parse(text).unwrap().features.unwrap()
}

fn batch(columns: Vec<(&str, Values)>) -> Batch {
    let column = |(name, values): (&str, Values)| Named { name: name.to_owned(), values };
    Batch::table(columns.into_iter().map(column).collect())
}

fn texts(texts: &[Option<&str>]) -> Values {
    Values::Text(texts.iter().copied().collect())
}

/// What the model gets of a batch, one line per column.
#[expect(clippy::needless_pass_by_value, reason = "`expect!` is written in place")]
fn check(features: &Features, batch: &Batch, expected: Expect) {
    let shown = match features.apply(batch) {
        Err(error) => format!("{:?} {:?}: {error}", error.row, error.column),
        Ok(named) => {
            let line = |(name, column): (&str, Column<'_>)| {
                let cells = (0..batch.n_rows).map(|row| column.cell(row).show());
                format!("{name} = {}", cells.collect::<Vec<_>>().join(", "))
            };
            named.into_iter().map(line).collect::<Vec<_>>().join("\n")
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn the_file_names_the_model() {
    let settings = parse(RETAIL).unwrap();
    assert_eq!((settings.name.as_deref(), settings.version.as_deref()), (Some("retail-sales"), Some("v1.0")));
}

#[test]
fn the_file_may_hold_rows_to_try() {
    let example = |text: &str| parse(text).map(|settings| settings.example.unwrap());
    let rows = example("example: {columns: [a, b], data: [[1, x], [2, null]]}").unwrap();
    assert_eq!(rows, batch(vec![("a", Values::Long(vec![1, 2])), ("b", texts(&[Some("x"), None]))]));
    let numbers = example("example: {inputs: [[6.8, 2.8], [6.0, 3.4]]}").unwrap();
    assert_eq!(numbers, Batch::matrix(2, vec![6.8, 2.8, 6.0, 3.4]));
    assert!(
        example("example: {columns: [a], data: [[1], [1, 2]]}").unwrap_err().contains("rows of one length")
    );
}

#[test]
fn gaps_are_filled_and_dates_are_taken_apart() {
    let rows = batch(vec![
        ("store_id", Values::Long(vec![1, 2])),
        ("date", texts(&[Some("2024-03-09"), None])),
        ("price", Values::Double(vec![f64::NAN, 3.5])),
        ("category", texts(&[Some("toys"), None])),
        ("unknown", Values::Boolean(vec![true, false])),
    ]);
    check(
        &features(RETAIL),
        &rows,
        expect![[r#"
            store_id = 1, 2
            category = toys, food
            price = 20, 3.5
            date = 2024-03-09, 2024-01-01
            day_of_week = 5, 0
            month = 3, 1
            currency = EUR, EUR
            unknown = true, false"#]],
    );
}

#[test]
fn defaults_stand_for_columns_that_are_not_there() {
    let rows = batch(vec![("store_id", Values::Long(vec![1]))]);
    check(
        &features(RETAIL),
        &rows,
        expect![[r#"
            store_id = 1
            category = food
            price = 20
            date = 2024-01-01
            day_of_week = 0
            month = 1
            currency = EUR"#]],
    );
}

#[test]
fn what_cannot_be_missing_is_named() {
    let rows = batch(vec![("price", Values::Long(vec![1]))]);
    check(&features(RETAIL), &rows, expect!["None None: missing columns: `store_id`"]);
}

#[test]
fn a_column_of_gaps_takes_the_type_of_its_default() {
    let rows = batch(vec![("store_id", Values::Long(vec![1])), ("category", Values::Double(vec![f64::NAN]))]);
    let named = features(RETAIL);
    let named = named.apply(&rows).unwrap();
    assert_eq!(named[1].1.cell(0), Cell::Text("food"));
}

#[test]
fn a_bad_date_is_refused_with_row_and_column() {
    let rows =
        batch(vec![("store_id", Values::Long(vec![1, 1])), ("date", texts(&[None, Some("tomorrow")]))]);
    check(
        &features(RETAIL),
        &rows,
        expect![[r#"Some(1) Some("date"): expected an ISO 8601 date, got `tomorrow`"#]],
    );
    let rows = batch(vec![("store_id", Values::Long(vec![1])), ("date", Values::Long(vec![20_240_101]))]);
    check(
        &features(RETAIL),
        &rows,
        expect![[r#"Some(0) Some("date"): expected an ISO 8601 date, got 20240101"#]],
    );
}

#[test]
fn a_date_without_default_leaves_its_parts_missing() {
    let text = "features: [{name: date, type: datetime}, {name: month, from: date, part: month}]";
    let mut features = features(text);
    features.require(&HashSet::new(), &HashSet::new());
    let rows = batch(vec![("date", texts(&[Some("2024-05-01"), None]))]);
    check(
        &features,
        &rows,
        expect![[r#"
            date = 2024-05-01, a missing value
            month = 5, a missing value"#]],
    );
    let rows = batch(vec![("other", Values::Long(vec![1]))]);
    check(&features, &rows, expect!["other = 1"]);
    features.require(&HashSet::from(["month"]), &HashSet::new());
    check(&features, &rows, expect!["None None: missing columns: `date`"]);
}

#[test]
fn mistakes_in_the_file_are_named_with_their_place() {
    let problem = |text: &str| parse(text).unwrap_err();
    for (text, expected) in [
        ("treshold: 0.3", "`treshold` is not a key that is known here; did you mean `threshold`?"),
        (
            "runtime: x",
            "`runtime` is not a key that is known here; the keys are `name`, `version`, `features`, `columns`, `example`, \
             `method`, `threshold`, `max_batch_size`, `max_batch_time`",
        ),
        (
            "features: [{name: a, typ: long}]",
            "features[0]: `typ` is not a key that is known here; did you mean `type`?",
        ),
        ("features: [{name: a}, {name: a}]", "features[1] (`a`): the name is taken"),
        (
            "features: [{name: a, type: int}]",
            "features[0] (`a`): `int` is none of boolean, integer, long, float, double, string, binary, datetime, any",
        ),
        ("features: [{name: a, type: long, default: x}]", "features[0] (`a`): the default is no `long`"),
        (
            "features: [{name: a, type: datetime, default: x}]",
            "features[0] (`a`): the default is no `datetime`",
        ),
        (
            "features: [{name: a, from: b, part: month}]",
            "features[0] (`a`): `from` names `b`, which is neither a feature that is given nor one made before",
        ),
        (
            "features: [{name: b}, {name: a, from: b, part: moon}]",
            "features[1] (`a`): `part` is `moon`, which is none of day, day_of_week, day_of_year, hour, is_weekend, \
             month, quarter, week, year",
        ),
        ("features: [{name: a, part: month}]", "features[0] (`a`): `part` needs `from`"),
        (
            "features: [{name: b}, {name: a, from: b, value: 1}]",
            "features[1] (`a`): it is made by one of `from` (and maybe `part`), `expression` and `value`",
        ),
        (
            "features: [{name: b}, {name: a, expression: b * c}]",
            "features[1] (`a`): `expression` names `c`, which is neither a feature that is given nor one made before",
        ),
        (
            "features: [{name: b}, {name: a, expression: b *}]",
            "features[1] (`a`): the expression ends where a number, a column or `(` should be",
        ),
        (
            "features: [{name: a, value: 1, default: 2}]",
            "features[0] (`a`): a feature that is made has neither `type` nor `default`",
        ),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn a_key_without_a_value_is_not_read_as_one_that_is_not_there() {
    let problem = |text: &str| parse(text).unwrap_err();
    for (text, expected) in [
        ("threshold:\nname: a", "`threshold` has no value; write `threshold: 0.3`, or leave it out"),
        ("threshold: null", "`threshold` has no value; write `threshold: 0.3`, or leave it out"),
        ("name: ~", "`name` has no value; write `name: retail-sales`, or leave it out"),
        ("method:", "`method` has no value; write `method: predict_proba`, or leave it out"),
        (
            "features:",
            "`features` has no value; write `features: [{name: price, type: double}]`, or leave it out",
        ),
        (
            "features: [{name: a}, {name: b, default: }]",
            "features[1]: `default` has no value; write `default: 29.99`, or leave it out",
        ),
        ("features: [{name: \"\"}]", "features[0] (``): the name is empty"),
    ] {
        assert_eq!(problem(text), expected);
    }
    assert!(parse("# nothing yet\n").is_ok());
}

#[test]
fn a_name_that_no_path_can_have_is_refused() {
    for (text, expected) in [
        ("name: \"\"", "`name` is empty; name the model, or leave the key out"),
        ("name: \" \"", "`name` is empty; name the model, or leave the key out"),
        ("name: a/b", "`name` is `a/b`, and a `/` cannot stand in a part of a path; write `name: a-b`"),
        (
            "version: 1/2",
            "`version` is `1/2`, and a `/` cannot stand in a part of a path; write `version: 1-2`",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), expected);
    }
    assert_eq!(parse("name: Retail sales").unwrap().name.as_deref(), Some("Retail sales"));
}

#[test]
fn a_feature_that_no_column_of_the_model_needs_is_refused_with_the_nearest_column() {
    let features = features(RETAIL);
    let check = |columns: &[&str]| features.check_needed(&columns.iter().copied().collect());
    assert_eq!(
        check(&["store_id", "category", "price", "day_of_week", "month", "currency", "other"]),
        Ok(())
    );
    assert_eq!(
        check(&["store_id", "category", "prize", "day_of_week", "month", "currency"]).unwrap_err(),
        "features[2] (`price`): the model has no such column, and none of its columns is made of it; did you mean `prize`?"
    );
    // What a column is made of is needed, and what is made for nobody is not.
    assert_eq!(
        check(&["store_id", "category", "price", "month", "currency"]).unwrap_err(),
        "features[4] (`day_of_week`): the model has no such column, and none of its columns is made of it; the columns of the model are `category`, `currency`, `month`, `price`, `store_id`"
    );
}

#[test]
fn columns_are_renamed_and_computed() {
    let text = r#"
features:
  - {name: price, type: double}
  - {name: discount, type: double, default: 0}
  - {name: date, type: datetime}
  - {name: "unit cost", type: double, default: 4}
  - {name: month, from: date, part: month}
  - {name: reduced, expression: price * (1 - discount)}
  - {name: margin, expression: "clip(reduced - `unit cost`, 0, 100) * (month / 12)"}
  - {name: cost, from: reduced}
"#;
    let mut step = features(text);
    let rows = batch(vec![
        ("price", Values::Long(vec![10, 20])),
        ("discount", Values::Double(vec![0.5, f64::NAN])),
        ("date", texts(&[Some("2024-06-01"), None])),
    ]);
    check(
        &step,
        &rows,
        expect![[r#"
            price = 10, 20
            discount = 0.5, 0
            date = 2024-06-01, a missing value
            unit cost = 4, 4
            month = 6, a missing value
            reduced = 5, 20
            margin = 0.5, a missing value
            cost = 5, 20"#]],
    );
    step.require(&HashSet::from(["margin"]), &HashSet::from(["month"]));
    let takes_missing =
        |name: &str| step.fields().iter().any(|field| field.name == name && field.takes_missing);
    assert_eq!(["price", "date"].map(takes_missing), [true, false]);
    let required: Vec<&str> =
        step.given.iter().filter(|given| given.is_required).map(|given| given.name.as_str()).collect();
    assert_eq!(required, ["price", "date"]);
    let rows = batch(vec![("price", texts(&[Some("cheap")])), ("date", texts(&[None]))]);
    check(&step, &rows, expect![[r#"Some(0) Some("price"): expected a number, got the text `cheap`"#]]);
}

#[test]
fn the_file_may_say_how_requests_are_joined() {
    let batching = |text: &str| parse(text).map(|settings| settings.batching);
    let joined = Batching { max_rows: 64, max_delay: Duration::from_millis(2) };
    assert_eq!(batching("max_batch_size: 64\nmax_batch_time: 0.002"), Ok(Some(joined)));
    assert_eq!(batching("max_batch_size: 64"), Ok(Some(Batching { max_delay: Duration::ZERO, ..joined })));
    assert_eq!(batching("name: a"), Ok(None));
    for seconds in ["-1", "61", ".nan", "1e300"] {
        let problem = batching(&format!("max_batch_time: {seconds}")).unwrap_err();
        assert!(problem.starts_with("`max_batch_time`: expected seconds, from 0 to 60"), "{problem}");
    }
}
