//! Where models are kept: local files as they are, remote ones copied once and kept by their digest.

mod addresses;
mod client;
mod remote;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};
use manifest::starred_uri;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use addresses::Refused;
use remote::Listing;
pub(crate) use remote::Remote;

/// Fetches models and keeps copies of them.
///
/// A copy lies in `<cache>/<sha256 of its files>`; `<cache>/uris/<sha256 of the URI>` names the copy of a URI and the
/// version of it that was copied.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    /// Folder of the copies.
    pub(crate) cache: PathBuf,
    /// Endpoint of an S3 that is not Amazon's.
    pub(crate) s3_endpoint: Option<String>,
    /// Whether progress is shown.
    pub(crate) shows_progress: bool,
}

/// The largest model that is copied, in bytes.
const TOTAL_LIMIT: u64 = 10 << 30;

/// The most files of one model.
const FILES_LIMIT: usize = 10_000;

impl Storage {
    /// The place of a model on this machine. Relative paths start in `base`. What a URI names of a file after a `#` stands
    /// at the end of the path too.
    pub(crate) async fn fetch(&self, uri: &str, base: &Path) -> anyhow::Result<PathBuf> {
        match Location::parse(uri)? {
            Location::Local(path) => {
                let path = base.join(path);
                if !models::file_and_part(&path).0.exists() {
                    bail!("`{}` is not there", path.display());
                }
                Ok(path)
            }
            Location::Remote => {
                let (uri, part) = uri.split_once('#').unwrap_or((uri, ""));
                let mut path = self.fetch_remote(uri).await?.into_os_string();
                if !part.is_empty() {
                    path.push(format!("#{part}"));
                }
                Ok(path.into())
            }
        }
    }

    async fn fetch_remote(&self, uri: &str) -> anyhow::Result<PathBuf> {
        let remote = Remote::open(uri, self.s3_endpoint.as_deref())?;
        let kept = self.kept(uri);
        let shown = remote::shown(uri);
        let listing = match remote.list().await {
            Ok(listing) => listing,
            // A copy from before would hide that it is not fetched any more.
            Err(error) if error.is::<Refused>() => {
                return Err(error).with_context(|| format!("cannot fetch `{shown}`"));
            }
            Err(error) => {
                let Some(kept) = kept else {
                    return Err(error)
                        .with_context(|| format!("cannot fetch `{shown}`, and there is no copy of it here"));
                };
                let error = format!("{error:#}");
                warn!(uri = shown, error, digest = kept.digest, "using the copy from before");
                return Ok(kept.path);
            }
        };
        check_listing(&shown, &listing)?;
        if let Some(kept) = kept.filter(|kept| kept.version == listing.version()) {
            return Ok(kept.path);
        }
        let path =
            self.copy(uri, &remote, &listing).await.with_context(|| format!("cannot fetch `{shown}`"))?;
        info!(uri = shown, path = %path.display(), "model copied");
        Ok(path)
    }

    /// Copies all files into a folder of their own, which takes its final name only when it is whole.
    async fn copy(&self, uri: &str, remote: &Remote, listing: &Listing) -> anyhow::Result<PathBuf> {
        self.sweep();
        let unfinished = self.cache.join(format!("{UNFINISHED}{}", std::process::id()));
        let copied = self.copy_to(&unfinished, uri, remote, listing).await;
        if copied.is_err() {
            // Already there is nothing better to say than why it was not copied.
            let _ = fs::remove_dir_all(&unfinished);
        }
        copied
    }

    /// Removes what processes that are no more were copying, and closes to others what was once kept open to them.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.cache).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // Never the cache itself: somebody may have named a folder that is not only ours.
            if name.to_str().is_some_and(is_ours) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                // Of another user's there is nothing to close.
                let _ = fs::set_permissions(entry.path(), fs::Permissions::from_mode(PRIVATE));
            }
            let pid = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED)?.parse::<u32>().ok());
            let is_over =
                |pid: u32| pid == std::process::id() || !Path::new(&format!("/proc/{pid}")).exists();
            if pid.is_some_and(is_over)
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                warn!(path = %entry.path().display(), %error, "an unfinished copy stays");
            }
        }
    }

    async fn copy_to(
        &self,
        unfinished: &Path,
        uri: &str,
        remote: &Remote,
        listing: &Listing,
    ) -> anyhow::Result<PathBuf> {
        let progress = Progress::begin(self.shows_progress, &remote::shown(uri), listing.total_bytes());
        for file in &listing.files {
            let path = unfinished.join(&file.relative);
            create_folder(path.parent().unwrap_or(unfinished))?;
            remote.copy(file, &path, |n_bytes| progress.add(n_bytes)).await?;
        }
        let digest = digest_of(unfinished, listing)?;
        let folder = self.cache.join(&digest);
        if folder.exists() {
            fs::remove_dir_all(unfinished)?;
        } else {
            fs::rename(unfinished, &folder)?;
        }
        self.keep(uri, &digest, listing)?;
        Ok(listing.single_file().map_or(folder.clone(), |file| folder.join(file)))
    }

    /// The copy of a URI that was made before.
    fn kept(&self, uri: &str) -> Option<Kept> {
        let text = fs::read_to_string(self.note(uri)).ok()?;
        let mut lines = text.lines();
        let (digest, version, file) = (lines.next()?, lines.next()?, lines.next().unwrap_or_default());
        let path = self.cache.join(digest).join(file);
        let kept = Kept { digest: digest.to_owned(), version: version.to_owned(), path };
        kept.path.exists().then_some(kept)
    }

    fn keep(&self, uri: &str, digest: &str, listing: &Listing) -> io::Result<()> {
        let note = self.note(uri);
        let (version, file) = (listing.version(), listing.single_file().unwrap_or(Path::new("")).display());
        create_folder(note.parent().unwrap_or(&self.cache))?;
        let unfinished = note.with_extension(std::process::id().to_string());
        let mut options = fs::OpenOptions::new();
        let mut written = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        io::Write::write_all(&mut written, format!("{digest}\n{version}\n{file}\n").as_bytes())?;
        fs::rename(unfinished, note)
    }

    fn note(&self, uri: &str) -> PathBuf {
        self.cache.join(NOTES).join(hex(&Sha256::digest(uri.as_bytes())))
    }
}

/// The folder of the notes of which URI has which copy.
const NOTES: &str = "uris";

/// The mode of folders that are only for the user whose models they hold.
const PRIVATE: u32 = 0o700;

/// Whether a folder in the cache has a name that only we give.
fn is_ours(name: &str) -> bool {
    name == NOTES || (name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn create_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(PRIVATE).create(path)
}

/// What the folders of copies that are being made are called, before the number of their process.
const UNFINISHED: &str = "unfinished-";

/// A copy that was made before.
struct Kept {
    digest: String,
    version: String,
    path: PathBuf,
}

/// Marks the version of a listing that is one file and not a folder.
const SINGLE: &str = "file ";

/// Where a model is.
enum Location {
    /// On this machine.
    Local(PathBuf),
    /// Somewhere else.
    Remote,
}

impl Location {
    fn parse(uri: &str) -> anyhow::Result<Self> {
        let Some((scheme, rest)) = uri.split_once("://") else { return Ok(Self::Local(uri.into())) };
        match scheme {
            "file" => Ok(Self::Local(rest.strip_prefix("localhost").unwrap_or(rest).into())),
            "http" | "https" | "s3" | "gs" => Ok(Self::Remote),
            _ => bail!(
                "`{}`: models are fetched from file://, http(s)://, s3:// and gs://, not from {scheme}://",
                starred_uri(uri)
            ),
        }
    }
}

/// Whether a place is at a storage of objects that is spoken with here.
pub(crate) fn is_remote(uri: &str) -> bool {
    matches!(Location::parse(uri), Ok(Location::Remote))
}

fn check_listing(uri: &str, listing: &Listing) -> anyhow::Result<()> {
    if listing.files.is_empty() {
        bail!("`{uri}` holds no files");
    }
    if listing.files.len() > FILES_LIMIT || listing.total_bytes() > TOTAL_LIMIT {
        bail!("`{uri}` is too large: more than {FILES_LIMIT} files or {} GiB", TOTAL_LIMIT >> 30);
    }
    let is_inside =
        |file: &&remote::File| file.relative.components().all(|part| matches!(part, Component::Normal(_)));
    match listing.files.iter().find(|file| !is_inside(file)) {
        Some(file) => bail!("`{uri}` names a file outside of itself: `{}`", file.relative.display()),
        None => Ok(()),
    }
}

/// The digest of all files with their names.
fn digest_of(folder: &Path, listing: &Listing) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut names: Vec<&Path> = listing.files.iter().map(|file| file.relative.as_path()).collect();
    names.sort_unstable();
    for name in names {
        let mut file = fs::File::open(folder.join(name))?;
        digest.update(format!("{}\0{}\0", name.display(), file.metadata()?.len()));
        io::copy(&mut file, &mut DigestWriter(&mut digest))?;
    }
    Ok(hex(&digest.finalize()))
}

struct DigestWriter<'a>(&'a mut Sha256);

impl io::Write for DigestWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A progress bar on standard error, on terminals only.
struct Progress(Option<indicatif::ProgressBar>);

impl Progress {
    fn begin(is_shown: bool, uri: &str, total_bytes: u64) -> Self {
        let style = indicatif::ProgressStyle::with_template("{msg} {bytes}/{total_bytes} [{bar:30}] {eta}");
        Self(is_shown.then(|| {
            let bar = indicatif::ProgressBar::new(total_bytes).with_message(uri.to_owned());
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        }))
    }

    fn add(&self, n_bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(n_bytes);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests;
