//! Deep nesting: as deep as is read, everything that looks at it gets along with half of the stack that a thread has.

use std::fmt::Write;
use std::thread;

use manifest::{Defaults, Objects, compile, plan_json, read, render, workloads};

/// As many levels as are read.
const DEPTH: usize = 100;
/// Half of what a thread has unless somebody says otherwise.
const STACK: usize = 1 << 20;

/// `[[[…]]]`, to stand where so many levels are around it that all are as deep as is read.
fn nested(levels_around: usize) -> String {
    let levels = DEPTH - levels_around;
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// Documents with a deep value where something looks at it.
fn documents() -> Vec<String> {
    let object = |kind: &str, rest: &str| {
        format!("{{\"apiVersion\": {kind}, \"metadata\": {{\"name\": \"a\"}}, {rest}}}")
    };
    let pod = format!("\"template\": {{\"spec\": {{\"containers\": [{}]}}}}", nested(5));
    let pod_field = format!("\"template\": {{\"spec\": {{\"volumes\": [{{\"x\": {}}}]}}}}", nested(6));
    vec![
        object("\"v1\", \"kind\": \"ConfigMap\"", &format!("\"data\": {{\"a\": {}}}", nested(2))),
        object("\"apps/v1\", \"kind\": \"Deployment\"", &format!("\"spec\": {{{pod}}}")),
        object("\"apps/v1\", \"kind\": \"Deployment\"", &format!("\"spec\": {{{pod_field}}}")),
        object("\"v1\", \"kind\": \"Service\"", &format!("\"spec\": {{\"x\": {}}}", nested(2))),
        object("\"networking.k8s.io/v1\", \"kind\": \"Ingress\"", &format!("\"spec\": {}", nested(1))),
        object("\"extensions/v1beta1\", \"kind\": \"Ingress\"", &format!("\"spec\": {}", nested(1))),
        object(
            "\"serving.kserve.io/v1beta1\", \"kind\": \"InferenceService\"",
            &format!("\"spec\": {{\"predictor\": {{\"containers\": [{{\"env\": {}}}]}}}}", nested(5)),
        ),
        object(
            "\"serving.kserve.io/v1beta1\", \"kind\": \"InferenceService\"",
            &format!(
                "\"spec\": {{\"predictor\": {{\"model\": {{\"modelFormat\": {{\"name\": \"sklearn\"}}, \"storageUri\": \"a\", \"readinessProbe\": {{\"x\": {}}}}}}}}}",
                nested(5)
            ),
        ),
        object(
            "\"apiextensions.k8s.io/v1\", \"kind\": \"CustomResourceDefinition\"",
            &format!("\"spec\": {}", nested(1)),
        ),
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"a\", \"annotations\": {{\"a\": {}}}}}}}",
            nested(3)
        ),
        nested(0),
    ]
}

#[test]
fn what_is_as_deep_as_can_be_is_read_and_compiled_with_little_stack() {
    let mut text = String::new();
    for document in documents() {
        // As YAML, which a comment makes of JSON.
        let _ = write!(text, "---\n# deep\n{document}\n---\n{document}\n");
    }
    let compiled = thread::Builder::new().stack_size(STACK).spawn(move || {
        let read = read("deep.yaml", &text);
        let deep: Vec<String> = read
            .findings
            .iter()
            .map(|finding| render(finding, false))
            .filter(|it| it.contains("levels"))
            .collect();
        assert_eq!(deep, [""; 0]);
        let objects: Objects = read.objects.into_iter().collect();
        let copy = objects.clone();
        let _ = workloads(&objects);
        let _ = Defaults::parse("env.yaml", &nested(0));
        assert_eq!(objects, copy);
        plan_json(&compile(&objects, &Defaults::default()))
    });
    assert!(compiled.unwrap().join().unwrap().contains("ConfigMap"));
}

#[test]
fn what_is_deeper_costs_its_document_only_and_says_where() {
    let deep = format!("{{\n\"a\": {}}}", nested(0));
    let good =
        "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\"}, \"spec\": {}}";
    let many = format!("{{\"a\": {}{}}}", "[".repeat(5000), "]".repeat(5000));
    for text in [format!("{deep}\n{good}"), format!("# as YAML\n{deep}\n---\n{good}")] {
        let read = read("f.yaml", &text);
        assert_eq!(read.objects.len(), 1);
        let line = 1 + text.lines().position(|line| line.starts_with("\"a\"")).unwrap();
        let finding = render(&read.findings[0], false);
        let expected = format!(
            "error[document-invalid]: maps and lists are nested more than 100 levels deep here\n  --> f.yaml:{line}:105\n"
        );
        assert!(finding.starts_with(&expected), "{finding}");
        assert_eq!(read.findings.len(), 1);
    }
    assert_eq!(read("f.json", &format!("{good}\n{many}\n{good}")).objects.len(), 2);
}
