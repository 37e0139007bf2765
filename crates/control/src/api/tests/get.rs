//! What `kubectl get` and `logs` show.

use super::*;

#[test]
fn acc_s3_90_get_shows_a_table() {
    let api = api();
    for name in ["b", "a"] {
        write(&api, &format!("POST {SERVICES}"), JSON, &service(name));
    }
    let table = value(send(&api, &format!("GET {SERVICES}?limit=500"), &[("accept", TABLE)], ""));
    assert_eq!((&table["kind"], &table["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
    let names: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]);
    assert_eq!(table["columnDefinitions"][6]["priority"], 1);
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][1]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["rows"][1]["object"]["metadata"]["namespace"], "default");
    let one = value(send(&api, &format!("GET {SERVICES}/a?includeObject=Object"), &[("accept", TABLE)], ""));
    assert_eq!(one["rows"][0]["object"]["spec"]["type"], "ClusterIP");
    let list = get(&api, &format!("{SERVICES}?limit=500"));
    assert_eq!((&list["kind"], list["items"].as_array().unwrap().len()), (&json!("ServiceList"), 2));
    assert!(list["metadata"]["resourceVersion"].is_string());
}

#[test]
fn lists_are_selected_by_labels_and_fields() {
    let api = api();
    for (name, tier) in [("a", "web"), ("b", "db"), ("c", "web")] {
        let mut body = service(name);
        body["metadata"]["labels"] = json!({"tier": tier});
        write(&api, &format!("POST {SERVICES}"), JSON, &body);
    }
    let names = |query: &str| -> Vec<Value> {
        let list = get(&api, &format!("{SERVICES}?{query}"));
        list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].clone()).collect()
    };
    assert_eq!(names("labelSelector=tier%3Dweb"), ["a", "c"]);
    assert_eq!(names("fieldSelector=metadata.name%3Db"), ["b"]);
    assert_eq!(
        names("labelSelector=tier+notin+%28web%29&fieldSelector=metadata.name%21%3Db"),
        Vec::<Value>::new()
    );
    assert_eq!(get(&api, &format!("{SERVICES}?labelSelector=a%20b"))["code"], 400);
}

#[test]
fn logs_are_those_of_a_container() {
    let api = api();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]}});
    write(&api, "POST /api/v1/namespaces/default/pods", JSON, &pod);
    let log =
        |query: &str| get(&api, &format!("/api/v1/namespaces/default/pods/p/log?{query}"))["message"].clone();
    assert_eq!(log(""), "a container name must be specified for pod p, choose one of: [a b]");
    assert_eq!(log("container=c"), "container c is not valid for pod p");
    assert_eq!(log("container=a"), "there are no logs here: nothing runs on this machine");
    assert_eq!(log("container=a&tailLines=x"), "`tailLines` is `x`, not a whole number from 0");
    assert_eq!(get(&api, "/api/v1/namespaces/default/pods/q/log")["message"], "pods \"q\" not found");
}
