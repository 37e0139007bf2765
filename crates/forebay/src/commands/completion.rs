//! `forebay completion`: completion for shells.

use std::io::Write as _;

use clap::CommandFactory as _;

use super::{Cli, End};

/// Print completion for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay completion bash > ~/.local/share/bash-completion/completions/forebay
  forebay completion zsh  > \"${fpath[1]}/_forebay\"")]
pub(crate) struct Options {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<End> {
    // Into memory first: the generator panics where a reader has gone.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "forebay", &mut script);
    let mut out = std::io::stdout().lock();
    let written = out.write_all(&script).and_then(|()| out.flush());
    written.map(|()| End::Done).map_err(anyhow::Error::from)
}
