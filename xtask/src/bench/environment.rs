//! Virtual environments of Python. Each has what its file in `bench/peers` requires, from PyPI.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::folder;
use crate::tools::root;

/// An environment by its name: its requirements are `bench/peers/<name>.txt`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Environment(pub(super) &'static str);

/// Packages whose versions a report tells.
const SHOWN: &[&str] = &[
    "catboost",
    "fastapi",
    "kserve",
    "lightgbm",
    "mlflow",
    "mlserver",
    "numpy",
    "onnxruntime",
    "pandas",
    "scikit-learn",
    "uvicorn",
    "xgboost-cpu",
];

// === impl Environment ===

impl Environment {
    /// Makes it, unless it is there.
    pub(super) fn install(self) -> Result<(), String> {
        let file = self.requirements();
        let wanted = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let folder = self.folder()?;
        let installed = folder.join("installed.txt");
        if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        eprintln!("xtask: installing `{}` from PyPI", self.0);
        succeed(Command::new(python()?).args(["-m", "venv", "--clear"]).arg(&folder))?;
        let pip = folder.join("bin/pip");
        succeed(Command::new(pip).args(["install", "--quiet", "--requirement"]).arg(&file))?;
        fs::write(&installed, wanted).map_err(|error| format!("{}: {error}", installed.display()))
    }

    /// The file that says what is in it.
    pub(super) fn requirements(self) -> PathBuf {
        root().join("bench/peers").join(self.0).with_extension("txt")
    }

    /// The folder of its programs.
    pub(super) fn programs(self) -> Result<PathBuf, String> {
        Ok(self.folder()?.join("bin"))
    }

    /// What it is made of.
    pub(super) fn version(self) -> Result<String, String> {
        let programs = self.programs()?;
        let python = succeed(Command::new(programs.join("python")).arg("--version"))?;
        let list = succeed(Command::new(programs.join("pip")).args(["list", "--format", "freeze"]))?;
        let is_shown = |line: &&str| line.split_once("==").is_some_and(|(name, _)| SHOWN.contains(&name));
        let versions: Vec<&str> = list.lines().filter(is_shown).collect();
        Ok(format!("{}: {}, {}", self.0, python.trim(), versions.join(", ")))
    }

    fn folder(self) -> Result<PathBuf, String> {
        folder(&format!("venv-{}", self.0))
    }
}

/// A Python that all peers and the models run on: scikit-learn 1.9 needs 3.11, MLServer 1.7 is not for 3.13.
fn python() -> Result<&'static str, String> {
    let fits = |name: &&str| {
        let check = "import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])";
        Command::new(name).args(["-c", check]).output().is_ok_and(|output| output.status.success())
    };
    let names = ["python3.12", "python3.11", "python3"];
    names.into_iter().find(fits).ok_or_else(|| "Python 3.11 or 3.12 is missing".to_owned())
}

/// Runs a command to its end. What it prints is given back, or the last thing it said when it failed.
pub(super) fn succeed(command: &mut Command) -> Result<String, String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rfind(|line| line.starts_with("ERROR")).or(said.lines().last());
    Err(format!("`{shown}` failed: {}", said.unwrap_or_default()))
}
