//! Options that every command takes.

use std::path::PathBuf;

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Folder of the platform's state [default: $XDG_STATE_HOME/forebay]
    #[arg(long, global = true, env = "FOREBAY_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,

    /// Say more about what happens; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Say only what was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Globals {
    /// The certificate of the local authority, which clients have to trust.
    pub(crate) fn authority_file(&self) -> PathBuf {
        self.state_dir().join(control::CERTIFICATE_FILE)
    }

    /// The folder of what came by ACME, and of the accounts with its authorities.
    pub(crate) fn acme_dir(&self) -> PathBuf {
        self.state_dir().join("acme")
    }

    /// The folder of certificates that `cert issue` and `cert import` keep.
    pub(crate) fn certificates_dir(&self) -> PathBuf {
        self.state_dir().join("certificates")
    }

    /// The folder of the platform's state.
    pub(crate) fn state_dir(&self) -> PathBuf {
        let from_home = || {
            let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
            home.join(".local/state")
        };
        // What is printed of it is used in other folders.
        let written =
            self.state_dir.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        written.unwrap_or_else(|| {
            let state_home =
                std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            state_home.unwrap_or_else(from_home).join("forebay")
        })
    }

    /// The folder of copies that can be made again.
    pub(crate) fn cache_dir(&self) -> PathBuf {
        let from_home = || {
            let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
            home.join(".cache")
        };
        let cache_home =
            std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        cache_home.unwrap_or_else(from_home).join("forebay")
    }

    /// Whether what goes to this stream is coloured.
    pub(crate) fn has_color(&self, stream: &impl std::io::IsTerminal) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
                !forbidden && (forced || stream.is_terminal())
            }
        }
    }
}
