use std::os::unix::fs::{PermissionsExt as _, symlink};

use jiff::SignedDuration;

use super::*;
use crate::authority::{Authority, Issued};

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

struct Folder {
    folder: tempfile::TempDir,
    authority: Authority,
    _state: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let authority = Authority::open(state.path(), now()).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), authority, _state: state }
    }

    fn issue(&self, host: &str, at: Timestamp) -> Issued {
        self.authority.issue(&[host], at).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn open(&self) -> CertificateFolders {
        let place = Place { path: self.folder.path().to_owned(), is_optional: false };
        CertificateFolders::open(vec![place], now())
    }
}

fn messages(folders: &CertificateFolders) -> String {
    let known = folders.known();
    known.findings.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_pair_that_is_replaced_by_a_bad_one_goes_on_until_a_good_one_comes() {
    let folder = Folder::new();
    let (one, two) = (folder.issue("a.example", now()), folder.issue("a.example", now()));
    folder.write("a.crt", &one.certificate);
    folder.write("a.key", &one.key);
    let mut folders = folder.open();
    let serial = |folders: &CertificateFolders| folders.known().pairs["a"].kept.facts.serial.clone();
    let first = serial(&folders);
    assert!(!folders.refresh(now()), "nothing changed");
    // The certificate is written before its key, as most programs do.
    folder.write("a.crt", &two.certificate);
    assert!(folders.refresh(now()));
    assert_eq!(serial(&folders), first);
    assert!(messages(&folders).contains("is not the key of the certificate"), "{}", messages(&folders));
    folder.write("a.key", &two.key);
    assert!(folders.refresh(now()));
    assert_ne!(serial(&folders), first);
    assert_eq!(messages(&folders), "");
    // One that has ended does not take the place of one that holds.
    let second = serial(&folders);
    let ended = folder.issue("a.example", now() - SignedDuration::from_hours(24 * 200));
    folder.write("a.crt", &ended.certificate);
    folder.write("a.key", &ended.key);
    assert!(folders.refresh(now()));
    assert_eq!(serial(&folders), second);
    assert!(messages(&folders).contains("does not hold now"), "{}", messages(&folders));
    fs::remove_file(folder.folder.path().join("a.key")).unwrap();
    folders.refresh(now());
    assert_eq!(serial(&folders), second);
    fs::remove_file(folder.folder.path().join("a.crt")).unwrap();
    folders.refresh(now());
    assert!(folders.known().pairs.is_empty(), "who takes both away means it");
}

#[test]
fn links_pipes_and_files_of_others_are_told() {
    let folder = Folder::new();
    let pair = folder.issue("a.example", now());
    let at = |name: &str| folder.folder.path().join(name);
    folder.write("real.crt", &pair.certificate);
    folder.write("real.key", &pair.key);
    symlink(at("real.crt"), at("link.crt")).unwrap();
    symlink(at("real.key"), at("link.key")).unwrap();
    symlink(at("gone"), at("dangling.pem")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe.pem"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let folders = folder.open();
    let known = folders.known();
    assert_eq!(known.pairs.keys().collect::<Vec<_>>(), ["link", "real"]);
    let told = messages(&folders);
    assert!(
        told.contains("`dangling.pem` is a link to `") && told.contains("gone`, which is not there"),
        "{told}"
    );
    assert!(told.contains("`pipe.pem` is no file"), "{told}");
    fs::set_permissions(at("real.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = folder.open();
    assert!(messages(&open).contains("others than its user can read this key"), "{}", messages(&open));
}

#[test]
fn a_folder_may_be_named_by_its_map_and_one_that_is_not_there_is_told() {
    let folder = Folder::new();
    let pair = folder.issue("a.example", now());
    folder.write("both.txt", &format!("{}{}", pair.certificate, pair.key));
    folder.write("mine.yaml", "arn:aws:acm:eu-west-1:1:certificate/x: both.txt\n");
    let open =
        |path: PathBuf, is_optional| CertificateFolders::open(vec![Place { path, is_optional }], now());
    let named = open(folder.folder.path().join("mine.yaml"), false);
    assert_eq!(messages(&named), "");
    assert!(named.known().pair("arn:aws:acm:eu-west-1:1:certificate/x").is_some());
    let gone = folder.folder.path().join("gone");
    assert!(messages(&open(gone.clone(), false)).contains("cannot be read: No such file"));
    assert_eq!(messages(&open(gone, true)), "");
}
