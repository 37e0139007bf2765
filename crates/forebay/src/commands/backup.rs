//! `forebay backup`: a copy of all objects, whether the platform runs or not.

use std::path::PathBuf;

use control::store;
use serde_json::json;

use super::End;
use crate::globals::Globals;
use crate::output::{self, Output};

/// Write a backup of all objects, whether the platform runs or not
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay backup                  beside the state; the platform makes such backups by itself, too
  forebay backup /mnt/nightly.backup

Secrets are in it: keep it as you keep them. `forebay restore` brings it back.")]
pub(crate) struct Options {
    /// Where to [default: the folder `backups` of the state folder]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// How it is told
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let backup = store::back_up(&globals.state_dir().join("objects.redb"), options.file.as_deref())?;
    let told = match options.output {
        Output::Json => {
            let written = backup.written.to_string();
            let path = &backup.path;
            format!(
                "{}\n",
                json!({"path": path, "written": written, "objects": backup.n_objects, "notes": backup.n_notes})
            )
        }
        Output::Text => {
            format!("{} objects, as of {}: {}\n", backup.n_objects, backup.written, backup.path.display())
        }
    };
    output::say(&told)?;
    Ok(End::Done)
}
