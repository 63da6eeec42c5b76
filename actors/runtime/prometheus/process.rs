//! What the process takes from the machine, by the names that every Prometheus exporter uses
//! (Prometheus documentation, "Writing client libraries", process metrics).

use std::fs;

use rollcall_identity::Timestamp;

use crate::clock::Clock;
use crate::metrics;

/// One reading of `/proc` (proc(5)). What cannot be read is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// Processor time of all threads, in seconds.
    pub cpu_seconds: Option<f64>,
    /// When the process began, as a Unix time in seconds.
    pub started: Option<f64>,
    /// Memory in RAM, in bytes.
    pub resident: Option<f64>,
    /// Address space, in bytes.
    pub address_space: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
    /// Open file descriptors.
    pub open_files: Option<f64>,
    /// How many may be open.
    pub most_files: Option<f64>,
}

/// The ticks in which `/proc` writes times: USER_HZ, which the kernel's interface fixes at 100 on
/// every architecture that Rust's standard library is built for.
const TICKS: f64 = 100.0;

impl Process {
    /// Reads `/proc/self`, which is all of `/proc` that a service may be left with
    /// (`ProcSubset=pid`, systemd.exec(5)).
    pub fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let open = fs::read_dir("/proc/self/fd").map(|files| files.count() as f64);
        Self {
            // The folder that is being read is open as well, and is not ours.
            open_files: open.ok().map(|count| count - 1.0),
            ..Self::parse(
                [&text("/proc/self/stat"), &text("/proc/self/status"), &text("/proc/self/limits")],
                Clock::boot(),
            )
        }
    }

    fn parse([stat, status, limits]: [&str; 3], boot: Option<Timestamp>) -> Self {
        // The command in parentheses may hold anything; the third field follows the last of them.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        let boot = boot.map(|boot| boot.millis() as f64 / 1000.0);
        let kilobytes = |key| value(status, key).map(|kb| kb * 1024.0);
        Self {
            cpu_seconds: ticks(14).zip(ticks(15)).map(|(user, system)| (user + system) / TICKS),
            started: boot.zip(ticks(22)).map(|(boot, ticks)| boot + ticks / TICKS),
            resident: kilobytes("VmRSS:"),
            address_space: kilobytes("VmSize:"),
            threads: value(status, "Threads:"),
            open_files: None,
            most_files: value(limits, "Max open files"),
        }
    }

    /// Shows the reading among the metrics.
    pub fn record(self) {
        let Self { cpu_seconds, started, resident, address_space, threads, open_files, most_files } =
            self;
        if let Some(seconds) = cpu_seconds {
            // Whole seconds: the counters of the recorder are integers.
            metrics::PROCESS_CPU_SECONDS.with([]).absolute(seconds as u64);
        }
        for (gauge, value) in [
            (&metrics::PROCESS_START_TIME_SECONDS, started),
            (&metrics::PROCESS_RESIDENT_MEMORY_BYTES, resident),
            (&metrics::PROCESS_VIRTUAL_MEMORY_BYTES, address_space),
            (&metrics::PROCESS_THREADS, threads),
            (&metrics::PROCESS_OPEN_FDS, open_files),
            (&metrics::PROCESS_MAX_FDS, most_files),
        ] {
            if let Some(value) = value {
                gauge.with([]).set(value);
            }
        }
    }
}

/// The first number behind `key` at the beginning of a line.
fn value(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_also_when_the_command_forges_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 9 0 0 0 250 50 0 0 20 0 12 0 1000 5 6";
        let status = "Name:\tx\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t12\n";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        let boot = Timestamp::from_millis(1_700_000_000_000);
        let process = Process::parse([stat, status, limits], Some(boot));
        assert_eq!(process.cpu_seconds, Some(3.0));
        assert_eq!(process.started, Some(1_700_000_010.0));
        assert_eq!((process.resident, process.threads), (Some(1_048_576.0), Some(12.0)));
        assert_eq!((process.address_space, process.most_files), (Some(2_097_152.0), Some(1024.0)));
        assert_eq!(Process::parse([""; 3], None), Process::default());
    }

    #[test]
    fn this_process_can_be_read() {
        let process = Process::read();
        assert!(process.resident.is_some_and(|bytes| bytes > 1e6));
        assert!(process.open_files.is_some_and(|count| (3.0..1e4).contains(&count)));
        let now = Clock::system().now().millis() as f64 / 1000.0;
        assert!(process.started.is_some_and(|time| (now - 3600.0..now + 1.0).contains(&time)));
        assert!(process.cpu_seconds.is_some() && process.most_files.is_some());
    }
}
