//! Each lint once, and once where it has nothing to say.

use expect_test::{Expect, expect};

use crate::{Defaults, Finding, Objects, compile, read};

/// Compiles manifests and compares the findings with this code, one a line: number, field, message and suggestion.
#[track_caller]
fn check(code: &str, manifests: &str, expected: &Expect) {
    expected.assert_eq(&found(code, manifests, &Defaults::default()));
}

fn found(code: &str, manifests: &str, defaults: &Defaults) -> String {
    let objects: Objects = read("f.yaml", manifests).objects.into_iter().collect();
    let findings = compile(&objects, defaults).findings;
    let line = |finding: &Finding| {
        let text = |text: Option<&str>| text.map(|text| format!(" [{text}]")).unwrap_or_default();
        let place = finding.location.as_ref().map(|place| format!("{}:{}", place.line, place.column));
        format!(
            "{}{}{}: {}{}\n",
            finding.severity.as_str(),
            text(finding.lint),
            text(place.as_deref()),
            finding.message,
            text(finding.suggestion.as_deref())
        )
    };
    findings.iter().filter(|finding| finding.code == code).map(line).collect()
}

/// An Ingress with these annotations, and two Services behind it.
fn ingress(annotations: &[&str]) -> String {
    let annotations: String = annotations.iter().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
{annotations}spec:
  ingressClassName: alb
  rules:
  - http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: api, port: {{number: 80}}}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: api}}
spec:
  ports: [{{port: 80}}]
"
    )
}

/// A Service of type LoadBalancer with these annotations.
fn service(annotations: &[&str], ports: &str) -> String {
    let prefix = "service.beta.kubernetes.io/aws-load-balancer-";
    let annotations: String = annotations.iter().map(|line| format!("    {prefix}{line}\n")).collect();
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: api
  annotations:
    a: b
{annotations}spec:
  type: LoadBalancer
  ports: {ports}
"
    )
}

const PORT: &str = "[{port: 80, targetPort: 8080}]";

#[test]
fn acc_s3_45_fb014_a_redirect_needs_a_listener_to_redirect() {
    let certificate =
        "alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-1:111122223333:certificate/a";
    let redirect = "alb.ingress.kubernetes.io/ssl-redirect: '443'";
    check(
        "ssl-redirect-without-http",
        &ingress(&[certificate, redirect]),
        &expect![[r#"
        warning [FB014] [8:5]: ssl-redirect is 443 but the load balancer has no HTTP listener: port 80 refuses connections [alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]']
    "#]],
    );
    let both = r#"alb.ingress.kubernetes.io/listen-ports: '[{"HTTP": 80}, {"HTTPS": 443}]'"#;
    check("ssl-redirect-without-http", &ingress(&[certificate, redirect, both]), &expect![[""]]);
}

#[test]
fn acc_s3_62_fb016_an_action_needs_a_backend() {
    let action = r#"alb.ingress.kubernetes.io/actions.weighted-routing: '{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"api","servicePort":80,"weight":100}]}}'"#;
    check(
        "action-unused",
        &ingress(&[action]),
        &expect![[r#"
        warning [FB016] [7:5]: actions.weighted-routing is never used: no backend leads to it [backend: {service: {name: weighted-routing, port: {name: use-annotation}}}]
    "#]],
    );
    let used = ingress(&[action])
        .replace("{name: api, port: {number: 80}}", "{name: weighted-routing, port: {name: use-annotation}}");
    check("action-unused", &used, &expect![[""]]);
}

#[test]
fn tls_needs_a_listener() {
    let tls = ingress(&[]).replace("  rules:\n", "  tls: [{hosts: [a.example.com]}]\n  rules:\n");
    check(
        "tls-without-https",
        &tls,
        &expect![[r#"
        warning [9:3]: spec.tls has no effect: the load balancer has no HTTPS listener [alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]']
    "#]],
    );
    check("tls-without-https", &ingress(&[]), &expect![[""]]);
    // What names a certificate or a policy asks for as much, and a policy leaves out nothing of what nobody speaks.
    let settings = [
        "alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-1:111122223333:certificate/a",
        "alb.ingress.kubernetes.io/ssl-policy: ELBSecurityPolicy-2016-08",
    ];
    let listeners = |ports: &str| format!("alb.ingress.kubernetes.io/listen-ports: '{ports}'");
    let in_clear = listeners(r#"[{"HTTP": 80}]"#);
    check(
        "tls-without-https",
        &ingress(&[settings[0], settings[1], &in_clear]),
        &expect![[r#"
            warning [7:5]: certificate-arn has no effect: the load balancer has no HTTPS listener [alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]']
            warning [8:5]: ssl-policy has no effect: the load balancer has no HTTPS listener [alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]']
        "#]],
    );
    let in_tls = listeners(r#"[{"HTTPS": 443}]"#);
    check("tls-without-https", &ingress(&[settings[0], settings[1], &in_tls]), &expect![[""]]);
}

#[test]
fn a_rule_without_host_shadows_later_ones() {
    let shadowed = ingress(&[]).replace(
        "---\n",
        "  - host: a.example.com
    http:
      paths:
      - {path: /x, pathType: Exact, backend: {service: {name: api, port: {number: 80}}}}
---\n",
    );
    check(
        "rule-shadowed",
        &shadowed,
        &expect![[r#"
            warning [16:9]: no request reaches this rule: spec.rules[0].http.paths[0] of Ingress default/web matches first, put it behind
        "#]],
    );
    check("rule-shadowed", &ingress(&[]), &expect![[""]]);
}

#[test]
fn acc_s2_23_a_token_that_can_be_guessed_is_noticed() {
    let condition = |value: &str| {
        format!(
            r#"alb.ingress.kubernetes.io/conditions.api: '[{{"Field":"http-header","HttpHeaderConfig":{{"HttpHeaderName":"x-api-key","Values":["{value}"]}}}}]'"#
        )
    };
    check(
        "token-weak",
        &ingress(&[&condition("token1")]),
        &expect![[r#"
        warning [13:9]: 1 of the values of header x-api-key can be guessed: a secret has 128 bits, for example 32 random hexadecimal digits, and no wildcard
    "#]],
    );
    let strong = condition("9f86d081884c7d659a2feaa0c55ad015");
    check("token-weak", &ingress(&[&strong]), &expect![[""]]);
}

#[test]
fn acc_s3_69_public_metrics_are_noticed() {
    let public = ingress(&["alb.ingress.kubernetes.io/scheme: internet-facing"]);
    let metrics = public.replace("path: /, pathType: Prefix", "path: /metrics, pathType: Exact");
    check(
        "metrics-public",
        &metrics,
        &expect![[r#"
        info [13:10]: the metrics are public: everybody who reaches the load balancer can read them
    "#]],
    );
    check("metrics-public", &public, &expect![[""]]);
}

#[test]
fn acc_s3_63_fb017_comments_do_not_limit_rates() {
    let commented = ingress(&[
        "# Rate limiting",
        "alb.ingress.kubernetes.io/target-group-attributes: load_balancing.algorithm.type=round_robin",
    ]);
    check(
        "rate-limit-comment",
        &commented,
        &expect![[r#"
        info [FB017] [7:5]: the comment promises rate limiting, and nothing below it limits a rate [a web ACL with a rate-based rule limits rates on AWS: wafv2-acl-arn]
    "#]],
    );
    check("rate-limit-comment", &ingress(&["# Routing"]), &expect![[""]]);
}

#[test]
fn two_ingresses_without_a_group_cost_twice() {
    let two = format!("{}---\n{}", ingress(&[]), ingress(&[]).replace("name: web", "name: web2"));
    check(
        "separate-load-balancers",
        &two,
        &expect![[r#"
        info [23:3]: 2 Ingresses without group.name are 2 load balancers, which AWS bills apart [alb.ingress.kubernetes.io/group.name: NAME, the same on all of them]
    "#]],
    );
    let grouped =
        two.replace("  annotations:\n", "  annotations:\n    alb.ingress.kubernetes.io/group.name: ml\n");
    check("separate-load-balancers", &grouped, &expect![[""]]);
}

#[test]
fn acc_s2_19_the_limits_of_aws_are_known() {
    let condition = r#"alb.ingress.kubernetes.io/conditions.api: '[{"field":"http-request-method","httpRequestMethodConfig":{"values":["GET","PUT","POST","HEAD"]}},{"field":"host-header","hostHeaderConfig":{"values":["*.a.b","*.c.d"]}}]'"#;
    check(
        "aws-limit-exceeded",
        &ingress(&[condition]),
        &expect![[r#"
        warning [13:9]: AWS would refuse the rule: 4 values in one condition are more than 3
        warning [13:9]: AWS would refuse the rule: 7 values in its conditions are more than 5
    "#]],
    );
    check("aws-limit-exceeded", &ingress(&[]), &expect![[""]]);
}

#[test]
fn a_node_is_not_a_pod() {
    let port = "alb.ingress.kubernetes.io/healthcheck-port: '8080'";
    let by_node = ingress(&[port]).replace("target-type: ip", "target-type: instance");
    check(
        "healthcheck-port-instance",
        &by_node,
        &expect![[r#"
        warning [7:5]: healthcheck-port: with targets of type instance AWS asks port 8080 of the node, not of the pod [target type ip, or the port `traffic-port`]
    "#]],
    );
    check("healthcheck-port-instance", &ingress(&[port]), &expect![[""]]);
    check(
        "healthcheck-port-instance",
        &service(&["healthcheck-port: '8080'"], PORT),
        &expect![[r#"
        warning [7:5]: healthcheck-port: with targets of type instance AWS asks port 8080 of the node, not of the pod [target type ip, or the port `traffic-port`]
    "#]],
    );
}

#[test]
fn a_check_takes_less_time_than_lies_between_two() {
    let interval = "alb.ingress.kubernetes.io/healthcheck-interval-seconds: '5'";
    check(
        "healthcheck-timeout",
        &ingress(&[interval]),
        &expect![[r#"
        warning [4:3]: a check may take 5 s, and the next one comes after 5 s: AWS would refuse it [alb.ingress.kubernetes.io/healthcheck-timeout-seconds: '4']
    "#]],
    );
    check("healthcheck-timeout", &ingress(&[]), &expect![[""]]);
}

#[test]
fn acc_s3_11_fb008_a_path_means_http_unless_aws_is_followed() {
    let path = service(&["healthcheck-path: /healthz"], PORT);
    check(
        "healthcheck-path-unused",
        &path,
        &expect![[r#"
        warning [FB008] [7:5]: healthcheck-path `/healthz` is asked for here; AWS would only make a connection [service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: http]
    "#]],
    );
    let strict = Defaults { strict_aws: true, ..Defaults::default() };
    expect![[r#"
        warning [FB008] [7:5]: healthcheck-path `/healthz` is not asked for: without a protocol a connection is made [service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: http]
    "#]].assert_eq(&found("healthcheck-path-unused", &path, &strict));
    let both = service(&["healthcheck-path: /healthz", "healthcheck-protocol: HTTP"], PORT);
    check("healthcheck-path-unused", &both, &expect![[""]]);
    let tcp = service(&["healthcheck-path: /healthz", "healthcheck-protocol: tcp"], PORT);
    check(
        "healthcheck-path-unused",
        &tcp,
        &expect![[r#"
        warning [FB008] [7:5]: healthcheck-path `/healthz` is not asked for: the protocol is TCP [service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: http]
    "#]],
    );
}

#[test]
fn acc_s3_13_fb010_the_timeout_is_followed() {
    let timeout = service(&["healthcheck-timeout: '5'"], PORT);
    check(
        "healthcheck-timeout-fixed",
        &timeout,
        &expect![[r#"
        info [FB010] [7:5]: healthcheck-timeout 5 is followed; older AWS controllers keep 10 s for TCP and 6 s for HTTP
    "#]],
    );
    check("healthcheck-timeout-fixed", &service(&[], PORT), &expect![[""]]);
}

#[test]
fn acc_s3_10_fb007_http_is_not_a_protocol_of_connections() {
    check(
        "nlb-backend-protocol",
        &service(&["backend-protocol: http"], PORT),
        &expect![[r#"
        info [FB007] [7:5]: backend-protocol `http` means tcp: a Network Load Balancer knows ssl and tcp
    "#]],
    );
    check("nlb-backend-protocol", &service(&["backend-protocol: ssl"], PORT), &expect![[""]]);
}

#[test]
fn acc_s3_17_fb011_port_443_without_tls_is_plain() {
    let https = "[{name: http, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8080}]";
    check(
        "nlb-443-plaintext",
        &service(&[], https),
        &expect![[r#"
        warning [FB011] [9:67]: port 443 is plain TCP: nothing ends TLS here, and clients of https:// get no answer [service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:…]
    "#]],
    );
    let certificate = "ssl-cert: arn:aws:acm:eu-west-1:111122223333:certificate/a";
    check("nlb-443-plaintext", &service(&[certificate], https), &expect![[""]]);
    check("nlb-443-plaintext", &service(&[], "[{port: 443, targetPort: 8443}]"), &expect![[""]]);
}

#[test]
fn acc_s3_26_access_logs_hold_tls_connections() {
    let log = "access-log-enabled: 'true'";
    check(
        "nlb-access-log-without-tls",
        &service(&[log], PORT),
        &expect![[r#"
        warning [4:3]: the access log stays empty on AWS: it holds TLS connections, and no listener ends TLS
    "#]],
    );
    let certificate = "ssl-cert: arn:aws:acm:eu-west-1:111122223333:certificate/a";
    check("nlb-access-log-without-tls", &service(&[log, certificate], PORT), &expect![[""]]);
}

#[test]
fn what_a_mode_would_let_through_is_refused_and_counted() {
    let mode = |mode: &str| {
        let key = "alb.ingress.kubernetes.io/load-balancer-attributes";
        ingress(&[&format!("{key}: routing.http.desync_mitigation_mode={mode}")])
    };
    check(
        "desync-mode",
        &mode("monitor"),
        &expect![[r#"
            info [4:3]: `routing.http.desync_mitigation_mode=monitor` has an ALB let requests through that two servers may read in two ways; they are refused here, and `forebay_refused_beyond_alb_total` counts them
        "#]],
    );
    check("desync-mode", &mode("strictest"), &expect![[""]]);
}

#[test]
fn a_log_that_is_turned_on_needs_a_bucket() {
    let log = "alb.ingress.kubernetes.io/load-balancer-attributes: connection_logs.s3.enabled=true";
    check(
        "log-without-bucket",
        &ingress(&[log]),
        &expect![[r#"
        warning [4:3]: nothing is logged: `connection_logs.s3.enabled=true` needs `connection_logs.s3.bucket`, and AWS refuses it without
    "#]],
    );
    let whole = format!("{log},connection_logs.s3.bucket=logs");
    check("log-without-bucket", &ingress(&[&whole]), &expect![[""]]);
}

#[test]
fn acc_s3_08_the_type_nlb_names_another_controller() {
    check(
        "nlb-controller",
        &service(&["type: nlb"], PORT),
        &expect![[r#"
        info [7:5]: type `nlb` asks for the controller inside Kubernetes: the AWS controller takes `external`, or a Service with its class [spec.loadBalancerClass: service.k8s.aws/nlb]
    "#]],
    );
    check("nlb-controller", &service(&["type: external", "nlb-target-type: ip"], PORT), &expect![[""]]);
}

#[test]
fn acc_s3_21_nobody_says_that_it_is_public() {
    check(
        "scheme-default",
        &service(&[], PORT),
        &expect![[r#"
        info [4:3]: the load balancer is internal, because nothing says otherwise [service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing]
    "#]],
    );
    check("scheme-default", &service(&["scheme: internal"], PORT), &expect![[""]]);
}

#[test]
fn acc_s3_18_a_selector_that_matches_nothing_names_the_nearest_labels() {
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: api-v2}}\nspec: {containers: [{name: a, image: forebay}]}\n";
    let manifests = service(&[], PORT) + "  selector: {app: api}\n" + pod;
    check(
        "selector-matches-nothing",
        &manifests,
        &expect![[r#"
        warning [10:3]: the selector matches no pods [nearest labels: app: api-v2]
    "#]],
    );
    check("selector-matches-nothing", &manifests.replace("api-v2", "api"), &expect![[""]]);
    // A label that is nearly the same is nearer than one that only has the same name.
    let stranger = pod.replace("name: p", "name: s").replace("app: api-v2", "app: zebra, tier: web");
    let near = pod.replace("api-v2", "apis");
    check(
        "selector-matches-nothing",
        &(service(&[], PORT) + "  selector: {app: apiz}\n" + &near + &stranger),
        &expect![[r#"
        warning [10:3]: the selector matches no pods [nearest labels: app: apis]
    "#]],
    );
}

#[test]
fn acc_s3_14_and_s3_15_fb009_short_names_are_taken_with_a_warning() {
    let short = service(&["healthy-threshold: '2'", "unhealthy-threshold: '4'"], PORT);
    check(
        "annotation-unknown",
        &short,
        &expect![[r#"
        warning [FB009] [7:5]: aws-load-balancer-healthy-threshold is not a name that AWS knows: it is taken for the right one [service.beta.kubernetes.io/aws-load-balancer-healthcheck-healthy-threshold]
        warning [FB009] [8:5]: aws-load-balancer-unhealthy-threshold is not a name that AWS knows: it is taken for the right one [service.beta.kubernetes.io/aws-load-balancer-healthcheck-unhealthy-threshold]
    "#]],
    );
    let strict = Defaults { strict_aws: true, ..Defaults::default() };
    for (defaults, expected) in [(Defaults::default(), (2, 4)), (strict, (3, 3))] {
        let objects: Objects = read("f.yaml", &short).objects.into_iter().collect();
        let plan = compile(&objects, &defaults).plan;
        let check = &plan.load_balancers[0].target_groups[0].health_check;
        assert_eq!((check.healthy_threshold, check.unhealthy_threshold), expected);
    }
}

#[test]
fn acc_s3_30_fb013_the_target_type_has_another_name() {
    check(
        "annotation-unknown",
        &service(&["target-type: ip"], PORT),
        &expect![[r#"
        warning [FB013] [7:5]: aws-load-balancer-target-type is not a name that AWS knows: it is taken for the right one [service.beta.kubernetes.io/aws-load-balancer-nlb-target-type]
    "#]],
    );
}

#[test]
fn acc_s3_59_fb015_a_missing_service_names_similar_ones() {
    let manifests = ingress(&[]).replace("name: api,", "name: retail-forecast-service,")
        + "---\n"
        + &service(&[], PORT).replace("name: api", "name: retail-forecast-nlb");
    check(
        "backend-service-missing",
        &manifests,
        &expect![[r#"
            warning [FB015] [12:57]: Service default/retail-forecast-service does not exist: requests to it are answered with 503 [similar: retail-forecast-nlb]
        "#]],
    );
}

#[test]
fn every_way_to_a_target_is_held_against_its_best_guarded_one() {
    let gate = r#"alb.ingress.kubernetes.io/conditions.api: '[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-api-key","values":["9f86d081884c7d659a2feaa0c55ad015"]}}]'"#;
    let guarded = ingress(&[gate]).replace("spec:\n  ports", "spec:\n  selector: {app: model}\n  ports");
    check("way-unguarded", &guarded, &expect![[""]]);
    // The same pods behind another Service, and so another load balancer.
    let beside = "---\n".to_owned()
        + &service(&["scheme: internet-facing"], PORT).replace("name: api", "name: nlb")
        + "  selector: {app: model}\n";
    check(
        "way-unguarded",
        &(guarded.clone() + &beside),
        &expect![[r#"
            warning [30:3]: on port 80 this leads, without the header x-api-key, to the same pods as spec.rules[0].http.paths[0] of Ingress default/web, which asks for it
        "#]],
    );
    // Another Ingress with a header of its own is as good, one without is not, and one path alone is a note.
    let other = |name: &str, key: &str, path: &str| {
        let gate = gate.replace("x-api-key", key);
        let text = if key.is_empty() { ingress(&[]) } else { ingress(&[&gate]) };
        let text =
            text.split("---").next().unwrap_or_default().replace("name: web", &format!("name: {name}"));
        "---\n".to_owned() + &text.replace("{path: /, pathType: Prefix", path)
    };
    check(
        "way-unguarded",
        &(guarded.clone() + &other("b", "x-admin-key", "{path: /, pathType: Prefix")),
        &expect![[""]],
    );
    check(
        "way-unguarded",
        &(guarded.clone() + &other("b", "", "{path: /, pathType: Prefix")),
        &expect![[r#"
            warning [33:9]: on port 80 this leads, without the header x-api-key, to the same pods as spec.rules[0].http.paths[0] of Ingress default/web, which asks for it
        "#]],
    );
    check(
        "way-unguarded",
        &(guarded + &other("b", "", "{path: /healthz, pathType: Exact")),
        &expect![[r#"
            info [33:9]: on port 80 this leads, without the header x-api-key, to the same pods as spec.rules[0].http.paths[0] of Ingress default/web, which asks for it
        "#]],
    );
}

#[test]
fn acc_s3_19_a_load_balancer_that_lets_everybody_in_is_noted() {
    let open =
        service(&["scheme: internet-facing"], PORT) + "  loadBalancerSourceRanges: [10.0.0.0/8, 0.0.0.0/0]\n";
    check(
        "open-to-everybody",
        &open,
        &expect![[r#"
        info [11:42]: `0.0.0.0/0` lets the whole internet in
    "#]],
    );
    check("open-to-everybody", &open.replace(", 0.0.0.0/0", ""), &expect![[""]]);
    check("open-to-everybody", &open.replace("internet-facing", "internal"), &expect![[""]]);
}
