//! What `forebay up` writes of requests and connections, and where.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use plan::attributes;
use plan::resource::Account;
use plan::{LoadBalancer, Plan};
use proxy::{Form, LogSettings, LogStore, LogWriter, Logs, Metrics, Sink};
use tokio::runtime::Runtime;

use crate::output::Output;
use crate::storage::{Remote, is_remote};

/// Options of logs.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LogOptions {
    /// Write a line for every request: to the end of this file, or - for standard output (standard error with -o json)
    #[arg(long, value_name = "FILE|-")]
    access_log: Option<String>,

    /// The form of these lines
    #[arg(long, value_enum, default_value_t = LineForm::Text, value_name = "FORM")]
    access_log_format: LineForm,

    /// Where load balancers keep the logs that their annotations ask for, each bucket below it: a folder, or s3://…, gs://…,
    /// http(s)://… [default: `logs` in the state folder]
    #[arg(long, value_name = "DIR|URL")]
    log_dir: Option<String>,
}

/// The forms of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LineForm {
    /// name=value, for people
    Text,
    /// One object of JSON
    Json,
    /// The fields of an Application Load Balancer's access log
    Alb,
}

impl LogOptions {
    /// Opens what is to be written. What is on standard output stays readable for who asked for JSON.
    pub(crate) fn open(
        &self,
        output: Output,
        state_dir: &Path,
        region: Option<String>,
        metrics: &Metrics,
    ) -> anyhow::Result<(Logs, LogWriter)> {
        let sink = self.access_log.as_ref().map(|to| match (to.as_str(), output) {
            ("-", Output::Text) => Sink::Stdout,
            ("-", Output::Json) => Sink::Stderr,
            (path, _) => Sink::File(path.into()),
        });
        let form = match self.access_log_format {
            LineForm::Text => Form::Text,
            LineForm::Json => Form::Json,
            LineForm::Alb => Form::Alb,
        };
        let settings = LogSettings {
            stream: sink.map(|sink| (sink, form)),
            store: Some(self.store(state_dir)?),
            account: account(region),
            ..LogSettings::default()
        };
        let to = self.access_log.as_deref().unwrap_or_default();
        proxy::open_logs(settings, metrics).with_context(|| format!("cannot open the access log `{to}`"))
    }

    /// Where load balancers keep their logs.
    pub(crate) fn place(&self, state_dir: &Path) -> String {
        self.log_dir.clone().unwrap_or_else(|| state_dir.join("logs").display().to_string())
    }

    fn store(&self, state_dir: &Path) -> anyhow::Result<Box<dyn LogStore>> {
        let Some(place) = &self.log_dir else { return Ok(Box::new(Folder { root: state_dir.join("logs") })) };
        if is_remote(place) {
            // What is no place is refused now rather than in five minutes.
            let store = Objects { root: place.clone(), runtime: None };
            Remote::open(&store.uri("bucket", "key"), None).context("--log-dir")?;
            return Ok(Box::new(store));
        }
        let place = place.strip_prefix("file://").unwrap_or(place);
        if place.contains("://") {
            bail!("--log-dir: logs are kept in a folder or at s3://, gs:// and http(s)://, not at `{place}`");
        }
        make_folder(Path::new(place)).with_context(|| format!("--log-dir: cannot make `{place}`"))?;
        Ok(Box::new(Folder { root: place.into() }))
    }
}

/// Whose logs are kept where, in a line, if anybody keeps any.
pub(crate) fn line(plan: &Plan, place: &str) -> Option<String> {
    let logs = [
        [attributes::ACCESS_LOGS, attributes::ACCESS_LOGS_BUCKET],
        [attributes::CONNECTION_LOGS, attributes::CONNECTION_LOGS_BUCKET],
        [attributes::HEALTH_CHECK_LOGS, attributes::HEALTH_CHECK_LOGS_BUCKET],
    ];
    let keeps = |balancer: &&LoadBalancer| {
        logs.iter().any(|[is_on, bucket]| {
            balancer.attributes.is_on(is_on) && balancer.attributes.get(bucket).is_some()
        })
    };
    let names: Vec<&str> =
        plan.load_balancers.iter().filter(keeps).map(|balancer| balancer.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("logs of {} are kept in {place}", names.join(", ")))
}

/// Whose load balancers these are said to be.
fn account(region: Option<String>) -> Account {
    let known = Account::default();
    let is_id = |id: &String| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
    let id = std::env::var("AWS_ACCOUNT_ID").ok().filter(is_id);
    // It becomes a part of keys, which are names of files.
    let is_region = |region: &String| region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let region = region.filter(is_region).unwrap_or(known.region);
    Account { id: id.unwrap_or(known.id), region }
}

/// A folder of buckets.
struct Folder {
    root: PathBuf,
}

/// Bytes of a file system that logs leave to others: the objects of the platform may be on it.
const RESERVED_BYTES: u64 = 256 << 20;

impl LogStore for Folder {
    fn put(&mut self, bucket: &str, key: &str, bytes: &[u8]) -> Result<(), String> {
        self.keep(bucket, key, bytes).map_err(|error| format!("{error:#}"))
    }
}

impl Folder {
    /// Writes a file, whole or not at all.
    fn keep(&self, bucket: &str, key: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.root.join(bucket).join(key);
        let Some(folder) = path.parent() else { bail!("`{}` is no file", path.display()) };
        make_folder(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let system = rustix::fs::statvfs(folder)?;
        if system.f_bavail.saturating_mul(system.f_frsize) < RESERVED_BYTES + bytes.len() as u64 {
            bail!("less than {} MiB are left at `{}`", RESERVED_BYTES >> 20, folder.display());
        }
        let unfinished = path.with_extension("unfinished");
        let write = || {
            let mut options = fs::OpenOptions::new();
            options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?
                .write_all(bytes)?;
            fs::rename(&unfinished, &path)
        };
        let written = write();
        if written.is_err() {
            // There is nothing better to say than why it was not written.
            let _ = fs::remove_file(&unfinished);
        }
        written.with_context(|| format!("cannot write `{}`", path.display()))
    }
}

/// Who asks for what, and with which tokens in the query, is nobody else's business.
fn make_folder(path: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A storage of objects.
struct Objects {
    root: String,
    runtime: Option<Runtime>,
}

/// How long a storage may take for one object.
const PATIENCE: Duration = Duration::from_secs(30);

impl LogStore for Objects {
    fn put(&mut self, bucket: &str, key: &str, bytes: &[u8]) -> Result<(), String> {
        self.keep(bucket, key, bytes).map_err(|error| format!("{error:#}"))
    }
}

impl Objects {
    fn keep(&mut self, bucket: &str, key: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let remote = Remote::open(&self.uri(bucket, key), None)?;
        if self.runtime.is_none() {
            self.runtime = Some(net::runtime()?);
        }
        let Some(runtime) = &self.runtime else { bail!("no runtime") };
        let keeping = remote.put(bytes.to_vec());
        runtime
            .block_on(async { tokio::time::timeout(PATIENCE, keeping).await.context("it takes too long")? })
    }

    /// Below a bucket that was named, or `s3://` alone: in the buckets that the annotations name.
    fn uri(&self, bucket: &str, key: &str) -> String {
        let slash = if self.root.ends_with('/') { "" } else { "/" };
        format!("{}{slash}{bucket}/{key}", self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s3_27_buckets_lie_below_what_was_named_or_are_those_that_manifests_name() {
        let uri = |root: &str| Objects { root: root.into(), runtime: None }.uri("alb-logs", "AWSLogs/1");
        assert_eq!(uri("s3://"), "s3://alb-logs/AWSLogs/1");
        assert_eq!(uri("s3://mine/all"), "s3://mine/all/alb-logs/AWSLogs/1");
        assert_eq!(uri("https://minio.example/"), "https://minio.example/alb-logs/AWSLogs/1");
    }

    #[test]
    fn files_are_whole_private_and_never_take_the_last_of_a_disk() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let mut folder = Folder { root: root.path().join("logs") };
        folder.put("b", "AWSLogs/x.log.gz", b"abc").unwrap();
        let path = root.path().join("logs/b/AWSLogs/x.log.gz");
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        // A device that is always full.
        let mut full = Folder { root: "/proc/self".into() };
        assert!(full.put("b", "x", b"abc").is_err());
    }

    #[test]
    fn an_object_comes_to_a_storage_whole() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut all, mut piece) = (Vec::new(), [0; 4096]);
            while !all.ends_with(b"abc") {
                let n_bytes = stream.read(&mut piece).unwrap();
                all.extend_from_slice(&piece[..n_bytes]);
            }
            stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").unwrap();
            String::from_utf8(all).unwrap()
        });
        let mut store = Objects { root: format!("http://{address}/logs"), runtime: None };
        store.put("alb-logs", "AWSLogs/1/x.log.gz", b"abc").unwrap();
        let request = server.join().unwrap();
        assert!(request.starts_with("PUT /logs/alb-logs/AWSLogs/1/x.log.gz HTTP/1.1\r\n"), "{request}");
        assert!(store.put("alb-logs", "AWSLogs/1/x.log.gz", b"abc").is_err(), "nobody is there any more");
    }
}
