use super::*;
use proptest::prelude::*;
use serde_json::json;

fn value(text: &str) -> Result<Value, String> {
    parse(text).map(|(value, _)| value).map_err(|errors| errors[0].message.clone())
}

#[test]
fn documents_are_split_where_a_line_begins_with_a_marker() {
    let text = "# Source: a.yaml\r\n---\r\n# only this\r\n---\r\na: 1\r\n...\r\n%YAML 1.1\r\n--- # b\r\nb: |\r\n  ---\r\n---x\r\n";
    let found: Vec<(u32, &str)> = documents(text).map(|it| (it.first_line, it.text)).collect();
    assert_eq!(found, [(4, "---\r\na: 1\r\n...\r\n"), (8, "--- # b\r\nb: |\r\n  ---\r\n---x\r\n"),]);
}

#[test]
fn merge_keys_give_what_a_map_does_not_have_itself() {
    let text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\none:\n  b: own\n  <<: *base\nboth:\n  <<: [*more, *base]\nquoted: {'<<': 1}\n";
    let read = value(text).unwrap();
    assert_eq!(read["one"], json!({"a": 1, "b": "own"}));
    assert_eq!(read["both"], json!({"a": 1, "b": 3, "c": 4}));
    assert_eq!(read["quoted"], json!({"<<": 1}));
    let (_, places) = parse(text).unwrap();
    assert_eq!(places.shifted(0)["one.a"], (5, 3));
    for wrong in ["<<: 1", "<<: [1]", "<<:"] {
        assert_eq!(value(wrong), Err("not YAML: `<<` takes a map, or a list of maps".to_owned()), "{wrong}");
    }
}

#[test]
fn keys_are_texts_and_stand_once() {
    assert_eq!(
        value("80: a\ntrue: b\n'': c\n? d\n: e\n"),
        Ok(json!({"80": "a", "true": "b", "": "c", "d": "e"}))
    );
    assert_eq!(value("a: &k x\n*k : z\n"), Ok(json!({"a": "x", "x": "z"})));
    for (text, problem) in [
        ("a: 1\nb: 2\na: 3", "duplicate key: the map has `a` already"),
        ("~: 1", "not YAML: a key is missing here"),
        (": 1", "not YAML: a key is missing here"),
        ("[a]: 1", "not YAML: a key is a list or map, not a text"),
        ("{a: 1}: 1", "not YAML: a key is a list or map, not a text"),
        ("a: &a [*a]", "not YAML: the alias stands inside of what it stands for"),
        ("a: 1\n--- \nb: 1", "not YAML: a second document begins where one is read"),
    ] {
        assert_eq!(value(text), Err(problem.to_owned()), "{text}");
    }
}

#[test]
fn a_hundred_levels_are_read_and_one_more_is_not() {
    let flow = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let block =
        |levels: usize| -> String { (0..levels).map(|level| format!("{}a:\n", " ".repeat(level))).collect() };
    let dashes = |levels: usize| "- ".repeat(levels);
    let mixed = |levels: usize| format!("{}{}", "- ".repeat(levels / 2), flow(levels - levels / 2));
    let aliased = |levels: usize| format!("- &a {}\n- {}*a{}", flow(levels - 2), "[", "]");
    // What is merged is as deep as the map it comes from would be inside of the one it goes to.
    let merged = |levels: usize| format!("- &a {{x: {}}}\n- <<: *a\n", flow(levels - 3));
    for (name, make) in [
        ("flow", &flow as &dyn Fn(usize) -> String),
        ("block", &block),
        ("dashes", &dashes),
        ("mixed", &mixed),
        ("aliased", &aliased),
        ("merged", &merged),
    ] {
        assert!(parse(&make(MAX_DEPTH)).is_ok(), "{name}");
        let error = &parse(&make(MAX_DEPTH + 1)).map(|_| ()).unwrap_err()[0];
        assert_eq!(error.problem, Problem::TooDeep, "{name}: {}", error.message);
    }
    assert_eq!(parse(&flow(200)).map(|_| ()).unwrap_err()[0].column, 101);
    assert_eq!(parse(&block(200)).map(|_| ()).unwrap_err()[0].line, 101);
}

#[test]
fn copies_for_aliases_have_a_bound() {
    let numbers = "1, ".repeat(9_000);
    let anchors: String = (0..30).map(|n| format!("&x{n} [")).collect();
    let nested = format!("{anchors}{numbers}{}", "]".repeat(30));
    assert!(value(&nested).unwrap_err().contains("more than 200000 values"));
    let text = format!("- &a {}\n{}", "x".repeat(1 << 20), "- *a\n".repeat(40));
    assert!(value(&text).unwrap_err().contains("bytes of text"));
}

fn any_yaml() -> impl Strategy<Value = String> {
    prop_oneof![
        r"([ \-:{}\[\]a&*'|>#,1\n]|a: |- |\? ){0,40}",
        prop::collection::vec(
            r"( ){0,6}(- |a: |b: |'c': |[a-d]: )?([a-z0-9]{1,3}|\[1, a\]|\{a: 1\}|&x y|\*x|'q'|\|)?",
            1..8
        )
        .prop_map(|lines| lines.join("\n")),
    ]
}

proptest! {
    /// The library's own reader, which takes much stack for each level, is the oracle.
    #[test]
    fn values_are_what_the_library_reads(text in any_yaml()) {
        let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
        let oracle = serde_saphyr::from_str_with_options::<Value>(&text, options);
        match (value(&text), oracle) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (Err(ours), Ok(theirs)) => prop_assert!(is_stricter(&ours), "{}: {}", ours, theirs),
            _ => {}
        }
    }
}

/// What is refused here on purpose, and taken by the library.
fn is_stricter(message: &str) -> bool {
    ["a key is missing", "`<<` takes", "as its tag says", "a second document"]
        .iter()
        .any(|part| message.contains(part))
}
