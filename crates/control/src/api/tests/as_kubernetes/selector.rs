//! Selectors of labels and fields.

use super::*;

fn selected(api: &Api, query: &str) -> Result<Vec<String>, String> {
    let answer = send(api, &format!("GET {CONFIGMAPS}?{query}"), &[], "");
    let code = answer.status().as_u16();
    let list = value(answer);
    let Some(items) = list["items"].as_array() else { return Err(message(&(code, list))) };
    Ok(items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect())
}

fn numbered() -> Api {
    let api = api();
    for (name, label) in [("la", "x"), ("lb", "4"), ("lc", "3"), ("ld", "5")] {
        let mut map = config_map(name);
        map["metadata"]["labels"] = json!({"lab": "", "n": label});
        write(&api, &format!("POST {CONFIGMAPS}"), JSON, &map);
    }
    api
}

#[test]
fn label_lab_n_above_4() {
    assert_eq!(selected(&numbered(), "labelSelector=lab,n%3E4").unwrap(), ["ld"]);
}

#[test]
fn label_lab_n_below_5() {
    assert_eq!(selected(&numbered(), "labelSelector=lab,n%3C4").unwrap(), ["lc"]);
    let refused = selected(&numbered(), "labelSelector=n%3Cx").unwrap_err();
    assert!(refused.contains("for 'Gt', 'Lt' operators, the value must be an integer"), "{refused}");
}

#[test]
fn label_refused_bad_x() {
    let refused = selected(&numbered(), "labelSelector=-bad%3Dx").unwrap_err();
    assert!(refused.starts_with("400 BadRequest: unable to parse requirement: <nil>: Invalid value: \"-bad\": name part must consist of"), "{refused}");
}

#[test]
fn label_refused_a_b_c_x() {
    let refused = selected(&numbered(), "labelSelector=a/b/c%3Dx").unwrap_err();
    assert!(refused.starts_with("400 BadRequest: unable to parse requirement"), "{refused}");
}

#[test]
fn field_unsupported() {
    let api = numbered();
    expect![[r#"400 BadRequest: "data.k" is not a known field selector: only "metadata.name", "metadata.namespace""#]]
    .assert_eq(&selected(&api, "fieldSelector=data.k%3Dv").unwrap_err());
    let pods = get(&api, "/api/v1/pods?fieldSelector=spec.bogus%3D1");
    assert_eq!(
        (&pods["code"], &pods["message"]),
        (&json!(400), &json!("field label not supported: spec.bogus"))
    );
    for known in ["status.phase%3DRunning", "spec.nodeName%3D", "spec.hostNetwork%3Dfalse"] {
        assert!(get(&api, &format!("/api/v1/pods?fieldSelector={known}"))["items"].is_array(), "{known}");
    }
}
