//! Predictions of single models, beside the library that made the model and beside onnxruntime on the converted one. No
//! server and no JSON: every engine is given its own type of rows, made beforehand.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::engine::Engine;
use super::environment::{Environment, succeed};
use super::{PROFILE, ROUNDS, folder, program};
use crate::tools::{self, root};
use table::{Case, Row, Table};

/// A model, trained when it is measured.
struct Story {
    /// The function that trains it in `bench/peers/make_models.py`, with hyphens.
    name: &'static str,
    what: &'static str,
    library: &'static str,
    file: &'static str,
    /// Whether it is converted to ONNX too.
    is_converted: bool,
}

const STORIES: &[Story] = &[
    Story {
        name: "elasticnet",
        what: "ElasticNet of 11 columns",
        library: "scikit-learn",
        file: "model.joblib",
        is_converted: true,
    },
    Story {
        name: "svc",
        what: "SVC of iris, rbf",
        library: "scikit-learn",
        file: "model.joblib",
        is_converted: true,
    },
    Story {
        name: "forest",
        what: "RandomForestRegressor, 100 trees of depth 10",
        library: "scikit-learn",
        file: "model.joblib",
        is_converted: true,
    },
    Story {
        name: "forest-classifier",
        what: "RandomForestClassifier, 100 trees of depth 10",
        library: "scikit-learn",
        file: "model.joblib",
        is_converted: true,
    },
    Story {
        name: "hist-gradient-boosting",
        what: "HistGradientBoostingRegressor, 300 iterations",
        library: "scikit-learn",
        file: "model.joblib",
        is_converted: false,
    },
    Story {
        name: "retail",
        what: "Pipeline of scaler, one-hot columns and gradient boosting",
        library: "scikit-learn",
        file: "model.joblib",
        is_converted: false,
    },
    Story {
        name: "xgboost",
        what: "XGBoost, 500 trees of depth 7",
        library: "XGBoost",
        file: "model.ubj",
        is_converted: true,
    },
    Story {
        name: "lightgbm",
        what: "LightGBM, 500 trees of 63 leaves",
        library: "LightGBM",
        file: "model.txt",
        is_converted: true,
    },
    Story {
        name: "catboost",
        what: "CatBoost, 500 trees of depth 6",
        library: "CatBoost",
        file: "model.cbm",
        is_converted: true,
    },
];

const ENVIRONMENT: Environment = Environment("models");

/// Seconds that one measurement takes at least.
const SECONDS: f64 = 0.1;

/// Where answers of Forebay and of its peer may differ, relative to their size, before it is not worth measuring.
const TOLERANCE: f64 = 1e-5;

/// A program that answers for one model, ours or a peer.
struct Contender {
    name: String,
    engine: Engine,
    is_ours: bool,
    difference: Option<f64>,
}

pub(super) fn bench(wanted: &[String]) -> Result<Table, String> {
    let is_wanted = |story: &&Story| wanted.is_empty() || wanted.iter().any(|name| name == story.name);
    let stories: Vec<&Story> = STORIES.iter().filter(is_wanted).collect();
    if let Some(unknown) = wanted.iter().find(|name| STORIES.iter().all(|story| story.name != **name)) {
        let known: Vec<&str> = STORIES.iter().map(|story| story.name).collect();
        return Err(format!("there is no model `{unknown}`, only {}", known.join(", ")));
    }
    tools::run("cargo", &["build", "--profile", PROFILE, "--locked", "-p", "bench"])?;
    ENVIRONMENT.install()?;
    let mut table = Table::new(ENVIRONMENT.version()?);
    for story in stories {
        let folder = story.make()?;
        eprintln!("xtask: measuring {}", story.what);
        let contenders = story.contenders(&folder)?;
        table.cases.push(Case { name: story.name, what: story.what, rows: measure(contenders)? });
    }
    Ok(table)
}

/// Trains the model of this name, unless it is there, and says in which folder it is.
pub(super) fn trained(name: &str) -> Result<PathBuf, String> {
    let story = STORIES.iter().find(|story| story.name == name);
    let story = story.ok_or_else(|| format!("there is no model `{name}`"))?;
    ENVIRONMENT.install()?;
    story.make()
}

// === impl Story ===

impl Story {
    /// Trains the model, unless it is there from the same script and the same versions.
    fn make(&self) -> Result<PathBuf, String> {
        let models = folder("models")?;
        let folder = models.join(self.name);
        let script = root().join("bench/peers/make_models.py");
        let read =
            |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
        let recipe = read(&script)? + &read(&ENVIRONMENT.requirements())?;
        let made_by = folder.join("made-by.txt");
        if fs::read_to_string(&made_by).is_ok_and(|made_by| made_by == recipe) {
            return Ok(folder);
        }
        eprintln!("xtask: training {}", self.what);
        succeed(python()?.arg(script).arg(models).arg(self.name))?;
        fs::write(&made_by, recipe).map_err(|error| format!("{}: {error}", made_by.display()))?;
        Ok(folder)
    }

    /// Starts ours and the library on its file, and ours and onnxruntime on the converted one. Refuses those that answer
    /// otherwise.
    fn contenders(&self, folder: &Path) -> Result<Vec<Contender>, String> {
        let mut contenders = Vec::new();
        let native = [("Forebay", self.library, self.file)];
        let converted = [("Forebay, ONNX", "onnxruntime", "model.onnx")];
        let pairs = native.iter().chain(converted.iter().filter(|_| self.is_converted));
        for (ours, theirs, file) in pairs {
            let (model, rows) = (folder.join(file), folder.join("rows.json"));
            let mut command = Command::new(program("ask_model"));
            command.arg(&model).arg(&rows);
            let mut ours = Contender::start(ours, command, true)?;
            let mut command = python()?;
            command.arg(root().join("bench/peers/ask_model.py")).arg(model).arg(rows);
            let mut theirs = Contender::start(theirs, command, false)?;
            let difference = difference(&ours.answers()?, &theirs.answers()?);
            if !difference.is_some_and(|difference| difference <= TOLERANCE) {
                let (name, peer) = (&ours.name, &theirs.name);
                return Err(format!("{}: {name} answers otherwise than {peer}: {difference:?}", self.name));
            }
            ours.difference = difference;
            contenders.extend([ours, theirs]);
        }
        Ok(contenders)
    }
}

// === impl Contender ===

impl Contender {
    fn start(name: &str, command: Command, is_ours: bool) -> Result<Self, String> {
        let engine = Engine::start(name, command)?;
        Ok(Self { name: name.to_owned(), engine, is_ours, difference: None })
    }

    fn answers(&mut self) -> Result<Vec<f64>, String> {
        let answers = self.engine.ask("answers")?;
        Ok(answers.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect())
    }
}

/// Asks all engines in turns, after one round that warms them up.
fn measure(mut contenders: Vec<Contender>) -> Result<Vec<Row>, String> {
    let row = |contender: &Contender| Row::new(contender.name.clone(), contender.difference);
    let mut rows: Vec<Row> = contenders.iter().map(row).collect();
    for round in 0..=ROUNDS {
        for (contender, row) in contenders.iter_mut().zip(&mut rows) {
            let engine = &mut contender.engine;
            let one = engine.seconds(&format!("row {SECONDS}"))?;
            let many = engine.seconds(&format!("rows {SECONDS}"))?;
            let speed_up = match contender.is_ours {
                false => None,
                true => {
                    let alone = engine.seconds(&format!("rows-by-threads {SECONDS} 1"))?;
                    Some(alone / engine.seconds(&format!("rows-by-threads {SECONDS} 2"))?)
                }
            };
            if round > 0 {
                row.one.push(one);
                row.many.push(many);
                row.speed_up.extend(speed_up);
            }
        }
    }
    Ok(rows)
}

/// The largest difference of two answers, relative to what is greater than one. None if they are not alike.
fn difference(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / b.abs().max(1.0));
    (!ours.is_empty() && ours.len() == theirs.len()).then(|| differences.fold(0.0, f64::max))
}

/// Python of the peers, with one thread where only the environment says so.
fn python() -> Result<Command, String> {
    let mut command = Command::new(ENVIRONMENT.programs()?.join("python"));
    command.envs(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"].map(|name| (name, "1")));
    // Sources of ours are read from the checkout, which must stay as it is.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONWARNINGS", "ignore");
    // CatBoost leaves notes where it trains.
    command.current_dir(folder("models")?);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_differ_relative_to_their_size() {
        assert_eq!(difference(&[1.0, 200.0], &[1.0, 100.0]), Some(1.0));
        assert_eq!(difference(&[0.5], &[0.25]), Some(0.25));
        assert_eq!(difference(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(difference(&[], &[]), None);
    }

    #[test]
    fn every_story_is_trained_by_a_function_of_its_name() {
        let script = fs::read_to_string(root().join("bench/peers/make_models.py")).unwrap();
        for story in STORIES {
            let function = format!("def {}(folder):", story.name.replace('-', "_"));
            assert!(script.contains(&function), "{}", story.name);
        }
        assert!(ENVIRONMENT.requirements().is_file());
    }

    #[test]
    fn a_model_that_is_not_there_is_told_of() {
        let problem = bench(&["svm".to_owned()]).unwrap_err();
        assert!(problem.starts_with("there is no model `svm`, only elasticnet, svc, "), "{problem}");
    }
}
