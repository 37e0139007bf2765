//! `forebay restore`: brings the objects back after the state file was damaged.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use control::local::StartError;
use control::store::{self, Damage, OpenError, RestoreError, Restored};
use serde_json::json;

use super::End;
use crate::globals::Globals;
use crate::output::{self, Output};

/// Bring the objects back after the state file was damaged, or as they were in a backup
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay restore                            the newest good backup, and all that the damaged file still holds
  forebay restore --from /mnt/nightly.backup exactly what that backup holds
  forebay restore --from 20261129T224512Z-0000000042.backup    the same, of one beside the state

The file of before is kept beside the new one. The platform must have ended.")]
pub(crate) struct Options {
    /// The backup to go back to, as it is: a file, or the name of one in the folder `backups` of the state folder
    #[arg(long, value_name = "BACKUP", value_hint = clap::ValueHint::FilePath)]
    from: Option<PathBuf>,

    /// How it is told
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let state_dir = globals.state_dir();
    let file = state_dir.join("objects.redb");
    let backups = state_dir.join("backups");
    let from = options.from.as_deref().map(|from| named(from, &backups)).transpose()?;
    let restored = match store::restore(&file, from.as_deref()) {
        Ok(restored) => restored,
        Err(error @ RestoreError::NotDamaged { .. }) => {
            return Err(anyhow!(
                "{error}: there is nothing to bring back\n  help: --from BACKUP goes back to a backup: they are in `{}`",
                backups.display()
            ));
        }
        Err(RestoreError::Open(OpenError::InUse)) => {
            return Err(anyhow!(
                "the platform of this state folder runs\n  help: end it first: {}",
                command("down", globals)
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let told = match options.output {
        Output::Json => format!("{}\n", as_json(&restored)),
        Output::Text => as_text(&restored, globals),
    };
    output::say(&told)?;
    Ok(End::Done)
}

/// The backup that somebody names: a file, or one in the folder of backups by its name, with or without its ending.
fn named(written: &Path, backups: &Path) -> anyhow::Result<PathBuf> {
    let with_ending = backups.join(format!("{}.backup", written.display()));
    let known = [written.to_owned(), backups.join(written), with_ending];
    if let Some(found) = known.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let files = std::fs::read_dir(backups).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = files.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.ends_with(".backup"));
    names.sort();
    let help = match names.is_empty() {
        true => format!("`{}` holds none", backups.display()),
        false => format!("`{}` holds {}", backups.display(), names.join(", ")),
    };
    Err(anyhow!("there is no backup `{}`\n  help: {help}", written.display()))
}

fn as_json(restored: &Restored) -> serde_json::Value {
    let backup = restored.backup.as_ref().map(|backup| {
        json!({"path": backup.path, "written": backup.written.to_string(), "objects": backup.n_objects})
    });
    json!({
        "objects": restored.n_objects,
        "notes": restored.n_notes,
        "backup": backup,
        "newerFromFile": restored.n_newer,
        "complete": restored.is_complete,
        "asOf": restored.as_of.to_string(),
        "keptAside": restored.kept_aside,
    })
}

fn as_text(restored: &Restored, globals: &Globals) -> String {
    let Restored { n_objects, n_newer, .. } = restored;
    let mut lines = vec![format!("{n_objects} objects are back, with what happened to them")];
    match &restored.backup {
        Some(backup) => {
            lines.push(format!("  from the backup of {}: {}", backup.written, backup.path.display()));
        }
        None => lines.push("  without a backup: there is no good one".to_owned()),
    }
    if *n_newer > 0 {
        lines.push(format!("  with {n_newer} newer records from the damaged file"));
    }
    match restored.is_complete {
        Some(true) => {
            lines.push(format!("  this is all that was there at {}, by number and checksum", restored.as_of));
        }
        Some(false) => {
            lines.push("  some of what was there last is lost: look through `forebay get all -A`".to_owned());
        }
        None => {}
    }
    if let Some(aside) = &restored.kept_aside {
        lines.push(format!("  the file of before is kept: {}", aside.display()));
    }
    lines.push(format!("start again: {}", command("up", globals)));
    lines.join("\n") + "\n"
}

/// Why a platform does not start, and what to do about it.
pub(crate) fn explained(error: StartError, state_dir: &Path, globals: &Globals) -> anyhow::Error {
    let help = match &error {
        StartError::Store(OpenError::Damaged(damage)) => help(damage, globals),
        _ => String::new(),
    };
    let chain = format!("{:#}", anyhow::Error::new(error));
    anyhow!("cannot start with the state in `{}`: {chain}{help}", state_dir.display())
}

fn help(damage: &Damage, globals: &Globals) -> String {
    let restore = command("restore", globals);
    let comes_back = match &damage.backup {
        Some(backup) => format!(
            "`{restore}` brings back the backup of {} with {} objects, and what the file still holds that is newer\n        ({})",
            backup.written,
            backup.n_objects,
            backup.path.display()
        ),
        None if damage.holds_records => {
            format!("there is no good backup; `{restore}` brings back what the file still holds")
        }
        None => format!(
            "there is no good backup, and the file holds nothing that is whole; `{restore} --from BACKUP` goes back to a \
             backup that is kept elsewhere"
        ),
    };
    format!("\n  help: {comes_back}\n  help: `{}` begins anew", command("down --purge", globals))
}

/// A command of this program, for this state folder.
fn command(command: &str, globals: &Globals) -> String {
    match &globals.state_dir {
        Some(state_dir) => {
            let folder = crate::applied::quoted(&state_dir.display().to_string());
            format!("forebay {command} --state-dir {folder}")
        }
        None => format!("forebay {command}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_promised_of_a_file_that_holds_nothing() {
        let said = |holds_records| {
            let file = PathBuf::from("objects.redb");
            let damage =
                Damage { file, what: "it is empty".into(), record: None, backup: None, holds_records };
            let color = crate::globals::Color::Never;
            help(&damage, &Globals { state_dir: None, color, verbose: 0, quiet: false })
        };
        assert!(said(true).contains("`forebay restore` brings back what the file still holds"));
        assert!(said(false).contains("`forebay restore --from BACKUP` goes back to a backup"));
        assert!(!said(false).contains("brings back"), "{}", said(false));
    }

    #[test]
    fn a_backup_is_known_by_its_name_beside_the_state() {
        let folder = tempfile::tempdir().unwrap();
        let backup = folder.path().join("20261129T224512Z-0000000042.backup");
        std::fs::write(&backup, "").unwrap();
        for name in ["20261129T224512Z-0000000042.backup", "20261129T224512Z-0000000042"] {
            assert_eq!(named(Path::new(name), folder.path()).unwrap(), backup);
        }
        assert_eq!(named(&backup, Path::new("/nowhere")).unwrap(), backup);
        let error = named(Path::new("yesterday"), folder.path()).unwrap_err().to_string();
        assert!(error.contains("20261129T224512Z-0000000042.backup"), "{error}");
    }
}
