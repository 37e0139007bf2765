use super::*;
use crate::read;

#[test]
fn a_policy_of_a_kind_that_is_not_known_weighs_as_much_as_one_that_is() {
    let text = "\
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: closed}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: web}
";
    let told = |exposure| {
        let read = read("f.yaml", text).findings;
        let defaults = Defaults { exposure, ..Defaults::default() };
        let all = findings_of_files(read, &Objects::default(), &defaults, Timestamp::UNIX_EPOCH).into_iter();
        all.map(|finding| {
            let place = finding.location.map(|place| place.line).unwrap_or_default();
            let advice = finding.suggestion.unwrap_or_default();
            let is_option = advice.ends_with(", or --allow-unprotected to serve without it");
            (finding.severity, finding.code, place, is_option)
        })
        .collect::<Vec<_>>()
    };
    let certificate = (Severity::Warning, "kind-ignored", 6, false);
    let policy = |severity, is_option| (severity, "protection-missing", 2, is_option);
    assert_eq!(told(Exposure::Loopback), [certificate, policy(Severity::Warning, false)]);
    assert_eq!(told(Exposure::PublicUnprotected), [certificate, policy(Severity::Warning, false)]);
    assert_eq!(told(Exposure::Public), [policy(Severity::Error, true), certificate]);
}

fn told(text: &str) -> Vec<String> {
    let objects: Objects = read("f.yaml", text).objects.into_iter().collect();
    let findings = findings(&objects, &Defaults::default(), Timestamp::UNIX_EPOCH).into_iter();
    let told = findings.filter(|finding| finding.severity != Severity::Info).map(|finding| {
        let line = finding.location.map(|place| place.line).unwrap_or_default();
        format!("{line} {} {}", finding.code, finding.field.unwrap_or_default())
    });
    told.collect()
}

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      containers:
        - name: main
          image: forebay
          args: [serve, m.pkl, --port, '8080']
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /healthz, port: http}}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec:
  selector: {app: api}
  ports: [{port: 80, targetPort: http}]
";

#[test]
fn a_good_deployment_with_its_service_has_nothing_to_be_said() {
    assert_eq!(told(DEPLOYMENT), Vec::<String>::new());
}

#[test]
fn one_wrong_field_hides_no_other_of_its_object() {
    let broken = DEPLOYMENT
        .replace("spec:\n  selector: {matchLabels", "spec:\n  replicas: two\n  minReadySeconds: []\n  selector: {matchLabels")
        .replace("'8080'", "'8080', --therads, '2'")
        .replace("containerPort: 8080", "containerPort: '8080'")
        .replace("name: api}\nspec:\n  selector: {app", "name: api, annotations: {service.beta.kubernetes.io/aws-load-balancer-schema: internal}}\nspec:\n  type: Balancer\n  selector: {app")
        .replace("[{port: 80, targetPort: http}]", "[{name: a, port: 80}, {name: a, port: x}]");
    assert_eq!(
        told(&broken),
        [
            "6 field-invalid spec.minReadySeconds",
            "5 field-invalid spec.replicas",
            "14 workload-invalid spec.template.spec.containers[0].args",
            "15 field-invalid spec.template.spec.containers[0].ports[0].containerPort",
            "24 field-invalid spec.ports[1].port",
            "22 field-invalid spec.type",
            "20 annotation-unknown service.beta.kubernetes.io/aws-load-balancer-schema",
            "24 field-invalid spec.ports[1].name",
        ]
    );
}

#[test]
fn what_keeps_a_service_from_its_pods_is_told_with_its_place() {
    for (right, wrong, expected) in [
        ("targetPort: http", "targetPort: htpp", "21 target-port-missing spec.ports[0].targetPort"),
        ("targetPort: http", "targetPort: 9000", "21 target-port-missing spec.ports[0].targetPort"),
        (
            "port: http}}",
            "port: 9090}}",
            "14 probe-port-undeclared spec.template.spec.containers[0].readinessProbe.httpGet.port",
        ),
        (
            "  selector: {app: api}\n  ports",
            "  selector: {app: apis}\n  ports",
            "20 selector-matches-nothing spec.selector",
        ),
        ("image: forebay", "image: nginx", "11 image-unsupported spec.template.spec.containers[0].image"),
        ("--port,", "--prot,", "12 workload-invalid spec.template.spec.containers[0].args"),
        ("m.pkl", "'pvc://claim/m'", "12 workload-invalid spec.template.spec.containers[0].args"),
    ] {
        assert_eq!(told(&DEPLOYMENT.replace(right, wrong)), [expected], "{wrong}");
    }
}

#[test]
fn a_selector_without_any_pods_is_told_unless_addresses_are_written() {
    let service = DEPLOYMENT.split("---\n").nth(1).unwrap();
    assert_eq!(told(service), ["5 selector-matches-nothing spec.selector"]);
    let endpoints = "---
apiVersion: v1
kind: Endpoints
metadata: {name: api}
subsets: [{addresses: [{ip: 127.0.0.1}], ports: [{port: 9000}]}]
";
    assert_eq!(told(&format!("{service}{endpoints}")), Vec::<String>::new());
}

#[test]
fn what_eks_auto_mode_ignores_is_told_and_its_classes_are_ours() {
    let text = "\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: auto}
spec: {controller: eks.amazonaws.com/alb}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {alb.ingress.kubernetes.io/group.name: shared}}
spec: {ingressClassName: auto, defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: 10.0.0.0/8}}
spec: {type: LoadBalancer, loadBalancerClass: eks.amazonaws.com/nlb, ports: [{port: 80}]}
";
    let objects: Objects = read("f.yaml", text).objects.into_iter().collect();
    let ignored = |defaults: &Defaults, objects: &Objects| -> Vec<String> {
        let compiled = compile(objects, defaults);
        assert_eq!(compiled.plan.load_balancers.len(), 2);
        let ignored = compiled.findings.into_iter().filter(|it| it.code == "auto-mode-ignores");
        ignored.map(|it| it.message).collect()
    };
    let expected = [
        "EKS Auto Mode ignores `alb.ingress.kubernetes.io/group.name`",
        "EKS Auto Mode ignores `service.beta.kubernetes.io/load-balancer-source-ranges`",
    ];
    assert_eq!(ignored(&Defaults::default(), &objects), expected);
    // In other classes it is said to who asks for it.
    let others = text.replace("eks.amazonaws.com/alb", "ingress.k8s.aws/alb");
    let others = others.replace("eks.amazonaws.com/nlb", "service.k8s.aws/nlb");
    let objects: Objects = read("f.yaml", &others).objects.into_iter().collect();
    assert!(ignored(&Defaults::default(), &objects).is_empty());
    let auto_mode = Defaults { dialect: crate::Dialect::AutoMode, ..Defaults::default() };
    assert_eq!(ignored(&auto_mode, &objects), expected);
}

#[test]
fn an_ingress_of_another_controller_is_told_to_route_nothing() {
    let text = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {ingressClassName: nginx, defaultBackend: {service: {name: web, port: {number: 80}}}}
";
    assert_eq!(told(text), ["3 not-ours "]);
}

#[test]
fn parameters_of_no_class_are_told_to_have_no_effect_and_read_all_the_same() {
    let params = "\
apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {name: params}
spec: {schema: internal}
";
    let class = "---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb, parameters: {kind: IngressClassParams, name: params}}
";
    assert_eq!(told(params), ["3 kind-ignored ", "4 field-unknown spec.schema"]);
    assert_eq!(told(&format!("{params}{class}")), ["4 field-unknown spec.schema"]);
}

#[test]
fn notes_about_kinds_that_are_told_object_by_object_are_left_out() {
    let text = "\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: a}
spec: {scaleTargetRef: {kind: Deployment, name: a}, maxReplicas: 3}
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: a}
handler: a
";
    let objects: Objects = read("f.yaml", text).objects.into_iter().collect();
    let all = findings(&objects, &Defaults::default(), Timestamp::UNIX_EPOCH);
    let messages: Vec<&str> = all.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].starts_with("HorizontalPodAutoscaler `a`: nothing is scaled"), "{messages:?}");
    assert_eq!(messages[1], "a RuntimeClass is kept, and has no effect on one machine yet");
}
