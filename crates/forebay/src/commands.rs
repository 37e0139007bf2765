//! What a user types. A new command is a file in this folder, two lines here, and a case in the tests.

mod apply;
mod backup;
mod ca;
mod cert;
mod check;
mod completion;
pub(crate) mod config;
mod delete;
mod describe;
mod diff;
mod domain;
mod down;
mod edit;
mod events;
mod explain;
mod get;
mod guard;
mod logs;
mod model;
mod plan;
mod restore;
mod rollout;
mod scale;
mod scrape_config;
mod serve;
mod targets;
mod top;
mod up;
mod url;
mod wait;
mod why;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use manifest::starred;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::arguments::Arguments;
use crate::client::Refusal;
use crate::globals::Globals;
use crate::output::printable;

/// One binary that serves machine-learning models behind a load balancer, from Kubernetes YAML.
#[derive(Debug, clap::Parser)]
#[command(
    name = "forebay",
    version,
    max_term_width = 100,
    after_help = "\
Begin with `forebay up`: it runs the bundled examples and prints curl lines that work.
Exit codes: 0 done, 1 failed or a finding of severity error, 2 bad usage, 124 a wait timed out, 130 interrupted."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    globals: Globals,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Up(up::Options),
    Serve(serve::Options),
    Model(model::Options),
    Check(check::Options),
    Plan(plan::Options),
    Explain(explain::Options),
    Why(why::Options),
    Url(url::Options),
    Targets(targets::Options),
    Top(top::Options),
    Cert(cert::Options),
    Ca(ca::Options),
    Domain(domain::Options),
    Get(get::Options),
    Describe(describe::Options),
    Events(events::Options),
    Diff(diff::Options),
    Apply(apply::Options),
    Edit(edit::Options),
    Delete(delete::Options),
    Logs(logs::Options),
    Wait(wait::Options),
    Scale(scale::Options),
    Rollout(rollout::Options),
    ScrapeConfig(scrape_config::Options),
    Down(down::Options),
    Backup(backup::Options),
    Restore(restore::Options),
    Config(config::Options),
    Completion(completion::Options),
    #[command(hide = true)]
    Guard(guard::Options),
}

fn run_command(command: Command, globals: &Globals) -> anyhow::Result<End> {
    match command {
        Command::Up(options) => up::run(&options, globals),
        Command::Serve(options) => serve::run(&options, globals),
        Command::Model(options) => model::run(&options),
        Command::Check(options) => check::run(&options, globals),
        Command::Plan(options) => plan::run(&options, globals),
        Command::Explain(options) => explain::run(&options, globals),
        Command::Why(options) => why::run(&options, globals),
        Command::Url(options) => url::run(&options, globals),
        Command::Targets(options) => targets::run(&options, globals),
        Command::Top(options) => top::run(&options, globals),
        Command::Cert(options) => cert::run(&options, globals),
        Command::Ca(options) => ca::run(&options, globals),
        Command::Domain(options) => domain::run(&options, globals),
        Command::Get(options) => get::run(&options, globals),
        Command::Describe(options) => describe::run(&options, globals),
        Command::Events(options) => events::run(&options, globals),
        Command::Diff(options) => diff::run(&options, globals),
        Command::Edit(options) => edit::run(&options, globals),
        Command::Apply(options) => apply::run(&options, globals),
        Command::Delete(options) => delete::run(&options, globals),
        Command::Logs(options) => logs::run(&options, globals),
        Command::Wait(options) => wait::run(&options, globals),
        Command::Scale(options) => scale::run(&options, globals),
        Command::Rollout(options) => rollout::run(&options, globals),
        Command::ScrapeConfig(options) => scrape_config::run(&options, globals),
        Command::Down(options) => down::run(&options, globals),
        Command::Guard(options) => guard::run(&options),
        Command::Backup(options) => backup::run(&options, globals),
        Command::Restore(options) => restore::run(&options, globals),
        Command::Config(options) => config::run(&options, globals),
        Command::Completion(options) => completion::run(&options),
    }
}

/// How a command ended. The exit codes are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Done.
    Done,
    /// It failed, and has said why.
    Failed,
    /// A wait timed out.
    TimedOut,
    /// The user interrupted it.
    Interrupted,
}

/// Parses the arguments and runs the command.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::of_this_process() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: cannot read the arguments that were handed over: {error}");
            return ExitCode::from(2);
        }
    };
    let cli = match Cli::try_parse_from(arguments.all()) {
        Ok(cli) => cli,
        Err(error) => return told(&error),
    };
    log_to_stderr(&cli.globals);
    // Other commands are gone before anybody has looked.
    if matches!(cli.command, Command::Serve(_)) {
        arguments.hide_secrets();
    }
    match run_command(cli.command, &cli.globals) {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::FAILURE,
        Ok(End::TimedOut) => ExitCode::from(124),
        Ok(End::Interrupted) => ExitCode::from(130),
        // That nobody reads any more what is printed is the reader's choice, and no error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // The API refuses in whole sentences of its own, which kubectl prints as they are.
            let prefix = if error.is::<Refusal>() { "" } else { "error: " };
            eprintln!("{prefix}{}", printable(&starred(&format!("{error:#}"))));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints what clap says of the arguments. It repeats those that it cannot read, and a URI among them may have a password.
fn told(error: &clap::Error) -> ExitCode {
    let said = error.render().to_string();
    let shown = starred(&said);
    if !error.use_stderr() || shown == said {
        error.exit();
    }
    eprint!("{shown}");
    ExitCode::from(2)
}

/// What an operator must know goes to standard error; more of it with `-v`, or as `FOREBAY_LOG` says.
fn log_to_stderr(globals: &Globals) {
    let default = match (globals.quiet, globals.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    let wanted = std::env::var("FOREBAY_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let lines = tracing_subscriber::fmt::layer()
        // Standard error may be a terminal that has gone, which is no reason to panic.
        .log_internal_errors(false)
        .with_writer(io::stderr)
        .with_ansi(globals.has_color(&io::stderr()))
        .without_time()
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines)
        // What a client does wrong in HTTP/2 is no news to an operator, unless asked for.
        .with(wanted.unwrap_or_else(|| {
            Targets::new().with_default(default).with_target("h2", default.min(LevelFilter::ERROR))
        }))
        .init();
}
