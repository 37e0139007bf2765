//! The authorities that this machine trusts, where its distribution keeps them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a distribution keeps authorities that were added to it.
pub(super) struct Store {
    folder: PathBuf,
    extension: &'static str,
    /// What has to run when something changed there.
    update: &'static [&'static str],
}

/// What came of changing it.
#[derive(Debug)]
pub(super) enum Change {
    Done,
    /// It was as it should be.
    Already,
    /// This distribution's is not known.
    NoStore,
    /// This user may not.
    Forbidden,
    Failed(String),
}

/// Of Debian, Fedora and Arch, in their manuals of `update-ca-certificates(8)`, `update-ca-trust(8)` and `trust(1)`.
const STORES: [(&str, &str, &[&str]); 3] = [
    ("/usr/local/share/ca-certificates", "crt", &["update-ca-certificates"]),
    ("/etc/pki/ca-trust/source/anchors", "pem", &["update-ca-trust", "extract"]),
    ("/etc/ca-certificates/trust-source/anchors", "crt", &["trust", "extract-compat"]),
];

// === impl Store ===

impl Store {
    /// That of the distribution that this is.
    pub(super) fn of_this_machine() -> Option<Self> {
        let is_there = |(folder, _, _): &&(&str, &str, _)| Path::new(folder).is_dir();
        let (folder, extension, update) = STORES.iter().find(is_there)?;
        Some(Self { folder: folder.into(), extension, update })
    }

    /// Where our authority stands in it. Several platforms of one machine have an authority each.
    fn file(&self, certificate: &str) -> PathBuf {
        let facts = manifest::read_facts(certificate);
        let digits: String =
            facts.map(|facts| facts.fingerprint).unwrap_or_default().split(':').take(4).collect();
        self.folder.join(format!("forebay-{}.{}", digits.to_ascii_lowercase(), self.extension))
    }

    /// Adds our authority.
    pub(super) fn add(&self, certificate: &str) -> Change {
        let file = self.file(certificate);
        if fs::read_to_string(&file).is_ok_and(|text| text == certificate) {
            return Change::Already;
        }
        match fs::write(&file, certificate) {
            Ok(()) => self.update(),
            Err(error) => Change::of(&error),
        }
    }

    /// Removes our authority.
    pub(super) fn remove(&self, certificate: &str) -> Change {
        match fs::remove_file(self.file(certificate)) {
            Ok(()) => self.update(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Change::Already,
            Err(error) => Change::of(&error),
        }
    }

    fn update(&self) -> Change {
        let [program, arguments @ ..] = self.update else { return Change::Done };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => Change::Done,
            Ok(status) => Change::Failed(format!("`{}` ended with {status}", self.update.join(" "))),
            Err(error) => Change::Failed(format!("`{}` cannot be run: {error}", self.update.join(" "))),
        }
    }
}

// === impl Change ===

impl Change {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Forbidden,
            _ => Self::Failed(error.to_string()),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Already)
    }

    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "changed",
            Self::Already => "unchanged",
            Self::NoStore => "unknown",
            Self::Forbidden => "forbidden",
            Self::Failed(_) => "failed",
        }
    }

    /// For people.
    pub(super) fn told(&self, certificate: &Path, word: &str) -> String {
        let certificate = certificate.display();
        match self {
            Self::Done if word == "trust" => "this machine trusts the local authority from now on".to_owned(),
            Self::Done => "this machine trusts the local authority no more".to_owned(),
            Self::Already if word == "trust" => "this machine trusts the local authority already".to_owned(),
            Self::Already => "this machine does not trust the local authority".to_owned(),
            Self::NoStore => format!(
                "error: it is not known where this system keeps authorities; do it by hand with {certificate}"
            ),
            Self::Forbidden => {
                format!(
                    "error: this user may not change what the machine trusts\n  help: sudo -E forebay ca {word}"
                )
            }
            Self::Failed(why) => format!("error: the machine's store could not be changed: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_comes_and_goes_once() {
        let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let authority = control::Authority::open(state.path(), jiff::Timestamp::now()).unwrap();
        let certificate = authority.certificate();
        let store = Store { folder: folder.path().to_owned(), extension: "crt", update: &["true"] };
        for (change, expected) in [
            (store.remove(certificate), "unchanged"),
            (store.add(certificate), "changed"),
            (store.add(certificate), "unchanged"),
            (store.remove(certificate), "changed"),
        ] {
            assert_eq!(change.as_str(), expected);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let gone = Store { folder: folder.path().join("gone"), extension: "crt", update: &["true"] };
        assert!(!gone.add(certificate).is_done());
        let failing = Store { folder: folder.path().to_owned(), extension: "crt", update: &["false"] };
        assert!(
            matches!(failing.add(certificate), Change::Failed(why) if why.contains("`false` ended with"))
        );
    }
}
