//! The registry of all metrics that Rollcall exposes, collected from the crates that declare them.

use rollcall_runtime::metric::{Metric, declared};
use rollcall_runtime::{actor_metrics, metrics as runtime};

/// Every metric that Rollcall exposes, in the order in which an event passes the stages.
pub fn catalogue() -> Vec<Metric> {
    let stages = [
        rollcall_producers::metrics::ROWS,
        rollcall_engine::metrics::ROWS,
        rollcall_http::metrics::ROWS,
        rollcall_push::metrics::ROWS,
        runtime::ROWS,
    ];
    actor_metrics::catalogue().chain(stages.into_iter().flat_map(declared)).collect()
}

/// The catalogue as the table of docs/metrics.md: a row a metric.
pub fn markdown() -> String {
    let mut table = String::from("| name | type | unit | labels | meaning |\n");
    table.push_str("| --- | --- | --- | --- | --- |\n");
    for Metric { name, instrument, unit, labels, help } in catalogue() {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
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
    use rollcall_runtime::metric::Instrument::{self, Counter};
    use rollcall_runtime::prometheus::BUCKETS;

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
        for metric in catalogue().iter().filter(|metric| metric.name.starts_with("rollcall_")) {
            let name = metric.name.as_str();
            assert_eq!(metric.instrument == Counter, name.ends_with("_total"), "{name}");
            let seconds = name.ends_with("_seconds") || name.ends_with("_seconds_total");
            assert_eq!(metric.unit == Unit::Seconds, seconds, "{name}");
            assert!(!metric.help.contains('|') && !metric.help.ends_with('.'), "{name}");
            assert!(seen.insert(metric.name.clone()), "{name} stands twice");
        }
    }

    #[test]
    fn every_histogram_has_buckets_of_its_own() {
        for metric in catalogue() {
            if metric.instrument == Instrument::Histogram {
                let suffixes = BUCKETS.iter().filter(|(suffix, _)| metric.name.ends_with(suffix));
                assert_eq!(suffixes.count(), 1, "{}", metric.name);
            }
        }
    }
}
