//! The model server on one core, beside the limit of its stack and beside the servers that people use in Python.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::contender::{Contender, measure};
use super::http::Request;
use super::load::{Load, Over};
use super::peers::{self, Peer};
use super::report::{Case, Report, median};
use super::server::{Server, free_address, pinned};
use super::{Forebay, SERVER_CORE, constant_server, models, requests};
use crate::tools::root;

const CONNECTIONS: usize = 16;
const SECONDS: u32 = 3;

/// How often each server is started, to tell how long it takes to the first prediction.
const STARTS: usize = 3;

/// What the constant server is called.
const LIMIT: &str = "same answer, no model";

/// Where predictions may differ from ours, relative to their size.
const TOLERANCE: f64 = 1e-9;

/// A model that is asked in one protocol.
struct Story {
    name: &'static str,
    model: &'static str,
    files: Files,
    path: &'static str,
    body: fn(usize) -> Result<Value, String>,
    /// Rows of a request, one case each.
    n_rows: &'static [usize],
    peers: &'static [Peer],
}

/// Where a model is.
enum Files {
    /// In this folder of the project.
    Here(&'static str),
    /// It is the file of this name that the model of `bench models` is trained into, in a folder of its own.
    Trained(&'static str),
}

const STORIES: &[Story] = &[
    Story {
        name: "iris, KServe V1",
        model: "iris",
        files: Files::Here("examples/iris/model"),
        path: "/v1/models/iris:predict",
        body: requests::iris_v1,
        n_rows: &[1],
        peers: &[peers::KSERVE],
    },
    Story {
        name: "iris, V2",
        model: "iris",
        files: Files::Here("examples/iris/model"),
        path: "/v2/models/iris/infer",
        body: requests::iris_v2,
        n_rows: &[1, 100],
        peers: &[peers::MLSERVER_SKLEARN, peers::KSERVE],
    },
    Story {
        name: "wine, /invocations",
        model: "wine",
        files: Files::Here("examples/wine/model"),
        path: "/invocations",
        body: requests::wine,
        n_rows: &[1, 100],
        peers: &[peers::MLFLOW, peers::MLSERVER_MLFLOW],
    },
    Story {
        name: "retail, /predict",
        model: "retail-forecast",
        files: Files::Here("examples/retail/model"),
        path: "/predict",
        body: requests::retail,
        n_rows: &[1],
        peers: &[peers::FASTAPI],
    },
    Story {
        name: "XGBoost, V2",
        model: "xgboost",
        files: Files::Trained("model.ubj"),
        path: "/v2/models/xgboost/infer",
        body: requests::xgboost_v2,
        n_rows: &[1, 100],
        peers: &[peers::MLSERVER_XGBOOST],
    },
];

pub(super) fn bench(forebays: &[Forebay]) -> Result<Report, String> {
    let mut report = Report::new("serving");
    for story in STORIES {
        let folder = &story.folder()?;
        let contenders = story.start(folder, forebays, &mut report)?;
        for &n_rows in story.n_rows {
            report.cases.push(story.measure(n_rows, &contenders)?);
        }
    }
    Ok(report)
}

// === impl Story ===

impl Story {
    /// Starts ours and the peers. One that cannot be had is told in the report.
    fn start(
        &self,
        folder: &Path,
        forebays: &[Forebay],
        report: &mut Report,
    ) -> Result<Vec<Contender>, String> {
        let mut contenders = Vec::new();
        for forebay in forebays {
            let command = |address| Ok(self.forebay(&forebay.path, folder, address));
            contenders.push(self.contender(&forebay.name, command)?);
        }
        for peer in self.peers {
            let contender = peer.environment.install().and_then(|()| {
                report.tell_version(peer.environment.version()?);
                self.contender(peer.name, |address| peer.command(folder, address))
            });
            match contender {
                Ok(contender) => contenders.push(contender),
                Err(problem) => report.absent.push(format!("{}: {problem}", peer.name)),
            }
        }
        Ok(contenders)
    }

    /// Runs the load of so many rows on each server in turns, when all of them predict the same.
    fn measure(&self, n_rows: usize, contenders: &[Contender]) -> Result<Case, String> {
        let ours = contenders.first().ok_or("nothing to measure")?;
        let request = self.request(n_rows)?;
        let ask = |contender: &Contender| {
            request.send(contender.address).map_err(|error| format!("{}: {error}", contender.name))
        };
        let answer = ask(ours)?;
        for contender in contenders {
            let theirs = ask(contender)?;
            if !agree(&answer, &theirs) {
                return Err(format!("{} predicts otherwise: {theirs}, not {answer}", contender.name));
            }
        }
        let limit = self.contender(LIMIT, |address| {
            let mut command = pinned(SERVER_CORE, &constant_server());
            command.arg(&answer).arg(address.to_string());
            Ok(command)
        })?;
        let all: Vec<&Contender> = contenders.iter().chain([&limit]).collect();
        let load = Load { over: Over::Clear, request, connections: CONNECTIONS, seconds: SECONDS };
        let plural = if n_rows == 1 { "row" } else { "rows" };
        measure(format!("{}, {n_rows} {plural}", self.name), &all, &load)
    }

    /// Starts a server a few times, each time until its first prediction, and keeps the last one.
    fn contender(
        &self,
        name: &str,
        command: impl Fn(SocketAddr) -> Result<Command, String>,
    ) -> Result<Contender, String> {
        eprintln!("xtask: starting {name} for {}", self.name);
        let request = self.request(1)?;
        let mut starts = Vec::new();
        loop {
            let address = free_address()?;
            let mut server = Server::start(name, command(address)?)?;
            let (_, start) = server.wait_for(|_| request.send(address))?;
            starts.push(start.as_secs_f64());
            if starts.len() == STARTS {
                let start = Some(Duration::from_secs_f64(median(starts)));
                return Ok(Contender { name: name.to_owned(), server, address, secure: None, start });
            }
        }
    }

    fn forebay(&self, program: &Path, folder: &Path, address: SocketAddr) -> Command {
        let mut command = pinned(SERVER_CORE, program);
        let path = match self.files {
            Files::Here(_) => folder.to_owned(),
            Files::Trained(file) => folder.join(file),
        };
        let model = format!("{}={}", self.model, path.display());
        command.args(["serve", &model, "--threads", "1", "--port", &address.port().to_string()]);
        command
    }

    fn folder(&self) -> Result<PathBuf, String> {
        match self.files {
            Files::Here(folder) => Ok(root().join(folder)),
            Files::Trained(_) => models::trained(self.model),
        }
    }

    fn request(&self, n_rows: usize) -> Result<Request, String> {
        Ok(Request { host: None, path: self.path, body: (self.body)(n_rows)?.to_string() })
    }
}

/// Whether two answers have the same predictions, whatever else they say.
fn agree(one: &str, other: &str) -> bool {
    let (one, other) = (predictions(one), predictions(other));
    let is_close = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * a.abs().max(1.0);
    !one.is_empty() && one.len() == other.len() && one.iter().zip(&other).all(is_close)
}

/// The numbers that an answer of any protocol predicts.
fn predictions(answer: &str) -> Vec<f64> {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let places = ["/predictions", "/outputs/0/data", "/prediction"];
    let found = places.iter().find_map(|place| answer.pointer(place));
    let numbers = match found {
        Some(Value::Array(numbers)) => numbers.as_slice(),
        Some(number) => std::slice::from_ref(number),
        None => &[],
    };
    numbers.iter().filter_map(Value::as_f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_all_protocols_are_compared_by_their_predictions() {
        let v2 = r#"{"id": "7", "outputs": [{"name": "predict", "data": [1, 2]}]}"#;
        assert!(agree(r#"{"predictions": [1, 2]}"#, v2));
        assert!(agree(
            r#"{"prediction": 6.0335}"#,
            r#"{"prediction": 6.03350000000001, "model_version": "v1"}"#
        ));
        assert!(!agree(r#"{"predictions": [1, 2]}"#, r#"{"predictions": [1, 3]}"#));
        assert!(!agree(r#"{"predictions": [1, 2]}"#, r#"{"predictions": [1]}"#));
        assert!(!agree("{}", "{}"));
    }

    #[test]
    fn every_story_has_a_model_and_a_request() {
        for story in STORIES {
            if let Files::Here(folder) = story.files {
                let folder = root().join(folder);
                assert!(folder.is_dir(), "{}", story.name);
                for &n_rows in story.n_rows {
                    assert!((story.body)(n_rows).is_ok(), "{}", story.name);
                }
            }
            for peer in story.peers {
                assert!(peer.environment.requirements().is_file(), "{}", peer.name);
            }
        }
    }
}
