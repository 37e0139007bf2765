//! The models that `forebay serve` was given by name: how they are called, and how clients load them again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serving::{LoadedModel, ModelState, Repository, RepositoryError, ServedModel, Style};

use crate::model_repository::{ModelRepository, chain};

/// A model on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedModel {
    pub(crate) name: Option<String>,
    pub(crate) uri: String,
}

impl std::str::FromStr for NamedModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match text.split_once('=') {
            Some((name, "")) if is_name(name) => Err(format!("`{text}` names no model after the `=`")),
            Some((name, uri)) if is_name(name) => {
                Ok(Self { name: Some(name.to_owned()), uri: uri.to_owned() })
            }
            _ if text.is_empty() => Err("a model is a file, a folder or a URI".to_owned()),
            _ => Ok(Self { name: None, uri: text.to_owned() }),
        }
    }
}

/// A model that was given, where it was found, and what it is called.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) model: NamedModel,
    /// Of a remote model the copy.
    pub(crate) path: PathBuf,
    pub(crate) name: String,
}

/// What clients may load: the models that were given, and those of a folder if there is one.
#[derive(Debug)]
pub(crate) struct GivenModels {
    /// Known when they were found; until then there are none.
    given: OnceLock<Vec<Given>>,
    folder: Option<Arc<ModelRepository>>,
}

// === impl GivenModels ===

impl GivenModels {
    pub(crate) fn new(folder: Option<Arc<ModelRepository>>) -> Self {
        Self { given: OnceLock::new(), folder }
    }

    /// Remembers where the models were found.
    pub(crate) fn found(&self, given: Vec<Given>) {
        // They are looked for once.
        let _ = self.given.set(given);
    }
}

impl Repository for GivenModels {
    fn load(&self, name: &str) -> Result<Vec<ServedModel>, RepositoryError> {
        let given = self.given.get().into_iter().flatten().filter(|given| given.name == name);
        let load = |given: &Given| {
            let loaded = LoadedModel::load(&given.path);
            let problem = |error| RepositoryError::Load { name: name.to_owned(), problem: chain(&error) };
            let state = ModelState::Ready(Box::new(loaded.map_err(problem)?));
            // It keeps its name, even when its folder has thought of another one.
            Ok(ServedModel { name: name.to_owned(), ..served(&given.model, Some(&given.path), state) })
        };
        let models: Vec<ServedModel> = given.map(load).collect::<Result<_, _>>()?;
        match &self.folder {
            _ if !models.is_empty() => Ok(models),
            Some(folder) => folder.load(name),
            None => Err(RepositoryError::Unknown { name: name.to_owned() }),
        }
    }
}

/// How a model is served: under the name it was given, and under the one it gives itself.
pub(crate) fn served(wanted: &NamedModel, path: Option<&Path>, state: ModelState) -> ServedModel {
    let description = match &state {
        ModelState::Ready(loaded) => Some(loaded.model.description()),
        ModelState::Loading | ModelState::Failed => None,
    };
    let own_name = description.and_then(|description| description.name.clone());
    let name = wanted.name.clone().or_else(|| own_name.clone()).unwrap_or_else(|| name_of(path, &wanted.uri));
    ServedModel {
        aliases: own_name.into_iter().filter(|own| *own != name).collect(),
        version: description.and_then(|description| description.version.clone()),
        style: Style::default(),
        method: None,
        state,
        name,
    }
}

/// The name of a model that has none: that of its file or folder, or of the folder around a file called `model.*`.
fn name_of(path: Option<&Path>, uri: &str) -> String {
    // What a web server is asked besides a path names nothing, and may be a secret.
    let address = uri.split_once('?').filter(|(address, _)| address.contains("://"));
    let address = address.map_or(uri, |(address, _)| address);
    let path = path
        .map_or_else(|| PathBuf::from(address), |path| std::fs::canonicalize(path).unwrap_or(path.into()));
    let is_file = path.extension().is_some();
    let stem = path.file_stem().filter(|stem| !is_file || *stem != "model");
    let name = stem.or_else(|| path.parent()?.file_name()).map(|name| name.to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "model".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_have_a_name_before_it() {
        let parse = |text: &str| text.parse::<NamedModel>().map(|model| (model.name, model.uri));
        assert_eq!(parse("iris=s3://a/b=c"), Ok((Some("iris".into()), "s3://a/b=c".into())));
        assert_eq!(parse("s3://a/b=c"), Ok((None, "s3://a/b=c".into())));
        assert_eq!(parse("./model.joblib"), Ok((None, "./model.joblib".into())));
        assert!(parse("iris=").is_err() && parse("").is_err());
    }

    #[test]
    fn a_model_without_a_name_has_that_of_its_file_or_folder() {
        for (uri, name) in [
            ("/a/iris/model.joblib", "iris"),
            ("/a/wine", "wine"),
            ("/a/iris.pkl", "iris"),
            ("s3://b/models/rf", "rf"),
            ("model.pkl", "model"),
            ("http://h/iris.joblib?X-Amz-Credential=a/b.c&X-Amz-Signature=d", "iris"),
        ] {
            assert_eq!(name_of(None, uri), name, "{uri}");
        }
    }
}
