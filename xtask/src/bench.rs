//! `cargo xtask bench …`: figures beside a peer, in the same run.
//!
//! Servers stand on one core and the load on another. All that is compared is measured in turns, so that a busy moment of
//! the machine meets everyone. `docs/benchmarks.md` says what the figures mean.

mod contender;
mod engine;
mod environment;
mod faults;
mod figures;
mod haproxy;
mod http;
mod load;
mod machine;
mod manifest;
mod models;
mod peers;
mod platform;
mod proxy;
mod report;
mod requests;
mod rules;
mod server;
mod serving;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tools::{self, Tool};

const HELP: &str = "\
usage: cargo xtask bench <what> [options]

  proxy      CPU per proxied request, beside HAProxy and nginx; the cases whose names have one of the given texts in
             them (HTTP/2, log), or else all of them
  rules      CPU per proxied request under one rule and under 10 000 of them, beside HAProxy with a map
  faults     what faults and changes cost those who ask meanwhile: how soon all is well again, what fails, and memory;
             of `recovery`, `changes`, `reload` and `idle` those that are named, or else all of them
  serving    requests per second and CPU per request of the model server, beside the limit of its stack, MLServer,
             MLflow, KServe and FastAPI
  models     time of predicting one row and many, beside the library that made the model and onnxruntime; the models
             that are named, or else all of them

options:
  --output json     print JSON instead of a table
  --forebay PATH    measure this binary, not one built here; may be given again to compare builds (not for models)";

/// What benchmarks of servers need beside cargo.
const TOOLS: &[Tool] = &[
    Tool { program: "wrk", package: "wrk", why: "it makes the load" },
    Tool { program: "taskset", package: "util-linux", why: "servers and load have a core each" },
];

/// The profile of what is shipped, which is what is measured; its output is in the folder of this name.
const PROFILE: &str = "dist";

/// The core of the servers that are measured.
const SERVER_CORE: usize = 0;

/// The core of the load, and of what stands behind a proxy.
const LOAD_CORE: usize = 1;

/// How often each load runs on each server.
const ROUNDS: usize = 5;

/// What the user wants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    prints_json: bool,
    forebays: Vec<PathBuf>,
    /// What is measured of all there is; empty for everything.
    cases: Vec<String>,
}

/// What a benchmark found.
trait Findings: fmt::Display {
    fn json(&self) -> Value;
}

/// A binary of ours under test.
struct Forebay {
    name: String,
    path: PathBuf,
}

/// Runs the benchmark that is named.
pub(crate) fn bench(arguments: &[String]) -> Result<(), String> {
    let (what, options) = arguments.split_first().ok_or(HELP)?;
    let options = Options::parse(options)?;
    let findings: Box<dyn Findings> = match what.as_str() {
        "proxy" => Box::new(proxy::bench(&servers(&options)?, &options.cases)?),
        "rules" if options.cases.is_empty() => Box::new(rules::bench(&servers(&options)?)?),
        "serving" if options.cases.is_empty() => Box::new(serving::bench(&servers(&options)?)?),
        "faults" => Box::new(faults::bench(&servers(&options)?, &options.cases)?),
        "models" if options.forebays.is_empty() => Box::new(models::bench(&options.cases)?),
        _ => return Err(HELP.to_owned()),
    };
    if options.prints_json {
        println!("{:#}", findings.json());
    } else {
        println!("{findings}");
    }
    Ok(())
}

/// A folder for files of benchmarks.
fn folder(name: &str) -> Result<PathBuf, String> {
    let folder = target_folder().join("bench").join(name);
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

/// Writes a file, and gives its path back.
fn write(path: PathBuf, text: &str) -> Result<PathBuf, String> {
    std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

/// A program of a peer.
fn installed(name: &str) -> Result<PathBuf, String> {
    tools::find(name).ok_or_else(|| format!("`{name}` is missing"))
}

/// `HAProxy version 2.6.12-1 …`: what a program says that it is.
fn version(name: &str, flag: &str) -> Result<String, String> {
    let output = Command::new(installed(name)?).arg(flag).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    // nginx says it where errors go.
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned())
}

/// A program of the crate `bench`.
fn program(name: &str) -> PathBuf {
    target_folder().join(PROFILE).join(name)
}

/// The server that gives every request the same answer.
fn constant_server() -> PathBuf {
    program("constant")
}

/// The servers to be measured, built as they are shipped unless they are given, and all that it takes to measure them.
fn servers(options: &Options) -> Result<Vec<Forebay>, String> {
    machine::has_two_cores()?;
    tools::ensure(TOOLS)?;
    let mut build = vec!["build", "--profile", PROFILE, "--locked", "-p", "bench"];
    if options.forebays.is_empty() {
        build.extend(["-p", "forebay"]);
    }
    tools::run("cargo", &build)?;
    Ok(match options.forebays.as_slice() {
        [] => vec![Forebay { name: "Forebay".into(), path: program("forebay") }],
        [path] => vec![Forebay { name: "Forebay".into(), path: path.clone() }],
        paths => paths.iter().map(|path| Forebay::named_after(path)).collect(),
    })
}

fn target_folder() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    tools::root().join(folder)
}

// === impl Options ===

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            match argument {
                "--output" if arguments.next() == Some("json") => options.prints_json = true,
                "--forebay" => options.forebays.push(arguments.next().ok_or(HELP)?.into()),
                case if !case.starts_with('-') => options.cases.push(case.to_owned()),
                _ => return Err(HELP.to_owned()),
            }
        }
        Ok(options)
    }
}

// === impl Forebay ===

impl Forebay {
    fn named_after(path: &Path) -> Self {
        Self { name: format!("Forebay {}", path.display()), path: path.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let parse =
            |text: &str| Options::parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let (forebays, cases) = (vec!["a".into(), "b".into()], vec!["svc".to_owned()]);
        let all = Options { prints_json: true, forebays, cases };
        assert_eq!(parse("--forebay a --output json svc --forebay b"), Ok(all));
        assert_eq!(parse(""), Ok(Options::default()));
        for wrong in ["--output", "--output yaml", "--forebay", "--rounds 3"] {
            assert_eq!(parse(wrong), Err(HELP.to_owned()), "{wrong}");
        }
    }
}
