//! The machine that measures.

use std::fs;
use std::thread::available_parallelism;

/// A line that says what the machine is and how busy it was.
pub(super) fn description() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |label: &str| {
        let line = processors.lines().find(|line| line.starts_with(label))?;
        Some(line.split(':').nth(1)?.trim().to_owned())
    };
    let processor = value("model name").unwrap_or_else(|| "unknown processor".to_owned());
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let n_cores = available_parallelism().map_or(0, usize::from);
    format!("{n_cores} cores of {processor}, Linux {}", release.trim())
}

/// Runnable processes of the last minute, on average.
pub(super) fn busyness() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

/// Whether load and servers can have a core each.
pub(super) fn has_two_cores() -> Result<(), String> {
    let n_cores = available_parallelism().map_or(1, usize::from);
    if n_cores < 2 {
        return Err("a benchmark needs two cores, one for the servers and one for the load".to_owned());
    }
    Ok(())
}
