//! Model servers in Python to measure against. Each has a virtual environment with what its file in `bench/peers` requires.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::server::{free_address, pinned};
use super::{SERVER_CORE, folder};
use crate::tools::root;

/// A server that is not ours.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Its requirements are `bench/peers/<environment>.txt`.
    pub(super) environment: &'static str,
    command: fn(&Place) -> Result<Command, String>,
}

/// Where a peer runs.
struct Place<'a> {
    /// Programs of its virtual environment.
    programs: PathBuf,
    /// A folder of its own.
    folder: PathBuf,
    /// The folder of its model.
    model: &'a Path,
    address: SocketAddr,
}

pub(super) const MLSERVER_SKLEARN: Peer = Peer {
    name: "MLServer, scikit-learn",
    environment: "mlserver",
    command: |place| {
        mlserver(place, "iris", "mlserver_sklearn.SKLearnModel", &place.model.join("model.joblib"))
    },
};

pub(super) const MLSERVER_MLFLOW: Peer = Peer {
    name: "MLServer, MLflow",
    environment: "mlserver",
    command: |place| mlserver(place, "wine", "mlserver_mlflow.MLflowRuntime", place.model),
};

pub(super) const MLFLOW: Peer = Peer {
    name: "mlflow models serve",
    environment: "mlflow",
    command: |place| {
        let mut command = place.program("mlflow");
        command.args(["models", "serve", "--env-manager", "local", "--model-uri"]).arg(place.model);
        command.args(["--host", "127.0.0.1", "--port", &place.address.port().to_string()]);
        Ok(command)
    },
};

pub(super) const KSERVE: Peer = Peer {
    name: "KServe, scikit-learn",
    environment: "kserve",
    command: |place| {
        let mut command = place.program("python");
        command.arg(root().join("bench/peers/kserve_sklearn.py")).arg(place.model);
        command.arg(place.address.port().to_string());
        Ok(command)
    },
};

pub(super) const FASTAPI: Peer = Peer {
    name: "FastAPI, scikit-learn",
    environment: "fastapi",
    command: |place| {
        let mut command = place.program("uvicorn");
        command.arg("retail_fastapi:app").arg("--app-dir").arg(root().join("bench/peers"));
        command.args(["--host", "127.0.0.1", "--port", &place.address.port().to_string()]);
        command.env("MODEL", place.model.join("model.joblib"));
        Ok(command)
    },
};

fn mlserver(place: &Place, name: &str, implementation: &str, uri: &Path) -> Result<Command, String> {
    let settings = json!({
        "host": "127.0.0.1",
        "http_port": place.address.port(),
        "grpc_port": free_address()?.port(),
        "metrics_port": free_address()?.port(),
        "parallel_workers": 0,
        "debug": false,
    });
    let model = json!({"name": name, "implementation": implementation, "parameters": {"uri": uri}});
    place.write("settings.json", &settings)?;
    place.write("model-settings.json", &model)?;
    let mut command = place.program("mlserver");
    command.args(["start", "."]);
    Ok(command)
}

// === impl Peer ===

impl Peer {
    /// Makes its virtual environment, unless it is there.
    pub(super) fn install(&self) -> Result<(), String> {
        let file = root().join("bench/peers").join(self.environment).with_extension("txt");
        let wanted = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let environment = self.environment_folder()?;
        let installed = environment.join("installed.txt");
        if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        eprintln!("xtask: installing {} from PyPI", self.name);
        succeed(Command::new(python()?).args(["-m", "venv", "--clear"]).arg(&environment))?;
        let pip = environment.join("bin/pip");
        succeed(Command::new(pip).args(["install", "--quiet", "--requirement"]).arg(&file))?;
        fs::write(&installed, wanted).map_err(|error| format!("{}: {error}", installed.display()))
    }

    /// The command that serves the model of a folder at an address.
    pub(super) fn command(&self, model: &Path, address: SocketAddr) -> Result<Command, String> {
        let folder = folder(&format!("peer-{}", self.environment))?;
        let programs = self.environment_folder()?.join("bin");
        (self.command)(&Place { programs, folder, model, address })
    }

    /// What it is made of.
    pub(super) fn version(&self) -> Result<String, String> {
        let programs = self.environment_folder()?.join("bin");
        let python = succeed(Command::new(programs.join("python")).arg("--version"))?;
        let list = succeed(Command::new(programs.join("pip")).args(["list", "--format", "freeze"]))?;
        let shown = ["mlserver", "kserve", "mlflow", "fastapi", "uvicorn", "scikit-learn", "numpy", "pandas"];
        let is_shown = |line: &&str| line.split_once("==").is_some_and(|(name, _)| shown.contains(&name));
        let versions: Vec<&str> = list.lines().filter(is_shown).collect();
        Ok(format!("{}: {}, {}", self.environment, python.trim(), versions.join(", ")))
    }

    fn environment_folder(&self) -> Result<PathBuf, String> {
        folder(&format!("venv-{}", self.environment))
    }
}

// === impl Place ===

impl Place<'_> {
    fn program(&self, name: &str) -> Command {
        let mut command = pinned(SERVER_CORE, &self.programs.join(name));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.programs.clone()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(folders).unwrap_or(path));
        // Sources of ours are read from the checkout, which must stay as it is.
        command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(&self.folder);
        command
    }

    fn write(&self, name: &str, value: &Value) -> Result<(), String> {
        let path = self.folder.join(name);
        fs::write(&path, value.to_string()).map_err(|error| format!("{}: {error}", path.display()))
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
fn succeed(command: &mut Command) -> Result<String, String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot run `{shown}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rfind(|line| line.starts_with("ERROR")).or(said.lines().last());
    Err(format!("`{shown}` failed: {}", said.unwrap_or_default()))
}
