use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// What the reader makes of a text, as the tree that serde_json would make.
fn tree(text: &[u8]) -> Result<Value> {
    fn value(reader: &mut Reader<'_>) -> Result<Value> {
        match reader.peek()? {
            Kind::Object => {
                let mut object = serde_json::Map::new();
                let mut members = reader.object()?;
                while let Some(key) = members.next(reader)? {
                    object.insert(key.into_owned(), value(reader)?);
                }
                Ok(Value::Object(object))
            }
            Kind::Array => {
                let mut array = Vec::new();
                let mut items = reader.array()?;
                while items.next(reader)? {
                    array.push(value(reader)?);
                }
                Ok(Value::Array(array))
            }
            _ => Ok(match reader.scalar()? {
                Scalar::Null => Value::Null,
                Scalar::Boolean(value) => value.into(),
                Scalar::Long(value) => (value as f64).into(),
                Scalar::Double(value) => value.into(),
                Scalar::Text(text) => text.into_owned().into(),
            }),
        }
    }
    let mut reader = Reader::new(text);
    let value = value(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The same tree with every number a double, as the reader's callers see them.
fn with_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().unwrap().into(),
        Value::Array(items) => items.into_iter().map(with_doubles).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, with_doubles(value))).collect()
        }
        other => other,
    }
}

#[track_caller]
fn check_refused(text: &str, message: &str) {
    let mut reader = Reader::new(text.as_bytes());
    let error = reader.skip().and_then(|()| reader.end()).unwrap_err();
    assert_eq!(error.to_string(), message, "{text}");
    assert_eq!(tree(text.as_bytes()).unwrap_err(), error, "skipping and reading differ on {text}");
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    check_refused("", "the text ends where a value is expected at byte 0");
    check_refused("{", "the text ends where a string is expected at byte 1");
    check_refused("{not json", "expected a string, got `n` at byte 1");
    check_refused("{\"a\" 1}", "expected `:`, got `1` at byte 5");
    check_refused("{\"a\":1,}", "expected a string, got `}` at byte 7");
    check_refused("[1,]", "expected a value, got `]` at byte 3");
    check_refused("[1 2]", "expected `,` or `]`, got `2` at byte 3");
    check_refused("[1", "the text ends where `,` or `]` is expected at byte 2");
    check_refused("[1]]", "expected the end, got `]` at byte 3");
    check_refused("nul", "expected a value, got `n` at byte 0");
    check_refused("\u{a0}1", "expected a value, got byte 0xc2 at byte 0");
    check_refused("\"abc", "the text ends where the end of a string is expected at byte 4");
    check_refused("\"a\nb\"", "a control character in a string, which must be escaped at byte 2");
    for text in
        [r#""\x""#, r#""\u12"#, r#""\u12g4""#, r#""\ud800""#, r#""\ud800\u0041""#, r#""\udc00""#, r#""\"#]
    {
        check_refused(text, "an escape that JSON does not have at byte 1");
    }
}

#[test]
fn what_is_not_a_number_is_refused_with_its_place() {
    check_refused("01", "expected a number, got `1` at byte 1");
    check_refused("-", "the text ends where a digit is expected at byte 1");
    check_refused("-a", "expected a number, got `a` at byte 1");
    check_refused("1.", "the text ends where a digit is expected at byte 2");
    check_refused("1.e5", "expected a number, got `e` at byte 2");
    check_refused("1e+", "the text ends where a digit is expected at byte 3");
    check_refused("+1", "expected a value, got `+` at byte 0");
    check_refused("1e400", "a number that no double can hold at byte 0");
    check_refused(&"1".repeat(MAX_NUMBER_LENGTH + 1), "a number of more than 1200 bytes at byte 0");
}

#[test]
fn text_that_is_not_utf8_is_refused_with_its_place() {
    let error = Reader::new(b"\"ab\xff\"").text().unwrap_err();
    assert_eq!(error.to_string(), "a string that is not UTF-8 at byte 3");
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(Reader::new(nested(MAX_DEPTH).as_bytes()).skip().is_ok());
    check_refused(&nested(MAX_DEPTH + 1), "nested deeper than 64 levels at byte 64");
    check_refused(&"{\"a\":".repeat(1_000_000), "nested deeper than 64 levels at byte 320");
}

#[test]
fn whole_numbers_stay_whole() {
    let scalar = |text: &'static str| Reader::new(text.as_bytes()).scalar().unwrap();
    assert_eq!(scalar("9007199254740993"), Scalar::Long(9_007_199_254_740_993));
    assert_eq!(scalar("-9223372036854775808"), Scalar::Long(i64::MIN));
    assert_eq!(scalar("9223372036854775808"), Scalar::Double(9_223_372_036_854_775_808.0));
    assert_eq!(scalar("1e3"), Scalar::Double(1000.0));
    assert_eq!(scalar("-0"), Scalar::Long(0));
}

#[test]
fn words_that_python_writes_are_numbers() {
    let scalar = |text: &'static str| Reader::new(text.as_bytes()).scalar().unwrap();
    assert!(matches!(scalar("NaN"), Scalar::Double(value) if value.is_nan()));
    assert_eq!(scalar("Infinity"), Scalar::Double(f64::INFINITY));
    assert_eq!(scalar("-Infinity"), Scalar::Double(f64::NEG_INFINITY));
    check_refused("Nan", "expected a number, got `N` at byte 0");
    check_refused("-NaN", "expected a number, got `N` at byte 1");
}

#[test]
fn strings_without_escapes_are_not_copied() {
    assert!(matches!(
        Reader::new(r#""fixed acidity""#.as_bytes()).text(),
        Ok(Cow::Borrowed("fixed acidity"))
    ));
    let escaped = Reader::new(r#""a\u00e9\ud83d\ude00\n""#.as_bytes()).text().unwrap();
    assert_eq!(escaped, "a\u{e9}\u{1f600}\n");
}

/// Any JSON value, up to a few levels deep.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        proptest::num::f64::SUBNORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Texts that look like JSON, most of them broken somewhere.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\u00e9"),
        Just("\\"),
        Just("a"),
        Just("0"),
        Just("1"),
        Just("-"),
        Just("."),
        Just("e"),
        Just("E+5"),
        Just("true"),
        Just("null"),
        Just(" "),
        Just("\n"),
        Just("\"a\":"),
        Just("é"),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_serde_json_writes_reads_the_same(value in any_value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        prop_assert_eq!(tree(text.unwrap().as_bytes()).unwrap(), with_doubles(value));
    }

    #[test]
    fn what_serde_json_takes_and_refuses_so_do_we(text in nearly_json()) {
        let expected = serde_json::from_str::<Value>(&text).ok().map(with_doubles);
        prop_assert_eq!(tree(text.as_bytes()).ok(), expected);
    }

    #[test]
    fn numbers_are_rounded_as_serde_json_rounds_them(text in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?") {
        let expected = serde_json::from_str::<f64>(&text).ok().map(f64::to_bits);
        let ours = Reader::new(text.as_bytes()).scalar().ok().map(|scalar| match scalar {
            // Python's -0 is the integer 0.
            Scalar::Long(0) => expected.unwrap(),
            Scalar::Long(value) => (value as f64).to_bits(),
            Scalar::Double(value) => value.to_bits(),
            other => panic!("{other:?}"),
        });
        prop_assert_eq!(ours, expected);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = tree(&bytes);
    }
}
