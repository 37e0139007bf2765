//! What only Forebay knows.

use super::*;

#[test]
fn an_algorithm_of_ours_says_that_aws_does_not_know_it() {
    let findings =
        plan_with(&[(&full_key("target-group-attributes"), "load_balancing.algorithm.type=p2c_ewma")]).1;
    let found = findings.iter().find(|finding| finding.code == "ours-only").unwrap();
    let message =
        "attribute `load_balancing.algorithm.type`: a load balancer of AWS does not know `p2c_ewma`";
    assert_eq!((found.message.as_str(), found.severity), (message, Severity::Warning));
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
    expect_test::expect_file!["../../../../../docs/annotations.md"].assert_eq(&page);
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
