//! `events replay`: what Rollcall makes of a recorded log, record by record, and why of most it makes
//! nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use evtx::EvtxParser;
use rollcall_identity::logon::{
    HostAddresses, LogonReader, LogonSettings, ReadOutcome, ServerRole,
};
use rollcall_identity::{Authority, Event, Kind, Name, Revision, Rules, Session, Table};
use rollcall_wire::event_log::RecordedEvent;
use serde_json::{Value, json};

use crate::command_line::output::{Form, Output};
use crate::command_line::syslog_test::{plain, shape};
use crate::command_line::{Failed, settings};

/// The longest line that is read, in bytes: an event of Windows has at most 64 KiB, and its JSON
/// some times that.
const LINE: u64 = 1 << 20;

/// What every file in EVTX begins with.
const EVTX: &[u8] = b"ElfFile\0";

/// Which log, and whose it was.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// EVTX, as Windows saves it, or JSON, a record on each line, as `evtx_dump -o jsonl`, NXLog or
    /// Winlogbeat write it.
    file: PathBuf,
    /// What kind of server wrote it: domain_controller or exchange.
    #[arg(long, default_value = "domain_controller")]
    role: ServerRole,
    /// Leave out the records that come to nothing; they are counted all the same.
    #[arg(long)]
    quiet: bool,
}

/// The fold of what was read so far.
struct Replaying {
    reader: LogonReader,
    /// Where computers were seen, for those who only name one.
    hosts: HostAddresses,
    rules: Rules,
    table: Table,
    revision: u64,
    counts: BTreeMap<&'static str, u64>,
}

impl Replay {
    /// Reads the file to its end; a line that is no record is counted and passed over.
    pub(crate) fn run(&self, config: Option<&Path>, output: &mut Output<'_>) -> Result<(), Failed> {
        let rules = match config {
            Some(_) => settings(config)?.rules,
            None => Rules::default(),
        };
        let mut replaying = Replaying::new(self.role, rules);
        let mut lines = self.open()?;
        if lines.fill_buf().map_err(|why| self.failed(&why.to_string()))?.starts_with(EVTX) {
            self.recording(&mut replaying, output)?;
        } else {
            self.lines(&mut lines, &mut replaying, output)?;
        }
        replaying.end(output)
    }

    /// The lines of JSON that the file is.
    fn lines(
        &self,
        lines: &mut BufReader<File>,
        replaying: &mut Replaying,
        output: &mut Output<'_>,
    ) -> Result<(), Failed> {
        for number in 1_u64.. {
            let mut line = Vec::new();
            let read = lines.by_ref().take(LINE).read_until(b'\n', &mut line);
            let read = read.map_err(|why| self.failed(&format!("line {number}: {why}")))?;
            if read == 0 {
                break;
            }
            let text = String::from_utf8_lossy(line.trim_ascii());
            if !text.is_empty() {
                self.say(number, &replaying.line(&text), output)?;
            }
        }
        Ok(())
    }

    /// The records of the EVTX file that it is; one that is damaged is passed over.
    fn recording(&self, replaying: &mut Replaying, output: &mut Output<'_>) -> Result<(), Failed> {
        let opened = EvtxParser::from_path(&self.file);
        let mut parser = opened.map_err(|why| self.failed(&why.to_string()))?;
        for (number, found) in (1_u64..).zip(parser.records_json()) {
            let told = match found {
                Ok(record) => replaying.line(&record.data),
                Err(why) => replaying.unreadable(&why.to_string()),
            };
            self.say(number, &told, output)?;
        }
        Ok(())
    }

    fn say(&self, number: u64, told: &Told, output: &mut Output<'_>) -> Result<(), Failed> {
        match !self.quiet || told.matters {
            true => output.either(&told.json, format_args!("{number}: {}", told.plain)),
            false => Ok(()),
        }
    }

    fn open(&self) -> Result<BufReader<File>, Failed> {
        let file = File::open(&self.file).map_err(|why| self.failed(&why.to_string()))?;
        Ok(BufReader::new(file))
    }

    fn failed(&self, why: &str) -> Failed {
        Failed::Request(format!("cannot read {}: {why}", self.file.display()))
    }
}

/// What is said of a record.
struct Told {
    json: Value,
    plain: String,
    /// Whether it came to an event, or cannot be read.
    matters: bool,
}

impl Replaying {
    fn new(role: ServerRole, mut rules: Rules) -> Self {
        let name = |text| Name::new(text).expect("the name is in the source");
        let (producer, source) = (name("replay"), name("file"));
        let kinds = vec![Kind::Login, Kind::Logout, Kind::Refresh, Kind::DeviceSeen];
        let authority = Authority { kinds, ..Authority::default() };
        rules.authorities.insert((producer.clone(), source.clone()), authority);
        let reader = LogonReader::new(LogonSettings::for_role(role), &producer, &source);
        let (hosts, table, counts) = (HostAddresses::default(), Table::default(), BTreeMap::new());
        Self { reader, hosts, rules, table, revision: 0, counts }
    }

    fn line(&mut self, line: &str) -> Told {
        let recorded = match RecordedEvent::read(line) {
            Ok(recorded) => recorded,
            Err(why) => return self.unreadable(&why.to_string()),
        };
        let record = recorded.record();
        let (record_id, id) = (record.record_id, record.id);
        // Replayed as if each record had been received when it was written.
        let outcome = match self.reader.read(&record, record.time) {
            ReadOutcome::Unresolved(unplaced) => match self.hosts.find(&unplaced) {
                Some(address) => self.reader.locate(unplaced, address),
                None => ReadOutcome::Unresolved(unplaced),
            },
            ReadOutcome::Event(event) => {
                self.hosts.record(&event);
                ReadOutcome::Event(event)
            }
            ignored => ignored,
        };
        match outcome {
            ReadOutcome::Event(event) => self.event(record_id, &event),
            ReadOutcome::Unresolved(unplaced) => {
                self.count("unplaced");
                let host = unplaced.host.as_str();
                let json = json!({"record": record_id, "id": id, "host": host});
                let plain = format!("record {record_id}, {id}: somebody at the host {host}");
                Told { json, plain, matters: true }
            }
            ReadOutcome::Ignored(reason) => {
                self.count(reason.as_str());
                let json = json!({"record": record_id, "id": id, "ignored": reason});
                let plain = format!("record {record_id}, {id}: nothing: {reason}");
                Told { json, plain, matters: false }
            }
        }
    }

    fn unreadable(&mut self, why: &str) -> Told {
        self.count("unreadable");
        let plain = format!("unreadable: {why}");
        Told { json: json!({"error": why}), plain, matters: true }
    }

    fn event(&mut self, record_id: u64, event: &Event) -> Told {
        self.count(event.kind.as_str());
        self.revision += 1;
        let verdict = self.table.apply(Revision(self.revision), event, &self.rules).verdict;
        let id = event.origin.form.as_str();
        let (word, reason) = (verdict.outcome(), verdict.reason());
        let json = json!({
            "record": record_id, "id": id, "event": shape(event), "verdict": word, "reason": reason,
        });
        let plain = format!("record {record_id}, {id}: {}: {word} ({reason})", plain(event));
        Told { json, plain, matters: true }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Says how many records came to what, and who is where in the end.
    fn end(self, output: &mut Output<'_>) -> Result<(), Failed> {
        let Self { table, counts, .. } = self;
        let mut sessions: Vec<&Session> = table.sessions().map(|session| &**session).collect();
        sessions.sort_by_key(|session| session.address);
        if output.form() == Form::Json {
            let there: Vec<Value> = sessions.iter().map(|session| there(session)).collect();
            output.line(json!({"counts": counts, "sessions": there}))?;
        } else {
            for (what, count) in &counts {
                output.line(format_args!("{count:>8} {what}"))?;
            }
            for session in &sessions {
                let who = session.principal.as_ref().map(ToString::to_string);
                let device = session.device.as_ref().map(|device| format!("<{device}>"));
                let who = who.or(device).unwrap_or_default();
                output.line(format_args!("{} {who}", session.address))?;
            }
        }
        if sessions.is_empty() { Err(Failed::Nothing) } else { Ok(()) }
    }
}

fn there(session: &Session) -> Value {
    json!({
        "address": session.address,
        "user": session.principal.as_ref().map(|principal| &principal.user),
        "domain": session.principal.as_ref().and_then(|principal| principal.domain.as_ref()),
        "device": session.device,
    })
}
