//! Rows of the acceptance list, each with the case whose plan shows it: what was written, and what became of it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Ids, the case, where in its plan, and what stands there.
type Row = (&'static str, &'static str, &'static str, Value);

#[test]
fn what_users_write_is_in_the_plan() {
    let rows: Vec<Row> = vec![
        // wine
        ("S0-39 S0-40 S1-35", "wine_https", "/listeners/1/protocol", json!("HTTPS")),
        ("S0-40 S2-20", "wine_https", "/listeners/1/certificates/0/source", json!("annotation")),
        ("S1-37", "wine_https", "/listeners/0/defaultActions/0/type", json!("redirect")),
        ("S1-36", "wine_https", "/findings/0/code", json!("annotation-invalid")),
        (
            "S1-36",
            "wine_https",
            "/findings/0/message",
            json!("certificate-arn: the placeholder `<ACM_ARN>` is left in it"),
        ),
        // the retail API, in its short form
        ("S1-21 S1-23", "retail_api", "/loadBalancers/0/sources/0/namespace", json!("mlops")),
        ("S1-24", "retail_api", "/findings/0/code", json!("ingress-class-annotation")),
        ("S1-25", "retail_api", "/loadBalancers/0/scheme", json!("internet-facing")),
        ("S1-26", "retail_api", "/targetGroups/0/targetType", json!("ip")),
        ("S1-27", "retail_api", "/targetGroups/0/healthCheck/path", json!("/health")),
        ("S1-27", "retail_api", "/targetGroups/0/healthCheck/intervalSeconds", json!(15)),
        ("S1-27", "retail_api", "/targetGroups/0/healthCheck/matcher/httpCode", json!("200")),
        ("S1-28", "retail_api", "/listeners/0/port", json!(80)),
        ("S1-29", "retail_api", "/rules/0/conditions/0/field", json!("path-pattern")),
        ("S1-31", "retail_api", "/targetGroups/0/port", json!(8080)),
        ("S1-05 S1-06", "retail_api", "/loadBalancers/1/type", json!("network")),
        // the tutorial of KServe
        ("S2-03 S2-06 S2-09", "kserve_iris", "/rules/1/conditions/0/hostHeaderConfig/values/0", {
            json!("sklearn-iris.staging.platform.example.com")
        }),
        ("S2-21", "kserve_iris", "/rules/2/conditions/0/httpHeaderConfig/httpHeaderName", json!("x-api-key")),
        ("S2-22", "kserve_iris", "/rules/2/conditions/0/httpHeaderConfig/values", json!(["token1"])),
        ("S2-27", "kserve_iris", "/rules/2/actions/0/forwardConfig/targetGroups/0/weight", json!(100)),
        ("S2-28", "kserve_iris", "/loadBalancers/1/explicitAttributes/0", {
            json!("routing.http.drop_invalid_header_fields.enabled")
        }),
        ("S2-29", "kserve_iris", "/rules/2/conditions/1/pathPatternConfig/values", json!(["/*"])),
        (
            "S2-32",
            "kserve_iris",
            "/listeners/1/defaultActions/0/fixedResponseConfig/statusCode",
            json!("404"),
        ),
        // the retail forecast behind an NLB
        ("S3-06", "retail_nlb", "/loadBalancers/0/sources/0/name", json!("retail-forecast-loadbalancer")),
        ("S3-12", "retail_nlb", "/targetGroups/1/healthCheck/intervalSeconds", json!(30)),
        ("S3-15", "retail_nlb", "/targetGroups/1/healthCheck/unhealthyThresholdCount", json!(3)),
        ("S3-15", "retail_nlb", "/targetGroups/1/healthCheck/healthyThresholdCount", json!(2)),
        ("S3-16", "retail_nlb", "/listeners/0/port", json!(80)),
        ("S3-22", "retail_nlb", "/targetGroups/2/healthCheck/port", json!("8080")),
        ("S3-23", "retail_nlb", "/targetGroups/2/healthCheck/protocol", json!("HTTP")),
        ("S3-24", "retail_nlb", "/targetGroups/2/healthCheck/timeoutSeconds", json!(6)),
        ("S3-25", "retail_nlb", "/targetGroups/2/healthCheck/unhealthyThresholdCount", json!(2)),
        // and behind an ALB
        ("S3-04 S3-37", "retail_alb", "/loadBalancers/0/type", json!("application")),
        ("S3-38", "retail_alb", "/loadBalancers/0/scheme", json!("internet-facing")),
        ("S3-39", "retail_alb", "/loadBalancers/0/name", json!("retail-forecast-alb")),
        ("S3-40", "retail_alb", "/targetGroups/0/healthCheck/path", json!("/healthz")),
        ("S3-41", "retail_alb", "/targetGroups/0/healthCheck/intervalSeconds", json!(30)),
        ("S3-42", "retail_alb", "/targetGroups/0/healthCheck/timeoutSeconds", json!(5)),
        ("S3-51", "retail_alb", "/targetGroups/0/explicitAttributes", {
            json!([
                "deregistration_delay.timeout_seconds",
                "slow_start.duration_seconds",
                "stickiness.enabled"
            ])
        }),
        ("S3-52", "retail_alb", "/targetGroups/0/attributes/stickiness.enabled", json!("false")),
        ("S3-58", "retail_alb", "/rules/1/conditions/0/field", json!("path-pattern")),
        // the classification API
        ("S4-21 S4-54", "ml_inference", "/listeners/0/port", json!(80)),
        ("S4-23", "ml_inference", "/loadBalancers/0/sources/0/namespace", json!("ml-inference")),
        ("S4-14 S4-15 S4-16", "ml_inference", "/findings/0/code", json!("kind-ignored")),
    ];
    for (ids, case, place, expected) in rows {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(case).join("plan.json");
        let plan: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(plan.pointer(place), Some(&expected), "{ids}: {case} {place}");
    }
}
