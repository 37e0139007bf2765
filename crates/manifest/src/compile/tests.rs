use std::collections::BTreeSet;

use plan::{HealthCheckPort, Origin, Protocol, Replay, TargetType};

use super::fixture::{TO_WEB, compiled, compiled_with, rules_to_web, web};
use super::*;
use crate::read;

const ISVC: &str = "apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: NAME, namespace: NAMESPACE}
spec: {predictor: {sklearn: {storageUri: model.pkl}}}
---
";

fn isvc(name: &str, namespace: &str) -> String {
    ISVC.replace("NAMESPACE", namespace).replace("NAME", name)
}

#[test]
fn acc_s2_12_the_same_name_in_two_namespaces_is_two_urls() {
    let compiled = compiled(&(isvc("sklearn-iris", "staging") + &isvc("sklearn-iris", "prod")));
    let urls: Vec<&str> = compiled.routes.iter().map(|route| route.url.as_str()).collect();
    assert_eq!(urls, ["http://sklearn-iris.prod.example.com", "http://sklearn-iris.staging.example.com"]);
    let hosts: BTreeSet<&String> = compiled.routes.iter().flat_map(|route| &route.hosts).collect();
    assert_eq!(hosts.len(), 8);
}

#[test]
fn hyphens_that_could_mean_two_lead_to_neither() {
    let compiled = compiled(&(isvc("a-b", "c") + &isvc("a", "b-c")));
    let hosts = |index: usize| compiled.routes[index].hosts.iter().map(String::as_str).collect::<Vec<_>>();
    let is_there = |index: usize, host: &str| hosts(index).contains(&host);
    assert!(!is_there(0, "a-b-c.example.com") && !is_there(1, "a-b-c.example.com"));
    assert!(is_there(0, "a.b-c.example.com") && is_there(1, "a-b.c.example.com"));
    assert_eq!(compiled.findings.iter().filter(|finding| finding.code == "host-conflict").count(), 2);
}

#[test]
fn compiling_its_own_children_again_changes_nothing() {
    let manifests = isvc("iris", "staging");
    let mut objects: Objects = read("f.yaml", &manifests).objects.into_iter().collect();
    let first = compile(&objects, &Defaults::default());
    for child in first.children.clone() {
        objects.insert(child);
    }
    assert_eq!(compile(&objects, &Defaults::default()), first);
}

#[test]
fn a_service_of_that_name_that_somebody_else_made_is_an_error() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: iris-predictor, namespace: a}\nspec: {ports: [{port: 80}]}\n";
    let compiled = compiled(&(isvc("iris", "a") + service));
    assert_eq!(compiled.children, []);
    assert_eq!(compiled.findings[0].code, "name-taken");
}

#[test]
fn acc_s0_22_the_gateways_service_is_no_second_load_balancer() {
    let mut objects: Objects = read("f.yaml", &isvc("iris", "a")).objects.into_iter().collect();
    for child in compile(&objects, &Defaults::default()).children {
        objects.insert(child);
    }
    let ids: Vec<String> = compile(&objects, &Defaults::default())
        .plan
        .load_balancers
        .into_iter()
        .map(|it| it.id.to_string())
        .collect();
    assert_eq!(ids, ["gateway:knative-serving/kourier"]);
}

#[test]
fn a_kourier_of_somebody_elses_stays_theirs() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: kourier, namespace: knative-serving}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n";
    let compiled = compiled(&(isvc("iris", "a") + service));
    assert!(compiled.children.iter().all(|child| child.name != "kourier"));
    assert!(compiled.plan.load_balancer(&LoadBalancerId::service("knative-serving", "kourier")).is_some());
}

#[test]
fn acc_s1_03_predictions_may_be_repeated_at_another_replica() {
    let replay = |manifests: &str| {
        let compiled = compiled(manifests);
        compiled.plan.load_balancers[0].target_groups[0].replay
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: api, annotations: {a: b}}\nspec: {type: LoadBalancer, selector: {app: api}, ports: [{port: 80}]}\n---\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: api}}\nspec: {containers: [{name: a, image: forebay}]}\n";
    assert_eq!(replay(&isvc("iris", "a")), Replay::Everything);
    assert_eq!(replay(&format!("{service}{pod}")), Replay::Everything);
    assert_eq!(
        replay(&format!("{service}{}", pod.replace("image: forebay", "image: other"))),
        Replay::Idempotent
    );
    assert_eq!(replay(service), Replay::Idempotent);
    assert_eq!(replay(&service.replace("a: b", "forebay.dev/replay: everything")), Replay::Everything);
    let careful = service.replace("a: b", "forebay.dev/replay: idempotent");
    assert_eq!(replay(&format!("{careful}{pod}")), Replay::Idempotent);
}

#[test]
fn what_may_be_repeated_does_not_say_whose_the_targets_are() {
    let origin = |manifests: &str| {
        let compiled = compiled(manifests);
        compiled.plan.load_balancers[0].target_groups[0].origin
    };
    let service = |replay: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: api, annotations: {{forebay.dev/replay: {replay}}}}}\nspec: {{type: LoadBalancer, selector: {{app: api}}, ports: [{{port: 80}}]}}\n---\n"
        )
    };
    let pod = |image: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, labels: {{app: api}}}}\nspec: {{containers: [{{name: a, image: {image}}}]}}\n"
        )
    };
    assert_eq!(origin(&(service("idempotent") + &pod("forebay"))), Origin::Ours);
    assert_eq!(origin(&(service("everything") + &pod("other"))), Origin::Others);
    assert_eq!(origin(&service("everything")), Origin::Others);
}

#[test]
fn acc_s3_32_checks_for_nodes_go_to_pods_where_there_are_no_nodes() {
    let service = "apiVersion: v1
kind: Service
metadata: {name: api}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 32000, ports: [{port: 80, nodePort: 30080}]}
";
    let compiled = compiled(service);
    let check = &compiled.plan_on_aws.load_balancers[0].target_groups[0].health_check;
    assert_eq!((check.protocol, check.port), (Protocol::Http, HealthCheckPort::Port(32000)));
    let target_group = &compiled.plan.load_balancers[0].target_groups[0];
    assert_eq!((target_group.target_type, target_group.port), (TargetType::Instance, 30080));
    let check = &target_group.health_check;
    assert_eq!((check.protocol, check.port), (Protocol::Tcp, HealthCheckPort::TrafficPort));
}

#[test]
fn prefix_lists_let_in_whom_they_name() {
    let service = "apiVersion: v1
kind: Service
metadata: {name: api, annotations: {service.beta.kubernetes.io/aws-load-balancer-security-group-prefix-lists: pl-a}}
spec: {type: LoadBalancer, ports: [{port: 80}]}
";
    let objects: Objects = read("f.yaml", service).objects.into_iter().collect();
    let (defaults, _) = Defaults::parse("env", "prefixLists: {pl-a: [127.0.0.0/8]}");
    let compiled = compile(&objects, &defaults);
    let admits = |plan: &Plan| {
        let ranges = plan.load_balancers[0].listeners[0].source_ranges.as_ref().unwrap();
        ranges.admit([127, 0, 0, 1].into())
    };
    assert!(!admits(&compiled.plan_on_aws) && admits(&compiled.plan));
}

#[test]
fn clients_of_ipv6_that_a_proxy_tells_of_may_connect_where_everybody_may() {
    let service = |annotations: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: api, annotations: {{{annotations}}}}}\n\
             spec: {{type: LoadBalancer, ports: [{{port: 80}}]}}\n"
        )
    };
    let ip_address_type = "service.beta.kubernetes.io/aws-load-balancer-ip-address-type: dualstack";
    let ranges = |ranges: &str| format!("service.beta.kubernetes.io/load-balancer-source-ranges: {ranges}");
    for (annotations, is_let_in) in [
        (String::new(), true),
        (ranges("0.0.0.0/0"), true),
        (ranges("10.0.0.0/8"), false),
        // Here clients of IPv6 come by themselves, and AWS would not let them in.
        (format!("{ip_address_type}, {}", ranges("0.0.0.0/0")), false),
        (ip_address_type.to_owned(), true),
    ] {
        let plan = compiled(&service(&annotations)).plan;
        let listener = &plan.load_balancers[0].listeners[0];
        let client = "2001:db8::1".parse().unwrap();
        assert_eq!(listener.source_ranges.as_ref().unwrap().admit(client), is_let_in, "{annotations}");
    }
}

#[test]
fn acc_s3_60_a_host_gets_a_certificate_of_its_own_unless_aws_is_followed() {
    let manifests = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\":443}]'}}
spec: {ingressClassName: alb, rules: [{host: a.example.com}]}
";
    let objects: Objects = read("f.yaml", manifests).objects.into_iter().collect();
    let arns = |defaults: &Defaults| {
        let plan = compile(&objects, defaults).plan_on_aws;
        let listeners = plan.load_balancers.iter().flat_map(|it| &it.listeners);
        listeners.flat_map(|it| &it.certificates).map(|it| it.arn.clone()).collect::<Vec<_>>()
    };
    assert_eq!(arns(&Defaults::default()), ["local:a.example.com"]);
    let strict = Defaults { strict_aws: true, ..Defaults::default() };
    assert_eq!(arns(&strict), [""; 0]);
}

#[test]
fn kept_kinds_that_would_run_or_route_something_are_warnings() {
    let kept = "apiVersion: elbv2.k8s.aws/v1beta1\nkind: TargetGroupBinding\nmetadata: {name: c}\n---
apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: d}\n";
    let said: Vec<(Severity, String)> =
        compiled(kept).findings.into_iter().map(|finding| (finding.severity, finding.message)).collect();
    assert_eq!(
        said,
        [
            (Severity::Warning, "TargetGroupBinding `c` routes nothing here".to_owned()),
            (Severity::Info, "a NetworkPolicy is kept, and has no effect on one machine yet".to_owned()),
        ]
    );
}

#[test]
fn a_mistyped_format_is_said_once_and_corrected() {
    for (predictor, message, suggestion) in [
        (
            "{model: {modelFormat: {name: sklern}, storageUri: a}}",
            "NoSupportingRuntime: no runtime here reads the format `sklern`",
            "did you mean `sklearn`?",
        ),
        (
            "{model: {modelFormat: {name: XGBoost}, storageUri: a}}",
            "NoSupportingRuntime: no runtime here reads the format `XGBoost`",
            "did you mean `xgboost`?",
        ),
        (
            "{sklern: {storageUri: a}}",
            "the predictor has neither a model nor containers, but a field `sklern`",
            "did you mean `sklearn`?",
        ),
        (
            "{model: {storageUri: a}}",
            "the model has no `modelFormat.name`",
            "formats that are read: sklearn, xgboost, lightgbm, mlflow, onnx",
        ),
    ] {
        let text = ISVC.replace("{sklearn: {storageUri: model.pkl}}", predictor);
        let text = text.replace("NAMESPACE", "a").replace("NAME", "iris");
        let findings = compiled(&text).findings;
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.message.as_str(), finding.suggestion.as_deref()), (message, Some(suggestion)));
    }
}

#[test]
fn batcher_logger_and_args_are_options_of_the_model_server() {
    let arguments = |predictor: &str| {
        let text = ISVC.replace("{sklearn: {storageUri: model.pkl}}", predictor);
        let compiled = compiled(&text.replace("NAMESPACE", "a").replace("NAME", "iris"));
        let deployment = compiled.children.iter().find(|child| child.kind.kind == "Deployment").unwrap();
        let arguments = &deployment.value["spec"]["template"]["spec"]["containers"][0]["args"];
        let words: Vec<&str> =
            arguments.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        words.join(" ").replace("serve iris=model.pkl --port 8080", "…")
    };
    assert_eq!(arguments("{sklearn: {storageUri: model.pkl}}"), "…");
    assert_eq!(
        arguments(
            "{batcher: {maxBatchSize: 64, maxLatency: 5}, logger: {url: 'http://a/b', mode: response}, sklearn: {storageUri: model.pkl}}"
        ),
        "… --batch-size 64 --batch-delay 5ms --log-predictions http://a/b --log-mode response"
    );
    assert_eq!(
        arguments("{batcher: {}, logger: {url: 'https://a'}, sklearn: {storageUri: model.pkl}}"),
        "… --batch-size 32 --log-predictions https://a"
    );
    assert_eq!(
        arguments(
            "{batcher: {maxBatchSize: 64}, sklearn: {storageUri: model.pkl, args: [--workers=2, --unknown, x, --batch-size, '8']}}"
        ),
        "… --threads 2 --batch-size 8"
    );
}

/// Manifests in which the Service `web` has annotations.
fn annotated(manifests: &str, annotations: &str) -> String {
    let service = "kind: Service\nmetadata: {name: web";
    manifests.replace(service, &format!("{service}, annotations: {{{annotations}}}"))
}

#[test]
fn what_is_spoken_with_targets_is_what_is_asked_for() {
    let compiled_of = |ingress: &str, service: &str| compiled(&annotated(&web(ingress, TO_WEB), service));
    let spoken = |ingress: &str, service: &str| {
        let compiled = compiled_of(ingress, service);
        let findings: Vec<&str> = compiled.findings_here.iter().map(|finding| finding.code).collect();
        assert_eq!(findings, Vec::<&str>::new());
        let group = &compiled.plan.load_balancers[0].target_groups[0];
        format!("{:?}, checks {:?}", group.spoken(), group.spoken_in_checks())
    };
    let version = |version: &str| format!("alb.ingress.kubernetes.io/backend-protocol-version: {version}");
    let tls = "alb.ingress.kubernetes.io/backend-protocol: HTTPS";
    let show = |version: &str, tls: &str| {
        let spoken = format!("Spoken {{ version: Some({version}), tls: {tls} }}");
        format!("{spoken}, checks {spoken}")
    };
    assert_eq!(spoken("", ""), show("Http1", "None"));
    assert_eq!(spoken(&version("GRPC"), ""), show("Grpc", "None"));
    assert_eq!(spoken("", &version("HTTP2")), show("Http2", "None"));
    assert_eq!(spoken(tls, ""), show("Http1", "Some(Unverified)"));
    // What the Service says counts more.
    assert_eq!(spoken(&version("GRPC"), &version("HTTP1")), show("Http1", "None"));
    let only_checks = "alb.ingress.kubernetes.io/healthcheck-protocol: HTTPS";
    assert_eq!(
        spoken(only_checks, ""),
        "Spoken { version: Some(Http1), tls: None }, checks Spoken { version: Some(Http1), tls: Some(Unverified) }"
    );
    let network = compiled(
        "apiVersion: v1
kind: Service
metadata:
  name: net
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-backend-protocol: ssl
    service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:eu-west-1:111122223333:certificate/a
spec: {type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb, ports: [{port: 443}]}
",
    );
    let [certificate] = network.findings_here.as_slice() else { panic!("{:?}", network.findings_here) };
    assert_eq!(certificate.code, "certificate-not-here");
    let group = &network.plan.load_balancers[0].target_groups[0];
    assert_eq!(format!("{:?}", group.spoken()), "Spoken { version: None, tls: Some(Unverified) }");
    assert_eq!(format!("{:?}", group.spoken_in_checks()), "Spoken { version: None, tls: None }");
}

#[test]
fn targets_have_to_prove_who_they_are_where_an_authority_is_named() {
    let compiled_of = |ingress: &str, service: &str, secret: &str| {
        let secret =
            format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: inner}}\nstringData: {{{secret}}}\n");
        compiled(&(annotated(&web(ingress, TO_WEB), service) + &secret))
    };
    let tls = "alb.ingress.kubernetes.io/backend-protocol: HTTPS";
    let authority = "ca.crt: '-----BEGIN CERTIFICATE-----'";
    let inner = format!("{tls}\nforebay.dev/backend-ca-secret: inner");
    let trust = |ingress: &str, service: &str| {
        let compiled = compiled_of(ingress, service, authority);
        let findings: Vec<String> = compiled.findings.iter().map(|it| it.code.to_owned()).collect();
        let group = compiled.plan.load_balancers[0].target_groups[0].clone();
        (group.trust.map(|trust| trust.name), findings)
    };
    assert_eq!(trust(&inner, ""), (Some("web.default.svc".to_owned()), Vec::new()));
    let named = "forebay.dev/backend-name: api.internal";
    assert_eq!(trust(&inner, named), (Some("api.internal".to_owned()), Vec::new()));
    assert_eq!(trust(tls, ""), (None, Vec::new()));
    // What is said in vain is told.
    assert_eq!(trust(tls, named), (None, vec!["annotation-no-effect".to_owned()]));
    let in_clear = "forebay.dev/backend-ca-secret: inner";
    assert_eq!(trust(in_clear, ""), (None, vec!["annotation-no-effect".to_owned()]));
    // Nobody is spoken with who cannot be checked.
    for (secret, problem) in [
        ("other: text", "Secret `inner` has no text under `ca.crt`"),
        ("ca.crt: text", "`ca.crt` of Secret `inner` holds no certificate in PEM form"),
    ] {
        let compiled = compiled_of(&inner, "", secret);
        assert!(compiled.plan.load_balancers.is_empty());
        let [finding] = compiled.findings.as_slice() else { panic!("{:?}", compiled.findings) };
        assert_eq!(finding.code, "backend-unverifiable");
        assert!(finding.message.ends_with(problem), "{}", finding.message);
    }
}

#[test]
fn an_ingress_to_the_gateway_of_a_cluster_leads_to_inference_services_by_their_hosts() {
    let ingress = |namespace: &str, service: &str, rest: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: edge, namespace: {namespace}}}\nspec:\n  ingressClassName: alb\n  {}\n---\n",
            rest.replace("BACKEND", &format!("{{service: {{name: {service}, port: {{number: 80}}}}}}"))
        )
    };
    let by_rule =
        "rules: [{host: '*.example.com', http: {paths: [{path: /, pathType: Prefix, backend: BACKEND}]}}]";
    let by_default = "defaultBackend: BACKEND";
    for (namespace, service) in [("istio-system", "istio-ingressgateway"), ("knative-serving", "kourier")] {
        for (rest, host, is_found) in [
            (by_rule, "iris-a.example.com", true),
            (by_rule, "iris-a.elsewhere.com", false),
            (by_default, "iris-a.example.com", true),
            (by_default, "other.example.com", false),
        ] {
            let theirs = format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {service}, namespace: {namespace}}}\nspec: {{type: NodePort, ports: [{{port: 80}}]}}\n---\n"
            );
            for theirs in ["", &theirs] {
                let compiled = compiled(&(ingress(namespace, service, rest) + theirs + &isvc("iris", "a")));
                let errors: Vec<&Finding> = compiled.findings.iter().filter(|it| it.is_error()).collect();
                assert!(errors.is_empty(), "{errors:?}");
                let balancer =
                    compiled.plan.load_balancer(&LoadBalancerId::ingress(namespace, "edge")).unwrap();
                let url = format!("http://{host}/v1/models");
                let decision = plan::route(&balancer.listeners[0], &plan::RequestHead::get(&url));
                let names: Vec<&str> = match decision.action.unwrap_or_else(|| plan::Action::not_found()) {
                    plan::Action::Forward(forward) => {
                        forward.targets.iter().map(|target| balancer.name_of(&target.target_group)).collect()
                    }
                    other => {
                        assert_eq!(other, plan::Action::not_found());
                        Vec::new()
                    }
                };
                let expected: &[&str] = if is_found { &["a/iris/iris-predictor-default:80"] } else { &[] };
                assert_eq!(names, expected, "{service} {rest} {host}");
            }
        }
    }
}

#[test]
fn acc_s2_22_tokens_are_compared_to_the_letter_unless_aws_is_followed() {
    let conditions = r#"alb.ingress.kubernetes.io/conditions.web: '[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-api-key","values":["Token1","token2"]}},{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-tier","values":["gold"]}}]'"#;
    let text = web(conditions, &rules_to_web(&["a"]));
    for (strict_aws, token, tier, is_let_in) in [
        (false, "Token1", "Gold", true),
        (false, "token1", "gold", false),
        (false, "token2", "gold", true),
        (true, "token1", "gold", true),
        (true, "token3", "gold", false),
    ] {
        let compiled = compiled_with(&text, &Defaults { strict_aws, ..Defaults::default() });
        let listener = &compiled.plan.load_balancers[0].listeners[0];
        let fields = vec![("x-api-key".to_owned(), token.to_owned()), ("x-tier".to_owned(), tier.to_owned())];
        let head = plan::RequestHead { headers: &fields, ..plan::RequestHead::get("http://a/") };
        assert_eq!(plan::route(listener, &head).rule.is_some(), is_let_in, "{strict_aws} {token}");
        let told = compiled.findings_here.iter().filter(|finding| finding.code == "token-exact").count();
        assert_eq!(told, usize::from(!strict_aws));
    }
}

#[test]
fn acc_s0_20_a_client_that_cannot_say_a_host_comes_to_an_inference_service_by_its_path() {
    let private = isvc("hidden", "a")
        .replace("name: hidden", "name: hidden, labels: {networking.knative.dev/visibility: cluster-local}");
    let compiled = compiled(&(isvc("iris", "a") + &private));
    let gateway = compiled.plan.gateway().unwrap();
    for (url, expected) in [
        ("http://127.0.0.1/serving/a/iris/v1/models/iris:predict?x=1", Some("/v1/models/iris:predict?x=1")),
        ("http://localhost:8080/serving/a/iris", Some("/")),
        ("http://127.0.0.1/serving/a/iris?x", Some("/?x")),
        ("http://[::1]:80/serving/a/iris/", Some("/")),
        ("http://127.0.0.1/serving/a/irises", None),
        ("http://127.0.0.1/serving/a/hidden/v2", None),
        ("http://other.example.com/serving/a/iris/v2", None),
    ] {
        let head = plan::RequestHead::get(url);
        let rule = plan::route(&gateway.listeners[0], &head).rule;
        let seen = rule.map(|(_, rule)| plan::Transform::all(&rule.transforms, &head).unwrap().url);
        assert_eq!(seen, expected.map(|url| Some(url.to_owned())), "{url}");
    }
    assert!(
        compiled.plan_on_aws.gateway().unwrap().listeners[0].rules.iter().all(|it| it.transforms.is_empty())
    );
}
