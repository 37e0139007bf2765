use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

fn services() -> Value {
    json!({"kind": "List", "items": [
        {"metadata": {"name": "api", "namespace": "mlops", "annotations": {"a.b/c": "dotted", "x": "1"}},
            "spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443, "name": "https"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}},
        {"metadata": {"name": "web", "namespace": "default"}, "spec": {"ports": [{"port": 8080, "weight": 0.5}], "paused": true},
            "status": {}},
    ]})
}

fn check(template: &str, expected: &Expect) {
    let said = match template.parse::<Template>() {
        Ok(template) => template.render(&services()).unwrap_or_else(|error| format!("error: {error}")),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&said);
}

#[test]
fn acc_s0_26_fields_by_dot_and_by_bracket() {
    check("{.kind}", &expect!["List"]);
    check("{$.kind}", &expect!["List"]);
    check("{@.kind}", &expect!["List"]);
    check("{['kind']}", &expect!["List"]);
    check("{ .kind }", &expect!["List"]);
    check(".kind", &expect!["List"]);
    check("{.items[0].metadata.name}", &expect!["api"]);
    check("{.items[-1].metadata.name}", &expect!["web"]);
    check("{.items[0].metadata.annotations['a.b/c']}", &expect!["dotted"]);
    check(r"{.items[0].metadata.annotations.a\.b/c}", &expect!["dotted"]);
    check("kind is {.kind}, name {.items[0].metadata.name}!", &expect!["kind is List, name api!"]);
}

#[test]
fn missing_things_are_nothing() {
    check("{.nobody}{.items[0].nobody.at[3].all}", &expect![""]);
    check("{.items[*].status.conditions[*].nobody}", &expect![""]);
    check("{.items[7]}", &expect!["error: array index out of bounds: index 7, length 2"]);
    check("{.items[-3]}", &expect!["error: array index out of bounds: index -3, length 2"]);
    check("{.kind[0]}", &expect!["error: a text is not a list and cannot be indexed"]);
    check("{.kind[?(@.a)]}", &expect!["error: a text is not a list and cannot be filtered"]);
}

#[test]
fn several_values_have_spaces_between_them() {
    check("{.items[*].metadata.name}", &expect!["api web"]);
    check("{.items.*.metadata.name}", &expect!["api web"]);
    check("{.items[*].spec.ports[*].port}", &expect!["80 443 8080"]);
    check("{.items[0].metadata['name','namespace']}", &expect!["api mlops"]);
    check("{.items[0,1].metadata.name}", &expect!["api web"]);
    check("{..port}", &expect!["80 443 8080"]);
    check("{.items[1].spec}", &expect![[r#"{"paused":true,"ports":[{"port":8080,"weight":0.5}]}"#]]);
    check("{.items[1].spec.paused} {.items[1].spec.ports[0].weight}", &expect!["true 0.5"]);
}

#[test]
fn slices_take_some() {
    check("{.items[0].spec.ports[0:1].port}", &expect!["80"]);
    check("{.items[0].spec.ports[1:].port}", &expect!["443"]);
    check("{.items[0].spec.ports[:-1].port}", &expect!["80"]);
    check("{.items[0].spec.ports[::2].port}", &expect!["80"]);
    check("{.items[0].spec.ports[-2:9].port}", &expect!["80 443"]);
}

#[test]
fn acc_s2_39_filters_find_a_condition() {
    check("{.items[0].status.conditions[?(@.type=='Ready')].status}", &expect!["True"]);
    check(r#"{.items[0].status.conditions[?(@.type=="Ready")].status}"#, &expect!["True"]);
    check(r#"{.items[0].status.conditions[?( @.type != "Ready" )].type}"#, &expect!["Other"]);
    check("{.items[?(@.spec.paused)].metadata.name}", &expect!["web"]);
    check("{.items[?(@.spec.paused==true)].metadata.name}", &expect!["web"]);
    check("{.items[*].spec.ports[?(@.port>80)].port}", &expect!["443 8080"]);
    check("{.items[*].spec.ports[?(@.port<=443)].name}", &expect!["http https"]);
    check("{.items[?(@.spec.ports[0].port==80)].metadata.name}", &expect!["api"]);
    check("{.items[*].spec.ports[?(@.name==80)].port}", &expect![""]);
    check("{.items[?(@.spec.ports[?(@.name=='https')])].metadata.name}", &expect!["api"]);
}

#[test]
fn ranges_repeat_what_is_between() {
    check(
        r#"{range .items[*]}{.metadata.name}{"\t"}{.metadata.namespace}{"\n"}{end}{.kind}"#,
        &expect!["api\tmlops\nweb\tdefault\nList"],
    );
    check(
        "{range .items[*]}{.metadata.name}:{range .spec.ports[*]} {.port}{end};{end}",
        &expect!["api: 80 443;web: 8080;"],
    );
    check("{range .nobody[*]}x{end}y", &expect!["y"]);
    check(r#"{"text"}{'it''s'}"#, &expect!["texts"]);
}

#[test]
fn errors_point_at_the_place() {
    check(
        "{.items[0}",
        &expect![[r#"
            unclosed bracket in the jsonpath
              {.items[0}
                     ^"#]],
    );
    check(
        "{.kind",
        &expect![[r#"
            unclosed action in the jsonpath
              {.kind
                    ^"#]],
    );
    check(
        "{kind}",
        &expect![[r#"
            unrecognised word `kind`: a field begins with a dot in the jsonpath
              {kind}
               ^"#]],
    );
    check(
        "x{end}",
        &expect![[r#"
            an {end} without a range in the jsonpath
              x{end}
               ^"#]],
    );
    check(
        "{range .items[*]}x",
        &expect![[r#"
            a range without {end} in the jsonpath
              {range .items[*]}x
                                ^"#]],
    );
    check(
        "{.items[name]}",
        &expect![[r#"
            `n` within brackets: names are quoted there in the jsonpath
              {.items[name]}
                      ^"#]],
    );
    check(
        "{.items[?(@.a=~'b')]}",
        &expect![[r#"
            unrecognised character `~` in the jsonpath
              {.items[?(@.a=~'b')]}
                            ^"#]],
    );
    check(
        "{.a['b]}",
        &expect![[r#"
            unterminated quoted string in the jsonpath
              {.a['b]}
                  ^"#]],
    );
    check(
        "{.items[0:1:0]}",
        &expect![[r#"
            a step is at least 1 in the jsonpath
              {.items[0:1:0]}
                      ^"#]],
    );
}

#[test]
fn what_stands_in_itself_has_a_bound() {
    let filters = format!("{{.a{}", "[?(@".repeat(20_000));
    assert!(filters.parse::<Template>().unwrap_err().problem.starts_with("too many filters"));
    let ranges = "{range .a}".repeat(20_000);
    assert!(ranges.parse::<Template>().unwrap_err().problem.starts_with("too many ranges"));
    let template: Template = format!("{{{}}}", "..".repeat(40)).parse().unwrap();
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([deep]);
    }
    assert!(matches!(template.render(&deep), Err(EvaluateError::TooMany { .. })));
}

proptest! {
    #[test]
    fn any_text_may_be_a_template(text in r#"[{}.\[\]*?()@$='"\\a0:,<> -]{0,32}|\PC{0,32}"#) {
        if let Ok(template) = text.parse::<Template>() {
            let _ = template.render(&services());
        }
    }

    #[test]
    fn text_without_braces_stands_for_itself(text in "[^{}.$]{0,32}") {
        prop_assert_eq!(text.parse::<Template>().unwrap().render(&json!({})).unwrap(), text);
    }

    #[test]
    fn every_name_can_be_reached_in_three_ways(name in "[^\\pC\\s]{1,12}") {
        let object = json!({name.clone(): "found"});
        let quoted = name.replace('\\', r"\\").replace('\'', r"\'");
        let escaped: String = name.chars().flat_map(|c| ['\\', c]).collect();
        for template in [format!("{{['{quoted}']}}"), format!("{{.{escaped}}}"), format!("{{.['{quoted}']}}")] {
            prop_assert_eq!(template.parse::<Template>().unwrap().render(&object).unwrap(), "found", "{}", template);
        }
    }
}
