//! The metrics in the code, on dashboards, in alerts and in the documentation are the same.

use std::collections::BTreeSet;
use std::fs;

use rollcall_actors::happenings::{Instrument, catalogue};

use super::{files, from_root, none, text};

/// Every name under which a metric is scraped.
fn scraped() -> BTreeSet<String> {
    let series = |metric: rollcall_actors::happenings::Metric| match metric.instrument {
        Instrument::Histogram => {
            ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name)).to_vec()
        }
        Instrument::Counter | Instrument::Gauge => vec![metric.name],
    };
    catalogue().into_iter().flat_map(series).collect()
}

/// The words of a text that look like a metric of ours. Recording rules have colons in theirs.
fn named(text: &str) -> BTreeSet<&str> {
    let word = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    let words = text.split(move |char| !word(char));
    let ours = |word: &str| word.starts_with("rollcall_") || word.starts_with("process_");
    words.filter(|word| ours(word) && !word.contains(':') && !word.ends_with('_')).collect()
}

#[test]
fn every_metric_of_a_dashboard_or_a_rule_exists() {
    let scraped = scraped();
    let mut strange = Vec::new();
    let sources = files("dashboards", &[".json", ".yml", ".yaml"]);
    assert!(!sources.is_empty(), "there are no dashboards");
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        for name in named(&text).into_iter().filter(|name| !scraped.contains(*name)) {
            strange.push(format!("{}: {name}", from_root(&path)));
        }
    }
    none("no such metric", &strange);
}

#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    let text = text("docs/metrics.md");
    let documented = named(&text);
    let metrics: BTreeSet<String> = catalogue().into_iter().map(|metric| metric.name).collect();
    let silent = metrics.iter().filter(|name| !documented.contains(name.as_str())).cloned();
    none("not in docs/metrics.md", &silent.collect::<Vec<_>>());
    let scraped = scraped();
    let known = |name: &&&str| !metrics.contains(**name) && !scraped.contains(**name);
    let strange = documented.iter().filter(known).map(ToString::to_string);
    none("in docs/metrics.md, but nowhere else", &strange.collect::<Vec<_>>());
}

#[test]
fn metrics_are_named_as_the_architecture_says_and_carry_no_identity() {
    // The supervisor stands beside the way of an event, and has a mailbox like all.
    let stages = ["receiving", "deciding", "answering", "pushing", "supervising"];
    let forbidden = ["user", "address", "ip", "host", "domain", "device"];
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for metric in catalogue() {
        let stage = metric.name.strip_prefix("rollcall_").and_then(|rest| rest.split('_').next());
        // What the process itself exposes has the names that Prometheus's own clients give it.
        let process = metric.name.starts_with("process_");
        if !process && stage.is_none_or(|stage| !stages.contains(&stage)) {
            faults.push(format!("{}: no stage", metric.name));
        }
        if metric.instrument == Instrument::Counter && !metric.name.ends_with("_total") {
            faults.push(format!("{}: a counter ends in _total", metric.name));
        }
        if let Some(label) = metric.labels.iter().find(|label| forbidden.contains(*label)) {
            faults.push(format!("{}: the label {label} would hold identities", metric.name));
        }
        if !seen.insert(metric.name.clone()) {
            faults.push(format!("{}: twice", metric.name));
        }
    }
    none("names and labels", &faults);
}
