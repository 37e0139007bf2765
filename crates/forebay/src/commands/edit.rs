//! `forebay edit`: says how objects are edited; it opens no editor itself.

use anyhow::bail;

use super::End;
use crate::globals::Globals;
use crate::platform::Platform;

/// Say how to edit an object: with kubectl, or in its file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay edit deploy/web -n mlops")]
pub(crate) struct Options {
    /// What to edit: KIND NAME or KIND/NAME, and kubectl's own options
    #[arg(value_name = "KIND/NAME", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let platform = Platform::find(&globals.state_dir())?;
    bail!(
        "forebay opens no editor\n  help: KUBECONFIG={} kubectl edit {}\n  help: or change its file, then `forebay diff -f FILE` and `forebay apply -f FILE`",
        platform.kubeconfig.display(),
        options.words.join(" ")
    )
}
