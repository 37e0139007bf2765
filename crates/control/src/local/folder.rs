//! The folder in which a platform keeps its state: nobody else's, and without links to somewhere else.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::StartError;

/// Names, or beginnings of names, of what a platform keeps in its folder.
const OURS: &[&str] =
    &["backups", "ca.key", "examples", "kubeconfig", "logs", "objects.", "platform.", "processes"];
/// Folders among them that the platform alone makes and uses.
const OUR_FOLDERS: &[&str] = &["backups", "logs", "processes"];
/// A folder in which everybody may make files, as `/tmp` is.
const STICKY: u32 = 0o1000;
/// What a group and all others may.
const OTHERS: u32 = 0o077;

/// Makes the folder if it is not there, and what is in it the owner's alone.
pub(super) fn prepare(folder: &Path) -> Result<(), StartError> {
    let failed = |source| StartError::StateFolder { path: folder.to_owned(), source };
    // Secrets are among the objects: the folder is nobody else's.
    create(folder).map_err(failed)?;
    if fs::metadata(folder).map_err(failed)?.permissions().mode() & STICKY != 0 {
        return Err(StartError::Shared { path: folder.to_owned() });
    }
    tighten(folder).map_err(failed)?;
    let ours = entries(folder).map_err(failed)?;
    let backups = entries(&folder.join("backups")).unwrap_or_default();
    for path in ours.iter().filter(|path| is_ours(path)).chain(&backups) {
        let metadata = path.symlink_metadata().map_err(failed)?;
        if metadata.is_symlink() {
            return Err(StartError::Link { path: path.clone() });
        }
        if metadata.is_file() || is_our_folder(path) {
            tighten(path).map_err(|source| StartError::StateFolder { path: path.clone(), source })?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    OURS.iter().any(|ours| name.starts_with(ours))
}

fn is_our_folder(path: &Path) -> bool {
    path.file_name().is_some_and(|name| OUR_FOLDERS.iter().any(|ours| name == *ours)) && path.is_dir()
}

/// Makes a folder in that of the platform, for its owner alone, and those above it that are not there.
pub(super) fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Takes from others what they may do with a file or folder.
fn tighten(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS & 0o7777))?;
    warn!(path = %path.display(), was = format!("{:o}", mode & 0o777), "others could use this; only its owner may now");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn logs_and_processes_are_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["logs", "processes", "mine"] {
            fs::create_dir(path(name)).unwrap();
            fs::set_permissions(path(name), Permissions::from_mode(0o755)).unwrap();
        }
        prepare(folder.path()).unwrap();
        create(&path("logs/mlops/api-1")).unwrap();
        for name in ["logs", "processes", "logs/mlops", "logs/mlops/api-1"] {
            assert_eq!(mode(&path(name)), 0o700, "{name}");
        }
        assert_eq!(mode(&path("mine")), 0o755);
    }

    #[test]
    fn what_others_may_read_is_tightened() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        prepare(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        fs::create_dir(folder.join("backups")).unwrap();
        let files = ["objects.redb", "kubeconfig", "backups/a.backup", "of-the-user.txt"];
        for name in files {
            fs::write(folder.join(name), "").unwrap();
            fs::set_permissions(folder.join(name), Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        prepare(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(files.map(|name| mode(&folder.join(name))), [0o600, 0o600, 0o600, 0o644]);
    }

    #[test]
    fn links_and_folders_of_everybody_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["objects.redb", "kubeconfig.new", "backups", "platform.json", "objects.lock"] {
            let folder = parent.path().join(name);
            fs::create_dir(&folder).unwrap();
            symlink("/etc/hostname", folder.join(name)).unwrap();
            let error = prepare(&folder).unwrap_err();
            assert!(matches!(&error, StartError::Link { path } if path.ends_with(name)), "{error}");
        }
        let shared = parent.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        assert!(matches!(prepare(&shared), Err(StartError::Shared { .. })));
        assert_eq!(mode(&shared), 0o777, "it is left as it is");
    }
}
