//! What this machine makes of listeners with TLS, which this build does not speak: it opens none of them, and a redirect to
//! one does what that listener would have done. All of this goes when TLS comes.

use plan::{Action, Condition, Listener, LoadBalancer, LoadBalancerKind, Rule};

use super::world::World;
use crate::{Finding, Object, codes};

/// The most rules that a listener gets in place of redirects; AWS takes 100 for a load balancer. Where they would be more,
/// the redirects stay.
const MAX_RULES: usize = 10_000;

/// Takes the listeners with TLS out, and says so at the objects that ask for them.
pub(super) fn without_tls(load_balancer: &mut LoadBalancer, world: &World<'_>, findings: &mut Vec<Finding>) {
    let all = std::mem::take(&mut load_balancer.listeners);
    let (secure, mut open): (Vec<Listener>, Vec<Listener>) =
        all.into_iter().partition(|listener| listener.protocol.is_tls());
    if secure.is_empty() {
        load_balancer.listeners = open;
        return;
    }
    let mut redirecting = Vec::new();
    for listener in &mut open {
        if follow_redirects(listener, &secure) {
            redirecting.push(listener.port);
        }
    }
    let message = message(&ports(&secure), &open, &redirecting);
    let objects = load_balancer.sources.iter();
    let objects = objects.filter_map(|it| world.objects.get(&it.kind, &it.namespace, &it.name));
    let finding = || {
        let finding = Finding::new(&codes::TLS_NOT_SERVED, message.clone());
        match (open.is_empty(), load_balancer.kind) {
            (true, LoadBalancerKind::Application) => {
                finding.suggest("alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\":80}]'")
            }
            // Where nothing is redirected, what is served is what was asked for without TLS.
            _ if redirecting.is_empty() => finding,
            _ => world.defaults.exposure.weigh(finding),
        }
    };
    let of_annotations = objects
        .clone()
        .filter_map(|object| Some(finding().at_annotation(object, asking_annotation(object)?)));
    let mut of_annotations: Vec<Finding> = of_annotations.collect();
    if of_annotations.is_empty() {
        // Their class asks for it.
        of_annotations.extend(objects.map(|object| finding().on(object)));
    }
    findings.extend(of_annotations);
    load_balancer.listeners = open;
}

fn message(secure: &str, open: &[Listener], redirecting: &[u16]) -> String {
    let is_served = match (open.is_empty(), redirecting.is_empty()) {
        (true, _) => "so there is no listener that can be opened".to_owned(),
        (false, true) => "and the other ports are served".to_owned(),
        (false, false) => {
            let ports = redirecting.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            format!("and requests to port {ports} are answered in the clear instead of redirected to it")
        }
    };
    format!("port {secure} is not opened on this machine, as this build has no TLS yet, {is_served}")
}

fn ports(listeners: &[Listener]) -> String {
    listeners.iter().map(|listener| listener.port.to_string()).collect::<Vec<_>>().join(", ")
}

/// The annotation by which an object asks for TLS.
fn asking_annotation(object: &Object) -> Option<&'static str> {
    const LISTEN_PORTS: &str = "alb.ingress.kubernetes.io/listen-ports";
    const OTHERS: [&str; 3] = [
        "alb.ingress.kubernetes.io/certificate-arn",
        "service.beta.kubernetes.io/aws-load-balancer-ssl-ports",
        "service.beta.kubernetes.io/aws-load-balancer-ssl-cert",
    ];
    match object.annotation(LISTEN_PORTS) {
        Some(ports) => ports.contains("HTTPS").then_some(LISTEN_PORTS),
        None => OTHERS.into_iter().find(|key| object.annotation(key).is_some()),
    }
}

/// Puts the rules of listeners with TLS where a listener redirects to them. Tells whether it did.
fn follow_redirects(listener: &mut Listener, secure: &[Listener]) -> bool {
    let target_of = |action: &Action| {
        let Action::Redirect(redirect) = action else { return None };
        let keeps_url =
            (&*redirect.host, &*redirect.path, &*redirect.query) == ("#{host}", "/#{path}", "#{query}");
        let is_target = |it: &&Listener| redirect.protocol == "HTTPS" && redirect.port == it.port.to_string();
        secure.iter().filter(|_| keeps_url).find(is_target)
    };
    let n_more = |action: &Action| target_of(action).map_or(0, |target| target.rules.len() + 1);
    let actions = listener.rules.iter().map(|rule| &rule.action).chain(&listener.default_action);
    let n_rules: usize = actions.map(n_more).sum();
    if n_rules == 0 || n_rules > MAX_RULES {
        return false;
    }
    let mut rules = Vec::new();
    for rule in std::mem::take(&mut listener.rules) {
        match target_of(&rule.action) {
            Some(target) => rules.extend(in_place_of(&rule, target)),
            None => rules.push(rule),
        }
    }
    if let Some(target) = listener.default_action.as_ref().and_then(target_of) {
        rules.extend(target.rules.iter().cloned());
        listener.default_action = target.default_action.clone();
    }
    listener.rules = rules;
    true
}

/// What a listener would do with the requests that a rule redirects to it.
fn in_place_of(redirecting: &Rule, target: &Listener) -> Vec<Rule> {
    let narrowed = target.rules.iter().map(|rule| {
        let conditions: Vec<Condition> =
            redirecting.conditions.iter().chain(&rule.conditions).cloned().collect();
        Rule { conditions, ..rule.clone() }
    });
    let action = target.default_action_or_not_found().clone();
    let rest = Rule { action, ..redirecting.clone() };
    narrowed.chain([rest]).collect()
}

#[cfg(test)]
mod tests {
    use plan::RequestHead;

    use crate::{Compiled, Defaults, Objects, compile, read};

    fn compiled(annotations: &str, paths: &str) -> Compiled {
        let manifests = format!(
            "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
{annotations}
spec:
  ingressClassName: alb
  rules: [{{http: {{paths: [{paths}]}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: api}}
spec: {{ports: [{{port: 80}}]}}
"
        );
        let objects: Objects = read("f.yaml", &manifests).objects.into_iter().collect();
        compile(&objects, &Defaults::default())
    }

    const BOTH: &str = "    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTP\":80},{\"HTTPS\":443}]'
    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-1:111122223333:certificate/a
";
    const API: &str =
        "{path: /predict, pathType: Exact, backend: {service: {name: api, port: {number: 80}}}}";

    fn listeners(plan: &plan::Plan) -> Vec<(u16, usize)> {
        let listeners = plan.load_balancers.iter().flat_map(|it| &it.listeners);
        listeners.map(|listener| (listener.port, listener.rules.len())).collect()
    }

    /// What becomes of `GET <path>` at the first listener.
    fn outcome(compiled: &Compiled, path: &str) -> &'static str {
        let head = RequestHead {
            method: "GET",
            host: "",
            path,
            query: None,
            headers: &plan::NoHeaders,
            peer: [127, 0, 0, 1].into(),
        };
        match plan::route(&compiled.plan.load_balancers[0].listeners[0], &head).action {
            Some(plan::Action::Forward(_)) => "forwarded",
            Some(plan::Action::Redirect(_)) => "redirected",
            Some(plan::Action::FixedResponse(_)) | None => "answered",
        }
    }

    #[test]
    fn ssl_redirect_serves_on_the_plain_port_and_says_so() {
        let compiled = compiled(&format!("{BOTH}    alb.ingress.kubernetes.io/ssl-redirect: '443'"), API);
        assert_eq!(listeners(&compiled.plan), [(80, 1)]);
        assert_eq!(listeners(&compiled.plan_on_aws), [(80, 0), (443, 1)]);
        assert_eq!(outcome(&compiled, "/predict"), "forwarded");
        assert_eq!(outcome(&compiled, "/else"), "answered");
        let [finding] = compiled.findings_here.as_slice() else { panic!("{:?}", compiled.findings_here) };
        assert_eq!(finding.field.as_deref(), Some("alb.ingress.kubernetes.io/listen-ports"));
        assert_eq!(finding.location.as_ref().unwrap().line, 7);
        assert_eq!(
            finding.message,
            "port 443 is not opened on this machine, as this build has no TLS yet, and requests to port 80 are answered \
             in the clear instead of redirected to it"
        );
    }

    #[test]
    fn a_redirecting_action_serves_what_it_would_lead_to() {
        let action = "    alb.ingress.kubernetes.io/actions.to-https: >
      {\"type\":\"redirect\",\"redirectConfig\":{\"protocol\":\"HTTPS\",\"port\":\"443\",\"statusCode\":\"HTTP_301\"}}";
        let redirect = |path: &str| {
            format!(
                "{{path: {path}, pathType: Prefix, backend: {{service: {{name: to-https, port: {{name: use-annotation}}}}}}}}"
            )
        };
        let all = compiled(&format!("{BOTH}{action}"), &format!("{}, {API}", redirect("/")));
        assert_eq!((outcome(&all, "/predict"), outcome(&all, "/else")), ("forwarded", "answered"));
        let some = compiled(&format!("{BOTH}{action}"), &format!("{}, {API}", redirect("/secret")));
        assert_eq!((outcome(&some, "/predict"), outcome(&some, "/secret")), ("forwarded", "answered"));
    }

    #[test]
    fn only_https_is_no_listener_at_all() {
        let only = BOTH.replace("{\"HTTP\":80},", "");
        let compiled = compiled(&only, API);
        assert_eq!((listeners(&compiled.plan), listeners(&compiled.plan_on_aws).len()), (vec![], 1));
        assert!(compiled.findings_here[0].message.ends_with("so there is no listener that can be opened"));
        assert!(compiled.findings.iter().all(|finding| finding.code != "tls-not-served"));
    }

    #[test]
    fn a_network_load_balancer_keeps_its_plain_ports() {
        let service = "apiVersion: v1
kind: Service
metadata:
  name: api
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:eu-west-1:111122223333:certificate/a
    service.beta.kubernetes.io/aws-load-balancer-ssl-ports: https
spec: {type: LoadBalancer, ports: [{name: http, port: 80}, {name: https, port: 443}]}
";
        let objects: Objects = read("f.yaml", service).objects.into_iter().collect();
        let compiled = compile(&objects, &Defaults::default());
        assert_eq!(listeners(&compiled.plan), [(80, 0)]);
        assert_eq!(listeners(&compiled.plan_on_aws), [(80, 0), (443, 0)]);
        let [finding] = compiled.findings_here.as_slice() else { panic!("{:?}", compiled.findings_here) };
        assert!(finding.message.ends_with("and the other ports are served"), "{}", finding.message);
        assert_eq!(finding.location.as_ref().unwrap().line, 7);
    }
}
