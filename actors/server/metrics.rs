//! The registry of all metrics that Rollcall exposes, collected from the crates that declare them.

use rollcall_runtime::metric::{Gauge, Metric};
use rollcall_runtime::{actor_metrics, metrics as runtime};

static BUILD_INFO: Gauge<2> = Gauge::new(
    "rollcall_build_info",
    ["version", "revision"],
    "Always 1; the labels hold the version and the source revision of the binary",
);

/// The source revision of the binary, which packagers set at build time in `ROLLCALL_REVISION`.
const REVISION: Option<&str> = option_env!("ROLLCALL_REVISION");

/// Records the version and revision of the binary.
pub(crate) fn record_build() {
    let revision = REVISION.unwrap_or("unknown");
    BUILD_INFO.with([env!("CARGO_PKG_VERSION").into(), revision.into()]).set(1.0);
}

/// Every metric that Rollcall exposes, in the order of the event flow.
pub fn registry() -> Vec<Metric> {
    let crates = [
        actor_metrics::METRICS,
        runtime::METRICS,
        rollcall_producers::metrics::METRICS,
        rollcall_journal::metrics::METRICS,
        rollcall_engine::metrics::METRICS,
        rollcall_history::metrics::METRICS,
        rollcall_http::metrics::METRICS,
        rollcall_push::metrics::METRICS,
    ];
    crates.into_iter().flatten().copied().chain([BUILD_INFO.declaration()]).collect()
}

/// The registry as the table of docs/metrics.md, one row per metric.
pub fn markdown() -> String {
    let mut table = String::from("| name | type | unit | labels | meaning |\n");
    table.push_str("| --- | --- | --- | --- | --- |\n");
    for metric in registry() {
        let Metric { name, instrument, labels, help, .. } = metric;
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let unit = metric.unit();
        let (instrument, unit, labels) = (instrument.as_str(), unit.as_str(), labels.join(", "));
        table.push_str(&format!("| `{name}` | {instrument} | {unit} | {labels} | {help} |\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use metrics::Unit;
    use rollcall_runtime::metric::Instrument;

    use super::*;

    const BEGIN: &str = "<!-- catalogue: begin -->\n";
    const END: &str = "<!-- catalogue: end -->\n";

    #[test]
    fn the_documented_catalogue_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
        let page = fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (table, after) = rest.split_once(END).unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, [before, BEGIN, &markdown(), END, after].concat()).unwrap();
        } else {
            let how = "docs/metrics.md is old: BLESS=1 cargo test -p rollcall-server metrics";
            assert!(table == markdown(), "{how}");
        }
    }

    #[test]
    fn names_follow_the_convention_and_stand_once() {
        let mut seen = BTreeSet::new();
        // The names of the process are Prometheus's own.
        for metric in registry().iter().filter(|metric| metric.name.starts_with("rollcall_")) {
            let name = metric.name;
            assert_eq!(
                metric.instrument == Instrument::Counter,
                name.ends_with("_total"),
                "{name}"
            );
            let seconds = name.ends_with("_seconds") || name.ends_with("_seconds_total");
            assert_eq!(metric.unit() == Unit::Seconds, seconds, "{name}");
            assert!(!metric.help.contains('|') && !metric.help.ends_with('.'), "{name}");
            assert!(seen.insert(metric.name), "{name} stands twice");
        }
    }

    #[test]
    fn every_histogram_has_buckets() {
        for metric in registry() {
            let is_histogram = metric.instrument == Instrument::Histogram;
            assert_eq!(is_histogram, !metric.buckets.is_empty(), "{}", metric.name);
        }
    }
}
