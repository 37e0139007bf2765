//! Model servers in Python to measure against.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::environment::Environment;
use super::server::{free_address, pinned};
use super::{SERVER_CORE, folder};
use crate::tools::root;

/// A server that is not ours.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) environment: Environment,
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
    environment: Environment("mlserver"),
    command: |place| {
        mlserver(place, "iris", "mlserver_sklearn.SKLearnModel", &place.model.join("model.joblib"))
    },
};

pub(super) const MLSERVER_MLFLOW: Peer = Peer {
    name: "MLServer, MLflow",
    environment: Environment("mlserver"),
    command: |place| mlserver(place, "wine", "mlserver_mlflow.MLflowRuntime", place.model),
};

pub(super) const MLSERVER_XGBOOST: Peer = Peer {
    name: "MLServer, XGBoost",
    environment: Environment("mlserver"),
    command: |place| {
        mlserver(place, "xgboost", "mlserver_xgboost.XGBoostModel", &place.model.join("model.ubj"))
    },
};

pub(super) const MLFLOW: Peer = Peer {
    name: "mlflow models serve",
    environment: Environment("mlflow"),
    command: |place| {
        let mut command = place.program("mlflow");
        command.args(["models", "serve", "--env-manager", "local", "--model-uri"]).arg(place.model);
        command.args(["--host", "127.0.0.1", "--port", &place.address.port().to_string()]);
        Ok(command)
    },
};

pub(super) const KSERVE: Peer = Peer {
    name: "KServe, scikit-learn",
    environment: Environment("kserve"),
    command: |place| {
        let mut command = place.program("python");
        command.arg(root().join("bench/peers/kserve_sklearn.py")).arg(place.model);
        command.arg(place.address.port().to_string());
        Ok(command)
    },
};

pub(super) const FASTAPI: Peer = Peer {
    name: "FastAPI, scikit-learn",
    environment: Environment("fastapi"),
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
    /// The command that serves the model of a folder at an address.
    pub(super) fn command(&self, model: &Path, address: SocketAddr) -> Result<Command, String> {
        let folder = folder(&format!("peer-{}", self.environment.0))?;
        let programs = self.environment.programs()?;
        (self.command)(&Place { programs, folder, model, address })
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
