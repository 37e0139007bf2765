//! What an InferenceService says of how its model is served, as options of `forebay serve`.
//!
//! In KServe a batcher and a logger are a program of their own between client and model. Here the model server does both, so
//! they are options of it, and so is what stands in the model's `args`.
//!
//! ```text
//! batcher: {maxBatchSize: 64, maxLatency: 5}  →  --batch-size 64 --batch-delay 5ms
//! ```

use serde_json::Value;

use crate::finding::nearest;
use crate::kinds::inference_service::{Batcher, Logger};
use crate::{Finding, Object, Severity, codes};

/// An option of the model server.
pub(crate) struct ServeOption {
    pub(crate) name: &'static str,
    pub(crate) short: Option<&'static str>,
    pub(crate) has_value: bool,
}

const fn option(name: &'static str) -> ServeOption {
    ServeOption { name, short: None, has_value: true }
}

const fn switch(name: &'static str) -> ServeOption {
    ServeOption { name, short: None, has_value: false }
}

const fn with_short(name: &'static str, short: &'static str, has_value: bool) -> ServeOption {
    ServeOption { name, short: Some(short), has_value }
}

/// Those that may stand in a model's `args`.
const OPTIONS: &[ServeOption] = &[
    option("--admin-address"),
    option(BATCH_DELAY),
    option(BATCH_SIZE),
    option("--body-limit"),
    option("--cache-size"),
    option("--grpc-port"),
    switch("--lenient-column-names"),
    option(LOG_MODE),
    option(LOG_PREDICTIONS),
    option("--log-sample"),
    option("--otlp-endpoint"),
    switch("--strict-content-type"),
    option(THREADS),
];

/// Those that only the arguments of a container may hold, which are all that the program gets.
const CONTAINER_OPTIONS: &[ServeOption] = &[
    option("--address"),
    option("--color"),
    with_short("--help", "-h", false),
    option("--limit"),
    option("--model"),
    option("--model-cache"),
    option("--model-repository"),
    with_short("--output", "-o", true),
    with_short("--port", "-p", true),
    switch("--public"),
    with_short("--quiet", "-q", false),
    option("--proxy-protocol-from"),
    option("--state-dir"),
    switch("--stop-when-stdin-closes"),
    option("--tls-cert"),
    option("--tls-key"),
    option("--trusted-proxy"),
    with_short("--verbose", "-v", false),
];

/// Every option of `forebay serve`.
pub(crate) fn serve_options() -> impl Iterator<Item = &'static ServeOption> {
    OPTIONS.iter().chain(CONTAINER_OPTIONS)
}

/// The name of every option of `forebay serve`, and whether a value stands behind it.
pub fn serve_option_names() -> impl Iterator<Item = (&'static str, bool)> {
    serve_options().map(|option| (option.name, option.has_value))
}

/// What KServe's own servers call an option that the model server has too.
const OTHER_NAMES: &[(&str, &str)] = &[("--workers", THREADS)];

const BATCH_SIZE: &str = "--batch-size";
const BATCH_DELAY: &str = "--batch-delay";
const LOG_PREDICTIONS: &str = "--log-predictions";
const LOG_MODE: &str = "--log-mode";
const THREADS: &str = "--threads";

/// Rows of a batch of KServe's batcher that does not say (KServe, "Inference Batcher").
const DEFAULT_BATCH_SIZE: i64 = 32;
/// What a logger may log.
const MODES: &[&str] = &["all", "request", "response"];

/// Variables that other model servers read, and that change what they answer or how fast.
const VARIABLES: &[(&str, Severity)] = &[("MLSERVER_", Severity::Info), ("PREDICT_PROBA", Severity::Warning)];

/// The names of the options that a model's `args` may hold.
#[must_use]
pub fn names() -> Vec<&'static str> {
    OPTIONS.iter().map(|option| option.name).collect()
}

/// Whether an option of the model server takes no value.
pub(crate) fn is_switch(name: &str) -> bool {
    let is_it = |option: &ServeOption| option.name == name || option.short == Some(name);
    // Said twice at once, it says more.
    name == "-vv" || serve_options().any(|option| is_it(option) && !option.has_value)
}

/// Where an InferenceService says something, and what is found there.
pub(super) struct Reading<'a> {
    pub(super) object: &'a Object,
    pub(super) findings: &'a mut Vec<Finding>,
}

impl Reading<'_> {
    fn wrong(&mut self, path: &str, message: String) {
        self.findings.push(Finding::new(&codes::FIELD_INVALID, message).at(self.object, path));
    }

    fn no_effect(&mut self, path: &str, severity: Severity, message: String) {
        let finding = Finding::new(&codes::FIELD_NO_EFFECT, message).at(self.object, path);
        self.findings.push(finding.with_severity(severity));
    }

    /// The options of a model with these `args`, and with the batcher and the logger of its predictor.
    pub(super) fn options(
        &mut self,
        path: &str,
        arguments: &[String],
        batcher: Option<&Batcher>,
        logger: Option<&Logger>,
    ) -> Vec<String> {
        let mut options = self.arguments(path, arguments);
        if let Some(batcher) = batcher
            && !self.is_said(&options, BATCH_SIZE, "batcher")
        {
            options.extend(self.batcher(batcher));
        }
        if let Some(logger) = logger
            && !self.is_said(&options, LOG_PREDICTIONS, "logger")
        {
            options.extend(self.logger(logger));
        }
        options
    }

    /// Whether the `args` say already what a field says too.
    fn is_said(&mut self, options: &[String], name: &str, field: &str) -> bool {
        let is_said = options.iter().any(|option| option == name);
        if is_said {
            let message = format!("`{field}` has no effect, because `args` say `{name}`");
            self.no_effect(&format!("spec.predictor.{field}"), Severity::Warning, message);
        }
        is_said
    }

    /// Says that containers of the user's own are neither joined nor logged by us.
    pub(super) fn none_for_containers(&mut self, batcher: Option<&Batcher>, logger: Option<&Logger>) {
        for (field, is_there) in [("batcher", batcher.is_some()), ("logger", logger.is_some())] {
            if is_there {
                let message = format!(
                    "`{field}` has no effect on containers of your own: only our model server does it, with an option"
                );
                self.no_effect(&format!("spec.predictor.{field}"), Severity::Warning, message);
            }
        }
    }

    /// Says which variables of a model's container have no effect.
    pub(super) fn variables(&mut self, path: &str, variables: &[Value]) {
        let names = variables.iter().filter_map(|variable| variable.get("name")?.as_str());
        for name in names {
            let found = VARIABLES.iter().find(|(known, _)| match known.ends_with('_') {
                true => name.starts_with(known),
                false => name == *known,
            });
            if let Some((_, severity)) = found {
                let message =
                    format!("the variable `{name}` is one of another model server and has no effect");
                self.no_effect(&format!("{path}.env"), *severity, message);
            }
        }
    }

    /// The options in a model's `args`, each with its value behind it. What is no option has no effect.
    fn arguments(&mut self, path: &str, arguments: &[String]) -> Vec<String> {
        let mut options = Vec::new();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let own = OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(name, |(_, own)| own);
            let Some(known) = OPTIONS.iter().find(|known| known.name == own) else {
                // What stands behind an option that nobody knows may be its value.
                let is_option = name.starts_with('-');
                if is_option
                    && value.is_none()
                    && words.as_slice().first().is_some_and(|next| !next.starts_with('-'))
                {
                    words.next();
                }
                self.unknown(path, name);
                continue;
            };
            options.push(own.to_owned());
            match (known.has_value, value) {
                (true, Some(value)) => options.push(value),
                (true, None) => match words.next() {
                    Some(value) => options.push(value.clone()),
                    None => self.wrong(&format!("{path}.args"), format!("`{name}` has no value behind it")),
                },
                (false, None) => {}
                (false, Some(_)) => self.wrong(&format!("{path}.args"), format!("`{name}` takes no value")),
            }
        }
        options
    }

    fn unknown(&mut self, path: &str, name: &str) {
        let message = format!("the argument `{name}` has no effect here");
        let finding = Finding::new(&codes::FIELD_NO_EFFECT, message).at(self.object, &format!("{path}.args"));
        let suggestion = match nearest(name, OPTIONS.iter().map(|option| option.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("options that may stand here: {}", names().join(", ")),
        };
        self.findings.push(finding.with_severity(Severity::Warning).suggest(suggestion));
    }

    fn batcher(&mut self, batcher: &Batcher) -> Vec<String> {
        let path = "spec.predictor.batcher";
        let mut number = |field: &str, value: Option<i64>, least: i64| {
            let value = value?;
            if value < least {
                self.wrong(&format!("{path}.{field}"), format!("{field} {value} is less than {least}"));
            }
            Some(value)
        };
        let rows = number("maxBatchSize", batcher.max_batch_size, 1);
        let milliseconds = number("maxLatency", batcher.max_latency, 0);
        if milliseconds.is_none() {
            let message = "without `maxLatency` only requests are joined that wait already; KServe would have each wait \
                           for up to half a second";
            self.no_effect(path, Severity::Info, message.to_owned());
        }
        let rows = rows.unwrap_or(DEFAULT_BATCH_SIZE);
        let mut options = vec![BATCH_SIZE.to_owned(), rows.to_string()];
        if let Some(milliseconds) = milliseconds {
            options.extend([BATCH_DELAY.to_owned(), format!("{milliseconds}ms")]);
        }
        options
    }

    fn logger(&mut self, logger: &Logger) -> Vec<String> {
        let path = "spec.predictor.logger";
        let mode = logger.mode.as_deref().filter(|mode| !mode.is_empty());
        if let Some(mode) = mode.filter(|mode| !MODES.contains(mode)) {
            self.wrong(&format!("{path}.mode"), format!("mode `{mode}` is none of {}", MODES.join(", ")));
            return Vec::new();
        }
        let Some(url) = logger.url.as_deref().filter(|url| !url.is_empty()) else {
            let message =
                "nothing is logged without a `url`: there is no broker here that is meant by default";
            self.no_effect(path, Severity::Warning, message.to_owned());
            return Vec::new();
        };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            self.wrong(
                &format!("{path}.url"),
                format!("url `{url}` begins with neither http:// nor https://"),
            );
            return Vec::new();
        }
        let mut options = vec![LOG_PREDICTIONS.to_owned(), url.to_owned()];
        options.extend(mode.into_iter().flat_map(|mode| [LOG_MODE.to_owned(), mode.to_owned()]));
        options
    }
}
