//! The examples that are part of the binary: what `forebay up` runs when nothing is named.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Every file of the examples, by its path in the folder of examples.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/examples.rs"));

/// Writes the examples into a folder, unless they are there already. Returns the folder of each story.
pub(crate) fn unpack(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    for (name, bytes) in FILES {
        let path = folder.join(name);
        let context = || format!("cannot write the example `{}`", path.display());
        if fs::read(&path).is_ok_and(|there| there == *bytes) {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap_or(folder)).with_context(context)?;
        fs::write(&path, bytes).with_context(context)?;
        if bytes.starts_with(b"#!") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(context)?;
        }
    }
    let stories: BTreeSet<&str> = FILES.iter().filter_map(|(name, _)| name.split('/').next()).collect();
    Ok(stories.into_iter().map(|story| folder.join(story)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_stories_are_bundled_with_their_models() {
        let folder = tempfile::tempdir().unwrap();
        let stories = unpack(folder.path()).unwrap();
        let names: Vec<_> =
            stories.iter().map(|story| story.file_name().unwrap().to_string_lossy()).collect();
        assert_eq!(names, ["iris", "retail", "wine"]);
        assert!(folder.path().join("iris/model/model.joblib").is_file());
        let script = fs::metadata(folder.path().join("wine/test_inference.sh")).unwrap();
        assert_eq!(script.permissions().mode() & 0o111, 0o111);
        // Somebody changed a file: the next start puts it right.
        fs::write(folder.path().join("iris/model/model.joblib"), "x").unwrap();
        unpack(folder.path()).unwrap();
        assert_ne!(fs::read(folder.path().join("iris/model/model.joblib")).unwrap(), b"x");
    }
}
