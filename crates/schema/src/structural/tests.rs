use serde_json::json;

use super::*;

fn told(schema: &Value, value: &Value) -> Vec<String> {
    let problems = Checker::default().problems(schema, value);
    problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
}

#[test]
fn values_are_compared_with_each_word_of_a_schema() {
    for (schema, value, expected) in [
        (
            json!({"type": "string"}),
            json!(1),
            r#"a: Invalid value: "integer": a in body must be of type string: "integer""#,
        ),
        (
            json!({"type": "integer"}),
            json!(1.5),
            r#"a: Invalid value: "number": a in body must be of type integer: "number""#,
        ),
        (json!({"type": "integer"}), json!(2.0), ""),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            r#"a: Invalid value: "boolean": a in body must be of type integer,string: "boolean""#,
        ),
        (json!({"type": "string", "nullable": true}), Value::Null, ""),
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!("c"),
            r#"a: Unsupported value: "c": supported values: "a", "b""#,
        ),
        (
            json!({"type": "string", "pattern": "^\\d+$"}),
            json!("x1"),
            r#"a: Invalid value: "x1": a in body should match '^\d+$'"#,
        ),
        (json!({"type": "string", "pattern": "^[\\w.[-]+$"}), json!("a[.b"), ""),
        (
            json!({"type": "string", "maxLength": 2}),
            json!("abc"),
            "a: Too long: may not be more than 2 bytes",
        ),
        (
            json!({"type": "string", "minLength": 2}),
            json!("é"),
            r#"a: Invalid value: "é": a in body should be at least 2 chars long"#,
        ),
        (
            json!({"type": "number", "minimum": 1}),
            json!(0),
            "a: Invalid value: 0: a in body should be greater than or equal to 1",
        ),
        (
            json!({"type": "number", "maximum": 1, "exclusiveMaximum": true}),
            json!(1),
            "a: Invalid value: 1: a in body should be less than 1",
        ),
        (json!({"type": "number", "multipleOf": 0.1}), json!(0.3), ""),
        (
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
            json!([]),
            "a: Invalid value: 0: a in body should have at least 1 items",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}),
            json!(["a", "b"]),
            "a: Too many: 2: must have at most 1 items",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}),
            json!(["a", "a"]),
            r#"a[1]: Duplicate value: "a""#,
        ),
        (json!({"type": "object", "required": ["b"]}), json!({}), "a.b: Required value"),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"k": 1}),
            r#"a.k: Invalid value: "integer": a.k in body must be of type string: "integer""#,
        ),
        (
            json!({"type": "object", "oneOf": [{"required": ["b"]}, {"required": ["c"]}]}),
            json!({"b": 1, "c": 2}),
            r#"a: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives"#,
        ),
        (
            json!({"type": "object", "anyOf": [{"required": ["b"]}, {"required": ["c"]}]}),
            json!({}),
            r#"a: Invalid value: "": "a" must validate at least one schema (anyOf)"#,
        ),
        (
            json!({"type": "string", "not": {"enum": ["a"]}}),
            json!("a"),
            r#"a: Invalid value: "a": "a" must not validate the schema (not)"#,
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("noon"),
            r#"a: Invalid value: "noon": a in body must be of type date-time: "noon""#,
        ),
        (json!({"type": "string", "format": "date-time"}), json!("2026-12-01T10:00:00.5+01:00"), ""),
    ] {
        let whole = json!({"type": "object", "properties": {"a": schema}});
        assert_eq!(told(&whole, &json!({"a": value})).join("; "), expected, "{schema} {value}");
    }
}

#[test]
fn formats_hold_or_not() {
    for (format, good, bad) in [
        ("date", "2024-02-29", "2023-02-29"),
        ("ipv4", "10.0.0.1", "10.0.0"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
        ("uuid", "0d5a5a4e-6bd0-4f0e-8a55-4a3c6d4c1f11", "0d5a5a4e"),
        ("byte", "YQ==", "Y"),
        ("duration", "1h30m", "soon"),
        ("hostname", "a.example.com", "-a"),
        ("email", "a@example.com", "a"),
        ("mac", "01:23:45:67:89:ab", "01:23"),
        ("uri", "https://example.com/a", "not a uri"),
    ] {
        assert!(formats::holds(format, good) && !formats::holds(format, bad), "{format}");
    }
    assert!(formats::holds("of-my-own", "anything"));
}

#[test]
fn a_schema_that_is_not_structural_is_refused() {
    let problems = check(
        &json!({"properties": {
            "a": {},
            "b": {"type": "array"},
            "c": {"type": "object", "properties": {"d": {"type": "string"}}, "additionalProperties": {"type": "string"}},
            "e": {"type": "string", "pattern": "("},
            "f": {"$ref": "#/x", "type": "string"},
            "g": {"type": "object", "anyOf": [{"type": "object"}]},
        }}),
        "spec.schema",
    );
    let told: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
    assert_eq!(
        told,
        [
            "spec.schema.type: Required value: must not be empty at the root",
            "spec.schema.properties[a].type: Required value: must not be empty for specified object fields",
            "spec.schema.properties[b].items: Required value: must be specified",
            "spec.schema.properties[c].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
            "spec.schema.properties[e].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: unclosed group",
            "spec.schema.properties[f].$ref: Forbidden: $ref is not supported",
            "spec.schema.properties[g].anyOf[0].type: Forbidden: must be empty to be structural",
        ]
    );
}

#[test]
fn a_default_has_to_be_good_itself() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}});
    let problems = check(&schema, "s");
    assert_eq!(problems[0].field, "s.properties[a].default");
}

#[test]
fn fields_that_are_not_known_are_taken_out_and_named() {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "embedded": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {}},
        }},
    }});
    let mut value = json!({
        "apiVersion": "a/v1", "kind": "A", "metadata": {"name": "a"},
        "spec": {"list": [{"a": "x", "b": 1}], "free": {"any": {"thing": 1}}, "more": 1,
            "embedded": {"apiVersion": "v1", "kind": "B", "metadata": {}, "c": 1}},
    });
    assert_eq!(prune(&schema, &mut value), ["spec.embedded.c", "spec.list[0].b", "spec.more"]);
    assert_eq!(value["spec"]["free"], json!({"any": {"thing": 1}}));
    assert_eq!(value["metadata"], json!({"name": "a"}));
}

#[test]
fn defaults_are_filled_in_below_what_is_there() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "object", "default": {}, "properties": {"b": {"type": "integer", "default": 1}}},
        "c": {"type": "object", "properties": {"d": {"type": "integer", "default": 1}}},
        "e": {"type": "string"},
        "n": {"type": "string", "nullable": true, "default": "x"},
    }});
    let mut value = json!({"e": null, "n": null});
    fill(&schema, &mut value);
    assert_eq!(value, json!({"a": {"b": 1}, "n": null}));
}

#[test]
fn no_more_is_filled_in_than_anybody_needs() {
    let long = "x".repeat(1 << 20);
    let item = json!({"type": "object", "properties": {"a": {"type": "string", "default": long}}});
    let schema = json!({"type": "object", "properties": {"list": {"type": "array", "items": item}}});
    let mut value = json!({"list": (0..100).map(|_| json!({})).collect::<Vec<_>>()});
    assert!(!fill(&schema, &mut value));
    let filled = value["list"].as_array().unwrap().iter().filter(|item| item.get("a").is_some()).count();
    assert!((1..10).contains(&filled), "{filled}");
}

#[test]
fn words_with_something_else_behind_them_are_refused() {
    let told = |schema: Value| check(&schema, "s").first().map(|it| format!("{}: {}", it.field, it.message));
    let wrong = told(json!({"type": "object", "properties": []}));
    assert_eq!(wrong.unwrap(), "s.properties: Invalid value: []: must be a map");
    assert!(told(json!({"type": "object", "required": "a"})).is_some());
    assert_eq!(told(json!({"type": "object", "required": ["a"]})), None);
}

#[test]
fn what_takes_too_long_is_refused() {
    let branches: Vec<Value> = (0..5000).map(|n| json!({"required": [n.to_string()]})).collect();
    let item = json!({"type": "object", "anyOf": branches});
    let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": item}}});
    let items: Vec<Value> = (0..5000).map(|_| json!({"4999": 1})).collect();
    let problems = Checker::default().problems(&schema, &json!({"a": items}));
    assert_eq!(problems[0].message, "it takes too long to be compared with its schema");
}
