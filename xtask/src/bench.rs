//! `cargo xtask bench …`: figures beside a peer, in the same run.
//!
//! Servers stand on one core and the load on another. All that is compared is measured in turns, so that a busy moment of
//! the machine meets everyone. `docs/benchmarks.md` says what the figures mean.

mod contender;
mod http;
mod load;
mod machine;
mod peers;
mod proxy;
mod report;
mod requests;
mod server;
mod serving;

use std::path::{Path, PathBuf};

use crate::tools::{self, Tool};

const HELP: &str = "\
usage: cargo xtask bench <what> [options]

  proxy      CPU per proxied request, beside HAProxy
  serving    requests per second and CPU per request of the model server, beside the limit of its stack, MLServer,
             MLflow, KServe and FastAPI

options:
  --output json     print JSON instead of a table
  --forebay PATH    measure this binary, not one built here; may be given again to compare builds";

/// What every benchmark needs beside cargo.
const TOOLS: &[Tool] = &[
    Tool { program: "wrk", package: "wrk", why: "it makes the load" },
    Tool { program: "taskset", package: "util-linux", why: "servers and load have a core each" },
];

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
    let run = match what.as_str() {
        "proxy" => proxy::bench,
        "serving" => serving::bench,
        _ => return Err(HELP.to_owned()),
    };
    machine::has_two_cores()?;
    tools::ensure(TOOLS)?;
    let report = run(&builds(&options)?)?;
    if options.prints_json {
        println!("{:#}", report.json());
    } else {
        println!("{report}");
    }
    Ok(())
}

/// A folder for files of benchmarks.
fn folder(name: &str) -> Result<PathBuf, String> {
    let folder = target_folder().join("bench").join(name);
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

/// The server that gives every request the same answer.
fn constant_server() -> PathBuf {
    target_folder().join("release/constant")
}

/// Builds what is to be measured as it is shipped, unless it is given.
fn builds(options: &Options) -> Result<Vec<Forebay>, String> {
    let mut build = vec!["build", "--release", "--locked", "-p", "bench"];
    if options.forebays.is_empty() {
        build.extend(["-p", "forebay"]);
    }
    tools::run("cargo", &build)?;
    Ok(match options.forebays.as_slice() {
        [] => vec![Forebay { name: "Forebay".into(), path: target_folder().join("release/forebay") }],
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
            match (argument, arguments.next()) {
                ("--output", Some("json")) => options.prints_json = true,
                ("--forebay", Some(path)) => options.forebays.push(path.into()),
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
        let both = Options { prints_json: true, forebays: vec!["a".into(), "b".into()] };
        assert_eq!(parse("--forebay a --output json --forebay b"), Ok(both));
        assert_eq!(parse(""), Ok(Options::default()));
        for wrong in ["--output", "--output yaml", "--forebay", "--rounds 3", "json"] {
            assert_eq!(parse(wrong), Err(HELP.to_owned()), "{wrong}");
        }
    }
}
