//! A parser of the Prometheus text format, for `/metrics`.

use std::collections::BTreeMap;

/// The series of one scrape.
#[derive(Debug)]
pub(crate) struct Metrics(Vec<Series>);

#[derive(Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Parses the text format. Panics on an invalid line.
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(samples.map(series).collect())
    }

    /// The sum of the series of `name` that have all of `labels`; 0 without a series.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |series: &&Series| {
            series.name == name
                && labels
                    .iter()
                    .all(|(key, value)| series.labels.get(*key).is_some_and(|label| label == value))
        };
        // Counters and gauges of whole things: far below 2^53.
        self.0.iter().filter(has).map(|series| series.value).sum::<f64>() as u64
    }

    /// Every metric name and every label value.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|series| {
            series.labels.values().map(String::as_str).chain([series.name.as_str()])
        })
    }

    /// The counters of one producer.
    pub(crate) fn account(&self, producer: &str) -> Account {
        let of = [("producer", producer)];
        let decided =
            |outcome| self.sum("rollcall_events_decided_total", &[of[0], ("outcome", outcome)]);
        Account {
            received: self.sum("rollcall_events_received_total", &of),
            applied: decided("applied"),
            deduplicated: decided("deduplicated"),
            refused: decided("refused"),
            dropped: self.sum("rollcall_events_dropped_total", &of),
        }
    }

    /// Items of `producer` that were dropped for `reason`.
    pub(crate) fn dropped(&self, producer: &str, reason: &str) -> u64 {
        let labels = [("producer", producer), ("reason", reason)];
        self.sum("rollcall_events_dropped_total", &labels)
    }
}

/// The counters of one producer: items received, by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Account {
    pub(crate) received: u64,
    pub(crate) applied: u64,
    pub(crate) deduplicated: u64,
    pub(crate) refused: u64,
    pub(crate) dropped: u64,
}

impl Account {
    /// received = applied + deduplicated + refused + dropped.
    pub(crate) fn is_closed(&self) -> bool {
        self.received == self.applied + self.deduplicated + self.refused + self.dropped
    }
}

fn series(line: &str) -> Series {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
    let Some((name, labels)) = series.split_once('{') else {
        return Series { name: series.to_owned(), labels: BTreeMap::new(), value };
    };
    let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("labels not closed: {line}"));
    Series { name: name.to_owned(), labels: read_labels(labels), value }
}

/// Parses labels, whose values may contain commas, braces and escaped quotes.
fn read_labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((key, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next() {
                Some((_, '\\')) => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped)) => value.push(escaped),
                    None => panic!("value not closed: {text}"),
                },
                Some((at, '"')) => break at,
                Some((_, char)) => value.push(char),
                None => panic!("value not closed: {text}"),
            }
        };
        labels.insert(key.trim_start_matches(',').to_owned(), value);
        text = &rest[end + 1..];
    }
    labels
}

#[test]
fn a_scrape_is_read_as_prometheus_reads_it() {
    let text = "# HELP a_total x\n# TYPE a_total counter\na_total{p=\"s\",r=\"x,\\\"y}\"} 3\n\
                a_total{p=\"s\",r=\"z\"} 4\n\nb 0.5\n";
    let metrics = Metrics::parse(text);
    assert_eq!(metrics.sum("a_total", &[("p", "s")]), 7);
    assert_eq!(metrics.sum("a_total", &[("r", "x,\"y}")]), 3);
    assert_eq!(metrics.sum("a_total", &[("p", "other")]), 0);
    assert!(metrics.texts().any(|text| text == "b"));
}
