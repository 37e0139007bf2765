//! Whoever compiles again and again gets what he would get if he began anew each time.

use std::sync::Arc;

use proptest::prelude::*;

use crate::{Compiler, Defaults, Object, Objects, compile, read};

/// One step from a set of objects to the next.
#[derive(Debug, Clone)]
enum Step {
    /// An object is there, in the place of another version of it.
    Put(String),
    /// One of those that are there is not any more.
    Take(prop::sample::Index),
    /// One of them is another `Arc`, and says the same.
    Renew(prop::sample::Index),
    /// What objects leave open is otherwise.
    Leave(u8),
}

fn ingress() -> impl Strategy<Value = String> {
    let path = ("/[ab]{1,2}|/\\*|/", 0..3_u8, 0..4_usize, 0..3_usize);
    let rules = prop::collection::vec((0..3_u8, prop::collection::vec(path, 1..3)), 0..4);
    let annotations = prop::collection::vec(0..ANNOTATIONS.len(), 0..4);
    let class = prop::sample::select(vec!["alb", "ours", "nobody"]);
    (0..3_u8, class, annotations, rules, any::<bool>()).prop_map(|(name, class, annotations, rules, has_default)| {
        let mut text = format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: i{name}\n  annotations:\n    alb.ingress.kubernetes.io/target-type: ip\n"
        );
        let mut annotations: Vec<&str> = annotations.iter().map(|index| ANNOTATIONS[*index]).collect();
        annotations.sort_unstable();
        annotations.dedup_by_key(|line| line.split_once(": ").map(|(key, _)| key));
        annotations.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
        text.push_str(&format!("spec:\n  ingressClassName: {class}\n"));
        if has_default {
            text.push_str("  defaultBackend: {service: {name: s0, port: {number: 80}}}\n");
        }
        text.push_str("  rules:\n");
        for (host, paths) in rules {
            text.push_str(&format!("  - host: h{host}.example.com\n    http:\n      paths:\n"));
            for (path, kind, service, port) in paths {
                let kind = ["Prefix", "Exact", "ImplementationSpecific"][usize::from(kind)];
                let port = ["number: 80", "name: http", "name: use-annotation"][port];
                text.push_str(&format!(
                    "      - {{path: \"{path}\", pathType: {kind}, backend: {{service: {{name: s{service}, port: {{{port}}}}}}}}}\n"
                ));
            }
        }
        text
    })
}

/// What Ingresses may say.
const ANNOTATIONS: &[&str] = &[
    "alb.ingress.kubernetes.io/group.name: g",
    "alb.ingress.kubernetes.io/group.order: '1'",
    "alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\": 80}, {\"HTTPS\": 443}]'",
    "alb.ingress.kubernetes.io/ssl-redirect: '443'",
    "alb.ingress.kubernetes.io/tags: a=b",
    "alb.ingress.kubernetes.io/scheme: internet-facing",
    "alb.ingress.kubernetes.io/shceme: internal",
    "alb.ingress.kubernetes.io/actions.s1: '{\"type\": \"redirect\", \"redirectConfig\": {\"protocol\": \"HTTP\", \"statusCode\": \"HTTP_302\"}}'",
    "alb.ingress.kubernetes.io/actions.s2: '{\"type\": \"forward\", \"forwardConfig\": {\"targetGroups\": [{\"serviceName\": \"s0\", \"servicePort\": 80}, {\"serviceName\": \"s3\", \"servicePort\": 80}]}}'",
    "alb.ingress.kubernetes.io/actions.s3: '{\"type\": \"forward\", \"targetGroupArn\": \"arn:aws:x\"}'",
    "alb.ingress.kubernetes.io/conditions.s0: '[{\"field\": \"http-header\", \"httpHeaderConfig\": {\"httpHeaderName\": \"x-api-key\", \"values\": [\"a\"]}}]'",
    "forebay.dev/unauthorized: '401'",
    "forebay.dev/redirect-status: '308'",
    "forebay.dev/rate-limit: 10/s",
    "forebay.dev/mirror: s0:80 10%",
    "forebay.dev/mirror: s3:80",
];

fn service() -> impl Strategy<Value = String> {
    let extra =
        prop::sample::select(vec!["", ", selector: {app: a}", ", type: LoadBalancer", ", type: Nothing"]);
    let annotation = prop::sample::select(vec!["{}", "{forebay.dev/replay: sometimes}", "{a: b}"]);
    (0..4_u8, 80..82_u16, extra, annotation).prop_map(|(name, port, extra, annotation)| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s{name}, annotations: {annotation}}}\nspec: {{ports: [{{name: http, port: {port}}}]{extra}}}\n"
        )
    })
}

fn other() -> impl Strategy<Value = String> {
    prop::sample::select(
        [
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: ours}\nspec: {controller: ingress.k8s.aws/alb}\n",
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: ours}\nspec: {controller: ingress.k8s.aws/alb, parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: p}}\n",
            "apiVersion: elbv2.k8s.aws/v1beta1\nkind: IngressClassParams\nmetadata: {name: p}\nspec: {tags: [{key: c, value: d}]}\n",
            "apiVersion: elbv2.k8s.aws/v1beta1\nkind: IngressClassParams\nmetadata: {name: p}\nspec: {group: {name: g}, targetType: ip, namespaceSelector: {matchLabels: {team: a}}}\n",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {team: a}}\n",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {team: b}}\n",
            "apiVersion: v1\nkind: Endpoints\nmetadata: {name: s0}\nsubsets: [{addresses: [{ip: 127.0.0.1}], ports: [{name: http, port: 8080}]}]\n",
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: m}\nspec: {predictor: {model: {modelFormat: {name: sklearn}, storageUri: 'file:///m'}}}\n",
            "apiVersion: v1\nkind: Service\nmetadata: {name: s0}\nspec: {type: ExternalName, externalName: a.example}\n",
        ]
        .map(str::to_owned)
        .to_vec(),
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => ingress().prop_map(Step::Put),
        4 => service().prop_map(Step::Put),
        2 => other().prop_map(Step::Put),
        2 => any::<prop::sample::Index>().prop_map(Step::Take),
        1 => any::<prop::sample::Index>().prop_map(Step::Renew),
        1 => (0..4_u8).prop_map(Step::Leave),
    ]
}

fn object(text: &str) -> Object {
    let read = read("f.yaml", text);
    let [object] = &read.objects[..] else { panic!("{text}{:?}", read.findings) };
    object.clone()
}

fn take(step: &Step, objects: &mut Objects, defaults: &mut Defaults) {
    let chosen = |index: &prop::sample::Index, objects: &Objects| {
        (!objects.is_empty()).then(|| Arc::clone(objects.iter().nth(index.index(objects.len())).unwrap()))
    };
    match step {
        Step::Put(text) => drop(objects.insert(object(text))),
        Step::Take(index) => {
            if let Some(object) = chosen(index, objects) {
                objects.remove(&object.reference());
            }
        }
        Step::Renew(index) => {
            if let Some(object) = chosen(index, objects) {
                objects.insert(Object::clone(&object));
            }
        }
        Step::Leave(kind) => {
            defaults.strict_aws = *kind == 1;
            defaults.tolerate_missing_service = *kind == 2;
            defaults.tags = if *kind == 3 { [("x".to_owned(), "y".to_owned())].into() } else { [].into() };
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn what_is_known_already_changes_nothing_of_what_comes_out(steps in prop::collection::vec(step(), 1..25)) {
        let compiler = Compiler::default();
        let (mut objects, mut defaults) = (Objects::default(), Defaults::default());
        let mut before = objects.clone();
        for step in &steps {
            take(step, &mut objects, &mut defaults);
            prop_assert_eq!(&*compiler.compile(&objects, &defaults), &compile(&objects, &defaults));
            // So does somebody else who asks in between, of objects as they were.
            prop_assert_eq!(&*compiler.compile(&before, &defaults), &compile(&before, &defaults));
            before.clone_from(&objects);
        }
    }
}

#[test]
fn rules_that_stay_the_same_are_the_same_ones() {
    let ingress = |name: &str, path: &str| {
        object(&format!(
            "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, annotations: {{alb.ingress.kubernetes.io/group.name: g, alb.ingress.kubernetes.io/target-type: ip}}}}
spec: {{ingressClassName: alb, rules: [{{http: {{paths: [{{path: {path}, pathType: Exact, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}}}]}}
"
        ))
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n";
    let mut objects: Objects =
        [ingress("a", "/a"), ingress("b", "/b"), object(service)].into_iter().collect();
    let compiler = Compiler::default();
    let rules = |objects: &Objects| {
        let compiled = compiler.compile(objects, &Defaults::default());
        compiled.plan.load_balancers[0].listeners[0].rules.clone()
    };
    let before = rules(&objects);
    objects.insert(ingress("b", "/c"));
    let after = rules(&objects);
    assert_eq!((before.len(), after.len()), (2, 2));
    assert!(Arc::ptr_eq(&before[0], &after[0]));
    assert_ne!(before[1], after[1]);
    // An Ingress that is another version with the same rules, say after its status was written, costs the plan nothing.
    objects.insert(ingress("a", "/a"));
    assert!(Arc::ptr_eq(&before[0], &rules(&objects)[0]));
}
