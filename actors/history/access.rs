//! The record of who asked for whose history: a line for each question, in a file that nobody else
//! may read.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rollcall_identity::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// Who asks, as far as the server can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Asker {
    /// From where.
    pub(crate) peer: Option<IpAddr>,
    /// Who they say they are; everybody who has the token can say anything.
    pub(crate) said_to_be: Option<String>,
}

/// The longest name that is taken from whoever asks.
const LONGEST: usize = 64;

impl Asker {
    /// Somebody at `peer` who calls themselves `named`, as far as that can be printed.
    pub(crate) fn new(peer: Option<IpAddr>, named: Option<&str>) -> Self {
        let printable = |named: &str| -> String {
            named.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
        };
        Self { peer, said_to_be: named.map(printable).filter(|named| !named.is_empty()) }
    }
}

/// The record. It is opened for each line, so that it can be rotated at any time.
#[derive(Debug, Clone)]
pub(super) struct Record(PathBuf);

/// One line of it.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    pub(super) asked: Timestamp,
    #[serde(flatten)]
    pub(super) asker: &'a Asker,
    pub(super) question: Value,
    pub(super) outcome: &'static str,
}

/// Its name in the journal's folder.
const FILE: &str = "history-access.jsonl";

impl Record {
    /// The record in the folder `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    /// Adds a line at the end.
    pub(super) fn add(&self, line: &Line<'_>) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).open(&self.0)?.write_all(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_added_to_a_file_that_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::new(folder.path());
        let asker = Asker::new(Some("192.0.2.1".parse().unwrap()), Some("ro\not"));
        for outcome in ["told", "not_known"] {
            let question = json!({"address": "10.0.0.7"});
            let line = Line { asked: Timestamp::EPOCH, asker: &asker, question, outcome };
            record.add(&line).unwrap();
        }
        let text = std::fs::read_to_string(&record.0).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["outcome"], "not_known");
        assert_eq!(
            (&lines[0]["peer"], &lines[0]["said_to_be"]),
            (&json!("192.0.2.1"), &json!("root"))
        );
        let mode = std::fs::metadata(&record.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_file(&record.0).unwrap();
        std::fs::create_dir(&record.0).unwrap();
        let question = Value::Null;
        let line = Line { asked: Timestamp::EPOCH, asker: &asker, question, outcome: "told" };
        assert!(record.add(&line).is_err(), "what cannot be written is said");
    }
}
