//! `forebay completion`: completion for shells.

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

pub(crate) fn run(options: &Options) -> End {
    clap_complete::generate(options.shell, &mut Cli::command(), "forebay", &mut std::io::stdout());
    End::Done
}
