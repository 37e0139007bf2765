//! A folder of models, as Triton's clients keep them: each folder in it is a model, and each numbered folder in that a
//! version. A model without numbered folders has the version that it says itself.
//!
//! ```text
//! models/iris/1/model.joblib
//! models/iris/2/model.joblib    the one that is asked when a request names no version
//! models/wine/MLmodel
//! ```

use std::io;
use std::path::{Path, PathBuf};

use serving::{LoadedModel, ModelState, Repository, RepositoryError, ServedModel, Style};

/// A folder of models.
#[derive(Debug)]
pub(crate) struct ModelRepository {
    folder: PathBuf,
}

impl ModelRepository {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The names of all models, in order.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = folders(&self.folder)?;
        names.retain(|name| is_name(name));
        names.sort();
        Ok(names)
    }

    /// Links may lead elsewhere in the repository, as those of mounted ConfigMaps do, and not out of it.
    fn check_inside(&self, folder: &Path) -> Result<(), String> {
        let real =
            |path: &Path| path.canonicalize().map_err(|error| format!("`{}`: {error}", path.display()));
        if !real(folder)?.starts_with(real(&self.folder)?) {
            return Err(format!("`{}` is a link that leads out of the model repository", folder.display()));
        }
        Ok(())
    }
}

impl Repository for ModelRepository {
    fn load(&self, name: &str) -> Result<Vec<ServedModel>, RepositoryError> {
        let folder = self.folder.join(name);
        // A name is no path: it never leaves the folder.
        if !is_name(name) || !folder.is_dir() {
            return Err(RepositoryError::Unknown { name: name.to_owned() });
        }
        let problem = |problem: String| RepositoryError::Load { name: name.to_owned(), problem };
        self.check_inside(&folder).map_err(&problem)?;
        let mut versions: Vec<u64> = folders(&folder)
            .map_err(|error| problem(error.to_string()))?
            .iter()
            .filter_map(|folder| folder.parse().ok().filter(|version: &u64| version.to_string() == *folder))
            .collect();
        versions.sort_by(|a, b| b.cmp(a));
        let load = |version: Option<u64>| {
            let path = version.map_or_else(|| folder.clone(), |version| folder.join(version.to_string()));
            self.check_inside(&path).map_err(&problem)?;
            served(name, &path, version).map_err(|error| problem(chain(&error)))
        };
        match versions.is_empty() {
            true => Ok(vec![load(None)?]),
            false => versions.into_iter().map(|version| load(Some(version))).collect(),
        }
    }
}

fn served(name: &str, path: &Path, version: Option<u64>) -> Result<ServedModel, models::LoadError> {
    let loaded = LoadedModel::load(path)?;
    let own = loaded.model.description().version.clone();
    Ok(ServedModel {
        name: name.to_owned(),
        aliases: Vec::new(),
        version: version.map(|version| version.to_string()).or(own),
        style: Style::default(),
        method: None,
        state: ModelState::Ready(Box::new(loaded)),
    })
}

/// The names of the folders in a folder.
fn folders(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Whether a folder may be a model: its name is one that a path of a request can have.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes().next().is_some_and(|first| first != b'.') && name.bytes().all(is_plain)
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IRIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/models/iris-svc/model.joblib");

    fn repository(models: &[&str]) -> (tempfile::TempDir, ModelRepository) {
        let folder = tempfile::tempdir().unwrap();
        for model in models {
            let model = folder.path().join(model);
            std::fs::create_dir_all(&model).unwrap();
            std::fs::copy(IRIS, model.join("model.joblib")).unwrap();
        }
        let repository = ModelRepository::new(folder.path().to_owned());
        (folder, repository)
    }

    #[test]
    fn numbered_folders_are_versions_and_the_highest_is_the_default() {
        let (_folder, repository) = repository(&["iris/9", "iris/10", "iris/notes", "rose", ".git"]);
        assert_eq!(repository.names().unwrap(), ["iris", "rose"]);
        let versions = |name: &str| -> Vec<Option<String>> {
            repository.load(name).unwrap().into_iter().map(|model| model.version).collect()
        };
        assert_eq!(versions("iris"), [Some("10".to_owned()), Some("9".to_owned())]);
        assert_eq!(versions("rose"), [None]);
    }

    #[test]
    fn a_name_never_leaves_the_folder() {
        let (_folder, repository) = repository(&["iris/1"]);
        for name in ["..", "../x", "/etc", "", "rose", "iris/1", ".git"] {
            let unknown = RepositoryError::Unknown { name: name.to_owned() };
            assert_eq!(repository.load(name).unwrap_err(), unknown);
        }
    }

    #[test]
    fn a_link_does_not_lead_out_of_the_repository() {
        let (folder, repository) = repository(&["iris/1"]);
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::copy(IRIS, elsewhere.path().join("model.joblib")).unwrap();
        let link = std::os::unix::fs::symlink::<&Path, PathBuf>;
        link(elsewhere.path(), folder.path().join("rose")).unwrap();
        link(elsewhere.path(), folder.path().join("iris/2")).unwrap();
        for name in ["rose", "iris"] {
            let error = repository.load(name).unwrap_err().to_string();
            assert!(error.ends_with("is a link that leads out of the model repository"), "{error}");
        }
        std::fs::remove_file(folder.path().join("iris/2")).unwrap();
        link(Path::new("1"), folder.path().join("iris/2")).unwrap();
        assert_eq!(repository.load("iris").unwrap().len(), 2);
    }

    #[test]
    fn a_folder_without_a_model_says_why() {
        let (folder, repository) = repository(&["iris/1"]);
        std::fs::write(folder.path().join("iris/1/model.joblib"), b"no model").unwrap();
        let error = repository.load("iris").unwrap_err();
        assert!(error.to_string().starts_with("model `iris` cannot be loaded: "), "{error}");
    }
}
