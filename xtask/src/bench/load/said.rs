//! What tools that make load print.

use serde_json::Value;

use super::Latency;

/// The numbers in what a tool prints.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) n_requests: f64,
    pub(super) requests_per_second: f64,
    pub(super) n_failed: u64,
    /// How long requests took, where the rate was given.
    pub(super) latency: Option<Latency>,
}

// === impl Said ===

impl Said {
    pub(super) fn of_wrk(text: &str) -> Option<Self> {
        let after =
            |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
        let n_requests = text.lines().find_map(|line| line.trim().split_once(" requests in "))?.0;
        let refused = after("Non-2xx or 3xx responses:").map_or(Some(0), |n| n.parse().ok())?;
        let socket_errors = after("Socket errors:").unwrap_or_default().split([' ', ',']);
        let broken: u64 = socket_errors.filter_map(|word| word.parse::<u64>().ok()).sum();
        Some(Self {
            n_requests: n_requests.parse().ok().filter(|n| *n > 0.0)?,
            requests_per_second: after("Requests/sec:")?.parse().ok()?,
            n_failed: refused + broken,
            latency: None,
        })
    }

    /// The second of its two lines counts by the clock: `5032 connections in 6 real seconds, 0 bytes read per connection`.
    pub(super) fn of_s_time(text: &str) -> Option<Self> {
        let line = text.lines().find(|line| line.contains(" real seconds"))?;
        let (count, rest) = line.split_once(" connections in ")?;
        let n_requests = count.trim().parse().ok().filter(|n| *n > 0.0)?;
        let seconds: f64 = rest.split(' ').next()?.parse().ok().filter(|seconds| *seconds > 0.0)?;
        Some(Self { n_requests, requests_per_second: n_requests / seconds, n_failed: 0, latency: None })
    }

    /// One line of JSON, by the program `paced`.
    pub(super) fn of_paced(text: &str) -> Option<Self> {
        let said: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| said[name].as_f64();
        let n_requests = number("requests").filter(|n| *n > 0.0)?;
        let latency = Latency { p50_microseconds: number("p50")?, p99_microseconds: number("p99")? };
        Some(Self {
            n_requests,
            requests_per_second: n_requests / number("seconds")?,
            n_failed: said["failed"].as_u64()?,
            latency: Some(latency),
        })
    }

    pub(super) fn of_h2load(text: &str) -> Option<Self> {
        let line = |label: &str| text.lines().find_map(|line| line.strip_prefix(label));
        // `4021 total, 4121 started, 4021 done, 4021 succeeded, 0 failed, 0 errored, 0 timeout`
        let count = |label: &str| -> Option<f64> {
            let counts = line("requests: ")?.split(", ");
            counts.filter_map(|count| count.split_once(' ')).find(|(_, what)| *what == label)?.0.parse().ok()
        };
        let per_second = line("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s")?;
        let n_requests = count("done").filter(|n| *n > 0.0)?;
        // What was under way when the time was over is no failure.
        let n_failed = n_requests - count("succeeded")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let n_failed = n_failed as u64;
        Some(Self { n_requests, requests_per_second: per_second.parse().ok()?, n_failed, latency: None })
    }
}

#[cfg(test)]
mod tests {
    use super::{Latency, Said};

    #[test]
    fn a_calm_run_is_read() {
        let text = "\
Running 5s test @ http://127.0.0.1:9001/predict
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   240.12us   98.33us   4.10ms   91.02%
    Req/Sec    65.10k     2.06k   69.55k    76.47%
  330188 requests in 5.10s, 45.34MB read
Requests/sec:  64743.31
Transfer/sec:      8.89MB
";
        let said = Said { n_requests: 330_188.0, requests_per_second: 64_743.31, n_failed: 0, latency: None };
        assert_eq!(Said::of_wrk(text), Some(said));
    }

    #[test]
    fn what_failed_is_counted() {
        let text = "\
  120 requests in 5.00s, 45.34KB read
  Socket errors: connect 1, read 20, write 0, timeout 300
  Non-2xx or 3xx responses: 4000
Requests/sec:  24.00
";
        assert_eq!(Said::of_wrk(text).map(|said| said.n_failed), Some(4_321));
    }

    #[test]
    fn a_run_without_requests_says_nothing() {
        assert_eq!(Said::of_wrk("  0 requests in 5.00s, 0.00B read\nRequests/sec:      0.00\n"), None);
        assert_eq!(Said::of_wrk("unable to connect to 127.0.0.1:1 Connection refused\n"), None);
    }

    #[test]
    fn handshakes_are_counted_by_the_clock() {
        let text = "Collecting connection statistics for 5 seconds\n****\n\n5032 connections in 2.61s; 1927.97 \
                    connections/user sec, bytes read 0\n5032 connections in 6 real seconds, 0 bytes read per connection\n";
        let said = Said { n_requests: 5032.0, requests_per_second: 5032.0 / 6.0, n_failed: 0, latency: None };
        assert_eq!(Said::of_s_time(text), Some(said));
        assert_eq!(Said::of_s_time("ERROR\n"), None);
    }

    #[test]
    fn requests_of_http2_are_read() {
        let text = "\
finished in 5.00s, 60345.20 req/s, 5.21MB/s
requests: 301726 total, 302726 started, 301726 done, 301720 succeeded, 6 failed, 0 errored, 0 timeout
status codes: 301720 2xx, 0 3xx, 0 4xx, 6 5xx
";
        let said = Said { n_requests: 301_726.0, requests_per_second: 60_345.2, n_failed: 6, latency: None };
        assert_eq!(Said::of_h2load(text), Some(said));
    }

    #[test]
    fn a_run_at_a_steady_rate_is_read() {
        let said =
            Said::of_paced(r#"{"requests":800,"seconds":2.0,"failed":1,"p50":90,"p99":210,"max":900}"#);
        let latency = Some(Latency { p50_microseconds: 90.0, p99_microseconds: 210.0 });
        assert_eq!(said, Some(Said { n_requests: 800.0, requests_per_second: 400.0, n_failed: 1, latency }));
        assert_eq!(Said::of_paced(r#"{"requests":9,"seconds":2.0,"failed":9,"p50":null,"p99":null}"#), None);
    }
}
