//! Values that are refused, and what is said of them.

use super::*;

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
