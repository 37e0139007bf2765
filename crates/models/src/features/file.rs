//! What `forebay.yaml` says, read and checked as far as that can be without the model.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Features;
use crate::example::{self, Saved};
use crate::load::{MAX_SETTINGS_BYTES, read_within};
use crate::{Batch, Batching, LoadError, Method, Scalar, nearest};

/// The name of the file.
pub(crate) const FILE: &str = "forebay.yaml";

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) features: Option<Features>,
    /// Rows to try the model with.
    pub(crate) example: Option<Batch>,
    pub(crate) batching: Option<Batching>,
    /// What the model is asked for when a request does not say.
    pub(crate) method: Option<Method>,
    /// From which probability on a row has the second of two classes.
    pub(crate) threshold: Option<f64>,
}

/// A key, and a value that it may have.
struct Key {
    name: &'static str,
    example: &'static str,
}

/// The keys of the file.
const KEYS: &[Key] = &[
    Key { name: "name", example: "retail-sales" },
    Key { name: "version", example: "v1.0" },
    Key { name: "features", example: "[{name: price, type: double}]" },
    Key { name: "columns", example: "[price, reduced]" },
    Key { name: "example", example: "{columns: [price], data: [[13.9]]}" },
    Key { name: "method", example: "predict_proba" },
    Key { name: "threshold", example: "0.3" },
    Key { name: "max_batch_size", example: "64" },
    Key { name: "max_batch_time", example: "0.002" },
];

/// The keys of one feature.
const KEYS_OF_FEATURES: &[Key] = &[
    Key { name: "name", example: "price" },
    Key { name: "type", example: "double" },
    Key { name: "default", example: "29.99" },
    Key { name: "from", example: "date" },
    Key { name: "part", example: "day_of_week" },
    Key { name: "expression", example: "price * 1.2" },
    Key { name: "value", example: "EUR" },
];

/// Keys, and whether they have values.
type Outline = BTreeMap<String, Option<IgnoredAny>>;

#[derive(Debug, Default, Deserialize)]
struct OutlineOfFeatures {
    #[serde(default)]
    features: Vec<Outline>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    features: Vec<Feature>,
    #[serde(default)]
    columns: Option<Vec<String>>,
    #[serde(default)]
    example: Option<Saved>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    threshold: Option<f64>,
    #[serde(default)]
    max_batch_size: Option<usize>,
    #[serde(default)]
    max_batch_time: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Feature {
    pub(super) name: String,
    #[serde(default, rename = "type")]
    pub(super) datatype: Option<String>,
    #[serde(default)]
    pub(super) default: Option<Plain>,
    #[serde(default)]
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) part: Option<String>,
    #[serde(default)]
    pub(super) expression: Option<String>,
    #[serde(default)]
    pub(super) value: Option<Plain>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Plain {
    Boolean(bool),
    Long(i64),
    Double(f64),
    Text(String),
}

/// Reads the file of a folder, if there is one.
pub(crate) fn read(folder: &Path) -> Result<Settings, LoadError> {
    let path = folder.join(FILE);
    if !path.is_file() {
        return Ok(Settings::default());
    }
    let bytes = read_within(folder, &path, MAX_SETTINGS_BYTES)?;
    parse(&String::from_utf8_lossy(&bytes)).map_err(|problem| LoadError::Settings { path, problem })
}

/// Reads the text of the file. The problem, in words, if something in it is wrong.
pub(crate) fn parse(text: &str) -> Result<Settings, String> {
    check_keys(text)?;
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    check_name("name", file.name.as_deref())?;
    check_name("version", file.version.as_deref())?;
    let features = match (file.features.is_empty(), file.columns) {
        (true, None) => None,
        (true, Some(_)) => return Err("`columns` needs `features`, of which the columns are some".to_owned()),
        (false, columns) => Some(Features::new(&file.features, columns)?),
    };
    let no_rows = "`example` must have rows of one length, whose columns are of one type each";
    let example = file.example.map(|saved| example::batch(saved, None).ok_or(no_rows)).transpose()?;
    let batching = batching(file.max_batch_size, file.max_batch_time)?;
    let method = file.method.map(|name| name.parse()).transpose();
    let method = method.map_err(|problem: String| format!("`method`: {problem}"))?;
    let threshold = file.threshold;
    if let Some(threshold) = threshold.filter(|threshold| !(0.0..=1.0).contains(threshold)) {
        return Err(format!("`threshold`: expected a probability, from 0 to 1, got {threshold}"));
    }
    let (name, version) = (file.name, file.version);
    Ok(Settings { name, version, features, example, batching, method, threshold })
}

/// Makes sure that the keys are known, and that none stands there without a value: that would be read as if it did not
/// stand there.
fn check_keys(text: &str) -> Result<(), String> {
    // What cannot be read at all is told, with its line, by those who read the values.
    let outline: Outline = serde_saphyr::from_str(text).unwrap_or_default();
    check_keys_of(&outline, KEYS)?;
    let OutlineOfFeatures { features } = serde_saphyr::from_str(text).unwrap_or_default();
    for (index, feature) in features.iter().enumerate() {
        check_keys_of(feature, KEYS_OF_FEATURES)
            .map_err(|problem| format!("features[{index}]: {problem}"))?;
    }
    Ok(())
}

fn check_keys_of(outline: &Outline, keys: &[Key]) -> Result<(), String> {
    for (name, value) in outline {
        let Some(Key { name, example }) = keys.iter().find(|key| key.name == name) else {
            let names = || keys.iter().map(|key| key.name);
            let help = match nearest(name, names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the keys are `{}`", names().collect::<Vec<_>>().join("`, `")),
            };
            return Err(format!("`{name}` is not a key that is known here; {help}"));
        };
        if value.is_none() {
            return Err(format!("`{name}` has no value; write `{name}: {example}`, or leave it out"));
        }
    }
    Ok(())
}

/// Makes sure that a model can be asked for by a name or a version, which stands in paths.
pub(crate) fn check_name(key: &str, name: Option<&str>) -> Result<(), String> {
    match name {
        Some(name) if name.trim().is_empty() => {
            Err(format!("`{key}` is empty; name the model, or leave the key out"))
        }
        Some(name) if name.contains('/') => {
            let other = name.replace('/', "-");
            Err(format!(
                "`{key}` is `{name}`, and a `/` cannot stand in a part of a path; write `{key}: {other}`"
            ))
        }
        _ => Ok(()),
    }
}

/// Requests for one model wait for others no longer than this.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What `max_batch_size` and `max_batch_time` say, which MLServer's settings have too. MLServer joins nothing when the time
/// is 0; here those requests are joined then that wait anyway.
///
/// # Errors
/// The problem, in words, when the time is none.
pub(crate) fn batching(size: Option<usize>, seconds: Option<f64>) -> Result<Option<Batching>, String> {
    let seconds = seconds.unwrap_or(0.0);
    let max_delay = Duration::try_from_secs_f64(seconds).ok().filter(|delay| *delay <= LONGEST_DELAY);
    let Some(max_delay) = max_delay else {
        return Err(format!("`max_batch_time`: expected seconds, from 0 to 60, got {seconds}"));
    };
    Ok(size.map(|max_rows| Batching { max_rows, max_delay }))
}

// === impl Feature ===

impl Feature {
    /// Whether it is made here, rather than given.
    pub(super) fn is_made(&self) -> bool {
        self.from.is_some() || self.value.is_some() || self.expression.is_some()
    }
}

impl From<&Plain> for Scalar {
    fn from(plain: &Plain) -> Self {
        match plain {
            Plain::Boolean(flag) => Self::Boolean(*flag),
            Plain::Long(long) => Self::Long(*long),
            Plain::Double(double) => Self::Double(*double),
            Plain::Text(text) => Self::Text(text.clone()),
        }
    }
}
