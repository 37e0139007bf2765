//! Where spans go and which are recorded, as the environment variables of OpenTelemetry say it ("Environment Variable
//! Specification", "OpenTelemetry Protocol Exporter"). An empty variable is none, and a value that nobody understands is said
//! and left alone.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::sampler::Sampler;

/// Where spans go, who sends them, and which are recorded.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) endpoint: Endpoint,
    /// Header fields of every request to the collector, for example with a key.
    pub(crate) headers: HeaderMap,
    /// How long the collector may take to answer.
    pub(crate) timeout: Duration,
    /// Who sends spans: attributes of the resource.
    pub(crate) resource: Vec<(String, String)>,
    /// Which traces are recorded.
    pub sampler: Sampler,
}

/// Where a collector takes spans: an `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why a text is no URL of a collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no endpoint of a collector: {problem}; expected `http[s]://HOST[:PORT][/PATH]`, for example `http://127.0.0.1:4318`"
)]
pub struct NotAnEndpoint {
    text: String,
    problem: String,
}

/// Where spans go below the endpoint for all signals.
const TRACES_PATH: &str = "v1/traces";

/// How long a collector may take, unless it is said otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

const SERVICE_NAME: &str = "service.name";

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint for all signals; that of traces is below it.
    ///
    /// # Errors
    /// When it is no `http` or `https` URL, or has a user or a query.
    pub fn below(text: &str) -> Result<Self, NotAnEndpoint> {
        let Self(mut url) = Self::exactly(text)?;
        let path = format!("{}/{TRACES_PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The endpoint of traces.
    ///
    /// # Errors
    /// As above.
    pub fn exactly(text: &str) -> Result<Self, NotAnEndpoint> {
        let wrong = |problem: String| NotAnEndpoint { text: text.to_owned(), problem };
        let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        match () {
            () if !matches!(url.scheme(), "http" | "https") => Err(wrong("it is no http URL".to_owned())),
            () if !url.username().is_empty() || url.password().is_some() => {
                let text = "(with a user)".to_owned();
                Err(NotAnEndpoint { text, problem: "keys go into OTEL_EXPORTER_OTLP_HEADERS".to_owned() })
            }
            () if url.query().is_some() || url.fragment().is_some() => {
                Err(wrong("it has a query".to_owned()))
            }
            () => Ok(Self(url)),
        }
    }

    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

// === impl Settings ===

impl Settings {
    /// Spans of a service to an endpoint, as the specification has it where nothing is said.
    #[must_use]
    pub fn new(endpoint: Endpoint, service: &str) -> Self {
        let fixed = [
            (SERVICE_NAME, service),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("telemetry.sdk.name", "forebay"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        let resource = fixed.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Self { endpoint, headers: HeaderMap::new(), timeout: TIMEOUT, resource, sampler: Sampler::default() }
    }

    /// What variables say, and what is to be said of them. An endpoint that was `given` on a command line comes before theirs.
    /// No settings: no traces are wanted.
    pub fn read(
        given: Option<&Endpoint>,
        service: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> (Option<Self>, Vec<String>) {
        let mut variables = Variables { variable, notes: Vec::new() };
        let settings = variables.settings(given, service);
        (settings, variables.notes)
    }

    /// Says one more thing of who sends spans. What is said already stays.
    #[must_use]
    pub fn with_resource(mut self, key: &str, value: &str) -> Self {
        if !self.resource.iter().any(|(known, _)| known == key) {
            self.resource.push((key.to_owned(), value.to_owned()));
        }
        self
    }

    fn set_resource(&mut self, key: &str, value: String) {
        match self.resource.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = value,
            None => self.resource.push((key.to_owned(), value)),
        }
    }
}

/// Variables, and what is to be said of those that have no effect.
struct Variables<F> {
    variable: F,
    notes: Vec<String>,
}

/// Of each the form for traces alone comes before the one for all signals.
fn both(rest: &str) -> [String; 2] {
    [format!("OTEL_EXPORTER_OTLP_TRACES_{rest}"), format!("OTEL_EXPORTER_OTLP_{rest}")]
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn settings(&mut self, given: Option<&Endpoint>, service: &str) -> Option<Settings> {
        let endpoint = given.cloned().or_else(|| self.endpoint())?;
        if self.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            self.note("OTEL_SDK_DISABLED is `true`: no traces are sent".to_owned());
            return None;
        }
        if let Some(exporter) = self.get("OTEL_TRACES_EXPORTER").filter(|exporter| exporter != "otlp") {
            self.note(format!("OTEL_TRACES_EXPORTER is `{exporter}`, not `otlp`: no traces are sent"));
            return None;
        }
        let mut settings = Settings::new(endpoint, service);
        settings.headers = self.headers();
        settings.timeout = self.timeout();
        settings.sampler = self.sampler();
        for (key, value) in self.pairs("OTEL_RESOURCE_ATTRIBUTES") {
            settings.set_resource(&key, value);
        }
        if let Some(name) = self.get("OTEL_SERVICE_NAME") {
            settings.set_resource(SERVICE_NAME, name);
        }
        self.note_what_has_no_effect();
        Some(settings)
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of two that says something.
    fn either(&self, names: &[String; 2]) -> Option<(String, String)> {
        names.iter().find_map(|name| Some((name.clone(), self.get(name)?)))
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn endpoint(&mut self) -> Option<Endpoint> {
        let [of_traces, of_all] = both("ENDPOINT");
        for (name, read) in [
            (of_traces, Endpoint::exactly as fn(&str) -> Result<Endpoint, NotAnEndpoint>),
            (of_all, Endpoint::below),
        ] {
            match self.get(&name).map(|value| read(&value)) {
                None => {}
                Some(Ok(endpoint)) => return Some(endpoint),
                Some(Err(error)) => self.note(format!("{name}: {error}")),
            }
        }
        None
    }

    fn headers(&mut self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some((name, _)) = self.either(&both("HEADERS")) else { return headers };
        for (key, value) in self.pairs(&name) {
            let field = HeaderName::from_bytes(key.as_bytes()).ok();
            match field.zip(HeaderValue::from_str(&value).ok()) {
                Some((field, mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(field, value);
                }
                None => self.note(format!("{name}: `{key}` is no header field, or its value is none")),
            }
        }
        headers
    }

    fn timeout(&mut self) -> Duration {
        let Some((name, value)) = self.either(&both("TIMEOUT")) else { return TIMEOUT };
        match value.parse() {
            Ok(milliseconds @ 1..) => Duration::from_millis(milliseconds),
            _ => {
                self.note(format!("{name}: `{value}` is no number of milliseconds; 10000 are taken"));
                TIMEOUT
            }
        }
    }

    fn sampler(&mut self) -> Sampler {
        let Some(name) = self.get("OTEL_TRACES_SAMPLER") else { return Sampler::default() };
        let share = match self.get("OTEL_TRACES_SAMPLER_ARG") {
            Some(value) if name.ends_with("traceidratio") => {
                let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
                share.unwrap_or_else(|| {
                    self.note(format!(
                        "OTEL_TRACES_SAMPLER_ARG: `{value}` is no number from 0 to 1; 1 is taken"
                    ));
                    1.0
                })
            }
            _ => 1.0,
        };
        Sampler::named(&name, share).unwrap_or_else(|| {
            let known = Sampler::NAMES.join(", ");
            self.note(format!(
                "OTEL_TRACES_SAMPLER: `{name}` is none of {known}; parentbased_always_on is taken"
            ));
            Sampler::default()
        })
    }

    /// `key=value,key=value`, with values as in a URL (W3C Baggage).
    fn pairs(&mut self, name: &str) -> Vec<(String, String)> {
        let (mut pairs, Some(text)) = (Vec::new(), self.get(name)) else { return Vec::new() };
        for (index, pair) in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).enumerate() {
            let split = pair.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
            let decoded = split.filter(|(key, _)| !key.is_empty());
            match decoded.and_then(|(key, value)| Some((percent_decoded(key)?, percent_decoded(value)?))) {
                Some(pair) => pairs.push(pair),
                // It may be a key: the value is not shown.
                None => self.note(format!("{name}: its part {} is not of the form `name=value`", index + 1)),
            }
        }
        pairs
    }

    fn note_what_has_no_effect(&mut self) {
        for (rest, spoken) in [("PROTOCOL", "http/json"), ("COMPRESSION", "none")] {
            if let Some((name, value)) = self.either(&both(rest)).filter(|(_, value)| value != spoken) {
                self.note(format!("{name}=`{value}` has no effect: traces are sent as {spoken}"));
            }
        }
        for rest in ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            if let Some((name, _)) = self.either(&both(rest)) {
                self.note(format!("{name} has no effect: collectors are trusted that the system trusts"));
            }
        }
        let has_context = |value: &String| value.split(',').any(|name| name.trim() == "tracecontext");
        if let Some(value) = self.get("OTEL_PROPAGATORS").filter(|value| !has_context(value)) {
            self.note(format!("OTEL_PROPAGATORS=`{value}` has no effect: context goes in `traceparent`"));
        }
    }
}

/// A text as it was before it was encoded for a URL.
fn percent_decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, more @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(more.get(..2)?).ok()?;
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<Settings>, Vec<String>) {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(None, "forebay", find)
    }

    fn endpoint(variables: &[(&str, &str)]) -> Option<String> {
        read(variables).0.map(|settings| settings.endpoint.to_string())
    }

    #[test]
    fn the_endpoint_of_traces_is_below_that_of_all_signals_or_as_it_is_said() {
        assert_eq!(endpoint(&[]), None);
        let all = "OTEL_EXPORTER_OTLP_ENDPOINT";
        for (base, expected) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("https://a/otlp/x/", "https://a/otlp/x/v1/traces"),
        ] {
            assert_eq!(endpoint(&[(all, base)]).as_deref(), Some(expected));
        }
        assert_eq!(endpoint(&[(all, "")]), None);
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b/t");
        assert_eq!(endpoint(&[(all, "http://a"), own]).as_deref(), Some("http://b/t"));
        for wrong in ["collector:4318", "grpc://a", "http://", "http://u:secret@a", "http://a/?key=1"] {
            let (settings, notes) = read(&[(all, wrong)]);
            assert!(settings.is_none() && notes.len() == 1, "{wrong}");
            assert!(notes[0].starts_with(all) && !notes[0].contains("secret"), "{notes:?}");
        }
        let given = Endpoint::below("http://given").unwrap();
        let (settings, _) = Settings::read(Some(&given), "forebay", |_| Some("http://a".to_owned()));
        assert!(settings.is_none(), "OTEL_TRACES_EXPORTER is not otlp");
        let (settings, _) =
            Settings::read(Some(&given), "forebay", |name| (name == all).then(|| "http://a".to_owned()));
        assert_eq!(settings.unwrap().endpoint.to_string(), "http://given/v1/traces");
    }

    const ON: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a");

    #[test]
    fn what_is_said_of_the_resource_and_of_headers_is_taken() {
        let (settings, notes) = read(&[
            ON,
            ("OTEL_SERVICE_NAME", "edge"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=a%20b, x = y"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%3D1,Authorization=Bearer%20x"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        ]);
        let settings = settings.unwrap();
        assert!(notes.is_empty(), "{notes:?}");
        let said = |key: &str| {
            settings.resource.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
        };
        assert_eq!(said("service.name"), Some("edge"));
        assert_eq!((said("deployment.environment.name"), said("x")), (Some("a b"), Some("y")));
        assert_eq!(said("telemetry.sdk.language"), Some("rust"));
        assert_eq!(settings.headers["api-key"], "s=1");
        assert_eq!(settings.headers["authorization"], "Bearer x");
        assert!(!format!("{settings:?}").contains("Bearer"), "keys are not shown");
        assert_eq!(settings.timeout, Duration::from_millis(500));
    }

    #[test]
    fn samplers_are_named_as_the_specification_names_them() {
        let sampler = |more: &[(&str, &str)]| {
            let (settings, notes) = read(&[&[ON], more].concat());
            (settings.unwrap().sampler, notes)
        };
        let (name, argument) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
        assert_eq!(sampler(&[]), (Sampler::default(), vec![]));
        let ratio = Sampler::named("traceidratio", 0.1).unwrap();
        assert_eq!(sampler(&[(name, "traceidratio"), (argument, "0.1")]), (ratio, vec![]));
        let all = Sampler::named("parentbased_traceidratio", 1.0).unwrap();
        assert_eq!(sampler(&[(name, "parentbased_traceidratio")]), (all, vec![]));
        let (taken, notes) = sampler(&[(name, "parentbased_traceidratio"), (argument, "2")]);
        assert_eq!(taken, all);
        assert_eq!(notes, ["OTEL_TRACES_SAMPLER_ARG: `2` is no number from 0 to 1; 1 is taken"]);
        let (taken, notes) = sampler(&[(name, "xray")]);
        assert!(
            taken == Sampler::default() && notes[0].contains("`xray` is none of always_on, "),
            "{notes:?}"
        );
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let (settings, notes) = read(&[
            ON,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret,a b=1,ok=1"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
        ]);
        assert_eq!(settings.unwrap().headers.len(), 1);
        let all = notes.join("\n");
        assert_eq!(notes.len(), 7, "{all}");
        assert!(all.contains("PROTOCOL=`grpc` has no effect: traces are sent as http/json"), "{all}");
        assert!(all.contains("its part 1 is not of the form") && !all.contains("secret"), "{all}");
        for (name, value) in [("OTEL_SDK_DISABLED", "True"), ("OTEL_TRACES_EXPORTER", "none")] {
            let (settings, notes) = read(&[ON, (name, value)]);
            assert!(settings.is_none() && notes[0].starts_with(name), "{notes:?}");
        }
    }
}
