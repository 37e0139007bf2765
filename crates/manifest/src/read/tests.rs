use super::*;
use crate::render;
use expect_test::{Expect, expect};
use proptest::prelude::*;

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: mlops}\nspec: {}\n";

/// Compares what was read, one object a line, and then the findings as people see them.
#[track_caller]
fn check(text: &str, expected: &Expect) {
    let read = read("f.yaml", text);
    let objects = read.objects.iter().map(|object| format!("{}\n", object.reference()));
    let findings = read.findings.iter().map(|finding| render(finding, false));
    expected.assert_eq(&objects.chain(findings).collect::<String>());
}

#[test]
fn acc_s3_20_empty_documents_and_end_markers_are_nothing() {
    let text = format!("---\n# only a comment\n---\n{SERVICE}---\n---\n\n...\n");
    check(&text, &expect![["Service mlops/a\n"]]);
}

#[test]
fn acc_s2_10_a_bare_config_map_says_what_it_probably_is() {
    let text = "apiVersion: v1\nkind: ConfigMap\ndata:\n  platform.example.com: \"\"\n...\n";
    check(
        text,
        &expect![[r#"
            error[fragment FB020]: metadata.name is missing: this is a fragment of a ConfigMap, not an object
              --> f.yaml:1:1
               |  apiVersion: v1
               |  ^
              fix: metadata: {name: config-domain, namespace: knative-serving}   (did you mean the map of domains?)
        "#]],
    );
}

#[test]
fn acc_s3_118_a_fragment_without_name_is_offered_as_a_change() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  annotations: {a: b}\nspec:\n  externalTrafficPolicy: Local\n";
    check(
        text,
        &expect![[r#"
            error[fragment FB020]: metadata.name is missing: this is a fragment of a Service, not an object
              --> f.yaml:3:1
               |  metadata:
               |  ^
              fix: add metadata.name, or apply it as a change: kubectl patch service NAME --patch-file FILE
        "#]],
    );
}

#[test]
fn acc_s1_22_an_old_ingress_is_shown_as_a_new_one() {
    let text = "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: web}\nspec:\n  rules:\n  - http:\n      paths:\n      - path: /a\n        backend: {serviceName: api, servicePort: 80}\n  backend: {serviceName: api, servicePort: http}\n";
    check(
        text,
        &expect![[r#"
            error[api-version-unsupported]: Ingress in extensions/v1beta1 is not served since Kubernetes 1.22
              --> f.yaml:1:1
               |  apiVersion: extensions/v1beta1
               |  ^
              fix: apiVersion: networking.k8s.io/v1
                   kind: Ingress
                   metadata:
                     name: web
                   spec:
                     defaultBackend:
                       service:
                         name: api
                         port:
                           name: http
                     rules:
                     - http:
                         paths:
                         - backend:
                             service:
                               name: api
                               port:
                                 number: 80
                           path: /a
                           pathType: ImplementationSpecific
        "#]],
    );
}

#[test]
fn a_broken_document_costs_only_itself() {
    let text = format!(
        "{SERVICE}---\nkind: [\n---\napiVersion: v1\nkind: Service\nkind: Pod\n---\njust text\n---\n- 1\n"
    );
    check(
        &text,
        &expect![[r#"
            Service mlops/a
            error[document-invalid]: not YAML: unclosed bracket '['
              --> f.yaml:6:7
               |  kind: [
               |        ^
            error[document-invalid]: duplicate key: the map has `kind` already
              --> f.yaml:10:1
               |  kind: Pod
               |  ^
            error[document-invalid]: this is the text `just text`, not an object with `apiVersion` and `kind`
              --> f.yaml:12:1
               |  just text
               |  ^
            error[document-invalid]: this is a list, not an object with `apiVersion` and `kind`
              --> f.yaml:14:1
               |  - 1
               |  ^
        "#]],
    );
}

#[test]
fn annotations_that_are_not_text_must_be_quoted() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations:\n    a/b: true\n    a/c:\n  labels:\n    port: 80\n";
    check(
        text,
        &expect![[r#"
            error[field-invalid]: annotation `a/b` is the boolean `true`: annotations are text, so quote it
              --> f.yaml:6:5
               |  a/b: true
               |  ^
              fix: a/b: "true"
            error[field-invalid]: label `port` is the number `80`: labels are text, so quote it
              --> f.yaml:9:5
               |  port: 80
               |  ^
              fix: port: "80"
        "#]],
    );
}

#[test]
fn unknown_kinds_are_named_once_and_mistyped_ones_corrected() {
    let text = "{apiVersion: a/v1, kind: X, metadata: {name: a}}\n---\n{apiVersion: a/v1, kind: X, metadata: {name: b}}\n---\n{apiVersion: v1, kind: Sevice, metadata: {name: a}}\n---\n{apiVersion: autoscaling/v2beta2, kind: HorizontalPodAutoscaler, metadata: {name: a}}\n";
    check(
        text,
        &expect![[r#"
            info[kind-ignored]: kind `X` of a/v1 is not known here: its objects are left out
              --> f.yaml:1:20
               |  {apiVersion: a/v1, kind: X, metadata: {name: a}}
               |                     ^
            error[kind-unknown]: no kind `Sevice` in v1: this object is left out
              --> f.yaml:5:18
               |  {apiVersion: v1, kind: Sevice, metadata: {name: a}}
               |                   ^
              fix: kind: Service
            error[api-version-unsupported]: HorizontalPodAutoscaler in autoscaling/v2beta2 is not served here
              --> f.yaml:7:2
               |  {apiVersion: autoscaling/v2beta2, kind: HorizontalPodAutoscaler, metadata: {name: a}}
               |   ^
              fix: apiVersion: autoscaling/v2
        "#]],
    );
}

#[test]
fn who_writes_what_would_run_or_route_elsewhere_is_warned() {
    let kinds = [
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("networking.istio.io/v1beta1", "VirtualService"),
        ("serving.knative.dev/v1", "Service"),
        ("serving.kserve.io/v1alpha1", "InferenceGraph"),
        ("security.istio.io/v1", "AuthorizationPolicy"),
        ("security.istio.io/v1", "PeerAuthentication"),
        ("cilium.io/v2", "CiliumNetworkPolicy"),
        ("projectcalico.org/v3", "NetworkPolicy"),
        ("kyverno.io/v1", "ClusterPolicy"),
        ("constraints.gatekeeper.sh/v1beta1", "K8sRequiredLabels"),
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
        ("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy"),
        ("cert-manager.io/v1", "Certificate"),
        ("storage.k8s.io/v1", "StorageClass"),
        ("serving.kserve.io/v1alpha1", "ServingRuntime"),
        ("events.k8s.io/v1", "Event"),
    ];
    let line = |(version, kind): &(&str, &str)| {
        let text = format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: a}}}}");
        let read = read("f", &text);
        let objects = read.objects.into_iter().collect();
        let (defaults, now) = (crate::Defaults::default(), jiff::Timestamp::UNIX_EPOCH);
        let finding = crate::findings_of_files(read.findings, &objects, &defaults, now).remove(0);
        let advice = finding.suggestion.unwrap_or_default();
        format!("{} {}: {} [{advice}]\n", finding.severity.as_str(), finding.code, finding.message)
    };
    expect![[r#"
        warning kind-ignored: HTTPRoute `a` routes nothing here [write it as an Ingress]
        warning kind-ignored: VirtualService `a` of networking.istio.io/v1beta1 routes nothing here [write it as an Ingress]
        warning kind-ignored: Service `a` of serving.knative.dev/v1 is not run here [write it as an InferenceService, or as a Deployment with a Service and an Ingress]
        warning kind-ignored: InferenceGraph `a` is not run here [write each of its models as an InferenceService]
        warning protection-missing: AuthorizationPolicy `a`: protects nothing here: what it would refuse is let in [refuse requests with the conditions of an Ingress's rules, or in front of the load balancer]
        warning protection-missing: PeerAuthentication `a` of security.istio.io/v1 encrypts nothing here: connections are plain, and nobody has to show a certificate [keep the platform on loopback, or end TLS in front of it]
        warning protection-missing: CiliumNetworkPolicy `a` of cilium.io/v2 filters nothing here: nobody is kept from the pods that it selects [keep the platform on loopback, or put a firewall in front of it]
        warning protection-missing: NetworkPolicy `a` of projectcalico.org/v3 filters nothing here: nobody is kept from the pods that it selects [keep the platform on loopback, or put a firewall in front of it]
        warning protection-missing: ClusterPolicy `a` of kyverno.io/v1 checks nothing here: objects that it would refuse are taken [check manifests before they are applied: kyverno apply POLICY --resource MANIFEST]
        warning protection-missing: K8sRequiredLabels `a` of constraints.gatekeeper.sh/v1beta1 checks nothing here: objects that it would refuse are taken [check manifests before they are applied: gator test --filename FOLDER]
        warning protection-missing: ValidatingAdmissionPolicyBinding `a` of admissionregistration.k8s.io/v1 checks nothing here: objects that it would refuse are taken [check manifests before they are applied]
        warning protection-missing: SecurityPolicy `a` of gateway.envoyproxy.io/v1alpha1 protects nothing here: what it would refuse is let in [refuse requests with the conditions of an Ingress's rules, or in front of the load balancer]
        warning kind-ignored: Certificate `a` of cert-manager.io/v1 makes nothing here [write its certificate and key as a Secret, and name that in spec.tls of the Ingress]
        warning field-invalid: `provisioner` is missing; Kubernetes refuses it []
        warning kind-ignored: ServingRuntime `a`: no runtime is chosen from it: the formats that forebay reads have one runtime, which is forebay [name the format of the model in the InferenceService, and leave the runtime out]
        info kind-ignored: kind `Event` of events.k8s.io/v1 is not known here: its objects are left out []
    "#]].assert_eq(&kinds.iter().map(line).collect::<String>());
}

#[test]
fn a_kind_in_a_group_that_does_not_have_it_is_an_error() {
    for (version, kind, right) in [
        ("v1", "Deployment", "apps/v1"),
        ("apps/v1", "Service", "v1"),
        ("extensions/v1beta1", "Deployment", "apps/v1"),
        ("app/v1", "Deployment", "apps/v1"),
        ("v1", "InferenceService", "serving.kserve.io/v1beta1"),
        ("networking.k8s/v1", "Ingress", "networking.k8s.io/v1"),
    ] {
        let text = format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: a}}}}");
        let finding = &read("f", &text).findings[0];
        assert_eq!(finding.code, "api-version-unsupported", "{version} {kind}");
        assert_eq!(finding.suggestion.as_deref(), Some(&*format!("apiVersion: {right}")));
    }
}

#[test]
fn names_that_could_become_paths_are_refused() {
    for name in ["../etc", "a/b", "A", "a..b", "-a", "a_b", "a b", ".", "é"] {
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name:?}}}\n");
        assert!(read("f", &text).objects.is_empty(), "{name}");
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, namespace: {name:?}}}\n");
        assert!(read("f", &text).objects.is_empty(), "{name}");
    }
    let role =
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'system:node'}\n";
    assert_eq!(read("f", role).objects.len(), 1);
}

#[test]
fn lists_stand_for_their_items_and_json_is_read_with_places() {
    let text = r#"{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}},
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b", "annotations": {"x.y/z": "\ud83d"}}}
]}
{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"},
	"stringData": {"tab": "\ud83d\ude00"}}"#;
    let text = text.replace(r"\ud83d}", "}").replace(r#""\ud83d""#, r#""v""#);
    let read = read("f.json", &text);
    let names: Vec<String> = read.objects.iter().map(|object| object.reference().to_string()).collect();
    assert_eq!(names, ["Service default/a", "Service default/b", "Secret default/c"]);
    let place = |object: usize, path: &str| read.objects[object].locate(path).map(|at| (at.line, at.column));
    assert_eq!(place(1, "metadata.annotations[\"x.y/z\"]"), Some((3, 85)));
    assert_eq!(place(0, "metadata.name"), Some((2, 56)));
    assert_eq!(read.objects[2].value["stringData"]["tab"], "\u{1f600}");
    assert!(super::read("f.json", r#"{"kind": "a", "kind": "b"}"#).findings[0].message.contains("duplicate"));
}

#[test]
fn names_that_are_no_text_are_not_missing() {
    check(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: 123\n  namespace: on\n",
        &expect![[r#"
        error[field-invalid]: metadata.name is the number `123`, not a text
          --> f.yaml:4:3
           |  name: 123
           |  ^
          fix: put it in quotes
        error[field-invalid]: metadata.namespace is the boolean `true`, not a text
          --> f.yaml:5:3
           |  namespace: on
           |  ^
          fix: put it in quotes
    "#]],
    );
}

#[test]
fn whatever_stands_twice_in_a_document_is_told() {
    check(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  name: b\nspec:\n  type: ClusterIP\n  ports: []\n  type: NodePort\n",
        &expect![[r#"
            error[document-invalid]: duplicate key: the map has `name` already
              --> f.yaml:5:3
               |  name: b
               |  ^
            error[document-invalid]: duplicate key: the map has `type` already
              --> f.yaml:9:3
               |  type: NodePort
               |  ^
        "#]],
    );
}

#[test]
fn a_name_that_is_no_text_hides_no_label_that_is_none() {
    let text =
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: 123\n  labels: {a: 1}\n  annotations: {b: true}\n";
    let fields: Vec<String> = read("f.yaml", text).findings.into_iter().map(|it| it.message).collect();
    assert_eq!(fields.len(), 3, "{fields:?}");
}

#[test]
fn a_template_is_told_from_broken_yaml() {
    check(
        "a: {{ .Values.x }}\n---\n{{- if .Values.y }}\na: b\n---\na: {b\n",
        &expect![[r#"
        error[document-invalid]: not YAML: a key is a list or map, not a text
          --> f.yaml:1:5
           |  a: {{ .Values.x }}
           |      ^
          fix: render the template first: helm template CHART | forebay check -
        error[document-invalid]: not YAML: "-" is only valid inside a block
          --> f.yaml:3:3
           |  {{- if .Values.y }}
           |    ^
          fix: render the template first: helm template CHART | forebay check -
        error[document-invalid]: not YAML: unclosed bracket '{'
          --> f.yaml:6:4
           |  a: {b
           |     ^
    "#]],
    );
}

#[test]
fn messages_are_not_as_long_as_what_they_are_about() {
    let long = "K".repeat(1 << 20);
    for text in [
        format!("apiVersion: v1\nkind: {long}\n"),
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {long}}}\n"),
        format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  annotations: {{? {long} : 1}}\n"),
    ] {
        assert!(render(&read("f", &text).findings[0], false).len() < 4_000);
    }
}

#[test]
fn byte_order_marks_are_no_part_of_a_manifest() {
    let mark = "\u{feff}";
    for text in [
        format!("{mark}{SERVICE}"),
        format!("{mark}---\n{SERVICE}"),
        format!("{mark}{{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {{\"name\": \"a\"}}}}"),
        format!("{mark}# a\r\n{mark}---\r\n{mark}{SERVICE}"),
        format!("---\n{mark}{SERVICE}"),
    ] {
        let read = read("f.yaml", &text);
        assert_eq!(read.findings, [], "{text:?}");
        assert_eq!(read.objects.len(), 1, "{text:?}");
    }
    let broken = read("f.yaml", &format!("{mark}kind: [\n"));
    assert_eq!(broken.findings[0].location.as_ref().unwrap().to_string(), "f.yaml:1:7");
}

#[test]
fn lists_may_be_empty_in_lists_and_of_one_kind() {
    let service = "{apiVersion: v1, kind: Service, metadata: {name: a}}";
    let text = format!(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items: [{service}]\n---
apiVersion: v1\nkind: List\nitems:\n---
apiVersion: v1\nkind: List\n---
apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {{name: b}}\n- metadata: {{name: A}}\n---
apiVersion: v1\nkind: List\nitems: {{}}\n"
    );
    check(
        &text,
        &expect![[r#"
            Service default/a
            Service default/b
            error[field-invalid]: metadata.name `A` is not a name of lower-case letters, digits and `-` with at most 63 characters
              --> f.yaml:19:14
               |  - metadata: {name: A}
               |               ^
            error[document-invalid]: `items` is a map, not a list
              --> f.yaml:23:1
               |  items: {}
               |  ^
        "#]],
    );
}

#[test]
fn the_objects_of_a_list_have_the_lines_that_they_stand_on() {
    let item = "- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec: {}\n";
    let n_items = 2_000;
    let text = format!("# first\n---\napiVersion: v1\nkind: List\nitems:\n{}", item.repeat(n_items));
    let read = read("f.yaml", &text);
    assert_eq!(read.objects.len(), n_items);
    let last = read.objects.last().unwrap();
    let place = last.locate("metadata.name").unwrap();
    assert_eq!((place.line, place.column, place.text.as_str()), (8_004, 14, "  metadata: {name: a}"));
    assert_eq!(last.source.as_ref().unwrap().places.len(), 6);
    let kept: usize = read.objects.iter().map(|object| object.source.as_ref().unwrap().text.len()).sum();
    assert!(kept < 2 * text.len(), "{kept} bytes of {}", text.len());
}

#[test]
fn findings_about_one_file_have_a_bound() {
    let text = format!("{}---\n{SERVICE}", "---\n1\n".repeat(MAX_FINDINGS + 10));
    let read = read("f.yaml", &text);
    assert_eq!((read.objects.len(), read.findings.len()), (1, MAX_FINDINGS + 1));
    assert!(read.findings[MAX_FINDINGS].message.contains("more wrong"));
}

#[test]
fn the_objects_on_one_line_do_not_have_a_copy_of_it_each() {
    let item = r#"{"apiVersion": "apps/v1", "kind": "Nothing", "metadata": {"name": "a"}}"#;
    let items = vec![item; 2_000].join(",");
    let items = items.replacen("Nothing", "Deployment", 1_000);
    let read = read("f.json", &format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{items}]}}"#));
    assert_eq!((read.objects.len(), read.findings.len()), (1_000, 1));
    assert!(read.findings[0].location.as_ref().unwrap().text.len() <= 1_000);
    assert!(read.objects.iter().all(|object| object.source.as_ref().unwrap().text.len() <= 1_000));
}

#[test]
fn fields_know_their_places_and_aliases_stand_where_they_are_used() {
    let text = "# first\n---\napiVersion: v1\nkind: Service\nmetadata: &m\n  name: a\n  labels: &l {app: a}\nspec:\n  selector: *l\n  ports:\n  - port: 80\n  - &p\n    port: 0x50\n    name: on\n";
    let read = read("f.yaml", text);
    let object = &read.objects[0];
    for (path, line, column) in [
        ("", 3, 1),
        ("metadata.name", 6, 3),
        ("spec.selector", 9, 3),
        ("spec.ports[0].port", 11, 5),
        ("spec.ports[1].name", 14, 5),
        ("spec.ports[1].name.deeper[3]", 14, 5),
        ("spec.ports[7].name", 10, 3),
    ] {
        let at = object.locate(path).unwrap();
        assert_eq!((at.line, at.column), (line, column), "{path}");
    }
    assert_eq!(object.locate("spec.ports[0].port").unwrap().text, "  - port: 80");
}

#[test]
fn scalars_mean_what_kubectl_reads() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: yes, b: 0644, c: '1', d: 1.5, e: ~, 80: x, f: |\n  text\n}\n";
    let text = text.replace(", f: |\n  text\n}", "}");
    let data = &read("f", &text).objects[0].value["data"];
    assert_eq!(data.to_string(), r#"{"80":"x","a":true,"b":420,"c":"1","d":1.5,"e":null}"#);
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx0: &x0 [lol, lol]\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        laughs += &format!("x{level}: &x{level} [*x{below}, *x{below}, *x{below}]\n");
    }
    let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_json = format!("{{\"a\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_block: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    for bomb in [laughs, deep, deep_json, deep_block] {
        let read = read("bomb", &bomb);
        assert!(read.objects.is_empty());
        assert_eq!(read.findings.len(), 1, "{:?}", read.findings);
    }
    let long = format!("#{}", "x".repeat(MAX_BYTES));
    assert!(read("bomb", &long).findings[0].message.contains("more than"));
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in r"([ \-:{}\[\]a&*!'|>#%@,\n\t]|---\n|kind: |\PC){0,60}") {
        crate::fuzzing::manifest(text.as_bytes());
    }

    #[test]
    fn what_is_written_as_json_is_read_back(value in any_json()) {
        let object = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": value,
        });
        let read = read("f", &object.to_string());
        prop_assert_eq!(&read.objects[0].value["data"], &object["data"]);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("\\PC{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
