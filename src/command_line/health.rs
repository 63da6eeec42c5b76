//! `producers`, `enforcement-points`, `actors` and `reload`: how each part of the server is, as a
//! table, and a configuration put in force.

use clap::Args;
use serde_json::Value;

use super::Failed;
use super::output::{Form, Output};
use super::server::{Answer, Server};
use super::sessions::word;

/// A column: its heading, and what stands in it.
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

/// Prints the producers with their accounts, and below why something was dropped or ended.
pub(super) fn producers(server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
    let producers = listed(server, "/api/v1/producers", &PRODUCERS, output)?;
    remarks(&producers, output, |producer| {
        let dropped = counts(&producer["account"]["dropped_by_reason"]);
        dropped.map(|dropped| format!("dropped {dropped}"))
    })?;
    remarks(&producers, output, |producer| log_of(&producer["event_log"]))?;
    last_errors(&producers, output)
}

/// How the reading of an event log is, and what helps where it could be better.
fn log_of(log: &Value) -> Option<String> {
    let mut said = vec![format!("event log: {}", log["in_words"].as_str()?)];
    if let Some(record) = log["last_event"]["record_id"].as_u64() {
        said.push(format!("last event {}, record {record}", word(&log["last_event"]["at"])));
    }
    if let Some(gaps) = log["gaps"].as_u64().filter(|gaps| *gaps > 0) {
        let gap = &log["last_gap"];
        let (cause, remedy) = (word(&gap["cause"]), word(&gap["remedy"]));
        said.push(format!("{gaps} gaps, the last {cause} after record {}: {remedy}", gap["after"]));
    }
    for kind in log["unaudited"].as_array().into_iter().flatten() {
        said.push(format!(
            "no audits of {}: {}",
            word(&kind["subcategory"]),
            word(&kind["remedy"])
        ));
    }
    if let Some(error) = log["last_error"]["error"].as_str() {
        let remedy = log["last_error"]["remedy"].as_str();
        let remedy = remedy.map(|remedy| format!(", what helps: {remedy}")).unwrap_or_default();
        said.push(format!("last error, {}: {error}{remedy}", word(&log["last_error"]["at"])));
    }
    Some(said.join("; "))
}

/// Prints who may ask or push, and how far each of them is; below, what was refused last.
pub(super) fn points(server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
    let points = listed(server, "/api/v1/enforcement-points", &POINTS, output)?;
    dated_errors(&points, output)
}

/// Prints who is told without asking, and how far each of them is; below, what stood in the way.
pub(super) fn targets(server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
    let targets = listed(server, "/api/v1/push-targets", &TARGETS, output)?;
    dated_errors(&targets, output)
}

fn dated_errors(all: &[Value], output: &mut Output<'_>) -> Result<(), Failed> {
    all.iter().try_for_each(|one| match one["last_error"].as_str() {
        Some(error) => {
            let (name, at) = (word(&one["name"]), word(&one["last_error_at"]));
            output.line(format_args!("{name}: last error, {at}: {error}"))
        }
        None => Ok(()),
    })
}

/// What is asked of one push target.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(super) struct Targets {
    /// Compare what this target holds with what it should hold; it is told everything anew where
    /// that differs.
    #[arg(long, value_name = "NAME", conflicts_with = "synchronise")]
    check: Option<String>,
    /// Tell this target everything anew.
    #[arg(long, value_name = "NAME")]
    synchronise: Option<String>,
}

impl Targets {
    /// Does what is asked, or lists all of them.
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
        match (&self.check, &self.synchronise) {
            (Some(name), _) => check(name, server, output),
            (None, Some(name)) => synchronise(name, server, output),
            (None, None) => targets(server, output),
        }
    }
}

fn check(name: &str, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
    let drift = match server.post(&format!("/api/v1/push-targets/{name}/check"))? {
        Answer::Found(drift) => drift,
        Answer::Nothing(why) => return Err(Failed::Request(why)),
    };
    let (differing, unsettled) = (&drift["differing"], &drift["unsettled"]);
    let plain = match drift["outcome"].as_str() {
        Some("same") => format!("{name} holds what it should; {unsettled} pages were changing"),
        Some("untold") => format!("{name} cannot tell what it holds"),
        _ => format!("{differing} pages differ: {name} is told everything anew"),
    };
    output.either(&drift, plain)
}

fn synchronise(name: &str, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
    match server.post(&format!("/api/v1/push-targets/{name}/synchronise"))? {
        Answer::Found(done) => output.either(&done, format!("{name} is told everything anew")),
        Answer::Nothing(why) => Err(Failed::Request(why)),
    }
}

/// Prints all actors, and below why one of them ended.
pub(super) fn actors(server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
    let actors = listed(server, "/api/v1/actors", &ACTORS, output)?;
    last_errors(&actors, output)
}

/// Lets the server read its configuration anew, and prints what that changed.
pub(super) fn reload(server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
    let report = match server.post("/api/v1/reload")? {
        Answer::Found(report) => report,
        Answer::Nothing(why) => return Err(Failed::Request(why)),
    };
    let named = |what: &str, key: &str| {
        let words: Vec<&str> =
            report[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        (!words.is_empty()).then(|| format!("{what}: {}", words.join(", ")))
    };
    let said = [
        named("changed", "changed"),
        named("restarted", "restarted"),
        named("in force only after a restart of the server", "after_restart"),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    let plain = if said.is_empty() { "nothing had changed".to_owned() } else { said.join("\n") };
    output.either(&report, plain)
}

/// Prints what is at `path`: a line of JSON for each, or a table. Returns what is to be remarked on.
fn listed(
    server: &Server,
    path: &str,
    columns: &[Column],
    output: &mut Output<'_>,
) -> Result<Vec<Value>, Failed> {
    let all = match server.get(path, &[])? {
        Answer::Found(Value::Array(all)) => all,
        Answer::Found(_) => return Err(Failed::Request(format!("{path} answered no list"))),
        Answer::Nothing(why) => return Err(Failed::Request(why)),
    };
    if output.form() == Form::Json {
        all.iter().try_for_each(|one| output.line(one))?;
        return Ok(Vec::new());
    }
    output.line(table(&all, columns))?;
    Ok(all)
}

/// Prints a line for each of which there is something to say.
fn remarks(
    all: &[Value],
    output: &mut Output<'_>,
    remark: impl Fn(&Value) -> Option<String>,
) -> Result<(), Failed> {
    all.iter().try_for_each(|one| match remark(one) {
        Some(remark) => output.line(format_args!("{}: {remark}", word(&one["actor"]))),
        None => Ok(()),
    })
}

fn last_errors(all: &[Value], output: &mut Output<'_>) -> Result<(), Failed> {
    remarks(all, output, |one| Some(format!("last error: {}", one["last_error"].as_str()?)))
}

/// Headings and rows, each column as wide as its widest cell.
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

/// A text without its quotes, a number, or `-` for nothing.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whole seconds, or `-` for nothing.
fn seconds(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0}"))
}

/// `2 panic, 1 error`; `None` for none.
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
    fn a_table_is_aligned_and_says_where_nothing_is_known() {
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
    fn an_event_log_is_told_of_with_what_helps() {
        assert_eq!(log_of(&Value::Null), None, "another producer is none");
        let well = json!({"in_words": "connected", "gaps": 0, "unaudited": []});
        assert_eq!(log_of(&well).unwrap(), "event log: connected");
        let ill = json!({
            "in_words": "it cannot be read", "gaps": 2, "bookmark": 9,
            "last_event": {"at": "T", "record_id": 9},
            "last_gap": {"cause": "overwritten", "after": 7, "remedy": "make it larger"},
            "unaudited": [{"subcategory": "Logon", "remedy": "auditpol"}],
            "last_error": {"at": "U", "error": "access denied (5)", "remedy": "the group"},
        });
        let said = "event log: it cannot be read; last event T, record 9; 2 gaps, the last overwritten \
                    after record 7: make it larger; no audits of Logon: auditpol; last error, U: access \
                    denied (5), what helps: the group";
        assert_eq!(log_of(&ill).unwrap(), said);
    }

    #[test]
    fn counts_are_told_by_their_words() {
        let counted = counts(&json!({"bad_address": 1, "unmatched": 30}));
        assert_eq!(counted.as_deref(), Some("1 bad_address, 30 unmatched"));
        assert_eq!((counts(&json!({})), counts(&Value::Null)), (None, None));
    }
}
