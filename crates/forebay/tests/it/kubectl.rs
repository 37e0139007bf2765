//! What kubectl does with a platform, beside what it does with a Kubernetes: `tests/kubectl/commands.txt` has the commands and
//! what they say there, `rows.txt` those of the stories.
//!
//! The first with every kubectl that lies on this machine: `kubectl` in a folder of `PATH`, and `kubectl.1.30` and its like beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::Platform;

use crate::objects::kubectl;
use crate::{FOREBAY, folder, project};

/// One command, and what it does where all is well.
#[derive(Debug, Default)]
struct Case {
    line: usize,
    command: String,
    status: i32,
    says: Vec<String>,
    says_not: Vec<String>,
    takes_a_moment: bool,
    /// The first version 1.x that does it.
    since: u32,
    /// Why it does something else here, and with versions up to which that is so.
    known: Option<(u32, String)>,
}

/// Commands of one file.
struct Cases {
    file: &'static str,
    all: Vec<Case>,
}

/// How long something that takes a moment may take.
const MOMENT: Duration = Duration::from_secs(40);

/// The folder with the commands, and the files that these name.
fn files() -> String {
    project("crates/forebay/tests/kubectl")
}

fn read(file: &'static str) -> Cases {
    let text = std::fs::read_to_string(format!("{}/{file}", files())).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some((mark, rest)) = line.split_at_checked(1) else { continue };
        let rest = rest.trim_start();
        if mark == "$" {
            let command = rest.to_owned();
            cases.push(Case { line: index + 1, command, ..Case::default() });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        assert!("?>!~%=#".contains(mark), "{file}:{}: `{mark}` begins no line", index + 1);
        match mark {
            "?" => case.status = rest.parse().unwrap(),
            ">" => case.says.push(rest.to_owned()),
            "!" => case.says_not.push(rest.to_owned()),
            "~" => case.takes_a_moment = true,
            "%" => case.since = rest.parse().unwrap(),
            "=" => {
                let (up_to, reason) = rest.split_once(' ').unwrap();
                let up_to = up_to.strip_prefix("<=").map_or(u32::MAX, |minor| minor.parse().unwrap());
                case.known = Some((up_to, reason.to_owned()));
            }
            _ => {}
        }
    }
    Cases { file, all: cases }
}

/// Every kubectl of this machine by the name of its file.
fn every_kubectl() -> BTreeMap<String, PathBuf> {
    let Some(found) = kubectl() else { return BTreeMap::new() };
    let real = found.canonicalize().unwrap();
    let beside = std::fs::read_dir(real.parent().unwrap()).into_iter().flatten().flatten();
    let beside = beside.map(|entry| entry.path()).filter(|path| minor(path).is_some());
    let named = |path: PathBuf| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path);
    std::iter::once(found).chain(beside).map(named).collect()
}

/// Which 1.x a kubectl is, if its name tells.
fn minor(kubectl: &Path) -> Option<u32> {
    kubectl.file_name()?.to_str()?.strip_prefix("kubectl.1.")?.parse().ok()
}

/// What a case came to: nothing if it did what it does with a Kubernetes.
fn run(
    case: &Case,
    kubectl: &Path,
    platform: &Platform,
    folder: &Path,
    patience: Duration,
) -> Result<(), String> {
    let until = Instant::now() + patience;
    loop {
        let output = Command::new("timeout")
            .args(["90", "bash", "-c", &case.command])
            .current_dir(folder)
            .env("K", format!("{} -n kt", kubectl.display()))
            .env("KK", kubectl)
            .env("EXAMPLES", project("examples"))
            .env("KUBECONFIG", platform.state_dir().join("kubeconfig"))
            .env("HOME", platform.state_dir().join("home"))
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let missing = case.says.iter().find(|text| !said.contains(*text));
        let present = case.says_not.iter().find(|text| said.contains(*text));
        let problem = match (output.status.code(), missing, present) {
            (Some(status), None, None) if status == case.status => return Ok(()),
            (Some(status), None, None) => format!("ends with {status}, not {}", case.status),
            (None, ..) => "is ended by a signal".to_owned(),
            (_, Some(text), _) => format!("does not say `{text}`"),
            (_, None, Some(text)) => format!("says `{text}`"),
        };
        if !case.takes_a_moment || Instant::now() > until {
            let said: String = said.chars().take(600).collect();
            return Err(format!("{}: `{}` {problem}:\n{said}", case.line, case.command));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn every_kubectl_does_what_it_does_with_a_kubernetes() {
    let kubectls = every_kubectl();
    if kubectls.is_empty() {
        return;
    }
    let cases = read("commands.txt");
    let n_cases = cases.all.len();
    assert!(n_cases > 100, "{n_cases} cases");
    // The oldest, the middle and the newest meet all that there is in each of them; all of them take many minutes.
    let wants_all = std::env::var_os("FOREBAY_TEST_EVERY_KUBECTL").is_some();
    let n_kubectls = kubectls.len();
    let chosen = kubectls
        .into_iter()
        .enumerate()
        .filter(|(index, _)| wants_all || [0, 1, n_kubectls / 2, n_kubectls - 1].contains(index));
    let results: Vec<(String, Vec<String>, usize)> = std::thread::scope(|scope| {
        let running: Vec<_> = chosen
            .map(|(_, (name, kubectl))| {
                let cases = &cases;
                scope.spawn(move || {
                    let empty = folder(&[("nothing.yaml", NOTHING)]);
                    let platform = Platform::start(FOREBAY, &[&empty.path().display().to_string()]);
                    let (wrong, n_known) = with_one(&kubectl, cases, &platform);
                    (name, wrong, n_known)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut told = String::new();
    for (name, wrong, n_known) in &results {
        let n_as_there = n_cases - n_known - wrong.len();
        writeln!(told, "{name}: {n_as_there} of {n_cases} as a Kubernetes, {n_known} known to differ")
            .unwrap();
        wrong.iter().for_each(|problem| writeln!(told, "  {problem}").unwrap());
    }
    println!("{told}");
    assert!(results.iter().all(|(_, wrong, _)| wrong.is_empty()), "{told}");
}

#[test]
fn kubectl_says_of_the_stories_what_they_say() {
    let Some(kubectl) = kubectl() else { return };
    let platform = Platform::start(FOREBAY, &[]);
    let (wrong, _) = with_one(&kubectl, &read("rows.txt"), &platform);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const NOTHING: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nothing}\n";

/// All cases with one kubectl: what is wrong, and how many are known to differ.
fn with_one(kubectl: &Path, cases: &Cases, platform: &Platform) -> (Vec<String>, usize) {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(files()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let (mut wrong, mut n_known, file) = (Vec::new(), 0, cases.file);
    let of_version = cases.all.iter().filter(|case| minor(kubectl).is_none_or(|minor| minor >= case.since));
    for case in of_version {
        let version = minor(kubectl).unwrap_or(u32::MAX);
        let known = case.known.as_ref().filter(|(up_to, _)| version <= *up_to);
        // What is not so yet does not become so.
        let patience = if known.is_some() { Duration::ZERO } else { MOMENT };
        match (run(case, kubectl, platform, folder.path(), patience), known) {
            (Ok(()), None) => {}
            (Ok(()), Some((_, reason))) => {
                wrong.push(format!("{file}:{}: does it now, though `{reason}`", case.line));
            }
            (Err(_), Some(_)) => n_known += 1,
            (Err(problem), None) => wrong.push(format!("{file}:{problem}")),
        }
    }
    (wrong, n_known)
}
