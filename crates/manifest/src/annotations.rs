//! The annotations of the AWS Load Balancer Controller, and our few own: one registry, from which documentation, lookups
//! and "did you mean" are made.
//!
//! An annotation is applied to the settings of what it belongs to: of an Ingress, of a target group (where the backend
//! Service's wins over the Ingress's), or of a Service that is a load balancer itself. What the settings mean together is
//! decided where they are compiled, not here.

pub(crate) mod actions;
mod auth;
pub(crate) mod conditions;
mod frontend_nlb;
mod handling;
mod health_check;
mod ingress_listener;
mod ingress_load_balancer;
mod mutual_authentication;
mod ours;
mod service_health_check;
mod service_listener;
mod service_load_balancer;
mod service_target_group;
mod settings;
mod target_group;
mod transforms;
pub(crate) mod values;
pub(crate) mod words;

use std::sync::Arc;

use plan::Handling;

use crate::finding::{Code, nearest};
use crate::{Finding, Object, Severity, codes};

pub(crate) use ingress_load_balancer::{group_name, load_balancer_name};
pub use ours::BASE_DIRECTORY;
pub(crate) use ours::{
    BACKEND_CA_SECRET, BACKEND_NAME, MAX_CONCURRENCY, REPLAY, SYNTHETIC, UNAUTHORIZED, ZONAL_SHIFT,
    ZONAL_SHIFT_UNTIL, ZONES,
};
pub(crate) use settings::{
    HealthCheckPortSetting, HealthCheckSettings, IngressSettings, Map, ServiceSettings, TargetGroupSettings,
    WebAcl,
};

/// One annotation.
#[derive(Debug)]
pub struct Annotation {
    /// Its name without the prefix; `<…>` stands for a name of the user's.
    pub key: &'static str,
    /// On which objects it stands.
    pub on: On,
    /// A value that it takes.
    pub example: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    apply: Apply,
}

/// The objects that an annotation stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Ingresses.
    Ingress,
    /// Ingresses, and the Services behind them, whose own value wins.
    IngressAndService,
    /// Services of type LoadBalancer.
    Service,
    /// Whatever routes are made from: Ingresses and InferenceServices.
    Route,
    /// Objects of these kinds; it is one of ours.
    Ours(&'static str),
}

#[derive(Debug)]
enum Apply {
    Ingress(fn(&mut IngressSettings, &mut Input<'_>) -> Result<(), Problem>),
    TargetGroup(fn(&mut TargetGroupSettings, &mut Input<'_>) -> Result<(), Problem>),
    Service(fn(&mut ServiceSettings, &mut Input<'_>) -> Result<(), Problem>),
    /// The same, for what is recorded in the plan and has no effect.
    IngressRecord(fn(&mut IngressSettings, &mut Input<'_>) -> Result<(), Problem>),
    ServiceRecord(fn(&mut ServiceSettings, &mut Input<'_>) -> Result<(), Problem>),
    /// What is done to requests of a route.
    Handling(fn(&mut Handling, &mut Input<'_>) -> Result<(), Problem>),
    /// It is read where it is followed.
    Elsewhere,
    /// `key=value` pairs that go to the load balancer of an Ingress and to its target groups.
    Tags,
    /// It is understood, and nothing follows from it here.
    Nothing,
    /// It is understood and cannot be followed; leaving it out would let in whom it keeps out.
    Refused(fn(&mut Input<'_>) -> Result<(), Problem>),
}

/// What an annotation is applied to: its text, and the user's part of its name.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) parameter: &'a str,
    pub(crate) text: &'a str,
    pub(crate) warnings: Vec<Problem>,
}

/// What is wrong with the value of an annotation.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: &'static Code,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
}

const INGRESS_PREFIX: &str = "alb.ingress.kubernetes.io/";
const SERVICE_PREFIX: &str = "service.beta.kubernetes.io/";
/// The controller takes the names of Services under this prefix too.
const OTHER_SERVICE_PREFIX: &str = "service.kubernetes.io/";
const OUR_PREFIX: &str = "forebay.dev/";

const TABLES: &[&[Annotation]] = &[
    ingress_load_balancer::ANNOTATIONS,
    ingress_listener::ANNOTATIONS,
    auth::ANNOTATIONS,
    actions::ANNOTATIONS,
    conditions::ANNOTATIONS,
    transforms::ANNOTATIONS,
    target_group::ANNOTATIONS,
    health_check::ANNOTATIONS,
    frontend_nlb::ANNOTATIONS,
    service_load_balancer::ANNOTATIONS,
    service_listener::ANNOTATIONS,
    service_target_group::ANNOTATIONS,
    service_health_check::ANNOTATIONS,
    handling::ANNOTATIONS,
];

/// Names that people write and AWS does not know, with the right one and the number of the lint.
const ALIASES: &[(&str, &str, &str)] = &[
    ("aws-load-balancer-healthy-threshold", "aws-load-balancer-healthcheck-healthy-threshold", "FB009"),
    ("aws-load-balancer-unhealthy-threshold", "aws-load-balancer-healthcheck-unhealthy-threshold", "FB009"),
    ("aws-load-balancer-target-type", "aws-load-balancer-nlb-target-type", "FB013"),
];

/// Names in documents and tests of the AWS controller that nothing there reads, with what does what they seem to.
const MISNAMED: &[(&str, &str)] = &[
    ("manage-security-group-rules", "alb.ingress.kubernetes.io/manage-backend-security-group-rules"),
    ("load-balancer-capacity-reservation", "alb.ingress.kubernetes.io/minimum-load-balancer-capacity"),
    ("target-control-port", "alb.ingress.kubernetes.io/target-control-port.<Service>.<Port>"),
    ("use-regex-path-match", "alb.ingress.kubernetes.io/use-regex-path-match, on the Ingress"),
];

/// Every annotation, in the order of the documentation.
pub fn annotations() -> impl Iterator<Item = &'static Annotation> {
    TABLES.iter().copied().flatten()
}

/// Those of our own.
fn ours() -> impl Iterator<Item = &'static Annotation> {
    handling::ANNOTATIONS.iter().chain(ours::ANNOTATIONS)
}

/// An annotation as it stands on an object.
struct Written<'a> {
    key: &'a str,
    text: &'a str,
    annotation: &'static Annotation,
    parameter: &'a str,
}

/// What the annotations of an Ingress say about its load balancer, listeners and rules.
pub(crate) fn of_ingress(object: &Object, findings: &mut Vec<Finding>) -> IngressSettings {
    let mut settings = IngressSettings::default();
    for written in written(object, On::is_ingress, false) {
        match written.annotation.apply {
            Apply::Ingress(apply) | Apply::IngressRecord(apply) => {
                written.apply(object, findings, |input| apply(&mut settings, input));
            }
            Apply::Refused(check) => written.apply(object, findings, check),
            Apply::Tags => written.apply(object, findings, |input| {
                settings.tags = values::string_map(input.text)?;
                Ok(())
            }),
            // Those of target groups are followed there; that a value is wrong is told even when there is none.
            Apply::TargetGroup(apply) => {
                written.apply(object, findings, |input| apply(&mut TargetGroupSettings::default(), input));
            }
            _ => {}
        }
    }
    settings
}

/// What the annotations of an Ingress and of the Service behind it say about a target group; the Service's win.
pub(crate) fn of_target_group(
    ingress: &Object,
    service: &Object,
    findings: &mut Vec<Finding>,
) -> TargetGroupSettings {
    let mut settings = TargetGroupSettings::default();
    for object in [ingress, service] {
        for written in written(object, On::is_ingress_and_service, false) {
            let is_overridden = std::ptr::eq(object, ingress) && service.annotation(written.key).is_some();
            match written.annotation.apply {
                Apply::Tags => written.apply(object, findings, |input| {
                    settings.tags.extend(values::string_map(input.text)?);
                    Ok(())
                }),
                _ if is_overridden => {}
                Apply::TargetGroup(apply) => {
                    written.apply(object, findings, |input| apply(&mut settings, input));
                }
                Apply::Refused(check) => written.apply(object, findings, check),
                _ => {}
            }
        }
    }
    settings
}

/// What the annotations of a Service of type LoadBalancer say. Unless AWS is followed exactly, names that people write
/// for others count as those.
pub(crate) fn of_service(object: &Object, strict_aws: bool, findings: &mut Vec<Finding>) -> ServiceSettings {
    let mut settings = ServiceSettings::default();
    for written in written(object, On::is_service, !strict_aws) {
        if let Apply::Service(apply) | Apply::ServiceRecord(apply) = written.annotation.apply {
            written.apply(object, findings, |input| apply(&mut settings, input));
        }
    }
    settings
}

/// What annotations of ours say that is done to requests of an object's routes and to their answers; `None` where
/// they say nothing. What a load balancer of AWS does nothing of is told, and not done where AWS is followed exactly.
pub(crate) fn handling(
    object: &Object,
    strict_aws: bool,
    findings: &mut Vec<Finding>,
) -> Option<Arc<Handling>> {
    let is_of_aws = object.kind.key == "Ingress";
    let mut handling = Handling::default();
    for (key, text) in texts(object) {
        let Some(name) = key.strip_prefix(OUR_PREFIX) else { continue };
        let Some(annotation) = handling::ANNOTATIONS.iter().find(|annotation| annotation.key == name) else {
            continue;
        };
        let Apply::Handling(apply) = annotation.apply else { continue };
        if is_of_aws && strict_aws {
            let message = format!("{name}: AWS is followed exactly, whose load balancers do nothing of it");
            let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message).at_annotation(object, key);
            findings.push(finding.with_severity(Severity::Warning));
            continue;
        }
        let written = Written { key, text, annotation, parameter: "" };
        let mut is_good = false;
        written.apply(object, findings, |input| {
            apply(&mut handling, input)?;
            is_good = true;
            Ok(())
        });
        if !is_good {
            continue;
        }
        handling.asked.push((key.to_owned(), in_one_line(text)));
        if is_of_aws {
            let message = format!("{name}: a load balancer of AWS does nothing of it");
            let finding = Finding::new(&codes::OURS_ONLY, message).at_annotation(object, key);
            findings.push(finding.with_severity(Severity::Info));
        }
    }
    let is_any = handling != Handling::default();
    handling.object = Some(object.reference());
    is_any.then(|| Arc::new(handling))
}

/// The text of an annotation as it is shown where many are.
fn in_one_line(text: &str) -> String {
    /// Bytes of more are no help.
    const SHOWN: usize = 300;
    let words = text[..text.floor_char_boundary(SHOWN)].split_whitespace().collect::<Vec<_>>().join(" ");
    if text.len() > SHOWN { words + " …" } else { words }
}

/// Findings about annotations of ours as such: names nobody knows, and those that stand where nothing comes of them.
pub(crate) fn survey_ours(object: &Object, findings: &mut Vec<Finding>) {
    let has_routes = matches!(object.kind.kind, "Ingress" | "InferenceService");
    for (key, _) in texts(object) {
        let Some(name) = key.strip_prefix(OUR_PREFIX) else { continue };
        match ours().find(|annotation| annotation.key == name) {
            None => {
                let message = format!("{key} is not a name that anybody here knows: it is ignored");
                let near = nearest(name, ours().map(|annotation| annotation.key));
                let finding = Finding::new(&codes::ANNOTATION_UNKNOWN, message).at_annotation(object, key);
                findings.push(finding.maybe_suggest(near.map(|near| format!("{OUR_PREFIX}{near}"))));
            }
            Some(annotation) if annotation.on == On::Route && !has_routes => {
                let message = format!("{name} has an effect on an Ingress or an InferenceService only");
                let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message).at_annotation(object, key);
                findings.push(finding.with_severity(Severity::Warning));
            }
            Some(_) => {}
        }
    }
}

/// Findings about annotations as such: names nobody knows, other names for known ones, and those without effect.
pub(crate) fn survey(object: &Object, strict_aws: bool, findings: &mut Vec<Finding>) {
    let is_service = object.kind.key == "Service";
    for (key, _) in texts(object) {
        let Some((prefix, name)) = split(key) else { continue };
        let fits = |annotation: &&Annotation| annotation.stands_on(is_service, prefix);
        match (find(name, fits), alias(name)) {
            (Some((annotation, _)), _) => {
                let message = match annotation.apply {
                    Apply::Nothing => {
                        format!("{name} is understood and has no effect here yet: {}", annotation.doc)
                    }
                    Apply::IngressRecord(_) | Apply::ServiceRecord(_) => {
                        format!("{name} is recorded, and has no effect here yet")
                    }
                    _ => continue,
                };
                findings.push(Finding::new(&codes::ANNOTATION_NO_EFFECT, message).at_annotation(object, key));
            }
            (None, Some((right, lint))) if is_service && prefix != INGRESS_PREFIX => {
                let taken = if strict_aws { "ignored, as AWS does" } else { "taken for the right one" };
                let message = format!("{name} is not a name that AWS knows: it is {taken}");
                let finding = Finding::new(&codes::ANNOTATION_UNKNOWN, message).at_annotation(object, key);
                findings.push(finding.with_lint(lint).suggest(format!("{SERVICE_PREFIX}{right}")));
            }
            (None, _) => {
                let known = annotations().filter(fits).map(|annotation| annotation.key);
                let misnamed = MISNAMED.iter().find(|(wrong, _)| *wrong == name);
                let near = misnamed.map(|(_, right)| (*right).to_owned());
                let near = near.or_else(|| nearest(name, known).map(|near| format!("{prefix}{near}")));
                let message = format!("{name} is not a name that anybody here knows: it is ignored");
                let finding = Finding::new(&codes::ANNOTATION_UNKNOWN, message).at_annotation(object, key);
                findings.push(finding.maybe_suggest(near));
            }
        }
    }
    for (key, _) in texts(object) {
        if is_of_another_controller(key) {
            let message = format!("{key} is for another controller: it has no effect on this load balancer");
            let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message).at_annotation(object, key);
            findings.push(finding.with_severity(Severity::Warning));
        }
        if let Some(right) = with_right_prefix(key, is_service) {
            let message = format!("{key} is not a name that anybody here knows: it is ignored");
            let finding = Finding::new(&codes::ANNOTATION_UNKNOWN, message).at_annotation(object, key);
            findings.push(finding.suggest(right));
        }
    }
    survey_ours(object, findings);
}

/// The first annotation of an object that only a Service of type LoadBalancer has use for.
pub(crate) fn first_for_load_balancers(object: &Object) -> Option<&str> {
    written(object, On::is_service, false).map(|written| written.key).next()
}

fn written(object: &Object, fits: fn(On) -> bool, with_aliases: bool) -> impl Iterator<Item = Written<'_>> {
    texts(object).filter_map(move |(key, text)| {
        let (prefix, name) = split(key)?;
        let fits = |annotation: &&Annotation| fits(annotation.on) && annotation.has_prefix(prefix);
        let right = alias(name).filter(|(right, _)| {
            let is_written = object.annotation(&format!("{prefix}{right}")).is_some();
            with_aliases && !is_written
        });
        let (annotation, parameter) =
            find(name, fits).or_else(|| find(right?.0, fits).map(|(it, _)| (it, "")))?;
        Some(Written { key, text, annotation, parameter })
    })
}

fn texts(object: &Object) -> impl Iterator<Item = (&str, &str)> {
    let annotations = object.value.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let entries = annotations.and_then(serde_json::Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// Splits a key after its prefix, when it is one of those that matter here.
fn split(key: &str) -> Option<(&str, &str)> {
    let prefixes = [INGRESS_PREFIX, SERVICE_PREFIX, OTHER_SERVICE_PREFIX];
    let prefix = prefixes.into_iter().find(|prefix| key.starts_with(prefix))?;
    Some(key.split_at(prefix.len()))
}

/// Whether an annotation speaks to another controller of Ingresses. Who moves from one expects it to go on doing what it did.
fn is_of_another_controller(key: &str) -> bool {
    const DOMAINS: [&str; 9] = [
        "alb.networking.azure.io",
        "appgw.ingress.kubernetes.io",
        "haproxy-ingress.github.io",
        "haproxy.org",
        "ingress.kubernetes.io",
        "konghq.com",
        "nginx.ingress.kubernetes.io",
        "nginx.org",
        "traefik.ingress.kubernetes.io",
    ];
    key.split_once('/').is_some_and(|(domain, _)| DOMAINS.contains(&domain))
}

/// The key that is meant by one with a known name behind a mistyped prefix. Prefixes that begin with another label are those
/// of other controllers, which have annotations of the same names.
fn with_right_prefix(key: &str, is_service: bool) -> Option<String> {
    if split(key).is_some() {
        return None;
    }
    let (written, name) = key.split_once('/')?;
    let label = |domain: &str| domain.split('.').next().map(str::to_owned);
    let right = [INGRESS_PREFIX, SERVICE_PREFIX].into_iter().find(|prefix| {
        let domain = prefix.trim_end_matches('/');
        label(domain) == label(written) && nearest(written, std::iter::once(domain)).is_some()
    })?;
    find(name, |annotation| annotation.stands_on(is_service, right)).map(|_| format!("{right}{name}"))
}

fn alias(name: &str) -> Option<(&'static str, &'static str)> {
    ALIASES.iter().find(|(alias, ..)| *alias == name).map(|(_, right, lint)| (*right, *lint))
}

/// The annotation of this name, and the user's part of the name. An exact name comes before one with a user's part.
fn find(name: &str, fits: impl Fn(&&Annotation) -> bool) -> Option<(&'static Annotation, &str)> {
    let exact = annotations().filter(&fits).find(|annotation| annotation.key == name);
    exact.map(|annotation| (annotation, "")).or_else(|| {
        annotations().filter(&fits).find_map(|annotation| {
            let (stem, _) = annotation.key.split_once('<')?;
            let parameter = name.strip_prefix(stem).filter(|parameter| !parameter.is_empty())?;
            Some((annotation, parameter))
        })
    })
}

// === impl Annotation, On ===

impl Annotation {
    /// The name with its prefix.
    #[must_use]
    pub fn full_key(&self) -> String {
        let prefix = match self.on {
            On::Ingress | On::IngressAndService => INGRESS_PREFIX,
            On::Service => SERVICE_PREFIX,
            On::Route | On::Ours(_) => OUR_PREFIX,
        };
        format!("{prefix}{}", self.key)
    }

    /// The name with its prefix, and with a name of some user's in the place for it.
    pub(crate) fn sample_key(&self) -> String {
        self.full_key()
            .replace("<Protocol>-<Port>", "HTTPS-443")
            .replace("<Port>", "443")
            .replace(['<', '>'], "")
    }

    fn has_prefix(&self, prefix: &str) -> bool {
        match self.on {
            On::Ingress | On::IngressAndService => prefix == INGRESS_PREFIX,
            On::Service => [SERVICE_PREFIX, OTHER_SERVICE_PREFIX].contains(&prefix),
            On::Route | On::Ours(_) => prefix == OUR_PREFIX,
        }
    }

    fn stands_on(&self, is_service: bool, prefix: &str) -> bool {
        let fits = match self.on {
            On::Ingress | On::Route => !is_service,
            On::IngressAndService | On::Ours(_) => true,
            On::Service => is_service,
        };
        fits && self.has_prefix(prefix)
    }
}

impl On {
    fn is_ingress(self) -> bool {
        matches!(self, Self::Ingress | Self::IngressAndService)
    }

    fn is_ingress_and_service(self) -> bool {
        self == Self::IngressAndService
    }

    fn is_service(self) -> bool {
        self == Self::Service
    }
}

// === impl Written ===

impl Written<'_> {
    fn apply(
        &self,
        object: &Object,
        findings: &mut Vec<Finding>,
        apply: impl FnOnce(&mut Input<'_>) -> Result<(), Problem>,
    ) {
        let mut input = Input::new(self.parameter, self.text);
        let result = apply(&mut input);
        let name = self.key.rsplit('/').next().unwrap_or(self.key);
        for problem in input.warnings.into_iter().chain(result.err()) {
            let message = format!("{name}: {}", problem.message);
            let finding = Finding::new(problem.code, message).at_annotation(object, self.key);
            let example = || format!("for example {}: '{}'", self.key, self.annotation.example);
            let suggestion = problem.suggestion.or_else(|| finding.is_error().then(example));
            findings.push(finding.maybe_suggest(suggestion));
        }
    }
}

// === impl Input ===

impl<'a> Input<'a> {
    pub(crate) fn new(parameter: &'a str, text: &'a str) -> Self {
        Self { parameter, text, warnings: Vec::new() }
    }
}

// === impl Problem ===

impl Problem {
    pub(crate) fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), suggestion: None }
    }

    pub(crate) fn suggest(self, suggestion: impl Into<String>) -> Self {
        Self { suggestion: Some(suggestion.into()), ..self }
    }
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self::new(&codes::ANNOTATION_INVALID, message)
    }
}

#[cfg(test)]
mod tests;
