//! `rollcall event-log replay`: the events and decisions for a recorded Windows event log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use evtx::EvtxParser;
use rollcall_identity::logon::{
    HostAddresses, LogonReader, LogonSettings, ReadOutcome, ServerRole,
};
use rollcall_identity::{Authority, Event, Kind, Name, Revision, Rules, Session, Table};
use rollcall_wire::event_log::RecordedEvent;
use serde_json::{Value, json};

use crate::command_line::output::{Output, OutputFormat};
use crate::command_line::test::syslog::{event_json, plain};
use crate::command_line::{CommandError, settings};

/// The maximum length of a line in bytes. An event has at most 64 KiB, and its JSON several times as
/// much.
const MAX_LINE: u64 = 1 << 20;

/// The signature of EVTX files.
const EVTX_SIGNATURE: &[u8] = b"ElfFile\0";

#[derive(Debug, Subcommand)]
pub(crate) enum EventLog {
    /// Read a recorded event log and print the events and decisions for its records.
    ///
    /// Example: `rollcall event-log replay Security.evtx --quiet`
    Replay(Replay),
}

impl EventLog {
    pub(crate) fn run(
        &self,
        config: Option<&Path>,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let Self::Replay(replay) = self;
        replay.run(config, output)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// EVTX file, or a file with one JSON record per line from `evtx_dump -o jsonl`, NXLog or
    /// Winlogbeat.
    file: PathBuf,
    /// Role of the server: domain_controller or exchange.
    #[arg(long, default_value = "domain_controller")]
    role: ServerRole,
    /// Omit records without an event. They are still counted.
    #[arg(long)]
    quiet: bool,
}

/// The state after the records that were read.
struct ReplayState {
    reader: LogonReader,
    /// The addresses of computers, for records that have only a computer name.
    hosts: HostAddresses,
    rules: Rules,
    table: Table,
    revision: u64,
    counts: BTreeMap<&'static str, u64>,
}

impl Replay {
    /// Reads the whole file. A line that is not a record is counted and skipped.
    fn run(&self, config: Option<&Path>, output: &mut Output<'_>) -> Result<(), CommandError> {
        let rules = match config {
            Some(_) => settings(config)?.rules,
            None => Rules::default(),
        };
        let mut replaying = ReplayState::new(self.role, rules);
        let mut lines = self.open()?;
        if lines
            .fill_buf()
            .map_err(|why| self.failed(&why.to_string()))?
            .starts_with(EVTX_SIGNATURE)
        {
            self.evtx_records(&mut replaying, output)?;
        } else {
            self.lines(&mut lines, &mut replaying, output)?;
        }
        replaying.finish(output)
    }

    /// Reads a file with JSON lines.
    fn lines(
        &self,
        lines: &mut BufReader<File>,
        replaying: &mut ReplayState,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        for number in 1_u64.. {
            let mut line = Vec::new();
            let read = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            let read = read.map_err(|why| self.failed(&format!("line {number}: {why}")))?;
            if read == 0 {
                break;
            }
            let text = String::from_utf8_lossy(line.trim_ascii());
            if !text.is_empty() {
                self.print_result(number, &replaying.line(&text), output)?;
            }
        }
        Ok(())
    }

    /// Reads an EVTX file. A damaged record is skipped.
    fn evtx_records(
        &self,
        replaying: &mut ReplayState,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let opened = EvtxParser::from_path(&self.file);
        let mut parser = opened.map_err(|why| self.failed(&why.to_string()))?;
        for (number, found) in (1_u64..).zip(parser.records_json()) {
            let result = match found {
                Ok(record) => replaying.line(&record.data),
                Err(why) => replaying.unreadable(&why.to_string()),
            };
            self.print_result(number, &result, output)?;
        }
        Ok(())
    }

    fn print_result(
        &self,
        number: u64,
        result: &RecordResult,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        match !self.quiet || result.matters {
            true => output.either(&result.json, format_args!("{number}: {}", result.plain)),
            false => Ok(()),
        }
    }

    fn open(&self) -> Result<BufReader<File>, CommandError> {
        let file = File::open(&self.file).map_err(|why| self.failed(&why.to_string()))?;
        Ok(BufReader::new(file))
    }

    fn failed(&self, why: &str) -> CommandError {
        CommandError::Request(format!("cannot read {}: {why}", self.file.display()))
    }
}

/// The result for one record.
struct RecordResult {
    json: Value,
    plain: String,
    /// Whether it led to an event, or is unreadable. Others are omitted with `--quiet`.
    matters: bool,
}

impl ReplayState {
    fn new(role: ServerRole, mut rules: Rules) -> Self {
        let name = |text| Name::new(text).expect("the name is in the source");
        let (producer, source) = (name("replay"), name("file"));
        let kinds = vec![Kind::Login, Kind::Logout, Kind::Refresh, Kind::DeviceSeen];
        let authority = Authority::unrestricted(kinds);
        rules.authorities.insert((producer.clone(), source.clone()), authority);
        let reader = LogonReader::new(LogonSettings::for_role(role), &producer, &source);
        let (hosts, table, counts) = (HostAddresses::default(), Table::default(), BTreeMap::new());
        Self { reader, hosts, rules, table, revision: 0, counts }
    }

    fn line(&mut self, line: &str) -> RecordResult {
        let recorded = match RecordedEvent::read(line) {
            Ok(recorded) => recorded,
            Err(why) => return self.unreadable(&why.to_string()),
        };
        let record = recorded.record();
        let (record_id, id) = (record.record_id, record.id);
        // Each record is treated as received at the time when it was written.
        let outcome = match self.reader.read(&record, record.time) {
            ReadOutcome::Unresolved(logon) => match self.hosts.find(&logon) {
                Some(address) => self.reader.locate(logon, address),
                None => ReadOutcome::Unresolved(logon),
            },
            ReadOutcome::Event(event) => {
                self.hosts.record(&event);
                ReadOutcome::Event(event)
            }
            ignored => ignored,
        };
        match outcome {
            ReadOutcome::Event(event) => self.event(record_id, &event),
            ReadOutcome::Unresolved(logon) => {
                self.count("unknown_host");
                let host = logon.host.as_str();
                let json = json!({"record": record_id, "id": id, "host": host});
                let plain = format!(
                    "record {record_id}, {id}: a user at host {host}, whose address is unknown"
                );
                RecordResult { json, plain, matters: true }
            }
            ReadOutcome::Ignored(reason) => {
                self.count(reason.as_str());
                let json = json!({"record": record_id, "id": id, "ignored": reason});
                let plain = format!("record {record_id}, {id}: no event: {reason}");
                RecordResult { json, plain, matters: false }
            }
        }
    }

    fn unreadable(&mut self, why: &str) -> RecordResult {
        self.count("unreadable");
        let plain = format!("unreadable: {why}");
        RecordResult { json: json!({"error": why}), plain, matters: true }
    }

    fn event(&mut self, record_id: u64, event: &Event) -> RecordResult {
        self.count(event.kind.as_str());
        self.revision += 1;
        let verdict = self.table.apply(Revision(self.revision), event, &self.rules).verdict;
        let id = event.origin.form.as_str();
        let (word, reason) = (verdict.outcome(), verdict.reason());
        let json = json!({
            "record": record_id, "id": id, "event": event_json(event), "verdict": word, "reason": reason,
        });
        let plain = format!("record {record_id}, {id}: {}: {word} ({reason})", plain(event));
        RecordResult { json, plain, matters: true }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Prints the number of records by result, and the sessions at the end.
    fn finish(self, output: &mut Output<'_>) -> Result<(), CommandError> {
        let Self { table, counts, .. } = self;
        let mut sessions: Vec<&Session> = table.sessions().map(|session| &**session).collect();
        sessions.sort_by_key(|session| session.address);
        if output.format() == OutputFormat::Json {
            let sessions: Vec<Value> =
                sessions.iter().map(|session| session_json(session)).collect();
            output.line(json!({"counts": counts, "sessions": sessions}))?;
        } else {
            for (what, count) in &counts {
                output.line(format_args!("{count:>8} {what}"))?;
            }
            for session in &sessions {
                let holder = session.principal.as_ref().map(ToString::to_string);
                let device = session.device.as_ref().map(|device| format!("<{device}>"));
                let holder = holder.or(device).unwrap_or_default();
                output.line(format_args!("{} {holder}", session.address))?;
            }
        }
        if sessions.is_empty() { Err(CommandError::NotFound) } else { Ok(()) }
    }
}

fn session_json(session: &Session) -> Value {
    json!({
        "address": session.address,
        "user": session.principal.as_ref().map(|principal| &principal.user),
        "domain": session.principal.as_ref().and_then(|principal| principal.domain.as_ref()),
        "device": session.device,
    })
}
