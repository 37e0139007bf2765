//! Every annotation at least once: what it changes in the plan, and what it refuses.

use serde_json::Value;

use super::*;
use crate::{Defaults, Objects, Severity, compile, plan_json, read};

/// An Ingress on 80 and 443 with two rules, a Service behind it, and a Service that is a load balancer.
const MANIFESTS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {alb.ingress.kubernetes.io/target-type: ip, alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]'}}
spec:
  ingressClassName: alb
  rules:
  - host: a.example.com
    http:
      paths:
      - {path: /a, backend: {service: {name: api, port: {number: 80}}}}
      - {path: /b, backend: {service: {name: name, port: {name: use-annotation}}}}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: lb, annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}}
spec: {type: LoadBalancer, ports: [{name: plain, port: 80, targetPort: 8080}, {name: tls, port: 443, targetPort: 8443}]}
"#;

/// Compiles the manifests with annotations put on the Ingress, or on the Service when their name is one for Services.
fn plan_with(annotations: &[(&str, &str)]) -> (Value, Vec<Finding>) {
    let mut objects = Objects::default();
    for mut object in read("f.yaml", MANIFESTS).objects {
        for (key, text) in annotations {
            let on_service = key.starts_with(SERVICE_PREFIX);
            let is_meant = if on_service { object.name == "lb" } else { object.name == "web" };
            if is_meant {
                object.value["metadata"]["annotations"][*key] = Value::from(*text);
            }
        }
        objects.insert(object);
    }
    let compiled = compile(&objects, &Defaults::default());
    (serde_json::from_str(&plan_json(&compiled)).unwrap(), compiled.findings)
}

fn full_key(key: &str) -> String {
    let is_of_service =
        key.starts_with("aws-") || key == "load-balancer-source-ranges" || key == "actions.TCP-80";
    let prefix = if is_of_service { SERVICE_PREFIX } else { INGRESS_PREFIX };
    format!("{prefix}{key}")
}

/// The plan has a value at a place, and none of the findings is an error. Places begin in the list of a kind and count only
/// what belongs to the load balancer with the annotation.
#[track_caller]
fn check(key: &str, text: &str, place: &str, expected: &str) {
    let key = full_key(key);
    let (plan, findings) = plan_with(&[(&key, text)]);
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.is_error()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let (list, rest) = place.split_once('/').unwrap();
    let is_network = key.starts_with(SERVICE_PREFIX);
    let mut found = plan[list].as_array().unwrap().iter().filter(|item| {
        let owner = item.get("id").or(item.get("loadBalancer")).and_then(Value::as_str).unwrap();
        (owner == "service:default/lb") == is_network
    });
    let (index, pointer) = rest.split_once('/').unwrap();
    let item = found.nth(index.parse().unwrap()).unwrap();
    let value = item.pointer(&format!("/{pointer}")).unwrap_or_else(|| panic!("{place} is not there"));
    assert_eq!(value.to_string(), expected, "{key}: {text}");
}

#[test]
fn every_example_is_taken() {
    for annotation in annotations() {
        let key =
            annotation.sample_key().replace("target-control-port.Service.Port", "target-control-port.api.80");
        let key = key.replace(
            "aws-load-balancer-listener-attributes.HTTPS-443",
            "aws-load-balancer-listener-attributes.TCP-80",
        );
        let key = key.replace("beta.kubernetes.io/actions.HTTPS-443", "beta.kubernetes.io/actions.TCP-80");
        let example = annotation.example.replace("\"serviceName\":\"canary\"", "\"serviceName\":\"api\"");
        let (_, findings) = plan_with(&[(&key, &example)]);
        let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.is_error()).collect();
        let is_refused = annotation.key == "jwt-validation";
        assert_eq!(errors.len(), usize::from(is_refused), "{key}: {example}: {errors:?}");
        let is_unknown = findings.iter().any(|finding| finding.code == codes::ANNOTATION_UNKNOWN.name);
        assert!(!is_unknown, "{key}");
        let says_nothing_follows = findings.iter().any(|finding| {
            finding.code == codes::ANNOTATION_NO_EFFECT.name
                && finding.message.contains("has no effect here yet")
        });
        let has_effect =
            !matches!(annotation.apply, Apply::Nothing | Apply::IngressRecord(_) | Apply::ServiceRecord(_));
        assert_eq!(says_nothing_follows, !has_effect, "{key}");
    }
}

#[test]
fn no_name_stands_twice() {
    let mut keys: Vec<String> = annotations().map(Annotation::full_key).collect();
    let n_keys = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), n_keys);
}

#[test]
fn the_load_balancer_of_an_ingress_is_told() {
    check("load-balancer-name", "retail-api", "loadBalancers/0/name", r#""retail-api""#);
    check("group.name", "ml.prod", "loadBalancers/0/id", r#""group:ml.prod""#);
    check("group.order", "-5", "loadBalancers/0/id", r#""ingress:default/web""#);
    check("scheme", "internet-facing", "loadBalancers/0/scheme", r#""internet-facing""#);
    check("ip-address-type", "dualstack", "listeners/0/sourceRanges/cidrs", r#"["0.0.0.0/0","::/0"]"#);
    check("subnets", "a, b,", "loadBalancers/0/subnets", r#"["a","b"]"#);
    check("customer-owned-ipv4-pool", "pool", "loadBalancers/0/customerOwnedIpv4Pool", r#""pool""#);
    check("security-groups", "sg-a", "loadBalancers/0/securityGroups", r#"["sg-a"]"#);
    check("security-groups", "sg-a", "listeners/0/sourceRanges", "null");
    check("inbound-cidrs", "10.0.0.0/8", "listeners/1/sourceRanges/cidrs", r#"["10.0.0.0/8"]"#);
    check(
        "security-group-prefix-lists",
        "pl-b,pl-a",
        "listeners/0/sourceRanges/prefixLists",
        r#"["pl-a","pl-b"]"#,
    );
    check("minimum-load-balancer-capacity", "CapacityUnits=7", "loadBalancers/0/minimumCapacityUnits", "7");
    check("shield-advanced-protection", "T", "loadBalancers/0/shieldAdvancedProtection", "true");
    check("wafv2-acl-arn", "arn:a", "loadBalancers/0/wafv2AclArn", r#""arn:a""#);
    check("wafv2-acl-arn", "none", "loadBalancers/0/wafv2AclArn", "null");
    check("wafv2-acl-name", "api", "loadBalancers/0/wafv2AclArn", r#""api""#);
    check("tags", "a=b", "rules/0/tags", r#"{"a":"b"}"#);
    let attributes = "routing.http.xff_header_processing.mode=remove";
    let place = "loadBalancers/0/attributes/routing.http.xff_header_processing.mode";
    check("load-balancer-attributes", attributes, place, r#""remove""#);
}

#[test]
fn the_listeners_of_an_ingress_are_told() {
    check("listen-ports", r#"[{"HTTP":8080,"HTTPS":8443}]"#, "listeners/0/port", "8080");
    check("ssl-redirect", "443", "listeners/0/defaultActions/0/redirectConfig/port", r#""443""#);
    check("certificate-arn", "arn:a, arn:b", "listeners/1/certificates/1/certificateArn", r#""arn:b""#);
    check("create-acm-cert", "true", "listeners/1/certificates/0/certificateArn", r#""local:a.example.com""#);
    check(
        "ssl-policy",
        "ELBSecurityPolicy-TLS13-1-3-2021-06",
        "listeners/1/sslPolicy",
        r#""ELBSecurityPolicy-TLS13-1-3-2021-06""#,
    );
    let attributes = "routing.http.response.server.enabled=false";
    let place = "listeners/1/attributes/routing.http.response.server.enabled";
    check("listener-attributes.HTTPS-443", attributes, place, r#""false""#);
}

#[test]
fn the_rules_of_an_ingress_are_told() {
    check("use-regex-path-match", "true", "rules/0/conditions/1/pathPatternConfig/regexValues", r#"["a"]"#);
    let response = r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"204"}}"#;
    let place = "rules/1/actions/0/fixedResponseConfig/statusCode";
    check("actions.name", response, place, r#""204""#);
    let redirect =
        r##"{"type":"redirect","redirectConfig":{"path":"/new/#{path}","statusCode":"HTTP_302"}}"##;
    check("actions.name", redirect, "rules/1/actions/0/redirectConfig/statusCode", r#""HTTP_302""#);
    let simple = r#"{"type":"forward","targetGroupARN":"arn:a"}"#;
    let place = "rules/1/actions/0/forwardConfig/targetGroups/0/targetGroupArn";
    check("actions.name", simple, place, r#""arn:a""#);
    for (field, config, value, place) in [
        ("host-header", "hostHeaderConfig", r#"["b.example.com"]"#, "0/hostHeaderConfig/values/1"),
        ("path-pattern", "pathPatternConfig", r#"["/c"]"#, "1/pathPatternConfig/values/1"),
        (
            "http-request-method",
            "httpRequestMethodConfig",
            r#"["PUT"]"#,
            "0/httpRequestMethodConfig/values/0",
        ),
        ("source-ip", "sourceIPConfig", r#"["10.0.0.0/8"]"#, "0/sourceIpConfig/values/0"),
        ("query-string", "queryStringConfig", r#"[{"value":"x"}]"#, "0/queryStringConfig/values/0/value"),
    ] {
        let condition = format!(r#"[{{"field":"{field}","{config}":{{"values":{value}}}}}]"#);
        let expected = value.rsplit('"').nth(1).unwrap();
        let place = format!("rules/0/conditions/{place}");
        check("conditions.api", &condition, &place, &format!("\"{expected}\""));
    }
    let header =
        r#"[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X-A","regexValues":["^v[12]$"]}}]"#;
    check("conditions.api", header, "rules/0/conditions/0/httpHeaderConfig/regexValues/0", r#""^v[12]$""#);
}

#[test]
fn the_target_groups_of_an_ingress_are_told() {
    check("target-type", "ip", "targetGroups/0/port", "8080");
    check("backend-protocol", "HTTPS", "targetGroups/0/healthCheck/protocol", r#""HTTPS""#);
    check("backend-protocol-version", "GRPC", "targetGroups/0/healthCheck/matcher/grpcCode", r#""12""#);
    check("target-control-port.api.80", "3000", "targetGroups/0/targetControlPort", "3000");
    check("healthcheck-port", "http", "targetGroups/0/healthCheck/port", r#""8080""#);
    check("healthcheck-port", "9000", "targetGroups/0/healthCheck/port", r#""9000""#);
    check("healthcheck-protocol", "HTTPS", "targetGroups/0/healthCheck/protocol", r#""HTTPS""#);
    check("healthcheck-path", "/healthz", "targetGroups/0/healthCheck/path", r#""/healthz""#);
    check("healthcheck-interval-seconds", "30", "targetGroups/0/healthCheck/intervalSeconds", "30");
    check("healthcheck-timeout-seconds", "3", "targetGroups/0/healthCheck/timeoutSeconds", "3");
    check("healthy-threshold-count", "3", "targetGroups/0/healthCheck/healthyThresholdCount", "3");
    check("unhealthy-threshold-count", "10", "targetGroups/0/healthCheck/unhealthyThresholdCount", "10");
    check("success-codes", "200-299", "targetGroups/0/healthCheck/matcher/httpCode", r#""200-299""#);
    let place = "targetGroups/0/attributes/load_balancing.algorithm.type";
    check(
        "target-group-attributes",
        "load_balancing.algorithm.type=weighted_random",
        place,
        r#""weighted_random""#,
    );
}

#[test]
fn the_load_balancer_of_a_service_is_told() {
    check("aws-load-balancer-name", "retail-api", "loadBalancers/0/name", r#""retail-api""#);
    check("aws-load-balancer-type", "nlb-ip", "targetGroups/0/targetType", r#""ip""#);
    check("aws-load-balancer-nlb-target-type", "instance", "targetGroups/0/targetType", r#""instance""#);
    check("aws-load-balancer-scheme", "internet-facing", "loadBalancers/0/scheme", r#""internet-facing""#);
    check("aws-load-balancer-internal", "false", "loadBalancers/0/scheme", r#""internet-facing""#);
    check(
        "aws-load-balancer-ip-address-type",
        "dualstack",
        "loadBalancers/0/ipAddressType",
        r#""dualstack""#,
    );
    check("aws-load-balancer-subnets", "a", "loadBalancers/0/subnets", r#"["a"]"#);
    let attribute = |key: &str| format!("loadBalancers/0/attributes/{key}");
    let cross_zone = attribute("load_balancing.cross_zone.enabled");
    check("aws-load-balancer-attributes", "load_balancing.cross_zone.enabled=true", &cross_zone, r#""true""#);
    check("aws-load-balancer-cross-zone-load-balancing-enabled", "1", &cross_zone, r#""true""#);
    check("aws-load-balancer-access-log-enabled", "true", &attribute("access_logs.s3.enabled"), r#""true""#);
    check("aws-load-balancer-access-log-s3-bucket-name", "b", &attribute("access_logs.s3.bucket"), r#""b""#);
    check(
        "aws-load-balancer-access-log-s3-bucket-prefix",
        "p",
        &attribute("access_logs.s3.prefix"),
        r#""p""#,
    );
    check("aws-load-balancer-additional-resource-tags", "a=b", "targetGroups/0/tags", r#"{"a":"b"}"#);
    let place = "loadBalancers/0/minimumCapacityUnits";
    check("aws-load-balancer-minimum-load-balancer-capacity", "CapacityUnits=7", place, "7");
    check("load-balancer-source-ranges", "10.0.0.0/8", "listeners/0/sourceRanges/cidrs", r#"["10.0.0.0/8"]"#);
    check("aws-load-balancer-security-groups", "sg-a", "listeners/0/sourceRanges", "null");
    check("aws-load-balancer-disable-nlb-sg", "true", "listeners/0/sourceRanges", "null");
    let place = "listeners/0/sourceRanges/prefixLists";
    check("aws-load-balancer-security-group-prefix-lists", "pl-a", place, r#"["pl-a"]"#);
}

#[test]
fn the_listeners_of_a_service_are_told() {
    check("aws-load-balancer-ssl-cert", "arn:a", "listeners/0/protocol", r#""TLS""#);
    let place = "listeners/0/attributes/tcp.idle_timeout.seconds";
    check("aws-load-balancer-listener-attributes.TCP-80", "tcp.idle_timeout.seconds=60", place, r#""60""#);
    let action = r#"{"type":"forward","forwardConfig":{"baseServiceWeight":9,"targetGroups":[{"serviceName":"api","servicePort":80,"weight":1}]}}"#;
    let place = "listeners/0/defaultActions/0/forwardConfig/targetGroups/0/weight";
    check("actions.TCP-80", action, place, "9");
    let certificate = (&*full_key("aws-load-balancer-ssl-cert"), "arn:a");
    for (key, text, pointer, expected) in [
        ("aws-load-balancer-ssl-ports", "tls", "/listeners/2/protocol", r#""TCP""#),
        ("aws-load-balancer-ssl-ports", "443", "/listeners/3/protocol", r#""TLS""#),
        (
            "aws-load-balancer-ssl-negotiation-policy",
            "ELBSecurityPolicy-TLS13-1-3-2021-06",
            "/listeners/3/sslPolicy",
            r#""ELBSecurityPolicy-TLS13-1-3-2021-06""#,
        ),
        ("aws-load-balancer-alpn-policy", "HTTP2Only", "/listeners/3/alpnPolicy", r#"["HTTP2Only"]"#),
        ("aws-load-balancer-backend-protocol", "ssl", "/targetGroups/2/protocol", r#""TLS""#),
    ] {
        let plan = plan_with(&[certificate, (&full_key(key), text)]).0;
        assert_eq!(plan.pointer(pointer).unwrap().to_string(), expected, "{key}");
    }
}

#[test]
fn the_target_groups_of_a_service_are_told() {
    let proxy = "targetGroups/0/attributes/proxy_protocol_v2.enabled";
    check("aws-load-balancer-proxy-protocol", "*", proxy, r#""true""#);
    check("aws-load-balancer-proxy-protocol-per-target-group", "443", proxy, r#""true""#);
    check("aws-load-balancer-proxy-protocol-per-target-group", "80", proxy, r#""false""#);
    let attributes = "aws-load-balancer-target-group-attributes";
    check(attributes, "proxy_protocol_v2.enabled=true", proxy, r#""true""#);
    check(&format!("{attributes}.443"), "proxy_protocol_v2.enabled=true", proxy, r#""true""#);
    let place = |field: &str| format!("targetGroups/1/healthCheck/{field}");
    check("aws-load-balancer-healthcheck-protocol", "HTTP", &place("path"), r#""/""#);
    check("aws-load-balancer-healthcheck-port", "plain", &place("port"), r#""8080""#);
    check("aws-load-balancer-healthcheck-path", "/healthz", &place("path"), r#""/healthz""#);
    check("aws-load-balancer-healthcheck-interval", "30", &place("intervalSeconds"), "30");
    check("aws-load-balancer-healthcheck-timeout", "5", &place("timeoutSeconds"), "5");
    check("aws-load-balancer-healthcheck-healthy-threshold", "2", &place("healthyThresholdCount"), "2");
    check("aws-load-balancer-healthcheck-unhealthy-threshold", "4", &place("unhealthyThresholdCount"), "4");
    let path = (&*full_key("aws-load-balancer-healthcheck-path"), "/x");
    let codes = (&*full_key("aws-load-balancer-healthcheck-success-codes"), "200,204");
    let plan = plan_with(&[path, codes]).0;
    assert_eq!(plan["targetGroups"][2]["healthCheck"]["matcher"]["httpCode"], "200,204");
}

#[test]
fn attributes_that_do_nothing_here_say_so_and_those_that_do_something_do_not() {
    for (key, attribute, acts) in [
        ("aws-load-balancer-target-group-attributes", "proxy_protocol_v2.enabled=true", true),
        ("aws-load-balancer-target-group-attributes", "deregistration_delay.timeout_seconds=60", true),
        (
            "aws-load-balancer-target-group-attributes",
            "deregistration_delay.connection_termination.enabled=true",
            true,
        ),
        ("aws-load-balancer-target-group-attributes", "preserve_client_ip.enabled=false", false),
        ("load-balancer-attributes", "routing.http.x_amzn_tls_version_and_cipher_suite.enabled=true", true),
        ("load-balancer-attributes", "routing.http2.enabled=false", true),
        ("load-balancer-attributes", "ipv6.deny_all_igw_traffic=true", false),
        ("target-group-attributes", "routing.http2.rst_stream_error_forwarding.enabled=true", false),
        ("listener-attributes.HTTP-80", "routing.http.response.server.enabled=false", true),
        ("target-group-attributes", "load_balancing.algorithm.type=weighted_random", true),
        ("target-group-attributes", "slow_start.duration_seconds=60", true),
        ("target-group-attributes", "stickiness.enabled=true", true),
    ] {
        let findings = plan_with(&[(&full_key(key), attribute)]).1;
        let idle = format!("recorded, and without effect in this build: {attribute}");
        assert_eq!(findings.iter().any(|finding| finding.message == idle), !acts, "{findings:?}");
    }
}

#[test]
fn an_algorithm_of_ours_says_that_aws_does_not_know_it() {
    let findings =
        plan_with(&[(&full_key("target-group-attributes"), "load_balancing.algorithm.type=p2c_ewma")]).1;
    let found = findings.iter().find(|finding| finding.code == "ours-only").unwrap();
    let message =
        "attribute `load_balancing.algorithm.type`: a load balancer of AWS does not know `p2c_ewma`";
    assert_eq!((found.message.as_str(), found.severity), (message, Severity::Warning));
}

/// The value is refused with this finding, and the load balancer is left out.
#[track_caller]
fn refused(key: &str, text: &str, code: &str, message: &str) {
    let key = full_key(key);
    let (plan, findings) = plan_with(&[(&key, text)]);
    let said: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| format!("{} {}", finding.code, finding.message))
        .collect();
    assert_eq!(said, [format!("{code} {message}")], "{key}: {text}");
    assert_eq!(plan["loadBalancers"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_values_take_the_load_balancer_out() {
    let invalid = "annotation-invalid";
    refused("scheme", "public", invalid, "scheme: `public` is not one of `internal`, `internet-facing`");
    refused(
        "group.order",
        "1001",
        "group-order-invalid",
        "group.order: `1001` is not a number between -1000 and 1000",
    );
    refused(
        "group.name",
        "A",
        "group-name-invalid",
        "group.name: `A` is not a name of at most 63 lower-case letters, digits, `-` and `.`",
    );
    refused(
        "shield-advanced-protection",
        "yes",
        invalid,
        "shield-advanced-protection: `yes` is not `true` or `false`",
    );
    refused("minimum-load-balancer-capacity", "7", invalid, "minimum-load-balancer-capacity: `7` has no `=`");
    refused("inbound-cidrs", "x", "cidr-invalid", "inbound-cidrs: `x` is not a range of addresses");
    refused("listen-ports", r#"[{"TCP":80}]"#, invalid, "listen-ports: protocol `TCP` is not HTTP or HTTPS");
    refused("listen-ports", "[]", invalid, "listen-ports: there is no port in it");
    refused("listen-ports", r#"[{"HTTP":70000}]"#, invalid, "listen-ports: port 70000 is not within 1–65535");
    refused(
        "ssl-redirect",
        "80",
        "ssl-redirect-port",
        "ssl-redirect: port 80 is not an HTTPS listener of the load balancer",
    );
    refused("certificate-arn", "x", invalid, "certificate-arn: `x` is not an ARN");
    refused("tags", "a", invalid, "tags: `a` has no `=`");
    refused(
        "healthcheck-port",
        "admin",
        "healthcheck-port-unknown",
        "healthcheck-port: Service `api` has no port named `admin`",
    );
    refused("healthcheck-path", "x", invalid, "healthcheck-path: `x` is not a path that begins with `/`");
    refused(
        "healthy-threshold-count",
        "1",
        invalid,
        "healthy-threshold-count: `1` is not a number between 2 and 10",
    );
    refused(
        "success-codes",
        "600",
        invalid,
        "success-codes: `600` is not a status code or a range of them between 200 and 499",
    );
    refused("backend-protocol", "http", invalid, "backend-protocol: `http` is not one of `HTTP`, `HTTPS`");
    refused(
        "aws-load-balancer-proxy-protocol",
        "on",
        "proxy-protocol-invalid",
        "aws-load-balancer-proxy-protocol: `on` is not `*`, the only value there is",
    );
    refused(
        "aws-load-balancer-ssl-ports",
        "8443",
        "ssl-ports-unused",
        "ssl-ports: the Service has no port `8443`",
    );
    let attributes = "target-group-attributes";
    let sticky = "stickiness.enabled=true,stickiness.type=app_cookie";
    refused(
        attributes,
        sticky,
        "attribute-invalid",
        "stickiness by `app_cookie` needs `stickiness.app_cookie.cookie_name`",
    );
    let cookie = "stickiness.app_cookie.cookie_name=AWSALB";
    refused(
        attributes,
        cookie,
        "attribute-invalid",
        "attribute `stickiness.app_cookie.cookie_name`: `AWSALB` is a name of the load balancer's own",
    );
}

#[test]
fn acc_s3_61_actions_are_checked() {
    let action = |text: &str, message: &str| {
        refused("actions.name", text, "action-invalid", &format!("actions.name: {message}"));
    };
    action(r#"{"type":"drop"}"#, "type `drop` is not forward, redirect or fixed-response");
    action(r#"{"type":"forward"}"#, "a forward needs a `forwardConfig`");
    action(
        r#"{"type":"forward","forwardConfig":{"targetGroups":[]}}"#,
        "forwardConfig has 0 targetGroups: 1 to 5 are taken",
    );
    let two = |first: &str, rest: &str| {
        format!(
            r#"{{"type":"forward","forwardConfig":{{"targetGroups":[{{"serviceName":"api","servicePort":80{first}}},{{"serviceName":"api","servicePort":"http","weight":1}}]{rest}}}}}"#
        )
    };
    action(&two("", ""), "each of several target groups needs a `weight`");
    action(&two(r#","weight":1000"#, ""), "weight 1000 is not between 0 and 999");
    let sticky = r#","targetGroupStickinessConfig":{"enabled":true}"#;
    action(&two(r#","weight":1"#, sticky), "stickiness needs `durationSeconds`");
    let redirect = |config: &str| format!(r#"{{"type":"redirect","redirectConfig":{{{config}}}}}"#);
    action(&redirect(r#""host":"a""#), "a redirect needs a `statusCode`: HTTP_301 or HTTP_302");
    action(&redirect(r#""host":"a","statusCode":"301""#), "statusCode `301` is not HTTP_301 or HTTP_302");
    action(&redirect(r#""path":"a","statusCode":"HTTP_301""#), "path `a` does not begin with `/`");
    action(
        &redirect(r#""host":"a\r\nX: y","statusCode":"HTTP_301""#),
        "host, path and query have no spaces or line breaks, and a host is not empty",
    );
    action(&redirect(r#""protocol":"HTTP","statusCode":"HTTP_301""#), "a redirect from HTTPS to HTTP");
    let response =
        |config: &str| format!(r#"{{"type":"fixed-response","fixedResponseConfig":{{{config}}}}}"#);
    action(&response(r#""statusCode":"301""#), "statusCode `301` is not a 2XX, 4XX or 5XX");
    let body = format!(r#""statusCode":"200","messageBody":"{}""#, "x".repeat(1025));
    action(&response(&body), "messageBody has 1025 characters: 1024 are taken");
    let weighted = two(r#","weight":1"#, "")
        .replace("\"serviceName\":\"api\",\"servicePort\":80", "\"serviceName\":\"gone\",\"servicePort\":80");
    refused(
        "actions.name",
        &weighted,
        "backend-service-missing",
        "actions.name: one of several target groups has no Service",
    );
}

#[test]
fn acc_s2_19_conditions_are_checked() {
    let condition = |field: &str, message: &str| {
        let text = format!("[{{{field}}}]");
        refused("conditions.api", &text, "condition-invalid", &format!("conditions.api: {message}"));
    };
    condition(
        r#""field":"cookie""#,
        "field `cookie` is not one of host-header, path-pattern, http-header, http-request-method, query-string, source-ip",
    );
    condition(r#""field":"host-header""#, "field host-header needs a `hostHeaderConfig`");
    condition(r#""field":"host-header","hostHeaderConfig":{}"#, "there are no values");
    let both = r#""field":"path-pattern","pathPatternConfig":{"values":["/a"],"regexValues":["a"]}"#;
    condition(both, "either `values` or `regexValues`, not both");
    let host = r#""field":"http-header","httpHeaderConfig":{"httpHeaderName":"Host","values":["a"]}"#;
    condition(host, "the field Host is a host-header condition");
    let method = r#""field":"http-request-method","httpRequestMethodConfig":{"values":["get"]}"#;
    condition(method, "`get` is not a method in upper case");
    let regexes = r#"[{"field":"host-header","hostHeaderConfig":{"regexValues":["^a"]}}]"#;
    let mixed = "a host-header condition has either values or regular expressions, not both";
    refused("conditions.api", regexes, "condition-invalid", mixed);
}

#[test]
fn transforms_are_read_and_checked() {
    let url = r#"[{"Type":"url-rewrite","UrlRewriteConfig":{"Rewrites":[{"Regex":"^/a","Replace":"/b"}]}}]"#;
    check("transforms.api", url, "rules/0/transforms/0/urlRewriteConfig/rewrites/0/replace", r#""/b""#);
    let host = r#"[{"type":"host-header-rewrite","hostHeaderRewriteConfig":{"rewrites":[{"regex":"^a"}]}}]"#;
    check("transforms.api", host, "rules/0/transforms/0/hostHeaderRewriteConfig/rewrites/0/regex", r#""^a""#);
    let wrong = |text: &str, message: &str| {
        refused("transforms.api", text, "transform-invalid", &format!("transforms.api: {message}"));
    };
    wrong(r#"[{"type":"rewrite"}]"#, "type `rewrite` is not host-header-rewrite or url-rewrite");
    let missing = "url-rewrite needs a `urlRewriteConfig` with `rewrites`";
    wrong(r#"[{"type":"url-rewrite"}]"#, missing);
    wrong(r#"[{"type":"url-rewrite","urlRewriteConfig":{"rewrites":[]}}]"#, missing);
    let twice = format!("[{0},{0}]", &url[1..url.len() - 1]);
    wrong(&twice, "a rule has one url-rewrite at most");
    let with = |regex: &str| {
        format!(r#"[{{"type":"url-rewrite","urlRewriteConfig":{{"rewrites":[{{"regex":"{regex}"}}]}}}}]"#)
    };
    let possessive = "`a++` has a possessive quantifier, which a load balancer does not take";
    wrong(&with("a++"), possessive);
    wrong(&with(""), "`regex` has 1 to 1024 characters, `replace` at most 1024");
}

#[test]
fn unknown_fields_in_json_are_noticed_and_ignored() {
    let text = r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"200","mesageBody":"x"}}"#;
    let (_, findings) = plan_with(&[(&full_key("actions.name"), text)]);
    let finding = findings.iter().find(|finding| finding.code == "field-unknown").unwrap();
    assert_eq!(
        finding.message,
        "actions.name: `fixedResponseConfig.mesageBody` is not known, and is ignored"
    );
    assert_eq!(finding.suggestion.as_deref(), Some("did you mean `messageBody`?"));
}

#[test]
fn the_other_prefix_of_services_is_taken() {
    let (plan, _) = plan_with(&[]);
    assert_eq!(plan["loadBalancers"][1]["scheme"], "internal");
    let text = MANIFESTS.replace(
        "annotations: {service.beta",
        "annotations: {service.kubernetes.io/aws-load-balancer-scheme: internet-facing, service.beta",
    );
    let objects: Objects = read("f.yaml", &text).objects.into_iter().collect();
    let compiled = compile(&objects, &Defaults::default());
    assert_eq!(compiled.plan.load_balancers[1].scheme.as_str(), "internet-facing");
}

#[test]
fn a_mistyped_prefix_is_corrected_and_that_of_another_controller_left_alone() {
    for (key, right) in [
        ("alb.ingress.kubernets.io/scheme", Some("alb.ingress.kubernetes.io/scheme")),
        ("alb.ingres.kubernetes.io/target-type", Some("alb.ingress.kubernetes.io/target-type")),
        ("alb.ingress.kubernets.io/colour", None),
        ("nginx.ingress.kubernetes.io/ssl-redirect", None),
        ("alb.networking.azure.io/scheme", None),
        ("alb.ingress.kubernetes.io/scheme", None),
        ("scheme", None),
    ] {
        assert_eq!(with_right_prefix(key, false).as_deref(), right, "{key}");
    }
    let key = "service.beta.kubernets.io/aws-load-balancer-scheme";
    assert!(with_right_prefix(key, true).is_some());
    assert_eq!(with_right_prefix(key, false), None);
}

#[test]
fn annotations_of_other_controllers_are_not_ignored_silently() {
    let text = MANIFESTS.replace(
        "alb.ingress.kubernetes.io/target-type",
        "nginx.ingress.kubernetes.io/whitelist-source-range: 10.0.0.0/8, kubernetes.io/ingress.class: nginx, alb.ingress.kubernetes.io/target-type",
    );
    assert_ne!(text, MANIFESTS);
    let objects: Objects = read("f.yaml", &text).objects.into_iter().collect();
    let findings = compile(&objects, &Defaults::default()).findings;
    let told = |code: &str, part: &str| {
        findings.iter().any(|finding| finding.code == code && finding.message.contains(part))
    };
    assert!(
        told("annotation-no-effect", "whitelist-source-range is for another controller"),
        "{findings:#?}"
    );
    assert!(told("annotation-invalid", "`nginx` is not spec.ingressClassName `alb`"), "{findings:#?}");
}

#[test]
fn what_is_suggested_is_what_was_meant_and_never_less_tls() {
    let certificate = |id: &str| format!("arn:aws:acm:eu-west-1:111122223333:certificate/{id}");
    let two = format!("{} {}", certificate("x"), certificate("y"));
    let two_rightly = format!("{},{}", certificate("x"), certificate("y"));
    for (key, text, code, suggestion) in [
        (
            "backend-protocol",
            "https",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol: HTTPS",
        ),
        (
            "backend-protocol",
            "tls",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol: HTTPS",
        ),
        (
            "backend-protocol",
            "GRPC",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol-version: GRPC, beside",
        ),
        (
            "backend-protocol",
            "h2c",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol-version: HTTP2, beside",
        ),
        (
            "backend-protocol-version",
            "http2",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol-version: HTTP2",
        ),
        (
            "backend-protocol-version",
            "grpc",
            "annotation-invalid",
            "alb.ingress.kubernetes.io/backend-protocol-version: GRPC",
        ),
        ("certificate-arn", &two, "annotation-invalid", &two_rightly),
        (
            "ssl-policy",
            "ELBSecurityPolicy-TLS13-1-2-2021-6",
            "ssl-policy-unknown",
            "ELBSecurityPolicy-TLS13-1-2-2021-06",
        ),
        ("ssl-policy", "modern", "ssl-policy-unknown", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"),
        (
            "aws-load-balancer-ssl-negotiation-policy",
            "tls",
            "ssl-policy-unknown",
            "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        ),
    ] {
        let (_, findings) = plan_with(&[(&full_key(key), text)]);
        let found = findings.iter().find(|finding| finding.code == code && finding.is_error());
        let suggested = found.and_then(|finding| finding.suggestion.as_deref()).unwrap_or_default();
        assert!(suggested.starts_with(suggestion), "{key}: {text}: {suggested}");
    }
}

#[test]
fn settings_of_tls_without_a_tls_listener_are_told() {
    for (key, text) in
        [("aws-load-balancer-alpn-policy", "HTTP2Preferred"), ("aws-load-balancer-ssl-ports", "443")]
    {
        let (_, findings) = plan_with(&[(&full_key(key), text)]);
        let told = findings.iter().any(|it| it.code == "tls-without-https" && it.message.contains(key));
        assert!(told, "{key}: {findings:?}");
    }
}

#[test]
fn what_is_done_to_requests_of_a_route_is_said_in_yaml_or_json_or_refused() {
    let said = |text: &str| {
        let (plan, findings) = plan_with(&[("forebay.dev/request-headers", text)]);
        let about = findings.iter().filter(|finding| finding.message.starts_with("request-headers"));
        let about = about.map(|finding| format!("{} {}", finding.code, finding.message)).collect::<Vec<_>>();
        let asked = plan["rules"].get(0).map(|rule| rule["x-handling"].to_string()).unwrap_or_default();
        (asked, about.join("; "))
    };
    let ours = "ours-only request-headers: a load balancer of AWS does nothing of it";
    for good in ["{\"set\": {\"x-a\": \"1\"}}", "set: {x-a: 1}", "remove:\n- x-a\n"] {
        let asked = format!("[\"forebay.dev/request-headers: {}\"]", in_one_line(good).replace('"', "\\\""));
        assert_eq!(said(good), (asked, ours.to_owned()), "{good}");
    }
    for (wrong, message) in [
        ("", "it is nothing, not a map"),
        ("{}", "it has neither `set` nor `remove`"),
        ("set: [x-a]", "set is a list, not a map"),
        ("set: {host: a}", "`host` is not to be changed: transforms.<service> rewrites it"),
        ("set: {x-a: \"a\\r\\nx-b: 1\"}", "the value of `x-a` is not 4096 printable ASCII characters"),
        ("remove: [x-a, X_A]", "`x_a` stands there twice"),
    ] {
        let (asked, about) = said(wrong);
        assert!(asked.is_empty() && about.starts_with("annotation-invalid"), "{wrong}: {about}");
        assert!(about.contains(message), "{wrong}: {about}");
    }
    let (_, about) = said("set: {x-a: 1}\nadd: {x-b: 1}");
    assert!(about.contains("`add` is not known"), "{about}");
}

#[test]
fn what_only_we_do_is_not_done_where_aws_is_followed_exactly() {
    let mut objects = Objects::default();
    for mut object in read("f.yaml", MANIFESTS).objects {
        if object.name == "web" {
            let annotations = &mut object.value["metadata"]["annotations"];
            annotations["alb.ingress.kubernetes.io/listen-ports"] = r#"[{"HTTP":80}]"#.into();
            annotations["forebay.dev/response-headers"] = "remove: [server]".into();
        }
        objects.insert(object);
    }
    let compiled = compile(&objects, &Defaults { strict_aws: true, ..Defaults::default() });
    let found = compiled.findings.iter().find(|finding| finding.message.starts_with("response-headers"));
    let found = found.map(|finding| (finding.code, finding.severity));
    assert_eq!(found, Some(("annotation-no-effect", Severity::Warning)));
    let rules = &compiled.plan.load_balancers[0].listeners[0].rules;
    assert!(!rules.is_empty() && rules.iter().all(|rule| rule.handling.is_none()));
}

/// `UPDATE_EXPECT=1 cargo test -p manifest annotation` writes the page anew.
#[test]
fn every_annotation_of_ours_is_on_its_page() {
    let mut page = String::from(
        "# Annotations of Forebay\n\nWhat the AWS Load Balancer Controller's annotations do here, `forebay check` \
         says of each. These are our own: a load\nbalancer of AWS does nothing of them, and a note says so of each that \
         stands on an Ingress (`ours-only`). Under\n`--strict-aws` those that can stand on an InferenceService too are not \
         followed on an Ingress.\n\n\
         One on an Ingress is for all its rules and its default backend; one on an InferenceService for its hosts and its \
         path\n`/serving/<namespace>/<name>`. Behind an Ingress that leads to all InferenceServices, the Ingress's are \
         followed, and those of\nthe InferenceService where the Ingress has none. `forebay explain URL` shows them.\n\n\
         | annotation | on | does | example |\n|---|---|---|---|\n",
    );
    let mut all: Vec<&Annotation> = ours().collect();
    all.sort_by_key(|annotation| annotation.key);
    for annotation in all {
        let on = match annotation.on {
            On::Ours(kinds) => kinds,
            _ => "Ingress, InferenceService",
        };
        let (key, doc) = (annotation.full_key(), annotation.doc);
        page.push_str(&format!("| `{key}` | {on} | {doc} | `{}` |\n", annotation.example));
    }
    expect_test::expect_file!["../../../../docs/annotations.md"].assert_eq(&page);
}

#[test]
fn pages_of_other_origins_are_allowed_in_lines_or_by_their_origins_alone() {
    let said = |text: &str| {
        let mut objects = Objects::default();
        for mut object in read("f.yaml", MANIFESTS).objects {
            if object.name == "web" {
                let annotations = &mut object.value["metadata"]["annotations"];
                annotations["alb.ingress.kubernetes.io/listen-ports"] = r#"[{"HTTP":80}]"#.into();
                annotations["forebay.dev/cors"] = text.into();
            }
            objects.insert(object);
        }
        let compiled = compile(&objects, &Defaults::default());
        let about = compiled.findings.iter().find(|finding| finding.message.starts_with("cors"));
        let rule = compiled.plan.load_balancers.first().and_then(|it| it.listeners[0].rules.first().cloned());
        (rule.and_then(|rule| rule.cors().cloned()), about.map(|it| it.message.clone()).unwrap_or_default())
    };
    let app = "https://app.example.com";
    for good in [
        "https://app.example.com, https://*.example.com",
        "[https://app.example.com]",
        "allowOrigins: [https://app.example.com]\nallowMethods: [GET]\nallowCredentials: true\nmaxAge: 600",
        r#"{"AllowOrigins": ["https://app.example.com"], "allowHeaders": ["x-api-key"]}"#,
        "*",
        "allowOrigins: ['*']",
    ] {
        let (cors, about) = said(good);
        assert!(cors.is_some_and(|cors| cors.allows_origin(app)), "{good}: {about}");
        assert_eq!(about, "cors: a load balancer of AWS does nothing of it");
    }
    for (wrong, message) in [
        ("", "cors: it is nothing"),
        ("app.example.com", "cors: `app.example.com` is not an origin"),
        (
            "allowOrigins: ['*']\nallowCredentials: true",
            "cors: `*` in allowOrigins does not go with credentials",
        ),
        ("allowOrigins: [https://a.example]\nmaxAge: 86401", "cors: maxAge 86401 is more than a day"),
        ("allowMethods: [GET]", "cors: it allows no origin"),
    ] {
        let (cors, about) = said(wrong);
        assert!(cors.is_none() && about.starts_with(message), "{wrong}: {about}");
    }
}

#[test]
fn names_that_the_documents_of_the_controller_get_wrong_lead_to_the_right_ones() {
    for (wrong, right) in MISNAMED {
        let prefix = if *wrong == "use-regex-path-match" { SERVICE_PREFIX } else { INGRESS_PREFIX };
        let (_, findings) = plan_with(&[(&format!("{prefix}{wrong}"), "true")]);
        let told = findings.iter().find(|it| it.code == "annotation-unknown" && it.message.contains(wrong));
        assert_eq!(told.and_then(|it| it.suggestion.as_deref()), Some(*right), "{wrong}: {findings:?}");
    }
}
