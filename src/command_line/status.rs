//! `rollcall status`: prints the status of producers, enforcement points, push targets or actors.

use clap::Subcommand;
use serde_json::Value;

use super::CommandError;
use super::output::{Output, OutputFormat};
use super::server::{Response, Server};
use super::session_text::word;

/// A column: its heading and its cell.
type Column = (&'static str, fn(&Value) -> String);

const PRODUCERS: [Column; 8] = [
    ("producer", |it| text(&it["actor"])),
    ("state", |it| text(&it["state"])),
    ("received", |it| text(&it["account"]["received"])),
    ("applied", |it| text(&it["account"]["applied"])),
    ("known", |it| text(&it["account"]["deduplicated"])),
    ("refused", |it| text(&it["account"]["refused"])),
    ("dropped", |it| text(&it["account"]["dropped"])),
    ("last activity", |it| text(&it["last_activity"])),
];

const POINTS: [Column; 12] = [
    ("name", |it| text(&it["name"])),
    ("role", |it| text(&it["role"])),
    ("queries", |it| text(&it["queries"])),
    ("reports", |it| text(&it["reports"])),
    ("bytes", |it| text(&it["bytes"])),
    ("retries", |it| text(&it["retries"])),
    ("errors", |it| text(&it["errors"])),
    ("pushed", |it| text(&it["pushed"])),
    ("behind", |it| text(&it["lag_changes"])),
    ("for seconds", |it| seconds(&it["lag_seconds"])),
    ("last seen", |it| text(&it["last_seen"])),
    ("from", |it| text(&it["last_address"])),
];

const TARGETS: [Column; 9] = [
    ("name", |it| text(&it["name"])),
    ("kind", |it| text(&it["kind"])),
    ("state", |it| text(&it["state"])),
    ("acknowledged", |it| text(&it["revision"])),
    ("behind", |it| text(&it["lag_changes"])),
    ("for seconds", |it| seconds(&it["lag_seconds"])),
    ("reports", |it| text(&it["reports"])),
    ("bytes", |it| text(&it["bytes"])),
    ("retries", |it| text(&it["retries"])),
];

const ACTORS: [Column; 8] = [
    ("actor", |it| text(&it["actor"])),
    ("kind", |it| text(&it["kind"])),
    ("stage", |it| text(&it["stage"])),
    ("state", |it| text(&it["state"])),
    ("since", |it| text(&it["since"])),
    ("mailbox", |it| format!("{}/{}", it["mailbox_depth"], it["mailbox_capacity"])),
    ("handled", |it| text(&it["handled"])),
    ("restarts", |it| counts(&it["restarts"]).unwrap_or_else(|| "-".to_owned())),
];

#[derive(Debug, Subcommand)]
pub(super) enum Status {
    /// List the producers, their event counts and the reasons for dropped events.
    Producers,
    /// List the enforcement points and how far each of them is behind.
    EnforcementPoints,
    /// List the push targets and how far each of them is behind.
    PushTargets,
    /// List the actors with their mailboxes and restarts.
    Actors,
}

impl Status {
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
        match self {
            Self::Producers => producers(server, output),
            Self::EnforcementPoints => points(server, output),
            Self::PushTargets => targets(server, output),
            Self::Actors => actors(server, output),
        }
    }
}

/// Prints the producers with their event accounting, then the reasons for drops and failures.
fn producers(server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
    let producers = listed(server, "/api/v1/producers", &PRODUCERS, output)?;
    remarks(&producers, output, |producer| {
        let dropped = counts(&producer["account"]["dropped_by_reason"]);
        dropped.map(|dropped| format!("dropped {dropped}"))
    })?;
    remarks(&producers, output, |producer| log_of(&producer["event_log"]))?;
    last_errors(&producers, output)
}

/// The status of an event log, with remedies for its problems.
fn log_of(log: &Value) -> Option<String> {
    let mut parts = vec![format!("event log: {}", log["description"].as_str()?)];
    if let Some(record) = log["last_event"]["record_id"].as_u64() {
        parts.push(format!("last event {}, record {record}", word(&log["last_event"]["at"])));
    }
    if let Some(gaps) = log["gaps"].as_u64().filter(|gaps| *gaps > 0) {
        let gap = &log["last_gap"];
        let (cause, remedy) = (word(&gap["cause"]), word(&gap["remedy"]));
        parts
            .push(format!("{gaps} gaps, the last {cause} after record {}: {remedy}", gap["after"]));
    }
    for kind in log["unaudited"].as_array().into_iter().flatten() {
        parts.push(format!(
            "no audits of {}: {}",
            word(&kind["subcategory"]),
            word(&kind["remedy"])
        ));
    }
    if let Some(error) = log["last_error"]["error"].as_str() {
        let remedy = log["last_error"]["remedy"].as_str();
        let remedy = remedy.map(|remedy| format!("; remedy: {remedy}")).unwrap_or_default();
        parts.push(format!("last error, {}: {error}{remedy}", word(&log["last_error"]["at"])));
    }
    Some(parts.join("; "))
}

/// Prints the enforcement points and PTIM clients, then their last errors.
fn points(server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
    let points = listed(server, "/api/v1/enforcement-points", &POINTS, output)?;
    dated_errors(&points, output)
}

/// Prints the push targets, then their last errors.
fn targets(server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
    let targets = listed(server, "/api/v1/push-targets", &TARGETS, output)?;
    dated_errors(&targets, output)
}

fn dated_errors(all: &[Value], output: &mut Output<'_>) -> Result<(), CommandError> {
    all.iter().try_for_each(|one| match one["last_error"].as_str() {
        Some(error) => {
            let (name, at) = (word(&one["name"]), word(&one["last_error_at"]));
            output.line(format_args!("{name}: last error, {at}: {error}"))
        }
        None => Ok(()),
    })
}

/// Prints all actors, then their last errors.
fn actors(server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
    let actors = listed(server, "/api/v1/actors", &ACTORS, output)?;
    last_errors(&actors, output)
}

/// Reloads the configuration of the server and prints the changes.
pub(super) fn reload(server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
    let report = match server.post("/api/v1/reload")? {
        Response::Found(report) => report,
        Response::NotFound(why) => return Err(CommandError::Request(why)),
    };
    let named = |what: &str, key: &str| {
        let words: Vec<&str> =
            report[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        (!words.is_empty()).then(|| format!("{what}: {}", words.join(", ")))
    };
    let parts = [
        named("changed", "changed"),
        named("restarted", "restarted"),
        named("effective only after a restart of the server", "after_restart"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let plain = if parts.is_empty() { "no changes".to_owned() } else { parts.join("\n") };
    output.either(&report, plain)
}

/// Prints the list at `path` as JSON lines or as a table. Returns the entries of a table.
fn listed(
    server: &Server,
    path: &str,
    columns: &[Column],
    output: &mut Output<'_>,
) -> Result<Vec<Value>, CommandError> {
    let all = match server.get(path, &[])? {
        Response::Found(Value::Array(all)) => all,
        Response::Found(_) => {
            return Err(CommandError::Request(format!("the response of {path} is not a list")));
        }
        Response::NotFound(why) => return Err(CommandError::Request(why)),
    };
    if output.format() == OutputFormat::Json {
        all.iter().try_for_each(|one| output.line(one))?;
        return Ok(Vec::new());
    }
    output.line(table(&all, columns))?;
    Ok(all)
}

/// Prints a line for each entry with a remark.
fn remarks(
    all: &[Value],
    output: &mut Output<'_>,
    remark: impl Fn(&Value) -> Option<String>,
) -> Result<(), CommandError> {
    all.iter().try_for_each(|one| match remark(one) {
        Some(remark) => output.line(format_args!("{}: {remark}", word(&one["actor"]))),
        None => Ok(()),
    })
}

fn last_errors(all: &[Value], output: &mut Output<'_>) -> Result<(), CommandError> {
    remarks(all, output, |one| Some(format!("last error: {}", one["last_error"].as_str()?)))
}

/// Formats headings and rows. Each column is as wide as its widest cell.
fn table(rows: &[Value], columns: &[Column]) -> String {
    let heading = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let cells = |row| columns.iter().map(|(_, cell)| cell(row)).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heading).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).filter_map(width).collect();
    let aligned = lines.iter().map(|line| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    aligned.collect::<Vec<_>>().join("\n")
}

/// A string without quotes, a number, or `-` for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whole seconds, or `-` for null.
fn seconds(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0}"))
}

/// `2 panic, 1 error`; `None` if empty.
fn counts(of: &Value) -> Option<String> {
    let counts = of.as_object()?.iter().map(|(word, count)| format!("{count} {word}"));
    let counts: Vec<String> = counts.collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_aligned_and_shows_unknown_values() {
        let point = |name: &str, queries, lag| json!({"name": name, "queries": queries, "lag_changes": lag});
        let points =
            [point("fw", json!(12), json!(0)), point("branch-firewall", json!(7), json!(null))];
        let columns: [Column; 3] = [POINTS[0], POINTS[2], POINTS[8]];
        assert_eq!(
            table(&points, &columns),
            "name             queries  behind\n\
             fw               12       0\n\
             branch-firewall  7        -"
        );
        assert_eq!(table(&[], &columns), "name  queries  behind");
    }

    #[test]
    fn an_event_log_is_printed_with_remedies() {
        assert_eq!(log_of(&Value::Null), None, "another kind of producer");
        let well = json!({"description": "connected", "gaps": 0, "unaudited": []});
        assert_eq!(log_of(&well).unwrap(), "event log: connected");
        let failing = json!({
            "description": "it cannot be read", "gaps": 2, "bookmark": 9,
            "last_event": {"at": "T", "record_id": 9},
            "last_gap": {"cause": "overwritten", "after": 7, "remedy": "make it larger"},
            "unaudited": [{"subcategory": "Logon", "remedy": "auditpol"}],
            "last_error": {"at": "U", "error": "access denied (5)", "remedy": "the group"},
        });
        let parts = "event log: it cannot be read; last event T, record 9; 2 gaps, the last overwritten \
                    after record 7: make it larger; no audits of Logon: auditpol; last error, U: access \
                    denied (5); remedy: the group";
        assert_eq!(log_of(&failing).unwrap(), parts);
    }

    #[test]
    fn counts_are_printed_with_their_labels() {
        let counted = counts(&json!({"bad_address": 1, "unmatched": 30}));
        assert_eq!(counted.as_deref(), Some("1 bad_address, 30 unmatched"));
        assert_eq!((counts(&json!({})), counts(&Value::Null)), (None, None));
    }
}
