//! The metrics in the code, on dashboards, in alerts and in the documentation are the same.

use std::collections::BTreeSet;
use std::fs;

use {rollcall_runtime::metric::Instrument, rollcall_server::metrics::registry};

use super::{files, from_root, none, text};

/// Every name under which a metric is scraped.
fn scraped() -> BTreeSet<String> {
    let series = |metric: rollcall_runtime::metric::Metric| match metric.instrument {
        Instrument::Histogram => {
            ["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", metric.name)).to_vec()
        }
        Instrument::Counter | Instrument::Gauge => vec![metric.name.to_owned()],
    };
    registry().into_iter().flat_map(series).collect()
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
    let metrics: BTreeSet<String> =
        registry().into_iter().map(|metric| metric.name.to_owned()).collect();
    let silent = metrics.iter().filter(|name| !documented.contains(name.as_str())).cloned();
    none("not in docs/metrics.md", &silent.collect::<Vec<_>>());
    let scraped = scraped();
    let known = |name: &&&str| !metrics.contains(**name) && !scraped.contains(**name);
    let strange = documented.iter().filter(known).map(ToString::to_string);
    none("in docs/metrics.md, but nowhere else", &strange.collect::<Vec<_>>());
}

#[test]
fn metrics_are_named_as_the_architecture_says_and_carry_no_identity() {
    let forbidden = ["user", "address", "ip", "host", "domain", "device"];
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for metric in registry() {
        // The metrics of the process have the names of the Prometheus clients.
        if !["rollcall_", "process_"].iter().any(|prefix| metric.name.starts_with(prefix)) {
            faults.push(format!("{}: no prefix", metric.name));
        }
        if metric.name.starts_with("rollcall_actor_") && metric.labels.first() != Some(&"stage") {
            faults.push(format!("{}: no stage", metric.name));
        }
        if metric.instrument == Instrument::Counter && !metric.name.ends_with("_total") {
            faults.push(format!("{}: a counter ends in _total", metric.name));
        }
        if let Some(label) = metric.labels.iter().find(|label| forbidden.contains(*label)) {
            faults.push(format!("{}: the label {label} would hold identities", metric.name));
        }
        if !seen.insert(metric.name) {
            faults.push(format!("{}: twice", metric.name));
        }
    }
    none("names and labels", &faults);
}

/// The values that `text` compares the label `reason` with, in PromQL as written or inside JSON.
fn reasons(text: &str) -> BTreeSet<&str> {
    let after = text.split("reason").skip(1);
    let compared = after.filter_map(|rest| {
        let operator = rest.find(['"', '\\'])?;
        let value = rest[operator..].trim_start_matches(['\\', '"']);
        ["=", "=~", "!=", "!~"].contains(&&rest[..operator]).then_some(value)
    });
    let values = compared.map(|value| value.split(['"', '\\']).next().unwrap_or_default());
    values.flat_map(|value| value.split('|')).collect()
}

/// The names of the first column of the table in `text` that begins with `header`.
fn first_column<'a>(text: &'a str, header: &str) -> BTreeSet<&'a str> {
    let table = text.lines().skip_while(|line| !line.starts_with(header)).skip(2);
    let cells = table.map_while(|line| line.strip_prefix('|')?.split('|').next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_reason_of_a_dashboard_a_rule_or_the_documentation_is_one_that_is_given() {
    let sources: String = ["actors", "src"]
        .iter()
        .flat_map(|folder| files(folder, &[".rs"]))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let is_given = |reason: &str| {
        let camel: String = reason
            .split('_')
            .map(|part| part[..1].to_ascii_uppercase() + part.get(1..).unwrap_or_default())
            .collect();
        let variant = format!("{camel},");
        [format!("\"{reason}\""), variant].iter().any(|given| sources.contains(given))
    };
    let mut looked_at = 0;
    let mut strange = Vec::new();
    let mut look = |place: String, reasons: BTreeSet<&str>| {
        looked_at += reasons.len();
        let never = reasons.into_iter().filter(|reason| !is_given(reason));
        strange.extend(never.map(|reason| format!("{place}: {reason}")));
    };
    for path in files("dashboards", &[".json", ".yml"]) {
        look(from_root(&path), reasons(&fs::read_to_string(&path).unwrap()));
    }
    look("docs/metrics.md".to_owned(), first_column(&text("docs/metrics.md"), "| reason |"));
    assert!(looked_at > 40, "only {looked_at} reasons were found");
    none("no such reason", &strange);
}

#[test]
fn every_alert_has_its_row_in_the_documentation_with_its_severity() {
    let rules = text("dashboards/alerts.yml");
    let after = rules.split("- alert: ").skip(1);
    let alerts: BTreeSet<String> = after
        .map(|rule| {
            let severity = rule.split("severity: ").nth(1).and_then(|rest| rest.split('}').next());
            format!("| `{}` | {} |", rule.lines().next().unwrap(), severity.unwrap())
        })
        .collect();
    let documentation = text("docs/prometheus.md");
    let rows = documentation.lines().filter(|line| line.starts_with("| `Rollcall"));
    let rows: BTreeSet<String> =
        rows.map(|row| row.split_inclusive(" |").take(2).collect()).collect();
    assert!(alerts.len() > 20, "only {} alerts were found", alerts.len());
    let differing = alerts.symmetric_difference(&rows).cloned();
    none("an alert without its row, or a row without its alert", &differing.collect::<Vec<_>>());
}

#[test]
fn every_label_of_a_metric_and_every_kind_of_actor_is_in_the_table_of_labels() {
    let documentation = text("docs/metrics.md");
    let documented = first_column(&documentation, "| label |");
    let metrics = registry();
    let labels: BTreeSet<&str> = metrics.iter().flat_map(|metric| metric.labels).copied().collect();
    let mut missing: Vec<String> =
        labels.difference(&documented).map(|label| format!("the label {label}")).collect();
    let row = documentation.lines().find(|line| line.starts_with("| `kind` |")).unwrap();
    for path in files("actors", &[".rs"]) {
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let kinds = source.split("const KIND: &'static str = \"").skip(1);
        for kind in kinds.filter_map(|rest| rest.split('"').next()) {
            if !row.contains(&format!("`{kind}`")) && !path.ends_with("tests.rs") {
                missing.push(format!("the kind {kind}"));
            }
        }
    }
    none("not in the table of labels of docs/metrics.md", &missing);
}
