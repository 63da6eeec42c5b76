//! The catalogue of all metrics: what each is called, and what it says.

mod answering;
mod deciding;
mod pushing;
mod receiving;
mod supervising;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use strum::IntoEnumIterator;

use crate::meter::Stage;

/// What kind of thing a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instrument {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in buckets.
    Histogram,
}

impl Instrument {
    /// The word of Prometheus's `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Histogram => "histogram",
        }
    }
}

/// One metric, as documented.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The full name.
    pub name: String,
    /// What it is.
    pub instrument: Instrument,
    /// Its unit.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

use Instrument::{Counter, Gauge, Histogram};

type Row = (&'static str, Instrument, Unit, &'static [&'static str], &'static str);

/// The metrics that every actor has; `<stage>` is where it stands.
const MAILBOX: &[Row] = &[
    ("messages_total", Counter, Unit::Count, &["actor", "kind"], "Messages handled"),
    ("handling_seconds", Histogram, Unit::Seconds, &["actor", "kind"], "Time to handle a message"),
    ("mailbox_depth", Gauge, Unit::Count, &["actor", "kind"], "Messages waiting or in work"),
    ("mailbox_capacity", Gauge, Unit::Count, &["actor", "kind"], "Places in the mailbox"),
    (
        "mailbox_wait_seconds",
        Histogram,
        Unit::Seconds,
        &["actor", "kind"],
        "Time that a sender waited for a place in a full mailbox",
    ),
    (
        "messages_refused_total",
        Counter,
        Unit::Count,
        &["actor", "kind"],
        "Messages turned away because nobody was behind the mailbox, or lost with their actor",
    ),
    (
        "restarts_total",
        Counter,
        Unit::Count,
        &["actor", "kind", "cause"],
        "How often the actor was replaced, by panic, error, stop or freeze",
    ),
    (
        "last_activity_timestamp_seconds",
        Gauge,
        Unit::Seconds,
        &["actor", "kind"],
        "When the actor last handled a message, as a Unix time",
    ),
];

/// The metrics of particular stages, in the order of an event.
const PARTICULAR: [&[Row]; 5] =
    [receiving::ROWS, deciding::ROWS, answering::ROWS, pushing::ROWS, supervising::ROWS];

/// Every metric that Rollcall exposes.
pub fn catalogue() -> Vec<Metric> {
    let of_mailboxes = Stage::iter().flat_map(|stage| {
        MAILBOX.iter().map(move |&(noun, instrument, unit, labels, help)| Metric {
            name: format!("rollcall_{}_{noun}", stage.as_str()),
            instrument,
            unit,
            labels,
            help,
        })
    });
    let particular =
        PARTICULAR.into_iter().flatten().map(|&(name, instrument, unit, labels, help)| Metric {
            name: name.to_owned(),
            instrument,
            unit,
            labels,
            help,
        });
    of_mailboxes.chain(particular).collect()
}

/// Gives the recorder the help texts of all metrics, and a zero to each counter without labels: a
/// first journal error is seen to grow from something.
pub fn describe() {
    for Metric { name, instrument, unit, labels, help } in catalogue() {
        match instrument {
            Counter => {
                describe_counter!(name.clone(), unit, help);
                if labels.is_empty() {
                    counter!(name).increment(0);
                }
            }
            Gauge => describe_gauge!(name, unit, help),
            Histogram => describe_histogram!(name, unit, help),
        }
    }
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

    use super::*;

    const BEGIN: &str = "<!-- catalogue: begin -->\n";
    const END: &str = "<!-- catalogue: end -->\n";

    #[test]
    fn the_documented_catalogue_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        let page = fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (table, after) = rest.split_once(END).unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, [before, BEGIN, &markdown(), END, after].concat()).unwrap();
        } else {
            let how = "docs/metrics.md is old: BLESS=1 cargo test -p rollcall-actors catalogue";
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
}
