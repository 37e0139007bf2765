//! Where onnxruntime's library is: what a variable names, what pip or conda installed, what the system has.
//!
//! Folders are looked into, and only when a graph needs the library. No Python is started for it, and nothing is taken from
//! the folder that happens to be the current one.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Names the library; empty, there is none.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// Variables that name the folder of the active Python.
const PREFIXES: &[&str] = &["VIRTUAL_ENV", "CONDA_PREFIX"];

/// Where systems have libraries.
const SYSTEM_FOLDERS: &[&str] = &[
    "usr/local/lib",
    "usr/local/lib64",
    "usr/lib",
    "usr/lib64",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "opt/onnxruntime/lib",
    "opt/homebrew/lib",
];

/// The most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 100_000;

/// A version of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u32; 3]);

/// Why there is no library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotFound {
    #[error("onnxruntime, which may run it, is turned off: {VARIABLE} is empty")]
    TurnedOff,
    #[error(
        "onnxruntime, which may run it, is not installed: `pip install onnxruntime`, or set {VARIABLE} to its library"
    )]
    Nowhere,
    #[error(
        "onnxruntime, which may run it, is there in version {version} (`{path}`), and 1.{oldest} or a later 1.x is needed: `pip install --upgrade onnxruntime`"
    )]
    OtherVersion { path: PathBuf, version: Version, oldest: u32 },
}

/// The environment of this process, or of a test.
type Variables<'v> = &'v dyn Fn(&str) -> Option<OsString>;

/// Libraries to try, the best first, none of which says that it is of another version than can be used. `root` is the folder
/// that the system's folders are in.
pub(super) fn find(
    variables: Variables<'_>,
    root: &Path,
    oldest_minor: u32,
) -> Result<Vec<PathBuf>, NotFound> {
    match variables(VARIABLE) {
        Some(named) if named.is_empty() => return Err(NotFound::TurnedOff),
        Some(named) => return Ok(vec![named.into()]),
        None => {}
    }
    let of_python = site_folders(variables).into_iter().map(|site| site.join("onnxruntime/capi"));
    let of_system = absolute_paths(variables, "LD_LIBRARY_PATH")
        .into_iter()
        .chain(SYSTEM_FOLDERS.iter().map(|folder| root.join(folder)));
    let found: Vec<(PathBuf, Option<Version>)> =
        of_python.chain(of_system).flat_map(|folder| libraries(&folder)).collect();
    let is_usable = |version: &Option<Version>| {
        version.is_none_or(|Version([major, minor, _])| major == 1 && minor >= oldest_minor)
    };
    let (usable, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, version)| is_usable(version));
    match (usable.is_empty(), others.into_iter().next()) {
        (true, Some((path, Some(version)))) => {
            Err(NotFound::OtherVersion { path, version, oldest: oldest_minor })
        }
        (true, _) => Err(NotFound::Nowhere),
        (false, _) => Ok(usable.into_iter().map(|(path, _)| path).collect()),
    }
}

/// Folders of packages of the active Python, in the order in which it would look.
fn site_folders(variables: Variables<'_>) -> Vec<PathBuf> {
    let named = PREFIXES.iter().filter_map(|name| variables(name)).map(PathBuf::from);
    let mut folders: Vec<PathBuf> =
        named.filter(|prefix| prefix.is_absolute()).flat_map(|prefix| sites(&prefix, None)).collect();
    let programs = absolute_paths(variables, "PATH")
        .into_iter()
        .flat_map(|folder| ["python3", "python"].map(|name| folder.join(name)));
    if let Some(program) = programs.into_iter().find(|program| program.is_file()) {
        folders.extend(sites_of_program(&program, variables));
    }
    folders
}

/// Folders of packages of the Python that a program is.
fn sites_of_program(program: &Path, variables: Variables<'_>) -> Vec<PathBuf> {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    // `python3.12`; a launcher of another name says nothing of its version.
    let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let version = name.strip_prefix("python").filter(|version| version.starts_with("3."));
    let prefix = |program: &Path| program.parent().and_then(Path::parent).map(Path::to_owned);
    let mut folders: Vec<PathBuf> = prefix(program).map(|prefix| sites(&prefix, version)).unwrap_or_default();
    let is_alone = prefix(program).is_some_and(|prefix| is_alone(&prefix));
    if !is_alone {
        let home = variables("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        folders.extend(home.map(|home| sites(&home.join(".local"), version)).unwrap_or_default());
        folders.extend(prefix(&real).map(|prefix| sites(&prefix, version)).unwrap_or_default());
    }
    folders
}

/// Whether a folder is a virtual environment without the packages of the Python that it was made of.
fn is_alone(prefix: &Path) -> bool {
    let settings = fs::read_to_string(prefix.join("pyvenv.cfg"));
    settings.is_ok_and(|settings| {
        let mut pairs = settings.lines().filter_map(|line| line.split_once('='));
        !pairs.any(|(name, value)| {
            name.trim() == "include-system-site-packages" && value.trim().eq_ignore_ascii_case("true")
        })
    })
}

/// Folders of packages under a prefix: `lib/python3.12/site-packages`, and as Debian has them.
fn sites(prefix: &Path, version: Option<&str>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for library in ["local/lib", "lib", "lib64"].map(|library| prefix.join(library)) {
        let mut pythons: Vec<(Reverse<Version>, PathBuf)> = names(&library)
            .filter_map(|name| {
                let of = name.strip_prefix("python3")?;
                let is_it =
                    version.is_none_or(|version| of.is_empty() || version.strip_prefix('3') == Some(of));
                is_it.then(|| {
                    (
                        Reverse(Version::parse(of.trim_start_matches('.')).unwrap_or(Version([0; 3]))),
                        library.join(&name),
                    )
                })
            })
            .collect();
        pythons.sort();
        let kinds = ["site-packages", "dist-packages"];
        folders.extend(pythons.iter().flat_map(|(_, python)| kinds.map(|kind| python.join(kind))));
    }
    folders
}

/// The libraries in a folder, the newest first, and what is known of their versions.
fn libraries(folder: &Path) -> Vec<(PathBuf, Option<Version>)> {
    let mut found: Vec<(PathBuf, Option<Version>)> = names(folder)
        .filter(|name| is_library(name))
        .map(|name| folder.join(name))
        .filter(|path| path.is_file())
        .map(|path| {
            let version = version_of(&path).or_else(|| version_of(&path.canonicalize().ok()?));
            (path, version)
        })
        .collect();
    found.sort_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
    found
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.20.1`, `libonnxruntime.1.20.1.dylib`
fn is_library(name: &str) -> bool {
    let rest = name.strip_prefix("libonnxruntime.");
    rest.is_some_and(|rest| {
        rest == "so" || rest.starts_with("so.") || rest == "dylib" || rest.ends_with(".dylib")
    })
}

/// The version in the name of a library.
fn version_of(path: &Path) -> Option<Version> {
    let name = path.file_name()?.to_str()?.strip_prefix("libonnxruntime.")?;
    Version::parse(name.trim_start_matches("so.").trim_end_matches(".dylib"))
}

/// The absolute folders in a variable. Others lead away from the current folder, which may be anybody's.
fn absolute_paths(variables: Variables<'_>, name: &str) -> Vec<PathBuf> {
    let value = variables(name).unwrap_or_default();
    std::env::split_paths(&value).filter(|path| path.is_absolute()).collect()
}

/// The names in a folder; none, when it cannot be read.
fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_ENTRIES);
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

// === impl Version ===

impl Version {
    /// `1`, `1.20` or `1.20.1`
    fn parse(text: &str) -> Option<Self> {
        let mut version = [0; 3];
        for (index, part) in text.split('.').enumerate() {
            *version.get_mut(index)? = part.parse().ok()?;
        }
        Some(Self(version))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A machine: files, links, and what its environment says, with `ROOT` for its folder.
    fn found(
        files: &[&str],
        links: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let place = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        files.iter().for_each(|file| fs::write(place(file), "").unwrap());
        links.iter().for_each(|(link, to)| symlink(root.join(to), place(link)).unwrap());
        let shown = root.to_str().unwrap();
        let value = |name: &str| {
            let value = variables.iter().find(|(known, _)| *known == name);
            value.map(|(_, value)| OsString::from(value.replace("ROOT", shown)))
        };
        let without_root = |text: String| text.replace(&format!("{shown}/"), "");
        match find(&value, &root, 17) {
            Ok(paths) => Ok(paths.into_iter().map(|path| without_root(path.display().to_string())).collect()),
            Err(error) => Err(without_root(error.to_string())),
        }
    }

    const VENV: &str = "venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.20.1";

    #[test]
    fn the_active_python_has_it() {
        let found = |variables: &[(&str, &str)]| found(&[VENV], &[], variables);
        assert_eq!(found(&[("VIRTUAL_ENV", "ROOT/venv")]).unwrap(), [VENV]);
        assert_eq!(found(&[("CONDA_PREFIX", "ROOT/venv")]).unwrap(), [VENV]);
        for elsewhere in [("VIRTUAL_ENV", "venv"), ("VIRTUAL_ENV", ""), ("PATH", "venv/bin:.:")] {
            let error = found(&[elsewhere]).unwrap_err();
            assert!(error.contains("`pip install onnxruntime`"), "{error}");
        }
    }

    #[test]
    fn the_first_python_on_the_path_has_it() {
        const DEBIAN: &str =
            "usr/local/lib/python3.12/dist-packages/onnxruntime/capi/libonnxruntime.so.1.19.0";
        const USER: &str =
            "home/.local/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.18.0";
        const OTHER: &str = "usr/lib/python3.9/site-packages/onnxruntime/capi/libonnxruntime.so.1.17.0";
        let files = [VENV, DEBIAN, USER, OTHER, "usr/bin/python3.12"];
        let links = [("usr/bin/python3", "usr/bin/python3.12"), ("venv/bin/python3", "usr/bin/python3")];
        let path = [("PATH", "ROOT/nothing:ROOT/usr/bin:ROOT/venv/bin"), ("HOME", "ROOT/home")];
        assert_eq!(found(&files, &links, &path).unwrap(), [DEBIAN, USER, DEBIAN]);
        let path = [("PATH", "ROOT/venv/bin:ROOT/usr/bin"), ("HOME", "ROOT/home")];
        assert_eq!(found(&files, &links, &path).unwrap(), [VENV, USER, DEBIAN]);
        // A virtual environment has its own packages only.
        let files = [&files[..], &["venv/pyvenv.cfg"]].concat();
        assert_eq!(found(&files, &links, &path).unwrap(), [VENV]);
    }

    #[test]
    fn the_system_has_it() {
        let links = [("usr/lib/libonnxruntime.so", "usr/lib/libonnxruntime.so.1.21.0")];
        let files = ["usr/lib/libonnxruntime.so.1.21.0", "usr/lib/libonnxruntime_providers_shared.so"];
        let both = ["usr/lib/libonnxruntime.so", "usr/lib/libonnxruntime.so.1.21.0"];
        assert_eq!(found(&files, &links, &[]).unwrap(), both);
        let files = ["opt/a/libonnxruntime.1.20.0.dylib"];
        assert_eq!(found(&files, &[], &[("LD_LIBRARY_PATH", ".:ROOT/opt/a")]).unwrap(), files);
    }

    #[test]
    fn a_variable_names_it_or_turns_it_off() {
        let named = |value| found(&[VENV], &[], &[("VIRTUAL_ENV", "ROOT/venv"), ("ORT_DYLIB_PATH", value)]);
        assert_eq!(named("ROOT/any.so").unwrap(), ["any.so"]);
        assert!(named("").unwrap_err().contains("is turned off"));
    }

    #[test]
    fn another_version_is_told_of_when_there_is_no_better() {
        const OLD: &str = "usr/lib/libonnxruntime.so.1.16.3";
        let error = found(&[OLD], &[], &[]).unwrap_err();
        assert!(
            error.contains("version 1.16.3 (`usr/lib/libonnxruntime.so.1.16.3`), and 1.17 or a later"),
            "{error}"
        );
        assert!(error.ends_with("`pip install --upgrade onnxruntime`"), "{error}");
        assert_eq!(found(&[OLD, VENV], &[], &[("VIRTUAL_ENV", "ROOT/venv")]).unwrap(), [VENV]);
        assert!(found(&["usr/lib/libonnxruntime.so.2.0.0"], &[], &[]).unwrap_err().contains("version 2.0.0"));
    }
}
