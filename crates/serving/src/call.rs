//! What a route is given, and what it gives: the words between the server and its protocols.

use std::borrow::Cow;

use models::{Method, NamedOutput, NotServed, Prediction};
use net::{Fields, Target};

use crate::content::Content;
use crate::decode::{self, Decoded, Schema};
use crate::fault::{Cause, Fault, list, quoted};
use crate::json::{Reader, Scalar};
use crate::metrics::Metrics;
use crate::model_set::{Entry, ModelSet, Ready};
use crate::output::{Ask, Output};
use crate::pattern::Captures;
use crate::reply::Reply;

/// A request without its body.
pub(crate) struct Call<'a> {
    /// The models that are served.
    pub(crate) models: &'a ModelSet,
    /// What was counted so far.
    pub(crate) metrics: &'a Metrics,
    /// What is asked for.
    pub(crate) target: &'a Target,
    /// The header fields.
    pub(crate) fields: &'a Fields,
    /// The parts of the path.
    pub(crate) captures: Captures<'a>,
}

/// A body, and what must be known of the model to read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// What the body is.
    pub(crate) content: Content,
    /// The body.
    pub(crate) body: &'a [u8],
    /// What the model takes.
    pub(crate) schema: &'a Schema,
    /// What the model can be asked for.
    pub(crate) methods: &'a [Method],
    /// What it can be asked for in its library, and not here.
    pub(crate) not_served: &'a [NotServed],
    /// What it is asked for when nothing is said.
    pub(crate) default_method: Method,
    /// What the query says it is asked for.
    pub(crate) method: Option<Method>,
    /// What the output is called that is asked for when nothing is said.
    pub(crate) default_output: &'static str,
    /// The outputs that the model's file names.
    pub(crate) named_outputs: &'a [NamedOutput],
    /// What the request calls the model, if that is not its own name.
    pub(crate) alias: Option<&'a str>,
}

/// How a protocol asks a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Predict {
    /// Reads the body.
    pub(crate) ask: fn(&Question<'_>) -> Result<Asked, Fault>,
    /// Writes the answer.
    pub(crate) tell: fn(&Entry, &Asked, &[Prediction]) -> Reply,
    /// Writes a body that this model answers.
    pub(crate) example: fn(&Ready) -> String,
}

/// What a body asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The rows.
    pub(crate) decoded: Decoded,
    /// What the model is asked for, in this order.
    pub(crate) outputs: Vec<Output>,
    /// The name of the request, which its answer bears too.
    pub(crate) id: Option<String>,
    /// What the request calls the model, if that is not its own name. The answer calls it so too.
    pub(crate) alias: Option<String>,
    /// What else the request says, and that has no effect here. Only the first few are kept.
    pub(crate) unused: Vec<String>,
}

// === impl Call ===

impl Call<'_> {
    /// The position of the model that is asked: the one in the path, else in the field `x-forebay-model`, else in the
    /// query, else the first.
    pub(crate) fn position(&self) -> Result<usize, Fault> {
        let in_path = self.captures.model.map(percent_decoded);
        let in_field = || self.fields.text("x-forebay-model").map(Cow::Borrowed);
        let name = in_path.or_else(in_field).or_else(|| self.query("model"));
        find_model(self.models, name.as_deref(), self.captures.version.map(percent_decoded).as_deref())
    }

    /// What an answer calls a model: as the path does, or else by its own name.
    pub(crate) fn name_of<'e>(&'e self, entry: &'e Entry) -> Cow<'e, str> {
        self.captures.model.map_or(Cow::Borrowed(entry.name.as_str()), percent_decoded)
    }

    /// The keys of the query that nobody reads.
    pub(crate) fn unused(&self) -> Vec<String> {
        let pairs = self.target.query().into_iter().flat_map(|query| query.split('&'));
        let keys = pairs.map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key));
        let unused = keys.filter(|key| !key.is_empty() && !QUERY_KEYS.contains(key));
        unused.map(|key| percent_decoded(key).into_owned()).collect()
    }

    /// The model that is asked.
    pub(crate) fn entry(&self) -> Result<&Entry, Fault> {
        self.position().map(|position| self.models.entries()[position].as_ref())
    }

    /// What the query says the model is asked for.
    pub(crate) fn method(&self) -> Result<Option<Method>, Fault> {
        let wrong = |problem| Fault::input("the query, `method`", problem);
        let mut chosen = None;
        for name in self.queries("method") {
            let method: Method = name.parse().map_err(wrong)?;
            match chosen.replace(method) {
                Some(other) if other != method => {
                    return Err(wrong(format!("the query asks for `{other}`, and for `{method}`")));
                }
                _ => {}
            }
        }
        Ok(chosen)
    }

    fn query(&self, name: &'static str) -> Option<Cow<'_, str>> {
        self.queries(name).next()
    }

    /// The values of a key of the query.
    fn queries(&self, name: &'static str) -> impl Iterator<Item = Cow<'_, str>> {
        let pairs = self.target.query().into_iter().flat_map(|query| query.split('&'));
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        pairs.filter(move |(key, _)| *key == name).map(|(_, value)| percent_decoded(value))
    }
}

/// What a query may say of a prediction.
const QUERY_KEYS: [&str; 2] = ["method", "model"];

/// The position of the model of this name and version; of the first when none is named.
pub(crate) fn find_model(
    models: &ModelSet,
    name: Option<&str>,
    version: Option<&str>,
) -> Result<usize, Fault> {
    if models.entries().is_empty() {
        return Err(match name {
            None => nothing_served(),
            Some(name) => no_such_model(models, name),
        });
    }
    let position = match name {
        None => 0,
        Some(name) => models.position(name).ok_or_else(|| no_such_model(models, name))?,
    };
    let Some(version) = version else { return Ok(position) };
    let found = models.position_of_version(position, version);
    found.ok_or_else(|| no_such_version(models, &models.entries()[position].name, version))
}

fn no_such_model(models: &ModelSet, name: &str) -> Fault {
    let problem = format!("no model is called {}", quoted(name));
    let names = list(models.names());
    Fault::new(Cause::NotFound, problem).with_help(format!("served here: {names}"))
}

fn no_such_version(models: &ModelSet, name: &str, version: &str) -> Fault {
    let problem = format!("model {} has no version {}", quoted(name), quoted(version));
    let fault = Fault::new(Cause::NotFound, problem);
    let versions: Vec<&str> = models.versions(name).collect();
    match versions.is_empty() {
        true => fault.with_help("it has no versions"),
        false => fault.with_help(format!("served here: {}", list(versions.into_iter()))),
    }
}

fn nothing_served() -> Fault {
    Fault::new(Cause::Unavailable, "no model is loaded yet")
}

// === impl Asked ===

impl Asked {
    /// What the answer calls the model.
    pub(crate) fn name_of<'a>(&'a self, entry: &'a Entry) -> &'a str {
        self.alias.as_deref().unwrap_or(&entry.name)
    }

    /// The method that the request chooses by its name, if it does.
    pub(crate) fn chosen_method(&self) -> Option<Method> {
        self.outputs.iter().find_map(|output| match output.ask {
            Ask::Method(method) => output.name.as_ref().map(|_| method),
            Ask::Output(_) => None,
        })
    }

    /// The first thing that is asked for.
    pub(crate) fn first_ask(&self) -> Option<Ask> {
        self.outputs.first().map(|output| output.ask)
    }

    /// How many rows the model answers for, each counted once for each output.
    pub(crate) fn n_predictions(&self) -> usize {
        self.decoded.batch.n_rows * self.outputs.len()
    }
}

// === impl Question ===

impl<'a> Question<'a> {
    /// What a body asks of a model.
    pub(crate) fn new(
        entry: &Entry,
        ready: &'a Ready,
        content: Content,
        body: &'a [u8],
        method: Option<Method>,
    ) -> Self {
        Self {
            content,
            body,
            schema: &ready.schema,
            methods: ready.model.methods(),
            not_served: ready.model.not_served(),
            default_method: ready.method,
            method,
            default_output: entry.default_output(),
            named_outputs: ready.model.outputs(),
            alias: None,
        }
    }

    /// Makes sure that the body is JSON.
    pub(crate) fn require_json(&self) -> Result<(), Fault> {
        match self.content {
            Content::Json => Ok(()),
            Content::Csv => Err(Fault::new(Cause::ContentType, "CSV is not read here")
                .with_help("send `content-type: application/json`, or POST the CSV to /invocations")),
            Content::Parquet => Err(Fault::new(Cause::ContentType, "Parquet is not read here")
                .with_help("send `content-type: application/json`, or POST the file to /invocations")),
            Content::JsonThenBytes { .. } | Content::Message => Err(bytes_after_json()),
        }
    }

    /// What is asked for with these rows, and what the body says beside them.
    pub(crate) fn asked(&self, decoded: Decoded, beside: Beside) -> Result<Asked, Fault> {
        let method = match (self.method, beside.method) {
            (Some(method), Some((other, place))) if method != other => {
                let problem = format!("the query asks for `{method}`, and the body for `{other}`");
                return Err(Fault::input(place, problem));
            }
            (method, beside) => method.or(beside.map(|(method, _)| method)),
        };
        let name = method.map(|method| method.as_str().to_owned());
        let ask = Ask::Method(method.unwrap_or(self.default_method));
        let outputs = vec![Output { ask, name, is_binary: None }];
        let alias = self.alias.map(str::to_owned);
        Ok(Asked { decoded, outputs, id: None, alias, unused: beside.unused })
    }
}

/// What a body says beside its rows.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// What the model is asked for, and where that is said.
    method: Option<(Method, String)>,
    /// The keys of what nobody reads.
    unused: Vec<String>,
}

/// How many keys that nobody reads are told.
const MOST_UNUSED: usize = 16;
/// How many letters of them are.
const SHOWN_LETTERS: usize = 64;

impl Beside {
    /// Reads the method that the value of a key names.
    pub(crate) fn read_method(&mut self, reader: &mut Reader<'_>, place: &str) -> Result<(), Fault> {
        match reader.scalar()? {
            Scalar::Text(name) => self.choose(&name, place),
            other => {
                let problem = format!("expected the name of a method, got {}", decode::describe(&other));
                Err(Fault::input(place, problem))
            }
        }
    }

    /// Chooses the method of this name.
    pub(crate) fn choose(&mut self, name: &str, place: &str) -> Result<(), Fault> {
        let method = name.parse().map_err(|problem: String| Fault::input(place, problem))?;
        match self.method.replace((method, place.to_owned())) {
            None => Ok(()),
            Some(_) => Err(Fault::new(Cause::Format, "a method is asked for twice").at(place)),
        }
    }

    /// Passes over a value that has no effect here, and notes its key.
    pub(crate) fn skip(&mut self, reader: &mut Reader<'_>, key: &str) -> Result<(), Fault> {
        self.note(key);
        Ok(reader.skip()?)
    }

    /// Notes a key that has no effect here.
    pub(crate) fn note(&mut self, key: &str) {
        if self.unused.len() < MOST_UNUSED && !self.unused.iter().any(|known| known == key) {
            self.unused.push(key.chars().take(SHOWN_LETTERS).collect());
        }
    }
}

/// The fault of a body with tensors in bytes where none are read.
pub(crate) fn bytes_after_json() -> Fault {
    Fault::new(Cause::ContentType, "tensors in bytes are not read here")
        .with_help("send `content-type: application/json`, or POST them to /v2/models/{model}/infer")
}

/// A text of a URL as it was before it was escaped.
pub(crate) fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |index: usize| char::from(*after.get(index)?).to_digit(16);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_a_url_are_undone() {
        assert_eq!(percent_decoded("a%20b%2fc"), "a b/c");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%c3%a9%zz"), "é%zz");
    }
}
