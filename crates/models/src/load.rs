//! From a path to a model: which file of a folder it is, and what else the folder says.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::features::{self, Settings};
use crate::formats::{self, mlflow};
use crate::model::{Assembly, Description, Part};
use crate::{LoadError, Model};

/// Bytes of a model file.
const MAX_MODEL_BYTES: u64 = 2 << 30;

/// Bytes of a file that describes a model.
pub(crate) const MAX_SETTINGS_BYTES: u64 = 16 << 20;

/// What the files of models are called in folders that hold nothing but a model. Which format they have, their first
/// bytes tell.
const MODEL_EXTENSIONS: &[&str] =
    &["bst", "cb", "cbm", "joblib", "lgb", "onnx", "pickle", "pkl", "skops", "ubj"];

/// Extensions that many other files have too: only `model.*` is a model.
const COMMON_EXTENSIONS: &[&str] = &["json", "txt"];

/// MLServer's settings of one model.
const MODEL_SETTINGS: &str = "model-settings.json";

#[derive(Debug, Default, Deserialize)]
struct ModelSettings {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    parameters: Option<ModelParameters>,
    #[serde(default)]
    max_batch_size: Option<usize>,
    #[serde(default)]
    max_batch_time: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
struct ModelParameters {
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    version: Option<String>,
}

/// Loads a model: a file, a folder with one, or a folder that MLflow saved. A `forebay.yaml` beside the only model of a folder
/// is read with it. `model.pkl#model` is what the dict in a pickle has under `model`.
///
/// Nothing of it is executed. What this build does not know is refused with its name.
///
/// # Errors
///
/// See [`LoadError`].
pub fn load(path: &Path) -> Result<Model, LoadError> {
    let (path, part) = formats::part::file_and_part(path);
    let (path, part) = (path.as_path(), part.as_deref());
    let metadata = path.metadata().map_err(|problem| LoadError::Read { path: path.to_owned(), problem })?;
    if metadata.is_dir() {
        return load_folder(path, part);
    }
    if let Some(folder) = declared_folder(path) {
        return load_folder(folder, part);
    }
    load_file((path, part), &read_bytes(path, MAX_MODEL_BYTES)?, None, Settings::default())
}

/// The folder of a model file, if it has a `forebay.yaml` and no model but this one: what stands there is said of it, whether
/// the file is named or the folder.
fn declared_folder(file: &Path) -> Option<&Path> {
    let folder = file.parent()?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let is_declared = folder.join(features::FILE).is_file() && !folder.join(mlflow::MLMODEL).is_file();
    let is_the_model = |found: PathBuf| found.file_name() == file.file_name();
    (is_declared && model_file(folder).is_ok_and(is_the_model)).then_some(folder)
}

fn load_folder(folder: &Path, part: Option<&str>) -> Result<Model, LoadError> {
    let mut settings = features::read(folder)?;
    let model_settings = read_model_settings(folder)?;
    let parameters = model_settings.parameters.unwrap_or_default();
    let wrong = |problem| LoadError::Settings { path: folder.join(MODEL_SETTINGS), problem };
    features::check_name("name", model_settings.name.as_deref()).map_err(wrong)?;
    features::check_name("parameters.version", parameters.version.as_deref()).map_err(wrong)?;
    let batching = features::batching(model_settings.max_batch_size, model_settings.max_batch_time);
    settings.batching = settings.batching.or(batching.map_err(wrong)?);
    settings.name = settings.name.or(model_settings.name);
    settings.version = settings.version.or(parameters.version);

    if let Some(mlflow) = mlflow::read(folder)? {
        let file = mlflow.file.clone();
        let bytes = read_within(folder, &file, MAX_MODEL_BYTES)?;
        return load_file((&file, part), &bytes, Some(mlflow), settings);
    }
    let named = parameters.uri.and_then(|uri| inside(folder, &uri)).filter(|path| path.is_file());
    let file = match named {
        Some(file) => file,
        None => model_file(folder)?,
    };
    let bytes = read_within(folder, &file, MAX_MODEL_BYTES)?;
    load_file((&file, part), &bytes, None, settings)
}

/// The one file of a folder that is a model, as KServe looks for it: `model.*` first.
fn model_file(folder: &Path) -> Result<PathBuf, LoadError> {
    let read = |problem| LoadError::Read { path: folder.to_owned(), problem };
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(read)? {
        let path = entry.map_err(read)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_called_model = path.file_stem().is_some_and(|stem| stem == "model");
        let is_model = |extension: &str| {
            let is_common = COMMON_EXTENSIONS.contains(&extension);
            MODEL_EXTENSIONS.contains(&extension) || (is_common && is_called_model)
        };
        if path.is_file() && extension.is_some_and(is_model) {
            files.push(path);
        }
    }
    files.sort();
    let (called_model, others): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|path| path.file_stem().is_some_and(|stem| stem == "model"));
    let candidates = if called_model.is_empty() { others } else { called_model };
    if let (true, Some(version)) = (candidates.is_empty(), newest_version(folder)?) {
        return model_file(&version);
    }
    match &candidates[..] {
        [file] => Ok(file.clone()),
        [] => Err(LoadError::UnknownFormat {
            path: folder.to_owned(),
            found: format!(
                "it has no `MLmodel` and no file `*.{}`, `model.{}`",
                MODEL_EXTENSIONS.join("`, `*."),
                COMMON_EXTENSIONS.join("`, `model.")
            ),
        }),
        files => Err(LoadError::Ambiguous {
            path: folder.to_owned(),
            found: files.iter().map(|file| file_name(file)).collect(),
        }),
    }
}

/// The folder of the newest version, in a repository of a model server (`1/model.onnx`).
fn newest_version(folder: &Path) -> Result<Option<PathBuf>, LoadError> {
    let read = |problem| LoadError::Read { path: folder.to_owned(), problem };
    let mut newest: Option<(u32, PathBuf)> = None;
    for entry in folder.read_dir().map_err(read)? {
        let path = entry.map_err(read)?.path();
        let version = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        let Some(version) = version.filter(|_| path.is_dir()) else { continue };
        if newest.as_ref().is_none_or(|(known, _)| version > *known) {
            newest = Some((version, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn read_model_settings(folder: &Path) -> Result<ModelSettings, LoadError> {
    let path = folder.join(MODEL_SETTINGS);
    if !path.is_file() {
        return Ok(ModelSettings::default());
    }
    let bytes = read_within(folder, &path, MAX_SETTINGS_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|error| LoadError::Settings { path, problem: error.to_string() })
}

fn load_file(
    (path, part): (&Path, Option<&str>),
    bytes: &[u8],
    mlflow: Option<mlflow::Folder>,
    settings: Settings,
) -> Result<Model, LoadError> {
    let class = mlflow.as_ref().and_then(|mlflow| mlflow.class.as_deref());
    let content = formats::read(bytes, class, part).map_err(|fault| fault.of(path))?;
    let own_version = content.outline.iter().find_map(|part| part.version.clone());
    let (format, libraries) = match &mlflow {
        Some(mlflow) => (format!("MLflow {}, {}", mlflow.flavor, content.format), mlflow.libraries.clone()),
        None => {
            let libraries = own_version.map(|version| ("scikit-learn".to_owned(), version));
            (content.format, libraries.into_iter().collect())
        }
    };
    let format = part.map_or(format.clone(), |part| format!("{format}, the part `{part}`"));
    let parts = content.outline.into_iter().map(|part| Part {
        depth: part.depth,
        name: part.name,
        class: part.class,
    });
    let description = Description {
        name: settings.name,
        version: settings.version,
        format,
        parts: parts.collect(),
        libraries,
        file: path.to_owned(),
        file_bytes: bytes.len() as u64,
        sha256: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        batching: settings.batching,
    };
    let (signature, example, method) = match mlflow {
        Some(mlflow) => (mlflow.signature, mlflow.example, mlflow.method),
        None => (None, None, None),
    };
    let assembly = Assembly {
        step: content.step,
        names: content.names,
        features: settings.features,
        declared_example: settings.example,
        signature,
        example,
        method: settings.method.or(method),
        threshold: settings.threshold,
        description,
    };
    assembly.finish().map_err(|fault| fault.of(path))
}

/// A path inside of a folder, if it stays there.
pub(crate) fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let stays =
        path.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
    stays.then(|| folder.join(path))
}

/// The bytes of a file in a folder that is no larger than a limit. A link may lead elsewhere in the folder, as those of
/// mounted ConfigMaps do, and not out of it.
pub(crate) fn read_within(folder: &Path, path: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    let read = |problem| LoadError::Read { path: path.to_owned(), problem };
    let [real_folder, real_path] = [folder, path].map(Path::canonicalize);
    if !real_path.map_err(read)?.starts_with(real_folder.map_err(read)?) {
        return Err(read(std::io::Error::other("it is a link that leads out of the model's folder")));
    }
    read_bytes(path, limit)
}

/// The bytes of a file that is no larger than a limit.
fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    let read = |problem| LoadError::Read { path: path.to_owned(), problem };
    // Asked before it is opened: opening a pipe waits for its writer.
    let metadata = path.metadata().map_err(read)?;
    if !metadata.is_file() {
        return Err(LoadError::UnknownFormat {
            path: path.to_owned(),
            found: "it is no plain file".to_owned(),
        });
    }
    let too_large = || LoadError::TooLarge { path: path.to_owned(), what: "bytes", limit };
    if metadata.len() > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(read)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(bytes)
}
