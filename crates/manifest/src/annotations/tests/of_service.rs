//! Annotations of Services: what each changes in the plan.

use super::*;

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
fn settings_of_tls_without_a_tls_listener_are_told() {
    for (key, text) in
        [("aws-load-balancer-alpn-policy", "HTTP2Preferred"), ("aws-load-balancer-ssl-ports", "443")]
    {
        let (_, findings) = plan_with(&[(&full_key(key), text)]);
        let told = findings.iter().any(|it| it.code == "tls-without-https" && it.message.contains(key));
        assert!(told, "{key}: {findings:?}");
    }
}
