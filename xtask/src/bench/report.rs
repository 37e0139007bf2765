//! What a benchmark found, for readers and for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::{Figures, Latency};
use super::{Findings, ROUNDS, machine};

/// The figures of one benchmark.
#[derive(Debug)]
pub(super) struct Report {
    name: &'static str,
    busyness: f64,
    pub(super) cases: Vec<Case>,
    /// What was measured, as it names itself.
    versions: Vec<String>,
    /// What could not be measured, and why.
    pub(super) absent: Vec<String>,
}

/// One load on several servers. The first one's CPU time is what others are compared with.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) rows: Vec<Row>,
}

/// What one server did under a load.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) server: String,
    /// From the start of the server to its first prediction.
    pub(super) start: Option<Duration>,
    /// By round.
    pub(super) figures: Vec<Figures>,
}

/// The middle one of some figures.
pub(super) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

// === impl Report ===

impl Report {
    pub(super) fn new(name: &'static str) -> Self {
        let busyness = machine::busyness();
        Self { name, busyness, cases: Vec::new(), versions: Vec::new(), absent: Vec::new() }
    }

    /// Says once what was measured.
    pub(super) fn tell_version(&mut self, version: String) {
        if !self.versions.contains(&version) {
            self.versions.push(version);
        }
    }
}

impl Findings for Report {
    fn json(&self) -> Value {
        let cases: Vec<Value> = self.cases.iter().map(Case::json).collect();
        json!({
            "bench": self.name,
            "machine": machine::description(),
            "load_average_before": self.busyness,
            "rounds": ROUNDS,
            "cases": cases,
            "versions": self.versions,
            "absent": self.absent,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            writeln!(f, "{case}")?;
        }
        writeln!(f, "medians of {ROUNDS} rounds; load average before: {:.1}", self.busyness)?;
        writeln!(f, "{}", machine::description())?;
        self.versions.iter().try_for_each(|version| writeln!(f, "{version}"))?;
        self.absent.iter().try_for_each(|absent| writeln!(f, "absent: {absent}"))
    }
}

// === impl Case ===

impl Case {
    /// How often the first server's CPU time goes into that of another.
    fn times(&self, row: &Row) -> f64 {
        self.rows.first().map_or(f64::NAN, |first| row.cpu_microseconds() / first.cpu_microseconds())
    }

    fn json(&self) -> Value {
        let servers = self.rows.iter().map(|row| {
            let rounds = row.figures.iter().map(|figures| {
                json!({
                    "requests_per_second": figures.requests_per_second,
                    "cpu_microseconds": figures.cpu_microseconds,
                    "failed": figures.n_failed,
                    "p50_microseconds": figures.latency.map(|latency| latency.p50_microseconds),
                    "p99_microseconds": figures.latency.map(|latency| latency.p99_microseconds),
                })
            });
            json!({
                "server": row.server,
                "requests_per_second": row.requests_per_second(),
                "cpu_microseconds": row.cpu_microseconds(),
                "times_first": self.times(row),
                "p50_microseconds": row.latency(|latency| latency.p50_microseconds),
                "p99_microseconds": row.latency(|latency| latency.p99_microseconds),
                "failed": row.n_failed(),
                "resident_bytes": row.resident_bytes(),
                "start_seconds": row.start.map(|start| start.as_secs_f64()),
                "rounds": rounds.collect::<Vec<_>>(),
            })
        });
        json!({"case": self.name, "servers": servers.collect::<Vec<_>>()})
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.server.chars().count()).max().unwrap_or(0);
        let tells_start = self.rows.iter().any(|row| row.start.is_some());
        let (name, start) = (&self.name, if tells_start { "   start s" } else { "" });
        let latency = if self.rows.iter().any(Row::tells_latency) { "  p50 µs  p99 µs" } else { "" };
        writeln!(f, "{name}")?;
        writeln!(f, "  {:width$}  requests/s  CPU µs/req    × CPU  failed  RSS MB{latency}{start}", "")?;
        for row in &self.rows {
            let [p50, p99] = [
                row.latency(|latency| latency.p50_microseconds),
                row.latency(|latency| latency.p99_microseconds),
            ];
            let latency =
                p50.zip(p99).map_or_else(String::new, |(p50, p99)| format!("  {p50:>6.0}  {p99:>6.0}"));
            let start = row.start.map_or_else(String::new, |start| format!("  {:>8.3}", start.as_secs_f64()));
            #[expect(clippy::cast_precision_loss, reason = "bytes of memory, shown in megabytes")]
            let megabytes = row.resident_bytes() as f64 / 1e6;
            writeln!(
                f,
                "  {:width$}  {:>10.0}  {:>10.1}  {:>7.2}  {:>6}  {megabytes:>6.0}{latency}{start}",
                row.server,
                row.requests_per_second(),
                row.cpu_microseconds(),
                self.times(row),
                row.n_failed(),
            )?;
        }
        Ok(())
    }
}

// === impl Row ===

impl Row {
    fn requests_per_second(&self) -> f64 {
        median(self.figures.iter().map(|figures| figures.requests_per_second))
    }

    fn cpu_microseconds(&self) -> f64 {
        median(self.figures.iter().map(|figures| figures.cpu_microseconds))
    }

    fn tells_latency(&self) -> bool {
        self.figures.iter().any(|figures| figures.latency.is_some())
    }

    /// The median over the rounds of one of their percentiles.
    fn latency(&self, percentile: impl Fn(Latency) -> f64) -> Option<f64> {
        let figures = self.figures.iter().filter_map(|figures| figures.latency.map(&percentile));
        self.tells_latency().then(|| median(figures))
    }

    fn n_failed(&self) -> u64 {
        self.figures.iter().map(|figures| figures.n_failed).sum()
    }

    fn resident_bytes(&self) -> u64 {
        self.figures.iter().map(|figures| figures.resident_bytes).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: &str, cpu: [f64; 3], start: Option<Duration>) -> Row {
        let figures = cpu.map(|cpu_microseconds| Figures {
            requests_per_second: 1e6 / cpu_microseconds,
            cpu_microseconds,
            n_failed: 1,
            resident_bytes: 12_000_000,
            latency: None,
        });
        Row { server: server.to_owned(), start, figures: figures.to_vec() }
    }

    #[test]
    fn a_case_is_a_table_and_an_object() {
        let start = Some(Duration::from_millis(1250));
        let rows = vec![row("ours", [10.0, 30.0, 12.0], None), row("theirs", [24.0, 20.0, 99.0], start)];
        let case = Case { name: "one row".to_owned(), rows };
        let table = "\
one row
          requests/s  CPU µs/req    × CPU  failed  RSS MB   start s
  ours         83333        12.0     1.00       3      12
  theirs       41667        24.0     2.00       3      12     1.250
";
        assert_eq!(case.to_string(), table);
        let object = case.json();
        assert_eq!(object["servers"][1]["times_first"], 2.0);
        assert_eq!(object["servers"][1]["rounds"][2]["cpu_microseconds"], 99.0);
        assert_eq!(object["servers"][0]["start_seconds"], Value::Null);
    }
}
