//! Objects of logs: lines of one load balancer, gathered for some minutes, compressed, under the key that AWS gives them
//! ("Access log files", ALB user guide).

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use plan::resource::Account;

use super::Counters;
use super::store::{LogStore, Object, Shipper};
use crate::random::Random;

/// Which log, and where its objects go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LogName {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    /// What the names of its objects begin with.
    pub(crate) begins: &'static str,
    /// For example `app/retail-api/50dc6c495c0c9188`.
    pub(crate) resource: String,
}

/// Lines that are compressed together. A file of several such members is one file to everybody (RFC 1952 §2.2).
const MEMBER_BYTES: usize = 256 << 10;

/// Compressed bytes at which an object is not added to any more.
const OBJECT_BYTES: usize = 4 << 20;

/// Lines of all logs that wait to be compressed, and objects of all that are added to.
const ALL_LINES_BYTES: usize = 16 << 20;
const ALL_OBJECTS_BYTES: usize = 64 << 20;

/// Objects that lines are added to.
pub(super) struct Objects {
    open: HashMap<Arc<LogName>, Open>,
    /// Bytes of lines that wait, and of what is compressed.
    n_line_bytes: usize,
    n_object_bytes: usize,
    /// When all are closed, while there are any.
    due: Option<Instant>,
    interval: Duration,
    account: Account,
    random: Random,
    shipper: Shipper,
    counters: Counters,
}

/// An object that lines are added to.
#[derive(Default)]
struct Open {
    lines: Vec<u8>,
    compressed: Vec<u8>,
    n_lines: u64,
}

// === impl Objects ===

impl Objects {
    pub(super) fn new(
        store: Box<dyn LogStore>,
        account: Account,
        interval: Duration,
        counters: Counters,
    ) -> Self {
        Self {
            open: HashMap::new(),
            n_line_bytes: 0,
            n_object_bytes: 0,
            due: None,
            interval,
            account,
            random: Random::default(),
            shipper: Shipper::start(store, counters.clone()),
            counters,
        }
    }

    /// When there is something to do, if nothing else comes before.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Adds lines to a log.
    pub(super) fn add(&mut self, name: &Arc<LogName>, lines: &[u8], n_lines: u64) {
        self.due.get_or_insert_with(|| Instant::now() + until_next(self.interval, Timestamp::now()));
        let open = self.open.entry(Arc::clone(name)).or_default();
        open.lines.extend_from_slice(lines);
        open.n_lines += n_lines;
        self.n_line_bytes += lines.len();
        if open.lines.len() >= MEMBER_BYTES {
            self.n_line_bytes -= open.lines.len();
            self.n_object_bytes += open.compress(&self.counters);
        }
        if open.compressed.len() >= OBJECT_BYTES {
            let open = std::mem::take(open);
            self.close(name, open);
        }
        if self.n_line_bytes > ALL_LINES_BYTES || self.n_object_bytes > ALL_OBJECTS_BYTES {
            self.close_all();
        }
    }

    /// Closes all objects, when it is time.
    pub(super) fn close_due(&mut self, now: Instant) {
        if self.due.is_some_and(|due| now >= due) {
            self.close_all();
        }
    }

    /// Closes all objects, and waits until they are kept.
    pub(super) fn finish(mut self) {
        self.close_all();
        self.shipper.finish();
    }

    fn close_all(&mut self) {
        for (name, open) in std::mem::take(&mut self.open) {
            self.close(&name, open);
        }
        self.due = None;
    }

    fn close(&mut self, name: &LogName, mut open: Open) {
        self.n_line_bytes -= open.lines.len();
        self.n_object_bytes += open.compress(&self.counters);
        self.n_object_bytes -= open.compressed.len();
        if open.n_lines > 0 {
            let key = name.key(&self.account, Timestamp::now(), self.random.next());
            let (bucket, bytes, n_lines) = (name.bucket.clone(), open.compressed, open.n_lines);
            self.shipper.bring(Object { bucket, key, bytes, n_lines });
        }
    }
}

/// Nodes of a load balancer hand their logs over together: at multiples of the interval.
fn until_next(interval: Duration, now: Timestamp) -> Duration {
    let since_epoch = Duration::from_nanos(u64::try_from(now.as_nanosecond()).unwrap_or_default());
    let interval = interval.max(Duration::from_millis(1));
    let past = since_epoch.as_nanos() % interval.as_nanos();
    interval - Duration::from_nanos(u64::try_from(past).unwrap_or_default())
}

impl Open {
    /// Compresses the lines that wait. Returns how many bytes that came to.
    fn compress(&mut self, counters: &Counters) -> usize {
        if self.lines.is_empty() {
            return 0;
        }
        let before = self.compressed.len();
        let mut encoder = GzEncoder::new(std::mem::take(&mut self.compressed), Compression::fast());
        let compressed = encoder.write_all(&self.lines).and_then(|()| encoder.finish());
        match compressed {
            Ok(compressed) => self.compressed = compressed,
            // Writing to memory does not fail.
            Err(_) => _ = counters.dropped.inc_by(std::mem::take(&mut self.n_lines)),
        }
        self.lines = Vec::new();
        self.compressed.len().saturating_sub(before)
    }
}

impl LogName {
    /// The key of an object, which nothing else has.
    fn key(&self, account: &Account, end: Timestamp, random: u64) -> String {
        let Account { id, region } = account;
        let end = end.to_zoned(TimeZone::UTC);
        let (date, time) = (end.strftime("%Y/%m/%d"), end.strftime("%Y%m%dT%H%MZ"));
        let resource = self.resource.replace('/', ".");
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let node = IpAddr::V4(Ipv4Addr::LOCALHOST);
        format!(
            "{}{slash}AWSLogs/{id}/elasticloadbalancing/{region}/{date}/{}{id}_elasticloadbalancing_{region}_{resource}_{time}_{node}_{}.log.gz",
            self.prefix,
            self.begins,
            in_letters(random),
        )
    }
}

/// Eight letters and digits, as AWS ends the names of its files.
fn in_letters(mut random: u64) -> String {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let letter = |_| {
        let letter = LETTERS[usize::try_from(random % 36).unwrap_or_default()];
        random /= 36;
        char::from(letter)
    };
    (0..8).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> LogName {
        LogName {
            bucket: "retail-forecast-alb-logs".into(),
            prefix: "alb-access-logs".into(),
            begins: "",
            resource: "app/retail-forecast-alb/50dc6c495c0c9188".into(),
        }
    }

    #[test]
    fn acc_s3_28_acc_s3_50_keys_are_laid_out_as_those_of_aws() {
        let account = Account { id: "123456789012".into(), region: "us-east-2".into() };
        let end = "2022-02-15T23:40:12Z".parse().unwrap();
        assert_eq!(
            name().key(&account, end, 0),
            "alb-access-logs/AWSLogs/123456789012/elasticloadbalancing/us-east-2/2022/02/15/\
             123456789012_elasticloadbalancing_us-east-2_app.retail-forecast-alb.50dc6c495c0c9188_\
             20220215T2340Z_127.0.0.1_00000000.log.gz"
        );
        let connections = LogName { prefix: String::new(), begins: "conn_log.", ..name() };
        let key = connections.key(&account, end, 1);
        assert!(key.starts_with("AWSLogs/123456789012/"), "{key}");
        assert!(key.contains("/15/conn_log.123456789012_"), "{key}");
    }

    #[test]
    fn objects_end_at_multiples_of_their_interval() {
        let until = |now: &str| until_next(Duration::from_secs(300), now.parse().unwrap()).as_secs_f64();
        assert_eq!(until("2026-12-01T00:00:00Z"), 300.0);
        assert_eq!(until("2026-12-01T00:04:59.5Z"), 0.5);
        assert_eq!(until("2026-12-01T00:07:00Z"), 180.0);
    }
}
