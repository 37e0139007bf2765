//! Folders of certificates on the disk, read again when something in them changes.
//!
//! What a file means is [`manifest::read_folder`]'s business. A certificate that worked goes on when what replaces it cannot be
//! shown, or does not hold while the earlier one does.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use manifest::{CertificateFolder, Finding, KeptPair, MAPS, codes};
use tokio::sync::watch;

/// Folders of certificates. Where two have one for the same name, that of the earlier folder is taken.
pub struct CertificateFolders {
    places: Vec<Place>,
    known: Arc<CertificateFolder>,
    signs: Vec<Sign>,
}

/// One folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// It, or a map of ARNs in it.
    pub path: PathBuf,
    /// Whether it may be missing.
    pub is_optional: bool,
}

/// By what it is seen that a file is another.
#[derive(Debug, PartialEq, Eq)]
struct Sign {
    path: PathBuf,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

/// How often it is looked whether something changed.
const POLL: Duration = Duration::from_secs(1);
/// The most files of a folder that are looked at.
const FILES: usize = 2_000;

// === impl CertificateFolders ===

impl CertificateFolders {
    /// Reads folders for the first time.
    #[must_use]
    pub fn open(places: Vec<Place>, now: Timestamp) -> Self {
        let mut folders = Self { places, known: Arc::default(), signs: Vec::new() };
        folders.refresh(now);
        folders
    }

    /// What they have.
    #[must_use]
    pub fn known(&self) -> Arc<CertificateFolder> {
        Arc::clone(&self.known)
    }

    /// Reads them again where something changed since. Tells whether it did.
    pub fn refresh(&mut self, now: Timestamp) -> bool {
        if !self.signs.is_empty() && self.signs == self.signs_now() {
            return false;
        }
        let mut found = CertificateFolder::default();
        let mut read_files = BTreeSet::new();
        for place in &self.places {
            let next = read(place, &mut read_files);
            for (name, pair) in next.pairs {
                found.pairs.entry(name).or_insert(pair);
            }
            found.trust_stores.extend(next.trust_stores);
            found.broken.extend(next.broken);
            found.findings.extend(next.findings);
        }
        self.go_on_with_what_worked(&mut found, now);
        self.signs = read_files.into_iter().map(Sign::of).collect();
        let is_news = *self.known != found;
        self.known = Arc::new(found);
        is_news
    }

    fn go_on_with_what_worked(&self, found: &mut CertificateFolder, now: Timestamp) {
        let holds = |pair: &KeptPair| pair.kept.facts.holds(now).is_good();
        for (name, earlier) in self.known.pairs.iter().filter(|(_, pair)| holds(pair)) {
            match found.pairs.get(name) {
                Some(later) if !holds(later) => {
                    let message = format!(
                        "`{}` does not hold now: the certificate before it goes on to be shown",
                        later.kept.file
                    );
                    found.broken.insert(name.clone(), message.clone());
                    found.findings.push(Finding::new(&codes::CERTIFICATE_INVALID, message));
                }
                None if found.broken.contains_key(name) => {}
                _ => continue,
            }
            found.pairs.insert(name.clone(), earlier.clone());
        }
    }

    fn signs_now(&self) -> Vec<Sign> {
        // Files that were not there, or that nobody read, may be there now.
        let mut paths: BTreeSet<PathBuf> = self.signs.iter().map(|sign| sign.path.clone()).collect();
        for place in &self.places {
            let (folder, _) = place.folder();
            paths.extend(names_in(&folder).unwrap_or_default().into_iter().map(|name| folder.join(name)));
            paths.insert(folder);
        }
        paths.into_iter().map(Sign::of).collect()
    }

    /// Tells what they have whenever that changes, and `say` what there is to say of it. Never ends.
    pub async fn watch(
        mut self,
        sender: watch::Sender<Arc<CertificateFolder>>,
        say: impl Fn(&CertificateFolder),
    ) {
        loop {
            tokio::time::sleep(POLL).await;
            if self.refresh(Timestamp::now()) {
                say(&self.known);
                sender.send_replace(self.known());
            }
        }
    }
}

// === impl Place ===

impl Place {
    /// The folder, and the only map that is read where one was named.
    fn folder(&self) -> (PathBuf, Option<String>) {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        match name.filter(|_| self.path.is_file()) {
            Some(name) => (self.path.parent().map(Path::to_owned).unwrap_or_default(), Some(name)),
            None => (self.path.clone(), None),
        }
    }
}

// === impl Sign ===

impl Sign {
    /// That of a file, or of none.
    fn of(path: PathBuf) -> Self {
        let metadata = fs::metadata(&path).ok();
        let of = |get: fn(&fs::Metadata) -> u64| metadata.as_ref().map(get).unwrap_or_default();
        Self {
            inode: of(fs::Metadata::ino),
            size: of(fs::Metadata::size),
            changed: metadata.as_ref().map(|it| (it.ctime(), it.ctime_nsec())).unwrap_or_default(),
            path,
        }
    }
}

fn read(place: &Place, read_files: &mut BTreeSet<PathBuf>) -> CertificateFolder {
    let (folder, only) = place.folder();
    read_files.insert(folder.clone());
    let shown = folder.display().to_string();
    let mut names = match names_in(&folder) {
        Ok(names) => names,
        Err(error) if place.is_optional && error.kind() == io::ErrorKind::NotFound => {
            return CertificateFolder::default();
        }
        Err(error) => {
            let message = format!("the folder of certificates `{shown}` cannot be read: {error}");
            let finding = Finding::new(&codes::CERTIFICATE_INVALID, message);
            let finding = finding.suggest("name a folder that the user that runs this can read");
            return CertificateFolder { findings: vec![finding], ..CertificateFolder::default() };
        }
    };
    read_files.extend(names.iter().map(|name| folder.join(name)));
    if let Some(only) = &only {
        names.retain(|name| name == only);
    }
    let open_keys = RefCell::new(Vec::new());
    let also_read = RefCell::new(read_files);
    let read = |name: &str| {
        // A map that was named may have any name.
        let name = only.as_deref().filter(|_| MAPS.contains(&name)).unwrap_or(name);
        let path = folder.join(name);
        also_read.borrow_mut().insert(path.clone());
        let (bytes, mode) = read_file(&path)?;
        if mode & 0o044 != 0 && memchr::memmem::find(&bytes, b"PRIVATE KEY-----").is_some() {
            open_keys.borrow_mut().push(path.display().to_string());
        }
        Ok(bytes)
    };
    if only.is_some() {
        names = vec![MAPS[0].to_owned()];
    }
    let mut found = manifest::read_folder(&shown, &names, &read);
    let mut open_keys = open_keys.into_inner();
    open_keys.dedup();
    found.findings.extend(open_keys.iter().map(|file| manifest::others_can_read(file)));
    found
}

/// The names of what may be files of a folder, in order. Links are followed, as certbot and Kubernetes make them.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.take(FILES).filter_map(Result::ok);
    let files = entries.filter(|entry| !entry.path().is_dir());
    let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

/// A file with its mode. The error is what is wrong with it, to be put behind its name.
fn read_file(path: &Path) -> Result<(Vec<u8>, u32), String> {
    // Nobody may be writing to a pipe that stands there.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| {
        match (error.kind(), fs::read_link(path)) {
            (io::ErrorKind::NotFound, Ok(target)) => {
                format!("is a link to `{}`, which is not there", target.display())
            }
            (io::ErrorKind::NotFound, Err(_)) => "is not there".to_owned(),
            _ => format!("cannot be read: {error}"),
        }
    })?;
    let metadata = file.metadata().map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("is no file".to_owned());
    }
    let mut bytes = Vec::new();
    let limit = manifest::TEXT_LIMIT as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    Ok((bytes, metadata.mode()))
}

#[cfg(test)]
mod tests;
