//! Forms of answers.

use super::*;

const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

fn asked(api: &Api, line: &str, accept: &str) -> (u16, Value) {
    let answer = send(api, line, &[("accept", accept)], "");
    (answer.status().as_u16(), value(answer))
}

#[test]
fn partial_metadata() {
    let api = with_config_maps(&["a"]);
    let (code, one) = asked(&api, &format!("GET {CONFIGMAPS}/a"), PARTIAL);
    assert_eq!(
        (code, &one["kind"], &one["apiVersion"]),
        (200, &json!("PartialObjectMetadata"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!((&one["metadata"]["name"], one.get("data")), (&json!("a"), None));
    let refused = asked(&api, &format!("GET {CONFIGMAPS}"), PARTIAL);
    expect!["406 NotAcceptable: you requested PartialObjectMetadata, but the requested object is a list (ConfigMapList)"].assert_eq(&message(&refused));
}

#[test]
fn partial_metadata_list() {
    let api = with_config_maps(&["a", "b"]);
    let (code, list) = asked(&api, &format!("GET {CONFIGMAPS}?limit=1"), PARTIAL_LIST);
    assert_eq!((code, &list["kind"]), (200, &json!("PartialObjectMetadataList")));
    assert_eq!(list["items"][0]["kind"], "PartialObjectMetadata");
    assert!(list["metadata"]["continue"].is_string());
    assert_eq!(asked(&api, &format!("GET {CONFIGMAPS}/a"), PARTIAL_LIST).0, 406);
}

#[test]
fn partial_metadata_patch() {
    let api = with_config_maps(&["a"]);
    let fields = [("accept", PARTIAL), ("content-type", MERGE)];
    let body = json!({"metadata": {"labels": {"a": "b"}}}).to_string();
    let patched = value(send(&api, &format!("PATCH {CONFIGMAPS}/a"), &fields, body));
    assert_eq!(
        (&patched["kind"], &patched["metadata"]["labels"]["a"]),
        (&json!("PartialObjectMetadata"), &json!("b"))
    );
    let deleted = value(send(&api, &format!("DELETE {CONFIGMAPS}/a"), &[("accept", PARTIAL)], ""));
    assert_eq!(deleted["kind"], "Status", "what is gone is told as it always is");
    write(&api, &format!("POST {SERVICES}"), JSON, &service("s"));
    let deleted = value(send(&api, &format!("DELETE {SERVICES}/s"), &[("accept", PARTIAL)], ""));
    assert_eq!((&deleted["kind"], deleted.get("spec")), (&json!("PartialObjectMetadata"), None));
}

#[test]
fn accept_yaml() {
    let api = with_config_maps(&["a"]);
    let mut map = config_map("b");
    map["data"] = json!({"yes": "no", "n": "1", "lines": "a: b\n- c\n", "empty": "", "quoted": "'\"#"});
    write(&api, &format!("POST {CONFIGMAPS}"), JSON, &map);
    let answer = send(&api, &format!("GET {CONFIGMAPS}/b"), &[("accept", "application/yaml")], "");
    assert_eq!(answer.headers()["content-type"], "application/yaml");
    let yaml = text(answer);
    assert!(yaml.contains("kind: ConfigMap\n"), "{yaml}");
    let read = manifest::read("answer", &yaml);
    assert_eq!(read.objects[0].value, get(&api, &format!("{CONFIGMAPS}/b")));
    let refused = send(&api, &format!("GET {CONFIGMAPS}/nobody"), &[("accept", "application/yaml")], "");
    assert!(text(refused).contains("reason: NotFound\n"));
}

#[test]
fn pretty() {
    let api = with_config_maps(&["a"]);
    let plain = text(send(&api, &format!("GET {CONFIGMAPS}/a"), &[], ""));
    assert_eq!(plain.lines().count(), 1);
    let pretty = text(send(&api, &format!("GET {CONFIGMAPS}/a?pretty=true"), &[], ""));
    assert!(
        pretty.starts_with("{\n  \"apiVersion\": \"v1\",\n  \"data\": {\n    \"k\": \"v\"\n  },"),
        "{pretty}"
    );
    assert_eq!(
        serde_json::from_str::<Value>(&pretty).unwrap(),
        serde_json::from_str::<Value>(&plain).unwrap()
    );
    let refused = text(send(&api, &format!("GET {CONFIGMAPS}/x?pretty=1"), &[], ""));
    assert!(
        refused.starts_with("{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {},\n"),
        "{refused}"
    );
    let curl = text(send(&api, &format!("GET {CONFIGMAPS}/a"), &[("user-agent", "curl/8.5.0")], ""));
    assert_eq!(curl, pretty);
}

#[test]
fn protobuf_accept_only() {
    let api = with_config_maps(&["a"]);
    let protobuf = |path: &str| {
        let answer =
            send(&api, &format!("GET {path}"), &[("accept", "application/vnd.kubernetes.protobuf")], "");
        assert_eq!(answer.headers()["content-type"], "application/vnd.kubernetes.protobuf");
        let code = answer.status().as_u16();
        let Body::Full(bytes) = answer.into_body() else { panic!("an answer that goes on") };
        assert!(bytes.starts_with(b"k8s\0"), "{bytes:?}");
        (code, bytes)
    };
    let (code, bytes) = protobuf(&format!("{CONFIGMAPS}/a"));
    let read = crate::api::protobuf::decode(&bytes).unwrap();
    assert_eq!((code, &read["kind"], &read["data"]), (200, &json!("ConfigMap"), &json!({"k": "v"})));
    assert_eq!(protobuf(CONFIGMAPS).0, 200);
    assert_eq!(protobuf(&format!("{CONFIGMAPS}/nobody")).0, 404);
}
