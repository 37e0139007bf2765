//! A platform of a test's own: `forebay up` with a state folder and ports that nobody else has.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;

use crate::{PATIENCE, wait_until};

/// A running platform. It ends, with its replicas, when this is dropped.
pub struct Platform {
    program: PathBuf,
    state: tempfile::TempDir,
    child: Option<Child>,
    ready: Value,
}

impl Platform {
    /// Starts the program's `up` with these arguments and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut platform = Self { program: program.into(), state, child: None, ready: Value::Null };
        platform.start_again(arguments);
        platform
    }

    /// Starts it again on the same state, after it has ended or was killed.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self, arguments: &[&str]) {
        // Where hangups are ignored, as behind nohup, they would be by the product too.
        let mut child = Command::new("env")
            .arg("--default-signal=HUP")
            .arg(&self.program)
            .args(["up", "-o", "json", "--admin-port", "0", "--api-port", "0", "--state-dir"])
            .arg(self.state.path())
            .args(arguments)
            .env_remove("FOREBAY_STATE_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = read_aside(child.stderr.take().unwrap());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line);
        let Ok(ready) = ready else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the platform did not start: {line}{}", said.join().unwrap());
        };
        self.ready = ready;
        self.child = Some(child);
    }

    /// What the platform said when it was ready.
    #[must_use]
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// The process.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Its state folder.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.state.path()
    }

    /// The address and port of an endpoint, and the host that leads to it.
    ///
    /// # Panics
    /// When there is no such endpoint.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> (SocketAddr, String) {
        let endpoints = self.ready["endpoints"].as_array().unwrap();
        let endpoint = endpoints.iter().find(|endpoint| endpoint["name"] == name);
        let endpoint = endpoint.unwrap_or_else(|| panic!("no endpoint `{name}` in {}", self.ready));
        let address = format!("{}:{}", endpoint["address"].as_str().unwrap(), endpoint["ports"][0]);
        (address.parse().unwrap(), endpoint["host"].as_str().unwrap().to_owned())
    }

    /// Runs a command of the program against this platform.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        command(&self.program, arguments).env("FOREBAY_STATE_DIR", self.state.path()).output().unwrap()
    }

    /// Runs a command that must succeed, and returns what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "forebay {}: {problem}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Processes of replicas, by a part of their command line.
    #[must_use]
    pub fn replicas(&self, part: &str) -> Vec<u32> {
        let children = children_of(self.pid());
        let is_meant = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ").contains(part)
        };
        children.into_iter().filter(is_meant).collect()
    }

    /// Ends the platform at once, as a crash does.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends the platform as Ctrl-C or `kill` does, and waits for it.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        let start = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Waits until a command prints what `is_wanted` accepts.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait_for(&self, what: &str, arguments: &[&str], is_wanted: impl Fn(&str) -> bool) {
        wait_until(what, || is_wanted(&String::from_utf8_lossy(&self.run(arguments).stdout)));
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a command of the program that needs no platform.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(program: &str, arguments: &[&str]) -> Output {
    command(Path::new(program), arguments).output().unwrap()
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Reads a stream to its end while other things go on: a process that is not read waits when the pipe is full.
fn read_aside(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn children_of(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    children
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}
