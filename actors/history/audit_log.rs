//! The audit log of history queries: one line for each query, in one private file per day, kept as
//! long as the journal keeps events.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rollcall_identity::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The client of a query, as far as the server can identify it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requester {
    /// The IP address.
    pub peer: Option<IpAddr>,
    /// The name that the client gave. Every client with the token can give any name.
    pub said_to_be: Option<String>,
}

/// The maximum length of that name.
const MAX_NAME: usize = 64;

impl Requester {
    /// A client at `peer` that gave the name `name`; control characters are removed.
    pub fn new(peer: Option<IpAddr>, name: Option<&str>) -> Self {
        let printable = |name: &str| -> String {
            name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
        };
        Self { peer, said_to_be: name.map(printable).filter(|name| !name.is_empty()) }
    }
}

/// The audit log. Its file is opened for each line, so that it can be removed at any time.
#[derive(Debug, Clone)]
pub(crate) struct AuditLog {
    folder: PathBuf,
    retention: Duration,
    /// The day of the last line.
    day: Option<String>,
}

/// A line.
#[derive(Debug, Serialize)]
pub(crate) struct AuditEntry<'a> {
    pub asked: Timestamp,
    #[serde(flatten)]
    pub requester: &'a Requester,
    #[serde(rename = "question")]
    pub query: Value,
    pub outcome: &'static str,
}

/// The prefix and the suffix of a file name. Between them is the day in UTC.
const NAME: (&str, &str) = ("history-access-", ".jsonl");

/// The length of a day, `2026-11-22`.
const DAY: usize = 10;

impl AuditLog {
    /// The audit log in the folder `folder`. A file is removed when its day ended more than
    /// `retention` ago.
    pub(crate) fn new(folder: PathBuf, retention: Duration) -> Self {
        Self { folder, retention, day: None }
    }

    /// Appends a line.
    ///
    /// # Errors
    /// If the line cannot be written. A failure to remove old files is not reported.
    pub(crate) fn add(&mut self, line: &AuditEntry<'_>) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let day = day_of(line.asked);
        let mut options = OpenOptions::new();
        let path = self.folder.join(format!("{}{day}{}", NAME.0, NAME.1));
        options.append(true).create(true).mode(0o600).open(path)?.write_all(&text)?;
        if self.day.as_ref() != Some(&day) {
            self.day = Some(day);
            let _ = self.remove_before(&day_of(line.asked - self.retention));
        }
        Ok(())
    }

    /// Removes the files of the days before `oldest`.
    fn remove_before(&self, oldest: &str) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let day =
                name.to_str().and_then(|name| name.strip_prefix(NAME.0)?.strip_suffix(NAME.1));
            if day.is_some_and(|day| day.len() == DAY && day < oldest) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The day of a time in UTC.
fn day_of(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate(DAY);
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_appended_to_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut audit_log = AuditLog::new(folder.path().to_owned(), Duration::from_secs(3600));
        let requester = Requester::new(Some("192.0.2.1".parse().unwrap()), Some("ro\not"));
        for outcome in ["answered", "unknown"] {
            let query = json!({"address": "10.0.0.7"});
            let line =
                AuditEntry { asked: Timestamp::EPOCH, requester: &requester, query, outcome };
            audit_log.add(&line).unwrap();
        }
        let path = folder.path().join("history-access-1970-01-01.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["outcome"], "unknown");
        assert_eq!(
            (&lines[0]["peer"], &lines[0]["said_to_be"]),
            (&json!("192.0.2.1"), &json!("root"))
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let query = Value::Null;
        let line = AuditEntry {
            asked: Timestamp::EPOCH,
            requester: &requester,
            query,
            outcome: "answered",
        };
        assert!(audit_log.add(&line).is_err(), "what cannot be written is said");
    }
    #[test]
    fn an_audit_file_is_removed_after_the_retention() {
        let folder = tempfile::tempdir().unwrap();
        let retention = Duration::from_secs(2 * 24 * 3600);
        let mut audit_log = AuditLog::new(folder.path().to_owned(), retention);
        let requester = Requester::new(None, None);
        let others = ["snapshot-1.db", "history-access-notes.jsonl", "history-access-.jsonl"];
        others.iter().for_each(|name| fs::write(folder.path().join(name), "").unwrap());
        for day in 20..=24 {
            let asked = format!("2026-11-{day}T23:59:59Z").parse().unwrap();
            let line = AuditEntry {
                asked,
                requester: &requester,
                query: Value::Null,
                outcome: "answered",
            };
            audit_log.add(&line).unwrap();
        }
        let names = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !others.contains(&name.as_str()));
        names.sort();
        let of = |day: u8| format!("history-access-2026-11-{day}.jsonl");
        assert_eq!(names, [of(22), of(23), of(24)]);
    }
}
