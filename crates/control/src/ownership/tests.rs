use expect_test::expect;

use super::*;

fn kind(name: &str) -> &'static Kind {
    manifest::kind_named(name).unwrap()
}

fn manager(name: &str, operation: Operation) -> Manager {
    Manager { name: name.to_owned(), operation, api_version: "v1".to_owned(), subresource: String::new() }
}

fn applied(
    kind_name: &str,
    live: Option<&Value>,
    wanted: &Value,
    by: &str,
    is_forced: bool,
) -> Result<Value, Status> {
    let applier = manager(by, Operation::Apply);
    apply(kind(kind_name), live, wanted, &applier, is_forced, Timestamp::UNIX_EPOCH)
}

/// What each manager owns, a line for each.
fn told(object: &Value) -> String {
    let managers = Managers::read(&object["metadata"]["managedFields"]).unwrap_or_default();
    let lines = managers.0.iter().map(|entry| {
        let operation = if entry.manager.operation == Operation::Apply { "applies" } else { "updates" };
        format!("{} {operation} {}", entry.manager.name, entry.paths.told().join(" "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn pod(containers: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}})
}

fn map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

#[test]
fn who_applies_owns_what_he_says_and_loses_what_he_drops() {
    let first = applied("ConfigMap", None, &map(&json!({"a": "1", "b": "2"})), "m", false).unwrap();
    expect!["m applies .data.a .data.b"].assert_eq(&told(&first));
    let second = applied("ConfigMap", Some(&first), &map(&json!({"b": "3"})), "m", false).unwrap();
    assert_eq!(second["data"], json!({"b": "3"}));
    let nothing =
        applied("ConfigMap", Some(&second), &json!({"metadata": {"name": "c"}}), "m", false).unwrap();
    assert_eq!((nothing.get("data"), told(&nothing).as_str()), (None, ""));
}

#[test]
fn what_two_apply_stays_when_one_drops_it() {
    let both = applied("ConfigMap", None, &map(&json!({"a": "1", "b": "2"})), "m1", false).unwrap();
    let both = applied("ConfigMap", Some(&both), &map(&json!({"a": "1"})), "m2", false).unwrap();
    let one = applied("ConfigMap", Some(&both), &map(&json!({"b": "2"})), "m1", false).unwrap();
    assert_eq!(one["data"], json!({"a": "1", "b": "2"}));
    expect![[r#"
        m1 applies .data.b
        m2 applies .data.a"#]]
    .assert_eq(&told(&one));
}

#[test]
fn who_says_otherwise_is_refused_unless_he_insists() {
    let first = applied("ConfigMap", None, &map(&json!({"a": "1", "b": "1"})), "m1", false).unwrap();
    let refused = applied("ConfigMap", Some(&first), &map(&json!({"a": "2"})), "m2", false).unwrap_err();
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"m1\": .data.a");
    let refused =
        applied("ConfigMap", Some(&first), &map(&json!({"a": "2", "b": "2"})), "m2", false).unwrap_err();
    expect![[r#"
        Apply failed with 2 conflicts: conflicts with "m1":
        - .data.a
        - .data.b"#]]
    .assert_eq(&refused.message);
    let forced = applied("ConfigMap", Some(&first), &map(&json!({"a": "2"})), "m2", true).unwrap();
    assert_eq!(forced["data"], json!({"a": "2", "b": "1"}));
    expect![[r#"
        m1 applies .data.b
        m2 applies .data.a"#]]
    .assert_eq(&told(&forced));
    let again =
        applied("ConfigMap", Some(&forced), &map(&json!({"a": "1", "b": "1"})), "m1", false).unwrap_err();
    assert_eq!(again.reason, Reason::Conflict);
}

#[test]
fn lists_are_merged_in_the_order_of_structured_merge_diff() {
    let names = |object: &Value| -> Vec<String> {
        let containers = object["spec"]["containers"].as_array().unwrap();
        containers.iter().map(|container| container["name"].as_str().unwrap().to_owned()).collect()
    };
    let containers =
        |names: &[&str]| -> Value { names.iter().map(|name| json!({"name": name, "image": "x"})).collect() };
    let main = applied("Pod", None, &pod(&containers(&["main"])), "m1", false).unwrap();
    let both = applied("Pod", Some(&main), &pod(&containers(&["side"])), "m2", false).unwrap();
    assert_eq!(names(&both), ["main", "side"]);
    let three = applied("Pod", Some(&both), &pod(&containers(&["side", "last"])), "m2", false).unwrap();
    assert_eq!(names(&three), ["main", "side", "last"]);
    let turned = applied("Pod", Some(&three), &pod(&containers(&["last", "side"])), "m2", false).unwrap();
    assert_eq!(names(&turned), ["main", "last", "side"]);
    let dropped = applied("Pod", Some(&turned), &pod(&containers(&["last"])), "m2", false).unwrap();
    assert_eq!(names(&dropped), ["main", "last"]);
    expect![[r#"
        m1 applies .spec.containers[name="main"] .spec.containers[name="main"].image .spec.containers[name="main"].name
        m2 applies .spec.containers[name="last"] .spec.containers[name="last"].image .spec.containers[name="last"].name"#]]
    .assert_eq(&told(&dropped));
}

#[test]
fn keys_of_items_know_what_is_left_out() {
    let ports = |ports: &Value| pod(&json!([{"name": "main", "ports": ports}]));
    let live =
        ports(&json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]));
    let wanted = ports(&json!([{"containerPort": 53, "name": "dns"}]));
    let merged = applied("Pod", Some(&live), &wanted, "m", false).unwrap();
    assert_eq!(
        merged["spec"]["containers"][0]["ports"],
        json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP", "name": "dns"}])
    );
}

#[test]
fn an_update_takes_what_it_changes() {
    let first = applied("ConfigMap", None, &map(&json!({"a": "1", "b": "1"})), "m1", false).unwrap();
    let mut changed = first.clone();
    changed["data"]["a"] = json!("2");
    let given = changed["metadata"]["managedFields"].clone();
    let editor = manager("editor", Operation::Update);
    update(kind("ConfigMap"), Some(&first), &mut changed, Some(&given), &editor, Timestamp::UNIX_EPOCH);
    expect![[r#"
        m1 applies .data.b
        editor updates .data.a"#]]
    .assert_eq(&told(&changed));
    let refused = applied("ConfigMap", Some(&changed), &map(&json!({"a": "1"})), "m1", false).unwrap_err();
    assert_eq!(refused.message, "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.a");
    assert_eq!(refused.details.unwrap().causes[0].field, ".data.a");
}

#[test]
fn of_many_who_update_the_oldest_become_one() {
    let mut object = map(&json!({}));
    for n in 0..14 {
        let old = object.clone();
        object["data"][format!("k{n:02}")] = json!("v");
        let editor = manager(&format!("e{n:02}"), Operation::Update);
        let now = Timestamp::from_second(n).unwrap();
        update(kind("ConfigMap"), Some(&old), &mut object, None, &editor, now);
    }
    let told = told(&object);
    assert_eq!(told.lines().count(), UPDATED);
    assert!(told.starts_with("ancient-changes updates .data.k00 .data.k01"), "{told}");
}

const UPDATED: usize = 10;

#[test]
fn kubectl_takes_over_what_it_applied_as_a_client() {
    let mut live = map(&json!({"a": "1", "b": "1"}));
    live["metadata"]["annotations"] = json!({(LAST_APPLIED): map(&json!({"a": "1"})).to_string()});
    let client = manager("kubectl-client-side-apply", Operation::Update);
    update(kind("ConfigMap"), None, &mut live, None, &client, Timestamp::UNIX_EPOCH);
    let refused =
        applied("ConfigMap", Some(&live), &map(&json!({"a": "2", "b": "2"})), "kubectl", false).unwrap_err();
    assert_eq!(refused.details.unwrap().causes.len(), 1, "only what it did not apply");
    let merged = applied("ConfigMap", Some(&live), &map(&json!({"a": "2"})), "kubectl", false).unwrap();
    let kept = merged["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
    assert!(kept.contains("\"a\":\"2\""), "{kept}");
    assert!(applied("ConfigMap", Some(&live), &map(&json!({"a": "2"})), "other", false).is_err());
}

#[test]
fn what_an_earlier_build_kept_is_taken_over() {
    let mut object = map(&json!({"a": "1"}));
    let applied = json!({"m1": map(&json!({"a": "1"})), "m1/status": {"status": {"x": 1}}});
    object["metadata"]["annotations"] = json!({"forebay.dev/applied": applied.to_string()});
    migrate(kind("ConfigMap"), &mut object);
    assert_eq!(object["metadata"].get("annotations"), None);
    expect![[r#"
        m1 applies .data.a
        m1 applies .status.x"#]]
    .assert_eq(&told(&object));
}

#[test]
fn clients_are_told_what_is_kept_as_text() {
    let mut object =
        applied("ConfigMap", None, &map(&json!({"managedFields": "x", "a\"b": "1"})), "m", false).unwrap();
    assert!(object["metadata"]["managedFields"].is_string());
    let text = unfolded_text(&object);
    unfold(&mut object);
    assert_eq!(object["metadata"]["managedFields"][0]["manager"], "m");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), object);
    unfold(&mut object);
    assert_eq!(unfolded_text(&object), object.to_string());
}

#[test]
fn items_have_to_be_told_apart() {
    let refused =
        |containers: &Value| applied("Pod", None, &pod(containers), "m", false).unwrap_err().message;
    expect![[r#"failed to create typed patch object (/p; v1, Kind=Pod): .spec.containers[name="a"].ports: duplicate entries for key [containerPort=80,protocol="TCP"]"#]]
    .assert_eq(&refused(&json!([{"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]}])));
    expect![[r#"failed to create typed patch object (/p; v1, Kind=Pod): .spec.containers: element 0: associative list with keys has an element that omits key field "name" (and doesn't have default value)"#]]
    .assert_eq(&refused(&json!([{"image": "a"}])));
}

#[test]
fn what_is_nobodys_stays_when_the_last_label_beside_it_is_dropped() {
    let labelled = |labels: &Value| json!({"metadata": {"name": "c", "labels": labels}, "data": {"x": "1"}});
    let mut live = applied("ConfigMap", None, &labelled(&json!({"a": "b"})), "m", false).unwrap();
    live["metadata"]["namespace"] = json!("n");
    let dropped = json!({"metadata": {"name": "c"}, "data": {"x": "1"}});
    let bare = applied("ConfigMap", Some(&live), &dropped, "m", false).unwrap();
    assert_eq!((&bare["metadata"]["name"], &bare["metadata"]["namespace"]), (&json!("c"), &json!("n")));
    assert_eq!(bare["metadata"].get("labels"), None);
    live["metadata"]["labels"]["of"] = json!("nobody");
    let left = applied("ConfigMap", Some(&live), &dropped, "m", false).unwrap();
    assert_eq!(left["metadata"]["labels"], json!({"of": "nobody"}));
}
