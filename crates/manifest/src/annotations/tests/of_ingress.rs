//! Annotations of Ingresses: what each changes in the plan.

use super::*;

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
